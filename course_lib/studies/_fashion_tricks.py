"""Fashion-MNIST against the clock: which part of the recipe buys what. Chapter: book/07_cnn."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import pairwise
from multiprocessing import get_context
from statistics import median

import torch
from torch import Tensor, nn

from ..optimization import one_cycle
from ..training import History, accuracy, evaluate, fit
from ._fashion_mnist import HELD_OUT, LOSS, Pictures, keep_memory, pictures
from .runner import Experiment

CHANNELS = {"narrow": (1, 16, 32, 64), "wide": (1, 16, 64, 64)}  # of the picture, of the layers


def network(width: str = "narrow", without: str = "nothing") -> nn.Sequential:
    """Three convolutions that halve the picture, and one layer of weights.

    Args:
        width: a name of ``CHANNELS``: 33,914 parameters, or 57,018.
        without: ``"strides"`` convolves every place and pools then; ``"ReLU"`` has sigmoids;
            ``"batch norm"`` has biases; ``"channels last"`` keeps the channels apart in memory.

    Returns:
        A network of (B, 1, 28, 28) pictures with ten logits each.
    """
    layers: list[nn.Module] = []
    stride = 1 if without == "strides" else 2
    for k, (C_in, C_out) in enumerate(pairwise(CHANNELS[width])):
        size = 3 if k else 5
        bias = without == "batch norm"
        layers += [nn.Conv2d(C_in, C_out, size, stride, size // 2, bias=bias)]
        layers += [] if bias else [nn.BatchNorm2d(C_out)]
        layers += [nn.Sigmoid() if without == "ReLU" else nn.ReLU()]
        layers += [nn.MaxPool2d(2, ceil_mode=True)] if stride == 1 else []
    head = nn.Linear(CHANNELS[width][-1] * 4 * 4, 10)  # 28 -> 14 -> 7 -> 4 pixels a side
    model = nn.Sequential(*layers, nn.Flatten(), head)
    return model if without == "channels last" else model.to(memory_format=torch.channels_last)


def mirror(X: Tensor) -> Tensor:
    """Mirror every second picture, left to right, by torch's global generator."""
    coins = torch.rand(len(X), 1, 1, 1, device=X.device)
    return torch.where(coins < 0.5, X.flip(3), X)


def learn(
    train: Pictures,
    seed: int,
    epochs: int,
    lr: float,
    width: str = "narrow",
    smoothing: float = 0.1,
    mirrored: bool = True,
    without: str = "nothing",
) -> tuple[nn.Module, History]:
    """Train by the recipe, or by the recipe without one of its parts.

    Args:
        train: pictures and classes.
        seed: of the first weights, the order of the rows and the mirror.
        epochs: passes.
        lr: the greatest step size.
        width: see :func:`network`.
        smoothing: of the labels.
        mirrored: whether every second picture is mirrored.
        without: what :func:`network` takes, or ``"AdamW"``, ``"one-cycle"``, ``"bf16"``,
            ``"smoothing"``, ``"mirror"``.

    Returns:
        The network and the history of its run.
    """
    torch.manual_seed(seed)
    model = network(width, without)
    adamw = partial(torch.optim.AdamW, weight_decay=0.05, fused=True)
    sgd = partial(torch.optim.SGD, momentum=0.9, weight_decay=5e-4)
    history = fit(
        model,
        nn.CrossEntropyLoss(label_smoothing=0.0 if without == "smoothing" else smoothing),
        train,
        epochs=epochs,
        batch_size=256,
        lr=lr,
        optimizer=sgd if without == "AdamW" else adamw,
        schedule=None if without == "one-cycle" else one_cycle,
        augment=mirror if mirrored and without != "mirror" else None,
        dtype=None if without == "bf16" else torch.bfloat16,
        seed=seed,
        device=train[0].device,
    )
    return model, history


class BothWays(nn.Module):
    """A network that is shown a picture and its mirror image, and adds up what it says of each.

    Args:
        model: pictures (B, C, H, W) to logits (B, K).

    Source: Krizhevsky, Sutskever and Hinton 2012, section 4.1, where it is ten views.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, X: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K)."""
        return self.model(X) + self.model(X.flip(3))


def right(model: nn.Module, data: Pictures) -> float:
    """Percent of the pictures that are told rightly."""
    return 100 * evaluate(model, LOSS, data, {"accuracy": accuracy})["accuracy"]


def held_out_run(seed: int, device=None, **settings) -> dict[str, float]:
    """Train on 50,000 of the training rows in a fresh process, and be judged on the other 10,000.

    Args:
        seed: of the split too.
        device: where to compute; None chooses.
        settings: what :func:`learn` takes; ``without="kept memory"`` leaves the C library as it is.

    Returns:
        ``accuracy`` in percent on the rows held out; ``train_seconds``.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        return fresh.submit(_held_out, seed, device, settings).result()


def _held_out(seed: int, device, settings: dict) -> dict[str, float]:
    if settings.get("without") != "kept memory":
        keep_memory()
    (X, y), _ = pictures(device)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed)).to(X.device)
    held, rest = order[:HELD_OUT], order[HELD_OUT:]
    model, history = learn((X[rest], y[rest]), seed, **settings)
    return {"accuracy": right(model, (X[held], y[held])), "train_seconds": history.seconds}


def both_ways_run(seed: int, device=None, **settings) -> dict[str, float]:
    """As :func:`held_out_run`, judged one way and :class:`BothWays`.

    Args:
        seed: of the split too.
        device: where to compute; None chooses.
        settings: what :func:`learn` takes.

    Returns:
        ``accuracy`` in percent on the rows held out, ``one_way`` of the same network;
        ``train_seconds``.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        return fresh.submit(_both_ways, seed, device, settings).result()


def _both_ways(seed: int, device, settings: dict) -> dict[str, float]:
    keep_memory()
    (X, y), _ = pictures(device)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed)).to(X.device)
    held, rest = order[:HELD_OUT], order[HELD_OUT:]
    model, history = learn((X[rest], y[rest]), seed, **settings)
    judging = (X[held], y[held])
    found = {"accuracy": right(BothWays(model), judging), "one_way": right(model, judging)}
    return found | {"train_seconds": history.seconds}


def pass_run(
    seed: int, without: str = "nothing", width: str = "narrow", device=None, pairs: int = 3
) -> dict[str, float]:
    """How long a pass takes beside one of ``BASE``: in turns, in two processes.

    Args:
        seed: of first weights and order.
        without: a name of ``PARTS``, or ``"nothing"``.
        width: see :func:`network`.
        device: where to compute; None chooses.
        pairs: of passes that count; one before them does not. In every second one the other
            process begins.

    Returns:
        ``ratio``, the median of the pairs.
    """
    spawn = get_context("spawn")
    base = BASE | {"seed": seed, "epochs": 1}
    other = base | {"without": without, "width": width}
    with ProcessPoolExecutor(1, spawn) as first, ProcessPoolExecutor(1, spawn) as second:
        ratios = []
        for k in range(1 + pairs):
            both = [("base", first, base), ("other", second, other)][:: 1 if k % 2 else -1]
            took = {name: pool.submit(_pass, device, told).result() for name, pool, told in both}
            ratios.append(took["other"] / took["base"])
    return {"ratio": median(ratios[1:])}


@cache
def _pictures(device) -> Pictures:
    return pictures(device)[0]


def _pass(device, settings: dict) -> float:
    if settings.get("without") != "kept memory":
        keep_memory()
    return learn(_pictures(device), **settings)[1].seconds


BASE = {"epochs": 5, "lr": 0.02, "width": "narrow", "mirrored": False}  # what is taken apart
PARTS = ("strides", "channels last", "kept memory", "bf16", "ReLU", "batch norm", "AdamW")
PARTS += ("one-cycle", "smoothing")
RATES = {"AdamW": (0.1, 0.3), "one-cycle": (0.003, 0.01), "ReLU": (0.02, 0.05)}
RATES |= {"batch norm": (0.005, 0.02)}  # of the others, the base's own


def _tried(width: str, mirrored: bool, epochs: tuple, rates: tuple, **more) -> list[dict]:
    usual = {"smoothing": 0.1, "without": "nothing"}
    return [
        {"width": width, "mirrored": mirrored, "epochs": n, "lr": lr, **usual, **more}
        for n in epochs
        for lr in rates
    ]


TRIED = _tried("narrow", False, (1, 2), (0.02, 0.03))
TRIED += _tried("wide", False, (1, 2), (0.02, 0.03))
TRIED += _tried("narrow", False, (3, 4, 5, 6, 8), (0.01, 0.02))
TRIED += _tried("narrow", True, (5, 6, 8), (0.01, 0.02))
TRIED += _tried("wide", False, (3, 4, 6, 8), (0.02,))
TRIED += _tried("wide", True, (6, 8), (0.02,))
TRIED += _tried("wide", True, (10, 12, 15), (0.01, 0.02))
TRIED += _tried("narrow", False, (1, 2, 3, 4, 5), (0.01, 0.02), without="strides")
TRIED += _tried("narrow", False, (2, 5), (0.02,), smoothing=0.05)
TRIED += _tried("narrow", False, (2, 5), (0.02,), smoothing=0.0)
TRIED += _tried("wide", False, (2, 4), (0.02,), smoothing=0.05)
TRIED += _tried("wide", False, (2, 4), (0.02,), smoothing=0.0)
TRIED_BOTH_WAYS = _tried("wide", True, (8, 10), (0.02,))
# What a pass takes of the time in which the textbook's LeNet makes ten (benchmarks/results.json:
# an earlier race; tricks_time for the pooled network).
PASS = {"narrow": 0.0745, "wide": 0.0985}
POOLED = 2.26
MOST = {90: 0.2, 91: 0.4, 92: 1.1}  # of that time, for so many percent


def time_of(recipe: dict) -> float:
    """About how long a recipe takes, as a share of LeNet's ten passes."""
    pooled = POOLED if recipe["without"] == "strides" else 1
    return recipe["epochs"] * PASS[recipe["width"]] * pooled


# Chosen by the rows held out: of the tried recipes that fit into the time, the highest mean over
# three splits.
BOTH_WAYS = (92,)  # percent: where BothWays tells the classes
TARGETS = {  # percent: recipe
    90: _tried("wide", False, (2,), (0.02,), smoothing=0.05)[0],
    91: _tried("wide", False, (4,), (0.02,), smoothing=0.05)[0],
    92: _tried("wide", True, (10,), (0.02,))[0],
}
AT_SCALE = {
    "tricks_choosing": Experiment(
        held_out_run, TRIED, seeds=3, times=["train_seconds"], at_scale=True
    ),
    "tricks_both_ways": Experiment(
        both_ways_run, TRIED_BOTH_WAYS, seeds=3, times=["train_seconds"], at_scale=True
    ),
    "tricks": Experiment(
        held_out_run,
        [
            BASE | {"without": part, "lr": lr}
            for part in ("nothing", *PARTS)
            for lr in RATES.get(part, (BASE["lr"],))
        ],
        seeds=3,
        times=["train_seconds"],
        at_scale=True,
    ),
    "tricks_time": Experiment(
        pass_run,
        [{"without": part} for part in PARTS] + [{"width": "wide"}],
        seeds=2,
        times=["ratio"],
        at_scale=True,
    ),
}
