"""The exercises of chapter 09_rnn: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/09_rnn.md. Letters: B batch, T time, D inputs,
H hidden units, K symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from .draws import normal, uniform
from .exercise import Exercise, Mistake, Test, checker, numbers, part, parts
from .probes import gradient, program


def _number(g: Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(uniform(g, low, high).item(), 2)


def _signed(g: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers of two decimals whose size lies between the two, and either sign."""
    sign = 2 * torch.randint(0, 2, shape, generator=g) - 1
    return uniform(g, low, high, *shape) * sign


# 9.1 windows

PAIRS = ("X", "y")


def _series(g: Generator) -> list[tuple]:
    return [(normal(g, N), T) for N, T in ((6, 2), (7, 3))]


def _windows(series: Tensor, T: int) -> tuple[Tensor, Tensor]:
    return series.unfold(0, T, 1)[:-1], series[T:]


WINDOWS = Exercise(
    number="9.1",
    title="Windows and what follows",
    name="windows",
    difficulty=1,
    minutes=10,
    reference=lambda series, T: _windows(series, T),
    tests=[
        Test("cuts all windows that have a next value", _series, 1, part(0, *PAIRS)),
        Test("gives each window the value after it", _series, 2, part(1, *PAIRS)),
    ],
    mistakes=[
        Mistake(
            "takes the last value of the window",
            lambda series, T: (_windows(series, T)[0], series[T - 1 : -1]),
            "your targets are the last values of the windows themselves, which any net can copy; "
            "the window series[i : i + T] is followed by series[i + T]",
        ),
        Mistake(
            "looks two steps ahead",
            lambda series, T: (_windows(series, T)[0][:-1], series[T + 1 :]),
            "your targets lie two steps ahead; the window ends before i + T, so series[i + T] is "
            "the next value already",
        ),
        Mistake(
            "leaves the last window out",
            lambda series, T: tuple(part[:-1] for part in _windows(series, T)),
            "you left out the last pair; there are N - T of them, and range(N - T) ends by itself "
            "before N - T",
        ),
        Mistake(
            "keeps a window without a target",
            lambda series, T: (series.unfold(0, T, 1), series[T:]),
            "you have one window too many: nothing follows the last one, so it cannot be a pair",
        ),
        Mistake(
            "does not overlap",
            lambda series, T: tuple(part[::T] for part in _windows(series, T)),
            "your windows do not overlap, which gives fewer examples; move on by one step each "
            "time, not by T",
        ),
        Mistake(
            "puts time first",
            lambda series, T: (_windows(series, T)[0].T, series[T:]),
            "your X has time first, (T, N - T); give each window a row of its own",
        ),
        Mistake(
            "reads backwards",
            lambda series, T: (_windows(series, T)[0].flip(1), series[T:]),
            "your windows run backwards; keep the order of the series, the oldest value first",
        ),
        Mistake(
            "shifts whole windows",
            lambda series, T: (_windows(series, T)[0], series.unfold(0, T, 1)[1:]),
            "you shifted the whole window by one, as one does for a model that predicts at every "
            "step; here each window has a single target",
        ),
        Mistake(
            "makes a column of the targets",
            lambda series, T: (_windows(series, T)[0], series[T:, None]),
            "your targets are a column, (N - T, 1); against predictions of shape (N - T,) it "
            "would broadcast to a square, so return shape (N - T,)",
        ),
        Mistake(
            "returns the windows alone",
            lambda series, T: _windows(series, T)[0],
            "you returned the windows alone; return them and their targets: X, y",
        ),
    ],
)


# 9.2 unroll


def _sequences(g: Generator) -> list[tuple]:
    """The first has as many sequences as steps, so that no shape tells the two axes apart."""
    sizes = ((2, 2, 2, 2), (2, 3, 2, 2))
    return [
        (normal(g, B, T, D), normal(g, B, H), normal(g, H, D), normal(g, H, H), normal(g, H))
        for B, T, D, H in sizes
    ]


def _by_torch(x: Tensor, h: Tensor, W_ih: Tensor, W_hh: Tensor, b: Tensor) -> Tensor:
    weights = [W_ih, W_hh, b, torch.zeros_like(b)]
    return torch.rnn_tanh(x, h[None], weights, True, 1, 0.0, False, False, True)[0]


def _step(x: Tensor, h: Tensor, W_ih: Tensor, W_hh: Tensor, b: Tensor) -> Tensor:
    return torch.tanh(x @ W_ih.T + h @ W_hh.T + b)


def _unrolled(
    step: Callable[..., Tensor] = _step,
    axis: int = 1,
    carry: bool = True,
    start: Callable[[Tensor], Tensor] = lambda h: h,
    finish: Callable[[list[Tensor]], Any] = lambda states: torch.stack(states[1:], 1),
) -> Callable:
    def unroll(x: Tensor, h: Tensor, *weights: Tensor) -> Any:
        states = [start(h)]
        for x_t in x.unbind(axis):
            states.append(step(x_t, states[-1] if carry else states[0], *weights))
        return finish(states)

    return unroll


UNROLL = Exercise(
    number="9.2",
    title="Step by step",
    name="unroll",
    difficulty=2,
    minutes=15,
    reference=lambda x, h, W_ih, W_hh, b: _by_torch(x, h, W_ih, W_hh, b),
    tests=[
        Test("takes the first step", lambda g: [_first_step(case) for case in _sequences(g)]),
        Test("gives the state after every step", _sequences, 3),
    ],
    mistakes=[
        Mistake(
            "forgets batch_first",
            _unrolled(axis=0),
            "you walked along axis 0, which counts the sequences; here time is axis 1 "
            "(batch_first), so step t reads x[:, t]",
        ),
        Mistake(
            "forgets batch_first, and puts time first",
            _unrolled(axis=0, finish=lambda states: torch.stack(states[1:])),
            "a loop `for x_t in x` walks along axis 0, which counts the sequences; here time is "
            "axis 1 (batch_first), so step t reads x[:, t]",
        ),
        Mistake(
            "puts time first",
            _unrolled(finish=lambda states: torch.stack(states[1:])),
            "you stacked the states with time first, (T, B, H); the batch comes first: "
            "torch.stack(states, 1)",
        ),
        Mistake(
            "does not carry the state",
            _unrolled(carry=False),
            "each of your steps starts from the first state again, so nothing is remembered; "
            "hand the new state on to the next step",
        ),
        Mistake(
            "starts from zero",
            _unrolled(start=torch.zeros_like),
            "you started from zeros; start from the state h that you were given",
        ),
        Mistake(
            "returns the last state",
            _unrolled(finish=lambda states: states[-1]),
            "you returned the last state alone; keep the state after every step and stack them",
        ),
        Mistake(
            "keeps the state before each step",
            _unrolled(finish=lambda states: torch.stack(states[:-1], 1)),
            "you kept the state before each step, so the first one is h itself; append after the "
            "update",
        ),
        Mistake(
            "returns the first state as well",
            _unrolled(finish=lambda states: torch.stack(states, 1)),
            "you returned one state too many; the first one, h, was given and is no result",
        ),
        Mistake(
            "forgets the tanh",
            _unrolled(lambda x, h, W_ih, W_hh, b: x @ W_ih.T + h @ W_hh.T + b),
            "you left out the tanh, so the states can grow without limit; it bends the whole sum",
        ),
        Mistake(
            "bends the input alone",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.tanh(x @ W_ih.T + b) + h @ W_hh.T),
            "you applied tanh to the part of the input alone; it goes around the whole sum, the "
            "part of the state included",
        ),
        Mistake(
            "uses the sigmoid",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.sigmoid(x @ W_ih.T + h @ W_hh.T + b)),
            "you used the sigmoid, whose values are all positive; this net has tanh",
        ),
        Mistake(
            "forgets both transposes",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.tanh(x @ W_ih + h @ W_hh + b)),
            "you left out both transposes; D equals H here, so no shape complains: x @ W_ih.T and "
            "h @ W_hh.T",
        ),
        Mistake(
            "reshapes in place of swapping",
            _unrolled(
                finish=lambda states: torch.stack(states[1:]).reshape(
                    len(states[0]), -1, states[0].shape[1]
                )
            ),
            "you reshaped (T, B, H) into (B, T, H), which mixes the sequences; reshaping never "
            "swaps axes: torch.stack(states, 1)",
        ),
        Mistake(
            "forgets the transpose of the recurrent weights",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.tanh(x @ W_ih.T + h @ W_hh + b)),
            "you multiplied h @ W_hh; the matrix is square, so no shape complains, but its rows "
            "are the units: h @ W_hh.T",
        ),
        Mistake(
            "multiplies from the left",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.tanh(W_ih @ x + W_hh @ h + b)),
            "you multiplied W @ x, which is meant for a single column; in a batch each example is "
            "a row, so write x @ W.T",
        ),
        Mistake(
            "leaves out the bias",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.tanh(x @ W_ih.T + h @ W_hh.T)),
            "you left out the bias b; add it inside the tanh",
        ),
        Mistake(
            "leaves out the state",
            _unrolled(lambda x, h, W_ih, W_hh, b: torch.tanh(x @ W_ih.T + b)),
            "your step does not look at the state, so the net has no memory; add h @ W_hh.T "
            "inside the tanh",
        ),
    ],
)


def _first_step(case: tuple) -> tuple:
    x, *rest = case
    return (x[:, :1], *rest)


# 9.3 bptt

SLOPES = ("deltas", "grad_w")


def _short_series(g: Generator) -> list[tuple]:
    return [
        (_signed(g, 0.3, 0.9, T), _signed(g, 0.6, 1.4).item(), _number(g, -2.0, -1.1))
        for T in (3, 4)
    ]


def _slopes_by_autograd(x: Tensor, w: float, y: float) -> tuple[Tensor, Tensor]:
    weight = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    h, states = torch.zeros((), dtype=torch.float64), []
    for x_t in x.double():
        h = torch.tanh(weight * h + x_t)
        states.append(h)
    *deltas, grad_w = torch.autograd.grad((h - y) ** 2 / 2, [*states, weight])
    return torch.stack(deltas), grad_w


def _bptt(
    error: Callable[[float, float], float] = lambda h, y: h - y,
    slope: Callable[[list, list, int], float] = lambda h, a, t: 1 - h[t] ** 2,
    back: Callable[[float], float] = lambda w: w,
    fed: Callable[[list, list, int], float] = lambda h, x, t: h[t - 1],
    total: Callable[[list[float]], float] = sum,
    deltas_of: Callable[[list[float]], list[float]] = lambda deltas: deltas,
) -> Callable:
    """The backward walk, with one part or another wrong; h[0] is the state before the first x."""

    def bptt(x: Tensor, w: float, y: float) -> tuple[Tensor, Tensor]:
        x_1 = [0.0, *x.tolist()]  # counted from 1
        h, a = [0.0], [0.0]
        for x_t in x_1[1:]:
            a.append(w * h[-1] + x_t)
            h.append(math.tanh(a[-1]))
        delta, deltas, terms = error(h[-1], y), [], []
        for t in range(len(x), 0, -1):
            deltas.insert(0, delta)
            through = delta * slope(h, a, t)
            terms.append(through * fed(h, x_1, t))
            delta = through * back(w)
        return torch.tensor(deltas_of(deltas)), torch.tensor(total(terms))

    return bptt


def _states(x: Tensor, w: float) -> Tensor:
    h = [0.0]
    for x_t in x.tolist():
        h.append(math.tanh(w * h[-1] + x_t))
    return torch.tensor(h[1:])


def _by_the_sums(x: Tensor, w: float, y: float) -> tuple[Tensor, Tensor]:
    deltas, grad_w = _bptt()(x, w, y)
    return deltas * (1 - _states(x, w) ** 2), grad_w


def _slope_of(i: int) -> Callable[[tuple, Any], Tensor]:
    """One of the two, whether it came as a tensor, a list or numbers."""

    def observe(args: tuple, value: Any) -> Tensor:
        given = parts(value, *SLOPES)[i]
        if i == 0:
            return numbers(SLOPES[i], given, (len(args[0]),))
        return numbers(SLOPES[i], _single(args, given), ())

    return observe


BPTT = Exercise(
    number="9.3",
    title="Back through time",
    name="bptt",
    difficulty=3,
    minutes=25,
    reference=_slopes_by_autograd,
    tests=[
        Test("follows the error back to every state", _short_series, 2, _slope_of(0)),
        Test("adds up what every step says of w", _short_series, 2, _slope_of(1)),
    ],
    mistakes=[
        Mistake(
            "counts the last step only",
            _bptt(total=lambda terms: terms[0]),
            "your deltas are right, but grad_w has the term of the last step only; w was used in "
            "every step, so add up the terms of all",
        ),
        Mistake(
            "cuts the state off",
            _bptt(
                total=lambda terms: terms[0], deltas_of=lambda d: [0.0 * v for v in d[:-1]] + d[-1:]
            ),
            "your gradient ends at the last state, as if the one before were a constant; hand "
            "delta on to the step before, times the slope and w",
        ),
        Mistake(
            "stops before the tanh",
            lambda x, w, y: _by_the_sums(x, w, y),
            "your deltas are the slopes by the sums inside the tanh; delta_t is the slope by h_t "
            "itself, and the last one is h_T - y",
        ),
        Mistake(
            "forgets the slope of tanh in grad_w",
            lambda x, w, y: (
                _bptt()(x, w, y)[0],
                sum(_bptt()(x, w, y)[0][1:] * _states(x, w)[:-1]),
            ),
            "your deltas are right, but in grad_w the slope of tanh is missing: each term is "
            "delta_t (1 - h_t²) h_{t-1}",
        ),
        Mistake(
            "forgets the slope of tanh",
            _bptt(slope=lambda h, a, t: 1.0),
            "you forgot the slope of tanh, which each step multiplies in: 1 - h_t²",
        ),
        Mistake(
            "takes the slope of the sum",
            _bptt(slope=lambda h, a, t: 1 - a[t] ** 2),
            "you squared the sum inside the tanh; its slope is 1 - h_t², with the state that came "
            "out",
        ),
        Mistake(
            "takes the slope of the step before",
            _bptt(slope=lambda h, a, t: 1 - h[t - 1] ** 2),
            "you took the slope of the step before; on the way back through step t the tanh has "
            "the slope 1 - h_t²",
        ),
        Mistake(
            "forgets w on the way back",
            _bptt(back=lambda w: 1.0),
            "you forgot w on the way back: h_{t-1} enters step t as w h_{t-1}, so its delta is "
            "multiplied by w",
        ),
        Mistake(
            "pairs with the state that came out",
            _bptt(fed=lambda h, x, t: h[t]),
            "you multiplied by h_t, which came out of step t; w was multiplied by what went in, "
            "h_{t-1}",
        ),
        Mistake(
            "pairs with the input",
            _bptt(fed=lambda h, x, t: x[t]),
            "you multiplied by x_t, which would be the slope of an input weight; w stands before "
            "h_{t-1}",
        ),
        Mistake(
            "averages",
            _bptt(total=lambda terms: sum(terms) / len(terms)),
            "you averaged over the steps; w is one weight used T times, so its slopes add up",
        ),
        Mistake(
            "has the sign wrong",
            _bptt(error=lambda h, y: y - h),
            "your signs are turned: the slope of (h - y)²/2 by h is h - y, the prediction first",
        ),
        Mistake(
            "doubles the error",
            _bptt(error=lambda h, y: 2 * (h - y)),
            "your gradient is twice too large: the loss is half the squared error, whose slope "
            "is h - y",
        ),
        Mistake(
            "gives the deltas newest first",
            _bptt(deltas_of=lambda deltas: deltas[::-1]),
            "your deltas stand newest first, in the order in which you found them; turn them "
            "round, so that the first belongs to the first step",
        ),
        Mistake(
            "returns the slope of the weight alone",
            lambda x, w, y: _bptt()(x, w, y)[1],
            "you returned grad_w alone; return two values: deltas, grad_w",
        ),
    ],
)


# 9.4 truncated_loss


def _chunked(g: Generator) -> list[tuple]:
    """The first ends with a chunk of one step."""
    return [
        (_signed(g, 0.5, 1.2, 2), _signed(g, 0.3, 1.0, T), normal(g, T), k)
        for T, k in ((5, 2), (4, 3))
    ]


def _squares(h: Tensor, y: Tensor, last: bool) -> Tensor:
    return (h - y) ** 2


def _truncated(
    border: Callable[[int, int], bool] = lambda t, k: t % k == 0,
    cut: Callable[[Tensor], Tensor] = Tensor.detach,
    cost: Callable[[Tensor, Tensor, bool], Tensor] = _squares,
    total: Callable[[list[Tensor], int], Tensor] = lambda costs, k: torch.stack(costs).mean(),
) -> Callable:
    """``border(t, k)``: whether the state is cut before step t, counted from 0."""

    def truncated_loss(w: Tensor, x: Tensor, y: Tensor, k: int) -> Tensor:
        h, costs = torch.zeros(()), []
        for t, (x_t, y_t) in enumerate(zip(x, y, strict=True)):
            if t and border(t, k):
                h = cut(h)
            h = torch.tanh(w[0] * h + w[1] * x_t)
            costs.append(cost(h, y_t, (t + 1) % k == 0))
        return total(costs, k)

    return truncated_loss


def _chunks(costs: list[Tensor], k: int) -> list[Tensor]:
    return [torch.stack(costs[i : i + k]) for i in range(0, len(costs), k)]


def _single(args: tuple, value: Any) -> Any:
    """A tensor of one entry counts as its number: states often have shape (1,)."""
    return value.sum() if isinstance(value, Tensor) and value.numel() == 1 else value


TRUNCATED_LOSS = Exercise(
    number="9.4",
    title="Remember the value, forget the way",
    name="truncated_loss",
    difficulty=3,
    minutes=20,
    reference=_truncated(),
    tests=[
        Test("is the mean loss of the whole sequence", lambda g: _chunked(g)[:1], 1, _single),
        Test("lets no gradient cross a border", _chunked, 3, probe=gradient),
    ],
    mistakes=[
        Mistake(
            "does not detach",
            _truncated(border=lambda t, k: False),
            "your value is right, but the gradient flows back to the very first step, however "
            "long the sequence; hand h.detach() on at each border",
        ),
        Mistake(
            "detaches at every step",
            _truncated(border=lambda t, k: True),
            "you detached before every step, so no step learns from a later one; detach at the "
            "borders only, after k steps each",
        ),
        Mistake(
            "starts again from zero",
            _truncated(cut=torch.zeros_like),
            "you start each chunk from zero, so the net forgets what it has read; keep the value "
            "of the state and cut its gradient: h.detach()",
        ),
        Mistake(
            "cuts a step early",
            _truncated(border=lambda t, k: (t + 1) % k == 0),
            "your borders lie a step early: the first chunk has k - 1 steps; with t from 0, "
            "detach before step k, then every k steps",
        ),
        Mistake(
            "cuts a step late",
            _truncated(border=lambda t, k: t > 1 and (t - 1) % k == 0),
            "your borders lie a step late: the first chunk has k + 1 steps; with t from 0, "
            "detach before step k, then every k steps",
        ),
        Mistake(
            "cuts after the first step",
            _truncated(border=lambda t, k: (t - 1) % k == 0),
            "your first chunk has one step: `t % k == 0` is true at t = 0, and you detach after "
            "that step; detach before it, or after it where (t + 1) % k == 0",
        ),
        Mistake(
            "detaches before the loss",
            _truncated(cost=lambda h, y, last: ((h.detach() if last else h) - y) ** 2),
            "you detached before the loss of the chunk's last step was taken, so that step "
            "teaches nothing; take the loss first, then detach",
        ),
        Mistake(
            "sums",
            _truncated(total=lambda costs, k: torch.stack(costs).sum()),
            "you summed over the steps; the loss is their mean, so divide by T",
        ),
        Mistake(
            "averages the means of the chunks",
            _truncated(
                total=lambda costs, k: torch.stack([c.mean() for c in _chunks(costs, k)]).mean()
            ),
            "you averaged the means of the chunks; a short last chunk would count as much as a "
            "full one: add up all steps and divide by T",
        ),
        Mistake(
            "drops the rest",
            _truncated(total=lambda costs, k: torch.stack(costs[: len(costs) // k * k]).mean()),
            "you left out the steps behind the last full chunk; the last chunk may be shorter, "
            "and it counts",
        ),
        Mistake(
            "keeps the last chunk",
            _truncated(total=lambda costs, k: _chunks(costs, k)[-1].mean()),
            "your loss is that of the last chunk alone; add up the losses of all chunks",
        ),
        Mistake(
            "cuts the loss off",
            lambda *args: _truncated()(*args).detach(),
            "your loss has no gradient at all: detach the state, never the loss or the weights",
        ),
    ],
)


# 9.5 LSTMCell


class _LSTMCell(nn.Module):
    """The cell; a mistake replaces a method."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__()
        self.weight_ih = self.kept(self.drawn(4 * H, D, H))
        self.weight_hh = self.kept(self.drawn(4 * H, H, H))
        self.bias_ih = self.kept(self.first_bias(H))
        self.bias_hh = self.kept(torch.zeros(4 * H))

    kept = nn.Parameter

    def drawn(self, rows: int, columns: int, H: int) -> Tensor:
        return torch.empty(rows, columns).uniform_(-(H**-0.5), H**-0.5)

    def first_bias(self, H: int) -> Tensor:
        return torch.cat([torch.zeros(H), torch.ones(H), torch.zeros(2 * H)])

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> Any:
        h, c = state
        i, f, g, o = self.gates(self.sums(x, h))
        new_c = self.keep(i, f, g, c)
        return self.finish(self.show(o, new_c, c), new_c)

    def sums(self, x: Tensor, h: Tensor) -> Tensor:
        return x @ self.weight_ih.T + self.bias_ih + h @ self.weight_hh.T + self.bias_hh

    def gates(self, z: Tensor) -> Sequence[Tensor]:
        return _bent(*z.chunk(4, -1))

    def keep(self, i: Tensor, f: Tensor, g: Tensor, c: Tensor) -> Tensor:
        return f * c + i * g

    def show(self, o: Tensor, new_c: Tensor, c: Tensor) -> Tensor:
        return o * torch.tanh(new_c)

    def finish(self, h: Tensor, c: Tensor) -> Any:
        return h, c


def _bent(i: Tensor, f: Tensor, g: Tensor, o: Tensor) -> tuple[Tensor, ...]:
    return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)


class _TorchCell(_LSTMCell):
    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return torch.lstm_cell(x, state, *self.parameters())


def _cell_with(**methods: Any) -> type:
    return type("LSTMCell", (_LSTMCell,), methods)


def _in_order(order: str) -> type:
    """A cell whose four chunks are taken for other gates."""
    places = [order.index(gate) for gate in "ifgo"]

    def gates(self: _LSTMCell, z: Tensor) -> Sequence[Tensor]:
        chunks = z.chunk(4, -1)
        return _bent(*(chunks[place] for place in places))

    return _cell_with(gates=gates)


def _written(rows: Tensor) -> str:
    return f"torch.tensor({[[round(v, 2) for v in row] for row in rows.tolist()]})"


def _flat(row: Tensor) -> str:
    return f"torch.tensor({[round(v, 2) for v in row.tolist()]})"


def _ran(
    results: str, *lines: str, D: int = 2, H: int = 1, B: int = 1, biased: bool = True
) -> Callable:
    """A program: a cell with known weights, an input x, states h and c, some lines."""

    def cases(g: Generator) -> list[tuple]:
        biases = [_flat(_signed(g, 0.3, 0.9, 4 * H)) for _ in range(2)]
        if not biased:
            biases = [f"torch.zeros({4 * H})"] * 2
        made = [
            "import torch",
            f"cell = LSTMCell({D}, {H})",
            f"cell.weight_ih.data = {_written(_signed(g, 0.3, 1.2, 4 * H, D))}",
            f"cell.weight_hh.data = {_written(_signed(g, 0.3, 1.2, 4 * H, H))}",
            f"cell.bias_ih.data = {biases[0]}",
            f"cell.bias_hh.data = {biases[1]}",
            f"x = {_written(_signed(g, 0.5, 1.5, B, D))}",
            f"h = {_written(_signed(g, 0.3, 0.9, B, H))}",
            f"c = {_written(_signed(g, 0.5, 1.5, B, H))}",
        ]
        return [("LSTMCell", "; ".join([*made, *lines]), results)]

    return cases


def _new(results: str, *lines: str, D: int, H: int) -> Callable:
    made = ["import torch", f"cell = LSTMCell({D}, {H})"]
    return lambda g: [("LSTMCell", "; ".join([*made, *lines]), results)]


STEP = "new_h, new_c = cell(x, (h, c))"

LSTM_CELL = Exercise(
    number="9.5",
    title="A cell with gates",
    name="LSTMCell",
    apart=True,
    difficulty=4,
    minutes=40,
    reference=_TorchCell,
    tests=[
        Test("updates c and shows it as h", _ran("new_h, new_c, h, c", STEP), 3, probe=program),
        Test(
            "keeps its units apart, and learns through two steps",
            _ran(
                "h, cell.weight_hh.grad",
                "h, c = cell(x, (h, c))",
                "h, c = cell(x, (h, c))",
                "h.sum().backward()",
                D=1,
                H=2,
                B=2,
                biased=False,
            ),
            2,
            probe=program,
        ),
        Test(
            "has torch's parameters, small weights and open forget gates",
            _new(
                "names, bias, max(w) <= 0.5, min(w) >= -0.5, min(w) < 0, max(w) > 0, "
                "max(abs(v) for v in w) > 0.25",
                "names = sorted(name for name, p in cell.named_parameters())",
                "bias = (cell.bias_ih + cell.bias_hh).tolist()",
                "w = torch.cat([cell.weight_ih, cell.weight_hh], 1).flatten().tolist()",
                D=2,
                H=4,
            ),
            3,
            probe=program,
        ),
    ],
    mistakes=[
        Mistake(
            "swaps input and forget gate",
            _in_order("figo"),
            "you swapped the input and the forget gate: torch keeps the four parts in the order "
            "i, f, g, o, so the first rows belong to the input gate",
        ),
        Mistake(
            "puts the candidate last",
            _in_order("ifog"),
            "you took the third part for the output gate; the order is i, f, g, o, so the "
            "candidate g comes before o",
        ),
        Mistake(
            "interleaves the gates",
            _cell_with(gates=lambda self, z: _bent(*z.unflatten(-1, (-1, 4)).unbind(-1))),
            "you dealt the sums out in turn, one per gate; each gate owns H neighbouring rows: "
            "z.chunk(4, dim=-1), or z.reshape(B, 4, H)",
        ),
        Mistake(
            "bends the candidate by the sigmoid",
            _cell_with(gates=lambda self, z: torch.sigmoid(z).chunk(4, -1)),
            "you applied the sigmoid to the candidate g, so nothing is ever taken off c; gates lie "
            "between 0 and 1, but g is a value and has tanh",
        ),
        Mistake(
            "forgets to bend the cell state",
            _cell_with(show=lambda self, o, new_c, c: o * new_c),
            "your h is o * c; the cell state passes tanh before it is shown: o * tanh(c)",
        ),
        Mistake(
            "shows the old cell state",
            _cell_with(show=lambda self, o, new_c, c: o * torch.tanh(c)),
            "your h shows the old cell state; update c first, then compute h from the new one",
        ),
        Mistake(
            "leaves the output gate out",
            _cell_with(show=lambda self, o, new_c, c: torch.tanh(new_c)),
            "your h leaves out the output gate: h = o * tanh(c)",
        ),
        Mistake(
            "bends the new cell state",
            _cell_with(
                keep=lambda self, i, f, g, c: torch.tanh(f * c + i * g),
                show=lambda self, o, new_c, c: o * new_c,
            ),
            "you kept tanh(c); the cell state itself stays as it is, so that it can last, and "
            "only what is shown as h is bent",
        ),
        Mistake(
            "never forgets",
            _cell_with(keep=lambda self, i, f, g, c: c + i * g),
            "your cell never forgets: the old c is multiplied by the forget gate, f * c + i * g",
        ),
        Mistake(
            "writes into the given state",
            _cell_with(keep=lambda self, i, f, g, c: c.mul_(f).add_(i * g)),
            "you changed the given c in place (*= and += do); the caller still needs it: make a "
            "new one, c = f * c + i * g",
        ),
        Mistake(
            "forgets what it should keep",
            _cell_with(keep=lambda self, i, f, g, c: (1 - f) * c + i * g),
            "you multiplied the old c by 1 - f; the forget gate says how much is *kept*: "
            "f * c + i * g",
        ),
        Mistake(
            "does not look at h",
            _cell_with(sums=lambda self, x, h: x @ self.weight_ih.T + self.bias_ih + self.bias_hh),
            "your gates see the input alone; h @ weight_hh.T belongs to the sums too",
        ),
        Mistake(
            "takes the states in the other order",
            _cell_with(
                forward=lambda self, x, state: _LSTMCell.forward(self, x, (state[1], state[0]))
            ),
            "you read the states as (c, h); they come as (h, c), the shown one first, as in torch",
        ),
        Mistake(
            "returns c first",
            _cell_with(finish=lambda self, h, c: (c, h)),
            "you returned (c, h); return the shown state first: h, c",
        ),
        Mistake(
            "returns h alone",
            _cell_with(finish=lambda self, h, c: h),
            "you returned h alone; the next step needs c as well: return h, c",
        ),
        Mistake(
            "keeps plain tensors",
            _cell_with(kept=lambda self, tensor: tensor),
            "plain tensors are invisible to the optimizer, because parameters() does not list "
            "them; wrap each in torch.nn.Parameter",
        ),
        Mistake(
            "cuts the state off",
            _cell_with(
                forward=lambda self, x, state: _LSTMCell.forward(
                    self, x, (state[0].detach(), state[1].detach())
                )
            ),
            "you detached the states inside the cell, so no step learns from a later one; the "
            "cell hands gradients on, and whoever wants to truncate detaches outside",
        ),
        Mistake(
            "starts from biases of zero",
            _cell_with(first_bias=lambda self, H: torch.zeros(4 * H)),
            "your forget gates start half closed, so a memory is halved at every step; let their "
            "part of bias_ih start at 1",
        ),
        Mistake(
            "opens the input gates",
            _cell_with(first_bias=lambda self, H: torch.cat([torch.ones(H), torch.zeros(3 * H)])),
            "you opened the input gates; the forget gates are the second part of the four, rows "
            "H to 2H",
        ),
        Mistake(
            "draws positive weights",
            _cell_with(drawn=lambda self, rows, columns, H: torch.rand(rows, columns) / H**0.5),
            "your weights are all positive, for torch.rand gives numbers from 0 to 1; stretch them "
            "first: 2 * torch.rand(...) - 1",
        ),
        Mistake(
            "starts from zero weights",
            _cell_with(drawn=lambda self, rows, columns, H: torch.zeros(rows, columns)),
            "your weights start at zero, so all units get the same gradient and stay alike; draw "
            "them from -1/√H to 1/√H",
        ),
    ],
)


# 9.6 gru_step


def _gru_steps(g: Generator) -> list[tuple]:
    return [
        (
            _signed(g, 0.4, 1.2, B, D),
            _signed(g, 0.4, 1.2, B, H),
            _signed(g, 0.4, 1.2, 3 * H, D),
            _signed(g, 0.4, 1.2, 3 * H, H),
            _signed(g, 0.3, 0.9, 3 * H),
            _signed(g, 0.3, 0.9, 3 * H),
        )
        for B, D, H in ((1, 2, 1), (2, 1, 2))
    ]


def _candidate(i_n: Tensor, h: Tensor, r: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.tanh(i_n + r * (h @ W.T + b))


def _gru(
    order: str = "rzn",
    candidate: Callable[..., Tensor] = _candidate,
    mix: Callable[..., Tensor] = lambda z, r, n, h: (1 - z) * n + z * h,
    gate: Callable[[Tensor], Tensor] = torch.sigmoid,
    cut: Callable[[Tensor], Sequence[Tensor]] = lambda s: s.chunk(3, 0),
) -> Callable:
    """``cut`` parts the rows of a matrix or a bias in three, which stand in this ``order``."""

    def gru_step(
        x: Tensor, h: Tensor, W_ih: Tensor, W_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> Tensor:
        W_i, W_h, b_i, b_h = (
            dict(zip(order, cut(s), strict=True)) for s in (W_ih, W_hh, b_ih, b_hh)
        )
        r, z = (gate(x @ W_i[k].T + b_i[k] + h @ W_h[k].T + b_h[k]) for k in "rz")
        n = candidate(x @ W_i["n"].T + b_i["n"], h, r, W_h["n"], b_h["n"])
        return mix(z, r, n, h)

    return gru_step


GRU_STEP = Exercise(
    number="9.6",
    title="Two gates instead of three",
    name="gru_step",
    difficulty=3,
    minutes=20,
    reference=lambda x, h, W_ih, W_hh, b_ih, b_hh: torch.gru_cell(x, h, W_ih, W_hh, b_ih, b_hh),
    tests=[
        Test("is right for one unit", lambda g: _gru_steps(g)[:1], 2),
        Test("is right for two units and two examples", lambda g: _gru_steps(g)[1:], 2),
    ],
    mistakes=[
        Mistake(
            "uses the update gate the wrong way round",
            _gru(mix=lambda z, r, n, h: z * n + (1 - z) * h),
            "you used the update gate the wrong way round, as some papers do; in torch "
            "z says how much of the old state is kept: (1 - z) * n + z * h",
        ),
        Mistake(
            "resets before the product",
            _gru(candidate=lambda i_n, h, r, W, b: torch.tanh(i_n + (r * h) @ W.T + b)),
            "you reset h before the product, as the first paper does; here r multiplies what "
            "comes out of it, the bias included: r * (h @ W.T + b)",
        ),
        Mistake(
            "leaves the bias out of the reset",
            _gru(candidate=lambda i_n, h, r, W, b: torch.tanh(i_n + r * (h @ W.T) + b)),
            "your reset gate does not reach the bias of the recurrent part: r * (h @ W.T + b)",
        ),
        Mistake(
            "resets the input as well",
            _gru(candidate=lambda i_n, h, r, W, b: torch.tanh(r * (i_n + h @ W.T + b))),
            "you reset the input as well; r multiplies the recurrent part of the candidate alone",
        ),
        Mistake(
            "does not reset",
            _gru(candidate=lambda i_n, h, r, W, b: torch.tanh(i_n + h @ W.T + b)),
            "you did not use the reset gate; r multiplies the recurrent part of the candidate",
        ),
        Mistake(
            "swaps the gates",
            _gru("zrn"),
            "you swapped the gates: the rows stand in torch's order r, z, n, the reset gate first",
        ),
        Mistake(
            "interleaves the gates",
            _gru(cut=lambda s: (s[0::3], s[1::3], s[2::3])),
            "you took every third row for a gate; each has H neighbouring rows: W.chunk(3)",
        ),
        Mistake(
            "bends the candidate by the sigmoid",
            _gru(
                candidate=lambda i_n, h, r, W, b: torch.sigmoid(i_n + r * (h @ W.T + b)),
            ),
            "you applied the sigmoid to the candidate, so the state can never be negative; "
            "n has tanh",
        ),
        Mistake(
            "does not bend the candidate",
            _gru(candidate=lambda i_n, h, r, W, b: i_n + r * (h @ W.T + b)),
            "you left out the tanh of the candidate, so the state can grow without limit",
        ),
        Mistake(
            "bends the gates by tanh",
            _gru(gate=torch.tanh),
            "you applied tanh to the gates; a gate lies between 0 and 1 and has the sigmoid",
        ),
        Mistake(
            "returns the candidate",
            _gru(mix=lambda z, r, n, h: n),
            "you returned the candidate; the new state mixes it with the old one: "
            "(1 - z) * n + z * h",
        ),
        Mistake(
            "resets the state in the mixture",
            _gru(mix=lambda z, r, n, h: (1 - z) * n + z * r * h),
            "you mixed in r * h; the reset gate belongs to the candidate alone, and z keeps the "
            "old state as it is",
        ),
    ],
)


# 9.7 bits_per_character

SCORES = ("bits", "perplexity")


def _texts(g: Generator) -> list[tuple]:
    """Two texts of unequal length, one of a single character, in three columns."""
    cases = []
    for longer in (2, 3):
        lengths = torch.tensor([1, longer])[torch.randperm(2, generator=g)]
        real = torch.arange(3) < lengths[:, None]
        y = torch.randint(0, 2, (2, 3), generator=g) * real
        y[:, 0] = torch.tensor([0, 1])  # a real 0, and a 1
        cases.append((_signed(g, 0.3, 2.5, 2, 3, 2), y, lengths))
    return cases


def _is_real(y: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(y.shape[1]) < lengths[:, None]  # (B, T)


def _nats(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)


def _mean_of_real(costs: Tensor, real: Tensor) -> Tensor:
    return costs[real].mean()


def _bits(
    costs: Callable[[Tensor, Tensor], Tensor] = _nats,
    real: Callable[[Tensor, Tensor], Tensor] = _is_real,
    mean: Callable[[Tensor, Tensor], Tensor] = _mean_of_real,
    bits: Callable[[Tensor], Tensor] = lambda nats: nats / math.log(2),
    perplexity: Callable[[Tensor], Tensor] = torch.exp,
) -> Callable:
    def bits_per_character(logits: Tensor, y: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        nats = mean(costs(logits, y), real(y, lengths))
        return bits(nats), perplexity(nats)

    return bits_per_character


def _mean_of_means(costs: Tensor, real: Tensor) -> Tensor:
    return ((costs * real).sum(1) / real.sum(1)).mean()


def _mean_of_exp(logits: Tensor, y: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    costs = _nats(logits, y)[_is_real(y, lengths)]
    return costs.mean() / math.log(2), costs.exp().mean()


BITS = Exercise(
    number="9.7",
    title="Bits per character",
    name="bits_per_character",
    difficulty=2,
    minutes=20,
    reference=_bits(),
    tests=[
        Test("counts the bits of the real characters", _texts, 2, part(0, *SCORES)),
        Test("gives the perplexity that goes with them", _texts, 1, part(1, *SCORES)),
    ],
    mistakes=[
        Mistake(
            "counts the padding",
            _bits(mean=lambda costs, real: costs.mean()),
            "you counted the padding too, places that hold no character; average where t is "
            "smaller than the length of the row",
        ),
        Mistake(
            "takes every zero for padding",
            _bits(real=lambda y, lengths: y != 0),
            "you left out every symbol 0, as ignore_index=0 does; 0 is a symbol too, and only the "
            "lengths say where the padding begins",
        ),
        Mistake(
            "divides by all places",
            _bits(mean=lambda costs, real: (costs * real).mean()),
            "you set the padding to zero and then divided by all places; divide by the number of "
            "real characters, lengths.sum()",
        ),
        Mistake(
            "averages the means of the texts",
            _bits(mean=_mean_of_means),
            "you averaged the means of the texts, so a character of a short text counts more; "
            "add up all real characters and divide by their number",
        ),
        Mistake(
            "counts one place too many",
            _bits(real=lambda y, lengths: torch.arange(y.shape[1]) <= lengths[:, None]),
            "your mask reaches one place too far; counted from 0, a text of length n ends "
            "at n - 1: t < n",
        ),
        Mistake(
            "scores the padding",
            _bits(real=lambda y, lengths: ~_is_real(y, lengths)),
            "your mask is turned round: you scored the padding and left the text out",
        ),
        Mistake(
            "divides by the number of texts",
            _bits(mean=lambda costs, real: (costs * real).sum() / len(costs)),
            "you divided by the number of texts; these are bits per *character*: divide by "
            "lengths.sum()",
        ),
        Mistake(
            "sums",
            _bits(mean=lambda costs, real: (costs * real).sum()),
            "you summed and did not divide; divide by the number of real characters",
        ),
        Mistake(
            "counts nats",
            _bits(bits=lambda nats: nats),
            "your bits are nats: cross_entropy has natural logarithms; divide by ln 2",
        ),
        Mistake(
            "multiplies by the logarithm",
            _bits(bits=lambda nats: nats * math.log(2)),
            "you multiplied by ln 2; log2(p) is ln(p) / ln 2, so there are more bits than nats",
        ),
        Mistake(
            "raises e to the bits",
            _bits(perplexity=lambda nats: (nats / math.log(2)).exp()),
            "you raised e to the power of the bits; base and logarithm belong together: 2 to the "
            "bits, or e to the nats",
        ),
        Mistake(
            "raises two to the nats",
            _bits(perplexity=lambda nats: 2**nats),
            "you raised 2 to the power of the nats; base and logarithm belong together: 2 to the "
            "bits, or e to the nats",
        ),
        Mistake(
            "averages after the exponential",
            _mean_of_exp,
            "you took the exponential of every character's cost and averaged that; average "
            "first, then take the exponential of the mean",
        ),
        Mistake(
            "forgets the softmax",
            _bits(lambda logits, y: -logits.gather(-1, y[..., None])[..., 0]),
            "you took the logit of the right symbol for its log-probability; apply log_softmax "
            "first, or use cross_entropy",
        ),
        Mistake(
            "scores the favourite",
            _bits(lambda logits, y: -F.log_softmax(logits, -1).amax(-1)),
            "you scored the symbol that the model likes best; score the one that came, y",
        ),
        Mistake(
            "returns the bits alone",
            lambda *args: _bits()(*args)[0],
            "you returned the bits alone; return bits, perplexity",
        ),
    ],
)


# 9.8 final_states

ENDS = ("h", "active")


def _of_three_lengths(g: Generator) -> list[tuple]:
    """Orders that are no swaps: undone by another permutation than themselves."""
    cases = []
    for order in ((1, 2, 0), (2, 0, 1)):
        shorter = torch.randperm(3, generator=g)[:2].sort(descending=True).values + 1
        lengths = torch.zeros(3, dtype=torch.int64)
        lengths[list(order)] = torch.cat([torch.tensor([4]), shorter])
        cases.append((_signed(g, 0.3, 1.2, 3, 4), lengths, _signed(g, 0.5, 1.3).item()))
    return cases


def _packed(x: Tensor, lengths: Tensor, w: float) -> tuple[Tensor, Tensor]:
    packed = pack_padded_sequence(x[..., None], lengths, batch_first=True, enforce_sorted=False)
    weights = [torch.ones(1, 1), torch.full((1, 1), w)]
    start = torch.zeros(1, len(x), 1)
    _, h = torch.rnn_tanh(
        packed.data, packed.batch_sizes, start, weights, False, 1, 0.0, False, False
    )
    return h[0, packed.unsorted_indices, 0], packed.batch_sizes


def _active(lengths: Tensor) -> Tensor:
    return torch.stack([(lengths > t).sum() for t in range(int(lengths.max()))])


def _every_state(x: Tensor, w: float) -> Tensor:
    """All states, the first before any input, shape (B, T + 1)."""
    states = [torch.zeros(len(x))]
    for x_t in x.T:
        states.append(torch.tanh(x_t + w * states[-1]))
    return torch.stack(states, 1)


def _read_at(place: Callable[[Tensor, int], Tensor]) -> Callable:
    """The right number of active rows, and each row's state at a place that may be wrong."""

    def final_states(x: Tensor, lengths: Tensor, w: float) -> tuple[Tensor, Tensor]:
        states = _every_state(x, w)
        return states[torch.arange(len(x)), place(lengths, x.shape[1])], _active(lengths)

    return final_states


def _reordered(back: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """Longest first; ``back(h, order)`` brings the caller's order back, or fails to."""

    def final_states(x: Tensor, lengths: Tensor, w: float) -> tuple[Tensor, Tensor]:
        order = lengths.argsort(descending=True)
        states = _every_state(x[order], w)
        return back(states[torch.arange(len(x)), lengths[order]], order), _active(lengths)

    return final_states


def _first_rows(x: Tensor, active: Tensor, w: float) -> Tensor:
    """Steps in which the first rows move on, as many as are active."""
    h = torch.zeros(len(x))
    for x_t, n in zip(x.T, active.tolist(), strict=True):
        h = torch.cat([torch.tanh(x_t[:n] + w * h[:n]), h[n:]])
    return h


def _shortest_first(x: Tensor, lengths: Tensor, w: float) -> tuple[Tensor, Tensor]:
    order = lengths.argsort()
    h = _first_rows(x[order], _active(lengths), w)
    return h[order.argsort()], _active(lengths)


def _ended_as_zero(x: Tensor, lengths: Tensor, w: float) -> tuple[Tensor, Tensor]:
    h, active = _packed(x, lengths, w)
    return h * (lengths == lengths.max()), active


def _with_counts(count: Callable[[Tensor], Tensor]) -> Callable:
    return lambda x, lengths, w: (_packed(x, lengths, w)[0], count(lengths))


def _as_numbers(i: int) -> Callable[[tuple, Any], Tensor]:
    """A part of the answer, whether it came as a tensor or as a list."""

    def observe(args: tuple, value: Any) -> Tensor:
        size = (args[0].shape[0],) if i == 0 else (int(args[1].max()),)
        return numbers(ENDS[i], parts(value, *ENDS)[i], size)

    return observe


FINAL_STATES = Exercise(
    number="9.8",
    title="The longest first, and back again",
    name="final_states",
    difficulty=4,
    minutes=30,
    reference=_packed,
    tests=[
        Test("counts who still runs at each step", _of_three_lengths, 1, _as_numbers(1)),
        Test(
            "gives the last real state of each, in your order", _of_three_lengths, 3, _as_numbers(0)
        ),
    ],
    mistakes=[
        Mistake(
            "does not sort back",
            _reordered(lambda h, order: h),
            "your states stand longest first, each with the wrong owner; undo the sorting: "
            "out[order] = h, or h[order.argsort()]",
        ),
        Mistake(
            "sorts once more",
            _reordered(lambda h, order: h[order]),
            "h[order] applies the permutation once more; undo it: out[order] = h, or "
            "h[order.argsort()]",
        ),
        Mistake(
            "turns the order round",
            _reordered(lambda h, order: h.flip(0)),
            "you turned the states round, which undoes a reversal only; undo the sorting: "
            "out[order] = h",
        ),
        Mistake(
            "runs through the padding",
            _read_at(lambda lengths, T: torch.full_like(lengths, T)),
            "your short rows ran on through their padding; a row stops after its own length, and "
            "its state stays",
        ),
        Mistake(
            "stops a step early",
            _read_at(lambda lengths, T: lengths - 1),
            "you stopped each row a step early; a row of length n takes the steps 0 to n - 1, "
            "all of them",
        ),
        Mistake(
            "stops a step late",
            _read_at(lambda lengths, T: (lengths + 1).clamp(max=T)),
            "you ran each row a step into its padding; in step t, counted from 0, only rows with "
            "length > t move on",
        ),
        Mistake(
            "sorts the shortest first",
            _shortest_first,
            "you sorted the shortest first, but the rows that still run must be the first ones: "
            "argsort(descending=True)",
        ),
        Mistake(
            "leaves the rows unsorted",
            lambda x, lengths, w: (_first_rows(x, _active(lengths), w), _active(lengths)),
            "you let the first n rows move on, but did not sort the rows; the n that still run "
            "are the first only after x = x[order]",
        ),
        Mistake(
            "lets the ended ones become zero",
            _ended_as_zero,
            "your ended rows become 0; a row that has ended keeps its last state",
        ),
        Mistake(
            "counts with equality",
            _with_counts(lambda lengths: (lengths >= torch.arange(lengths.max())[:, None]).sum(1)),
            "you counted the rows with length >= t; a row of length n has no step n when they "
            "are counted from 0: length > t",
        ),
        Mistake(
            "gives the lengths",
            _with_counts(lambda lengths: lengths.sort(descending=True).values),
            "you returned the sorted lengths, one number a row; `active` has one number a step: "
            "how many rows are longer than t",
        ),
        Mistake(
            "returns the states alone",
            lambda *args: _packed(*args)[0],
            "you returned the states alone; return h, active",
        ),
    ],
)


# 9.9 sample

DRAWN = ("p", "k")


def _tempered(g: Generator) -> list[tuple]:
    """A cool and a hot case, in which the ways to draw wrongly give other symbols."""
    return [_draws_at(g, *ends) for ends in ((0.4, 0.8), (1.5, 3.0))]


def _draws_at(g: Generator, low: float, high: float) -> tuple:
    while True:
        logits, temperature = _signed(g, 0.2, 1.6, 4), _number(g, low, high)
        u = (torch.randperm(6, generator=g) / 6 + 0.08).round(decimals=2)
        p = torch.softmax(logits / temperature, 0)
        k = _first_above(p, u)
        wrong = (_first_above(torch.softmax(logits, 0), u), _from_the_end(p, u), k * 0 + k[0])
        close = (p.cumsum(0) - u[:, None]).abs().min() < 0.002
        if not close and not any(torch.equal(k, each) for each in wrong):
            return logits, temperature, u


def _first_above(p: Tensor, u: Tensor) -> Tensor:
    return (p.cumsum(0) <= u[:, None]).sum(1)


def _from_the_end(p: Tensor, u: Tensor) -> Tensor:
    return len(p) - 1 - _first_above(p.flip(0), u)


def _sampled(
    temper: Callable[[Tensor, float], Tensor] = lambda z, t: torch.softmax(z / t, -1),
    pick: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda z, p, u: _first_above(p, u),
) -> Callable:
    def sample(logits: Tensor, temperature: float, u: Tensor) -> tuple[Tensor, Tensor]:
        p = temper(logits, temperature)
        return p, pick(logits, p, u)

    return sample


SAMPLE = Exercise(
    number="9.9",
    title="Cool or hot",
    name="sample",
    difficulty=2,
    minutes=15,
    reference=_sampled(),
    tests=[
        Test("has the tempered probabilities", _tempered, 2, part(0, *DRAWN)),
        Test("draws by them", _tempered, 2, part(1, *DRAWN)),
    ],
    mistakes=[
        Mistake(
            "multiplies",
            _sampled(lambda z, t: torch.softmax(z * t, -1)),
            "you multiplied by the temperature, which makes hot cold; divide the logits by it",
        ),
        Mistake(
            "divides the probabilities",
            _sampled(lambda z, t: torch.softmax(z, -1) / t),
            "you divided the probabilities, which then no longer sum to 1; the temperature "
            "divides the logits, before the softmax",
        ),
        Mistake(
            "ignores the temperature",
            _sampled(lambda z, t: torch.softmax(z, -1)),
            "your temperature has no effect; probabilities that are divided and then rescaled are "
            "what they were: divide the logits, before the softmax",
        ),
        Mistake(
            "takes the softmax twice",
            _sampled(lambda z, t: torch.softmax(torch.softmax(z, -1) / t, -1)),
            "you took the softmax twice; divide the logits by the temperature and take it once",
        ),
        Mistake(
            "does not normalise",
            _sampled(lambda z, t: torch.exp(z / t)),
            "your probabilities do not sum to 1; divide by their sum, as the softmax does",
        ),
        Mistake(
            "takes the favourite",
            _sampled(pick=lambda z, p, u: p.argmax().expand(len(u))),
            "you took the likeliest symbol, whatever u is; go along the cumulative sums and take "
            "the first that exceeds u",
        ),
        Mistake(
            "stops one early",
            _sampled(pick=lambda z, p, u: _first_above(p, u) - 1),
            "your symbol is one too low: count the cumulative sums that are at most u, and "
            "subtract nothing",
        ),
        Mistake(
            "stops one late",
            _sampled(pick=lambda z, p, u: _first_above(p, u) + 1),
            "your symbol is one too high; symbols count from 0, so the first whose cumulative "
            "sum exceeds u is the number of sums at most u",
        ),
        Mistake(
            "draws without the temperature",
            _sampled(pick=lambda z, p, u: _first_above(torch.softmax(z, -1), u)),
            "your probabilities are tempered, but you drew by the untempered ones",
        ),
        Mistake(
            "counts from the other end",
            _sampled(pick=lambda z, p, u: _from_the_end(p, u)),
            "you added up from the last symbol; go from the first one, so that everybody draws "
            "the same for the same u",
        ),
        Mistake(
            "returns the probabilities alone",
            lambda *args: _sampled()(*args)[0],
            "you returned the probabilities alone; return p, k",
        ),
        Mistake(
            "returns the symbol alone",
            lambda *args: _sampled()(*args)[1],
            "you returned the symbol alone; return p, k",
        ),
    ],
)


# 9.10 train

FADES = 0.7  # what each step keeps of the sum that the net has to learn


def _faded(x: Tensor) -> Tensor:
    """The target: a sum in which older numbers count less, shape (B,)."""
    return x @ FADES ** torch.arange(x.shape[1] - 1, -1, -1.0)


def _lesson(g: Generator) -> list[tuple]:
    """Sequences of two numbers, the first four of which have all the signs there are."""
    signs = torch.cat([torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]]), _signed(g, 1, 1, 2, 2)])
    x = uniform(g, 0.3, 1.0, 6, 2) * signs
    return [(x, _faded(x).round(decimals=2), uniform(g, 0.3, 0.6, 3), 0.4, 1.0, 12)]


def _far_off(g: Generator, *sizes: tuple[int, int], limit: float, steps: int) -> list[tuple]:
    """Targets of size 2 to 4, so that the first gradient is long."""
    return [
        (
            _signed(g, 0.3, 1.0, B, T),
            _signed(g, 2.0, 4.0, B),
            uniform(g, 0.5, 0.9, 3),
            _number(g, 0.1, 0.2),
            limit,
            steps,
        )
        for B, T in sizes
    ]


def _unclipped(g: Generator) -> list[tuple]:
    return _far_off(g, (3, 3), limit=100.0, steps=1)


def _clipped(g: Generator) -> list[tuple]:
    """The gradient is so long that even its step is longer than the limit."""
    while True:
        (case,) = _far_off(g, (3, 3), limit=_number(g, 0.1, 0.3), steps=1)
        x, y, w, lr, limit, _ = case
        grad, _ = _slopes(w.tolist(), x.tolist(), y.tolist(), [0.0] * 3, 3)
        if lr * math.hypot(*grad) > 1.2 * limit:
            return [case]


def _several_steps(g: Generator) -> list[tuple]:
    return _far_off(g, (4, 2), limit=100.0, steps=3)


def _outputs(w: Tensor, x: Tensor) -> Tensor:
    """What the net says of each sequence: a tanh unit through time, times a weight."""
    h = torch.zeros(len(x), dtype=x.dtype)
    for x_t in x.unbind(1):
        h = torch.tanh(w[0] * h + w[1] * x_t)
    return w[2] * h


def _unseen() -> Tensor:
    """Sequences that no answer gets to see, longer than those that it learns from."""
    return torch.rand(30, 6, generator=Generator().manual_seed(9), dtype=torch.float64) * 2 - 1


UNSEEN = _unseen()


def _says(args: tuple, value: Any) -> Tensor:
    """The net's outputs for the unseen sequences, computed here from the weights."""
    return _outputs(numbers("w", value, (3,)), UNSEEN[:4, :4])


def _understood(args: tuple, value: Any) -> str | None:
    """The loss on unseen sequences, against that of the weights at the start."""
    wanted = _faded(UNSEEN.float()).double()
    before, after = (
        (_outputs(w.double(), UNSEEN) - wanted).square().mean().item()
        for w in (args[2], numbers("w", value, (3,)))
    )
    if after < before / 2:
        return None
    return (
        f"on sequences that it never saw the loss of your net is {after:.3g}; it was {before:.3g} "
        "before, and should be less than half of it"
    )


def _slopes(
    w: list[float],
    rows: list[list[float]],
    y: list[float],
    states: list[float],
    reach: int,
) -> tuple[list[float], list[float]]:
    """The gradient of the mean squared error by hand, and the last states.

    ``states`` are the first ones, ``reach`` how many steps the error goes back.
    """
    grad, last = [0.0, 0.0, 0.0], []
    for row, target, start in zip(rows, y, states, strict=True):
        h = [start]
        for x_t in row:
            h.append(math.tanh(w[0] * h[-1] + w[1] * x_t))
        error = 2 * (w[2] * h[-1] - target) / len(y)
        grad[2] += error * h[-1]
        delta = error * w[2]
        for t in list(range(len(row), 0, -1))[:reach]:
            through = delta * (1 - h[t] ** 2)
            grad[0] += through * h[t - 1]
            grad[1] += through * row[t - 1]
            delta = through * w[0]
        last.append(h[-1])
    return grad, last


def _by_length(grad: list[float], limit: float) -> list[float]:
    scale = min(1.0, limit / math.hypot(*grad))
    return [scale * g for g in grad]


def _descent(
    clip: Callable[[list[float], float], list[float]] = _by_length,
    reach: int = 1000,
    steps_of: Callable[[int], int] = lambda n: n,
    rate: Callable[[float], float] = lambda lr: lr,
    scale: Callable[[int], float] = lambda B: 1.0,
    carry: bool = False,
    keep: bool = False,
    moved: tuple[int, int, int] = (1, 1, 1),
) -> Callable:
    """Gradient descent in plain numbers, ten times as fast as autograd on nets so small.

    Its parts can be spoilt one by one. That it is right unspoilt, the master shows, by autograd.
    """

    def train(x: Tensor, y: Tensor, w: Tensor, lr: float, limit: float, steps: int) -> Tensor:
        rows, targets, now = x.tolist(), y.tolist(), w.tolist()
        states, kept = [0.0] * len(rows), [0.0] * 3
        for _ in range(steps_of(steps)):
            grad, last = _slopes(now, rows, targets, states, reach)
            kept = [k + g * scale(len(rows)) for k, g in zip(kept, grad, strict=True)]
            step = clip(kept, limit)
            now = [v - rate(lr) * s * m for v, s, m in zip(now, step, moved, strict=True)]
            states = last if carry else states
            kept = step if keep else [0.0] * 3  # clip_grad_norm_ writes into .grad
        return torch.tensor(now)

    return train


def _each_at_most(grad: list[float], limit: float) -> list[float]:
    return [max(-limit, min(limit, g)) for g in grad]


def _always_that_long(grad: list[float], limit: float) -> list[float]:
    return [g * limit / math.hypot(*grad) for g in grad]


def _clips_the_step(x: Tensor, y: Tensor, w: Tensor, lr: float, limit: float, steps: int) -> Tensor:
    scaled = _descent(lambda grad, limit: _by_length([lr * g for g in grad], limit), rate=_one)
    return scaled(x, y, w, lr, limit, steps)


def _one(lr: float) -> float:
    return 1.0


def _over_the_batch(x: Tensor, y: Tensor, w: Tensor, lr: float, limit: float, steps: int) -> Tensor:
    w = w.clone().requires_grad_()
    for _ in range(steps):
        (grad,) = torch.autograd.grad((_outputs(w, x.T) - y).square().mean(), w)
        w = (w - lr * grad * min(1.0, limit / grad.norm().item())).detach().requires_grad_()
    return w.detach()


def _through_all_passes(
    x: Tensor, y: Tensor, w: Tensor, lr: float, limit: float, steps: int
) -> Tensor:
    """The state goes on with its history, so the second pass leads back into the first."""
    w, h = w.clone().requires_grad_(), torch.zeros(len(x))
    for _ in range(steps):
        for x_t in x.T:
            h = torch.tanh(w[0] * h + w[1] * x_t)
        (w[2] * h - y).square().mean().backward()
        w.data -= lr * w.grad * min(1.0, limit / w.grad.norm().item())
        w.grad = None
    return w.detach()


def _in_place(x: Tensor, y: Tensor, w: Tensor, *rest: Any) -> Tensor:
    return w.copy_(_descent()(x, y, w, *rest))


TRAIN = Exercise(
    number="9.10",
    title="Teach it to remember",
    name="train",
    difficulty=5,
    minutes=40,
    reference=lambda x, y, w, lr, limit, steps: _descent()(x, y, w, lr, limit, steps),
    tests=[
        Test("takes one step downhill", _unclipped, 1, _says),
        Test("clips a gradient that is too long", _clipped, 1, _says),
        Test("takes as many steps as asked for", _several_steps, 2, _says),
        Test(
            "understands sequences it never saw",
            _lesson,
            2,
            judge=_understood,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "cuts the state off",
            _descent(reach=1),
            "your gradient goes back one step only, because the state was detached between the "
            "steps; inside a sequence let it flow, and cut it only between two passes",
        ),
        Mistake(
            "carries the state into the next pass",
            _descent(carry=True),
            "your first step is right and the next are not: the last state of one pass became the "
            "first of the next; every pass reads each sequence from h = 0",
        ),
        Mistake(
            "forgets to clear the gradients",
            _descent(keep=True),
            "your first step is right and the next are not: backward() adds to .grad, so the old "
            "gradient is still in it; clear it before each step",
        ),
        Mistake(
            "does not clip",
            _descent(lambda grad, limit: grad),
            "you did not clip: where the gradient is longer than `limit`, multiply it by "
            "limit / length before the step",
        ),
        Mistake(
            "clips each entry",
            _descent(_each_at_most),
            "you clipped every entry by itself, which turns the gradient; take one length over "
            "all three and scale them together",
        ),
        Mistake(
            "stretches short gradients",
            _descent(_always_that_long),
            "your gradient always has the length `limit`, so short ones are stretched and no "
            "step gets small; the factor is min(1, limit / length)",
        ),
        Mistake(
            "clips the step",
            _clips_the_step,
            "you multiplied by lr first and clipped the step; the limit is that of the gradient, "
            "so clip before lr comes in",
        ),
        Mistake(
            "climbs",
            _descent(rate=lambda lr: -lr),
            "you added the gradient, which points uphill; subtract lr times the gradient",
        ),
        Mistake(
            "leaves out the learning rate",
            _descent(rate=_one),
            "you subtracted the whole gradient; multiply it by lr",
        ),
        Mistake(
            "halves the loss",
            _descent(scale=lambda B: 0.5),
            "your gradient is half as long as it should be: this loss is the mean square, without "
            "the half of Exercise 9.3",
        ),
        Mistake(
            "sums the loss",
            _descent(scale=lambda B: B),
            "your steps are as many times too long as there are sequences: the loss is a mean "
            "over the batch, not a sum",
        ),
        Mistake(
            "trains the output only",
            _descent(moved=(0, 0, 1)),
            "you moved the output weight only; the two inside the net have gradients too, through "
            "all steps",
        ),
        Mistake(
            "takes one step",
            _descent(steps_of=lambda n: 1),
            "you took a single step; repeat it `steps` times, from the new weights each time",
        ),
        Mistake(
            "takes one step too many",
            _descent(steps_of=lambda n: n + 1),
            "you took one step too many; range(steps) counts from 0 to steps - 1",
        ),
        Mistake(
            "takes one step too few",
            _descent(steps_of=lambda n: n - 1),
            "you took one step too few; range(1, steps) leaves one out, range(steps) does not",
        ),
        Mistake(
            "writes into the given weights",
            _in_place,
            "you changed the caller's weights; clone them before you train, so that a run can be "
            "repeated from the same start",
        ),
        Mistake(
            "returns the outputs",
            lambda x, y, w, *rest: _outputs(_descent()(x, y, w, *rest), x),
            "you returned what the net says; return its three weights, and what it says will be "
            "computed from them",
        ),
        Mistake(
            "goes back into the pass before",
            _through_all_passes,
            "your state was never detached or set back, so backward() walks into the pass before, "
            "which is gone; every pass reads each sequence from h = 0",
        ),
        Mistake(
            "forgets batch_first",
            _over_the_batch,
            "you walked along axis 0, which counts the sequences; time is axis 1, so step t reads "
            "x[:, t]",
        ),
    ],
)

EXERCISES = (
    WINDOWS,
    UNROLL,
    BPTT,
    TRUNCATED_LOSS,
    LSTM_CELL,
    GRU_STEP,
    BITS,
    FINAL_STATES,
    SAMPLE,
    TRAIN,
)

check = checker(EXERCISES)
