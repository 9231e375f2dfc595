"""What chapter 02_neuron measures over many seeds: depth without bends, and centred features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import load, moons, standardize
from ..neuron import logistic_gradient, logistic_loss, tanh
from .runner import Experiment

CHAPTER = "02_neuron"
LEARNING_RATES = tuple(2.0**k for k in range(-3, 7))  # 1/8, 1/4, ... 64
TOLERANCES = {"steps_20": 1.20, "steps_5": 1.05, "steps_1": 1.01}  # times the optimum


def stack(depth: int, activation: str, width: int = 16) -> nn.Sequential:
    """A network from 2 inputs to one logit with ``depth`` hidden layers of ``width`` units.

    Args:
        depth: hidden layers; 0 is one neuron.
        activation: ``"identity"``, ``"ReLU"`` or ``"tanh"``, after each hidden layer.
        width: units a hidden layer.

    Returns:
        A module that maps (B, 2) to logits (B,).
    """
    bend = {"identity": nn.Identity, "ReLU": nn.ReLU, "tanh": nn.Tanh}[activation]
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(2 if i == 0 else width, width), bend()]
    return nn.Sequential(*layers, nn.Linear(width if depth else 2, 1), nn.Flatten(0))


def depth_run(
    seed: int,
    depth: int,
    activation: str,
    device=None,
    lr: float = 0.01,
    steps: tuple[int, ...] = (300, 3000),
) -> dict[str, float]:
    """Train a stack on 200 moons (Adam, all points a step); test it on 2,000 others.

    Args:
        seed: of the points and of the initial weights.
        depth: hidden layers.
        activation: what stands between them.
        device: where to compute; None chooses.
        lr: Adam's step size.
        steps: when to look.

    Returns:
        For each ``t`` in steps ``loss_t`` in nats on the training points and ``accuracy_t`` on
        the test points.
    """
    X, y = moons(200, noise=0.2, seed=seed, device=device)
    X_test, y_test = moons(2000, noise=0.2, seed=seed + 1000, device=device)
    torch.manual_seed(seed)
    net = stack(depth, activation).to(X.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    measured = {}
    for t in range(1, max(steps) + 1):
        loss = nn.functional.binary_cross_entropy_with_logits(net(X), y.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if t in steps:
            right = (net(X_test) > 0) == y_test.bool()
            measured[f"loss_{t}"] = loss.item()
            measured[f"accuracy_{t}"] = right.double().mean().item()
    return measured


def random_features(
    seed: int, shift: float = 0.0, scale: float = 1.0, device=None
) -> tuple[Tensor, Tensor]:
    """Breast cancer seen through 16 random tanh neurons: ``scale · (tanh(z / 2) + shift)``.

    With shift 1 and scale 1/2 these are sigmoid neurons, as ``σ(z) = (tanh(z / 2) + 1) / 2``.

    Args:
        seed: of the hidden weights, normal with variance 1/D.
        shift: added to every feature.
        scale: factor of every feature.
        device: where the tensors live; None chooses.

    Returns:
        Features (398, 16) and labels (398,), float64.
    """
    data = standardize(load("breast_cancer", device=device, dtype=torch.float64))
    D = data.X_train.shape[1]
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(D, 16, generator=generator, dtype=torch.float64) / D**0.5
    z = data.X_train @ W.to(data.X_train.device)  # (B, 16)
    return scale * (tanh(z / 2) + shift), data.y_train.double()


def optimum(H: Tensor, y: Tensor, l2: float) -> tuple[float, Tensor]:
    """The least logistic loss that any weights reach, by LBFGS (the loss is convex).

    Args:
        H: inputs, shape (B, D), float64.
        y: labels 0 or 1, shape (B,).
        l2: penalty on the weights, not on the bias.

    Returns:
        The loss in nats, and the weights with the bias as the last one, shape (D + 1,).
    """
    w = torch.zeros(H.shape[1] + 1, dtype=H.dtype, device=H.device, requires_grad=True)
    settings = {"max_iter": 2000, "tolerance_grad": 1e-10, "tolerance_change": 1e-14}
    search = torch.optim.LBFGS([w], line_search_fn="strong_wolfe", **settings)

    def closure() -> Tensor:
        search.zero_grad()
        loss = logistic_loss(H, y, w[:-1], w[-1], l2)
        loss.backward()
        return loss

    search.step(closure)
    return closure().item(), w.detach()


def steps_to(
    H: Tensor, y: Tensor, targets: list[float], lr: float, l2: float, limit: int
) -> list[float]:
    """Steps of gradient descent from zero weights until the loss is at most each target.

    Args:
        H: inputs, shape (B, D).
        y: labels 0 or 1, shape (B,).
        targets: losses to reach, in nats, the easiest first.
        lr: step size.
        l2: penalty on the weights.
        limit: when to give up.

    Returns:
        The number of steps to each target, ``inf`` where it was not reached.
    """
    w, b = torch.zeros_like(H[0]), torch.zeros_like(H[0, 0])
    reached: list[float] = []
    for t in range(limit):
        loss = logistic_loss(H, y, w, b, l2).item()
        while len(reached) < len(targets) and loss <= targets[len(reached)]:
            reached.append(t)
        if len(reached) == len(targets):
            break
        grad_w, grad_b = logistic_gradient(H, y, w, b, l2)
        w, b = w - lr * grad_w, b - lr * grad_b
    return reached + [float("inf")] * (len(targets) - len(reached))


def centring_run(
    seed: int, shift: float, scale: float = 1.0, device=None, limit: int = 20_000
) -> dict[str, float]:
    """Steps that one sigmoid neuron needs on top of random features, at its best step size.

    The penalty on the weights is 1e-3 times the features' scale squared, so that features of
    another scale or shift pose the same problem, with the same optimum.

    Args:
        seed: of the random features.
        shift: added to every feature.
        scale: factor of every feature.
        device: where to compute; None chooses.
        limit: steps after which a step size is given up.

    Returns:
        The ``optimum`` in nats, and for each tolerance the steps to within 20, 5 and 1 % of it
        at the step size that is best for it, ``lr_5`` for 5 %.
    """
    l2 = 1e-3 * scale**2
    H, y = random_features(seed, shift, scale, device)
    best, _ = optimum(H, y, l2)
    targets = [best * factor for factor in TOLERANCES.values()]
    runs = {}
    for lr in LEARNING_RATES:
        runs[lr] = steps_to(H, y, targets, lr, l2, limit)
        limit = min(limit, runs[lr][-1] + 1)  # no step size needs to run longer than the best
    measured = {name: min(r[i] for r in runs.values()) for i, name in enumerate(TOLERANCES)}
    lr_5 = min(runs, key=lambda lr: runs[lr][1])
    return {"optimum": best, **measured, "lr_5": lr_5}


DEPTHS = [{"depth": 0, "activation": "identity"}] + [
    {"depth": depth, "activation": activation}
    for activation in ("identity", "ReLU", "tanh")
    for depth in (1, 2, 4, 8)
]
SHIFTS = [{"shift": shift, "scale": 1.0} for shift in (0.0, 0.25, 0.5, 1.0)]
SIGMOID = {"shift": 1.0, "scale": 0.5}

EXPERIMENTS = {
    "depth": Experiment(depth_run, DEPTHS),
    "centring": Experiment(centring_run, [*SHIFTS, SIGMOID]),
}
