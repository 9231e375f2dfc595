"""Every exercise of every chapter: right answers are paid, wrong ones are named, none does harm.

What is tested comes from course_lib/checks (exercises), solutions/ (the master's answers) and
tests/right_answers (the same answers found by other ways).
"""

import gc
import importlib
import itertools
import math
import pickle
import pkgutil
import re
import sys
from dataclasses import replace
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch
from masters import master, solutions

from course_lib import checks, plotting
from course_lib.checks import exercise as exercise_module
from course_lib.checks import probes
from course_lib.checks.exercise import (
    ADDS_TO_NONE,
    IF_ON_A_TENSOR,
    NESTED_CALLS,
    NO_RETURN,
    NUMBER_ON_THE_LEFT,
    NUMBER_OUTSIDE,
    NUMBER_WITHIN,
    OPERATOR_CALLS_ITSELF,
    SHAPES_DO_NOT_FIT,
    SUBTRACTS_TRUTH_VALUES,
    TOO_DEEP,
    VISIBLE_SEED,
    Exercise,
    Mistake,
    Test,
    Unfit,
    checker,
    demo,
    numbers,
    observed,
    part,
    parts,
    same_outcome,
    shapes,
    translation,
)
from course_lib.checks.probes import Outcome
from course_lib.checks.values import difference, plain, show
from tools.cutter import tags
from tools.notebooks import compose_exercise

pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
ROOT = Path(__file__).resolve().parent.parent
SEEDS = range(200)
MODULES = {
    info.name: module
    for info in pkgutil.iter_modules(checks.__path__)
    if hasattr(module := importlib.import_module(f"{checks.__name__}.{info.name}"), "EXERCISES")
}
EXERCISES = [(chapter, ex) for chapter, m in MODULES.items() for ex in m.EXERCISES]
MISTAKES = [(chapter, ex, mistake) for chapter, ex in EXERCISES for mistake in ex.mistakes]

each_chapter = pytest.mark.parametrize("chapter", MODULES)
each_exercise = pytest.mark.parametrize(
    ("chapter", "exercise"), EXERCISES, ids=[f"{c}-{ex.name}" for c, ex in EXERCISES]
)
each_mistake = pytest.mark.parametrize(
    ("chapter", "exercise", "mistake"),
    MISTAKES,
    ids=[f"{c}-{ex.name}-{m.name}" for c, ex, m in MISTAKES],
)


@pytest.fixture(autouse=True, scope="module")
def _what_is_loaded_is_no_garbage():
    """Or each search for garbage looks at all of torch: graphs of many nodes make many searches."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def other(chapter):
    return importlib.import_module(f"right_answers.{chapter}")


def stub(*args):
    raise NotImplementedError("Exercise 0.0: find out what to do")


def identity(first, *rest):
    return first


def takes_tensors(exercise):
    calls = itertools.chain(*exercise.cases(VISIBLE_SEED))
    return any(isinstance(a, torch.Tensor) for args in calls for a in args)


def all_observed(exercise, answer, seed):
    """What is observed of every call."""
    cases = exercise.cases(seed)
    return [
        observed(test, args, outcome)
        for test, group, results in zip(
            exercise.tests, cases, exercise.run(answer, cases), strict=True
        )
        for args, outcome in zip(group, results, strict=True)
    ]


@pytest.fixture
def evaluations(monkeypatch):
    """Reports of several answers for one seed, for which each is called but once with each input.

    To name a mistake, all others are tried on the same calls: without a memory, a list of mistakes
    takes the square of its length. Inputs of plain numbers may come again with another seed.
    """
    numbers_kept, tensors_kept, seen = {}, {}, {}

    def outcome(answer, probe, args):
        if any(isinstance(a, torch.Tensor) for a in args):
            kept, key = tensors_kept, (answer, probe, id(args))
        else:
            kept, key = numbers_kept, (answer, probe, pickle.dumps(args))
        if key not in kept:
            kept[key] = probes.outcome_of(answer, probe, args)
        return kept[key]

    def observation(test, args, outcome):
        key = id(test), id(args), id(outcome)
        if key not in seen:
            seen[key] = outcome, observed(test, args, outcome)
        return seen[key][1]

    def evaluations(exercise, answers, seed):
        tensors_kept.clear()  # their ids hold while their cases do
        seen.clear()
        with exercise_module.alike_everywhere():
            cases = exercise.cases(seed)
            return [exercise.judge(cases, exercise.run(answer, cases)) for answer in answers]

    monkeypatch.setattr(exercise_module, "outcome_of", outcome)
    monkeypatch.setattr(exercise_module, "observed", observation)
    return evaluations


# ---- the plan of a chapter's exercises


def test_there_are_chapters():
    assert MODULES


@each_chapter
def test_a_chapter_has_its_exercises(chapter):
    exercises = MODULES[chapter].EXERCISES
    number = int(master(chapter).name[:2])
    assert len(exercises) >= 6, f"{len(exercises)} exercises; write 6 or more"
    assert [ex.number for ex in exercises] == [f"{number}.{i + 1}" for i in range(len(exercises))]
    assert len({ex.name for ex in exercises}) == len(exercises)
    for ex in exercises:
        assert 1 <= ex.difficulty <= 5
        assert ex.minutes >= 5
        assert len(ex.mistakes) >= 3
        assert len({m.name for m in ex.mistakes}) == len(ex.mistakes)
        assert any(not test.property for test in ex.tests)
    difficulties = [ex.difficulty for ex in exercises]
    assert max(difficulties) >= 4, f"difficulties {difficulties}: a stretch of 4 or 5 is missing"
    assert min(difficulties) == 1, f"difficulties {difficulties}: a warm-up of 1 is missing"


@each_chapter
def test_the_master_states_every_exercise(chapter):
    text = master(chapter).read_text(encoding="utf-8")
    heads = re.findall(r"^## (Exercise .*)\n\n(.*)$", text, re.M)
    assert heads == [(ex.heading(), ex.summary()) for ex in MODULES[chapter].EXERCISES]


@each_chapter
def test_the_unsolved_notebook_runs_top_to_bottom(chapter, capsys):
    names, outputs = {}, {}
    for cell in compose_exercise(master(chapter)).cells:
        if cell.cell_type == "code" and "setup" not in tags(cell):
            exec(cell.source, names)
            outputs[cell.source] = capsys.readouterr().out
    for ex in MODULES[chapter].EXERCISES:
        said = outputs[f"check({ex.name})"]
        assert said.startswith(f"{ex.name}: 0/{ex.points} points\n  not done yet (Exercise ")
    waiting = [said for source, said in outputs.items() if source.startswith("@demo")]
    assert waiting, "no cell begins with @demo: show what an answer is good for"
    assert all(said.startswith("This demonstration waits for Exercise ") for said in waiting)


@each_chapter
def test_the_solved_notebook_shows_every_demonstration(chapter, capsys, monkeypatch):
    """A demonstration tells an error in a line, so that a build would not stop at one."""
    monkeypatch.setattr(plotting, "show", lambda fig, **_: None)
    names = {}
    for cell in jupytext.read(master(chapter)).cells:
        if cell.cell_type == "code" and "setup" not in tags(cell):
            exec(cell.source, names)
    said = capsys.readouterr().out
    assert "This demonstration" not in said
    for ex in MODULES[chapter].EXERCISES:
        assert f"{ex.name}: {ex.points}/{ex.points} points" in said


# ---- right answers, and none


@each_exercise
def test_right_answers_get_full_points(evaluations, chapter, exercise):
    rights = {
        "the reference": exercise.reference,
        "the master's solution": solutions(chapter)[exercise.name],
        "another right answer": getattr(other(chapter), exercise.name),
    }
    for seed in SEEDS:
        reports = evaluations(exercise, rights.values(), seed)
        for who, report in zip(rights, reports, strict=True):
            assert report.points == exercise.points, f"{who}, seed {seed}\n{report}"


@each_exercise
def test_the_stub_and_the_identity_get_nothing(evaluations, chapter, exercise):
    unnamed = replace(exercise, mistakes=())
    for seed in SEEDS:
        nothing, same = evaluations(unnamed, [stub, identity], seed)
        assert nothing.points == same.points == 0
        assert nothing.not_done == "Exercise 0.0: find out what to do"


@each_exercise
def test_cases_depend_on_the_seed_alone(chapter, exercise):
    def same(a, b):
        return difference(plain(exercise.cases(a)), plain(exercise.cases(b)), 0, 0) is None

    assert same(7, 7)
    if takes_tensors(exercise):
        assert not same(0, 7)


@each_exercise
def test_every_input_can_be_printed(chapter, exercise):
    """A learner can reproduce "for x = ..." by copying it."""
    for seed in range(5):
        for args in itertools.chain(*exercise.cases(seed)):
            for a in args:
                assert "shape" not in show(a), f"{show(a)} is too large to print; draw smaller ones"


# ---- mistakes


@each_exercise
def test_mistakes_fail_and_are_named(evaluations, chapter, exercise):
    wrong = []
    for seed in SEEDS:  # seed 0 is the visible one
        reports = evaluations(exercise, [m.answer for m in exercise.mistakes], seed)
        for mistake, report in zip(exercise.mistakes, reports, strict=True):
            if report.points == exercise.points or report.mistake is not mistake:
                wrong.append(f"{mistake.name}, seed {seed}, named {report.mistake}\n{report}")
    assert not wrong, f"{len(wrong)} times:\n" + "\n\n".join(wrong[:5])


@each_mistake
def test_the_hint_stands_under_the_first_failure(chapter, exercise, mistake):
    text = re.sub(r"\s+", " ", str(exercise.evaluate(mistake.answer)))
    first, *others = re.split(r" (?=FAIL |ok |held )", text[text.index("FAIL") :])
    assert f"hint: {mistake.hint}" in first
    assert all("hint:" not in part for part in others)


@each_mistake
def test_a_hint_reads_as_a_teachers_sentence(chapter, exercise, mistake):
    assert 8 <= len(mistake.hint.split()) <= 45
    assert not mistake.hint.endswith(".")
    assert re.match(r"[a-zσ]", mistake.hint)


@each_exercise
def test_mistakes_differ_pairwise(chapter, exercise):
    for seed in range(3):
        made = {m.name: all_observed(exercise, m.answer, seed) for m in exercise.mistakes}
        for one, two in itertools.combinations(made, 2):
            pairs = zip(made[one], made[two], strict=True)
            assert not all(same_outcome(a, b) for a, b in pairs), f"{one} = {two}, seed {seed}"


@each_exercise
def test_some_mistake_has_the_right_shape(chapter, exercise):
    def shape_of(answer):
        groups = exercise.run(answer, exercise.cases(VISIBLE_SEED))
        return [shapes((), o.value) if not o.error else o.error for group in groups for o in group]

    wanted = shape_of(solutions(chapter)[exercise.name])
    alike = [m for m in exercise.mistakes if _alike(shape_of(m.answer), wanted)]
    assert alike


def _alike(came, wanted):
    return all(difference(a, b) is None for a, b in zip(came, wanted, strict=True))


# ---- answers that misbehave


def tensors_of(value, change):
    """The value with every tensor changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(tensors_of(v, change) for v in value)
    return value


def wrapped(answer, change):
    return lambda *args: tensors_of(answer(*args), change)


@each_exercise
def test_kinds_of_numbers_do_not_matter(chapter, exercise):
    tests = [test for test in exercise.tests if test.probe is probes.call]
    values_only = replace(exercise, tests=tests)
    answer = solutions(chapter)[exercise.name]
    for change in (torch.Tensor.double, torch.Tensor.numpy):
        report = values_only.evaluate(wrapped(answer, change))
        assert report.points == report.possible, str(report)


@each_exercise
def test_printing_does_no_harm(chapter, exercise, capsys):
    def chatty(*args):
        print("looking at", len(args), "arguments")
        return solutions(chapter)[exercise.name](*args)

    MODULES[chapter].check(chatty, exercise.name)
    said = capsys.readouterr().out
    assert "looking at" in said
    assert f"{exercise.name}: {exercise.points}/{exercise.points} points" in said


@pytest.mark.parametrize(
    ("chapter", "exercise"),
    [pair for pair in EXERCISES if takes_tensors(pair[1])],
    ids=[f"{c}-{ex.name}" for c, ex in EXERCISES if takes_tensors(ex)],
)
def test_changing_an_argument_is_refused(chapter, exercise):
    def careless(*args):
        value = tensors_of(solutions(chapter)[exercise.name](*args), torch.clone)
        with torch.no_grad():
            next(a for a in args if isinstance(a, torch.Tensor)).add_(1)
        return value

    report = exercise.evaluate(careless)
    assert report.points < exercise.points
    assert re.search(r"changed its argument `\w+` in place; work on a copy", str(report))


HOSTILE = {
    "None": None,
    "a list": [1.0, "two", None],
    "nested lists": [[[[]]]],
    "a string": "42",
    "a number": 7.25,
    "a huge number": 10**5000,
    "nan": float("nan"),
    "a set": {1},
    "a function": print,
    "a class": Exercise,
    "an array of text": np.array(["a"]),
    "complex": torch.ones(2, dtype=torch.complex64),
    "sparse": torch.eye(2).to_sparse(),
    "meta": torch.empty(3, device="meta"),
    "empty": torch.empty(0),
    "many axes": torch.zeros(1, 2, 1, 2, 1, 2),
    "two strings": ("w", "b"),
    "two infinities": (torch.tensor([float("inf")] * 2), float("inf")),
    "four Nones": (None,) * 4,
    "a dict": {"w": torch.ones(2), 3: None},
}


@each_exercise
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_any_value_gets_a_verdict(chapter, exercise, value):
    report = exercise.evaluate(lambda *args: value)
    assert report.points == 0
    assert "FAIL" in str(report)
    if value is None:
        assert re.search(r"returned None|a NoneType", str(report))
    assert "raised TypeError" not in str(report)  # the answer raised nothing


@each_exercise
def test_an_error_is_reported(chapter, exercise):
    def broken(*args):
        raise ValueError("first line\nsecond line")

    report = exercise.evaluate(broken)
    assert report.points == 0
    assert "raised ValueError: first line\n" in str(report)
    assert "second line" not in str(report)


@each_exercise
def test_run_gives_data_alone(chapter, exercise):
    """What run returns can travel as JSON and tensors, so that the judge may sit elsewhere."""

    def only_data(value):
        if isinstance(value, tuple):
            return all(map(only_data, value))
        if isinstance(value, dict):
            return all(isinstance(k, str) and only_data(v) for k, v in value.items())
        return value is None or type(value) in (bool, int, float, str, torch.Tensor)

    cases = exercise.cases(3)
    outcomes = exercise.run(solutions(chapter)[exercise.name], cases)
    for outcome in itertools.chain(*outcomes):
        assert only_data(outcome.value)
        assert only_data(outcome.changed)
        assert outcome.error is None
    assert exercise.judge(exercise.cases(3), outcomes).points == exercise.points


# ---- check


@each_chapter
def test_an_unknown_name_is_explained(chapter):
    names = [ex.name for ex in MODULES[chapter].EXERCISES]
    with pytest.raises(ValueError, match="no exercise is called 'my_answer'") as caught:
        MODULES[chapter].check(identity, "my_answer")
    assert all(name in str(caught.value) for name in names)
    with pytest.raises(ValueError, match=f"or write check\\(answer, '{names[0]}'\\)$"):
        MODULES[chapter].check(identity)
    with pytest.raises(ValueError, match="pass the function itself, without brackets"):
        MODULES[chapter].check(lambda: None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "None"),
        (torch.tensor([1.0, 0.0]), r"\[1, 0\]"),
        ({1}, "a set"),
    ],
)
def test_the_answers_value_is_no_answer(answer, said):
    wanted = f"check got {said}, expected a function; pass the function itself, without brackets"
    with pytest.raises(TypeError, match=wanted):
        checker([TOY])(answer)
    with pytest.raises(TypeError, match=r"check\(softmax\), not check\(softmax\(\)\)"):
        checker([TOY])(answer, "softmax")


# ---- the frame, on an exercise of its own


def softmax(X, dim):
    return X.softmax(dim)


def sums_to_one(args, value):
    sums = value.sum(args[1])
    ones = torch.ones_like(sums)
    if torch.allclose(sums, ones):
        return None
    return f"sums along dim {args[1]} are {[round(v, 3) for v in sums.tolist()]}, expected all 1"


def over_everything(X, dim):
    return X.exp() / X.exp().sum()


TOY = Exercise(
    number="0.1",
    title="A toy",
    name="softmax",
    difficulty=2,
    minutes=5,
    reference=softmax,
    tests=[
        Test(
            "keeps the shape",
            lambda g: [(torch.zeros(2, 3), 0)],
            observe=shapes,
            property=True,
        ),
        Test(
            "sums to one along dim",
            lambda g: [(torch.arange(6.0).reshape(2, 3) / 2, 0)],
            judge=sums_to_one,
        ),
    ],
    mistakes=[
        Mistake(
            "sums over everything",
            over_everything,
            "you divided by the sum over the whole tensor; sum over `dim` only, with keepdim=True",
        )
    ],
)


def test_the_report_reads_like_a_teacher():
    assert str(TOY.evaluate(over_everything)) == (
        "softmax: 0/2 points\n"
        "  held  keeps the shape (1, paid once the values are right)\n"
        "  FAIL  sums to one along dim (1)\n"
        "        sums along dim 0 are [0.186, 0.307, 0.506], expected all 1\n"
        "        for X = [[0, 0.5, 1], [1.5, 2, 2.5]], dim = 0\n"
        "        hint: you divided by the sum over the whole tensor; sum over `dim` only, with\n"
        "          keepdim=True"
    )


def test_a_right_answer_is_told_line_by_line():
    assert str(TOY.evaluate(softmax)) == (
        "softmax: 2/2 points\n  ok    keeps the shape (1)\n  ok    sums to one along dim (1)"
    )


def test_a_complaint_is_made_once():
    text = str(TOY.evaluate(lambda X, dim: X.nothing))
    complaint = "raised AttributeError: 'Tensor' object has no attribute 'nothing'"
    assert text == (
        "softmax: 0/2 points\n"
        "  FAIL  keeps the shape (1)\n"
        f"        {complaint}\n"
        "        for X = [[0, 0, 0], [0, 0, 0]], dim = 0\n"
        "  FAIL  sums to one along dim (1)\n"
        "        the same as above"
    )


def test_a_mistake_that_nobody_knows_gets_no_hint():
    report = TOY.evaluate(lambda X, dim: X)
    assert report.mistake is None
    assert "hint" not in str(report)
    assert report.points == 0


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda X, dim: X if X > 0 else -X, IF_ON_A_TENSOR),
        (lambda X, dim: X and X, IF_ON_A_TENSOR),
        (lambda X, dim: X @ X, SHAPES_DO_NOT_FIT),  # (2, 3) @ (2, 3)
        (lambda X, dim: X @ X[:, 0], SHAPES_DO_NOT_FIT),
        (lambda X, dim: X - X[:, :2], SHAPES_DO_NOT_FIT),
        (lambda X, dim: 1 - (X > 0), SUBTRACTS_TRUTH_VALUES),
        (lambda X, dim: (X > 1) - (X > 0), SUBTRACTS_TRUTH_VALUES),
    ],
)
def test_torchs_common_errors_are_translated(wrong, hint):
    report = TOY.evaluate(wrong)
    text = re.sub(r"\s+", " ", str(report))
    assert report.mistake is None
    assert text.count("hint: ") == 1
    assert f"dim = 0 hint: {hint} FAIL sums to one along dim (1) the same as above" in text


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda X, dim: X - X.max(dim), "x.max(dim) gives a pair"),
        (lambda X, dim: X.max(dim).float(), "x.max(dim) gives a pair"),
        (lambda X, dim: (X.max(dim) == 0).float(), "your comparison gave a single False"),
        (lambda X, dim: torch.autograd.grad(X.sum(), X), "autograd follows only"),
        (lambda X, dim: X.sum().backward(), "autograd follows only"),
        (lambda X, dim: X.requires_grad_().mul_(2), "the update is no part of the function"),
        (lambda X, dim: torch.sqrt(2.0), "torch's functions take tensors"),
        (lambda X, dim: torch.linalg.eig(X @ X.T)[0].max(), "torch.linalg.eig gives complex"),
        (lambda X, dim: X.shape[0].sqrt(), "a plain number came where a tensor was expected"),
        (lambda X, dim: X.shape[0].data, NUMBER_WITHIN),
    ],
)
def test_what_torch_refuses_is_translated(wrong, hint):
    report = TOY.evaluate(wrong)
    hints = [report.hint(line) for line in report.lines]
    assert all(said.startswith(hint) for said in hints), str(report)


def test_only_errors_are_translated():
    assert translation("raised ValueError: sizes must match") == SHAPES_DO_NOT_FIT
    assert translation("returned 'must match', expected 1") is None
    assert translation("raised KeyError: 3") is None


def test_adding_to_none_is_no_missing_return():
    said = "raised TypeError: unsupported operand type(s) for +=: 'NoneType' and 'float'"
    assert translation(said) == ADDS_TO_NONE
    assert translation(said.replace("+=", "+")) == NO_RETURN


def test_a_known_mistake_is_named_rather_than_translated():
    known = Mistake("squares", lambda X, dim: X @ X, "you multiplied X by itself")
    text = str(replace(TOY, mistakes=[known]).evaluate(lambda X, dim: X @ X))
    assert "hint: you multiplied X by itself\n" in text
    assert text.count("hint: ") == 1


def test_an_error_below_the_first_failure_is_translated_there():
    def wrong(X, dim):
        return X if not X.any() else X @ X

    judged = replace(TOY, tests=[replace(TOY.tests[0], observe=None), TOY.tests[1]])
    first, second = str(judged.evaluate(wrong)).split("sums to one")
    assert "FAIL  keeps the shape" in first
    assert "hint" not in first
    assert "hint: these shapes do not fit" in second


def test_a_judge_that_stumbles_blames_the_value():
    report = TOY.evaluate(lambda X, dim: "soft")
    assert "returned 'soft', which the statement does not allow" in str(report)


def test_what_an_observer_cannot_read_is_told():
    def first(args, value):
        if not isinstance(value, tuple):
            raise Unfit("expected a pair")
        return value[0]

    toy = replace(TOY, tests=[Test("is a pair", lambda g: [(1, 2)], observe=first)])
    toy = replace(toy, reference=lambda X, dim: (X, dim))
    assert "expected a pair\n        for X = 1, dim = 2" in str(toy.evaluate(lambda X, dim: X))
    assert toy.evaluate(lambda X, dim: (1, 99)).points == 1  # only the first part counts
    assert toy.evaluate(lambda X, dim: None).lines[0].message.startswith("returned None")


def test_a_mistake_among_others_is_named_where_tests_are_apart():
    def spoilt(*wrong):
        return lambda op, x: x + 1 if op in wrong else {"double": 2 * x, "square": x * x}[op]

    def about(op):
        return Test(f"can {op}", lambda g: [(op, 5.0)])

    hints = {op: Mistake(op, spoilt(op), f"you added one; {op} it") for op in ("double", "square")}
    toy = replace(
        TOY,
        reference=spoilt(),
        tests=[about("double"), about("square")],
        mistakes=list(hints.values()),
    )
    both = spoilt("double", "square")
    named = [line.mistake for line in replace(toy, apart=True).evaluate(both).lines]
    assert named == list(hints.values())
    assert replace(toy, apart=True).evaluate(spoilt("square")).mistake is hints["square"]
    for unnamed in (toy.evaluate(both), replace(toy, apart=True).evaluate(lambda op, x: x + 2)):
        assert "hint" not in str(unnamed)


def test_the_parts_of_an_answer_are_read_by_name():
    assert parts((1, 2), "w", "b") == (1, 2)
    assert part(1, "w", "b")((), (1, 2)) == 2
    for value, said in (((1,), r"\(1,\)"), (3.0, "3"), ({"w": 1}, r"\{'w': 1\}")):
        with pytest.raises(Unfit, match=f"returned {said}, expected 2 values: w, b"):
            parts(value, "w", "b")


def test_numbers_are_read_or_refused():
    for value in ((1, 2.5), [1, 2.5], torch.tensor([1, 2.5]), (torch.tensor(1), 2.5)):
        assert torch.equal(numbers("w", value, (2,)), torch.tensor([1, 2.5], dtype=torch.float64))
    for value, shape, said in (
        ("abc", (), "w is 'abc', expected numbers"),
        ((1, (2, 3)), (2,), "w is (1, (2, 3)), expected numbers"),
        ((1, 2), (3,), "w has shape (2,), expected shape (3,)"),
        ((1, 2), (), "w has shape (2,), expected a single number"),
        (math.inf, (), "w is inf, expected finite numbers"),
    ):
        with pytest.raises(Unfit, match=f"^{re.escape(said)}$"):
            numbers("w", value, shape)


def test_outcomes_agree_by_value_error_and_change():
    assert same_outcome(Outcome(1.0), Outcome(1.0))
    assert not same_outcome(Outcome(1.0), Outcome(2.0))
    assert not same_outcome(Outcome(1.0), Outcome(1.0, changed=(0,)))
    shape = Outcome(error="raised RuntimeError: mat1 and mat2 (5x3 and 2x3)")
    assert same_outcome(shape, Outcome(error="raised RuntimeError: mat1 and mat2 (4x7 and 8x3)"))
    assert not same_outcome(shape, Outcome(error="raised RuntimeError: a bool tensor"))
    assert same_outcome(Outcome(error="returned [-1, 2e-05]"), Outcome(error="returned [0.5, 2]"))
    assert not same_outcome(Outcome(error="raised KeyError: a"), Outcome(error="raised OSError: a"))
    assert not same_outcome(Outcome(error="raised KeyError: a"), Outcome(1.0))
    deep = "raised RecursionError: maximum recursion depth exceeded"
    assert same_outcome(Outcome(error=deep), Outcome(error=f"{deep} in comparison"))


def test_an_evaluation_runs_alike_everywhere_and_gives_the_settings_back():
    def settings():
        return torch.get_num_threads(), sys.getrecursionlimit()

    before = settings()
    sys.setrecursionlimit(3 * NESTED_CALLS)
    seen = []
    TOY.evaluate(lambda X, dim: seen.append(settings()))
    assert seen == [(1, NESTED_CALLS)] * 2
    assert sys.getrecursionlimit() == 3 * NESTED_CALLS
    sys.setrecursionlimit(before[1])
    assert settings() == before


def test_check_prints_the_report(capsys):
    checker([TOY])(softmax)
    assert capsys.readouterr().out == f"{TOY.evaluate(softmax)}\n"


def test_the_gradient_probe_says_what_it_lacks():
    z = torch.tensor([1.0, 2.0])
    assert torch.equal(probes.gradient(lambda z: z * z, z), 2 * z)
    assert torch.equal(probes.gradient(lambda z: torch.ones(2, requires_grad=True), z), 0 * z)
    with pytest.raises(probes.Unusable, match="returned a float; autograd needs a tensor"):
        probes.gradient(lambda z: 1.0, z)
    with pytest.raises(probes.Unusable, match="lost the gradient"):
        probes.gradient(lambda z: z.detach(), z)


def test_the_gradient_probe_differentiates_by_the_first_argument_alone():
    z, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])

    def product(z, y):
        assert not y.requires_grad
        return (z * y).mean()

    assert torch.equal(probes.gradient(product, z, y), y / 2)


def endless(*args):
    while True:
        pass


def test_an_answer_in_steps_is_stopped_and_the_tracer_comes_back():
    def tracer(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with pytest.raises(probes.Unusable, match="stopped after 200,000 steps"):
            probes.call_in_steps(endless)
        assert sys.gettrace() is tracer
        with pytest.raises(probes.Unusable, match="stopped after 200,000 steps"):
            probes.program_in_steps(endless, "f", "x = 1; y = f()", "y")
        assert probes.call_in_steps(max, 2, 3) == 3
        assert probes.program_in_steps(max, "f", "x = 1; y = f(x, 2)", "x, y") == {"x": 1, "y": 2}
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


class Pair:
    """A class as an answer: two numbers."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Pair(self.x + other.x, self.y + other.y)

    def norm(self):
        return math.hypot(self.x, self.y)


def ran(name, line, results):
    return Test(
        name, lambda g: [("Pair", f"a = Pair(3, 4); {line}", results)], probe=probes.program
    )


PAIR = Exercise(
    number="0.2",
    title="A toy that is a class",
    name="Pair",
    apart=True,
    difficulty=1,
    minutes=5,
    reference=Pair,
    tests=[ran("adds", "b = a + a", "b.x, b.y"), ran("has a norm", "n = a.norm()", "n")],
    mistakes=[],
)


def changed(**methods):
    return type("Pair", (Pair,), methods)


def test_a_class_is_judged_by_what_a_program_computes_with_it():
    assert PAIR.evaluate(Pair).points == 2
    text = str(PAIR.evaluate(changed(__add__=lambda a, b: Pair(a.x + b.x, a.y))))
    assert text == (
        "Pair: 1/2 points\n"
        "  FAIL  adds (1)\n"
        "        b.y: returned 4, expected 8\n"
        "        for a = Pair(3, 4); b = a + a\n"
        "  ok    has a norm (1)"
    )


class Endless:
    """Methods that call themselves."""

    def __sub__(self, other):
        return self - other

    def norm(self):
        return self.norm()


def to_do(self, *others):
    raise NotImplementedError("Exercise 0.2: the norm")


def test_a_class_half_done_is_paid_for_its_half():
    report = PAIR.evaluate(changed(norm=to_do))
    assert str(report) == (
        "Pair: 1/2 points\n"
        "  ok    adds (1)\n"
        "  todo  has a norm (1)\n"
        "        not done yet (Exercise 0.2: the norm)"
    )
    assert report.not_done is None
    assert PAIR.evaluate(changed(__init__=to_do)).not_done == "Exercise 0.2: the norm"


def test_each_wrong_method_of_a_class_is_named():
    """No mistake explains the whole, but each test has one that explains it alone."""
    adds, measures = (lambda a, b: a), (lambda a: a.x + a.y)
    first = Mistake("returns the first", changed(__add__=adds), "you returned the first")
    sums = Mistake("sums", changed(norm=measures), "you summed")
    exercise = replace(PAIR, mistakes=[first, sums])
    report = exercise.evaluate(changed(__add__=adds, norm=measures))
    assert report.mistake is None
    assert [line.mistake for line in report.lines] == [first, sums]
    assert re.findall("hint: (.*)", str(report)) == [first.hint, sums.hint]
    whole = replace(exercise, mistakes=[replace(first, whole=True), sums])
    report = whole.evaluate(changed(__add__=adds, norm=measures))
    assert [line.mistake for line in report.lines] == [None, sums]
    two_ways = replace(exercise, mistakes=[first, replace(first, hint="or it was chance"), sums])
    assert [line.mistake for line in two_ways.evaluate(Pair).lines] == [None, None]
    report = two_ways.evaluate(changed(__add__=adds, norm=measures))
    assert [line.mistake for line in report.lines] == [None, sums]  # the first could be either


def test_what_is_done_is_named_though_the_rest_is_not():
    wrong = changed(__add__=lambda a, b: a)
    known = Mistake("returns the first", wrong, "you returned the first of the two")
    exercise = replace(PAIR, mistakes=[known])
    half = type("Pair", (wrong,), {"norm": to_do})
    assert exercise.evaluate(half).mistake is known
    assert exercise.evaluate(changed(norm=to_do)).mistake is None


@pytest.mark.parametrize(
    ("methods", "line", "said", "hint"),
    [
        ({}, "b = a.area()", "`b = a.area()` fails: 'Pair' object has no attribute 'area'", None),
        (
            {},
            "b = 2 + a",
            "`b = 2 + a` fails: unsupported operand type(s) for +: 'int' and 'Pair'",
            NUMBER_ON_THE_LEFT,
        ),
        (
            {},
            "b = a + 2",
            "raised AttributeError: 'int' object has no attribute 'x'",
            NUMBER_WITHIN,
        ),
        (
            {"__add__": lambda a, b: 7},
            "b = (a + a).norm()",
            "`b = (a + a).norm()` fails: 'int' object has no attribute 'norm'",
            NUMBER_OUTSIDE,
        ),
        (
            {"__add__": lambda a, b: None},
            "b = (a + a) + a",
            "`b = (a + a) + a` fails: unsupported operand type(s) for +: 'NoneType' and 'Pair'",
            NO_RETURN,
        ),
        (
            {"norm": Endless.norm},
            "b = a.norm()",
            "raised RecursionError: maximum recursion depth exceeded in norm",
            TOO_DEEP,
        ),
        (
            {"__sub__": Endless.__sub__},
            "b = a - a",
            "raised RecursionError: maximum recursion depth exceeded in __sub__",
            OPERATOR_CALLS_ITSELF,
        ),
        ({"__init__": lambda a: None}, "b = a", "`a = Pair(3, 4)` fails: ", None),
    ],
)
def test_what_a_class_lacks_is_told(methods, line, said, hint):
    exercise = replace(PAIR, tests=[ran("works", line, "b")])
    text = re.sub(r"\s+", " ", str(exercise.evaluate(changed(**methods))))
    assert said in text
    assert ("hint: " in text) == bool(hint)
    assert (hint or "") in text


def test_a_returned_function_is_not_called_an_error():
    text = str(TOY.evaluate(lambda X, dim: torch.exp))
    assert "returned a function; expected numbers or tensors\n" in text
    endless = []
    endless.append(endless)
    assert "returned a list that cannot be read\n" in str(TOY.evaluate(lambda X, dim: endless))


def test_demo_runs_waits_or_tells_the_error(capsys):
    demo(lambda: print("shown"))
    demo(lambda: [1, 2])  # what it returns is displayed
    assert capsys.readouterr().out == "shown\n[1, 2]\n"
    demo(stub)
    waits = "This demonstration waits for Exercise 0.0: find out what to do\n"
    assert capsys.readouterr().out == waits
    demo(bare)
    waits = "This demonstration waits for an unfinished exercise\n"
    assert capsys.readouterr().out == waits
    demo(lambda: 1 / 0)
    assert capsys.readouterr().out == (
        "This demonstration stopped with ZeroDivisionError: division by zero\n"
        "Check your answer first.\n"
    )
    demo(lambda: next(iter(())))
    assert capsys.readouterr().out.startswith("This demonstration stopped with StopIteration\n")


def bare():
    raise NotImplementedError
