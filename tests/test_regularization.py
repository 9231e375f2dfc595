"""course_lib.regularization against torch, scikit-learn, finite differences and closed forms."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import data, training
from course_lib import regularization as lib
from course_lib.studies import regularization as study


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


# ---- linear models


@pytest.mark.parametrize("degree", [1, 2, 5, 20])
def test_polynomials_equal_numpys_legendre(degree):
    x = torch.linspace(-1, 1, 33, dtype=torch.float64)
    theirs = np.polynomial.legendre.legvander(x.numpy(), degree)[:, 1:]
    torch.testing.assert_close(lib.polynomial(x, degree), torch.tensor(theirs))


@pytest.mark.parametrize("l2", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("B, D", [(40, 5), (6, 9)])
def test_ridge_equals_scikit_learn(B, D, l2):
    from sklearn.linear_model import Ridge

    X, y = normal(B, D) + 2, normal(B, seed=1) + 5
    w, b = lib.ridge(X, y, l2)
    theirs = Ridge(alpha=l2 * B).fit(X.numpy(), y.numpy())  # their squared errors are summed
    torch.testing.assert_close(w, torch.tensor(theirs.coef_))
    assert b.item() == pytest.approx(theirs.intercept_)


@pytest.mark.parametrize("t", [0.0, 0.5, 2.0])
def test_soft_threshold_equals_torch_and_is_a_minimum(t):
    z = normal(50)
    w = lib.soft_threshold(z, t)
    torch.testing.assert_close(w, F.softshrink(z, t))
    cost = lambda w: (w - z).square() / 2 + t * w.abs()
    for step in (-1e-3, 1e-3):
        assert (cost(w) <= cost(w + step)).all()
    assert (w[z.abs() <= t] == 0).all()


@pytest.mark.parametrize("l1", [0.01, 0.1, 0.5])
def test_lasso_equals_scikit_learn(l1):
    from sklearn.linear_model import Lasso

    X, y = normal(60, 8) + 1, normal(60, seed=1)
    X[:, 1] = X[:, 0] + 0.3 * X[:, 1]  # two that are alike
    y = y + X @ normal(8, seed=2)
    w, b = lib.lasso(X, y, l1)
    theirs = Lasso(alpha=l1, tol=1e-12, max_iter=100_000).fit(X.numpy(), y.numpy())
    torch.testing.assert_close(w, torch.tensor(theirs.coef_), rtol=1e-6, atol=1e-8)
    assert ((w == 0) == torch.tensor(theirs.coef_ == 0)).all()
    assert b.item() == pytest.approx(theirs.intercept_)


def test_a_strong_enough_l1_leaves_nothing():
    X, y = normal(30, 4), normal(30, seed=1)
    X_c = X - X.mean(0)
    limit = (X_c.T @ (y - y.mean()) / 30).abs().max().item()
    assert (lib.lasso(X, y, limit * 1.001)[0] == 0).all()
    assert (lib.lasso(X, y, limit * 0.99)[0] != 0).any()


@pytest.mark.parametrize("B, N", [(10, 4), (4, 10), (6, 6)])
def test_least_norm_equals_the_pseudo_inverse(B, N):
    Phi, Y = normal(B, N), normal(B, 3, seed=1)
    torch.testing.assert_close(lib.least_norm(Phi, Y), torch.linalg.pinv(Phi) @ Y)


def test_least_norm_with_a_penalty_is_ridge_without_a_bias():
    Phi, Y = normal(7, 4), normal(7, 2, seed=1)
    A = Phi.T @ Phi / 7 + 0.3 * torch.eye(4)
    torch.testing.assert_close(lib.least_norm(Phi, Y, 0.3), torch.linalg.solve(A, Phi.T @ Y / 7))


def test_least_norm_is_where_gradient_descent_from_zero_arrives():
    Phi, Y = normal(4, 9), normal(4, 1, seed=1)
    V = torch.zeros(9, 1, dtype=torch.float64)
    for _ in range(20_000):
        V -= 0.05 * Phi.T @ (Phi @ V - Y)
    torch.testing.assert_close(lib.least_norm(Phi, Y), V)


def test_random_features_are_a_layer_with_relu():
    X, W = normal(5, 3), normal(3, 7, seed=1)
    torch.testing.assert_close(lib.random_features(X, W), torch.relu(F.linear(X, W.T)))


# ---- dropout


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_dropout_keeps_the_mean_and_has_the_variance_of_the_text(p):
    x = torch.full((200_000,), 3.0)
    out = lib.dropout(x, p, generator=generator())
    variance = 9 * p / (1 - p)
    assert out.mean().item() == pytest.approx(3, abs=5 * math.sqrt(variance / len(x)) + 1e-6)
    assert out.var().item() == pytest.approx(variance, rel=0.03, abs=1e-6)


def test_dropout_equals_torch_given_the_same_mask():
    x = normal(40, 5).float()
    out = lib.dropout(x, 0.4, generator=generator())
    kept = out != 0
    torch.testing.assert_close(out, torch.where(kept, x / 0.6, 0))
    assert 0.4 < kept.float().mean() < 0.8


def test_dropout_with_a_p_for_each_part():
    out = lib.dropout(torch.ones(2, 10_000), torch.tensor([[0.1], [0.8]]), generator=generator())
    assert (out == 0).float().mean(1).tolist() == pytest.approx([0.1, 0.8], abs=0.02)


def test_the_layer_does_nothing_in_evaluation():
    x, layer = torch.ones(100), lib.Dropout(0.5)
    assert (layer(x) == 0).any()
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_dropout_refuses_a_p_that_is_none(p):
    with pytest.raises(ValueError, match=rf"0 <= p < 1, got {p}"):
        lib.dropout(torch.ones(2), p)


# ---- norm layers


def pairs(D):
    return [
        (lib.BatchNorm(D, 0.2, 1e-3).double(), nn.BatchNorm1d(D, 1e-3, 0.2).double()),
        (lib.LayerNorm(D, 1e-3).double(), nn.LayerNorm(D, 1e-3).double()),
    ]


@pytest.mark.parametrize("kind", [0, 1], ids=["batch norm", "layer norm"])
@pytest.mark.parametrize("seed", range(3))
def test_norms_equal_torch_values_gradients_and_buffers(kind, seed):
    ours, theirs = pairs(5)[kind]
    with torch.no_grad():
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.copy_(normal(5, seed=seed + 10))
            b.copy_(a)
    for step, train in enumerate((True, True, False, True, False)):
        x = (3 * normal(8, 5, seed=100 * seed + step) + 1).requires_grad_()
        G = normal(8, 5, seed=7)
        found = []
        for layer in (ours, theirs):
            y = layer.train(train)(x)
            found.append([y, *torch.autograd.grad(y, [x, *layer.parameters()], G)])
        torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)
        for name, buffer in ours.named_buffers():
            torch.testing.assert_close(buffer, getattr(theirs, name), rtol=1e-12, atol=1e-12)


def test_layer_norm_takes_any_number_of_axes():
    ours, theirs = pairs(4)[1]
    x = normal(2, 3, 4)
    torch.testing.assert_close(ours(x), theirs(x))


def test_batch_norm_undoes_any_scale_and_shift_of_its_input():
    x, layer = normal(16, 3), lib.BatchNorm(3, eps=1e-12).double()
    torch.testing.assert_close(layer(x), layer(100 * x - 7), rtol=1e-6, atol=1e-6)


def test_batch_norm_refuses_one_row_and_other_shapes():
    layer = lib.BatchNorm(3)
    with pytest.raises(ValueError, match="one row has no variance"):
        layer(torch.ones(1, 3))
    assert layer.eval()(torch.ones(1, 3)).shape == (1, 3)
    with pytest.raises(ValueError, match=r"expected x \(B, 3\), got \(2, 4\)"):
        layer(torch.ones(2, 4))


# ---- label smoothing, stopping, folds


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.7])
def test_smooth_cross_entropy_equals_torch_with_its_gradient(eps):
    y = torch.arange(12) % 5
    logits = (30 * normal(12, 5)).requires_grad_()
    ours = lib.smooth_cross_entropy(logits, y, eps)
    theirs = F.cross_entropy(logits, y, label_smoothing=eps)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits)
    )


def test_smooth_cross_entropy_of_a_stack_with_an_eps_each():
    y, logits = torch.arange(4) % 3, normal(2, 4, 3)
    both = lib.smooth_cross_entropy(logits, y.expand(2, 4), torch.tensor([[0.1], [0.5]]))
    for k, eps in enumerate((0.1, 0.5)):
        torch.testing.assert_close(both[k], F.cross_entropy(logits[k], y, label_smoothing=eps))


@pytest.mark.parametrize(
    "losses, patience, wanted",
    [
        ([0.9, 0.5, 0.6, 0.7, 0.4], 2, (1, 3)),
        ([0.9, 0.5, 0.6, 0.7, 0.4], 3, (4, 4)),
        ([0.5, 0.5, 0.5, 0.1], 2, (0, 2)),  # an equal loss is no gain
        ([3.0, 2.0, 1.0], 1, (2, 2)),
        ([1.0], 1, (0, 0)),
    ],
)
def test_early_stop(losses, patience, wanted):
    assert lib.early_stop(losses, patience) == wanted


@pytest.mark.parametrize("n, k", [(10, 5), (11, 3), (4, 4)])
def test_folds_hold_out_every_row_once(n, k):
    folds = list(lib.k_folds(n, k, seed=3))
    assert len(folds) == k
    assert torch.cat([held for _, held in folds]).sort().values.tolist() == list(range(n))
    for train, held in folds:
        assert torch.cat([train, held]).sort().values.tolist() == list(range(n))
        assert len(held) in (n // k, n // k + 1)


# ---- augmentation


def digits():
    d = data.load("digits", device="cpu")
    return d.X_train / 16, d.y_train


def test_no_jitter_changes_nothing():
    X, _ = digits()
    torch.testing.assert_close(lib.jitter(X, 0.0), X, rtol=0, atol=1e-5)


def test_a_turn_by_a_right_angle_and_a_whole_shift_are_exact(monkeypatch):
    X, picture = digits()[0][:1], digits()[0][0].reshape(8, 8)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.ones(shape[0]))  # the limit
    turned = lib.jitter(X, 0.0, angle=90.0).reshape(8, 8)
    torch.testing.assert_close(turned, picture.rot90(), rtol=0, atol=1e-4)
    moved = lib.jitter(X, 1.0).reshape(8, 8)
    torch.testing.assert_close(moved[:-1, :-1], picture[1:, 1:], rtol=0, atol=1e-4)
    assert (moved[-1] == 0).all() and (moved[:, -1] == 0).all()  # nothing wraps around


def test_jitter_gives_each_picture_its_own_amounts():
    X = digits()[0][:1].expand(3, 50, -1)
    strength = torch.tensor([0.0, 0.5, 1.0])[:, None]
    out = lib.jitter(X, strength, 10 * strength, 0.1 * strength, generator())
    far = (out - X).abs().mean(-1)  # (3, 50)
    assert far[0].max() < 1e-5
    assert far[0].mean() < far[1].mean() < far[2].mean()
    assert far[1].std() > 0
    torch.testing.assert_close(
        out, lib.jitter(X, strength, 10 * strength, 0.1 * strength, generator())
    )


def test_jitter_and_dropout_work_in_fit():
    X, y = digits()
    net = nn.Sequential(nn.Linear(64, 16), lib.BatchNorm(16), nn.ReLU(), nn.Linear(16, 10))
    loss = partial(lib.smooth_cross_entropy, eps=0.1)
    kept = training.fit(net, loss, (X[:200], y[:200]), epochs=3, augment=lib.jitter, device="cpu")
    assert kept["train_loss"][-1] < kept["train_loss"][0]


# ---- errors


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: lib.polynomial(torch.zeros(2), 0), "degree must be at least 1, got 0"),
        (lambda: lib.ridge(torch.zeros(3, 2), torch.zeros(2), 1.0), r"got \(3, 2\) and \(2,\)"),
        (lambda: lib.ridge(torch.zeros(3, 2), torch.zeros(3), 0.0), "use course_lib.neuron"),
        (lambda: lib.lasso(torch.zeros(3, 2), torch.zeros(3), -1.0), "above 0, got -1.0"),
        (lambda: lib.early_stop([], 2), "patience >= 1"),
        (lambda: lib.early_stop([1.0], 0), "patience >= 1"),
        (lambda: next(lib.k_folds(3, 4)), "got k = 4 and n = 3"),
        (lambda: lib.jitter(torch.zeros(2, 10)), "10 numbers is no square picture"),
    ],
)
def test_bad_input_gets_a_clear_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- the study's stack of networks


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_a_stack_computes_what_single_networks_do(norm):
    nets = study.Networks((6, 5, 4), 3, norm, generator(), "cpu")
    with torch.no_grad():
        for p in nets.parameters:
            p.add_(0.1 * torch.randn(p.shape, generator=generator(1)))
    X, y = torch.randn(8, 6, generator=generator(2)), torch.arange(8) % 4
    layers = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
    singles = []
    for k in range(3):
        net = nn.Sequential(nn.Linear(6, 5), layers[norm](5), nn.ReLU(), nn.Linear(5, 4))
        net = net if norm != "none" else nn.Sequential(net[0], net[2], net[3])
        with torch.no_grad():
            net[0].weight.copy_(nets.weights[0][k].T)
            net[-1].weight.copy_(nets.weights[1][k].T)
            net[-1].bias.copy_(nets.biases[1][k, 0])
            if norm == "none":
                net[0].bias.copy_(nets.biases[0][k, 0])
            else:
                net[0].bias.zero_()
                net[1].weight.copy_(nets.scales[0][k, 0])
                net[1].bias.copy_(nets.biases[0][k, 0])
        singles.append(net)
    losses = torch.stack([F.cross_entropy(net(X), y) for net in singles])
    torch.testing.assert_close(nets.loss(X, y, True), losses)
    judged = torch.stack([F.cross_entropy(net.eval()(X), y) for net in singles])
    torch.testing.assert_close(nets.judge(X, y)[1], judged)


def test_the_stacks_adam_equals_torch():
    p = torch.randn(2, 3, 4, generator=generator())
    q = p[1].clone().requires_grad_()
    ours = study.Adam([p], torch.tensor([0.0, 0.01]))
    theirs = torch.optim.Adam([q], lr=0.01)
    for step in range(20):
        g = torch.randn(3, 4, generator=generator(step))
        ours.step((g.expand(2, 3, 4),))
        q.grad = g
        theirs.step()
    torch.testing.assert_close(p[1], q.detach(), rtol=1e-5, atol=1e-5)


def test_the_split_spoils_the_share_of_labels_it_says_and_no_test_label():
    clean, spoilt = (study.split_digits(3, 200, wrong, "cpu") for wrong in (0.0, 0.2))
    for part, (X, y) in clean.items():
        assert torch.equal(X, spoilt[part][0])
        share = (y != spoilt[part][1]).float().mean().item()
        assert share == 0 if part == "test" else 0.1 < share < 0.3
    assert sum(len(y) for _, y in clean.values()) == 1797
