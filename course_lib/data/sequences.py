"""Sequences whose answer lies far back: the adding problem and the copy task.

Chapter: book/09_rnn. Source: Hochreiter & Schmidhuber 1997, section 5.4, in the form that Arjovsky,
Shah & Bengio 2016 gave both.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..device import pick_device
from .generated import _random, _tensors


def adding(
    n: int, length: int, seed: int = 0, device=None, dtype=torch.float32
) -> tuple[Tensor, Tensor]:
    """The adding problem: add the two numbers that carry a mark, one in each half of the sequence.

    Each step is a pair: a number drawn evenly from [0, 1), and a mark, 1 at two steps and 0 at the
    others. Who always answers 1, the mean of the sum, has a mean squared error of 1/6. Hochreiter &
    Schmidhuber drew from [-1, 1], put both marks into the first half, marked both ends by -1 and
    scaled the sum; the task is the same.

    Args:
        n: sequences.
        length: T, steps of each, >= 2.
        seed: which sequences.
        device: where the tensors live; None chooses.
        dtype: of both.

    Returns:
        Sequences (n, T, 2) and sums (n,), from 0 to 2.

    Raises:
        ValueError: for fewer than two steps.
    """
    if length < 2:
        raise ValueError(f"two marks need at least 2 steps, got length {length}")
    random, half = _random(seed), length // 2
    numbers, marks = random.uniform(size=(n, length)), np.zeros((n, length))
    places = np.stack([random.randint(0, half, n), random.randint(half, length, n)], 1)  # (n, 2)
    np.put_along_axis(marks, places, 1.0, axis=1)
    sums = np.take_along_axis(numbers, places, axis=1).sum(1)
    device = pick_device(device)
    X = torch.as_tensor(np.stack([numbers, marks], -1), dtype=dtype, device=device)  # (n, T, 2)
    return X, torch.as_tensor(sums, dtype=dtype, device=device)


def copying(
    n: int, delay: int, items: int = 10, symbols: int = 8, seed: int = 0, device=None
) -> tuple[Tensor, Tensor]:
    """The copy task: read some symbols, wait, and write them down when the sign is given.

    A sequence is ``items`` symbols, ``delay - 1`` blanks, one sign, ``items`` blanks. The answer is
    blank for ``items + delay`` steps, and then the symbols. Who guesses them has a cross-entropy of
    ln(symbols) · items / (delay + 2 · items) per step.

    Args:
        n: sequences.
        delay: blanks between the symbols and their copy, the sign's step counted, >= 1.
        items: symbols to remember, >= 1.
        symbols: how many different ones, 0 .. symbols - 1; the blank is ``symbols``, the sign
            ``symbols + 1``.
        seed: which sequences.
        device: where the tensors live; None chooses.

    Returns:
        Sequences and answers, both (n, delay + 2 · items), int64.

    Raises:
        ValueError: when the delay or the number of items or symbols is below 1.
    """
    if min(delay, items, symbols) < 1:
        raise ValueError(
            f"delay, items and symbols must be at least 1, got {delay}, {items} and {symbols}"
        )
    asked = _random(seed).randint(0, symbols, (n, items))
    X = np.full((n, delay + 2 * items), symbols)
    y = X.copy()
    X[:, :items] = y[:, -items:] = asked
    X[:, items + delay - 1] = symbols + 1
    return _tensors(X, y, device, torch.int64)
