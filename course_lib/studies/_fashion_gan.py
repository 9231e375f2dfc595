"""Fashion-MNIST at scale: a game without and with classes the game. Chapter: book/12_gan."""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor, nn

from ..cnn import lenet
from ..data import load
from ..device import pick_device
from ..gan import Discriminator, Generator, frechet_distance, play, precision_recall
from ..optimization import one_cycle
from ..training import accuracy, fit
from ..training.inputs import predict
from ._fashion_mnist import keep_memory
from .runner import Experiment

JUDGED = 10_000  # samples that a distance is computed from, as many as there are test pictures
CLOUD = 2_000  # samples for precision and recall
LATENT, WIDTH, CLASSES = 64, 32, 10
CHECKPOINTS = (250, 500, 1000, 1500, 2000, 3000, 4500)  # steps of G


@cache
def pictures(device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training pictures and classes, test pictures and classes; pixels from -1 to 1."""
    d = load("fashion_mnist", device=device)
    return 2 * d.X_train - 1, d.y_train, 2 * d.X_test - 1, d.y_test


@cache
def judge(device: str) -> nn.Sequential:
    """A LeNet that learned the training pictures; its last hidden layer gives 84 features.

    Args:
        device: where it lives.

    Returns:
        The network, in eval mode.
    """
    X, y, _, _ = pictures(device)
    torch.manual_seed(0)
    model = lenet(device=device)
    fit(
        model,
        nn.CrossEntropyLoss(),
        (X, y),
        epochs=8,
        batch_size=128,
        lr=4e-3,
        schedule=one_cycle,
        device=device,
    )
    return model.eval()


def features(x: Tensor) -> Tensor:
    """What the judge sees in pictures: (N, 1, 28, 28) to (N, 84)."""
    return predict(judge(str(x.device))[:-1], x)


@torch.no_grad()
def drawn(G: nn.Module, n: int, seed: int, device: str) -> tuple[Tensor, Tensor | None]:
    """Samples of a generator, a thousand at once.

    Args:
        G: the generator.
        n: how many.
        seed: of the latent numbers.
        device: where G lives.

    Returns:
        Samples (n, 1, 28, 28) and, if G is told classes, these (n,), in turn.
    """
    z = torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed)).to(device)
    y = torch.arange(n, device=device) % CLASSES if G.classes else None
    parts = zip(z.split(1000), y.split(1000) if G.classes else [None] * n, strict=False)
    training = G.training
    G.eval()
    x = torch.cat([G(zs) if ys is None else G(zs, ys) for zs, ys in parts])
    G.train(training)
    return x, y


def game_run(
    seed: int, classes: int, lr: float, steps: int = 4500, choosing: bool = False, device=None
) -> dict[str, float]:
    """Play on the training pictures; judge samples along the game against the test pictures.

    Args:
        seed: of the first weights and of all that is drawn.
        classes: 0, or 10: both players are told the class of each picture.
        lr: step size of both networks.
        steps: steps of G, 64 pictures each.
        choosing: play on the first 50,000 training pictures and judge against the other 10,000.
        device: where to compute; None chooses.

    Returns:
        ``fd_N``: the Fréchet distance after N steps; ``precision`` and ``recall`` at the end;
        ``right``: with classes the share of samples in which the judge sees the class asked
        for; ``cpu_seconds``, without the judging's.
    """
    keep_memory()
    device = str(pick_device(device))
    X, y, X_test, _ = pictures(device)
    if choosing:
        X, y, X_test = X[:-JUDGED], y[:-JUDGED], X[-JUDGED:]
    real = features(X_test)  # (10000, 84)
    torch.manual_seed(seed)
    G = Generator(LATENT, 28, WIDTH, classes=classes, device=device)
    D = Discriminator(28, WIDTH, classes=classes, device=device)
    found, judging = {}, 0.0

    def watch(step: int) -> None:
        nonlocal judging
        if step in CHECKPOINTS:
            began = time.process_time()
            x, _ = drawn(G, JUDGED, 10_000 + seed, device)
            found[f"fd_{step}"] = frechet_distance(real, features(x))
            judging += time.process_time() - began

    began = time.process_time()
    play(G, D, X, y=y if classes else None, steps=steps, lr=lr, seed=seed, watch=watch)
    found["cpu_seconds"] = time.process_time() - began - judging
    x, wanted = drawn(G, JUDGED, 20_000 + seed, device)
    seen = features(x)
    found["precision"], found["recall"] = precision_recall(real[:CLOUD], seen[:CLOUD])
    if wanted is not None:
        found["right"] = (predict(judge(device), x).argmax(1) == wanted).double().mean().item()
    return found


def rival_run(seed: int, source: str, device=None) -> dict[str, float]:
    """What stands beside a game: real pictures, and pictures drawn without one.

    Args:
        seed: of what is drawn.
        source: ``"training pictures"``: as good as it gets; ``"normal pixels"``: a normal
            distribution fitted to the pictures of each class; ``"blurred"``: training pictures,
            averaged over 3 x 3 pixels; ``"one picture"``: a training picture again and again.
        device: where to compute; None chooses.

    Returns:
        ``fd``, ``precision``, ``recall`` against the test pictures, and ``judge``: the judge's
        accuracy on these, in percent.
    """
    device = str(pick_device(device))
    X, y, X_test, y_test = pictures(device)
    real = features(X_test)
    draws = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(X), generator=draws)[:JUDGED].to(device)
    if source == "training pictures":
        x = X[rows]
    elif source == "blurred":
        x = nn.functional.avg_pool2d(X[rows], 3, stride=1, padding=1, count_include_pad=False)
    elif source == "one picture":
        x = X[rows[:1]].expand(JUDGED, -1, -1, -1)
    else:
        x = torch.cat([normal_pixels(X[y == k], JUDGED // CLASSES, draws) for k in range(CLASSES)])
        x = x[torch.randperm(len(x), generator=draws).to(device)]
    seen = features(x)
    precision, recall = precision_recall(real[:CLOUD], seen[:CLOUD])
    right = accuracy(predict(judge(device), X_test), y_test)
    return {
        "fd": frechet_distance(real, seen),
        "precision": precision,
        "recall": recall,
        "judge": 100 * float(right),
    }


def normal_pixels(X: Tensor, n: int, draws: torch.Generator) -> Tensor:
    """Draw from the normal distribution with the mean and covariance of pictures.

    Args:
        X: pictures, shape (N, C, H, W).
        n: how many to draw.
        draws: on the CPU.

    Returns:
        Shape (n, C, H, W), cut to -1 .. 1.
    """
    flat = X.flatten(1).double()
    values, vectors = torch.linalg.eigh(flat.T.cov())
    z = torch.randn(n, flat.shape[1], generator=draws, dtype=torch.float64).to(X.device)
    x = flat.mean(0) + z * values.clamp(min=0).sqrt() @ vectors.T  # (n, C H W)
    return x.to(X).clamp(-1, 1).view(n, *X.shape[1:])


TRIED = (2e-4, 1e-3)  # step sizes
CHOSEN = {0: 1e-3, CLASSES: 1e-3}  # by "fashion_choosing"
AT_SCALE = {
    "fashion_rivals": Experiment(
        rival_run,
        [{"source": s} for s in ("training pictures", "normal pixels", "blurred", "one picture")],
        seeds=3,
        at_scale=True,
    ),
    "fashion_choosing": Experiment(
        game_run,
        [
            {"classes": classes, "lr": lr, "steps": 1000, "choosing": True}
            for classes in CHOSEN
            for lr in TRIED
        ],
        seeds=1,
        times=["cpu_seconds"],
        at_scale=True,
    ),
    "fashion_game": Experiment(
        game_run,
        [{"classes": classes, "lr": lr} for classes, lr in CHOSEN.items()],
        seeds=2,
        times=["cpu_seconds"],
        at_scale=True,
    ),
}
