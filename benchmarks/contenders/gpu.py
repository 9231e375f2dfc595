"""What a GPU makes of it: the share of its matrix peak, the loop, and how often that waits for it.

Every function takes the device, so that a machine without a GPU can try the code on its CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contenders.training import BATCH, LOSS, LR, network, pictures, step

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "aten::_local_scalar_dense")


def settle(device: str) -> None:
    """Wait until the card has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def worked(work: Callable[[], object], device: str, steps: int):
    """A run: seconds of a step, and 10^12 floating-point operations a second of matrix products."""
    with FlopCounterMode(display=False) as counter:
        work()
    flops = counter.get_total_flops()

    def run() -> dict[str, float]:
        settle(device)
        start = time.perf_counter()
        for _ in range(steps):
            work()
        settle(device)
        seconds = (time.perf_counter() - start) / steps
        return {"seconds": seconds, "tflops": flops / seconds / 1e12}

    return run


def peak(size: int = 8192, device: str = "cuda", steps: int = 50):
    """The product of two square matrices of 16-bit numbers: the most that the card does."""
    A, B = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)
    return worked(lambda: A @ B, device, steps)


def learning(
    model: nn.Module,
    inputs: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    bf16: bool,
    compiled: bool,
    steps: int,
):
    """Steps of AdamW on one batch."""
    device = str(inputs.device)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = torch.compile(model) if compiled else model

    def work() -> None:
        opt.zero_grad()
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
            value = loss(forward(inputs))
        value.backward()
        opt.step()

    return worked(work, device, steps)


def gpt(bf16=False, compiled=False, device="cuda", batch=16, block=1024, layers=12, steps=10):
    """The course's GPT at the size of GPT-2 small."""
    from course_lib.transformer import GPT, nats

    torch.manual_seed(0)
    model = GPT(50_304, 64 * layers, layers, layers, block, device=device)
    tokens = torch.randint(50_304, (batch, block), device=device)
    return learning(model, tokens, lambda z: nats(z, tokens), bf16, compiled, steps)


def resnet(bf16=False, compiled=False, device="cuda", batch=1024, steps=20):
    """The course's ResNet on pictures of 28 by 28."""
    from course_lib.cnn import ResNet

    torch.manual_seed(0)
    model = ResNet((64, 128, 256), 2, device=device)
    model = model.to(memory_format=torch.channels_last)
    X = torch.randn(batch, 1, 28, 28, device=device)
    y = torch.randint(10, (batch,), device=device)
    return learning(model, X, lambda z: LOSS(z, y), bf16, compiled, steps)


def bare(device: str = "cuda", rows: int = 60_000):
    """The bare loop on data that live on the card."""
    X, y = (tensor.to(device) for tensor in pictures(rows))
    model = network("mlp").to(device)
    opt = torch.optim.SGD(model.parameters(), lr=LR)

    def run() -> dict[str, float]:
        settle(device)
        start = time.perf_counter()
        for part in torch.randperm(len(X), device=device).split(BATCH):
            step(model, opt, X[part], y[part])
        settle(device)
        return {"seconds": time.perf_counter() - start}

    return run


def fit(device: str = "cuda", rows: int = 60_000, bf16: bool = False, compiled: bool = False):
    """The library's loop there, and how often a step waits for the card."""
    from course_lib.training import fit as train

    X, y = (tensor.to(device) for tensor in pictures(rows))
    model = network("mlp").to(device)
    dtype = torch.bfloat16 if bf16 else None
    options = {"batch_size": BATCH, "lr": LR, "optimizer": torch.optim.SGD, "dtype": dtype}

    def epoch(part: slice) -> int:
        history = train(model, LOSS, (X[part], y[part]), epochs=1, compile=compiled, device=device,
                        progress=False, **options)  # fmt: skip
        return len(history.losses)

    def run() -> dict[str, float]:
        settle(device)
        start = time.perf_counter()
        epoch(slice(None))
        settle(device)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "waits": waits(epoch, rows)}

    return run


def waits(epoch: Callable[[slice], int], rows: int) -> float:
    """How often a further step makes the host wait: a long epoch against one of half its rows."""

    def count(part: slice) -> tuple[int, int]:
        with torch.profiler.profile() as profile:
            steps = epoch(part)
        return sum(event.name in WAITS for event in profile.events()), steps

    (many, long), (few, short) = count(slice(None)), count(slice(rows // 2))
    return (many - few) / (long - short)


def carts(count: int, device: str = "cuda", steps: int = 100):
    """A step of one of so many carts."""
    from course_lib.policy_gradient import CartPole

    env = CartPole(count, device=device)
    actions = torch.randint(2, (steps, count), device=device)

    def run() -> dict[str, float]:
        settle(device)
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        settle(device)
        return {"seconds": (time.perf_counter() - start) / (count * steps)}

    return run
