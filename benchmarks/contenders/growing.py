"""Work of a size that is asked for: by which power of the size does its cost grow?"""

from __future__ import annotations

import torch

from benchmarks.contenders.operators import Run


def perceptron(width: int = 256, depth: int = 2, steps: int = 5, batch: int = 256) -> Run:
    """Forward and backward of so many square layers."""
    from course_lib.mlp import MLP

    torch.manual_seed(0)
    model = MLP([width] * (depth + 1), device="cpu")
    x = torch.randn(batch, width)

    def run() -> None:
        for _ in range(steps):
            model.zero_grad()
            model(x).square().mean().backward()

    return run


def reading(T: int, steps: int = 3) -> Run:
    """A GPT of the book learns from texts of a length; every place looks at every other."""
    from course_lib.transformer import GPT, nats

    torch.manual_seed(0)
    model = GPT(65, 64, 2, 4, T, device="cpu")
    tokens = torch.randint(65, (4, T + 1))

    def run() -> None:
        for _ in range(steps):
            model.zero_grad()
            nats(model(tokens[:, :-1]), tokens[:, 1:]).backward()

    return run


def carts(count: int, steps: int = 50) -> Run:
    """Steps of so many carts together, actions at random."""
    from course_lib.policy_gradient import CartPole

    env, draws = CartPole(count, device="cpu"), torch.Generator().manual_seed(0)

    def run() -> None:
        for _ in range(steps):
            env.step(torch.randint(2, (count,), generator=draws))

    return run
