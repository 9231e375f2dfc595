"""An epoch on pictures by several loops, ours among them. Runs in every environment with torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROWS, BATCH, LR = 60_000, 256, 0.1
LOSS = nn.CrossEntropyLoss()


def pictures(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise in the shape of Fashion-MNIST: a loop's time does not depend on what it sees."""
    draws = torch.Generator().manual_seed(0)
    X = torch.rand(rows, 1, 28, 28, generator=draws)
    return X, torch.randint(10, (rows,), generator=draws)


def network(name: str) -> nn.Module:
    """``"mlp"``: 784-256-10; ``"lenet"``: that of 1998 with ReLU. The same weights each time."""
    torch.manual_seed(0)
    if name == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def learner(net: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and plain gradient descent."""
    model = network(net)
    return model, torch.optim.SGD(model.parameters(), lr=LR)


def step(model, opt, X, y, cast=None) -> None:
    """One step, as everybody writes it."""
    opt.zero_grad()
    with cast or nullcontext():
        loss = LOSS(model(X), y)
    loss.backward()
    opt.step()


def bare(net: str = "mlp", rows: int = ROWS, channels_last: bool = False, bf16: bool = False):
    """Batches cut by index out of one tensor: the least that a loop can do."""
    X, y = pictures(rows)
    model, opt = learner(net)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        X = X.to(memory_format=torch.channels_last)
    cast = torch.autocast("cpu", torch.bfloat16) if bf16 else None

    def run() -> dict[str, int]:
        parts = torch.randperm(len(X)).split(BATCH)
        for part in parts:
            step(model, opt, X[part], y[part], cast)
        return {"steps": len(parts)}

    return run


def kept(loop: str, **options):
    """A loop whose process keeps freed memory: how much the C library gives back is chance."""
    from course_lib.studies._fashion_mnist import keep_memory

    keep_memory()
    module, name = loop.split(".")
    return getattr(importlib.import_module(f"benchmarks.contenders.{module}"), name)(**options)


def over(batches: DataLoader, net: str) -> Callable[[], dict[str, int]]:
    """A run over a loader's batches."""
    model, opt = learner(net)

    def run() -> dict[str, int]:
        for steps, (X, y) in enumerate(batches, 1):  # noqa: B007
            step(model, opt, X, y)
        return {"steps": steps}

    return run


def loader(net: str = "mlp", rows: int = ROWS):
    """TensorDataset and DataLoader, as in most tutorials."""
    return over(DataLoader(TensorDataset(*pictures(rows)), BATCH, shuffle=True), net)


def fit(net: str = "mlp", rows: int = ROWS, channels_last: bool = False):
    """The library's loop, its look at the data included, without files and bar."""
    from course_lib.training import fit as train

    X, y = pictures(rows)
    model = network(net)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)

    def run() -> dict[str, int]:
        history = train(model, LOSS, (X, y), epochs=1, batch_size=BATCH, lr=LR, device="cpu",
                        optimizer=torch.optim.SGD, progress=False)  # fmt: skip
        return {"steps": history.steps}

    return run
