"""The exercises of chapter 00_tensors: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/00_tensors.md. Shapes are uneven (B is not K,
T is not S), so that an axis taken for another shows.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import normal, whole
from .exercise import Exercise, Mistake, Test, checker, shapes
from .probes import gradient


def _distinct(g: Generator, *shape: int) -> Tensor:
    """Whole numbers from 1 on, each of them once."""
    return (torch.randperm(math.prod(shape), generator=g) + 1).float().reshape(shape)


def _draw(g: Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=g))


# 0.1 pick


def _labelled(g: Generator, *sizes: tuple[int, int]) -> list[tuple]:
    """Rows of distinct numbers; no label is the number of its row, and not all are the same."""
    return [(_distinct(g, B, K), (torch.arange(B) + _draw(g, 1, K - 1)) % K) for B, K in sizes]


def _picked(X: Tensor, y: Tensor) -> Tensor:
    return X[torch.arange(len(X)), y]


PICK = Exercise(
    number="0.1",
    title="To each row its own",
    name="pick",
    difficulty=1,
    minutes=5,
    reference=lambda X, y: X.gather(1, y[:, None])[:, 0],
    tests=[
        Test("picks from as many rows as columns", lambda g: _labelled(g, (3, 3))),
        Test("picks from any number of rows", lambda g: _labelled(g, (4, 3), (2, 5))),
        Test(
            "gives one number a row",
            lambda g: _labelled(g, (4, 3), (3, 4)),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "takes all labels from each row",
            lambda X, y: X[:, y],
            "you wrote X[:, y], which takes every label's column from every row: shape (B, B); "
            "pair row b with label b: X[torch.arange(B), y]",
        ),
        Mistake(
            "takes whole rows",
            lambda X, y: X[y],
            "you wrote X[y], which takes whole rows, as if the labels were numbers of rows; "
            "give both indices: X[torch.arange(B), y]",
        ),
        Mistake(
            "swaps rows and columns",
            lambda X, y: X[y, torch.arange(len(y))],
            "you put the label first; the first index counts rows, the second columns: "
            "X[torch.arange(B), y]",
        ),
        Mistake(
            "takes one column",
            lambda X, y: X[:, y[0]],
            "you took the first row's label for all rows; each row has a label of its own: "
            "X[torch.arange(B), y]",
        ),
        Mistake(
            "takes the greatest",
            lambda X, y: X.max(1).values,
            "you took the greatest number of each row; take the one at the row's label, "
            "however small it is",
        ),
        Mistake(
            "counts labels from one",
            lambda X, y: _picked(X, y - 1),
            "your labels are off by one: label 0 is the first column, "
            "so use y as it comes, not y - 1",
        ),
        Mistake(
            "answers in a column",
            lambda X, y: _picked(X, y)[:, None],
            "your numbers are right but stand in a column of shape (B, 1); "
            "take the last axis away, with [:, 0]",
        ),
    ],
)


# 0.2 one_hot


def _every_class(g: Generator) -> list[tuple]:
    """More labels than classes; label 2, which no other wrong number can stand for, is there."""
    y = torch.cat([torch.randperm(3, generator=g), torch.randint(0, 3, (2,), generator=g)])
    return [(y, 3)]


def _missing_class(g: Generator) -> list[tuple]:
    return [(torch.randint(0, 3, (2,), generator=g), 5)]


def _no_truth_values(args: tuple, value: object) -> str | None:
    if isinstance(value, Tensor) and value.dtype == torch.bool:
        return "returned True and False, expected the numbers 0 and 1"
    return None


def _set_to(value: float | None = None):
    """Write into zeros, row b at its label: a number, or the label itself."""

    def one_hot(y: Tensor, K: int) -> Tensor:
        out = torch.zeros(len(y), K)
        out[torch.arange(len(y)), y] = y.float() if value is None else value
        return out

    return one_hot


def _set_rows(y: Tensor, K: int) -> Tensor:
    out = torch.zeros(len(y), K)
    out[y] = 1.0
    return out


def _set_columns(y: Tensor, K: int) -> Tensor:
    out = torch.zeros(len(y), K)
    out[:, y] = 1.0
    return out


ONE_HOT = Exercise(
    number="0.2",
    title="One hot",
    name="one_hot",
    difficulty=1,
    minutes=10,
    reference=lambda y, K: F.one_hot(y, K).float(),
    tests=[
        Test("puts a 1 at the label, 0 elsewhere", _every_class, points=2),
        Test("has a column for a class that nobody has", _missing_class),
        Test("answers with numbers", _every_class, judge=_no_truth_values, property=True),
    ],
    mistakes=[
        Mistake(
            "counts the classes that it sees",
            lambda y, K: F.one_hot(y).float(),
            "you took the number of classes from the labels, and the last classes may be missing; "
            "make K columns, whatever the labels are",
        ),
        Mistake(
            "sets whole rows",
            _set_rows,
            "out[y] = 1 fills whole rows, as if the labels were numbers of rows; "
            "give both indices: out[torch.arange(B), y] = 1",
        ),
        Mistake(
            "sets whole columns",
            _set_columns,
            "out[:, y] = 1 writes 1 into every row of these columns; pair row b with its label: "
            "out[torch.arange(B), y] = 1, or compare y[:, None] with torch.arange(K)",
        ),
        Mistake(
            "turns rows into columns",
            lambda y, K: F.one_hot(y, K).float().T,
            "you have a row for each class; there must be a row for each label: "
            "it is y that needs the new last axis, y[:, None]",
        ),
        Mistake(
            "compares without a new axis",
            lambda y, K: (y == torch.arange(K)).float(),
            "y of shape (B,) meets torch.arange(K) entry by entry; to compare each with each, "
            "make y a column: y[:, None] == torch.arange(K)",
        ),
        Mistake(
            "writes the label",
            _set_to(),
            "you wrote the label itself where a 1 belongs, "
            "so class 2 would count double and class 0 not at all; write 1",
        ),
        Mistake(
            "counts labels from one",
            lambda y, K: _set_to(1.0)(y - 1, K),
            "your ones stand a column too far to the left, and label 0 wraps around to the last; "
            "labels count from 0, so use y, not y - 1",
        ),
        Mistake(
            "makes one row for all labels",
            lambda y, K: torch.zeros(K).index_fill(0, y, 1.0),
            "you have one row that marks every class that occurs; "
            "each label has a row of its own, B rows of K numbers",
        ),
        Mistake(
            "returns truth values",
            lambda y, K: y[:, None] == torch.arange(K),
            "your answer is right, but in True and False, with which torch will not subtract; "
            "make numbers of them with .float()",
        ),
    ],
)


# 0.3 mse


def _lists(g: Generator) -> list[tuple]:
    return [(normal(g, B), normal(g, B)) for B in (3, 5)]


def _column(g: Generator) -> list[tuple]:
    return [(normal(g, B, 1), normal(g, B)) for B in (4, 2)]


def _error(y_hat: Tensor, y: Tensor) -> Tensor:
    return y_hat.reshape(-1) - y


MSE = Exercise(
    number="0.3",
    title="A loss that looks at its shapes",
    name="mse",
    difficulty=2,
    minutes=10,
    reference=lambda y_hat, y: F.mse_loss(y_hat.reshape(y.shape), y),
    tests=[
        Test("is the mean of the squared errors", _lists),
        Test("compares each prediction with its own target", _column, points=2),
        Test("sends the right slope back", _column, probe=gradient),
    ],
    mistakes=[
        Mistake(
            "compares each with each",
            lambda y_hat, y: (y_hat - y).square().mean(),
            "a column (B, 1) minus a row (B,) is a table (B, B): each prediction is compared "
            "with every target. Give both the same shape first, with y_hat.reshape(y.shape)",
        ),
        Mistake(
            "sums",
            lambda y_hat, y: _error(y_hat, y).square().sum(),
            "you summed the squared errors; divide by their number, "
            "or the loss would grow with the batch: .mean()",
        ),
        Mistake(
            "squares the mean",
            lambda y_hat, y: _error(y_hat, y).mean().square(),
            "you averaged first and squared then, so that errors up and down cancel; "
            "square each error, then average",
        ),
        Mistake(
            "takes absolute values",
            lambda y_hat, y: _error(y_hat, y).abs().mean(),
            "you averaged the sizes of the errors; the mean squared error squares them",
        ),
        Mistake(
            "takes the root",
            lambda y_hat, y: _error(y_hat, y).square().mean().sqrt(),
            "you took the square root of the mean, which is the rms error; "
            "the mean squared error stops before the root",
        ),
        Mistake(
            "forgets the mean",
            lambda y_hat, y: _error(y_hat, y).square(),
            "you returned an error for each example; a loss is one number: take their mean",
        ),
        Mistake(
            "leaves an axis",
            lambda y_hat, y: sum((a - b) ** 2 for a, b in zip(y_hat, y, strict=True)) / len(y),
            "your number is right but has shape (1,), as each row of a column has; a loss has no "
            "axes: bring y_hat to y's shape first",
        ),
        Mistake(
            "halves",
            lambda y_hat, y: _error(y_hat, y).square().mean() / 2,
            "you halved the loss, as some books do for a simpler slope; "
            "the mean squared error is the mean and no half of it",
        ),
    ],
)


# 0.4 standardize


def _features(g: Generator) -> list[tuple]:
    return [(_distinct(g, 4, 3),), (_distinct(g, 3, 4),)]


def _with_constant(g: Generator) -> list[tuple]:
    X = _distinct(g, 4, 3)
    X[:, _draw(g, 0, 2)] = float(_draw(g, 1, 5))
    return [(X,)]


def _scaled(
    X: Tensor,
    dim: int | tuple[int, ...] = 0,
    correction: int = 0,
    power: int = 1,
    safe: bool = True,
) -> Tensor:
    """X minus mean over sd, with a choice of wrong turns."""
    sd = X.std(dim, keepdim=True, correction=correction)
    if safe:
        sd = torch.where(sd == 0, 1, sd)
    return (X - X.mean(dim, keepdim=True)) / sd**power


STANDARDIZE = Exercise(
    number="0.4",
    title="Every feature on one scale",
    name="standardize",
    difficulty=2,
    minutes=15,
    reference=lambda X: _scaled(X),
    tests=[
        Test("has mean 0 and sd 1 down each column", _features, points=2),
        Test("turns a constant column into zeros", _with_constant),
        Test("keeps the shape", _features, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "divides zero by zero",
            partial(_scaled, safe=False),
            "a constant column has sd 0, and 0 / 0 is NaN; "
            "divide by 1 there: torch.where(sd == 0, 1, sd)",
        ),
        *[
            Mistake(
                f"takes all numbers together, B - {correction}",
                partial(_scaled, dim=(0, 1), correction=correction),
                "you took one mean and one sd of all numbers; "
                "each feature, a column, has its own: use dim 0",
            )
            for correction in (0, 1)
        ],
        *[
            Mistake(
                f"works along the rows, D - {correction}",
                partial(_scaled, dim=1, correction=correction),
                "you averaged along each row, over the features of one example; "
                "average down the columns, over the examples: dim 0",
            )
            for correction in (0, 1)
        ],
        Mistake(
            "works along the rows without keepdim",
            lambda X: (X - X.mean(1)) / X.std(1, correction=0),
            "your X.mean(1) has one number a row, shape (B,), which lines up with the columns; "
            "the mean of each feature is X.mean(0), shape (D,), and that fits",
        ),
        *[
            Mistake(
                "divides by B - 1" + " and by zero" * (not safe),
                partial(_scaled, correction=1, safe=safe),
                "torch's std divides by B - 1 unless told otherwise; here s² is a mean over B: "
                "X.std(0, correction=0)",
            )
            for safe in (True, False)
        ],
        *[
            Mistake(
                f"forgets the brackets, B - {correction}",
                lambda X, correction=correction: X - X.mean(0) / X.std(0, correction=correction),
                "you divided the mean alone: / goes before -, so put brackets: (X - mean) / sd",
            )
            for correction in (0, 1)
        ],
        Mistake(
            "divides by the variance",
            partial(_scaled, power=2),
            "you divided by the variance; divide by its square root, the standard deviation",
        ),
        Mistake(
            "only centres",
            lambda X: X - X.mean(0),
            "you subtracted the mean and stopped; divide by the standard deviation of each column",
        ),
        Mistake(
            "only divides",
            lambda X: X / torch.where(X.std(0) == 0, 1, X.std(0, correction=0)),
            "you divided by the sd without subtracting the mean first, "
            "so the columns are not centred",
        ),
    ],
)


# 0.5 masked_mean


def _padded(g: Generator, *sizes: tuple[int, int, int]) -> list[tuple]:
    """The first sequence has 2 of T steps, the second one alone; padding is not zero."""
    cases = []
    for B, T, D in sizes:
        lengths = torch.randint(1, T + 1, (B,), generator=g)
        lengths[0], lengths[1:2] = 2, 1
        cases.append((normal(g, B, T, D), lengths))
    return cases


def _mask(X: Tensor, lengths: Tensor) -> Tensor:
    """1 where a step belongs to its sequence, shape (B, T, 1)."""
    return (torch.arange(X.shape[1]) < lengths[:, None]).float()[:, :, None]


def _mean_of_steps(X: Tensor, lengths: Tensor) -> Tensor:
    return (X * _mask(X, lengths)).sum(1) / lengths[:, None]


MASKED_MEAN = Exercise(
    number="0.5",
    title="A mean without the padding",
    name="masked_mean",
    difficulty=3,
    minutes=20,
    reference=lambda X, lengths: _mean_of_steps(X, lengths),
    tests=[
        Test("averages the steps of one sequence", lambda g: _padded(g, (1, 4, 3))),
        Test(
            "gives each sequence its own length",
            lambda g: _padded(g, (2, 3, 2), (3, 4, 1)),
            points=2,
        ),
        Test(
            "gives D numbers a sequence",
            lambda g: _padded(g, (2, 3, 2)),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "divides by T",
            lambda X, lengths: (X * _mask(X, lengths)).mean(1),
            "you silenced the padding but still divided by T; "
            "divide each sum by the length of its sequence",
        ),
        Mistake(
            "averages the padding too",
            lambda X, lengths: X.mean(1),
            "you averaged over all T steps, padding included; "
            "count only the steps below the sequence's length",
        ),
        Mistake(
            "cuts all at the longest",
            lambda X, lengths: X[:, : lengths.max()].mean(1),
            "you cut all sequences at the longest length, so the shorter ones still average their "
            "padding; each has a length of its own",
        ),
        Mistake(
            "counts one step too many",
            lambda X, lengths: (X * _mask(X, lengths + 1)).sum(1) / lengths[:, None],
            "your mask lets one step of padding through: steps count from 0, "
            "so a sequence of length 2 has steps 0 and 1; use <, not <=",
        ),
        Mistake(
            "takes one step too many",
            lambda X, lengths: _mean_of_steps(X, (lengths + 1).clamp(max=X.shape[1])),
            "you averaged one step too many: a slice leaves out its end, "
            "so x[:n] has n steps already",
        ),
        Mistake(
            "averages the features too",
            lambda X, lengths: _mean_of_steps(X, lengths).mean(-1),
            "you have one number a sequence: your mean ran over the features as well; "
            "average over the steps alone and keep the last axis",
        ),
        Mistake(
            "only sums",
            lambda X, lengths: (X * _mask(X, lengths)).sum(1),
            "you returned the sum of the steps; divide it by the length",
        ),
        Mistake(
            "divides by all lengths together",
            lambda X, lengths: (X * _mask(X, lengths)).sum(1) / lengths.sum(),
            "you divided by the steps of the whole batch; "
            "each sequence has its own length: lengths[:, None]",
        ),
        Mistake(
            "takes the last step",
            lambda X, lengths: X[torch.arange(len(X)), lengths - 1],
            "you took the last step of each sequence; average all of its steps",
        ),
        Mistake(
            "gives the mask no third axis",
            lambda X, lengths: (X * _mask(X, lengths)[:, :, 0]).sum(1) / lengths[:, None],
            "a mask (B, T) meets X (B, T, D) from the right, T against D; "
            "give it a last axis of length 1: mask[:, :, None]",
        ),
        Mistake(
            "divides without a new axis",
            lambda X, lengths: (X * _mask(X, lengths)).sum(1) / lengths,
            "sums (B, D) and lengths (B,) line up from the right, D against B; "
            "make the lengths a column: lengths[:, None]",
        ),
    ],
)


# 0.6 distances


def _points(g: Generator, *sizes: tuple[int, int, int]) -> list[tuple]:
    return [(whole(g, B, D), whole(g, M, D)) for B, M, D in sizes]


def _same_points(g: Generator) -> list[tuple]:
    X = whole(g, 3, 2)
    return [(X, X.clone())]


def _pairs(X: Tensor, Y: Tensor) -> Tensor:
    return X[:, None] - Y  # (B, M, D)


DISTANCES = Exercise(
    number="0.6",
    title="All distances at once",
    name="distances",
    difficulty=3,
    minutes=15,
    reference=lambda X, Y: torch.cdist(X, Y, compute_mode="donot_use_mm_for_euclid_dist"),
    tests=[
        Test("measures from each point to each", lambda g: _points(g, (2, 3, 4), (4, 2, 3)), 2),
        Test("is 0 from a point to itself", _same_points),
        Test(
            "has a row for each point of X",
            lambda g: _points(g, (2, 4, 3)),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "forgets the root",
            lambda X, Y: _pairs(X, Y).square().sum(-1),
            "these are squared distances; take the square root of each sum",
        ),
        Mistake(
            "squares the sum",
            lambda X, Y: _pairs(X, Y).sum(-1).square().sqrt(),
            "you summed the differences first, where up and down cancel; "
            "square each difference, then sum, then take the root",
        ),
        Mistake(
            "walks along the streets",
            lambda X, Y: _pairs(X, Y).abs().sum(-1),
            "you summed the sizes of the differences, the way a taxi drives; "
            "the straight line is the root of the sum of squares",
        ),
        Mistake(
            "turns the table",
            lambda X, Y: _pairs(Y, X).square().sum(-1).sqrt(),
            "your table has a row for each point of Y; X comes first: "
            "the new axis goes into X, X[:, None] - Y",
        ),
        Mistake(
            "goes row by row",
            lambda X, Y: (X - Y).square().sum(-1).sqrt(),
            "your X - Y pairs row with row; to pair each with each, give X a new axis: "
            "X[:, None] - Y has shape (B, M, D)",
        ),
        Mistake(
            "sums over the points",
            lambda X, Y: _pairs(X, Y).square().sum(1).sqrt(),
            "you summed over the points of Y, axis 1; sum over the coordinates, the last axis",
        ),
        Mistake(
            "sums everything",
            lambda X, Y: _pairs(X, Y).square().sum().sqrt(),
            "you summed over all pairs, which leaves one number; "
            "sum over the coordinates alone, the last axis: dim=-1",
        ),
        Mistake(
            "averages the squares",
            lambda X, Y: _pairs(X, Y).square().mean(-1).sqrt(),
            "you averaged the squared differences; a distance sums them",
        ),
    ],
)


# 0.7 scores


def _queries(g: Generator, *sizes: tuple[int, int, int, int]) -> list[tuple]:
    return [(whole(g, B, T, D), whole(g, B, S, D)) for B, T, S, D in sizes]


def _products(equation: str, power: float = 0.5):
    """An answer by an equation, divided by a power of D."""
    return lambda Q, K: torch.einsum(equation, Q, K) / Q.shape[-1] ** power


SCORES = Exercise(
    number="0.7",
    title="Who listens to whom",
    name="scores",
    difficulty=3,
    minutes=15,
    reference=lambda Q, K: torch.bmm(Q, K.transpose(1, 2)) / math.sqrt(Q.shape[-1]),
    tests=[
        Test("scores each query by each key", lambda g: _queries(g, (1, 3, 2, 4))),
        Test(
            "keeps the members of a batch apart",
            lambda g: _queries(g, (2, 3, 1, 2), (3, 1, 2, 2)),
            points=2,
        ),
        Test(
            "has a row for each query",
            lambda g: _queries(g, (2, 2, 3, 2)),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "turns the table",
            _products("btd,bsd->bst"),
            "your rows are the keys; a row belongs to a query: "
            "name the letters of the result in the order b, t, s",
        ),
        Mistake(
            "sums over the batch",
            _products("btd,bsd->ts"),
            "you left b out of the result, so einsum summed over the batch; "
            "a letter that is to stay must stand behind the arrow: bts",
        ),
        Mistake(
            "does not scale",
            _products("btd,bsd->bts", 0),
            "your products are right but not scaled; divide by the square root of D",
        ),
        Mistake(
            "divides by D",
            _products("btd,bsd->bts", 1),
            "you divided by D; divide by its square root",
        ),
        Mistake(
            "divides by the root of T",
            lambda Q, K: torch.einsum("btd,bsd->bts", Q, K) / math.sqrt(Q.shape[1]),
            "you divided by the root of T, the number of queries; "
            "D is the length of the last axis: Q.shape[-1]",
        ),
        Mistake(
            "multiplies by the root",
            _products("btd,bsd->bts", -0.5),
            "you multiplied by the square root of D; divide by it, "
            "so that scores do not grow with D",
        ),
        Mistake(
            "mixes the batch",
            _products("btd,csd->btcs"),
            "you scored queries against the keys of other members of the batch; "
            "both have the same first axis, so give it the same letter b",
        ),
        Mistake(
            "goes step by step",
            lambda Q, K: (Q * K).sum(-1) / math.sqrt(Q.shape[-1]),
            "your Q * K pairs each query with the key at its own place; "
            "each query meets every key: give T and S letters of their own, btd,bsd->bts",
        ),
        Mistake(
            "goes on to the softmax",
            lambda Q, K: _products("btd,bsd->bts")(Q, K).softmax(-1),
            "you applied a softmax, which is the next step of attention; return the bare scores",
        ),
        Mistake(
            "does not transpose the keys",
            lambda Q, K: Q @ K / math.sqrt(Q.shape[-1]),
            "your Q @ K sums the last axis of Q against the middle axis of K; "
            "both have D last, so turn K first: Q @ K.transpose(1, 2)",
        ),
    ],
)


# 0.8 windows


def _series(g: Generator, *sizes: tuple[int, int, int, int]) -> list[tuple]:
    return [(_distinct(g, B, T), size, step) for B, T, size, step in sizes]


def _number(x: Tensor, size: int, step: int) -> int:
    return (x.shape[1] - size) // step + 1


def _by_index(x: Tensor, n: int, size: int, between: int, within: int = 1) -> Tensor:
    """So many windows, so far between their starts and between the numbers within."""
    return x[:, between * torch.arange(n)[:, None] + within * torch.arange(size)]


def _wrapped(x: Tensor, size: int, step: int) -> Tensor:
    n = len(range(0, x.shape[1], step))  # a window for each start
    return _by_index(x.repeat(1, 2), n, size, step)


WINDOWS = Exercise(
    number="0.8",
    title="Moving windows",
    name="windows",
    difficulty=4,
    minutes=25,
    reference=lambda x, size, step: x.unfold(1, size, step),
    tests=[
        Test("moves by one", lambda g: _series(g, (1, 5, 3, 1), (2, 5, 2, 1))),
        Test("moves by a step and drops what is left", lambda g: _series(g, (2, 6, 3, 2)), 2),
        Test("may leave gaps", lambda g: _series(g, (1, 11, 2, 4))),
        Test(
            "has shape (B, N, size)",
            lambda g: _series(g, (2, 6, 3, 2)),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "moves by one always",
            lambda x, size, step: x.unfold(1, size, 1),
            "you cut all windows, one after every number; window i begins at i times step, "
            "so only every step-th of them is asked for",
        ),
        Mistake(
            "begins at i",
            lambda x, size, step: _by_index(x, _number(x, size, step), size, 1),
            "you have the right number of windows, but they move by 1; "
            "window i begins at i times step",
        ),
        Mistake(
            "steps within the window",
            lambda x, size, step: _by_index(x, _number(x, size, step), size, 1, step),
            "you took the step between the numbers of a window; it belongs between the starts: "
            "within a window the numbers are neighbours",
        ),
        Mistake(
            "cuts into blocks",
            lambda x, size, step: x.unfold(1, size, size),
            "your windows stand side by side; the next one begins after `step` numbers, "
            "not after `size`, so they may overlap or leave gaps",
        ),
        Mistake(
            "leaves out the last",
            lambda x, size, step: _by_index(x, _number(x, size, step) - 1, size, step),
            "the last window is missing: the starts 0, step, ... up to T - size fit, "
            "that is (T - size) // step + 1 of them",
        ),
        Mistake(
            "runs over the end",
            lambda x, size, step: _by_index(x, _number(x, size, step) + 1, size, step),
            "your last window reads behind the end of the series; "
            "there is room for (T - size) // step + 1 of them",
        ),
        Mistake(
            "wraps around",
            _wrapped,
            "your last windows go on at the beginning of the series; "
            "drop those that are not full: (T - size) // step + 1 are left",
        ),
        Mistake(
            "keeps what is not full",
            lambda x, size, step: torch.stack(
                [x[:, i : i + size] for i in range(0, x.shape[1], step)], 1
            ),
            "your last windows are cut off by the end of the series, and torch cannot stack "
            "windows of unequal length; the last start that fits is T - size",
        ),
        Mistake(
            "stops before the last start",
            lambda x, size, step: torch.stack(
                [x[:, i : i + size] for i in range(0, x.shape[1] - size, step)], 1
            ),
            "range stops before its end, and T - size is a start that still fits: "
            "range(0, T - size + 1, step)",
        ),
        Mistake(
            "counts windows before the batch",
            lambda x, size, step: x.unfold(1, size, step).transpose(0, 1),
            "your first axis counts the windows; the batch comes first, shape (B, N, size): "
            "stack along dim 1",
        ),
        Mistake(
            "turns the windows",
            lambda x, size, step: x.unfold(1, size, step).transpose(1, 2),
            "your windows stand in the columns; the result has a row for each window: "
            "starts[:, None] + offsets, not starts + offsets[:, None]",
        ),
        Mistake(
            "runs across the rows",
            lambda x, size, step: x.flatten().unfold(0, size, step),
            "you made one long series of the batch, so windows run from one row into the next; "
            "keep the first axis: x[:, index]",
        ),
    ],
)

EXERCISES = (PICK, ONE_HOT, MSE, STANDARDIZE, MASKED_MEAN, DISTANCES, SCORES, WINDOWS)

check = checker(EXERCISES)
