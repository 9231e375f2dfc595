"""What a grade is: plain data that goes to files, to other processes and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class LineGrade:
    """One test of an exercise, over the visible inputs and the hidden ones."""

    name: str  # "sums to one along dim"
    points: int
    status: str  # "ok", "held" (a property, not paid yet), "todo" (unfinished) or "FAIL"
    message: str | None = None  # what came and what was expected; a second line says for what
    hint: str | None = None

    @property
    def paid(self) -> int:
        """The points that it brings."""
        return self.points if self.status == "ok" else 0


@dataclass(frozen=True)
class ExerciseGrade:
    """One exercise of one submission."""

    number: str  # "3.1"
    name: str  # "chain"
    title: str  # "Every path counts"
    possible: int
    lines: tuple[LineGrade, ...] = ()
    not_done: str | None = None  # why there is nothing to judge: a stub, no definition, an error
    mistakes: tuple[str, ...] = ()  # the names of those recognised, as the checks call them
    hints: tuple[str, ...] = ()  # what each of them says to the learner
    follow_through: tuple[str, ...] = ()  # earlier answers that right ones stood in for

    @property
    def points(self) -> int:
        """The points reached."""
        return sum(line.paid for line in self.lines)


@dataclass(frozen=True)
class Grade:
    """The grade of one submission."""

    student: str  # the file's name without its ending
    file: str  # the file's name
    digest: str  # SHA-256 of the file
    chapter: str  # "autograd"
    checks: str  # a hash of the checks that judged it
    seed: int  # of the hidden inputs
    isolation: str  # "namespaces" or "uid"
    seconds: float
    exercises: tuple[ExerciseGrade, ...] = ()
    cells: tuple[str, ...] = ()  # what went wrong: "code cell 4: NameError: ..."
    fragments: dict[str, tuple[str, ...]] = field(default_factory=dict)  # exercise -> hashes

    @property
    def points(self) -> int:
        """The points of all exercises."""
        return sum(exercise.points for exercise in self.exercises)

    @property
    def possible(self) -> int:
        """The points that all exercises have to give."""
        return sum(exercise.possible for exercise in self.exercises)

    def as_data(self) -> dict[str, Any]:
        """Dicts, lists, strings and numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Grade:
        """The inverse of :meth:`as_data`.

        Raises:
            KeyError, TypeError: when the data are not those of a grade.
        """
        exercises = tuple(_exercise(exercise) for exercise in data["exercises"])
        fragments = {name: tuple(hashes) for name, hashes in data["fragments"].items()}
        cells = tuple(data["cells"])
        return cls(**data | {"exercises": exercises, "fragments": fragments, "cells": cells})


def _exercise(data: dict[str, Any]) -> ExerciseGrade:
    lines = tuple(LineGrade(**line) for line in data["lines"])
    several = {name: tuple(data[name]) for name in ("mistakes", "hints", "follow_through")}
    return ExerciseGrade(**data | several | {"lines": lines})


@dataclass(frozen=True)
class NotGraded:
    """A file that got no grade, and the reason, a sentence for the instructor."""

    file: str
    reason: str
    ours: bool = False  # whether the grader failed, and not the file
