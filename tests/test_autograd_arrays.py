"""course_lib.autograd, the tensor engine: every operation equal to torch, whatever the shapes."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_lib import autograd as lib
from course_lib import data
from course_lib.autograd import Array, tape, zero_grad

ELEMENTWISE = ["exp", "log", "tanh", "relu", "sigmoid"]
BINARY = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
everywhere = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=no_gpu)])
both_dtypes = pytest.mark.parametrize("dtype", TOLERANCE)
repeatable = settings(deadline=None, derandomize=True)  # the same examples in each run
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)
MATMUL = np.matmul.signature  # (n?,k),(k,m?)->(n?,m?)
factors = hnp.mutually_broadcastable_shapes(
    signature=MATMUL, min_side=0, max_side=3, max_dims=2
).map(lambda found: found.input_shapes)


def assert_same(ours, theirs):
    """Shape, dtype, device and values are equal."""
    tol = TOLERANCE[theirs.dtype]
    torch.testing.assert_close(ours, theirs, rtol=tol, atol=tol, equal_nan=True)


def assert_agree(ours, *shapes, torchs=None, dtype=torch.float64, device="cpu"):
    """Ours of Arrays and torch's of tensors have one value, and one gradient by each input."""
    torch.manual_seed(0)
    xs = [torch.rand(shape, dtype=dtype, device=device) + 0.5 for shape in shapes]
    arrays = [Array(x.clone()) for x in xs]
    tensors = [x.clone().requires_grad_() for x in xs]
    y, t = ours(*arrays), (torchs or ours)(*tensors)
    assert_same(y.data, t.detach())
    weights = torch.rand_like(t)
    (y * weights).sum().backward()
    (t * weights).sum().backward()
    for a, x in zip(arrays, tensors, strict=True):
        zeros = torch.zeros_like(x)
        assert_same(zeros if a.grad is None else a.grad, zeros if x.grad is None else x.grad)


# ---- each operation


@everywhere
@both_dtypes
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0, 2)])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, shape, dtype, device):
    f = lambda x: getattr(x - 0.4 if name != "log" else x, name)()
    assert_agree(f, shape, dtype=dtype, device=device)


@settings(repeatable, max_examples=200)
@given(pairs, st.sampled_from([*BINARY]))
def test_binary_operations_broadcast(pair, op):
    assert_agree(BINARY[op], *pair.input_shapes)


@everywhere
@both_dtypes
@pytest.mark.parametrize("op", BINARY)
def test_binary_operations_take_numbers_on_either_side(op, dtype, device):
    assert_agree(lambda x: BINARY[op](x, 3), (2, 3), dtype=dtype, device=device)
    assert_agree(lambda x: BINARY[op](2.5, x), (2, 3), dtype=dtype, device=device)


def test_powers_at_zero_and_below():
    a, b = [0.0, 0.0, 0.0, 0.0, -2.0, -2.0, 2.0], [0.0, 0.5, 1.0, 2.0, 2.0, -1.0, -1.0]
    ours = [Array(torch.tensor(x)) for x in (a, b)]
    theirs = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    for x, y in (ours, theirs):
        (x**y).sum().backward()
    for x, t in zip(ours, theirs, strict=True):
        assert_same(x.grad, t.grad)


@everywhere
@both_dtypes
@pytest.mark.parametrize("op", [*BINARY, "@"])
def test_binary_operations_take_tensors_and_numpy_on_either_side(op, dtype, device):
    f = BINARY.get(op, lambda a, b: a @ b)
    c = torch.rand(3, 3, dtype=dtype) + 0.5
    for constant in (c.to(device), c.numpy(), c.tolist()):
        for a, b in ((f, f), (lambda x, c: f(c, x),) * 2):
            assert_agree(lambda x: a(x, constant), (3, 3), dtype=dtype, device=device,  # noqa: B023
                  torchs=lambda x: b(x, c.to(device)))  # noqa: B023  # fmt: skip


@settings(repeatable, max_examples=150)
@given(factors)
def test_matmul(pair):
    assert_agree(lambda a, b: a @ b, *pair)


@everywhere
@both_dtypes
def test_matmul_of_stacks(dtype, device):
    assert_agree(lambda a, b: a @ b, (4, 1, 2, 3), (5, 3, 2), dtype=dtype, device=device)


@st.composite
def reductions(draw):
    """A shape, and dim and keepdim that fit it."""
    shape = draw(shapes)
    axis = st.integers(-max(len(shape), 1), max(len(shape), 1) - 1)
    several = st.lists(axis, unique_by=lambda d: d % max(len(shape), 1)).map(tuple)
    return shape, {"dim": draw(st.none() | axis | several), "keepdim": draw(st.booleans())}


@settings(repeatable, max_examples=150)
@given(reductions(), st.sampled_from(["sum", "mean"]))
def test_sum_and_mean(reduction, name):
    shape, options = reduction
    assert_agree(lambda x: getattr(x, name)(**options), shape)


@settings(repeatable, max_examples=150)
@given(reductions().filter(lambda reduction: 0 not in reduction[0]))
def test_max(reduction):
    shape, options = reduction
    dim = () if options["dim"] is None else options["dim"]
    largest = lambda x: x.amax(dim, options["keepdim"])
    assert_agree(lambda x: x.max(**options), shape, torchs=largest)


def test_ties_share_the_gradient():
    assert_agree(lambda x: (x * 0).max(), (2, 3), torchs=lambda x: (x * 0).amax())
    x = Array([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]], device="cpu")
    x.max(1).sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5, 0], [0, 0.5, 0.5]]


@st.composite
def indexings(draw):
    """A shape and an index: numbers, slices, None, Ellipsis; or tensors of places; or a mask."""
    shape = draw(shapes)
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    kinds = [basic, hnp.arrays(bool, shape).map(torch.from_numpy)]
    if shape and 0 not in shape:
        kinds.append(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2)))
    index = draw(st.one_of(kinds))
    if not isinstance(index, tuple):
        return shape, index
    return shape, tuple(torch.as_tensor(i) if isinstance(i, np.ndarray) else i for i in index)


def torch_can(indexing):
    parts = indexing[1] if isinstance(indexing[1], tuple) else (indexing[1],)
    return not any(isinstance(p, slice) and (p.step or 1) < 0 for p in parts)


@settings(repeatable, max_examples=150)
@given(indexings().filter(torch_can))
def test_indexing(indexing):
    shape, index = indexing
    assert_agree(lambda x: x[index], shape)


@everywhere
def test_indexing_repeats_lists_and_rows(device):
    at = torch.tensor([2, 0, 2, 2], device=device)
    assert_agree(lambda x: x[at], (3, 2), device=device)
    assert_agree(lambda x: x[torch.arange(4, device=device), at], (4, 3), device=device)
    assert_agree(lambda x: x[:, [0, 0, 1]] * x[1:2, -1], (3, 2), device=device)
    assert_agree(lambda x: sum(row * i for i, row in enumerate(x)), (3, 2), device=device)


@everywhere
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.reshape(4, 3, 2),
        lambda x: x.reshape(-1),
        lambda x: x.reshape((6, -1)),
        lambda x: x.transpose(0, 2).reshape(8, 3),
        lambda x: x.transpose(-1, 1),
        lambda x: x.transpose(1, 1),
    ],
)
def test_reshape_and_transpose(f, device):
    assert_agree(f, (2, 3, 4), device=device)


def test_shapes_of_nothing_and_of_one():
    assert_agree(lambda x: x.reshape(3, 0, 2), (0, 4))
    assert_agree(lambda x: x.reshape(()), (1, 1))
    assert_agree(lambda x: x.reshape(1, 1), ())
    assert_agree(lambda x: x.transpose(0, 1), (0, 4))
    assert_agree(lambda x: x.transpose(0, -1), ())


@everywhere
@pytest.mark.parametrize(
    "shapes, dim",
    [
        ([(2, 3)], 0),
        ([(2, 3), (0, 3), (4, 3)], 0),
        ([(2, 3), (2, 1)], -1),
        ([(0,), (0,)], 0),
        ([(0,), (2, 3)], 0),  # torch lets an empty vector stand beside anything
        ([(1,), (1,), (1,)], 0),
        ([(2, 1, 3), (2, 2, 3)], 1),
    ],
)
def test_concatenate(shapes, dim, device):
    ours, torchs = lambda *x: lib.concatenate(x, dim), lambda *x: torch.cat(x, dim)
    assert_agree(ours, *shapes, torchs=torchs, device=device)


@everywhere
def test_concatenate_takes_constants_and_one_array_twice(device):
    c = torch.ones(2, 3, dtype=torch.float64, device=device)
    assert_agree(lambda x: lib.concatenate([c, x, x * 2]), (1, 3), device=device,
          torchs=lambda x: torch.cat([c, x, x * 2]))  # fmt: skip


@everywhere
@both_dtypes
@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (5, 1), (1, 4), (0, 3)])
@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_softmax_cross_entropy(shape, kind, dtype, device):
    B, K = shape
    labels = torch.arange(B, device=device) % (min(K, 2) if kind == torch.bool else K)
    ours = lambda z: lib.softmax_cross_entropy(z * 4, labels.to(kind))
    theirs = lambda z: F.cross_entropy(z * 4, labels)
    assert_agree(ours, shape, torchs=theirs, dtype=dtype, device=device)


def test_softmax_cross_entropy_does_not_overflow():
    labels = torch.tensor([0, 2])
    assert_agree(lambda z: lib.softmax_cross_entropy(z * 1e4, labels), (2, 3),
          torchs=lambda z: F.cross_entropy(z * 1e4, labels))  # fmt: skip


# ---- compositions


@st.composite
def compositions(draw):
    """Shapes of inputs, and functions that each make a new tensor of the list of earlier ones."""
    inputs = list(draw(pairs).input_shapes)
    xs = [torch.zeros(shape) for shape in inputs]
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        i, j = (draw(st.integers(0, len(xs) - 1)) for _ in range(2))
        step = draw(st.sampled_from([unary, binary, product, reduction, shuffle, gather, double]))
        step = step(draw, xs[i].shape, i, j)
        try:
            xs.append(step(xs))
        except (RuntimeError, IndexError):
            continue  # these shapes do not fit
        steps.append(step)
    return inputs, steps


def unary(draw, shape, i, j):
    name = draw(st.sampled_from(["tanh", "sigmoid", "relu"]))
    return lambda xs: getattr(xs[i], name)()


def binary(draw, shape, i, j):
    f = BINARY[draw(st.sampled_from(["+", "-", "*"]))]
    return lambda xs: f(xs[i], xs[j])


def product(draw, shape, i, j):
    return lambda xs: xs[i] @ xs[j]


def reduction(draw, shape, i, j):
    name, keepdim = draw(st.sampled_from(["sum", "mean"])), draw(st.booleans())
    dim = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
    return lambda xs: getattr(xs[i], name)(dim, keepdim)


def shuffle(draw, shape, i, j):
    if len(shape) > 1 and draw(st.booleans()):
        return lambda xs: xs[i].transpose(0, -1)
    return lambda xs: xs[i].reshape(math.prod(shape), 1)


def gather(draw, shape, i, j):
    index = draw(hnp.basic_indices(tuple(shape), allow_newaxis=True))
    if not torch_can((shape, index)):
        index = ...
    return lambda xs: xs[i][index]


def double(draw, shape, i, j):
    join = lambda xs: lib.concatenate if isinstance(xs[0], Array) else torch.cat
    return lambda xs: join(xs)([xs[i], xs[j]])


@settings(repeatable, max_examples=300)
@given(compositions())
def test_random_compositions_have_torchs_value_and_gradients(composition):
    inputs, steps = composition

    def f(*inputs):
        xs = list(inputs)
        for step in steps:
            xs.append(step(xs))
        return sum((x.sum() for x in xs), 0.0)

    assert_agree(f, *inputs)


# ---- data, dtype, device


@everywhere
def test_device_and_dtype_are_those_asked_for(device):
    x = Array([[1, 2], [3, 4]], dtype=torch.float64, device=device)
    assert (x.data.dtype, x.data.device.type) == (torch.float64, device)
    assert (x.shape, len(x), x[0, 1].item()) == ((2, 2), 2, 2.0)
    assert Array(x.data).data.data_ptr() == x.data.data_ptr()  # memory is shared
    assert Array(x.data, device="cpu").data.device.type == "cpu"
    assert Array(np.float64(2)).data.dtype == torch.float64
    assert Array([1, 2]).data.dtype == Array(torch.tensor(True)).data.dtype == torch.float32


def test_numbers_go_to_the_gpu_where_there_is_one():
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert Array([1.0]).data.device.type == wanted


@everywhere
def test_gradients_have_the_dtype_of_their_array(device):
    a = Array(torch.ones(3, dtype=torch.float32, device=device))
    b = Array(torch.ones(3, dtype=torch.float64, device=device))
    s = Array(torch.tensor(2.0, dtype=torch.float64, device=device))
    ((a * b).sum() + (a * s).sum()).backward()
    grads = [x.grad.dtype for x in (a, b, s)]
    assert grads == [torch.float32, torch.float64, torch.float64]


def test_numpy_and_lists_take_the_dtype_of_the_array():
    x32 = Array([1.0, 2.0], dtype=torch.float32, device="cpu")
    x64 = Array([1.0, 2.0], dtype=torch.float64, device="cpu")
    assert (x32 * np.array([0.1, 0.2])).data.dtype == torch.float32
    assert (x64 * [0.1, 0.2]).data.tolist() == [0.1, 0.4]


def test_constants_drag_no_graph_of_torchs_along():
    w = torch.ones(3, requires_grad=True)
    x = Array(torch.ones(3))
    y = x * w + w @ x + Array(w)
    assert not y.data.requires_grad
    y.sum().backward()
    assert not x.grad.requires_grad and w.grad is None


# ---- what is refused, and how


@pytest.mark.parametrize("wrong", ["1", None, object(), [1.0, "2"], [[1.0], [2.0, 3.0]]])
def test_numbers_are_asked_for(wrong):
    for use in (Array, lambda x: Array([1.0]) + x, lambda x: x * Array([1.0])):
        with pytest.raises(TypeError, match="an Array holds numbers, got"):
            use(wrong)


def test_real_floating_point_numbers_are_asked_for():
    with pytest.raises(TypeError, match="holds real numbers, got torch.complex64"):
        Array(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(TypeError, match=r"dtype must be a floating-point one, got torch\.int64"):
        Array([1.0], dtype=torch.int64)
    with pytest.raises(TypeError, match=r"an Array already; use its \.data"):
        Array(Array([1.0, 2.0]))
    with pytest.raises(TypeError):
        torch.exp(Array([1.0]))  # torch's functions do not pass for ours


def test_shapes_that_do_not_fit():
    tape.nodes.clear()
    x = Array(torch.ones(2, 3))
    for wrong in (lambda: x + torch.ones(2), lambda: x @ x, lambda: x.reshape(4),
                  lambda: lib.concatenate([x, torch.ones(2, 2)])):  # fmt: skip
        with pytest.raises(RuntimeError):
            wrong()
    for wrong in (lambda: x @ 2.0, lambda: 2.0 @ x, lambda: x @ Array(1.0)):
        with pytest.raises(TypeError, match=r"@ needs tensors of one axis or more"):
            wrong()
    for name in ("sum", "mean", "max"):
        with pytest.raises(IndexError, match=r"(?i)dim"):
            getattr(x, name)(2)
    with pytest.raises(IndexError):
        x[2]
    assert tape.nodes == []


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0, 3], "labels must lie from 0 to 2, got 0 to 3"),
        ([-1, 0], "labels must lie from 0 to 2, got -1 to 0"),
        ([0.0, 1.0], r"whole numbers \(B,\), got \(2, 3\) and torch.float32 of shape \(2,\)"),
        ([0], r"got \(2, 3\) and torch.int64 of shape \(1,\)"),
        ([[0], [1]], r"got \(2, 3\) and torch.int64 of shape \(2, 1\)"),
    ],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(ValueError, match=message):
        lib.softmax_cross_entropy(Array(torch.ones(2, 3)), torch.tensor(labels))


def test_unbroadcast_sums_what_was_repeated():
    g = torch.arange(6.0).reshape(1, 2, 3)
    assert lib.unbroadcast(g, (2, 1)).tolist() == [[3], [12]]
    assert lib.unbroadcast(g, ()).item() == 15
    assert lib.unbroadcast(torch.ones(0, 3), (1, 3)).tolist() == [[0, 0, 0]]


# ---- it trains


@everywhere
@both_dtypes
def test_a_network_follows_torchs_path_on_moons(dtype, device):
    X, y = data.moons(200, device=device, dtype=dtype)
    torch.manual_seed(0)
    sizes = [(2, 16), (16,), (16, 16), (16,), (16, 1), (1,)]
    start = [torch.randn(s, dtype=dtype, device=device) / s[0] ** 0.5 for s in sizes]
    ours, theirs = [Array(w.clone()) for w in start], [w.clone().requires_grad_() for w in start]

    def loss(X, W1, b1, W2, b2, W3, b3, log_loss):
        h = ((X @ W1 + b1).relu() @ W2 + b2).relu()
        z = (h @ W3 + b3) * torch.tensor([0.0, 1.0], dtype=dtype, device=device)  # (B, 2)
        return log_loss(z, y)

    for _ in range(20):
        zero_grad(ours)
        (mine := loss(X, *ours, lib.softmax_cross_entropy)).backward()
        torchs = loss(X, *theirs, F.cross_entropy)
        assert_same(mine.data, torchs.detach())
        for a, t, g in zip(ours, theirs, torch.autograd.grad(torchs, theirs), strict=True):
            a.data -= 0.5 * a.grad
            t.data -= 0.5 * g
    for a, t in zip(ours, theirs, strict=True):
        assert_same(a.data, t.detach())
