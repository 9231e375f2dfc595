"""What chapter 12_gan measures: clouds that a game loses, its cures, digits as the game goes on.

Letters: S games side by side, B batch, L latent numbers, H units, D features, N samples. Settings
were found with seeds from 100 up; the thresholds, at the head of each part, were set after that and
before the runs of the study.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import load
from ..device import pick_device
from ..gan import (
    Discriminator,
    Generator,
    discriminator_loss,
    frechet_distance,
    generator_loss,
    play,
    precision_recall,
)
from ._fashion_gan import AT_SCALE
from .runner import Experiment

CHAPTER = "12_gan"


def first_weights(make: Callable[[], nn.Module], seed: int, device: torch.device) -> nn.Module:
    """A new network, its first weights drawn from the seed; torch's own generator stays as it was.

    Args:
        make: gives the network.
        seed: of the weights.
        device: where the network shall live.

    Returns:
        The network.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().to(device)


# ---- 12.5 to 12.8: clouds, means of ten games
#
# "A plain GAN collapses onto few modes" is refuted if it covers 6 of the 8 clouds or more; if it
# does so where the players move in turns and not where G moves 5 times for each step of D, it
# collapses only there. "The gradient penalty (12.6), spectral norm (12.7), a batch statistic (12.8)
# mends mode collapse" is refuted if with G ahead it covers less than 2 clouds more than the plain
# game.

CLOUDS, RADIUS, SD, GAMES, LATENT = 8, 2.0, 0.1, 10, 8
RIVALS = ("plain", "gradient penalty", "spectral norm", "batch statistic")


def centres() -> Tensor:
    """Centres of the eight clouds, on a ring, (8, 2)."""
    angle = 2 * math.pi * torch.arange(CLOUDS) / CLOUDS
    return RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def clouds(shape: tuple[int, ...], g: torch.Generator) -> Tensor:
    """Points of eight narrow normal clouds of equal weight, (*shape, 2)."""
    x = centres()[torch.randint(CLOUDS, shape, generator=g)]
    return x + SD * torch.randn(*shape, 2, generator=g)


def cover(samples: Tensor) -> tuple[int, float]:
    """How many clouds the samples cover, and which share of them is good.

    A sample is good within three standard deviations of a centre. A cloud is covered by a quarter
    of its fair share of good samples or more: one for every 32 samples.

    Args:
        samples: (N, 2).

    Returns:
        Clouds, 0 to 8, and a share from 0 to 1.
    """
    distance, nearest = torch.cdist(samples.cpu(), centres()).min(1)
    good = distance < 3 * SD
    counts = torch.bincount(nearest[good], minlength=CLOUDS)
    return int((counts >= len(samples) / (4 * CLOUDS)).sum()), good.double().mean().item()


class Linears(nn.Module):
    """S linear layers side by side, each with its own weights: (S, B, D) to (S, B, H).

    Args:
        S: layers.
        D: numbers in.
        H: numbers out.
        spectral: divide each layer's weights by their largest singular value, so that it stretches
            nothing by more than 1.

    Source: Miyato et al. 2018, algorithm 1, for the power iteration.
    """

    def __init__(self, S: int, D: int, H: int, spectral: bool = False) -> None:
        super().__init__()
        self.W = nn.Parameter((torch.rand(S, D, H) * 2 - 1) / math.sqrt(D))  # as torch starts it
        self.b = nn.Parameter((torch.rand(S, 1, H) * 2 - 1) / math.sqrt(D))
        self.spectral = spectral
        self.register_buffer("v", F.normalize(torch.randn(S, H, 1), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Each layer to its own rows."""
        return torch.baddbmm(self.b, x, self.W / self.stretch() if self.spectral else self.W)

    def stretch(self) -> Tensor:
        """The largest singular values (S, 1, 1), by one more step of the power iteration."""
        with torch.no_grad():
            u = F.normalize(self.W @ self.v, dim=1)  # (S, D, 1)
            self.v = F.normalize(self.W.mT @ u, dim=1)
        return u.mT @ self.W @ self.v


class Points(nn.Module):
    """S small networks side by side, two hidden layers each: (S, B, D) to (S, B, K).

    Args:
        D: numbers in.
        K: numbers out.
        S: networks.
        hidden: units of a layer.
        slope: of the hidden units below 0.
        spectral: see :class:`Linears`.
        statistic: the last layer gets one more input, the same for a whole batch: the mean standard
            deviation of its inputs over the batch.
    """

    def __init__(
        self, D, K, S=GAMES, hidden=64, slope=0.0, spectral=False, statistic=False
    ) -> None:
        super().__init__()
        self.slope, self.statistic = slope, statistic
        self.layers = nn.ModuleList(
            Linears(S, *size, spectral=spectral)
            for size in ((D, hidden), (hidden, hidden), (hidden + statistic, K))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Each network to its own rows."""
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), self.slope)
        if self.statistic:
            spread = x.std(1).mean(1)[:, None, None]  # (S, 1, 1)
            x = torch.cat([x, spread.expand(-1, x.shape[1], 1)], 2)
        return self.layers[-1](x)


def penalty(D: Points, real: Tensor, fake: Tensor, g: torch.Generator) -> Tensor:
    """The gradient penalty of each game, as :func:`course_lib.gan.gradient_penalty`, averaged."""
    between = torch.rand(*real.shape[:2], 1, generator=g).to(real)
    x = (between * real + (1 - between) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)  # (S, B, 2)
    return (slope.norm(dim=2) - 1).square().mean()


def play_for_clouds(
    rival: str, lr: float, steps: int, ahead: int, seed: int, device, batch=64
) -> Tensor:
    """Ten games side by side, Adam's steps in turns; 2,500 samples of each at the end.

    Args:
        rival: one of ``RIVALS``.
        lr: step size of both.
        steps: of D.
        ahead: steps of G for each step of D.
        seed: of the first weights and of all that is drawn.
        device: where to compute.
        batch: points a step.

    Returns:
        Samples (S, 2500, 2).
    """
    g = torch.Generator().manual_seed(seed)
    options = {"spectral": rival == "spectral norm", "statistic": rival == "batch statistic"}
    G = first_weights(lambda: Points(LATENT, 2), seed, device)
    D = first_weights(lambda: Points(2, 1, slope=0.2, **options), seed + 1, device)
    loss = "wasserstein" if rival == "gradient penalty" else "non-saturating"
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr, (0.5, 0.999)) for net in (G, D))
    draw = lambda n: torch.randn(GAMES, n, LATENT, generator=g).to(device)
    for _ in range(steps):
        real = clouds((GAMES, batch), g).to(device)
        fake = G(draw(batch)).detach()
        # the sum over games: each learns as if it were alone
        loss_D = GAMES * discriminator_loss(D(real), D(fake), loss)
        if rival == "gradient penalty":
            loss_D = loss_D + GAMES * 0.1 * penalty(D, real, fake, g)
        opt_D.zero_grad()
        loss_D.backward()
        opt_D.step()
        for _ in range(ahead):
            loss_G = GAMES * generator_loss(D(G(draw(batch))), loss)
            opt_G.zero_grad()
            loss_G.backward()
            opt_G.step()
    with torch.no_grad():
        return G(draw(2500))


def clouds_run(
    seed: int, rival: str, ahead: int = 1, lr: float = 0.0, steps: int = 0, device=None
) -> dict[str, float]:
    """Play ten games for eight clouds; count what the samples cover at the end.

    Args:
        seed: of all ten games.
        rival: one of ``RIVALS``, ``"data"`` or ``"one Gaussian"``, fitted to 10,000 points.
        device: where to compute; None chooses.
        ahead: steps of G for each step of D.
        lr: step size of both players.
        steps: of D; G makes ``ahead`` times as many.

    Returns:
        For each game s ``covered_s``, clouds, and ``good_s``, a share of the samples; ``ms``,
        milliseconds of the processor for a step of all ten games.
    """
    device, start = pick_device(device), time.process_time()
    g = torch.Generator().manual_seed(10_000 + seed)
    if rival == "data":
        samples = clouds((GAMES, 2500), g)
    elif rival == "one Gaussian":
        X = clouds((10_000,), g)
        draws = torch.randn(GAMES, 2500, 2, generator=g)
        samples = X.mean(0) + draws @ torch.linalg.cholesky(X.T.cov()).T
    else:
        samples = play_for_clouds(rival, lr, steps, ahead, 1000 * seed, device)
    found = {"ms": 1000 * (time.process_time() - start) / max(steps, 1)}
    for s, x in enumerate(samples):
        covered, found[f"good_{s}"] = cover(x)
        found[f"covered_{s}"] = float(covered)
    return found


# ---- 12.1 to 12.3: digits, medians of five seeds
#
# "Samples get more realistic as the game goes on" is refuted if the distance at some checkpoint is
# more than 1.25 times that at an earlier one. "Early in the game the minimax loss teaches G less
# than the non-saturating one" is refuted if after 400 steps minimax, at the better for it of both
# step sizes, has less than 3 times the distance. "The generator's loss tells when to stop" is
# refuted if the checkpoint at which G's loss is least has more than 1.5 times the least distance.

REAL = ("fresh digits", "training digits", "one Gaussian")  # rivals without a game
CHECKPOINTS = (0, 50, 100, 200, 400, 800, 1600, 3200, 6400)
N = 450  # samples, and real digits that they are held against


def parts_of_digits(seed: int, device: torch.device) -> tuple[Tensor, ...]:
    """The digits from -1 to 1: 897 to train on with their classes, 450 to compare, 450 fresh ones.

    Args:
        seed: of the split.
        device: where the tensors live.

    Returns:
        Pictures (897, 1, 8, 8), classes (897,), pictures (450, 1, 8, 8) twice.
    """
    d = load("digits", device="cpu")
    X, y = torch.cat([d.X_train, d.X_test]) / 8 - 1, torch.cat([d.y_train, d.y_test])
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    X, y = X[order].view(-1, 1, 8, 8).to(device), y[order].to(device)
    return X[2 * N :], y[2 * N :], X[:N], X[N : 2 * N]


def judge(X: Tensor, y: Tensor) -> nn.Module:
    """Train a small classifier.

    Args:
        X: pictures from -1 to 1, shape (N, 1, 8, 8).
        y: classes, shape (N,).

    Returns:
        A network that gives the 32 features of its last hidden layer.
    """
    make = lambda: nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()),
        nn.Linear(32, 10),
    )
    net = first_weights(make, 0, X.device)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(net(X), y).backward()
        optimizer.step()
    return net[:-1].requires_grad_(False)


def nearest(x: Tensor, those: Tensor) -> float:
    """Mean distance, in pixels, from each picture to the nearest of those."""
    return torch.cdist(x.flatten(1), those.flatten(1)).amin(1).mean().item()


def two_gradients(G: nn.Module, D: nn.Module, z: Tensor) -> float:
    """Length of the gradient in G's weights of the minimax loss over that of the other one."""
    G, D = copy.deepcopy(G), copy.deepcopy(D)
    lengths = []
    for loss in ("minimax", "non-saturating"):
        grads = torch.autograd.grad(generator_loss(D(G(z)), loss), list(G.parameters()))
        lengths.append(torch.cat([g.flatten() for g in grads]).norm())
    return (lengths[0] / lengths[1]).item()


def digits_run(
    seed: int, rival: str, lr: float = 0.0, steps: int = 0, device=None
) -> dict[str, float]:
    """Play for the digits; judge 450 samples along the way, or those of a rival without a game.

    Args:
        seed: of the split, the first weights and all that is drawn.
        rival: ``"fresh digits"``, ``"training digits"``, ``"one Gaussian"``, or a loss of the game.
        lr: step size of both players.
        steps: of the game; 0 for a rival without one.
        device: where to compute; None chooses.

    Returns:
        For each checkpoint k ``distance_k``, ``precision_k``, ``recall_k`` against held-out digits;
        ``near_k``: distance to the nearest of 450 training digits over that to the nearest of the
        held-out ones; ``ratio_k``: see :func:`two_gradients`; ``D_k``, ``G_k``: mean losses of the
        50 steps before. A rival without a game has the first four, at k = 0.
    """
    device = pick_device(device)
    X, y, reference, fresh = parts_of_digits(seed, device)
    features = judge(X, y)
    draws, found = torch.Generator().manual_seed(seed), {}

    def note(k: int, x: Tensor) -> None:
        a, b = features(reference), features(x)
        found[f"distance_{k}"] = frechet_distance(a, b)
        found[f"precision_{k}"], found[f"recall_{k}"] = precision_recall(a, b)
        own, other = (nearest(x, those) for those in (X[:N], reference))
        found[f"near_{k}"] = own / other

    if rival == "fresh digits":
        note(0, fresh)
    elif rival == "training digits":
        note(0, X[:N])
    elif rival == "one Gaussian":
        flat = X.flatten(1).double().cpu()
        values, vectors = torch.linalg.eigh(flat.T.cov())
        draw = torch.randn(N, 64, generator=draws, dtype=torch.float64)
        x = flat.mean(0) + draw * values.clamp(min=0).sqrt() @ vectors.T
        note(0, x.clamp(-1, 1).view(-1, 1, 8, 8).float().to(device))
    if not steps:
        return found

    G = first_weights(lambda: Generator(16, 8, 16, device="cpu"), seed, device)
    D = first_weights(lambda: Discriminator(8, 16, device="cpu"), seed, device)
    z = torch.randn(N, 16, generator=draws).to(device)

    def watch(step: int) -> None:
        if step not in CHECKPOINTS:
            return
        with torch.no_grad():
            note(step, G.eval()(z))
        G.train()
        found[f"ratio_{step}"] = two_gradients(G, D, z[:64])

    watch(0)
    options = {"steps": steps, "loss": rival, "lr": lr, "seed": seed, "watch": watch}
    for name, losses in play(G, D, X, **options, progress=False).items():
        for k in CHECKPOINTS[1:]:
            if k <= steps:
                found[f"{name}_{k}"] = sum(losses[k - 50 : k]) / 50
    return found


# ---- 12.4: the distance itself
#
# "A Fréchet distance judges the samples, however many there are" is refuted if fresh real digits
# have more than 2 times the distance with 100 on each side that they have with 450 (medians).


def expected_distance(cov: Tensor, n: int) -> float:
    """Fréchet distance to expect of two samples of n rows each from one normal distribution.

    ``(2 Σᵢ λᵢ + Σᵢⱼ (1 + δᵢⱼ) λᵢ λⱼ / (λᵢ + λⱼ)) / n`` with the eigenvalues λ of its covariance, to
    first order in 1 / n: the means differ, and so do the covariances.
    """
    v = torch.linalg.eigvalsh(cov.double()).clamp(min=1e-12)
    pairs = v[:, None] * v / (v[:, None] + v)
    return ((2 * v.sum() + pairs.sum() + pairs.diag().sum()) / n).item()


def distance_run(seed: int, n: int, device=None, draws: int = 10) -> dict[str, float]:
    """The Fréchet distance of n real digits to n other real digits.

    Args:
        seed: of the split.
        n: digits on each side, at most 450.
        device: where to compute; None chooses.
        draws: of normal numbers.

    Returns:
        ``digits``, the distance; ``normal``, that of two samples of n rows of normal numbers with
        the covariance of the features, mean of the draws; ``expected``, see
        :func:`expected_distance`.
    """
    X, y, reference, fresh = parts_of_digits(seed, pick_device(device))
    features = judge(X, y)
    a, b = features(reference).double().cpu(), features(fresh).double().cpu()
    cov = torch.cat([a, b]).T.cov()  # (D, D)
    values, vectors = torch.linalg.eigh(cov)
    z = torch.randn(
        *(draws, 2, n, len(cov)),
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )
    z = z * values.clamp(min=0).sqrt() @ vectors.T
    return {
        "digits": frechet_distance(a[:n], b[:n]),
        "normal": sum(frechet_distance(*pair) for pair in z) / draws,
        "expected": expected_distance(cov, n),
    }


SIZES = (450, 200, 100, 50)
STEP_SIZES = {  # best of 0.001, 0.003 and 0.01 with seed 100, by ahead
    ("plain", 1): 0.01,
    ("plain", 5): 0.01,
    ("gradient penalty", 1): 0.003,
    ("gradient penalty", 5): 0.003,
    ("spectral norm", 1): 0.001,
    ("spectral norm", 5): 0.01,
    ("batch statistic", 1): 0.01,
    ("batch statistic", 5): 0.003,
}

# What comes first is short and steady: a test measures it again.
EXPERIMENTS = {
    "digits": Experiment(
        digits_run,
        [
            *({"rival": r, "lr": 0.0, "steps": 0} for r in REAL),
            {"rival": "non-saturating", "lr": 0.001, "steps": 6400},
            {"rival": "minimax", "lr": 0.0003, "steps": 3200},
            {"rival": "minimax", "lr": 0.001, "steps": 400},
        ],
        seeds=5,
    ),
    "distance": Experiment(distance_run, [{"n": n} for n in SIZES], seeds=10),
    "clouds": Experiment(
        clouds_run,
        [
            {"rival": "data", "ahead": 1, "lr": 0.0, "steps": 0},
            {"rival": "one Gaussian", "ahead": 1, "lr": 0.0, "steps": 0},
            *(
                {"rival": r, "ahead": k, "lr": lr, "steps": 2000 if k == 1 else 800}
                for (r, k), lr in STEP_SIZES.items()
            ),
        ],
        seeds=1,
        times=("ms",),
    ),
}
EXPERIMENTS |= AT_SCALE
