"""Recurrent networks: cells and layers, gradients through time, a model of characters.

Chapter: book/09_rnn. Sources: Elman 1990; Hochreiter & Schmidhuber 1997 and Gers, Schmidhuber &
Cummins 2000 (LSTM); Cho et al. 2014 (GRU). Letters: B batch, T time, D inputs, H hidden units,
L layers, K symbols.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .device import pick_device

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


# Cells: one step


def rnn_cell(x, h, W_ih, W_hh, b_ih, b_hh, activation="tanh") -> Tensor:
    """A step of the plain recurrent net: ``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``.

    Args:
        x: input of this step, shape (B, D).
        h: state before it, shape (B, H).
        W_ih: weights on the input, shape (H, D).
        W_hh: weights on the state, shape (H, H).
        b_ih: shape (H,).
        b_hh: shape (H,). One bias would do; two are torch's habit, kept to share its weights.
        activation: ``"tanh"`` or ``"relu"``.

    Returns:
        The state after this step, shape (B, H).

    Raises:
        ValueError: when the shapes do not fit, or for another activation.

    Example:
        >>> one = torch.ones(1, 1)
        >>> rnn_cell(one, one, one, -one, torch.zeros(1), torch.zeros(1))
        tensor([[0.]])

    Source: Elman 1990.
    """
    _check_cell(x, h, W_ih, W_hh, gates=1)
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    return ACTIVATIONS[activation](x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)


def lstm_cell(x, state, W_ih, W_hh, b_ih, b_hh) -> tuple[Tensor, Tensor]:
    """A step of the LSTM: ``c_t = f ⊙ c_{t-1} + i ⊙ g`` and ``h_t = o ⊙ tanh(c_t)``.

    Args:
        x: input of this step, shape (B, D).
        state: ``(h, c)`` before it, each of shape (B, H).
        W_ih: weights on the input, shape (4H, D): those of i, f, g, o, one under another.
        W_hh: weights on h, shape (4H, H).
        b_ih: shape (4H,).
        b_hh: shape (4H,).

    Returns:
        ``(h, c)`` after this step, each of shape (B, H).

    Raises:
        ValueError: when the shapes do not fit.

    Source: Hochreiter & Schmidhuber 1997; the forget gate f: Gers, Schmidhuber & Cummins 2000.
    """
    if not isinstance(state, tuple) or len(state) != 2:
        raise ValueError("an LSTM's state is a pair (h, c); start with two tensors of zeros")
    h, c = state
    _check_cell(x, h, W_ih, W_hh, gates=4)
    return lstm_gates(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh, c)


def lstm_gates(z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """What an LSTM does with its four sums.

    Args:
        z: the sums of i, f, g, o side by side, shape (B, 4H).
        c: cell state before this step, shape (B, H).

    Returns:
        ``(h, c)`` after it, each of shape (B, H).
    """
    H = c.shape[-1]
    i_f, g, o = z.split([2 * H, H, H], -1)
    i, f = i_f.sigmoid().chunk(2, -1)  # (B, H) each
    c = f * c + i * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_cell(x, h, W_ih, W_hh, b_ih, b_hh) -> Tensor:
    """A step of the GRU: ``h_t = z ⊙ h_{t-1} + (1 - z) ⊙ n``, with the new value n and a gate z.

    The gate r acts on ``W_hh h + b_hh``, behind the product, as in torch; Cho et al. put it on h.

    Args:
        x: input of this step, shape (B, D).
        h: state before it, shape (B, H).
        W_ih: weights on the input, shape (3H, D): those of r, z, n, one under another.
        W_hh: weights on the state, shape (3H, H).
        b_ih: shape (3H,).
        b_hh: shape (3H,).

    Returns:
        The state after this step, shape (B, H).

    Raises:
        ValueError: when the shapes do not fit.

    Source: Cho et al. 2014.
    """
    _check_cell(x, h, W_ih, W_hh, gates=3)
    return gru_gates(x @ W_ih.T + b_ih, h @ W_hh.T + b_hh, h)


def gru_gates(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """What a GRU does with the sums of r, z, n: those of the input and those of the state.

    Args:
        a: ``W_ih x + b_ih``, shape (B, 3H).
        b: ``W_hh h + b_hh``, shape (B, 3H).
        h: state before this step, shape (B, H).

    Returns:
        The state after it, shape (B, H).
    """
    H = h.shape[-1]
    rz = (a[..., : 2 * H] + b[..., : 2 * H]).sigmoid()  # both gates at once
    r, z = rz.chunk(2, -1)
    n = (a[..., 2 * H :] + r * b[..., 2 * H :]).tanh()
    return n + z * (h - n)  # (1 - z) n + z h, in fewer steps


def _check_cell(x: Tensor, h: Tensor, W_ih: Tensor, W_hh: Tensor, gates: int) -> None:
    if x.ndim != 2 or h.ndim != 2 or len(x) != len(h):
        got = f"{tuple(x.shape)} and {tuple(h.shape)}"
        raise ValueError(f"a cell takes one step: expected x (B, D) and h (B, H), got {got}")
    D, H = x.shape[1], h.shape[1]
    if W_ih.shape != (gates * H, D) or W_hh.shape != (gates * H, H):
        got = f"{tuple(W_ih.shape)} and {tuple(W_hh.shape)}"
        raise ValueError(
            f"x has {D} features and h {H} units, so the weights must be {(gates * H, D)} and "
            f"{(gates * H, H)}, got {got}"
        )


# Layers: all steps


class _Recurrent(nn.Module):
    """All steps of all layers. A subclass says how many gates it has and what a step does."""

    gates: int  # blocks of H rows in a weight matrix
    parts = 1  # tensors in the state

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        device=None,
        dtype=None,
    ) -> None:
        super().__init__()
        for name, size in [("input", input_size), ("hidden", hidden_size)]:
            if size < 1:
                raise ValueError(f"{name}_size must be at least 1, got {size}")
        if num_layers < 1:
            raise ValueError(f"num_layers must be at least 1, got {num_layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout = batch_first, dropout
        rows, bound = self.gates * hidden_size, hidden_size**-0.5
        for layer in range(num_layers):
            D = hidden_size if layer else input_size
            shapes = {"weight_ih": (rows, D), "weight_hh": (rows, hidden_size)}
            for name, shape in {**shapes, "bias_ih": (rows,), "bias_hh": (rows,)}.items():
                start = torch.empty(shape, dtype=dtype).uniform_(-bound, bound)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(start))
        self.to(pick_device(device))

    def forward(self, x, state=None):
        """Read whole sequences.

        Args:
            x: shape (T, B, D), or (B, T, D) with ``batch_first``, or a PackedSequence.
            state: where to start, None for zeros. Shape (L, B, H), batch_first or not; for an LSTM
                a pair of these.

        Returns:
            The last layer's h of all steps, in the form of ``x``, and the state of each layer after
            the last step of each sequence.

        Raises:
            ValueError: when the shape of ``x`` or of the state is another.
        """
        if isinstance(x, PackedSequence):
            rows, sizes = x.data, x.batch_sizes.tolist()  # (N, D): all steps of all sequences
        else:
            self._check(x)
            steps = x.transpose(0, 1) if self.batch_first else x  # (T, B, D)
            T, B = steps.shape[:2]
            rows, sizes = steps.reshape(T * B, -1), [B] * T
        states = self._start(x, state, sizes[0], rows)
        ends = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                rows = F.dropout(rows, self.dropout, self.training)
            rows, end = self._layer(layer, rows, sizes, [part[layer] for part in states])
            ends.append(end)
        end = [torch.stack(part) for part in zip(*ends, strict=True)]  # (L, B, H) each
        if isinstance(x, PackedSequence):
            out = PackedSequence(rows, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
            if x.unsorted_indices is not None:  # back to the order in which they came
                end = [part.index_select(1, x.unsorted_indices) for part in end]
        else:
            out = rows.view(T, B, -1)
            out = out.transpose(0, 1) if self.batch_first else out
        return out, end[0] if self.parts == 1 else tuple(end)

    def _layer(self, layer, rows, sizes, state):
        """One layer over all steps; ``sizes[t]`` sequences are still running at step t."""
        W_ih, W_hh, b_ih, b_hh = (
            getattr(self, f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias = b_ih if self.gates == 3 else b_ih + b_hh  # a GRU's b_hh stands behind its gate r
        inputs = F.linear(rows, W_ih, bias)  # (N, gates·H): the inputs' share, all steps at once
        W, out, ended = W_hh.T, [], []
        for a in inputs.split(sizes):
            if len(a) < len(state[0]):  # the shortest sequences have ended: set their state aside
                ended.append([part[len(a) :] for part in state])
                state = [part[: len(a)] for part in state]
            state = self._step(a, state, W, b_hh)
            out.append(state[0])
        end = [torch.cat(part) for part in zip(state, *reversed(ended), strict=True)]
        return torch.cat(out), end

    def _check(self, x: Tensor) -> None:
        wanted = "(B, T, D)" if self.batch_first else "(T, B, D)"
        if x.ndim != 3 or x.shape[2] != self.input_size or 0 in x.shape:
            raise ValueError(
                f"expected {wanted} with D = {self.input_size} and no axis empty, got "
                f"{tuple(x.shape)}; batch_first is {self.batch_first}"
            )

    def _start(self, x, state, B: int, rows: Tensor) -> list[Tensor]:
        shape = (self.num_layers, B, self.hidden_size)
        if state is None:
            return [rows.new_zeros(shape)] * self.parts
        parts = [state] if isinstance(state, Tensor) else list(state)
        if [part.shape for part in parts] != [shape] * self.parts:
            got = " and ".join(str(tuple(part.shape)) for part in parts)
            wanted = "a pair (h, c) of " * (self.parts == 2) + str(shape)
            raise ValueError(
                f"the state must be {wanted}, layers first whatever batch_first says, got {got}"
            )
        if isinstance(x, PackedSequence) and x.sorted_indices is not None:
            parts = [part.index_select(1, x.sorted_indices) for part in parts]
        return parts


class RNN(_Recurrent):
    """Layers of plain recurrent cells, :func:`rnn_cell` with tanh; as ``torch.nn.RNN``.

    Args:
        input_size: D, features of a step.
        hidden_size: H, units of each layer.
        num_layers: L, each reading the states of the one below.
        batch_first: sequences come as (B, T, D) instead of (T, B, D).
        dropout: chance that an entry is left out between two layers, in training.
        device: where the weights live; None chooses.
        dtype: of the weights; None is torch's default.

    Raises:
        ValueError: for sizes below 1 or a dropout outside of [0, 1).

    Example:
        >>> out, h = RNN(3, 5, device="cpu")(torch.zeros(7, 2, 3))
        >>> out.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))
    """

    gates = 1

    def _step(self, a, state, W, b_hh):
        return [torch.addmm(a, state[0], W).tanh()]


class LSTM(_Recurrent):
    """Layers of LSTM cells, :func:`lstm_cell`; arguments as :class:`RNN`, as ``torch.nn.LSTM``.

    Its state is a pair (h, c).

    Example:
        >>> out, (h, c) = LSTM(3, 5, batch_first=True, device="cpu")(torch.zeros(2, 7, 3))
        >>> out.shape, c.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))
    """

    gates, parts = 4, 2

    def _step(self, a, state, W, b_hh):
        h, c = state
        return list(lstm_gates(torch.addmm(a, h, W), c))


class GRU(_Recurrent):
    """Layers of GRU cells, :func:`gru_cell`; arguments as :class:`RNN`, as ``torch.nn.GRU``.

    Example:
        >>> out, h = GRU(3, 5, device="cpu")(torch.zeros(7, 2, 3))
        >>> torch.equal(out[-1], h[-1])
        True
    """

    gates = 3

    def _step(self, a, state, W, b_hh):
        (h,) = state
        return [gru_gates(a, torch.addmm(b_hh, h, W), h)]


# Gradients through time


def bptt(
    x: Tensor, h: Tensor, W_ih: Tensor, W_hh: Tensor, grad_h: Tensor, window: int | None = None
) -> dict[str, Tensor]:
    """Backpropagation through time, by hand, for one layer of :func:`rnn_cell` with tanh.

    From the last step to the first: ``dL/dh_t = grad_h_t + W_hhᵀ δ_{t+1}`` and
    ``δ_t = (1 - h_t²) ⊙ dL/dh_t``. A weight is used at every step, so its gradient is a sum.

    Args:
        x: inputs, shape (T, B, D).
        h: states ``h_0 ... h_T``, the first one included, shape (T + 1, B, H).
        W_ih: shape (H, D).
        W_hh: shape (H, H).
        grad_h: what the loss of step t says to h_t directly, shape (T, B, H).
        window: truncated: nothing goes back over the steps window, 2 window, ...; None goes back to
            the start.

    Returns:
        Gradients by name: ``x`` (T, B, D), ``h`` of all states (T + 1, B, H), ``W_ih``, ``W_hh``,
        and ``b`` (H,), which is that of either bias.

    Raises:
        ValueError: when the shapes do not fit, or for a window below 1.

    Source: Rumelhart, Hinton & Williams 1986; truncated: Williams & Peng 1990.
    """
    if len(h) != len(x) + 1 or grad_h.shape != h[1:].shape:
        raise ValueError(
            f"for {len(x)} steps, expected {len(x) + 1} states (h_0 is one) and {len(x)} gradients,"
            f" got {tuple(h.shape)} and {tuple(grad_h.shape)}"
        )
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    d_h, delta = torch.zeros_like(h), torch.zeros_like(grad_h)
    for t in reversed(range(len(x))):  # h[t + 1] is the state after step t
        d_h[t + 1] += grad_h[t]
        delta[t] = (1 - h[t + 1] ** 2) * d_h[t + 1]
        if not (window and t and t % window == 0):
            d_h[t] = delta[t] @ W_hh
    return {
        "x": delta @ W_ih,
        "h": d_h,
        "W_ih": torch.einsum("tbh,tbd->hd", delta, x),
        "W_hh": torch.einsum("tbh,tbk->hk", delta, h[:-1]),
        "b": delta.sum((0, 1)),
    }


def gradient_by_step(layer: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """How much the loss depends on the state that each step hands to the next.

    Args:
        layer: ours or torch's RNN, GRU or LSTM, one or more layers.
        x: a batch of sequences, as the layer reads them.
        loss: takes the layer's outputs, shape (T, B, H) or (B, T, H), and returns a number.

    Returns:
        Norm of ``dL/dh_t`` over all units and sequences, shape (1, T); for an LSTM (2, T), the
        second row ``dL/dc_t``, with h_t and c_t varied one without the other.

    Example:
        >>> layer = nn.RNN(1, 1, bias=False)
        >>> for W in layer.parameters():
        ...     _ = nn.init.constant_(W, 0.5)
        >>> gradient_by_step(layer, torch.zeros(4, 1, 1), lambda out: out[-1].sum())
        tensor([[0.1250, 0.2500, 0.5000, 1.0000]])
    """
    time = 1 if layer.batch_first else 0
    states, state = [], None
    for x_t in x.split(1, time):
        _, state = layer(x_t, state)
        states.append(state if isinstance(state, tuple) else (state,))
    out = torch.stack([parts[0][-1] for parts in states], time)
    flat = [part for parts in states for part in parts]
    grads = torch.autograd.grad(loss(out), flat, materialize_grads=True)
    return torch.stack([g.norm() for g in grads]).view(len(states), -1).T


# Characters


def alphabet(text: str) -> str:
    """The symbols of a text, each once, in the order of their numbers in Unicode.

    Example:
        >>> alphabet("banana")
        'abn'
    """
    return "".join(sorted(set(text)))


def encode(text: str, symbols: str) -> Tensor:
    """The number of each character: its place among the symbols.

    Args:
        text: N characters.
        symbols: K different ones, from :func:`alphabet`.

    Returns:
        int64, shape (N,).

    Raises:
        ValueError: for characters that are not among the symbols.

    Example:
        >>> encode("banana", "abn").tolist()
        [1, 0, 2, 0, 2, 0]
    """
    unknown = sorted(set(text) - set(symbols))
    if unknown:
        raise ValueError(f"{unknown} are not among the {len(symbols)} symbols; leave them out")
    number = {symbol: k for k, symbol in enumerate(symbols)}
    return torch.tensor([number[c] for c in text], dtype=torch.int64)


def decode(tokens: Tensor | Sequence[int], symbols: str) -> str:
    """The text again.

    Example:
        >>> decode([1, 0, 2], "abn")
        'ban'
    """
    return "".join(symbols[int(k)] for k in tokens)


def streams(tokens: Tensor, B: int, T: int) -> list[tuple[Tensor, Tensor]]:
    """Cut a text into B parts, read side by side in windows of T steps.

    Row b of a window goes on where row b of the window before it ended, so that a state can be
    carried over. What fills no whole window is left out.

    Args:
        tokens: a text, shape (N,).
        B: rows of a window.
        T: steps of a window.

    Returns:
        Pairs (inputs, targets), each (B, T); a target is the symbol after its input.

    Raises:
        ValueError: when the text is too short for one window.

    Example:
        >>> (x, y), _ = streams(torch.arange(9), B=2, T=2)
        >>> x.tolist(), y.tolist()
        ([[0, 1], [4, 5]], [[1, 2], [5, 6]])
    """
    steps = (len(tokens) - 1) // B
    if steps < T:
        raise ValueError(
            f"{B} rows of {T} steps take {B * T + 1} symbols, got {len(tokens)}; try T={steps}"
        )
    x, y = (part[: B * steps].view(B, steps) for part in (tokens[:-1], tokens[1:]))
    return [(x[:, t : t + T], y[:, t : t + T]) for t in range(0, steps - T + 1, T)]


@torch.no_grad()
def log_likelihoods(model: nn.Module, tokens: Tensor, window: int = 512) -> Tensor:
    """``ln p(symbol | all symbols before it)`` of each symbol but the first, by a CharModel.

    Args:
        model: gives logits and state, as :class:`CharModel`; it is put into eval mode.
        tokens: a text, shape (N,).
        window: symbols read at once; the state is carried over, so it changes no value.

    Returns:
        Shape (N - 1,).
    """
    model.eval()
    found, state = [], None
    for x, y in zip(tokens[:-1].split(window), tokens[1:].split(window), strict=True):
        logits, state = model(x[None], state)  # (1, T, K)
        found.append(logits[0].log_softmax(-1).gather(1, y[:, None])[:, 0])
    return torch.cat(found)


def perplexity(log_p: Tensor) -> Tensor:
    """``exp(-mean ln p)``: a die with that many sides would be as hard to foretell.

    Args:
        log_p: natural logarithms of the probabilities given to what came, any shape.

    Example:
        >>> perplexity(torch.tensor([0.5, 0.125]).log())
        tensor(4.)
    """
    return (-log_p.mean()).exp()


def bits(log_p: Tensor) -> Tensor:
    """Bits per symbol, ``-mean log2 p``, the base-2 logarithm of :func:`perplexity`.

    Example:
        >>> bits(torch.tensor([0.5, 0.125]).log())
        tensor(2.)
    """
    return -log_p.mean() / math.log(2)


class Ngram:
    """Foretell a symbol from the n - 1 before it, by counting.

    Each order is smoothed by the one below, ``p_n(k) = (count_n(k) + a p_{n-1}(k)) / (total + a)``,
    with ``p_0 = 1/K``. Where a context was seldom seen, the shorter one decides.

    Args:
        tokens: the text to count in, shape (N,).
        symbols: K, how many different ones there are.
        n: order, >= 1; 1 looks at nothing before.
        strength: a, > 0: how many sightings the shorter context is worth.

    Raises:
        ValueError: for an order below 1 or a strength not above 0.

    Example:
        >>> Ngram(torch.tensor([0, 1, 0]), symbols=2, n=1, strength=1.0).probs([])
        tensor([0.6250, 0.3750], dtype=torch.float64)

    Source: MacKay & Peto 1995, with one strength for all orders.
    """

    def __init__(self, tokens: Tensor, symbols: int, n: int, strength: float = 1.0) -> None:
        if n < 1 or not strength > 0:
            raise ValueError(f"expected n >= 1 and strength > 0, got {n} and {strength}")
        self.symbols, self.n, self.strength = symbols, n, strength
        self.counts: dict[tuple, Counter] = defaultdict(Counter)  # by context, of any length < n
        seen = tokens.tolist()
        for t, k in enumerate(seen):
            for m in range(min(n, t + 1)):
                self.counts[tuple(seen[t - m : t])][k] += 1

    def probs(self, context: Sequence[int]) -> Tensor:
        """Probabilities of the next symbol, shape (K,), after any number of symbols."""
        p = torch.full((self.symbols,), 1 / self.symbols, dtype=torch.float64)
        for m in range(min(self.n, len(context) + 1)):
            count = torch.zeros_like(p)
            for k, times in self._after(context, m).items():
                count[k] = times
            p = (count + self.strength * p) / (count.sum() + self.strength)
        return p

    def log_likelihoods(self, tokens: Tensor) -> Tensor:
        """``ln p`` of each symbol but the first, given those before it, shape (N - 1,)."""
        seen, found = tokens.tolist(), []
        for t in range(1, len(seen)):
            p, context = 1 / self.symbols, seen[max(0, t - self.n + 1) : t]
            for m in range(len(context) + 1):
                count = self._after(context, m)
                p = (count[seen[t]] + self.strength * p) / (count.total() + self.strength)
            found.append(math.log(p))
        return torch.tensor(found, dtype=torch.float64)

    def _after(self, context: Sequence[int], m: int) -> Counter:
        """What was counted behind the last m symbols."""
        return self.counts.get(tuple(context[len(context) - m :]), Counter())


def next_symbol(
    logits: Tensor, temperature: float = 1.0, generator: Generator | None = None
) -> int:
    """Draw from ``softmax(logits / temperature)``; at 0 take the largest.

    Args:
        logits: shape (K,).
        temperature: >= 0. Below 1 the likely becomes likelier; above, all become more alike.
        generator: on the CPU; None takes torch's own.

    Returns:
        A number from 0 to K - 1.

    Raises:
        ValueError: for a temperature below 0.

    Example:
        >>> next_symbol(torch.tensor([0.0, 2.0, 1.0]), temperature=0)
        1
    """
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got {temperature}")
    if temperature == 0:
        return int(logits.argmax())
    p = ((logits - logits.max()) / temperature).softmax(-1)  # the largest 0: no overflow at T -> 0
    return int(torch.multinomial(p.cpu(), 1, generator=generator))


@torch.no_grad()
def sample(
    model: nn.Module,
    prompt: Tensor,
    n: int,
    temperature: float = 1.0,
    generator: Generator | None = None,
) -> Tensor:
    """Let the model write: draw a symbol, hand it in as the next input, n times.

    Args:
        model: gives logits and state, as :class:`CharModel`; it is put into eval mode.
        prompt: what stands before, at least one symbol, shape (P,).
        n: symbols to write.
        temperature: see :func:`next_symbol`.
        generator: on the CPU; None takes torch's own.

    Returns:
        The n new symbols, shape (n,).

    Raises:
        ValueError: for an empty prompt, or a temperature below 0.
    """
    if prompt.ndim != 1 or len(prompt) == 0:
        raise ValueError(f"expected a prompt (P,) with P >= 1, got {tuple(prompt.shape)}")
    model.eval()
    written, state, x = [], None, prompt[None]  # (1, P)
    for _ in range(n):
        logits, state = model(x, state)
        written.append(next_symbol(logits[0, -1], temperature, generator))
        x = prompt.new_tensor([written[-1:]])  # (1, 1)
    return prompt.new_tensor(written)


# A model of characters


class CharModel(nn.Module):
    """Predict the next symbol from all symbols before it: a table, a recurrent net, one layer.

    Args:
        symbols: K, how many different ones there are.
        hidden: H, units of each layer; also the length of a symbol's row in the table.
        layers: recurrent layers on top of each other.
        recurrent: a class, called as ``recurrent(H, H, layers, dropout=p, batch_first=True)``: such
            as ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``.
        dropout: chance that an output of a layer is left out on its way to the next, in training.
        device: where the parameters live; None chooses.

    Example:
        >>> model = CharModel(symbols=5, hidden=8, device="cpu")
        >>> logits, state = model(torch.tensor([[0, 3, 1]]))
        >>> logits.shape
        torch.Size([1, 3, 5])

    Source: Karpathy, Johnson & Li 2016, section 3.
    """

    def __init__(
        self,
        symbols: int,
        hidden: int,
        layers: int = 1,
        recurrent=nn.LSTM,
        dropout=0.0,
        device=None,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # torch warns of dropout behind the last layer
        self.table = nn.Embedding(symbols, hidden)
        self.recurrent = recurrent(hidden, hidden, layers, dropout=between, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, symbols)
        self.to(pick_device(device))

    def forward(self, tokens: Tensor, state=None) -> tuple[Tensor, object]:
        """Read symbols, tell the next of each.

        Args:
            tokens: numbers of symbols, int64, shape (B, T).
            state: what the recurrent net gave back last time, None at the start of a text.

        Returns:
            Logits (B, T, K), and the state after the last symbol.
        """
        h, state = self.recurrent(self.table(tokens), state)  # (B, T, H)
        return self.head(self.dropout(h)), state  # (B, T, K)
