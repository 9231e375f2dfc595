"""course_lib.gan against torch, closed forms, loops, finite differences and steps by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import gan as lib

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
seeds = pytest.mark.parametrize("seed", range(3))
devices = pytest.mark.parametrize("device", DEVICES)
bce = F.binary_cross_entropy_with_logits


def draw(seed, *shape):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def grad(y, x):
    return torch.autograd.grad(y, x)[0]


# The losses


@devices
@pytest.mark.parametrize("size", [1.0, 40.0, 5000.0])
@seeds
def test_losses_and_slopes_equal_torchs_cross_entropy(seed, size, device):
    real, fake = (size * draw(seed, 2, 9)).to(device).requires_grad_().unbind()
    one = torch.ones_like(real)
    for name in ("minimax", "non-saturating"):
        ours, theirs = lib.discriminator_loss(real, fake, name), bce(real, one) + bce(fake, 0 * one)
        torch.testing.assert_close(ours, theirs)
        for x in (real, fake):
            torch.testing.assert_close(
                *(torch.autograd.grad(f, x, retain_graph=True)[0] for f in (ours, theirs))
            )
    for name, theirs in (("minimax", -bce(fake, 0 * one)), ("non-saturating", bce(fake, one))):
        ours = lib.generator_loss(fake, name)
        torch.testing.assert_close(ours, theirs)
        slopes = [torch.autograd.grad(f, fake, retain_graph=True)[0] for f in (ours, theirs)]
        torch.testing.assert_close(*slopes)
        assert slopes[0].isfinite().all()
    torch.testing.assert_close(
        lib.discriminator_loss(real, fake, "wasserstein"), -(real - fake).mean()
    )
    assert lib.generator_loss(fake, "wasserstein") == -fake.mean()


def test_slopes_by_the_logit():
    logit = torch.tensor([-30.0, -2.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    sigma = 1 / (1 + (-logit.detach()).exp())
    for name, wanted in (("minimax", -sigma), ("non-saturating", sigma - 1)):
        torch.testing.assert_close(grad(lib.generator_loss(logit, name) * 4, logit), wanted)


def test_an_unknown_loss_is_named():
    x = torch.zeros(2)
    calls = (
        lambda: lib.generator_loss(x, "hinge"),
        lambda: lib.discriminator_loss(x, x, "hinge"),
        lambda: lib.play(None, None, x, steps=1, loss="hinge"),
    )
    for call in calls:
        with pytest.raises(ValueError, match="minimax, non-saturating, wasserstein, got 'hinge'"):
            call()


# The gradient penalty


@devices
@pytest.mark.parametrize("shape", [(5, 3), (4, 1, 2, 3)])
@seeds
def test_the_penalty_of_a_linear_critic_is_known(seed, shape, device):
    w = draw(seed, *shape[1:]).to(device).requires_grad_()
    real, fake = draw(seed + 1, 2, *shape).to(device)
    penalty = lib.gradient_penalty(lambda x: (x * w).flatten(1).sum(1), real, fake)
    torch.testing.assert_close(penalty, (w.norm() - 1) ** 2)  # one slope everywhere
    torch.testing.assert_close(grad(penalty, w), (2 * (1 - 1 / w.norm()) * w).detach())


@seeds
def test_the_penalty_looks_between_and_is_differentiated_twice(seed):
    real, fake, W = draw(seed, 6, 3), draw(seed + 1, 6, 3), draw(seed + 2, 3, 3).requires_grad_()

    def penalty(W):
        critic = lambda x: torch.tanh(x @ W).sum(1)
        return lib.gradient_penalty(critic, real, fake, torch.Generator().manual_seed(seed))

    assert torch.autograd.gradcheck(penalty, W)
    t = torch.rand(6, generator=torch.Generator().manual_seed(seed))  # float32, as the library
    x = t[:, None] * real + (1 - t[:, None]) * fake
    slope = ((1 - torch.tanh(x @ W) ** 2) @ W.T).norm(dim=1)
    torch.testing.assert_close(penalty(W), ((slope - 1) ** 2).mean())


def test_the_penalty_moves_neither_data_nor_samples():
    real, fake = draw(0, 4, 3).requires_grad_(), draw(1, 4, 3).requires_grad_()
    w = torch.ones(3, dtype=torch.float64, requires_grad=True)
    lib.gradient_penalty(lambda x: (x @ w) ** 2, real, fake).backward()
    assert w.grad is not None and real.grad is None and fake.grad is None
    with pytest.raises(ValueError, match=r"one shape, got \(4, 3\) and \(3, 3\)"):
        lib.gradient_penalty(lambda x: x.sum(1), real, fake[:3])


# The networks


@devices
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (12, 3)])
def test_shapes_of_the_networks_for_pictures(side, channels, classes, device):
    settings = {"side": side, "width": 4, "channels": channels, "classes": classes}
    G = lib.Generator(latent=5, **settings, device=device)
    z = torch.randn(7, 5, device=device)
    y = (torch.arange(7, device=device) % 3,) if classes else ()
    x = G(z, *y)
    assert x.shape == (7, channels, side, side) and x.abs().max() <= 1
    for norm in ("batch", "spectral", "none"):
        assert lib.Discriminator(**settings, norm=norm, device=device)(x, *y).shape == (7,)


@pytest.mark.parametrize("norm", ["spectral", "none"])
def test_networks_listen_to_the_class(norm):
    torch.manual_seed(0)
    G = lib.Generator(4, 8, 4, classes=2, device="cpu").eval()
    D = lib.Discriminator(8, 4, classes=2, norm=norm, device="cpu").eval()
    z = torch.randn(3, 4)
    one, other = (torch.full((3,), k) for k in (0, 1))
    assert not torch.allclose(G(z, one), G(z, other))
    x = G(z, one).detach()
    assert not torch.equal(D(x, one), D(x, other))
    by_row = torch.cat([D(x[k : k + 1], one[:1]) for k in range(3)])
    torch.testing.assert_close(D(x, one), by_row)  # no row sees another


def test_a_spectral_discriminator_stretches_no_layer():
    torch.manual_seed(0)
    D = lib.Discriminator(8, 4, norm="spectral", device="cpu")
    for _ in range(100):
        D(torch.randn(2, 1, 8, 8))
    for k in (0, 2, 6):
        norm = torch.linalg.matrix_norm(D.net[k].weight.flatten(1), 2)
        assert norm.item() == pytest.approx(1, abs=1e-3)


def test_networks_name_what_they_cannot_do():
    with pytest.raises(ValueError, match="a multiple of 4, got 10; pad"):
        lib.Generator(side=10)
    with pytest.raises(ValueError, match="a multiple of 4, got 2"):
        lib.Discriminator(side=2)
    with pytest.raises(ValueError, match="batch, spectral or none, got 'layer'"):
        lib.Discriminator(norm="layer")


# The game


def points(seed=0, spectral=False):
    torch.manual_seed(seed)
    G = lib.PointGenerator(2, 8, device="cpu")
    return G, lib.PointDiscriminator(2, 8, spectral=spectral, device="cpu")


def weights(net):
    return torch.cat([w.detach().flatten() for w in net.parameters()])


@pytest.mark.parametrize("loss", lib.LOSSES)
@pytest.mark.parametrize(("rounds", "penalty"), [(1, 0.0), (3, 0.0), (2, 4.0)])
def test_a_game_equals_its_steps_by_hand(loss, rounds, penalty):
    X = draw(5, 40, 2).float()
    (G, D), (G_2, D_2) = points(), points()
    told = lib.play(G, D, X, steps=3, loss=loss, rounds=rounds, penalty=penalty, batch=8, lr=0.01,
                    lr_D=0.02, seed=7, progress=False)  # fmt: skip
    g = torch.Generator().manual_seed(7)
    opt_G = torch.optim.Adam(G_2.parameters(), 0.01, (0.5, 0.999))
    opt_D = torch.optim.Adam(D_2.parameters(), 0.02, (0.5, 0.999))
    log = torch.nn.functional.logsigmoid
    for step in range(3):
        for _ in range(rounds):
            real = X[torch.randint(40, (8,), generator=g)]
            fake = G_2(torch.randn(8, 2, generator=g)).detach()
            a, b = D_2(real), D_2(fake)
            value = (b - a).mean() if loss == "wasserstein" else -(log(a) + log(-b)).mean()
            if penalty:
                t = torch.rand(8, generator=g)[:, None]
                x = (t * real + (1 - t) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(D_2(x).sum(), x, create_graph=True)
                value = value + penalty * ((slope.norm(dim=1) - 1) ** 2).mean()
            opt_D.zero_grad()
            value.backward()
            opt_D.step()
        torch.randint(40, (8,), generator=g)
        b = D_2(G_2(torch.randn(8, 2, generator=g)))
        own = {"minimax": log(-b), "non-saturating": -log(b), "wasserstein": -b}[loss].mean()
        opt_G.zero_grad()
        own.backward()
        opt_G.step()
        assert told["D"][step] == pytest.approx(value.item(), rel=1e-4, abs=1e-5)
        assert told["G"][step] == pytest.approx(own.item(), rel=1e-4, abs=1e-5)
    # Adam's first steps have the size of lr whatever the slope: rounding shows more than usual
    torch.testing.assert_close(weights(G), weights(G_2), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(weights(D), weights(D_2), rtol=1e-3, atol=1e-4)


def test_each_players_step_leaves_the_other_alone():
    X = draw(0, 20, 2).float()
    G, D = points()
    watched = {"G": [], "D": []}
    before = G.forward, weights(G)

    def counting(z):  # called before every step: D's first, G's last
        watched["G"].append(weights(G))
        watched["D"].append(weights(D))
        return before[0](z)

    G.forward = counting
    lib.play(G, D, X, steps=1, rounds=3, batch=4, progress=False)
    assert all(torch.equal(w, before[1]) for w in watched["G"])  # D's three steps: G stood still
    assert not any(torch.equal(a, b) for a, b in zip(watched["D"], watched["D"][1:], strict=False))
    assert torch.equal(weights(D), watched["D"][-1])  # G's step: D stood still
    assert not torch.equal(weights(G), before[1])


def test_one_seed_is_one_game_and_nobody_elses_numbers_are_drawn():
    X, ends = draw(0, 30, 2).float(), []
    for seed in (1, 1, 2):
        G, D = points()
        state = torch.random.get_rng_state()
        lib.play(G, D, X, steps=3, penalty=1.0, seed=seed, batch=8, progress=False)
        assert torch.equal(state, torch.random.get_rng_state())
        ends.append(weights(G))
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


@devices
def test_a_game_of_classes_on_a_device(device):
    torch.manual_seed(0)
    settings = {"side": 8, "width": 4, "classes": 3, "device": device}
    G, D = lib.Generator(4, **settings), lib.Discriminator(**settings, norm="none")
    X, y = torch.rand(12, 1, 8, 8, device=device), torch.arange(12, device=device) % 3
    steps = []
    told = lib.play(G, D, X, y=y, steps=2, batch=6, loss="wasserstein", penalty=10.0,
                    watch=steps.append, progress=False)  # fmt: skip
    assert steps == [1, 2] and all(math.isfinite(v) for v in told["D"] + told["G"])
    with pytest.raises(ValueError, match="at least 1, got 0, 64 and 1"):
        lib.play(G, D, X, steps=0)


# How samples are judged


@pytest.mark.parametrize("D", [1, 2, 5])
@seeds
def test_the_distance_of_axis_aligned_clouds_is_known(seed, D):
    a, b = draw(seed, 300, D), draw(seed + 10, 200, D)
    a, b = (torch.linalg.qr(x - x.mean(0)).Q for x in (a, b))  # mean 0, uncorrelated
    s, t, move = draw(3, D).abs() + 0.1, draw(4, D).abs() + 0.1, draw(5, D)
    a, b = a * 299**0.5 * s, b * 199**0.5 * t + move  # standard deviations s and t
    wanted = (move.square().sum() + (s - t).square().sum()).item()
    assert lib.frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)


@seeds
def test_the_distance_of_any_two_clouds_by_the_root_of_the_product(seed):
    a, b = draw(seed, 90, 4) @ draw(seed + 1, 4, 4), draw(seed + 2, 70, 4) @ draw(seed + 3, 4, 4)
    A, B = a.T.cov(), b.T.cov()
    values, vectors = torch.linalg.eig(A @ B)  # not symmetric
    root = (vectors @ values.sqrt().diag() @ torch.linalg.inv(vectors)).real
    torch.testing.assert_close(root @ root, A @ B)
    wanted = (a.mean(0) - b.mean(0)).square().sum() + (A + B - 2 * root).trace()
    assert lib.frechet_distance(a, b) == pytest.approx(wanted.item(), rel=1e-6)
    assert lib.frechet_distance(b, a) == pytest.approx(wanted.item(), rel=1e-6)
    assert lib.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_the_distance_with_fewer_rows_than_features():
    a, b = draw(0, 6, 20), draw(1, 7, 20)
    assert 0 < lib.frechet_distance(a, b) < math.inf
    assert lib.frechet_distance(a, a[torch.randperm(6)]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("D", [1, 5, 20])
def test_the_bias_of_the_distance_falls_as_one_over_n(D):
    for N in (500, 2000):
        found = [lib.frechet_distance(*draw(k, 2, N, D)) for k in range(60)]
        wanted = (2 * D + D * (D + 1) / 2) / N
        assert sum(found) / 60 == pytest.approx(wanted, rel=0.35 if D == 1 else 0.12)


@pytest.mark.parametrize("k", [1, 3])
@seeds
def test_precision_and_recall_equal_a_loop(seed, k):
    real, fake = draw(seed, 25, 2), 1.5 * draw(seed + 1, 18, 2)

    def among(x, those):
        reach = [sorted((p - q).norm().item() for q in those)[k] for p in those]
        hits = [any((a - p).norm() <= r for p, r in zip(those, reach, strict=True)) for a in x]
        return sum(hits) / len(x)

    came = lib.precision_recall(real, fake, k)
    assert came == pytest.approx((among(fake, real), among(real, fake)))


def test_features_that_do_not_fit_are_named():
    x = torch.zeros(5, 2)
    for call in (lib.frechet_distance, lib.precision_recall):
        with pytest.raises(ValueError, match=r"got \(5, 2\) and \(5, 3\)"):
            call(x, torch.zeros(5, 3))
    with pytest.raises(ValueError, match="at least 2 rows each"):
        lib.frechet_distance(x, x[:1])
    with pytest.raises(ValueError, match="at least 6 rows each"):
        lib.precision_recall(x, x, k=5)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        lib.precision_recall(x, x, k=0)


# On a line


def bell(mean, sd, x):
    return torch.distributions.Normal(mean, sd).log_prob(x).exp()


def test_no_discriminator_beats_the_best():
    x = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    p, q = bell(-1.0, 0.7, x), bell(1.0, 1.0, x)
    D = lib.optimal_discriminator(p, q)
    value = lambda D: (p * D.log() + q * (1 - D).log()).sum() * 0.01
    assert value(D).item() == pytest.approx(
        -math.log(4) + 2 * lib.js_divergence(p, q, 0.01).item(), abs=1e-4
    )
    for seed in range(5):
        other = (torch.logit(D) + 0.3 * draw(seed, 1201)).sigmoid()
        assert value(other) < value(D)
    nowhere = torch.zeros(2)
    assert lib.optimal_discriminator(nowhere, nowhere).tolist() == [0.5, 0.5]


def test_the_divergence_from_equal_to_apart():
    p, q = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]), torch.tensor(
        [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.6, 0.3, 0.1]])  # fmt: skip
    m = (p + q)[2] / 2
    kl = [(a[2] * (a[2] / m).log()).sum().item() for a in (p, q)]
    came = lib.js_divergence(p, q)
    assert came.tolist() == pytest.approx([0, math.log(2), sum(kl) / 2], abs=1e-6)
    torch.testing.assert_close(came, lib.js_divergence(q, p))


@pytest.mark.parametrize("loss", lib.LOSSES)
def test_the_duel_writes_down_what_happens(loss):
    X, grid = 2 + 0.5 * draw(0, 200, 1).float(), torch.linspace(-4, 4, 41)
    at = [0, 1, 4]
    frames = lib.duel_1d(X, grid, at, samples=5, loss=loss, lr=0.05, seed=3)
    assert [f["step"] for f in frames] == at
    assert (frames[0]["mean"], frames[0]["sd"]) == (-2.0, 0.5)
    for f in frames:
        assert len(f["x"]) == len(f["arrow"]) == 5
        torch.testing.assert_close(f["p_model"], bell(f["mean"], f["sd"], grid))
    again = lib.duel_1d(X, grid, [4], samples=5, loss=loss, lr=0.05, seed=3)[0]
    assert all(torch.equal(torch.as_tensor(again[k]), torch.as_tensor(frames[2][k])) for k in again)


def test_an_arrow_is_minus_the_slope_of_a_samples_loss():
    X, grid = 2 + 0.5 * draw(0, 200, 1).float(), torch.linspace(-3, 3, 6001)
    for loss in ("minimax", "non-saturating"):
        (f,) = lib.duel_1d(X, grid, [3], samples=3, loss=loss, lr=0.05)
        D = f["D"].double()
        cost = (1 - D).log() if loss == "minimax" else -D.log()
        for x, arrow in zip(f["x"], f["arrow"], strict=True):
            k = int((grid - x).abs().argmin())
            slope = (cost[k + 50] - cost[k - 50]) / (grid[k + 50] - grid[k - 50])
            assert arrow.item() == pytest.approx(-slope.item(), rel=0.02, abs=1e-3)


# In the plane


def test_a_ring_has_its_modes():
    x = lib.ring(8000, modes=4, radius=3.0, sd=0.1, generator=torch.Generator().manual_seed(0))
    centres = lib.ring_centres(4, 3.0)
    torch.testing.assert_close(centres, torch.tensor([[3.0, 0], [0, 3], [-3, 0], [0, -3]]),
                               atol=1e-5, rtol=0)  # fmt: skip
    mode = torch.cdist(x, centres).argmin(1)
    for k in range(4):
        assert (mode == k).float().mean().item() == pytest.approx(0.25, abs=0.02)
        torch.testing.assert_close(x[mode == k].mean(0), centres[k], atol=0.01, rtol=0)
        torch.testing.assert_close(x[mode == k].std(0), torch.full((2,), 0.1), atol=0.01, rtol=0)
    modes, good = lib.modes_covered(x, centres, 0.1)
    assert modes == 4 and good == pytest.approx(1 - math.exp(-4.5), abs=0.005)


def test_modes_are_counted_by_good_samples():
    centres = lib.ring_centres(4, 2.0)
    x = torch.cat([centres[:1].expand(60, 2), centres[1:2].expand(38, 2) + 0.29, centres[2:3],
                   torch.zeros(1, 2)])  # fmt: skip
    # the second mode's samples lie 4.1 sd away; the third has 1 of 25, below a tenth
    assert lib.modes_covered(x, centres, 0.1) == (1, pytest.approx(0.61))
    assert lib.modes_covered(x, centres, 0.1, reach=5.0) == (2, pytest.approx(0.99))
    assert lib.modes_covered(x, centres, 0.1, least=0.04) == (2, pytest.approx(0.61))


@devices
def test_the_networks_for_points(device):
    torch.manual_seed(0)
    G = lib.PointGenerator(3, 8, features=4, device=device)
    x = G(torch.randn(6, 3, device=device))
    assert x.shape == (6, 4)
    for settings in ({}, {"batch_features": True}, {"spectral": True}):
        D = lib.PointDiscriminator(4, 8, **settings, device=device).eval()
        alone = torch.cat([D(x[k : k + 1]) for k in range(6)])
        assert D(x).shape == (6,)
        assert torch.allclose(D(x), alone) != settings.get("batch_features", False)


@seeds
def test_the_spread_of_a_batch_and_its_slope(seed):
    h = draw(seed, 5, 3).requires_grad_()
    out = lib.batch_spread(h)
    wanted = sum(h[:, d].std(correction=0) for d in range(3)) / 3
    assert torch.equal(out[:, :3], h)
    torch.testing.assert_close(out[:, 3], wanted.expand(5), rtol=1e-6, atol=1e-6)
    assert torch.autograd.gradcheck(lib.batch_spread, h)
    equal = torch.ones(4, 2, requires_grad=True)
    assert grad(lib.batch_spread(equal).sum(), equal).isfinite().all()


# The largest singular value, and the walk


@seeds
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 4), (4, 1)])
def test_power_iteration_finds_the_largest_singular_value_and_its_slope(shape, seed):
    W = draw(seed, *shape).requires_grad_()
    sigma, _ = lib.spectral_norm(W, draw(9, shape[1]), rounds=2000)
    wanted = torch.linalg.matrix_norm(W, 2)
    torch.testing.assert_close(sigma, wanted)
    torch.testing.assert_close(grad(sigma, W), grad(wanted, W), rtol=1e-4, atol=1e-5)


@seeds
def test_round_by_round_it_is_torchs(seed):
    torch.manual_seed(seed)
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6))
    hidden = layer.parametrizations.weight
    v = hidden[0]._v.clone()
    for _ in range(5):
        divided = layer.weight  # torch makes one round each time it is read
        sigma, v = lib.spectral_norm(hidden.original, v)
        torch.testing.assert_close(divided, hidden.original / sigma)
        torch.testing.assert_close(v, hidden[0]._v)
        out = draw(seed, 6, 4).float()
        torch.testing.assert_close(
            *(grad((w * out).sum(), hidden.original) for w in (divided, hidden.original / sigma))
        )


def test_power_iteration_checks_what_it_gets():
    with pytest.raises(ValueError, match=r"got \(2, 3\), \(2,\) and 1"):
        lib.spectral_norm(torch.zeros(2, 3), torch.ones(2))
    with pytest.raises(ValueError, match=r"and 0$"):
        lib.spectral_norm(torch.zeros(2, 3), torch.ones(3), rounds=0)


def test_the_walk_keeps_the_variance():
    a, b = draw(0, 2, 100_000)
    for t in (0.0, 0.25, 0.5, 1.0):
        assert lib.interpolate(a, b, t).var().item() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(lib.interpolate(a, b, 0.0), a)
    torch.testing.assert_close(lib.interpolate(a, b, 1.0), b, atol=1e-6, rtol=0)
