"""Show the library's own code in a chapter, from its one home. Serves every chapter."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any


class Source:
    """The code of an object; highlighted in Jupyter, in Colab and on the page."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __repr__(self) -> str:
        return self.code

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.code}\n```"


def source(*objects: Any, docstring: bool = False) -> Source:
    """Show the code of functions or classes of the library.

    Args:
        objects: functions, classes or methods written in Python.
        docstring: True to show the docstrings too; the API page has them in any case.

    Returns:
        A :class:`Source`; as the last line of a cell it is displayed.

    Raises:
        TypeError: for an object that has no Python source, such as ``torch.relu``.

    Example:
        >>> from course_lib.neuron import softplus_derivative
        >>> source(softplus_derivative)
        def softplus_derivative(z: Tensor) -> Tensor:
            return sigmoid(z)
    """
    return Source("\n\n\n".join(_code(obj, docstring) for obj in objects))


def _code(obj: Any, docstring: bool) -> str:
    try:
        code = textwrap.dedent(inspect.getsource(obj)).rstrip()
    except (TypeError, OSError) as error:
        raise TypeError(
            f"{obj!r} has no Python source to show; pass a function or class of course_lib"
        ) from error
    return code if docstring else without_docstrings(code)


def without_docstrings(code: str) -> str:
    """Drop the docstrings of a module, its classes and functions; all else stays as it is.

    Args:
        code: Python source.

    Returns:
        The source without them, and without the blank line that set each apart.

    Example:
        >>> print(without_docstrings('def f(x):\\n    "Twice."\\n    return 2 * x'))
        def f(x):
            return 2 * x
    """
    lines = code.split("\n")
    holders = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(ast.parse(code)):
        # a body that is nothing but its docstring would not be Python without it
        if isinstance(node, holders) and ast.get_docstring(node) and len(node.body) > 1:
            first = node.body[0]
            end = first.end_lineno
            if end < len(lines) and not lines[end].strip():
                end += 1  # and the blank line that set it apart
            lines[first.lineno - 1 : end] = [None] * (end - first.lineno + 1)
    return "\n".join(line for line in lines if line is not None)
