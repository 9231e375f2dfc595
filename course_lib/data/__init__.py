"""Data sets behind one small interface. Serves every chapter.

A chapter's main path uses what is built in, packaged or generated: it works offline.

- Built in: :func:`load` of ``"digits"``, ``"breast_cancer"``, ``"diabetes"``.
- Packaged: :func:`text` of ``"book"``, this book's own prose; :func:`labelled` of ``"surnames"``.
- Generated from a seed, the same on every release and device: :func:`moons`, :func:`clouds`,
  :func:`spirals`, :func:`xor`; :func:`adding` and :func:`copying`, sequences; :func:`dates` in
  words and in ISO; :func:`numbers` in digits and in words; :func:`scenes` of digits.
- Downloaded on demand, checked and kept: :func:`load` of ``"mnist"``, ``"fashion_mnist"``;
  :func:`text` of ``"tiny_shakespeare"``, ``"names"``; :func:`labelled` of ``"movie_reviews"``;
  :func:`translations`. The environment variable ``COURSE_DATA`` names a folder that has them, where
  there is no network; ``COURSE_CACHE`` another folder to keep them in; ``COURSE_PROGRESS=off``
  turns the progress bar off.
"""

from __future__ import annotations

import torch

from . import images
from .dataset import Dataset, standardize
from .date_pairs import dates
from .digit_scenes import Scenes, scenes
from .downloads import DataError
from .generated import clouds, moons, spirals, xor
from .number_pairs import numbers
from .sequences import adding, copying
from .tables import TABLES, load_table
from .texts import LabelledTexts, labelled, text, translations

__all__ = [
    "DataError",
    "Dataset",
    "LabelledTexts",
    "Scenes",
    "adding",
    "clouds",
    "copying",
    "dates",
    "labelled",
    "load",
    "moons",
    "numbers",
    "scenes",
    "spirals",
    "standardize",
    "text",
    "translations",
    "xor",
]


def load(
    name: str, seed: int = 0, device: str | torch.device | None = None, dtype=torch.float32
) -> Dataset:
    """Load a set of numbers or images, split into train and test.

    Built in, split by the seed, 70 % to train and 30 % to test:

    ``"breast_cancer"``: 569 tumours, 30 measurements of cell nuclei (lengths in pixels of the
    slide's image), classes malignant 0 and benign 1. Street, Wolberg & Mangasarian 1993, UCI
    repository, CC BY 4.0.

    ``"diabetes"``: 442 patients, 10 measurements scaled to unit length, target: disease
    progression after a year (a score from 25 to 346). Efron, Hastie, Johnstone & Tibshirani 2004,
    shared for research as it is, without a licence of its own.

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
