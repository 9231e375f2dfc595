"""Compare and describe plain values: numbers, strings, tensors, and tuples or dicts of them."""

from __future__ import annotations

import itertools
import math
from inspect import isroutine
from typing import Any

import numpy as np
import torch
from torch import Tensor


def plain(value: Any) -> Any:
    """The value with arrays as detached CPU tensors and lists as tuples, to compare by content.

    Args:
        value: what an answer returned.

    Returns:
        None, numbers, strings, dense real tensors, and tuples or dicts of them: what can be sent
        from one process to another as data.

    Raises:
        TypeError: for anything else (a function, a set, a sparse tensor); its text is a sentence
            for the learner.
    """
    if isinstance(value, np.ndarray | np.generic):
        try:
            value = torch.as_tensor(np.array(value))  # a copy: negative strides have no tensor
        except TypeError:
            raise _unwanted(f"an array of {value.dtype}") from None
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise TypeError(
                f"returned a {value.layout} tensor of {value.dtype} on {value.device}; "
                "expected an ordinary tensor"
            )
        if value.is_complex():
            raise TypeError("returned complex numbers; expected real ones")
        return value.detach().to("cpu").clone()
    if isinstance(value, list | tuple):
        return tuple(plain(v) for v in value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type):
        raise _unwanted("a class")
    raise _unwanted("a function" if isroutine(value) else f"a {type(value).__name__}")


def _unwanted(what: str) -> TypeError:
    return TypeError(f"returned {what}; expected numbers or tensors")


def same_tensor(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are alike to the last bit, shape and dtype included; NaN equals NaN."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, Tensor) and value.ndim == 0)


def agree(came: Any, expected: Any, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """Whether a plain value is the one expected, within the tolerances.

    A number and a tensor without axes count as the same kind; dtypes are not compared.

    Args:
        came: what the answer returned, made plain.
        expected: what the reference returned, made plain.
        rtol: relative tolerance.
        atol: absolute tolerance.

    Returns:
        Whether it is.

    Example:
        >>> agree(torch.tensor(0.5), 0.5), agree(torch.zeros(3, 1), torch.zeros(3))
        (True, False)
    """
    if _is_number(came) and _is_number(expected):
        return _numbers_agree(came, expected, rtol, atol)
    if isinstance(expected, Tensor):
        return isinstance(came, Tensor) and _tensors_agree(came, expected, rtol, atol)
    if isinstance(expected, tuple):
        fits = isinstance(came, tuple) and len(came) == len(expected)
        return fits and all(agree(c, e, rtol, atol) for c, e in zip(came, expected, strict=True))
    if isinstance(expected, dict):
        fits = isinstance(came, dict) and set(came) == set(expected)
        return fits and all(agree(came[key], e, rtol, atol) for key, e in expected.items())
    return type(came) is type(expected) and came == expected


def _numbers_agree(came: Any, expected: Any, rtol: float, atol: float) -> bool:
    try:
        return _near(float(came), float(expected), rtol, atol)
    except OverflowError:  # an integer beyond the range of floats
        return isinstance(came, int) and isinstance(expected, int) and came == expected


def _near(a: float, b: float, rtol: float, atol: float) -> bool:
    """As torch.isclose with equal_nan, which takes a hundred times as long for a number."""
    return a == b or abs(a - b) <= atol + rtol * abs(b) < math.inf or (a != a and b != b)


def _tensors_agree(came: Tensor, expected: Tensor, rtol: float, atol: float) -> bool:
    if came.shape != expected.shape:
        return False
    if came.numel() <= 8:
        pairs = zip(came.flatten().tolist(), expected.flatten().tolist(), strict=True)
        return all(_near(a, b, rtol, atol) for a, b in pairs)
    return bool(_close(came, expected, rtol, atol).all())


def _close(came: Tensor, expected: Tensor, rtol: float, atol: float) -> Tensor:
    a, b = came.to(torch.float64), expected.to(torch.float64)
    return torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)


def difference(came: Any, expected: Any, rtol: float = 1e-4, atol: float = 1e-6) -> str | None:
    """Say how a plain value differs from the one expected, or None when they :func:`agree`.

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
    if agree(came, expected, rtol, atol):
        return None
    if came is None:
        return "returned None; is a `return` missing?"
    if _is_number(came) and _is_number(expected):
        return "returned {}, expected {}".format(*_told_apart(came, expected))
    if isinstance(expected, Tensor):
        return _tensor_difference(came, expected, rtol, atol)
    if isinstance(expected, tuple):
        return _tuple_difference(came, expected, rtol, atol)
    if isinstance(expected, dict):
        return _dict_difference(came, expected, rtol, atol)
    if isinstance(came, Tensor) and _is_number(expected):
        return f"returned {_kind(came)}, expected a single number"
    return f"returned {show(came)}, expected {show(expected)}"


def _tensor_difference(came: Any, expected: Tensor, rtol: float, atol: float) -> str:
    if not isinstance(came, Tensor):
        return f"returned {_kind(came)}, expected {_kind(expected)}"
    if came.shape != expected.shape:
        return f"returned shape {_shape(came)}, expected {_shape(expected)}"
    if came.numel() <= 8:
        return "returned {}, expected {}".format(*_told_apart(came, expected))
    wrong = ~_close(came, expected, rtol, atol)
    at = tuple(wrong.nonzero()[0].tolist())
    here, there = _told_apart(came[at].double(), expected[at].double())
    return (
        f"{int(wrong.sum())} of {wrong.numel()} entries differ, the first at {list(at)}: "
        f"{here}, expected {there}"
    )


def _told_apart(came: Any, expected: Any) -> tuple[str, str]:
    """Both values with as many digits as it takes to see that they differ."""
    for digits in (4, 6, 9):
        a, b = show(came, digits), show(expected, digits)
        if a != b:
            break
    return a, b


def _tuple_difference(came: Any, expected: tuple, rtol: float, atol: float) -> str:
    if not isinstance(came, tuple) or len(came) != len(expected):
        what = f"{len(came)} values" if isinstance(came, tuple) else _kind(came)
        return f"returned {what}, expected {len(expected)} values"
    every = [difference(c, e, rtol, atol) for c, e in zip(came, expected, strict=True)]
    i, message = next((i, message) for i, message in enumerate(every) if message)
    return f"value {i + 1} of {len(expected)}: {message}"


def _dict_difference(came: Any, expected: dict, rtol: float, atol: float) -> str:
    if not isinstance(came, dict) or set(came) != set(expected):
        what = f"the keys {show(tuple(came))}" if isinstance(came, dict) else _kind(came)
        return f"returned {what}, expected the keys {show(tuple(expected))}"
    every = {key: difference(came[key], e, rtol, atol) for key, e in expected.items()}
    key, message = next((key, message) for key, message in every.items() if message)
    return f"{key}: {message}"


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape)) if value.ndim else "() (a single number)"


def _kind(value: Any) -> str:
    if _is_number(value):
        return "a single number"
    if isinstance(value, Tensor):
        return f"a tensor of shape {_shape(value)}"
    return f"a list or tuple of {len(value)}" if isinstance(value, tuple) else show(value)


def show(value: Any, digits: int = 4, depth: int = 4) -> str:
    """A value in few characters: small tensors as lists of four digits, large ones by shape.

    Args:
        value: a plain value.
        digits: significant digits of each number.
        depth: how many levels of a nested value are told.

    Returns:
        The text.

    Example:
        >>> show(torch.tensor([1 / 3, 2.0]))
        '[0.3333, 2]'
    """
    if isinstance(value, Tensor):
        rows = math.prod(max(1, length) for length in value.shape)  # of an empty one as well
        if rows > 12:
            return f"a tensor of shape {_shape(value)}"
        return show(value.tolist(), digits, depth + value.ndim)
    if isinstance(value, float):
        whole = abs(value) < 1e6 and value == int(value)
        return str(int(value)) if whole else f"{value:.{digits}g}"
    if isinstance(value, list | tuple | dict) and depth == 0:
        return "..."
    if isinstance(value, dict):
        first = itertools.islice(value.items(), 12)
        inner = ", ".join(f"{k!r}: {show(v, digits, depth - 1)}" for k, v in first)
        return _shortened(f"{{{inner}}}")
    if isinstance(value, list | tuple):
        inner = ", ".join(show(v, digits, depth - 1) for v in value[:12])
        inner += ", ..." if len(value) > 12 else ""
        inner += "," if len(value) == 1 and isinstance(value, tuple) else ""
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    try:
        text = repr(value)
    except Exception:  # an integer of 5000 digits has no text
        return f"a value of type {type(value).__name__}"
    return _shortened(text)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
