"""What chapter 05_optimization measures over many seeds: races, ranges of step sizes, clipping.

Networks train side by side as one batch, with settings of their own: parameters have a first axis
N, a network each, and the optimizers of the chapter broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import load
from ..device import pick_device
from ..optimization import (
    OPTIMIZERS,
    SURFACES,
    Momentum,
    Optimizer,
    descend,
    grid_settings,
    random_settings,
    successive_halving,
    turned,
)
from .runner import Experiment

CHAPTER = "05_optimization"
TRIALS = 24  # settings that each optimizer may try
STEPS = 400  # of a network while settings are chosen
LONG = 1500  # of a network in the race to the target
TARGET = 0.1  # training loss to reach, nats
LOOK = 5  # steps between two looks at the loss
SURFACE_STEPS = 2000
CLOSE = 1e-3  # of the height at the start: what counts as the bottom of a surface
STARTS = {
    "valley": (1.0, 1.0),
    "tilted valley": (1.0, 1.0),
    "Rosenbrock": (-1.2, 1.0),
    "saddle": (1.0, 0.0),
}
SPACES = {  # what is tuned, evenly in the logarithm: a step size, and one setting more
    "SGD": {"lr": (1e-4, 10.0)},
    "Momentum": {"lr": (1e-4, 10.0), "forget": (0.01, 0.5)},
    "Nesterov": {"lr": (1e-4, 10.0), "forget": (0.01, 0.5)},
    "RMSProp": {"lr": (1e-5, 1.0), "forget": (0.001, 0.5)},
    "Adam": {"lr": (1e-5, 1.0), "forget": (0.01, 0.5)},
    "AdamW": {"lr": (1e-5, 1.0), "decay": (1e-4, 1.0)},
}


def column(settings: list[dict[str, float]], name: str, axes: int) -> Tensor:
    """A setting of all networks, shape (N, 1, ...), ready to broadcast."""
    values = torch.tensor([s[name] for s in settings], dtype=torch.float64)
    return values.reshape(-1, *[1] * axes)


def make(kind: str, settings: list[dict[str, float]], axes: int = 2) -> Callable:
    """Make an optimizer of N networks from N settings.

    Args:
        kind: a name of ``OPTIMIZERS``.
        settings: ``lr`` and perhaps ``forget``, 1 minus the share of the memory that is kept, or
            ``decay``.
        axes: of a parameter, beside the first.

    Returns:
        A function from parameters to the optimizer.
    """
    own = {"lr": column(settings, "lr", axes)}
    if "forget" in settings[0]:
        kept = 1 - column(settings, "forget", axes)
        own |= {"Adam": {"betas": (kept, 0.999)}, "RMSProp": {"alpha": kept}}.get(
            kind, {"momentum": kept}
        )
    if "decay" in settings[0]:
        own |= {"weight_decay": column(settings, "decay", axes)}
    return lambda params: OPTIMIZERS[kind](params, **own)


# Surfaces


def steps_down(surface: str, kind: str, settings: list[dict], starts: Tensor) -> Tensor:
    """Steps to the bottom of a surface, the limit where it is not reached.

    Args:
        surface: a name of ``SURFACES``.
        kind: the optimizer.
        settings: N of them.
        starts: points (M, 2).

    Returns:
        Steps, shape (N, M), after which the height stays below ``CLOSE`` of that of the start.
    """
    f = SURFACES[surface]
    start = starts.repeat(len(settings), 1, 1)  # (N, M, 2)
    path = descend(f, start, make(kind, settings), SURFACE_STEPS)
    height = f(path)  # (T, N, M)
    outside = ~(height <= CLOSE * height[0])  # a height that is no number is outside
    time = torch.arange(1, len(path) + 1, dtype=torch.float64)[:, None, None]
    return (outside * time).amax(0).clamp(max=SURFACE_STEPS)


def surface_run(seed: int, surface: str, optimizer: str, device=None) -> dict[str, float]:
    """Tune an optimizer on three points of a surface, then let it start from five others.

    Args:
        seed: of the settings that are tried and of the points.
        surface: a name of ``SURFACES``.
        optimizer: a name of ``OPTIMIZERS``.
        device: not used; points are few, and the CPU is faster.

    Returns:
        ``steps`` (mean over the points), ``steps_low`` and ``steps_high``: the same at a tenth and
        at ten times the step size; ``lr``, the best of the trials.
    """
    g = torch.Generator().manual_seed(seed)
    spread = 0.1 * torch.randn(8, 2, generator=g, dtype=torch.float64)
    starts = torch.tensor(STARTS[surface], dtype=torch.float64) + spread
    starts = turned(starts, 30) if surface == "tilted valley" else starts
    settings = random_settings(SPACES[optimizer], TRIALS, seed)
    tuned = steps_down(surface, optimizer, settings, starts[:3]).mean(1)  # (N,)
    best = settings[int(tuned.argmin())]
    near = [{**best, "lr": best["lr"] * factor} for factor in (1, 0.1, 10)]
    raced = steps_down(surface, optimizer, near, starts[3:]).mean(1).tolist()
    names = ("steps", "steps_low", "steps_high")
    return dict(zip(names, raced, strict=True)) | {"lr": best["lr"]}


# A network on digits


def digits(seed: int, device=None) -> dict[str, tuple[Tensor, Tensor]]:
    """The digits in three parts: 1,000 to train, 257 to choose settings by, 540 to test.

    Args:
        seed: which rows go where.
        device: where the tensors live; None chooses.

    Returns:
        ``train``, ``valid`` and ``test``: pixels from 0 to 1, float64, and classes.
    """
    d = load("digits", seed, device, torch.float64)
    X, X_test = d.X_train / 16, d.X_test / 16
    return {
        "train": (X[:1000], d.y_train[:1000]),
        "valid": (X[1000:], d.y_train[1000:]),
        "test": (X_test, d.y_test),
    }


def networks(n: int, seed: int, alike: int = 1, device=None) -> list[Tensor]:
    """Parameters of n networks 64-32-10, with the same ``alike`` initial weights again and again.

    Args:
        n: networks.
        seed: of the weights.
        alike: how many different networks there are; n is a multiple of it.
        device: where the tensors live; None chooses.

    Returns:
        ``W1`` (n, 64, 32), ``b1`` (n, 1, 32), ``W2`` (n, 32, 10), ``b2`` (n, 1, 10).
    """
    g = torch.Generator().manual_seed(seed)
    params = []
    for fan_in, out in ((64, 32), (32, 10)):
        W = torch.randn(alike, fan_in, out, generator=g, dtype=torch.float64)
        b = torch.zeros(alike, 1, out, dtype=torch.float64)
        params += [W * (2 / fan_in) ** 0.5, b]
    return [p.repeat(n // alike, 1, 1).to(pick_device(device)).requires_grad_() for p in params]


def logits(params: list[Tensor], X: Tensor) -> Tensor:
    """What the networks say: (B, 64) or (N, B, 64) to (N, B, 10)."""
    W1, b1, W2, b2 = params
    return torch.relu(X @ W1 + b1) @ W2 + b2


def losses(params: list[Tensor], X: Tensor, y: Tensor) -> Tensor:
    """The mean cross-entropy of each network, shape (N,), in nats."""
    z = logits(params, X)  # (N, B, K)
    each = F.cross_entropy(z.transpose(1, 2), y.expand(len(z), -1), reduction="none")
    return each.mean(1)


def train(
    params: list[Tensor],
    optimizer: Optimizer,
    data: tuple[Tensor, Tensor],
    steps: int,
    seed: int,
    batch: int = 32,
    look: int = LOOK,
) -> Tensor:
    """Train N networks side by side, on the same mini-batches.

    Args:
        params: of the networks; changed in place.
        optimizer: over these parameters.
        data: inputs and classes.
        steps: how many to take.
        seed: of the order of the examples.
        batch: examples a step.
        look: steps between two looks at the loss on all of the data.

    Returns:
        The losses seen, shape (looks, N), the first before any step.
    """
    X, y = data
    g = torch.Generator().manual_seed(seed)
    order = torch.cat(
        [torch.randperm(len(X), generator=g) for _ in range(1 + steps * batch // len(X))]
    )
    seen = []
    for t in range(steps + 1):
        if t % look == 0:
            with torch.no_grad():
                seen.append(losses(params, X, y))
        if t < steps:
            rows = order[t * batch : (t + 1) * batch].to(X.device)
            optimizer.zero_grad()
            losses(params, X[rows], y[rows]).sum().backward()
            optimizer.step()
    return torch.stack(seen)


def steps_to(target: float, seen: Tensor, look: int = LOOK) -> Tensor:
    """Steps until the loss is at most the target; the whole run where it never is. Shape (N,)."""
    there = seen <= target
    return torch.where(there.any(0), there.int().argmax(0), len(seen) - 1).double() * look


def accuracy(params: list[Tensor], data: tuple[Tensor, Tensor]) -> Tensor:
    """The share that each network gets right, shape (N,)."""
    with torch.no_grad():
        return (logits(params, data[0]).argmax(-1) == data[1]).double().mean(1)


def network_run(seed: int, optimizer: str, device=None) -> dict[str, float]:
    """Tune an optimizer by 24 trials, then race it with other weights and other mini-batches.

    Each trial is the mean over two networks. Two settings are chosen: the one that reaches the
    target on the training set first, and the one with the highest accuracy on the validation set
    at the end (the lowest loss there, where several have it).

    Args:
        seed: of the split, the trials, the weights and the order.
        optimizer: a name of ``OPTIMIZERS``.
        device: where to compute; None chooses.

    Returns:
        Means over three networks: ``steps`` to the target with the first setting, ``steps_low``
        and ``steps_high`` at a tenth and at ten times its step size; ``accuracy`` on the test set
        in % with the second, ``accuracy_low``, ``accuracy_high``; ``lr`` and ``lr_accuracy``.
    """
    data = digits(seed, device)
    settings = random_settings(SPACES[optimizer], TRIALS, seed)
    twice = [s for s in settings for _ in range(2)]
    params = networks(len(twice), 1000 + seed, alike=2, device=device)
    seen = train(params, make(optimizer, twice)(params), data["train"], STEPS, 1000 + seed, look=10)
    speed = steps_to(TARGET, seen, look=10).reshape(TRIALS, 2).mean(1)
    with torch.no_grad():
        doubt = losses(params, *data["valid"]).nan_to_num(1e9, 1e9).clamp(max=1e9)
    right = accuracy(params, data["valid"]) - 1e-12 * doubt  # the loss decides between equals
    right = right.reshape(TRIALS, 2).mean(1)
    fast, good = settings[int(speed.argmin())], settings[int(right.argmax())]

    found = {"lr": fast["lr"], "lr_accuracy": good["lr"]}
    for setting, length in ((fast, LONG), (good, STEPS)):
        near = [{**setting, "lr": setting["lr"] * f} for f in (1, 0.1, 10) for _ in range(3)]
        params = networks(9, seed, alike=3, device=device)
        seen = train(params, make(optimizer, near)(params), data["train"], length, seed)
        result = steps_to(TARGET, seen) if length == LONG else 100 * accuracy(params, data["test"])
        name = "steps" if length == LONG else "accuracy"
        names = (name, f"{name}_low", f"{name}_high")
        found |= dict(zip(names, result.reshape(3, 3).mean(1).tolist(), strict=True))
    return found


SWEEP = [2.0 ** (k / 2) for k in range(-20, 7)]  # half octaves from 1/1024 to 8
SWEEP_STEPS = 600


def sweep_run(seed: int, optimizer: str, device=None) -> dict[str, float]:
    """Train a network at each of 27 step sizes, the optimizer's other settings at their defaults.

    Args:
        seed: of the split, the weights and the order.
        optimizer: a name of ``OPTIMIZERS``.
        device: where to compute; None chooses.

    Returns:
        ``steps_k`` to the target at step size 2 to the k, mean over two networks, and ``octaves``:
        half the number of step sizes that need at most twice the steps of the best.
    """
    data = digits(seed, device)
    twice = [{"lr": lr} for lr in SWEEP for _ in range(2)]
    params = networks(len(twice), seed, alike=2, device=device)
    seen = train(params, make(optimizer, twice)(params), data["train"], SWEEP_STEPS, seed)
    steps = steps_to(TARGET, seen).reshape(-1, 2).mean(1)
    fine = (steps <= 2 * steps.min()) & (steps < SWEEP_STEPS)
    found = {f"steps_{math.log2(lr):g}": s for lr, s in zip(SWEEP, steps.tolist(), strict=True)}
    return found | {"octaves": float(fine.sum()) / 2}


def batch_run(seed: int, batch: int, limit: int, device=None) -> dict[str, float]:
    """Steps and examples to the target by batch size, plain SGD at its best of 12 step sizes.

    Args:
        seed: of the split, the weights and the order.
        batch: examples a step.
        limit: steps after which a step size is given up.
        device: where to compute; None chooses.

    Returns:
        ``steps``, ``examples``, and the best ``lr``.
    """
    data = digits(seed, device)
    settings = [{"lr": 2.0**k} for k in range(-8, 4)]
    params = networks(len(settings), seed, device=device)
    seen = train(params, make("SGD", settings)(params), data["train"], limit, seed, batch, look=4)
    steps = steps_to(TARGET, seen, look=4)
    best = int(steps.argmin())
    return {
        "steps": steps[best].item(),
        "examples": steps[best].item() * batch,
        "lr": settings[best]["lr"],
    }


# Three ways to search


SEARCH = {"lr": (1e-4, 10.0), "forget": (0.01, 1.0), "decay": (1e-6, 1e-1)}


def search_run(seed: int, method: str, device=None) -> dict[str, float]:
    """Spend 2,700 steps on finding settings of momentum; then train with them, anew, for 300.

    A grid of 3 x 3 x 3 and 27 random settings get 100 steps each. Successive halving begins with
    81 random settings and 8 steps, and goes on with a third of them and three times the steps.

    Args:
        seed: of the split, the weights, the order and the settings that are drawn.
        method: ``"grid"``, ``"random"`` or ``"halving"``.
        device: where to compute; None chooses.

    Returns:
        ``loss`` on the test set in nats after the final training (at most 10), mean over three
        networks, and the ``lr`` found.
    """
    data = digits(seed, device)

    def trained(settings: list[dict], steps: int, seed: int, alike: int = 1) -> list[Tensor]:
        many = [s for s in settings for _ in range(alike)]
        params = networks(len(many), seed, alike, device)
        own = {"weight_decay": column(many, "decay", 2), "lr": column(many, "lr", 2)}
        own["momentum"] = 1 - column(many, "forget", 2)
        train(params, Momentum(params, **own), data["train"], steps, seed, look=steps)
        return params

    def losses_after(settings: list[dict], steps: int) -> list[float]:
        return losses(trained(settings, steps, 1000 + seed), *data["valid"]).tolist()

    if method == "halving":
        best = successive_halving(random_settings(SEARCH, 81, seed), losses_after, 8)
    else:
        random = method == "random"
        settings = random_settings(SEARCH, 27, seed) if random else grid_settings(SEARCH, 3)
        best = successive_halving(settings, losses_after, 100, keep=27)  # a single round
    final = losses(trained([best], 300, seed, alike=3), *data["test"]).detach()
    return {"loss": final.nan_to_num(10.0).clamp(max=10.0).mean().item(), "lr": best["lr"]}


# Clipping


CLIP_RATES = [2.0**k for k in range(-14, 2)]
DIVERGED = 10_000.0  # stands for a loss more than twice that of the start, or no number


def recurrent(n: int, seed: int, width: int = 16) -> list[Tensor]:
    """Parameters of n equal recurrent networks of ReLUs that begin by copying their state.

    Args:
        n: networks.
        seed: of the weights.
        width: units of the state.

    Returns:
        ``U`` (n, 1, H) from the input, ``W`` (n, H, H) from state to state, ``b`` (n, 1, H), and
        ``V`` (n, H, 1) to the output.
    """
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(1, *shape, generator=g, dtype=torch.float64)
    W = torch.eye(width, dtype=torch.float64) + 0.02 * draw(width, width)
    params = draw(1, width), W, torch.zeros(1, 1, width, dtype=torch.float64), draw(width, 1) / 4
    return [p.repeat(n, 1, 1).requires_grad_() for p in params]


def adding_loss(params: list[Tensor], x: Tensor) -> Tensor:
    """Squared error at adding up a sequence, ``(x₁ + ... + x_T) / √T``, read number by number.

    Args:
        params: of :func:`recurrent`.
        x: sequences (B, T) of numbers with mean 0 and variance 1.

    Returns:
        A loss for each network, shape (N,); always to answer 0 costs 1.
    """
    U, W, b, V = params
    h = torch.zeros_like(b)
    for x_t in x.T:
        h = torch.relu(x_t[:, None] @ U + h @ W + b)  # (N, B, H)
    return ((h @ V)[..., 0] - x.sum(1) / x.shape[1] ** 0.5).square().mean(1)


def clip_each(params: list[Tensor], limit: float) -> Tensor:
    """Clip the gradient of each of N networks by its own length. Returns the lengths, (N,)."""
    length = torch.stack([p.grad.square().flatten(1).sum(1) for p in params]).sum(0).sqrt()
    scale = (limit / (length + 1e-6)).clamp(max=1.0)
    for p in params:
        p.grad *= scale[:, None, None]
    return length


def clipping_run(
    seed: int, limit: float, device=None, steps: int = 200, T: int = 20, B: int = 32
) -> dict[str, float]:
    """Train a recurrent network by SGD at each of 16 step sizes to add up T numbers.

    Args:
        seed: of the weights and of the sequences.
        limit: greatest length of the gradient; a huge one is no clipping.
        device: not used; the networks are small, and the CPU is faster.
        steps: how many to take.
        T: numbers in a sequence.
        B: sequences a step.

    Returns:
        ``loss_k`` at step size 2 to the k: the mean over the last 10 steps, or ``DIVERGED`` where
        that is above twice the loss before the first step, or no number; ``start``, the loss before
        the first step; and ``gradient``, the length of the gradient there.
    """
    params = recurrent(len(CLIP_RATES), seed)
    optimizer = make("SGD", [{"lr": lr} for lr in CLIP_RATES])(params)
    g = torch.Generator().manual_seed(seed)
    seen, lengths = [], []
    for _ in range(steps):
        x = torch.randn(B, T, generator=g, dtype=torch.float64)
        optimizer.zero_grad()
        loss = adding_loss(params, x)
        loss.sum().backward()
        lengths.append(clip_each(params, limit))
        optimizer.step()
        seen.append(loss.detach())
    last = torch.stack(seen[-10:]).mean(0)
    final = torch.where(last <= 2 * seen[0], last, DIVERGED).tolist()
    found = {f"loss_{math.log2(lr):.0f}": v for lr, v in zip(CLIP_RATES, final, strict=True)}
    return found | {"start": seen[0][0].item(), "gradient": lengths[0][0].item()}


BATCHES = {4: 1500, 16: 800, 64: 400, 256: 300, 1000: 300}  # examples a step, steps at most
RACERS = [name for name in OPTIMIZERS if name != "AdamW"]  # without decay it is Adam

EXPERIMENTS = {
    "network": Experiment(network_run, [{"optimizer": o} for o in SPACES], seeds=6),
    "surface": Experiment(
        surface_run, [{"surface": s, "optimizer": o} for s in SURFACES for o in RACERS], seeds=5
    ),
    "sweep": Experiment(
        sweep_run, [{"optimizer": o} for o in ("SGD", "Momentum", "RMSProp", "Adam")], seeds=5
    ),
    "batch": Experiment(batch_run, [{"batch": b, "limit": n} for b, n in BATCHES.items()], seeds=5),
    "search": Experiment(
        search_run, [{"method": m} for m in ("grid", "random", "halving")], seeds=20
    ),
    "clipping": Experiment(
        clipping_run, [{"limit": c} for c in (1.0, 1e300)], seeds=20, chaotic=True
    ),
}
