"""What an exercise is, and how an answer to it is judged by the values that it returns.

A check module lists its exercises and ends with ``check = checker(EXERCISES)``. An answer is run
on cases (``Exercise.run``) and judged afterwards (``Exercise.judge``), so that the two halves may
live in different processes: inputs go out, values come back.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from . import probes
from .probes import Outcome, outcome_of
from .values import agree, difference, plain, show

VISIBLE_SEED = 0
NESTED_CALLS = 1000  # Python's default
PROGRAMS = (probes.program, probes.program_in_steps)
_STUB = "raised NotImplementedError: "  # how the outcome of an unfinished answer begins
_TO_DO = "not done yet"  # how the message on one begins

IF_ON_A_TENSOR = (
    "an `if` decides once, for the whole tensor, but each entry needs its own decision; "
    "use torch.where(condition, a, b)"
)
SUBTRACTS_TRUTH_VALUES = (
    "a comparison gives True and False, which torch will not subtract; "
    "turn them into 1.0 and 0.0 first, with .float()"
)
SHAPES_DO_NOT_FIT = (
    "these shapes do not fit together; print the .shape of each tensor. A @ B needs the last axis "
    "of A as long as the first of B, and + - * need equal lengths, or 1"
)
NUMBER_ON_THE_LEFT = (
    "Python asks the number on the left first, and it knows nothing of your class; then it asks "
    "yours for the reflected method: __radd__, __rsub__, __rmul__ or __rtruediv__"
)
NUMBER_WITHIN = (
    "a plain number came where your code expects an object with attributes; make an object of it "
    "first (isinstance tells which of the two it is)"
)
NUMBER_OUTSIDE = (
    "an operation of yours gave a plain number; each of its results must be an object of your class"
)
NONE_ON_THE_RIGHT = (
    "one side is None: a function without `return`, or the .grad of a tensor that is no leaf; "
    "after an update use (w - lr * g).detach().requires_grad_()"
)
NO_RETURN = "a function or method returned None where something was needed; is a `return` missing?"
ADDS_TO_NONE = "what you add to with += is None; let it start at a number, 0.0"
TOO_DEEP = (
    "your function calls itself again and again, and Python stops that after a thousand calls; "
    "use a loop and a list of what is still to do (if small inputs fail too, it never stops at all)"
)
OPERATOR_CALLS_ITSELF = (
    "an operator of yours calls itself, as a `-` inside `__sub__` does: inside `__sub__`, write "
    "the difference with + and *"
)
# What the commonest errors of Python and torch mean, where no mistake is recognised.
TRANSLATIONS = (
    (r"Boolean value of Tensor", IF_ON_A_TENSOR),
    (r"ubtraction.* bool tensor", SUBTRACTS_TRUTH_VALUES),
    (r"shapes cannot be multiplied|size mismatch|must match", SHAPES_DO_NOT_FIT),
    (r"RecursionError.* in __r?(add|sub|mul|truediv|pow|neg)__", OPERATOR_CALLS_ITSELF),
    (r"RecursionError", TOO_DEEP),
    (
        r"return_types",
        "x.max(dim) gives a pair, the values and their places; take x.amax(dim) or x.argmax(dim)",
    ),
    (
        r"raised .*'bool' object has no attribute",
        "your comparison gave a single False: one side is no tensor "
        "(x.max(dim) is a pair; use x.argmax(dim))",
    ),
    (
        r"raised .*does not require grad",
        "autograd follows only what it was asked to: start from W.clone().requires_grad_()",
    ),
    (
        r"leaf Variable that requires grad",
        "the update is no part of the function: make it under `with torch.no_grad():`, on clones",
    ),
    (
        r"must be Tensor, not (float|int)",
        "torch's functions take tensors; for a plain number use math.cos and the like",
    ),
    (
        r"for 'Complex",
        "torch.linalg.eig gives complex numbers; for a symmetric matrix use torch.linalg.eigvalsh",
    ),
    (
        r"raised .*'(int|float)' object has no attribute '(sqrt|exp|log|mean|sum|abs)'",
        "a plain number came where a tensor was expected; "
        "make it one, as torch.ones(D) or torch.tensor(x)",
    ),
    (r"raised .*'(int|float)' object has no attribute", NUMBER_WITHIN),
    (r"fails: '(int|float)' object has no attribute", NUMBER_OUTSIDE),
    (r"before Module.__init__", "call super().__init__() in the first line of your __init__"),
    (r"does not support bool", "turn True and False into numbers first, with .int()"),
    (r"for \+=: 'NoneType'", ADDS_TO_NONE),
    (r"for [-+*/]: .*'(float|Tensor)' and 'NoneType'", NONE_ON_THE_RIGHT),
    (r"'NoneType'", NO_RETURN),
    (r"for [-+*/]: '(int|float)' and", NUMBER_ON_THE_LEFT),
)


class Unfit(Exception):
    """A value that cannot be read as an answer; its text is the sentence for the learner."""


@dataclass(frozen=True)
class Test:
    """One line of the report.

    ``cases`` draws argument tuples from a generator: tensors, numbers, strings, and tuples of
    numbers; seed 0 gives the visible ones, the grader's seed the hidden ones.
    ``observe(args, value)`` says what of a value counts: weights by the truth table that they
    compute, a pair by its second part; it raises :class:`Unfit` when there is nothing to observe.
    ``judge(args, observed)`` returns a sentence when that is wrong; without it, it must equal what
    is observed of the reference. A ``property`` (a shape, a sum) pays only once every other test
    holds.
    """

    __test__ = False  # not a pytest class

    name: str
    cases: Callable[[torch.Generator], list[tuple]]
    points: int = 1
    observe: Callable[[tuple, Any], Any] | None = None
    judge: Callable[[tuple, Any], str | None] | None = None
    probe: Callable[..., Any] = probes.call
    property: bool = False
    rtol: float = 1e-4
    atol: float = 1e-6


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that learners really give, and the hint that names it."""

    name: str  # what went wrong, in a few words, for those who read the checks
    answer: Callable[..., Any]
    hint: str  # what you did, and what to do instead
    whole: bool = False  # explains a whole answer or nothing, never one test by itself


@dataclass(frozen=True)
class Line:
    """The verdict on one test."""

    test: Test
    status: str  # "ok", "held" (a property, not paid yet), "todo" (unfinished) or "FAIL"
    message: str | None = None
    mistake: Mistake | None = None  # of this test alone, where none explains the whole answer


@dataclass(frozen=True)
class Report:
    """Points, verdicts and the hint for one answer; prints as the learner sees it."""

    name: str
    lines: list[Line]
    not_done: str | None = None
    mistake: Mistake | None = None

    @property
    def points(self) -> int:
        return sum(line.test.points for line in self.lines if line.status == "ok")

    @property
    def possible(self) -> int:
        return sum(line.test.points for line in self.lines)

    def named(self, line: Line) -> Mistake | None:
        """The mistake that explains a line, if one is known."""
        return (self.mistake or line.mistake) if line.status == "FAIL" else None

    def hint(self, line: Line) -> str | None:
        """What helps with a line that failed."""
        if line.status != "FAIL":
            return None
        known = self.named(line)
        return known.hint if known else translation((line.message or "").partition("\n")[0])

    def __str__(self) -> str:
        rows = [f"{self.name}: {self.points}/{self.possible} points"]
        if self.not_done is not None:
            return f"{rows[0]}\n  {_TO_DO} ({self.not_done})"
        told, hints = set(), set()
        for line in self.lines:
            paid = ", paid once the values are right" if line.status == "held" else ""
            rows.append(f"  {line.status:<5} {line.test.name} ({line.test.points}{paid})")
            if line.message:
                said, _, given = line.message.partition("\n")
                rows.append(_indented("the same as above" if said in told else said))
                if given and said not in told:
                    rows.append(_indented(given))
                hint = self.hint(line)
                if hint and hint not in hints:
                    rows.append(_indented(f"hint: {hint}"))
                    hints.add(hint)
                told.add(said)
        return "\n".join(rows)


def translation(message: str) -> str | None:
    """What the message of an error means, if it is a common one.

    Example:
        >>> translation("raised RuntimeError: size mismatch, got input (2), mat (2x3)")[:32]
        'these shapes do not fit together'
    """
    if not re.match(r"raised |`.*` fails: ", message):
        return None
    return next((hint for pattern, hint in TRANSLATIONS if re.search(pattern, message)), None)


def _indented(text: str) -> str:
    return textwrap.fill(
        text, 92, initial_indent=" " * 8, subsequent_indent=" " * 10, break_on_hyphens=False
    )


@dataclass(frozen=True)
class Exercise:
    """An exercise: its statement's data, its tests, and the mistakes that it can name."""

    number: str  # "2.1"
    title: str
    name: str  # the function or class that the learner writes
    difficulty: int  # 1 to 5
    minutes: int
    reference: Callable[..., Any]
    tests: Sequence[Test]
    mistakes: Sequence[Mistake] = field(default=())
    apart: bool = False  # its tests ask for separate things: each may be named by itself

    @property
    def points(self) -> int:
        return sum(test.points for test in self.tests)

    def heading(self) -> str:
        """The exercise's title in the master: "Exercise 2.1 · A vote"."""
        return f"Exercise {self.number} · {self.title}"

    def summary(self) -> str:
        """The line under the exercise's title.

        Example:
            >>> tests = [Test("is right", lambda g: [])]
            >>> Exercise("2.1", "A title", "f", 2, 5, abs, tests).summary()
            '`f` · 1 point · difficulty ★★☆☆☆ · about 5 minutes'
        """
        points = f"{self.points} point{'s' if self.points != 1 else ''}"
        stars = "★" * self.difficulty + "☆" * (5 - self.difficulty)
        return f"`{self.name}` · {points} · difficulty {stars} · about {self.minutes} minutes"

    def cases(self, seed: int) -> list[list[tuple]]:
        """The arguments of every call, one list per test."""
        generator = torch.Generator().manual_seed(seed)
        return [test.cases(generator) for test in self.tests]

    def run(self, answer: Callable[..., Any], cases: list[list[tuple]]) -> list[list[Outcome]]:
        """Call the answer on the cases: the half that may run elsewhere."""
        return [
            [outcome_of(answer, test.probe, args) for args in group]
            for test, group in zip(self.tests, cases, strict=True)
        ]

    def judge(self, cases: list[list[tuple]], outcomes: list[list[Outcome]]) -> Report:
        """Judge what came back: the half that knows the reference."""
        every = [outcome for group in outcomes for outcome in group]
        if every and all(map(_is_to_do, every)):
            lines = [Line(test, "todo") for test in self.tests]
            return Report(self.name, lines, every[0].error.removeprefix(_STUB) or "a stub")
        seen = [
            [observed(test, args, outcome) for args, outcome in zip(group, results, strict=True)]
            for test, group, results in zip(self.tests, cases, outcomes, strict=True)
        ]
        messages = [
            self._first_message(test, group, results)
            for test, group, results in zip(self.tests, cases, seen, strict=True)
        ]
        values_right = not any(
            m for test, m in zip(self.tests, messages, strict=True) if not test.property
        )
        lines = [
            Line(test, _status(test, message, values_right), message)
            for test, message in zip(self.tests, messages, strict=True)
        ]
        failed = any(line.status == "FAIL" for line in lines)
        named = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a mistake may overflow; that is its point
            if failed and not (named := self._name_mistake(cases, seen)):
                groups = zip(lines, cases, seen, strict=True)
                lines = [self._with_own_mistake(*group) for group in groups]
        return Report(self.name, lines, mistake=named)

    def evaluate(self, answer: Callable[..., Any], seed: int = VISIBLE_SEED) -> Report:
        """Run and judge in this process."""
        with alike_everywhere():
            cases = self.cases(seed)
            return self.judge(cases, self.run(answer, cases))

    def _first_message(self, test: Test, cases: list[tuple], seen: list[Outcome]) -> str | None:
        for args, outcome in zip(cases, seen, strict=True):
            if message := self._message(test, args, outcome):
                told = not args or _is_to_do(outcome)
                return message if told else f"{message}\nfor {self._describe(test, args)}"
        return None

    def _message(self, test: Test, args: tuple, seen: Outcome) -> str | None:
        if _is_to_do(seen):
            return f"{_TO_DO} ({seen.error.removeprefix(_STUB)})"
        if seen.error:
            return seen.error
        if seen.changed:
            names = " and ".join(f"`{self._names[i]}`" for i in seen.changed)
            what = "argument" if len(seen.changed) == 1 else "arguments"
            return f"changed its {what} {names} in place; work on a copy"
        if test.judge:
            try:
                return _judged(test.judge, args, seen.value)
            except Unfit as reason:
                return str(reason)
        expected = observed(test, args, outcome_of(self.reference, test.probe, args)).value
        return difference(seen.value, expected, test.rtol, test.atol)

    @cached_property
    def _names(self) -> list[str]:
        return list(inspect.signature(self.reference).parameters)

    def _describe(self, test: Test, args: tuple) -> str:
        if test.probe in PROGRAMS:
            return args[1]  # lines to copy into a cell
        named = zip(self._names, args, strict=False)
        return ", ".join(f"{name} = {show(value)}" for name, value in named)

    def _name_mistake(self, cases: list[list[tuple]], seen: list[list[Outcome]]) -> Mistake | None:
        calls = [
            call
            for test, group, results in zip(self.tests, cases, seen, strict=True)
            for call in _finished(test, group, results)
        ]
        if named := next(self._alike(calls), None):
            return named
        # Of one wrong value there are many ways to write it, and their slopes may differ where
        # they overflow: the value alone then tells what went wrong.
        values = [call for call in calls if call[0].probe is probes.call]
        if len(values) < len(calls) and any(self._message(*call) for call in values):
            return next(self._alike(values), None)
        return None

    def _with_own_mistake(self, line: Line, cases: list[tuple], seen: list[Outcome]) -> Line:
        """Several methods of a class may be wrong at once: what one test alone says of them."""
        if line.status != "FAIL" or not self.apart:
            return line
        if translation(line.message):  # the error says it already
            return line
        alike = self._alike(_finished(line.test, cases, seen))
        found = [mistake for mistake in alike if not mistake.whole]
        named = found[0] if len({mistake.hint for mistake in found}) == 1 else None
        return replace(line, mistake=named)

    def _alike(self, calls: list[tuple[Test, tuple, Outcome]]) -> Iterator[Mistake]:
        """The mistakes with the same outcome in every call."""
        for mistake in self.mistakes:
            made = (
                (outcome, observed(test, args, outcome_of(mistake.answer, test.probe, args)))
                for test, args, outcome in calls
            )
            if all(same_outcome(a, b) for a, b in made):  # stops at the first difference
                yield mistake


def _finished(
    test: Test, cases: list[tuple], seen: list[Outcome]
) -> list[tuple[Test, tuple, Outcome]]:
    calls = zip(cases, seen, strict=True)
    return [(test, args, outcome) for args, outcome in calls if not _is_to_do(outcome)]


@contextmanager
def alike_everywhere() -> Iterator[None]:
    """One thread and Python's own limit of recursion, so that no setting tips a verdict.

    On a busy machine threads wait for one another: small tensors take 50 times as long. Notebooks
    often allow three times as many nested calls as Python does by itself.
    """
    threads, calls = torch.get_num_threads(), sys.getrecursionlimit()
    torch.set_num_threads(1)
    sys.setrecursionlimit(min(calls, NESTED_CALLS))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        sys.setrecursionlimit(calls)


def _is_to_do(outcome: Outcome) -> bool:
    """Whether it is that of a stub; torch, too, raises NotImplementedError."""
    error = outcome.error or ""
    return error == _STUB or error.startswith(f"{_STUB}Exercise ")


def _status(test: Test, message: str | None, values_right: bool) -> str:
    if message:
        return "todo" if message.startswith(_TO_DO) else "FAIL"
    return "held" if test.property and not values_right else "ok"


def _judged(judge: Callable, args: tuple, value: Any) -> Any:
    """What a judge or an observer makes of a value; raises only Unfit, whatever the value."""
    if value is None:
        raise Unfit(difference(None, ()))
    try:
        return judge(args, value)
    except Unfit:
        raise
    except Exception as error:  # values come from strangers: none may stop a grader
        said = f"returned {show(value)}, which the statement does not allow"
        raise Unfit(said) from error


def observed(test: Test, args: tuple, outcome: Outcome) -> Outcome:
    """The outcome with what counts of its value in the place of the value."""
    if outcome.error or test.observe is None:
        return outcome
    try:
        return replace(outcome, value=_judged(test.observe, args, outcome.value))
    except Unfit as reason:
        return replace(outcome, value=None, error=str(reason))


def same_outcome(a: Outcome, b: Outcome) -> bool:
    """Whether two calls gave the same: the same value, or the same error but for its numbers."""
    if a.error or b.error:
        return _without_numbers(a.error) == _without_numbers(b.error)
    return a.changed == b.changed and agree(a.value, b.value)


def _without_numbers(error: str | None) -> str | None:
    """An error without what differs between cases, or between two ways to write one thing."""
    return error and re.sub(r"-?\d[\d.]*(e[-+]?\d+)?|(?<=recursion depth exceeded).*", "#", error)


def shapes(args: tuple, value: Any) -> Any:
    """Observe the shapes alone: every number of the value is taken for a zero."""
    if isinstance(value, torch.Tensor):
        return torch.zeros(value.shape)
    if isinstance(value, tuple):
        return tuple(shapes(args, part) for part in value)
    if isinstance(value, dict):
        return {key: shapes(args, part) for key, part in value.items()}
    return 0 if isinstance(value, bool | int | float) else value


def parts(value: Any, *names: str) -> tuple:
    """The values of an answer that returns several, by name."""
    if not isinstance(value, tuple) or len(value) != len(names):
        wanted = f"{len(names)} values: {', '.join(names)}"
        raise Unfit(f"returned {show(value)}, expected {wanted}")
    return value


def part(i: int, *names: str) -> Callable[[tuple, Any], Any]:
    """Observe one of several values: ``part(0, "w", "b")`` observes the weights."""
    return lambda args, value: parts(value, *names)[i]


def numbers(name: str, value: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """A value, or a part of one, as a tensor of doubles, or the reason why it cannot be one."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Unfit(f"{name} is {show(value)}, expected numbers") from None
    if tuple(tensor.shape) != shape:  # looked at first: as doubles it may be eight times as large
        want = f"shape {shape}" if shape else "a single number"
        raise Unfit(f"{name} has shape {tuple(tensor.shape)}, expected {want}")
    tensor = torch.as_tensor(value, dtype=torch.float64)
    if not tensor.isfinite().all():
        raise Unfit(f"{name} is {show(tensor)}, expected finite numbers")
    return tensor


def checker(exercises: Sequence[Exercise]) -> Callable[..., None]:
    """Make a chapter's ``check`` from its exercises."""
    by_name = {exercise.name: exercise for exercise in exercises}

    def check(answer: Callable[..., Any], name: str | None = None) -> None:
        """Print points, verdicts and the hint for an answer to an exercise of this chapter.

        Args:
            answer: your function or class; its name says which exercise it answers.
            name: the exercise's name, where your function is called otherwise.

        Raises:
            TypeError: when the answer cannot be called.
            ValueError: when there is no exercise of that name.
        """
        first = next(iter(by_name))
        if not callable(answer):
            raise TypeError(
                f"check got {_said(answer)}, expected a function; "
                f"pass the function itself, without brackets: check({first}), not check({first}())"
            )
        name = name or getattr(answer, "__name__", None)
        if name not in by_name:
            nameless = " (a lambda has no name; pass the function itself, without brackets)"
            raise ValueError(
                f"no exercise is called {name!r}; this chapter has {', '.join(by_name)}. "
                f"Give your function the name of its exercise, or write check(answer, {first!r})"
                + nameless
                * (name == "<lambda>")
            )
        print(by_name[name].evaluate(answer))

    return check


def _said(value: Any) -> str:
    """A value in a few words, whatever it is."""
    try:
        return show(plain(value))
    except Exception:
        return f"a {type(value).__name__}"


def demo(function: Callable[[], Any]) -> None:
    """Run a demonstration at once, or say which unfinished exercise it waits for.

    Put ``@demo`` above a function without arguments; what it returns is displayed. A wrong answer
    may lead to any error here: it is told in a line, so that the cells below still run.

    Args:
        function: the demonstration, which calls answers of the reader.

    Example:
        >>> @demo
        ... def picture():
        ...     raise NotImplementedError("Exercise 2.1: fire or stay silent.")
        This demonstration waits for Exercise 2.1: fire or stay silent.
    """
    try:
        shown = function()
    except Exception as error:
        said = str(error).partition("\n")[0]
        if isinstance(error, NotImplementedError) and (not said or said.startswith("Exercise ")):
            print(f"This demonstration waits for {said or 'an unfinished exercise'}")
            return
        print(f"This demonstration stopped with {type(error).__name__}{said and f': {said}'}")
        print("Check your answer first.")
        return
    if shown is not None:
        from IPython.display import display

        display(shown)
