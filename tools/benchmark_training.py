"""What course_lib.training.fit costs beside the bare loop that it replaces: `make benchmark`.

The network 784-256-10 on 60,000 images of noise, batches of 256, three epochs each, in turns; a
ratio is of two runs that follow each other, in an order that alternates.
"""

import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.plotting import table
from course_lib.training import fit

ROWS, BATCH, LR = 60_000, 256, 0.1
EPOCHS, RUNS = 3, 15
GOAL = 1.05  # times the bare loop
LOSS = nn.CrossEntropyLoss()


def network() -> nn.Module:
    """The same weights each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def step(model: nn.Module, opt: torch.optim.Optimizer, X: torch.Tensor, y: torch.Tensor) -> None:
    """One step, as everybody writes it."""
    opt.zero_grad()
    LOSS(model(X), y).backward()
    opt.step()


def bare(model: nn.Module, X: torch.Tensor, y: torch.Tensor) -> None:
    """On tensors, cut by index."""
    opt = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X)).split(BATCH):
            step(model, opt, X[rows], y[rows])


def loader(model: nn.Module, X: torch.Tensor, y: torch.Tensor) -> None:
    """With the loader of most tutorials."""
    opt = torch.optim.SGD(model.parameters(), lr=LR)
    batches = DataLoader(TensorDataset(X, y), BATCH, shuffle=True)
    for _ in range(EPOCHS):
        for X_part, y_part in batches:
            step(model, opt, X_part, y_part)


def ours(model: nn.Module, X: torch.Tensor, y: torch.Tensor) -> None:
    """With the library, its look at the data included."""
    fit(model, LOSS, (X, y), epochs=EPOCHS, batch_size=BATCH, lr=LR, optimizer=torch.optim.SGD,
        device="cpu", progress=False)  # fmt: skip


def seconds(epoch, X: torch.Tensor, y: torch.Tensor) -> float:
    """Of one run from the same first weights."""
    model = network()
    start = time.perf_counter()
    epoch(model, X, y)
    return time.perf_counter() - start


def paired(epoch, X: torch.Tensor, y: torch.Tensor) -> list[float]:
    """How many times the bare loop's time a run takes, pair by pair."""
    ratios = []
    for run in range(RUNS):
        pair = (epoch, bare) if run % 2 else (bare, epoch)
        taken = {each: seconds(each, X, y) for each in pair}
        ratios.append(taken[epoch] / taken[bare])
    return ratios


def upper_bound(ratios: list[float]) -> float:
    """The upper end of a 95 % interval of the mean ratio, by Student's t."""
    from scipy.stats import t

    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    return statistics.mean(ratios) + t.ppf(0.975, len(ratios) - 1) * error


def epochs() -> None:
    """Print a row for the library and one for the loader, as ratios to the bare loop."""
    X, y = torch.rand(ROWS, 784), torch.randint(0, 10, (ROWS,))
    for epoch in (bare, ours, loader):
        seconds(epoch, X[: 10 * BATCH], y[: 10 * BATCH])  # warm
    rows = []
    for name, epoch in (("fit", ours), ("DataLoader", loader)):
        ratios = paired(epoch, X, y)
        median, bound = statistics.median(ratios), upper_bound(ratios)
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        rows.append([name, f"{median:.3f}", spread, f"{bound:.3f}"])
    print(f"\nepochs beside the bare loop (goal for fit: at most {GOAL}, the upper bound)")
    print(table(["epoch", "ratio", "spread", "95 % bound"], rows))
