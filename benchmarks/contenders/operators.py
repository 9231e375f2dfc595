"""Forward and backward of the book's operators beside torch's."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

Inputs = list[Tensor]
Run = Callable[[], dict[str, float] | None]


def times(function: Callable[..., Tensor], inputs: Inputs, steps: int) -> Run:
    """A run: so many forward passes, and backward from one and the same gradient of the result."""
    for tensor in inputs:
        tensor.requires_grad_()
    (from_above,) = draw(function(*inputs).shape)

    def run() -> dict[str, float]:
        for _ in range(steps):
            gradients = torch.autograd.grad(function(*inputs), inputs, from_above)
        return {"gradients": sum(float(g.abs().sum()) for g in gradients)}

    return run


def draw(*shapes: tuple[int, ...]) -> Inputs:
    """Normal numbers, the same each time."""
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draws) for shape in shapes]


PICTURES = ((64, 16, 28, 28), (32, 16, 3, 3), (32,))  # x, weight, bias


def conv2d(steps: int = 10):
    """The book's convolution by unfold."""
    from course_lib.cnn import conv2d as ours

    return times(lambda x, w, b: ours(x, w, b, padding=1), draw(*PICTURES), steps)


def torch_conv2d(steps: int = 10):
    """torch's convolution."""
    return times(lambda x, w, b: F.conv2d(x, w, b, padding=1), draw(*PICTURES), steps)


def heads(T: int, batch: int = 16) -> list[tuple[int, ...]]:
    """Shapes of queries, keys and values."""
    return [(batch, 4, T, 32)] * 3


def attention(T: int = 128, batch: int = 16, steps: int = 10, keep: bool = False):
    """The book's scaled dot product; ``keep``: the C library hands no freed block back."""
    from course_lib.attention import attend
    from course_lib.studies._fashion_mnist import keep_memory

    if keep:
        keep_memory()
    return times(lambda q, k, v: attend(q, k, v)[0], draw(*heads(T, batch)), steps)


def torch_attention(T: int = 128, batch: int = 16, steps: int = 10):
    """torch's fused kernel, and no other."""

    def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return F.scaled_dot_product_attention(q, k, v)

    return times(fused, draw(*heads(T, batch)), steps)


def _lstm(layer: nn.Module, steps: int, T: int) -> Run:
    torch.manual_seed(0)
    layer.load_state_dict(nn.LSTM(64, 128).state_dict())  # ours has the same names
    (x,) = draw((T, 64, 64))
    weights = list(layer.parameters())

    def run() -> dict[str, float]:
        for _ in range(steps):
            gradients = torch.autograd.grad(layer(x)[0].sum(), weights)
        return {"gradients": sum(float(g.abs().sum()) for g in gradients)}

    return run


def lstm(steps: int = 2, T: int = 128):
    """The book's LSTM layer: B 64, H 128."""
    from course_lib.rnn import LSTM

    return _lstm(LSTM(64, 128, device="cpu"), steps, T)


def torch_lstm(steps: int = 2, T: int = 128):
    """torch's LSTM layer."""
    return _lstm(nn.LSTM(64, 128), steps, T)


def write(cache: bool, length: int = 256):
    """A GPT of the book writes 256 symbols, with its cache of keys and values or without."""
    from course_lib.transformer import GPT, generate

    torch.manual_seed(0)
    model = GPT(65, width=128, layers=4, heads=4, block=length + 1, device="cpu").eval()
    prompt = torch.zeros(1, dtype=torch.long)

    def run() -> dict[str, float]:
        draws = torch.Generator().manual_seed(0)
        written = generate(model, prompt, length, cache=cache, generator=draws)
        return {"written": float(written.sum())}

    return run
