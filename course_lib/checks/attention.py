"""The exercises of chapter 13_attention: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/13_attention.md. Letters: B batch, T queries,
S keys, d their width, e the width of a value, D the width of the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import normal, uniform
from .exercise import Exercise, Mistake, Test, Unfit, checker, part, parts
from .probes import program
from .values import show


def _signed(g: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers of two decimals whose size lies between the two, and either sign."""
    sign = 2 * torch.randint(0, 2, shape, generator=g) - 1
    return uniform(g, low, high, *shape) * sign


def _number(g: Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(uniform(g, low, high).item(), 2)


# 13.1 look_up


def _entries(g: Generator) -> list[tuple]:
    """The first is square, so that no shape tells keys from values, or one axis from the other."""
    return [
        (_signed(g, 0.4, 1.5, d), _signed(g, 0.4, 1.5, S, d), _signed(g, 0.5, 2.0, S, e))
        for S, d, e in ((2, 2, 2), (3, 2, 1))
    ]


def _long_query(g: Generator) -> list[tuple]:
    """Scores of some thousand, all of one sign: exp of them is infinite, or zero."""
    cases = []
    for sign in (1, -1):
        keys = torch.cat([uniform(g, 0.5, 1.5, 3, 1), torch.zeros(3, 1)], 1)
        keys[:, 0] += torch.tensor([0.0, 1.0, 2.0])[torch.randperm(3, generator=g)]
        cases.append((torch.tensor([sign * 4000.0, 1.0]), keys, _signed(g, 0.5, 2.0, 3, 2)))
    return cases


def _looked_up(
    score: Callable[[Tensor, Tensor], Tensor] = lambda q, keys: keys @ q,
    weigh: Callable[[Tensor], Tensor] = lambda s: s.softmax(0),
    mix: Callable[..., Tensor] = lambda w, keys, values: w @ values,
) -> Callable:
    def look_up(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return mix(weigh(score(q, keys)), keys, values)

    return look_up


def _exp_first(s: Tensor) -> Tensor:
    return s.exp() / s.exp().sum()


LOOK_UP = Exercise(
    number="13.1",
    title="A dictionary that forgives",
    name="look_up",
    difficulty=1,
    minutes=10,
    reference=lambda q, keys, values: _looked_up()(q, keys, values),
    tests=[
        Test("mixes the values by how well their keys fit", _entries, 2),
        Test("decides where the query is long", _long_query, property=True),
    ],
    mistakes=[
        Mistake(
            "takes the best",
            _looked_up(mix=lambda w, keys, values: values[w.argmax()]),
            "you took the value of the best key alone, which has no gradient to learn by; let "
            "every value in by its softmax weight",
        ),
        Mistake(
            "overflows",
            _looked_up(weigh=_exp_first),
            "your exponentials overflow or vanish, which leaves nan; subtract the greatest score "
            "first, as torch.softmax does",
        ),
        Mistake(
            "divides the scores by their sum",
            _looked_up(weigh=lambda s: s / s.sum()),
            "you divided the scores by their sum, so weights can be negative; take exp of the "
            "scores first, as the softmax does",
        ),
        Mistake(
            "weighs by the scores",
            _looked_up(weigh=lambda s: s),
            "you weighed the values by the scores themselves; shares are positive and add up to "
            "one: take the softmax of the scores",
        ),
        Mistake(
            "does not normalise",
            _looked_up(weigh=lambda s: (s - s.max()).exp()),
            "your weights are exponentials that do not add up to one; divide them by their sum",
        ),
        Mistake(
            "asks each key by itself",
            _looked_up(weigh=torch.sigmoid),
            "you took the sigmoid, so each key gets a weight of its own; the keys compete for "
            "one: take the softmax over them",
        ),
        Mistake(
            "averages all",
            _looked_up(mix=lambda w, keys, values: values.mean(0)),
            "you gave all values the same weight, whatever the query says; the weights are the "
            "softmax of the scores",
        ),
        Mistake(
            "returns a sum of keys",
            _looked_up(mix=lambda w, keys, values: w @ keys),
            "you mixed the keys; they only say where to look, and what you fetch from there are "
            "the values",
        ),
        Mistake(
            "returns the weights",
            _looked_up(mix=lambda w, keys, values: w),
            "you returned the weights; go on and add up the values, each times its weight",
        ),
        Mistake(
            "weighs without adding up",
            _looked_up(mix=lambda w, keys, values: w[:, None] * values),
            "you weighed the values and did not add them up; sum over the keys, which leaves one "
            "row of shape (e,)",
        ),
        Mistake(
            "multiplies from the other side",
            _looked_up(mix=lambda w, keys, values: values @ w),
            "you wrote values @ weights, which adds up along the width of a value; the weights "
            "belong to the rows: weights @ values",
        ),
        Mistake(
            "scores along the keys' other axis",
            _looked_up(score=lambda q, keys: q @ keys),
            "you wrote q @ keys, which adds up over the keys; each key is a row, and the score "
            "is its dot product with q: keys @ q",
        ),
        Mistake(
            "prefers the keys that fit least",
            _looked_up(score=lambda q, keys: -(keys @ q)),
            "your signs are turned: the key that fits least gets most; a great dot product is a "
            "good fit",
        ),
        Mistake(
            "divides by the root of the width",
            _looked_up(score=lambda q, keys: keys @ q / math.sqrt(len(q))),
            "you divided the scores by a root; that comes in the next exercise, here the score "
            "is the dot product alone",
        ),
        Mistake(
            "measures the distance",
            _looked_up(score=lambda q, keys: -(keys - q).norm(dim=1)),
            "you scored by the distance of key and query; here the score is their dot product",
        ),
    ],
)


# 13.2 attend

MIXED = ("mixed", "weights")


def _queries(g: Generator) -> list[tuple]:
    """The first has all sizes alike, so that no shape complains; the second is a batch of two.

    In the third the width is like no other size, so that no other root will do.
    """
    sizes = (
        ((2, 2), (2, 2), (2, 2)),
        ((2, 1, 2), (2, 3, 2), (2, 3, 1)),
        ((1, 4), (3, 4), (3, 1)),
    )
    return [tuple(_signed(g, 0.5, 2.0, *size) for size in three) for three in sizes]


def _by_torch(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """torch returns no weights: with the unit vectors for values it returns nothing else."""
    attention = F.scaled_dot_product_attention
    units = torch.eye(k.shape[-2]).expand(*k.shape[:-2], -1, -1)
    return attention(q, k, v), attention(q, k, units)


def _root_of_width(q: Tensor, k: Tensor, v: Tensor) -> float:
    return math.sqrt(q.shape[-1])


def _attended(
    score: Callable[[Tensor, Tensor], Tensor] = lambda q, k: q @ k.mT,
    root: Callable[[Tensor, Tensor, Tensor], float] = _root_of_width,
    weigh: Callable[[Tensor], Tensor] = lambda s: s.softmax(-1),
    mix: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda w, k, v: w @ v,
    finish: Callable[[Tensor, Tensor], Any] = lambda mixed, weights: (mixed, weights),
) -> Callable:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Any:
        weights = weigh(score(q, k) / root(q, k, v))
        return finish(mix(weights, k, v), weights)

    return attend


def _scaled_late(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    weights = (q @ k.mT).softmax(-1) / _root_of_width(q, k, v)
    return weights @ v, weights


ATTEND = Exercise(
    number="13.2",
    title="Scaled dot products",
    name="attend",
    difficulty=2,
    minutes=15,
    reference=_by_torch,
    tests=[
        Test("shares each query's attention among the keys", _queries, 2, part(1, *MIXED)),
        Test("mixes the values by these weights", _queries, 2, part(0, *MIXED)),
    ],
    mistakes=[
        Mistake(
            "forgets the root",
            _attended(root=lambda q, k, v: 1.0),
            "you did not scale the scores, so wide queries make the softmax all but hard; divide "
            "by sqrt(d) before it",
        ),
        Mistake(
            "divides by the width",
            _attended(root=lambda q, k, v: q.shape[-1]),
            "you divided by d; a sum of d products spreads by the *root* of d, so divide by "
            "sqrt(d)",
        ),
        Mistake(
            "multiplies by the root",
            _attended(root=lambda q, k, v: 1 / _root_of_width(q, k, v)),
            "you multiplied by sqrt(d), which makes large scores larger; divide by it",
        ),
        Mistake(
            "takes the root of the number of keys",
            _attended(root=lambda q, k, v: math.sqrt(k.shape[-2])),
            "you took the root of the number of keys, axis -2; the scores grow with the *width* "
            "of a key, which is k.shape[-1]",
        ),
        Mistake(
            "takes the root of the number of queries",
            _attended(root=lambda q, k, v: math.sqrt(q.shape[-2])),
            "you took the root of the number of queries, axis -2; the scores grow with the "
            "*width* of a query, which is q.shape[-1]",
        ),
        Mistake(
            "takes the root of the length of q",
            _attended(root=lambda q, k, v: math.sqrt(len(q))),
            "you took the root of len(q), the first axis, which counts queries or examples; the "
            "scores grow with the *width* of a query, which is q.shape[-1]",
        ),
        Mistake(
            "scales after the softmax",
            _scaled_late,
            "you scaled after the softmax, so the weights no longer add up to one; divide the "
            "scores, before it",
        ),
        Mistake(
            "takes the softmax over the queries",
            _attended(weigh=lambda s: s.softmax(-2)),
            "your softmax runs over the queries, so they compete for a key; each query shares out "
            "its attention among the keys: the last axis",
        ),
        Mistake(
            "takes the softmax over the first axis",
            _attended(weigh=lambda s: s.softmax(0)),
            "your softmax runs over axis 0, which in a batch counts the examples; take the last "
            "axis, -1, that of the keys",
        ),
        Mistake(
            "takes the softmax over the whole table",
            _attended(weigh=lambda s: s.flatten(-2).softmax(-1).view_as(s)),
            "your weights add up to one over all queries together; each query has a whole one of "
            "its own: softmax over the last axis only",
        ),
        Mistake(
            "exchanges queries and keys",
            _attended(score=lambda q, k: k @ q.mT),
            "you exchanged queries and keys: row t of the scores belongs to query t, so they are "
            "q @ k.mT",
        ),
        Mistake(
            "forgets the transpose",
            _attended(score=lambda q, k: q @ k),
            "you wrote q @ k, which fits where there are as many keys as they are wide; each key "
            "is a row, so transpose: q @ k.mT",
        ),
        Mistake(
            "mixes the keys",
            _attended(mix=lambda w, k, v: w @ k),
            "you mixed the keys; they say where to look, and what is fetched from there are the "
            "values: weights @ v",
        ),
        Mistake(
            "transposes the weights",
            _attended(mix=lambda w, k, v: w.mT @ v),
            "you transposed the weights; row t holds the weights of query t, so row t of "
            "weights @ v is what it gets",
        ),
        Mistake(
            "mixes by the scores",
            _attended(weigh=lambda s: s),
            "you left out the softmax, so weights may be negative and do not add up to one",
        ),
        Mistake(
            "returns the weights first",
            _attended(finish=lambda mixed, weights: (weights, mixed)),
            "you returned the weights first; return mixed, weights in this order",
        ),
        Mistake(
            "returns the values alone",
            _attended(finish=lambda mixed, weights: mixed),
            "you returned the mixed values alone; return mixed, weights",
        ),
    ],
)


# 13.3 masked_weights


def _padded(g: Generator) -> list[tuple]:
    """As many queries as sentences in the first, so that a forgotten axis goes unnoticed."""
    lengths = torch.tensor([1, 2])[torch.randperm(2, generator=g)]
    ends = torch.tensor([3, 1, 2])[torch.randperm(3, generator=g)]
    return [
        (_signed(g, 0.4, 2.0, 2, 2, 3), lengths, False),
        (_signed(g, 0.4, 2.0, 3, 1, 4), ends, False),
    ]


def _causal(g: Generator) -> list[tuple]:
    return [(_signed(g, 0.4, 2.0, 1, 3, 3), torch.tensor([n]), True) for n in (3, 2)]


def _empty(g: Generator) -> list[tuple]:
    lengths = torch.tensor([0, 2])[torch.randperm(2, generator=g)]
    return [(_signed(g, 0.4, 2.0, 2, 1, 3), lengths, False)]


def _real(lengths: Tensor, T: int, S: int) -> Tensor:
    return torch.arange(S) < lengths[:, None, None]  # (B, 1, S)


def _past(T: int) -> Tensor:
    return torch.ones(T, T, dtype=torch.bool).tril()


def _hidden(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -math.inf).softmax(-1).masked_fill(~mask, 0.0)


def _hidden_only(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


def _masked(
    real: Callable[[Tensor, int, int], Tensor] = _real,
    past: Callable[[int], Tensor] = _past,
    join: Callable[[Tensor, Tensor], Tensor] = torch.logical_and,
    apply: Callable[[Tensor, Tensor], Tensor] = _hidden,
    asked: Callable[[bool, Tensor], bool] = lambda causal, scores: causal,
) -> Callable:
    def masked_weights(scores: Tensor, lengths: Tensor, causal: bool) -> Tensor:
        _, T, S = scores.shape
        mask = real(lengths, T, S)
        if asked(causal, scores):
            mask = join(mask, past(T))
        return apply(scores, mask)

    return masked_weights


def _real_queries(lengths: Tensor, T: int, S: int) -> Tensor:
    return torch.arange(T)[:, None] < lengths[:, None, None]  # (B, T, 1)


def _always_causal(scores: Tensor, lengths: Tensor, causal: bool) -> Tensor:
    _, T, S = scores.shape
    return _hidden(scores, _real(lengths, T, S) & torch.ones(T, S, dtype=torch.bool).tril())


def _in_place(scores: Tensor, lengths: Tensor, causal: bool) -> Tensor:
    def apply(scores: Tensor, mask: Tensor) -> Tensor:
        return scores.masked_fill_(~mask, -math.inf).softmax(-1).masked_fill(~mask, 0.0)

    return _masked(apply=apply)(scores, lengths, causal)


MASKED_WEIGHTS = Exercise(
    number="13.3",
    title="Where not to look",
    name="masked_weights",
    apart=True,
    difficulty=3,
    minutes=25,
    reference=_masked(),
    tests=[
        Test("gives padding no weight", _padded, 2),
        Test("lets nobody see what comes later", _causal, 2),
        Test("gives zeros where there is nothing to see", _empty),
    ],
    mistakes=[
        Mistake(
            "leaves nan",
            _masked(apply=_hidden_only),
            "you left nan where a sentence is empty: a softmax of nothing but -inf is 0 / 0; set "
            "the hidden weights to 0 behind the softmax",
        ),
        Mistake(
            "spreads over padding",
            _masked(apply=lambda scores, mask: scores.masked_fill(~mask, -1e9).softmax(-1)),
            "you hid by a large negative number, and where all is hidden the padding shares "
            "the attention evenly; set the hidden weights to 0 behind the softmax",
        ),
        Mistake(
            "hides behind the softmax",
            _masked(apply=lambda scores, mask: scores.softmax(-1) * mask),
            "you hid behind the softmax, so what is left no longer adds up to one; hide the "
            "scores in front of it, by -inf",
        ),
        Mistake(
            "hides by zero",
            _masked(apply=lambda scores, mask: (scores * mask).softmax(-1)),
            "you set the hidden scores to 0, which is a score like others, since exp(0) is 1; set "
            "them to -inf",
        ),
        Mistake(
            "multiplies infinity by zero",
            _masked(apply=lambda scores, mask: (scores + ~mask * -math.inf).softmax(-1)),
            "you multiplied a mask by -inf; where the mask is 0 that gives nan, for 0 times inf "
            "has no value; use masked_fill, or torch.where",
        ),
        Mistake(
            "turns the mask round",
            _masked(apply=lambda scores, mask: _hidden(scores, ~mask)),
            "your mask is turned round: you hid what may be seen; masked_fill fills where its "
            "mask is True, so hand it what is to be hidden",
        ),
        Mistake(
            "hides queries in place of keys",
            _masked(real=_real_queries),
            "you hid the rows of padded queries; it is the padded *keys* that nobody may look at: "
            "compare arange(S) along the last axis",
        ),
        Mistake(
            "hides queries as well",
            _masked(real=lambda n, T, S: _real(n, T, S) & _real_queries(n, T, S)),
            "you hid the padded keys and the rows of padded queries too; leave the queries: what "
            "a padded place gets is thrown away later",
        ),
        Mistake(
            "sees one place of padding",
            _masked(real=lambda n, T, S: torch.arange(S) <= n[:, None, None]),
            "your mask reaches one place into the padding; counted from 0, a sentence of length n "
            "ends at n - 1: s < n",
        ),
        Mistake(
            "hides the last word",
            _masked(real=lambda n, T, S: torch.arange(S) < n[:, None, None] - 1),
            "you hid the last real word as well; counted from 0 it stands at n - 1, so what may "
            "be seen is s < n",
        ),
        Mistake(
            "forgets the axis of the queries",
            _masked(real=lambda n, T, S: torch.arange(S) < n[:, None]),
            "your mask has shape (B, S), which lines up with the queries; give it an axis for "
            "them, (B, 1, S): lengths[:, None, None]",
        ),
        Mistake(
            "sees the next place",
            _masked(past=lambda T: torch.ones(T, T, dtype=torch.bool).tril(1)),
            "your queries see the place after their own, the very one that is to be predicted; "
            "place t may see s <= t: tril()",
        ),
        Mistake(
            "does not see itself",
            _masked(past=lambda T: _past(T).tril(-1)),
            "your queries do not see their own place, and the first sees nothing at all; place t "
            "may see s <= t: tril()",
        ),
        Mistake(
            "does not see itself, and is left with nan",
            _masked(past=lambda T: _past(T).tril(-1), apply=_hidden_only),
            "your queries do not see their own place, so for the first there is nothing, which "
            "makes nan; place t may see s <= t: tril()",
        ),
        Mistake(
            "sees the future",
            _masked(past=lambda T: _past(T).mT),
            "your queries see what comes later and not what came before; rows are queries, so "
            "what may be seen lies below the diagonal: tril(), not triu()",
        ),
        Mistake(
            "does not ask for causal",
            _masked(asked=lambda causal, scores: False),
            "you paid no attention to `causal`; where it is True, query t sees only the keys "
            "s <= t, those of padding excepted",
        ),
        Mistake(
            "hides the future always",
            _always_causal,
            "you hid the future although `causal` was False; only where it is True is query t "
            "limited to the keys s <= t",
        ),
        Mistake(
            "forgets the padding where it is causal",
            _masked(join=lambda mask, past: past.expand(len(mask), -1, -1)),
            "you replaced the padding's mask by the causal one; a key must pass both: join them "
            "with &",
        ),
        Mistake(
            "joins by or",
            _masked(join=torch.logical_or),
            "you joined the masks by |, so a key needs to pass only one of them; it must pass "
            "both: &",
        ),
        Mistake(
            "forgets the lengths",
            _masked(real=lambda n, T, S: torch.ones(len(n), 1, S, dtype=torch.bool)),
            "you paid no attention to `lengths`; keys at s >= length are padding, and get no "
            "weight",
        ),
        Mistake(
            "writes into the scores",
            _in_place,
            "you changed the caller's scores in place (masked_fill_ and item assignment do); "
            "masked_fill, without the underscore, makes new ones",
        ),
    ],
)


# 13.4 multi_head


def _matrix(g: Generator, rows: int, columns: int) -> Tensor:
    """A matrix that differs from its transpose."""
    while True:
        W = _signed(g, 0.4, 1.2, rows, columns)
        if rows != columns or (W - W.T).abs().max() > 0.1:
            return W


def _layers(g: Generator, *sizes: tuple[int, int, int, int, int]) -> list[tuple]:
    """Sizes: B, T, the width D, the number of heads, the width of a head."""
    cases = []
    for B, T, D, heads, d in sizes:
        inwards = [_matrix(g, heads * d, D) for _ in range(3)]
        x, W_o = _signed(g, 0.5, 1.5, B, T, D), _matrix(g, D, heads * d)
        cases.append((x, *inwards, W_o, heads))
    return cases


def _one_head(g: Generator) -> list[tuple]:
    """All matrices are square: no shape tells W from its transpose."""
    return _layers(g, (1, 3, 2, 1, 2))


def _many_heads(g: Generator) -> list[tuple]:
    return _layers(g, (2, 2, 2, 3, 1), (2, 2, 3, 2, 2))


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, heads, T, d)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)  # (B, T, heads * d)


def _viewed(x: Tensor, heads: int) -> Tensor:
    B, T, width = x.shape
    return x.reshape(B, heads, T, width // heads)


def _flattened(x: Tensor) -> Tensor:
    B, heads, T, d = x.shape
    return x.reshape(B, T, heads * d)


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _with_root_of(width: Callable[[Tensor, int], float]) -> Callable:
    """Attention whose root is that of another width, told by q and the number of heads."""

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scale = width(q, q.shape[1]) ** -0.5
        return F.scaled_dot_product_attention(q, k, v, scale=scale)

    return attention


def _softmax_over_queries(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-2) @ v


def _multi_head(
    project: Callable[[Tensor, Tensor], Tensor] = lambda x, W: x @ W.T,
    split: Callable[[Tensor, int], Tensor] = _split,
    attention: Callable[[Tensor, Tensor, Tensor], Tensor] = _attention,
    merge: Callable[[Tensor], Tensor] = _merge,
    finish: Callable[[Tensor, Tensor], Tensor] = lambda y, W: y @ W.T,
    heads_of: Callable[[int], int] = lambda heads: heads,
) -> Callable:
    def multi_head(
        x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, W_o: Tensor, heads: int
    ) -> Tensor:
        q, k, v = (split(project(x, W), heads_of(heads)) for W in (W_q, W_k, W_v))
        return finish(merge(attention(q, k, v)), W_o)

    return multi_head


MULTI_HEAD = Exercise(
    number="13.4",
    title="Several heads",
    name="multi_head",
    difficulty=4,
    minutes=35,
    reference=_multi_head(),
    tests=[
        Test("is right with a single head", _one_head, 2),
        Test("keeps several heads apart", _many_heads, 4),
    ],
    mistakes=[
        Mistake(
            "views in place of swapping",
            _multi_head(split=_viewed),
            "your view (B, heads, T, d) cuts the places up, so a head sees parts of other heads; "
            "split the last axis first, (B, T, heads, d), then transpose(1, 2)",
        ),
        Mistake(
            "does not swap back",
            _multi_head(merge=_flattened),
            "you merged the heads without swapping back, which mixes places and heads; "
            "transpose(1, 2) first, then reshape to (B, T, heads * d)",
        ),
        Mistake(
            "views there and back",
            _multi_head(split=_viewed, merge=_flattened),
            "you split and merged by reshaping alone, which never swaps two axes, so places and "
            "heads are mixed; transpose(1, 2) behind the split and in front of the merge",
        ),
        Mistake(
            "lets the heads attend to each other",
            _multi_head(
                split=lambda x, heads: x.unflatten(-1, (heads, -1)), merge=lambda x: x.flatten(2)
            ),
            "you left the heads on axis 2, so at each place the heads attend to one another; "
            "places must stand there: transpose(1, 2), giving (B, heads, T, d)",
        ),
        Mistake(
            "interleaves the heads",
            _multi_head(
                split=lambda x, heads: x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2),
                merge=lambda x: x.permute(0, 2, 3, 1).flatten(2),
            ),
            "you dealt the numbers out in turn, every third to the same head, say; a head owns d "
            "neighbours: view(B, T, heads, d)",
        ),
        Mistake(
            "ignores the heads",
            _multi_head(heads_of=lambda heads: 1),
            "you have a single wide head; split queries, keys and values into `heads` parts, each "
            "with weights of its own",
        ),
        Mistake(
            "takes D // heads for the width of a head",
            lambda x, *rest: _multi_head(
                split=lambda z, heads: z.view(*x.shape[:2], heads, x.shape[-1] // heads).transpose(
                    1, 2
                )
            )(x, *rest),
            "you took D // heads for the width of a head; the matrices may be wider or narrower "
            "than x: view(B, T, heads, -1) finds d, and the heads merge to heads * d",
        ),
        Mistake(
            "takes the root of the whole width",
            _multi_head(attention=_with_root_of(lambda q, heads: heads * q.shape[-1])),
            "you divided by the root of the whole width; each head has its own dot products, of "
            "width d, so divide by sqrt(d)",
        ),
        Mistake(
            "takes the root of the model's width",
            lambda x, *rest: _multi_head(attention=_with_root_of(lambda *_: x.shape[-1]))(x, *rest),
            "you divided by the root of D, the width of x; each head has its own dot products, of "
            "width d, so divide by sqrt(d)",
        ),
        Mistake(
            "forgets the root",
            _multi_head(attention=_with_root_of(lambda q, heads: 1.0)),
            "you did not scale the scores; divide them by sqrt(d), the root of a head's width",
        ),
        Mistake(
            "takes the softmax over the queries",
            _multi_head(attention=_softmax_over_queries),
            "your softmax runs over the queries; each of them shares out its attention among the "
            "keys, which are the last axis",
        ),
        Mistake(
            "exchanges queries and keys",
            _multi_head(attention=lambda q, k, v: _attention(k, q, v)),
            "you exchanged queries and keys; x makes both, so no shape complains: scores are "
            "q @ k.mT, with q from W_q",
        ),
        Mistake(
            "sees the past only",
            _multi_head(
                attention=lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
            ),
            "you put a causal mask in; here every place may look at all places",
        ),
        Mistake(
            "forgets the last matrix",
            _multi_head(finish=lambda y, W: y),
            "you left out W_o, which mixes what the heads have found: the last step is "
            "merged @ W_o.T",
        ),
        Mistake(
            "forgets all transposes",
            _multi_head(project=lambda x, W: x @ W, finish=lambda y, W: y @ W),
            "you multiplied x @ W; the rows of these matrices are outputs, as in nn.Linear, so "
            "write x @ W.T, four times",
        ),
        Mistake(
            "forgets the transposes on the way in",
            _multi_head(project=lambda x, W: x @ W),
            "you multiplied x @ W on the way in; the rows of W_q, W_k and W_v are outputs, as in "
            "nn.Linear: x @ W_q.T",
        ),
        Mistake(
            "forgets the transpose on the way out",
            _multi_head(finish=lambda y, W: y @ W),
            "you multiplied by W_o without its transpose; its rows are outputs as well: "
            "merged @ W_o.T",
        ),
        Mistake(
            "takes the keys for values",
            lambda x, W_q, W_k, W_v, W_o, heads: _multi_head()(x, W_q, W_k, W_k, W_o, heads),
            "you mixed the keys; the values come from W_v and are a third thing",
        ),
    ],
)


# 13.5 attend_backward

GRADS = ("dq", "dk", "dv")


def _with_gradient(g: Generator) -> list[tuple]:
    """The first has all sizes alike, so that no shape tells a transpose; the second has none."""
    return [
        (
            _signed(g, 0.5, 1.5, T, d),
            _signed(g, 0.5, 1.5, S, d),
            _signed(g, 0.5, 1.5, S, e),
            _signed(g, 0.5, 1.5, T, e),
        )
        for T, S, d, e in ((2, 2, 2, 2), (3, 2, 4, 1))
    ]


def _scaled_scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.T / math.sqrt(q.shape[1])


def _through_softmax(w: Tensor, dw: Tensor) -> Tensor:
    return w * (dw - (w * dw).sum(-1, keepdim=True))


def _backward(
    scores: Callable[[Tensor, Tensor], Tensor] = _scaled_scores,
    dv: Callable[[Tensor, Tensor], Tensor] = lambda w, g: w.T @ g,
    dw: Callable[[Tensor, Tensor], Tensor] = lambda g, v: g @ v.T,
    soft: Callable[[Tensor, Tensor], Tensor] = _through_softmax,
    root: Callable[[int], float] = math.sqrt,
    dq: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda ds, q, k: ds @ k,
    dk: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda ds, q, k: ds.T @ q,
    finish: Callable[..., Any] = lambda dq, dk, dv: (dq, dk, dv),
) -> Callable:
    def attend_backward(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> Any:
        w = scores(q, k).softmax(-1)
        ds = soft(w, dw(g, v)) / root(q.shape[1])
        return finish(dq(ds, q, k), dk(ds, q, k), dv(w, g))

    return attend_backward


ATTEND_BACKWARD = Exercise(
    number="13.5",
    title="The way back",
    name="attend_backward",
    apart=True,
    difficulty=5,
    minutes=40,
    reference=lambda q, k, v, g: _backward()(q, k, v, g),
    tests=[
        Test("gives each value its share", lambda g: _with_gradient(g)[:1], 2, part(2, *GRADS)),
        Test("goes through the softmax to the queries", _with_gradient, 3, part(0, *GRADS)),
        Test("goes through the softmax to the keys", _with_gradient, 2, part(1, *GRADS)),
    ],
    mistakes=[
        Mistake(
            "passes the softmax by",
            _backward(soft=lambda w, dw: dw),
            "you passed the softmax by: its input has a slope of its own, "
            "ds = w * (dw - (w * dw).sum(-1, keepdim=True))",
        ),
        Mistake(
            "multiplies by the weights alone",
            _backward(soft=lambda w, dw: w * dw),
            "you forgot that the weights of a query compete: subtract their mean slope first, "
            "w * (dw - (w * dw).sum(-1, keepdim=True))",
        ),
        Mistake(
            "takes the diagonal alone",
            _backward(soft=lambda w, dw: w * (1 - w) * dw),
            "you took the diagonal of the softmax's slopes alone, w (1 - w); a score moves the "
            "other weights of its row too, by minus the product of both",
        ),
        Mistake(
            "averages over the queries",
            _backward(soft=lambda w, dw: w * (dw - (w * dw).sum(0, keepdim=True))),
            "your sum in the softmax's slope runs over the queries; it runs along the row, over "
            "the keys: axis -1",
        ),
        Mistake(
            "takes a plain mean",
            _backward(soft=lambda w, dw: w * (dw - dw.mean(-1, keepdim=True))),
            "you subtracted the plain mean of the slopes; it is the one weighted by w: "
            "(w * dw).sum(-1, keepdim=True)",
        ),
        Mistake(
            "forgets keepdim",
            _backward(soft=lambda w, dw: w * (dw - (w * dw).sum(-1))),
            "you summed along the rows without keepdim=True, so the sums line up with the columns; "
            "with as many queries as keys no shape complains",
        ),
        Mistake(
            "sums without the weights",
            _backward(soft=lambda w, dw: w * (dw - dw.sum(-1, keepdim=True))),
            "your sum in the softmax's slope lacks the weights: (w * dw).sum(-1, keepdim=True)",
        ),
        Mistake(
            "forgets the root on the way back",
            _backward(root=lambda d: 1.0),
            "you forgot the root on the way back: the scores were divided by sqrt(d), and so are "
            "the slopes by q and k",
        ),
        Mistake(
            "forgets the root on the way there",
            _backward(scores=lambda q, k: q @ k.T),
            "your weights are not those of the forward pass: divide the scores by sqrt(d) before "
            "the softmax",
        ),
        Mistake(
            "forgets the root altogether",
            _backward(scores=lambda q, k: q @ k.T, root=lambda d: 1.0),
            "you forgot the root altogether: sqrt(d) divides the scores on the way there, and the "
            "slopes by q and k on the way back",
        ),
        Mistake(
            "gives the values the weights untransposed",
            _backward(dv=lambda w, g: w @ g),
            "you wrote w @ g for the values; value s collects from all queries, which stand in "
            "column s of the weights: w.T @ g",
        ),
        Mistake(
            "gives the values the gradient itself",
            _backward(dv=lambda w, g: g),
            "you handed the gradient on to the values as it is; value s gets from each query t "
            "the share w[t, s] of it: w.T @ g",
        ),
        Mistake(
            "forgets the transpose of the values",
            _backward(dw=lambda g, v: g @ v),
            "you wrote g @ v for the slopes of the weights; out = w @ v, so they are g @ v.T",
        ),
        Mistake(
            "forgets the values",
            _backward(dw=lambda g, v: g.sum(1, keepdim=True).expand(-1, len(v))),
            "you left the values out: weight w[t, s] multiplies value s, so its slope is the dot "
            "product of g[t] and v[s]",
        ),
        Mistake(
            "forgets the transpose for the keys",
            _backward(dk=lambda ds, q, k: ds @ q),
            "you wrote ds @ q for the keys; key s stands in column s of the scores, so it "
            "collects down that column: ds.T @ q",
        ),
        Mistake(
            "transposes for the queries",
            _backward(dq=lambda ds, q, k: ds.T @ k),
            "you transposed ds for the queries; query t stands in row t of the scores: ds @ k",
        ),
        Mistake(
            "pairs each with itself",
            _backward(dq=lambda ds, q, k: ds @ q, dk=lambda ds, q, k: ds.T @ k),
            "you multiplied the slope of q by q and that of k by k; in a product each gets the "
            "*other* factor: dq = ds @ k, dk = ds.T @ q",
        ),
        Mistake(
            "exchanges queries and keys",
            _backward(finish=lambda dq, dk, dv: (dk, dq, dv)),
            "you returned dk in the place of dq; return dq, dk, dv in this order",
        ),
        Mistake(
            "returns the values first",
            _backward(finish=lambda dq, dk, dv: (dv, dk, dq)),
            "you returned them in the order in which you found them; return dq, dk, dv",
        ),
        Mistake(
            "starts from ones",
            lambda q, k, v, g: _backward()(q, k, v, torch.ones_like(g)),
            "you began with ones, as sum().backward() would; begin with g, the gradient that "
            "came back from behind",
        ),
    ],
)


# 13.6 greedy

WRITTEN = ("tokens", "places")


def _text(name: str, value: Any) -> str:
    """Whole numbers in a row, however they came: "3 0 1"."""
    try:
        row = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Unfit(f"{name} is {show(value)}, expected whole numbers") from None
    if row.ndim != 1 or not torch.equal(row, row.round()):  # nan is not equal to itself
        raise Unfit(f"{name} is {show(value)}, expected a row of whole numbers")
    return " ".join(str(int(i)) for i in row.tolist()) or "nothing"


def _rows(table: Tensor) -> str:
    return f"torch.tensor({[[round(v, 2) for v in row] for row in table.tolist()]})"


def _program(name: str, *lines: str) -> tuple[str, str, str]:
    return name, "; ".join(["import torch", *lines]), "out"


CALLS = "calls = [0] * 30"  # more of them, and a loop that would never end does

# Random tables on which every mistake shows are rare. These seeds draw such ones; a search found
# them, and tests/test_attention_checks.py looks at each again.
TELLING_WALKS = (
    3590, 3881, 4589, 6992, 7177, 8876, 8997, 10026, 10257, 10379, 10912, 11458, 11892, 13813,
    17121, 17306, 17921, 18314, 18330, 18562, 18746,
)  # fmt: skip
TELLING_GREED = (
    5, 14, 15, 17, 20, 23, 28, 30, 32, 33, 34, 36, 39, 40, 43, 50, 51, 56, 60, 70, 71, 73, 74, 79,
    81, 82, 88, 93,
)  # fmt: skip
TELLING_BEAMS = (
    0, 2, 3, 5, 6, 11, 14, 15, 20, 23, 24, 25, 26, 27, 28, 30, 33, 37, 38, 39, 40, 48, 50, 58, 59,
    60, 63, 65, 67, 68, 70,
)  # fmt: skip
TELLING_ENDS = (
    (60, 1421, 1), (147, 2420, 78), (191, 225, 19), (196, 2634, 36), (288, 3086, 53),
    (826, 4224, 126), (884, 5446, 2), (1248, 7756, 3), (1487, 7838, 5), (1638, 8873, 14),
    (2758, 10495, 15), (6079, 1332, 18),
)  # fmt: skip
TELLING_SCORES = (
    1, 3, 5, 14, 18, 23, 25, 26, 29, 31, 32, 33, 43, 44, 45, 46, 50, 52, 53, 55, 59, 62, 63, 65, 66,
    67, 68, 71, 74, 77,
)  # fmt: skip


def _one_of(seeds: Sequence, g: Generator) -> Any:
    return seeds[int(torch.randint(len(seeds), (), generator=g))]


def _walks(g: Generator) -> list[tuple]:
    return _walks_from(_one_of(TELLING_WALKS, g))


def _walks_from(seed: int) -> list[tuple]:
    """Two steps made of tables: one text ends by itself, the other is cut off."""
    g = Generator().manual_seed(seed)
    return [_walk(g, end, steps) for end, steps in ((1, 6), (0, 3))]


def _shuffled(g: Generator, *levels: float) -> Tensor:
    """Five rows of these numbers, each in an order of its own."""
    order = torch.rand(5, len(levels), generator=g).argsort(1)
    return torch.tensor(levels)[order]


def _walk(g: Generator, end: int, steps: int) -> tuple[str, str, str]:
    return _program(
        "greedy",
        f"L = {_rows(_shuffled(g, -0.5, 0.0, 0.5) + uniform(g, -0.2, 0.2, 5, 3))}",
        f"A = {_rows(_shuffled(g, 0.1, 0.3, 0.6))}",
        "at = lambda s: (L[s], A[s], s)",
        CALLS,
        "step = lambda token, state: calls.pop() or at((2 * state + token) % 5)",
        f"out = greedy(step, 0, 3, {end}, {steps})",
    )


def _written(i: int) -> Callable[[tuple, Any], Any]:
    return lambda args, value: {
        WRITTEN[i]: _text(WRITTEN[i], parts(value["out"], *WRITTEN)[i]),
    }


def _greedy(
    pick: Callable[[Tensor], Any] = lambda logits: int(logits.argmax()),
    look: Callable[[Tensor], Any] = lambda weights: int(weights.argmax()),
    fed: Callable[[Any, Any], Any] = lambda token, start: token,
    carry: bool = True,
    stops: bool = True,
    more: int = 0,
    finish: Callable[..., Any] = lambda tokens, places, ended, start: (
        tokens[: len(tokens) - ended],
        places[: len(places) - ended],
    ),
) -> Callable:
    """``ended`` is 1 where END stands last, otherwise 0."""

    def greedy(step: Callable, state: Any, start: int, end: int, steps: int) -> Any:
        token, tokens, places = start, [], []
        for _ in range(steps + more):
            logits, weights, new = step(fed(token, start), state)
            state = new if carry else state
            token = pick(logits)
            tokens.append(token)
            places.append(look(weights))
            if token == end and stops:
                break
        return finish(tokens, places, int(stops and token == end), start)

    return greedy


def _without_end(step: Callable, state: Any, start: int, end: int, steps: int) -> tuple:
    tokens, places = _greedy(stops=False)(step, state, start, end, steps)
    kept = [(token, place) for token, place in zip(tokens, places, strict=True) if token != end]
    return [token for token, _ in kept], [place for _, place in kept]


GREEDY = Exercise(
    number="13.6",
    title="Symbol by symbol",
    name="greedy",
    difficulty=3,
    minutes=20,
    reference=_greedy(),
    tests=[
        Test("writes until the end", _walks, 3, _written(0), probe=program),
        Test("says where it looked", _walks, 1, _written(1), probe=program),
    ],
    mistakes=[
        Mistake(
            "keeps the end",
            _greedy(finish=lambda tokens, places, ended, start: (tokens, places)),
            "you kept END; it says that the text is over and is no part of it, neither is the "
            "place that goes with it",
        ),
        Mistake(
            "keeps the place of the end",
            _greedy(
                finish=lambda tokens, places, ended, start: (tokens[: len(tokens) - ended], places)
            ),
            "you kept a place for END; give one for each symbol that you return, and none beyond",
        ),
        Mistake(
            "keeps the start",
            _greedy(
                finish=lambda tokens, places, ended, start: (
                    [start, *tokens[: len(tokens) - ended]],
                    places[: len(places) - ended],
                )
            ),
            "you returned START as well; it was handed in and not written, so begin with an empty "
            "list",
        ),
        Mistake(
            "goes on behind the end",
            _greedy(stops=False),
            "you went on behind END; when it is written the text is over, however many steps are "
            "left",
        ),
        Mistake(
            "skips the end and goes on",
            _without_end,
            "you left END out but went on behind it; the text is over there, so leave the loop",
        ),
        Mistake(
            "feeds the start each time",
            _greedy(fed=lambda token, start: start),
            "you handed START in at every step; from the second on the input is the symbol that "
            "was written last",
        ),
        Mistake(
            "does not carry the state",
            _greedy(carry=False),
            "you began each step with the first state; hand in the one that the step before "
            "returned",
        ),
        Mistake(
            "feeds neither",
            _greedy(fed=lambda token, start: start, carry=False),
            "each of your steps is the first one again; hand in the symbol written last and the "
            "state that came with it",
        ),
        Mistake(
            "takes the least likely",
            _greedy(pick=lambda logits: int(logits.argmin())),
            "you took the symbol with the smallest logit; the likeliest has the greatest: argmax",
        ),
        Mistake(
            "takes a step too many",
            _greedy(more=1),
            "you wrote one symbol too many where END does not come; write `steps` at the most",
        ),
        Mistake(
            "goes on until the end",
            _greedy(more=100),
            "you paid no attention to `steps`: END may never come, and then your loop never ends; "
            "take `steps` steps at the most",
        ),
        Mistake(
            "drops the last symbol",
            _greedy(finish=lambda tokens, places, ended, start: (tokens[:-1], places[:-1])),
            "you have one symbol too few where END does not come: all `steps` symbols belong to "
            "the text then; START is no step, and what came last is not always END",
        ),
        Mistake(
            "gives the place before",
            _greedy(
                finish=lambda tokens, places, ended, start: (
                    tokens[: len(tokens) - ended],
                    [0, *places][: len(tokens) - ended],
                )
            ),
            "your places stand one symbol late: the weights of a step belong to the symbol "
            "that this step writes",
        ),
        Mistake(
            "gives the place behind",
            _greedy(
                finish=lambda tokens, places, ended, start: (tokens[: -ended or None], places[1:])
            ),
            "your places stand one symbol early: the weights of a step belong to the symbol "
            "that this step writes",
        ),
        Mistake(
            "gives the place of the greatest logit",
            _greedy(
                finish=lambda tokens, places, ended, start: (tokens[: len(tokens) - ended],) * 2
            ),
            "you gave the symbols twice; a place is where the *weights* are greatest, which is a "
            "place of the source",
        ),
        Mistake(
            "looks where the weight is least",
            _greedy(look=lambda weights: int(weights.argmin())),
            "you gave the places with the least weight; where it looked most is the argmax",
        ),
        Mistake(
            "gives all weights",
            _greedy(look=lambda weights: weights.tolist()),
            "you returned all weights; of each step give the one place where they are greatest, "
            "as a whole number",
        ),
        Mistake(
            "gives the greatest weight",
            _greedy(look=lambda weights: float(weights.max())),
            "you gave the greatest weight itself; give the place where it stands: argmax in "
            "place of max",
        ),
        Mistake(
            "returns pairs",
            _greedy(
                finish=lambda tokens, places, ended, start: list(zip(tokens, places, strict=True))[
                    : len(tokens) - ended
                ]
            ),
            "you returned a list of pairs; return two values, the row of the symbols and the row "
            "of the places: tokens, places",
        ),
        Mistake(
            "returns the symbols alone",
            _greedy(finish=lambda tokens, places, ended, start: tokens[: len(tokens) - ended]),
            "you returned the symbols alone; return tokens, places",
        ),
    ],
)


# 13.7 beam_search


def _one_beam(g: Generator) -> list[tuple]:
    return [_search(_one_of(TELLING_GREED, g), 1, 0.0)]


def _beginnings(g: Generator) -> list[tuple]:
    return [_search(_one_of(TELLING_BEAMS, g), 3, 0.0, rare=True)]


def _some_done(g: Generator) -> list[tuple]:
    return [_search(seed, 3, 0.0) for seed in _one_of(TELLING_ENDS, g)]


def _by_length(g: Generator) -> list[tuple]:
    return [_search(_one_of(TELLING_SCORES, g), 3, _number(g, 0.6, 1.0))]


def _search(seed: int, beams: int, alpha: float, rare: bool = False) -> tuple[str, str, str]:
    """The state numbers the beginnings as a binary tree does: root 1, then 2 and 3, then 4 to 7.

    The symbols are 0, 1 and 2, of which one is END, ``rare`` or not; the start is a 3.
    """
    g = Generator().manual_seed(seed)
    end = 2 * int(torch.randint(0, 2, (), generator=g))
    logits = normal(g, 8, 3)
    logits[:, end] -= 4.0 * rare
    return _program(
        "beam_search",
        f"P = {_rows(logits)}.log_softmax(1)",
        "at = lambda s: (P[s], s)",
        CALLS,
        "step = lambda tokens, state: calls.pop() or at((2 * state + tokens % 2) % 8)",
        f"out = beam_search(step, torch.tensor([0]), 3, {end}, {beams}, 3, {alpha})",
    )


def _pairs(args: tuple, value: Any) -> dict[str, Any]:
    """Texts and scores apart, so that a message says which of them is wrong."""
    if not isinstance(value["out"], tuple):
        raise Unfit(f"returned {show(value['out'])}, expected a list of pairs (tokens, score)")
    if len(value["out"]) == 2 and isinstance(value["out"][1], float):
        raise Unfit(f"returned the pair {show(value['out'])}, expected a list of such pairs")
    pairs = [parts(pair, "tokens", "score") for pair in value["out"]]
    return {
        "texts": ", ".join(_text("tokens", tokens) for tokens, _ in pairs),
        "scores": tuple(_score(score) for _, score in pairs),
    }


def _score(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Unfit(f"score is {show(value)}, expected a number") from None


Text = tuple[list[int], float, int]  # the symbols written, their total, the row of its state


def _enough(done: int, beams: int) -> bool:
    return done >= beams


def _done_if_enough(done: list[Text], going: list[Text], beams: int) -> list[Text]:
    return done if len(done) >= beams else done + going


def _best_first(found: list, many: int | None = None) -> list:
    return sorted(found, key=itemgetter(1), reverse=True)[:many]


def _together(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    """The best of all continuations; those that ended are set aside. ``found`` is best first."""
    best = found[:beams]
    return [f for f in best if not ended(f)], done + [f for f in best if ended(f)]


def _narrowing(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    return _together(found, done, max(0, beams - len(done)), ended)


def _competing(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    return _together(_best_first(found + done), [], beams, ended)


def _dropping(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    return _together([f for f in found if not ended(f)], [], beams, ended)


def _refilling(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    going = [f for f in found if not ended(f)][:beams]
    return going, done + [f for f in found[:beams] if ended(f)]


def _everything(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    return _together(found, done, len(found), ended)


def _never_done(found: list[Text], done: list[Text], beams: int, ended: Callable) -> tuple:
    return found[:beams], []


def _beam_search(
    total: Callable[[float, float, float], float] = lambda before, now, norm: before + now,
    choose: Callable[..., tuple] = _together,
    first: Callable[[int], int] = lambda beams: 1,
    each: Callable[[int], int | None] = lambda t: None,
    parent: bool = True,
    carry: bool = True,
    more: int = 0,
    stop: Callable[[int, int], bool] = lambda done, beams: False,
    left: Callable[[list, list, int], list] = lambda done, going, beams: done + going,
    length: Callable[[int, bool, int], int] = lambda n, ended, steps: n,
    score: Callable[[float, float], float] = lambda total, norm: total / norm,
    text: Callable[[list, bool, int], list] = lambda tokens, ended, start: tokens[: -ended or None],
    order: Callable[[list, int], Any] = _best_first,
) -> Callable:
    """The search, whose parts can be spoilt one by one.

    ``norm`` is the length to the power alpha; ``each(t)`` how many continuations one beginning may
    have in step t; ``parent``: the states follow the texts that they belong to.
    """

    def beam_search(
        step: Callable, state: Tensor, start: int, end: int, beams: int, steps: int, alpha: float
    ) -> Any:
        def ended(f: Text) -> bool:
            return f[0][-1] == end

        origin, going, done = state, [([], 0.0, 0)] * first(beams), []
        state = origin.expand(len(going))
        for t in range(steps + more):
            last = torch.tensor([tokens[-1] if tokens else start for tokens, *_ in going])
            log_p, new = step(last, state if carry else origin.expand(len(going)))
            found, norm = [], (t + 1) ** alpha
            for row, ((tokens, before, _), now) in enumerate(
                zip(going, log_p.tolist(), strict=True)
            ):
                grown = [([*tokens, k], total(before, p, norm), row) for k, p in enumerate(now)]
                found += _best_first(grown, each(t))
            going, done = choose(_best_first(found), done, beams, ended)
            if not going or stop(len(done), beams):
                break
            rows = [f[2] if parent else min(i, len(new) - 1) for i, f in enumerate(going)]
            state = new.index_select(0, torch.tensor(rows))
        pairs = [
            (
                text(f[0], ended(f), start),
                score(f[1], max(1, length(len(f[0]), ended(f), steps)) ** alpha),
            )
            for f in left(done, going, beams)
        ]
        return order(pairs, beams)

    return beam_search


BEAM_SEARCH = Exercise(
    number="13.7",
    title="Several beginnings at once",
    name="beam_search",
    difficulty=5,
    minutes=45,
    reference=_beam_search(),
    tests=[
        Test("takes the likeliest with one beam", _one_beam, 1, _pairs, probe=program),
        Test("keeps the best beginnings", _beginnings, 2, _pairs, probe=program),
        Test("sets aside what is done", _some_done, 2, _pairs, probe=program),
        Test("scores by length at the end", _by_length, 2, _pairs, probe=program),
    ],
    mistakes=[
        Mistake(
            "looks at the last symbol alone",
            _beam_search(total=lambda before, now, norm: now),
            "you ranked by the last symbol's log-probability alone; a continuation counts with all "
            "that stands before it: total + log_p",
        ),
        Mistake(
            "keeps the best of each beginning",
            _beam_search(each=lambda t: 1 if t else None),
            "you kept the best continuation of each beginning, so none can have two; rank all "
            "continuations of all beginnings together",
        ),
        Mistake(
            "keeps everything",
            _beam_search(choose=_everything),
            "you kept more continuations than `beams`: all of them, or all that end; of all "
            "together, the `beams` best are kept after each step, and those that end are among "
            "them",
        ),
        Mistake(
            "starts with copies",
            _beam_search(first=lambda beams: beams),
            "you began with `beams` copies of START, which all grow alike, so the same text fills "
            "the beam; begin with one",
        ),
        Mistake(
            "does not move the states",
            _beam_search(parent=False),
            "your states stay in their rows while the texts change places; after each step "
            "take for each text the state of the row that it grew from: state[rows]",
        ),
        Mistake(
            "does not carry the state",
            _beam_search(carry=False),
            "you began each step with the first state; hand in what the step before returned, in "
            "the order of the texts",
        ),
        Mistake(
            "drops what is done",
            _beam_search(choose=_dropping),
            "you dropped the texts that wrote END; they are results: set them aside and "
            "let them into the last ranking",
        ),
        Mistake(
            "extends what is done",
            _beam_search(choose=_never_done),
            "you let texts grow beyond END; one that wrote END is done, so set it aside and do not "
            "extend it",
        ),
        Mistake(
            "narrows the beam",
            _beam_search(choose=_narrowing),
            "your beam gets narrower with each text that is done; those are set aside and take no "
            "place, so `beams` continuations are kept at every step",
        ),
        Mistake(
            "lets the done ones compete",
            _beam_search(choose=_competing),
            "you let finished texts compete with beginnings that will still lose probability; set "
            "them aside, and rank continuations among themselves",
        ),
        Mistake(
            "refills the beam",
            _beam_search(choose=_refilling),
            "you kept `beams` continuations that go on besides those that end; here both share "
            "the places: first the `beams` best of all, then those that end leave",
        ),
        Mistake(
            "refills the beam and stops when enough are done",
            _beam_search(choose=_refilling, stop=_enough, left=_done_if_enough),
            "you search as the chapter's library does, which fills the places of finished texts "
            "again and stops when `beams` are done; here the rules are the five above, and simpler",
        ),
        Mistake(
            "stops when enough are done",
            _beam_search(stop=_enough, left=_done_if_enough),
            "you stopped when `beams` texts were done; what still grows may be better: go on "
            "until `steps` or until nothing is left to grow",
        ),
        Mistake(
            "forgets the length",
            _beam_search(score=lambda total, norm: total),
            "your scores are plain sums, which favours short texts; divide each at the end by "
            "its length to the power alpha",
        ),
        Mistake(
            "divides at every step",
            _beam_search(
                total=lambda before, now, norm: (before + now) / norm,
                score=lambda total, norm: total,
            ),
            "you divided at every step, so early symbols are divided again and again; carry the "
            "plain sum along and divide once, at the end",
        ),
        Mistake(
            "divides all by the same",
            _beam_search(length=lambda n, ended, steps: steps),
            "you divided every score by the same length; each text has its own, the number of "
            "symbols that it wrote, END with them",
        ),
        Mistake(
            "counts the start",
            _beam_search(length=lambda n, ended, steps: n + 1),
            "your length counts START, which was handed in and not written; the length is the "
            "number of symbols written, END with them",
        ),
        Mistake(
            "divides only what is done",
            _beam_search(length=lambda n, ended, steps: n if ended else 1),
            "you left the texts that are undone after `steps` symbols with their plain totals; "
            "divide these as well, by their length to the power alpha",
        ),
        Mistake(
            "does not count the end",
            _beam_search(length=lambda n, ended, steps: n - ended),
            "your length leaves END out; it was written and paid for like other symbols, so it "
            "counts",
        ),
        Mistake(
            "keeps the end",
            _beam_search(text=lambda tokens, ended, start: tokens),
            "you kept END in the symbols; it says that the text is over, it counts for the length, "
            "but do not return it",
        ),
        Mistake(
            "keeps the start",
            _beam_search(text=lambda tokens, ended, start: [start, *tokens[: -ended or None]]),
            "you returned START as well; it was handed in and not written, so leave it out",
        ),
        Mistake(
            "does not rank again",
            _beam_search(order=lambda pairs, beams: pairs[:beams]),
            "you returned the texts in the order in which they were found; rank them by "
            "their scores, the best first",
        ),
        Mistake(
            "writes a symbol too many",
            _beam_search(more=1),
            "you wrote one symbol too many; a text has `steps` symbols at the most, END with them",
        ),
    ],
)

EXERCISES = (
    LOOK_UP,
    ATTEND,
    MASKED_WEIGHTS,
    MULTI_HEAD,
    ATTEND_BACKWARD,
    GREEDY,
    BEAM_SEARCH,
)

check = checker(EXERCISES)
