"""A class of 60: honest submissions, right and wrong, graded into a gradebook and an overview.

A wrong answer is a solution with one edit, and the edit is the mistake that the checks should name.
``python tests/test_grading_class.py FOLDER`` writes the class, to grade it and to look at it.
"""

import csv
import json
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from submissions import needs_sandbox, notebook, script, solution_cells

from course_lib.checks.autograd import EXERCISES
from course_lib.grading.__main__ import main
from course_lib.grading.records import Grade

SIZE = 60
EDITS = {  # exercise -> mistake -> what is edited
    "chain": {
        "adds along the path": ("sum(math.prod(path) for", "sum(sum(path) for"),
        "swaps sum and product": ("sum(math.prod(path) for", "math.prod(sum(path) for"),
    },
    "local_slopes": {
        "forgets the minus of a quotient": ("-a / b**2", "a / b**2"),
        "swaps the factors": ("return b, a\n", "return a, b\n"),
    },
    "backward_pass": {
        "overwrites": ("grads[j] += slope", "grads[j] = slope"),
        "forgets the slope": ("+= slope * grads[i]", "+= grads[i]"),
    },
    "unbroadcast": {
        "averages": ("grad.sum(", "grad.mean("),
        "forgets the stretched axes": ("if length == 1:", "if False:"),
    },
    "Dual": {
        "multiplies the slopes": ("a.slope * b.value + a.value * b.slope", "a.slope * b.slope"),
        "forgets the square": ("above / b.value**2", "above / b.value"),
    },
    "Value": {
        "overwrites the gradient": ("x.grad += slope", "x.grad = slope"),
        "forgets the seed": ("self.grad = 1.0\n        complete", "complete"),
    },
    "train_on_moons": {
        "forgets to zero the gradients": ("p.grad = 0.0", "pass"),
        "climbs": ("p.data -= lr", "p.data += lr"),
        "sums": (" / len(X)\n", "\n"),
    },
}
FULL = {exercise.name: exercise.points for exercise in EXERCISES}


def answers(draw):
    """What a learner does with each exercise: "right", None (not done) or the name of a mistake."""
    skill = draw.uniform(0.3, 1)
    return {
        name: "right" if draw.random() < skill else draw.choice([None, *EDITS.get(name, ["right"])])
        for name in FULL
    }


def cell(name, answer):
    """The cell of an exercise with that answer."""
    source = next(s for s in solution_cells("autograd") if defines(s, name))
    if answer is None:
        return f"def {name}(*args):\n    raise NotImplementedError('Exercise 3: {name}')"
    old, new = EDITS.get(name, {}).get(answer, ("", ""))
    assert old in source
    return source.replace(old, new)


def defines(source, name):
    """Whether a cell is the solution of an exercise."""
    return f"\ndef {name}(" in f"\n{source}" or f"\nclass {name}:" in f"\n{source}"


def write_class(folder):
    """Write the submissions; returns what each learner did, by student."""
    draw, did = random.Random(0), {}
    for i in range(SIZE):
        student, done = f"learner {i:02d}", answers(draw)
        cells = ["import math\nimport torch", *[cell(name, done[name]) for name in FULL]]
        if i % 4:
            (folder / f"{student}.ipynb").write_bytes(notebook(cells))
        else:
            (folder / f"{student}.py").write_bytes(script(*cells))
        did[student] = done
    return did


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """What each learner did, the folder of results, the grades."""
    needs_sandbox()
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("results")
    did = write_class(folder)
    assert main(["grade", "autograd", str(folder), str(out), "-j", "2", "--seed", "1"]) == 0
    found = [json.loads(path.read_text()) for path in out.glob("learners/*/results.json")]
    grades = [Grade.from_data(result["extra_data"]) for result in found]
    return did, out, {grade.student: grade for grade in grades}


def test_everybody_has_the_points_and_the_hints_that_their_answers_deserve(graded):
    did, _, grades = graded
    assert len(grades) == SIZE
    for student, done in did.items():
        for exercise in grades[student].exercises:
            answer = done[exercise.name]
            if answer == "right":
                assert exercise.points == exercise.possible, (student, exercise)
            elif answer is None:
                assert exercise.points == 0 and exercise.not_done.startswith("not done yet")
            else:
                assert exercise.points < exercise.possible
                assert answer in exercise.mistakes, (student, exercise)


def test_a_right_answer_is_paid_in_full_after_every_wrong_one(graded):
    did, _, grades = graded
    helped = Counter()
    for student, done in did.items():
        for exercise in grades[student].exercises:
            if exercise.follow_through and done[exercise.name] == "right":
                helped[exercise.follow_through] += 1
    assert helped["unbroadcast",] > 5 and helped["Value",] > 5


def test_the_gradebook_adds_up(graded):
    did, out, grades = graded
    with (out / "gradebook.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["student"] for row in rows] == sorted(did)
    for row in rows:
        points = [int(row[name]) for name in FULL]
        assert sum(points) == int(row["total"]) == grades[row["student"]].points
        assert row["max"] == str(sum(FULL.values()))


def test_the_overview_counts_each_mistake(graded):
    did, out, _ = graded
    page = BeautifulSoup((out / "overview.html").read_text(encoding="utf-8"), "html.parser")
    made = Counter((name, done[name]) for done in did.values() for name in EDITS)
    for name, mistakes in EDITS.items():
        shown = {
            entry.select_one(".name").get_text(): int(entry.select_one(".count").get_text())
            for entry in page.select(f"section#{name} .findings > li")
        }
        for mistake in mistakes:
            assert shown.get(mistake, 0) == made[name, mistake], (name, mistake)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir()
    write_class(Path(sys.argv[1]))
