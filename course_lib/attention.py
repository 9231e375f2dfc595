"""TODO: what this module is, in a line.

Chapter: book/13_attention. Sources: TODO: the papers that it follows.
"""

from __future__ import annotations

from torch import Tensor


def average(x: Tensor) -> Tensor:
    """Mean over the last axis: ``y = (x₁ + … + x_D) / D``.

    TODO: an example; put your subject in its place here and in the files beside it.

    Args:
        x: numbers, shape (..., D).

    Returns:
        Their mean, shape (...).

    Raises:
        ValueError: when the last axis is empty.

    Example:
        >>> import torch
        >>> average(torch.tensor([1.0, 3.0]))
        tensor(2.)
    """
    if not x.shape[-1]:
        raise ValueError(f"the mean of no numbers is not defined, got shape {tuple(x.shape)}")
    return x.sum(-1) / x.shape[-1]
