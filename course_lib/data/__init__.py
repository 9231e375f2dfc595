"""Data sets behind one small interface. Serves every chapter.

Three sorts, and a chapter's main path uses the first two, which work offline:

- built in: :func:`load` of ``"digits"``, ``"breast_cancer"`` and ``"diabetes"``;
- generated from a seed: :func:`moons`, :func:`clouds`, :func:`spirals`, :func:`xor`;
- downloaded on demand, checked and kept: :func:`load` of ``"mnist"`` and ``"fashion_mnist"``.
"""

from __future__ import annotations

import torch

from . import images
from .dataset import Dataset, standardize
from .generated import clouds, moons, spirals, xor
from .tables import TABLES, load_table

__all__ = ["Dataset", "clouds", "load", "moons", "spirals", "standardize", "xor"]


def load(
    name: str, seed: int = 0, device: str | torch.device | None = None, dtype=torch.float32
) -> Dataset:
    """Load a set of numbers or images, split into train and test.

    Built in, split by the seed, 70 % to train and 30 % to test:

    ``"breast_cancer"``: 569 tumours, 30 measurements of cell nuclei (lengths in pixels of the
    slide's image), classes malignant 0 and benign 1. Street, Wolberg & Mangasarian 1993, UCI
    repository, CC BY 4.0.

    ``"diabetes"``: 442 patients, 10 measurements scaled to unit length, target: disease
    progression after a year (a score from 25 to 346). Efron, Hastie, Johnstone & Tibshirani 2004.

    ``"digits"``: 1,797 handwritten digits of 8 x 8 pixels, grey levels 0 to 16, classes 0 to 9.
    Alpaydin & Kaynak 1998, UCI repository, CC BY 4.0.

    Downloaded on demand, with their official split; images (B, 1, 28, 28), brightness 0 to 1:

    ``"mnist"``: 60,000 + 10,000 handwritten digits, classes 0 to 9. LeCun, Cortes & Burges 1998,
    CC BY-SA 3.0.

    ``"fashion_mnist"``: 60,000 + 10,000 pictures of clothes in 10 classes, 6,000 + 1,000 of each.
    Xiao, Rasul & Vollgraf 2017, Zalando Research, MIT licence.

    Args:
        name: one of the names above.
        seed: which rows of a built-in set go to its test set.
        device: where the tensors live; None chooses.
        dtype: of the inputs and of a regression target.

    Returns:
        A :class:`Dataset`; class labels are int64.

    Raises:
        ValueError: for a name that is not one of these.
        DataError: when a file can be had from nowhere, or is damaged; the text says what to do.

    Example:
        >>> load("breast_cancer", device="cpu")
        Dataset(train (398, 30), test (171, 30), classes ['malignant', 'benign'])
    """
    if name in TABLES:
        return load_table(name, seed, device, dtype)
    if name in images.IMAGES:
        return images.load_images(name, device, dtype)
    known = ", ".join([*TABLES, *images.IMAGES])
    raise ValueError(f"no data set is called {name!r}; there are {known}")
