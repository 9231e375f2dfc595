"""Fragments of syntax trees and what they say of pairs, on answers written in several ways."""

import ast
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alike import ANSWERS, VALUE, by_hand, disguised
from graded_class import exercises
from masters import master, solutions

from course_lib.grading import similar
from course_lib.grading.inside import fragments as inside
from course_lib.grading.inside import notebook
from course_lib.grading.inside.fragments import MOST, SIZE, fragments
from course_lib.grading.records import Grade
from tools.notebooks import compose_exercise

ROOT = Path(__file__).parents[1]
NAMES = list(ANSWERS)


def grade(student, cells):
    """A grade that holds nothing but the fragments of its code."""
    found = fragments(cells, NAMES)
    return Grade(student, f"{student}.ipynb", "", "autograd", "", 0, "", 0.0, fragments=found)


def somebody(draw):
    """The cells of one who solved every exercise alone, by one of the plans that there are."""
    return [by_hand(draw.choice(plans), draw.random(), 0.4) for plans in ANSWERS.values()]


def score(found, a, b):
    """The score of a pair, 0 if it is not listed."""
    pairs = {frozenset((p.one.student, p.other.student)): p.score for p in found}
    return pairs.get(frozenset((a, b)), 0.0)


# --- fragments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_disguise_changes_no_fragment(name):
    for source in ANSWERS[name]:
        assert fragments([disguised(source, 3)], [name]) == fragments([source], [name])


def test_the_disguise_of_the_test_is_one():
    """It changes every own name and the order, and the code still means the same."""
    copy = disguised(VALUE[0])
    assert "children" not in copy and "visited" not in copy and "all by myself" in copy
    space = {"math": __import__("math")}
    exec(copy, space)
    a = space["Value"](3.0)
    (a * a + 2.0 * a).backward()
    assert a.grad == 8.0


@pytest.mark.parametrize(
    "other",
    [
        "def f(a):\n    # a comment\n    return g(a) + 1.5\n\ndef g(b):\n    return t.exp(b) * 2",
        "import torch as th\ndef g(q: int) -> int:\n    'Doubles.'\n    return th.exp(q) * 7\n"
        "def f(z):\n    return g(z) + 0.1",
        "def f(a): return 0\ndef g(x):\n    return t.exp(x) * 2\ndef f(y):\n    return g(y) + 1.0",
    ],
    ids=["comment and order", "names, docstring, annotation, alias, constants", "an earlier f"],
)
def test_what_does_not_count(other):
    code = "import torch as t\ndef g(x):\n    return t.exp(x) * 2\ndef f(x):\n    return g(x) + 1.0"
    start = [] if "import" in other else ["import torch as t"]
    assert fragments([*start, other], ["f"]) == fragments([code], ["f"])


@pytest.mark.parametrize(
    "other",
    [
        "return x * y + x",
        "return x - y * x",
        "return x + x * y",
        "return torch.exp(x) * y",
        "return x.sum() + y",
        "return x + y if x else y",
    ],
)
def test_what_counts(other):
    def of(body):
        return fragments([f"def f(x, y):\n    {body}"], ["f"])["f"]

    assert of("return x + y * x") and of(other) != of("return x + y * x")
    assert of("return torch.log(x) * y") != of("return torch.exp(x) * y")
    assert of("return x.mean() + y") != of("return x.sum() + y")


def test_an_edit_changes_the_runs_that_it_touches():
    before = set(fragments([VALUE[0]], ["Value"])["Value"])
    after = set(fragments([VALUE[0].replace("1 - t**2", "1 - t * t")], ["Value"])["Value"])
    assert 0 < len(before - after) <= 2 * SIZE < len(before & after)


@pytest.mark.parametrize("chapter", ["neuron", "autograd"])
def test_what_the_learner_is_given_has_no_fragment(chapter):
    """Who has not begun an exercise is like nobody else who has not."""
    names = [exercise.name for exercise in exercises(chapter)]
    notebook = compose_exercise(master(chapter))
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert any("NotImplementedError" in cell for cell in cells)
    found = fragments(cells, names)
    assert list(found) == names
    stubs = {name for name in names if not isinstance(solutions(chapter)[name], type)}
    assert {name: found[name] for name in stubs} == dict.fromkeys(stubs, ())
    assert all(len(hashes) < 5 for hashes in found.values())  # __radd__ = __add__ stays in a class


def test_helpers_belong_to_an_answer_and_other_answers_do_not():
    cells = ["def chain(p): return help_one(p)", "def help_one(q): return help_two(q) + 1"]
    cells += ["def help_two(r): return sum(x * x - 1 for x in r)", "def unused(s): return s ** 9"]
    alone = fragments(cells[:1], ["chain"])["chain"]
    whole = fragments(cells, ["chain"])["chain"]
    assert len(alone) < 6 < len(whole)
    assert fragments(cells[:3], ["chain"])["chain"] == whole
    both = fragments(cells, ["chain", "help_one"])
    assert both["chain"] == alone and set(both["help_one"]) < set(whole)


def test_hashes_are_the_same_in_every_process():
    code = "from course_lib.grading.inside.fragments import fragments; from alike import VALUE; "
    code += "print(fragments(VALUE[:1], ['Value'])['Value'])"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], text=True, capture_output=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert runs == {f"{fragments(VALUE[:1], ['Value'])['Value']}\n"}


@pytest.mark.parametrize("module", [inside, notebook], ids=["fragments", "notebook"])
def test_what_reads_the_file_needs_nothing_but_the_standard_library_and_each_other(module):
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | {"notebook"}


@pytest.mark.parametrize(
    "cell",
    [
        "def chain(:",
        "\x00",
        "x = '\ud800'",
        "def chain(p): return " + "(" * 5000 + "p" + ")" * 5000,
        "def chain(p): return " + "+".join(["p"] * 5000),
        "def chain(p): return p" + "[0]" * 5000,
        "def chain(p):\n" + "\n".join(f"    v{i} = {i} * v{i - 1}" for i in range(20_000)),
        "\n".join(f"def h{i}(x): return h{i + 1}(x)" for i in range(3000))
        + "\ndef chain(p): h0(p)",
        "class chain:\n    def chain(chain): chain.chain = chain",
        "def chain(p): chain(p)\nchain = chain",
    ],
    ids=lambda cell: ascii(cell[:24]),
)
def test_odd_code_costs_a_moment_and_no_more(cell):
    begin = time.process_time()
    found = fragments([cell, "def sigmoid(z): return 1 / (1 + torch.exp(-z))"], NAMES)
    assert list(found) == NAMES and len(found["chain"]) <= MOST
    assert found["sigmoid"] == fragments(["def sigmoid(z): return 1 / (1 + torch.exp(-z))"],
                                         ["sigmoid"])["sigmoid"]  # fmt: skip
    assert list(found["chain"]) == sorted(set(found["chain"]))
    assert time.process_time() - begin < 20


# --- pairs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [6, 15, 60, 200])
def test_copies_come_on_top_and_nobody_else_is_listed(size):
    draw = random.Random(size)
    everyone = [somebody(draw) for _ in range(size)]
    grades = [grade(f"s{i}", cells) for i, cells in enumerate(everyone)]
    assert similar.pairs(grades) == []
    everything = [disguised(cell, 5) for cell in everyone[0]]
    edited = [disguised(by_hand(cell, 7, 0.1), 5) for cell in everyone[1]]
    engine_only = [*everyone[3][:-1], disguised(everyone[2][-1], 5)]
    copies = {"s0": everything, "s1": edited, "s2": engine_only}
    grades += [grade(f"copy of {name}", cells) for name, cells in copies.items()]
    found = similar.pairs(grades)
    listed = [{p.one.student, p.other.student} for p in found]
    assert [pair for pair in listed[:3] if pair not in [{n, f"copy of {n}"} for n in copies]] == []
    assert all(score(found, name, f"copy of {name}") for name in copies)
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert all(0 < p.score <= 1 for p in found)
    assert all(any("copy" in name for name in pair) for pair in listed)
    engine = next(p for p in found if p.other.student == "copy of s2" and p.one.student == "s2")
    assert max(engine.shares, key=engine.shares.get) == "Value"
    assert engine.score == pytest.approx(max(engine.shares.values()))


def test_independent_answers_to_small_functions_are_not_listed():
    """Two who write the same few lines, in a class where nobody else does: no proof of anything."""
    short = {name: ANSWERS[name] for name in ("chain", "sigmoid", "unbroadcast")}
    for name, plans in short.items():
        others = [grade(f"s{i}", [plan]) for i, plan in enumerate(plans)]
        twins = [*others, grade("twin", [plans[0]])]
        assert similar.pairs(twins) == [], name
        assert score(similar.pairs(twins, 0.0), "s0", "twin") > 0


def test_the_formula():
    """Four answers, by hand: a fragment of all weighs nothing, one of two log(4/2) / log 4."""

    def of(student, *hashes):
        fragments = {"chain": tuple(hashes)}
        return Grade(student, student, "", "", "", 0, "", 0.0, fragments=fragments)

    grades = [of("a", "x", "p", "q"), of("b", "x", "p", "q", "r"), of("c", "x"), of("d", "x", "s")]
    (pair,) = similar.pairs(grades, 1e-9)
    assert (pair.one.student, pair.other.student) == ("a", "b")
    weight = 0.5  # log(4 / 2) / log 4
    assert pair.score == pytest.approx(2 * weight / (2 * weight + similar.ENOUGH))
    assert pair.shares == {"chain": pytest.approx(pair.score)}


def test_what_everybody_writes_weighs_nothing():
    same = [grade(f"s{i}", [VALUE[0]]) for i in range(20)]
    assert all(pair.score == 0 for pair in similar.pairs(same, 0.0))
    assert similar.pairs(same) == []


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_class_of_two_has_nothing_to_compare_with(size):
    assert similar.pairs([grade(f"s{i}", [VALUE[0]]) for i in range(size)]) == []


def test_padding_hides_no_copy():
    draw = random.Random(4)
    everyone = [somebody(draw) for _ in range(20)]
    padding = "\n".join(f"        if self is {i}: print(self, [{i}] * {i})" for i in range(60))
    padded = everyone[0][-1].replace("class Value:", f"class Value:\n    def pad(self):\n{padding}")
    everyone.append([*somebody(draw)[:-1], padded])
    grades = [grade(f"s{i}", cells) for i, cells in enumerate(everyone)]
    assert score(similar.pairs(grades), "s0", "s20") > similar.THRESHOLD


def test_a_thousand_are_compared_in_seconds():
    draw = random.Random(0)
    codes = [f"{i:010x}" for i in range(20_000)]
    grades = []
    for i in range(1000):
        found = {name: tuple(draw.sample(codes, 150)) for name in "abcdefgh"}
        grades.append(Grade(f"s{i}", f"s{i}", "", "", "", 0, "", 0.0, fragments=found))
    grades.append(Grade("copy", "copy", "", "", "", 0, "", 0.0, fragments=grades[7].fragments))
    begin = time.process_time()
    (pair,) = similar.pairs(grades)
    assert {pair.one.student, pair.other.student} == {"s7", "copy"}
    assert time.process_time() - begin < 120
