"""What chapter 02_neuron measures over many seeds: depth without bends, and centred features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data import load, moons, standardize
from ..neuron import logistic_gradient, logistic_loss, sigmoid, tanh
from .runner import Experiment

CHAPTER = "02_neuron"
LEARNING_RATES = tuple(2.0**k for k in range(-3, 7))


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
    seed: int, depth: int, activation: str, device=None, steps: tuple[int, ...] = (300, 3000)
) -> dict[str, float]:
    """Train a stack on 200 moons (Adam, lr 0.01, all points a step); test it on 2,000 others.

    Args:
        seed: of the points and of the initial weights.
        depth: hidden layers.
        activation: what stands between them.
        device: where to compute; None chooses.
        steps: when to look.

    Returns:
        For each ``t`` in steps ``loss_t`` in nats on the training points and ``accuracy_t`` on
        the test points.
    """
    X, y = moons(200, noise=0.2, seed=seed, device=device)
    X_test, y_test = moons(2000, noise=0.2, seed=seed + 1000, device=device)
    torch.manual_seed(seed)
    net = stack(depth, activation).to(X.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
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


def random_features(seed: int, features: str, device=None) -> tuple[Tensor, Tensor]:
    """Breast cancer seen through 16 random hidden neurons, centred or not.

    ``tanh(z/2)`` and ``σ(z)`` are the same feature, shifted and halved: ``σ = (tanh(z/2) + 1)/2``.
    ``"shifted"`` moves tanh's output up by 1 and leaves its scale alone.

    Args:
        seed: of the hidden weights, normal with variance 1/D.
        features: ``"tanh"``, ``"shifted"`` or ``"sigmoid"``.
        device: where the tensors live; None chooses.

    Returns:
        Features (398, 16) and labels (398,), float64.
    """
    data = standardize(load("breast_cancer", device=device, dtype=torch.float64))
    D = data.X_train.shape[1]
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(D, 16, generator=generator, dtype=torch.float64) / D**0.5
    z = data.X_train @ W.to(data.X_train.device)  # (B, 16)
    H = {"tanh": tanh(z / 2), "shifted": tanh(z / 2) + 1, "sigmoid": sigmoid(z)}[features]
    return H, data.y_train.double()


def optimum(H: Tensor, y: Tensor, l2: float) -> float:
    """The least logistic loss that any weights reach, by LBFGS (the loss is convex).

    Args:
        H: inputs, shape (B, D), float64.
        y: labels 0 or 1, shape (B,).
        l2: penalty on the weights.

    Returns:
        The loss in nats.
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
    return closure().item()


def steps_to(H: Tensor, y: Tensor, target: float, lr: float, l2: float, most: int) -> int:
    """Steps of gradient descent from zero weights until the loss is at most the target.

    Args:
        H: inputs, shape (B, D).
        y: labels 0 or 1, shape (B,).
        target: loss to reach, in nats.
        lr: step size.
        l2: penalty on the weights.
        most: when to give up.

    Returns:
        The number of steps, ``most`` when it was not reached.
    """
    w, b = torch.zeros_like(H[0]), torch.zeros_like(H[0, 0])
    for t in range(most):
        if logistic_loss(H, y, w, b, l2) <= target:
            return t
        grad_w, grad_b = logistic_gradient(H, y, w, b, l2)
        w, b = w - lr * grad_w, b - lr * grad_b
    return most


def centring_run(
    seed: int, features: str, device=None, rates: tuple[float, ...] = LEARNING_RATES
) -> dict[str, float]:
    """Steps that one sigmoid neuron needs on top of random features, at its best step size.

    Args:
        seed: of the random features.
        features: ``"tanh"``, ``"shifted"`` or ``"sigmoid"``.
        device: where to compute; None chooses.
        rates: step sizes to try; the best one counts.

    Returns:
        ``steps`` to within 5 % of the optimum, the ``lr`` that did it, and the ``optimum``.
    """
    l2 = 1e-3
    H, y = random_features(seed, features, device)
    best = optimum(H, y, l2)
    steps, lr, most = 3000, float("nan"), 3000
    for rate in rates:
        taken = steps_to(H, y, 1.05 * best, rate, l2, most)
        if taken < most:  # no later rate needs to run longer than the best one so far
            steps, lr, most = taken, rate, taken
    return {"steps": steps, "lr": lr, "optimum": best}


DEPTHS = [{"depth": 0, "activation": "identity"}] + [
    {"depth": depth, "activation": activation}
    for activation in ("identity", "ReLU", "tanh")
    for depth in (1, 2, 4, 8)
]

EXPERIMENTS = {
    "depth": Experiment(depth_run, DEPTHS, uses=(stack, moons)),
    "centring": Experiment(
        centring_run,
        [{"features": f} for f in ("tanh", "shifted", "sigmoid")],
        uses=(random_features, optimum, steps_to, logistic_loss, logistic_gradient),
    ),
}
