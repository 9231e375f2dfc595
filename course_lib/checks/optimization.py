"""The exercises of chapter 05_optimization: what they ask, how they are judged, what goes wrong.

The statements and the solutions stand in solutions/05_optimization.md. An optimizer is asked for as
one step: parameters, gradient and memory go in, the new ones come out.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Generator, Tensor

from .draws import nonzero, uniform
from .exercise import Exercise, Mistake, Test, checker, part

SHAPES = ((2,), (2, 2))


def _rate(g: Generator) -> float:
    """A step size of two decimals."""
    return round(uniform(g, 0.05, 0.5).item(), 2)


def _share(g: Generator) -> float:
    """How much of a memory is kept: from 0.6 to 0.9, as 0.5 would keep and forget alike."""
    return round(uniform(g, 0.6, 0.9).item(), 2)


# 5.1 sgd_step


def _plain_steps(g: Generator) -> list[tuple]:
    return [(nonzero(g, *shape), nonzero(g, *shape), _rate(g), 0.0) for shape in SHAPES]


def _decayed_steps(g: Generator) -> list[tuple]:
    return [
        (nonzero(g, *shape), nonzero(g, *shape), _rate(g), round(uniform(g, 0.1, 0.4).item(), 2))
        for shape in SHAPES
    ]


SGD_STEP = Exercise(
    number="5.1",
    title="One step downhill",
    name="sgd_step",
    difficulty=1,
    minutes=5,
    reference=lambda w, g, lr, decay: w - lr * (g + decay * w),
    tests=[
        Test("walks down the gradient", _plain_steps),
        Test("shrinks the weights on the way", _decayed_steps, 2),
    ],
    mistakes=[
        Mistake(
            "climbs",
            lambda w, g, lr, decay: w + lr * (g + decay * w),
            "you added the gradient, which points uphill; subtract it",
        ),
        Mistake(
            "returns the step",
            lambda w, g, lr, decay: lr * (g + decay * w),
            "you returned the step alone; subtract it from w and return the new weights",
        ),
        Mistake(
            "returns the negative step",
            lambda w, g, lr, decay: -lr * (g + decay * w),
            "you returned the change alone; add it to w and return the new weights",
        ),
        Mistake(
            "takes the whole gradient",
            lambda w, g, lr, decay: w - (g + decay * w),
            "your step is as long as the gradient; multiply it by the learning rate",
        ),
        Mistake(
            "forgets the decay",
            lambda w, g, lr, decay: w - lr * g,
            "your weights do not shrink: the penalty adds decay * w to the gradient",
        ),
        Mistake(
            "decays without the learning rate",
            lambda w, g, lr, decay: w - lr * g - decay * w,
            "you took decay * w off at full size; it is part of the gradient, "
            "so the learning rate multiplies it too",
        ),
        Mistake(
            "lets the weights grow",
            lambda w, g, lr, decay: w - lr * (g - decay * w),
            "your weights grow instead of shrinking: decay * w is added to the gradient, "
            "and the step subtracts it",
        ),
        Mistake(
            "adds the penalty itself",
            lambda w, g, lr, decay: w - lr * (g + decay / 2 * w * w),
            "you added the penalty to the gradient; the gradient of decay/2 · w² is decay * w",
        ),
        Mistake(
            "doubles the decay",
            lambda w, g, lr, decay: w - lr * (g + 2 * decay * w),
            "your decay is twice too strong: the penalty is decay/2 · w², "
            "whose slope is decay * w without a 2",
        ),
    ],
)


# 5.2 stable_lr


def _hessians(*sizes: int):
    def cases(g: Generator) -> list[tuple]:
        found = []
        for D in sizes:
            A = nonzero(g, D, D)
            found.append((A @ A.T + torch.eye(D),))
        return found

    return cases


def _of_eigenvalues(limit):
    return lambda H: limit(torch.linalg.eigvalsh(H))


STABLE_LR = Exercise(
    number="5.2",
    title="How large may a step be?",
    name="stable_lr",
    difficulty=2,
    minutes=10,
    reference=_of_eigenvalues(lambda e: 2 / e[-1]),
    tests=[
        Test("is the limit for one weight", lambda g: [(nonzero(g, 1, 1).abs(),)]),
        Test("is set by the steepest direction", _hessians(2, 3), 3),
    ],
    mistakes=[
        Mistake(
            "stops at one over the curvature",
            _of_eigenvalues(lambda e: 1 / e[-1]),
            "you stopped at 1/λ, which reaches the bottom in one step; beyond it the steps "
            "overshoot and still come closer, up to twice that",
        ),
        Mistake(
            "takes the flattest direction",
            _of_eigenvalues(lambda e: 2 / e[0]),
            "you took the smallest eigenvalue; the steepest direction diverges first, "
            "so the largest one sets the limit",
        ),
        Mistake(
            "gives the best one",
            _of_eigenvalues(lambda e: 2 / (e[0] + e[-1])),
            "that is the learning rate that converges fastest; the limit beyond which the error "
            "grows depends on the largest eigenvalue alone",
        ),
        Mistake(
            "takes the trace",
            lambda H: 2 / H.trace(),
            "you divided by the trace, the sum of all eigenvalues; the limit depends on the "
            "largest of them",
        ),
        Mistake(
            "takes the mean curvature",
            lambda H: 2 / H.diagonal().mean(),
            "you divided by the mean of the eigenvalues; the steepest direction diverges first, "
            "so take the largest one",
        ),
        Mistake(
            "takes the diagonal",
            lambda H: 2 / H.diagonal().max(),
            "you looked at the curvature along the axes; the steepest direction lies between "
            "them as a rule: use torch.linalg.eigvalsh",
        ),
        Mistake(
            "takes the Frobenius norm",
            lambda H: 2 / H.norm(),
            "you divided by H.norm(), the root of the sum of all squared eigenvalues; take the "
            "largest one: torch.linalg.eigvalsh(H)[-1]",
        ),
        Mistake(
            "returns the curvature",
            _of_eigenvalues(lambda e: e[-1]),
            "you returned the largest eigenvalue; the error is multiplied by 1 - lr λ, "
            "and |1 - lr λ| < 1 asks for lr below 2/λ",
        ),
    ],
)


# 5.3 momentum_step


def _with_velocity(nesterov: bool):
    return lambda g: [
        (*(nonzero(g, *shape) for _ in range(3)), _rate(g), _share(g), nesterov) for shape in SHAPES
    ]


def _momentum(velocity, move=None, ahead=None):
    """An answer from how the velocity changes, and how the weights move, plainly and ahead."""

    def answer(w, v, g, lr, beta, nesterov):
        new = velocity(v, g, lr, beta)
        if nesterov and ahead:
            return ahead(w, v, new, g, lr, beta), new
        return (move or _by_velocity)(w, v, new, g, lr, beta), new

    return answer


def _by_velocity(w, v, new, g, lr, beta):
    return w - lr * new


def _looks_ahead(w, v, new, g, lr, beta):
    return w - lr * (g + beta * new)


def _heavy(v, g, lr, beta):
    return beta * v + g


_right_momentum = _momentum(_heavy, ahead=_looks_ahead)

MOMENTUM_STEP = Exercise(
    number="5.3",
    title="Momentum, and a look ahead",
    name="momentum_step",
    difficulty=2,
    minutes=15,
    reference=lambda w, v, g, lr, beta, nesterov: _right_momentum(w, v, g, lr, beta, nesterov),
    tests=[
        Test("keeps a velocity", _with_velocity(False), 1, part(1, "w", "v")),
        Test("moves by it", _with_velocity(False), 1, part(0, "w", "v")),
        Test("looks ahead if asked", _with_velocity(True), 2),
    ],
    mistakes=[
        Mistake(
            "puts the learning rate into the velocity",
            _momentum(
                lambda v, g, lr, beta: beta * v + lr * g,
                lambda w, v, new, g, lr, beta: w - new,
                lambda w, v, new, g, lr, beta: w - (lr * g + beta * new),
            ),
            "your velocity holds lr * g, so a change of the learning rate comes late; "
            "here v adds up bare gradients, and lr multiplies the whole when w moves",
        ),
        Mistake(
            "dampens",
            _momentum(lambda v, g, lr, beta: beta * v + (1 - beta) * g, ahead=_looks_ahead),
            "you averaged with (1 - beta) * g, as Adam does; the heavy ball adds the whole "
            "gradient: v = beta * v + g",
        ),
        Mistake(
            "subtracts from the velocity, and again from the weights",
            _momentum(
                lambda v, g, lr, beta: beta * v - g,
                ahead=lambda w, v, new, g, lr, beta: w - lr * (beta * new - g),
            ),
            "your velocity points downhill and you subtract it, so you climb; "
            "add g to the velocity, and subtract lr * v from w",
        ),
        Mistake(
            "climbs",
            _momentum(
                _heavy,
                lambda w, v, new, g, lr, beta: w + lr * new,
                lambda w, v, new, g, lr, beta: w + lr * (g + beta * new),
            ),
            "you added the velocity, which adds up gradients and points uphill; subtract it",
        ),
        Mistake(
            "moves by the old velocity",
            _momentum(_heavy, lambda w, v, new, g, lr, beta: w - lr * v, _looks_ahead),
            "you moved w by the old velocity; update the velocity first, then move by the new one",
        ),
        Mistake(
            "forgets nothing",
            _momentum(lambda v, g, lr, beta: v + g, ahead=_looks_ahead),
            "your velocity never slows down; keep only a share of it: beta * v + g",
        ),
        Mistake(
            "never looks ahead",
            _momentum(_heavy),
            "with nesterov=True you did the plain step; there the move is g + beta * v, "
            "with the new v, so that g counts at once",
        ),
        Mistake(
            "looks ahead without the gradient",
            _momentum(_heavy, ahead=lambda w, v, new, g, lr, beta: w - lr * beta * new),
            "with nesterov=True you moved by beta * v alone; "
            "the move is g + beta * v, with the new v",
        ),
        Mistake(
            "looks ahead twice",
            _momentum(_heavy, ahead=lambda w, v, new, g, lr, beta: w - lr * (new + beta * new)),
            "with nesterov=True you moved by v + beta * v; the first of the two is the bare "
            "gradient: g + beta * v",
        ),
        Mistake(
            "always looks ahead",
            lambda w, v, g, lr, beta, nesterov: _right_momentum(w, v, g, lr, beta, True),
            "you looked ahead without being asked; with nesterov=False w moves by the velocity "
            "alone: w - lr * v",
        ),
        Mistake(
            "returns the velocity first",
            lambda *args: _right_momentum(*args)[::-1],
            "you returned the velocity first; the weights come first: return w, v",
        ),
        Mistake(
            "returns the weights alone",
            lambda *args: _right_momentum(*args)[0],
            "you returned the weights alone; the next step needs the velocity too: return w, v",
        ),
    ],
)


# 5.4 rmsprop_step


def _with_squares(g: Generator) -> list[tuple]:
    return [
        (
            nonzero(g, *shape),
            uniform(g, 0.2, 4.0, *shape),
            nonzero(g, *shape),
            _rate(g),
            _share(g),
            round(uniform(g, 0.2, 0.6).item(), 2),
        )
        for shape in SHAPES
    ]


def _rmsprop(mean, direction=None):
    """An answer from how the mean square changes and what the step is divided by."""

    def answer(w, s, g, lr, alpha, eps):
        new = mean(s, g, alpha)
        return w - lr * (direction or _over_root)(g, s, new, eps), new

    return answer


def _over_root(g, s, new, eps):
    return g / (new.sqrt() + eps)


def _mean_square(s, g, alpha):
    return alpha * s + (1 - alpha) * g * g


_right_rmsprop = _rmsprop(_mean_square)

RMSPROP_STEP = Exercise(
    number="5.4",
    title="A step size for each weight",
    name="rmsprop_step",
    difficulty=2,
    minutes=10,
    reference=lambda w, s, g, lr, alpha, eps: _right_rmsprop(w, s, g, lr, alpha, eps),
    tests=[
        Test("keeps a mean square", _with_squares, 1, part(1, "w", "s")),
        Test("divides by its root", _with_squares, 2, part(0, "w", "s")),
    ],
    mistakes=[
        Mistake(
            "puts epsilon inside the root",
            _rmsprop(_mean_square, lambda g, s, new, eps: g / (new + eps).sqrt()),
            "you added eps under the root; it stands outside: divide by s.sqrt() + eps",
        ),
        Mistake(
            "forgets the root",
            _rmsprop(_mean_square, lambda g, s, new, eps: g / (new + eps)),
            "you divided by the mean square itself, so a large gradient makes a small step; "
            "divide by its root",
        ),
        Mistake(
            "leaves out epsilon",
            _rmsprop(_mean_square, lambda g, s, new, eps: g / new.sqrt()),
            "you left out eps, so a weight whose gradients are all 0 would get 0/0; "
            "divide by s.sqrt() + eps",
        ),
        Mistake(
            "adds epsilon to the quotient",
            _rmsprop(_mean_square, lambda g, s, new, eps: g / new.sqrt() + eps),
            "division goes before +, so your eps was added to the quotient; put brackets "
            "around the divisor: g / (s.sqrt() + eps)",
        ),
        Mistake(
            "adds epsilon to the weights",
            lambda w, s, g, lr, alpha, eps: (
                w - lr * g / _mean_square(s, g, alpha).sqrt() + eps,
                _mean_square(s, g, alpha),
            ),
            "division goes before +, so your eps was added to the new weights; put brackets "
            "around the divisor: g / (s.sqrt() + eps)",
        ),
        Mistake(
            "divides by the old mean",
            _rmsprop(_mean_square, lambda g, s, new, eps: g / (s.sqrt() + eps)),
            "you divided by the old mean square; take the new one, which has seen this gradient",
        ),
        Mistake(
            "sums up",
            _rmsprop(lambda s, g, alpha: s + g * g),
            "you summed all squares up, as AdaGrad does, so the steps only ever shrink; "
            "RMSProp forgets: alpha * s + (1 - alpha) * g²",
        ),
        Mistake(
            "adds the whole square",
            _rmsprop(lambda s, g, alpha: alpha * s + g * g),
            "your mean square is too large by 1/(1 - alpha): the new square counts (1 - alpha) "
            "only",
        ),
        Mistake(
            "swaps the shares",
            _rmsprop(lambda s, g, alpha: (1 - alpha) * s + alpha * g * g),
            "you swapped the shares: alpha is what is kept of the old mean, "
            "1 - alpha what the new square counts",
        ),
        Mistake(
            "forgets to square",
            _rmsprop(lambda s, g, alpha: alpha * s + (1 - alpha) * g.abs()),
            "you averaged the size of the gradient; average its square, and take the root later",
        ),
        Mistake(
            "multiplies",
            _rmsprop(_mean_square, lambda g, s, new, eps: g * (new.sqrt() + eps)),
            "you multiplied by the root mean square; divide by it, so that steep directions "
            "get shorter steps",
        ),
        Mistake(
            "climbs",
            lambda w, s, g, lr, alpha, eps: (
                2 * w - _right_rmsprop(w, s, g, lr, alpha, eps)[0],
                _mean_square(s, g, alpha),
            ),
            "you added the step, which goes uphill; subtract it",
        ),
        Mistake(
            "returns the mean first",
            lambda *args: _right_rmsprop(*args)[::-1],
            "you returned the mean square first; the weights come first: return w, s",
        ),
    ],
)


# 5.5 adam_step


def _memories(g: Generator, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Weights, mean, mean square and gradient on the way."""
    w, m, grad = (nonzero(g, *shape) for _ in range(3))
    return w, m, uniform(g, 0.2, 2.0, *shape), grad


def _first_steps(g: Generator) -> list[tuple]:
    return [
        (nonzero(g, *shape), zeros, zeros, nonzero(g, *shape), 1, _rate(g), 0.9, 0.99, 0.1)
        for shape, zeros in zip(SHAPES, map(torch.zeros, SHAPES), strict=True)
    ]


def _later_steps(g: Generator) -> list[tuple]:
    return [
        (*_memories(g, shape), t, _rate(g), 0.9, 0.99, 0.1)
        for shape, t in zip(SHAPES, (2, 5), strict=True)
    ]


def _over(m, v, eps):
    return m / (v.sqrt() + eps)


def _adam(
    direction=_over,
    correct=lambda m, t, beta: m / (1 - beta**t),
    correct_v=None,
    first=lambda m, g, beta: beta * m + (1 - beta) * g,
    second=lambda v, g, m, beta: beta * v + (1 - beta) * g * g,
    kept=lambda m, m_hat: m,
):
    """An answer with its parts, each of which can be spoilt by itself."""

    def answer(w, m, v, g, t, lr, beta1, beta2, eps):
        m = first(m, g, beta1)
        v = second(v, g, m, beta2)
        m_hat, v_hat = correct(m, t, beta1), (correct_v or correct)(v, t, beta2)
        return w - lr * direction(m_hat, v_hat, eps), kept(m, m_hat), kept(v, v_hat)

    return answer


_right_adam = _adam()
_as_it_is = lambda m, t, beta: m
ADAM_PARTS = ("w", "m", "v")

ADAM_STEP = Exercise(
    number="5.5",
    title="Adam",
    name="adam_step",
    difficulty=3,
    minutes=20,
    reference=lambda w, m, v, g, t, lr, beta1, beta2, eps: _right_adam(
        w, m, v, g, t, lr, beta1, beta2, eps
    ),
    tests=[
        Test("keeps two means", _later_steps, 1, lambda a, v: part(1, *ADAM_PARTS)(a, v)),
        Test("takes a full first step", _first_steps, 2),
        Test("takes the later ones", _later_steps, 2),
    ],
    mistakes=[
        Mistake(
            "corrects nothing",
            _adam(correct=_as_it_is),
            "you left out the correction: m and v start at 0 and are too small at first; "
            "divide them by 1 - beta ** t",
        ),
        Mistake(
            "corrects the mean only",
            _adam(correct_v=_as_it_is),
            "you corrected m and left v as it is, so the first steps are far too long; "
            "divide v by 1 - beta2 ** t",
        ),
        Mistake(
            "corrects the mean square only",
            _adam(correct=_as_it_is, correct_v=lambda v, t, beta: v / (1 - beta**t)),
            "you corrected v and left m as it is, so the first steps are too short; "
            "divide m by 1 - beta1 ** t",
        ),
        Mistake(
            "multiplies where a power belongs",
            _adam(correct=lambda m, t, beta: m / (1 - beta * t)),
            "you corrected by 1 - beta * t, which soon is negative and has no root; beta has "
            "multiplied t times: 1 - beta ** t",
        ),
        Mistake(
            "counts from 0",
            _adam(correct=lambda m, t, beta: m / (1 - beta ** (t + 1))),
            "you corrected with beta ** (t + 1), as if t began at 0; here t is 1 in the first step",
        ),
        Mistake(
            "counts one too few",
            _adam(correct=lambda m, t, beta: m / (1 - torch.tensor(beta) ** (t - 1))),
            "you corrected with beta ** (t - 1), which is 1 in the first step, and divides by 0; "
            "the exponent is t, and t begins at 1",
        ),
        Mistake(
            "corrects as if it were always the first step",
            _adam(correct=lambda m, t, beta: m / (1 - beta)),
            "you divided by 1 - beta in every step; the correction fades as the means fill up: "
            "1 - beta ** t",
        ),
        Mistake(
            "puts epsilon inside the root",
            _adam(lambda m, v, eps: m / (v + eps).sqrt()),
            "you added eps under the root; it stands outside: divide by v_hat.sqrt() + eps",
        ),
        Mistake(
            "forgets the root",
            _adam(lambda m, v, eps: m / (v + eps)),
            "you divided by the mean square; divide by its root, so that m over it has no unit",
        ),
        Mistake(
            "swaps the moments",
            lambda w, m, v, g, t, lr, beta1, beta2, eps: _right_adam(
                w, m, v, g, t, lr, beta2, beta1, eps
            ),
            "you swapped the two betas: beta1 belongs to the mean m, beta2 to the mean square v",
        ),
        Mistake(
            "keeps the corrected means",
            _adam(kept=lambda m, m_hat: m_hat),
            "you returned the corrected means; keep m and v as they are, or they are corrected "
            "again in the next step",
        ),
        Mistake(
            "squares the mean",
            _adam(second=lambda v, g, m, beta: beta * v + (1 - beta) * m * m),
            "you squared the mean m for v; v averages the square of the gradient itself",
        ),
        Mistake(
            "forgets to square",
            _adam(second=lambda v, g, m, beta: beta * v + (1 - beta) * g.abs()),
            "your v averages the size of the gradient; average its square",
        ),
        Mistake(
            "adds whole gradients",
            _adam(
                first=lambda m, g, beta: beta * m + g,
                second=lambda v, g, m, beta: beta * v + g * g,
            ),
            "you added the whole gradient and its whole square; in a mean the new one counts "
            "1 - beta",
        ),
        Mistake(
            "climbs",
            lambda w, *args: (2 * w - _right_adam(w, *args)[0], *_right_adam(w, *args)[1:]),
            "you added the step, which goes uphill; subtract it",
        ),
        Mistake(
            "returns the mean square first",
            lambda *args: tuple(_right_adam(*args)[i] for i in (0, 2, 1)),
            "you returned v before m; the mean comes first: return w, m, v",
        ),
        Mistake(
            "returns the weights alone",
            lambda *args: _right_adam(*args)[0],
            "you returned the weights alone; the next step needs both means: return w, m, v",
        ),
    ],
)


# 5.6 adamw_step


def _decayed_adam(g: Generator, decay: bool) -> list[tuple]:
    return [
        (*_memories(g, shape), t, _rate(g), round(uniform(g, 0.2, 0.8).item(), 2) if decay else 0.0)
        for shape, t in zip(SHAPES, (1, 3), strict=True)
    ]


def _plain_adam(w, m, v, g, t, lr):
    return _right_adam(w, m, v, g, t, lr, 0.9, 0.999, 1e-8)


def _adamw(w, m, v, g, t, lr, decay):
    return _plain_adam((1 - lr * decay) * w, m, v, g, t, lr)


def _moved(decayed):
    """Adam's step, with weights that ``decayed`` makes of the old, the new and the settings."""

    def answer(w, m, v, g, t, lr, decay):
        new, m, v = _plain_adam(w, m, v, g, t, lr)
        return decayed(w, new, v / (1 - 0.999**t), lr, decay), m, v

    return answer


ADAMW_STEP = Exercise(
    number="5.6",
    title="Decay beside the gradient",
    name="adamw_step",
    difficulty=3,
    minutes=15,
    reference=lambda w, m, v, g, t, lr, decay: _adamw(w, m, v, g, t, lr, decay),
    tests=[
        Test("is Adam without decay", partial(_decayed_adam, decay=False)),
        Test("shrinks all weights alike", partial(_decayed_adam, decay=True), 3),
    ],
    mistakes=[
        Mistake(
            "decays through the gradient",
            lambda w, m, v, g, t, lr, decay: _plain_adam(w, m, v, g + decay * w, t, lr),
            "you added decay * w to the gradient, so m and v have seen it, and large gradients "
            "shrink it; take lr * decay * w from w itself",
        ),
        Mistake(
            "divides the decay by the root",
            _moved(lambda w, new, v, lr, decay: new - lr * decay * w / (v.sqrt() + 1e-8)),
            "you divided the decay by the root of v along with the gradient; "
            "it stands beside the step: w shrinks by lr * decay * w, whatever v is",
        ),
        Mistake(
            "decays without the learning rate",
            _moved(lambda w, new, v, lr, decay: new - decay * w),
            "you shrank by decay * w; it is lr * decay * w, so that a schedule slows it down too",
        ),
        Mistake(
            "decays the new weights",
            _moved(lambda w, new, v, lr, decay: (1 - lr * decay) * new),
            "you shrank the weights after the step, and the step with them; "
            "shrink w first, then move",
        ),
        Mistake(
            "forgets the decay",
            _moved(lambda w, new, v, lr, decay: new),
            "your weights do not shrink; take lr * decay * w away from them",
        ),
        Mistake(
            "lets the weights grow",
            _moved(lambda w, new, v, lr, decay: new + lr * decay * w),
            "your weights grow; subtract lr * decay * w",
        ),
        Mistake(
            "shrinks by the power",
            _moved(lambda w, new, v, lr, decay: new - lr * decay * w * w),
            "you took decay * w² away; what shrinks a weight is proportional to the weight: "
            "lr * decay * w",
        ),
        Mistake(
            "returns the weights alone",
            lambda *args: _adamw(*args)[0],
            "you returned the weights alone; the next step needs both means: return w, m, v",
        ),
    ],
)


# 5.7 clip_by_norm


def _two_gradients(g: Generator, factor: float) -> list[tuple]:
    """Gradients whose length is ``1/factor`` times the limit."""
    cases = []
    for H, D, scale in ((2, 2, 3), (1, 3, 1)):  # once the bias alone exceeds the limit
        W, b = nonzero(g, H, D), scale * nonzero(g, H)
        length = torch.cat([W.flatten(), b]).norm().item()
        cases.append((W, b, round(factor * length, 2)))
    return cases


def _zeros(g: Generator) -> list[tuple]:
    return [(torch.zeros(2, 2), torch.zeros(2), round(uniform(g, 0.5, 2.0).item(), 2))]


def _scaled(scale):
    """Both gradients times what ``scale`` makes of the length and the limit."""

    def answer(W, b, limit):
        factor = scale(torch.cat([W.flatten(), b.flatten()]), limit)
        return W * factor, b * factor

    return answer


_right_clip = _scaled(lambda g, limit: limit / max(g.norm().item(), limit))


def _each_alone(W: Tensor, b: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    return tuple(g * (limit / max(g.norm().item(), limit)) for g in (W, b))


CLIP_BY_NORM = Exercise(
    number="5.7",
    title="Clip the length, keep the direction",
    name="clip_by_norm",
    difficulty=2,
    minutes=15,
    reference=lambda grad_W, grad_b, limit: _right_clip(grad_W, grad_b, limit),
    tests=[
        Test("shortens what is too long", partial(_two_gradients, factor=0.4), 2),
        Test("leaves what is short enough", partial(_two_gradients, factor=1.5)),
        Test("leaves zeros alone", _zeros),
    ],
    mistakes=[
        Mistake(
            "clips each tensor alone",
            _each_alone,
            "you clipped each tensor by its own length, which turns the direction of the whole; "
            "take one length over all entries of both",
        ),
        Mistake(
            "clips the values",
            lambda W, b, limit: (W.clamp(-limit, limit), b.clamp(-limit, limit)),
            "you cut each entry by itself, which turns the direction; "
            "scale all entries by the same factor",
        ),
        Mistake(
            "stretches as well",
            _scaled(lambda g, limit: limit / g.norm()),
            "you scaled to the limit in any case, so a short gradient grows and zeros become nan; "
            "the factor is at most 1",
        ),
        Mistake(
            "stretches, but spares zeros",
            _scaled(lambda g, limit: limit / (g.norm() + 1e-6)),
            "you scaled to the limit in any case, so a short gradient grows; "
            "the factor is at most 1",
        ),
        Mistake(
            "divides zeros by zero",
            _scaled(lambda g, limit: torch.minimum(g.norm(), torch.tensor(limit)) / g.norm()),
            "you divided 0 by 0 where the gradient is zero; compare the length with the limit "
            "first, or add 1e-6 to it",
        ),
        Mistake(
            "forgets the root",
            _scaled(lambda g, limit: limit / max((g * g).sum().item(), limit)),
            "you compared the sum of squares with the limit; the length is its root",
        ),
        Mistake(
            "adds up the sizes",
            _scaled(lambda g, limit: limit / max(g.abs().sum().item(), limit)),
            "you added up the absolute values; the length is the root of the sum of squares",
        ),
        Mistake(
            "takes the largest entry",
            _scaled(lambda g, limit: limit / max(g.abs().max().item(), limit)),
            "you compared the largest entry with the limit; the length is the root of the sum of "
            "all squares",
        ),
        Mistake(
            "adds the two lengths",
            lambda W, b, limit: tuple(
                g * (limit / max((W.norm() + b.norm()).item(), limit)) for g in (W, b)
            ),
            "you added the lengths of the two tensors; the squares add up, not the lengths",
        ),
        Mistake(
            "makes unit vectors",
            _scaled(lambda g, limit: 1 / max(g.norm().item(), limit)),
            "you forgot to multiply by the limit: what is too long gets the length limit, not 1",
        ),
        Mistake(
            "makes unit vectors of what is too long",
            _scaled(lambda g, limit: 1 / g.norm() if g.norm() > limit else 1.0),
            "you forgot to multiply by the limit: what is too long gets the length limit, not 1",
        ),
        Mistake(
            "divides by the length always",
            _scaled(lambda g, limit: 1 / g.norm()),
            "you divided by the length in any case, so every gradient gets length 1; multiply by "
            "limit / length, and only where the length exceeds the limit",
        ),
        Mistake(
            "forgets the bias",
            lambda W, b, limit: (W * (limit / max(W.norm().item(), limit)), b),
            "you looked at the weights only; the bias belongs to the gradient too",
        ),
        Mistake(
            "returns one",
            lambda W, b, limit: _right_clip(W, b, limit)[0],
            "you returned one gradient; return both: grad_W, grad_b",
        ),
    ],
)


# 5.8 warmup_cosine


def _some(g: Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (), generator=g))


def _warm(g: Generator) -> list[tuple]:
    warmup = _some(g, 4, 8)
    return [(t, 4 * warmup, warmup) for t in (0, 1, warmup - 1)]


def _falling(g: Generator) -> list[tuple]:
    warmup, rest = _some(g, 4, 8), _some(g, 11, 30)
    return [(warmup + t, warmup + rest, warmup) for t in (0, 2, rest // 2 + 2, rest - 1)]


def _the_end(g: Generator) -> list[tuple]:
    warmup, rest = _some(g, 4, 8), _some(g, 11, 30)
    return [(warmup + rest, warmup + rest, warmup)]


def _wave(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


def _schedule(rise=None, fall=None):
    """An answer from its rising and its falling part, each a function of (t, steps, warmup)."""

    def answer(t, steps, warmup):
        if t < warmup:
            return rise(t, steps, warmup) if rise else (t + 1) / warmup
        if fall:
            return fall(t, steps, warmup)
        return _wave((t - warmup) / (steps - warmup))

    return answer


_right_schedule = _schedule()

WARMUP_COSINE = Exercise(
    number="5.8",
    title="Warm up, then cool down",
    name="warmup_cosine",
    difficulty=2,
    minutes=10,
    reference=lambda t, steps, warmup: _right_schedule(t, steps, warmup),
    tests=[
        Test("rises in a straight line", _warm),
        Test("falls along half a wave", _falling, 2),
        Test("ends at 0", _the_end),
    ],
    mistakes=[
        Mistake(
            "wastes the first step",
            _schedule(rise=lambda t, steps, warmup: t / warmup),
            "your first factor is 0, so the first step is wasted; with t = 0 in the first step "
            "the line is (t + 1) / warmup",
        ),
        Mistake(
            "reaches 1 a step late",
            _schedule(rise=lambda t, steps, warmup: (t + 1) / (warmup + 1)),
            "your line reaches 1 a step late; the last step of the warm-up, t = warmup - 1, "
            "has the full learning rate",
        ),
        Mistake(
            "calculates in degrees",
            _schedule(
                fall=lambda t, steps, warmup: (
                    (1 + math.cos(180 * (t - warmup) / (steps - warmup))) / 2
                )
            ),
            "math.cos takes radians, and you gave it degrees; half a wave is math.pi, not 180",
        ),
        Mistake(
            "starts the wave before the warm-up",
            _schedule(fall=lambda t, steps, warmup: _wave(t / steps)),
            "you counted the wave from the first step of the run, so it jumps down after the "
            "warm-up; count from there: (t - warmup) / (steps - warmup)",
        ),
        Mistake(
            "ends too late",
            _schedule(fall=lambda t, steps, warmup: _wave((t - warmup) / steps)),
            "your wave does not come down to 0, for it has only steps - warmup steps left; "
            "divide by those",
        ),
        Mistake(
            "ends a step early",
            _schedule(fall=lambda t, steps, warmup: _wave((t - warmup) / (steps - 1 - warmup))),
            "you divided by one step too few, so 0 comes a step early and the factor rises again; "
            "it is 0 at t = steps",
        ),
        Mistake(
            "goes through a whole wave",
            _schedule(fall=lambda t, steps, warmup: _wave(2 * (t - warmup) / (steps - warmup))),
            "you went through a whole wave, so the factor comes back up to 1; half a wave is pi",
        ),
        Mistake(
            "goes through a quarter",
            _schedule(
                fall=lambda t, steps, warmup: math.cos(
                    math.pi / 2 * (t - warmup) / (steps - warmup)
                )
            ),
            "you took the first quarter of the wave, which falls off steeply at the end; "
            "take half of it, lifted and halved: (1 + cos) / 2",
        ),
        Mistake(
            "falls below 0",
            _schedule(
                fall=lambda t, steps, warmup: math.cos(math.pi * (t - warmup) / (steps - warmup))
            ),
            "your factor falls to -1, and the optimizer would climb; "
            "lift the cosine and halve it: (1 + cos) / 2",
        ),
        Mistake(
            "forgets to halve",
            _schedule(fall=lambda t, steps, warmup: 2 * _wave((t - warmup) / (steps - warmup))),
            "your wave starts at 2; 1 + cos lies between 0 and 2, so halve it",
        ),
        Mistake(
            "falls in a straight line",
            _schedule(fall=lambda t, steps, warmup: (steps - t) / (steps - warmup)),
            "you came down in a straight line; the fall is half a cosine wave: "
            "(1 + cos(pi * progress)) / 2",
        ),
        Mistake(
            "never warms up",
            lambda t, steps, warmup: _wave(max(t - warmup, 0) / (steps - warmup)),
            "you left out the warm-up: during the first `warmup` steps the factor rises from "
            "1 / warmup to 1",
        ),
    ],
)


# 5.9 halving


def _search(losses, keep, best=min, budget=None, rounds=None, cost=None):
    """Successive halving over a table of losses, with parts that can be spoilt."""
    left, spent, steps = list(range(len(losses[0]))), 0, 1
    for r in range(len(losses)):
        spent = cost(spent, left, steps) if cost else spent + len(left) * steps
        row = losses[rounds(r) if rounds else r]
        order = sorted(left, key=lambda i: row[i], reverse=best is max)
        left = order[: budget(left, keep) if budget else max(1, len(left) // keep)]
        steps *= keep
    return left[0], spent


def _tables(*sizes: tuple[int, int, int]):
    def cases(g: Generator) -> list[tuple]:
        return [(_table(g, n, rounds), keep) for n, rounds, keep in sizes]

    return cases


def _table(g: Generator, n: int, rounds: int) -> tuple[tuple[float, ...], ...]:
    """Losses of n candidates by round: the first leader falls back, a late bloomer goes too soon.

    Candidates 0 and 1 never win, so that a place among those left is no candidate's number.
    """
    rows = [torch.randperm(n, generator=g) for _ in range(rounds)]
    winner, leader, late = (2 + torch.randperm(n - 2, generator=g)[:3]).tolist()
    table = []
    for r, row in enumerate(rows):
        rank = row.float() + 2
        rank[winner] = 1.0  # close to the top from the first round on
        rank[leader] = 0.0 if r == 0 else 1.5
        rank[late] = n + 3.0 if r == 0 else 0.5 - r / 10
        table.append(tuple(round(0.2 + 0.1 * x, 2) for x in rank.tolist()))
    return tuple(table)


def _as_left(losses, keep):
    """The place of the winner among those that were left, not its number."""
    left = list(range(len(losses[0])))
    for row in losses[:-1]:
        left = sorted(left, key=lambda i: row[i])[: max(1, len(left) // keep)]
    place = min(range(len(left)), key=lambda k: losses[-1][left[k]])
    return place, _search(losses, keep)[1]


HALVING = Exercise(
    number="5.9",
    title="Give up early",
    name="halving",
    difficulty=4,
    minutes=30,
    reference=lambda losses, keep: _search(losses, keep),
    tests=[
        Test("halves", _tables((6, 4, 2), (8, 3, 2)), 2),
        Test("keeps one of three", _tables((9, 2, 3), (11, 2, 3)), 2),
    ],
    mistakes=[
        Mistake(
            "keeps the worst",
            partial(_search, best=max),
            "you kept the candidates with the highest losses; sort so that the lowest come first",
        ),
        Mistake(
            "chooses in the first round",
            partial(_search, rounds=lambda r: 0),
            "you compared the losses of the first round every time; in round r look at losses[r], "
            "measured after more steps",
        ),
        Mistake(
            "knows the end",
            lambda losses, keep: (
                min(range(len(losses[0])), key=lambda i: losses[-1][i]),
                _search(losses, keep)[1],
            ),
            "you took the lowest loss of the last round over all candidates; those given up "
            "earlier were never trained that long",
        ),
        Mistake(
            "returns a place",
            _as_left,
            "you returned a place among the candidates left; "
            "return the candidate's own number, its place in losses[0]",
        ),
        Mistake(
            "keeps keep candidates",
            partial(_search, budget=lambda left, keep: keep if len(left) > keep else 1),
            "you kept `keep` candidates; keep one out of `keep`: len(left) // keep, at least 1",
        ),
        Mistake(
            "keeps keep candidates to the end",
            partial(_search, budget=lambda left, keep: keep),
            "you kept `keep` candidates; keep one out of `keep`: len(left) // keep, at least 1",
        ),
        Mistake(
            "keeps nobody",
            partial(_search, budget=lambda left, keep: len(left) // keep),
            "len(left) // keep is 0 once fewer than `keep` candidates are left, and then nobody "
            "stays; keep at least 1: max(1, len(left) // keep)",
        ),
        Mistake(
            "rounds up",
            partial(_search, budget=lambda left, keep: -(-len(left) // keep)),
            "you rounded the number that stay up; round it down, but keep at least 1",
        ),
        Mistake(
            "gives everybody the same steps",
            partial(_search, cost=lambda spent, left, steps: spent + len(left)),
            "you counted one step a candidate in every round; "
            "the steps grow by the factor keep from round to round",
        ),
        Mistake(
            "counts a single candidate",
            partial(_search, cost=lambda spent, left, steps: spent + steps),
            "you counted the steps of one candidate; "
            "every candidate of a round is trained that long",
        ),
        Mistake(
            "counts the last round only",
            partial(_search, cost=lambda spent, left, steps: len(left) * steps),
            "you counted the last round only; add up the steps of all rounds",
        ),
        Mistake(
            "counts those that stay",
            partial(
                lambda losses, keep: (
                    _search(losses, keep)[0],
                    _search(
                        losses,
                        keep,
                        cost=lambda spent, left, steps: spent + max(1, len(left) // keep) * steps,
                    )[1],
                )
            ),
            "you counted only the candidates that stay; "
            "those that are given up have been trained in that round too",
        ),
        Mistake(
            "returns the winner alone",
            lambda losses, keep: _search(losses, keep)[0],
            "you returned the winner alone; return two values, the winner and the steps spent",
        ),
    ],
)

EXERCISES = (
    SGD_STEP,
    STABLE_LR,
    MOMENTUM_STEP,
    RMSPROP_STEP,
    ADAM_STEP,
    ADAMW_STEP,
    CLIP_BY_NORM,
    WARMUP_COSINE,
    HALVING,
)

check = checker(EXERCISES)
