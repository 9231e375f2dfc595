"""The exercises of chapter 03_autograd: what they ask, how they are judged, what goes wrong.

The statements and the solutions stand in solutions/03_autograd.md.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .exercise import Exercise, Mistake, Test, checker, shapes


def _inputs(generator: Generator) -> list[tuple[Tensor]]:
    """One argument tuple a call; the same generator gives the same cases."""
    return [(torch.randn(shape, generator=generator),) for shape in ((3,), (2, 2))]


TWICE = Exercise(
    number="3.1",
    title="A title",
    name="twice",
    difficulty=1,
    minutes=5,
    reference=lambda x: torch.mul(x, 2),
    tests=[
        Test("doubles every entry", _inputs),
        Test("keeps the shape", _inputs, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "squares",
            lambda x: x * x,
            "you multiplied the input by itself; multiply it by 2",
        ),
        Mistake(
            "halves",
            lambda x: x / 2,
            "you divided every entry by 2; multiply it by 2",
        ),
        Mistake(
            "sums",
            lambda x: 2 * x.sum(),
            "you summed over all entries; each entry keeps its place",
        ),
    ],
)

EXERCISES = [TWICE]

check = checker(EXERCISES)
