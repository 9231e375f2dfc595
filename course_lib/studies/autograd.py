"""What chapter 03_autograd measures: the price of a gradient, and reverse against forward mode.

Seconds are CPU seconds of one process on one thread, the median of several repetitions; what is
compared stands side by side in one run. Sources: Baur & Strassen 1983 (the bound of 5).
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor

from ..autograd import Array, Dual, Value, forward_gradient, no_grad, reverse_gradient
from .runner import Experiment

CHAPTER = "03_autograd"
REPEATS = 7


def seconds(f: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU seconds of a call, the median of several after one to warm up.

    Calls that take less than a hundredth of a second are timed many at once.

    Args:
        f: what to time.
        repeats: how often.

    Returns:
        Seconds a call.
    """
    start = time.process_time()
    f()
    calls = max(1, int(0.01 / max(time.process_time() - start, 1e-6)))
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(calls):
            f()
        taken.append((time.process_time() - start) / calls)
    return statistics.median(taken)


@contextmanager
def quiet(collector: bool = True):
    """Compute on one thread, so that CPU seconds are seconds; if asked, without Python's collector.

    Args:
        collector: False to switch the search for cyclic garbage off meanwhile.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    if not collector:
        gc.disable()
    try:
        yield
    finally:
        gc.enable()
        torch.set_num_threads(threads)


def weights(width: int, seed: int, device=None) -> list[Tensor]:
    """Random weights and biases of a network 2-width-width-1, normal with variance 1/inputs.

    Args:
        width: hidden units a layer.
        seed: of the numbers.
        device: where they live.

    Returns:
        W1 (2, H), b1 (H,), W2 (H, H), b2 (H,), W3 (H, 1), b3 (1,), float32.
    """
    generator = torch.Generator().manual_seed(seed)
    params = []
    for D, K in ((2, width), (width, width), (width, 1)):
        params += [torch.randn(D, K, generator=generator) / D**0.5, torch.zeros(K)]
    return [p.to(device) for p in params]


def scalar_network(params: list[list], x: list[float]) -> Value | Dual:
    """The network of :func:`weights` in single numbers: ``tanh`` between the layers.

    Args:
        params: six nested lists of Values, Duals or numbers.
        x: two inputs.

    Returns:
        The output for this input.
    """
    for layer in range(3):
        W, b = params[2 * layer], params[2 * layer + 1]
        z = [sum((x[d] * W[d][k] for d in range(len(x))), b[k]) for k in range(len(b))]
        x = [v.tanh() for v in z] if layer < 2 else z
    return x[0]


def tensor_network(params: list, X: Tensor) -> Array | Tensor:
    """The same network in tensors, the mean of its outputs.

    Args:
        params: six arrays or tensors.
        X: inputs, shape (B, 2).

    Returns:
        One number, as an Array or a tensor.
    """
    W1, b1, W2, b2, W3, b3 = params
    h = (X @ W1 + b1).tanh()  # (B, H)
    h = (h @ W2 + b2).tanh()  # (B, H)
    return (h @ W3 + b3).mean()


def _scalar(params: list[Tensor], X: Tensor) -> tuple[Callable, Callable]:
    wrap = lambda p: [wrap(q) for q in p] if isinstance(p, list) else Value(p)  # noqa: E731
    values = [wrap(p.tolist()) for p in params]
    forward = lambda: scalar_network(values, X[0].tolist())  # noqa: E731
    return forward, no_grad


def _tensor(params: list[Tensor], X: Tensor) -> tuple[Callable, Callable]:
    arrays = [Array(p) for p in params]
    return lambda: tensor_network(arrays, X), no_grad


def _torch(params: list[Tensor], X: Tensor) -> tuple[Callable, Callable]:
    leaves = [p.clone().requires_grad_() for p in params]
    return lambda: tensor_network(leaves, X), torch.no_grad


ENGINES = {"Value": _scalar, "Array": _tensor, "torch": _torch}


def cost_run(
    seed: int,
    engine: str,
    width: int,
    collector: bool = True,
    device=None,
    batch: int = 256,
    repeats: int = REPEATS,
) -> dict[str, float]:
    """Time the forward pass alone, and forward and backward together.

    Args:
        seed: of weights and inputs.
        engine: ``"Value"`` (one input at a time), ``"Array"`` or ``"torch"``.
        width: hidden units a layer.
        collector: whether Python's garbage collector is on.
        device: where to compute; ``Value`` knows the CPU alone.
        batch: inputs, for the tensor engines.
        repeats: of each timing.

    Returns:
        The number of ``parameters``, ``forward`` and ``both`` in CPU seconds, their ``multiple``.
    """
    params = weights(width, seed, device)
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(batch, 2, generator=generator).to(device)
    with quiet(collector):
        forward, off = ENGINES[engine](params, X)

        def alone():
            with off():
                forward()

        times = seconds(alone, repeats), seconds(lambda: forward().backward(), repeats)
    count = sum(p.numel() for p in params)
    return {
        "parameters": count,
        "forward": times[0],
        "both": times[1],
        "multiple": times[1] / times[0],
    }


def mixer(inputs: int, seed: int, steps: int = 256) -> Callable[[list], Value | Dual]:
    """A function of any number of inputs whose work does not depend on that number.

    ``y ← tanh(y + wₜ xₜ)`` for t = 1 … steps, where xₜ goes round the inputs.

    Args:
        inputs: how many numbers it takes.
        seed: of the weights w.
        steps: rounds, 3 operations each.

    Returns:
        A function from a list of Values, Duals or floats to one.
    """
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(steps, generator=generator).tolist()

    def f(x: list) -> Value | Dual:
        y = x[0]
        for t in range(steps):
            y = (y + w[t] * x[t % inputs]).tanh()
        return y

    return f


def modes_run(seed: int, inputs: int, device=None, repeats: int = REPEATS) -> dict[str, float]:
    """Time the gradient of :func:`mixer` by both modes, and the function alone.

    Args:
        seed: of the weights and of the place.
        inputs: how many numbers the function takes.
        device: unused; scalars live on the CPU.
        repeats: of each timing.

    Returns:
        CPU seconds of ``forward_mode``, ``reverse_mode``, and their ``ratio``.
    """
    f = mixer(inputs, seed)
    x = torch.randn(inputs, generator=torch.Generator().manual_seed(seed)).tolist()
    with quiet():
        forward = seconds(lambda: forward_gradient(f, x), repeats)
        reverse = seconds(lambda: reverse_gradient(f, x), repeats)
    return {"forward_mode": forward, "reverse_mode": reverse, "ratio": forward / reverse}


WIDTHS = (2, 8, 32, 128, 512)
COSTS = [
    {"engine": engine, "width": width, "collector": collector}
    for engine, collector in (("Value", True), ("Value", False), ("Array", True), ("torch", True))
    for width in (*WIDTHS, 256 if engine == "Value" else 2048)
]
INPUTS = [{"inputs": n} for n in (1, 2, 3, 4, 8, 16, 32, 64, 128)]

EXPERIMENTS = {
    "cost": Experiment(cost_run, COSTS, seeds=5),
    "modes": Experiment(modes_run, INPUTS, seeds=5),
}
