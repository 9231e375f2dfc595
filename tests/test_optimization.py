"""course_lib.optimization against torch.optim, torch's schedulers and clipping, closed forms."""

import itertools
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import optimization as lib
from course_lib.training import fit

T = torch.optim
CASES = {
    "SGD": (partial(lib.SGD, lr=1e-3), partial(T.SGD, lr=1e-3)),
    "Momentum": (
        partial(lib.Momentum, lr=1e-3, momentum=0.9),
        partial(T.SGD, lr=1e-3, momentum=0.9),
    ),
    "Momentum, dampened": (
        partial(lib.Momentum, lr=1e-3, momentum=0.8, dampening=0.4),
        partial(T.SGD, lr=1e-3, momentum=0.8, dampening=0.4),
    ),
    "Nesterov": (
        partial(lib.Nesterov, lr=1e-3, momentum=0.9),
        partial(T.SGD, lr=1e-3, momentum=0.9, nesterov=True),
    ),
    "RMSProp": (
        # with larger steps it rattles about the floor of Rosenbrock's valley, and rounding decides
        partial(lib.RMSProp, lr=1e-3),
        partial(T.RMSprop, lr=1e-3),
    ),
    "RMSProp, short memory": (
        partial(lib.RMSProp, lr=3e-4, alpha=0.9),
        partial(T.RMSprop, lr=3e-4, alpha=0.9),
    ),
    "Adam": (partial(lib.Adam, lr=1e-2), partial(T.Adam, lr=1e-2)),
    "Adam, other betas": (
        partial(lib.Adam, lr=1e-2, betas=(0.5, 0.9), eps=1e-3),
        partial(T.Adam, lr=1e-2, betas=(0.5, 0.9), eps=1e-3),
    ),
    "AdamW": (partial(lib.AdamW, lr=1e-2), partial(T.AdamW, lr=1e-2)),
}
DEFAULTS = {"Adam": (lib.Adam, T.Adam), "AdamW": (lib.AdamW, T.AdamW)}


def surface(f, seed):
    """A point on a surface, and its height as a function of nothing."""
    w = torch.tensor([-1.2, 1.0], dtype=torch.float64) + 0.1 * torch.randn(
        2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    w.requires_grad_()
    return [w], lambda t: f(w)


def network(seed):
    """A small network on mini-batches, whose last bias gets a gradient every third step only."""
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(20, 8, 3, generator=g, dtype=torch.float64)
    y = torch.randint(0, 4, (20, 8), generator=g)
    shapes = ((3, 5), (5,), (5, 4), (4,))
    params = [torch.randn(s, generator=g, dtype=torch.float64).requires_grad_() for s in shapes]
    W1, b1, W2, b2 = params

    def loss(t):
        logits = torch.tanh(X[t % 20] @ W1 + b1) @ W2
        return F.cross_entropy(logits + b2 if t % 3 == 0 else logits, y[t % 20])

    return params, loss


PROBLEMS = {
    "valley": partial(surface, lib.valley),
    "Rosenbrock": partial(surface, lib.rosenbrock),
    "saddle": partial(surface, lib.saddle),
    "network": network,
}


def trained(problem, make, seed, steps=200):
    params, loss = PROBLEMS[problem](seed)
    optimizer = make(params)
    for t in range(steps):
        optimizer.zero_grad()
        loss(t).backward()
        optimizer.step()
    return [p.detach() for p in params]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", CASES)
def test_optimizer_equals_torch_over_200_steps(name, problem, weight_decay):
    for seed in range(2):
        ours, theirs = (
            trained(problem, partial(make, weight_decay=weight_decay), seed) for make in CASES[name]
        )
        assert all(p.isfinite().all() for p in theirs)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_settings_are_torchs(name):
    torch.testing.assert_close(*(trained("network", make, 0) for make in DEFAULTS[name]))


def test_a_changed_learning_rate_acts_at_the_next_step():
    w = torch.ones(1, requires_grad=True)
    optimizer = lib.SGD([w], lr=0.5)
    for lr, wanted in ((0.5, 0.5), (0.1, 0.4)):
        optimizer.lr, w.grad = lr, torch.ones(1)
        optimizer.step()
        assert w.item() == pytest.approx(wanted)


@pytest.mark.parametrize("name", lib.OPTIMIZERS)
def test_a_batch_of_settings_trains_as_each_alone(name):
    lrs = torch.tensor([0.001, 0.002, 0.003], dtype=torch.float64)
    start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    make = lib.OPTIMIZERS[name]
    batch = lib.descend(lib.rosenbrock, start.repeat(3, 1), partial(make, lr=lrs[:, None]), 50)
    for k, lr in enumerate(lrs.tolist()):
        alone = lib.descend(lib.rosenbrock, start, partial(make, lr=lr), 50)
        torch.testing.assert_close(batch[:, k], alone)


def test_decay_in_the_gradient_and_beside_it_are_the_same_for_sgd_only():
    w = torch.tensor([3.0, -0.01], dtype=torch.float64)
    g = torch.tensor([0.2, 5.0], dtype=torch.float64)

    def after(make):
        p = w.clone().requires_grad_()
        p.grad = g.clone()
        make([p]).step()
        return p.detach()

    coupled = after(partial(lib.SGD, lr=0.1, weight_decay=0.5))
    torch.testing.assert_close(coupled, (1 - 0.1 * 0.5) * w - 0.1 * g)
    adam, adamw = (after(partial(m, lr=0.1, weight_decay=0.5)) for m in (lib.Adam, lib.AdamW))
    torch.testing.assert_close(adamw, (1 - 0.1 * 0.5) * w - 0.1 * g.sign())
    assert not torch.allclose(adam, adamw, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_descent_rate_is_the_spectral_radius_and_what_is_measured(seed):
    g = torch.Generator().manual_seed(seed)
    lam = 0.1 + 5 * torch.rand(4, generator=g, dtype=torch.float64)
    lr, beta = 0.3 * torch.rand((), generator=g).item(), 0.9 * torch.rand((), generator=g).item()
    rate = lib.descent_rate(lr, lam, beta)
    radius = [
        torch.linalg.eigvals(torch.tensor([[1 + beta - lr * a, -beta], [1, 0]])).abs().max()
        for a in lam.tolist()
    ]
    assert rate == pytest.approx(max(radius).item(), rel=1e-5)
    make = partial(lib.Momentum, lr=lr, momentum=beta)
    path = lib.descend(lambda w: (lam * w * w).sum() / 2, torch.ones(4).double(), make, 600)
    length = path.norm(dim=1)
    assert (length[600] / length[300]) ** (1 / 300) == pytest.approx(rate, rel=0.02)


def test_the_limit_of_the_learning_rate():
    lam = torch.tensor([0.5, 4.0])
    assert lib.descent_rate(0.499, lam) < 1 < lib.descent_rate(0.501, lam)


@pytest.mark.parametrize("kappa", [1.0, 4.0, 100.0])
def test_best_settings_beat_a_grid_and_have_the_known_rate(kappa):
    lam = torch.tensor([0.7, 0.7 * kappa], dtype=torch.float64)
    lr, beta = lib.best_settings(lam)
    root = math.sqrt(kappa)
    best = lib.descent_rate(lr, lam)
    assert beta == 0 and best == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-9)
    lr_ball, beta = lib.best_settings(lam, heavy_ball=True)
    best_ball = lib.descent_rate(lr_ball, lam, beta)
    assert best_ball == pytest.approx((root - 1) / (root + 1), abs=1e-4)
    for s, b in itertools.product(torch.linspace(0.02, 3, 50).tolist(), torch.arange(0, 1, 0.05)):
        assert lib.descent_rate(s * lr, lam) >= best - 1e-9
        assert lib.descent_rate(s * lr_ball, lam, b.item()) >= best_ball - 1e-4


def test_minima_of_the_surfaces():
    for f, at in ((lib.valley, (0, 0)), (lib.rosenbrock, (1, 1)), (lib.saddle, (0, -1))):
        w = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        f(w).backward()
        assert f(w).item() == 0 and w.grad.abs().max() == 0
    origin = torch.zeros(2, dtype=torch.float64)
    turned = torch.autograd.functional.hessian(lib.tilted_valley, origin)
    along = torch.tensor([3**0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.eigvalsh(turned), torch.tensor([1.0, 100.0]).double())
    torch.testing.assert_close(turned @ along, along)
    hessian = torch.autograd.functional.hessian(lib.saddle, origin)
    assert torch.equal(hessian, torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64))


# Schedules


def by_torch(make, steps):
    """The learning rates that a scheduler of torch sets, from 1."""
    optimizer = T.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


S = T.lr_scheduler
N = 101  # 0, 0.01, ... 1
SCHEDULES = {
    "constant": (lib.constant, partial(S.LambdaLR, lr_lambda=lambda t: 1.0)),
    "staircase": (
        partial(lib.staircase, stairs=4, factor=0.5),
        partial(S.MultiStepLR, milestones=[25, 50, 75], gamma=0.5),
    ),
    "cosine": (lib.cosine, partial(S.CosineAnnealingLR, T_max=N - 1)),
    "cosine to a floor": (
        partial(lib.cosine, floor=0.2),
        partial(S.CosineAnnealingLR, T_max=N - 1, eta_min=0.2),
    ),
    "warm-up and cosine": (
        partial(lib.warmup_cosine, warmup=0.2),
        lambda o: S.SequentialLR(
            o,
            [S.LambdaLR(o, lambda t: t / 20), S.CosineAnnealingLR(o, T_max=80)],
            milestones=[20],
        ),
    ),
    "one cycle": (
        partial(lib.one_cycle, warmup=0.3),
        partial(S.OneCycleLR, max_lr=1.0, total_steps=N, pct_start=31 / N),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_equals_torchs(name):
    ours, theirs = SCHEDULES[name]
    came = [ours(t / (N - 1)) for t in range(N)]
    assert came == pytest.approx(by_torch(theirs, N), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_0_and_1(name):
    factors = [SCHEDULES[name][0](i / 1000) for i in range(1001)]
    assert min(factors) >= 0 and max(factors) == pytest.approx(1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_fit_follows_a_schedule(name):
    schedule = SCHEDULES[name][0]
    data = torch.ones(40, 1), torch.ones(40, 1)
    history = fit(
        nn.Linear(1, 1), F.mse_loss, data, epochs=5, batch_size=10, lr=0.1,
        optimizer=T.SGD, schedule=schedule, device="cpu",
    )  # fmt: skip
    last = [0.1 * schedule((4 * epoch + 3) / 20) for epoch in range(5)]  # step of each epoch
    assert history["lr"] == pytest.approx(last)


# Clipping


def two_of_each(seed, scale):
    g = torch.Generator().manual_seed(seed)
    shapes = ((3, 4), (4,), ())
    grads = [scale * torch.randn(s, generator=g, dtype=torch.float64) for s in shapes]
    pair = []
    for _ in range(2):
        params = [torch.zeros_like(grad, requires_grad=True) for grad in grads]
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad.clone()
        pair.append([*params, torch.zeros(2, requires_grad=True)])  # one without a gradient
    return pair


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_clipping_equals_torchs(seed, scale):
    for ours, theirs in (
        (lib.clip_norm, nn.utils.clip_grad_norm_),
        (lib.clip_value, nn.utils.clip_grad_value_),
    ):
        one, two = two_of_each(seed, scale)
        torch.testing.assert_close(ours(one, 0.5), theirs(two, 0.5))
        for p, q in zip(one[:-1], two[:-1], strict=True):
            torch.testing.assert_close(p.grad, q.grad)
        assert one[-1].grad is None


# Landscapes


def test_a_direction_is_as_long_as_each_neuron():
    layer = nn.Linear(5, 3, dtype=torch.float64)
    W, b = lib.random_direction(list(layer.parameters()), seed=0)
    torch.testing.assert_close(W.norm(dim=1), layer.weight.detach().norm(dim=1))
    assert (b == 0).all()
    assert not torch.equal(W, lib.random_direction(list(layer.parameters()), seed=1)[0])


def test_landscape_of_a_quadratic_and_back_home():
    w = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    axes = [[torch.tensor([1.0, 0.0]).double()], [torch.tensor([0.0, 1.0]).double()]]
    ticks = torch.tensor([-1.0, 0.0, 2.0])
    losses = lib.landscape(lambda: (w * w).sum(), [w], axes, ticks)
    wanted = (1 + ticks[:, None].double()) ** 2 + (2 + ticks[None].double()) ** 2
    torch.testing.assert_close(losses, wanted)
    assert w.tolist() == [1.0, 2.0] and w.requires_grad


# Search


def test_grid_and_random_settings_fill_their_ranges():
    space = {"lr": (1e-4, 1.0), "momentum": (0.1, 0.9)}
    grid = lib.grid_settings(space, 3)
    assert len(grid) == 9 and len({s["lr"] for s in grid}) == 3
    assert {round(math.log10(s["lr"])) for s in grid} == {-4, -2, 0}
    drawn = lib.random_settings(space, 1000, seed=0)
    assert len({s["lr"] for s in drawn}) == 1000
    assert all(space[k][0] <= v <= space[k][1] for s in drawn for k, v in s.items())
    logs = torch.tensor([math.log10(s["lr"]) for s in drawn])
    assert logs.mean().item() == pytest.approx(-2, abs=0.15)
    assert drawn[:3] == lib.random_settings(space, 1000, seed=0)[:3]


def test_halving_keeps_a_third_and_gives_it_three_times_the_steps():
    calls = []

    def losses_after(settings, steps):
        calls.append((len(settings), steps))
        return [math.nan if s["k"] == 0 else abs(s["k"] - 11) for s in settings]

    best = lib.successive_halving([{"k": k} for k in range(27)], losses_after, 4)
    assert best == {"k": 11}
    assert calls == [(27, 4), (9, 12), (3, 36)]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda w: lib.SGD([], lr=0.1), "a list of tensors"),
        (lambda w: lib.SGD([w], lr=0.0), "lr must be > 0, got 0.0"),
        (lambda w: lib.Adam([w], lr=math.nan), "lr must be > 0, got nan"),
        (lambda w: lib.Momentum([w], 0.1, momentum=1.0), "momentum must be >= 0 and < 1, got 1.0"),
        (lambda w: lib.Adam([w], betas=(0.9, 1.5)), "beta2 must be >= 0 and < 1, got 1.5"),
        (lambda w: lib.AdamW([w], weight_decay=-1.0), "weight_decay must be >= 0, got -1.0"),
        (lambda w: lib.clip_norm([w], 1.0), "call loss.backward"),
        (lambda w: lib.clip_norm([w], 0.0), "limit must be > 0"),
        (lambda w: lib.descent_rate(0.1, torch.tensor([-1.0])), "eigenvalues must be > 0"),
        (lambda w: lib.successive_halving([], None, 1), "got 0 settings, keep 3"),
    ],
)
def test_bad_input_gets_a_clear_error(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, requires_grad=True))
