"""course_lib.tensors against torch, numpy, loops and exact arithmetic."""

import itertools
import math
import random
from fractions import Fraction

import pytest
import torch

from course_lib import tensors as lib

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
everywhere = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=no_gpu)])


def some_shapes(count, longest=4, lengths=(1, 2, 3)):
    draw = random.Random(0)
    return [tuple(draw.choices(lengths, k=draw.randint(0, longest))) for _ in range(count)]


# ---- strides and views


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (4, 1, 2), (2, 0, 3), (3, 4, 0), (1, 1)])
def test_strides_are_those_of_a_new_tensor(shape):
    assert lib.strides(shape) == torch.empty(shape).stride()


@pytest.mark.parametrize("shape", some_shapes(50))
def test_strides_and_offset_find_every_number(shape):
    x = torch.arange(math.prod(shape)).reshape(shape)
    for index in itertools.product(*map(range, shape)):
        assert x[index] == sum(i * s for i, s in zip(index, lib.strides(shape), strict=True))


VIEWS = {
    "a row": lambda x: x[1],
    "a column": lambda x: x[:, 1],
    "every other": lambda x: x[::2],
    "transposed": lambda x: x.T,
    "another shape": lambda x: x.reshape(6, 2),
    "an axis more": lambda x: x[:, None],
    "stretched": lambda x: x[:, :1].expand(3, 4),
    "detached": lambda x: x.detach(),
}
COPIES = {
    "a mask": lambda x: x[x > 2],
    "integers": lambda x: x[[0, 1]],
    "clone": lambda x: x.clone(),
    "transposed, then flat": lambda x: x.T.reshape(12),
    "arithmetic": lambda x: x + 0,
}


@everywhere
def test_views_share_their_storage_and_copies_do_not(device):
    for name, change in (VIEWS | COPIES).items():
        x = torch.arange(12.0, device=device).reshape(3, 4)
        y = change(x)
        assert lib.same_storage(x, y) == lib.same_storage(y, x) == (name in VIEWS), name
        y[(0,) * y.ndim] = -1  # a change through the one is seen through the other
        assert (-1 in x) == (name in VIEWS), name


# ---- broadcasting


@pytest.mark.parametrize("seed", range(5))
def test_broadcast_shape_equals_torch_errors_included(seed):
    draw = random.Random(seed)
    fit = 0
    for _ in range(400):
        shapes = [
            tuple(draw.choices((0, 1, 1, 2, 3), k=draw.randint(0, 4)))
            for _ in range(draw.randint(1, 3))
        ]
        try:
            wanted = tuple(torch.broadcast_shapes(*shapes))
        except RuntimeError:
            with pytest.raises(ValueError, match="do not fit: on axis -[1-4] they have lengths"):
                lib.broadcast_shape(*shapes)
            continue
        fit += 1
        assert lib.broadcast_shape(*shapes) == wanted
        assert sum(torch.zeros(shape) for shape in shapes).shape == wanted
    assert 50 < fit < 350


def test_broadcast_shape_says_what_does_not_fit_and_what_to_do():
    said = (
        r"shapes \(2, 4, 3\) and \(5, 3\) do not fit: on axis -2 they have lengths 4 and 5; make "
        r"them equal, or make one of them 1 \(x\[:, None\] inserts an axis of length 1\)"
    )
    with pytest.raises(ValueError, match=said):
        lib.broadcast_shape((2, 4, 3), (5, 3))


def test_nothing_broadcasts_to_a_single_number():
    assert lib.broadcast_shape() == lib.broadcast_shape(()) == ()


# ---- einsum

EQUATIONS = [
    "i->",
    "i->i",
    "ij->ji",
    "ij->j",
    "ii->",
    "ii->i",
    "iij->j",
    "iji->j",
    "iii->i",
    "ijij->ij",
    "i,i->",
    "i,j->ij",
    "ij,j->i",
    "ij,jk->ik",
    "ij,kj->ki",
    "bij,bjk->bik",
    "btd,bsd->bts",
    "bhts,bshd->bthd",
    "i,ij,j->",
    "bi,kij,bj->bk",
    "ij,jk,kl->il",
    ",i->i",
    "ii,ij->ij",
]


def drawn(equation, dtype, device, seed=0):
    g = torch.Generator().manual_seed(seed)
    lengths = {c: 2 + k % 3 for k, c in enumerate(sorted(set(equation) - set(",->")))}
    shapes = [[lengths[c] for c in letters] for letters in equation.split("->")[0].split(",")]
    return [torch.randn(shape, generator=g, dtype=dtype).to(device) for shape in shapes]


@everywhere
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_einsum_equals_torch(dtype, device):
    for equation, seed in itertools.product(EQUATIONS, range(5)):
        tensors = drawn(equation, dtype, device, seed)
        ours, theirs = lib.einsum(equation, *tensors), torch.einsum(equation, *tensors)
        torch.testing.assert_close(ours, theirs, msg=lambda said, e=equation: f"{e}: {said}")


@pytest.mark.parametrize("equation", EQUATIONS)
def test_the_slope_of_einsum_equals_central_differences(equation):
    tensors = [x.requires_grad_() for x in drawn(equation, torch.float64, "cpu")]
    assert torch.autograd.gradcheck(lambda *xs: lib.einsum(equation, *xs), tensors)


def test_einsum_equals_loops():
    A, B = drawn("ij,jk->ik", torch.float64, "cpu")
    (N, M), P = A.shape, B.shape[1]
    loops = torch.zeros(N, P, dtype=torch.float64)
    for i, j, k in itertools.product(range(N), range(M), range(P)):
        loops[i, k] += A[i, j] * B[j, k]
    torch.testing.assert_close(lib.einsum("ij,jk->ik", A, B), loops)


def test_einsum_reads_spaces_empty_axes_and_whole_numbers():
    x = torch.arange(6).reshape(2, 3)
    assert torch.equal(lib.einsum("i j -> j i", x), x.T)
    assert lib.einsum("ij->", torch.zeros(2, 0)) == 0
    assert lib.einsum("ij,jk->ik", torch.zeros(2, 0), torch.zeros(0, 3)).shape == (2, 3)


@pytest.mark.parametrize(
    ("equation", "shapes", "said"),
    [
        ("ij,jk", [(2, 3), (3, 4)], "an equation looks like 'ij,jk->ik', got 'ij,jk'"),
        ("i1->i", [(2, 3)], "an equation looks like"),
        ("ij,jk->ik", [(2, 3)], "'ij,jk->ik' has 2 inputs, got 1 tensors"),
        ("ij->i", [(2, 3, 4)], r"'ij' names 2 axes, got shape \(2, 3, 4\)"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "'j' has length 3 and 4; one letter, one length"),
        ("ii->i", [(2, 3)], "'i' has length 2 and 3"),
        ("ij->ik", [(2, 3)], "'ik' must name letters of the inputs, each of them once"),
        ("ij->ii", [(2, 3)], "'ii' must name letters"),
    ],
)
def test_einsum_says_what_does_not_fit(equation, shapes, said):
    with pytest.raises(ValueError, match=said):
        lib.einsum(equation, *map(torch.zeros, shapes))


# ---- sums


@everywhere
@pytest.mark.parametrize("rows", [(), (3,), (2, 2)])
def test_pairwise_sum_equals_torch(rows, device):
    for n in (0, 1, 2, 3, 7, 8, 100, 1023):
        assert_same_as_torch(n, rows, device)


def assert_same_as_torch(n, rows, device):
    g = torch.Generator().manual_seed(n)
    x = torch.randn(*rows, n, generator=g, dtype=torch.float64).to(device)
    torch.testing.assert_close(lib.pairwise_sum(x), x.sum(-1))
    assert lib.pairwise_sum(x).shape == rows


@pytest.mark.parametrize("seed", range(3))
def test_pairwise_sum_keeps_the_bound_of_its_roundings(seed):
    x = torch.rand(5000, generator=torch.Generator().manual_seed(seed))
    exact = sum(map(Fraction, x.tolist()))
    error = abs(Fraction(lib.pairwise_sum(x).item()) - exact) / exact
    assert error < 13 * 2**-24  # log2(5000) < 13 roundings of at most 2^-24 each


def test_the_slope_of_pairwise_sum_is_one():
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lib.pairwise_sum, x)
