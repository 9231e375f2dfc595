"""What chapter 03_autograd measures: the price of a gradient, and reverse against forward mode.

Seconds are CPU seconds of one process on one thread, the mean of at least five calls: a mean, so
that a pass of Python's garbage collector counts as often as it comes. What is compared stands side
by side in one run. Source: Baur & Strassen 1983 (at most 3 times the products and quotients).
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor

from ..autograd import Array, Dual, Value, forward_gradient, no_grad, reverse_gradient
from .runner import Experiment

CHAPTER = "03_autograd"


def seconds(f: Callable[[], object], budget: float = 1.0) -> float:
    """CPU seconds of a call: the mean of at least five, after one to warm up.

    Args:
        f: what to time.
        budget: CPU seconds to spend on it at least.

    Returns:
        Seconds a call.
    """
    f()
    calls, start = 0, time.process_time()
    while calls < 5 or time.process_time() - start < budget:
        f()
        calls += 1
    return (time.process_time() - start) / calls


@contextmanager
def quiet(collector: str = "on"):
    """Compute on one thread, so that CPU seconds are seconds, with Python's collector as asked.

    Args:
        collector: the search for cyclic garbage: ``"on"``, ``"off"``, or ``"frozen"``, which is on
            but blind to all objects that exist already, such as those of the imported libraries.
    """
    threads, was_on = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(1)
    gc.collect()
    if collector == "off":
        gc.disable()
    elif collector == "frozen":
        gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
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


def scalar_network(params: list[list], x: list[float]) -> Value | Dual | float:
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
        x = [_tanh(v) for v in z] if layer < 2 else z
    return x[0]


def _tanh(v: Value | Dual | float) -> Value | Dual | float:
    return math.tanh(v) if isinstance(v, float) else v.tanh()


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
    wrap = lambda p: [wrap(q) for q in p] if isinstance(p, list) else Value(p)
    values = [wrap(p.tolist()) for p in params]
    x = X[0].tolist()
    return lambda: scalar_network(values, x), no_grad


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
    collector: str = "on",
    device=None,
    batch: int = 256,
    budget: float = 1.0,
) -> dict[str, float]:
    """Time the forward pass alone, and forward and backward together.

    Args:
        seed: of weights and inputs.
        engine: ``"Value"`` (one input at a time), ``"Array"`` or ``"torch"``.
        width: hidden units a layer.
        collector: what Python's garbage collector does, see :func:`quiet`.
        device: where to compute; ``Value`` knows the CPU alone.
        batch: inputs, for the tensor engines.
        budget: CPU seconds for each timing.

    Returns:
        The number of ``parameters``; ``forward`` and ``both`` in CPU seconds; their ``multiple``;
        for ``Value`` also ``over_plain``: both, over the same formula in Python's own numbers.
    """
    params = weights(width, seed, device)
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(batch, 2, generator=generator).to(device)
    with quiet(collector):
        forward, off = ENGINES[engine](params, X)

        def alone():
            with off():
                forward()

        times = seconds(alone, budget), seconds(lambda: forward().backward(), budget)
        measured = {"parameters": sum(p.numel() for p in params)}
        measured |= {"forward": times[0], "both": times[1], "multiple": times[1] / times[0]}
        if engine == "Value":
            numbers, x = [p.tolist() for p in params], X[0].tolist()
            plain = seconds(lambda: scalar_network(numbers, x), budget)
            measured["over_plain"] = times[1] / plain
    return measured


def mixer(inputs: int, seed: int, steps: int = 256) -> Callable[[list], Value | Dual | float]:
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

    def f(x: list) -> Value | Dual | float:
        y = x[0]
        for t in range(steps):
            y = _tanh(y + w[t] * x[t % inputs])
        return y

    return f


def modes_run(seed: int, inputs: int, device=None, budget: float = 1.0) -> dict[str, float]:
    """Time the gradient of :func:`mixer` by both modes.

    Args:
        seed: of the weights and of the place.
        inputs: how many numbers the function takes.
        device: unused; scalars live on the CPU.
        budget: CPU seconds for each timing.

    Returns:
        CPU seconds of ``forward_mode``, ``reverse_mode``, and their ``ratio``.
    """
    f = mixer(inputs, seed)
    x = torch.randn(inputs, generator=torch.Generator().manual_seed(seed)).tolist()
    with quiet():
        forward = seconds(lambda: forward_gradient(f, x), budget)
        reverse = seconds(lambda: reverse_gradient(f, x), budget)
    return {"forward_mode": forward, "reverse_mode": reverse, "ratio": forward / reverse}


WIDTHS = (2, 8, 32, 128, 256, 512)
RUNS = [("Value", "on"), ("Value", "frozen"), ("Value", "off"), ("Array", "on"), ("torch", "on")]
COSTS = [
    {"engine": engine, "width": width, "collector": collector}
    for engine, collector in RUNS
    for width in (WIDTHS if engine == "Value" else (*WIDTHS, 2048))
]
INPUTS = [{"inputs": n} for n in (1, 2, 3, 4, 8, 16, 32, 64, 128)]

EXPERIMENTS = {
    "cost": Experiment(cost_run, COSTS, 5, times=("forward", "both", "multiple", "over_plain")),
    "modes": Experiment(modes_run, INPUTS, 5, times=("forward_mode", "reverse_mode", "ratio")),
}
