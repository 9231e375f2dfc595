"""course_lib.autograd, the scalar engine: equal to torch; the tape; forward mode; gradcheck; draw.

The tensor engine has its own file, test_autograd_arrays.py.
"""

import gc
import itertools
import math
import operator
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import autograd as lib
from course_lib import data
from course_lib.autograd import Array, Dual, Value, no_grad, tape, zero_grad

BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": operator.truediv, "**": operator.pow,
}  # fmt: skip
UNARY = ["exp", "log", "tanh", "relu", "sigmoid"]
# where float64 has digits to compare: away from poles, kinks and flat ends
DOMAIN = {
    "/": lambda a, b: abs(b) > 0.1,
    "**": lambda a, b: a > 0.1 and abs(b) < 4,
    "exp": lambda a: a < 5,
    "log": lambda a: a > 0.1,
    "tanh": lambda a: abs(a) < 5,
    "relu": lambda a: abs(a) > 1e-6,
    "sigmoid": lambda a: abs(a) < 10,
}
numbers = st.floats(-3, 3).map(lambda x: round(x, 3))


@pytest.fixture(autouse=True)
def empty_tape():
    tape.nodes.clear()


def apply(op, operands):
    """One operation, on numbers of any kind that has its operators and methods."""
    return BINARY[op](*operands) if op in BINARY else getattr(operands[0], op)()


def run(steps, inputs):
    """Work a program off; what it returns depends on every value, most of them used many times."""
    values = list(inputs)
    for op, operands in steps:
        values.append(apply(op, [values[x] if isinstance(x, int) else x for x in operands]))
    return sum(values[1:], values[0])


@st.composite
def programs(draw):
    """Steps (operation, operands) and inputs; an int names an earlier value, a float is one."""
    inputs = draw(st.lists(numbers, min_size=1, max_size=3))
    values = [torch.tensor(x, dtype=torch.float64) for x in inputs]
    steps = []
    for _ in range(draw(st.integers(1, 10))):
        op, node = draw(st.sampled_from([*BINARY, *UNARY])), st.integers(0, len(values) - 1)
        operands = [draw(node)]
        if op in BINARY:
            operands.insert(draw(st.integers(0, 1)), draw(node | numbers))
        read = [values[x] if isinstance(x, int) else x for x in operands]
        if op not in DOMAIN or DOMAIN[op](*read):
            y = apply(op, read)
            if abs(y) < 100:
                values.append(y)
                steps.append((op, operands))
    return steps, inputs


def close(ours, theirs):
    theirs = torch.as_tensor(theirs, dtype=torch.float64)
    scale = theirs.abs().max().item() if theirs.numel() else 0.0
    ours = torch.tensor(ours, dtype=torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * scale)


@settings(max_examples=300, deadline=None)
@given(programs())
def test_random_expressions_have_torchs_value_and_gradients(program):
    steps, inputs = program
    ours = [Value(x) for x in inputs]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    y, t = run(steps, ours), run(steps, theirs)
    if steps or len(inputs) > 1:
        y.backward()
        t.backward()
        close([x.grad for x in ours], [x.grad for x in theirs])
        close(lib.forward_gradient(lambda x: run(steps, x), inputs), [x.grad for x in theirs])
    close(y.data, t.detach())
    close(run(steps, [Dual(x) for x in inputs]).value, t.detach())


def gradients(f, *inputs):
    """Slopes of f by each input: ours in reverse, ours forward, torch's."""
    ours, theirs = [Value(x) for x in inputs], [torch.tensor(x).double() for x in inputs]
    for x in theirs:
        x.requires_grad_()
    f(*ours).backward()
    f(*theirs).backward()
    return [x.grad for x in ours], [x.grad.item() for x in theirs]


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: 3 + x, 2.0),
        (lambda x: 3 - x, 2.0),
        (lambda x: 3 * x, 2.0),
        (lambda x: 3 / x, 2.0),
        (lambda x: 3**x, 2.0),
        (lambda x: -x, 2.0),
        (lambda x: x**2, -3.0),  # a whole exponent takes a negative base
        (lambda x: x**-1, -3.0),
        (lambda x: x**0, 0.0),
        (lambda x: x**1, 0.0),
        (lambda x: x**0.5, 0.0),  # the slope is infinite there
        (lambda x: 0**x, 2.0),
        (lambda x: x.relu(), 0.0),  # the kink: 0, as torch has it
        (lambda x: x.sigmoid(), 800.0),
        (lambda x: x.sigmoid(), -800.0),
        (lambda x: x.tanh(), 800.0),
        (lambda x: (x * x).exp() + x * x, 1.5),
    ],
)
def test_edges_have_torchs_slopes(f, x):
    ours, theirs = gradients(f, x)
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert lib.forward_gradient(lambda x: f(*x), [x]) == pytest.approx(theirs, rel=1e-12)


def test_a_negative_base_has_no_slope_by_its_exponent():
    ours, theirs = gradients(lambda a, b: a**b, -2.0, 2.0)
    assert ours[0] == theirs[0] == -4
    assert math.isnan(ours[1]) and math.isnan(theirs[1])


# ---- the tape


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


# ---- what is refused, and how


@pytest.mark.parametrize("kind", [Value, Dual])
@pytest.mark.parametrize("wrong", ["1", None, [1.0], 1j, torch.tensor(1.0), np.ones(2)])
def test_one_number_is_asked_for(kind, wrong):
    with pytest.raises(TypeError, match=f"a {kind.__name__} holds one number, got"):
        kind(wrong)
    for op in BINARY.values():
        with pytest.raises(TypeError, match=f"a {kind.__name__} holds one number, got"):
            op(kind(1.0), wrong)


@pytest.mark.parametrize("number", [2, True, np.float64(2), 2.5])
def test_numbers_of_any_kind_are_welcome(number):
    assert Value(number).data == (Value(0.0) + number).data == (number + Value(0.0)).data == number


@pytest.mark.parametrize("kind", [Value, Dual])
def test_operations_without_a_result_say_so(kind):
    with pytest.raises(ValueError, match=r"log needs a number above 0, got 0\.0"):
        kind(0.0).log()
    with pytest.raises(ValueError, match=r"-2\.0 to the power of 0\.5 is no real number"):
        kind(-2.0) ** 0.5
    with pytest.raises(ZeroDivisionError):
        1 / kind(0.0)
    with pytest.raises(ZeroDivisionError):
        kind(0.0) ** -1
    with pytest.raises(OverflowError):
        kind(1000.0).exp()
    assert tape.nodes == []


def test_value_and_array_do_not_mix():
    for a, b in itertools.permutations([Value(1.0), Array([1.0])]):
        with pytest.raises(TypeError, match=r"holds (one number|numbers), got (Array|Value)"):
            a + b


def test_they_print_what_they_hold():
    a = Value(2.0)
    (a * a).backward()
    assert repr(a) == "Value(data=2, grad=4)"
    assert repr(Dual(2, 1) * 1.5) == "Dual(value=3, slope=1.5)"


# ---- forward mode


@settings(max_examples=100, deadline=None)
@given(programs())
def test_forward_and_reverse_mode_agree(program):
    steps, inputs = program
    f = lambda x: run(steps, x) * 1.0  # noqa: E731
    close(lib.forward_gradient(f, inputs), lib.reverse_gradient(f, inputs))


def test_forward_mode_records_nothing_and_slopes_are_numbers():
    y = Dual(2.0, 1.0) * 3 + Dual(1.0)
    assert (y.value, y.slope) == (7, 3) and tape.nodes == []
    assert isinstance((Dual(2.0) + 1).slope, float)


# ---- gradcheck


def net(w1, w2, b):
    return (w1 * 2 + (w2 * w1).tanh() ** 2 + b).sigmoid().log()


def test_gradcheck_passes_what_is_right_and_returns_the_largest_difference():
    assert 0 < lib.gradcheck(net, 0.3, -0.7, 0.1) < 1e-8
    assert lib.gradcheck(lambda x: x, 3.0) < 1e-8
    assert lib.gradcheck(lambda a, b: a * 2, 1.0, 5.0) < 1e-8  # ignores b
    assert lib.gradcheck(lambda x: Value(3.0), 1.0) == 0
    assert lib.gradcheck(lambda x: x * 1e-9, 1.0) < 1e-12
    assert lib.gradcheck(lambda x: x * x, 1e6) < 1
    assert tape.nodes == []


def test_gradcheck_takes_tensors_of_any_shape_and_dtype():
    x, W = torch.randn(4, 3), torch.randn(3, 2)
    f = lambda x, W, s: ((x @ W) * s).tanh().sum(0)  # noqa: E731
    assert lib.gradcheck(f, x, W, 0.5) < 1e-8  # float32 inputs are checked in float64
    assert lib.gradcheck(lambda x: x.exp(), torch.zeros(0, 3)) == 0
    assert lib.gradcheck(lambda x: x * 2, torch.randn(1).expand(2, 3)) < 1e-8
    before = W.clone()
    lib.gradcheck(f, x, W, 0.5)
    assert torch.equal(W, before)


def test_gradcheck_names_input_index_and_both_numbers(monkeypatch):
    monkeypatch.setitem(lib.RULES, "tanh", lambda a: (math.tanh(a), 1.0))
    message = r"by input 1 `w2` is wrong: backward\(\) says 0\.5, central differences say 0\.393"
    with pytest.raises(AssertionError, match=message):
        lib.gradcheck(lambda w1, w2: (w2 / 2).tanh() + w1, 1.0, 1.0)


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
    for _ in range(19):
        y = y + 1
    lib.draw(y)  # 39 nodes
    y = y + 1
    with pytest.raises(ValueError, match="more than 40 nodes cannot be read"):
        lib.draw(y)


# ---- it trains


def test_a_network_follows_torchs_path_on_moons():
    X, y = data.moons(20, device="cpu", dtype=torch.float64)
    sizes, random = [2, 16, 16, 1], np.random.default_rng(0)
    Ws = [random.normal(size=(m, n)) / m**0.5 for m, n in itertools.pairwise(sizes)]
    layers = [[[Value(w) for w in column] for column in W.T.tolist()] for W in Ws]
    weights = [w for layer in layers for column in layer for w in column]
    theirs = [torch.tensor(W, requires_grad=True) for W in Ws]

    def ours_forward(x):
        for i, layer in enumerate(layers):
            x = [sum([w * v for w, v in zip(column, x, strict=True)]) for column in layer]
            x = [v.relu() for v in x] if i < 2 else x
        return x[0]

    for _ in range(5):
        losses = [
            (1 + (ours_forward(x) * (1.0 - 2 * k)).exp()).log()
            for x, k in zip(X.tolist(), y.tolist(), strict=True)
        ]
        loss = sum(losses) / len(losses)
        zero_grad(weights)
        loss.backward()
        for w in weights:
            w.data -= 0.5 * w.grad
        z = (((X @ theirs[0]).relu() @ theirs[1]).relu() @ theirs[2])[:, 0]
        wanted = (1 + (z * (1.0 - 2 * y)).exp()).log().mean()
        for W, g in zip(theirs, torch.autograd.grad(wanted, theirs), strict=True):
            W.data -= 0.5 * g
        assert loss.data == pytest.approx(wanted.item(), rel=1e-9)
    close([w.data for w in weights], torch.cat([W.T.flatten() for W in theirs]).detach())
