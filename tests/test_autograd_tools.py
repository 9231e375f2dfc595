"""course_lib.autograd, looking at it: gradcheck and draw."""

import math

import pytest
import torch

from course_lib import autograd as lib
from course_lib.autograd import Array, Value, tape

# ---- gradcheck


def net(w1, w2, b):
    return (w1 * 2 + (w2 * w1).tanh() ** 2 + b).sigmoid().log()


def test_gradcheck_passes_what_is_right_and_returns_the_largest_difference():
    assert 0 < lib.gradcheck(net, 0.3, -0.7, 0.1) < 1e-8
    assert lib.gradcheck(lambda x: x, 3.0) < 1e-8
    assert lib.gradcheck(lambda a, b: a * 2, 1.0, 5.0) < 1e-8  # ignores b
    assert lib.gradcheck(lambda x: Value(3.0), 1.0) == 0
    assert lib.gradcheck(lambda x: x * 1e-9, 1.0) < 1e-12
    assert lib.gradcheck(lambda x: x * x, 1234567.8) < 1  # the step grows with x
    assert tape.nodes == []


def test_gradcheck_takes_tensors_of_any_shape_and_dtype():
    x, W = torch.randn(4, 3), torch.randn(3, 2)
    f = lambda x, W, s: ((x @ W) * s).tanh().sum(0)
    assert lib.gradcheck(f, x, W, 0.5) < 1e-8  # float32 inputs are checked in float64
    assert lib.gradcheck(lambda x: x.exp(), torch.zeros(0, 3)) == 0
    x64 = x.double()
    for strided in (x64.T, x64[:1].expand(5, 3)):
        assert lib.gradcheck(lambda x: x * 2, strided) < 1e-8
    before = W.clone()
    lib.gradcheck(f, x, W, 0.5)
    assert torch.equal(W, before)


def test_gradcheck_names_input_index_and_both_numbers(monkeypatch):
    monkeypatch.setitem(lib.RULES, "tanh", lambda a: (math.tanh(a), 1.0))
    message = r"by input 1 `w2` is wrong: backward\(\) says 0\.5, central differences say 0\.393"
    with pytest.raises(AssertionError, match=message):
        lib.gradcheck(lambda w1, w2: (w2 / 2).tanh() + w1, 1.0, 1.0)


def test_gradcheck_finds_a_small_gradient_twice_as_large(monkeypatch):
    monkeypatch.setitem(lib.RULES, "tanh", lambda a: (math.tanh(a), 2 * (1 - math.tanh(a) ** 2)))
    with pytest.raises(AssertionError, match="says 2e-06, central differences say 1e-06"):
        lib.gradcheck(lambda x: x.tanh() * 1e-6, 1e-9)


def transposed_wrongly(a, b):
    y, by_a, (by_b, _) = lib._matmul(a, b)
    return y, by_a, (lambda g: by_b(g).mT.reshape(b.shape),)


def test_gradcheck_finds_a_wrong_entry_in_a_tensor(monkeypatch):
    monkeypatch.setitem(lib.PULLS, "@", transposed_wrongly)
    W = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    message = r"input 1 `W` at index \[0, 1\] is wrong: backward\(\) says \S+, central diff"
    with pytest.raises(AssertionError, match=message):
        lib.gradcheck(lambda x, W: x @ W, torch.tensor([[1.0, 2.0]]), W)


def test_gradcheck_is_not_fooled_by_a_sum_that_cancels():
    def softmax(z):
        e = Array(z.data.exp())  # the graph is cut: every gradient is zero
        return e / e.sum() + z * 0

    with pytest.raises(AssertionError, match=r"input 0 `z` at index \[0\]"):
        lib.gradcheck(softmax, torch.tensor([0.1, 0.5, -0.3]))


def test_gradcheck_refuses_nan():
    with pytest.raises(AssertionError, match="backward\\(\\) says nan"):
        lib.gradcheck(lambda a, b: a**b, torch.tensor(-2.0), 2.0)


def test_gradcheck_asks_for_a_node():
    with pytest.raises(TypeError, match=r"f must return a Value or an Array, got 9\.0"):
        lib.gradcheck(lambda x: x.data**2, 3.0)


# ---- the graph drawn


def words(fig):
    return [text.get_text() for text in fig.axes[0].texts if text.get_text()]


def test_draw_shows_every_node_once_with_names_and_constants():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    y = c + a * 0.5
    y.backward()
    assert sorted(words(lib.draw(y, {"a": a, "b": b, "c": c}))) == sorted(
        [
            "a\ndata 2\ngrad 3.5",
            "b\ndata 3\ngrad 2",
            "c = ×\ndata 6\ngrad 1",
            "0.5",
            "×\ndata 1\ngrad 1",
            "+\ndata 7\ngrad 1",
        ]
    )


def test_draw_takes_a_label_a_mark_and_arrays():
    W = Array(torch.zeros(2, 3), device="cpu")
    y = (W * 2).sum()
    fig = lib.draw(y, {"W": W}, label=lambda node: f"{node.data.numel()} numbers", mark=W)
    assert words(fig) == ["sum\n1 numbers", "×\n6 numbers", "W\n6 numbers"]
    thick = [t.get_text() for t in fig.axes[0].texts if t.get_text() and t.get_bbox_patch()
             .get_linewidth() > 1]  # fmt: skip
    assert thick == ["W\n6 numbers"]
    assert words(lib.draw(y, {"W": W}))[0] == "sum\n()"


def test_draw_refuses_what_nobody_could_read():
    y = Value(1.0)
    for _ in range(39):
        y = y + y
    assert len(words(lib.draw(y))) == 40  # many ways lead to a node; it is visited once
    y = y + y
    with pytest.raises(ValueError, match="more than 40 nodes cannot be read"):
        lib.draw(y)
