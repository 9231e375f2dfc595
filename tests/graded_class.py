"""A class whose grades are made of the real exercises: right answers, known mistakes, stubs."""

import importlib
import random
from functools import cache

from course_lib.checks.exercise import Report
from course_lib.grading.records import ExerciseGrade, Grade, LineGrade, NotGraded

SEED = 20240917
NOT_GRADED = (
    NotGraded("notes.docx", "is neither .ipynb nor .py"),
    NotGraded("Empty.ipynb", "has no code in it"),
    NotGraded("link.ipynb", "is a link; links are not followed"),
)


def exercises(chapter):
    """The exercises of a chapter."""
    return importlib.import_module(f"course_lib.checks.{chapter}").EXERCISES


def hint_of(report: Report, line):
    """What helps with a line that failed."""
    known = report.mistake or line.mistake
    return known.hint if known and line.status == "FAIL" else None


@cache
def graded(chapter, number, which, through=()):
    """An exercise answered rightly (-1), not at all (None), strangely (-2), or by a mistake."""
    exercise = exercises(chapter)[number]
    about = (exercise.number, exercise.name, exercise.title, exercise.points)
    if which is None:
        lines = tuple(LineGrade(test.name, test.points, "todo") for test in exercise.tests)
        why = f"not done yet (Exercise {exercise.number}: {exercise.title}.)"
        return ExerciseGrade(*about, lines, why)
    answers = [*(m.answer for m in exercise.mistakes), lambda *args: 42.0, exercise.reference]
    report = exercise.evaluate(answers[which])
    found = dict.fromkeys(
        known for x in report.lines if x.status == "FAIL" and (known := report.mistake or x.mistake)
    )
    lines = tuple(
        LineGrade(x.test.name, x.test.points, x.status, x.message, hint_of(report, x))
        for x in report.lines
    )
    names, hints = (tuple(getattr(m, what) for m in found) for what in ("name", "hint"))
    return ExerciseGrade(*about, lines, None, names, hints, through)


def one(chapter, student, draw, skill=0.6, **more):
    """The grade of a learner who answers rightly with a chance of `skill`."""
    answered = []
    for number, exercise in enumerate(exercises(chapter)):
        luck = draw.random()
        which = -1
        if luck > skill:
            usual = min(int(draw.expovariate(0.5)), len(exercise.mistakes) - 1)
            which = draw.choices([usual, None, -2], [8, 2, 1])[0]
        answered.append(graded(chapter, number, which))
    about = {
        "student": student,
        "file": f"{student}.ipynb",
        "digest": f"{draw.getrandbits(256):064x}",
        "chapter": chapter,
        "checks": "3f1c8e0a9b2d4c57",
        "seed": SEED,
        "isolation": "namespaces",
        "seconds": 0.8,
        "exercises": tuple(answered),
    }
    return Grade(**about | more)


def a_class(chapter="autograd", size=60, seed=0):
    """The grades of a class."""
    draw = random.Random(seed)
    names = [f"learner {i:03d}" for i in range(1, size + 1)]
    return [one(chapter, name, draw, draw.betavariate(4, 2)) for name in names]
