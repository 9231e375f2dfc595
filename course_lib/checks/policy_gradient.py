"""The exercises of chapter 18_policy_gradient: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/18_policy_gradient.md.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .exercise import Exercise, Mistake, Test, checker, shapes
from .probes import gradient


def _rows(generator: Generator) -> list[tuple[Tensor]]:
    """One tuple of arguments a call; the same generator gives the same cases."""
    sizes = ((2, 3), (3, 3))
    return [(torch.randn(size, generator=generator).round(decimals=2),) for size in sizes]


# 18.1 average

AVERAGE = Exercise(
    number="18.1",
    title="An average",  # TODO: six exercises or more, like this one
    name="average",
    difficulty=1,
    minutes=5,
    reference=lambda x: torch.mean(x, dim=-1),
    tests=[
        Test("averages each row", _rows),
        Test("lets the slope through", _rows, probe=gradient),
        Test("gives one number a row", _rows, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "sums",
            lambda x: x.sum(-1),
            "you summed each row and did not divide; divide by the number of entries in a row",
        ),
        Mistake(
            "averages the columns",
            lambda x: x.mean(0),
            "you averaged down the columns, axis 0, which mixes the examples; average along -1",
        ),
        Mistake(
            "divides by one less",
            lambda x: x.sum(-1) / (x.shape[-1] - 1),
            "you divided by D - 1, as one does for a variance; a mean divides by D",
        ),
    ],
)

EXERCISES = [AVERAGE]

check = checker(EXERCISES)
