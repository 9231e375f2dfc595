"""What chapter 17_q_learning measures over many seeds: TODO: what, in a line."""

from __future__ import annotations

import torch

from ..q_learning import average
from .runner import Experiment

CHAPTER = "17_q_learning"


def averaging_run(seed: int, size: int, device=None, repeats: int = 200) -> dict[str, float]:
    """Draw normal numbers and see how far averages of them lie from 0, their true mean.

    Args:
        seed: of the numbers.
        size: numbers in an average.
        device: where to compute; by default the CPU.
        repeats: averages that are drawn.

    Returns:
        ``stray``, the root mean square of the averages.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(repeats, size, generator=generator).to(device or "cpu")  # (R, D)
    return {"stray": average(x).square().mean().sqrt().item()}


EXPERIMENTS = {
    "averaging": Experiment(averaging_run, [{"size": size} for size in (1, 10, 100)], seeds=10),
}
