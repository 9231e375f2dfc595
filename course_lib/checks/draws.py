"""Inputs for the tests of exercises: numbers of few digits, which a learner can follow by hand."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def whole(generator: Generator, *shape: int) -> Tensor:
    """Whole numbers from -3 to 3."""
    return torch.randint(-3, 4, shape, generator=generator).float()


def nonzero(generator: Generator, *shape: int) -> Tensor:
    """Whole numbers from -3 to 3, but for 0."""
    size = torch.randint(1, 4, shape, generator=generator)
    return (size * (2 * torch.randint(0, 2, shape, generator=generator) - 1)).float()


def normal(generator: Generator, *shape: int) -> Tensor:
    """Normal numbers of two decimals."""
    return torch.randn(shape, generator=generator).round(decimals=2)


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers of two decimals from low to high."""
    return (low + (high - low) * torch.rand(shape, generator=generator)).round(decimals=2)
