"""The class for `make bench`: 30 honest submissions, and otter's form of the checks.

The assignment is two exercises of chapter 03_autograd. A learner hands in the notebook with these
two; otter's copy has the same answers, without what needs the course library. Otter's tests call
the answers with the inputs that our grader draws, and compare what comes back in the same way.
"""

import ast
import copy
import itertools
import json
import re
from pathlib import Path

import nbformat
import torch
from nbformat import NotebookNode

from benchmarks import answers as wrong_answers
from course_lib.checks import probes
from course_lib.checks.autograd import EXERCISES
from course_lib.checks.exercise import VISIBLE_SEED, Exercise
from tools.cutter import segment, tags

ROOT = Path(__file__).parents[1]
CHAPTER, FULL = "autograd", "03_autograd"
NAMES = ("unbroadcast", "matmul_gradients")
ASSIGNED = {exercise.name: exercise for exercise in EXERCISES if exercise.name in NAMES}
HIDDEN_SEED = 20  # of the hidden inputs, the same for both graders

Answers = dict[str, str]  # the name of an exercise -> the source of an answer


def defines(cell: NotebookNode, name: str, tag: str) -> bool:
    """Whether a cell with this tag holds the answer, or its stub."""
    return tag in tags(cell) and cell.source.startswith(f"def {name}(")


def answers_in(folder: str, tag: str) -> Answers:
    """The cells of the chapter's notebook in a folder that define the two functions."""
    cells = nbformat.read(ROOT / folder / f"{FULL}.ipynb", as_version=4).cells
    return {name: next(c.source for c in cells if defines(c, name, tag)) for name in NAMES}


def other_answers() -> Answers:
    """Right answers by another way than the master's, which takes numpy."""
    source = (ROOT / f"tests/right_answers/{CHAPTER}.py").read_text(encoding="utf-8")
    nodes = {n.name: n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}
    return {name: f"import numpy as np\n\n\n{segment(source, nodes[name])}" for name in NAMES}


def answers() -> list[Answers]:
    """The 30 pairs of answers: right and wrong ones, and one that is not done.

    A product that calls a wrong `unbroadcast` is left out: our grader tries it again with a right
    one and pays for it, otter does not.
    """
    master, other = answers_in("solutions", "solution"), other_answers()
    right = master["unbroadcast"], other["unbroadcast"]
    stub = answers_in("exercises", "exercise")["unbroadcast"]
    sums = [*right, *wrong_answers.UNBROADCAST.values(), stub]
    wrong = wrong_answers.MATMUL_GRADIENTS.values()
    products = [master["matmul_gradients"], other["matmul_gradients"], *wrong]
    return [
        dict(zip(NAMES, pair, strict=True))
        for pair in itertools.product(sums, products)
        if pair[0] in right or "unbroadcast(" not in pair[1]
    ]


def learners_notebook(given: Answers) -> NotebookNode:
    """The chapter's exercises with the two assigned ones alone, answered."""
    nb = nbformat.read(ROOT / f"exercises/{FULL}.ipynb", as_version=4)
    kept, inside = [], True  # what stands before the first exercise stays
    for cell in nb.cells:
        if heading := re.match(r"## Exercise (\S+)", cell.source):
            inside = heading[1] in {exercise.number for exercise in ASSIGNED.values()}
        if inside:
            kept.append(cell)
    for cell in kept:
        for name, answer in given.items():
            if defines(cell, name, "exercise"):
                cell.source = answer
    nb.cells = kept
    return nb


def otters_notebook(nb: NotebookNode) -> NotebookNode:
    """The same notebook without the setup, the checks, the demonstrations and their imports."""
    nb = copy.deepcopy(nb)
    ours = ("check(", "@demo")
    nb.cells = [c for c in nb.cells if "setup" not in tags(c) and not c.source.startswith(ours)]
    for cell in nb.cells:
        if cell.cell_type == "code" and "exercise" not in tags(cell):
            lines = cell.source.splitlines()
            cell.source = "\n".join(s for s in lines if not s.startswith("from course_lib"))
    return nb


def write_class(folder: Path, size: int = 30, otters: bool = False) -> None:
    """Write so many submissions, each answer again and again in a large class."""
    folder.mkdir(parents=True)
    notebooks = [learners_notebook(pair) for pair in answers()]
    if otters:
        notebooks = [otters_notebook(nb) for nb in notebooks]
    texts = itertools.cycle([nbformat.writes(nb) for nb in notebooks])
    for i, text in enumerate(itertools.islice(texts, size), 1):
        (folder / f"learner_{i:04d}.ipynb").write_text(text, encoding="utf-8")


# Otter's form of the checks. A line of ours is a test case of theirs, over the visible and the
# hidden inputs; what of an answer's value counts is written out, where it is not all of it.
COUNTS = {
    "is the gradient by A": "lambda value: value[0]",
    "is the gradient by B": "lambda value: value[1]",
    "has the shapes of A and B": "lambda value: [tuple(part.shape) for part in value]",
}
HEAD = '''\
"""The lines of exercise {number}, a test case each."""

import torch
from otter.test_files import test_case

OK_FORMAT = False
name = "{name}"
calls = torch.load("calls.pt", weights_only=True)[name]
failed = set()


def whole(value):
    return value


def compare(came, expected):
    if isinstance(expected, torch.Tensor):
        came = torch.as_tensor(came).double()
        assert came.shape == expected.shape, f"returned {{tuple(came.shape)}}"
        right = torch.isclose(came, expected.double(), rtol=1e-4, atol=1e-6, equal_nan=True)
        assert right.all(), f"returned {{came}}, expected {{expected}}"
    elif isinstance(expected, tuple | list) and isinstance(came, tuple | list):
        assert len(came) == len(expected), f"returned {{len(came)}} values"
        for one, other in zip(came, expected):
            compare(one, other)
    else:
        assert came == expected, f"returned {{came}}, expected {{expected}}"


def judge(line, answer, counts=whole):
    failed.add(line)
    for args, expected in calls[line]:
        given = [arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args]
        value = answer(*given)
        for before, after in zip(args, given):
            if isinstance(before, torch.Tensor):
                assert torch.equal(before, after), "changed its argument in place"
        compare(counts(value), counts(expected))
    failed.discard(line)
'''
CASE = """

@test_case(name={line!r}, points={points})
def case_{i}({name}):
    judge({i}, {name}, {counts})
"""
PROPERTY = '    assert not failed, "paid once the values are right"\n'


def otters_tests(exercise: Exercise) -> str:
    """The test file of an exercise; lines that are properties stand last in ours too."""
    text = HEAD.format(number=exercise.number, name=exercise.name)
    for i, test in enumerate(exercise.tests):
        counts = COUNTS.get(test.name, "whole")
        case = {"line": test.name, "points": test.points, "name": exercise.name, "counts": counts}
        text += CASE.format(i=i, **case) + PROPERTY * test.property
    return text


def calls(exercise: Exercise) -> list[list[tuple]]:
    """Of every line the arguments of its calls, visible and hidden, and what is right."""
    assert all(test.judge is None and test.probe is probes.call for test in exercise.tests)
    visible, hidden = (exercise.cases(seed) for seed in (VISIBLE_SEED, HIDDEN_SEED))
    return [
        [(args, exercise.reference(*args)) for args in seen + unseen]
        for seen, unseen in zip(visible, hidden, strict=True)
    ]


def write_otters_autograder(folder: Path) -> None:
    """Write what `otter generate` packs: tests, the numbers they compare with, settings."""
    (folder / "tests").mkdir(parents=True)
    for name, exercise in ASSIGNED.items():
        (folder / f"tests/{name}.py").write_text(otters_tests(exercise), encoding="utf-8")
    torch.save({name: calls(exercise) for name, exercise in ASSIGNED.items()}, folder / "calls.pt")
    quiet = {"logo": False, "print_summary": False, "print_score": False}
    (folder / "otter_config.json").write_text(json.dumps(quiet), encoding="utf-8")
