"""The benchmark: turns, pairs, intervals, goals; a page in step with what was measured."""

import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import scipy.stats
import torch
from needs import needs

from benchmarks import __main__ as bench
from benchmarks import lineup, page, peers, plan, race
from benchmarks.race import Contender, Goal, interval, numbers, slope, verdict
from course_lib import autograd
from course_lib.source import source


def measured(**seconds):
    """A race that is over: for each contender the seconds of its runs."""
    runs = {name: {"runs": [{"seconds": s} for s in each]} for name, each in seconds.items()}
    return {"title": "a race", "threads": 1, "load": 0.5, "date": "2026-01-01", "contenders": runs}


@pytest.fixture(autouse=True)
def _no_peer_is_installed(monkeypatch):
    """An environment is an install of minutes, from a registry that may not be there."""

    def refused(folder, **_):
        raise AssertionError(f"a test would install {folder}")

    monkeypatch.setattr(peers.venv, "create", refused)


# ---- numbers


def test_ratios_and_differences_are_taken_round_by_round():
    found = measured(a=[1.0, 2.0, 4.0], b=[2.0, 6.0, 16.0])
    assert numbers(found, Goal("b", 0, "a")) == [2, 3, 4]
    assert numbers(found, Goal("b", 0, "a", how="difference")) == [1, 4, 12]
    assert numbers(found, Goal("b", 0, how="value")) == [2, 6, 16]
    with pytest.raises(ValueError, match="last two sizes, not 'sum'"):
        numbers(found, Goal("b", 0, "a", how="sum"))


def test_an_exponent_is_the_slope_of_the_logarithms():
    sizes = [1, 2, 4, 8]
    found = measured(**{str(n): [3 * n**2.0, 5 * n**1.5] for n in sizes})
    for n in sizes:
        found["contenders"][str(n)]["size"] = n
    assert numbers(found, Goal("exponent", 2, how="exponent")) == pytest.approx([2, 1.5])
    found["contenders"]["8"]["runs"][0]["seconds"] *= 2
    assert numbers(found, Goal("last", 2, how="last")) == pytest.approx([3, 1.5])
    costs = [1.0, 3.0, 2.0]
    assert slope([1, 2, 5], costs) == pytest.approx(
        np.polyfit(np.log([1, 2, 5]), np.log(costs), 1)[0]
    )


@pytest.mark.parametrize("values", [[1.1, 1.3, 0.9, 1.2], [-1.0, 0.5, 2.0, 3.0]])
def test_the_interval_is_students(values):
    scaled = np.log(values) if min(values) > 0 else np.array(values)
    low, high = scipy.stats.t.interval(
        0.95, len(values) - 1, scaled.mean(), scipy.stats.sem(scaled)
    )
    expected = (math.exp(low), math.exp(high)) if min(values) > 0 else (low, high)
    assert interval(values) == pytest.approx((statistics.median(values), *expected))


def test_one_run_has_no_interval():
    assert interval([3.0]) == (3.0, 3.0, 3.0)


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    draws = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        _, low, high = interval(list(np.exp(draws.normal(0.1, 0.05, 7))))
        hits += low < math.exp(0.1) < high
    assert 930 <= hits <= 970


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal("b", 1.6, "a"), True),
        (Goal("b", 1.6, "a", upper=True), False),
        (Goal("b", 1.4, "a"), False),
        (Goal("b", 1.4, "a", at_least=True), True),
        (Goal("b", 0.5, "a", how="difference"), True),
    ],
)
def test_a_goal_is_reached_or_missed(goal, reached):
    found = measured(a=[1.0, 1.0, 1.0], b=[1.3, 1.5, 1.9])
    assert verdict(found, goal)["reached"] is reached


def test_who_did_not_run_reaches_and_misses_nothing():
    found = measured(a=[1.0])
    found["contenders"]["b"] = {"missing": "no network"}
    assert verdict(found, Goal("b", 1, "a"))["reached"] is None
    assert [row[0] for row in page.runs_table(found).rows[1:]] == ["a"]
    assert page.absent(found) == "Not run: b; no network."
    assert page.sentence(verdict(found, Goal("b", 1, "a"))).startswith("- **not run**")


# ---- the race itself


class Recorder:
    """A worker that notes when it ran."""

    order, ended = [], []

    def __init__(self, contender, threads):
        self.name, self.prepared = contender.name, 0.25

    def run(self):
        self.order.append(self.name)
        return {"seconds": float(len(self.order)), "work": 1.0 if self.name != "c" else 1.1}

    def end(self):
        self.ended.append(self.name)


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(race, "Worker", Recorder)
    monkeypatch.setattr(Recorder, "order", [])
    monkeypatch.setattr(Recorder, "ended", [])
    return Recorder


def three(**missing):
    return [Contender(name, "m", "f", missing=missing.get(name, "")) for name in "abc"]


def test_contenders_run_in_turns_and_nobody_always_runs_after_the_same_other(recorder):
    found = race.race("three", three(), rounds=20, warm=1)
    rounds = ["".join(recorder.order[k : k + 3]) for k in range(0, 63, 3)]
    assert rounds[0] == "abc" and {"".join(sorted(each)) for each in rounds} == {"abc"}
    assert {a + b for a, b in itertools.pairwise(recorder.order)} >= {
        *("ab", "ac", "ba", "bc", "ca", "cb")
    }
    assert recorder.ended == ["a", "b", "c"]
    assert found["contenders"]["a"]["warm"] == [1.0]
    places = [3 * k + each.index("a") + 1.0 for k, each in enumerate(rounds[1:], 1)]
    assert [run["seconds"] for run in found["contenders"]["a"]["runs"]] == places


def test_of_short_runs_the_second_in_a_row_counts(recorder):
    found = race.race("three", three(), rounds=2, warm=0, again=True)
    assert all(a == b for a, b in zip(recorder.order[::2], recorder.order[1::2], strict=True))
    counted = [run["seconds"] for each in found["contenders"].values() for run in each["runs"]]
    assert sorted(counted) == [2, 4, 6, 8, 10, 12]


def test_the_missing_are_noted_and_the_others_run(recorder):
    found = race.race("three", three(b="not on the registry"), rounds=1, warm=0)
    assert sorted(recorder.order) == ["a", "c"]
    assert found["contenders"]["b"] == {"missing": "not on the registry"}


def test_who_computes_something_else_is_found_out(recorder):
    race.race("two", three(c="left out"), rounds=1, same=["work"])
    with pytest.raises(AssertionError, match="do not compute the same work"):
        race.race("three", three(), rounds=1, same=["work"])
    assert recorder.ended[-3:] == ["a", "b", "c"]


def test_a_process_prepares_runs_when_asked_and_ends():
    settings = {"module": "course_lib.autograd", "points": 2, "steps": 1}
    contender = Contender("Value", "benchmarks.contenders.engines", "scalars", settings)
    found = race.race("scalars", [contender, contender], rounds=2, threads=1)
    each = found["contenders"]["Value"]
    assert each["prepared"] > 0 and len(each["warm"]) == 1
    assert all(run["seconds"] > 0 and math.isfinite(run["gradients"]) for run in each["runs"])


def test_a_process_that_ends_says_which_it_was():
    contender = Contender("nobody", "benchmarks.contenders.engines", "nothing_of_that_name")
    with pytest.raises(RuntimeError, match="nobody ended with code 1"):
        race.race("broken", [contender], rounds=1)


# ---- the plan


@pytest.fixture
def here(monkeypatch):
    """As if every peer were installed: their contenders have our Python."""
    monkeypatch.setattr(peers, "python", lambda name: sys.executable)
    monkeypatch.setattr(lineup, "check_import", lambda python, module: None)


@pytest.mark.parametrize("name", plan.RACES)
def test_every_goal_speaks_of_a_contender_and_every_contender_is_a_function(name, here):
    each = plan.RACES[name]
    contenders = each.contenders()
    names = [c.name for c in contenders]
    assert len(set(names)) == len(names) and each.goals
    for goal in each.goals:
        if goal.how in ("exponent", "last"):
            assert all(c.size for c in contenders)
        else:
            assert {goal.name, goal.reference} <= {*names, ""}
        assert not goal.reference or goal.reference == names[0] or name in ("worlds", "balance")
    for contender in contenders:
        path = bench.Path(race.ROOT, *contender.module.split(".")).with_suffix(".py")
        assert f"def {contender.function}(" in path.read_text(encoding="utf-8")


def test_five_rounds_at_least_where_something_is_compared(here):
    for each in plan.RACES.values():
        compared = any(goal.how != "value" for goal in each.goals)
        assert each.rounds >= 5 or not compared


def test_a_peer_that_cannot_be_had_is_told_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers.venv, "create", lambda *a, **k: None)
    failed = types.SimpleNamespace(returncode=1, stderr="noise\nERROR: no such version")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    contender = lineup.theirs("skorch", "skorch", "skorch_loop.skorch_loop")
    torch_pin = peers.pinned_torch()
    assert contender.missing == f"{torch_pin} could not be installed: ERROR: no such version"


def test_an_environment_is_made_anew_when_its_pins_change(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers.venv, "create", lambda folder, **k: made.append(folder.mkdir()))
    done = types.SimpleNamespace(returncode=0, stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: done)
    for _ in range(2):
        peers.python("skorch")
    assert len(made) == 1
    monkeypatch.setitem(peers.PINS, "skorch", ["torch", "skorch==0.0.1"])
    monkeypatch.setattr(peers.venv, "create", lambda folder, **k: made.append(folder))
    peers.python("skorch")
    assert len(made) == 2


def test_an_import_that_fails_is_the_reason():
    lineup.check_import(sys.executable, "json")
    with pytest.raises(peers.NotHere, match="import json.nothing fails: ModuleNotFoundError"):
        lineup.check_import(sys.executable, "json.nothing")


def test_all_peers_are_pinned():
    pins = {pin for each in peers.PINS.values() for pin in each}
    assert all("==" in pin for pin in pins - {"torch"})
    assert peers.pinned_torch().startswith("torch==")


def test_what_a_race_needs(monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    assert "COURSE_DATA" in plan.why_not(plan.RACES["clothes"])
    assert plan.why_not(plan.RACES["loop"]) == ""


def test_nanogpt_itself_runs_where_its_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("PEERS", raising=False)
    assert "PEERS" in lineup.letters()[-1].missing
    (tmp_path / "nanoGPT").mkdir()
    (tmp_path / "nanoGPT/model.py").write_text("")
    monkeypatch.setenv("PEERS", str(tmp_path))
    assert lineup.letters()[-1].settings == {"folder": str(tmp_path / "nanoGPT")}


# ---- contenders, each at a small size

SMALL = [
    ("training", "bare", {"rows": 512}),
    ("training", "bare", {"rows": 512, "net": "lenet", "channels_last": True, "bf16": True}),
    ("training", "fit", {"rows": 512}),
    ("training", "loader", {"rows": 512}),
    ("per_sample", "per_sample", {"rows": 512, "workers": 0}),
    ("engines", "arrays", {"engine": "course", "points": 20, "steps": 1}),
    ("operators", "write", {"cache": True, "length": 4}),
    ("operators", "lstm", {"T": 3, "steps": 1}),
    ("growing", "perceptron", {"width": 8, "steps": 1}),
    ("growing", "reading", {"T": 4, "steps": 1}),
    ("growing", "carts", {"count": 4, "steps": 2}),
    ("acting", "single", {"steps": 50}),
    ("acting", "vector", {"count": 4, "steps": 2}),
    ("acting", "tensors", {"count": 4, "steps": 2}),
    ("gpu", "peak", {"size": 32, "device": "cpu", "steps": 2}),
    ("gpu", "gpt", {"device": "cpu", "batch": 1, "block": 8, "layers": 1, "steps": 1}),
    ("gpu", "resnet", {"device": "cpu", "batch": 4, "bf16": True, "steps": 1}),
    ("gpu", "bare", {"device": "cpu", "rows": 512}),
    ("gpu", "carts", {"device": "cpu", "count": 4, "steps": 2}),
    ("starting", "imported", {"module": "json"}),
    ("suite", "checks", {"name": "tensors", "runs": 1}),
]


@pytest.mark.parametrize(("file", "function", "settings"), SMALL)
def test_a_contender_runs(file, function, settings):
    module = __import__(f"benchmarks.contenders.{file}", fromlist=[function])
    run = getattr(module, function)(**settings)
    for each in (run() or {}, run() or {}):
        assert all(math.isfinite(v) and v >= 0 for v in each.values())


@pytest.mark.parametrize("name", ["bare", "fit", "loader", "per_sample"])
def test_a_loop_learns(name, monkeypatch):
    """Twenty epochs on 512 rows of noise: the loss falls, as much by our loop as by the others."""
    from benchmarks.contenders import per_sample, training

    net = training.network("mlp")
    monkeypatch.setattr(training, "network", lambda name: net)
    if name == "per_sample":
        run = per_sample.per_sample(rows=512, workers=0)
    else:
        run = getattr(training, name)(rows=512)
    X, y = training.pictures(512)
    X = (X - 0.5) / 0.5 if name == "per_sample" else X
    for _ in range(20):
        assert run() == {"steps": 2}
    assert training.LOSS(net(X), y).item() < math.log(10) - 0.1


def test_how_often_a_step_waits_is_counted():
    """On a CPU the loss is looked at in every step; on a GPU in one of 32."""
    from benchmarks.contenders import gpu

    assert gpu.fit(device="cpu", rows=1024)()["waits"] == 1
    assert gpu.waits(lambda part: len(range(1024)[part]), 1024) == 0


def test_balancing_ends_with_the_first_good_look_whose_time_does_not_count(monkeypatch):
    from benchmarks.contenders import acting
    from course_lib.studies import policy_gradient as study

    looks = []

    def fresh(policy, episodes, seed, device):
        looks.append(seed)
        time.sleep(2)
        return torch.full((episodes,), 480.0)

    monkeypatch.setattr(study, "fresh", fresh)
    start = time.perf_counter()
    found = acting.ppo("PPO, 16 worlds")()
    assert (found["steps"], found["solved"], found["return"]) == (2048, True, 480)
    assert len(set(looks)) == len(looks) == 2  # the look, and the thousand more
    assert 0 < found["seconds"] < time.perf_counter() - start - 3.9


def test_operators_agree_with_torch():
    from benchmarks.contenders import operators

    for name in ("conv2d", "attention", "lstm"):
        mine, theirs = (
            getattr(operators, name)(steps=1),
            getattr(operators, f"torch_{name}")(steps=1),
        )
        assert mine()["gradients"] == pytest.approx(theirs()["gradients"], rel=1e-3)


def test_whole_trainings_judge_what_they_trained(monkeypatch):
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    from benchmarks.contenders import learning

    run = learning.gpt("course", steps=2, lr=0.005)
    first, second = run(), run()
    assert first["nats"] == pytest.approx(first["estimate"], rel=0.05)
    assert first["nats"] < math.log(65) + 0.1 and first["nats"] != second["nats"]


def test_clothes_are_learned_and_judged_by_other_pictures(monkeypatch):
    """Stripes, standing or lying: a recipe tells all of them, LeNet is as slow as it is shown."""
    from benchmarks.contenders import learning
    from course_lib.studies import _fashion_mnist as clothes

    def stripes(seed: int):
        torch.manual_seed(seed)
        y = torch.randint(2, (1024,))
        rows = (torch.arange(28) % 4 < 2).float()
        patterns = torch.stack([rows[:, None].expand(28, 28), rows.expand(28, 28)])
        return (patterns[y] + 0.1 * torch.randn(1024, 28, 28))[:, None], y

    monkeypatch.setattr(clothes, "pictures", lambda device: (stripes(0), stripes(1)))
    found = {
        name: run()
        for name, run in (("ours", learning.recipe(92)), ("theirs", learning.textbook()))
    }
    assert found["ours"]["accuracy"] > 99 and found["theirs"]["accuracy"] < 90
    assert all(each["seconds"] > 0 for each in found.values())


STUB = """
import torch

class GPTConfig:
    def __init__(self, **settings): self.__dict__.update(settings)
class GPT(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.table = torch.nn.Embedding(config.vocab_size, config.vocab_size)
    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        return torch.optim.AdamW(self.parameters(), learning_rate, betas=betas)
    def forward(self, tokens, targets):
        logits = self.table(tokens)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss
"""


def test_a_model_with_nanogpts_interface_is_trained(tmp_path, monkeypatch):
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    from benchmarks.contenders import learning

    (tmp_path / "model.py").write_text(STUB)
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = learning.nanogpt(str(tmp_path), steps=3)()
    assert found["nats"] == pytest.approx(found["estimate"], rel=0.1)


# ---- results and page


def test_unknown_races_are_refused_with_the_known_ones(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "loops"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no race is called loops; there are loop, lenet" in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError, BrokenPipeError, json.JSONDecodeError])
def test_a_race_that_fails_is_told_and_the_next_one_runs(monkeypatch, capsys, tmp_path, error):
    def run(each, rounds):
        if each is plan.RACES["cache"]:
            rest = ("", 0) if error is json.JSONDecodeError else ()
            raise error("a contender ended", *rest)
        return measured(a=[1.0]) | {"goals": []}

    monkeypatch.setattr(bench, "run", run)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(page, "write", lambda: None)
    monkeypatch.setattr(peers, "installed", lambda: {"x": "1"})
    monkeypatch.setattr(sys, "argv", ["bench", "cache", "arrays", "loop"])
    bench.main()
    assert f"not measured, {error.__name__}: a contender ended" in capsys.readouterr().out
    stored = json.loads((tmp_path / "results.json").read_text())
    assert list(stored["races"]) == ["loop", "arrays"] and stored["peers"] == {"x": "1"}


def test_a_look_writes_nothing(monkeypatch, tmp_path, capsys):
    rounds = []
    one = measured(a=[1.0]) | {"goals": []}
    one["contenders"]["b"] = {"missing": "left out of a look"}
    monkeypatch.setattr(bench, "run", lambda each, n: rounds.append(n) or one)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(sys, "argv", ["bench", "--quick"])
    bench.main()
    assert "Not run: b; left out of a look." in capsys.readouterr().out
    assert rounds and set(rounds) == {each.quick for each in plan.RACES.values() if each.quick}
    assert not list(tmp_path.iterdir())


def test_a_look_leaves_the_slow_contenders_out(here):
    for each in plan.RACES.values():
        if each.slow:
            left = [c.name for c in bench.look(each).contenders() if c.missing.startswith("left")]
            assert left == list(each.slow)
            assert not {g.name for g in each.goals} & set(left)
    assert plan.RACES["loop"].slow


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.012345, "0.0123"), (92.04, "92.0"), (1234.5, "1,230"), (2_048_000, "2,050,000"), (0, "0")],
)
def test_numbers_have_three_digits(value, shown):
    assert page.digits(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(1 / 12, "1/12"), (0.4, "0.4"), (1.05, "1.05"), (2048, "2,048"), (0, "0")]
)
def test_a_bound_is_shown_as_it_was_set(value, shown):
    assert page.bound(value) == shown


def test_a_missed_goal_says_by_how_much():
    goal = verdict(measured(a=[1.0, 1.0], b=[1.5, 1.5]), Goal("b", 1.2, "a"))
    assert page.sentence(goal) == (
        "- **missed by 25 %**: b takes 1.50 of the time of a; wanted at most 1.2."
    )
    goal = goal | {"low": 1.4, "high": 1.6}
    assert "b takes 1.50 of the time of a (95 %: 1.40 to 1.60);" in page.sentence(goal)
    lower = verdict(measured(a=[3.0, 3.0], b=[1.5, 1.0]), Goal("b", 0, "a", how="difference"))
    assert "b has 1.75 s less than a (95 %: -1.43 to 4.93)" in page.sentence(lower)
    narrowly = verdict(measured(a=[1.0], b=[1.206]), Goal("b", 1.2, "a"))
    assert page.sentence(narrowly).startswith("- **missed by 0.5 %**")


def test_of_many_goals_the_worst_speaks():
    found = measured(a=[1.0], **{f"c{i}": [float(i)] for i in range(1, 6)})
    found["goals"] = [verdict(found, Goal(f"c{i}", 4, "a")) for i in range(1, 6)]
    (line,) = page.verdicts(found).splitlines()
    assert "c5 takes 5.00" in line and line.endswith("the worst of 5, of which 4 reach it.")
    found["goals"] = [
        verdict(found, Goal(f"c{i}", 2, how="value", at_least=True)) for i in range(1, 6)
    ]
    assert "c1: 1.00 s; wanted at least 2 s: the worst of 5" in page.verdicts(found)


def test_a_ratio_reads_well():
    assert page.ratios(1.4531, 1.2, 1.62) == ("1.45", "1.20 to 1.62")
    assert page.ratios(0.00303, 0.00253, 0.00437) == ("1/330", "1/395 to 1/229")


def test_a_table_has_the_columns_that_its_race_fills():
    alone, beside = measured(a=[1.0, 2.0]), measured(a=[1.0, 2.0], b=[0.1, 0.2])
    alone["goals"] = [verdict(alone, Goal("a", 3, how="value"))]
    beside["goals"] = [verdict(beside, Goal("b", 1, "a"))]
    for each in beside["contenders"].values():
        each |= {"prepared": 1.0, "warm": [4.0]}
    assert page.runs_table(alone).rows[0] == ["", "median s", "spread"]
    assert page.runs_table(beside).rows[2] == [
        "b", "150", "100 to 200", "0.100 (0.100 to 0.100)", "5.00"
    ]  # fmt: skip


def test_a_single_run_has_no_spread():
    assert page.runs_table(measured(a=[2.0])).rows[:2] == [["", "s"], ["a", "2.00"]]


def test_races_that_ran_elsewhere_are_named():
    here = {"processor": "one", "cores": 2, "python": "3.11", "torch": "2"}
    races = {n: {"title": n, **here} for n in "abc"}
    races["b"] |= {"processor": "another"}
    told = page.environment({"races": races, "peers": {"otter": "7"}})
    assert told == (
        "Machine: one, 2 cores; Python 3.11, torch 2. "
        "On another, 2 cores; Python 3.11, torch 2: b. Peers: otter 7."
    )


def test_ticks_are_round_numbers_that_do_not_crowd():
    assert page.within(0.15, 3) == [0.2, 0.5, 1, 2]
    assert page.within(0.0005, 2) == [0.001, 0.01, 0.1, 1]


def test_a_figure_tells_its_medians():
    drawn = page.figure(measured(a=[1.0, 1.0, 1.0], b=[2.0, 3.0, 4.0]))
    assert "medians: a 1.00, b 3.00." in drawn and drawn.count("<svg") == 1


def test_the_page_is_in_step_with_what_was_measured():
    results = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    assert page.PAGE.read_text(encoding="utf-8") == page.text(results)


def test_the_page_shows_every_race_and_its_goals():
    prose = page.PROSE.read_text(encoding="utf-8")
    lines = dict(re.findall(r"^\{\{(growth|powers) (.+)\}\}$", prose, re.M))
    for name in plan.RACES:
        if name in lines["growth"].split():
            assert name in lines["powers"].split()
        else:
            assert f"{{{{goals {name}}}}}" in prose and f"{{{{table {name}" in prose


def test_what_is_stored_is_what_the_plan_holds_it_against():
    results = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    for name, found in results["races"].items():
        goals = [verdict(found, goal) for goal in plan.RACES[name].goals]
        assert json.loads(json.dumps(goals)) == found["goals"]
        assert {len(runs) for runs in page.ran(found).values()} == {plan.RACES[name].rounds}


def test_the_engine_has_as_many_lines_as_the_page_says():
    def lines(*objects):
        return sum(bool(line.strip()) for line in source(*objects).code.splitlines())

    engine = lines(autograd.Tape, autograd.Value)
    operations = lines(*autograd.RULES.values(), autograd._Arithmetic)
    told = f"the class are {engine} lines; the ten operations and the operators that call them"
    assert f"{told} are {operations} more" in page.PROSE.read_text(encoding="utf-8")
