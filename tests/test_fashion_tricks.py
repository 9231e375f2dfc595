"""The recipe against the clock: its network, its parts, and what it chose."""

import json
import os

import pytest
import torch
from needs import needs

from course_lib.studies import _fashion_mnist as before
from course_lib.studies import _fashion_tricks as study
from course_lib.studies.runner import results


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


@pytest.mark.parametrize("percent", [90, 91, 92])
def test_the_rows_held_out_chose_the_recipe(percent):
    """The fewest passes with a mean 0.2 above the goal, and of these the best step size."""
    means = {}
    for case in study.TRIED:
        rows = [r for r in results("07_cnn", "tricks_choosing") if case.items() <= r.items()]
        assert len(rows) == 3
        means[json.dumps(case)] = sum(r["accuracy"] for r in rows) / 3
    good = [case for case in study.TRIED if means[json.dumps(case)] >= percent + 0.2]
    passes = min(case["epochs"] for case in good)
    best = max((c for c in good if c["epochs"] == passes), key=lambda c: means[json.dumps(c)])
    assert study.TARGETS[percent] == best


def test_a_few_pictures_are_learned():
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    train, test = before.pictures(device="cpu")
    some = tuple(each[:6000] for each in train)
    model, history = study.learn(some, seed=0, epochs=2, lr=0.02)
    assert history.losses[-1] < history.losses[0]
    assert study.right(model, test) > 70
