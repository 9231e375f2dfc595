"""The exercises of chapter 14_transformer: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/14_transformer.md. Letters: B batch, T places,
P places read before, D width of the model, d width of a key, K symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import uniform
from .exercise import Exercise, Mistake, Test, checker, part
from .probes import gradient, program


def _signed(g: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers of two decimals whose size lies between the two, and either sign."""
    sign = 2 * torch.randint(0, 2, shape, generator=g) - 1
    return uniform(g, low, high, *shape) * sign


def _number(g: Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(uniform(g, low, high).item(), 2)


def _whole(g: Generator, low: int, high: int) -> int:
    """A whole number, both ends possible."""
    return int(torch.randint(low, high + 1, (), generator=g))


def _matrix(g: Generator, rows: int, columns: int) -> Tensor:
    """A matrix that differs from its transpose."""
    while True:
        W = _signed(g, 0.4, 1.2, rows, columns)
        if rows != columns or (W - W.T).abs().max() > 0.3:
            return W


# 14.1 sinusoidal


def _sizes(g: Generator) -> list[tuple]:
    """The second is square and wide enough to tell one exponent from another."""
    return [(3, 4, _whole(g, 10, 40)), (6, 6, _whole(g, 10, 40))]


def _side_by_side(sines: Tensor, cosines: Tensor) -> Tensor:
    return torch.stack([sines, cosines], -1).flatten(1)


def _sinusoidal(
    place: Callable[[int], Tensor] = lambda T: torch.arange(float(T)),
    speed: Callable[[Tensor, int, float], Tensor] = lambda i, D, base: base ** (-2 * i / D),
    lay: Callable[[Tensor, Tensor], Tensor] = _side_by_side,
) -> Callable:
    """``i`` counts the pairs, from 0."""

    def sinusoidal(T: int, D: int, base: float) -> Tensor:
        angle = place(T)[:, None] * speed(torch.arange(D // 2), D, base)
        return lay(angle.sin(), angle.cos())

    return sinusoidal


def _number_by_number(factor: int) -> Callable:
    """Every number j has an angle of its own, of exponent j / D or 2j / D."""

    def sinusoidal(T: int, D: int, base: float) -> Tensor:
        j = torch.arange(D)
        angle = torch.arange(T)[:, None] * base ** (-factor * j / D)
        return torch.where(j % 2 == 0, angle.sin(), angle.cos())

    return sinusoidal


SINUSOIDAL = Exercise(
    number="14.1",
    title="A place in waves",
    name="sinusoidal",
    difficulty=1,
    minutes=10,
    reference=_sinusoidal(),
    tests=[Test("tells each place by its waves", _sizes, 3)],
    mistakes=[
        Mistake(
            "lays sines first",
            _sinusoidal(lay=lambda s, c: torch.cat([s, c], 1)),
            "you laid all sines first and all cosines behind them; here each sine has its cosine "
            "next to it: 0 and 1 are a pair, 2 and 3 the next",
        ),
        Mistake(
            "lays cosines first",
            _sinusoidal(lay=lambda s, c: _side_by_side(c, s)),
            "you exchanged the two of a pair; the sine stands at 2i and the cosine behind it, at "
            "2i + 1",
        ),
        Mistake(
            "takes sines alone",
            _sinusoidal(lay=lambda s, c: _side_by_side(s, s)),
            "you took the sine twice; the second of a pair is the cosine of the same angle",
        ),
        Mistake(
            "takes 2i twice",
            _sinusoidal(speed=lambda i, D, base: base ** (-4 * i / D)),
            "you doubled twice: the exponent is 2i / D where i counts the *pairs*; arange(0, D, 2) "
            "gives 2i already",
        ),
        Mistake(
            "forgets the two",
            _sinusoidal(speed=lambda i, D, base: base ** (-i / D)),
            "you divided the number of the pair by D; there are D / 2 pairs, so the exponent is "
            "2i / D",
        ),
        Mistake(
            "gives each number an angle",
            _number_by_number(1),
            "you gave every number an angle of its own; the two of a pair share one, that of "
            "exponent 2i / D for both",
        ),
        Mistake(
            "takes the number for the pair",
            _number_by_number(2),
            "you took the number j of a column for i; i counts the *pairs*, and the columns 2i "
            "and 2i + 1 have one angle: i is j // 2",
        ),
        Mistake(
            "counts pairs from one",
            _sinusoidal(speed=lambda i, D, base: base ** (-2 * (i + 1) / D)),
            "you counted the pairs from 1; the first pair has i = 0 and turns by one radian a "
            "place",
        ),
        Mistake(
            "spreads over one pair less",
            _sinusoidal(speed=lambda i, D, base: base ** (-2 * i / (D - 2))),
            "your slowest pair goes all the way to the base; the exponents are 2i / D, so they "
            "stop short of 1",
        ),
        Mistake(
            "forgets the base",
            _sinusoidal(speed=lambda i, D, base: i**0),
            "your pairs all turn at the same speed; divide the place by base ** (2i / D), which "
            "makes later pairs slower",
        ),
        Mistake(
            "ignores the base that is given",
            _sinusoidal(speed=lambda i, D, base: 10_000.0 ** (-2 * i / D)),
            "you wrote 10 000 where `base` belongs; take the base that is handed in",
        ),
        Mistake(
            "multiplies by the power",
            _sinusoidal(speed=lambda i, D, base: base ** (2.0 * i / D)),
            "you multiplied by the power of the base, so later pairs turn faster and faster; "
            "divide by it",
        ),
        Mistake(
            "multiplies by the exponent",
            _sinusoidal(speed=lambda i, D, base: 1 / (base * (2 * i / D)).clamp(min=1)),
            "you multiplied the base by 2i / D; this is its exponent: base ** (2i / D)",
        ),
        Mistake(
            "counts places from one",
            _sinusoidal(place=lambda T: torch.arange(1.0, T + 1)),
            "you counted the places from 1; the first is 0, where every sine is 0 and every "
            "cosine 1",
        ),
        Mistake(
            "turns in degrees",
            _sinusoidal(place=lambda T: torch.arange(float(T)).deg2rad()),
            "you took the angles for degrees; torch's sine takes radians, and the formula means "
            "them: do not convert",
        ),
        Mistake(
            "turns whole circles",
            _sinusoidal(place=lambda T: 2 * math.pi * torch.arange(float(T))),
            "you multiplied by 2π, after which the first pair says nothing, because every place "
            "is a whole turn; leave it out",
        ),
        Mistake(
            "turns the table round",
            lambda T, D, base: _sinusoidal()(T, D, base).T,
            "you returned a column for each place; places are rows, so the shape is (T, D)",
        ),
    ],
)


# 14.2 rotate


def _at_the_start(g: Generator) -> list[tuple]:
    return [(_signed(g, 0.4, 1.5, T, d), 0, _whole(g, 20, 99)) for T, d in ((3, 4), (2, 6))]


def _further_on(g: Generator) -> list[tuple]:
    """The first has two heads; the second starts with a place that is not 0 nor 1."""
    return [
        (_signed(g, 0.4, 1.5, *size), _whole(g, 2, 5), _whole(g, 20, 99))
        for size in ((2, 3, 2), (1, 2, 4))
    ]


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.chunk(2, -1)


def _neighbours(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 0::2], x[..., 1::2]


def _dealt(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([a, b], -1).flatten(-2)


def _behind(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], -1)


def _places(x: Tensor, start: int) -> Tensor:
    return torch.arange(start, start + x.shape[-2])[:, None]  # (T, 1)


def _speeds(d: int, base: float) -> Tensor:
    return base ** (-torch.arange(0, d, 2) / d)  # (d/2,)


def _turned(a: Tensor, b: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return a * cos - b * sin, a * sin + b * cos


def _one_after_the_other(a: Tensor, b: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    a = a * cos - b * sin
    return a, a * sin + b * cos


def _rotate(
    pairs: Callable[[Tensor], tuple[Tensor, Tensor]] = _halves,
    places: Callable[[Tensor, int], Tensor] = _places,
    speeds: Callable[[int, float], Tensor] = _speeds,
    turn: Callable[..., tuple[Tensor, Tensor]] = _turned,
    join: Callable[[Tensor, Tensor], Tensor] = _behind,
) -> Callable:
    def rotate(x: Tensor, start: int, base: float) -> Tensor:
        angle = places(x, start) * speeds(x.shape[-1], base)
        return join(*turn(*pairs(x), angle.cos(), angle.sin()))

    return rotate


def _two_angles(speeds: Callable[[int, float], Tensor]) -> Callable:
    """The halves of a pair by an angle each: ``speeds`` gives d of them."""

    def rotate(x: Tensor, start: int, base: float) -> Tensor:
        angle = _places(x, start) * speeds(x.shape[-1], base)  # (T, d)
        a, b = _halves(x)
        return x * angle.cos() + _behind(-b, a) * angle.sin()

    return rotate


def _added(x: Tensor, start: int, base: float) -> Tensor:
    waves = _sinusoidal(lay=lambda s, c: torch.cat([s, c], 1))
    return x + waves(start + x.shape[-2], x.shape[-1], base)[start:]


def _into_the_argument(x: Tensor, start: int, base: float) -> Tensor:
    x.copy_(_rotate()(x, start, base))
    return x


ROTATE = Exercise(
    number="14.2",
    title="Turned by the place",
    name="rotate",
    difficulty=3,
    minutes=25,
    reference=lambda x, start, base: _rotate()(x, start, base),
    tests=[
        Test("turns each pair by its own angle", _at_the_start, 3),
        Test("goes on from the start that is given", _further_on, 2),
    ],
    mistakes=[
        Mistake(
            "pairs neighbours",
            _rotate(pairs=_neighbours, join=_dealt),
            "you paired neighbours, 0 with 1; here number i goes with number i + d/2, so cut x "
            "into two halves: x.chunk(2, -1)",
        ),
        Mistake(
            "deals the halves out",
            _rotate(join=_dealt),
            "you dealt the two results out in turn; each goes back to its own half: "
            "torch.cat([first, second], -1)",
        ),
        Mistake(
            "turns the other way",
            _rotate(turn=lambda a, b, cos, sin: _turned(a, b, cos, -sin)),
            "you turned the other way; the first becomes a cos - b sin, the second a sin + b cos",
        ),
        Mistake(
            "mirrors by two plus signs",
            _rotate(turn=lambda a, b, cos, sin: (a * cos + b * sin, a * sin + b * cos)),
            "you have a plus in both lines, which changes the length of a pair; the first is "
            "a cos - b sin",
        ),
        Mistake(
            "exchanges sine and cosine",
            _rotate(turn=lambda a, b, cos, sin: _turned(a, b, sin, cos)),
            "you exchanged sine and cosine; at place 0 the angle is 0, and nothing may change "
            "there",
        ),
        Mistake(
            "uses the new first for the second",
            _rotate(turn=_one_after_the_other),
            "you computed the second of a pair with the *new* first; both need the old ones, so "
            "keep them under other names",
        ),
        Mistake(
            "forgets the start",
            _rotate(places=lambda x, start: _places(x, 0)),
            "you counted the places from 0; the first row of x stands at place `start`, as a word "
            "does that comes behind a cache",
        ),
        Mistake(
            "starts one too late",
            _rotate(places=lambda x, start: _places(x, start + 1)),
            "you are one place too far: the first row stands at `start` itself, and with start 0 "
            "it is not turned at all",
        ),
        Mistake(
            "turns all rows alike",
            _rotate(places=lambda x, start: torch.full((1, 1), start)),
            "you turned all rows by the angle of the first; row t stands at place start + t",
        ),
        Mistake(
            "counts the heads",
            _rotate(
                places=lambda x, start: torch.arange(start, start + len(x)).view(
                    -1, *[1] * (x.ndim - 1)
                )
            ),
            "you counted along the first axis, where the heads are; places lie on axis -2",
        ),
        Mistake(
            "turns by the feature",
            _rotate(places=lambda x, start: start + torch.arange(x.shape[-1] // 2)),
            "you multiplied by the number of the pair, so every place turns alike; the angle "
            "grows with the place: places[:, None] * speeds",
        ),
        Mistake(
            "forgets the two",
            _rotate(speeds=lambda d, base: base ** (-torch.arange(d // 2) / d)),
            "you divided i by d; there are d/2 pairs, so the exponent is 2i / d",
        ),
        Mistake(
            "takes 2i twice",
            _rotate(speeds=lambda d, base: base ** (-2 * torch.arange(0, d, 2) / d)),
            "you doubled twice: arange(0, d, 2) gives 2i already, so divide it by d alone",
        ),
        Mistake(
            "turns all pairs alike",
            _rotate(speeds=lambda d, base: torch.ones(d // 2)),
            "you turned all pairs at one speed; pair i turns by place / base ** (2i / d), later "
            "ones more slowly",
        ),
        Mistake(
            "multiplies by the power",
            _rotate(speeds=lambda d, base: base ** (torch.arange(0, d, 2) / d)),
            "you multiplied by the power of the base, so later pairs turn faster; divide by it",
        ),
        Mistake(
            "ignores the base that is given",
            _rotate(speeds=lambda d, base: _speeds(d, 10_000.0)),
            "you wrote 10 000 where `base` belongs; take the base that is handed in",
        ),
        Mistake(
            "repeats each angle",
            _two_angles(lambda d, base: _speeds(d, base).repeat_interleave(2)),
            "you repeated each angle for the neighbour; the partners are i and i + d/2, so the "
            "angles come twice as a whole: torch.cat([angle, angle], -1)",
        ),
        Mistake(
            "gives each number an angle",
            _two_angles(lambda d, base: base ** (-torch.arange(d) / d)),
            "you gave the two of a pair different angles; pair i, which is number i and number "
            "i + d/2, has one",
        ),
        Mistake(
            "adds waves",
            _added,
            "you added sines and cosines, as in the exercise before; here nothing is added: "
            "each pair is turned",
        ),
        Mistake(
            "writes into x",
            _into_the_argument,
            "you wrote the result into x, which belongs to the caller; make a new tensor, with "
            "torch.cat for instance",
        ),
    ],
)


# 14.3 next_loss


def _tokens(g: Generator) -> Tensor:
    """Two rows of three symbols, of which two differ that a wrong order would exchange."""
    tokens = torch.randint(0, 2, (2, 3), generator=g)
    tokens[0, 2] = 1 - tokens[1, 1]
    return tokens


def _full(g: Generator) -> list[tuple]:
    """One text in which every symbol is to be predicted once, 0 not last; then two texts."""
    first, targets = torch.randint(0, 3, (1,), generator=g), torch.randperm(3, generator=g)
    targets = targets if targets[-1] else targets.flip(0)
    one = torch.cat([first, targets])
    return [
        (_signed(g, 0.4, 2.0, 1, 4, 3), one[None], torch.tensor([4])),
        (_signed(g, 0.4, 2.0, 2, 3, 2), _tokens(g), torch.tensor([3, 3])),
    ]


def _padded(g: Generator) -> list[tuple]:
    """Padding is symbol 0, which is also a real target of the longer text."""
    cases = []
    for lengths in ([3, 2], [1, 3]):
        n = torch.tensor(lengths)[torch.randperm(2, generator=g)]
        tokens = torch.randint(0, 2, (2, 3), generator=g)
        tokens[torch.arange(3) >= n[:, None]] = 0
        tokens[n.argmax(), 1:] = torch.randperm(2, generator=g)
        cases.append((_signed(g, 0.4, 2.0, 2, 3, 2), tokens, n))
    return cases


def _shifted(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    return logits[:, :-1], tokens[:, 1:]


def _nats(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits.mT, y, reduction="none")  # (B, T)


def _next_loss(
    pair: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _shifted,
    each: Callable[[Tensor, Tensor], Tensor] = _nats,
    real: Callable[..., Tensor] = lambda t, n, y: t + 1 < n,
    mean: Callable[..., Tensor] = lambda losses, real, n: losses[real].mean(),
) -> Callable:
    """``real`` tells which of the targets y count, by their place t and the lengths n."""

    def next_loss(logits: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        told, y = pair(logits, tokens)
        t = torch.arange(y.shape[1])
        counted = real(t, lengths[:, None], y).expand(y.shape)
        return mean(each(told, y), counted, lengths)

    return next_loss


def _row_by_row(losses: Tensor, real: Tensor, n: Tensor) -> Tensor:
    rows = [row[counts].mean() for row, counts in zip(losses, real, strict=True) if counts.any()]
    return torch.stack(rows).mean()


NEXT_LOSS = Exercise(
    number="14.3",
    title="What comes next",
    name="next_loss",
    difficulty=2,
    minutes=20,
    reference=_next_loss(),
    tests=[
        Test("judges each place by the next symbol", _full, 2),
        Test("leaves padding out", _padded, 2),
        Test("lets the slope through", lambda g: _padded(g)[1:], 1, probe=gradient),
    ],
    mistakes=[
        Mistake(
            "predicts what it has read",
            _next_loss(pair=lambda logits, tokens: (logits, tokens), real=lambda t, n, y: t < n),
            "you judged each place by the symbol that it has just read; place t tells symbol "
            "t + 1: logits[:, :-1] against tokens[:, 1:]",
        ),
        Mistake(
            "predicts what it has read, all but the last",
            _next_loss(pair=lambda logits, tokens: (logits[:, :-1], tokens[:, :-1])),
            "you cut both alike, so each place is judged by the symbol that it has just read; cut "
            "the logits behind and the tokens in front",
        ),
        Mistake(
            "predicts the past",
            _next_loss(pair=lambda logits, tokens: (logits[:, 1:], tokens[:, :-1])),
            "you shifted the wrong way: your places tell the symbol *before*; take "
            "logits[:, :-1] and tokens[:, 1:]",
        ),
        Mistake(
            "rolls the first to the end",
            _next_loss(
                pair=lambda logits, tokens: (logits, tokens.roll(-1, 1)),
                real=lambda t, n, y: t < n,
            ),
            "you rolled the tokens, so the last place is to tell the first symbol, or padding; "
            "the last place has no target: leave it out",
        ),
        Mistake(
            "counts padding",
            _next_loss(real=lambda t, n, y: torch.ones_like(y, dtype=torch.bool)),
            "you counted padding as text; only targets at places below the row's length are real",
        ),
        Mistake(
            "counts the first padding",
            _next_loss(real=lambda t, n, y: t < n),
            "you counted one target of padding in each row: the last real symbol has nothing real "
            "to tell; targets count where t + 1 < length",
        ),
        Mistake(
            "leaves the last symbol out",
            _next_loss(real=lambda t, n, y: t + 2 < n),
            "you left out the last real symbol of each row, which is a target too: targets "
            "count where t + 1 < length",
        ),
        Mistake(
            "leaves out the symbol of padding",
            _next_loss(real=lambda t, n, y: y != 0),
            "you left out symbol 0 everywhere; it is a symbol like others, and only `lengths` "
            "tell where padding begins",
        ),
        Mistake(
            "adds up",
            _next_loss(mean=lambda losses, real, n: losses[real].sum()),
            "you added the losses up; divide by the number of targets, so that long and short "
            "batches compare",
        ),
        Mistake(
            "averages the rows' averages",
            _next_loss(mean=_row_by_row),
            "you averaged each text and then the texts, so symbols of short texts weigh more; "
            "here every real target counts the same",
        ),
        Mistake(
            "divides by all places",
            _next_loss(mean=lambda losses, real, n: (losses * real).mean()),
            "you set the losses of padding to 0 and divided by all places; divide by the number "
            "of real targets",
        ),
        Mistake(
            "divides by the symbols",
            _next_loss(mean=lambda losses, real, n: losses[real].sum() / n.sum()),
            "you divided by the number of real symbols; the first of each text is never a target, "
            "so there are fewer targets",
        ),
        Mistake(
            "flattens in another order",
            _next_loss(
                each=lambda logits, y: _nats(logits, y.T.reshape(y.shape)),
            ),
            "you flattened logits and tokens in different orders, places first and texts first; "
            "flatten both from (B, T)",
        ),
        Mistake(
            "takes the softmax twice",
            _next_loss(each=lambda logits, y: _nats(logits.softmax(-1), y)),
            "you took the softmax first, and the cross-entropy takes it again; hand it the "
            "logits as they are",
        ),
        Mistake(
            "takes the softmax over places",
            _next_loss(
                each=lambda logits, y: -logits.log_softmax(1).gather(2, y[..., None])[..., 0]
            ),
            "your softmax runs over the places; the symbols of one place compete, and they are "
            "the last axis",
        ),
        Mistake(
            "counts bits",
            _next_loss(each=lambda logits, y: _nats(logits, y) / math.log(2)),
            "you counted in bits; nats are natural logarithms, which log_softmax and "
            "cross_entropy give",
        ),
        Mistake(
            "forgets the sign",
            _next_loss(each=lambda logits, y: -_nats(logits, y)),
            "you forgot the sign: a log-probability is negative, and the loss is its opposite",
        ),
        Mistake(
            "takes the likelihood of the logits",
            _next_loss(each=lambda logits, y: -logits.gather(2, y[..., None])[..., 0]),
            "you took the logit of the right symbol alone; log_softmax first, which tells it "
            "against the others",
        ),
        Mistake(
            "returns all losses",
            _next_loss(mean=lambda losses, real, n: losses * real),
            "you returned a loss for each place; return a single number, their mean over the "
            "real targets",
        ),
    ],
)


# 14.4 gpt_logits


def _rows(table: Tensor) -> str:
    rounded = [[round(v, 2) for v in row] for row in table.tolist()]
    return f"torch.tensor({rounded})"


def _no_blocks(g: Generator) -> list[tuple]:
    """As many symbols as numbers in a row: no shape tells the table from its transpose."""
    return [_model(g, 3, 3, 0)]


def _two_blocks(g: Generator) -> list[tuple]:
    return [_model(g, 4, 2, 2)]


def _model(g: Generator, K: int, D: int, blocks: int) -> tuple[str, str, str]:
    """Sub-layers of a line each: a sum over the places so far, and a tanh at every place."""
    table = _rows(_matrix(g, K, D))
    places = _rows(_signed(g, 0.4, 1.2, 5, D))
    layers = "(lambda x: x.cumsum(1) @ {0}, lambda x: torch.tanh(x @ {0}.T))".format
    pairs = [layers(f"W_{i}") for i in range(blocks)]
    tokens = torch.stack([torch.randperm(3, generator=g) for _ in range(2)])
    tokens[1] = tokens[0].roll(1 + _whole(g, 0, 1))
    lines = (
        "import torch",
        "norm = lambda x: torch.nn.functional.rms_norm(x, x.shape[-1:])",
        f"table = {table}",
        f"places = {places}",
        *(f"W_{i} = {_rows(_matrix(g, D, D))}" for i in range(blocks)),
        f"blocks = [{', '.join(pairs)}]",
        f"tokens = torch.tensor({tokens.tolist()})",
        "logits = gpt_logits(tokens, table, places, blocks, norm)",
    )
    return "gpt_logits", "; ".join(lines), "logits"


def _pre(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = x + attention(norm(x))
    return x + mlp(norm(x))


def _post(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = norm(x + attention(x))
    return norm(x + mlp(x))


def _norm_behind(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = x + norm(attention(x))
    return x + norm(mlp(x))


def _no_norm(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = x + attention(x)
    return x + mlp(x)


def _norm_once(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = x + attention(norm(x))
    return x + mlp(x)


def _norm_late(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = x + attention(x)
    return x + mlp(norm(x))


def _normed_stream(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = norm(x)
    x = x + attention(x)
    x = norm(x)
    return x + mlp(x)


def _parallel(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    return x + attention(norm(x)) + mlp(norm(x))


def _no_residual(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    return mlp(norm(attention(norm(x))))


def _no_first_residual(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    x = attention(norm(x))
    return x + mlp(norm(x))


def _no_second_residual(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    return mlp(norm(x + attention(norm(x))))


def _first_input(x: Tensor, attention: Callable, mlp: Callable, norm: Callable) -> Tensor:
    return x + mlp(norm(x + attention(norm(x))))


def _placed(table: Tensor, places: Tensor, tokens: Tensor) -> Tensor:
    return table[tokens] + places[: tokens.shape[1]]


def _gpt(
    read: Callable[[Tensor, Tensor, Tensor], Tensor] = _placed,
    block: Callable[..., Tensor] = _pre,
    chosen: Callable[[list], list] = lambda blocks: blocks,
    between: Callable[[Tensor, Tensor], Tensor] = lambda x, places: x,
    last: Callable[[Callable, Tensor], Tensor] = lambda norm, x: norm(x),
    head: Callable[[Tensor, Tensor], Tensor] = lambda x, table: x @ table.T,
) -> Callable:
    def gpt_logits(
        tokens: Tensor, table: Tensor, places: Tensor, blocks: list, norm: Callable
    ) -> Tensor:
        x = read(table, places, tokens)
        for i, (attention, mlp) in enumerate(chosen(blocks)):
            x = between(x, places) if i else x
            x = block(x, attention, mlp, norm)
        return head(last(norm, x), table)

    return gpt_logits


def _each_from_the_start(
    tokens: Tensor, table: Tensor, places: Tensor, blocks: list, norm: Callable
) -> Tensor:
    x = start = _placed(table, places, tokens)
    for attention, mlp in blocks:
        x = _pre(start, attention, mlp, norm)
    return norm(x) @ table.T


GPT_LOGITS = Exercise(
    number="14.4",
    title="A GPT in six lines",
    name="gpt_logits",
    difficulty=4,
    minutes=35,
    reference=_gpt(),
    tests=[
        Test("reads symbols at their places, and tells symbols", _no_blocks, 2, probe=program),
        Test("adds what each block finds", _two_blocks, 4, probe=program),
    ],
    mistakes=[
        Mistake(
            "puts the norm behind the sum",
            _gpt(block=_post),
            "you normed the sum, which is the post-norm of 2017; pre-norm leaves the stream alone: "
            "x + f(norm(x))",
        ),
        Mistake(
            "norms what comes out",
            _gpt(block=_norm_behind),
            "you normed what the sub-layers give; pre-norm stands in front of them: x + f(norm(x))",
        ),
        Mistake(
            "norms the stream itself",
            _gpt(block=_normed_stream),
            "you wrote the normed numbers back into x, so the sum forgets its size; norm only "
            "what the sub-layer reads: x + f(norm(x))",
        ),
        Mistake(
            "leaves out the norms in the blocks",
            _gpt(block=_no_norm),
            "you left out the norms in the blocks; attention and mlp both read norm(x)",
        ),
        Mistake(
            "norms behind each block",
            _gpt(
                block=lambda x, attention, mlp, norm: norm(_pre(x, attention, mlp, norm)),
                last=lambda norm, x: x,
            ),
            "you normed the stream at the end of every block; the last norm stands behind the "
            "loop, once: look at its indentation",
        ),
        Mistake(
            "leaves out the second norm",
            _gpt(block=_norm_once),
            "you left out the norm in front of the mlp; both sub-layers read norm(x)",
        ),
        Mistake(
            "leaves out the first norm",
            _gpt(block=_norm_late),
            "you left out the norm in front of attention; both sub-layers read norm(x)",
        ),
        Mistake(
            "runs both side by side",
            _gpt(block=_parallel),
            "you ran both sub-layers on the same x; the mlp reads the sum that attention has been "
            "added to already",
        ),
        Mistake(
            "forgets both sums",
            _gpt(block=_no_residual),
            "you replaced x by what the sub-layers give; a block adds to x: x + f(norm(x)), twice",
        ),
        Mistake(
            "forgets the first sum",
            _gpt(block=_no_first_residual),
            "you replaced x by what attention gives; add it: x + attention(norm(x))",
        ),
        Mistake(
            "forgets the second sum",
            _gpt(block=_no_second_residual),
            "you replaced x by what the mlp gives; add it: x + mlp(norm(x))",
        ),
        Mistake(
            "adds to what came in",
            _gpt(block=_first_input),
            "you added the mlp's part to the x from before attention, which loses what attention "
            "found; add to the newest x",
        ),
        Mistake(
            "exchanges the two",
            _gpt(block=lambda x, attention, mlp, norm: _pre(x, mlp, attention, norm)),
            "you ran the mlp first; attention gathers from other places, then the mlp works on it",
        ),
        Mistake(
            "forgets the places",
            _gpt(read=lambda table, places, tokens: table[tokens]),
            "you left out the places; without them a sum over all symbols cannot tell their order: "
            "table[tokens] + places[:T]",
        ),
        Mistake(
            "takes the places by symbol",
            _gpt(read=lambda table, places, tokens: table[tokens] + places[tokens]),
            "you looked the places up by the symbols; row t of `places` belongs to place t, "
            "whatever stands there: places[:T]",
        ),
        Mistake(
            "counts places from one",
            _gpt(read=lambda table, places, tokens: table[tokens] + places[1 : len(tokens[0]) + 1]),
            "you began with row 1 of `places`; the first symbol stands at place 0: places[:T]",
        ),
        Mistake(
            "counts the texts",
            _gpt(read=lambda table, places, tokens: table[tokens] + places[: len(tokens), None]),
            "you gave each *text* of the batch a row of `places`; they belong to the places in a "
            "text: shape (T, D), which broadcasts over B",
        ),
        Mistake(
            "adds the places twice",
            _gpt(
                read=lambda table, places, tokens: table[tokens] + 2 * places[: tokens.shape[1]],
            ),
            "you added the places twice; once, at the start, is enough",
        ),
        Mistake(
            "adds the places in front of every block",
            _gpt(between=lambda x, places: x + places[: x.shape[1]]),
            "you added the places again in front of later blocks; the sum keeps what was added at "
            "the start",
        ),
        Mistake(
            "gives each block the first input",
            _each_from_the_start,
            "you gave every block the input of the first; each goes on with what the one before "
            "returned",
        ),
        Mistake(
            "runs the first block alone",
            _gpt(chosen=lambda blocks: blocks[:1]),
            "you ran the first block alone; is the `return` inside the loop? All blocks run, one "
            "after the other",
        ),
        Mistake(
            "forgets the last norm",
            _gpt(last=lambda norm, x: x),
            "you left out the last norm; nothing in a pre-norm net keeps the sum small, so norm it "
            "once before the logits",
        ),
        Mistake(
            "forgets the transpose",
            _gpt(head=lambda x, table: x @ table),
            "you wrote x @ table; each symbol is a *row* of the table, and its logit is the dot "
            "product with it: x @ table.T",
        ),
        Mistake(
            "returns the states",
            _gpt(head=lambda x, table: x),
            "you returned the states of width D; the same table tells symbols from them: "
            "norm(x) @ table.T",
        ),
        Mistake(
            "returns probabilities",
            _gpt(head=lambda x, table: (x @ table.T).softmax(-1)),
            "you returned probabilities; return the logits, and leave the softmax to the loss",
        ),
        Mistake(
            "tells the last place only",
            _gpt(head=lambda x, table: x[:, -1] @ table.T),
            "you told the last place only; every place tells its next symbol, which is why one "
            "text gives T examples",
        ),
    ],
)


# 14.5 nucleus

# Sorted probabilities: in the first row the likeliest holds p alone, in the second three do.
CLEAR, CROWD = (0.86, 0.06, 0.04, 0.025, 0.015), (0.26, 0.24, 0.2, 0.17, 0.13)


def _ranking(g: Generator) -> Tensor:
    """An order of five that is not its own inverse, and does not end with the least likely."""
    while True:
        order = torch.randperm(5, generator=g)
        if order[4] < 3 and not torch.equal(order[order], torch.arange(5)):
            return order


def _choices(g: Generator, temperature: float, *rows: tuple[float, ...]) -> tuple:
    logits = torch.empty(len(rows), 5)
    for row, levels in zip(logits, rows, strict=True):
        noisy = temperature * (torch.tensor(levels).log() + uniform(g, -0.01, 0.01, 5))
        row[_ranking(g)] = noisy + _number(g, 0.5, 2.5)
    return logits.round(decimals=2), temperature, _number(g, 0.56, 0.6)


def _as_they_are(g: Generator) -> list[tuple]:
    return [_choices(g, 1.0, CLEAR, CROWD)]


def _warmed(g: Generator) -> list[tuple]:
    return [
        _choices(g, _number(g, 2.4, 2.7), CLEAR, CROWD),
        _choices(g, _number(g, 0.4, 0.6), CROWD),
    ]


def _in_place(kept: Tensor, order: Tensor) -> Tensor:
    return torch.zeros_like(kept).scatter(-1, order, kept)


def _share(p: Tensor) -> Tensor:
    return p / p.sum(-1, keepdim=True)


def _first_too(stays: Tensor) -> Tensor:
    return stays | (torch.arange(stays.shape[-1]) == 0)


def _nucleus(
    warm: Callable[[Tensor, float], Tensor] = lambda logits, t: logits / t,
    chances: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(-1),
    descending: bool = True,
    stays: Callable[[Tensor, float], Tensor] = lambda p, top: p.cumsum(-1) - p < top,
    back: Callable[[Tensor, Tensor], Tensor] = _in_place,
    finish: Callable[[Tensor], Tensor] = _share,
) -> Callable:
    """``stays`` tells which of the sorted probabilities are kept."""

    def nucleus(logits: Tensor, temperature: float, p: float) -> Tensor:
        sorted_p, order = chances(warm(logits, temperature)).sort(-1, descending=descending)
        return finish(back(sorted_p * stays(sorted_p, p), order))

    return nucleus


def _warmed_late(logits: Tensor, temperature: float, p: float) -> Tensor:
    kept = _nucleus()(logits, 1.0, p)
    return (kept.log() / temperature).softmax(-1)


def _relative(logits: Tensor, temperature: float) -> Tensor:
    """Probabilities by that of the likeliest."""
    return ((logits - logits.amax(-1, keepdim=True)) / temperature).exp()


def _unsorted(logits: Tensor, temperature: float, p: float) -> Tensor:
    every = (logits / temperature).softmax(-1)
    return _share(every * (every.cumsum(-1) - every < p))


def _zeroed_logits(logits: Tensor, temperature: float, p: float) -> Tensor:
    kept = _nucleus()(logits, temperature, p)
    return (logits / temperature * (kept > 0)).softmax(-1)


def _softmax_again(logits: Tensor, temperature: float, p: float) -> Tensor:
    kept = _nucleus(finish=lambda p: p)(logits, temperature, p)
    return kept.masked_fill(kept == 0, -math.inf).softmax(-1)


def _over_all(logits: Tensor, temperature: float, p: float) -> Tensor:
    every = (logits / temperature).softmax(-1).view(1, -1)
    sorted_p, order = every.sort(-1, descending=True)
    kept = _in_place(sorted_p * (sorted_p.cumsum(-1) - sorted_p < p), order)
    return _share(kept.view_as(logits))


NUCLEUS = Exercise(
    number="14.5",
    title="Only the likely ones",
    name="nucleus",
    difficulty=3,
    minutes=25,
    reference=_nucleus(),
    tests=[
        Test("keeps as few as hold p", _as_they_are, 3),
        Test("takes the temperature first", _warmed, 2),
    ],
    mistakes=[
        Mistake(
            "drops the one that crosses",
            _nucleus(stays=lambda p, top: _first_too(p.cumsum(-1) <= top)),
            "you dropped the symbol with which the sum reaches p; together the kept ones must hold "
            "*at least* p, so it stays: ask what the likelier ones hold *before* it",
        ),
        Mistake(
            "drops even the likeliest",
            _nucleus(stays=lambda p, top: p.cumsum(-1) <= top),
            "you kept nothing where the likeliest symbol alone holds more than p, and divided by "
            "0; the symbol with which the sum reaches p stays",
        ),
        Mistake(
            "keeps one too many",
            _nucleus(stays=lambda p, top: F.pad(p.cumsum(-1) - p, (1, -1)) < top),
            "you kept one symbol too many: once the sum has reached p, the next is no longer "
            "needed",
        ),
        Mistake(
            "drops the head and keeps the tail",
            _nucleus(stays=lambda p, top: p.cumsum(-1) - p >= top),
            "your mask is turned round: you kept the unlikely tail and dropped what holds p",
        ),
        Mistake(
            "does not share out",
            _nucleus(finish=lambda p: p),
            "your probabilities no longer add up to one; divide what is left by its sum",
        ),
        Mistake(
            "takes the softmax of probabilities",
            _softmax_again,
            "you took the softmax of probabilities, which flattens them; divide the kept ones by "
            "their sum instead",
        ),
        Mistake(
            "zeroes logits",
            _zeroed_logits,
            "you set the logits of dropped symbols to 0, and exp(0) is 1; -inf is what leaves no "
            "probability",
        ),
        Mistake(
            "returns the sorted order",
            _nucleus(back=lambda kept, order: kept),
            "you returned the probabilities sorted; column k must belong to symbol k again: "
            "scatter them back by the order",
        ),
        Mistake(
            "goes back the wrong way",
            _nucleus(back=lambda kept, order: kept.gather(-1, order)),
            "you sorted a second time by the same order; the way back is the inverse: "
            "scatter(-1, order, kept), or gather by order.argsort(-1)",
        ),
        Mistake(
            "sorts upwards",
            _nucleus(descending=False),
            "you sorted the smallest to the front, so unlikely symbols are kept; sort with "
            "descending=True",
        ),
        Mistake(
            "does not sort",
            _unsorted,
            "you added up in the order of the symbols; sort by probability first, the likeliest "
            "to the front",
        ),
        Mistake(
            "asks each by itself",
            _nucleus(stays=lambda p, top: p >= top),
            "you compared each probability with p; it is their *sum*, from the likeliest on, that "
            "has to reach p: cumsum",
        ),
        Mistake(
            "keeps a share of the symbols",
            _nucleus(
                stays=lambda p, top: (
                    torch.arange(p.shape[-1]) < math.ceil(top * p.shape[-1])
                ).expand_as(p)
            ),
            "you kept a share p of the *number* of symbols; keep as many as hold a share p of the "
            "*probability*",
        ),
        Mistake(
            "asks for a share of the greatest",
            lambda logits, temperature, p: _share(
                F.threshold(_relative(logits, temperature), p, 0.0)
            ),
            "you kept what is at least p times as likely as the likeliest, which is min-p; here "
            "the kept ones *together* hold p: add them up, from the likeliest on",
        ),
        Mistake(
            "adds up down the batch",
            _nucleus(stays=lambda p, top: p.cumsum(0) - p < top),
            "your sum runs down the batch, axis 0; it must run along each row of its own: "
            "cumsum(-1)",
        ),
        Mistake(
            "looks at all rows as one",
            _over_all,
            "you sorted all rows as one; each row is a text of its own: sort and add up along "
            "the last axis",
        ),
        Mistake(
            "shares out down the batch",
            _nucleus(finish=lambda p: p / p.sum(0, keepdim=True)),
            "you divided by the sums of the columns; every row must add up to one: "
            "sum(-1, keepdim=True)",
        ),
        Mistake(
            "warms behind the filter",
            _warmed_late,
            "you filtered first and warmed what was left; the temperature comes first, and the "
            "warmed probabilities are what is added up to p",
        ),
        Mistake(
            "forgets the temperature",
            _nucleus(warm=lambda logits, t: logits),
            "you left out the temperature, or divided probabilities by it, which cancels; divide "
            "the *logits* by it, before the softmax",
        ),
        Mistake(
            "multiplies by the temperature",
            _nucleus(warm=lambda logits, t: logits * t),
            "you multiplied by the temperature, so heat makes choices harder; divide the logits "
            "by it",
        ),
    ],
)


# 14.6 cached_attention

CACHED = ("y", "keys", "values")


def _step(g: Generator, T: int, P: int, D: int, d: int) -> tuple:
    W_q, W_k, W_v = (_matrix(g, d, D) for _ in range(3))
    x = _signed(g, 0.5, 1.5, T, D)
    return x, W_q, W_k, W_v, _signed(g, 0.5, 1.5, P, d), _signed(g, 0.5, 1.5, P, d)


def _one_place(g: Generator) -> list[tuple]:
    return [_step(g, 1, 2, 2, 2)]


def _some_places(g: Generator) -> list[tuple]:
    """In the first all axes are alike, so that no shape tells one from another."""
    return [_step(g, 2, 2, 2, 2), _step(g, 3, 1, 2, 3)]


def _piece_by_piece(g: Generator) -> list[tuple]:
    """From an empty cache: one place, then two at once, then one more."""
    x, W_q, W_k, W_v, *_ = _step(g, 4, 1, 3, 2)
    lines = [
        "import torch",
        f"x = {_rows(x)}",
        f"W = {', '.join(_rows(w) for w in (W_q, W_k, W_v))}",
        "none = torch.zeros(0, 2)",
        "y_1, keys, values = cached_attention(x[:1], *W, none, none)",
        "y_2, keys, values = cached_attention(x[1:3], *W, keys, values)",
        "y_3, keys, values = cached_attention(x[3:], *W, keys, values)",
    ]
    return [("cached_attention", "; ".join(lines), "y_1, y_2, y_3, keys, values")]


def _appended(old: Tensor, new: Tensor) -> Tensor:
    return torch.cat([old, new])


def _up_to_now(T: int, P: int) -> Tensor:
    return torch.ones(T, P + T, dtype=torch.bool).tril(P)


def _cached(
    project: Callable[[Tensor, Tensor], Tensor] = lambda x, W: x @ W.T,
    grow: Callable[[Tensor, Tensor], Tensor] = _appended,
    sees: Callable[[int, int], Tensor] = _up_to_now,
    root: Callable[[Tensor, Tensor], float] = lambda q, x: math.sqrt(q.shape[1]),
    mix: Callable[..., Tensor] = lambda w, keys, values: w @ values,
    finish: Callable[..., Any] = lambda y, keys, values, *_: (y, keys, values),
) -> Callable:
    """``finish`` also gets the cache as it was, and the new keys and values."""

    def cached_attention(
        x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, keys: Tensor, values: Tensor
    ) -> Any:
        q, k, v = (project(x, W) for W in (W_q, W_k, W_v))
        all_keys, all_values = grow(keys, k), grow(values, v)
        seen = sees(len(x), len(all_keys) - len(x))
        scores = (q @ all_keys.T / root(q, x)).masked_fill(~seen, -math.inf)
        y = mix(scores.softmax(-1).nan_to_num(), all_keys, all_values)
        return finish(y, all_keys, all_values, keys, values, k, v)

    return cached_attention


def _without_new(
    x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    scores = x @ W_q.T @ keys.T / math.sqrt(len(W_q))
    y = scores.softmax(-1) @ values
    return y, _appended(keys, x @ W_k.T), _appended(values, x @ W_v.T)


def _without_past(
    x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    y, k, v = _cached()(x, W_q, W_k, W_v, keys[:0], values[:0])
    return y, _appended(keys, k), _appended(values, v)


def _newest_only(
    x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return _cached()(x, W_q, W_k, W_v, keys[:0], values[:0])


def _projected_again(
    x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return _cached()(x, W_q, W_k, W_v, keys @ W_k.T, values @ W_v.T)


def _other_order(old: Tensor, new: Tensor) -> Tensor:
    return torch.cat([new, old])


CACHED_ATTENTION = Exercise(
    number="14.6",
    title="Read once, kept for good",
    name="cached_attention",
    difficulty=5,
    minutes=40,
    reference=_cached(),
    tests=[
        Test("lets a new place see the past and itself", _one_place, 2, part(0, *CACHED)),
        Test("lets no place see a later one", _some_places, 2, part(0, *CACHED)),
        Test("hands on what the next piece needs", _piece_by_piece, 3, probe=program),
    ],
    mistakes=[
        Mistake(
            "forgets the past",
            _without_past,
            "you let the new places see one another only; append their keys and values to the "
            "cache and attend to all of it",
        ),
        Mistake(
            "replaces the cache",
            _newest_only,
            "you attended to the new places alone and returned a cache without the old ones; "
            "append: torch.cat([keys, k])",
        ),
        Mistake(
            "appends too late",
            _without_new,
            "you attended first and appended then, so a place does not see itself; append the new "
            "keys and values first",
        ),
        Mistake(
            "does not see itself",
            _cached(sees=lambda T, P: _up_to_now(T, P).tril(P - 1)),
            "your mask hides each place from itself; query t stands at place P + t and sees keys "
            "up to there: tril(P)",
        ),
        Mistake(
            "appends at the front",
            _cached(grow=_other_order),
            "you put the new keys in front of the old ones; a text grows at its end: "
            "torch.cat([keys, k])",
        ),
        Mistake(
            "cuts the mask from the top",
            _cached(sees=lambda T, P: torch.ones(T, P + T, dtype=torch.bool).tril()),
            "your mask counts the new queries from place 0, so they miss most of the past; query t "
            "stands at place P + t: tril(P)",
        ),
        Mistake(
            "forgets the mask",
            _cached(sees=lambda T, P: torch.ones(T, P + T, dtype=torch.bool)),
            "you let new places see later new places; several at once need a mask: query t sees "
            "keys s <= P + t",
        ),
        Mistake(
            "keeps one of the two",
            _cached(finish=lambda y, keys, values, k0, v0, k, v: (y, keys, v0)),
            "you returned keys and values of which only one has grown, so the next step has more "
            "of the one than of the other; the cache holds both for every place read",
        ),
        Mistake(
            "does not let the cache grow",
            _cached(finish=lambda y, keys, values, k0, v0, k, v: (y, k0, v0)),
            "you returned the cache as it came; hand on what you attended to, the new keys and "
            "values included",
        ),
        Mistake(
            "keeps the new ones only",
            _cached(finish=lambda y, keys, values, k0, v0, k, v: (y, k, v)),
            "you handed on the new keys and values only, so the next step has lost the past; "
            "return all of them",
        ),
        Mistake(
            "projects the cache again",
            _projected_again,
            "you multiplied the cached keys and values by the matrices again; they were made once, "
            "only the new x needs it",
        ),
        Mistake(
            "keeps the queries",
            lambda x, W_q, W_k, W_v, keys, values: _cached()(x, W_q, W_q, W_v, keys, values),
            "you appended queries in the place of keys; what later places compare with is "
            "x @ W_k.T",
        ),
        Mistake(
            "takes keys for values",
            lambda x, W_q, W_k, W_v, keys, values: _cached()(x, W_q, W_k, W_k, keys, values),
            "you appended the new keys to the values too; the values of x are x @ W_v.T",
        ),
        Mistake(
            "forgets the root",
            _cached(root=lambda q, x: 1.0),
            "you did not scale the scores; divide them by sqrt(d), d the width of a key",
        ),
        Mistake(
            "takes the root of the model's width",
            _cached(root=lambda q, x: math.sqrt(x.shape[1])),
            "you divided by the root of D, the width of x; what is multiplied are queries and "
            "keys, of width d: sqrt(d)",
        ),
        Mistake(
            "forgets the transposes",
            _cached(project=lambda x, W: x @ W),
            "you multiplied x @ W; the rows of these matrices are outputs, as in nn.Linear: "
            "x @ W.T",
        ),
        Mistake(
            "returns the values first",
            _cached(finish=lambda y, keys, values, *_: (y, values, keys)),
            "you returned the values before the keys; return y, keys, values",
        ),
        Mistake(
            "returns y alone",
            _cached(finish=lambda y, *_: y),
            "you returned y alone; the next step needs the cache: return y, keys, values",
        ),
        Mistake(
            "returns the last place alone",
            _cached(finish=lambda y, keys, values, *_: (y[-1:], keys, values)),
            "you returned the last new place alone; return a row for each of the T new places",
        ),
    ],
)


# 14.7 scaling_law

LAW = ("A", "alpha", "N_target")


def _sweep(g: Generator) -> list[tuple]:
    """Models of growing size: a power law, bent so that one way to fit it differs from another."""
    bends = torch.tensor([0.04, -0.10, 0.05, 0.09, -0.03])
    sign = 2 * _whole(g, 0, 1) - 1
    N = (2 * 4.0 ** torch.arange(5) * uniform(g, 0.9, 1.1, 5)).round()
    A, alpha, floor = _number(g, 3.0, 5.0), _number(g, 0.25, 0.4), _number(g, 1.2, 1.8)
    noise = sign * bends + uniform(g, -0.01, 0.01, 5)
    losses = (floor + A * N**-alpha * (1 + noise)).round(decimals=3)
    return [(N, losses, floor, round(floor + _number(g, 0.2, 0.35), 2))]


def _straight(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and height at 0 of the line with the least squares."""
    dx = x - x.mean()
    slope = (dx * y).sum() / dx.square().sum()
    return slope, y.mean() - slope * x.mean()


def _sideways(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    slope, height = _straight(y, x)
    return 1 / slope, -height / slope


def _first_to_last(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    return slope, y[0] - slope * x[0]


def _from_the_origin(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return (x * y).sum() / x.square().sum(), torch.zeros(())


def _size_for(A: Tensor, alpha: Tensor, floor: float, target: float) -> Tensor:
    return (A / (target - floor)) ** (1 / alpha)


def _law(
    size: Callable[[Tensor], Tensor] = torch.log,
    excess: Callable[[Tensor, float], Tensor] = lambda losses, floor: (losses - floor).log(),
    line: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _straight,
    factor: Callable[[Tensor], Tensor] = torch.exp,
    power: Callable[[Tensor], Tensor] = lambda slope: -slope,
    solve: Callable[..., Tensor] = _size_for,
    finish: Callable[..., Any] = lambda A, alpha, N_target: (A, alpha, N_target),
) -> Callable:
    def scaling_law(N: Tensor, losses: Tensor, floor: float, target: float) -> Any:
        slope, height = line(size(N.double()), excess(losses.double(), floor))
        A, alpha = factor(height), power(slope)
        return finish(A, alpha, solve(A, alpha, floor, target))

    return scaling_law


def _fits(i: int) -> dict[str, Any]:
    return {"observe": part(i, *LAW), "rtol": 1e-3}


SCALING_LAW = Exercise(
    number="14.7",
    title="How large for how good",
    name="scaling_law",
    apart=True,
    difficulty=4,
    minutes=30,
    reference=_law(),
    tests=[
        Test("finds the power", _sweep, 2, **_fits(1)),
        Test("finds the factor", _sweep, 2, **_fits(0)),
        Test("tells the size that a loss needs", _sweep, 2, **_fits(2)),
    ],
    mistakes=[
        Mistake(
            "forgets the floor",
            _law(
                excess=lambda losses, floor: losses.log(),
                solve=lambda A, alpha, floor, target: (A / target) ** (1 / alpha),
            ),
            "you left the floor out; what falls as a power is the excess over it: "
            "log(losses - floor)",
        ),
        Mistake(
            "forgets the floor in the fit",
            _law(excess=lambda losses, floor: losses.log()),
            "you fitted the losses with the floor in them; in logarithms only the excess is a "
            "straight line: log(losses - floor)",
        ),
        Mistake(
            "subtracts logarithms",
            _law(excess=lambda losses, floor: losses.log() - math.log(floor)),
            "you subtracted the logarithm of the floor, which divides by it; subtract the floor "
            "first: log(losses - floor)",
        ),
        Mistake(
            "forgets the sign of the power",
            _law(power=lambda slope: slope),
            "you returned the slope as the power; losses fall as N ** -alpha, so alpha is minus "
            "the slope",
        ),
        Mistake(
            "returns the logarithm of the factor",
            _law(factor=lambda height: height),
            "you returned the line's height at log N = 0 as A; it is the logarithm of A: take exp",
        ),
        Mistake(
            "goes back by ten",
            _law(factor=lambda height: 10**height),
            "you took natural logarithms and went back by powers of ten; exp undoes log, "
            "10 ** undoes log10",
        ),
        Mistake(
            "goes back by e from ten",
            _law(factor=lambda height: (height / math.log(10)).exp()),
            "you took logarithms to base ten and went back by exp; 10 ** undoes log10, exp "
            "undoes log",
        ),
        Mistake(
            "mixes two logarithms",
            _law(size=torch.log10),
            "you took log10 of the sizes and log of the losses; the slope is a power only if both "
            "have the same base",
        ),
        Mistake(
            "takes no logarithm of the sizes",
            _law(size=lambda N: N),
            "you took the logarithm of the losses alone, which fits an exponential; a power law is "
            "straight where both are logarithms",
        ),
        Mistake(
            "fits the other way round",
            _law(line=_sideways),
            "you fitted sizes by losses; errors are in the losses, so the line tells log(L - E) "
            "from log N",
        ),
        Mistake(
            "joins first and last",
            _law(line=_first_to_last),
            "you drew the line through the first and the last model; least squares uses all of "
            "them",
        ),
        Mistake(
            "goes through the origin",
            _law(line=_from_the_origin),
            "your line goes through the origin, which makes A = 1; fit the height too: the line "
            "is log A - alpha log N",
        ),
        Mistake(
            "forgets the floor in the target",
            _law(solve=lambda A, alpha, floor, target: (A / target) ** (1 / alpha)),
            "you solved for the target itself; A * N ** -alpha must equal the *excess*, "
            "target - floor",
        ),
        Mistake(
            "solves upside down",
            _law(solve=lambda A, alpha, floor, target: ((target - floor) / A) ** (1 / alpha)),
            "you solved upside down, and a better loss would need a smaller model: N is "
            "(A / (target - floor)) ** (1 / alpha)",
        ),
        Mistake(
            "takes the power for its inverse",
            _law(solve=lambda A, alpha, floor, target: (A / (target - floor)) ** alpha),
            "you took the power alpha to solve for N; N ** alpha is what you have, so take the "
            "power 1 / alpha",
        ),
        Mistake(
            "tells the loss of that size",
            _law(solve=lambda A, alpha, floor, target: floor + A * target**-alpha),
            "you put the target in for N; it is a loss, and the size that reaches it is asked for: "
            "solve for N",
        ),
        Mistake(
            "returns the power first",
            _law(finish=lambda A, alpha, N_target: (alpha, A, N_target)),
            "you returned alpha before A; return A, alpha, N_target",
        ),
        Mistake(
            "returns the law alone",
            _law(finish=lambda A, alpha, N_target: (A, alpha)),
            "you returned A and alpha alone; the third is the size that reaches the target",
        ),
    ],
)

EXERCISES = (
    SINUSOIDAL,
    ROTATE,
    NEXT_LOSS,
    GPT_LOGITS,
    NUCLEUS,
    CACHED_ATTENTION,
    SCALING_LAW,
)

check = checker(EXERCISES)
