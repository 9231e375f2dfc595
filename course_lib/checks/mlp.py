"""The exercises of chapter 04_mlp: what they ask, how they are judged, what goes wrong.

The statements and the solutions stand in solutions/04_mlp.md. What is drawn at random by an answer
(first weights, the order of a batch) is judged by what must be true of it, not by its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .draws import nonzero, normal, uniform
from .exercise import Exercise, Mistake, Test, Unfit, checker, numbers, parts, shapes
from .probes import gradient, program
from .values import show

# 4.1 accuracy


def _answers(g: Generator, B: int, K: int, right: int) -> tuple[Tensor, Tensor]:
    """Logits without ties, and labels of which so many are where the largest logit is."""
    logits = torch.stack([torch.randperm(7, generator=g)[:K] - 3.0 for _ in range(B)])  # (B, K)
    shift = torch.randint(1, K, (B,), generator=g)
    shift[torch.randperm(B, generator=g)[:right]] = 0
    return logits, (logits.argmax(1) + shift) % K


def _graded(g: Generator) -> list[tuple]:
    return [_answers(g, 4, 3, 3), _answers(g, 3, 3, 1), _answers(g, 5, 2, 4)]


def _share(args: tuple, value: object) -> str | None:
    share = numbers("the accuracy", value, ())
    return None if 0 <= share <= 1 else f"returned {show(value)}, expected a share from 0 to 1"


ACCURACY = Exercise(
    number="4.1",
    title="How many are right",
    name="accuracy",
    difficulty=1,
    minutes=5,
    reference=lambda logits, y: torch.eq(logits.topk(1).indices.flatten(), y).double().mean(),
    tests=[
        Test("is the share of rows whose largest logit is the label's", _graded, 2),
        Test("is one number from 0 to 1", _graded, judge=_share, property=True),
    ],
    mistakes=[
        Mistake(
            "looks along the batch",
            lambda logits, y: (logits.argmax(0) == y).float().mean(),
            "argmax(0) finds the best example for each class; each example needs its best class, "
            "along the last axis: argmax(-1)",
        ),
        Mistake(
            "takes the argmax of the whole tensor",
            lambda logits, y: (logits.argmax() == y).float().mean(),
            "argmax() without an axis gives one place in the whole tensor; "
            "each row has an answer of its own: argmax(-1)",
        ),
        Mistake(
            "counts",
            lambda logits, y: (logits.argmax(-1) == y).float().sum(),
            "you counted the right answers; the accuracy is their share, so take the mean",
        ),
        Mistake(
            "answers in percent",
            lambda logits, y: 100 * (logits.argmax(-1) == y).float().mean(),
            "you answered in percent; a share from 0 to 1 is wanted, so leave out the 100",
        ),
        Mistake(
            "counts the wrong ones",
            lambda logits, y: (logits.argmax(-1) != y).float().mean(),
            "you returned the share of wrong answers, the error; the accuracy is 1 minus that",
        ),
        Mistake(
            "divides by all logits",
            lambda logits, y: (logits.argmax(-1) == y).sum() / logits.numel(),
            "you divided by the number of logits, B · K; each example counts once, "
            "so divide by B = len(y)",
        ),
        Mistake(
            "compares the logit itself",
            lambda logits, y: (logits.max(-1).values == y).float().mean(),
            "you compared the largest logit with the label; compare its place, the number of "
            "the class: argmax(-1)",
        ),
        Mistake(
            "does not average",
            lambda logits, y: (logits.argmax(-1) == y).float(),
            "you returned one verdict for each example; the accuracy is their mean, one number",
        ),
        Mistake(
            "averages truth values",
            lambda logits, y: (logits.argmax(-1) == y).mean(),
            "torch takes no mean of True and False; turn them into 1.0 and 0.0 first: .float()",
        ),
    ],
)


# 4.2 softmax

ROUNDING = 1e-3  # a float near 1,000 is a multiple of 6e-5, and its exponential is as uncertain


def _moderate(g: Generator) -> list[tuple]:
    return [(normal(g, 2, 3), 1), (normal(g, 3, 2), 0), (normal(g, 2, 2), -1), (normal(g, 2, 2), 0)]


def _far(g: Generator, rows: tuple[float, ...]) -> Tensor:
    """A row of three logits around each height: differences of the size of 1."""
    return torch.tensor(rows)[:, None] + normal(g, len(rows), 3)


def _huge(g: Generator) -> list[tuple]:
    z = _far(g, (1e3, -1e3, 0.0))
    return [(z, 1), (z.T.contiguous(), 0), (torch.tensor([[1e4, 0.0, -1e4]]), -1)]


def _shifted(z: Tensor, dim: int, shift: Tensor) -> Tensor:
    e = torch.exp(z - shift)
    return e / e.sum(dim, keepdim=True)


def _naive_softmax(z: Tensor, dim: int) -> Tensor:
    return _shifted(z, dim, torch.zeros(()))


def _sums(args: tuple, value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.ndim == 0:
        raise Unfit(f"returned {show(value)}, expected a tensor")
    return value.sum(args[1])


def _without_keepdim(z: Tensor, dim: int) -> Tensor:
    e = torch.exp(z - z.amax(dim, keepdim=True))
    return e / e.sum(dim)


SOFTMAX = Exercise(
    number="4.2",
    title="Probabilities that survive",
    name="softmax",
    difficulty=2,
    minutes=15,
    reference=lambda z, dim: torch.softmax(z, dim),
    tests=[
        Test("equals exp(z) / sum of exp(z) along dim", _moderate, 2),
        Test("has values for logits up to ±10,000, in each row", _huge, 2, rtol=ROUNDING),
        Test("has a slope there", _huge, probe=gradient, property=True, atol=ROUNDING),
        Test("sums to one along dim", _moderate, observe=_sums, property=True),
    ],
    mistakes=[
        Mistake(
            "subtracts nothing",
            _naive_softmax,
            "exp overflows for large logits, and infinity over infinity is NaN; subtract the "
            "maximum along dim first, which changes no probability",
        ),
        Mistake(
            "subtracts the maximum of the whole tensor",
            lambda z, dim: _shifted(z, dim, z.max()),
            "you subtracted the maximum of the whole tensor, so a row far below it rounds to "
            "0 / 0; each row needs its own: z.amax(dim, keepdim=True)",
        ),
        Mistake(
            "sums over the whole tensor",
            lambda z, dim: torch.softmax(z.flatten(), 0).view_as(z),
            "you divided by the sum over the whole tensor; sum along dim only, with keepdim=True",
        ),
        Mistake(
            "always takes the last axis",
            lambda z, dim: torch.softmax(z, -1),
            "you always normalise along the last axis; take the axis that dim names",
        ),
        Mistake(
            "always takes the first axis",
            lambda z, dim: torch.softmax(z, 0),
            "you always normalise along axis 0; take the axis that dim names",
        ),
        Mistake(
            "takes the other axis",
            lambda z, dim: torch.softmax(z, 1 - dim % 2),
            "you normalise along the other axis: .sum(dim) adds along dim, and that is the axis "
            "whose probabilities sum to one",
        ),
        Mistake(
            "forgets keepdim",
            _without_keepdim,
            "without keepdim=True the sum loses its axis, and the division lines it up with the "
            "wrong one: e.sum(dim, keepdim=True)",
        ),
        Mistake(
            "divides by the maximum",
            lambda z, dim: torch.softmax(z / z.amax(dim, keepdim=True), dim),
            "you divided by the maximum, which changes the probabilities; subtract it: "
            "exp(z - m) has the same ratios as exp(z)",
        ),
        Mistake(
            "subtracts the mean",
            lambda z, dim: _shifted(z, dim, z.mean(dim, keepdim=True)),
            "you subtracted the mean, above which a logit may still be large enough to overflow; "
            "subtract the maximum, and no exponent is above 0",
        ),
        Mistake(
            "clamps",
            lambda z, dim: _naive_softmax(z.clamp(-80, 80), dim),
            "clamping makes all large logits equal and loses their differences; "
            "subtract the maximum along dim instead, which loses nothing",
        ),
        Mistake(
            "replaces the NaN",
            lambda z, dim: torch.nan_to_num(_naive_softmax(z, dim)),
            "nan_to_num hides the overflow and puts 0 where a probability belongs; "
            "subtract the maximum along dim, and nothing overflows",
        ),
        Mistake(
            "forgets exp",
            lambda z, dim: z / z.sum(dim, keepdim=True),
            "you divided the logits by their sum, which gives negative numbers; "
            "take exp of them first",
        ),
        Mistake(
            "returns logarithms",
            lambda z, dim: torch.log_softmax(z, dim),
            "you returned the logarithms of the probabilities; take exp of them",
        ),
        Mistake(
            "does not normalise",
            lambda z, dim: torch.exp(z - z.amax(dim, keepdim=True)),
            "you did not divide by the sum, so the values are no probabilities; "
            "divide by the sum along dim",
        ),
    ],
)


# 4.3 cross_entropy


def _labelled(g: Generator) -> list[tuple]:
    """A batch that is not square, then one that is; labels that differ."""
    return [(normal(g, B, K), _labels(g, B, K)) for B, K in ((2, 3), (3, 3))]


def _labels(g: Generator, B: int, K: int) -> Tensor:
    return torch.randperm(K, generator=g)[:B]


def _sure(g: Generator) -> list[tuple]:
    """Rows far up and far down, and one that is sure of a wrong class."""
    wrong = torch.tensor([[1e4, 0.0, -1e4], [0.0, 1e4, 5.0]])
    return [(_far(g, (1e3, -1e3)), _labels(g, 2, 3)), (wrong, torch.tensor([2, 0]))]


def _picked(logp: Tensor, y: Tensor) -> Tensor:
    return logp[torch.arange(len(y)), y]


def _naive_log(z: Tensor, y: Tensor) -> Tensor:
    return -_picked(_naive_softmax(z, 1), y).log().mean()


def _naive_log_sum(z: Tensor, y: Tensor) -> Tensor:
    return (z.exp().sum(1).log() - _picked(z, y)).mean()


def _mean_of(surprise: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda z, y: surprise(z, y).mean()


NO_LOG_OF_A_PROBABILITY = (
    "a probability that rounds to 0 has the logarithm minus infinity; never take it: work with "
    "log p = z - m - log Σ exp(z - m)"
)

CROSS_ENTROPY = Exercise(
    number="4.3",
    title="The loss of a classifier",
    name="cross_entropy",
    difficulty=3,
    minutes=20,
    reference=lambda z, y: F.cross_entropy(z, y),
    tests=[
        Test("is the mean of -log p at the labels", _labelled, 2),
        Test("has a value when it is sure and wrong", _sure, 2, rtol=ROUNDING),
        Test(
            "has the slope of the formula",
            lambda g: _labelled(g) + _sure(g),
            probe=gradient,
            rtol=ROUNDING,
        ),
    ],
    mistakes=[
        Mistake(
            "takes the log of a softmax that overflows",
            _naive_log,
            "exp overflows for large logits; subtract each row's maximum first, and compute "
            "log p = z - m - log Σ exp(z - m) without going through p",
        ),
        Mistake(
            "takes the logarithm of zero",
            lambda z, y: -_picked(torch.softmax(z, 1), y).log().mean(),
            NO_LOG_OF_A_PROBABILITY,
        ),
        Mistake(
            "overflows in the sum",
            _naive_log_sum,
            "your algebra is right, but exp(z) overflows in the sum; subtract the row's maximum m "
            "before exp and add it after log, or call torch.logsumexp",
        ),
        *[
            Mistake(
                f"adds {epsilon} inside the logarithm",
                lambda z, y, e=epsilon: -(_picked(torch.softmax(z, 1), y) + e).log().mean(),
                "a small number inside the logarithm caps the loss, and its slope dies where the "
                "model is sure and wrong; " + NO_LOG_OF_A_PROBABILITY.partition("; ")[2],
            )
            for epsilon in (1e-6, 1e-8, 1e-9, 1e-12)
        ],
        Mistake(
            "sums over the batch",
            lambda z, y: F.cross_entropy(z, y, reduction="sum"),
            "you summed over the batch; the loss is the mean, so that it does not grow with the "
            "number of examples",
        ),
        Mistake(
            "averages over the classes",
            lambda z, y: F.cross_entropy(z, y, reduction="sum") / z.numel(),
            "you divided by B · K: a mean over classes too. Each example contributes one number, "
            "so divide by B alone",
        ),
        *[
            Mistake(
                f"normalises over the whole table, {how}",
                lambda z, y, log_sum=log_sum: log_sum(z) - _picked(z, y).mean(),
                "you took one log Σ exp(z) over the whole table; each example competes among its "
                "own classes: torch.logsumexp(z, 1)",
            )
            for how, log_sum in (
                ("safely", lambda z: z.flatten().logsumexp(0)),
                ("and overflows", lambda z: z.exp().sum().log()),
            )
        ],
        Mistake(
            "forgets the minus",
            lambda z, y: -F.cross_entropy(z, y),
            "your loss is negative and falls as the model gets worse; "
            "the surprise is minus the logarithm",
        ),
        Mistake(
            "takes the logit for the log-probability",
            lambda z, y: -_picked(z, y).mean(),
            "you averaged the logits of the labels; a log-probability is the logit less "
            "log Σ exp(z) of its row",
        ),
        Mistake(
            "takes the probability for its logarithm",
            lambda z, y: -_picked(torch.softmax(z, 1), y).mean(),
            "you averaged probabilities; the cross-entropy is minus their logarithm",
        ),
        Mistake(
            "normalises over the batch",
            lambda z, y: -_picked(torch.log_softmax(z, 0), y).mean(),
            "you normalised along the batch, axis 0; the classes of one example compete, "
            "so go along axis 1",
        ),
        Mistake(
            "picks every label in every row",
            lambda z, y: -torch.log_softmax(z, 1)[:, y].mean(),
            "logp[:, y] takes all labels from every row; each row has one: "
            "logp[torch.arange(len(y)), y]",
        ),
        Mistake(
            "averages over all classes",
            lambda z, y: -torch.log_softmax(z, 1).mean(),
            "you averaged -log p over all classes and left the labels out; "
            "pick the label's entry of each row",
        ),
        Mistake(
            "applies softmax twice",
            lambda z, y: F.cross_entropy(torch.softmax(z, 1), y),
            "you gave probabilities to something that applies softmax itself, so it was applied "
            "twice; give it the logits",
        ),
        Mistake(
            "counts in bits",
            lambda z, y: F.cross_entropy(z, y) / math.log(2),
            "you took the logarithm to base 2, which counts in bits; "
            "the loss is wanted in nats: torch.log",
        ),
        Mistake(
            "returns a Python number",
            lambda z, y: F.cross_entropy(z, y).item(),
            "the value is right, but .item() makes a plain number of it, and nothing can be "
            "learned through that; return the tensor",
        ),
        Mistake(
            "leaves autograd",
            lambda z, y: F.cross_entropy(z.detach(), y),
            "the value is right, but it was computed out of autograd's sight, so nothing can be "
            "learned through it; compute with tensors from z to the loss",
        ),
        Mistake(
            "does not average",
            lambda z, y: F.cross_entropy(z, y, reduction="none"),
            "you returned one number for each example; the loss is their mean",
        ),
    ],
)


# 4.4 cross_entropy_gradient


def _slope(z: Tensor, y: Tensor) -> Tensor:
    z = z.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(z, y), z)[0]


def _error(z: Tensor, y: Tensor) -> Tensor:
    return torch.softmax(z, 1) - F.one_hot(y, z.shape[1])


def _less_one(where: Callable[[Tensor], object]) -> Callable[[Tensor, Tensor], Tensor]:
    """The probabilities less 1 in the wrong places, over B."""

    def wrong(z: Tensor, y: Tensor) -> Tensor:
        p = torch.softmax(z, 1)
        p[where(y)] -= 1
        return p / len(y)

    return wrong


def _naive_error(z: Tensor, y: Tensor) -> Tensor:
    return (_naive_softmax(z, 1) - F.one_hot(y, z.shape[1])) / len(y)


def _row_sums(args: tuple, value: object) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != args[0].shape:
        raise Unfit(f"returned {show(value)}, expected a tensor of the shape of z")
    return value.sum(1).round(decimals=5) + 0.0  # no -0


CROSS_ENTROPY_GRADIENT = Exercise(
    number="4.4",
    title="The slope of the loss",
    name="cross_entropy_gradient",
    difficulty=3,
    minutes=15,
    reference=_slope,
    tests=[
        Test("is the slope of the mean loss by each logit", _labelled, 3),
        Test("has values for logits up to ±10,000", _sure, 1, rtol=ROUNDING),
        Test("sums to zero in each row", _labelled, observe=_row_sums, property=True),
    ],
    mistakes=[
        Mistake(
            "sums",
            lambda z, y: _error(z, y),
            "that is the slope of the sum; the loss is a mean over the batch, so divide by B",
        ),
        Mistake(
            "points downhill",
            lambda z, y: -_slope(z, y),
            "your signs are turned round: the slope is p - y, the prediction first; "
            "the minus of gradient descent belongs to the update",
        ),
        Mistake(
            "forgets the labels",
            lambda z, y: torch.softmax(z, 1) / len(y),
            "you returned the probabilities and left the labels out; "
            "subtract 1 at each row's label",
        ),
        Mistake(
            "divides by B and K",
            lambda z, y: _error(z, y) / z.numel(),
            "you divided by B · K; the loss is a mean over the examples alone, so divide by B",
        ),
        Mistake(
            "divides by the classes",
            lambda z, y: _error(z, y) / z.shape[1],
            "you divided by K, the number of classes; the mean is over the batch: divide by B",
        ),
        Mistake(
            "normalises over the batch",
            lambda z, y: (torch.softmax(z, 0) - F.one_hot(y, z.shape[1])) / len(y),
            "you normalised along the batch, axis 0; the classes of one example compete, "
            "so go along axis 1",
        ),
        Mistake(
            "overflows",
            _naive_error,
            "exp overflows for large logits; subtract each row's maximum before exp",
        ),
        Mistake(
            "differentiates by the probabilities",
            lambda z, y: -F.one_hot(y, z.shape[1]) / torch.softmax(z, 1) / len(y),
            "that is the slope by the probabilities, -1/p; the chain goes on through softmax to "
            "the logits, and p - y is left",
        ),
        Mistake(
            "keeps only the own slope of softmax",
            lambda z, y: _error(z, y) * torch.softmax(z, 1) * (1 - torch.softmax(z, 1)) / len(y),
            "you multiplied by p (1 - p), which belongs to the squared error; here it cancels "
            "against the logarithm's slope, and p - y is left",
        ),
        Mistake(
            "subtracts from whole rows",
            _less_one(lambda y: y),
            "p[y] picks whole rows by the labels; pick one entry in each row: "
            "p[torch.arange(len(y)), y]",
        ),
        Mistake(
            "subtracts from whole columns",
            _less_one(lambda y: (slice(None), y)),
            "p[:, y] picks the columns of all labels in every row; pick one entry in each row: "
            "p[torch.arange(len(y)), y]",
        ),
        Mistake(
            "subtracts the label's number",
            lambda z, y: (torch.softmax(z, 1) - y[:, None]) / len(y),
            "you subtracted the number of the class; a label stands for a row of zeros with a 1 "
            "at its place: F.one_hot(y, K)",
        ),
        Mistake(
            "returns the loss",
            lambda z, y: F.cross_entropy(z, y),
            "you returned the loss itself; wanted is its slope by each logit, of the shape of z",
        ),
    ],
)


# 4.5 minibatches


def _sizes(g: Generator) -> list[tuple]:
    seed = int(torch.randint(1000, (), generator=g))
    return [(23, 5, seed), (24, 6, seed + 1)]


def _indices(value: object) -> list[Tensor]:
    if not isinstance(value, tuple) or not value:
        raise Unfit(f"returned {show(value)}, expected a list of batches")
    batches = []
    for batch in value:
        batch = torch.as_tensor(batch)
        if batch.ndim != 1 or batch.is_floating_point() or batch.dtype == torch.bool:
            raise Unfit(f"a batch is {show(batch)}, expected a row of whole numbers")
        batches.append(batch.long())
    return batches


def _coverage(args: tuple, value: object) -> dict[str, bool]:
    rows = torch.cat(_indices(value))
    n = args[0]
    seen = set(rows.tolist())
    return {
        "every row comes": set(range(n)) <= seen,
        "a row comes twice": len(seen) < len(rows),
        "a number is no row": not seen <= set(range(n)),
    }


def _once_each(args: tuple, seen: dict[str, bool]) -> str | None:
    if seen["a number is no row"]:
        return f"a number stands for no row; the rows are 0 to {args[0] - 1}"
    wrong = [
        "some rows never come" * (not seen["every row comes"]),
        "some rows come twice" * seen["a row comes twice"],
    ]
    return ", ".join(filter(None, wrong)) or None


def _lengths(args: tuple, value: object) -> tuple[int, ...]:
    return tuple(len(batch) for batch in _indices(value))


def _order(args: tuple, value: object) -> dict[str, bool]:
    batches = _indices(value)
    rows = torch.cat(batches)
    sorted_rows = torch.cat([batch.sort().values for batch in batches])
    blocks = [int(batch.max() - batch.min()) == len(batch) - 1 for batch in batches]
    return {
        "the rows stand in their old order": torch.equal(rows, rows.sort().values),
        "each batch is in order": torch.equal(rows, sorted_rows),
        "each batch is a block of neighbours": len(batches) > 1 and all(blocks),
    }


def _again(g: Generator) -> list[tuple]:
    seed = int(torch.randint(1000, (), generator=g))
    calls = zip("abc", (seed, seed, seed + 1), strict=True)
    code = "; ".join(f"{name} = str(minibatches(20, 20, {s}))" for name, s in calls)
    return [("minibatches", code, "a == b, a == c")]


def _permuted(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=Generator().manual_seed(seed))


def _drawn_with_replacement(n: int, batch_size: int, seed: int) -> list[Tensor]:
    g = Generator().manual_seed(seed)
    return list(torch.randint(n, (n,), generator=g).split(batch_size))


def _shuffled_within(n: int, batch_size: int, seed: int) -> list[Tensor]:
    g = Generator().manual_seed(seed)
    blocks = torch.arange(n).split(batch_size)
    return [block[torch.randperm(len(block), generator=g)] for block in blocks]


def _shuffled_blocks(n: int, batch_size: int, seed: int) -> list[Tensor]:
    blocks = torch.arange(n).split(batch_size)
    return [blocks[i] for i in _permuted(len(blocks), seed)]


def _refilled(n: int, batch_size: int, seed: int) -> list[Tensor]:
    order = _permuted(n, seed)
    count = math.ceil(n / batch_size)
    return list(order.repeat(count * batch_size // n + 1)[: count * batch_size].split(batch_size))


MINIBATCHES = Exercise(
    number="4.5",
    title="Every row once",
    name="minibatches",
    difficulty=2,
    minutes=10,
    reference=lambda n, batch_size, seed: list(_permuted(n, seed).split(batch_size)),
    tests=[
        Test("has every row exactly once", _sizes, 1, _coverage, _once_each),
        Test("has batches of the size asked for, the last one shorter", _sizes, 1, _lengths),
        Test("mixes the rows", _sizes, 1, _order),
        Test("gives one order for a seed, and another for another", _again, probe=program),
    ],
    mistakes=[
        Mistake(
            "drops the last batch",
            lambda n, batch_size, seed: [
                _permuted(n, seed)[i : i + batch_size]
                for i in range(0, n - batch_size + 1, batch_size)
            ],
            "you dropped the last, shorter batch, so some rows are never seen in this epoch; "
            "keep it",
        ),
        Mistake(
            "does not shuffle",
            lambda n, batch_size, seed: list(torch.arange(n).split(batch_size)),
            "your rows stand in their old order, so a sorted file gives batches of one class; "
            "take a random permutation first: torch.randperm",
        ),
        Mistake(
            "draws with replacement",
            _drawn_with_replacement,
            "some rows come twice and others never: cut one random order, drawn once before the "
            "loop with torch.randperm; torch.randint, or a new order for each batch, draws rows "
            "again",
        ),
        Mistake(
            "shuffles within the batches",
            _shuffled_within,
            "you shuffled inside each batch, so the same rows always meet; "
            "shuffle all rows first, then cut",
        ),
        Mistake(
            "shuffles the batches",
            _shuffled_blocks,
            "you shuffled the batches as blocks, so neighbours stay together; "
            "shuffle all rows first, then cut",
        ),
        Mistake(
            "fills the last batch up",
            _refilled,
            "you filled the last batch with rows that had come already; let it be shorter",
        ),
        Mistake(
            "makes batch_size batches",
            lambda n, batch_size, seed: list(_permuted(n, seed).chunk(batch_size)),
            "you cut the rows into batch_size pieces (chunk); wanted are pieces of batch_size "
            "rows: split, or a step of batch_size",
        ),
        Mistake(
            "draws from the global generator",
            lambda n, batch_size, seed: list(torch.randperm(n).split(batch_size)),
            "you left the seed out, so the order depends on what was drawn before; "
            "use torch.Generator().manual_seed(seed)",
        ),
        Mistake(
            "seeds with a constant",
            lambda n, batch_size, seed: list(_permuted(n, 0).split(batch_size)),
            "your order is the same for every seed, so every epoch sees the same batches; "
            "seed the generator with `seed`",
        ),
        Mistake(
            "counts from one",
            lambda n, batch_size, seed: list((_permuted(n, seed) + 1).split(batch_size)),
            "you counted the rows from 1; the first row of a tensor has the number 0",
        ),
        Mistake(
            "returns the order uncut",
            lambda n, batch_size, seed: [_permuted(n, seed)],
            "you returned all rows as one batch; cut the order into pieces of batch_size rows",
        ),
    ],
)


# 4.6 init_weights


def _layers(g: Generator, kind: str) -> list[tuple]:
    seed = int(torch.randint(1000, (), generator=g))
    return [(200, 100, kind, seed), (100, 200, kind, seed + 1)]


def _wanted_std(fan_in: int, fan_out: int, kind: str) -> float:
    return math.sqrt(2 / fan_in) if kind == "he" else math.sqrt(2 / (fan_in + fan_out))


# Standard deviations that come of well-known mistakes, so that each draw of them looks the same.
SPREADS = {
    "xavier": lambda i, o: math.sqrt(2 / (i + o)),
    "he": lambda i, o: math.sqrt(2 / i),
    "he of the outputs": lambda i, o: math.sqrt(2 / o),
    "one over the inputs": lambda i, o: math.sqrt(1 / i),
    "xavier's variance": lambda i, o: 2 / (i + o),
    "he's variance": lambda i, o: 2 / i,
    "brackets missing": lambda i, o: math.sqrt(2 / i + o),
    "one": lambda i, o: 1.0,
    "uniform, xavier": lambda i, o: math.sqrt(2 / (i + o) / 3),
    "uniform, he": lambda i, o: math.sqrt(2 / i / 3),
    "rand, xavier": lambda i, o: math.sqrt(2 / (i + o) / 12),
    "rand, he": lambda i, o: math.sqrt(2 / i / 12),
}


def _spread(args: tuple, value: object) -> tuple[bool, float]:
    """Whether the mean is near 0, and the standard deviation, to within 4 %."""
    fan_in, fan_out, *_ = args
    W = numbers("W", value, (fan_out, fan_in))
    std = W.std().item()
    near = [s(fan_in, fan_out) for s in SPREADS.values()]
    known = [s for s in near if abs(std / s - 1) < 0.04]
    return abs(W.mean().item()) < 0.06 * std, known[0] if known else round(std, 3)


def _has_the_spread(args: tuple, seen: tuple[bool, float]) -> str | None:
    centred, std = seen
    if not centred:
        return "the mean of the weights is not 0"
    wanted = _wanted_std(*args[:3])
    if math.isclose(std, wanted, rel_tol=1e-9):
        return None
    return f"the standard deviation is {std:.3g}, expected {wanted:.3g}"


def _weights_again(g: Generator) -> list[tuple]:
    seed = int(torch.randint(1000, (), generator=g))
    calls = zip("abc", (seed, seed, seed + 1), strict=True)
    code = "; ".join(f"{name} = init_weights(20, 10, 'he', {s})" for name, s in calls)
    return [("init_weights", code, "bool((a == b).all()), bool((a == c).all())")]


def _normal_with(std: Callable[[int, int, str], float]) -> Callable:
    def init_weights(fan_in: int, fan_out: int, kind: str, seed: int) -> Tensor:
        g = Generator().manual_seed(seed)
        return std(fan_in, fan_out, kind) * torch.randn(fan_out, fan_in, generator=g)

    return init_weights


def _uniform_with(low: float) -> Callable:
    def init_weights(fan_in: int, fan_out: int, kind: str, seed: int) -> Tensor:
        u = torch.rand(fan_out, fan_in, generator=Generator().manual_seed(seed))
        return _wanted_std(fan_in, fan_out, kind) * (low + (1 - low) * u)

    return init_weights


def _unseeded(fan_in: int, fan_out: int, kind: str, seed: int) -> Tensor:
    return _wanted_std(fan_in, fan_out, kind) * torch.randn(fan_out, fan_in)


def _always_seed_zero(fan_in: int, fan_out: int, kind: str, seed: int) -> Tensor:
    return _normal_with(_wanted_std)(fan_in, fan_out, kind, 0)


INIT_WEIGHTS = Exercise(
    number="4.6",
    title="First weights",
    name="init_weights",
    difficulty=3,
    minutes=15,
    reference=_normal_with(_wanted_std),
    tests=[
        Test(
            'has the spread of He for "he"',
            partial(_layers, kind="he"),
            2,
            _spread,
            _has_the_spread,
        ),
        Test(
            'has the spread of Xavier for "xavier"',
            partial(_layers, kind="xavier"),
            2,
            _spread,
            _has_the_spread,
        ),
        Test(
            "gives the same weights for a seed, others for another",
            _weights_again,
            1,
            probe=program,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "takes the variance for the standard deviation",
            _normal_with(lambda i, o, kind: _wanted_std(i, o, kind) ** 2),
            "you multiplied randn by the variance; it wants the standard deviation, "
            "the square root of the variance",
        ),
        Mistake(
            "swaps the fans",
            _normal_with(lambda i, o, kind: _wanted_std(o, i, kind)),
            "your He divides by fan_out; forwards each unit adds up fan_in products, "
            "so the variance is 2 / fan_in",
        ),
        Mistake(
            "swaps the two",
            _normal_with(lambda i, o, kind: _wanted_std(i, o, "he" if kind != "he" else "xavier")),
            "your He is Xavier's and the other way round: He has variance 2 / fan_in, "
            "Xavier 2 / (fan_in + fan_out)",
        ),
        Mistake(
            "forgets the 2 of He",
            _normal_with(
                lambda i, o, kind: math.sqrt(1 / i) if kind == "he" else math.sqrt(2 / (i + o))
            ),
            "your He has variance 1 / fan_in; ReLU lets only half of the second moment through, "
            "and the 2 makes up for it",
        ),
        Mistake(
            "forgets the brackets",
            _normal_with(
                lambda i, o, kind: math.sqrt(2 / i) if kind == "he" else math.sqrt(2 / i + o)
            ),
            "you wrote 2 / fan_in + fan_out, which adds fan_out to a fraction; "
            "put brackets around the sum: 2 / (fan_in + fan_out)",
        ),
        Mistake(
            "does not scale",
            _normal_with(lambda i, o, kind: 1.0),
            "your weights have variance 1, so the sums grow with every layer; "
            "multiply randn by the standard deviation",
        ),
        Mistake(
            "knows He only",
            _normal_with(lambda i, o, kind: math.sqrt(2 / i)),
            'you use He for both kinds; for "xavier" the variance is 2 / (fan_in + fan_out)',
        ),
        Mistake(
            "knows Xavier only",
            _normal_with(lambda i, o, kind: math.sqrt(2 / (i + o))),
            'you use Xavier for both kinds; for "he" the variance is 2 / fan_in',
        ),
        Mistake(
            "returns the transpose",
            lambda fan_in, fan_out, kind, seed: (
                _normal_with(_wanted_std)(fan_in, fan_out, kind, seed).T
            ),
            "your matrix has shape (fan_in, fan_out); a layer keeps one row per output: "
            "(fan_out, fan_in)",
        ),
        Mistake(
            "draws from 0 to 1",
            _uniform_with(0.0),
            "torch.rand lies between 0 and 1, so all your weights are positive; "
            "torch.randn has mean 0 and variance 1",
        ),
        Mistake(
            "takes the standard deviation for the limit",
            _uniform_with(-1.0),
            "uniform numbers between -s and s have the standard deviation s / √3; "
            "use torch.randn, or widen the limits by √3",
        ),
        Mistake(
            "draws from the global generator",
            _unseeded,
            "you left the seed out, so nobody can repeat your run; "
            "use torch.Generator().manual_seed(seed)",
        ),
        Mistake(
            "seeds with a constant",
            _always_seed_zero,
            "your weights are the same for every seed; seed the generator with `seed`",
        ),
    ],
)


# 4.7 Linear


def _matrix(rows: Tensor) -> str:
    """Numbers as Python reads them, without the commas and semicolons that part a program."""
    return str(rows.tolist())


def _ran(results: str, *lines: str, D: int = 3, K: int = 2) -> Callable:
    """A program: a layer with known weights and inputs, some lines, what to read off."""

    def cases(g: Generator) -> list[tuple]:
        made = [
            "import torch",
            f"layer = Linear({D}, {K})",
            f"layer.weight.data = torch.tensor({_matrix(nonzero(g, K, D))})",
            f"layer.bias.data = torch.tensor({_matrix(nonzero(g, K))})",
            f"x = torch.tensor({_matrix(nonzero(g, 2, D))})",
        ]
        return [("Linear", "; ".join([*made, *lines]), results)]

    return cases


def _outputs(g: Generator) -> list[tuple]:
    square = _ran("y", "y = layer(x)", D=2, K=2)
    return [*_ran("y", "y = layer(x)")(g), *square(g)]


def _new(results: str, *lines: str, D: int = 3, K: int = 2) -> Callable:
    made = [f"layer = Linear({D}, {K})"]
    return lambda g: [("Linear", "; ".join([*made, *lines]), results)]


class _Linear(nn.Module):
    """The layer; a mistake replaces a method."""

    def __init__(self, D: int, K: int) -> None:
        super().__init__()
        self.weight = self.kept(self.drawn(D, K))
        self.bias = self.kept(self.first_bias(K))

    kept = nn.Parameter

    def drawn(self, D: int, K: int) -> Tensor:
        return torch.randn(K, D) / D**0.5

    def first_bias(self, K: int) -> Tensor:
        return torch.zeros(K)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


def _first_spread(args: tuple, value: dict) -> tuple[bool, float]:
    """Whether all units start alike, and the standard deviation, to within 6 % if well known."""
    alike, std = value["alike"], value["std"]
    known = [s for s in (0.01, 0.1, 1.0, 10.0) if abs(std / s - 1) < 0.06]  # powers of D = 100
    return alike, known[0] if known else round(std, 3)


def _has_first_spread(args: tuple, seen: tuple[bool, float]) -> str | None:
    alike, std = seen
    if alike:
        return "all units start from the same weights"
    return None if std == 0.1 else f"the standard deviation of the weights is {std:.3g}, not 0.1"


def _changed(**methods: object) -> type:
    return type("Linear", (_Linear,), methods)


def _no_super(self: nn.Module, D: int, K: int) -> None:
    self.weight = nn.Parameter(torch.randn(K, D) / D**0.5)
    self.bias = nn.Parameter(torch.zeros(K))


LINEAR = Exercise(
    number="4.7",
    title="A layer with a memory",
    name="Linear",
    apart=True,
    difficulty=3,
    minutes=25,
    reference=_changed(),
    tests=[
        Test("computes x W^T + b", _outputs, 2, probe=program),
        Test(
            "has the parameters weight (K, D) and bias (K,)",
            _new(
                "names, sizes",
                "named = sorted(layer.named_parameters())",
                "names = [name for name, p in named]",
                "sizes = [tuple(p.shape) for name, p in named]",
            ),
            1,
            probe=program,
        ),
        Test(
            "gets gradients",
            _ran("layer.weight.grad, layer.bias.grad", "layer(x).square().sum().backward()"),
            1,
            probe=program,
        ),
        Test(
            "starts from random weights of standard deviation 1 / √D",
            _new(
                "alike, std",
                "alike = bool((layer.weight[0] == layer.weight[1]).all())",
                "std = layer.weight.std().item()",
                D=100,
                K=80,
            ),
            1,
            _first_spread,
            _has_first_spread,
            program,
        ),
        Test(
            "starts from biases of zero",
            _new("zero", "zero = bool((layer.bias == 0).all())"),
            1,
            probe=program,
        ),
    ],
    mistakes=[
        Mistake(
            "keeps plain tensors",
            _changed(kept=lambda self, tensor: tensor),
            "plain tensors are invisible to the optimizer, because parameters() does not list "
            "them; wrap each in torch.nn.Parameter",
        ),
        Mistake(
            "keeps tensors that require a gradient",
            _changed(kept=lambda self, tensor: tensor.requires_grad_()),
            "requires_grad gives your tensors a gradient, but parameters() does not list them; "
            "wrap each in torch.nn.Parameter",
        ),
        Mistake(
            "forgets super().__init__()",
            _changed(__init__=_no_super),
            "a Module keeps its parameters in tables that its own __init__ makes; "
            "call super().__init__() first",
        ),
        Mistake(
            "forgets the transpose",
            _changed(forward=lambda self, x: x @ self.weight + self.bias),
            "you computed x @ W; the weights have one row per output, (K, D), so it is x @ W.T",
        ),
        Mistake(
            "keeps the weights transposed",
            _changed(
                drawn=lambda self, D, K: torch.randn(D, K) / D**0.5,
                forward=lambda self, x: x @ self.weight + self.bias,
            ),
            "your weights have shape (D, K); keep one row per output, (K, D), as torch does, "
            "and compute x @ W.T",
        ),
        Mistake(
            "leaves out the bias",
            _changed(forward=lambda self, x: x @ self.weight.T),
            "your forward does not add the bias; z = x W^T + b",
        ),
        Mistake(
            "subtracts the bias",
            _changed(forward=lambda self, x: x @ self.weight.T - self.bias),
            "you subtracted the bias; it is added: z = x W^T + b",
        ),
        Mistake(
            "applies an activation",
            _changed(forward=lambda self, x: torch.relu(F.linear(x, self.weight, self.bias))),
            "your layer applies an activation; a linear layer stops before it, "
            "so that the last layer can give logits",
        ),
        Mistake(
            "starts all alike",
            _changed(drawn=lambda self, D, K: torch.zeros(K, D)),
            "all your weights start alike, so all units get the same gradient and stay alike for "
            "ever; draw them at random",
        ),
        Mistake(
            "does not scale",
            _changed(drawn=lambda self, D, K: torch.randn(K, D)),
            "your weights are too large: randn has standard deviation 1, and a sum over D inputs "
            "grows with √D; divide randn by √D",
        ),
        Mistake(
            "multiplies by the root",
            _changed(drawn=lambda self, D, K: torch.randn(K, D) * D**0.5),
            "you multiplied randn by √D, which makes the sums D times too large; divide by it, "
            "and a sum over D inputs keeps its size",
        ),
        Mistake(
            "divides by D",
            _changed(drawn=lambda self, D, K: torch.randn(K, D) / D),
            "you divided randn by D; the variance is to be 1 / D, so divide by its square root",
        ),
        Mistake(
            "starts from random biases",
            _changed(first_bias=lambda self, K: torch.randn(K)),
            "your biases start at random; the weights alone break the symmetry, "
            "so let the biases start at zero",
        ),
        Mistake(
            "cuts the graph",
            _changed(forward=lambda self, x: x @ self.weight.data.T + self.bias.data),
            "you computed with .data, which autograd does not see; use the parameters themselves",
        ),
    ],
)


# 4.8 mlp_forward


def _network(g: Generator, B: int, D: int, H: int, K: int) -> tuple[Tensor, ...]:
    sizes = ((D, H), (H, H), (H, K))
    layers = [p for i, o in sizes for p in (normal(g, o, i), nonzero(g, o))]
    return (normal(g, B, D), *layers)


def _networks(g: Generator) -> list[tuple]:
    return [_network(g, 4, 2, 3, 2), _network(g, 3, 3, 3, 3), _network(g, 4, 3, 3, 2)]


def _forward_with(
    *bends: Callable[[Tensor], Tensor], bias: float = 1.0, transpose: bool = True
) -> Callable:
    """Three layers with the three activations behind them, the last of which should be none."""

    def mlp_forward(X: Tensor, *params: Tensor) -> Tensor:
        h = X
        for W, b, bend in zip(params[::2], params[1::2], bends, strict=True):
            h = bend(h @ (W.T if transpose else W) + bias * b)
        return h

    return lambda X, W1, b1, W2, b2, W3, b3: mlp_forward(X, W1, b1, W2, b2, W3, b3)


def _none(z: Tensor) -> Tensor:
    return z


MLP_FORWARD = Exercise(
    number="4.8",
    title="Through three layers",
    name="mlp_forward",
    difficulty=2,
    minutes=10,
    reference=_forward_with(F.relu, F.relu, _none),
    tests=[
        Test("computes the logits", _networks, 3),
        Test("has a row per example and a column per class", _networks, 1, shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "bends the outputs",
            _forward_with(F.relu, F.relu, F.relu),
            "you applied ReLU to the last layer too, so no logit can be negative; "
            "the last layer has no activation",
        ),
        Mistake(
            "does not bend",
            _forward_with(_none, _none, _none),
            "you left out ReLU, so your three layers are one; apply it after the first and after "
            "the second",
        ),
        Mistake(
            "bends once",
            _forward_with(F.relu, _none, _none),
            "you applied ReLU after the first layer only; it follows every hidden layer, "
            "the second one too",
        ),
        Mistake(
            "bends after the second only",
            _forward_with(_none, F.relu, _none),
            "you applied ReLU after the second layer only; it follows every hidden layer, "
            "the first one too",
        ),
        Mistake(
            "returns probabilities",
            _forward_with(F.relu, F.relu, lambda z: torch.softmax(z, -1)),
            "you applied softmax; the loss takes logits and does that itself, so return the last "
            "layer's sums as they are",
        ),
        Mistake(
            "uses the sigmoid",
            _forward_with(torch.sigmoid, torch.sigmoid, _none),
            "you used the sigmoid; the hidden layers of this network have ReLU, max(z, 0)",
        ),
        Mistake(
            "uses tanh",
            _forward_with(torch.tanh, torch.tanh, _none),
            "you used tanh; the hidden layers of this network have ReLU, max(z, 0)",
        ),
        Mistake(
            "leaves out the biases",
            _forward_with(F.relu, F.relu, _none, bias=0.0),
            "you left out the biases; each layer computes h W^T + b",
        ),
        Mistake(
            "forgets the transpose",
            _forward_with(F.relu, F.relu, _none, transpose=False),
            "you multiplied h @ W; the weights have one row per output, so it is h @ W.T",
        ),
        Mistake(
            "bends the inputs",
            lambda X, *params: MLP_FORWARD.reference(X.relu(), *params),
            "you applied ReLU to the inputs, which loses their negative half; "
            "it follows the hidden layers",
        ),
        Mistake(
            "adds the bias after bending",
            lambda X, W1, b1, W2, b2, W3, b3: (
                ((((X @ W1.T).relu() + b1) @ W2.T).relu() + b2) @ W3.T + b3
            ),
            "you added the bias after ReLU; it belongs inside: relu(h W^T + b)",
        ),
        Mistake(
            "skips the second layer",
            lambda X, W1, b1, W2, b2, W3, b3: (X @ W1.T + b1).relu() @ W3.T + b3,
            "your second layer is missing: what leaves the first must pass W2 and b2 before W3",
        ),
    ],
)


# 4.9 train


def _start(g: Generator, steps: int) -> tuple:
    B, D, H, K = 4, 2, 3, 3
    X, y = uniform(g, -1.0, 1.0, B, D), torch.randperm(B, generator=g) % K
    params = normal(g, H, D), normal(g, H), normal(g, K, H), normal(g, K)
    return X, y, *params, float(uniform(g, 0.05, 0.2)), steps


def _one_step(g: Generator) -> list[tuple]:
    return [_start(g, 1)]


def _several(g: Generator) -> list[tuple]:
    return [_start(g, 3)]


def _logits(X: Tensor, W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor) -> Tensor:
    return torch.tanh(X @ W1.T + b1) @ W2.T + b2


def _trained(X, y, W1, b1, W2, b2, lr, steps):
    params = [p.clone().requires_grad_() for p in (W1, b1, W2, b2)]
    for _ in range(steps):
        grads = torch.autograd.grad(F.cross_entropy(_logits(X, *params), y), params)
        params = [
            (p - lr * g).detach().requires_grad_() for p, g in zip(params, grads, strict=True)
        ]
    return tuple(p.detach() for p in params)


def _mean_error(z: Tensor, y: Tensor) -> Tensor:
    return _error(z, y) / len(y)


def _error_of_softmax_twice(z: Tensor, y: Tensor) -> Tensor:
    p = torch.softmax(z, 1)
    d = _mean_error(p, y)
    return p * (d - (d * p).sum(1, keepdim=True))


def _error_of_bent_outputs(z: Tensor, y: Tensor) -> Tensor:
    return _mean_error(torch.tanh(z), y) * (1 - torch.tanh(z) ** 2)


def _tanh_slope(h: Tensor) -> Tensor:
    return 1 - h * h


def _descent(
    steps: Callable[[int], int] = lambda n: n,
    rate: Callable[[float], float] = lambda lr: lr,
    error: Callable[[Tensor, Tensor], Tensor] = _mean_error,
    bend: tuple[Callable, Callable] = (torch.tanh, _tanh_slope),
    keep: float = 0.0,
    moved: tuple[bool, ...] = (True,) * 4,
) -> Callable:
    """Gradient descent by hand whose parts can be spoilt one by one.

    ``error`` is the slope of the loss by the logits, ``bend`` the activation and its slope by its
    own value, ``keep`` what is left of the gradient of the step before.
    """
    f, df = bend

    def train(X, y, W1, b1, W2, b2, lr, steps_asked):
        sums = [0.0] * 4
        for _ in range(steps(steps_asked)):
            h = f(X @ W1.T + b1)  # (B, H)
            d2 = error(h @ W2.T + b2, y)  # (B, K)
            d1 = d2 @ W2 * df(h)  # (B, H)
            grads = d1.T @ X, d1.sum(0), d2.T @ h, d2.sum(0)
            sums = [keep * s + g for s, g in zip(sums, grads, strict=True)]
            W1, b1, W2, b2 = (
                p - rate(lr) * s * m for p, s, m in zip((W1, b1, W2, b2), sums, moved, strict=True)
            )
        return W1, b1, W2, b2

    return train


def _layer_by_layer(X, y, W1, b1, W2, b2, lr, steps):
    """The second layer moves first, and the first layer's gradient is taken through it."""
    for _ in range(steps):
        h = torch.tanh(X @ W1.T + b1)
        d2 = _mean_error(h @ W2.T + b2, y)
        W2, b2 = W2 - lr * d2.T @ h, b2 - lr * d2.sum(0)
        d1 = d2 @ W2 * _tanh_slope(h)
        W1, b1 = W1 - lr * d1.T @ X, b1 - lr * d1.sum(0)
    return W1, b1, W2, b2


def _by_adam(X, y, W1, b1, W2, b2, lr, steps):
    params, means, squares = (W1, b1, W2, b2), [0.0] * 4, [0.0] * 4
    for t in range(1, steps + 1):
        params = [p.detach().requires_grad_() for p in params]
        grads = torch.autograd.grad(F.cross_entropy(_logits(X, *params), y), params)
        means = [0.9 * m + 0.1 * g for m, g in zip(means, grads, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, grads, strict=True)]
        params = [
            p - lr * m / (1 - 0.9**t) / ((s / (1 - 0.999**t)).sqrt() + 1e-8)
            for p, m, s in zip(params, means, squares, strict=True)
        ]
    return tuple(p.detach() for p in params)


def _in_place(X, y, W1, b1, W2, b2, lr, steps):
    new = TRAIN.reference(X, y, W1, b1, W2, b2, lr, steps)
    for p, value in zip((W1, b1, W2, b2), new, strict=True):
        p.copy_(value)
    return W1, b1, W2, b2


PARAMS = ("W1", "b1", "W2", "b2")


def _learned(args: tuple, value: object) -> str | None:
    """The loss of what came back, computed here."""
    X, y, *start = args[:6]
    given = zip(PARAMS, parts(value, *PARAMS), start, strict=True)
    params = [numbers(name, p, tuple(old.shape)).float() for name, p, old in given]
    before, after = (F.cross_entropy(_logits(X, *p), y).item() for p in (start, params))
    if after < before:
        return None
    return f"the loss with these weights is {after:.4g}; it was {before:.4g} before"


TRAIN = Exercise(
    number="4.9",
    title="The loop",
    name="train",
    difficulty=4,
    minutes=30,
    reference=_trained,
    tests=[
        Test("takes one step downhill", _one_step, 2),
        Test("takes as many steps as asked for", _several, 3),
        Test("gives weights with a smaller loss", _one_step, 1, judge=_learned, property=True),
    ],
    mistakes=[
        Mistake(
            "forgets to clear the gradients",
            _descent(keep=1.0),
            "your first step is right and the next are not: backward() adds to .grad, so the old "
            "gradients are still in it; clear them before each step",
        ),
        Mistake(
            "goes uphill",
            _descent(rate=lambda lr: -lr),
            "you added the gradient, which points uphill; subtract lr times the gradient",
        ),
        Mistake(
            "takes one step",
            _descent(steps=lambda n: 1),
            "you took a single step; repeat it `steps` times, from the new weights each time",
        ),
        Mistake(
            "takes one step too many",
            _descent(steps=lambda n: n + 1),
            "you took one step too many; range(steps) counts from 0 to steps - 1",
        ),
        Mistake(
            "takes one step too few",
            _descent(steps=lambda n: n - 1),
            "you took one step too few; range(1, steps) leaves one out, range(steps) does not",
        ),
        Mistake(
            "sums the loss",
            _descent(error=_error),
            "your steps are as many times too long as there are examples: the loss is a mean over "
            "the batch, not a sum",
        ),
        Mistake(
            "leaves out the learning rate",
            _descent(rate=lambda lr: 1.0),
            "you subtracted the whole gradient; multiply it by lr",
        ),
        Mistake(
            "keeps the biases",
            _descent(moved=(True, False, True, False)),
            "you moved the weights but not the biases; all four tensors learn",
        ),
        Mistake(
            "trains the last layer only",
            _descent(moved=(False, False, True, True)),
            "you moved the second layer only; W1 and b1 have gradients too",
        ),
        Mistake(
            "moves layer by layer",
            _layer_by_layer,
            "you moved the second layer and then went back through its new weights; compute all "
            "gradients at the old weights, then move all",
        ),
        Mistake(
            "applies softmax twice",
            _descent(error=_error_of_softmax_twice),
            "you gave probabilities to the cross-entropy, which applies softmax itself; "
            "give it the logits",
        ),
        Mistake(
            "bends the outputs",
            _descent(error=_error_of_bent_outputs),
            "you applied tanh to the last layer too; logits are sums as they are",
        ),
        Mistake(
            "uses ReLU",
            _descent(bend=(torch.relu, torch.sign)),
            "you used ReLU in the hidden layer; this network has tanh",
        ),
        Mistake(
            "takes Adam",
            _by_adam,
            "your steps are Adam's, each entry about lr long; plain gradient descent is asked for: "
            "subtract lr times the gradient, or use torch.optim.SGD",
        ),
        Mistake(
            "writes into the given weights",
            _in_place,
            "you changed the caller's tensors; clone each before you train it, so that a run can "
            "be repeated from the same start",
        ),
        Mistake(
            "gives nothing back",
            lambda X, y, W1, b1, W2, b2, lr, steps: F.cross_entropy(_logits(X, W1, b1, W2, b2), y),
            "you returned a loss; return the four tensors, W1, b1, W2, b2, and the loss will be "
            "computed from them",
        ),
    ],
)

EXERCISES = (
    ACCURACY,
    SOFTMAX,
    CROSS_ENTROPY,
    CROSS_ENTROPY_GRADIENT,
    MINIBATCHES,
    INIT_WEIGHTS,
    LINEAR,
    MLP_FORWARD,
    TRAIN,
)

check = checker(EXERCISES)
