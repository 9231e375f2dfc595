"""One submission: right answers get all, wrong ones their hint, and trouble costs only itself."""

import json
from pathlib import Path

import pytest
import torch
from masters import ROOT
from submissions import changed, needs_sandbox, notebook, script, solution_cells

from course_lib.checks.autograd import EXERCISES
from course_lib.grading import grader, process, view
from course_lib.grading.grader import Job, grade
from course_lib.grading.records import Grade, NotGraded

needs_sandbox()

SEED = 4711
BUSY = 60  # seconds that a busy machine may add
POINTS = {exercise.name: exercise.points for exercise in EXERCISES}
RIGHT_CHAIN = "def chain(paths):\n    import math\n    return sum(math.prod(p) for p in paths)\n"
RIGHT_SLOPES = (
    "import math\n"
    "def local_slopes(op, a, b):\n"
    "    return {'+': (1, 1), '-': (1, -1), '*': (b, a), '/': (1 / b, -a / b**2),\n"
    "            '**': (b * a ** (b - 1), a**b * math.log(a))}[op]\n"
)


def graded(content, file="ada.py", chapter="autograd", **settings):
    """The grade of a submission."""
    return grade(Job(chapter, file, content, SEED, **settings))


def points(result):
    """The points by exercise."""
    assert isinstance(result, Grade), result
    return {exercise.name: exercise.points for exercise in result.exercises}


def of(result, name):
    """One exercise's grade."""
    return next(exercise for exercise in result.exercises if exercise.name == name)


def others_full(result, *names):
    """Assert that all exercises but these have full points."""
    rest = {name: got for name, got in points(result).items() if name not in names}
    assert rest == {name: full for name, full in POINTS.items() if name not in names}


# ---- right answers


@pytest.mark.parametrize("chapter", view.chapters())
def test_the_solutions_get_all_points_without_a_message(chapter):
    result = graded(notebook(solution_cells(chapter)), "ada.ipynb", chapter, seconds=10)
    assert result.points == result.possible > 0
    assert result.cells == ()
    assert {line.status for e in result.exercises for line in e.lines} == {"ok"}


@pytest.mark.parametrize("chapter", view.chapters())
def test_different_right_answers_get_all_points(chapter):
    source = (ROOT / f"tests/right_answers/{chapter}.py").read_bytes()
    result = graded(source, chapter=chapter, seconds=10)
    assert result.points == result.possible > 0


@pytest.mark.parametrize("chapter", view.chapters())
def test_the_notebook_as_it_is_handed_out_gets_nothing_and_no_cell_fails(chapter):
    (path,) = ROOT.glob(f"exercises/[0-9][0-9]_{chapter}.ipynb")
    result = graded(path.read_bytes(), "ada.ipynb", chapter)
    assert result.points == 0
    assert result.cells == ()
    assert all(e.not_done.startswith("not done yet (Exercise") for e in result.exercises)


def test_a_grade_survives_json():
    result = graded(notebook(changed("autograd", ("grad +=", "grad ="))), "ada.ipynb")
    assert Grade.from_data(json.loads(json.dumps(result.as_data()))) == result


def test_what_is_written_down_of_a_grade():
    result = graded(script(RIGHT_CHAIN))
    assert (result.student, result.file, result.seed) == ("ada", "ada.py", SEED)
    assert result.isolation == "namespaces"
    assert result.digest == grader.digest(script(RIGHT_CHAIN))


# ---- wrong answers


def test_a_wrong_answer_gets_the_hint_that_names_its_mistake():
    result = of(graded(script("def chain(paths):\n    return sum(map(sum, paths))")), "chain")
    mistake = next(m for m in EXERCISES[0].mistakes if m.name in result.mistakes)
    assert result.points < result.possible
    assert result.hints == (mistake.hint,)
    assert mistake.hint in [line.hint for line in result.lines]


def test_an_answer_that_knows_the_visible_inputs_fails_on_hidden_ones():
    cases = EXERCISES[0].cases(0)
    table = {
        repr(paths): float(EXERCISES[0].reference(paths)) for group in cases for (paths,) in group
    }
    learnt = f"TABLE = {table!r}\ndef chain(paths):\n    return TABLE.get(repr(paths), 0.0)\n"
    namespace = {}
    exec(learnt, namespace)
    assert EXERCISES[0].evaluate(namespace["chain"]).points == POINTS["chain"]
    result = of(graded(script(learnt)), "chain")
    assert result.points < POINTS["chain"]


def test_the_same_seed_gives_the_same_grade_and_messages():
    wrong = script("import random\ndef chain(paths):\n    return random.random()")
    first, second = graded(wrong), graded(wrong)
    assert of(first, "chain") == of(second, "chain")
    assert of(first, "chain").points == 0


def test_another_seed_asks_for_other_inputs():
    """This answer tells the first input that it has not seen before."""
    first, *_ = EXERCISES[0].tests
    known = {
        repr(args[0]): float(EXERCISES[0].reference(*args)) for args in EXERCISES[0].cases(0)[0]
    }
    spy = f"KNOWN = {known!r}\ndef chain(paths):\n    return KNOWN[repr(paths)]"
    told = [of(grade(Job("autograd", "a.py", script(spy), seed)), "chain") for seed in (SEED, 5)]
    lines = [exercise.lines[0] for exercise in told]
    assert [(line.name, line.status) for line in lines] == [(first.name, "FAIL")] * 2
    assert lines[0].message != lines[1].message


# ---- trouble costs only itself

TROUBLE = {
    "an error": "raise ValueError('no')",
    "an endless loop": "while True: pass",
    "a long sleep": "import time; time.sleep(3600)",
    "sys.exit": "import sys; sys.exit()",
    "os._exit": "import os; os._exit(0)",
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "SIGKILL of itself": "import os, signal; os.kill(os.getpid(), signal.SIGKILL); os.abort()",
    "too much memory": "x = bytearray(2**34)",
    "endless recursion": "def f():\n    return f()\nf()",
    "a syntax error": "def (",
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_trouble_in_a_cell_costs_nothing_but_the_cell(trouble):
    cells = solution_cells("autograd")
    result = graded(notebook([*cells[:3], trouble, *cells[3:]]), "ada.ipynb", seconds=5)
    others_full(result)
    (failed,) = result.cells
    assert failed.startswith("code cell 4: ")


@pytest.mark.parametrize("trouble", list(TROUBLE.values())[:-1], ids=list(TROUBLE)[:-1])
def test_trouble_in_an_answer_costs_its_exercise_only(trouble):
    body = trouble.replace("\n", "\n    ")
    cells = [*solution_cells("autograd"), f"def chain(paths):\n    {body}"]
    result = graded(notebook(cells), "ada.ipynb", seconds=5)
    assert of(result, "chain").points == 0
    others_full(result, "chain")


def test_a_loop_for_some_inputs_keeps_what_was_paid_before():
    source = RIGHT_CHAIN.replace("return", "while () in paths: pass\n    return")
    result = of(graded(script(source), seconds=3), "chain")
    assert 0 < result.points < result.possible
    failed = [line.message for line in result.lines if line.status == "FAIL"]
    said, _, given = failed[0].partition("\n")
    assert said == "was stopped after the 3 s that a cell or an exercise may take"
    assert given == "for paths = ((),)"  # the very input that it loops on


def test_every_answer_loops_and_the_grade_still_comes():
    cells = [f"def {e.name}(*args):\n    while True: pass" for e in EXERCISES]
    result = graded(script(*cells, RIGHT_SLOPES), seconds=1.5)
    assert points(result) == dict.fromkeys(POINTS, 0) | {"local_slopes": POINTS["local_slopes"]}
    assert result.seconds < process.MANY * 1.5 + BUSY


def test_a_hundred_cells_that_loop_are_given_up_after_the_time_of_a_dozen():
    result = graded(script(*["while True: pass"] * 100, RIGHT_CHAIN), seconds=0.5)
    assert result.points == 0
    assert of(result, "chain").not_done == (
        "not defined: code cell 101 failed (was left out: the cells above it took 3 s and more)"
    )
    assert result.seconds < process.MANY * 0.5 + BUSY


def test_long_experiments_below_the_answers_cost_nothing():
    cells = [*solution_cells("autograd"), *["import time\ntime.sleep(1)"] * 20]
    result = graded(notebook(cells), "ada.ipynb", seconds=3)
    others_full(result)
    assert "was left out: the cells above it took 18 s and more" in result.cells[-1]


def test_an_import_that_fails_costs_itself_alone():
    top = "import pandas_of_colab as pd\nfrom course_lib.autograd import Value as Theirs\n"
    result = graded(script(top + "import math", "def chain(p):\n    return sum(map(math.prod, p))"))
    assert of(result, "chain").points == POINTS["chain"]
    (said,) = result.cells
    assert "No module named 'pandas_of_colab' (line 1); ImportError: course_lib.autograd" in said


def test_a_first_try_that_was_checked_gives_way_to_the_answer():
    tried = (
        "from course_lib.checks.autograd import check\n"
        "def first_try(paths):\n    return 0\ncheck(first_try, 'chain')"
    )
    result = graded(script(tried, RIGHT_CHAIN + "check(chain)"))
    assert of(result, "chain").points == POINTS["chain"]


def test_an_import_from_the_future_holds_for_all_that_follows():
    answer = (
        "class Dual:\n    def __init__(self, value: Later, slope: Later): pass\n"
        "    def __add__(self, other: Dual) -> Dual: return other\n"
    )
    assert "NameError" in graded(script(answer)).cells[0]
    future = "from __future__ import annotations\n"
    assert graded(script(future + answer)).cells == ()
    assert graded(script(future, answer)).cells == ()


def test_half_precision_works():
    half = "import torch\nassert torch.ones(3).half().sum() == 3"
    assert graded(script(half, RIGHT_CHAIN)).cells == ()


def test_a_broken_block_of_a_script_without_markers_fails_alone():
    broken = f"import math\n\n{RIGHT_CHAIN}\n\ndef local_slopes(:\n    pass\n\nx = chain(())\n"
    result = graded(broken.encode())
    assert of(result, "chain").points == POINTS["chain"]
    (said,) = result.cells
    assert "SyntaxError" in said


def test_a_file_for_another_chapter_is_not_graded():
    result = graded(notebook(solution_cells("neuron")), "ada.ipynb")
    assert result == NotGraded("ada.ipynb", "answers no exercise of chapter autograd")


def test_a_name_that_became_something_else_is_told():
    result = of(graded(script(RIGHT_CHAIN, "for chain in range(3): pass")), "chain")
    assert result.lines[0].message.startswith("chain is a int when all cells have run")


def test_a_crash_for_one_input_costs_the_test_that_it_is_in():
    source = RIGHT_CHAIN.replace("return", "if () in paths: __import__('os')._exit(0)\n    return")
    result = of(graded(script(source)), "chain")
    assert [line.status for line in result.lines] == ["ok", "ok", "ok", "FAIL"]


def test_a_notebook_of_thousands_of_cells_is_not_graded():
    result = graded(notebook(["x = 1"] * 2001), "ada.ipynb")
    assert result.reason == "has 2,001 code cells; the most is 2,000"


def test_only_the_first_cells_that_failed_are_told_and_shortly():
    cells = [f"raise ValueError('{'no ' * 500}')"] * 60
    told = graded(script(*cells, RIGHT_CHAIN)).cells
    assert len(told) == 51 and told[-1] == "and 10 more"
    assert max(map(len, told)) < 400


def test_a_cell_that_fails_is_named_where_its_exercise_is_missing():
    result = graded(script("1 / 0\n" + RIGHT_CHAIN, RIGHT_SLOPES))
    assert of(result, "chain").not_done == (
        "not defined: code cell 1 failed (ZeroDivisionError: division by zero (line 1))"
    )
    assert of(result, "local_slopes").points == POINTS["local_slopes"]


def test_cells_are_counted_as_a_reader_counts_code_cells():
    cells = [markdown("# Hello"), code("x = 1"), code("  "), markdown("then"), code("1 / 0")]
    assert graded(saved([*cells, code(RIGHT_CHAIN)]), "a.ipynb").cells[0].startswith("code cell 3:")
    percent = "# %% [markdown]\n# Hello\n# %%\nx = 1\n# %%\n1 / 0\n# %%\n" + RIGHT_CHAIN
    assert graded(percent.encode()).cells[0].startswith("code cell 2:")


def test_a_magic_that_times_a_statement_runs_it():
    lines = ["%time x = 3\n", "%matplotlib inline\n", "!ls\n", "assert x == 3\n"]
    result = graded(saved([code(*lines), code(RIGHT_CHAIN)]), "a.ipynb")
    assert result.cells == ()


def test_a_script_without_markers_fails_by_statement():
    result = graded(f"import math\n{RIGHT_CHAIN}\n1 / 0\n{RIGHT_SLOPES}".encode())
    assert of(result, "chain").points == POINTS["chain"]
    assert of(result, "local_slopes").points == POINTS["local_slopes"]


# ---- follow-through


def test_a_wrong_class_does_not_cost_the_training_that_uses_it():
    result = graded(notebook(changed("autograd", ("grad +=", "grad ="))), "ada.ipynb")
    assert of(result, "Value").points < POINTS["Value"]
    trained = of(result, "train_on_moons")
    assert (trained.points, trained.follow_through) == (POINTS["train_on_moons"], ("Value",))


def test_a_missing_answer_is_stood_in_for_too():
    cells = [cell for cell in solution_cells("autograd") if "class Value" not in cell]
    result = graded(notebook(cells), "ada.ipynb")
    assert of(result, "Value").not_done == "not defined"
    assert of(result, "train_on_moons").points == POINTS["train_on_moons"]
    assert of(result, "train_on_moons").follow_through == ("Value",)


def test_an_earlier_stub_is_stood_in_for_too():
    stub = "def unbroadcast(grad, shape):\n    raise NotImplementedError('Exercise 3.4: sum.')"
    result = graded(notebook([*solution_cells("autograd"), stub]), "ada.ipynb")
    assert of(result, "unbroadcast").not_done == "not done yet (Exercise 3.4: sum.)"
    assert of(result, "matmul_gradients").follow_through == ("unbroadcast",)
    others_full(result, "unbroadcast")


def test_an_answer_that_is_wrong_by_itself_gains_nothing_by_it():
    wrong = ("grad +=", "grad ="), ("def train_on_moons(X,", "def train_on_moons(y_, X_, X,")
    result = graded(notebook(changed("autograd", *wrong)), "ada.ipynb")
    assert of(result, "train_on_moons").points == 0


def test_what_has_seen_a_right_answer_grades_nothing_else():
    """The second exercise meets the right first one that stands in; the third finds none of it."""
    spy = (
        "import gc\n"
        "def chain(paths):\n    return 0.0\n"
        "def found():\n"
        "    return [f for f in gc.get_objects() if getattr(f, '__module__', '') == 'right']\n"
        "def local_slopes(op, a, b):\n"
        "    raise Exception(f'found {len(found())} {chain(((2.0,),))}')\n"
        "def backward_pass(inputs, slopes):\n    raise Exception(f'found {len(found())}')\n"
    )
    result = graded(script(spy))
    met = of(result, "local_slopes")
    assert met.follow_through == ("chain",)
    assert met.lines[0].message.startswith("raised Exception: found 1 2.0")
    assert "raised Exception: found 0" in of(result, "backward_pass").lines[0].message


# ---- files of all kinds


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": [text]}


def code(*lines):
    return {"cell_type": "code", "metadata": {"id": "Xy"}, "outputs": [], "source": list(lines)}


def saved(cells, **top):
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, **top}).encode()


LINES = RIGHT_CHAIN.splitlines(keepends=True)
KINDS = {
    "Jupyter, lines": ("a.ipynb", saved([markdown("# Hello"), code(*LINES)])),
    "Colab, with magics": (
        "a.ipynb",
        saved(
            [
                code("!pip install something\n", "%matplotlib inline\n", "x = 1"),
                code("%%time\n", "!ls\n", *LINES),
            ],
            nbformat_minor=0,
        ),
    ),
    "Colab, with its own library": (
        "a.ipynb",
        saved([code("from google.colab import drive\n", "drive.mount('/d')"), code(*LINES)]),
    ),
    "VS Code, text and not lines": ("a.ipynb", saved([code(RIGHT_CHAIN)])),
    "a byte order mark": ("a.ipynb", b"\xef\xbb\xbf" + saved([code(RIGHT_CHAIN)])),
    "capitals in the ending": ("a.IPYNB", saved([code(RIGHT_CHAIN)])),
    "notebooks of version 3": (
        "a.ipynb",
        json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": LINES}]}]}).encode(),
    ),
    "VS Code, percent script": ("a.py", b"# %% [markdown]\n# Hi\n# %%\n" + RIGHT_CHAIN.encode()),
    "nbconvert script": ("a.py", b"# In[3]:\n\n" + RIGHT_CHAIN.encode()),
    "a script with Windows lines": ("a.py", RIGHT_CHAIN.replace("\n", "\r\n").encode()),
    "an answer under another name, and the stub": (
        "a.py",
        b"def chain(paths):\n    raise NotImplementedError('Exercise 3.1: x')\n"
        b"from course_lib.checks.autograd import check\n"
        + RIGHT_CHAIN.replace("chain", "mine").encode()
        + b"check(mine, 'chain')",
    ),
    "the last definition counts": ("a.py", b"def chain(p):\n    return 0\n" + RIGHT_CHAIN.encode()),
}


@pytest.mark.parametrize(("file", "content"), KINDS.values(), ids=KINDS)
def test_files_as_programs_save_them(file, content):
    assert points(graded(content, file))["chain"] == POINTS["chain"]


UNREADABLE = {
    "empty": ("a.ipynb", b"", "no notebook"),
    "empty script": ("a.py", b"", "no code"),
    "comments only": ("a.ipynb", saved([markdown("hello")]), "no code"),
    "blank cells": ("a.ipynb", saved([code("\n", "  ")]), "no code"),
    "not JSON": ("a.ipynb", b"PK\x03\x04", "no notebook"),
    "not UTF-8": ("a.py", "ä".encode("latin-1"), "UTF-8"),
    "JSON of something else": ("a.ipynb", b'{"name": "x"}', "no list of cells"),
    "a list": ("a.ipynb", b"[1, 2]", "no list of cells"),
    "cells that are none": ("a.ipynb", b'{"cells": [3]}', "no list of cells"),
    "a million brackets": ("a.ipynb", b"[" * 10**6, "too deep"),
    "a number of a million digits": ("a.ipynb", b"1" * 10**6, "no notebook"),
}


@pytest.mark.parametrize(("file", "content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_files_without_code_are_not_graded(file, content, reason):
    result = graded(content, file)
    assert isinstance(result, NotGraded)
    assert reason in result.reason


def test_the_answer_cannot_be_imported_and_the_message_says_so():
    source = "from course_lib.autograd import Value"
    result = graded(script(source, RIGHT_CHAIN))
    assert "write your own" in result.cells[0]
    assert of(result, "chain").points == POINTS["chain"]
    assert of(result, "Value").points == 0


def test_earlier_chapters_and_shared_parts_are_there():
    source = "from course_lib.neuron import sigmoid\nfrom course_lib.data import moons\n"
    assert graded(script(source + RIGHT_CHAIN)).cells == ()


def test_the_checks_are_not_there():
    sources = [
        "from course_lib.checks.autograd import EXERCISES",
        "from course_lib.checks import draws",
        "from course_lib.checks.exercise import Exercise",
        "from course_lib.studies import runner",
        "from course_lib.grading import grader",
    ]
    result = graded(script(*sources, RIGHT_CHAIN))
    assert len(result.cells) == len(sources)
    assert all("ImportError" in c or "ModuleNotFound" in c for c in result.cells)


# ---- the probes and the tests that the checks may use here


@pytest.mark.parametrize("chapter", view.chapters())
def test_every_probe_is_one_that_a_sandbox_has(chapter):
    from course_lib.checks import probes

    for exercise in view.exercises(chapter):
        for test in exercise.tests:
            assert getattr(probes, test.probe.__name__, None) is test.probe


@pytest.mark.parametrize("chapter", view.chapters())
def test_the_solutions_define_every_exercise(chapter):
    defined = set().union(*(names for names, _ in grader.right_answers(chapter)))
    assert {exercise.name for exercise in view.exercises(chapter)} <= defined


def test_a_sandbox_that_does_not_start_is_an_error_and_no_grade(monkeypatch):
    from course_lib.grading.sandbox import Sandbox, SandboxError

    monkeypatch.setenv("PATH", str(Path(__file__).parent))
    with pytest.raises(SandboxError, match="bubblewrap") as raised:
        Sandbox("autograd", "namespaces")
    assert "Nothing was graded" in str(raised.value)


GOOD = {"value": 1.0, "error": None, "changed": ()}
BAD_OUTCOMES = [
    torch.zeros(3),
    [],
    None,
    {},
    {"value": 1.0, "error": None},
    GOOD | {"points": 4},
    GOOD | {"error": 4},
    GOOD | {"changed": [0]},
    GOOD | {"changed": (2,)},
    GOOD | {"changed": (-1,)},
    GOOD | {"changed": (1, 0)},
    GOOD | {"changed": (0, 0)},
    GOOD | {"changed": (torch.zeros(2),)},
    GOOD | {"changed": (0,) * 30_000},
]


@pytest.mark.parametrize("data", BAD_OUTCOMES, ids=range(len(BAD_OUTCOMES)))
def test_an_outcome_of_another_form_is_refused(data):
    with pytest.raises((TypeError, ValueError)):
        process._outcome(data, 2)


def test_an_outcome_of_the_right_form_is_taken():
    came = process._outcome(GOOD | {"error": "raised\n\x1b[31m" + "x" * 9000, "changed": (0, 1)}, 2)
    assert (came.value, came.changed) == (1.0, (0, 1))
    assert came.error.startswith("raised [31mxxx") and len(came.error) < 2100


def test_the_digest_of_the_checks_is_of_what_decides_on_points(monkeypatch, tmp_path):
    def digest():
        grader.digest_of_checks.cache_clear()
        return grader.digest_of_checks("autograd")

    before = digest()
    assert digest() == before
    changed = tmp_path / "solutions.ipynb"
    changed.write_text(grader.solutions_path("autograd").read_text() + " ")
    monkeypatch.setattr(grader, "solutions_path", lambda chapter: changed)
    assert digest() != before
    grader.digest_of_checks.cache_clear()


def test_a_dead_fork_server_costs_a_second_start_and_no_grade():
    grader.close()
    assert points(graded(script(RIGHT_CHAIN)))["chain"] == POINTS["chain"]
    (sandbox,) = grader.SANDBOXES.values()
    sandbox.server.kill()
    sandbox.server.wait()
    assert points(graded(script(RIGHT_CHAIN)))["chain"] == POINTS["chain"]
    (fresh,) = grader.SANDBOXES.values()
    assert fresh is not sandbox
