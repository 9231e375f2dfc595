"""What an exercise is, and how an answer to it is judged by the values that it returns.

A check module lists its exercises and ends with ``check = checker(EXERCISES)``. An answer is run
on cases (``Exercise.run``) and judged afterwards (``Exercise.judge``), so that the two halves may
live in different processes: inputs go out, values come back.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from . import probes
from .values import difference, plain, show

VISIBLE_SEED = 0
TIGHT = {"rtol": 1e-5, "atol": 1e-8}  # how closely an answer must follow a mistake to be named


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a plain value, or an error, and whether it changed its inputs."""

    value: Any = None
    error: str | None = None  # "ValueError: what it said"
    changed: bool = False


@dataclass(frozen=True)
class Test:
    """One line of the report.

    ``cases`` draws argument tuples from a generator; seed 0 gives the visible ones, the grader's
    seed the hidden ones. ``judge(args, value)`` returns a sentence when the value is wrong; without
    it the value must equal the reference's. A ``property`` (a shape, a sum) pays only once every
    other test holds.
    """

    __test__ = False  # not a pytest class

    name: str
    cases: Callable[[torch.Generator], list[tuple]]
    points: int = 1
    judge: Callable[[tuple, Any], str | None] | None = None
    probe: Callable[..., Any] = probes.call
    property: bool = False
    rtol: float = 1e-4
    atol: float = 1e-6


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that learners really give, and the hint that names it."""

    answer: Callable[..., Any]
    hint: str

    @property
    def name(self) -> str:
        return self.answer.__name__


@dataclass(frozen=True)
class Line:
    """The verdict on one test."""

    test: Test
    status: str  # "ok", "held" (a property, not paid yet) or "FAIL"
    message: str | None = None


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

    def __str__(self) -> str:
        rows = [f"{self.name}: {self.points}/{self.possible} points"]
        if self.not_done is not None:
            return f"{rows[0]}\n  not done yet ({self.not_done})"
        hint = self.mistake.hint if self.mistake else None
        for line in self.lines:
            paid = ", paid once the values are right" if line.status == "held" else ""
            rows.append(f"  {line.status:<5} {line.test.name} ({line.test.points}{paid})")
            if line.status == "FAIL":
                rows.append(f"        {line.message}")
                if hint:
                    rows.append(f"        hint: {hint}")
                hint = None
        return "\n".join(rows)


@dataclass(frozen=True)
class Exercise:
    """An exercise: its statement's data, its tests, and the mistakes that it can name."""

    number: str  # "2.1"
    name: str  # the function or class that the learner writes
    difficulty: int  # 1 to 5
    minutes: int
    reference: Callable[..., Any]
    tests: Sequence[Test]
    mistakes: Sequence[Mistake] = field(default=())

    @property
    def points(self) -> int:
        return sum(test.points for test in self.tests)

    def summary(self) -> str:
        """The line under the exercise's title.

        Example:
            >>> Exercise("2.1", "f", 2, 5, abs, [Test("is right", lambda g: [])]).summary()
            '`f` · 1 point · difficulty ★★☆☆☆ · about 5 minutes'
        """
        points = f"{self.points} point{'s' if self.points != 1 else ''}"
        stars = "★" * self.difficulty + "☆" * (5 - self.difficulty)
        return f"`{self.name}` · {points} · difficulty {stars} · about {self.minutes} minutes"

    def cases(self, seed: int) -> list[list[tuple]]:
        """The arguments of every call, a list a test."""
        return [test.cases(torch.Generator().manual_seed(seed)) for test in self.tests]

    def run(self, answer: Callable[..., Any], cases: list[list[tuple]]) -> list[list[Outcome]]:
        """Call the answer on the cases: the half that may run elsewhere."""
        return [
            [_outcome(answer, test.probe, args) for args in group]
            for test, group in zip(self.tests, cases, strict=True)
        ]

    def judge(self, cases: list[list[tuple]], outcomes: list[list[Outcome]]) -> Report:
        """Judge what came back: the half that knows the reference."""
        flat = [outcome for group in outcomes for outcome in group]
        for outcome in flat:
            if outcome.error and outcome.error.startswith("NotImplementedError"):
                lines = [Line(test, "FAIL") for test in self.tests]
                return Report(self.name, lines, outcome.error.partition(": ")[2] or "a stub")
        messages = [
            self._first_message(test, group, results)
            for test, group, results in zip(self.tests, cases, outcomes, strict=True)
        ]
        values_right = not any(
            m for test, m in zip(self.tests, messages, strict=True) if not test.property
        )
        lines = [
            Line(test, _status(test, message, values_right), message)
            for test, message in zip(self.tests, messages, strict=True)
        ]
        named = self._name_mistake(cases, flat) if any(messages) else None
        return Report(self.name, lines, mistake=named)

    def evaluate(self, answer: Callable[..., Any], seed: int = VISIBLE_SEED) -> Report:
        """Run and judge in this process."""
        cases = self.cases(seed)
        return self.judge(cases, self.run(answer, cases))

    def _first_message(self, test: Test, cases: list[tuple], results: list[Outcome]) -> str | None:
        for args, outcome in zip(cases, results, strict=True):
            if message := self._message(test, args, outcome):
                given = self._describe(args)
                return f"{message}, for {given}" if given else message
        return None

    def _message(self, test: Test, args: tuple, outcome: Outcome) -> str | None:
        if outcome.error:
            return f"raised {outcome.error}"
        if outcome.changed:
            return "changed its argument in place; work on a copy"
        if test.judge:
            return test.judge(args, outcome.value)
        expected = plain(test.probe(self.reference, *_copies(args)))
        return difference(outcome.value, expected, test.rtol, test.atol)

    def _describe(self, args: tuple) -> str:
        names = list(inspect.signature(self.reference).parameters)
        return ", ".join(f"{n} = {show(plain(a))}" for n, a in zip(names, args, strict=False))

    def _name_mistake(self, cases: list[list[tuple]], came: list[Outcome]) -> Mistake | None:
        for mistake in self.mistakes:
            made = [o for group in self.run(mistake.answer, cases) for o in group]
            if all(same_outcome(a, b) for a, b in zip(came, made, strict=True)):
                return mistake
        return None


def _status(test: Test, message: str | None, values_right: bool) -> str:
    if message:
        return "FAIL"
    return "held" if test.property and not values_right else "ok"


def _copies(args: tuple) -> tuple:
    return tuple(a.clone() if isinstance(a, torch.Tensor) else a for a in args)


def _outcome(answer: Callable[..., Any], probe: Callable[..., Any], args: tuple) -> Outcome:
    given = _copies(args)
    try:
        value = plain(probe(answer, *given))
    except Exception as error:
        return Outcome(error=f"{type(error).__name__}: {error}")
    changed = any(
        isinstance(a, torch.Tensor) and not torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in zip(args, given, strict=True)
    )
    return Outcome(value=value, changed=changed)


def same_outcome(a: Outcome, b: Outcome) -> bool:
    """Whether two calls gave the same: the same value, or an error of the same kind."""
    if a.error or b.error:
        kinds = [o.error.partition(":")[0] if o.error else None for o in (a, b)]
        return kinds[0] == kinds[1]
    return a.changed == b.changed and difference(a.value, b.value, **TIGHT) is None


def checker(exercises: Sequence[Exercise]) -> Callable[..., None]:
    """Make a chapter's ``check`` from its exercises."""
    by_name = {exercise.name: exercise for exercise in exercises}

    def check(answer: Callable[..., Any], name: str | None = None) -> None:
        """Print points, verdicts and the hint for an answer to an exercise of this chapter.

        Args:
            answer: your function or class; its name says which exercise it answers.
            name: the exercise's name, where your function is called otherwise.

        Raises:
            ValueError: when there is no exercise of that name.
        """
        name = name or getattr(answer, "__name__", None)
        if name not in by_name:
            raise ValueError(
                f"no exercise is called {name!r}; this chapter has {', '.join(by_name)}. "
                f"Name your function so, or say check(answer, {next(iter(by_name))!r})"
            )
        print(by_name[name].evaluate(answer))

    return check
