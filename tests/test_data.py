"""course_lib.data and course_lib.device: shapes, splits, seeds, clear errors.

How files are fetched and kept is tested in test_data_downloads.py.
"""

import gzip
import hashlib
import math
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date

import pytest
import torch
from needs import needs

from course_lib import data
from course_lib.data import date_pairs, images, number_pairs, texts
from course_lib.data.downloads import DataError
from course_lib.device import pick_device
from tools import corpus


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


def test_importing_the_data_costs_what_torch_costs():
    code = (
        "import sys, torch, numpy; before = set(sys.modules); import course_lib.data; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"course_lib", *sys.stdlib_module_names}


# Downloaded sets, where COURSE_DATA has them


@pytest.fixture
def downloaded():
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_images_come_as_their_authors_split_them(downloaded, name):
    d = data.load(name, device="cpu")
    for X, y, n in ((d.X_train, d.y_train, 60_000), (d.X_test, d.y_test, 10_000)):
        assert X.shape == (n, 1, 28, 28) and y.shape == (n,)
        assert X.dtype == torch.float32 and y.dtype == torch.int64
        assert X.min() == 0 and X.max() == 1
        assert torch.equal((X[:100] * 255).round() / 255, X[:100])  # 256 grey levels
        each = y.bincount().tolist()
        assert len(each) == 10 == len(d.classes)
        assert name == "mnist" or each == [n // 10] * 10
    # The mean and standard deviation by which everybody normalises these sets.
    mean, std = {"mnist": (0.1307, 0.3081), "fashion_mnist": (0.2860, 0.3530)}[name]
    assert d.X_train.mean().item() == pytest.approx(mean, abs=5e-5)
    assert d.X_train.std().item() == pytest.approx(std, abs=5e-5)
    assert "Licence:" in d.about and "28 x 28" in d.about


def test_mnist_has_the_digits_of_its_authors(downloaded):
    d = data.load("mnist", device="cpu")
    assert d.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert d.y_test.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_tiny_shakespeare(downloaded):
    play = data.text("tiny_shakespeare")
    assert len(play) == 1_115_394 and len(set(play)) == 65
    assert play.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")


def test_names(downloaded):
    names = data.text("names").splitlines()
    assert len(names) == 32_033 and names[:3] == ["emma", "olivia", "ava"]
    assert all(re.fullmatch("[a-z]+", name) for name in names)


@pytest.mark.parametrize("split, n", [("train", 29_000), ("valid", 1014), ("test", 1000)])
def test_translations_stand_side_by_side(downloaded, split, n):
    pairs = data.translations(split, "de", "en")
    assert len(pairs) == n
    assert all(de and en and de == de.strip() for de, en in pairs)
    assert [en for _, en in pairs] == [en for en, _ in data.translations(split, "en", "fr")]
    # Who sees the same photograph writes about as much: the sides belong together.
    lengths = torch.tensor([[len(de), len(en)] for de, en in pairs], dtype=torch.float64).T
    assert torch.corrcoef(lengths)[0, 1] > 0.7
    if split == "train":
        de, en = pairs[0]
        assert de == "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."
        assert en == "Two young, White males are outside near many bushes."


def test_movie_reviews(downloaded):
    reviews = data.labelled("movie_reviews")
    assert reviews.classes == ("negative", "positive")
    assert reviews.y.bincount().tolist() == [5331, 5331] and len(reviews.texts) == 10_662
    assert reviews.texts[0].startswith("simplistic , silly and tedious")
    assert any("é" in line for line in reviews.texts)  # Windows-1252, read as such
    assert "Pang & Lee 2005" in reviews.about


def test_what_is_asked_for_must_exist():
    with pytest.raises(ValueError, match="there are book, tiny_shakespeare, names"):
        data.text("moby_dick")
    with pytest.raises(ValueError, match="split must be one of train, valid, test, got 'val'"):
        data.translations("val")
    with pytest.raises(ValueError, match="languages are en, de, fr, got 'cs'"):
        data.translations("train", "en", "cs")
    with pytest.raises(ValueError, match="there are surnames, movie_reviews"):
        data.labelled("cities")
    with pytest.raises(ValueError, match="digits, mnist, fashion_mnist"):
        data.load("cifar")


# IDX files


def idx(shape, count=None, begin=b"\0\0\x08"):
    head = begin + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return head + bytes(i % 256 for i in range(math.prod(shape) if count is None else count))


def test_idx_files_are_read_by_their_own_account():
    got = images.read_idx(idx((2, 3, 4)))
    assert got.dtype == torch.uint8
    assert torch.equal(got, torch.arange(24, dtype=torch.uint8).view(2, 3, 4))
    assert images.read_idx(idx((300,)))[299] == 43
    assert images.read_idx(idx((0,))).shape == (0,)


@pytest.mark.parametrize(
    "file, says",
    [
        (b"", "x is no IDX file of bytes: it begins with b''"),
        (b"\x1f\x8b\x08\0rest", "begins with b'.x1f.x8b.x08.x00'"),
        (idx((4,), begin=b"\0\0\x0d"), "no IDX file of bytes"),  # floats
        (idx((2, 3), count=5), "x says that it holds 2 x 3 bytes after the first 12, and has 5"),
        (idx((2, 3), count=7), "holds 2 x 3 bytes after the first 12, and has 7"),
        (idx((2, 3))[:9], "holds 2 x .* and has -3"),
    ],
)
def test_other_files_are_refused(file, says):
    with pytest.raises(DataError, match=says):
        images.read_idx(file, "x")


def small_mnist(folder, labels=3):
    """Files of MNIST's names with three and two images, and the table that knows them."""
    (folder / "mnist").mkdir()
    known = []
    for file, shape in zip(
        images.IMAGES["mnist"], [(3, 28, 28), (labels,), (2, 28, 28), (2,)], strict=True
    ):
        content = idx(shape)
        (folder / f"{file.path}.gz").write_bytes(gzip.compress(content))
        known.append(type(file)(file.path, hashlib.md5(content).hexdigest(), file.mirrors))
    return {"mnist": tuple(known)}


def test_images_without_a_network_and_of_any_dtype(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "IMAGES", small_mnist(tmp_path))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    d = data.load("mnist", device="cpu", dtype=torch.float64)
    assert d.X_train.shape == (3, 1, 28, 28) and d.X_test.shape == (2, 1, 28, 28)
    assert d.X_train[0, 0, 0, 5].item() == 5 / 255
    assert d.y_train.tolist() == [0, 1, 2]


def test_as_many_labels_as_images(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "IMAGES", small_mnist(tmp_path, labels=4))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="mnist has 3 images and 4 labels"):
        data.load("mnist", device="cpu")


# Sequences


@pytest.mark.parametrize("length", [2, 3, 50])
def test_adding_marks_one_step_in_each_half(length):
    X, y = data.adding(500, length, seed=1, device="cpu", dtype=torch.float64)
    assert X.shape == (500, length, 2) and y.shape == (500,)
    numbers, marks = X[..., 0], X[..., 1]
    assert numbers.min() >= 0 and numbers.max() < 1
    half = length // 2
    assert (marks[:, :half].sum(1) == 1).all() and (marks[:, half:].sum(1) == 1).all()
    assert ((marks == 0) | (marks == 1)).all()
    torch.testing.assert_close((numbers * marks).sum(1), y)


def test_adding_reaches_every_step_and_its_baseline_is_a_sixth():
    X, y = data.adding(20_000, 10, device="cpu")
    marked = X[..., 1].mean(0)
    assert marked.tolist() == pytest.approx([0.2] * 10, abs=0.015)
    assert ((y - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.005)


@pytest.mark.parametrize("items, delay, symbols", [(10, 30, 8), (1, 1, 1), (3, 5, 2)])
def test_copying_asks_for_the_first_symbols_at_the_end(items, delay, symbols):
    X, y = data.copying(200, delay, items, symbols, device="cpu")
    assert X.shape == y.shape == (200, delay + 2 * items) and X.dtype == torch.int64
    for x, answer in zip(X.tolist(), y.tolist(), strict=True):
        asked = x[:items]
        assert all(0 <= s < symbols for s in asked)
        assert x[items:] == [symbols] * (delay - 1) + [symbols + 1] + [symbols] * items
        assert answer == [symbols] * (items + delay) + asked
    assert X[:, :items].unique().tolist() == list(range(symbols))


def test_sequences_depend_on_the_seed_alone():
    for make in (lambda seed: data.adding(3, 8, seed), lambda seed: data.copying(3, 8, seed=seed)):
        (a, _), (b, _), (c, _) = make(0), make(0), make(1)
        assert torch.equal(a, b) and not torch.equal(a, c)
    with pytest.raises(ValueError, match="at least 2 steps, got length 1"):
        data.adding(3, 1)
    with pytest.raises(ValueError, match="at least 1, got 0, 10 and 8"):
        data.copying(3, 0)


# Dates


def read_date(written: str) -> date:
    """Read a date as a person does: by its words, and by which number is the year."""
    words = re.findall("[a-z]+", written.lower())
    months = [m.lower() for m in date_pairs.MONTHS]
    named = [i for i, m in enumerate(months, 1) for w in words if w in (m, m[:3])]
    numbers = re.findall(r"\d+", written)
    if len(numbers) == 1:
        (whole,) = numbers
        return date(int(whole[:4]), int(whole[4:6]), int(whole[6:]))
    if named:
        year, day = sorted(map(int, numbers), reverse=True)
        return date(year, named[0], day)
    year, month, day = map(int, numbers if len(numbers[0]) == 4 else reversed(numbers))
    return date(year, month, day)


def test_dates_say_what_their_iso_form_says():
    pairs = data.dates(20_000, seed=3)
    assert all(read_date(written).isoformat() == iso for written, iso in pairs)
    weekdays = {d.lower()[:3]: i for i, d in enumerate(date_pairs.WEEKDAYS)}
    named = 0
    for written, iso in pairs:
        if (word := written[:3].lower()) in weekdays:
            named += 1
            assert date.fromisoformat(iso).weekday() == weekdays[word]
    assert named > 3000
    years = {iso[:4] for _, iso in pairs}
    assert min(years) == "1950" and max(years) == "2049"


def test_every_form_of_a_date_occurs_and_says_one_date():
    days = [date(2024, 3, d) for d in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)]
    th = " ".join(date_pairs.write_date(day, "{d}{th}") for day in days)
    assert th == "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 31st"
    pairs = data.dates(5000)
    seen = {re.sub(r"[A-Za-z]+", "w", re.sub(r"\d+", "9", w)) for w, _ in pairs}
    shapes = {date_pairs.write_date(date(2024, 3, 22), form) for form in date_pairs.FORMS}
    assert seen == {re.sub(r"[A-Za-z]+", "w", re.sub(r"\d+", "9", w)) for w in shapes}
    spoken = {}
    for written, iso in pairs:
        assert spoken.setdefault(written.lower(), iso) == iso
    assert all(written.isascii() for written, _ in pairs)


def test_dates_are_frozen():
    assert data.dates(8) == data.dates(8) != data.dates(8, seed=1)
    assert data.dates(8)[-1] == ("10th of February, 1990", "1990-02-10")


def read_number(words: str) -> int:
    """The value of a name, by another way than the library's: each word adds or multiplies."""
    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    values = {word: i for i, word in enumerate(small.split())}
    values |= {f"{w}teen": 15 + i for i, w in enumerate(("fif", "six", "seven", "eigh", "nine"))}
    values |= {
        f"{w}ty": 10 * (2 + i) for i, w in enumerate(("twen", "thir", "for", "fif", "six", "seven"))
    }
    values |= {"eighty": 80, "ninety": 90}
    total = group = 0
    for word in words.split():
        if word == "hundred":
            group *= 100
        elif word in ("thousand", "million", "billion"):
            exponent = ("thousand", "million", "billion").index(word) + 1
            total, group = total + group * 1000**exponent, 0
        else:
            group += values[word]
    return total + group


def test_numbers_say_what_their_digits_say():
    pairs = data.numbers(20_000, digits=(1, 12), seed=3)
    assert all(read_number(words) == int(written) for written, words in pairs)
    assert all(written == str(int(written)) for written, _ in pairs)
    lengths = Counter(len(written) for written, _ in pairs)
    assert set(lengths) == set(range(1, 13)) and min(lengths.values()) > 1400
    assert {written for written, _ in pairs if len(written) == 1} == set("0123456789")


def test_numbers_of_every_length_up_to_three_digits_have_names_of_their_own():
    names = [number_pairs.number_words(i) for i in range(1000)]
    assert [read_number(name) for name in names] == list(range(1000))
    assert len(set(names)) == 1000


def test_numbers_are_frozen_and_say_what_they_cannot_do():
    assert data.numbers(8) == data.numbers(8) != data.numbers(8, seed=1)
    assert data.numbers(2, digits=(9, 9), seed=5) == [
        ("366098470", "three hundred sixty six million ninety eight thousand four hundred seventy"),
        (
            "271570146",
            "two hundred seventy one million five hundred seventy thousand one hundred forty six",
        ),
    ]
    for digits in ((0, 3), (4, 3), (1, 13)):
        with pytest.raises(ValueError, match=r"from 1 to 12, got \("):
            data.numbers(3, digits=digits)
    for value in (-1, 10**12):
        with pytest.raises(ValueError, match=f"got {value}"):
            number_pairs.number_words(value)


# Scenes


@pytest.mark.parametrize("split", ["train", "test"])
def test_scenes_are_what_their_boxes_classes_and_masks_say(split):
    s = data.scenes(60, size=40, digits=(1, 4), split=split, seed=5, device="cpu")
    assert s.images.shape == (60, 1, 40, 40) and s.masks.shape == (60, 4, 40, 40)
    assert s.images.min() == 0 and s.images.max() == 1
    for image, boxes, classes, masks, labels in zip(
        s.images[:, 0], s.boxes, s.classes, s.masks, s.labels, strict=True
    ):
        there = classes >= 0
        count = int(there.sum())
        assert 1 <= count <= 4 and there[:count].all()  # the first places are taken
        assert torch.equal(image > 0, masks.any(0))  # all ink belongs to a digit
        assert masks.sum(0).max() <= 1  # and to one only
        for box, k, mask in zip(boxes.tolist(), classes, masks, strict=True):
            if k < 0:
                assert box == [0, 0, 0, 0] and not mask.any()
                continue
            y, x = mask.nonzero(as_tuple=True)
            assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]  # tight
            assert (labels[mask] == k + 1).all()
        assert (labels[~masks.any(0)] == 0).all()


def test_the_digits_of_a_scene_are_scikit_learns_and_those_of_a_split():
    d = data.load("digits", device="cpu")
    known = {
        split: {(tuple(x.tolist()), int(k)) for x, k in zip(X, y, strict=True)}
        for split, X, y in (("train", d.X_train, d.y_train), ("test", d.X_test, d.y_test))
    }
    for split, other in (("train", "test"), ("test", "train")):
        s = data.scenes(40, size=8, digits=(1, 1), scales=(1,), split=split, device="cpu")
        found = {
            (tuple((image * 16).flatten().tolist()), int(k))
            for image, k in zip(s.images, s.classes[:, 0], strict=True)
        }
        assert found <= known[split] and not found & known[other]


def test_boxes_of_a_scene_are_disjoint_and_of_all_sizes():
    s = data.scenes(200, device="cpu")
    sizes = set()
    for boxes, classes in zip(s.boxes, s.classes, strict=True):
        boxes = boxes[classes >= 0]
        sizes |= {int(b) for b in boxes[:, 3] - boxes[:, 1]}
        for i, (ax0, ay0, ax1, ay1) in enumerate(boxes):
            for bx0, by0, bx1, by1 in boxes[:i]:
                assert ax1 <= bx0 or bx1 <= ax0 or ay1 <= by0 or by1 <= ay0
    assert {8, 16, 24} <= sizes
    assert set(Counter((s.classes >= 0).sum(1).tolist())) == {1, 2, 3}


def test_scenes_that_cannot_be():
    with pytest.raises(ValueError, match="enlarged by .2, 3., must fit into 20"):
        data.scenes(1, size=20, scales=(2, 3))
    with pytest.raises(ValueError, match="1 <= fewest <= most, got .3, 2."):
        data.scenes(1, digits=(3, 2))
    with pytest.raises(ValueError, match="split must be train or test, got 'valid'"):
        data.scenes(1, split="valid")
    crowded = data.scenes(5, size=16, digits=(9, 9), scales=(2,), device="cpu")
    assert ((crowded.classes >= 0).sum(1) >= 1).all()  # what finds no place is left out


# Packaged texts


def test_surnames():
    names = data.labelled("surnames")
    assert len(names.classes) >= 8 and list(names.classes) == sorted(names.classes)
    assert (names.y.bincount() >= 80).all()
    for k in range(len(names.classes)):
        own = [n for n, y in zip(names.texts, names.y.tolist(), strict=True) if y == k]
        assert len(own) == len(set(own))
    assert all(re.fullmatch("[A-Z][a-z]+", name) for name in names.texts)
    language = dict(zip(names.texts, (names.classes[k] for k in names.y), strict=True))
    for name, spoken in (("Dvorak", "Czech"), ("Mueller", "German"), ("Watanabe", "Japanese")):
        assert language[name] == spoken
    assert "ASCII" in names.about


def test_the_book_is_the_snapshot_that_its_header_claims():
    header, _, text = texts.BOOK.read_text(encoding="utf-8").partition("\n\n")
    assert re.search("SHA-256 .*: (.*)$", header)[1] == hashlib.sha256(text.encode()).hexdigest()
    assert "make corpus" in header
    assert data.text("book") == text
    assert len(text) > 30_000 and "02_neuron" in header
    assert "A neuron adds up evidence." in text
    assert not re.search(r"[`$|{}\\]|\n\n", text)


SAMPLE = """\
---
kernelspec:
  name: python3
---

# 7 · A title

:::{admonition} Claim 07.1: it *holds*
:class: important
**Refuted if** it is above **5**
times the others {cite:p}`somebody2000`.
:::

```{code-cell} ipython3
:tags: [hide-input]

x = 1  # not prose
```

Two lines that
are one. The weight $w$ goes. The {term}`bias` stays, and so does [a link](page.md)
and `a_name`. We write

$$
y = x
$$ (eq-y)

By {eq}`eq-y` it is so. Not by this.

- an *item*
  of two lines;
- 3 * 4 * 5.

| a | table |
|---|---|
"""
PROSE = """\
7 · A title
Claim 07.1: it holds
Refuted if it is above 5 times the others.
Two lines that are one. The bias stays, and so does a link and a_name.
Not by this.
an item of two lines;
3 * 4 * 5.
"""


def test_the_tool_takes_prose_and_nothing_else(tmp_path):
    assert corpus.prose(SAMPLE) == PROSE
    for name in ("07_b", "intro", "claims", "02_a"):
        (tmp_path / f"{name}.md").write_text(f"Of {name}.\n", encoding="utf-8")
    made = corpus.corpus(tmp_path)
    assert made.endswith("\n\nOf intro.\nOf 02_a.\nOf 07_b.\n")  # claims.md is generated
    assert "# Pages: intro 02_a 07_b\n" in made
    assert made == corpus.corpus(tmp_path)
