"""The exercises of chapter 06_regularization: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/06_regularization.md. Where a small constant
matters, as in the root of a norm layer, the cases make it large, so that its place can be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import nonzero, normal, uniform
from .exercise import IF_ON_A_TENSOR, Exercise, Mistake, Test, checker, numbers, part, parts, shapes
from .probes import program

# 6.1 standardize_with

BOTH = ("Z_train", "Z_valid")


def _two_parts(g: Generator) -> list[tuple]:
    return [(2 * normal(g, B, 2) + 1, 3 * normal(g, C, 2) - 1) for B, C in ((4, 3), (5, 2))]


def _standardized_by(
    rows: Callable[[Tensor, Tensor], Tensor] = lambda X, V: X,
    dim: int | None = 0,
    correction: int = 0,
    power: float = 1.0,
) -> Callable:
    """Both parts, by the statistics of what ``rows`` picks."""

    def standardize_with(X_train: Tensor, X_valid: Tensor) -> tuple[Tensor, Tensor]:
        seen = rows(X_train, X_valid)
        if dim is None:
            mean, std = seen.mean(), seen.std(correction=correction)
        else:
            mean, std = seen.mean(dim), seen.std(dim, correction=correction)
        return (X_train - mean) / std**power, (X_valid - mean) / std**power

    return standardize_with


def _each_by_its_own(X_train: Tensor, X_valid: Tensor) -> tuple[Tensor, Tensor]:
    by_itself = _standardized_by()
    return by_itself(X_train, X_train)[0], by_itself(X_valid, X_valid)[0]


STANDARDIZE_WITH = Exercise(
    number="6.1",
    title="Nothing leaks",
    name="standardize_with",
    difficulty=1,
    minutes=10,
    reference=_standardized_by(),
    tests=[
        Test("standardizes the training rows", _two_parts, 1, part(0, *BOTH)),
        Test("treats the validation rows alike", _two_parts, 2, part(1, *BOTH)),
    ],
    mistakes=[
        Mistake(
            "uses all rows",
            _standardized_by(lambda X, V: torch.cat([X, V])),
            "you measured mean and spread on all rows, so the validation rows leak into training; "
            "measure them on X_train alone",
        ),
        Mistake(
            "gives each part its own",
            _each_by_its_own,
            "you standardized each part by its own mean and spread; the model has learned the "
            "scale of the training rows, so use theirs for both",
        ),
        Mistake(
            "uses the validation rows",
            _standardized_by(lambda X, V: V),
            "you measured mean and spread on the validation rows; measure them on X_train",
        ),
        Mistake(
            "leaves the validation rows raw",
            lambda X, V: (_standardized_by()(X, V)[0], V),
            "your validation rows came back as they were; shift and scale them by the mean and "
            "spread that X_train had before it was standardized",
        ),
        Mistake(
            "divides by the variance",
            _standardized_by(power=2.0),
            "you divided by the variance; divide by its root, the standard deviation",
        ),
        Mistake(
            "divides by one less",
            _standardized_by(correction=1),
            "torch's std divides by B - 1 unless told otherwise; here it is wanted with B: "
            "X.std(0, correction=0)",
        ),
        Mistake(
            "mixes the features",
            _standardized_by(dim=None),
            "you took one mean and one spread for the whole table; each feature has its own: "
            "X_train.mean(0)",
        ),
        Mistake(
            "returns the training rows alone",
            lambda X, V: _standardized_by()(X, V)[0],
            "you returned one table; return both, the training rows first",
        ),
    ],
)


# 6.2 soft_threshold


def _beyond(g: Generator) -> list[tuple]:
    t = uniform(g, 0.3, 0.9)
    return [(nonzero(g, 4).abs() * torch.tensor([1, -1, 1, -1]), t.item())]


def _within(g: Generator) -> list[tuple]:
    t = uniform(g, 1.0, 2.0)
    sign = torch.tensor([1, -1, 1])
    near = uniform(g, 0.2, 0.9, 3) * t * sign
    return [(torch.cat([near, 2 * t * sign[:2]]).round(decimals=2), round(t.item(), 2))]


SOFT_THRESHOLD = Exercise(
    number="6.2",
    title="Exactly zero",
    name="soft_threshold",
    difficulty=2,
    minutes=10,
    reference=lambda z, t: F.softshrink(z, t),
    tests=[
        Test("moves large numbers by t towards 0", _beyond),
        Test("makes small numbers exactly 0", _within, 2),
    ],
    mistakes=[
        Mistake(
            "keeps what is large",
            lambda z, t: torch.where(z.abs() > t, z, 0),
            "that is a hard threshold: it keeps large numbers as they are; the penalty pulls at "
            "them too, so they move by t towards 0",
        ),
        Mistake(
            "shrinks in proportion",
            lambda z, t: z / (1 + t),
            "you shrank in proportion, which is what an L2 penalty does; L1 pulls with the same "
            "force t everywhere, until 0 is reached",
        ),
        Mistake(
            "runs past zero",
            lambda z, t: z - t * z.sign(),
            "your small numbers run past 0 to the other side; stop there: they become 0",
        ),
        Mistake(
            "forgets the sign",
            lambda z, t: (z.abs() - t).clamp(min=0),
            "you lost the sign: a negative number must come out negative or 0; multiply by "
            "z.sign()",
        ),
        Mistake(
            "moves everything down",
            lambda z, t: (z - t).clamp(min=0),
            "you moved everything down and cut at 0, so all negative numbers are lost; they move "
            "up by t",
        ),
        Mistake(
            "cuts off the top",
            lambda z, t: z.clamp(-t, t),
            "you returned what has to be taken away; return z minus it",
        ),
        Mistake(
            "asks if of a tensor",
            lambda z, t: z - t if z > t else z + t if z < -t else 0 * z,
            IF_ON_A_TENSOR,
        ),
    ],
)


# 6.3 ridge

LINE = ("w", "b")


def _off_centre(g: Generator) -> list[tuple]:
    return [
        (normal(g, B, D) + 2, normal(g, B) + 3, uniform(g, 0.3, 1.5).item())
        for B, D in ((5, 2), (4, 1))
    ]


def _by_more_rows(X: Tensor, y: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """Plain least squares, with a row for each weight that asks it to be 0."""
    B, D = X.shape
    X, y = X.double(), y.double()
    X_c, y_c = X - X.mean(0), y - y.mean()
    rows = torch.cat([X_c, (B * l2) ** 0.5 * torch.eye(D).double()])
    w = torch.linalg.lstsq(rows, torch.cat([y_c, torch.zeros(D).double()])[:, None]).solution[:, 0]
    return w, y.mean() - X.mean(0) @ w


def _ridge(
    scale: Callable[[Tensor], float] = lambda X: 1.0,
    centre: bool = True,
    where: Callable[[int], Tensor] = torch.eye,
    bias: Callable[[Tensor, Tensor, Tensor], Any] = lambda X, y, w: y.mean() - X.mean(0) @ w,
) -> Callable:
    """The normal equations, with the penalty times ``scale(X)`` at the places ``where(D)``."""

    def ridge(X: Tensor, y: Tensor, l2: float) -> tuple[Tensor, Tensor]:
        X, y = X.double(), y.double()
        X_c, y_c = (X - X.mean(0), y - y.mean()) if centre else (X, y)
        A = X_c.T @ X_c / len(X) + l2 * scale(X) * where(X.shape[1]).double()
        w = torch.linalg.solve(A, X_c.T @ y_c / len(X))
        return w, bias(X, y, w)

    return ridge


def _penalised_bias(X: Tensor, y: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    X_1 = torch.cat([X, torch.ones(len(X), 1)], 1)
    w, _ = _ridge(centre=False)(X_1, y, l2)
    return w[:-1], w[-1]


RIDGE = Exercise(
    number="6.3",
    title="Ridge regression",
    name="ridge",
    difficulty=3,
    minutes=20,
    reference=_by_more_rows,
    tests=[
        Test("has the weights of the optimum", _off_centre, 2, part(0, *LINE)),
        Test("has the bias that goes with them", _off_centre, 1, part(1, *LINE)),
    ],
    mistakes=[
        Mistake(
            "penalises the bias",
            _penalised_bias,
            "you penalise the bias with the weights, which drags all predictions towards 0; "
            "centre X and y, solve for w, and find b from the means",
        ),
        Mistake(
            "forgets the mean",
            _ridge(lambda X: 1 / len(X)),
            "your penalty is too weak by the number of rows: the squared errors are averaged, so "
            "X.T @ X is divided by B, or l2 multiplied by it",
        ),
        Mistake(
            "counts the rows twice",
            _ridge(len),
            "your penalty is too strong by the number of rows: with X.T @ X / B it is l2, "
            "not l2 times B",
        ),
        Mistake(
            "has the sign wrong",
            _ridge(lambda X: -1.0),
            "you subtracted l2 on the diagonal, which rewards long weights; the penalty adds to "
            "the loss, so l2 adds to X.T @ X / B",
        ),
        Mistake(
            "leaves the penalty out",
            _ridge(lambda X: 0.0),
            "these are the weights of plain least squares; add l2 to the diagonal of X.T @ X / B",
        ),
        Mistake(
            "takes twice the penalty",
            _ridge(lambda X: 2.0),
            "your penalty is twice as strong: the loss has l2/2, and its slope is l2 w, "
            "just as the slope of half the squared error has no 2",
        ),
        Mistake(
            "adds the penalty everywhere",
            _ridge(where=lambda D: torch.ones(D, D)),
            "you added l2 to every entry of X.T @ X / B; the penalty charges each weight by "
            "itself, so it belongs on the diagonal: l2 * torch.eye(D)",
        ),
        Mistake(
            "does not centre",
            _ridge(centre=False, bias=lambda X, y, w: torch.zeros(())),
            "you fitted without a bias, a line through the origin; subtract the means of X and y "
            "before you solve",
        ),
        Mistake(
            "takes the mean target for the bias",
            _ridge(bias=lambda X, y, w: y.mean()),
            "your weights are right; the bias must give back the centring: "
            "y.mean() - X.mean(0) @ w",
        ),
        Mistake(
            "returns the weights alone",
            lambda X, y, l2: _ridge()(X, y, l2)[0],
            "you returned the weights alone; return w and b",
        ),
    ],
)


# 6.4 dropout


def _masked(g: Generator, training: bool = True) -> list[tuple]:
    cases = []
    for p in (0.3, 0.8):
        u = (torch.randperm(6, generator=g) + 0.5).reshape(2, 3) / 6
        cases.append((nonzero(g, 2, 3), p, u.round(decimals=2), training))
    return cases


def _dropped(
    scale: Callable[[float], float] = lambda p: 1 / (1 - p),
    keep: Callable[[Tensor, float], Tensor] = lambda u, p: u >= p,
    later: Callable[[float], float] = lambda p: 1.0,
) -> Callable:
    return lambda x, p, u, training: x * keep(u, p) * scale(p) if training else x * later(p)


DROPOUT = Exercise(
    number="6.4",
    title="Dropout with the right scale",
    name="dropout",
    difficulty=2,
    minutes=15,
    reference=_dropped(),
    tests=[
        Test("drops and scales in training", _masked, 3),
        Test("does nothing afterwards", lambda g: _masked(g, training=False), property=True),
    ],
    mistakes=[
        Mistake(
            "does not scale",
            _dropped(scale=lambda p: 1.0),
            "you dropped entries and left the others as they are, so the mean falls to 1 - p of "
            "what it was; divide by 1 - p",
        ),
        Mistake(
            "divides by p",
            _dropped(scale=lambda p: 1 / p),
            "you divided by p, the share that is dropped; divide by the share that stays, 1 - p",
        ),
        Mistake(
            "multiplies by the share that stays",
            _dropped(scale=lambda p: 1 - p),
            "you multiplied by 1 - p, which makes the loss of signal worse; divide by it",
        ),
        Mistake(
            "scales later",
            _dropped(scale=lambda p: 1.0, later=lambda p: 1 - p),
            "that is the scheme of the first paper, which shrinks the outputs after training; "
            "here training divides by 1 - p, and afterwards nothing is left to do",
        ),
        Mistake(
            "keeps the share p",
            _dropped(keep=lambda u, p: u < p),
            "you kept where you should drop: p is the probability to drop, so keep where u >= p",
        ),
        Mistake(
            "keeps the share p, and scales to it",
            _dropped(keep=lambda u, p: u < p, scale=lambda p: 1 / p),
            "you took p for the share that stays; it is the share that is dropped, as in torch: "
            "keep where u >= p and divide by 1 - p",
        ),
        Mistake(
            "drops afterwards as well",
            lambda x, p, u, training: _dropped()(x, p, u, True),
            "you drop in evaluation too, so predictions are noisy; without training return x as "
            "it is",
        ),
        Mistake(
            "drops whole rows",
            _dropped(keep=lambda u, p: u[:, :1] >= p),
            "you decided once for a whole row; every entry has its own chance, so use all of u",
        ),
    ],
)


# 6.5 early_stop

EPOCHS = ("best", "last")
Losses = tuple[float, ...]


def _losses(g: Generator, tie: bool) -> list[tuple]:
    """Down, up for less than the patience, down to a best value, then above it for longer."""
    patience = int(torch.randint(2, 4, (), generator=g))
    down = (0.92 - uniform(g, 0.05, 0.1, 3).cumsum(0)).tolist()
    rise = [down[-1] + 0.02 * i for i in range(1, patience)]
    least = 0.5
    up = [0.59, 0.55] if not tie else [0.55, least]  # the second is better than the one before it
    more = sorted(uniform(g, 0.6, 0.9, 3).tolist())
    every = [*down, *rise, least, *up, *more, 0.3]
    return [(tuple(round(v, 2) for v in every), patience)]


def _improving(g: Generator) -> list[tuple]:
    fall = uniform(g, 0.05, 0.2, 4).cumsum(0)
    return [(tuple(round(v, 2) for v in (1 - fall).tolist()), 2)]


def _early(
    better: Callable[[float, float], bool] = lambda loss, best: loss < best,
    wait: int = 0,
    previous: bool = False,
    anew: Callable[[int], int] = lambda bad: 0,
    finish: Callable[[int, int], Any] = lambda best, last: (best, last),
) -> Callable:
    """The rule, with one thing or another wrong."""

    def early_stop(losses: Losses, patience: int) -> Any:
        best, bad, mark = 0, 0, losses[0]
        for last, loss in enumerate(losses):
            if last and better(loss, mark):
                best, bad, mark = last, anew(bad), loss
            elif last:
                bad += 1
            if previous:
                mark = loss
            if bad >= patience + wait:
                break
        return finish(best, last)

    return early_stop


EARLY_STOP = Exercise(
    number="6.5",
    title="When to stop",
    name="early_stop",
    difficulty=2,
    minutes=15,
    reference=_early(),
    tests=[
        Test("stops when its patience is out", lambda g: _losses(g, tie=False), 2),
        Test("takes an equal loss for no gain", lambda g: _losses(g, tie=True)),
        Test("goes on while it gains", _improving),
    ],
    mistakes=[
        Mistake(
            "waits one epoch too long",
            _early(wait=1),
            "you stop one epoch too late: after `patience` epochs without a new best, "
            "the last of them is the last one run",
        ),
        Mistake(
            "waits one epoch too little",
            _early(wait=-1),
            "you stop one epoch too early: count only the epochs after the best one; "
            "the best itself is not one without a gain",
        ),
        Mistake(
            "takes a tie for a gain",
            _early(better=lambda loss, best: loss <= best),
            "an equal loss started your patience anew; only a loss below the best counts: "
            "compare with <",
        ),
        Mistake(
            "compares with the epoch before",
            _early(previous=True),
            "you compared each loss with the one before it; compare it with the best so far, "
            "or a small dip on the way up counts as a gain",
        ),
        Mistake(
            "never counts anew",
            _early(anew=lambda bad: bad),
            "you never start the count anew; set it back to 0 at each new best",
        ),
        Mistake(
            "keeps the last",
            _early(finish=lambda best, last: (last, last)),
            "you keep the last epoch, which is the worst of the wait; keep the best one and "
            "restore its weights",
        ),
        Mistake(
            "looks at all epochs",
            lambda losses, patience: (losses.index(min(losses)), len(losses) - 1),
            "you looked at the whole list, and so into the future; once the patience is out the "
            "later losses are never computed",
        ),
        Mistake(
            "counts from one",
            _early(finish=lambda best, last: (best + 1, last + 1)),
            "you counted the epochs from 1; return indices into the list, which start at 0",
        ),
        Mistake(
            "returns the last first",
            _early(finish=lambda best, last: (last, best)),
            "you returned the last epoch first; return best, last",
        ),
    ],
)


# 6.6 shift


def _image(g: Generator, *moves: tuple[int, int]) -> list[tuple]:
    return [(nonzero(g, 3, 4), down, right) for down, right in moves]


def _shifted(image: Tensor, down: int, right: int) -> Tensor:
    H, W = image.shape
    wide = F.pad(image, (W, W, H, H))
    return wide[H - down : 2 * H - down, W - right : 2 * W - right]


def _repeated_edge(image: Tensor, down: int, right: int) -> Tensor:
    H, W = image.shape
    rows = (torch.arange(H) - down).clamp(0, H - 1)
    columns = (torch.arange(W) - right).clamp(0, W - 1)
    return image[rows][:, columns]


def _forward_only(image: Tensor, down: int, right: int) -> Tensor:
    out = torch.zeros_like(image)
    H, W = image.shape
    out[down:, right:] = image[: H - down, : W - right]
    return out


SHIFT = Exercise(
    number="6.6",
    title="Move the picture",
    name="shift",
    difficulty=2,
    minutes=15,
    reference=_shifted,
    tests=[
        Test("moves down and to the right", lambda g: _image(g, (1, 0), (0, 2), (2, 1)), 2),
        Test("moves up and to the left", lambda g: _image(g, (-1, 0), (0, -1), (-1, 2)), 2),
    ],
    mistakes=[
        Mistake(
            "rolls",
            lambda image, down, right: image.roll((down, right), (0, 1)),
            "torch.roll brings back on one side what leaves on the other; what comes in must be "
            "0, for nobody knows what lies beyond the edge",
        ),
        Mistake(
            "swaps the directions",
            lambda image, down, right: _shifted(image, right, down),
            "you swapped the axes: `down` moves along axis 0, the rows, `right` along axis 1",
        ),
        Mistake(
            "moves the other way",
            lambda image, down, right: _shifted(image, -down, -right),
            "you moved up and to the left; row i of the result is row i - down of the image",
        ),
        Mistake(
            "repeats the edge",
            _repeated_edge,
            "you repeated the edge; fill with 0 what comes in from beyond it",
        ),
        Mistake(
            "moves forward only",
            _forward_only,
            "this works for moves down and right only; a negative move needs its slices the other "
            "way round (padding on all sides does without cases)",
        ),
        Mistake(
            "rolls the whole as one line",
            lambda image, down, right: image.roll(down * image.shape[1] + right),
            "without its dims torch.roll treats the picture as one long line, and it wraps "
            "around; move each axis by itself and fill with 0",
        ),
        Mistake(
            "moves one axis only",
            lambda image, down, right: _shifted(image, down, 0),
            "you moved the rows and left the columns where they were; `right` moves along axis 1",
        ),
    ],
)


# 6.7 smooth_cross_entropy


def _scores(g: Generator, *sizes: tuple[int, int], far: float = 1.0) -> list[tuple]:
    return [
        (far * nonzero(g, B, K), torch.arange(B) % K, int(torch.randint(1, 4, (), generator=g)) / 8)
        for B, K in sizes
    ]


def _smoothed(target: Callable[[Tensor, float], Tensor], total: Callable = torch.mean) -> Callable:
    """The cross-entropy with the target made of a one-hot label and eps."""

    def loss(logits: Tensor, y: Tensor, eps: float) -> Tensor:
        hot = F.one_hot(y, logits.shape[1]).float()
        return -total((target(hot, eps) * logits.log_softmax(1)).sum(1))

    return loss


def _even(hot: Tensor, eps: float) -> Tensor:
    return (1 - eps) * hot + eps / hot.shape[1]


def _overflows(logits: Tensor, y: Tensor, eps: float) -> Tensor:
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -(_even(F.one_hot(y, logits.shape[1]).float(), eps) * p.log()).sum(1).mean()


SMOOTH_CROSS_ENTROPY = Exercise(
    number="6.7",
    title="A little doubt",
    name="smooth_cross_entropy",
    difficulty=3,
    minutes=20,
    reference=lambda logits, y, eps: F.cross_entropy(logits, y, label_smoothing=eps),
    tests=[
        Test("is the smoothed cross-entropy", lambda g: _scores(g, (3, 4), (4, 3)), 3),
        Test("survives large logits", lambda g: _scores(g, (2, 3), far=100.0), 1, atol=1e-3),
    ],
    mistakes=[
        Mistake(
            "spreads over the others",
            _smoothed(lambda hot, eps: (1 - eps) * hot + eps * (1 - hot) / (hot.shape[1] - 1)),
            "you spread eps over the K - 1 other classes; it is spread over all K, so the label "
            "keeps 1 - eps + eps/K",
        ),
        Mistake(
            "adds without taking",
            _smoothed(lambda hot, eps: hot + eps / hot.shape[1]),
            "your targets sum to 1 + eps: what is spread over all classes must be taken from the "
            "label first, (1 - eps) of it stays",
        ),
        Mistake(
            "swaps the shares",
            _smoothed(lambda hot, eps: eps * hot + (1 - eps) / hot.shape[1]),
            "you swapped the shares: the label keeps 1 - eps, and eps is spread",
        ),
        Mistake(
            "gives eps to each class",
            _smoothed(lambda hot, eps: (1 - eps) * hot + eps),
            "you gave eps to every class; all K of them share it, so each gets eps / K",
        ),
        Mistake(
            "overwrites the label's share",
            _smoothed(lambda hot, eps: torch.where(hot == 1, 1 - eps, eps / hot.shape[1])),
            "you wrote 1 - eps over the label's share of eps / K; the label has both, so add: "
            "its target is 1 - eps + eps / K",
        ),
        Mistake(
            "adds to whole columns",
            _smoothed(lambda hot, eps: (1 - eps) * hot.amax(0) + eps / hot.shape[1]),
            "q[:, y] takes the columns of all labels in every row; each row has one label: "
            "q[torch.arange(len(y)), y]",
        ),
        Mistake(
            "only takes",
            _smoothed(lambda hot, eps: (1 - eps) * hot),
            "you took eps from the label and gave it to nobody, which only scales the loss; "
            "each class gets eps / K",
        ),
        Mistake(
            "does not smooth",
            _smoothed(lambda hot, eps: hot),
            "that is the plain cross-entropy; mix the label with eps / K for each class",
        ),
        Mistake(
            "sums over the batch",
            _smoothed(_even, torch.sum),
            "you summed over the batch; return the mean, so that the loss does not grow with B",
        ),
        Mistake(
            "overflows",
            _overflows,
            "the exponential of a large logit is infinite; take torch.log_softmax, which "
            "subtracts the largest logit first",
        ),
        Mistake(
            "gives one loss a row",
            _smoothed(_even, lambda losses: losses),
            "you returned a loss for each row; return their mean",
        ),
    ],
)


# 6.8 layer_norm


def _rows_to_normalise(g: Generator) -> list[tuple]:
    return [
        (
            2 * normal(g, B, D) + torch.arange(D),
            uniform(g, 0.5, 2.0, D),
            normal(g, D),
            uniform(g, 0.3, 1.0).item(),
        )
        for B, D in ((3, 3), (2, 4))
    ]


def _normed(
    dim: int | tuple[int, ...] = 1,
    correction: int = 0,
    root: Callable[[Tensor, float], Tensor] = lambda var, eps: (var + eps).sqrt(),
    end: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda x, w, b: w * x + b,
) -> Callable:
    def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        mean, var = x.mean(dim, keepdim=True), x.var(dim, correction=correction, keepdim=True)
        return end((x - mean) / root(var, eps), weight, bias)

    return layer_norm


def _eps_outside(var: Tensor, eps: float) -> Tensor:
    return var.sqrt() + eps


LAYER_NORM = Exercise(
    number="6.8",
    title="Layer norm",
    name="layer_norm",
    difficulty=2,
    minutes=15,
    reference=lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, weight, bias, eps),
    tests=[
        Test("normalises each row, then scales and shifts", _rows_to_normalise, 3),
        Test("keeps the shape", _rows_to_normalise, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "normalises over the batch",
            _normed(dim=0),
            "you normalised each feature over the batch, which is batch norm; here each row is "
            "normalised over its own features: dim=-1, keepdim=True",
        ),
        Mistake(
            "forgets keepdim",
            lambda x, w, b, eps: w * (x - x.mean(1)) / (x.var(1, correction=0) + eps).sqrt() + b,
            "without keepdim=True the B means lose their axis and line up with the columns; "
            "keep it, so that each row meets its own: x.mean(-1, keepdim=True)",
        ),
        Mistake(
            "normalises the whole table",
            _normed(dim=(0, 1)),
            "you took one mean and one variance for the whole batch; each row has its own: "
            "dim=-1, keepdim=True",
        ),
        Mistake(
            "divides by one less",
            _normed(correction=1),
            "torch's var divides by D - 1 unless told otherwise; the layer wants D: "
            "x.var(-1, correction=0, keepdim=True)",
        ),
        Mistake(
            "adds eps outside of the root",
            _normed(root=_eps_outside),
            "you added eps to the standard deviation; it belongs to the variance, under the root",
        ),
        Mistake(
            "forgets the root",
            _normed(root=lambda var, eps: var + eps),
            "you divided by the variance; divide by its root",
        ),
        Mistake(
            "forgets scale and shift",
            _normed(end=lambda x, w, b: x),
            "you forgot the weight and the bias, which let the layer undo what it did; "
            "return weight * normalised + bias",
        ),
        Mistake(
            "shifts before it scales",
            _normed(end=lambda x, w, b: w * (x + b)),
            "you shifted before scaling; scale first: weight * normalised + bias",
        ),
        Mistake(
            "leaves eps out",
            _normed(root=lambda var, eps: var.sqrt()),
            "you left eps out, and a row of equal numbers would be divided by 0; "
            "add it to the variance",
        ),
    ],
)


# 6.9 BatchNorm


class _BatchNorm:
    """Parts of it are replaced by the mistakes."""

    def __init__(self, D: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.momentum, self.eps, self.training = momentum, eps, True
        self.weight, self.bias = torch.ones(D), torch.zeros(D)
        self.running_mean, self.running_var = torch.zeros(D), torch.ones(D)

    def __call__(self, x: Tensor) -> Tensor:
        if self.training:
            mean, var = self.statistics(x)
            self.update(x, mean, var)
        else:
            mean, var = self.kept(x)
        return self.finish((x - mean) / self.root(var))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean(0), x.var(0, correction=0)

    def kept(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.running_mean, self.running_var

    def population(self, x: Tensor, var: Tensor) -> Tensor:
        return var * len(x) / (len(x) - 1)

    def share(self) -> float:
        """The weight of the newest batch."""
        return self.momentum

    def update(self, x: Tensor, mean: Tensor, var: Tensor) -> None:
        m = self.share()
        self.running_mean = (1 - m) * self.running_mean + m * mean
        self.running_var = (1 - m) * self.running_var + m * self.population(x, var)

    def root(self, var: Tensor) -> Tensor:
        return (var + self.eps).sqrt()

    def finish(self, x: Tensor) -> Tensor:
        return self.weight * x + self.bias


class _TorchBatchNorm(_BatchNorm):
    def __call__(self, x: Tensor) -> Tensor:
        kept = self.running_mean, self.running_var
        rest = self.weight, self.bias, self.training, self.momentum, self.eps
        return F.batch_norm(x, *kept, *rest)


def _norm_with(**methods: Callable) -> type:
    return type("BatchNorm", (_BatchNorm,), methods)


def _always_the_batch(self: _BatchNorm, x: Tensor) -> Tensor:
    mean, var = self.statistics(x)
    if self.training:
        self.update(x, mean, var)
    return self.finish((x - mean) / self.root(var))


def _always_updates(self: _BatchNorm, x: Tensor) -> Tensor:
    kept = self.running_mean, self.running_var
    mean, var = self.statistics(x)
    self.update(x, mean, var)
    mean, var = (mean, var) if self.training else kept
    return self.finish((x - mean) / self.root(var))


def _always_the_averages(self: _BatchNorm, x: Tensor) -> Tensor:
    if self.training:
        self.update(x, *self.statistics(x))
    return self.finish((x - self.running_mean) / self.root(self.running_var))


def _written(x: Tensor) -> str:
    return f"tensor({[[round(v, 2) for v in row] for row in x.tolist()]})"


def _batches(results: str, *lines: str) -> Callable[[Generator], list[tuple]]:
    """A program that makes a layer of two features, with x1 and x2 for batches of three rows."""

    def cases(g: Generator) -> list[tuple]:
        made = [f"x{i} = {_written(2 * normal(g, 3, 2) + 3)}" for i in (1, 2)]
        momentum, eps = (round(uniform(g, *ends).item(), 2) for ends in ((0.1, 0.4), (0.3, 0.9)))
        layer = f"bn = BatchNorm(2, {momentum}, {eps})"
        used = [code for code in made if any(code[:2] in line for line in lines)]
        code = "; ".join(["from torch import tensor", layer, *used, *lines])
        return [("BatchNorm", code, results)]

    return cases


AVERAGES = "bn.running_mean, bn.running_var"

BATCH_NORM = Exercise(
    number="6.9",
    title="Batch norm, both ways",
    name="BatchNorm",
    apart=True,
    difficulty=4,
    minutes=40,
    reference=_TorchBatchNorm,
    tests=[
        Test("normalises a training batch", _batches("y", "y = bn(x1)"), 2, probe=program),
        Test(
            "scales and shifts",
            _batches(
                "y", "bn.weight = tensor([2.0, -1.0])", "bn.bias = tensor([0.5, 3.0])", "y = bn(x1)"
            ),
            probe=program,
        ),
        Test(
            "keeps running averages",
            _batches(AVERAGES, "y = bn(x1)", "y = bn(x2)"),
            2,
            probe=program,
        ),
        Test(
            "uses them in evaluation",
            _batches(
                "y",
                "bn.running_mean = tensor([1.0, 2.0])",
                "bn.running_var = tensor([0.5, 4.0])",
                "bn.training = False",
                "y = bn(x1)",
            ),
            2,
            probe=program,
        ),
        Test(
            "leaves them alone in evaluation",
            _batches(AVERAGES, "bn.training = False", "y = bn(x1)"),
            probe=program,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "uses the batch in evaluation",
            _norm_with(__call__=_always_the_batch),
            "in evaluation you still use the batch's own mean and variance, so an answer depends "
            "on its neighbours; use the running averages when `training` is False",
        ),
        Mistake(
            "learns in evaluation",
            _norm_with(__call__=_always_updates),
            "your running averages move in evaluation too, so the test data leak into the model; "
            "update them only when `training` is True",
        ),
        Mistake(
            "uses the averages in training",
            _norm_with(__call__=_always_the_averages),
            "in training you normalise by the running averages; a training batch is normalised "
            "by its own mean and variance",
        ),
        Mistake(
            "keeps the biased variance",
            _norm_with(population=lambda self, x, var: var),
            "your running variance divides by B; it estimates the variance of all data, so it "
            "takes the one that divides by B - 1",
        ),
        Mistake(
            "normalises by the unbiased variance",
            _norm_with(
                statistics=lambda self, x: (x.mean(0), x.var(0)),
                population=lambda self, x, var: var,
            ),
            "you normalise by the variance that divides by B - 1, which is torch's default; the "
            "batch is normalised with correction=0, and B - 1 is for the running average",
        ),
        Mistake(
            "swaps the momentum",
            _norm_with(share=lambda self: 1 - self.momentum),
            "you swapped the weights of old and new: momentum is the weight of the newest batch, "
            "1 - momentum that of the average so far",
        ),
        Mistake(
            "keeps the last batch",
            _norm_with(share=lambda self: 1.0),
            "you overwrote the averages by the last batch; the new value gets the weight "
            "`momentum`, the old one keeps 1 - momentum",
        ),
        Mistake(
            "keeps nothing",
            _norm_with(share=lambda self: 0.0),
            "your running averages never move; update them with each training batch",
        ),
        Mistake(
            "adds eps outside of the root",
            _norm_with(root=lambda self, var: var.sqrt() + self.eps),
            "you added eps to the standard deviation; it belongs to the variance, under the root",
        ),
        Mistake(
            "normalises over the features",
            _norm_with(
                statistics=lambda self, x: (
                    x.mean(1, keepdim=True),
                    x.var(1, correction=0, keepdim=True),
                )
            ),
            "you normalised each row over its features, which is layer norm; each feature is "
            "normalised over the batch, axis 0",
        ),
        Mistake(
            "forgets scale and shift",
            _norm_with(finish=lambda self, x: x),
            "you forgot the weight and the bias; return self.weight * normalised + self.bias",
        ),
    ],
)


# 6.10 choose_ridge

HIDDEN_ROWS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 1.0], [3.0, 3.0]], dtype=torch.float64)
PENALTIES = (0.01, 0.5, 20.0)
Line = tuple[Tensor, Tensor]


def _predicts(args: tuple, value: object) -> Tensor:
    """The answers on rows that the learner has not seen: judged by them, not by its numbers."""
    w, b = parts(value, *LINE)
    return HIDDEN_ROWS @ numbers("w", w, (2,)) + numbers("b", b, ())


def _squared_error(X: Tensor, y: Tensor, line: Line) -> float:
    w, b = line
    return (X.double() @ w + b - y.double()).square().mean().item()


def _chosen(score: Callable[..., float]) -> Callable[..., Line]:
    """The fit with the least score."""

    def choose(X: Tensor, y: Tensor, X_valid: Tensor, y_valid: Tensor, penalties: tuple) -> Line:
        fits = [(l2, _ridge()(X, y, l2)) for l2 in penalties]
        return min(fits, key=lambda fit: score(X, y, X_valid, y_valid, *fit))[1]

    return choose


def _on_valid(X: Tensor, y: Tensor, X_valid: Tensor, y_valid: Tensor, l2: float, line: Line):
    return _squared_error(X_valid, y_valid, line)


def _on_training(X: Tensor, y: Tensor, X_valid: Tensor, y_valid: Tensor, l2: float, line: Line):
    return _squared_error(X, y, line)


def _with_penalty(X: Tensor, y: Tensor, X_valid: Tensor, y_valid: Tensor, l2: float, line: Line):
    return _squared_error(X_valid, y_valid, line) + l2 * line[0].square().sum().item()


def _refitted(X: Tensor, y: Tensor, X_valid: Tensor, y_valid: Tensor, penalties: tuple) -> Line:
    rows = torch.cat([X, X_valid]), torch.cat([y, y_valid])
    errors = {l2: _squared_error(X_valid, y_valid, _ridge()(X, y, l2)) for l2 in penalties}
    return _ridge()(*rows, min(errors, key=errors.get))


def _fitted_on_valid(X: Tensor, y: Tensor, *rest: Any) -> Line:
    X_valid, y_valid, penalties = rest
    return _chosen(_on_valid)(X_valid, y_valid, X_valid, y_valid, penalties)


def _wanting(wanted: int) -> Callable[[Generator], list[tuple]]:
    """Rows for which this penalty is best by far, and not best if the penalty is counted in."""

    def cases(g: Generator) -> list[tuple]:
        while True:
            X, X_valid = normal(g, 200, 5, 2), normal(g, 200, 5, 2)  # two hundred draws at once
            w = normal(g, 200, 2, 1) * (1.0, 1.0, 0.2)[wanted]
            noise = (0.1, 0.8, 1.5)[wanted]
            y, y_valid = ((Z @ w)[..., 0] + noise * normal(g, 200, 5) for Z in (X, X_valid))
            y, y_valid = y.round(decimals=2), y_valid.round(decimals=2)
            error, length = _of_every_penalty(X, y, X_valid, y_valid)  # (200, 3)
            fits = error.argmin(1) == wanted
            fits &= error.sort(1).values[:, 1] > 1.1 * error.min(1).values
            if wanted == 1:
                fits &= (error + torch.tensor(PENALTIES) * length).argmin(1) != wanted
            if fits.any():
                k = fits.nonzero()[0, 0]
                return [(X[k], y[k], X_valid[k], y_valid[k], PENALTIES)]

    return cases


def _of_every_penalty(X: Tensor, y: Tensor, X_valid: Tensor, y_valid: Tensor) -> tuple:
    """Validation error, and squared length of the weights, for stacks of rows."""
    X, y, X_valid, y_valid = (t.double() for t in (X, y, X_valid, y_valid))
    X_mean, y_mean = X.mean(1, keepdim=True), y.mean(1, keepdim=True)
    X_c, y_c = X - X_mean, y - y_mean
    A = (X_c.mT @ X_c / 5)[:, None] + torch.tensor(PENALTIES)[:, None, None] * torch.eye(2)
    w = torch.linalg.solve(A, (X_c.mT @ y_c[..., None] / 5)[:, None])  # (n, 3, 2, 1)
    y_hat = ((X_valid - X_mean)[:, None] @ w)[..., 0] + y_mean[:, None]  # (n, 3, 5)
    return (y_hat - y_valid[:, None]).square().mean(-1), w.square().sum((-1, -2))


CHOOSE_RIDGE = Exercise(
    number="6.10",
    title="The strength that generalises",
    name="choose_ridge",
    difficulty=4,
    minutes=30,
    reference=_chosen(_on_valid),
    tests=[
        Test(
            "predicts unseen rows where a middling penalty is best",
            _wanting(1),
            3,
            _predicts,
            atol=1e-4,
        ),
        Test(
            "predicts unseen rows where a strong penalty is best",
            _wanting(2),
            2,
            _predicts,
            atol=1e-4,
        ),
    ],
    mistakes=[
        Mistake(
            "chooses by the training error",
            _chosen(_on_training),
            "you chose the weakest penalty, as the error on the training rows always does; "
            "choose the least error on the validation rows",
        ),
        Mistake(
            "counts the penalty when it judges",
            _chosen(_with_penalty),
            "you added the penalty to the validation error; it is part of training only, "
            "a prediction is judged by its error alone",
        ),
        Mistake(
            "refits on all rows",
            _refitted,
            "the penalty is right, but you refitted on all rows; return the fit to the training "
            "rows that you judged",
        ),
        Mistake(
            "fits to the validation rows",
            _fitted_on_valid,
            "you fitted to the validation rows and judged on them; fit to X and y, and keep the "
            "validation rows for the choice",
        ),
    ],
)

EXERCISES = (
    STANDARDIZE_WITH,
    SOFT_THRESHOLD,
    RIDGE,
    DROPOUT,
    EARLY_STOP,
    SHIFT,
    SMOOTH_CROSS_ENTROPY,
    LAYER_NORM,
    BATCH_NORM,
    CHOOSE_RIDGE,
)

check = checker(EXERCISES)
