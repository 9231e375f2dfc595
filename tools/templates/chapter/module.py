"""What this module is. Chapter: book/NN_name. Source: the paper that it follows."""

from __future__ import annotations

from torch import Tensor


def example(x: Tensor) -> Tensor:
    """Twice the input: ``y = 2 x``. A line, the equation, then shapes, units, errors, the source.

    Args:
        x: any shape.

    Returns:
        Shape of ``x``.

    Example:
        >>> import torch
        >>> example(torch.tensor([1.0, 2.0]))
        tensor([2., 4.])
    """
    return 2 * x
