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
    """What an LSTM does with its four sums z = (i, f, g, o), shape (B, 4H), and c, shape (B, H)."""
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
    """What a GRU does with the sums a of the input and b of the state, (B, 3H), and h, (B, H)."""
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
