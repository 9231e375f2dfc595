"""Optimizers, schedules, clipping, landscapes and the search for settings, each in a few lines.

Chapter: book/05_optimization. Sources: Polyak 1964, Nesterov 1983, Sutskever et al. 2013,
Tieleman & Hinton 2012, Kingma & Ba 2015, Loshchilov & Hutter 2019; Pascanu et al. 2013 (clipping),
Li et al. 2018 (landscapes), Jamieson & Talwalkar 2016 (halving). Letters: w parameters, g gradient,
lr step size, t steps done. Settings of an optimizer may be tensors that broadcast against the
parameters, so that a batch of networks trains with a setting each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

# Optimizers


class Optimizer:
    """``w ← w - lr · direction(g)``: what an optimizer is made of, but for the direction.

    Args:
        params: tensors that require a gradient.
        lr: step size, > 0; may be changed between steps, as a schedule does.
        weight_decay: ``λ`` of an L2 penalty ``λ/2 · ‖w‖²``, which adds ``λ w`` to the gradient.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        self.params = list(params)
        if not self.params or not all(isinstance(p, Tensor) for p in self.params):
            raise ValueError("an optimizer needs a list of tensors, such as model.parameters()")
        _check("lr", lr, above=0)
        _check("weight_decay", weight_decay, at_least=0)
        self.lr, self.weight_decay = lr, weight_decay
        self.states: list[dict] = [{} for _ in self.params]  # what is remembered of each tensor

    def zero_grad(self) -> None:
        """Forget the gradients; ``backward()`` would add to them."""
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for p, state in zip(self.params, self.states, strict=True):
            if p.grad is not None:
                g = p.grad + self.weight_decay * p
                p -= self.lr * self.direction(g, state)

    def direction(self, g: Tensor, state: dict) -> Tensor:
        """What stands in the gradient's place. ``state`` belongs to this tensor, empty at first."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent, "stochastic" when the gradient is that of a mini-batch: ``w ← w - lr g``.

    Source: Robbins & Monro 1951.
    """

    def direction(self, g: Tensor, state: dict) -> Tensor:
        """The gradient itself."""
        return g


class Momentum(Optimizer):
    """Heavy ball: ``v ← β v + (1 - τ) g``, ``w ← w - lr v``; ``v`` begins as the first gradient.

    Args:
        params: tensors that require a gradient.
        lr: step size, outside of the velocity, as torch has it.
        momentum: ``β``, the share of the velocity that is kept, 0 <= β < 1.
        dampening: ``τ``, takes away from the gradient that is added.
        weight_decay: ``λ`` of an L2 penalty.

    Source: Polyak 1964.
    """

    def __init__(self, params, lr, momentum=0.9, dampening=0.0, weight_decay=0.0) -> None:
        super().__init__(params, lr, weight_decay)
        _check("momentum", momentum, at_least=0, below=1)
        self.momentum, self.dampening = momentum, dampening

    def direction(self, g: Tensor, state: dict) -> Tensor:
        """The velocity."""
        new = (1 - self.dampening) * g
        state["v"] = self.momentum * state["v"] + new if "v" in state else g
        return state["v"]


class Nesterov(Momentum):
    """Momentum that looks ahead: ``v ← β v + g``, ``w ← w - lr (g + β v)``.

    Source: Nesterov 1983, in the form of Sutskever et al. 2013 that torch has.
    """

    def direction(self, g: Tensor, state: dict) -> Tensor:
        """The gradient, and the velocity that it has already changed."""
        return g + self.momentum * super().direction(g, state)


class RMSProp(Optimizer):
    """Divide by a running root mean square: ``s ← α s + (1 - α) g²``, ``w ← w - lr g / (√s + ε)``.

    Args:
        params: tensors that require a gradient.
        lr: step size.
        alpha: ``α``, the share of the mean square that is kept, 0 <= α < 1.
        eps: ``ε``, outside of the root, as torch has it.
        weight_decay: ``λ`` of an L2 penalty.

    Source: Tieleman & Hinton 2012.
    """

    def __init__(self, params, lr, alpha=0.99, eps=1e-8, weight_decay=0.0) -> None:
        super().__init__(params, lr, weight_decay)
        _check("alpha", alpha, at_least=0, below=1)
        self.alpha, self.eps = alpha, eps

    def direction(self, g: Tensor, state: dict) -> Tensor:
        """The gradient in units of its own recent size."""
        state["s"] = self.alpha * state.get("s", 0.0) + (1 - self.alpha) * g * g
        return g / (state["s"].sqrt() + self.eps)


class Adam(Optimizer):
    """Momentum over root mean square, both corrected for their start at zero.

    ``m ← β₁ m + (1 - β₁) g``, ``v ← β₂ v + (1 - β₂) g²``, both 0 at first; then
    ``w ← w - lr · m̂ / (√v̂ + ε)`` with ``m̂ = m / (1 - β₁ᵗ)``, ``v̂ = v / (1 - β₂ᵗ)``, t = 1, 2, ...

    Args:
        params: tensors that require a gradient.
        lr: step size; about how far a weight moves in a step.
        betas: ``β₁`` and ``β₂``, each at least 0 and below 1.
        eps: ``ε``, outside of the root.
        weight_decay: ``λ`` of an L2 penalty, which passes through ``m`` and ``v``.

    Source: Kingma & Ba 2015, algorithm 1.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0) -> None:
        super().__init__(params, lr, weight_decay)
        for name, beta in zip(("beta1", "beta2"), betas, strict=True):
            _check(name, beta, at_least=0, below=1)
        self.betas, self.eps = betas, eps

    def direction(self, g: Tensor, state: dict) -> Tensor:
        """The mean gradient over the root mean square.

        Args:
            g: gradient.
            state: number of steps and both means of this tensor, empty at first.

        Returns:
            The direction, shape of ``g``.
        """
        b1, b2 = self.betas
        t = state["t"] = state.get("t", 0) + 1
        m = state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
        v = state["v"] = b2 * state.get("v", 0.0) + (1 - b2) * g * g
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        return m_hat / (v_hat.sqrt() + self.eps)


class AdamW(Adam):
    """Adam with the decay beside the gradient: first ``w ← (1 - lr λ) w``, then Adam's step.

    Args:
        params: tensors that require a gradient.
        lr: step size.
        betas: ``β₁`` and ``β₂``.
        eps: ``ε``, outside of the root.
        weight_decay: ``λ``, the rate at which weights shrink, per unit of ``lr``.

    Source: Loshchilov & Hutter 2019.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01) -> None:
        super().__init__(params, lr, betas, eps)
        _check("weight_decay", weight_decay, at_least=0)
        self.decay = weight_decay  # not the weight_decay that goes through the gradient

    @torch.no_grad()
    def step(self) -> None:
        """Shrink the parameters that have a gradient, then move them."""
        for p in self.params:
            if p.grad is not None:
                p *= 1 - self.lr * self.decay
        super().step()


OPTIMIZERS = {o.__name__: o for o in (SGD, Momentum, Nesterov, RMSProp, Adam, AdamW)}


def _check(name: str, value, above=-math.inf, at_least=-math.inf, below=math.inf) -> None:
    v = torch.as_tensor(value)
    if not ((v > above) & (v >= at_least) & (v < below)).all():
        limits = [f"> {above}"] * (above > -math.inf) + [f">= {at_least}"] * (at_least > -math.inf)
        limits += [f"< {below}"] * (below < math.inf)
        raise ValueError(f"{name} must be {' and '.join(limits)}, got {value}")


# Quadratics


def descent_rate(lr: float, eigenvalues: Tensor, momentum: float = 0.0) -> float:
    """Factor by which gradient descent with momentum shrinks the distance per step, in the end.

    Along an eigenvector with eigenvalue λ the error obeys ``e' = (1 + β - lr λ) e - β e_before``;
    the factor is the larger root of ``z² - (1 + β - lr λ) z + β``, in absolute value. Without
    momentum that is ``|1 - lr λ|``. The slowest direction decides.

    Args:
        lr: step size.
        eigenvalues: of the second derivative, all > 0, shape (D,).
        momentum: ``β``, 0 for plain gradient descent.

    Returns:
        The factor: below 1 it converges, above 1 it diverges.

    Raises:
        ValueError: when an eigenvalue is not above 0.

    Example:
        >>> descent_rate(0.5, torch.tensor([1.0, 3.0]))
        0.5
    """
    lam = torch.as_tensor(eigenvalues, dtype=torch.float64)
    _check("eigenvalues", lam, above=0)
    p = 1 + momentum - lr * lam
    root = (p * p - 4 * momentum).to(torch.complex128).sqrt()
    return torch.maximum((p + root).abs(), (p - root).abs()).max().item() / 2


def best_settings(eigenvalues: Tensor, heavy_ball: bool = False) -> tuple[float, float]:
    """The learning rate and momentum with the least :func:`descent_rate` on a quadratic.

    Plain: ``lr = 2 / (λ_min + λ_max)``, rate ``(κ - 1)/(κ + 1)``. Heavy ball:
    ``lr = 4 / (√λ_min + √λ_max)²`` and ``β = ((√κ - 1)/(√κ + 1))²``, rate ``√β``.

    Args:
        eigenvalues: of the second derivative, all > 0, shape (D,).
        heavy_ball: whether momentum may be used.

    Returns:
        ``lr`` and ``β`` (0 for plain gradient descent).

    Example:
        >>> best_settings(torch.tensor([1.0, 9.0]), heavy_ball=True)
        (0.25, 0.25)

    Source: Polyak 1964.
    """
    low, high = eigenvalues.min().item(), eigenvalues.max().item()
    if not heavy_ball:
        return 2 / (low + high), 0.0
    a, b = math.sqrt(low), math.sqrt(high)
    return 4 / (a + b) ** 2, ((b - a) / (b + a)) ** 2


# Surfaces to race on: points of shape (..., 2), heights of shape (...)


def valley(w: Tensor, condition: float = 100.0) -> Tensor:
    """``(x² + κ y²) / 2``: a quadratic whose walls are κ times as steep as its floor.

    Args:
        w: points, shape (..., 2).
        condition: ``κ``.

    Returns:
        Heights, shape (...); the lowest is 0, at the origin.
    """
    x, y = w.unbind(-1)
    return (x * x + condition * y * y) / 2


def turned(w: Tensor, degrees: float) -> Tensor:
    """Points (..., 2), turned about the origin, against the clock."""
    x, y = w.unbind(-1)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def tilted_valley(w: Tensor, condition: float = 100.0, degrees: float = 30.0) -> Tensor:
    """The same valley, turned: neither axis runs along its floor.

    Args:
        w: points, shape (..., 2).
        condition: ``κ``.
        degrees: between the x axis and the floor.

    Returns:
        Heights, shape (...); the lowest is 0, at the origin.
    """
    return valley(turned(w, -degrees), condition)


def rosenbrock(w: Tensor) -> Tensor:
    """``(1 - x)² + 100 (y - x²)²``: a bent valley with a nearly flat floor.

    Args:
        w: points, shape (..., 2).

    Returns:
        Heights, shape (...); the lowest is 0, at (1, 1).

    Source: Rosenbrock 1960.
    """
    x, y = w.unbind(-1)
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def saddle(w: Tensor) -> Tensor:
    """``x²/2 - y²/2 + y⁴/4 + 1/4``: flat at the origin, which is no minimum.

    Args:
        w: points, shape (..., 2).

    Returns:
        Heights, shape (...); the lowest is 0, at (0, -1) and (0, 1).
    """
    x, y = w.unbind(-1)
    return x * x / 2 - y * y / 2 + y**4 / 4 + 0.25


SURFACES = {
    "valley": valley,
    "tilted valley": tilted_valley,
    "Rosenbrock": rosenbrock,
    "saddle": saddle,
}


def descend(
    f: Callable[[Tensor], Tensor],
    start: Tensor,
    make: Callable[[list[Tensor]], Optimizer],
    steps: int,
) -> Tensor:
    """The path of an optimizer over a surface.

    Args:
        f: from points of shape (..., 2) to heights of shape (...).
        start: where to begin, shape (..., 2); several points move side by side.
        make: makes an optimizer from a list of parameters.
        steps: how many to take.

    Returns:
        All points on the way, the start included, shape (steps + 1, ..., 2).
    """
    w = start.clone().requires_grad_()
    optimizer, path = make([w]), [start]
    for _ in range(steps):
        optimizer.zero_grad()
        f(w).sum().backward()
        optimizer.step()
        path.append(w.detach().clone())
    return torch.stack(path)


# Schedules: from the fraction of the run that is done, 0..1, to a factor on the learning rate


def constant(fraction: float) -> float:
    """The same step size all along.

    Args:
        fraction: of the run that is done, 0..1.

    Returns:
        1.
    """
    return 1.0


def staircase(fraction: float, stairs: int = 3, factor: float = 0.1) -> float:
    """Multiply by ``factor`` at the end of each of ``stairs`` equal parts of the run.

    Args:
        fraction: of the run that is done, 0..1.
        stairs: parts.
        factor: from one part to the next.

    Returns:
        The factor on the learning rate.
    """
    return factor ** min(int(fraction * stairs), stairs - 1)


def cosine(fraction: float, floor: float = 0.0) -> float:
    """Half a cosine wave from 1 down to ``floor``: ``floor + (1 - floor)(1 + cos πf)/2``.

    Args:
        fraction: of the run that is done, 0..1.
        floor: where it ends.

    Returns:
        The factor on the learning rate.

    Example:
        >>> cosine(0.5)
        0.5

    Source: Loshchilov & Hutter 2017.
    """
    return floor + (1 - floor) * (1 + math.cos(math.pi * fraction)) / 2


def warmup_cosine(fraction: float, warmup: float = 0.1, floor: float = 0.0) -> float:
    """A straight line from 0 to 1, then :func:`cosine` over the rest of the run.

    Args:
        fraction: of the run that is done, 0..1.
        warmup: the fraction at which the line ends, 0 <= warmup < 1.
        floor: where the cosine ends.

    Returns:
        The factor on the learning rate.
    """
    if fraction < warmup:
        return fraction / warmup
    return cosine((fraction - warmup) / (1 - warmup), floor)


def one_cycle(
    fraction: float, warmup: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> float:
    """Half a wave up from ``start`` to 1, and half a wave down to ``end``.

    Args:
        fraction: of the run that is done, 0..1.
        warmup: the fraction at which it turns, 0 < warmup < 1.
        start: the factor at the beginning.
        end: the factor at the end.

    Returns:
        The factor on the learning rate.

    Source: Smith & Topin 2019, with torch's half waves.
    """
    if fraction < warmup:
        return cosine(1 - fraction / warmup, start)
    return cosine((fraction - warmup) / (1 - warmup), end)


# Clipping


def clip_norm(params: Iterable[Tensor], limit: float) -> Tensor:
    """Shorten the gradient of all parameters together to the length ``limit``, if it is longer.

    ``g ← g · min(1, limit / (‖g‖ + 1e-6))``, with the length over *all* tensors: its direction
    stays.

    Args:
        params: tensors whose ``.grad`` is changed in place.
        limit: greatest length, > 0.

    Returns:
        The length before, shape ().

    Raises:
        ValueError: when the limit is not above 0, or no tensor has a gradient.

    Source: Pascanu, Mikolov & Bengio 2013.
    """
    _check("limit", limit, above=0)
    grads = [p.grad for p in params if p.grad is not None]
    if not grads:
        raise ValueError("no parameter has a gradient; call loss.backward() first")
    length = torch.stack([(g * g).sum() for g in grads]).sum().sqrt()
    scale = torch.clamp(limit / (length + 1e-6), max=1.0)
    for g in grads:
        g *= scale
    return length


def clip_value(params: Iterable[Tensor], limit: float) -> None:
    """Cut each entry of the gradient to between ``-limit`` and ``limit``: its direction turns.

    Args:
        params: tensors whose ``.grad`` is changed in place.
        limit: greatest size of an entry, > 0.
    """
    _check("limit", limit, above=0)
    for p in params:
        if p.grad is not None:
            p.grad.clamp_(-limit, limit)


# Landscapes


def random_direction(params: Sequence[Tensor], seed: int) -> list[Tensor]:
    """A random direction in which each neuron moves in proportion to the length of its weights.

    Args:
        params: weights of shape (H, D), a row a neuron, and biases of shape (H,).
        seed: which direction.

    Returns:
        A tensor for each parameter: rows as long as the row they belong to, zeros for biases.

    Source: Li et al. 2018, "filter normalization".
    """
    generator = torch.Generator().manual_seed(seed)
    directions = []
    for p in params:
        d = torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)
        rows = lambda t: t.flatten(1).norm(dim=1).reshape(-1, *[1] * (t.ndim - 1))
        directions.append(d * rows(p.detach()) / rows(d) if p.ndim > 1 else torch.zeros_like(d))
    return directions


@torch.no_grad()
def landscape(
    loss: Callable[[], Tensor],
    params: Sequence[Tensor],
    plane: Sequence[list[Tensor]],
    ticks: Tensor,
) -> Tensor:
    """The loss over a plane through the parameters, ``w + a · d₁ + b · d₂``.

    Args:
        loss: computes the loss from the parameters as they stand.
        params: the parameters; they are moved, and put back.
        plane: the two directions, a list of tensors each.
        ticks: values of a and of b, shape (A,).

    Returns:
        Losses, shape (A, A), with a along the first axis.
    """
    home = [p.detach().clone() for p in params]
    losses = []
    for a, b in itertools.product(ticks.tolist(), repeat=2):
        for p, w, d1, d2 in zip(params, home, *plane, strict=True):
            p.copy_(w + a * d1 + b * d2)
        losses.append(loss())
    for p, w in zip(params, home, strict=True):
        p.copy_(w)
    return torch.stack(losses).reshape(len(ticks), len(ticks))


# Search for settings: a setting is a dict of numbers, a space gives each of them a range


def grid_settings(space: dict[str, tuple[float, float]], points: int) -> list[dict[str, float]]:
    """All combinations of ``points`` values a range, evenly spaced in the logarithm.

    Args:
        space: lowest and highest value of each setting, > 0.
        points: values a range, at least 2.

    Returns:
        ``points ** len(space)`` settings.

    Example:
        >>> [s["lr"] for s in grid_settings({"lr": (0.01, 1.0)}, 3)]
        [0.01, 0.1, 1.0]
    """
    axes = [
        [round(low * (high / low) ** (i / (points - 1)), 12) for i in range(points)]
        for low, high in space.values()
    ]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def random_settings(
    space: dict[str, tuple[float, float]], trials: int, seed: int
) -> list[dict[str, float]]:
    """Settings drawn evenly from the logarithm of each range, independently.

    Args:
        space: lowest and highest value of each setting, > 0.
        trials: how many settings.
        seed: which draw.

    Returns:
        The settings.

    Source: Bergstra & Bengio 2012.
    """
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(trials, len(space), generator=generator, dtype=torch.float64).tolist()
    ranges = list(space.items())
    return [
        {name: low * (high / low) ** x for (name, (low, high)), x in zip(ranges, row, strict=True)}
        for row in u
    ]


def successive_halving(
    settings: Sequence[dict],
    losses_after: Callable[[list[dict], int], Sequence[float]],
    steps: int,
    keep: int = 3,
) -> dict:
    """Train all settings a little, keep the best ``1/keep``, train these ``keep`` times as long.

    Args:
        settings: the candidates.
        losses_after: called with the candidates left and the steps to train each; returns losses,
            where NaN counts as the worst.
        steps: in the first round.
        keep: one of so many goes on; at least 2.

    Returns:
        The last one left.

    Raises:
        ValueError: without candidates, or for ``keep`` below 2.

    Source: Jamieson & Talwalkar 2016.
    """
    left = list(settings)
    if not left or keep < 2:
        raise ValueError(f"expected settings and keep >= 2, got {len(left)} settings, keep {keep}")
    while len(left) > 1:
        losses = losses_after(left, steps)
        order = sorted(range(len(left)), key=lambda i: (math.isnan(losses[i]), losses[i]))
        left = [left[i] for i in order[: max(1, len(left) // keep)]]
        steps *= keep
    return left[0]
