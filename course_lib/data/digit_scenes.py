"""Scenes of digits: handwritten digits on a canvas, with boxes, classes and masks.

Chapter: book/08_vision, for detection and segmentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..device import pick_device
from .generated import _random
from .tables import load_table

TRIES = 100  # places tried for a digit before it is left out
BLACK, BRIGHTEST = 0.0, 16.0  # of the pixels of the digits
PIXELS = 8  # the side of a digit as it comes


@dataclass(frozen=True)
class Scenes:
    """Pictures and what is in them; M places for digits a picture, the first of them taken."""

    images: Tensor  # (B, 1, H, W), brightness 0 to 1
    boxes: Tensor  # (B, M, 4), x0, y0, x1, y1 in pixels, x1 and y1 beyond the last; else 0
    classes: Tensor  # (B, M), int64, 0 to 9; -1 where there is no digit
    masks: Tensor  # (B, M, H, W), bool: the ink of each digit

    @property
    def labels(self) -> Tensor:
        """What each pixel shows, (B, H, W), int64: 0 the background, k + 1 the digit k."""
        digits = (self.classes + 1)[:, :, None, None]  # (B, M, 1, 1)
        return (self.masks * digits).amax(1)

    def __repr__(self) -> str:
        return f"Scenes({tuple(self.images.shape)}, {int((self.classes >= 0).sum())} digits)"


def scenes(
    n: int,
    size: int = 48,
    digits: tuple[int, int] = (1, 3),
    scales: tuple[int, ...] = (1, 2, 3),
    split: str = "train",
    seed: int = 0,
    device=None,
    dtype=torch.float32,
) -> Scenes:
    """Draw scenes: digits of scikit-learn's set, enlarged, placed so that their boxes are disjoint.

    A digit for which no free place is found in 100 tries is left out; the first always finds one.

    Args:
        n: scenes.
        size: height and width of a scene, pixels.
        digits: the fewest and the most in a scene, drawn evenly between them.
        scales: how often a digit of 8 x 8 pixels is enlarged, drawn evenly.
        split: ``"train"`` or ``"test"``; the two share no handwritten digit.
        seed: which scenes.
        device: where the tensors live; None chooses.
        dtype: of the images and the boxes.

    Returns:
        :class:`Scenes` with M = the most digits of a scene.

    Raises:
        ValueError: when a digit does not fit into a scene, or the numbers make no sense.
    """
    fewest, most = digits
    if not 1 <= fewest <= most:
        raise ValueError(f"digits must be two numbers, 1 <= fewest <= most, got {digits}")
    if not scales or min(scales) < 1 or PIXELS * max(scales) > size:
        raise ValueError(f"digits of {PIXELS} pixels, enlarged by {scales}, must fit into {size}")
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test, got {split!r}")
    data = load_table("digits", 0, "cpu", torch.float32)
    inks, labels = (data.X_train, data.y_train) if split == "train" else (data.X_test, data.y_test)
    inks, labels = inks.numpy().reshape(-1, PIXELS, PIXELS) / BRIGHTEST, labels.numpy()
    images, boxes = np.zeros((n, 1, size, size)), np.zeros((n, most, 4))
    classes, masks = np.full((n, most), -1), np.zeros((n, most, size, size), dtype=bool)
    random = _random(seed)
    for b in range(n):
        placed = 0
        for _ in range(random.randint(fewest, most + 1)):
            i, scale = random.randint(len(inks)), scales[random.randint(len(scales))]
            ink = inks[i].repeat(scale, 0).repeat(scale, 1)
            place = _free_place(ink, boxes[b, :placed], size, random)
            if place is None:
                continue
            top, left, box = place
            there = (slice(top, top + len(ink)), slice(left, left + len(ink)))
            images[b, 0][there] = np.maximum(images[b, 0][there], ink)
            masks[b, placed][there] = ink > BLACK
            boxes[b, placed], classes[b, placed] = box, labels[i]
            placed += 1
    device = pick_device(device)
    return Scenes(
        torch.as_tensor(images, dtype=dtype, device=device),
        torch.as_tensor(boxes, dtype=dtype, device=device),
        torch.as_tensor(classes, dtype=torch.int64, device=device),
        torch.as_tensor(masks, device=device),
    )


def _free_place(ink, boxes, size: int, random) -> tuple | None:
    """Where a digit may stand: its top, its left, and the box around its ink."""
    rows, columns = (np.flatnonzero((ink > BLACK).any(axis)) for axis in (1, 0))
    around = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])  # x0, y0, x1, y1
    for _ in range(TRIES):
        top, left = random.randint(0, size - len(ink) + 1, 2)
        box = around + np.array([left, top, left, top])
        apart = (box[:2] >= boxes[:, 2:]) | (box[2:] <= boxes[:, :2])  # in x, in y
        if apart.any(1).all():
            return top, left, box
    return None
