"""What every numeric set comes as: tensors to train and to test on, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """Train and test tensors of one set, and what the columns and classes are called."""

    X_train: Tensor  # (B, D), or images (B, 1, H, W)
    y_train: Tensor  # (B,)
    X_test: Tensor
    y_test: Tensor
    features: tuple[str, ...]  # D names, with units where they have one; empty for images
    classes: tuple[str, ...]  # K names; empty for a regression target
    about: str  # units, source, licence

    def __repr__(self) -> str:
        train, test = tuple(self.X_train.shape), tuple(self.X_test.shape)
        return f"Dataset(train {train}, test {test}, classes {list(self.classes)})"


def standardize(data: Dataset) -> Dataset:
    """Give each feature mean 0 and standard deviation 1, measured on the training rows only.

    Args:
        data: a set with inputs of shape (B, D).

    Returns:
        The same set with both inputs shifted and scaled alike; a constant feature becomes 0.

    Example:
        >>> from course_lib.data import load
        >>> d = standardize(load("breast_cancer", device="cpu"))
        >>> bool(d.X_train.mean(0).abs().max() < 1e-5)
        True
    """
    mean, std = data.X_train.mean(0), data.X_train.std(0, correction=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    X_train, X_test = ((X - mean) / std for X in (data.X_train, data.X_test))
    return replace(data, X_train=X_train, X_test=X_test)
