"""The recipe against the clock: its network, its parts, and what it chose."""

import json
import os
import statistics
from pathlib import Path

import pytest
import torch
from needs import needs

from course_lib.studies import _fashion_mnist as before
from course_lib.studies import _fashion_tricks as study
from course_lib.studies.runner import results

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(("width", "size"), [("narrow", 33_914), ("wide", 57_018)])
def test_the_network_has_the_size_that_the_chapter_tells(width, size):
    assert sum(p.numel() for p in study.network(width).parameters()) == size


def test_the_narrow_network_is_that_of_chapter_6():
    torch.manual_seed(0)
    ours = study.network()
    torch.manual_seed(0)
    theirs = before.strided()
    x = torch.randn(4, 1, 28, 28)
    assert torch.equal(ours(x), theirs(x))


LAYERS = {  # what is in the network without a part, and what is not
    "strides": (torch.nn.MaxPool2d, None),
    "ReLU": (torch.nn.Sigmoid, torch.nn.ReLU),
    "batch norm": (torch.nn.ReLU, torch.nn.BatchNorm2d),
    "nothing": (torch.nn.BatchNorm2d, torch.nn.MaxPool2d),
}


@pytest.mark.parametrize("part", LAYERS)
def test_a_part_of_the_network_is_left_out(part):
    model = study.network(without=part)
    there, gone = LAYERS[part]
    kinds = {type(layer) for layer in model}
    assert there in kinds and gone not in kinds
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    strides = {layer.stride for layer in model if isinstance(layer, torch.nn.Conv2d)}
    assert strides == ({(1, 1)} if part == "strides" else {(2, 2)})


def test_channels_stand_last_unless_they_are_left_apart():
    for part, there in (("nothing", True), ("channels last", False)):
        weight = study.network(without=part)[3].weight
        assert weight.is_contiguous(memory_format=torch.channels_last) is there


def test_about_half_of_the_pictures_are_mirrored():
    torch.manual_seed(0)
    X = torch.rand(400, 1, 3, 4)
    mirrored = study.mirror(X)
    same = (mirrored == X).flatten(1).all(1)
    turned = (mirrored == X.flip(3)).flatten(1).all(1)
    assert (same ^ turned).all() and 150 < same.sum() < 250


@pytest.mark.parametrize("part", ["AdamW", "one-cycle", "bf16", "smoothing", "mirror"])
def test_a_part_of_the_training_is_left_out_and_no_other(part, monkeypatch):
    def settings(without):
        told = {}
        monkeypatch.setattr(study, "fit", lambda model, loss, train, **s: told.update(s, loss=loss))
        study.learn((torch.zeros(2, 1, 28, 28), torch.zeros(2)), 0, 1, 0.1, without=without)
        told["loss"] = told["loss"].label_smoothing
        told["optimizer"] = told["optimizer"].func
        return told

    whole, rest = settings("nothing"), settings(part)
    changed = {"AdamW": "optimizer", "one-cycle": "schedule", "bf16": "dtype"}
    changed |= {"smoothing": "loss", "mirror": "augment"}
    assert {key for key in whole if whole[key] != rest[key]} == {changed[part]}


def held_out(case, both_ways=False):
    """The mean over the three splits."""
    found = results("07_cnn", "tricks_both_ways" if both_ways else "tricks_choosing")
    rows = [r for r in found if case.items() <= r.items()]
    assert len(rows) == 3
    return sum(r["accuracy"] for r in rows) / 3


@pytest.mark.parametrize("percent", [90, 91, 92])
def test_the_rows_held_out_chose_the_recipe(percent):
    tried = [(case, False) for case in study.TRIED]
    tried += [(case, True) for case in study.TRIED_BOTH_WAYS]
    fits = [told for told in tried if study.time_of(told[0]) <= study.MOST[percent]]
    chosen = max(fits, key=lambda told: held_out(*told))
    assert chosen == (study.TARGETS[percent], percent in study.BOTH_WAYS)


def test_both_ways_adds_up_what_a_network_says_of_a_picture_and_its_mirror_image():
    X = torch.arange(12.0).view(2, 1, 2, 3)
    left = study.BothWays(lambda X: X[:, 0, :, 0])(X)  # of each row the first pixel
    assert torch.equal(left, X[:, 0, :, 0] + X[:, 0, :, 2])


def test_a_network_told_both_ways_is_the_one_that_was_trained(monkeypatch):
    """It tells by the first pixel: three of four are right one way, all both ways."""
    y = torch.arange(4) % 2
    X = torch.zeros(4, 1, 1, 2)
    X[torch.arange(4), 0, 0, y] = torch.tensor([0.0, 3.0, 3.0, 0.0])
    data = (X, (X.amax((1, 2, 3)) > 0).long())

    class First(torch.nn.Module):
        def forward(self, X):
            return torch.stack([torch.ones(len(X)), 2 * X[:, 0, 0, 0]], 1)

    history = type("History", (), {"seconds": 1.5})
    monkeypatch.setattr(study, "HELD_OUT", 4)
    monkeypatch.setattr(study, "pictures", lambda device: (data, None))
    monkeypatch.setattr(study, "learn", lambda train, seed, **settings: (First(), history))
    found = study._both_ways(0, "cpu", {})
    assert found == {"accuracy": 100.0, "one_way": 75.0, "train_seconds": 1.5}


RACE = json.loads((ROOT / "benchmarks/results.json").read_text("utf-8"))["races"]["clothes"]


@pytest.mark.parametrize("percent", [90, 91, 92])
def test_the_time_that_a_recipe_takes_is_foretold(percent):
    goals = [g for g in RACE["goals"] if g["name"] == f"recipe for {percent} %"]
    time, _ = goals
    assert time["bound"] == study.MOST[percent]
    assert time["median"] == pytest.approx(study.time_of(study.TARGETS[percent]), rel=0.15)


def test_pooling_takes_so_much_longer():
    rows = [r for r in results("07_cnn", "tricks_time") if r.get("without") == "strides"]
    assert pytest.approx(sum(r["ratio"] for r in rows) / 2, abs=0.01) == study.POOLED


def test_the_page_speed_tells_what_was_tried():
    told = (ROOT / "benchmarks/speed.md").read_text(encoding="utf-8")
    passes = [case["epochs"] for case in study.TRIED]
    assert (min(passes), max(passes)) == (1, 15)
    assert f"{len(study.TRIED)} recipes of one to 15 passes" in told
    for percent, recipe in study.TARGETS.items():
        runs = RACE["contenders"][f"recipe for {percent} %"]["runs"]
        test = statistics.median(run["accuracy"] for run in runs)
        assert 0.25 < held_out(recipe, percent in study.BOTH_WAYS) - test < 0.45
    runs = RACE["contenders"]["recipe for 92 %"]["runs"]
    assert min(run["accuracy"] for run in runs) > 92
    assert "with it all ten runs lie above" in told
    four, two_pooled = (
        next(c for c in study.TRIED if told.items() <= c.items())
        for told in (
            {"width": "narrow", "mirrored": False, "epochs": 4, "lr": 0.02, "without": "nothing"},
            {"width": "narrow", "mirrored": False, "epochs": 2, "lr": 0.02, "without": "strides"},
        )
    )
    assert held_out(four) > held_out(two_pooled) + 0.2


def test_times_of_a_pass_are_paired(monkeypatch):
    """Ratios of neighbours, each way round, and the first pair does not count."""
    seconds = iter([9.0, 1.0, 2.0, 6.0, 8.0, 2.0, 2.0, 10.0])
    told = []

    class Pool:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, run, device, settings):
            told.append(settings.get("without"))
            self.result = lambda: next(seconds)
            return self

    monkeypatch.setattr(study, "ProcessPoolExecutor", Pool)
    assert study.pass_run(seed=0, without="ReLU", device="cpu") == {"ratio": 4.0}
    assert told == ["ReLU", None, None, "ReLU"] * 2


def test_a_few_pictures_are_learned():
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    train, test = before.pictures(device="cpu")
    some = tuple(each[:6000] for each in train)
    model, history = study.learn(some, seed=0, epochs=2, lr=0.02)
    assert history.losses[-1] < history.losses[0]
    assert study.right(model, test) > 70
