"""What chapter 04_mlp measures: depth against width, activations raced, gradients by depth.

Networks of one shape that differ in their learning rate are trained side by side, as one batch of
N networks: weights (N, D, K), activations (N, B, K).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import load, spirals
from .runner import Experiment

CHAPTER = "04_mlp"
CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


def first_weights(sizes: list[int], init: str, gain: float, seed: int) -> list[Tensor]:
    """Weights and biases of one network, in turn.

    Args:
        sizes: width of each layer, inputs first.
        init: ``"He"``, ``"Xavier"``, or ``"torch"`` for the default of ``nn.Linear``.
        gain: factor on the weights of the hidden layers.
        seed: of the numbers.

    Returns:
        W (D, K) and b (1, K) of each layer. Biases are 0 but for torch's.
    """
    g = torch.Generator().manual_seed(seed)
    params = []
    for layer, (D, K) in enumerate(pairwise(sizes), 1):
        scale = gain if layer < len(sizes) - 1 else 1.0
        if init == "torch":
            params += [(2 * torch.rand(n, K, generator=g) - 1) / math.sqrt(D) for n in (D, 1)]
        else:
            variance = 2 / D if init == "He" else 2 / (D + K)
            params += [scale * math.sqrt(variance) * torch.randn(D, K, generator=g)]
            params += [torch.zeros(1, K)]
    return params


def forward(params: list[Tensor], X: Tensor, curve: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The pre-activations of every layer, the logits last.

    Args:
        params: weights (..., D, K) and biases (..., 1, K), in turn.
        X: inputs (B, D).
        curve: the activation of the hidden layers.

    Returns:
        A tensor (..., B, K) a layer.
    """
    h, z = X, []
    for W, b in zip(params[::2], params[1::2], strict=True):
        z.append(h @ W + b)
        h = curve(z[-1])
    return z


def losses(z: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each network.

    Args:
        z: logits (N, B, K).
        y: labels (B,).

    Returns:
        Shape (N,).
    """
    surprise = F.cross_entropy(z.flatten(0, 1), y.repeat(len(z)), reduction="none")
    return surprise.view(len(z), -1).mean(1)


class Trainer:
    """N copies of one network, each trained with a learning rate of its own."""

    def __init__(self, params: list[Tensor], curve: str, rates: tuple, optimizer: str, device):
        n = len(rates)
        self.params = [p.to(device).expand(n, *p.shape).clone().requires_grad_() for p in params]
        self.curve, self.optimizer, self.t = CURVES[curve], optimizer, 0
        self.lr = torch.tensor(rates, device=device)[:, None, None]
        self.m = [torch.zeros_like(p) for p in self.params]
        self.v = [torch.zeros_like(p) for p in self.params]

    def logits(self, X: Tensor) -> Tensor:
        """Logits of each network, (N, B, K), of inputs (B, D)."""
        return forward(self.params, X, self.curve)[-1]

    def losses(self, X: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of each network, (N,)."""
        with torch.no_grad():
            return losses(self.logits(X), y)

    def step(self, X: Tensor, y: Tensor) -> None:
        """One step of each network: of SGD with momentum 0.9, or of Adam."""
        # The sum over networks gives each its own gradient.
        grads = torch.autograd.grad(losses(self.logits(X), y).sum(), self.params)
        self.t += 1
        with torch.no_grad():
            for p, g, m, v in zip(self.params, grads, self.m, self.v, strict=True):
                if self.optimizer == "SGD":
                    p -= self.lr * m.mul_(0.9).add_(g)
                else:
                    m.lerp_(g, 0.1)
                    v.lerp_(g * g, 0.001)
                    root = (v / (1 - 0.999**self.t)).sqrt() + 1e-8
                    p -= self.lr * (m / (1 - 0.9**self.t)) / root


# ---- 04.1: depth and width, at about 1,200 parameters

WIDTHS = {6: 15, 4: 19, 3: 23, 2: 32, 1: 240}  # by hidden layers


def spirals_run(
    seed: int, depth: int, turns: float, init: str, steps: int, rates: list[float], device=None
) -> dict[str, float]:
    """Train a ReLU network on 300 points of two spirals, all points a step, by Adam.

    The learning rates fall to a hundredth on the way.

    Args:
        seed: of the points and of the first weights.
        depth: hidden layers; together they have about 1,200 parameters.
        turns: of each arm around the origin.
        init: of the weights, see :func:`first_weights`.
        steps: of Adam.
        rates: learning rates to start from, each for a network of its own.
        device: where to compute; None chooses.

    Returns:
        The number of ``parameters``, and for each learning rate the accuracies ``train_lr``
        on the training points, ``valid_lr`` and ``test_lr`` on 1,000 and 2,000 others.
    """
    X, y = spirals(300, turns=turns, seed=seed, device=device)
    params = first_weights([2, *[WIDTHS[depth]] * depth, 2], init, 1.0, seed)
    nets = Trainer(params, "ReLU", tuple(rates), "Adam", X.device)
    for _ in range(steps):
        nets.step(X, y)
        nets.lr *= 0.01 ** (1 / steps)
    others = {"valid": (1000, seed + 1000), "test": (2000, seed + 2000)}
    sets = {k: spirals(n, turns=turns, seed=s, device=device) for k, (n, s) in others.items()}
    measured = {}
    for name, (points, labels) in {"train": (X, y), **sets}.items():
        with torch.no_grad():
            right = nets.logits(points).argmax(-1) == labels  # (N, B)
        measured[name] = right.double().mean(1)
    numbers = {
        f"{name}_{lr}": value.item()
        for name, values in measured.items()
        for lr, value in zip(rates, values, strict=True)
    }
    return {"parameters": float(sum(p.numel() for p in params)), **numbers}


# ---- 04.2: epochs to a training loss, by activation and depth

RATES = {"Adam": (0.001, 0.003, 0.01, 0.03, 0.1), "SGD": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)}


def digits(device=None) -> tuple[Tensor, Tensor]:
    """The 1,257 training digits, grey levels centred and scaled to variance 1 over all pixels.

    Args:
        device: where the tensors live; None chooses.

    Returns:
        X (1257, 64) and y (1257,).
    """
    d = load("digits", device=device)
    return (d.X_train - d.X_train.mean()) / d.X_train.std(), d.y_train


def race_run(
    seed: int,
    activation: str,
    gain: float,
    depth: int,
    optimizer: str,
    device=None,
    epochs: int = 30,
    target: float = 0.1,
) -> dict[str, float]:
    """Train networks 64-32-...-32-10 on digits, in batches of 64, to a training loss.

    Args:
        seed: of the first weights and of the order of the batches.
        activation: ``"ReLU"`` (which starts by He), ``"tanh"`` or ``"sigmoid"`` (by Xavier).
        gain: factor on the first weights of the hidden layers.
        depth: hidden layers.
        optimizer: ``"SGD"`` (momentum 0.9) or ``"Adam"``.
        device: where to compute; None chooses.
        epochs: when to give up.
        target: mean cross-entropy over all training digits, in nats.

    Returns:
        For each learning rate ``epochs_lr``: epochs to the target, with a fraction from between
        the two losses around it, or ``inf``.
    """
    X, y = digits(device)
    init = "He" if activation == "ReLU" else "Xavier"
    params = first_weights([64, *[32] * depth, 10], init, gain, seed)
    nets = Trainer(params, activation, RATES[optimizer], optimizer, X.device)
    order = torch.Generator().manual_seed(seed)
    before, reached = nets.losses(X, y).log(), torch.full((len(nets.lr),), math.inf)
    for epoch in range(epochs):
        for batch in torch.randperm(len(X), generator=order).to(X.device).split(64):
            nets.step(X[batch], y[batch])
        after = nets.losses(X, y).log()
        part = (before - math.log(target)) / (before - after)  # of this epoch
        now = ((after <= math.log(target)) & (before > math.log(target))).cpu()
        reached = torch.where(now & reached.isinf(), epoch + part.cpu(), reached)
        before = after
        if reached.isfinite().all():
            break
    return {f"epochs_{lr}": e.item() for lr, e in zip(RATES[optimizer], reached, strict=True)}


# ---- 04.3: gradients by layer


def gradients(
    params: list[Tensor], X: Tensor, y: Tensor, curve: Callable[[Tensor], Tensor]
) -> tuple[list[float], list[float]]:
    """Lengths of the gradients of the mean loss, layer by layer.

    Args:
        params: weights (D, K) and biases (1, K), in turn.
        X: inputs (B, D).
        y: labels (B,).
        curve: the activation.

    Returns:
        By the pre-activations of each layer (the signal that travels back), and by its weights.
    """
    params = [p.detach().requires_grad_() for p in params]
    z = forward(params, X, curve)
    grads = torch.autograd.grad(F.cross_entropy(z[-1], y), [*z, *params[::2]])
    lengths = [g.norm().item() for g in grads]
    return lengths[: len(z)], lengths[len(z) :]


def signal_run(
    seed: int,
    activation: str,
    init: str,
    gain: float,
    depth: int,
    device=None,
    steps: int = 100,
    lr: float = 0.003,
) -> dict[str, float]:
    """How much of the gradient reaches the first hidden layer, before and after some training.

    Args:
        seed: of the first weights and of the batches.
        activation: of the hidden layers, 64 units each.
        init: see :func:`first_weights`.
        gain: factor on the first weights of the hidden layers.
        depth: hidden layers.
        device: where to compute; None chooses.
        steps: of Adam on batches of 64 digits.
        lr: its learning rate.

    Returns:
        ``signal_0``, ``weights_0``: first hidden layer's gradient length over the last one's, by
        the pre-activations and by the weights (from the second layer on, which have one size),
        at the start; ``signal_100`` and ``weights_100`` after the steps; ``loss_0, loss_100``.
    """
    X, y = digits(device)
    params = first_weights([64, *[64] * depth, 10], init, gain, seed)
    nets = Trainer(params, activation, (lr,), "Adam", X.device)
    order = torch.Generator().manual_seed(seed)
    measured = {}
    for t in range(steps + 1):
        if t in (0, steps):
            own = [p[0] for p in nets.params]
            signal, weights = gradients(own, X, y, nets.curve)
            measured[f"signal_{t}"] = signal[0] / signal[-2]
            measured[f"weights_{t}"] = weights[1] / weights[-2]
            measured[f"loss_{t}"] = nets.losses(X, y).item()
        batch = torch.randint(len(X), (64,), generator=order).to(X.device)
        nets.step(X[batch], y[batch])
    return measured


PLAN = {"steps": 2000, "rates": [0.003, 0.01, 0.03]}
SHAPES = [
    {"depth": depth, "turns": turns, "init": init, **PLAN}
    for turns in (1.0, 2.0)
    for init in ("He", "torch")
    for depth in WIDTHS
]
LONGER = {"depth": 1, "turns": 2.0, "init": "torch", **PLAN, "steps": 8000}
# What the first results made us ask: a larger rate than the list had, and more turns, for which
# one and four layers get four times the steps as well.
FURTHER = [
    {"depth": depth, "turns": turns, "init": init, "steps": 2000, "rates": rates}
    for turns, rates in ((2.0, [0.1]), (3.0, [0.003, 0.01, 0.03, 0.1]))
    for init in ("He", "torch")
    for depth in WIDTHS
] + [
    {"depth": depth, "turns": 3.0, "init": init, "steps": 8000, "rates": [0.03]}
    for depth in (1, 4)
    for init in ("He", "torch")
]
RUNNERS = [("sigmoid", 1.0), ("sigmoid", 4.0), ("tanh", 1.0), ("ReLU", 1.0)]
RACES = [
    {"activation": activation, "gain": gain, "depth": depth, "optimizer": optimizer}
    for optimizer in RATES
    for activation, gain in RUNNERS
    for depth in (1, 2, 4, 8)
]
DEPTHS = (2, 4, 8, 16)
SIGNALS = [
    {"activation": activation, "init": init, "gain": gain, "depth": depth}
    for activation, init, gain in (
        ("ReLU", "He", 1.0),
        ("ReLU", "torch", 1.0),
        ("tanh", "Xavier", 1.0),
        ("tanh", "torch", 1.0),
        ("sigmoid", "Xavier", 1.0),
        ("sigmoid", "Xavier", 4.0),
        ("sigmoid", "torch", 1.0),
    )
    for depth in DEPTHS
] + [
    {"activation": "ReLU", "init": "He", "gain": gain, "depth": 16}
    for gain in (0.5, 0.6, 0.7, 0.8, 0.9, 1.1)
]

EXPERIMENTS = {
    "spirals": Experiment(spirals_run, [*SHAPES, LONGER, *FURTHER], seeds=5),
    "race": Experiment(race_run, RACES, seeds=5),
    "signal": Experiment(signal_run, SIGNALS),
}
