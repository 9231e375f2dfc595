"""course_lib.data and course_lib.device: shapes, splits, seeds, clear errors."""

import math

import pytest
import torch

from course_lib import data
from course_lib.device import pick_device


@pytest.mark.parametrize(
    "name, rows, features, classes",
    [("breast_cancer", 569, 30, 2), ("diabetes", 442, 10, 0), ("digits", 1797, 64, 10)],
)
def test_built_in_sets(name, rows, features, classes):
    from sklearn import datasets

    d = data.load(name, device="cpu", dtype=torch.float64)
    assert len(d.X_train) + len(d.X_test) == rows
    assert d.X_train.shape[1] == len(d.features) == features
    assert len(d.classes) == classes
    assert len(d.about) > 500
    assert d.y_train.dtype == (torch.int64 if classes else torch.float64)
    ours = torch.cat([d.X_train, d.X_test])
    theirs = torch.as_tensor(getattr(datasets, f"load_{name}")().data)
    torch.testing.assert_close(ours.sum(0), theirs.sum(0).double())
    assert not {tuple(r) for r in d.X_test.tolist()[:50]} - {tuple(r) for r in theirs.tolist()}


def test_the_seed_decides_the_split():
    a, b, c = (data.load("breast_cancer", seed=s, device="cpu") for s in (0, 0, 1))
    assert torch.equal(a.X_test, b.X_test)
    assert not torch.equal(a.X_test, c.X_test)


def test_standardize_uses_the_training_rows_only():
    d = data.load("breast_cancer", device="cpu", dtype=torch.float64)
    s = data.standardize(d)
    torch.testing.assert_close(s.X_train.mean(0), torch.zeros(30, dtype=torch.float64))
    torch.testing.assert_close(s.X_train.std(0, correction=0), torch.ones(30, dtype=torch.float64))
    by_hand = (d.X_test - d.X_train.mean(0)) / d.X_train.std(0, correction=0)
    torch.testing.assert_close(s.X_test, by_hand)


def test_standardize_keeps_a_constant_feature_finite():
    s = data.standardize(data.load("digits", device="cpu"))  # some pixels are always 0
    assert torch.isfinite(s.X_train).all()


def test_generated_sets_are_frozen():
    # The first number of RandomState(0), as numpy's documentation has printed it for years.
    angle = math.pi * 0.5488135039273248
    X, y = data.moons(4, noise=0.0, seed=0, device="cpu", dtype=torch.float64)
    assert y.tolist() == [0, 1, 0, 1]
    assert X[0].tolist() == pytest.approx([math.cos(angle), math.sin(angle)], abs=1e-15)


def test_moons_lie_on_two_half_circles():
    X, y = data.moons(200, noise=0.0, device="cpu", dtype=torch.float64)
    upper, lower = X[y == 0], X[y == 1]
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(100, dtype=torch.float64))
    centre = torch.tensor([1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close((lower - centre).norm(dim=1), torch.ones(100, dtype=torch.float64))
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5


def test_clouds_are_as_far_apart_as_asked():
    X, y = data.clouds(20_000, distance=4.0, device="cpu")
    gap = X[y == 1].mean(0) - X[y == 0].mean(0)
    assert gap.norm().item() == pytest.approx(4.0, abs=0.05)
    assert X[y == 1].std(0).tolist() == pytest.approx([1, 1], abs=0.03)


@pytest.mark.parametrize("turns, classes", [(1.0, 2), (1.75, 3)])
def test_spirals_wind_outwards(turns, classes):
    """Turned back by what its radius and its arm say, each point lies on the positive x axis."""
    X, y = data.spirals(
        90, noise=0.0, turns=turns, classes=classes, device="cpu", dtype=torch.float64
    )
    assert y.bincount().tolist() == [90 // classes] * classes
    radius = X.norm(dim=1)
    assert radius.min() >= 0.1 and radius.max() <= 1
    angle = 2 * math.pi * (turns * (radius - 0.1) / 0.9 + y / classes)
    x, z = X[:, 0], X[:, 1]
    torch.testing.assert_close(angle.cos() * x + angle.sin() * z, radius)


def test_spirals_need_a_point_and_two_classes():
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        data.spirals(10, classes=1)
    with pytest.raises(ValueError, match="at least 3, one point per class, got 2"):
        data.spirals(2, classes=3)


def test_xor_is_the_truth_table():
    X, y = data.xor(device="cpu")
    assert [(int(a) ^ int(b)) for a, b in X.tolist()] == y.tolist()


def test_unknown_names_and_sizes():
    with pytest.raises(ValueError, match="no data set is called 'mnits'; there are"):
        data.load("mnits")
    with pytest.raises(ValueError, match="at least 2"):
        data.moons(1)


def test_device_none_chooses_and_a_missing_one_is_named():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert pick_device().type == expected
    with pytest.raises(ValueError, match=r"'cuda:77' is not usable here \(this machine has cpu"):
        pick_device("cuda:77")
    with pytest.raises(ValueError, match="'toaster' is not usable here"):
        pick_device("toaster")
