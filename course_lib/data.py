"""Data sets behind one small interface: built in, or generated; everything works offline.

Serves every chapter. Generated sets draw from numpy's ``RandomState``, whose stream numpy has
frozen, so that a seed gives the same points on every release and every device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .device import pick_device


@dataclass(frozen=True)
class Dataset:
    """Train and test tensors of one set, and what the columns and classes are called."""

    X_train: Tensor  # (B, D)
    y_train: Tensor  # (B,)
    X_test: Tensor
    y_test: Tensor
    features: tuple[str, ...]  # D names, with units where they have one
    classes: tuple[str, ...]  # K names; empty for a regression target
    about: str  # units, source, licence

    def __repr__(self) -> str:
        train, test = tuple(self.X_train.shape), tuple(self.X_test.shape)
        return f"Dataset(train {train}, test {test}, classes {list(self.classes)})"


def load(
    name: str, seed: int = 0, device: str | torch.device | None = None, dtype=torch.float32
) -> Dataset:
    """Load a built-in set, split by a seed: 70 % to train, 30 % to test.

    ``"breast_cancer"``: 569 tumours, 30 measurements of cell nuclei (lengths in pixels of the
    slide's image), classes malignant 0 and benign 1. Street, Wolberg & Mangasarian 1993, UCI
    repository, CC BY 4.0.

    ``"diabetes"``: 442 patients, 10 measurements scaled to unit length, target: disease
    progression after a year (a score from 25 to 346). Efron, Hastie, Johnstone & Tibshirani 2004.

    ``"digits"``: 1,797 handwritten digits of 8 x 8 pixels, grey levels 0 to 16, classes 0 to 9.
    Alpaydin & Kaynak 1998, UCI repository, CC BY 4.0.

    Args:
        name: one of the names above.
        seed: which rows go to the test set.
        device: where the tensors live; None chooses.
        dtype: of the inputs and of a regression target.

    Returns:
        A :class:`Dataset`; class labels are int64.

    Raises:
        ValueError: for a name that is not one of these.

    Example:
        >>> load("breast_cancer", device="cpu")
        Dataset(train (398, 30), test (171, 30), classes ['malignant', 'benign'])
    """
    from sklearn import datasets

    loaders = {
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
        "digits": datasets.load_digits,
    }
    if name not in loaders:
        raise ValueError(f"no data set is called {name!r}; there are {', '.join(loaders)}")
    bunch = loaders[name]()
    device = pick_device(device)
    y_dtype = torch.int64 if "target_names" in bunch else dtype
    X = torch.as_tensor(bunch.data, dtype=dtype, device=device)
    y = torch.as_tensor(bunch.target, dtype=y_dtype, device=device)
    order = torch.as_tensor(_random(seed).permutation(len(X)), device=device)
    cut = int(0.7 * len(X))
    train, test = order[:cut], order[cut:]
    return Dataset(
        X[train],
        y[train],
        X[test],
        y[test],
        features=tuple(str(f) for f in bunch.feature_names),
        classes=tuple(str(c) for c in bunch.get("target_names", ())),
        about=bunch.DESCR,  # scikit-learn's own account of units and source
    )


def standardize(data: Dataset) -> Dataset:
    """Give each feature mean 0 and standard deviation 1, measured on the training rows only.

    Args:
        data: a set with inputs of shape (B, D).

    Returns:
        The same set with both inputs shifted and scaled alike; a constant feature becomes 0.

    Example:
        >>> d = standardize(load("breast_cancer", device="cpu"))
        >>> bool(d.X_train.mean(0).abs().max() < 1e-5)
        True
    """
    mean, std = data.X_train.mean(0), data.X_train.std(0, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    X_train, X_test = ((X - mean) / std for X in (data.X_train, data.X_test))
    return replace(data, X_train=X_train, X_test=X_test)


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
