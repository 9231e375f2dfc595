"""The benchmark of the grader: a fair assignment, and helpers that count what they claim to."""

import json
import subprocess
import sys
import types

import nbformat
import pytest
import torch

from benchmarks import answers as wrong_answers
from benchmarks import assignment
from benchmarks.assignment import ASSIGNED, HIDDEN_SEED, NAMES, ROOT
from benchmarks.contenders import grading
from benchmarks.cost import Cost
from course_lib.checks.exercise import VISIBLE_SEED
from tools.cutter import tags

ANSWERS = assignment.answers()
SEEDS = (VISIBLE_SEED, HIDDEN_SEED)


def notebooks(folder):
    """The notebooks of a class, by file name."""
    paths = sorted(folder.glob("*.ipynb"))
    return {path.name: nbformat.read(path, as_version=4) for path in paths}


def code(nb, *, answers):
    """The code cells that hold the answers, or all others."""
    cells = [cell for cell in nb.cells if cell.cell_type == "code"]
    return [cell.source for cell in cells if ("exercise" in tags(cell)) == answers]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The class as our grader gets it, and as otter does."""
    folder = tmp_path_factory.mktemp("class")
    assignment.write_class(folder / "ours")
    assignment.write_class(folder / "otters", otters=True)
    return notebooks(folder / "ours"), notebooks(folder / "otters")


def test_thirty_pairs_that_differ():
    assert len({tuple(pair.values()) for pair in ANSWERS}) == len(ANSWERS) == 30


def test_both_get_the_same_answers(both):
    ours, otters = both
    assert ours.keys() == otters.keys() and len(ours) == 30
    for nb, other, pair in zip(ours.values(), otters.values(), ANSWERS, strict=True):
        assert code(nb, answers=True) == code(other, answers=True) == list(pair.values())


def test_a_learner_hands_in_setup_imports_and_checks(both):
    setup, imports, *rest = code(both[0]["learner_0001.ipynb"], answers=False)
    assert "COURSE = None" in setup and "from course_lib.checks" in imports
    assert [cell for cell in rest if "@demo" not in cell] == [f"check({name})" for name in NAMES]


def test_otter_gets_nothing_that_needs_the_course(both):
    for nb in both[1].values():
        assert code(nb, answers=False) == ["import math\nimport torch"]


def reports(pair):
    """What our checks say of a pair of answers."""
    names = {"torch": torch}
    for name in NAMES:
        exec(pair[name], names)
    return [ASSIGNED[name].evaluate(names[name], seed) for name in NAMES for seed in SEEDS]


def test_the_class_knows_much_little_and_nothing():
    found = {tuple(report.points for report in reports(pair)[::2]) for pair in ANSWERS}
    assert {(6, 5), (6, 0), (2, 2), (0, 5)} <= found


@pytest.mark.parametrize("name", NAMES)
def test_wrong_answers_make_the_mistake_that_they_are_called_by(name):
    wrong = {
        "unbroadcast": wrong_answers.UNBROADCAST,
        "matmul_gradients": wrong_answers.MATMUL_GRADIENTS,
    }[name]
    for mistake, answer in wrong.items():
        report = reports(ANSWERS[0] | {name: answer})[2 * NAMES.index(name)]
        assert report.mistake.name == mistake


@pytest.fixture
def otter(monkeypatch):
    """A stand-in for otter's decorator: it lists the lines."""
    cases = []

    def test_case(**about):
        return lambda function: cases.append((about, function))

    module = types.ModuleType("otter.test_files")
    module.test_case = test_case
    monkeypatch.setitem(sys.modules, "otter", types.ModuleType("otter"))
    monkeypatch.setitem(sys.modules, "otter.test_files", module)
    return cases


def points_by_otters_tests(cases, answer):
    """What otter pays: the points of each case that does not raise."""
    points = 0
    for about, case in cases:
        try:
            case(answer)
        except Exception:
            continue
        points += about["points"]
    return points


@pytest.mark.parametrize("name", NAMES)
def test_otters_tests_pay_as_ours_do(name, otter, tmp_path, monkeypatch):
    assignment.write_otters_autograder(tmp_path / "autograder")
    monkeypatch.chdir(tmp_path / "autograder")
    for pair in ANSWERS:
        otter.clear()
        names = {"torch": torch}
        for each in NAMES:
            exec(pair[each], names)
        exec(assignment.otters_tests(ASSIGNED[name]), {})
        lines = [(about["name"], about["points"]) for about, _ in otter]
        assert lines == [(test.name, test.points) for test in ASSIGNED[name].tests]
        at = 2 * NAMES.index(name)
        ours = {report.points for report in reports(pair)[at : at + 2]}
        assert {points_by_otters_tests(otter, names[name])} == ours


def test_other_grades_are_another_number():
    points = {"a": {"unbroadcast": 6.0, "matmul_gradients": 5.0},
              "b": {"unbroadcast": 0.0, "matmul_gradients": 0.0}}  # fmt: skip
    swapped = {"a": points["b"], "b": points["a"]}
    assert grading.fingerprint(points) != grading.fingerprint(swapped)
    cost = cost_of(points)
    assert (cost["seconds"], cost["wall"], cost["mb"]) == (2, 1, 3)
    with pytest.raises(AssertionError, match="1 of 2 submissions were graded"):
        cost_of({"a": points["a"]})


def cost_of(points):
    return grading.per_submission(Cost(cpu=4, wall=2, memory=3), 2, points)


# In a process of its own, so that pytest never adopts an orphan: a child and a grandchild that
# outlives it work half a second each; 100 MB are touched.
ORPHAN = """
import subprocess, sys, time
work = "import time; keep = bytes([1]) * 10**8\\nwhile time.process_time() < 0.5: pass"
subprocess.Popen([sys.executable, "-c", work])
subprocess.run([sys.executable, "-c", work])
"""
MEASURE = """
import json, sys
from benchmarks import cost as costs
costs.adopt_orphans()
memory = getattr(costs, sys.argv[2])
cost = costs.measure([sys.executable, "-c", sys.argv[1]], memory=memory)
print(json.dumps([cost.cpu, cost.memory]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux adopts orphans")
@pytest.mark.parametrize("memory", ["divided", "anonymous"])
def test_what_a_command_leaves_behind_is_counted(memory):
    command = [sys.executable, "-c", MEASURE, ORPHAN, memory]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    cpu, peak = json.loads(run.stdout)
    assert 1 <= cpu < 3 and peak > 100
