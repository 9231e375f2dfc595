"""The study at scale: its networks, and its recipe on a few real pictures."""

import os

import pytest
import torch
from needs import needs

from course_lib.studies import _fashion_mnist as study
from course_lib.training import accuracy, evaluate


@pytest.mark.parametrize("network", [study.lenet, study.strided, lambda: study.strided(False)])
def test_a_network_takes_pictures_and_gives_ten_logits(network):
    assert network()(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_a_few_pictures_are_learned_and_standardized():
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    (X, y), test = study.pictures(device="cpu")
    assert X.mean().abs() < 1e-3 and abs(X.std() - 1) < 1e-3
    model, history = study.follow("all", (X[:6000], y[:6000]), seed=0, epochs=2, lr=0.02)
    assert history.losses[-1] < history.losses[0] / 2
    assert evaluate(model, study.LOSS, test, {"accuracy": accuracy})["accuracy"] > 0.7


def test_keeping_memory_is_harmless_everywhere(monkeypatch):
    study.keep_memory()
    monkeypatch.setattr("ctypes.CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    study.keep_memory()
    assert torch.ones(2**20).sum() == 2**20
