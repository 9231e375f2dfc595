"""Fashion-MNIST at scale: a recipe beside the textbook LeNet. Chapter: book/06_regularization."""

from __future__ import annotations

import ctypes
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from multiprocessing import get_context

import torch
from torch import Tensor, nn

from ..data import load
from ..optimization import one_cycle
from ..training import accuracy, evaluate, fit

HELD_OUT = 10_000  # rows of the training data that choose; the test rows choose nothing
LOSS = nn.CrossEntropyLoss()
Pictures = tuple[Tensor, Tensor]  # (B, 1, 28, 28) and classes (B,)


def lenet() -> nn.Sequential:
    """LeNet-5 as textbooks draw it: sigmoids, average pooling, 61,706 parameters.

    Returns:
        A network of (B, 1, 28, 28) pictures with ten logits each.

    Source: LeCun, Bottou, Bengio & Haffner 1998; first weights after Glorot & Bengio 2010.
    """
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid()),
        nn.Linear(84, 10),
    )
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
    return model


def strided(normalise: bool = True, channels: tuple[int, ...] = (1, 16, 32, 64)) -> nn.Sequential:
    """Three convolutions that halve the picture, and one layer of weights: 33,914 parameters.

    Args:
        normalise: batch norm after each convolution; without it, a bias.
        channels: of the picture, and after each convolution.

    Returns:
        A network of (B, 1, 28, 28) pictures with ten logits each.
    """
    layers: list[nn.Module] = []
    for k, (C_in, C_out) in enumerate(pairwise(channels)):
        size = 3 if k else 5
        layers += [nn.Conv2d(C_in, C_out, size, 2, size // 2, bias=not normalise)]
        layers += [nn.BatchNorm2d(C_out)] if normalise else []
        layers += [nn.ReLU()]
    head = nn.Linear(channels[-1] * 4 * 4, 10)  # 28 -> 14 -> 7 -> 4 pixels a side
    model = nn.Sequential(*layers, nn.Flatten(), head)
    return model.to(memory_format=torch.channels_last)


def keep_memory() -> None:
    """Let the C library keep what is freed, for the next step: on Linux it takes time to hand large
    blocks back and to get them zeroed again. Elsewhere, do nothing."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-1, 2**30)  # M_TRIM_THRESHOLD, bytes
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD, bytes


def pictures(device=None) -> tuple[Pictures, Pictures]:
    """Training and test pictures, with mean 0 and standard deviation 1 over the training pixels."""
    d = load("fashion_mnist", device=device)
    mean, std = d.X_train.mean(), d.X_train.std()
    return ((d.X_train - mean) / std, d.y_train), ((d.X_test - mean) / std, d.y_test)


def follow(recipe: str, train: Pictures, seed: int, epochs: int, lr: float):
    """Train the small network by the recipe, or by the recipe without one of its parts.

    Args:
        recipe: ``"all"``, or ``"no batch norm"``, ``"no one-cycle"``, ``"no bf16"``, ``"SGD"``.
        train: pictures and classes.
        seed: of the first weights and of the order of the rows.
        epochs: passes.
        lr: the greatest step size.

    Returns:
        The network and the history of its run.
    """
    torch.manual_seed(seed)
    model = strided(normalise=recipe != "no batch norm")
    adamw = partial(torch.optim.AdamW, weight_decay=0.05, fused=True)
    sgd = partial(torch.optim.SGD, momentum=0.9, weight_decay=5e-4)
    history = fit(
        model,
        LOSS,
        train,
        epochs=epochs,
        batch_size=256,
        lr=lr,
        optimizer=sgd if recipe == "SGD" else adamw,
        schedule=None if recipe == "no one-cycle" else one_cycle,
        dtype=None if recipe == "no bf16" else torch.bfloat16,
        seed=seed,
        device=train[0].device,
    )
    return model, history


def choosing_run(seed: int, recipe: str, lr: float, epochs: int, device=None) -> dict[str, float]:
    """A recipe on 50,000 of the training rows, judged on the other 10,000.

    Args:
        seed: of the split, the first weights and the order of the rows.
        recipe: as :func:`follow` takes it.
        lr: the greatest step size.
        epochs: passes.
        device: where to compute; None chooses.

    Returns:
        ``accuracy`` in percent on the rows held out; ``train_seconds``.
    """
    keep_memory()
    (X, y), _ = pictures(device)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed)).to(X.device)
    held, rest = order[:HELD_OUT], order[HELD_OUT:]
    model, history = follow(recipe, (X[rest], y[rest]), seed, epochs, lr)
    right = evaluate(model, LOSS, (X[held], y[held]), {"accuracy": accuracy})["accuracy"]
    return {"accuracy": 100 * right, "train_seconds": history.seconds}


def textbook_run(seed: int, device=None) -> dict[str, float]:
    """LeNet for its ten epochs, as textbooks train it, with the loop of the course.

    Args:
        seed: of the first weights and the order of the rows.
        device: where to compute; None chooses.

    Returns:
        Test accuracy in percent, and seconds of training.
    """
    train, test = pictures(device)
    torch.manual_seed(seed)
    model, sgd = lenet(), torch.optim.SGD
    settings = {"epochs": 10, "batch_size": 256, "lr": 0.9, "optimizer": sgd, "seed": seed}
    history = fit(model, LOSS, train, device=train[0].device, **settings)
    right = evaluate(model, LOSS, test, {"accuracy": accuracy})["accuracy"]
    return {"lenet_accuracy": 100 * right, "lenet_seconds": history.seconds}


def race_run(seed: int, epochs: int, lr: float, device=None) -> dict[str, float]:
    """The recipe on all training rows, beside the textbook LeNet in a fresh process.

    Args:
        seed: of the first weights and the order of the rows.
        epochs: passes of the recipe.
        lr: its greatest step size.
        device: where to compute; None chooses.

    Returns:
        Test accuracies in percent, measured once at the end; seconds of training, and their ratio.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:  # the C library as it comes
        theirs = fresh.submit(textbook_run, seed, device).result()
    keep_memory()
    train, test = pictures(device)
    model, history = follow("all", train, seed, epochs, lr)
    right = evaluate(model, LOSS, test, {"accuracy": accuracy})["accuracy"]
    ratio = history.seconds / theirs["lenet_seconds"]
    ours = {"accuracy": 100 * right, "recipe_seconds": history.seconds, "ratio": ratio}
    return ours | theirs
