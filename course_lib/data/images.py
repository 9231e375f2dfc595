"""MNIST and Fashion-MNIST: fetched when asked for, read from their IDX files."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..device import pick_device
from .dataset import Dataset
from .downloads import DataError, File, content

SPLITS = ("train", "t10k")  # as the files call them
KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")
_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # has no https
)
_MD5 = {  # of the content, in the order train images, train labels, test images, test labels
    "mnist": (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    "fashion_mnist": (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}
_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}
_ABOUT = {
    "mnist": "Handwritten digits of 28 x 28 pixels, brightness 0 to 1, white on black; 60,000 to "
    "train on, by about 250 writers, and 10,000 to test on, by others. LeCun, Cortes & Burges "
    "1998, from NIST's special databases 1 and 3. Licence: CC BY-SA 3.0.",
    "fashion_mnist": "Pictures of clothes from a shop's catalogue, 28 x 28 pixels, brightness 0 to "
    "1, light on black; 60,000 to train on and 10,000 to test on, 6,000 and 1,000 of each class. "
    "Xiao, Rasul & Vollgraf 2017, Zalando Research. Licence: MIT.",
}


def _files(name: str, mirrors: tuple[str, ...]) -> tuple[File, ...]:
    names = [f"{split}-{kind}" for split in SPLITS for kind in KINDS]
    return tuple(
        File(f"{name}/{file}", md5, tuple(f"{mirror}{file}.gz" for mirror in mirrors))
        for file, md5 in zip(names, _MD5[name], strict=True)
    )


IMAGES = {"mnist": _files("mnist", _MNIST), "fashion_mnist": _files("fashion_mnist", _FASHION)}
FILES = tuple(file for files in IMAGES.values() for file in files)


def load_images(name: str, device: str | torch.device | None, dtype) -> Dataset:
    """One of :data:`IMAGES`, with the split that its authors made.

    Args:
        name: which.
        device: where the tensors live; None chooses.
        dtype: of the images.

    Returns:
        A :class:`Dataset` of images (B, 1, 28, 28), brightness 0 to 1, and labels (B,), int64. In
        float32 the training images take 188 MB.

    Raises:
        DataError: when a file can be had from nowhere, or is damaged.
    """
    device = pick_device(device)
    read = [read_idx(content(file), file.path) for file in IMAGES[name]]
    for images, labels in (read[:2], read[2:]):
        if len(images) != len(labels):
            raise DataError(f"{name} has {len(images)} images and {len(labels)} labels")
    X_train, y_train, X_test, y_test = (part.to(device) for part in read)
    X_train, X_test = (X.unsqueeze(1).to(dtype).div_(255) for X in (X_train, X_test))
    y_train, y_test = y_train.long(), y_test.long()
    return Dataset(X_train, y_train, X_test, y_test, (), _CLASSES[name], _ABOUT[name])


def read_idx(file: bytes, name: str = "the file") -> Tensor:
    """The bytes of an IDX file as a tensor.

    The form: two bytes 0, the type of the numbers (8: one byte each), the number of axes, the
    length of each axis as four bytes, the greatest first, and then the numbers.

    Args:
        file: its content, not compressed.
        name: for the text of an error.

    Returns:
        A uint8 tensor of the shape that the file says.

    Raises:
        DataError: when it is no such file, or longer or shorter than it says.
    """
    if len(file) < 4 or file[:3] != b"\0\0\x08":
        raise DataError(f"{name} is no IDX file of bytes: it begins with {file[:4]!r}")
    start = 4 + 4 * file[3]
    shape = [int.from_bytes(file[i : i + 4], "big") for i in range(4, start, 4)]
    if len(file) != start + math.prod(shape):
        raise DataError(
            f"{name} says that it holds {' x '.join(map(str, shape))} bytes after the first "
            f"{start}, and has {len(file) - start}"
        )
    # bytearray, because a tensor over bytes could not be written to
    return torch.frombuffer(bytearray(file), dtype=torch.uint8)[start:].view(shape)
