"""Single exercises of chapter 07_cnn: answers that the tests of every exercise do not try."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from masters import solutions
from torch import nn

from course_lib.checks.cnn import CONV2D, CONV2D_BACKWARD, MAX_POOL2D, RESIDUAL, TRAIN_CNN
from course_lib.checks.exercise import SHAPES_DO_NOT_FIT
from course_lib.cnn import Residual

SEEDS = range(20)


def drawn(*sizes):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=g, dtype=torch.float64) for size in sizes]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (2, 3), (4, 2)])
def test_the_border_is_that_of_torch(kernel):
    x, w = drawn((6, 7), kernel)
    padded = solutions("cnn")["pad_same"](x, *kernel)
    came = F.conv2d(padded[None, None], w[None, None])
    same = F.conv2d(x[None, None], w[None, None], padding="same")
    torch.testing.assert_close(came, same)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_the_solutions_equal_torch_on_larger_pictures(groups, stride, padding):
    x, w, bias = drawn((3, 4, 8, 7), (8, 4 // groups, 3, 2), (8,))
    came = solutions("cnn")["conv2d"](x, w, bias, stride, padding, groups)
    torch.testing.assert_close(came, F.conv2d(x, w, bias, stride, padding, 1, groups))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_way_back_equals_autograd_on_larger_pictures(stride):
    sizes = (3, 4, 8, 7), (5, 4, 3, 2), (5,)
    x, w, bias = drawn(*sizes)
    (grad,) = drawn(F.conv2d(x, w, stride=stride).shape)
    inputs = [t.clone().requires_grad_() for t in (x, w, bias)]
    expected = torch.autograd.grad(F.conv2d(*inputs, stride), inputs, grad)
    for came, want in zip(
        solutions("cnn")["conv2d_backward"](x, w, grad, stride), expected, strict=True
    ):
        torch.testing.assert_close(came, want)


def test_a_pooling_that_pads_with_zeros_is_paid_for_the_rest():
    def with_zeros(x, kernel, stride=None, padding=0):
        return F.max_pool2d(F.pad(x, (padding,) * 4)[None], kernel, stride)[0]

    for seed in SEEDS:
        report = MAX_POOL2D.evaluate(with_zeros, seed)
        assert report.points == 3
        assert report.mistake.name == "pads with zeros"


def test_a_layer_without_groups_is_paid_for_the_rest():
    def without(x, weight, bias, stride, padding, groups):
        return F.conv2d(x, weight, bias, stride, padding)

    for seed in SEEDS:
        assert CONV2D.evaluate(without, seed).points == 5


def test_shapes_that_do_not_fit_are_explained_however_they_fail():
    def without(x, weight, bias, stride, padding, groups):
        columns = F.unfold(x, weight.shape[2:], padding=padding, stride=stride)
        sums = torch.stack([weight.flatten(1) @ c for c in columns]) + bias[:, None]
        H = (x.shape[2] + 2 * padding - weight.shape[2]) // stride + 1
        return sums.unflatten(2, (H, -1))

    report = CONV2D.evaluate(without)
    assert report.points == 5
    hint = report.hint(report.lines[2])
    assert hint == SHAPES_DO_NOT_FIT or "in groups" in hint


def test_two_slips_on_the_way_back_are_named_apart():
    def answer(x, weight, grad, stride):
        by_x, by_weight, _ = CONV2D_BACKWARD.reference(x, weight, grad, stride)
        return by_x, by_weight / len(x), grad.sum()

    for seed in SEEDS:
        lines = CONV2D_BACKWARD.evaluate(answer, seed).lines
        named = [line.mistake and line.mistake.name for line in lines]
        assert named == [
            "sums the bias over the channels",
            "averages grad_weight over the batch",
            None,
        ]


def test_a_block_may_hold_more_than_is_asked():
    class WithItsOwnReLU(Residual):
        def __init__(self, C_in, C_out, stride=1):
            super().__init__(C_in, C_out, stride)
            self.act = nn.ReLU()

    for answer, seed in itertools.product((Residual, WithItsOwnReLU), SEEDS):
        assert RESIDUAL.evaluate(answer, seed).points == RESIDUAL.points


def test_constant_weights_are_not_paid():
    """Kernels drawn by hand find both bars, but nobody trained them."""
    upright = torch.tensor([[0.0, 1.0, 0.0]] * 3) - 0.5

    def by_hand(X, y, W1, b1, W2, b2, lr, steps):
        W1 = torch.stack([upright.T, upright])[:, None].repeat(len(W1), 1, 1, 1)[: len(W1)]
        W2 = torch.eye(2).repeat(1, len(W1))[:, : len(W1)]
        return W1, torch.zeros_like(b1), W2, torch.zeros(2)

    for seed in SEEDS:
        report = TRAIN_CNN.evaluate(by_hand, seed)
        assert [line.status for line in report.lines] == ["FAIL", "FAIL", "held"]
        assert report.points == 0


def test_the_same_network_written_otherwise_is_paid():
    """Filters in another order compute the same: weights are judged by what they say."""

    def turned(X, y, W1, b1, W2, b2, lr, steps):
        W1, b1, W2, b2 = TRAIN_CNN.reference(X, y, W1, b1, W2, b2, lr, steps)
        return W1.flip(0), b1.flip(0), W2.flip(1), b2

    for seed in SEEDS:
        assert TRAIN_CNN.evaluate(turned, seed).points == TRAIN_CNN.points
