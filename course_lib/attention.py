"""Attention, and translation with and without it: words in, words out, greedy and by beams.

Chapter: book/13_attention. Sources: Bahdanau, Cho & Bengio 2015 (attention); Luong, Pham & Manning
2015 (its place after the recurrent net); Vaswani et al. 2017 (scaled dot product, heads). Letters:
B batch, S places of the source, T places of the target, D width, H hidden units, K symbols.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device import pick_device
from .optimization import one_cycle
from .plotting import INK, PALETTE
from .progress import bar
from .training import batches

# ---- attention


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``softmax(q kᵀ / √D) v``: each query's average of the values, weighted by the keys.

    Args:
        q: queries, shape (..., T, D).
        k: keys, shape (..., S, D).
        v: values, shape (..., S, E).
        mask: bool, True where a query may look, broadcast to (..., T, S). A query that may look
            nowhere gets zeros.

    Returns:
        The averages (..., T, E) and the weights (..., T, S); the weights of a query add
        up to 1, or are all 0 where it may look nowhere.

    Raises:
        ValueError: when the widths of queries and keys, or the numbers of keys and values, differ,
            or the mask is not bool.

    Example:
        >>> q, k = torch.tensor([[2.0, 0.0]]), torch.tensor([[9.0, 0.0], [0.0, 9.0]])
        >>> attend(q, k, v=torch.tensor([[1.0], [5.0]]))[0]  # the first key fits, the second not
        tensor([[1.0000]])

    Source: Vaswani et al. 2017, equation 1.
    """
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            "queries (..., T, D), keys (..., S, D) and values (..., S, E) expected, got "
            f"{tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}"
        )
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, S)
    if mask is None:
        weights = scores.softmax(-1)
        return weights @ v, weights
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, True where a query may look, got {mask.dtype}")
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    weights = weights.masked_fill(~mask, 0.0)  # a query that may look nowhere: nan -> 0
    return weights @ v, weights


def attend_backward(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a loss by q, k and v, from its gradient by what :func:`attend` returned.

    With the weights A and their gradient ``dA = grad vᵀ``: ``dv = Aᵀ grad``, through the softmax
    ``dS = A ⊙ (dA - Σ_s A ⊙ dA)``, ``dq = dS k / √D``, ``dk = dSᵀ q / √D``.

    Args:
        q: as given to :func:`attend`, but no axis broadcast against another: (..., T, D).
        k: shape (..., S, D).
        v: shape (..., S, E).
        grad: the loss by the averages, shape (..., T, E).
        mask: as given to :func:`attend`.

    Returns:
        The gradients by q, k and v.
    """
    _, A = attend(q, k, v, mask)
    d_A = grad @ v.transpose(-2, -1)  # (..., T, S)
    d_scores = A * (d_A - (A * d_A).sum(-1, keepdim=True)) / math.sqrt(q.shape[-1])
    return d_scores @ k, d_scores.transpose(-2, -1) @ q, A.transpose(-2, -1) @ grad


def padding_mask(lengths: Tensor, S: int) -> Tensor:
    """Where the symbols of padded rows are.

    Args:
        lengths: symbols of each row, shape (B,).
        S: places of each row.

    Returns:
        bool, shape (B, S): True at the first ``lengths[b]`` places. Give it to :func:`attend` as
        ``mask[:, None]``, the same for every query.

    Example:
        >>> padding_mask(torch.tensor([1, 3]), 3).int()
        tensor([[1, 0, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    return torch.arange(S, device=lengths.device) < lengths[:, None]


def causal_mask(T: int, S: int | None = None, device=None) -> Tensor:
    """Who may look where when nobody may look ahead: True where the key is not after the query.

    Args:
        T: queries.
        S: keys; the last query stands at the last key. None takes T.
        device: where the mask lives; None chooses.

    Returns:
        bool, shape (T, S).

    Example:
        >>> causal_mask(2, 3, device="cpu").int()
        tensor([[1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    S = T if S is None else S
    ones = torch.ones(T, S, dtype=torch.bool, device=pick_device(device))
    return ones.tril(S - T)


class AdditiveAttention(nn.Module):
    """Attention with the score ``wᵀ tanh(W_q q + b + W_k k)``: a small network compares.

    Args:
        query_width: of q.
        key_width: of k.
        hidden: units of the small network.
        device: where the parameters live; None chooses.

    Source: Bahdanau, Cho & Bengio 2015, section A.1.2.
    """

    def __init__(self, query_width: int, key_width: int, hidden: int, device=None) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, hidden)
        self.key = nn.Linear(key_width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.to(pick_device(device))

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compare each query with each key, and average the values.

        Args:
            q: shape (..., T, query_width).
            k: shape (..., S, key_width).
            v: shape (..., S, E).
            mask: as for :func:`attend`.

        Returns:
            The averages (..., T, E) and the weights (..., T, S).
        """
        both = self.query(q)[..., :, None, :] + self.key(k)[..., None, :, :]  # (..., T, S, hidden)
        scores = self.score(both.tanh())[..., 0]  # (..., T, S)
        if mask is None:
            weights = scores.softmax(-1)
        else:
            weights = scores.masked_fill(~mask, -math.inf).softmax(-1).masked_fill(~mask, 0.0)
        return weights @ v, weights


# ---- several heads


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Cut the width into heads: (B, T, E) -> (B, heads, T, E / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def merge_heads(x: Tensor) -> Tensor:
    """Put the heads side by side again: (B, heads, T, d) -> (B, T, heads * d)."""
    return x.transpose(-3, -2).flatten(-2)


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in a projection of its own; then one linear layer.

    Names, shapes and first values of the parameters are those of ``nn.MultiheadAttention(E, heads,
    batch_first=True)``: a ``state_dict`` fits both. A mask does not; there True means: do not look.

    Args:
        width: E, of queries, keys, values and of the output; a multiple of ``heads``.
        heads: each E / heads wide.
        bias: add one to each projection.
        device: where the parameters live; None chooses.

    Raises:
        ValueError: when the width is not a multiple of the heads.

    Example:
        >>> layer = MultiHeadAttention(8, heads=2, device="cpu")
        >>> mixed, weights = layer(*3 * [torch.zeros(4, 5, 8)])
        >>> mixed.shape, weights.shape
        (torch.Size([4, 5, 8]), torch.Size([4, 2, 5, 5]))

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, width: int, heads: int, bias: bool = True, device=None) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))  # of q, k, v
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width)) if bias else None
        self.out_proj = nn.Linear(width, width, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)
        self.to(pick_device(device))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Each query looks, once per head, at the keys.

        Args:
            query: shape (B, T, E).
            key: shape (B, S, E); the query itself for self-attention.
            value: shape (B, S, E).
            mask: bool, True where a query may look: (T, S), (B, T, S) or (B, heads, T, S); an axis
                may be 1.

        Returns:
            What was mixed (B, T, E), and the weights (B, heads, T, S).
        """
        W = self.in_proj_weight.chunk(3)  # (E, E) each
        b = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (
            split_heads(F.linear(x, *Wb), self.heads)  # (B, heads, T or S, E / heads)
            for x, *Wb in zip((query, key, value), W, b, strict=True)
        )
        if mask is not None and mask.ndim == 3:
            mask = mask[:, None]  # the same for every head
        mixed, weights = attend(q, k, v, mask)
        return self.out_proj(merge_heads(mixed)), weights


def draw_weights(ax, weights: Tensor, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Draw where each row looks: the more ink, the larger the weight, in steps of a tenth.

    Args:
        ax: matplotlib axes.
        weights: from 0 to 1, shape (T, S).
        columns: the S names of what is looked at.
        rows: the T names of those who look.
    """
    from matplotlib.patches import Rectangle

    T, S = weights.shape
    for t, s in (10 * weights).round().nonzero().tolist():
        ink = round(10 * weights[t, s].item()) / 10
        ax.add_patch(Rectangle((s, t), 1, 1, fc=PALETTE[0], ec="none", alpha=ink))
    ax.add_patch(Rectangle((0, 0), S, T, fill=False, ec=INK, lw=0.8))
    ax.set(xlim=(-0.05, S + 0.05), ylim=(T + 0.05, -0.05), aspect="equal")
    ax.set_xticks([s + 0.5 for s in range(S)], columns)
    ax.set_yticks([t + 0.5 for t in range(T)], rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


# ---- words as numbers

PAD, START, END, UNKNOWN = 0, 1, 2, 3
SPECIALS = ("<pad>", "<start>", "<end>", "<unknown>")


class Vocabulary:
    """The symbols of some texts, numbered: four special ones, then the rest in order.

    Args:
        texts: where the symbols come from.
        split: cuts a text into symbols: ``list`` by character, ``str.split`` by word.
        at_least: leave out symbols that occur less often than this; they become ``<unknown>``.

    Attributes:
        tokens: the symbols, in the order of their numbers.

    Example:
        >>> words = Vocabulary(["a rose is a rose"], split=str.split)
        >>> words.encode("a rose is red")
        [4, 6, 5, 3]
        >>> words.decode([4, 6, 2, 5])  # 2 is the end
        ['a', 'rose']
    """

    def __init__(
        self, texts: Iterable[str], split: Callable[[str], list[str]] = list, at_least: int = 1
    ) -> None:
        counts = Counter(token for text in texts for token in split(text))
        self.split = split
        self.tokens = [*SPECIALS, *sorted(t for t, n in counts.items() if n >= at_least)]
        self._numbers = {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's symbols, without start and end."""
        return [self._numbers.get(token, UNKNOWN) for token in self.split(text)]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The symbols up to the end, without the special ones but ``<unknown>``."""
        found = []
        for i in map(int, numbers):
            if i == END:
                break
            if i not in (PAD, START):
                found.append(self.tokens[i])
        return found


def frame(numbers: Sequence[int]) -> list[int]:
    """A text between START and END, as a decoder reads and writes it."""
    return [START, *numbers, END]


def pad(rows: Sequence[Sequence[int]], device=None) -> Tensor:
    """Rows of different lengths as one tensor, filled up with PAD.

    Args:
        rows: numbers, at least one row.
        device: where the tensor lives; None chooses.

    Returns:
        int64, shape (B, length of the longest).

    Example:
        >>> pad([[4, 5], [6]], device="cpu").tolist()
        [[4, 5], [6, 0]]
    """
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(pick_device(device))


# ---- a reader and a writer


class Memory(NamedTuple):
    """What the reader has made of its sources."""

    keys: Tensor  # (B, S, H)
    values: Tensor  # (B, S, 2H)
    mask: Tensor  # (B, S), True where there is a symbol
    summary: Tensor  # (B, 2H), the last state of both directions


class Seq2Seq(nn.Module):
    """One GRU reads the source in both directions, another writes the target.

    With attention each step of the writer looks back at all places of the source; without, it gets
    the reader's last state, the same at every step.

    Args:
        source_symbols: how many there are, the special ones with them.
        target_symbols: K.
        hidden: H, units of the writer and of each direction of the reader.
        attention: look back.
        dropout: chance that a number is left out, behind the tables and in front of the head.
        device: where the parameters live; None chooses.

    Example:
        >>> model = Seq2Seq(source_symbols=9, target_symbols=7, hidden=8, device="cpu")
        >>> model(torch.tensor([[4, 5, 6]]), torch.tensor([[START, 4]])).shape
        torch.Size([1, 2, 7])

    Source: Cho et al. 2014 without attention; Luong, Pham & Manning 2015 with it, but without their
    input feeding.
    """

    def __init__(
        self,
        source_symbols: int,
        target_symbols: int,
        hidden: int = 128,
        attention: bool = True,
        dropout: float = 0.0,
        device=None,
    ) -> None:
        super().__init__()
        H = hidden
        self.source_table = nn.Embedding(source_symbols, H, padding_idx=PAD)
        self.target_table = nn.Embedding(target_symbols, H, padding_idx=PAD)
        self.reader = nn.GRU(H, H, batch_first=True, bidirectional=True)
        self.keys = nn.Linear(2 * H, H, bias=False) if attention else None
        self.first = nn.Linear(2 * H, H)
        self.writer = nn.GRU(H, H, batch_first=True)
        self.mix = nn.Linear(3 * H, H)
        self.head = nn.Linear(H, target_symbols)
        self.dropout = nn.Dropout(dropout)
        self.to(pick_device(device))

    def read(self, source: Tensor) -> Memory:
        """Read the sources, in both directions.

        Args:
            source: int64, shape (B, S), padded behind; each at least one symbol long.

        Returns:
            A :class:`Memory` of B rows.
        """
        mask = source != PAD
        x = self.dropout(self.source_table(source))  # (B, S, H)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        values, last = self.reader(packed)
        values, _ = nn.utils.rnn.pad_packed_sequence(
            values, batch_first=True, total_length=source.shape[1]
        )
        keys = self.keys(values) if self.keys else values
        return Memory(keys, values, mask, torch.cat([*last], 1))

    def start(self, memory: Memory) -> Tensor:
        """The writer's first state, (B, H)."""
        return self.first(memory.summary).tanh()

    def write(
        self, target: Tensor, state: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Go on writing: read the symbols written so far, tell the next of each.

        Args:
            target: int64, shape (B, T).
            state: of the writer, (B, H).
            memory: of the same B sources.

        Returns:
            Logits (B, T, K), the state after the last symbol (B, H), and the weights (B, T, S) with
            which each step looked at the source, or None without attention.
        """
        x = self.dropout(self.target_table(target))
        h, state = self.writer(x, state[None].contiguous())  # (B, T, H), (1, B, H)
        if self.keys:
            seen, weights = attend(h, memory.keys, memory.values, memory.mask[:, None])
        else:
            seen, weights = memory.summary[:, None].expand(-1, h.shape[1], -1), None  # (B, T, 2H)
        mixed = self.mix(torch.cat([h, seen], 2)).tanh()  # (B, T, H)
        return self.head(self.dropout(mixed)), state[0], weights

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Tell the symbol after each of the target's, given the symbols before it.

        Args:
            source: int64, shape (B, S), padded.
            target: int64, shape (B, T), from START on.

        Returns:
            Logits (B, T, K).
        """
        memory = self.read(source)
        return self.write(target, self.start(memory), memory)[0]


def teach(
    model: nn.Module,
    source: Tensor,
    target: Tensor,
    *,
    epochs: int,
    batch: int = 64,
    lr: float = 2e-3,
    clip: float = 1.0,
    seed: int = 0,
    watch: Callable[[int], object] | None = None,
    progress: bool | None = None,
) -> list[float]:
    """Teach a model to write the target by the symbols before each place (teacher forcing).

    AdamW, one cycle of the step size, batches cut to their longest row. Dropout draws from torch's
    global generator, which is yours to seed.

    Args:
        model: called as ``model(source, target)``, gives logits; changed in place.
        source: int64, shape (N, S), padded.
        target: int64, shape (N, T), from START to END, padded.
        epochs: passes over the pairs.
        batch: pairs a step.
        lr: the greatest step size, > 0.
        clip: the greatest norm of the gradient.
        seed: of the order of the pairs.
        watch: called after each epoch with the number of epochs made.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The mean over the batches of each epoch's losses, in nats a symbol.

    Raises:
        ValueError: when there are not as many sources as targets.
    """
    if len(source) != len(target):
        raise ValueError(f"{len(source)} sources and {len(target)} targets; they come in pairs")
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    total = epochs * -(-len(source) // batch)
    losses, step = [], 0
    with bar(progress, total=total, desc="pairs") as shown:
        for epoch in range(epochs):
            model.train()
            costs = []
            for rows in batches(len(source), batch, seed, epoch, source.device):
                x, y = trim(source[rows]), trim(target[rows])
                optimizer.param_groups[0]["lr"] = lr * one_cycle(step / total)
                cost = F.cross_entropy(
                    model(x, y[:, :-1]).flatten(0, 1), y[:, 1:].flatten(), ignore_index=PAD
                )
                optimizer.zero_grad()
                cost.backward()
                nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                costs.append(cost.detach())
                step += 1
                shown.update()
            losses.append(torch.stack(costs).mean().item())
            if watch:
                watch(epoch + 1)
    return losses


def trim(rows: Tensor) -> Tensor:
    """Leave out the columns behind the longest row: (B, S) -> (B, longest)."""
    return rows[:, : int((rows != PAD).sum(1).max())]


# ---- writing it down


@torch.no_grad()
def translate(model: Seq2Seq, source: Tensor, steps: int) -> tuple[Tensor, Tensor | None]:
    """Write the likeliest symbol, hand it in as the next input, until END (greedy).

    Args:
        model: it is put into eval mode.
        source: int64, shape (B, S), padded.
        steps: symbols at the most.

    Returns:
        What was written, (B, T) with T at most ``steps``, PAD behind END; and where each step
        looked, (B, T, S), or None without attention.
    """
    model.eval()
    memory = model.read(source)
    state, token = model.start(memory), torch.full_like(source[:, :1], START)  # (B, H), (B, 1)
    done = torch.zeros_like(token, dtype=torch.bool)
    written, looked = [], []
    for _ in range(steps):
        logits, state, weights = model.write(token, state, memory)
        token = logits.argmax(-1).masked_fill(done, PAD)  # (B, 1)
        written.append(token)
        looked.append(weights)
        done = done | (token == END)
        if done.all():
            break
    looks = None if weights is None else torch.cat(looked, 1)
    return torch.cat(written, 1), looks


def beam_search(
    step: Callable, state, beams: int = 5, steps: int = 50, alpha: float = 0.0
) -> list[tuple[list[int], float]]:
    """Carry the ``beams`` likeliest beginnings along, symbol by symbol.

    A text is done when it wrote END and is among the ``beams`` likeliest of its step. The search
    stops when ``beams`` texts are done, or after ``steps`` symbols; then what is left undone counts
    too. One beam is greedy search.

    Args:
        step: ``step(tokens, state)`` reads the last symbols (n,) and a state of n rows, and gives
            log-probabilities (n, K) and the next state.
        state: a tensor or a tuple of tensors, each of 1 row.
        beams: beginnings that are kept.
        steps: symbols at the most, END with them.
        alpha: a score is the log-probability over ``length ** alpha``: 0 favours short texts.

    Returns:
        Pairs (symbols without START and END, score), the best first, at most ``beams``.

    Raises:
        ValueError: for fewer than one beam or step.

    Source: Graves 2012, algorithm 1; the length as Wu et al. 2016, section 7, without its 5.
    """
    if min(beams, steps) < 1:
        raise ValueError(f"beams and steps are at least 1, got {beams} and {steps}")
    first = state if isinstance(state, Tensor) else state[0]
    texts, totals = [[START]], torch.zeros(1, device=first.device)
    done: list[tuple[list[int], float]] = []
    for length in range(1, steps + 1):
        last = torch.tensor([text[-1] for text in texts], device=first.device)  # (n,)
        log_p, state = step(last, state)  # (n, K)
        sums = totals[:, None] + log_p  # of each beginning with each next symbol
        K = sums.shape[1]
        best, places = sums.flatten().topk(min(2 * beams, sums.numel()))
        going = []  # 2 * beams hold enough that go on: at most one END a beginning
        for rank, (total, place) in enumerate(zip(best.tolist(), places.tolist(), strict=True)):
            row, token = divmod(place, K)
            if total == -math.inf:
                break
            if token == END:
                if rank < beams:  # an END further down would stop one beam where greedy goes on
                    done.append((texts[row][1:], total / length**alpha))
            elif len(going) < beams:
                going.append((row, token, total))
        if len(done) >= beams or not going:
            break
        rows = torch.tensor([row for row, _, _ in going], device=first.device)
        state = state[rows] if isinstance(state, Tensor) else tuple(s[rows] for s in state)
        texts = [[*texts[row], token] for row, token, _ in going]
        totals = sums.new_tensor([total for _, _, total in going])
    else:
        undone = zip(texts, totals.tolist(), strict=True)
        done += [(text[1:], total / steps**alpha) for text, total in undone]
    return sorted(done, key=lambda pair: -pair[1])[:beams]


@torch.no_grad()
def translate_beam(
    model: Seq2Seq, source: Tensor, beams: int = 5, steps: int = 50, alpha: float = 0.0
) -> list[tuple[list[int], float]]:
    """Write the translation of one source by :func:`beam_search`.

    Args:
        model: it is put into eval mode.
        source: int64, shape (S,), not padded.
        beams: see :func:`beam_search`.
        steps: see there.
        alpha: see there.

    Returns:
        Pairs (symbols, score), the best first.
    """
    model.eval()
    memory = model.read(source[None])

    def step(tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        many = Memory(*(part.expand(len(tokens), *part.shape[1:]) for part in memory))
        logits, state, _ = model.write(tokens[:, None], state, many)
        return logits[:, 0].log_softmax(-1), state

    return beam_search(step, model.start(memory), beams, steps, alpha)
