"""Grade one submission: run it in the sandbox, judge here what comes back."""

from __future__ import annotations

import ast
import atexit
import hashlib
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..checks.exercise import Exercise, Report, alike_everywhere
from ..checks.probes import Outcome
from . import view
from .process import NOWHERE, Process, one_line
from .records import ExerciseGrade, Grade, LineGrade, NotGraded
from .sandbox import Gone, Sandbox, Stopped

LOCK = threading.RLock()  # around what is one for all threads: judging changes settings of Python
SANDBOXES: dict[tuple, Sandbox] = {}
NOT_CALLED = Outcome(error="was not called any more, after what happened above")
VISIBLE = 0  # the seed of the inputs that `check` uses


@dataclass(frozen=True)
class Job:
    """One submission and how to grade it; may be sent to another machine."""

    chapter: str
    file: str
    content: bytes
    seed: int  # of the hidden inputs
    seconds: float = 10.0  # for each cell, and for each exercise
    isolation: str | None = None
    private: tuple[str, ...] = ()  # folders to keep out of sight


def grade(job: Job) -> Grade | NotGraded:
    """Grade a submission.

    Args:
        job: the file and the settings.

    Returns:
        The grade, or the reason why there is none.

    Raises:
        SandboxError: when the sandbox does not start; nothing may be graded then.
    """
    for _ in range(2):
        sandbox = _sandbox(job)
        with suppress(Gone):
            return _Grading(job, sandbox).grade()
        _forget(sandbox)
    return NotGraded(job.file, "ended the whole sandbox, twice", ours=True)


def _sandbox(job: Job) -> Sandbox:
    """The sandbox for a job, started once and shared by the threads of this process."""
    key = (job.chapter, job.isolation, job.private)
    with LOCK:
        if key not in SANDBOXES:
            SANDBOXES[key] = Sandbox(job.chapter, job.isolation, [Path(p) for p in job.private])
        return SANDBOXES[key]


def _forget(sandbox: Sandbox) -> None:
    with LOCK:
        for key in [key for key, known in SANDBOXES.items() if known is sandbox]:
            SANDBOXES.pop(key).close()


@atexit.register
def close() -> None:
    """End all sandboxes of this process, and what is at work in them."""
    with LOCK:
        while SANDBOXES:
            SANDBOXES.popitem()[1].close()


def digest(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


@cache
def digest_of_checks(chapter: str) -> str:
    """Make a hash of what decides on points.

    Args:
        chapter: whose solutions stand in for wrong answers.

    Returns:
        The hash of the checks, the solutions, and how answers are called and judged.
    """
    here = Path(__file__).parent
    files = [*(view.LIBRARY / "checks").glob("*.py"), *(here / "inside").glob("*.py")]
    files += [here / "grader.py", here / "process.py", solutions_path(chapter)]
    together = hashlib.sha256(chapter.encode())
    for path in sorted(files):
        together.update(path.read_bytes())
    return together.hexdigest()[:16]


class _Grading:
    """The work on one submission."""

    def __init__(self, job: Job, sandbox: Sandbox) -> None:
        self.job, self.sandbox = job, sandbox
        self.exercises = view.exercises(job.chapter)
        self.start = time.monotonic()

    def grade(self) -> Grade | NotGraded:
        job, names = self.job, [exercise.name for exercise in self.exercises]
        try:
            self.process = Process(
                self.sandbox, job.file, job.content, names, job.seconds, job.seed
            )
        except Stopped as reason:
            return NotGraded(
                job.file, f"could not be read: its process {one_line(reason)}", ours=True
            )
        facts = self.process.facts
        try:
            if facts["unreadable"]:
                return NotGraded(job.file, one_line(facts["unreadable"]))
            grades: dict[str, ExerciseGrade] = {}
            for exercise in self.exercises:
                grades[exercise.name] = self._exercise(exercise, grades)
            if {grade.not_done for grade in grades.values()} == {NOWHERE}:
                return NotGraded(job.file, f"answers no exercise of chapter {job.chapter}")
        finally:
            self.process.close()
        return Grade(
            student=Path(job.file).stem,
            file=job.file,
            digest=digest(job.content),
            chapter=job.chapter,
            checks=digest_of_checks(job.chapter),
            seed=job.seed,
            isolation=self.sandbox.isolation,
            seconds=round(time.monotonic() - self.start, 2),
            exercises=tuple(grades.values()),
            cells=self.process.failures(),
            fragments={name: tuple(found) for name, found in facts["fragments"].items()},
        )

    def _exercise(self, exercise: Exercise, done: dict[str, ExerciseGrade]) -> ExerciseGrade:
        """The grade with the learner's own earlier answers, or with right ones if no lower."""
        own = self._judged(exercise)
        uses = self.process.facts["uses"][exercise.name]
        wrong = tuple(n for n in uses if n in done and done[n].points < done[n].possible)
        if own.points == own.possible or not wrong:
            return own
        if not self.process.put(_cells_for(self.job.chapter, wrong), list(wrong)):
            return own
        through = self._judged(exercise, wrong)
        self.process.close()  # what has seen a right answer grades nothing else
        if through.points < own.points or through.lines == own.lines:
            return own
        return through  # its hints are about this exercise, not about an earlier one

    def _judged(self, exercise: Exercise, through: tuple[str, ...] = ()) -> ExerciseGrade:
        if missing := self.process.missing(exercise.name):
            return nothing(exercise, missing)
        cases = _cases(exercise, self.job.seed)
        outcomes = self._outcomes(exercise, cases)
        try:
            with LOCK, alike_everywhere():
                report = exercise.judge(cases, outcomes)
        except Exception as error:  # values of a stranger: they cost this exercise, no more
            return nothing(exercise, f"could not be judged ({type(error).__name__})")
        return record(exercise, report, through)

    def _outcomes(self, exercise: Exercise, cases: list[list[tuple]]) -> list[list[Outcome]]:
        """The outcome of each call; a call that ends the process is the last of its test."""
        results, deadline = [], time.monotonic() + self.job.seconds
        for test, group in zip(exercise.tests, cases, strict=True):
            came: list[Outcome] = []
            probe = test.probe.__name__
            if time.monotonic() < deadline:
                try:
                    for outcome in self.process.call(exercise.name, probe, group, deadline):
                        came.append(outcome)
                except Stopped as reason:
                    came.append(Outcome(error=one_line(reason)))
            results.append([*came, *[NOT_CALLED] * (len(group) - len(came))])
        return results


def _cases(exercise: Exercise, seed: int) -> list[list[tuple]]:
    """The visible inputs of each test and the hidden ones."""
    with LOCK, alike_everywhere():
        both = zip(exercise.cases(VISIBLE), exercise.cases(seed), strict=True)
        return [[*visible, *hidden] for visible, hidden in both]


def nothing(exercise: Exercise, reason: str) -> ExerciseGrade:
    """What is kept where there is nothing to judge."""
    lines = tuple(LineGrade(test.name, test.points, "todo") for test in exercise.tests)
    about = (exercise.number, exercise.name, exercise.title, exercise.points)
    return ExerciseGrade(*about, lines, not_done=reason)


def record(exercise: Exercise, report: Report, through: tuple[str, ...] = ()) -> ExerciseGrade:
    """What is kept of a report.

    Args:
        exercise: the one that was judged.
        report: on an answer to it.
        through: earlier answers that right ones stood in for.

    Returns:
        The grade of the exercise.
    """
    if report.not_done is not None:
        return nothing(exercise, f"not done yet ({report.not_done})")
    found = dict.fromkeys(filter(None, map(report.named, report.lines)))
    lines = [
        LineGrade(x.test.name, x.test.points, x.status, x.message, report.hint(x))
        for x in report.lines
    ]
    return ExerciseGrade(
        *(exercise.number, exercise.name, exercise.title, exercise.points, tuple(lines)),
        mistakes=tuple(mistake.name for mistake in found),
        hints=tuple(mistake.hint for mistake in found),
        follow_through=through,
    )


def solutions_path(chapter: str) -> Path:
    """The notebook with a chapter's solutions, of the installed package or of the repository."""
    name = f"{view.number(chapter):02d}_{chapter}.ipynb"
    packaged = view.LIBRARY / "solutions" / name
    return packaged if packaged.exists() else view.ROOT / "solutions" / name


@cache
def right_answers(chapter: str) -> list[tuple[set[str], str]]:
    """The solutions of a chapter: for each cell the names that it defines, and its source."""
    answers = []
    for cell in json.loads(solutions_path(chapter).read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse(source).body
        imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree)
        if imports or "solution" in cell["metadata"].get("tags", []):
            answers.append(({getattr(node, "name", "") for node in tree} - {""}, source))
    return answers


def _cells_for(chapter: str, names: Sequence[str]) -> list[str]:
    """The cells of the solutions up to the last that defines one of these names."""
    answers = right_answers(chapter)
    last = max(i for i, (defines, _) in enumerate(answers) if defines.intersection(names))
    return [source for _, source in answers[: last + 1]]
