"""A class whose grades are made of the real exercises: right answers, known mistakes, stubs."""

import random
from functools import cache

from course_lib.grading.grader import nothing, record
from course_lib.grading.records import Grade, NotGraded
from course_lib.grading.view import exercises

SEED = 20240917
NOT_GRADED = (
    NotGraded("notes.docx", "is neither .ipynb nor .py"),
    NotGraded("Empty.ipynb", "has no code in it"),
    NotGraded("link.ipynb", "is a link; links are not followed"),
)


@cache
def graded(chapter, number, which, through=()):
    """An exercise answered rightly (-1), not at all (None), strangely (-2), or by a mistake."""
    exercise = exercises(chapter)[number]
    if which is None:
        return nothing(exercise, f"not done yet (Exercise {exercise.number}: {exercise.title}.)")
    answers = [*(m.answer for m in exercise.mistakes), lambda *args: 42.0, exercise.reference]
    return record(exercise, exercise.evaluate(answers[which]), through)


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
