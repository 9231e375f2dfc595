"""Convolution and pooling by hand, what a unit sees, and three networks: LeNet, VGG, ResNet.

Chapter: book/07_cnn. Sources: LeCun, Bottou, Bengio & Haffner 1998 (LeNet); Simonyan & Zisserman
2015 (VGG); He, Zhang, Ren & Sun 2016 (ResNet). Letters: B batch, C channels, H and W height and
width in pixels, kh and kw those of a kernel, L windows, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

import torch
from torch import Tensor, nn

from .device import pick_device

Pair = int | tuple[int, int]  # one number for height and width, or one each


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


# ---- windows and their arithmetic


def output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """How many windows fit: ``(size + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1``.

    Args:
        size: pixels along one side.
        kernel_size: taps of the kernel along that side.
        stride: pixels from a window to the next.
        padding: zeros added at *each* end.
        dilation: pixels from a tap to the next.

    Returns:
        Windows along that side, at least 1.

    Raises:
        ValueError: for a number that is none, or when not even one window fits.

    Example:
        >>> output_size(28, 5), output_size(28, 5, padding=2), output_size(7, 2, stride=2)
        (24, 28, 3)
    """
    if min(size, kernel_size, stride, dilation) < 1 or padding < 0:
        raise ValueError(
            "size, kernel_size, stride and dilation are at least 1 and padding at least 0, got "
            f"{size}, {kernel_size}, {stride}, {dilation} and {padding}"
        )
    room = size + 2 * padding - dilation * (kernel_size - 1) - 1
    if room < 0:
        raise ValueError(
            f"a kernel of {kernel_size} taps, {dilation} apart, spans "
            f"{dilation * (kernel_size - 1) + 1} pixels, but size {size} with padding {padding} "
            f"has {size + 2 * padding}; pad more, or take a smaller kernel"
        )
    return room // stride + 1


def _output_sizes(
    size: Sequence[int], kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[int, int]:
    """:func:`output_size` for height and width."""
    settings = map(_pair, (kernel_size, stride, padding, dilation))
    return tuple(output_size(*side) for side in zip(size, *settings, strict=True))


def _taps(
    size: tuple[int, int], kernel_size: Pair, stride: Pair, dilation: Pair
) -> Iterator[tuple[slice, slice]]:
    """For each entry of the kernel, the pixels of the padded picture that it meets.

    Args:
        size: windows along height and width.
    """
    (H, W), (kh, kw) = size, _pair(kernel_size)
    (sh, sw), (dh, dw) = _pair(stride), _pair(dilation)
    for i, j in product(range(kh), range(kw)):
        rows = slice(i * dh, i * dh + sh * (H - 1) + 1, sh)
        yield rows, slice(j * dw, j * dw + sw * (W - 1) + 1, sw)


def _pad(x: Tensor, padding: Pair, value: float = 0.0) -> Tensor:
    ph, pw = _pair(padding)
    return nn.functional.pad(x, (pw, pw, ph, ph), value=value)  # torch counts from the last axis


def _windows(
    x: Tensor, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, value: float = 0.0
) -> Tensor:
    """What each window sees: (B, C, H, W) to (B, C, kh·kw, H_out, W_out)."""
    if x.ndim != 4:
        raise ValueError(f"expected pictures (B, C, H, W), got shape {tuple(x.shape)}")
    size = _output_sizes(x.shape[2:], kernel_size, stride, padding, dilation)
    x = _pad(x, padding, value)
    taps = _taps(size, kernel_size, stride, dilation)
    return torch.stack([x[:, :, rows, cols] for rows, cols in taps], 2)


def unfold(
    x: Tensor, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> Tensor:
    """Lay out what each window sees as a column, so that a convolution becomes a product.

    Args:
        x: pictures, shape (B, C, H, W).
        kernel_size, stride, padding, dilation: a number, or a pair for height and width.

    Returns:
        Shape (B, C·kh·kw, L), with L windows in reading order; equal to ``F.unfold``.

    Raises:
        ValueError: for another shape, or when no window fits.

    Example:
        >>> unfold(torch.arange(6.0).view(1, 1, 2, 3), 2)
        tensor([[[0., 1.],
                 [1., 2.],
                 [3., 4.],
                 [4., 5.]]])
    """
    return _windows(x, kernel_size, stride, padding, dilation).flatten(3).flatten(1, 2)


def fold(
    cols: Tensor,
    size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
) -> Tensor:
    """Add each column back to the pixels it was read from: the transpose of :func:`unfold`.

    Args:
        cols: shape (B, C·kh·kw, L).
        size: height and width of the pictures.
        kernel_size, stride, padding, dilation: as in :func:`unfold`.

    Returns:
        Shape (B, C, H, W). It is not the inverse: a pixel that n windows saw is added n times.

    Raises:
        ValueError: when the columns are not those of such pictures.
    """
    size_out = _output_sizes(size, kernel_size, stride, padding, dilation)
    (kh, kw), (ph, pw), (H, W) = _pair(kernel_size), _pair(padding), size
    L = size_out[0] * size_out[1]
    if cols.ndim != 3 or cols.shape[1] % (kh * kw) or cols.shape[2] != L:
        raise ValueError(
            f"expected columns (B, C·{kh * kw}, {L}) of pictures {H} x {W}, got shape "
            f"{tuple(cols.shape)}"
        )
    windows = cols.unflatten(2, size_out).unflatten(1, (-1, kh * kw))  # (B, C, kh·kw, H, W)
    x = cols.new_zeros(*windows.shape[:2], H + 2 * ph, W + 2 * pw)
    for k, (rows, columns) in enumerate(_taps(size_out, kernel_size, stride, dilation)):
        x[:, :, rows, columns] += windows[:, :, k]
    return x[:, :, ph : ph + H, pw : pw + W]


# ---- convolution


def conv2d_loops(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution as it is defined, one output pixel after the other; slow, to be read.

    Args:
        x: pictures, shape (B, C_in, H, W).
        weight: kernels, shape (C_out, C_in / groups, kh, kw).
        bias: shape (C_out,), or None.
        stride, padding, dilation: a number, or a pair for height and width.
        groups: parts into which the channels are cut; each output sees one part of the inputs.

    Returns:
        Feature maps, shape (B, C_out, H_out, W_out); equal to ``F.conv2d``.

    Raises:
        ValueError: when the shapes do not fit, or no window fits.
    """
    H, W = _check_conv(x, weight, bias, stride, padding, dilation, groups)
    x = _pad(x, padding)
    y = x.new_zeros(len(x), len(weight), H, W)
    for (c, i, j), patch in _patches((H, W), weight, stride, dilation, groups):
        y[:, c, i, j] = (x[patch] * weight[c]).sum((1, 2, 3))  # (B,)
    return y if bias is None else y + bias[:, None, None]


def conv2d_loops_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of :func:`conv2d_loops`, one output pixel after the other.

    Args:
        grad: slope of the loss in each output, shape (B, C_out, H_out, W_out).
        x, weight, stride, padding, dilation, groups: what :func:`conv2d_loops` was given.

    Returns:
        Slopes in ``x``, in ``weight`` and in the bias, each of its shape.

    Raises:
        ValueError: when the shapes do not fit.
    """
    size = _check_conv(x, weight, None, stride, padding, dilation, groups)
    _check_grad(grad, (len(x), len(weight), *size))
    padded = _pad(x, padding)
    grad_x, grad_weight = torch.zeros_like(padded), torch.zeros_like(weight)
    for (c, i, j), patch in _patches(size, weight, stride, dilation, groups):
        g = grad[:, c, i, j, None, None, None]  # (B, 1, 1, 1)
        grad_x[patch] += g * weight[c]  # what each pixel was multiplied by
        grad_weight[c] += (g * padded[patch]).sum(0)  # what each weight was multiplied by
    (ph, pw), (H, W) = _pair(padding), x.shape[2:]
    return grad_x[:, :, ph : ph + H, pw : pw + W], grad_weight, grad.sum((0, 2, 3))


def _patches(
    size: tuple[int, int], weight: Tensor, stride: Pair, dilation: Pair, groups: int
) -> Iterator[tuple[tuple[int, int, int], tuple[slice, ...]]]:
    """Each output's channel, row and column, and the part of the padded pictures it sees."""
    C_out, C, kh, kw = weight.shape  # C input channels a group
    (sh, sw), (dh, dw) = _pair(stride), _pair(dilation)
    for c, i, j in product(range(C_out), *map(range, size)):
        first = c // (C_out // groups) * C
        rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
        cols = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
        yield (c, i, j), (slice(None), slice(first, first + C), rows, cols)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution as one matrix product: ``y = W unfold(x) + b``.

    Args:
        x: pictures, shape (B, C_in, H, W).
        weight: kernels, shape (C_out, C_in / groups, kh, kw).
        bias: shape (C_out,), or None.
        stride, padding, dilation: a number, or a pair for height and width.
        groups: parts into which the channels are cut; each output sees one part of the inputs.

    Returns:
        Feature maps, shape (B, C_out, H_out, W_out); equal to ``F.conv2d``.

    Raises:
        ValueError: when the shapes do not fit, or no window fits.

    Example:
        >>> x = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
        >>> conv2d(x, torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[[0., 1., 0.]]]])
    """
    size = _check_conv(x, weight, bias, stride, padding, dilation, groups)
    cols = unfold(x, weight.shape[2:], stride, padding, dilation)  # (B, C_in·kh·kw, L)
    cols = cols.unflatten(1, (groups, -1))  # (B, G, C_in/G·kh·kw, L)
    W = weight.flatten(1).unflatten(0, (groups, -1))  # (G, C_out/G, C_in/G·kh·kw)
    y = (W @ cols).flatten(1, 2).unflatten(2, size)  # (B, C_out, H_out, W_out)
    return y if bias is None else y + bias[:, None, None]


def conv2d_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of :func:`conv2d`: ``fold(Wᵀ G)``, ``G unfold(x)ᵀ`` and the sum of G.

    Args:
        grad: slope of the loss in each output, shape (B, C_out, H_out, W_out).
        x, weight, stride, padding, dilation, groups: what :func:`conv2d` was given.

    Returns:
        Slopes in ``x``, in ``weight`` and in the bias, each of its shape.

    Raises:
        ValueError: when the shapes do not fit.
    """
    size = _check_conv(x, weight, None, stride, padding, dilation, groups)
    _check_grad(grad, (len(x), len(weight), *size))
    settings = (weight.shape[2:], stride, padding, dilation)
    G = grad.flatten(2).unflatten(1, (groups, -1))  # (B, G, C_out/G, L)
    W = weight.flatten(1).unflatten(0, (groups, -1))  # (G, C_out/G, C_in/G·kh·kw)
    cols = unfold(x, *settings).unflatten(1, (groups, -1))  # (B, G, C_in/G·kh·kw, L)
    grad_x = fold((W.mT @ G).flatten(1, 2), x.shape[2:], *settings)
    grad_weight = (G @ cols.mT).sum(0).reshape(weight.shape)
    return grad_x, grad_weight, grad.sum((0, 2, 3))


def _check_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[int, int]:
    """Refuse what does not fit; height and width of the output."""
    if x.ndim != 4 or weight.ndim != 4:
        got = f"{tuple(x.shape)} and {tuple(weight.shape)}"
        raise ValueError(
            f"expected pictures (B, C_in, H, W) and kernels (C_out, C_in, kh, kw), got {got}; "
            "x[None] makes a batch of one picture, x[:, None] a channel of grey ones"
        )
    (C_out, C), C_in = weight.shape[:2], x.shape[1]
    if groups < 1 or C_out % groups:
        raise ValueError(f"groups must divide the {C_out} kernels, got {groups} groups")
    if C_in != C * groups:
        last = groups == 1 and x.shape[3] == C
        hint = "; are the channels last? x.permute(0, 3, 1, 2) puts them first" if last else ""
        raise ValueError(
            f"kernels of {C} channels in {groups} group{'s' * (groups > 1)} need pictures of "
            f"{C * groups} channels, got shape {tuple(x.shape)}{hint}"
        )
    if bias is not None and bias.shape != (C_out,):
        raise ValueError(f"expected a bias for each of {C_out} kernels, got {tuple(bias.shape)}")
    return _output_sizes(x.shape[2:], weight.shape[2:], stride, padding, dilation)


def _check_grad(grad: Tensor, shape: tuple[int, ...]) -> None:
    if grad.shape != shape:
        raise ValueError(f"expected a slope for each output, {shape}, got {tuple(grad.shape)}")


# ---- pooling


def max_pool2d(
    x: Tensor, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Tensor:
    """The largest value in each window, channel by channel.

    Args:
        x: feature maps, shape (B, C, H, W).
        kernel_size: a number, or a pair for height and width.
        stride: None takes ``kernel_size``, so that windows do not overlap.
        padding: at most half of the window; never the largest value.

    Returns:
        Shape (B, C, H_out, W_out). Rows and columns that fill no window are dropped.

    Raises:
        ValueError: for another shape, too much padding, or when no window fits.

    Example:
        >>> max_pool2d(torch.tensor([[[[1.0, 4.0, 2.0, 3.0]]]]), (1, 2))
        tensor([[[[4., 3.]]]])
    """
    return _pool(x, kernel_size, stride, padding, -torch.inf).max(2).values


def avg_pool2d(
    x: Tensor, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Tensor:
    """The mean of each window, channel by channel; zeros of the padding count.

    Args:
        x, kernel_size, stride, padding: as in :func:`max_pool2d`.

    Returns:
        Shape (B, C, H_out, W_out). Rows and columns that fill no window are dropped.

    Raises:
        ValueError: for another shape, too much padding, or when no window fits.

    Example:
        >>> avg_pool2d(torch.tensor([[[[1.0, 4.0, 2.0, 3.0]]]]), (1, 2))
        tensor([[[[2.5000, 2.5000]]]])
    """
    return _pool(x, kernel_size, stride, padding, 0.0).mean(2)


def _pool(x: Tensor, kernel_size: Pair, stride: Pair | None, padding: Pair, value: float) -> Tensor:
    for k, p in zip(_pair(kernel_size), _pair(padding), strict=True):
        if 2 * p > k:
            raise ValueError(
                f"padding {p} is more than half of a window of {k}: some windows would see "
                f"nothing but padding; pad by {k // 2} at most"
            )
    stride = kernel_size if stride is None else stride
    return _windows(x, kernel_size, stride, padding, 1, value)  # (B, C, kh·kw, H_out, W_out)


# ---- what a unit sees


def receptive_field(layers: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """The pixels that a unit sees, layer by layer, along one side.

    Unit i of a layer sees the ``size`` pixels from ``start + i * jump`` on.

    Args:
        layers: (kernel, stride, padding) or (kernel, stride, padding, dilation) of each layer,
            first layer first; pooling is such a layer too.

    Returns:
        (size, jump, start) after each layer: pixels seen; pixels between the fields of
        neighbours; the first pixel of unit 0, below 0 where it sees padding.

    Raises:
        ValueError: for a layer of another length, or numbers that are none.

    Example:
        >>> receptive_field([(3, 1, 1), (2, 2, 0), (3, 1, 1)])
        [(3, 1, -1), (4, 2, -1), (8, 2, -3)]

    Source: Araujo, Norris & Sim 2019.
    """
    size, jump, start = 1, 1, 0  # a pixel sees itself
    rows = []
    for layer in layers:
        if len(layer) not in (3, 4) or min(layer[0], layer[1], *layer[3:]) < 1 or layer[2] < 0:
            raise ValueError(
                "expected (kernel, stride, padding) or (kernel, stride, padding, dilation) with "
                f"padding >= 0 and the others >= 1, got {tuple(layer)}"
            )
        kernel, stride, padding, *dilation = layer
        size += (kernel - 1) * jump * (dilation[0] if dilation else 1)
        start -= padding * jump
        jump *= stride
        rows.append((size, jump, start))
    return rows


# ---- networks


def lenet(channels: int = 1, size: int = 28, classes: int = 10, device=None) -> nn.Sequential:
    """LeNet-5 with ReLU, max pooling, and padding in both convolutions.

    Args:
        channels: of the picture.
        size: its height and width, in pixels, a multiple of 4.
        classes: K, outputs.
        device: where the parameters live; None chooses.

    Returns:
        A network of (B, channels, size, size) pictures with (B, K) logits.

    Raises:
        ValueError: when two poolings do not divide the picture.

    Example:
        >>> lenet(size=8, device="cpu")(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Source: LeCun, Bottou, Bengio & Haffner 1998, Fig. 2.
    """
    if size < 4 or size % 4:
        raise ValueError(f"two poolings halve the picture: size must be 4, 8, 12, ..., got {size}")
    model = nn.Sequential(
        *(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(16 * (size // 4) ** 2, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, classes),
    )
    return model.to(pick_device(device))


def vgg(
    widths: Sequence[int] = (16, 32), channels: int = 1, classes: int = 10, device=None
) -> nn.Sequential:
    """Stages of two 3 x 3 convolutions and a pooling; the mean over the pixels goes to the classes.

    Args:
        widths: channels of each stage; each halves height and width.
        channels: of the picture.
        classes: K, outputs.
        device: where the parameters live; None chooses.

    Returns:
        A network of (B, channels, H, W) pictures with (B, K) logits; H and W are at least
        ``2 ** len(widths)``.

    Example:
        >>> vgg((8, 16), device="cpu")(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Source: Simonyan & Zisserman 2015, Table 1; batch norm and the mean in place of two wide layers
    came later (Ioffe & Szegedy 2015; Lin, Chen & Yan 2014).
    """
    layers: list[nn.Module] = []
    for C_in, C_out in pairwise((channels, *widths)):
        for C in (C_in, C_out):
            layers += [nn.Conv2d(C, C_out, 3, padding=1, bias=False), nn.BatchNorm2d(C_out)]
            layers += [nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes)]
    return nn.Sequential(*layers, *head).to(pick_device(device))


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a way around them: ``y = relu(x + F(x))``.

    Args:
        C_in: channels that come in.
        C_out: channels that go out.
        stride: of the first convolution, in pixels.
        shortcut: False leaves the way around out, and a plain network is left.

    Example:
        >>> Residual(4, 8, stride=2)(torch.zeros(5, 4, 6, 6)).shape
        torch.Size([5, 8, 3, 3])

    Source: He, Zhang, Ren & Sun 2016, Fig. 2.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 1, shortcut: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(C_in, C_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(C_out)
        self.conv2 = nn.Conv2d(C_out, C_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(C_out)
        self.shortcut: nn.Module | None = None
        if shortcut:
            same = C_in == C_out and stride == 1
            self.shortcut = nn.Identity() if same else nn.Conv2d(C_in, C_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, C_out, H / stride, W / stride) of feature maps (B, C_in, H, W)."""
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y if self.shortcut is None else y + self.shortcut(x))


class ResNet(nn.Module):
    """A first convolution, stages of :class:`Residual` blocks, a mean over the pixels, one layer.

    Each stage after the first halves height and width by the stride of its first block. Depth, in
    layers with weights on the longest way, is ``2 + 2 * len(widths) * blocks``.

    Args:
        widths: channels of each stage.
        blocks: blocks a stage, >= 1.
        channels: of the picture.
        classes: K, outputs.
        stem: stride of the first convolution, in pixels.
        shortcut: False for the plain network of the same size.
        device: where the parameters live; None chooses.

    Raises:
        ValueError: for no stage or no block.

    Example:
        >>> ResNet((8, 16), device="cpu")(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Source: He, Zhang, Ren & Sun 2016, section 4.2, with 1 x 1 convolutions where the width changes.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
        channels: int = 1,
        classes: int = 10,
        stem: int = 1,
        shortcut: bool = True,
        device=None,
    ) -> None:
        super().__init__()
        if not widths or blocks < 1:
            raise ValueError(
                f"a ResNet needs a stage and a block in it, got widths {tuple(widths)} and "
                f"{blocks} blocks"
            )
        first = nn.Conv2d(channels, widths[0], 3, stem, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(widths[0]), nn.ReLU())
        stages: list[nn.Module] = []
        for i, C_out in enumerate(widths):
            ins = [widths[max(i - 1, 0)]] + [C_out] * (blocks - 1)
            strides = [2 if i else 1] + [1] * (blocks - 1)
            stages += [Residual(C, C_out, s, shortcut) for C, s in zip(ins, strides, strict=True)]
        self.blocks = nn.Sequential(*stages)
        self.head = nn.Linear(widths[-1], classes)
        self.to(pick_device(device))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of pictures (B, channels, H, W)."""
        x = self.blocks(self.stem(x))  # (B, C, H / 2^s, W / 2^s)
        return self.head(x.mean((2, 3)))  # (B, C) -> (B, K)


# ---- looking inside


def summary(
    model: nn.Module, shape: tuple[int, ...]
) -> list[tuple[str, tuple[int, ...], int, int]]:
    """What each layer gives out for one picture, what it has to learn, and what it costs.

    Args:
        model: on any device; its mode is put back.
        shape: of one picture, (C, H, W).

    Returns:
        Rows (layer, output shape without the batch, parameters, multiplications), in the order in
        which they run. Convolutions and linear layers are counted; the rest costs little: 0.

    Example:
        >>> for row in summary(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()), (1, 28, 28)):
        ...     print(row)
        ('0 Conv2d', (6, 24, 24), 156, 86400)
        ('1 ReLU', (6, 24, 24), 0, 0)
    """
    rows = []

    def note(name: str, layer: nn.Module, y: Tensor) -> None:
        parameters = sum(p.numel() for p in layer.parameters())
        products = 0
        if isinstance(layer, nn.Conv2d | nn.Linear):  # each output: one kernel's products
            products = y[0].numel() * layer.weight[0].numel()
        rows.append((f"{name} {type(layer).__name__}", tuple(y.shape[1:]), parameters, products))

    leaves = [(n, m) for n, m in model.named_modules() if not list(m.children())]
    hooks = [
        layer.register_forward_hook(lambda layer, _, y, name=name: note(name, layer, y))
        for name, layer in leaves
    ]
    try:
        _run(model, torch.zeros(1, *shape, device=_device(model)))
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def feature_maps(model: nn.Module, x: Tensor, layer: str) -> Tensor:
    """What a layer gives out for some pictures, as an evaluation sees it.

    Args:
        model: its mode is put back.
        x: pictures, shape (B, C, H, W), on the model's device.
        layer: its name, as in ``model.named_modules()``: ``"3"``, ``"blocks.0.conv1"``.

    Returns:
        The layer's output, shape (B, ...), without a gradient.

    Raises:
        ValueError: when no layer has that name.
    """
    return _output_of(model, x, layer).detach()


def excite(
    model: nn.Module,
    layer: str,
    channel: int,
    shape: tuple[int, ...],
    steps: int = 100,
    lr: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Look for a picture that excites one unit: walk uphill from grey, pixels kept in [0, 1].

    The unit is the middle one of a feature map, or an entry of a linear layer.

    Args:
        model: its mode and parameters stay as they are.
        layer: its name, as in ``model.named_modules()``.
        channel: which of its outputs.
        shape: of the picture, (C, H, W).
        steps: uphill steps.
        lr: the most that a pixel changes in a step.
        generator: draws the first picture, grey with a little noise; None takes torch's own.

    Returns:
        The picture, shape ``shape``.

    Raises:
        ValueError: when there is no such layer.

    Source: Erhan, Bengio, Courville & Vincent 2009.
    """
    noise = torch.rand(shape, generator=generator).to(_device(model))
    x = (0.45 + 0.1 * noise).requires_grad_()
    for _ in range(steps):
        y = _output_of(model, x[None], layer)[0, channel]  # (H, W) or ()
        unit = y[tuple(n // 2 for n in y.shape)]
        (slope,) = torch.autograd.grad(unit, x)
        step = lr * slope / slope.abs().max().clamp(min=1e-12)
        x = (x + step).clamp(0, 1).detach().requires_grad_()
    return x.detach()


def shift(x: Tensor, dx: int, dy: int) -> Tensor:
    """Move pictures by whole pixels; zeros come in at the border.

    Args:
        x: shape (..., H, W).
        dx: pixels to the right, below 0 to the left.
        dy: pixels down, below 0 up.

    Returns:
        Shape of ``x``.

    Example:
        >>> shift(torch.tensor([[1, 2, 3]]), 1, 0)
        tensor([[0, 1, 2]])
    """
    return nn.functional.pad(x, (dx, -dx, dy, -dy))  # below 0 it crops


def _output_of(model: nn.Module, x: Tensor, layer: str) -> Tensor:
    layers = dict(model.named_modules())
    if layer not in layers:
        raise ValueError(f"no layer {layer!r}; there are {', '.join(filter(None, layers))}")
    found: list[Tensor] = []
    hook = layers[layer].register_forward_hook(lambda *run: found.append(run[2]))
    try:
        _run(model, x)
    finally:
        hook.remove()
    return found[0]


def _run(model: nn.Module, x: Tensor) -> None:
    """Run a model as an evaluation does, and put its mode back."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()(x)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
