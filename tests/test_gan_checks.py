"""Single exercises of chapter 12_gan: answers that the tests of every exercise do not try."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from masters import master, solutions
from torch import nn

from course_lib.checks.gan import (
    BEST_DISCRIMINATOR,
    DISCRIMINATOR_LOSS,
    EXERCISES,
    FRECHET_DISTANCE,
    GRADIENT_PENALTY,
    NEAREST,
    PRECISION_RECALL,
    SECOND,
    TRAIN_STEP,
    _drawn,
)
from course_lib.checks.values import difference, plain
from tools.notebooks import compose_exercise

SEEDS = range(20)


def test_a_loss_without_the_slopes_of_one_batch_is_not_paid_in_full():
    right = solutions("gan")["discriminator_loss"]
    for answer in (
        lambda real, fake: right(real, fake.detach()),
        lambda real, fake: right(real.detach(), fake),
        lambda real, fake: right(real, fake).item(),
    ):
        assert DISCRIMINATOR_LOSS.evaluate(answer).points == 3


def test_the_divergence_is_right_where_a_density_is_rare_but_not_absent():
    """In float32, 1 - D is 0 where the model is rarer than 1e-8."""
    x = torch.arange(-10.0, 20.0, 0.01)
    p, q = (torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, 8))
    for answer in (solutions("gan")["best_discriminator"], BEST_DISCRIMINATOR.reference):
        assert float(answer(p, q, 0.01)[1]) == pytest.approx(math.log(2), abs=1e-3)


def test_the_densities_of_every_case_sum_to_one():
    for seed in SEEDS:
        for p, q, dx in itertools.chain(*BEST_DISCRIMINATOR.cases(seed)):
            assert float(p.sum() * dx) == pytest.approx(1, abs=1e-6)
            assert float(q.sum() * dx) == pytest.approx(1, abs=1e-6)


def round_by_torch(G, D, opt_G, opt_D, real, z, detached=True, clear_after=False):
    fake = G(z)
    if not clear_after:
        opt_D.zero_grad()
    loss_D = F.softplus(-D(real)).mean()
    loss_D = loss_D + F.softplus(D(fake.detach() if detached else G(z))).mean()
    loss_D.backward()
    opt_D.step()
    if clear_after:
        opt_D.zero_grad()
    opt_G.zero_grad()
    loss_G = F.softplus(-D(fake)).mean()
    loss_G.backward()
    opt_G.step()
    return loss_D, loss_G


def test_a_missing_detach_that_does_no_harm_is_paid():
    """The generator's gradients are cleared after the judge's backward(): time is lost, no more."""
    report = TRAIN_STEP.evaluate(lambda *args: round_by_torch(*args, detached=False))
    assert report.points == TRAIN_STEP.points


def test_gradients_that_are_cleared_too_early_are_named():
    report = TRAIN_STEP.evaluate(lambda *args: round_by_torch(*args, clear_after=True))
    assert report.mistake.name == "clears the judge's gradients too early"
    assert [line.status for line in report.lines] == ["ok", "FAIL"]


def test_the_game_in_plain_numbers_is_the_game_of_torch():
    """Over several rounds, gradients that were left included."""
    for seed in SEEDS:
        nets = []
        for play in (TRAIN_STEP.reference, round_by_torch):
            torch.manual_seed(seed)
            G, D = nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1), nn.Flatten(0))
            opts = [torch.optim.SGD(net.parameters(), 0.3) for net in (G, D)]
            for _ in range(5):
                play(G, D, *opts, torch.randn(4, 1), torch.randn(4, 1))
            nets.append(
                torch.cat([p.detach().flatten() for net in (G, D) for p in net.parameters()])
            )
        torch.testing.assert_close(*nets, rtol=1e-4, atol=1e-5)


def test_the_penalty_is_that_of_finite_differences():
    def D(x):
        return torch.tanh(x @ w).sum(1)

    g = torch.Generator().manual_seed(0)
    w = torch.randn(3, 4, generator=g, dtype=torch.float64)
    real, fake = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)
    u, h = torch.rand(5, generator=g, dtype=torch.float64), 1e-5
    x = u[:, None] * real + (1 - u[:, None]) * fake
    slope = torch.stack([(D(x + e) - D(x - e)) / 2 / h for e in h * torch.eye(3).double()], 1)
    wanted = ((slope.norm(dim=1) - 1) ** 2).mean()
    for penalty in (GRADIENT_PENALTY.reference, solutions("gan")["gradient_penalty"]):
        torch.testing.assert_close(penalty(D, real, fake, u).detach(), wanted)


def test_one_feature_at_a_time_the_distance_is_that_of_two_bell_curves():
    """On the diagonal: the squared differences of means and of standard deviations."""
    a = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    stretch, shift = torch.tensor([2.0, 0.5]), torch.tensor([0.3, -0.4])
    sd = math.sqrt(4 / 3)
    wanted = 0.3**2 + 0.4**2 + (sd * (stretch - 1)).square().sum().item()
    for distance in (FRECHET_DISTANCE.reference, solutions("gan")["frechet_distance"]):
        assert float(distance(a, stretch * a + shift)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("seed", SECOND)
def test_the_points_tell_the_mistakes_apart(seed):
    real, fake = _drawn(seed, 6, 5)
    right = plain(PRECISION_RECALL.reference(real, fake, 2))
    made = [plain(m.answer(real, fake, 2)) for m in PRECISION_RECALL.mistakes]
    alike = [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate([right, *made]), 2)
        if difference(a, b) is None
    ]
    assert len(alike) <= 1, "for k = 2, one neighbour too few is the nearest one"


@pytest.mark.parametrize(
    ("seeds", "sizes", "k"), [(NEAREST, (5, 5), 1), (SECOND, (6, 5), 2)], ids=["nearest", "second"]
)
def test_no_point_lies_on_the_edge_of_a_ball(seeds, sizes, k):
    for seed in seeds:
        pair = _drawn(seed, *sizes)
        for x, others in (pair, pair[::-1]):
            radii = torch.cdist(x, x).sort(1).values[:, k]
            assert ((torch.cdist(others, x) - radii).abs() / radii).min() > 0.01


def test_the_learners_copy_states_every_exercise():
    """A part that only the solutions show ends where it should."""
    path = master("gan")
    copy = "\n".join(cell.source for cell in compose_exercise(path).cells)
    for ex in EXERCISES:
        assert f"## {ex.heading()}\n\n{ex.summary()}" in copy
        assert f"Exercise {ex.number}: " in copy
