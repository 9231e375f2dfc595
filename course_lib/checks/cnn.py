"""The exercises of chapter 07_cnn: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/07_cnn.md. Entries are drawn all different in
size, so that no kernel equals its mirror image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .draws import nonzero
from .exercise import Exercise, Mistake, Test, checker, numbers, part, parts, shapes
from .probes import program


def _some(g: Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=g))


def _distinct(g: Generator, *shape: int) -> Tensor:
    """Whole numbers that all differ in size, with signs."""
    size = 1 + torch.randperm(math.prod(shape), generator=g)
    return size.reshape(shape) * nonzero(g, *shape).sign()


# 7.1 output_size


def _plain_sizes(g: Generator) -> list[tuple]:
    return [(_some(g, 8, 20), kernel, 1, padding, 1) for kernel, padding in ((3, 2), (5, 1))]


def _strided_sizes(g: Generator) -> list[tuple]:
    """One step does not fit in: of what is left behind the first window, 1 remains."""
    return [
        (kernel - 2 * padding + stride * _some(g, 3, 6) + 1, kernel, stride, padding, 1)
        for kernel, stride, padding in ((3, 3, 2), (5, 2, 1))
    ]


def _dilated_sizes(g: Generator) -> list[tuple]:
    return [(_some(g, 12, 20), 3, 1, 1, dilation) for dilation in (2, 3)]


def _size_of(room: Callable[..., int], count=lambda room, stride: room // stride + 1) -> Callable:
    """An answer from the room for steps behind the first window, and the number of places."""

    def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Any:
        return count(room(size, kernel, padding, dilation), stride)

    return output_size


def _room(n: int, k: int, p: int, d: int) -> int:
    return n + 2 * p - d * (k - 1) - 1


def _size_by_torch(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    x, w = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    return F.conv1d(x, w, None, stride, padding, dilation).shape[-1]


OUTPUT_SIZE = Exercise(
    number="7.1",
    title="How many places",
    name="output_size",
    difficulty=1,
    minutes=10,
    reference=_size_by_torch,
    tests=[
        Test("counts the places of a window in a padded line", _plain_sizes),
        Test("counts them in strides", _strided_sizes, 2),
        Test("spreads the window by its dilation", _dilated_sizes),
    ],
    mistakes=[
        Mistake(
            "forgets the first place",
            _size_of(_room, lambda room, stride: room // stride),
            "you counted the steps; there is one place more than there are steps from it, "
            "so add 1 at the end",
        ),
        Mistake(
            "takes the gaps for the width",
            _size_of(lambda n, k, p, d: n + 2 * p - d * (k - 1)),
            "you took dilation * (kernel - 1) for the width of the window; that is the way from "
            "its first tap to its last, and the window is 1 wider",
        ),
        Mistake(
            "adds 1 before it divides",
            _size_of(_room, lambda room, stride: (room + 1) // stride),
            "you added 1 before dividing by the stride; the first place needs no step, so divide "
            "what is left behind the window, then add 1",
        ),
        Mistake(
            "rounds up",
            _size_of(_room, lambda room, stride: -(-room // stride) + 1),
            "you rounded up, so the last window hangs over the edge; a step that does not fit is "
            "not taken: round down, //",
        ),
        Mistake(
            "does not round",
            _size_of(_room, lambda room, stride: room / stride + 1),
            "you divided with /, which leaves a fraction of a place; only whole steps count: //",
        ),
        Mistake(
            "pads one side",
            _size_of(lambda n, k, p, d: n + p - d * (k - 1) - 1),
            "you counted the padding once; it is put on both sides, so the line grows by "
            "2 * padding",
        ),
        Mistake(
            "forgets the padding",
            _size_of(lambda n, k, p, d: n - d * (k - 1) - 1),
            "you left the padding out; the line grows by 2 * padding before the window moves",
        ),
        Mistake(
            "forgets the dilation",
            _size_of(lambda n, k, p, d: n + 2 * p - k),
            "you left the dilation out; a window of `kernel` taps that lie `dilation` apart "
            "covers dilation * (kernel - 1) + 1 entries",
        ),
        Mistake(
            "spreads the last tap too",
            _size_of(lambda n, k, p, d: n + 2 * p - d * k),
            "you took dilation * kernel for the width of the window; there are kernel - 1 gaps "
            "between the taps, so it is dilation * (kernel - 1) + 1",
        ),
        Mistake(
            "forgets the stride",
            _size_of(_room, lambda room, stride: room + 1),
            "you left the stride out; the window moves `stride` entries at a time, "
            "so divide the room behind it",
        ),
        Mistake(
            "thinks of padding that keeps the size",
            lambda size, kernel, stride, padding, dilation: -(-size // stride),
            "size / stride is right only where the padding happens to fit the kernel; "
            "count the places of the window in the padded line",
        ),
    ],
)


# 7.2 pad_same


def _pictures(*kernels: tuple[int, int]) -> Callable[[Generator], list[tuple]]:
    return lambda g: [(_distinct(g, 2, 3), *kernel) for kernel in kernels]


def _bordered(border: Callable[[int], tuple[int, int]]) -> Callable:
    """Zeros before and behind, as many as ``border`` says for a kernel of this length."""
    return lambda image, kh, kw: F.pad(image, (*border(kw), *border(kh)))


def _ends(k: int) -> tuple[int, int]:
    return (k - 1) // 2, k // 2


def _edge_repeated(image: Tensor, kh: int, kw: int) -> Tensor:
    wide = (*_ends(kw), *_ends(kh))
    return F.pad(image[None], wide, mode="replicate")[0]


PAD_SAME = Exercise(
    number="7.2",
    title="A border of zeros",
    name="pad_same",
    difficulty=2,
    minutes=10,
    reference=_bordered(_ends),
    tests=[
        Test("puts a kernel of odd size in the middle", _pictures((3, 3), (3, 5), (5, 1)), 2),
        Test("gives an even one its extra zeros at the end", _pictures((2, 4), (4, 3)), 2),
    ],
    mistakes=[
        Mistake(
            "pads at the end only",
            _bordered(lambda k: (0, k - 1)),
            "you put all zeros below and to the right, so the picture moves up and to the left; "
            "split them between both sides",
        ),
        Mistake(
            "pads at the start only",
            _bordered(lambda k: (k - 1, 0)),
            "you put all zeros above and to the left, so the picture moves down and to the right; "
            "split them between both sides",
        ),
        Mistake(
            "puts half a kernel on both sides",
            _bordered(lambda k: (k // 2, k // 2)),
            "k // 2 on both sides adds k zeros where k is even, one too many; "
            "k - 1 are needed: (k - 1) // 2 before and the rest behind",
        ),
        Mistake(
            "rounds down on both sides",
            _bordered(lambda k: ((k - 1) // 2, (k - 1) // 2)),
            "you put (k - 1) // 2 on both sides, which is only k - 2 zeros where k is even; "
            "k - 1 are needed, so the end gets the rest",
        ),
        Mistake(
            "gives the extra zeros to the start",
            _bordered(lambda k: (k // 2, (k - 1) // 2)),
            "your extra row and column for even kernels came first; they come last, "
            "below and to the right",
        ),
        Mistake(
            "swaps the axes",
            lambda image, kh, kw: F.pad(image, (*_ends(kh), *_ends(kw))),
            "you swapped the axes: F.pad begins with the last one, left and right, then top and "
            "bottom, so the columns get what kw asks for",
        ),
        Mistake(
            "puts a whole kernel less one on each side",
            _bordered(lambda k: (k - 1, k - 1)),
            "you added k - 1 zeros on each side, and the result would grow; "
            "k - 1 is for both sides together",
        ),
        Mistake(
            "puts a kernel on each side",
            _bordered(lambda k: (k, k)),
            "you added a whole kernel on each side; k - 1 zeros are needed in all, "
            "about half of them on each side",
        ),
        Mistake(
            "repeats the edge",
            _edge_repeated,
            "you repeated the edge of the picture; the border is to be zeros",
        ),
        Mistake(
            "pads the columns only",
            lambda image, kh, kw: F.pad(image, _ends(kw)),
            "you padded left and right only; the rows need a border above and below too",
        ),
    ],
)


# 7.3 cross_correlate


def _picture_and_kernel(g: Generator) -> list[tuple]:
    return [(_distinct(g, 3, 4), _distinct(g, *size)) for size in ((2, 2), (2, 3), (2, 1))]


def _slid(
    meet: Callable[[Tensor, Tensor], Tensor] = lambda patch, w: (patch * w).sum(),
    less: int = 0,
    step: Callable[[int], int] = lambda k: 1,
) -> Callable:
    """What ``meet`` gives of the kernel and each patch below it."""

    def cross_correlate(x: Tensor, w: Tensor) -> Tensor:
        (H, W), (kh, kw) = x.shape, w.shape
        rows = range(0, H - kh + 1 - less, step(kh))
        columns = range(0, W - kw + 1 - less, step(kw))
        sums = [meet(x[i : i + kh, j : j + kw], w) for i in rows for j in columns]
        return torch.tensor(sums).reshape(len(rows), len(columns))

    return cross_correlate


def _by_conv2d(x: Tensor, w: Tensor) -> Tensor:
    return F.conv2d(x[None, None], w[None, None])[0, 0]


CROSS_CORRELATE = Exercise(
    number="7.3",
    title="Slide the kernel",
    name="cross_correlate",
    difficulty=2,
    minutes=15,
    reference=_by_conv2d,
    tests=[
        Test("sums the products under the kernel", _picture_and_kernel, 3),
        Test(
            "has a number for each place of the kernel",
            _picture_and_kernel,
            1,
            shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "flips the kernel",
            lambda x, w: _by_conv2d(x, w.flip(0, 1)),
            "you turned the kernel by 180 degrees, which is the convolution of the textbooks; "
            "a network does without: w[0, 0] meets the top left corner of the patch",
        ),
        Mistake(
            "stops one place early",
            _slid(less=1),
            "you left out the last row and column of places; there are H - kh + 1 and W - kw + 1",
        ),
        Mistake(
            "turns rows into columns",
            lambda x, w: _by_conv2d(x, w).T,
            "your rows and columns are swapped; place (i, j) of the result belongs to the patch "
            "whose corner is x[i, j]",
        ),
        Mistake(
            "transposes the kernel",
            _slid(lambda patch, w: (patch * w.T).sum()),
            "you transposed the kernel; each weight meets the pixel at its own place: "
            "patch * w, without .T",
        ),
        Mistake(
            "multiplies matrices",
            _slid(lambda patch, w: (patch @ w).sum()),
            "you multiplied matrices with @; a kernel meets its patch entry by entry, with *",
        ),
        Mistake(
            "averages",
            _slid(lambda patch, w: (patch * w).mean()),
            "you averaged the products; sum them, the kernel's weights have the scale already",
        ),
        Mistake(
            "takes the largest product",
            _slid(lambda patch, w: (patch * w).max()),
            "you took the largest product, which is half a pooling; sum all of them",
        ),
        Mistake(
            "keeps the last product",
            _slid(lambda patch, w: patch[-1, -1] * w[-1, -1]),
            "you overwrote the sum with each product, so only the last is left; "
            "add them up with +=",
        ),
        Mistake(
            "moves by a whole kernel",
            _slid(step=lambda k: k),
            "your patches do not overlap; the kernel moves one pixel at a time",
        ),
        Mistake(
            "keeps the size",
            lambda x, w: _by_conv2d(_bordered(_ends)(x, *w.shape), w),
            "you padded the picture; only places where the whole kernel lies inside count, "
            "so the result is smaller: H - kh + 1 by W - kw + 1",
        ),
    ],
)


# 7.4 max_pool2d


def _halved(g: Generator) -> list[tuple]:
    return [(_distinct(g, 1, 3, 4), 2), (_distinct(g, 2, 2, 3), 2)]


def _overlapping(g: Generator) -> list[tuple]:
    return [(_distinct(g, 1, 3, 4), 2, 1), (_distinct(g, 2, 2, 3), 2, 1)]


def _with_border(g: Generator) -> list[tuple]:
    """Among negative numbers a zero would win."""
    return [(-_distinct(g, 1, 3, 4).abs(), 2, 2, 1), (_distinct(g, 2, 2, 3), 3, 2, 1)]


def _windows(
    best: Callable[[Tensor], Tensor] = lambda windows: windows.amax((-2, -1)),
    default: Callable[[int], int] = lambda kernel: kernel,
    border: Callable[[int], tuple[int, ...]] = lambda p: (p, p, p, p),
    fill: float = -math.inf,
) -> Callable:
    """Pooling by torch's windows, (C, H', W', kernel, kernel), with parts that can be spoilt."""

    def max_pool2d(x: Tensor, kernel: int, stride: int | None = None, padding: int = 0) -> Tensor:
        stride = stride or default(kernel)
        x = F.pad(x, border(padding), value=fill)
        return best(x.unfold(1, kernel, stride).unfold(2, kernel, stride))

    return max_pool2d


def _pooled(x: Tensor, kernel: int, stride: int | None = None, padding: int = 0) -> Tensor:
    return F.max_pool2d(x[None], kernel, stride, padding)[0]


def _largest_size(windows: Tensor) -> Tensor:
    flat = windows.flatten(-2)
    return flat.gather(-1, flat.abs().argmax(-1, keepdim=True))[..., 0]


MAX_POOL2D = Exercise(
    number="7.4",
    title="The largest of each window",
    name="max_pool2d",
    difficulty=2,
    minutes=15,
    apart=True,
    reference=_pooled,
    tests=[
        Test("takes windows side by side unless told otherwise", _halved, 2),
        Test("moves by the stride", _overlapping),
        Test("pads with what cannot win", _with_border, 2),
    ],
    mistakes=[
        Mistake(
            "pads with zeros",
            _windows(fill=0.0),
            "you padded with zeros, and a zero is larger than all negative numbers; "
            "pad with -inf, which never wins",
        ),
        Mistake(
            "moves by 1",
            _windows(default=lambda kernel: 1),
            "your stride is 1 unless told otherwise, as for a convolution; a pooling moves by "
            "its own size: stride = kernel",
        ),
        Mistake(
            "always moves by a kernel",
            lambda x, kernel, stride=None, padding=0: _pooled(x, kernel, None, padding),
            "you ignored the stride that was given; only where it is None does it equal the kernel",
        ),
        Mistake(
            "averages",
            lambda x, kernel, stride=None, padding=0: F.avg_pool2d(x, kernel, stride, padding),
            "you averaged each window; take the largest entry",
        ),
        Mistake(
            "takes the largest size",
            _windows(_largest_size),
            "you took the entry that is largest without its sign; -5 is smaller than 1, "
            "so compare without abs()",
        ),
        Mistake(
            "mixes the channels",
            _windows(lambda windows: windows.amax((0, -2, -1))[None]),
            "you took the maximum over the channels as well; each channel is pooled by itself",
        ),
        Mistake(
            "pools the rows only",
            lambda x, kernel, stride=None, padding=0: F.max_pool2d(
                x[None], (kernel, 1), stride and (stride, 1), (padding, 0)
            )[0],
            "you pooled along the height only; a window is kernel by kernel",
        ),
        Mistake(
            "keeps what hangs over",
            lambda x, kernel, stride=None, padding=0: F.max_pool2d(
                x[None], kernel, stride, padding, ceil_mode=True
            )[0],
            "you kept windows that hang over the edge; only whole windows count, "
            "so round the number of steps down",
        ),
        Mistake(
            "begins at zero",
            _windows(lambda windows: windows.amax((-2, -1)).clamp(min=0)),
            "your largest entry so far begins at 0, so negative numbers never win; begin at "
            "-math.inf, or take .max() of the window",
        ),
        Mistake(
            "pads one side",
            _windows(border=lambda p: (p, 0, p, 0)),
            "you padded above and to the left only; the padding goes on all four sides",
        ),
        Mistake(
            "pads the columns only",
            _windows(border=lambda p: (p, p)),
            "you padded left and right only; F.pad takes two numbers for each axis, "
            "the last axis first: (p, p, p, p)",
        ),
        Mistake(
            "ignores the padding",
            lambda x, kernel, stride=None, padding=0: _pooled(x, kernel, stride),
            "you ignored the padding; put a border of -inf around each channel first",
        ),
    ],
)


# 7.5 conv2d


def _sized(*sizes: tuple) -> Callable[[Generator], list[tuple]]:
    """Pictures, kernels and biases of these shapes, then stride, padding, groups."""

    def cases(g: Generator) -> list[tuple]:
        return [
            (_distinct(g, *x), _distinct(g, *w), nonzero(g, w[0]), *rest) for x, w, *rest in sizes
        ]

    return cases


_batch_of_channels = _sized(
    ((2, 2, 1, 3), (2, 2, 1, 2), 1, 0, 1),  # as many channels out as places in a row
    ((1, 2, 2, 3), (3, 2, 1, 2), 1, 0, 1),
    ((1, 2, 2, 3), (1, 2, 2, 2), 1, 0, 1),
)
_stride_and_padding = _sized(
    ((1, 1, 3, 4), (2, 1, 2, 2), 1, 1, 1),
    ((1, 1, 3, 4), (2, 1, 2, 2), 2, 0, 1),
    ((1, 1, 3, 4), (2, 1, 2, 2), 2, 1, 1),
)
_in_groups = _sized(((1, 4, 1, 3), (2, 2, 1, 2), 1, 0, 2), ((1, 2, 2, 3), (4, 1, 1, 2), 1, 0, 2))


def _convolved(x, weight, bias, stride, padding, groups):
    return F.conv2d(x, weight, bias, stride, padding, 1, groups)


def _columns(x, weight, stride, padding) -> tuple[Tensor, tuple[int, int]]:
    """The patches (B, C * kh * kw, L), and height and width of the result."""
    (H, W), kernel = x.shape[2:], weight.shape[2:]
    size = [(n + 2 * padding - k) // stride + 1 for n, k in zip((H, W), kernel, strict=True)]
    return F.unfold(x, kernel, padding=padding, stride=stride), tuple(size)


def _through_columns(
    end: Callable[..., Tensor], rows: Callable[[Tensor], Tensor] = lambda w: w.flatten(1)
) -> Callable:
    """Unfold and multiply in each group; ``end`` gives (B, O, L) its height and width."""

    def conv2d(x, weight, bias, stride, padding, groups):
        sums = []
        for part_of_x, w in zip(x.chunk(groups, 1), weight.chunk(groups), strict=True):
            columns, size = _columns(part_of_x, w, stride, padding)
            sums.append(rows(w) @ columns)
        return end(torch.cat(sums, 1) + bias[:, None], *size)

    return conv2d


def _no_groups(x, weight, bias, stride, padding, groups):
    columns, (H, W) = _columns(x, weight, stride, padding)
    return (weight.flatten(1) @ columns + bias[:, None]).unflatten(2, (H, W))


def _first_group(x, weight, bias, stride, padding, groups):
    return F.conv2d(x[:, : weight.shape[1]], weight, bias, stride, padding)


def _every_group(x, weight, bias, stride, padding, groups):
    return F.conv2d(x, weight.repeat(1, groups, 1, 1), bias, stride, padding)


def _bias_along_the_row(x, weight, bias, stride, padding, groups):
    return _convolved(x, weight, None, stride, padding, groups) + bias


def _channels_added_first(x, weight, bias, stride, padding, groups):
    x = x.unflatten(1, (groups, -1)).sum(2)
    return F.conv2d(x, weight.sum(1, keepdim=True), bias, stride, padding, 1, groups)


def _channels_averaged(x, weight, bias, stride, padding, groups):
    return F.conv2d(x, weight / weight.shape[1], bias, stride, padding, 1, groups)


def _padded_one_side(x, weight, bias, stride, padding, groups):
    x = F.pad(x, (padding, 0, padding, 0))
    return F.conv2d(x, weight, bias, stride, 0, 1, groups)


CONV2D = Exercise(
    number="7.5",
    title="Channels, batch, groups",
    name="conv2d",
    difficulty=4,
    minutes=35,
    apart=True,
    reference=_convolved,
    tests=[
        Test("sums over the channels, for each example", _batch_of_channels, 3),
        Test("moves by the stride over a padded picture", _stride_and_padding, 2),
        Test("keeps the groups apart", _in_groups, 2),
    ],
    mistakes=[
        Mistake(
            "ignores the groups",
            _no_groups,
            "you gave all channels to every kernel; in groups, a kernel has weights for C / groups "
            "channels only: cut x and weight into groups, convolve each pair, join the results",
        ),
        Mistake(
            "deals the channels out",
            lambda x, weight, bias, stride, padding, groups: torch.cat(
                [
                    F.conv2d(x[:, o % groups :: groups], w[None], b[None], stride, padding)
                    for o, (w, b) in enumerate(zip(weight, bias, strict=True))
                ],
                1,
            ),
            "you dealt the channels out in turn; a group has neighbouring channels: "
            "x.chunk(groups, 1)",
        ),
        Mistake(
            "looks at the first group only",
            _first_group,
            "you gave the first channels to all kernels; the kernels of group i see the channels "
            "of group i: x.chunk(groups, 1) and weight.chunk(groups, 0)",
        ),
        Mistake(
            "shows every group to every kernel",
            _every_group,
            "you used each kernel on all groups and added them up; the kernels of group i see the "
            "channels of group i alone",
        ),
        Mistake(
            "scrambles channels and places",
            _through_columns(lambda y, H, W: y.mT.reshape(len(y), -1, H, W)),
            "you reshaped (B, L, O) into (B, O, H', W'), which mixes channels and places; "
            "reshaping never swaps axes, so bring the channels forward first, with .transpose",
        ),
        Mistake(
            "cuts the weights wrongly",
            _through_columns(
                lambda y, H, W: y.unflatten(2, (H, W)), lambda w: w.reshape(-1, len(w)).T
            ),
            "you reshaped the weights to (C kh kw, O), which mixes the kernels; each kernel is one "
            "row: weight.reshape(O, -1)",
        ),
        Mistake(
            "swaps height and width",
            _through_columns(lambda y, H, W: y.unflatten(2, (W, H))),
            "you gave the places a grid of W' rows and H' columns; unfold goes row by row, "
            "so it is (B, O, H', W')",
        ),
        Mistake(
            "flips the kernel",
            lambda x, weight, *rest: _convolved(x, weight.flip(2, 3), *rest),
            "you turned the kernels by 180 degrees; the layer called convolution does not, "
            "it is the cross-correlation of Exercise 7.3",
        ),
        Mistake(
            "adds the channels first",
            _channels_added_first,
            "you added up the channels before the kernels; each channel has weights of its own, "
            "so multiply first and then add up",
        ),
        Mistake(
            "averages the channels",
            _channels_averaged,
            "you averaged over the channels; their sums are added up, and nothing is divided",
        ),
        Mistake(
            "adds the bias along the row",
            _bias_along_the_row,
            "you added the bias along the width, the last axis; there is one for each output "
            "channel: bias[:, None, None]",
        ),
        Mistake(
            "forgets the bias",
            lambda x, weight, bias, *rest: _convolved(x, weight, None, *rest),
            "you left the bias out; each output channel has one, added at every place",
        ),
        Mistake(
            "ignores the stride",
            lambda x, weight, bias, stride, *rest: _convolved(x, weight, bias, 1, *rest),
            "you ignored the stride; keep the patches that lie `stride` pixels apart, in both "
            "directions",
        ),
        Mistake(
            "ignores the padding",
            lambda x, weight, bias, stride, padding, groups: _convolved(
                x, weight, bias, stride, 0, groups
            ),
            "you ignored the padding; put `padding` zeros on all four sides of the picture first",
        ),
        Mistake(
            "pads one side",
            _padded_one_side,
            "you padded above and to the left only; the zeros go on all four sides",
        ),
    ],
)


# 7.6 conv_cost


def _layers(one_group: bool) -> Callable[[Generator], list[tuple]]:
    def cases(g: Generator) -> list[tuple]:
        layers = []
        for kernel in (3, 5):
            groups = 1 if one_group else _some(g, 2, 4)
            C_in, C_out = groups * _some(g, 3, 5), groups * _some(g, 6, 9)
            layers.append((C_in, C_out, kernel, groups, _some(g, 5, 9), _some(g, 10, 14)))
        return layers

    return cases


def _counted_by_torch(C_in, C_out, kernel, groups, H, W):
    layer = nn.Conv2d(C_in, C_out, kernel, groups=groups, device="meta")
    return sum(p.numel() for p in layer.parameters()), layer.weight.numel() * H * W


def _cost(
    weights: Callable[..., int] = lambda i, o, k, G: o * (i // G) * k * k,
    biases: Callable[[int, int], int] = lambda i, o: o,
    work: Callable[..., int] = lambda weights, biases, H, W: weights * H * W,
) -> Callable:
    def conv_cost(C_in, C_out, kernel, groups, H, W):
        n, b = weights(C_in, C_out, kernel, groups), biases(C_in, C_out)
        return n + b, work(n, b, H, W)

    return conv_cost


COSTS = ("parameters", "multiplications")

CONV_COST = Exercise(
    number="7.6",
    title="What a layer costs",
    name="conv_cost",
    difficulty=1,
    minutes=10,
    reference=_counted_by_torch,
    tests=[
        Test("counts the parameters", _layers(True), 1, part(0, *COSTS)),
        Test("counts the multiplications", _layers(True), 1, part(1, *COSTS)),
        Test("counts both in groups", _layers(False), 2),
    ],
    mistakes=[
        Mistake(
            "forgets the biases",
            _cost(biases=lambda i, o: 0),
            "you left out the biases; there is one for each output channel",
        ),
        Mistake(
            "gives each input channel a bias",
            _cost(biases=lambda i, o: i),
            "you counted a bias for each input channel; each output channel has one",
        ),
        Mistake(
            "gives each pair of channels a bias",
            _cost(biases=lambda i, o: i * o),
            "you counted a bias for each pair of channels; the sums over all input channels come "
            "first, then one bias for each output channel",
        ),
        Mistake(
            "forgets the groups",
            _cost(lambda i, o, k, G: o * i * k * k),
            "you left the groups out; an output channel sees C_in / groups input channels only",
        ),
        Mistake(
            "divides by the groups twice",
            _cost(lambda i, o, k, G: (o // G) * (i // G) * k * k),
            "you divided by the groups twice, which is the cost of one group; there are `groups` "
            "of them, so one division is left",
        ),
        Mistake(
            "takes a kernel for a line",
            _cost(lambda i, o, k, G: o * (i // G) * k),
            "your kernel has one row; it is kernel by kernel pixels",
        ),
        Mistake(
            "forgets the input channels",
            _cost(lambda i, o, k, G: o * k * k),
            "you counted one flat kernel for each output channel; a kernel has a layer of weights "
            "for every input channel that it sees",
        ),
        Mistake(
            "takes the output for the input",
            lambda i, o, k, G, H, W: (
                _cost()(i, o, k, G, H, W)[0],
                _cost()(i, o, k, G, H - k + 1, W - k + 1)[1],
            ),
            "you took H and W for the size of the input; they are the output's, so there are H * W "
            "places",
        ),
        Mistake(
            "multiplies the biases too",
            _cost(work=lambda weights, biases, H, W: (weights + biases) * H * W),
            "you counted the biases among the multiplications; they are only added",
        ),
        Mistake(
            "forgets the places",
            _cost(work=lambda weights, biases, H, W: weights),
            "you counted the multiplications at one place; every weight is used again at each of "
            "the H * W places",
        ),
        Mistake(
            "has weights for every place",
            lambda *args: tuple(n * args[4] * args[5] for n in _counted_by_torch(*args)[:1]) * 2,
            "you counted the parameters anew for each place; the same weights serve at all of "
            "them, which is the point of the layer",
        ),
        Mistake(
            "returns the multiplications first",
            lambda *args: _counted_by_torch(*args)[::-1],
            "you swapped the two; return the parameters first, then the multiplications",
        ),
        Mistake(
            "returns the parameters alone",
            lambda *args: _counted_by_torch(*args)[0],
            "you returned one number; return two, parameters and multiplications",
        ),
    ],
)


# 7.7 receptive_field


def _stack(strides: tuple[int, ...], dilations: tuple[int, ...]) -> Callable:
    """Kernels that all differ, so that the order of the layers counts."""

    def cases(g: Generator) -> list[tuple]:
        kernels = (2 + torch.randperm(4, generator=g)[:3]).tolist()
        return [(tuple(zip(kernels, strides, dilations, strict=True)),)]

    return cases


def _from_behind(layers: tuple) -> int:
    """How many pixels one output needs: of the last layer's input, then of the one before."""
    size = 1
    for kernel, stride, dilation in reversed(layers):
        size = (size - 1) * stride + dilation * (kernel - 1) + 1
    return size


def _dilation_lasts(layers: tuple) -> int:
    size, jump = 1, 1
    for kernel, stride, dilation in layers:
        size, jump = size + dilation * (kernel - 1) * jump, jump * stride * dilation
    return size


def _without_gaps(layers: tuple) -> int:
    """The pixels that count, one by one; those that no tap meets are left out."""
    seen = {0}
    for kernel, stride, dilation in reversed(layers):
        seen = {place * stride + dilation * tap for place in seen for tap in range(kernel)}
    return len(seen)


def _grown(
    wider: Callable[..., int] = lambda k, d, jump: d * (k - 1) * jump,
    step: Callable[[int, int], int] = lambda jump, stride: jump * stride,
    start: int = 1,
    early: bool = False,
) -> Callable:
    """Layer by layer from the front; ``early`` lets a layer's own stride count for itself."""

    def receptive_field(layers: tuple) -> int:
        size, jump = start, 1
        for kernel, stride, dilation in layers:
            after = step(jump, stride)
            size += wider(kernel, dilation, after if early else jump)
            jump = after
        return size

    return receptive_field


RECEPTIVE_FIELD = Exercise(
    number="7.7",
    title="How far an output sees",
    name="receptive_field",
    difficulty=3,
    minutes=15,
    reference=_from_behind,
    tests=[
        Test("adds up layers without stride", _stack((1, 1, 1), (1, 1, 1))),
        Test("widens what follows a stride", _stack((2, 3, 2), (1, 1, 1)), 2),
        Test(
            "widens dilated kernels",
            lambda g: [*_stack((2, 1, 2), (1, 3, 2))(g), (((_some(g, 2, 5), 1, 3),),)],
        ),
    ],
    mistakes=[
        Mistake(
            "forgets the jump",
            _grown(step=lambda jump, stride: 1),
            "you added kernel - 1 for each layer, as if no layer had a stride; after strides "
            "neighbours lie `jump` pixels apart, and each gap counts that much",
        ),
        Mistake(
            "adds up the kernels",
            _grown(lambda k, d, jump: k, start=0),
            "you added up the kernels; the windows of neighbours overlap, so a layer adds "
            "kernel - 1, times the jump",
        ),
        Mistake(
            "lets a stride count for its own layer",
            _grown(early=True),
            "you multiplied the jump by a layer's stride before using it; a stride spreads the "
            "outputs, so it counts from the next layer on",
        ),
        Mistake(
            "adds whole kernels",
            _grown(lambda k, d, jump: d * k * jump),
            "you added kernel * jump; one of the kernel's taps is there already, "
            "so a layer adds (kernel - 1) * jump",
        ),
        Mistake(
            "starts at nothing",
            _grown(start=0),
            "your result is 1 too small: before the first layer a pixel sees itself, "
            "so the size starts at 1",
        ),
        Mistake(
            "multiplies the kernels",
            lambda layers: math.prod(kernel for kernel, _, _ in layers),
            "you multiplied the kernels; each layer *adds* kernel - 1 gaps of `jump` pixels",
        ),
        Mistake(
            "remembers the last stride only",
            _grown(step=lambda jump, stride: stride),
            "you took the stride of the layer before for the jump; strides multiply from layer "
            "to layer: jump *= stride",
        ),
        Mistake(
            "adds up the strides",
            _grown(step=lambda jump, stride: jump + stride - 1),
            "you added up the strides; they multiply: two layers of stride 2 place neighbours "
            "4 pixels apart",
        ),
        Mistake(
            "forgets the dilation",
            _grown(lambda k, d, jump: (k - 1) * jump),
            "you left the dilation out; the taps of a dilated kernel lie `dilation` entries apart, "
            "so it spans dilation * (kernel - 1) gaps",
        ),
        Mistake(
            "leaves out the gaps",
            _without_gaps,
            "you counted only the pixels that a tap meets; the field reaches from the first of "
            "them to the last, with the gaps between",
        ),
        Mistake(
            "lets the dilation last",
            _dilation_lasts,
            "you multiplied the jump by the dilation; a dilation spreads the taps of its own layer "
            "only, the jump grows with the strides",
        ),
        Mistake(
            "goes from behind",
            lambda layers: _grown()(layers[::-1]),
            "you went through the layers from the last to the first, but with the rule for going "
            "forwards; either go forwards, or use size = (size - 1) * stride + kernel",
        ),
    ],
)


# 7.8 Residual


class _Conv:
    """A convolution that is quickly made: the programs fill in its weights."""

    def __init__(
        self, C_in: int, C_out: int, size: int, stride: int = 1, bias: bool = False
    ) -> None:
        self.weight, self.stride = torch.empty(C_out, C_in, size, size), stride
        self.bias = torch.empty(C_out) if bias else None

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.weight.shape[-1] // 2)


class _NormedConv(_Conv):
    """With a norm behind it."""

    def __init__(self, C_in: int, C_out: int, size: int, stride: int) -> None:
        super().__init__(C_in, C_out, size, stride)
        self.scale, self.shift = torch.empty(C_out), torch.empty(C_out)

    def __call__(self, x: Tensor) -> Tensor:
        C = len(self.scale)
        y = super().__call__(x)
        return F.batch_norm(y, torch.zeros(C), torch.ones(C), self.scale, self.shift)


class _Norm:
    """As it is in evaluation, before it has seen anything."""

    def __init__(self, C: int) -> None:
        self.weight, self.bias = torch.empty(C), torch.empty(C)

    def __call__(self, x: Tensor) -> Tensor:
        C = len(self.weight)
        return F.batch_norm(x, torch.zeros(C), torch.ones(C), self.weight, self.bias)


class _Residual:
    """The block, equal to that of the library; a mistake replaces a part."""

    def __init__(self, C_in: int, C_out: int, stride: int = 1) -> None:
        first, second = self.strides(stride)
        self.conv1 = _Conv(C_in, C_out, 3, first, self.has_bias)
        self.norm1 = _Norm(C_out)
        self.conv2 = _Conv(C_out, C_out, 3, second, self.has_bias)
        self.norm2 = _Norm(C_out)
        self.shortcut: Callable[[Tensor], Tensor] = lambda x: x
        if self.projects(C_in, C_out, stride):
            self.shortcut = self.projection(C_in, C_out, stride)

    def eval(self) -> _Residual:
        return self

    def parameters(self) -> list[Tensor]:
        layers = self.conv1, self.norm1, self.conv2, self.norm2, self.shortcut
        return [p for layer in layers for p in vars(layer).values() if isinstance(p, Tensor)]

    has_bias = False

    def strides(self, stride: int) -> tuple[int, int]:
        return stride, 1

    def projects(self, C_in: int, C_out: int, stride: int) -> bool:
        return C_in != C_out or stride != 1

    def projection(self, C_in: int, C_out: int, stride: int) -> _Conv:
        return _Conv(C_in, C_out, 1, stride, self.has_bias)

    def inner(self, x: Tensor) -> Tensor:
        return self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))

    def __call__(self, x: Tensor) -> Tensor:
        return (self.inner(x) + self.shortcut(x)).relu()


def _block_with(**parts_of_it: Any) -> type:
    return type("Residual", (_Residual,), parts_of_it)


def _block(results: str, *lines: str, sizes: tuple[tuple[int, ...], ...]) -> Callable:
    """Programs that make a block of each size and give its parameters fixed values."""

    def cases(g: Generator) -> list[tuple]:
        k, m = (torch.randperm(8, generator=g)[:2] + 2).tolist()
        return [("Residual", "; ".join([*_made(g, size, k, m), *lines]), results) for size in sizes]

    return cases


def _made(g: Generator, size: tuple[int, ...], k: int, m: int) -> list[str]:
    picture = torch.randint(-9, 10, (size[0] * 9,), generator=g).tolist()
    return [
        "import torch",
        f"block = Residual{size}.eval()",
        "fill = lambda p, k: p.data.copy_(torch.sin(1 + k * torch.arange(p.numel())).view_as(p))",
        f"[fill(p, {k}) for p in block.parameters()]",
        f"fill(block.norm2.weight, {m})",
        f"fill(block.conv2.weight, {m})",
        f"x = torch.tensor({picture}).view(1, {size[0]}, 3, 3) / 4",
    ]


def _counted(*sizes: tuple[int, ...]) -> Callable:
    count = "n = sum(p.numel() for p in block.parameters())"
    return lambda g: [("Residual", f"block = Residual{size}; {count}", "n") for size in sizes]


RESIDUAL = Exercise(
    number="7.8",
    title="A block with a way around",
    name="Residual",
    difficulty=3,
    minutes=25,
    apart=True,
    reference=_Residual,
    tests=[
        Test(
            "adds the input before the last ReLU",
            _block("y", "y = block(x)", sizes=((2, 2),)),
            3,
            probe=program,
        ),
        Test(
            "projects it where channels or size change",
            _block("y", "y = block(x)", sizes=((1, 2), (2, 2, 2))),
            2,
            probe=program,
        ),
        Test(
            "has the parameters that it needs",
            _counted((2, 2), (1, 2), (2, 2, 2)),
            1,
            probe=program,
        ),
    ],
    mistakes=[
        Mistake(
            "adds after the last ReLU",
            _block_with(__call__=lambda self, x: self.inner(x).relu() + self.shortcut(x)),
            "you added the shortcut after the last ReLU; add it before: relu(F(x) + shortcut(x))",
        ),
        Mistake(
            "bends both before it adds",
            _block_with(__call__=lambda self, x: (self.inner(x).relu() + self.shortcut(x)).relu()),
            "you applied ReLU to the inner path before the sum, so it can only add and never take "
            "away; ReLU follows the sum",
        ),
        Mistake(
            "forgets the last ReLU",
            _block_with(__call__=lambda self, x: self.inner(x) + self.shortcut(x)),
            "you left out the ReLU behind the sum",
        ),
        Mistake(
            "forgets the shortcut",
            _block_with(__call__=lambda self, x: self.inner(x).relu()),
            "your block does not add its input; without the way around it is a plain stack of "
            "two convolutions",
        ),
        Mistake(
            "bends before it normalises",
            _block_with(
                inner=lambda self, x: self.norm2(self.conv2(self.norm1(self.conv1(x).relu())))
            ),
            "you applied ReLU before the norm; here the order is conv, norm, ReLU",
        ),
        Mistake(
            "forgets the ReLU between",
            _block_with(inner=lambda self, x: self.norm2(self.conv2(self.norm1(self.conv1(x))))),
            "you left out the ReLU between the two convolutions, and two of them without a bend "
            "make one",
        ),
        Mistake(
            "forgets the second norm",
            _block_with(inner=lambda self, x: self.conv2(self.norm1(self.conv1(x)).relu())),
            "you left out norm2; it follows conv2, before the sum",
        ),
        Mistake(
            "uses the first norm twice",
            _block_with(
                inner=lambda self, x: self.norm1(self.conv2(self.norm1(self.conv1(x)).relu()))
            ),
            "you used norm1 twice; norm2 follows conv2, with weights and statistics of its own",
        ),
        Mistake(
            "normalises after the sum",
            _block_with(
                __call__=lambda self, x: self.norm2(
                    self.conv2(self.norm1(self.conv1(x)).relu()) + self.shortcut(x)
                ).relu()
            ),
            "you applied norm2 to the sum; it belongs to the inner path, so that the way around "
            "stays free",
        ),
        Mistake(
            "never projects",
            _block_with(projects=lambda self, C_in, C_out, stride: False),
            "you add x as it is where its shape differs; one channel is even copied in silence "
            "onto many: project it with a 1 x 1 convolution",
        ),
        Mistake(
            "projects for channels only",
            _block_with(projects=lambda self, C_in, C_out, stride: C_in != C_out),
            "you project only where the channels change; a stride makes the picture smaller, "
            "and then x needs a projection too",
        ),
        Mistake(
            "always projects",
            _block_with(projects=lambda self, C_in, C_out, stride: True),
            "you project even where the shapes agree; there the input is added as it is, "
            "by nn.Identity()",
        ),
        Mistake(
            "projects without the stride",
            _block_with(projection=lambda self, C_in, C_out, stride: _Conv(C_in, C_out, 1)),
            "your projection has no stride, so it keeps the large picture; it takes the stride of "
            "conv1",
        ),
        Mistake(
            "normalises the projection",
            _block_with(
                projection=lambda self, *sizes: _NormedConv(sizes[0], sizes[1], 1, sizes[2])
            ),
            "you put a norm behind the projection, as many do; here the shortcut is the 1 x 1 "
            "convolution alone",
        ),
        Mistake(
            "takes the stride in the second convolution",
            _block_with(strides=lambda self, stride: (1, stride)),
            "you gave the stride to conv2; conv1 has it, so that both norms and conv2 work on the "
            "smaller picture",
        ),
        Mistake(
            "has biases",
            _block_with(has_bias=True),
            "your convolutions have biases, which the norm behind each subtracts again; "
            "make them with bias=False",
        ),
    ],
)


# 7.9 conv2d_backward

GRADS = ("grad_x", "grad_weight", "grad_bias")
BATCH = (2, 2, 1, 3), (2, 2, 1, 2), 1  # pictures, kernels (as many channels out as in), stride
OVERLAPPING = (1, 1, 3, 4), (2, 1, 2, 2), 1
APART = (1, 1, 3, 4), (2, 1, 2, 2), 2
LEAPING = (1, 2, 1, 6), (1, 2, 1, 3), 2  # a stride, and still an overlap


def _slopes(*sizes: tuple) -> Callable[[Generator], list[tuple]]:
    def cases(g: Generator) -> list[tuple]:
        made = []
        for x, w, stride in sizes:
            size = [(n - k) // stride + 1 for n, k in zip(x[2:], w[2:], strict=True)]
            grad = _distinct(g, x[0], w[0], *size)
            made.append((_distinct(g, *x), _distinct(g, *w), grad, stride))
        return made

    return cases


def _by_autograd(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> tuple[Tensor, ...]:
    inputs = [t.clone().requires_grad_() for t in (x, weight, torch.zeros(len(weight)))]
    # not grad(y, inputs, grad), which has torch import sympy first
    return torch.autograd.grad((F.conv2d(*inputs, stride) * grad).sum(), inputs)


def _to_input(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    return F.fold(
        weight.flatten(1).T @ grad.flatten(2), x.shape[2:], weight.shape[2:], 1, 0, stride
    )


def _to_weight(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    columns = F.unfold(x, weight.shape[2:], stride=stride)
    return (grad.flatten(2) @ columns.mT).sum(0).view_as(weight)


def _to_bias(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    return grad.sum((0, 2, 3))


def _back(to_input=_to_input, to_weight=_to_weight, to_bias=_to_bias) -> Callable:
    """The three slopes, one of them spoilt."""
    return lambda *args: (to_input(*args), to_weight(*args), to_bias(*args))


def _overwritten(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    """The last place that saw a pixel has the say."""
    kh, kw = weight.shape[2:]
    out = torch.zeros_like(x)
    for i in range(grad.shape[2]):
        for j in range(grad.shape[3]):
            there = slice(i * stride, i * stride + kh), slice(j * stride, j * stride + kw)
            out[:, :, *there] = torch.einsum("bo,ochw->bchw", grad[:, :, i, j], weight)
    return out


def _without_stride(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    """Each slope lands at (i, j) in place of (i * stride, j * stride)."""
    near = F.conv_transpose2d(grad, weight)
    H, W = (n - m for n, m in zip(x.shape[2:], near.shape[2:], strict=True))
    return F.pad(near, (0, W, 0, H))


def _patches_without_stride(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    kh, kw = weight.shape[2:]
    h, w = grad.shape[2:]
    return _to_weight(x[:, :, : h + kh - 1, : w + kw - 1], weight, grad, 1)


def _grad_as_a_kernel(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    return F.conv2d(x.transpose(0, 1), grad.transpose(0, 1)).transpose(0, 1)


CONV2D_BACKWARD = Exercise(
    number="7.9",
    title="The way back through a convolution",
    name="conv2d_backward",
    difficulty=5,
    minutes=45,
    apart=True,
    reference=_by_autograd,
    tests=[
        Test("finds the slope by the biases", _slopes(BATCH, OVERLAPPING), 1, part(2, *GRADS)),
        Test("finds the slope by the weights", _slopes(BATCH, APART), 3, part(1, *GRADS)),
        Test(
            "finds the slope by the input", _slopes(BATCH, OVERLAPPING, LEAPING), 3, part(0, *GRADS)
        ),
    ],
    mistakes=[
        Mistake(
            "turns the kernel on the way back",
            _back(lambda x, w, *rest: _to_input(x, w.flip(2, 3), *rest)),
            "in grad_x your kernel is turned the wrong way round: a slope goes back to each pixel "
            "through the very weight that the pixel was multiplied by; as a sliding kernel, that "
            "is the kernel turned by 180 degrees",
        ),
        Mistake(
            "overwrites where windows overlap",
            _back(_overwritten),
            "in grad_x later windows overwrite earlier ones; a pixel lies under several windows, "
            "and its slope is the sum of what they send back: +=",
        ),
        Mistake(
            "forgets the stride in grad_x",
            _back(_without_stride),
            "in grad_x you put the slopes side by side; the output (i, j) looked at the window "
            "that begins at (stride * i, stride * j), so that is where its slope goes",
        ),
        Mistake(
            "slides over grad without the stride",
            _back(lambda x, w, grad, stride: F.conv_transpose2d(grad, w)),
            "your grad_x is too small, because you forgot the stride: before a turned kernel "
            "slides over it, grad needs stride - 1 zeros between its entries",
        ),
        Mistake(
            "swaps the channels in grad_x",
            _back(lambda x, w, *rest: _to_input(x, w.transpose(0, 1), *rest)),
            "in grad_x you swapped input and output channels; the sum goes over the output "
            "channels, axis 0 of the weights: W.T @ grad",
        ),
        Mistake(
            "forgets the stride in grad_weight",
            _back(to_weight=_patches_without_stride),
            "in grad_weight you took patches that lie side by side; the output (i, j) saw the "
            "patch that begins at (stride * i, stride * j)",
        ),
        Mistake(
            "slides grad over x without the stride",
            _back(to_weight=_grad_as_a_kernel),
            "your grad_weight is too large, because you forgot the stride: as a kernel on x, grad "
            "has its entries `stride` apart, as with a dilation",
        ),
        Mistake(
            "flips grad_weight",
            _back(to_weight=lambda *args: _to_weight(*args).flip(2, 3)),
            "your grad_weight is turned by 180 degrees; weight [a, b] met the pixel "
            "[stride * i + a, stride * j + b], so nothing is turned here",
        ),
        Mistake(
            "averages grad_weight over the batch",
            _back(to_weight=lambda x, *rest: _to_weight(x, *rest) / len(x)),
            "you averaged grad_weight over the batch; the slopes of all examples add up, "
            "the mean is in the loss already",
        ),
        Mistake(
            "sees the first example only",
            _back(to_weight=lambda x, w, grad, s: _to_weight(x[:1], w, grad[:1], s)),
            "your grad_weight comes from one example; the same weights served all of them, "
            "so sum over the batch",
        ),
        Mistake(
            "averages the bias over the places",
            _back(to_bias=lambda x, w, grad, s: grad.mean((2, 3)).sum(0)),
            "you averaged grad_bias over the places; the bias was added at each of them, "
            "so the slopes add up",
        ),
        Mistake(
            "keeps a bias for each example",
            _back(to_bias=lambda x, w, grad, s: grad.sum((2, 3))),
            "your grad_bias has a row for each example; the bias serves the whole batch, "
            "so sum over axis 0 too",
        ),
        Mistake(
            "sums the bias over the channels",
            _back(to_bias=lambda x, w, grad, s: grad.sum()),
            "you summed grad_bias over the channels too; each output channel has its own bias",
        ),
    ],
)


# 7.10 train_cnn

BARS = (  # three pixels in a row, upright where y is 1, at a place drawn at random
    "import torch; g = torch.Generator().manual_seed({seed}); y = torch.arange({B}) % 2; "
    "X = 0.1 * torch.randn({B}, 1, 6, 6, generator=g); "
    "a, b = (torch.randint(n, ({B},), generator=g) for n in (4, 6)); "
    "rows = [torch.where(y == 1, a + d, b) for d in range(3)]; "
    "columns = [torch.where(y == 1, b, a + d) for d in range(3)]; "
    "X[torch.arange({B})[:, None], 0, torch.stack(rows, 1), torch.stack(columns, 1)] += 1"
)
START = (
    "W1 = 0.4 * torch.randn({C}, 1, 3, 3, generator=g); b1 = {b1}; "
    "W2 = 0.5 * torch.randn(2, {C}, generator=g); b2 = torch.zeros(2)"
)
PARAMS = ("W1", "b1", "W2", "b2")
SEEN_BY_THE_GRADER = 0  # the seed of the pictures that it judges by
LEEWAY = 0.1  # rounding adds up from step to step


def _training(steps: int, lr: float, B: int, C: int, b1: str) -> Callable[[Generator], list[tuple]]:
    def cases(g: Generator) -> list[tuple]:
        made = [BARS.format(seed=_some(g, 1, 9999), B=B), START.format(C=C, b1=b1)]
        train = f"trained = train_cnn(X, y, W1, b1, W2, b2, {lr}, {steps})"
        return [("train_cnn", "; ".join([*made, train]), "trained")]

    return cases


def _few_filters(steps: int) -> Callable[[Generator], list[tuple]]:
    """The first of three filters is silent at the start, as only ReLU makes it."""
    return _training(steps, 0.5, B=6, C=3, b1="torch.tensor([-3.0, 0.0, 0.5])")


_to_the_end = _training(6, 1.0, B=16, C=8, b1="torch.zeros(8)")


@lru_cache
def _fresh_pictures() -> tuple[Tensor, Tensor]:
    made = program(None, "_", BARS.format(seed=SEEN_BY_THE_GRADER, B=60), "X, y")
    return made["X"], made["y"]


def _logits(X: Tensor, W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor) -> Tensor:
    h = F.relu(F.conv2d(X, W1, b1)).amax((2, 3))  # (B, C)
    return h @ W2.T + b2


def _on_fresh_pictures(C: int, B: int) -> Callable[[tuple, Any], Tensor]:
    """What the weights say to pictures that the learner has not seen, computed here."""
    sizes = ((C, 1, 3, 3), (C,), (2, C), (2,))

    def logits(args: tuple, value: dict) -> Tensor:
        given = zip(PARAMS, parts(value["trained"], *PARAMS), sizes, strict=True)
        params = [numbers(name, p, size).float() for name, p, size in given]
        return _logits(_fresh_pictures()[0][:B], *params)

    return logits


def _trained(X, y, W1, b1, W2, b2, lr, steps):
    params = [p.clone().requires_grad_() for p in (W1, b1, W2, b2)]
    for _ in range(steps):
        grads = torch.autograd.grad(F.cross_entropy(_logits(X, *params), y), params)
        params = [
            (p - lr * g).detach().requires_grad_() for p, g in zip(params, grads, strict=True)
        ]
    return params


def _largest(z: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of each map (B, C, L), and its slope by every place."""
    best, at = z.max(-1)
    return best, F.one_hot(at, z.shape[-1]).float()


def _bent_largest(z: Tensor) -> tuple[Tensor, Tensor]:
    best, slope = _largest(z)
    return best.relu(), slope * (best > 0)[..., None]


def _bent_mean(z: Tensor) -> tuple[Tensor, Tensor]:
    return z.relu().mean(-1), (z > 0) / z.shape[-1]


def _error(logits: Tensor, y: Tensor) -> Tensor:
    return torch.softmax(logits, 1) - F.one_hot(y, 2)


def _mean_error(logits: Tensor, y: Tensor) -> Tensor:
    return _error(logits, y) / len(y)


def _descent(
    pool: Callable[[Tensor], tuple[Tensor, Tensor]] = _bent_largest,
    padding: int = 0,
    error: Callable[[Tensor, Tensor], Tensor] = _mean_error,
    rate: float = 1.0,
    keep: float = 0.0,
    moved: tuple[bool, ...] = (True,) * 4,
) -> Callable:
    """Training by hand, a few times as fast as autograd here, with parts that can be spoilt.

    ``rate`` multiplies the learning rate, ``keep`` is what is left of the gradient of the step
    before.
    """

    def train_cnn(X, y, W1, b1, W2, b2, lr, steps):
        columns = F.unfold(X, 3, padding=padding)  # (B, 9, L)
        sums = [0.0] * 4
        for _ in range(steps):
            h, slope = pool(W1.flatten(1) @ columns + b1[:, None])  # (B, C), (B, C, L)
            d2 = error(h @ W2.T + b2, y)  # (B, 2)
            d1 = (d2 @ W2)[..., None] * slope  # (B, C, L)
            gW1 = (d1 @ columns.mT).sum(0).view_as(W1)
            grads = gW1, d1.sum((0, 2)), d2.T @ h, d2.sum(0)
            sums = [keep * s + g for s, g in zip(sums, grads, strict=True)]
            W1, b1, W2, b2 = (
                p - rate * lr * m * s for p, s, m in zip((W1, b1, W2, b2), sums, moved, strict=True)
            )
        return W1, b1, W2, b2

    return train_cnn


def _share_right(logits: Tensor) -> float:
    return (logits.argmax(1) == _fresh_pictures()[1]).double().mean().item()


@lru_cache(maxsize=256)
def _share_of_the_recipe(*args: str) -> float:
    return _share_right(_on_fresh_pictures(8, 60)(args, program(_descent(), *args)))


def _tells_bars_apart(args: tuple, logits: Tensor) -> str | None:
    share, wanted = _share_right(logits), _share_of_the_recipe(*args)
    if share >= wanted - LEEWAY:
        return None
    return f"{share:.0%} of 60 new pictures are told right; the recipe reaches {wanted:.0%}"


TRAIN_CNN = Exercise(
    number="7.10",
    title="Learn to tell bars apart",
    name="train_cnn",
    difficulty=4,
    minutes=30,
    reference=_trained,
    tests=[
        Test(
            "takes one step downhill", _few_filters(1), 2, _on_fresh_pictures(3, 20), probe=program
        ),
        Test(
            "takes as many as asked for",
            _few_filters(2),
            2,
            _on_fresh_pictures(3, 20),
            probe=program,
        ),
        Test(
            "tells new pictures apart",
            _to_the_end,
            2,
            _on_fresh_pictures(8, 60),
            _tells_bars_apart,
            program,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "averages over the places",
            _descent(_bent_mean),
            "you averaged each map; here the largest entry of a map goes on: amax((2, 3))",
        ),
        Mistake(
            "forgets ReLU",
            _descent(_largest),
            "you left out ReLU, so filters that see nothing of theirs vote with negative numbers; "
            "it follows the convolution",
        ),
        Mistake(
            "pads",
            _descent(padding=1),
            "you padded the pictures; this network has no padding, its maps are 4 by 4",
        ),
        Mistake(
            "trains the last layer only",
            _descent(moved=(False, False, True, True)),
            "your filters stayed as they were; W1 and b1 have gradients too",
        ),
        Mistake(
            "forgets to clear the gradients",
            _descent(keep=1.0),
            "your first step is right and the next are not: backward() adds to .grad, "
            "so clear the gradients before each step",
        ),
        Mistake(
            "takes one step",
            lambda X, y, W1, b1, W2, b2, lr, steps: _descent()(X, y, W1, b1, W2, b2, lr, 1),
            "you took a single step; repeat it `steps` times, from the new weights each time",
        ),
        Mistake(
            "goes uphill",
            _descent(rate=-1.0),
            "you added the gradient, which points uphill; subtract lr times the gradient",
        ),
        Mistake(
            "sums the loss",
            _descent(error=_error),
            "your steps are as many times too long as there are pictures: the loss is a mean over "
            "the batch, not a sum",
        ),
        Mistake(
            "gives a loss back",
            lambda X, y, *params_and_more: F.cross_entropy(_logits(X, *params_and_more[:4]), y),
            "you returned a loss; return the four trained tensors, W1, b1, W2, b2, "
            "and the grader looks at new pictures through them",
        ),
    ],
)

EXERCISES = (
    OUTPUT_SIZE,
    PAD_SAME,
    CROSS_CORRELATE,
    MAX_POOL2D,
    CONV2D,
    CONV_COST,
    RECEPTIVE_FIELD,
    RESIDUAL,
    CONV2D_BACKWARD,
    TRAIN_CNN,
)

check = checker(EXERCISES)
