"""Compare and describe plain values: numbers, strings, tensors, and tuples or dicts of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def plain(value: Any) -> Any:
    """The value with arrays as detached CPU tensors and lists as tuples, to compare by content."""
    if isinstance(value, np.ndarray | np.generic):
        value = torch.as_tensor(np.asarray(value))
    if isinstance(value, Tensor):
        return value.detach().to("cpu").resolve_conj().clone()
    if isinstance(value, list | tuple):
        return tuple(plain(v) for v in value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, Tensor) and value.ndim == 0)


def difference(came: Any, expected: Any, rtol: float = 1e-4, atol: float = 1e-6) -> str | None:
    """Say how a plain value differs from the one expected, or None when they agree.

    A number and a tensor without axes count as the same kind; dtypes are not compared.

    Args:
        came: what the answer returned, made plain.
        expected: what the reference returned, made plain.
        rtol: relative tolerance.
        atol: absolute tolerance.

    Returns:
        A sentence for the learner, or None.

    Example:
        >>> difference(torch.zeros(3, 1), torch.zeros(3))
        'returned shape (3, 1), expected (3,)'
    """
    if came is None and expected is not None:
        return "returned None; is a `return` missing?"
    if _is_number(came) and _is_number(expected):
        return _number_difference(came, expected, rtol, atol)
    if isinstance(expected, Tensor):
        return _tensor_difference(came, expected, rtol, atol)
    if isinstance(expected, tuple):
        return _tuple_difference(came, expected, rtol, atol)
    if type(came) is not type(expected) or came != expected:
        return f"returned {show(came)}, expected {show(expected)}"
    return None


def _number_difference(came: Any, expected: Any, rtol: float, atol: float) -> str | None:
    came, expected = (torch.as_tensor(v, dtype=torch.float64) for v in (came, expected))
    if torch.allclose(came, expected, rtol=rtol, atol=atol, equal_nan=True):
        return None
    return f"returned {show(came)}, expected {show(expected)}"


def _tensor_difference(came: Any, expected: Tensor, rtol: float, atol: float) -> str | None:
    if not isinstance(came, Tensor):
        return f"returned a {type(came).__name__}, expected a tensor of shape {_shape(expected)}"
    if came.shape != expected.shape:
        return f"returned shape {_shape(came)}, expected {_shape(expected)}"
    if came.is_complex() or came.layout != torch.strided or came.is_meta:
        return f"returned a {came.layout} tensor of {came.dtype}, expected plain real numbers"
    a, b = came.to(torch.float64), expected.to(torch.float64)
    wrong = ~torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return None
    if came.numel() <= 8:
        return f"returned {show(came)}, expected {show(expected)}"
    at = tuple(wrong.nonzero()[0].tolist())
    return (
        f"{int(wrong.sum())} of {wrong.numel()} entries differ, the first at {list(at)}: "
        f"{show(a[at])}, expected {show(b[at])}"
    )


def _tuple_difference(came: Any, expected: tuple, rtol: float, atol: float) -> str | None:
    if not isinstance(came, tuple) or len(came) != len(expected):
        what = f"{len(came)} values" if isinstance(came, tuple) else f"a {type(came).__name__}"
        return f"returned {what}, expected {len(expected)} values"
    for i, (c, e) in enumerate(zip(came, expected, strict=True)):
        if message := difference(c, e, rtol, atol):
            return f"value {i + 1} of {len(expected)}: {message}"
    return None


def _shape(value: Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def show(value: Any) -> str:
    """A value in few characters: small tensors as lists of four digits, large ones by shape.

    Example:
        >>> show(torch.tensor([1 / 3, 2.0]))
        '[0.3333, 2]'
    """
    if isinstance(value, Tensor):
        if value.numel() > 12:
            return f"a tensor of shape {_shape(value)}"
        return show(value.tolist())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        inner = ", ".join(show(v) for v in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
