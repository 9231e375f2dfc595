"""The comparison of values: what counts as equal, and what a learner is told when it is not."""

import numpy as np
import pytest
import torch

from course_lib.checks.values import difference, plain, same_tensor, show

t = torch.tensor


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        (t([1.0, 2.0]), t([1.0, 2.0])),
        (t([1, 2]), t([1.0, 2.0])),  # dtypes do not count
        (t([True, False]), t([1.0, 0.0])),
        (t([1.0, 2.0], dtype=torch.float16), t([1.0, 2.0])),
        (t([float("nan"), float("inf")]), t([float("nan"), float("inf")])),
        (t([1.00001]), t([1.0])),
        (0.5, t(0.5)),
        (t(0.5), 0.5),
        (True, 1),
        (10**400, 10**400),
        ((t([1.0]), 2), (t([1.0]), 2.0)),
        ({"w": t([1.0]), "b": 0}, {"b": 0.0, "w": t([1.0])}),
        ("AND", "AND"),
        (None, None),
        (t([]), t([])),
    ],
)
def test_equal_values_do_not_differ(came, expected):
    assert difference(came, expected) is None


@pytest.mark.parametrize(
    ("came", "expected", "said"),
    [
        (None, t([1.0]), "returned None; is a `return` missing?"),
        (t([[1.0]]), t([1.0]), "returned shape (1, 1), expected (1,)"),
        (t([1.0]), t(1.0), "returned shape (1,), expected () (a single number)"),
        (t([1.0]), 1.0, "returned a tensor of shape (1,), expected a single number"),
        (2.0, t([1.0]), "returned a single number, expected a tensor of shape (1,)"),
        ((1.0, 2.0), t([1.0, 2.0]), "returned a list or tuple of 2, expected a tensor of shape"),
        ("no", t([1.0]), "returned 'no', expected a tensor of shape (1,)"),
        (t([1.0, 2.0]), t([1.0, 3.0]), "returned [1, 2], expected [1, 3]"),
        (t([float("nan")]), t([1.0]), "returned [nan], expected [1]"),
        (float("inf"), 1.0, "returned inf, expected 1"),
        (0.69314, 0.6933, "returned 0.6931, expected 0.6933"),
        (1.00012, 1.0, "returned 1.00012, expected 1"),  # as many digits as it takes
        (t(1.00012), t(1.00001), "returned 1.00012, expected 1.00001"),
        (-1e4, -0.0, "returned -10000, expected 0"),
        (10**400, 1.0, "expected 1"),
        (1.0, "AND", "returned 1, expected 'AND'"),
        ((1.0,), (1.0, 2.0), "returned 1 values, expected 2 values"),
        (t([1.0, 2.0]), (1.0, 2.0), "returned a tensor of shape (2,), expected 2 values"),
        ((1.0, 3.0), (1.0, 2.0), "value 2 of 2: returned 3, expected 2"),
        (((1.0, t([1.0])),), ((1.0, t([2.0])),), "value 1 of 1: value 2 of 2: returned [1]"),
        ({"w": 1.0}, {"w": 2.0}, "w: returned 1, expected 2"),
        ({"v": 1.0}, {"w": 1.0}, "returned the keys ('v',), expected the keys ('w',)"),
        (1.0, {"w": 1.0}, "returned a single number, expected the keys ('w',)"),
    ],
)
def test_a_difference_is_told(came, expected, said):
    assert said in difference(came, expected)


def test_a_large_tensor_is_told_by_its_first_wrong_entry():
    expected = torch.zeros(4, 5)
    came = expected.clone()
    came[2, 3], came[3, 0] = 7.0, 8.0
    said = "2 of 20 entries differ, the first at [2, 3]: 7, expected 0"
    assert difference(came, expected) == said


def test_tolerances_are_relative_and_absolute():
    assert difference(1e-7, 0.0) is None
    assert difference(1e-5, 0.0) == "returned 1e-05, expected 0"
    assert difference(100.5, 100.0, rtol=0.01) is None


def test_plain_values_can_be_sent_as_data():
    w = torch.ones(2, requires_grad=True)
    value = plain([w, (np.float64(2.0), {"b": np.arange(3)[::-1]}), "text", None, True])
    assert isinstance(value, tuple)
    assert not value[0].requires_grad
    assert value[0].data_ptr() != w.data_ptr()  # what happens to w later changes nothing
    assert difference(value[1], (2.0, {"b": t([2, 1, 0])})) is None
    assert value[2:] == ("text", None, True)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "^returned a set; expected numbers or tensors$"),
        (print, "^returned a function; expected"),
        (lambda: 1, "^returned a function; expected"),
        (torch.nn.Linear, "^returned a class; expected"),
        ([torch.nn.Linear(1, 1)], "^returned a Linear; expected"),
        (np.array(["a"]), "^returned an array of <U1; expected"),
        (torch.eye(2).to_sparse(), "expected an ordinary tensor"),
        (torch.empty(2, device="meta"), "on meta; expected an ordinary tensor"),
        (torch.ones(2, dtype=torch.complex64), "complex"),
    ],
)
def test_other_values_are_refused(value, said):
    with pytest.raises(TypeError, match=said):
        plain(value)


def test_same_tensor_is_exact():
    nan = t([float("nan"), 1.0])
    assert same_tensor(nan, nan.clone())
    assert not same_tensor(nan, t([0.0, 1.0]))
    assert not same_tensor(t([1.0]), t([1.0 + 1e-7]))
    assert not same_tensor(t([1.0]), t([[1.0]]))
    assert not same_tensor(t([1.0]), t([1]))
    assert same_tensor(t([True, False]), t([True, False]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (t([[1.0, 0.25], [1 / 3, -2.0]]), "[[1, 0.25], [0.3333, -2]]"),
        (t(2.0), "2"),
        (torch.zeros(13), "a tensor of shape (13,)"),
        ((1.0, [2.0, 3.0]), "(1, [2, 3])"),
        (((), (0,), (0, 1), [2]), "((), (0,), (0, 1), [2])"),
        (tuple(range(20)), "(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...)"),
        ("x" * 100, "'" + "x" * 56 + "..."),
        (True, "True"),
    ],
)
def test_show_is_short(value, text):
    assert show(value) == text


def test_show_gives_the_digits_asked_for():
    assert show([1 / 3], digits=8) == "[0.33333333]"


def test_show_survives_a_value_without_text():
    assert show(10**5000) == "a value of type int"  # Python refuses to print so many digits


@pytest.mark.parametrize(
    "value",
    [
        torch.empty(10**9, 0),
        torch.empty(*[12] * 7, 0),
        {0: [torch.randn(1000)] * 200_000},
        ((((((tuple(range(12)),) * 12,) * 12,) * 12,) * 12,) * 12,) * 12,
    ],
    ids=["rows without columns", "axes of 12", "tensors in a dict", "nested"],
)
def test_what_is_large_is_told_in_few_words(value):
    """However large it is made: a second is much, and nobody waits for one."""
    assert len(show(value)) < 2_000_000


def test_a_dict_is_told_with_four_digits():
    assert show({"a.grad": 1 / 3, "b": torch.ones(2)}) == "{'a.grad': 0.3333, 'b': [1, 1]}"
