"""Transformers: positions, blocks, a GPT that learns, writes and caches, and one that sees.

Chapter: book/14_transformer.
Sources: Vaswani et al. 2017 (the architecture); Radford et al. 2019 (GPT-2); Su et al. 2024 (rotary
positions); Dosovitskiy et al. 2021 (ViT). Letters: B batch, T time, S places of a memory, D width,
h heads, d = D / h width of a head, K symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .attention import attend, causal_mask
from .device import pick_device
from .optimization import one_cycle
from .progress import bar

# ---- positions


def sinusoidal(T: int, D: int, base: float = 10_000.0) -> Tensor:
    """``p[t, 2i] = sin(t / base^(2i/D))``, ``p[t, 2i+1] = cos(...)``: a place as D/2 clock hands.

    Args:
        T: places, from 0 on.
        D: width, even.
        base: the slowest hand turns once in about ``2π base`` places.

    Returns:
        Shape (T, D), on the CPU.

    Raises:
        ValueError: for an odd width.

    Example:
        >>> sinusoidal(2, 2)
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]])

    Source: Vaswani et al. 2017, section 3.5.
    """
    angle = _angles(T, D, base)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)  # (T, D/2, 2) -> (T, D)


def rotate(x: Tensor, start: int = 0, base: float = 10_000.0) -> Tensor:
    """Turn each pair of numbers of a query or key by an angle that grows with its place (rotary).

    Afterwards a dot product of two places depends on how far apart they are, not on where they are.

    Args:
        x: shape (..., T, d), d even; the pairs are (0, d/2), (1, d/2 + 1), ...
        start: the place of the first.
        base: as in :func:`sinusoidal`.

    Returns:
        The same shape.

    Raises:
        ValueError: for an odd width.

    Source: Su et al. 2024, equation 34, the pairs as GPT-NeoX lays them.
    """
    T, d = x.shape[-2:]
    exact = torch.promote_types(x.dtype, torch.float32)  # bfloat16 is too coarse for an angle
    angle = _angles(start + T, d, base)[start:].to(x.device, exact)  # (T, d/2)
    cos, sin = angle.cos().to(x), angle.sin().to(x)
    a, b = x.chunk(2, -1)  # (..., T, d/2) each
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def _angles(T: int, D: int, base: float) -> Tensor:
    if D % 2:
        raise ValueError(f"the width must be even, a pair for each angle, got {D}")
    speed = base ** -(torch.arange(0, D, 2) / D)  # (D/2,), radians a place
    return torch.arange(T)[:, None] * speed  # (T, D/2)


# ---- the block


class SelfAttention(nn.Module):
    """Every place asks all places (or those before it) by several heads.

    Args:
        width: D.
        heads: h; D is a multiple of it.
        causal: a place sees itself and those before it.
        rotary: turn queries and keys by their places.
        qk_norm: scale queries and keys to unit mean square before they meet.
        dropout: chance that a number of the output is left out.

    Raises:
        ValueError: for a width that is no multiple of the heads.

    Source: Vaswani et al. 2017, section 3.2.2; the norm after Henry et al. 2020.
    """

    def __init__(
        self, width: int, heads: int, *, causal: bool, rotary=False, qk_norm=False, dropout=0.0
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"width must be a multiple of heads, got {width} and {heads}; try "
                f"width={width // heads * heads or heads}"
            )
        self.heads, self.causal = heads, causal
        self.rotary, self.qk_norm = rotary, qk_norm
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: list | None = None, extra: Tensor | None = None) -> Tensor:
        """Mix places.

        Args:
            x: shape (B, T, D).
            cache: keys and values of the places before; an empty list at the start. It is changed
                in place, so that the next call goes on behind these places.
            extra: added to the values, (B, T, D).

        Returns:
            Shape (B, T, D).
        """
        q, k, v = self.qkv(x).chunk(3, -1)  # (B, T, D) each
        v = v if extra is None else v + extra
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        if self.qk_norm:
            q, k = (F.rms_norm(part, part.shape[-1:]) for part in (q, k))  # (B, h, T, d)
        past = cache[0].shape[2] if cache else 0
        if self.rotary:
            q, k = rotate(q, past), rotate(k, past)
        if cache:
            k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)  # (B, h, past + T, d)
        if cache is not None:
            cache[:] = k, v
        T, S = q.shape[2], k.shape[2]
        mask = causal_mask(T, S, x.device) if self.causal and past and T > 1 else None
        y = _mix(q, k, v, mask, self.causal and not past)  # (B, h, T, d)
        return self.dropout(self.out(y.transpose(1, 2).flatten(2)))  # (B, T, D)


def _mix(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    if not (v.is_cpu and torch.is_autocast_enabled("cpu")):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    with torch.autocast("cpu", enabled=False):  # its gradient is slow in bfloat16 on the CPU
        q, k, v = q.float(), k.float(), v.float()
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


class Block(nn.Module):
    """Attention between places, then a network at each place; each adds to what is there.

    Args:
        width: D.
        heads: of the attention.
        causal: see :class:`SelfAttention`.
        place: ``"pre"``: ``x + f(norm(x))``, ``"post"``: ``norm(x + f(x))``.
        norm: ``"layer"`` or ``"rms"``, the latter without weights.
        activation: ``"gelu"``, or ``"relu2"``, the square of ReLU.
        dropout: chance that a number of an update is left out.
        rotary: see :class:`SelfAttention`.
        qk_norm: see there.

    Raises:
        ValueError: for a name that is none of these.

    Source: Vaswani et al. 2017 (post); Xiong et al. 2020 (pre); So et al. 2021 (ReLU squared).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool,
        place: str = "pre",
        norm: str = "layer",
        activation: str = "gelu",
        dropout: float = 0.0,
        rotary: bool = False,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        _check_name("place", place, ("pre", "post"))
        self.place = place
        self.attention = SelfAttention(
            width, heads, causal=causal, rotary=rotary, qk_norm=qk_norm, dropout=dropout
        )
        self.mlp = MLP(width, activation, dropout)
        self.norm_1, self.norm_2 = make_norm(norm, width), make_norm(norm, width)

    def forward(self, x: Tensor, cache: list | None = None, extra: Tensor | None = None) -> Tensor:
        """(B, T, D) to (B, T, D); cache and extra as :class:`SelfAttention` takes them."""
        if self.place == "pre":
            x = x + self.attention(self.norm_1(x), cache, extra)
            return x + self.mlp(self.norm_2(x))
        x = self.norm_1(x + self.attention(x, cache, extra))
        return self.norm_2(x + self.mlp(x))


class MLP(nn.Module):
    """Two layers, four times as wide in between, the same at every place."""

    def __init__(self, width: int, activation: str = "gelu", dropout: float = 0.0) -> None:
        super().__init__()
        _check_name("activation", activation, ("gelu", "relu2"))
        self.activation = activation
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.out = nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        h = self.up(x)
        h = F.gelu(h) if self.activation == "gelu" else F.relu(h).square()
        return self.dropout(self.out(h))


def make_norm(name: str, width: int) -> nn.Module:
    """``"layer"``: LayerNorm without a bias; ``"rms"``: to unit mean square, without weights."""
    _check_name("norm", name, ("layer", "rms"))
    if name == "layer":
        return nn.LayerNorm(width, bias=False)
    return nn.RMSNorm(width, elementwise_affine=False)


def _check_name(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")


# ---- encoder and decoder


class Encoder(nn.Module):
    """Blocks in which every place sees all places.

    Args:
        width: D.
        heads: of each block.
        layers: blocks.
        settings: of every :class:`Block`, by name.
        device: where the parameters live; None chooses.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, width: int, heads: int, layers: int, *, device=None, **settings) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, heads, causal=False, **settings) for _ in range(layers)
        )
        self.norm = _last_norm(width, **settings)
        self.to(pick_device(device))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class CrossAttention(nn.Module):
    """The places of one text ask those of another: queries from x, keys and values from memory.

    Args:
        width: D.
        heads: h; D is a multiple of it.
        dropout: chance that a number of the output is left out.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x (B, T, D) and memory (B, S, D) to (B, T, D)."""
        parts = self.q(x), *self.kv(memory).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v)  # (B, h, T, d): no mask, all may be read
        return self.dropout(self.out(y.transpose(1, 2).flatten(2)))


class DecoderBlock(Block):
    """A causal block that, between its attention and its network, asks what an encoder has read.

    Args:
        width: D.
        heads: of both attentions.
        settings: of :class:`Block`, by name.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, width: int, heads: int, **settings) -> None:
        super().__init__(width, heads, causal=True, **settings)
        self.cross = CrossAttention(width, heads, settings.get("dropout", 0.0))
        self.norm_3 = make_norm(settings.get("norm", "layer"), width)

    def forward(self, x: Tensor, memory: Tensor, cache: list | None = None) -> Tensor:
        """x (B, T, D) and memory (B, S, D) to (B, T, D); the cache is that of the attention."""
        if self.place == "pre":
            x = x + self.attention(self.norm_1(x), cache)
            x = x + self.cross(self.norm_2(x), memory)
            return x + self.mlp(self.norm_3(x))
        x = self.norm_1(x + self.attention(x, cache))
        x = self.norm_2(x + self.cross(x, memory))
        return self.norm_3(x + self.mlp(x))


class Transformer(nn.Module):
    """An encoder reads one text, a decoder writes another; what goes in has its positions already.

    Args:
        width: D.
        heads: of every attention.
        layers: blocks of the encoder, and as many of the decoder.
        settings: of every :class:`Block`, by name.
        device: where the parameters live; None chooses.

    Example:
        >>> model = Transformer(8, heads=2, layers=1, device="cpu")
        >>> model(torch.zeros(3, 5, 8), torch.zeros(3, 4, 8)).shape
        torch.Size([3, 4, 8])

    Source: Vaswani et al. 2017, figure 1.
    """

    def __init__(self, width: int, heads: int, layers: int, *, device=None, **settings) -> None:
        super().__init__()
        self.encoder = Encoder(width, heads, layers, device=device, **settings)
        self.blocks = nn.ModuleList(DecoderBlock(width, heads, **settings) for _ in range(layers))
        self.norm = _last_norm(width, **settings)
        self.to(pick_device(device))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source (B, S, D) and target (B, T, D) to (B, T, D)."""
        memory = self.encoder(source)  # (B, S, D)
        for block in self.blocks:
            target = block(target, memory)
        return self.norm(target)


def _last_norm(width: int, place: str = "pre", norm: str = "layer", **others) -> nn.Module:
    return make_norm(norm, width) if place == "pre" else nn.Identity()


# ---- GPT

WAVES = 0.1  # height of sinusoidal positions; in waves of 1 the symbols, which begin at 0.02, drown


class GPT(nn.Module):
    """A language model: each place sees those before it and tells the next symbol.

    The defaults are a small GPT-2 without biases and dropout.

    Args:
        symbols: K.
        width: D.
        layers: blocks.
        heads: of each block.
        block: the longest text that it reads at once; a limit of :func:`learn`,
            :func:`generate` and of learned or sinusoidal positions.
        positions: ``"learned"``, ``"sinusoidal"``, ``"rotary"`` or ``"none"``.
        place: of the norms, ``"pre"`` or ``"post"``.
        norm: ``"layer"`` or ``"rms"``.
        activation: ``"gelu"`` or ``"relu2"``.
        qk_norm: see :class:`SelfAttention`.
        value_embeddings: in every block the symbol itself adds to the values, from a table.
        dropout: chance that a number is left out.
        device: where the parameters live; None chooses.

    Raises:
        ValueError: for a name that is none of these, or a width that is no multiple of the heads.

    Example:
        >>> model = GPT(symbols=5, width=8, layers=1, heads=2, block=16, device="cpu")
        >>> model(torch.tensor([[0, 3, 1]])).shape
        torch.Size([1, 3, 5])

    Source: Radford et al. 2019; the table of values after Zhou et al. 2025, who add the first
    block's values.
    """

    def __init__(
        self,
        symbols: int,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        block: int = 64,
        *,
        positions: str = "learned",
        place: str = "pre",
        norm: str = "layer",
        activation: str = "gelu",
        qk_norm: bool = False,
        value_embeddings: bool = False,
        dropout: float = 0.0,
        device=None,
    ) -> None:
        super().__init__()
        _check_name("positions", positions, ("learned", "sinusoidal", "rotary", "none"))
        self.block, self.layers = block, layers
        self.table = nn.Embedding(symbols, width)
        self.positions = nn.Embedding(block, width) if positions == "learned" else None
        waves = WAVES * sinusoidal(block, width) if positions == "sinusoidal" else None
        self.register_buffer("waves", waves, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                causal=True,
                place=place,
                norm=norm,
                activation=activation,
                dropout=dropout,
                rotary=positions == "rotary",
                qk_norm=qk_norm,
            )
            for _ in range(layers)
        )
        self.values = nn.ModuleList(
            nn.Embedding(symbols, width) for _ in range(layers * value_embeddings)
        )
        self.norm = make_norm(norm, width) if place == "pre" else nn.Identity()
        self.head = nn.Linear(width, symbols, bias=False)
        self._start()
        self.to(pick_device(device))

    def _start(self) -> None:
        """Normal weights, 0.02 wide; narrower where a block adds to the sum of all blocks."""
        for name, p in self.named_parameters():
            if p.ndim == 2:
                narrow = math.sqrt(2 * self.layers) if name.endswith("out.weight") else 1.0
                nn.init.normal_(p, 0.0, 0.02 / narrow)
        for table in self.values:
            nn.init.zeros_(table.weight)
        self.head.weight = self.table.weight  # the rows that read a symbol also tell it

    def forward(self, tokens: Tensor, cache: list[list] | None = None) -> Tensor:
        """Tell the next symbol of every place.

        Args:
            tokens: int64, shape (B, T).
            cache: from :meth:`new_cache`, where T goes on behind what was read before.

        Returns:
            Logits, shape (B, T, K).

        Raises:
            ValueError: when the text with its past is longer than the block, for learned or
                sinusoidal positions; the others read on, without warning.
        """
        past = cache[0][0].shape[2] if cache and cache[0] else 0
        stop = past + tokens.shape[1]
        if stop > self.block and (self.positions is not None or self.waves is not None):
            raise ValueError(
                f"this model has positions for {self.block} symbols, got {stop}; cut the text, or "
                "use rotary positions"
            )
        x = self.table(tokens)  # (B, T, D)
        if self.positions is not None:
            x = x + self.positions.weight[past:stop]
        if self.waves is not None:
            x = x + self.waves[past:stop]
        x = self.dropout(x)
        for i, block in enumerate(self.blocks):
            extra = self.values[i](tokens) if self.values else None
            x = block(x, None if cache is None else cache[i], extra)
        return self.head(self.norm(x))

    def new_cache(self) -> list[list]:
        """An empty cache: a list a block, which will hold its keys and values."""
        return [[] for _ in self.blocks]


# ---- looking inside


@torch.no_grad()
def attention_maps(model: nn.Module, *inputs: Tensor) -> Tensor:
    """Who looks where: the weights of every self-attention in a model, of whatever kind.

    Args:
        model: with at least one :class:`SelfAttention`, all on texts of one length; it is put into
            eval mode.
        inputs: what the model takes: tokens (B, T) for a :class:`GPT`.

    Returns:
        Shape (layers, B, h, T, T); each row adds up to 1.
    """
    maps: list[Tensor] = []
    layers = [layer for layer in model.modules() if isinstance(layer, SelfAttention)]
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: maps.append(_weights(layer, given[0])))
        for layer in layers
    ]
    model.eval()
    try:
        model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(maps)


def _weights(layer: SelfAttention, x: Tensor) -> Tensor:
    q, k, v = (
        part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in layer.qkv(x).chunk(3, -1)
    )
    if layer.qk_norm:
        q, k = (F.rms_norm(part, part.shape[-1:]) for part in (q, k))
    if layer.rotary:
        q, k = rotate(q), rotate(k)
    mask = causal_mask(x.shape[1], device=x.device) if layer.causal else None
    return attend(q, k, v, mask)[1]  # (B, h, T, T)


def multiplications(model: GPT, T: int, past: int = 0) -> int:
    """How often a GPT multiplies to read T symbols behind others, one text.

    Each symbol meets every matrix once: D² for each of the four of an attention, 4 D² twice for the
    network, K D for the logits. And in every block each query meets ``past + T`` keys and as many
    values, D numbers each (those behind it as well: they are masked afterwards).

    Args:
        model: whose matrices.
        T: symbols read.
        past: symbols whose keys and values are in a cache.

    Returns:
        Multiplications in matrix products; tables, norms and softmax are left out.

    Example:
        >>> model = GPT(symbols=5, width=8, layers=1, heads=2, block=16, device="cpu")
        >>> multiplications(model, T=1), multiplications(model, T=1, past=9)
        (824, 968)
    """
    width = model.table.embedding_dim
    matrices = sum(p.numel() for p in model.blocks.parameters() if p.ndim == 2)
    meeting = 2 * width * (past + T) * model.layers
    return T * (matrices + model.head.weight.numel() + meeting)


# ---- pictures


def patches(X: Tensor, side: int) -> Tensor:
    """Cut pictures into squares and lay each out as a row.

    Args:
        X: shape (B, C, H, W).
        side: of a square, which H and W are multiples of.

    Returns:
        Shape (B, H W / side², C side²); squares row by row, in each channel, row, column.

    Raises:
        ValueError: for another shape, or a picture that the squares do not fill.

    Example:
        >>> patches(torch.arange(16).view(1, 1, 4, 4), side=2)[0, :2].tolist()
        [[0, 1, 4, 5], [2, 3, 6, 7]]

    Source: Dosovitskiy et al. 2021, section 3.1.
    """
    if X.ndim != 4 or X.shape[2] % side or X.shape[3] % side:
        raise ValueError(
            f"expected pictures (B, C, H, W), H and W multiples of {side}, got {tuple(X.shape)}"
        )
    squares = X.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (B, C, rows, side, cols, side)
    return squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class ViT(nn.Module):
    """A transformer that reads a picture as a text of patches and says what it shows.

    Args:
        size: of the square pictures, in pixels.
        patch: of the squares they are cut into.
        classes: K.
        width: D.
        layers: blocks.
        heads: of each block.
        channels: of a pixel.
        dropout: chance that a number is left out.
        device: where the parameters live; None chooses.

    Example:
        >>> model = ViT(size=8, patch=2, classes=10, width=8, layers=1, heads=2, device="cpu")
        >>> model(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 10])

    Source: Dosovitskiy et al. 2021; the mean over places in the stead of a class token.
    """

    def __init__(
        self,
        size: int,
        patch: int,
        classes: int,
        width: int = 64,
        layers: int = 4,
        heads: int = 4,
        *,
        channels: int = 1,
        dropout: float = 0.0,
        device=None,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch**2, width)
        self.positions = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, width))
        self.encoder = Encoder(width, heads, layers, dropout=dropout, device="cpu")
        self.head = nn.Linear(width, classes)
        self.to(pick_device(device))

    def forward(self, X: Tensor) -> Tensor:
        """Pictures (B, C, H, W) to logits (B, K)."""
        x = self.embed(patches(X, self.patch)) + self.positions  # (B, T, D)
        return self.head(self.encoder(x).mean(1))


# ---- learning


class Muon(torch.optim.Optimizer):
    """Momentum, then every singular value of the update is made about 1: all directions learn.

    Matrices of one shape are treated together. Five steps of a polynomial take the place of the
    singular value decomposition.

    Args:
        params: matrices.
        lr: step size, > 0; times ``√max(1, rows / columns)``.
        momentum: share of the running mean that is kept.
        weight_decay: share of the weights taken off at each step, times ``lr``.

    Raises:
        ValueError: for a parameter that is no matrix.

    Source: Jordan et al. 2024, with Nesterov's momentum.
    """

    def __init__(self, params, lr: float = 0.02, momentum=0.95, weight_decay=0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        shapes = [tuple(p.shape) for group in self.param_groups for p in group["params"]]
        if others := [shape for shape in shapes if len(shape) != 2]:
            raise ValueError(f"Muon takes matrices, got {others[0]}; give the rest to AdamW")

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Change the weights by their gradients."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(tuple(p.shape), []).append(p)
            for shape, params in alike.items():
                self._step_alike(params, shape, **{k: group[k] for k in self.defaults})

    def _step_alike(self, params, shape, lr, momentum, weight_decay) -> None:
        grads = torch.stack([p.grad for p in params])  # (n, rows, columns)
        kept = self.state[params[0]].setdefault("mean", torch.zeros_like(grads))
        kept.lerp_(grads, 1 - momentum)
        update = orthogonal(grads.lerp_(kept, momentum))
        size = lr * math.sqrt(max(1, shape[0] / shape[1]))
        for p, u in zip(params, update.unbind(), strict=True):
            p.mul_(1 - lr * weight_decay).sub_(u, alpha=size)


def orthogonal(G: Tensor, steps: int = 5) -> Tensor:
    """Move the singular values of matrices towards 1 and keep their directions: ``U Vᵀ``, roughly.

    Args:
        G: shape (..., rows, columns).
        steps: of the polynomial ``3.4445 s - 4.775 s³ + 2.0315 s⁵``, applied to singular values s.

    Returns:
        The same shape; after five steps most singular values lie between about 0.7 and 1.2.

    Source: Jordan et al. 2024.
    """
    a, b, c = 3.4445, -4.775, 2.0315
    tall = G.shape[-2] > G.shape[-1]
    X = (G.mT if tall else G).bfloat16()  # as exact as this needs
    X = X / X.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)  # no singular value above 1
    for _ in range(steps):
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return (X.mT if tall else X).to(G)


def optimizers(
    model: GPT, recipe: str = "adamw", lr: float = 1e-3, weight_decay: float = 0.1
) -> list[torch.optim.Optimizer]:
    """What moves the weights: AdamW alone, or Muon for the matrices of the blocks.

    Args:
        model: whose weights.
        recipe: ``"adamw"``; or ``"muon"``, where tables and gains stay with AdamW.
        lr: of AdamW; Muon takes twice as much.
        weight_decay: of the matrices, with ``"adamw"`` of the tables too; gains are left alone.

    Returns:
        One optimizer, or two.

    Raises:
        ValueError: for a recipe that is none of these.
    """
    _check_name("recipe", recipe, ("adamw", "muon"))
    inside = {id(p) for p in model.blocks.parameters() if p.ndim == 2}
    matrices = [p for p in model.parameters() if p.ndim == 2]
    gains = {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}
    if recipe == "adamw":
        groups = [{"params": matrices, "weight_decay": weight_decay}, gains]
        return [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))]
    tables = [p for p in matrices if id(p) not in inside]
    groups = [{"params": tables, "weight_decay": 0.0}, gains]
    blocks = [p for p in matrices if id(p) in inside]
    return [
        torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99)),
        Muon(blocks, lr=2 * lr, weight_decay=weight_decay),
    ]


def learn(
    model: GPT,
    tokens: Tensor,
    *,
    steps: int,
    batch: int = 12,
    recipe: str = "adamw",
    lr: float = 1e-3,
    weight_decay: float = 0.1,
    schedule: Callable[[float], float] = one_cycle,
    clip: float | None = 1.0,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    watch: Callable[[int], object] | None = None,
    progress: bool | None = None,
) -> list[float]:
    """Teach a model to tell the next symbol, on windows from random places of a text.

    Args:
        model: changed in place and left in training mode; a window is as long as its block.
        tokens: the text, int64, shape (N,), on the device of the model.
        steps: of the optimizers.
        batch: windows a step.
        recipe: see :func:`optimizers`.
        lr: see there.
        weight_decay: see there.
        schedule: the factor on every step size at each fraction of the run, 0 to just below 1.
        clip: the greatest norm of the gradient; None lets it be.
        dtype: ``torch.bfloat16`` computes the forward pass in it; the weights stay as they are.
        seed: of the places. Dropout draws from torch's global generator, which is yours to seed.
        watch: called after each step with the number of steps made.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The loss of each step, in nats a symbol.

    Raises:
        ValueError: when the text is not longer than a window.
    """
    T = model.block
    if len(tokens) <= T:
        raise ValueError(f"a window takes {T} symbols and the next, got a text of {len(tokens)}")
    draws = torch.Generator().manual_seed(seed)  # on the CPU: the same places on every device
    movers = optimizers(model, recipe, lr, weight_decay)
    greatest = [[group["lr"] for group in mover.param_groups] for mover in movers]
    window = torch.arange(T + 1, device=tokens.device)
    losses = []
    model.train()
    with bar(progress, total=steps, desc="windows") as shown:
        for step in range(steps):
            places = torch.randint(len(tokens) - T, (batch, 1), generator=draws)
            rows = tokens[places.to(tokens.device) + window]  # (B, T + 1)
            with torch.autocast(rows.device.type, dtype, enabled=dtype is not None):
                loss = nats(model(rows[:, :-1]), rows[:, 1:])
            for mover, rates in zip(movers, greatest, strict=True):
                mover.zero_grad()
                for group, rate in zip(mover.param_groups, rates, strict=True):
                    group["lr"] = rate * schedule(step / steps)
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            for mover in movers:
                mover.step()
            losses.append(loss.detach())
            shown.update()
            if watch:
                watch(step + 1)
    return torch.stack(losses).tolist()


def nats(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of the next symbols: logits (B, T, K), symbols (B, T)."""
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


@torch.no_grad()
def judge(model: nn.Module, tokens: Tensor, T: int, batch: int = 64) -> float:
    """Mean loss on all windows of a text, side by side, none of them knowing what stood before.

    Args:
        model: tokens (B, T) to logits (B, T, K); it is put into eval mode.
        tokens: the text, shape (N,); what fills no whole window is left out.
        T: length of a window.
        batch: windows at once.

    Returns:
        Nats a symbol.

    Raises:
        ValueError: when the text is not longer than a window.
    """
    n = (len(tokens) - 1) // T
    if n < 1:
        raise ValueError(f"a window takes {T} symbols and the next, got a text of {len(tokens)}")
    model.eval()
    x, y = tokens[: n * T].view(n, T), tokens[1 : n * T + 1].view(n, T)
    pairs = zip(x.split(batch), y.split(batch), strict=True)
    total = sum(nats(model(xs), ys).item() * len(xs) for xs, ys in pairs)
    return total / n


# ---- writing


def filtered(logits: Tensor, temperature=1.0, top_k: int | None = None, top_p=1.0) -> Tensor:
    """The probabilities from which the next symbol is drawn.

    First the temperature, then the ``top_k`` likeliest, then as few of the likeliest as hold at
    least ``top_p`` of what is left; the first always stays.

    Args:
        logits: shape (..., K).
        temperature: >= 0; 0 puts everything on the likeliest symbol.
        top_k: at least 1; symbols as likely as the k-th stay too. None keeps all.
        top_p: above 0, up to 1.

    Returns:
        Shape (..., K), adding up to 1.

    Raises:
        ValueError: for numbers outside of these.

    Example:
        >>> filtered(torch.tensor([0.5, 0.3, 0.2]).log(), top_p=0.6)
        tensor([0.6250, 0.3750, 0.0000])

    Source: Fan, Lewis & Dauphin 2018 (top-k); Holtzman et al. 2020 (top-p).
    """
    if temperature < 0 or not 0 < top_p <= 1 or (top_k is not None and top_k < 1):
        raise ValueError(
            "temperature is at least 0, top_k at least 1, top_p above 0 up to 1, got "
            f"{temperature}, {top_k} and {top_p}"
        )
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature  # the largest 0: no overflow
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    p, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
    before = p.cumsum(-1) - p  # what the likelier symbols hold: 0 for the first
    kept = torch.zeros_like(p).scatter(-1, order, p.masked_fill(before >= top_p, 0.0))
    return kept / kept.sum(-1, keepdim=True)


@torch.no_grad()
def generate(
    model: GPT,
    prompt: Tensor,
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    cache: bool = True,
    generator: Generator | None = None,
) -> Tensor:
    """Let the model write: draw a symbol, hand it in as the next input, n times.

    Of a prompt longer than the model's block the last block is read; a text that outgrows the
    block while it is written is read on from its last half block.

    Args:
        model: it is put into eval mode.
        prompt: what stands before, at least one symbol, int64, shape (P,).
        n: symbols to write.
        temperature: see :func:`filtered`.
        top_k: see there.
        top_p: see there.
        cache: keep keys and values, in place of computing them again for every symbol.
        generator: on the CPU; None takes torch's own.

    Returns:
        The n new symbols, shape (n,).

    Raises:
        ValueError: for an empty prompt, or numbers that :func:`filtered` refuses.
    """
    if prompt.ndim != 1 or len(prompt) == 0:
        raise ValueError(f"expected a prompt (P,) with P >= 1, got {tuple(prompt.shape)}")
    model.eval()
    text = prompt.tolist()
    begin, read, kept = max(len(text) - model.block, 0), None, None
    for _ in range(n):
        if len(text) - begin > model.block:
            begin, read = len(text) - max(model.block // 2, 1), None
        if read is None:
            read, kept = begin, model.new_cache()
        start = read if cache else begin
        x = torch.tensor([text[start:]], device=prompt.device)  # (1, what is new)
        logits = model(x, kept if cache else None)[0, -1]
        read = len(text)
        p = filtered(logits, temperature, top_k, top_p).cpu()
        text.append(int(torch.multinomial(p, 1, generator=generator)))
    return prompt.new_tensor(text[len(prompt) :])
