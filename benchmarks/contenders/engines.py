"""A forward and a backward pass of a small network: the book's engines, micrograd, torch.

Runs in micrograd's environment too, which has nothing else.
"""

import gc
import importlib
import math
import random

SIZES = [2, 16, 16, 1]


def moons(points):
    """Two half circles with noise, as lists: inputs, and classes -1 or 1."""
    draw = random.Random(0)
    X, y = [], []
    for i in range(points):
        angle, side = math.pi * draw.random(), 1 if i % 2 else -1
        a, b = math.cos(angle), math.sin(angle)
        x = (a, b) if side < 0 else (1 - a, 0.5 - b)
        X.append([v + draw.gauss(0, 0.1) for v in x])
        y.append(side)
    return X, y


def network(Value):
    """Layers of neurons, a neuron a list of weights and a bias; the same numbers in each run."""
    draw = random.Random(0).gauss
    return [
        [([Value(draw(0, n**-0.5)) for _ in range(n)], Value(0.0)) for _ in range(m)]
        for n, m in zip(SIZES, SIZES[1:])  # noqa: B905, RUF007
    ]


def forward(layers, X, y):
    """The mean hinge loss."""
    losses = []
    for x, label in zip(X, y):  # noqa: B905
        for depth, layer in enumerate(layers):
            x = [sum([w * v for w, v in zip(weights, x)], bias) for weights, bias in layer]  # noqa: B905
            if depth < len(layers) - 1:
                x = [v.relu() for v in x]
        losses.append((1 - x[0] * label).relu())
    return sum(losses[1:], losses[0]) / len(losses)


def scalars(module: str, collect: bool = True, points: int = 100, steps: int = 3):
    """Steps with the class Value of a module; ``collect``: the garbage collector is on."""
    Value = importlib.import_module(module).Value
    layers, (X, y) = network(Value), moons(points)
    parameters = [p for layer in layers for weights, bias in layer for p in [*weights, bias]]

    def run():
        (gc.enable if collect else gc.disable)()
        for _ in range(steps):
            for p in parameters:
                p.grad = 0.0
            loss = forward(layers, X, y)
            loss.backward()
        return {"loss": loss.data, "gradients": sum(p.grad for p in parameters)}

    return run


def arrays(engine: str, points: int = 1000, steps: int = 100):
    """Steps of the same network on many points at once, by ``"course"`` or ``"torch"``."""
    import torch

    from course_lib.autograd import Array
    from course_lib.data import moons as draw

    X, y = draw(points, device="cpu")
    t = (2.0 * y - 1)[:, None]  # (B, 1)
    torch.manual_seed(0)
    shapes = [(2, 16), (16,), (16, 16), (16,), (16, 1), (1,)]
    start = [torch.randn(shape) / shape[0] ** 0.5 for shape in shapes]
    weights = [Array(w) if engine == "course" else w.requires_grad_() for w in start]
    W1, b1, W2, b2, W3, b3 = weights

    def run():
        for _ in range(steps):
            for w in weights:
                w.grad = None
            h = ((X @ W1 + b1).relu() @ W2 + b2).relu()  # (B, 16)
            (1 - (h @ W3 + b3) * t).relu().mean().backward()
        return {"gradients": sum(float(w.grad.abs().sum()) for w in weights)}

    return run
