"""The sets that scikit-learn brings along, split into train and test by a seed."""

from __future__ import annotations

import torch

from ..device import pick_device
from .dataset import Dataset
from .generated import _random

TABLES = ("breast_cancer", "diabetes", "digits")


def load_table(name: str, seed: int, device: str | torch.device | None, dtype) -> Dataset:
    """One of :data:`TABLES`: 70 % of its rows to train on, 30 % to test on.

    Args:
        name: which.
        seed: which rows go to the test set.
        device: where the tensors live; None chooses.
        dtype: of the inputs and of a regression target.

    Returns:
        A :class:`Dataset`; class labels are int64.
    """
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
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
