"""What chapter 06_regularization measures over many seeds.

Digits with few labels: one overfitting network with each remedy added alone. Then the speed of
batch norm, augmentation of networks that underfit, and double descent. All tries of one seed are
trained at once, as a stack of S networks: weights have the shape (S, fan_in, fan_out).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Generator, Tensor

from ..data import load
from ..device import pick_device
from ..regularization import (
    dropout,
    jitter,
    least_norm,
    normalize,
    random_features,
    smooth_cross_entropy,
)
from ._fashion_mnist import choosing_run, race_run
from .runner import Experiment

CHAPTER = "06_regularization"
HIDDEN = (128, 128)
BATCH = 50
EPOCHS = 150
LR = 2e-3
RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)  # the five tries of all that has no strength of its own
STRENGTHS = {
    "none": RATES,
    "L2": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "L1": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "dropout": (0.1, 0.3, 0.5, 0.7, 0.8),
    "early stopping": RATES,
    "augmentation": (0.25, 0.5, 1.0, 1.5, 2.0),  # times 1 pixel, 15 degrees, noise of 0.05
    "label smoothing": (0.05, 0.1, 0.2, 0.4, 0.6),
    "batch norm": RATES,
    "layer norm": RATES,
}


def split_digits(seed: int, n: int, wrong: float, device=None) -> dict[str, tuple[Tensor, Tensor]]:
    """The digits in three parts: n to train, 200 to choose, the rest to judge.

    Args:
        seed: of the split and of the wrong labels.
        n: training rows.
        wrong: share of the training and validation labels that are replaced by another class.
        device: where the tensors live; None chooses.

    Returns:
        ``train``, ``valid`` and ``test``, each pixels from 0 to 1 and classes. The labels of
        ``test`` are all right.
    """
    d = load("digits", device="cpu")
    X, y = torch.cat([d.X_train, d.X_test]) / 16, torch.cat([d.y_train, d.y_test])
    g = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(X), generator=g)
    X, y = X[order], y[order]
    other = (y + torch.randint(1, 10, y.shape, generator=g)) % 10
    spoilt = (torch.rand(y.shape, generator=g) < wrong) & (torch.arange(len(y)) < n + 200)
    y = torch.where(spoilt, other, y)
    device = pick_device(device)
    parts = {"train": slice(n), "valid": slice(n, n + 200), "test": slice(n + 200, None)}
    return {name: (X[rows].to(device), y[rows].to(device)) for name, rows in parts.items()}


class Networks:
    """S networks with ReLU that start alike: all tries of one seed.

    Args:
        sizes: units a layer, inputs first.
        S: networks.
        norm: ``"none"``, ``"batch"`` or ``"layer"``, in front of each ReLU.
        g: draws the first weights, with variance 2 / fan_in.
        device: where they live.
    """

    def __init__(self, sizes, S: int, norm: str, g: Generator, device) -> None:
        self.norm, self.device = norm, device
        self.weights, self.biases, self.scales, self.running = [], [], [], []
        for fan_in, fan_out in pairwise(sizes):
            W = torch.randn(fan_in, fan_out, generator=g) * math.sqrt(2 / fan_in)
            self.weights.append(self._stack(W, S))
            self.biases.append(self._stack(torch.zeros(1, fan_out), S))
        if norm != "none":
            self.scales = [self._stack(torch.ones(1, H), S) for H in sizes[1:-1]]
        self.running = [
            (torch.zeros(S, 1, H, device=device), torch.ones(S, 1, H, device=device))
            for H in sizes[1:-1]
        ]
        self.parameters = [*self.weights, *self.biases, *self.scales]

    def _stack(self, p: Tensor, S: int) -> Tensor:
        return p.to(self.device).expand(S, *p.shape).clone().requires_grad_()

    def __call__(self, X: Tensor, training: bool = False, p: Tensor | None = None) -> Tensor:
        """Logits (S, B, K) of inputs (S, B, D); p: dropout, one a network."""
        h = X
        for i, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i:
                h = torch.relu(h)
                h = h if p is None or not training else dropout(h, p[:, None, None])
            z = torch.bmm(h, W)
            last = i == len(self.weights) - 1
            h = z + b if last or self.norm == "none" else self._norm(i, z, training) + b
        return h

    def _norm(self, i: int, z: Tensor, training: bool) -> Tensor:
        if self.norm == "layer":
            mean, var = z.mean(-1, keepdim=True), z.var(-1, correction=0, keepdim=True)
        elif training:
            mean, var = z.mean(1, keepdim=True), z.var(1, correction=0, keepdim=True)
            B = z.shape[1]
            with torch.no_grad():
                self.running[i][0].lerp_(mean, 0.1)
                self.running[i][1].lerp_(var * B / (B - 1), 0.1)
        else:
            mean, var = self.running[i]
        return normalize(z, mean, var, 1e-5) * self.scales[i]

    def loss(self, X: Tensor, y: Tensor, training: bool = False, p=None, eps=0.0) -> Tensor:
        """Mean cross-entropy of each network, (S,)."""
        X = X.expand(len(self.weights[0]), *X.shape[-2:])
        return smooth_cross_entropy(self(X, training, p), y.expand(X.shape[:2]), eps)

    @torch.no_grad()
    def judge(self, X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Error in percent and mean cross-entropy in nats of each network, (S,) and (S,)."""
        logits = self(X.expand(len(self.weights[0]), *X.shape))
        wrong = logits.argmax(-1) != y
        return 100 * wrong.float().mean(-1), smooth_cross_entropy(
            logits, y.expand(wrong.shape), 0.0
        )


class Adam:
    """Adam (chapter 5) with a step size for each network of a stack."""

    def __init__(self, parameters: list[Tensor], lr: Tensor) -> None:
        self.parameters, self.lr, self.t = parameters, lr[:, None, None], 0
        self.m = [torch.zeros_like(p) for p in parameters]
        self.v = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...]) -> None:
        """Move each parameter by its gradient."""
        self.t += 1
        size = self.lr * math.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p -= size * m / (v.sqrt() + 1e-8)


class Best:
    """The weights of each network at its best validation loss so far."""

    def __init__(self, nets: Networks) -> None:
        self.nets, self.loss = nets, torch.full((len(nets.weights[0]),), math.inf)
        self.loss = self.loss.to(nets.device)
        self.kept = [p.detach().clone() for p in nets.parameters]

    @torch.no_grad()
    def look(self, X: Tensor, y: Tensor) -> None:
        """Keep the weights of the networks that are better than ever."""
        _, loss = self.nets.judge(X, y)
        better = loss < self.loss
        self.loss = torch.where(better, loss, self.loss)
        for kept, p in zip(self.kept, self.nets.parameters, strict=True):
            kept.copy_(torch.where(better[:, None, None], p, kept))

    @torch.no_grad()
    def restore(self) -> None:
        """Put them back."""
        for kept, p in zip(self.kept, self.nets.parameters, strict=True):
            p.copy_(kept)


def train(
    nets: Networks,
    data: dict,
    method: str,
    tries: Tensor,
    seed: int,
    l2: float = 0.0,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train a stack, each network with its own strength of one method.

    Args:
        nets: as many as there are tries.
        data: parts of :func:`split_digits`.
        method: a key of STRENGTHS.
        tries: strengths, or step sizes where the method has no strength, shape (S,).
        seed: of the order of the rows and of all random amounts.
        l2: penalty on the weights, whatever the method.
        after_epoch: called after each pass over the training rows.
    """
    (X, y), S = data["train"], len(tries)
    g = torch.Generator().manual_seed(seed + 1000)
    torch.manual_seed(seed)  # dropout and augmentation
    has_strength = STRENGTHS[method] is not RATES
    optimizer = Adam(nets.parameters, torch.full_like(tries, LR) if has_strength else tries)
    p = tries if method == "dropout" else None
    eps = tries[:, None] if method == "label smoothing" else 0.0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X), generator=g).to(X.device).split(BATCH):
            batch = X[rows].expand(S, -1, -1)
            if method == "augmentation":
                s = tries[:, None]  # (S, 1): one for all pictures of a network's batch
                batch = jitter(batch, s, 15 * s, 0.05 * s)
            loss = nets.loss(batch, y[rows], True, p, eps)
            if method == "L2" or l2:
                loss = loss + (l2 or tries) / 2 * sum(W.square().sum((1, 2)) for W in nets.weights)
            if method == "L1":
                loss = loss + tries * sum(W.abs().sum((1, 2)) for W in nets.weights)
            optimizer.step(torch.autograd.grad(loss.sum(), nets.parameters))
        after_epoch()


def remedy_run(
    seed: int,
    method: str,
    wrong: float,
    device=None,
    n: int = 200,
    hidden: tuple[int, ...] = HIDDEN,
    l2: float = 0.0,
) -> dict[str, float]:
    """One network on few digits with one remedy, its strength chosen by the validation error.

    Args:
        seed: of the split, the first weights and the order of the rows.
        method: a key of STRENGTHS.
        wrong: share of wrong labels among the training and validation rows.
        device: where to compute; None chooses.
        n: training rows.
        hidden: units of the hidden layers.
        l2: penalty on the weights, whatever the method.

    Returns:
        The ``strength`` chosen; errors in percent and losses in nats on the training rows (with
        their labels as they are) and on the test rows (whose labels are right); and the ``gap``:
        the test error, had the test labels been spoilt like the others, minus the training error.
    """
    data = split_digits(seed, n, wrong, device)
    device = data["train"][0].device
    strengths = torch.tensor(STRENGTHS[method], device=device)
    norm = method.removesuffix(" norm") if method.endswith("norm") else "none"
    g = torch.Generator().manual_seed(seed)
    nets = Networks((64, *hidden, 10), len(strengths), norm, g, device)
    best = Best(nets)
    stops = method == "early stopping"
    watch = (lambda: best.look(*data["valid"])) if stops else (lambda: None)
    train(nets, data, method, strengths, seed, l2, watch)
    if stops:
        best.restore()
    valid_error, valid_loss = nets.judge(*data["valid"])
    k = int((valid_error + 1e-3 * valid_loss).argmin())  # a tie goes to the lower loss
    measured = {"strength": strengths[k].item(), "valid_error": valid_error[k].item()}
    for part in ("train", "test"):
        error, loss = nets.judge(*data[part])
        measured |= {f"{part}_error": error[k].item(), f"{part}_loss": loss[k].item()}
    # with spoilt labels a right answer errs with chance w, a wrong one with chance 1 - w/9
    spoilt = 100 * wrong + (1 - 10 / 9 * wrong) * measured["test_error"]
    return measured | {"gap": spoilt - measured["train_error"]}


def speed_run(
    seed: int, norm: str, depth: int, device=None, target: float = 0.1, limit: int = 400
) -> dict[str, float]:
    """Steps of SGD with momentum 0.9 until the training loss is low, at the best step size.

    Args:
        seed: of the first weights and the order of the rows.
        norm: ``"none"``, ``"batch"`` or ``"layer"``.
        depth: hidden layers of 32 units.
        device: where to compute; None chooses.
        target: loss in nats on all 1,257 training digits, running averages in use.
        limit: when to give up.

    Returns:
        ``steps`` to the target, or ``limit`` if none arrives; ``lr``, the step size that was best.
    """
    d = load("digits", device=device)
    X, y = d.X_train / 16, d.y_train
    rates = 2.0 ** torch.arange(-9, 1, device=X.device)  # 1/512 ... 1
    g = torch.Generator().manual_seed(seed)
    nets = Networks((64, *[32] * depth, 10), len(rates), norm, g, X.device)
    speed = [torch.zeros_like(p) for p in nets.parameters]
    rows: list[Tensor] = []
    for step in range(1, limit + 1):
        if not rows:
            rows = list(torch.randperm(len(X), generator=g).to(X.device).split(64))[:-1]
        i = rows.pop()
        loss = nets.loss(X[i], y[i], True)
        gradients = torch.autograd.grad(loss.sum(), nets.parameters)
        with torch.no_grad():
            for p, v, gradient in zip(nets.parameters, speed, gradients, strict=True):
                v.mul_(0.9).add_(gradient)
                p -= rates[:, None, None] * v
        if step % 5 == 0:
            _, loss = nets.judge(X, y)
            if (loss <= target).any():
                return {"steps": step, "lr": rates[loss.nan_to_num(math.inf).argmin()].item()}
    return {"steps": limit, "lr": math.nan}


def peeking_run(seed: int, rows: int, device=None) -> dict[str, float]:
    """Choose step size and epoch by the error on test rows, then judge them on others.

    Args:
        seed: of the split, the first weights and the order of the rows.
        rows: how many test rows are used to choose.
        device: where to compute; None chooses.

    Returns:
        The least error in percent on those rows, ``seen``, and the error of that very network on
        the ``fresh`` ones.
    """
    data = split_digits(seed, 200, 0.2, device)
    X, y = data["test"]
    g = torch.Generator().manual_seed(seed)
    tries = torch.tensor(RATES, device=X.device)
    nets = Networks((64, *HIDDEN, 10), len(tries), "none", g, X.device)
    found: list[tuple[float, float]] = []

    def look() -> None:
        seen, fresh = nets.judge(X[:rows], y[:rows])[0], nets.judge(X[rows:], y[rows:])[0]
        found.extend(zip(seen.tolist(), fresh.tolist(), strict=True))

    train(nets, data, "none", tries, seed, after_epoch=look)
    seen, fresh = min(found, key=lambda pair: pair[0])
    return {"seen": seen, "fresh": fresh}


def descent_run(seed: int, features: int, device=None, n: int = 100) -> dict[str, float]:
    """Linear regression of the ten classes on random ReLU features of few digits.

    Args:
        seed: of the split and of the features; fewer features are the first of more.
        features: N.
        device: where to compute; None chooses.
        n: training rows.

    Returns:
        Errors in percent: ``train_error`` and ``test_error`` of the shortest best weights,
        ``ridge_error`` on the test rows with the penalty that is best on the validation rows;
        ``length``, the root of the sum of the squared shortest weights.
    """
    data = split_digits(seed, n, 0.0, device)
    middle = data["train"][0].mean(0)
    g = torch.Generator().manual_seed(seed)
    W = torch.randn(features, 64, generator=g).T.double()
    parts = {}
    for name, (X, y) in data.items():
        parts[name] = random_features((X - middle).double(), W.to(X.device)) / features**0.5, y
    Phi, y = parts["train"]
    Y = torch.nn.functional.one_hot(y, 10).double() - 0.1

    def error(V: Tensor, part: str) -> float:
        Phi, y = parts[part]
        return 100 * ((Phi @ V).argmax(1) != y).double().mean().item()

    V = least_norm(Phi, Y)
    ridges = [least_norm(Phi, Y, l2) for l2 in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)]
    chosen = min(ridges, key=lambda V: error(V, "valid"))
    return {
        "train_error": error(V, "train"),
        "test_error": error(V, "test"),
        "ridge_error": error(chosen, "test"),
        "length": V.norm().item(),
    }


# The short run comes first: a test measures the first again, and rounding grows with the steps.
METHODS = sorted(STRENGTHS, key=lambda method: method != "early stopping")
UNDERFIT = [
    {"method": method, "wrong": 0.0, "n": 500, **small}
    for small in ({"hidden": [3]}, {"l2": 0.1})
    for method in ("none", "augmentation")
]

ABLATIONS = [("no batch norm", 0.02), ("no batch norm", 0.01), ("no one-cycle", 0.01)]
ABLATIONS += [("no one-cycle", 0.003), ("no bf16", 0.02), ("SGD", 0.1), ("SGD", 0.3)]
CHOSEN = {"epochs": 3, "lr": 0.02}  # the best of "choosing", by the rows held out

EXPERIMENTS = {
    "remedies": Experiment(
        remedy_run, [{"method": m, "wrong": w} for w in (0.2, 0.0) for m in METHODS]
    ),
    "underfitting": Experiment(remedy_run, UNDERFIT),
    "speed": Experiment(
        speed_run, [{"norm": n, "depth": k} for k in (2, 8) for n in ("none", "batch", "layer")]
    ),
    "peeking": Experiment(peeking_run, [{"rows": rows} for rows in (200, 50)]),
    "descent": Experiment(
        descent_run,
        [
            {"features": N}
            for N in (10, 20, 30, 50, 70, 85, 95, 100, 105, 115, 130, 150, 200, 400, 1000, 2000)
        ],
        seeds=20,
    ),
    "choosing": Experiment(
        choosing_run,
        [{"recipe": "all", "lr": lr, "epochs": n} for n in (2, 3) for lr in (0.01, 0.02, 0.03)]
        + [{"recipe": recipe, "lr": lr, "epochs": 3} for recipe, lr in ABLATIONS],
        seeds=3,
        times=["train_seconds"],
        at_scale=True,
    ),
    "race": Experiment(
        race_run,
        [CHOSEN],
        seeds=5,
        times=["recipe_seconds", "lenet_seconds", "ratio"],
        at_scale=True,
    ),
}
