"""Point sets drawn from a seed: moons, clouds, spirals, exclusive or.

They draw from numpy's ``RandomState``, whose stream numpy has frozen, so that a seed gives the same
points on every release and every device.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..device import pick_device


def moons(
    n: int = 200, noise: float = 0.15, seed: int = 0, device=None, dtype=torch.float32
) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles of radius 1: no straight line separates them.

    Args:
        n: points, half a moon each, >= 2.
        noise: standard deviation of the Gaussian noise on both coordinates, >= 0.
        seed: which noise.
        device: where the tensors live; None chooses.
        dtype: of the points.

    Returns:
        Points (n, 2) and classes 0 or 1 (n,), int64, in turn.
    """
    _check_count(n)
    random = _random(seed)
    angle = np.pi * random.uniform(size=n)
    y = np.arange(n) % 2
    X = np.stack([np.cos(angle), np.sin(angle)], 1)
    X[y == 1] = np.array([1.0, 0.5]) - X[y == 1]
    return _tensors(X + noise * random.normal(size=X.shape), y, device, dtype)


def clouds(
    n: int = 100, distance: float = 4.0, seed: int = 0, device=None, dtype=torch.float32
) -> tuple[Tensor, Tensor]:
    """Two round Gaussian clouds of standard deviation 1, their centres on the diagonal.

    Args:
        n: points, half a cloud each, >= 2.
        distance: between the centres, in standard deviations.
        seed: which points.
        device: where the tensors live; None chooses.
        dtype: of the points.

    Returns:
        Points (n, 2) and classes 0 or 1 (n,), int64.
    """
    _check_count(n)
    random = _random(seed)
    y = np.arange(n) % 2
    X = random.normal(size=(n, 2)) + (y[:, None] - 0.5) * distance / np.sqrt(2)
    return _tensors(X, y, device, dtype)


def spirals(
    n: int = 300,
    noise: float = 0.02,
    turns: float = 1.0,
    classes: int = 2,
    seed: int = 0,
    device=None,
    dtype=torch.float32,
) -> tuple[Tensor, Tensor]:
    """Interleaved spiral arms around the origin, one a class, from radius 0.1 to 1.

    Args:
        n: points, shared evenly among the arms, >= classes.
        noise: standard deviation of the Gaussian noise on both coordinates, >= 0.
        turns: how often an arm winds around the origin; more turns, more bends to learn.
        classes: arms, >= 2.
        seed: which points.
        device: where the tensors live; None chooses.
        dtype: of the points.

    Returns:
        Points (n, 2) and classes 0 .. classes - 1 (n,), int64, in turn.

    Raises:
        ValueError: for fewer than two classes, or fewer points than classes.

    Source: two of them are the problem that Lang & Witbrock 1988 set to networks.
    """
    if classes < 2:
        raise ValueError(f"spirals need at least 2 classes, got {classes}")
    _check_count(n, classes)
    random = _random(seed)
    y = np.arange(n) % classes
    along = random.uniform(size=n)
    angle = 2 * np.pi * (turns * along + y / classes)
    X = (0.1 + 0.9 * along)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _tensors(X + noise * random.normal(size=X.shape), y, device, dtype)


def xor(device=None, dtype=torch.float32) -> tuple[Tensor, Tensor]:
    """The four rows of the truth table of exclusive or.

    Args:
        device: where the tensors live; None chooses.
        dtype: of the points.

    Returns:
        Points (4, 2) and classes (4,), int64: 1 where exactly one input is 1.
    """
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    return _tensors(X, np.array([0, 1, 1, 0]), device, dtype)


def _check_count(n: int, classes: int = 2) -> None:
    if n < classes:
        raise ValueError(f"n must be at least {classes}, one point per class, got {n}")


def _random(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


def _tensors(X, y, device, dtype) -> tuple[Tensor, Tensor]:
    device = pick_device(device)
    return (
        torch.as_tensor(X, dtype=dtype, device=device),
        torch.as_tensor(y, dtype=torch.int64, device=device),
    )
