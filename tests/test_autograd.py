"""course_lib.autograd, the scalar engine and forward mode, equal to torch.

The tensor engine, the tape, and gradcheck with draw have their own files, test_autograd_*.py.
"""

import itertools
import math
import operator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import autograd as lib
from course_lib import data
from course_lib.autograd import Array, Dual, Value, tape, zero_grad

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
repeatable = settings(deadline=None, derandomize=True)  # the same examples in each run
numbers = st.floats(-3, 3).map(lambda x: round(x, 3))


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
    tol = 1e-9 * max(1.0, theirs.abs().max().item())  # sums that cancel leave rounding
    ours = torch.tensor(ours, dtype=torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=tol)


@settings(repeatable, max_examples=300)
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
    """Slopes of f by each input: ours, torch's."""
    ours = [Value(x) for x in inputs]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
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
    tape.nodes.clear()
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


@settings(repeatable, max_examples=100)
@given(programs())
def test_forward_and_reverse_mode_agree(program):
    steps, inputs = program
    f = lambda x: run(steps, x) * 1.0
    close(lib.forward_gradient(f, inputs), lib.reverse_gradient(f, inputs))


def test_forward_mode_records_nothing_and_slopes_are_numbers():
    tape.nodes.clear()
    y = Dual(2.0, 1.0) * 3 + Dual(1.0)
    assert (y.value, y.slope) == (7, 3) and tape.nodes == []
    assert isinstance((Dual(2.0) + 1).slope, float)


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
