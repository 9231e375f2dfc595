"""How an answer is called, and what is kept of the call.

This module and values.py run beside the learner's code and know nothing of right answers, so that
a grader may send the two of them, and no more of the checks, to where the answer runs.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any

import torch

from .values import plain, same_tensor

OUR_LINES = "<check>"  # the file that they come from, as a traceback says
STEPS = 200_000  # lines of Python: a thousand times what a walk over some dozen nodes needs


class Unusable(Exception):
    """An answer's value on which the probe cannot work; its text is a sentence for the learner."""


def call(answer: Any, *args: Any) -> Any:
    """The answer's own value: ``answer(*args)``."""
    return answer(*args)


def gradient(answer: Any, z: torch.Tensor, *args: Any) -> torch.Tensor:
    """What autograd makes of the answer: the gradient of ``answer(z, ...).sum()`` by ``z``."""
    z = z.clone().requires_grad_()
    y = answer(z, *args)
    if not isinstance(y, torch.Tensor):
        raise Unusable(f"returned a {type(y).__name__}; autograd needs a tensor")
    if not y.requires_grad:
        raise Unusable(
            "lost the gradient: the value no longer depends on the input for autograd "
            "(numpy, .item(), .detach() and torch.tensor(...) cut it off)"
        )
    (grad,) = torch.autograd.grad(y.sum(), z, allow_unused=True)
    return torch.zeros_like(z) if grad is None else grad


def program(answer: Any, name: str, code: str, results: str) -> dict[str, Any]:
    """What some lines of ours give that use the answer, a class as a rule, by its name.

    Args:
        answer: the learner's function or class.
        name: what the lines call it.
        code: statements, separated by "; ".
        results: expressions to read off at the end, separated by ", ".

    Returns:
        The value of each result, by its text.
    """
    names = {name: answer}
    for line in code.split("; "):
        _follow(line, "exec", names)
    return {result: _follow(result, "eval", names) for result in results.split(", ")}


def _follow(line: str, mode: str, names: dict[str, Any]) -> Any:
    try:
        return eval(_compiled(line, mode), names)
    except Exception as error:
        *_, (frame, _) = walk_tb(error.__traceback__)
        if frame.f_code.co_filename != OUR_LINES:  # the answer's own code raised it
            raise
        raise Unusable(f"`{line}` fails: {_first_line(error)}") from error


def call_in_steps(answer: Any, *args: Any) -> Any:
    """The answer's own value, if it comes within :data:`STEPS` lines."""
    return _in_steps(call, answer, *args)


def program_in_steps(answer: Any, *args: Any) -> dict[str, Any]:
    """What a :func:`program` gives, if it ends within :data:`STEPS` lines."""
    return _in_steps(program, answer, *args)


def _in_steps(probe: Callable[..., Any], *args: Any) -> Any:
    left = STEPS

    def count(frame: FrameType, event: str, arg: Any) -> Callable:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unusable(f"was stopped after {STEPS:,} steps; so few nodes need some hundred")
        return count

    before = sys.gettrace()  # a debugger's, or that of a measurement of coverage
    sys.settrace(count)
    try:
        return probe(*args)
    finally:
        sys.settrace(before)


@lru_cache(maxsize=256)
def _compiled(line: str, mode: str) -> CodeType:
    return compile(line, OUR_LINES, mode)


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a plain value, or an error, and which arguments it changed in place."""

    value: Any = None
    error: str | None = None  # "raised ValueError: what it said"
    changed: tuple[int, ...] = ()  # positions of arguments


def outcome_of(answer: Callable[..., Any], probe: Callable[..., Any], args: tuple) -> Outcome:
    """Call an answer through a probe, on copies of its arguments.

    Args:
        answer: the learner's function or class.
        probe: one of this module's, which calls it.
        args: tensors, numbers, strings, and tuples of numbers.

    Returns:
        The :class:`Outcome`: data alone, whatever the answer does, unless it ends the process.
    """
    given = _copies(args)
    try:
        value = probe(answer, *given)
    except Unusable as error:
        return Outcome(error=str(error))
    except RecursionError as error:  # the rest of its text depends on where Python noticed
        said = f"maximum recursion depth exceeded in {_calls_itself(error)}"
        return Outcome(error=f"raised RecursionError: {said}")
    except Exception as error:
        return Outcome(error=f"raised {type(error).__name__}: {_first_line(error)}")
    try:
        value = plain(value)
    except TypeError as error:
        return Outcome(error=_first_line(error))
    except Exception:  # a list that holds itself, a tensor without memory
        return Outcome(error=f"returned a {type(value).__name__} that cannot be read")
    changed = tuple(
        i
        for i, (before, after) in enumerate(zip(args, given, strict=True))
        if isinstance(before, torch.Tensor) and not same_tensor(before, after)
    )
    return Outcome(value=value, changed=changed)


def _calls_itself(error: RecursionError) -> str:
    names = (frame.f_code.co_name for frame, _ in walk_tb(error.__traceback__))
    return statistics.mode(names)


def _copies(args: tuple) -> tuple:
    return tuple(a.clone() if isinstance(a, torch.Tensor) else a for a in args)


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0]
    return line if len(line) <= 200 else line[:197] + "..."
