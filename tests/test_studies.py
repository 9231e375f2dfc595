"""course_lib.studies: rows are resumable, marked by their code, and none in the book is stale."""

import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from course_lib import autograd, neuron
from course_lib.studies import runner
from course_lib.studies.runner import Experiment, results, run_study

ROOT = Path(__file__).parents[1]
NAMES = sorted(
    p.stem for p in (ROOT / "course_lib/studies").glob("[a-z]*.py") if p.stem != "runner"
)


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_stale_and_none_is_missing(name):
    study = runner.load_study(name)
    rows = json.loads(runner.results_path(study.CHAPTER).read_text())["rows"]
    plan = runner.planned(study)
    missing = [key for key in plan if not any(runner.matches(row, key) for row in rows)]
    assert not missing, f"stale or missing: run make study name={name}; first {missing[:1]}"
    assert len(rows) == len(plan)


@pytest.mark.parametrize("name", NAMES)
def test_no_run_of_a_plan_can_be_taken_for_another(name):
    """Settings that are a part of others would be found measured already."""
    plan = runner.planned(runner.load_study(name), seeds=1)
    taken = [(a, b) for a in plan for b in plan if a is not b and runner.matches(a, b)]
    assert not taken


@pytest.mark.parametrize("name", NAMES)
def test_rows_say_where_they_come_from(name):
    for row in results(runner.load_study(name).CHAPTER):
        assert {"seed", "seconds", "device", "versions", "hash"} <= row.keys()
        assert row["seconds"] >= 0


@pytest.mark.stored
@pytest.mark.parametrize("name", NAMES)
def test_a_stored_row_can_be_measured_again(name):
    study = runner.load_study(name)
    small = {k: e for k, e in study.EXPERIMENTS.items() if not e.at_scale}
    assert small
    for label, experiment in small.items():
        row = results(study.CHAPTER, label)[0]
        settings = {k: row[k] for k in experiment.settings[0]}
        again = experiment.run(seed=row["seed"], device="cpu", **settings)
        assert set(experiment.times) <= set(again)
        stored = row
        if experiment.chaotic:  # compared on one and the same processor
            stored = experiment.run(seed=row["seed"], device="cpu", **settings)
        for key, value in again.items():
            wanted = value if key in experiment.times else pytest.approx(stored[key], rel=0.05)
            assert key in row and value == wanted and value > 0, (label, key)


@pytest.fixture
def toy(monkeypatch):
    """A study of two settings and two seeds that counts its calls."""
    calls = []

    def run(seed, device, depth):
        calls.append((depth, seed))
        if len(calls) == fail_at[0]:
            raise KeyboardInterrupt
        return {"loss": depth + seed / 10}

    fail_at = [0]
    study = types.SimpleNamespace(
        CHAPTER="99_toy",
        EXPERIMENTS={"depth": Experiment(run, [{"depth": 1}, {"depth": 2}], seeds=2)},
    )
    monkeypatch.setattr(runner, "load_study", lambda name: study)
    return study, calls, fail_at


def test_an_interrupted_study_goes_on_where_it_stopped(toy, tmp_path):
    _, calls, fail_at = toy
    path, fail_at[0] = tmp_path / "99_toy.json", 3
    with pytest.raises(KeyboardInterrupt):
        run_study("toy", device="cpu", path=path)
    assert len(json.loads(path.read_text())["rows"]) == 2
    run_study("toy", device="cpu", path=path)
    assert calls == [(1, 0), (1, 1), (2, 0), (2, 0), (2, 1)]
    rows = json.loads(path.read_text())["rows"]
    assert [r["loss"] for r in rows] == [1.0, 1.1, 2.0, 2.1]
    run_study("toy", device="cpu", path=path)
    assert len(calls) == 5  # nothing left to do


def test_changed_code_is_measured_again(toy, tmp_path):
    study, calls, _ = toy
    path = run_study("toy", device="cpu", path=tmp_path / "r.json")
    old = study.EXPERIMENTS["depth"]

    def run(seed, device, depth):
        return {**old.run(seed, device, depth), "more": 1.0}

    study.EXPERIMENTS["depth"] = Experiment(run, old.settings, seeds=2)
    run_study("toy", device="cpu", path=path)
    assert len(calls) == 8
    assert len(json.loads(path.read_text())["rows"]) == 4


def test_fewer_seeds_lose_no_row(toy, tmp_path):
    path = run_study("toy", seeds=2, device="cpu", path=tmp_path / "r.json")
    before = path.read_bytes()
    run_study("toy", seeds=1, device="cpu", path=path)
    assert path.read_bytes() == before
    run_study("toy", seeds=3, device="cpu", path=path)
    assert len(json.loads(path.read_text())["rows"]) == 6


def test_the_hash_reaches_helpers_constants_and_defaults(monkeypatch):
    centring = runner.load_study("neuron").EXPERIMENTS["centring"]
    before = centring.hash()
    assert before == centring.hash()
    study = runner.load_study("neuron")
    for module, name, value in (
        (study, "LEARNING_RATES", (0.5,)),
        (study, "steps_to", study.optimum),
        (neuron, "softplus", neuron.relu),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            changed = centring.hash() != before
        assert changed or name == "LEARNING_RATES", name  # a default is bound when defined


def test_the_hash_reaches_methods_tables_of_functions_and_instances(monkeypatch):
    cost = runner.load_study("autograd").EXPERIMENTS["cost"]
    before = cost.hash()
    with monkeypatch.context() as patch:  # through the table of engines, Value and its table
        patch.setitem(autograd.RULES, "^", autograd.mul)
        assert cost.hash() != before
    with monkeypatch.context() as patch:  # through a method of the tape, an instance
        patch.setattr(autograd, "_check_on_tape", autograd.relu)
        assert cost.hash() != before
    assert cost.hash() == before


def test_the_hash_does_not_change_when_an_optimizer_is_made():
    """torch puts a wrapper of its own around the step of the class then."""
    code = (
        "import torch; from course_lib.transformer import Muon, learn\n"
        "from course_lib.studies.runner import Experiment\n"
        "hashes = [Experiment(learn, []).hash()]\n"
        "Muon([torch.nn.Parameter(torch.ones(2, 2))])\n"
        "hashes.append(Experiment(learn, []).hash())\n"
        "assert Muon.step.hooked and hashes[0] == hashes[1], hashes"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_hash_sees_code_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)

    def hash_of(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        return Experiment(importlib.import_module(name).f, []).hash()

    plain = hash_of("m1", "def f(x):\n    return x + 1\n")
    worded = 'def f(x):\n    "A docstring."\n\n    return x + 1  # a comment\n'
    assert hash_of("m2", worded) == plain
    assert hash_of("m3", "def f(x):\n    return x + 2\n") != plain


def test_no_seed_is_no_study(toy, tmp_path):
    with pytest.raises(ValueError, match="seeds must be at least 1, got 0"):
        run_study("toy", seeds=0, path=tmp_path / "r.json")
    assert not (tmp_path / "r.json").exists()


def test_missing_results_and_unknown_studies_say_what_to_do():
    with pytest.raises(FileNotFoundError, match="make study name=toy"):
        results("99_toy")
    with pytest.raises(ValueError, match=f"no study is called 'toy'; there are {', '.join(NAMES)}"):
        runner.load_study("toy")
