"""Fashion-MNIST at scale: a ResNet by the recipe of the course. Chapter: book/07_cnn."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cnn import ResNet
from ..optimization import one_cycle
from ..training import accuracy, evaluate, fit
from ._fashion_mnist import HELD_OUT, LOSS, Pictures, keep_memory, pictures
from .runner import Experiment

WIDTHS = (32, 64, 128)  # channels of the stages, at 14, 7 and 4 pixels a side


def flip_and_shift(X: Tensor, pixels: int = 2) -> Tensor:
    """Mirror every second picture, left to right, and move each by up to some pixels.

    Args:
        X: pictures, shape (B, C, H, W).
        pixels: how far at the most, in each direction; what comes in is black.

    Returns:
        Pictures of the same shape. The amounts come from torch's global generator.
    """
    B, C, H, W = X.shape
    X = torch.where(torch.rand(B, 1, 1, 1, device=X.device) < 0.5, X.flip(3), X)
    dark = X.amin()  # standardized pictures: black is not 0
    wide = F.pad(X - dark, [pixels] * 4) + dark  # (B, C, H + 2 pixels, W + 2 pixels)
    dy, dx = torch.randint(0, 2 * pixels + 1, (2, B, 1), device=X.device)
    rows = (dy + torch.arange(H, device=X.device))[:, None, :, None]  # (B, 1, H, 1)
    columns = (dx + torch.arange(W, device=X.device))[:, None, None, :]  # (B, 1, 1, W)
    picture, channel = torch.arange(B, device=X.device), torch.arange(C, device=X.device)
    return wide[picture[:, None, None, None], channel[None, :, None, None], rows, columns]


def learn(recipe: str, train: Pictures, seed: int, epochs: int, lr: float):
    """Train the ResNet by the recipe, or by the recipe without one of its parts.

    Args:
        recipe: ``"all"``, or ``"no shortcut"``, ``"no augmentation"``, ``"no one-cycle"``,
            ``"no bf16"``.
        train: pictures and classes.
        seed: of the first weights, the order of the rows and the augmentation.
        epochs: passes.
        lr: the greatest step size.

    Returns:
        The network and the history of its run.
    """
    torch.manual_seed(seed)
    device = train[0].device
    model = ResNet(WIDTHS, stem=2, shortcut=recipe != "no shortcut", device=device)
    model = model.to(memory_format=torch.channels_last)
    history = fit(
        model,
        LOSS,
        train,
        epochs=epochs,
        batch_size=256,
        lr=lr,
        optimizer=partial(torch.optim.AdamW, weight_decay=0.05, fused=True),
        schedule=None if recipe == "no one-cycle" else one_cycle,
        augment=None if recipe == "no augmentation" else flip_and_shift,
        dtype=None if recipe == "no bf16" else torch.bfloat16,
        seed=seed,
        device=device,
    )
    return model, history


def ablation_run(seed: int, recipe: str, lr: float, epochs: int, device=None) -> dict[str, float]:
    """A recipe on 50,000 of the training rows, judged on the other 10,000.

    Args:
        seed: of the split, the first weights, the order of the rows and the augmentation.
        recipe: as :func:`learn` takes it.
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
    model, history = learn(recipe, (X[rest], y[rest]), seed, epochs, lr)
    right = evaluate(model, LOSS, (X[held], y[held]), {"accuracy": accuracy})["accuracy"]
    return {"accuracy": 100 * right, "train_seconds": history.seconds}


def resnet_run(seed: int, recipe: str, lr: float, epochs: int, device=None) -> dict[str, float]:
    """A recipe on all training rows, judged once on the test rows.

    Args:
        seed: of the first weights, the order of the rows and the augmentation.
        recipe: as :func:`learn` takes it.
        lr: the greatest step size.
        epochs: passes.
        device: where to compute; None chooses.

    Returns:
        ``accuracy`` in percent on the test rows; ``train_seconds``.
    """
    keep_memory()
    train, test = pictures(device)
    model, history = learn(recipe, train, seed, epochs, lr)
    right = evaluate(model, LOSS, test, {"accuracy": accuracy})["accuracy"]
    return {"accuracy": 100 * right, "train_seconds": history.seconds}


TRIED = [("all", 0.01), ("all", 0.02), ("all", 0.04), ("no shortcut", 0.02)]
TRIED += [("no augmentation", 0.02)]  # five passes each
LONG = ("all", "no augmentation")  # at 0.02, as many passes as the last run
CHOSEN = {"lr": 0.02, "epochs": 12}
BETTER = "all"  # by the rows held out, after as many passes
AT_SCALE = {
    "fashion_choosing": Experiment(
        ablation_run,
        [{"recipe": recipe, "lr": lr, "epochs": 5} for recipe, lr in TRIED],
        seeds=2,
        times=["train_seconds"],
        at_scale=True,
    ),
    "fashion_long": Experiment(
        ablation_run,
        [{"recipe": recipe, **CHOSEN} for recipe in LONG],
        seeds=1,
        times=["train_seconds"],
        at_scale=True,
    ),
    "fashion": Experiment(
        resnet_run, [CHOSEN | {"recipe": BETTER}], seeds=3, times=["train_seconds"], at_scale=True
    ),
}
