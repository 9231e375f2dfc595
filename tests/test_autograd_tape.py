"""course_lib.autograd, the tape: its order, its end, what it costs, and what is refused on it."""

import gc
import re
import tracemalloc

import pytest
import torch

from course_lib import autograd as lib
from course_lib.autograd import Array, Value, no_grad, tape, zero_grad


@pytest.fixture(autouse=True)
def empty_tape():
    tape.nodes.clear()


def test_the_tape_lists_operations_in_the_order_of_their_creation():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    d = c + a
    e = d.tanh()
    assert tape.nodes == [c, d, e]
    assert [node.op for node in tape.nodes] == ["×", "+", "tanh"]
    assert (c.inputs, d.inputs, e.inputs, a.inputs) == ((a, b), (c, a), (d,), ())
    assert list(e.steps()) == [e, d, c]
    assert tape.nodes == []


def test_steps_hand_the_gradient_on_one_at_a_time():
    a = Value(2.0)
    c = a * 3
    d = c + a
    seen = [(node.op, a.grad, c.grad) for node in d.steps()]
    assert seen == [("+", 1.0, 1.0), ("×", 4.0, 1.0)]


def test_steps_left_early_empty_the_tape_too():
    y = Value(2.0) * 3 + 1
    next(steps := y.steps())
    steps.close()
    assert tape.nodes == [] and y.spent


def test_leaves_accumulate_and_zero_grad_forgets():
    w = Value(2.0)
    for n in (1, 2, 3):
        (w * w).backward()
        assert w.grad == 4 * n
    zero_grad([w])
    assert w.grad == 0


def test_a_value_used_twice_gets_both_slopes():
    a = Value(3.0)
    b = a * 2
    (b * b + b + a).backward()
    assert a.grad == 2 * (2 * 6 + 1) + 1


def test_keep_lets_backward_run_again_and_only_leaves_accumulate():
    a = Value(3.0)
    b = a * a
    y = b.exp()
    y.backward(keep=True)
    first, inner = a.grad, b.grad
    y.backward(keep=True)
    assert (a.grad, b.grad) == (2 * first, inner)
    y.backward()
    assert a.grad == pytest.approx(3 * first) and tape.nodes == []


def test_a_kept_graph_goes_on_and_its_gradients_start_anew():
    a = Value(3.0)
    b = a * a
    b.backward(keep=True)
    y = b * 2
    y.backward(keep=True)
    assert (a.grad, b.grad, y.grad) == (6 + 12, 2, 1)
    (y + b).backward()
    assert (a.grad, b.grad, y.grad) == (18 + 18, 3, 1)


def test_a_kept_walk_that_was_left_early_starts_anew():
    a = Value(3.0)
    b = a * a
    y = b * 2
    next(steps := y.steps(keep=True))
    steps.close()
    assert (a.grad, b.grad) == (0, 2) and not y.spent
    y.backward(keep=True)
    assert (a.grad, b.grad) == (12, 2) and tape.nodes == [b, y]


def test_an_error_on_the_way_spends_the_whole_tape():
    a = Value(2.0)
    old = a * 3
    old.backward()
    first = a * 5
    y = first + old
    with pytest.raises(RuntimeError, match="an input of . was computed before an earlier"):
        y.backward()
    assert tape.nodes == [] and first.spent and y.spent


def test_two_graphs_on_one_tape():
    a, b = Value(2.0), Value(5.0)
    y, z = a * a, b * b
    y.backward(keep=True)
    assert (a.grad, b.grad) == (4, 0)
    z.backward()
    assert (a.grad, b.grad) == (4, 10)


def test_an_earlier_result_ignores_what_came_after_it():
    a = Value(2.0)
    y = a * 3
    z = y * y
    y.backward()
    assert (a.grad, z.grad) == (3, 0)


def test_reuse_after_backward_says_what_to_do():
    a = Value(2.0)
    b = a * 3
    (b + 1).backward()
    for again in (b, b + 1):
        with pytest.raises(RuntimeError, match=r"emptied the tape; compute it anew, or call back"):
            again.backward()
    assert tape.nodes == []


def test_what_is_left_on_the_tape_is_spent_with_it():
    y, z = Value(2.0) * 3, Value(2.0) * 4
    y.backward()
    with pytest.raises(RuntimeError, match="this Value was computed before an earlier backward"):
        z.backward()


@pytest.mark.parametrize("kind", [Value, Array])
def test_backward_on_a_leaf_or_without_a_record(kind):
    a = kind(2.0)
    with no_grad():
        y = a * 3
    for node in (a, y):
        with pytest.raises(RuntimeError, match=f"nothing leads to this {kind.__name__}: it is a"):
            node.backward()


@pytest.mark.parametrize("kind", [Value, Array])
def test_no_grad_records_nothing_and_passes_nothing(kind):
    a = kind(2.0)
    with no_grad():
        b = a * 3
        with no_grad():
            pass
        c = b + 1
    assert tape.nodes == [] and tape.on
    assert (b.inputs, c.inputs) == ((), ())
    (b * kind(1.0)).backward()
    assert a.grad == kind.nothing and float(b.grad) == 1


def test_no_grad_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        Value(1.0) / 0
    assert tape.on


def test_scalars_and_arrays_share_a_tape_without_disturbing_one_another():
    a, x = Value(3.0), Array([1.0, 2.0])
    y = x * x
    b = a * a
    z = y.sum()
    c = b + a
    z.backward(keep=True)
    assert x.grad.tolist() == [2, 4] and a.grad == 0
    c.backward()
    assert a.grad == 7 and x.grad.tolist() == [2, 4]


def test_a_graph_of_a_million_nodes():
    x = Value(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + x
    y.backward()
    assert (x.grad, y.data) == (1_000_001, 1_000_001)
    del y  # a chain a million deep is freed without recursion


def test_a_node_takes_little_memory():
    x = y = Value(1.0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            y = y * x
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    y.backward()
    assert (after - before) / 10_000 < 300  # bytes


def alive():
    return sum(type(x) in (Value, Array) for x in gc.get_objects())


def scalar_work():
    w = Value(0.5)
    y = sum([(w * i).tanh() ** 2 for i in range(50)], Value(0.0))
    y.backward()
    w.data -= 0.1 * w.grad
    with no_grad():
        w * w + 1


def array_work():
    W = Array(torch.randn(4, 3), device="cpu")
    h = (torch.randn(5, 4) @ W).tanh().max(1, keepdim=True).reshape(5)
    z = lib.concatenate([h[:3], h[None, 1:].transpose(0, 1).mean(1)])
    lib.softmax_cross_entropy(z.reshape(1, 7) ** 2, torch.tensor([3])).backward()
    with no_grad():
        W.data = W.data - W.grad


@pytest.mark.parametrize("work", [scalar_work, array_work])
def test_nodes_die_without_the_garbage_collector(work):
    work()  # torch and the interpreter fill their caches
    gc.collect()
    before = alive()
    gc.disable()
    try:
        work()
        assert alive() == before
        assert gc.collect() == 0  # no cycle was left behind
    finally:
        gc.enable()


# ---- the tape of arrays


def test_every_gradient_is_memory_of_its_own():
    a, b = Array(torch.ones(2)), Array(torch.ones(2))
    (a + b).sum().backward()
    a.grad *= 10  # as in clipping
    assert a.grad.tolist() == [10, 10] and b.grad.tolist() == [1, 1]


def test_arrays_accumulate_and_zero_grad_forgets():
    w = Array([1.0, 2.0], device="cpu")
    for n in (1, 2):
        (w * w).sum().backward()
        assert w.grad.tolist() == [2 * n, 4 * n]
    zero_grad([w])
    assert w.grad is None


def test_zero_grad_wants_a_list():
    with pytest.raises(TypeError, match=r"zero_grad takes a list of leaves; write zero_grad\(\[w"):
        zero_grad(Array([1.0, 2.0]))


def test_keep_reuse_and_leftovers():
    w = Array([1.0, 2.0], device="cpu")
    h = w.tanh()
    y = h.sum()
    y.backward(keep=True)
    first = w.grad
    y.backward()
    assert torch.equal(w.grad, 2 * first)
    with pytest.raises(RuntimeError, match="this Array was computed before an earlier backward"):
        y.backward()
    with pytest.raises(RuntimeError, match="an input of × was computed before an earlier"):
        (h * 2).sum().backward()


def test_backward_starts_from_one_number():
    for shape in ((2, 3), (0,)):
        with pytest.raises(ValueError, match=r"one number, got shape \(.*\); call \.sum\(\) or"):
            (Array(torch.ones(shape)) * 2).backward()
    x = Array(torch.ones(1, 1))
    (x * 2).backward()
    assert x.grad.tolist() == [[2]]


IN_PLACE = {
    "×": lambda x, w: x * w,
    "÷": lambda x, w: w / x,
    "^": lambda x, w: x**3,
    "@": lambda x, w: x @ w,
    "log": lambda x, w: x.log(),
    "relu": lambda x, w: x.relu(),
    "max": lambda x, w: x.max(),
}


@pytest.mark.parametrize("op", IN_PLACE)
def test_an_input_changed_in_place_is_noticed_as_torch_notices_it(op):
    x, w = Array(torch.rand(2, 2) + 1), Array(torch.rand(2, 2))
    y = IN_PLACE[op](x, w).sum()
    x.data += 1
    with pytest.raises(RuntimeError, match=rf"of shape \(2, 2\) that {re.escape(op)} needs for"):
        y.backward()


def test_labels_changed_in_place_are_noticed():
    z, labels = Array(torch.ones(2, 3)), torch.tensor([0, 2])
    loss = lib.softmax_cross_entropy(z, labels)
    labels[0] = 1
    with pytest.raises(RuntimeError, match=r"shape \(2,\) that cross-entropy needs"):
        loss.backward()


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid"])
def test_a_result_changed_in_place_is_noticed(name):
    y = getattr(Array(torch.ones(3)), name)()
    z = y.sum()
    y.data.zero_()
    with pytest.raises(RuntimeError, match=f"that {name} needs for its gradient was changed in"):
        z.backward()


@pytest.mark.parametrize(
    "f",
    [
        lambda x, c: x + x - 1,
        lambda x, c: x.sum() + x.mean(0),
        lambda x, c: x.reshape(4) * c.reshape(4),
        lambda x, c: x[0] + x[1],
        lambda x, c: c @ x,
        lambda x, c: x / c,
        lambda x, c: x * 2,
    ],
)
def test_what_no_gradient_needs_may_change(f):
    x, c = torch.ones(2, 2), torch.full((2, 2), 3.0)
    a, t = Array(x.clone()), x.clone().requires_grad_()
    for node, tensor in ((a, a.data), (t, t)):
        y = f(node, c).sum()
        with torch.no_grad():
            tensor += 1
        y.backward()
    torch.testing.assert_close(a.grad, t.grad)


def test_data_may_be_replaced_and_changed_after_backward():
    w = Array(torch.ones(3))
    y = (w * w).sum()
    w.data = w.data + 1  # another tensor: the graph keeps the old one
    y.backward()
    assert w.grad.tolist() == [2, 2, 2]
    w.data -= 0.5 * w.grad
    (w * w).sum().backward()
    assert w.grad.tolist() == [4, 4, 4]


def test_no_grad_keeps_no_tensor_alive():
    x = Array(torch.ones(3))
    with no_grad():
        for _ in range(3):
            x = (x * 2).reshape(3).exp()
    assert (x.inputs, x.pulls, x.saved) == ((), [], [])


def test_a_long_chain_of_arrays():
    x = Array(torch.ones(1))
    y = x
    for i in range(60_000):
        y = y.reshape(1) if i % 2 else y + x
    y.backward()
    assert x.grad.tolist() == [30_001]
    del y
