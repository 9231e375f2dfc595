"""Tensors by hand: strides, broadcasting, einsum, and sums that keep their digits.

Chapter: book/00_tensors. Sources: Harris et al. 2020 (strides, broadcasting), Einstein 1916 (the
sum over repeated letters), Goldberg 1991 (rounding), Higham 1993 (summation).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Steps in storage for one step along each axis, row after row: ``s_k = n_{k+1} ··· n_K``.

    Args:
        shape: the lengths ``n_1, ..., n_K``.

    Returns:
        As many steps as there are axes; the last axis has step 1.

    Example:
        >>> strides((2, 3, 4))
        (12, 4, 1)
    """
    steps, step = [], 1
    for length in reversed(shape):
        steps.append(step)
        step *= max(length, 1)  # as torch has it: an empty axis does not make the others 0
    return tuple(reversed(steps))


def same_storage(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors read the same numbers in memory, so that changing one changes the other.

    Args:
        a: any shape, at least one number.
        b: any shape, at least one number.

    Returns:
        True if one is a view of the other, or both are views of a third.

    Example:
        >>> x = torch.zeros(2, 3)
        >>> same_storage(x, x.T), same_storage(x, x.clone())
        (True, False)
    """
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape of ``a + b`` for tensors of these shapes.

    Shapes are lined up from the right, and a missing axis counts as length 1. Lengths on one axis
    must be equal, or 1, and then the axis is stretched.

    Args:
        shapes: two shapes or more.

    Returns:
        The shape of the result.

    Raises:
        ValueError: when two lengths differ and neither is 1.

    Example:
        >>> broadcast_shape((32, 1), (10,))
        (32, 10)

    Source: Harris et al. 2020.
    """
    ndim = max(map(len, shapes), default=0)
    filled = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for axis, lengths in enumerate(zip(*filled, strict=True), start=-ndim):
        wide = sorted(set(lengths) - {1})
        if len(wide) > 1:
            raise ValueError(
                f"shapes {' and '.join(str(tuple(s)) for s in shapes)} do not fit: on axis {axis} "
                f"they have lengths {' and '.join(map(str, wide))}; make them equal, or make one "
                "of them 1 (x[:, None] inserts an axis of length 1)"
            )
        result += wide or [1]
    return tuple(result)


def einsum(equation: str, *tensors: Tensor) -> Tensor:
    """Multiply tensors with named axes and sum over each letter that the result does not name.

    ``C_ik = Σ_j A_ij B_jk`` is ``einsum("ij,jk->ik", A, B)``. The whole product is formed before
    it is summed, which ``torch.einsum`` avoids.

    Args:
        equation: letters for the axes of each tensor, an arrow, the letters of the result.
        tensors: as many as there are groups of letters.

    Returns:
        The result, an axis for each letter behind the arrow.

    Raises:
        ValueError: when equation and tensors do not fit; the message says where.

    Example:
        >>> einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 4)).shape
        torch.Size([2, 4])

    Source: Einstein 1916, §5.
    """
    inputs, output = _read(equation, tensors)
    summed = sorted(set("".join(inputs)) - set(output))
    product = torch.ones((), dtype=tensors[0].dtype, device=tensors[0].device)
    for letters, x in zip(inputs, tensors, strict=True):
        product = product * _spread(x, letters, [*output, *summed])
    for _ in summed:  # they stand behind the letters of the output
        product = product.sum(-1)
    return product


def _spread(x: Tensor, letters: str, axes: Sequence[str]) -> Tensor:
    """A view of ``x`` with its axes in the given order, and length 1 where it has none."""
    while repeated := next((c for c in letters if letters.count(c) > 1), None):
        first, last = letters.index(repeated), letters.rindex(repeated)
        x = x.diagonal(dim1=first, dim2=last)  # both axes become one, behind the others
        letters = letters[:first] + letters[first + 1 : last] + letters[last + 1 :] + repeated
    x = x.permute([letters.index(c) for c in axes if c in letters])
    return x[tuple(slice(None) if c in letters else None for c in axes)]


def _read(equation: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each input and of the output, once all lengths agree."""
    if not re.fullmatch(r"[A-Za-z]*(,[A-Za-z]*)*->[A-Za-z]*", equation.replace(" ", "")):
        raise ValueError(f"an equation looks like 'ij,jk->ik', got {equation!r}")
    left, output = equation.replace(" ", "").split("->")
    inputs = left.split(",")
    if len(inputs) != len(tensors):
        raise ValueError(f"{equation!r} has {len(inputs)} inputs, got {len(tensors)} tensors")
    lengths: dict[str, int] = {}
    for letters, x in zip(inputs, tensors, strict=True):
        if len(letters) != x.ndim:
            raise ValueError(f"{letters!r} names {len(letters)} axes, got shape {tuple(x.shape)}")
        for c, n in zip(letters, x.shape, strict=True):
            if lengths.setdefault(c, n) != n:
                raise ValueError(f"{c!r} has length {lengths[c]} and {n}; one letter, one length")
    if len(set(output)) < len(output) or not set(output) <= set(lengths):
        raise ValueError(f"{output!r} must name letters of the inputs, each of them once")
    return inputs, output


def pairwise_sum(x: Tensor) -> Tensor:
    """Sum over the last axis by adding neighbours, then neighbours of these sums, and so on.

    Each number takes part in about ``log₂ n`` additions, not in up to ``n - 1``, so that rounding
    errors grow with the logarithm of ``n``.

    Args:
        x: numbers, shape (..., n).

    Returns:
        The sums, shape (...).

    Example:
        >>> pairwise_sum(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
        tensor(15.)

    Source: Higham 1993.
    """
    while x.shape[-1] > 1:
        if x.shape[-1] % 2:
            x = torch.cat([x, torch.zeros_like(x[..., :1])], -1)  # an even number of them
        x = x[..., ::2] + x[..., 1::2]
    return x.sum(-1)  # of one number, or of none
