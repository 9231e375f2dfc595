"""The ResNet at scale: its augmentation, and its recipe on a few real pictures."""

import os

import pytest
import torch
from needs import needs

from course_lib.cnn import ResNet
from course_lib.studies import _fashion_resnet as study


def moved(picture: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """A picture (H, W) seen dy rows further down and dx columns further right, by loops."""
    out = torch.full_like(picture, picture.min())
    H, W = picture.shape
    for i in range(H):
        for j in range(W):
            if 0 <= i + dy < H and 0 <= j + dx < W:
                out[i, j] = picture[i + dy, j + dx]
    return out


WAYS = [(m, dy, dx) for m in (False, True) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def test_each_picture_is_one_of_its_shifts_and_mirror_images():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(60, 2, 5, 6, generator=g)
    X[:, :, 0, 0] = -9  # black, in every picture
    torch.manual_seed(0)
    found = []
    for x, y in zip(X, study.flip_and_shift(X, pixels=1), strict=True):
        for mirrored, dy, dx in WAYS:
            picture = x.flip(2) if mirrored else x
            if torch.allclose(torch.stack([moved(c, dy, dx) for c in picture]), y, atol=1e-5):
                found.append((mirrored, dy, dx))
    assert len(found) == len(X)  # each of them, in exactly one way
    assert len(set(found)) >= 16  # of 18


def test_the_augmentation_keeps_shape_type_and_the_batch_it_was_given():
    X = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    before = X.clone()
    y = study.flip_and_shift(X)
    assert y.shape == X.shape and y.dtype == X.dtype and torch.equal(X, before)
    assert y.min() >= X.min() and y.max() <= X.max()


@pytest.mark.parametrize("shortcut", [True, False])
def test_the_network_has_the_size_that_the_chapter_tells(shortcut):
    model = ResNet(study.WIDTHS, stem=2, shortcut=shortcut, device="cpu")
    ways_around = 32 * 64 + 64 * 128 if shortcut else 0
    assert sum(p.numel() for p in model.parameters()) == 297_450 + ways_around


def test_a_few_pictures_are_learned():
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    (X, y), _ = study.pictures(device="cpu")
    _, history = study.learn("all", (X[:2048], y[:2048]), seed=0, epochs=2, lr=0.02)
    assert sum(history.losses[-3:]) / 3 < 0.75 * history.losses[0]
