"""Time a scalar engine: `python benchmark_worker.py MODULE < points.json`, needing nothing else.

MODULE has a class Value (course_lib.autograd, or micrograd.engine). A step is one forward and one
backward pass of the network 2-16-16-1 with ReLU over all points. Prints JSON: the loss, the sum of
all gradients, the seconds of each step. The garbage collector is on, as Python starts it.
"""

import importlib
import json
import random
import sys
import time

Value = importlib.import_module(sys.argv[1]).Value
SIZES = [2, 16, 16, 1]
STEPS = 5


def network():
    """Layers of neurons, a neuron a list of weights and a bias; the same numbers in each run."""
    draw = random.Random(0).gauss
    return [
        [([Value(draw(0, n**-0.5)) for _ in range(n)], Value(0.0)) for _ in range(m)]
        for n, m in zip(SIZES, SIZES[1:])  # noqa: B905, RUF007
    ]


def forward(layers, X, y):
    """The mean hinge loss; y is -1 or 1."""
    losses = []
    for x, label in zip(X, y):  # noqa: B905
        for depth, layer in enumerate(layers):
            x = [sum([w * v for w, v in zip(weights, x)], bias) for weights, bias in layer]  # noqa: B905
            if depth < len(layers) - 1:
                x = [v.relu() for v in x]
        losses.append((1 - x[0] * label).relu())
    return sum(losses[1:], losses[0]) / len(losses)


def main():
    """Time the steps, after one that is not counted."""
    X, y = json.load(sys.stdin)
    layers = network()
    parameters = [p for layer in layers for weights, bias in layer for p in [*weights, bias]]
    seconds = []
    for _ in range(1 + STEPS):
        for p in parameters:
            p.grad = 0.0
        start = time.perf_counter()
        loss = forward(layers, X, y)
        loss.backward()
        seconds.append(time.perf_counter() - start)
    print(json.dumps([loss.data, sum(p.grad for p in parameters), seconds[1:]]))


main()
