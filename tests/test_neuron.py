"""course_lib.neuron against torch, finite differences, scikit-learn and closed forms."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from course_lib import data
from course_lib import neuron as lib

TORCH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": torch.relu,
    "GELU": F.gelu,
    "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
}
EDGES = [-1e4, -745.0, -88.0, -1e-12, -0.0, 0.0, 1e-12, 88.0, 709.0, 745.0, 1e4]


def points(dtype=torch.float64):
    z = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor(EDGES)])
    return z.to(dtype).requires_grad_()


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("dtype, tol", [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_activation_and_slope_equal_torch(name, dtype, tol):
    z, ours = points(dtype), lib.ACTIVATIONS[name]
    (slope,) = torch.autograd.grad(TORCH[name](z).sum(), z)
    torch.testing.assert_close(ours.f(z), TORCH[name](z), rtol=tol, atol=tol)
    torch.testing.assert_close(ours.df(z), slope, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", TORCH)
def test_autograd_through_our_activation_gives_its_slope(name):
    z, ours = points(), lib.ACTIVATIONS[name]
    (slope,) = torch.autograd.grad(ours.f(z).sum(), z)
    torch.testing.assert_close(slope, ours.df(z), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", TORCH)
@given(z=st.floats(-30, 30).filter(lambda z: abs(z) > 1e-3))
def test_slope_equals_central_difference(name, z):
    ours, h = lib.ACTIVATIONS[name], 1e-5
    z = torch.tensor(z, dtype=torch.float64)
    numeric = (ours.f(z + h) - ours.f(z - h)) / (2 * h)
    assert abs(numeric - ours.df(z)) < 1e-8


@pytest.mark.parametrize("name", lib.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes_are_finite_and_keep_shape_and_dtype(name, dtype):
    z = torch.tensor([EDGES], dtype=dtype)
    for g in lib.ACTIVATIONS[name]:
        out = g(z)
        assert out.shape == z.shape
        assert out.dtype == dtype
        assert torch.isfinite(out).all()


def test_small_probabilities_keep_their_digits():
    z = torch.tensor(-700.0, dtype=torch.float64)
    assert lib.sigmoid(z).item() == pytest.approx(math.exp(-700), rel=1e-12)
    assert lib.softplus(z).item() == pytest.approx(math.exp(-700), rel=1e-12)
    assert lib.tanh(torch.tensor(1e-12, dtype=torch.float64)).item() == pytest.approx(1e-12)


def test_nan_is_not_hidden():
    nan = torch.tensor(math.nan)
    for name in TORCH:
        assert lib.ACTIVATIONS[name].f(nan).isnan(), name


def test_step_fires_at_zero():
    assert lib.step(torch.tensor([-1.0, -0.0, 0.0, 1.0])).tolist() == [0, 1, 1, 1]


def test_neuron_equals_torch_linear():
    layer = torch.nn.Linear(5, 1)
    x = torch.randn(3, 4, 5)
    ours = lib.neuron(x, layer.weight[0], layer.bias, torch.tanh)
    torch.testing.assert_close(ours, torch.tanh(layer(x))[..., 0])


@pytest.mark.parametrize("x, w", [((3,), (2,)), ((), (1,)), ((4, 3), (3, 1))])
def test_neuron_names_the_shapes_that_do_not_fit(x, w):
    with pytest.raises(ValueError, match="one weight per feature: got x of shape"):
        lib.neuron(torch.zeros(x), torch.zeros(w), 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_perceptron_stays_within_the_bound_of_a_known_plane(seed):
    g = torch.Generator().manual_seed(seed)
    w, b = torch.randn(4, generator=g), torch.randn((), generator=g)
    X = 3 * torch.randn(200, 4, generator=g)
    z = X @ w + b
    X, z = X[z.abs() > 0.5], z[z.abs() > 0.5]  # a margin
    y = (z > 0).long()
    fit = lib.perceptron(X, y, max_epochs=1000)
    assert fit.converged
    assert (lib.neuron(X, fit.w, fit.b) == y).all()
    assert sum(fit.mistakes) <= lib.perceptron_bound(X, y, w, b) < math.inf
    assert fit.mistakes[-1] == 0


def test_bound_of_a_hand_made_case():
    X, y = torch.tensor([[3.0], [-3.0]]), torch.tensor([1, 0])
    # u = (1, 0): every distance is 3, the longest input (3, 1) has R² = 10
    assert lib.perceptron_bound(X, y, torch.tensor([2.0]), 0.0) == pytest.approx(10 / 9)


def test_bound_is_infinite_without_a_separating_plane():
    X, y = data.xor(device="cpu")
    assert lib.perceptron_bound(X, y, torch.ones(2), -0.5) == math.inf


def test_perceptron_never_learns_xor():
    fit = lib.perceptron(*data.xor(device="cpu"), max_epochs=200)
    assert not fit.converged
    assert min(fit.mistakes) > 0


def test_linear_regression_equals_lstsq_also_with_repeated_features():
    X = torch.randn(50, 3, dtype=torch.float64)
    X = torch.cat([X, X[:, :1]], 1)  # the first feature twice
    y = torch.randn(50, dtype=torch.float64)
    w, b = lib.linear_regression(X, y)
    ones = torch.ones(50, 1, dtype=torch.float64)
    full = torch.linalg.lstsq(torch.cat([X, ones], 1), y, driver="gelsd").solution
    torch.testing.assert_close(X @ w + b, torch.cat([X, ones], 1) @ full)
    assert w[0] == pytest.approx(w[3].item())  # the smallest of all solutions shares evenly


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_logistic_loss_and_gradient_equal_torch(l2):
    X, y = data.clouds(64, seed=5, device="cpu", dtype=torch.float64)
    y = y.double()
    w = torch.randn(2, dtype=torch.float64).requires_grad_()
    b = torch.randn((), dtype=torch.float64).requires_grad_()
    theirs = F.binary_cross_entropy_with_logits(X @ w + b, y) + l2 / 2 * w.square().sum()
    torch.testing.assert_close(lib.logistic_loss(X, y, w, b, l2), theirs)
    by_torch = torch.autograd.grad(theirs, (w, b))
    torch.testing.assert_close(lib.logistic_gradient(X, y, w, b, l2), by_torch)


def test_logistic_loss_is_stable_at_extreme_logits():
    X = torch.tensor([[1e4], [-1e4]])
    loss = lib.logistic_loss(X, torch.tensor([0.0, 1.0]), torch.ones(1), 0.0)
    assert loss.item() == 1e4


def test_logistic_regression_reaches_scikit_learns_optimum():
    from sklearn.linear_model import LogisticRegression

    d = data.standardize(data.load("breast_cancer", device="cpu", dtype=torch.float64))
    y = d.y_train.double()
    w, b, losses = lib.logistic_regression(d.X_train, y, lr=0.5, steps=10_000, l2=1 / len(y))
    sk = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(
        d.X_train.numpy(), d.y_train.numpy()
    )
    torch.testing.assert_close(w, torch.tensor(sk.coef_[0]), rtol=0, atol=1e-5)
    assert b.item() == pytest.approx(sk.intercept_[0], abs=1e-5)
    assert losses[:1000] == sorted(losses[:1000], reverse=True)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: lib.perceptron(torch.zeros(3, 2), torch.tensor([0, 1, -1])), "map -1 to 0"),
        (
            lambda: lib.logistic_regression(torch.zeros(2, 1), torch.tensor([1, 2]), steps=0),
            r"got \[1, 2\]$",
        ),
        (lambda: lib.logistic_regression(torch.zeros(0, 1), torch.zeros(0)), "B >= 1"),
        (lambda: lib.perceptron(torch.zeros(3, 2), torch.zeros(2)), r"got \(3, 2\) and \(2,\)"),
        (lambda: lib.linear_regression(torch.zeros(0, 2), torch.zeros(0)), "B >= 1"),
        (
            lambda: lib.logistic_regression(torch.zeros(2, 1), torch.tensor([0, 1]), lr=0.0),
            "expected lr > 0 and steps >= 0, got 0.0",
        ),
    ],
)
def test_bad_input_gets_a_clear_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: lib.neuron([1.0], torch.ones(1), 0.0), "x and w must be tensors, got list"),
        (lambda: lib.neuron(torch.ones(1), torch.ones(1), 0.0, "relu"), "such as sigmoid"),
        (lambda: lib.perceptron(np.zeros((2, 1)), torch.tensor([0, 1])), "got ndarray and Tensor"),
        (lambda: lib.linear_regression(torch.ones(2, 1).long(), torch.ones(2)), "try X.float"),
    ],
)
def test_other_types_get_a_clear_error(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_divergence_names_the_step():
    X = torch.tensor([[1e20], [-1e20]])
    with pytest.raises(FloatingPointError, match=r"at step \d+; standardize X or lower lr"):
        lib.logistic_regression(X, torch.tensor([0, 1]), lr=1e30, steps=5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_gives_the_cpus_numbers():
    X, y = data.clouds(64, device="cpu")
    on_cpu = lib.logistic_regression(X, y, steps=50)
    on_gpu = lib.logistic_regression(X.cuda(), y.cuda(), steps=50)
    torch.testing.assert_close(on_gpu[0].cpu(), on_cpu[0], rtol=1e-4, atol=1e-5)
    assert lib.perceptron(X.cuda(), y.cuda()).mistakes == lib.perceptron(X, y).mistakes
