"""Single exercises of chapter 18_policy_gradient: answers that no other test tries."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from masters import solutions

from course_lib import policy_gradient
from course_lib.checks.policy_gradient import (
    ACTOR_CRITIC_LOSS,
    GAE,
    LEAVE_ONE_OUT,
    LOG_PROB,
    PPO_LOSS,
    REINFORCE_LOSS,
    RETURNS_TO_GO,
)

SEEDS = range(20)
NO, YES = False, True


def every_call(exercise, *tests):
    """The arguments of the calls on some seeds: of all tests, or of those with these numbers."""
    for seed in SEEDS:
        groups = exercise.cases(seed)
        yield from itertools.chain(*(groups[i] for i in tests or range(len(groups))))


def answers(exercise):
    return exercise.reference, solutions("policy_gradient")[exercise.name]


# ---- the examples of the statements


def column(*values):
    return torch.tensor(values)[:, None]


@pytest.mark.parametrize(
    ("exercise", "args", "wanted"),
    [
        (
            LOG_PROB,
            (torch.tensor([[0.0, 0, 0], [2, 0, 0]]), torch.tensor([1, 0])),
            torch.tensor([-1.099, -0.240]),
        ),
        (
            RETURNS_TO_GO,
            (column(1.0, 2, 3, 4), column(NO, YES, NO, NO), 0.5),
            column(2.0, 2, 5, 4),
        ),
        (
            LEAVE_ONE_OUT,
            (
                torch.tensor([[6.0, 3, 0], [4, 2, 9]]),
                torch.tensor([[YES, YES, YES], [YES, YES, NO]]),
            ),
            torch.tensor([[4.5, 0, -4.5], [2, -2, 0]]),
        ),
        (
            REINFORCE_LOSS,
            (torch.zeros(2, 1, 2), column(0, 1), column(2.0, -1.0), column(YES, YES)),
            torch.tensor(0.693),
        ),
        (
            GAE,
            (
                *(column(1.0, 1, 1), column(1.0, 2, 1), column(2.0, 1, 4)),
                *(column(NO, NO, NO), column(NO, NO, YES)),
                *(0.5, 0.5),
            ),
            column(1.0, 0, 2),
        ),
        (
            GAE,
            (
                *(column(1.0, 1, 1), column(1.0, 2, 1), column(2.0, 1, 4)),
                *(column(NO, NO, YES), column(NO, NO, YES)),
                *(0.5, 0.5),
            ),
            column(0.875, -0.5, 0),
        ),
        (
            ACTOR_CRITIC_LOSS,
            (
                *(torch.zeros(2, 2), torch.ones(2), torch.tensor([0, 1])),
                *(torch.tensor([3.0, 0.0]), 0.1),
            ),
            torch.tensor(1.527),
        ),
        (
            PPO_LOSS,
            (
                *(torch.tensor([0.75, 0.45]).log(), torch.tensor([0.5, 0.5]).log()),
                *(torch.tensor([3.0, 1.0]), 0.2),
            ),
            torch.tensor(-0.106),
        ),
    ],
)
def test_an_example_is_as_it_is_told(exercise, args, wanted):
    for answer in answers(exercise):
        value = answer(*args)
        torch.testing.assert_close(value, wanted, atol=6e-4, rtol=0)


def test_the_slopes_of_the_examples_are_as_they_are_told():
    for reinforce, both, ppo in zip(
        answers(REINFORCE_LOSS), answers(ACTOR_CRITIC_LOSS), answers(PPO_LOSS), strict=True
    ):
        logits = torch.zeros(2, 1, 2, requires_grad=True)
        reinforce(logits, column(0, 1), column(2.0, -1.0), column(YES, YES)).backward()
        assert logits.grad.flatten().tolist() == [-1, 1, -0.5, 0.5]

        value, target = torch.ones(2, requires_grad=True), torch.tensor([3.0, 0.0])
        target.requires_grad_()
        both(torch.zeros(2, 2), value, torch.tensor([0, 1]), target, 0.1).backward()
        assert (value.grad.tolist(), target.grad) == ([-1, 0.5], None)

        new = torch.tensor([0.75, 0.45]).log().requires_grad_()
        ppo(new, torch.full((2,), 0.5).log(), torch.tensor([3.0, 1.0]), 0.2).backward()
        torch.testing.assert_close(new.grad, torch.tensor([0, 0.318]), atol=5e-4, rtol=0)


# ---- references against the library and against what is counted out


@pytest.mark.parametrize(
    ("exercise", "theirs"),
    [
        (LOG_PROB, policy_gradient.log_prob),
        (RETURNS_TO_GO, policy_gradient.returns_to_go),
        (
            GAE,
            lambda reward, value, then, term, trunc, gamma, lam: policy_gradient.gae(
                reward, value, then, term, term | trunc, gamma, lam
            ),
        ),
        (
            PPO_LOSS,
            lambda new, old, A, clip: (
                -policy_gradient.clipped_gain(new, old, policy_gradient.normalised(A), clip)
            ),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_chapters_library_answers_as_the_reference_does(exercise, theirs):
    for args in every_call(exercise):
        torch.testing.assert_close(theirs(*args), exercise.reference(*args))


def slope_of(value, logits):
    return torch.autograd.grad(value, logits)[0]


def test_over_all_plays_the_loss_has_the_slope_of_the_expected_return():
    """Two steps of three actions: nine plays, each with its chance and its rewards."""
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, generator=g, requires_grad=True)
    first, second = torch.randn(3, generator=g), torch.randn(3, 3, generator=g)
    plays = list(itertools.product(range(3), range(3)))
    p = logits.squeeze(1).softmax(-1)
    J = sum(p[0, a] * p[1, b] * (first[a] + second[a, b]) for a, b in plays)
    wanted = -slope_of(J, logits)
    for loss, to_go in zip(answers(REINFORCE_LOSS), answers(RETURNS_TO_GO), strict=True):
        found = torch.zeros_like(logits)
        for a, b in plays:
            reward = torch.stack([first[a], second[a, b]])[:, None]
            G = to_go(reward, column(NO, YES), 1.0)
            chance = (p[0, a] * p[1, b]).item()
            played = loss(logits, column(a, b), G, column(YES, YES))
            found += chance * slope_of(played, logits)
        torch.testing.assert_close(found, wanted)


def test_the_mean_of_the_others_leaves_the_expectation_as_it_is():
    """Three pulls of a bandit of two arms; with itself counted in, a third is lost."""
    logits = torch.tensor([[[0.3, -0.4]]], requires_grad=True)
    p, pay = logits.flatten().softmax(-1), torch.tensor([1.0, 2.5])
    wanted = -slope_of((p * pay).sum(), logits)
    alive = torch.ones(1, 3, dtype=torch.bool)
    by_all = next(m.answer for m in LEAVE_ONE_OUT.mistakes if m.name == "counts itself in")
    for compare, share in ((answers(LEAVE_ONE_OUT)[1], 1), (by_all, 2 / 3)):
        found = torch.zeros_like(logits)
        for arms in itertools.product(range(2), repeat=3):
            action = torch.tensor([arms])
            A = compare(pay[action], alive)
            loss = REINFORCE_LOSS.reference(logits.expand(1, 3, 2), action, A, alive)
            found += p[action].prod().item() * slope_of(loss, logits)
        torch.testing.assert_close(found, share * wanted)


def test_with_lambda_one_the_advantage_is_the_return_less_the_value():
    for reward, value, then, over, _, gamma, _ in every_call(GAE, 2):
        T = int(over.nonzero()[:, 0].min()) + 1  # until somebody's episode is over
        at_end = over[T - 1].nonzero().item()
        some = [x[:T, at_end : at_end + 1] for x in (reward, value, then, over)]
        G = RETURNS_TO_GO.reference(some[0], some[3], gamma)
        for answer in answers(GAE):
            A = answer(*some, torch.zeros_like(some[3]), gamma, 1.0)
            torch.testing.assert_close(A, G - some[1])


def test_a_critic_that_is_not_detached_comes_to_rest_too_high():
    """By -log π of an even choice of two, as the solution says."""
    value = torch.zeros(1, requires_grad=True)
    target = torch.tensor([3.0])
    free = next(m for m in ACTOR_CRITIC_LOSS.mistakes if m.name == "does not detach the advantage")
    for answer, wanted in ((free.answer, 3.693), (answers(ACTOR_CRITIC_LOSS)[1], 3.0)):
        for _ in range(60):
            loss = answer(torch.zeros(1, 2), value, torch.tensor([0]), target, 0.0)
            value.data -= 0.3 * slope_of(loss, value)
        assert value.item() == pytest.approx(wanted, abs=1e-3)


# ---- what the cases must have


def test_a_state_that_goes_on_has_one_value():
    for _, value, then, terminated, truncated, _, _ in every_call(GAE):
        on = ~(terminated | truncated)[:-1]
        assert torch.equal(then[:-1][on], value[1:][on])
        assert not (then[:-1] == value[1:])[~on].any()


def test_no_ratio_lies_on_a_bound_and_none_is_of_a_chance_above_one():
    for new, old, advantage, clip in every_call(PPO_LOSS):
        assert max(new.max(), old.max()) < 0
        ratio = (new - old).exp()
        assert torch.minimum((ratio - 1 - clip).abs(), (ratio - 1 + clip).abs()).min() > 0.02
        assert advantage.std() > 0.3
    for new, old, advantage, clip in every_call(PPO_LOSS, 1):
        assert advantage.mean().abs() < 1e-6
        assert advantage.std().item() == pytest.approx(1)
        beyond = (new - old).exp().sub(1).sign() * ((new - old).exp() - 1).abs().gt(clip)
        found = set(zip(beyond.tolist(), advantage.sign().tolist(), strict=True))
        assert {(1, 1), (1, -1), (-1, 1), (-1, -1)} <= found


def test_somebody_runs_alone_and_then_nobody():
    for _, alive in every_call(LEAVE_ONE_OUT, 2):
        assert alive.sum(1).tolist() == [2, 1, 0]


# ---- right answers that look different


def paid_in_full(exercise, answer):
    return {exercise.evaluate(answer, seed).points for seed in SEEDS} == {exercise.points}


def test_the_next_rows_value_may_be_used_where_the_episode_goes_on():
    def gae(reward, value, then, terminated, truncated, gamma, lam):
        A, total = torch.zeros_like(reward), 0
        for t in reversed(range(len(reward))):
            last = t == len(reward) - 1
            cut = terminated[t] | truncated[t] | last
            after = torch.where(cut, then[t], value[0 if last else t + 1])
            after = torch.where(terminated[t], 0.0, after)
            total = torch.where(cut, 0.0, total * torch.tensor(gamma * lam))
            total = total + reward[t] + gamma * after - value[t]
            A[t] = total
        return A

    assert paid_in_full(GAE, gae)


def test_the_larger_of_two_losses_is_the_smaller_of_two_gains():
    def ppo_loss(new, old, advantage, clip):
        A = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = torch.exp(new - old)
        clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
        return torch.max(-A * ratio, -A * clipped).mean()

    assert paid_in_full(PPO_LOSS, ppo_loss)


def test_parts_may_come_from_torch():
    def actor_critic_loss(logits, value, action, target, entropy):
        target = target.detach()
        surprise = F.cross_entropy(logits, action, reduction="none")
        actor = (surprise * (target - value.detach())).mean()
        H = torch.distributions.Categorical(logits=logits).entropy().mean()
        return actor + 0.5 * F.mse_loss(value, target) - entropy * H

    assert paid_in_full(ACTOR_CRITIC_LOSS, actor_critic_loss)


def test_a_sum_over_time_may_be_a_cumulative_one():
    def returns_to_go(reward, ended, gamma):
        G = torch.zeros_like(reward)
        for n in range(reward.shape[1]):
            starts = [0, *(ended[:, n].nonzero().flatten() + 1).tolist(), len(reward)]
            for start, end in itertools.pairwise(starts):
                factor = gamma ** torch.arange(end - start)
                G[start:end, n] = (reward[start:end, n] * factor).flip(0).cumsum(0).flip(0) / factor
        return G

    assert paid_in_full(RETURNS_TO_GO, returns_to_go)


# ---- mistakes as learners write them


def to_go_shifted(reward, ended, gamma):
    G, total = torch.zeros_like(reward), torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        G[t] = total * ~ended[t]
        total = reward[t] + gamma * G[t]
    return G


def done_for_both(reward, value, then, terminated, truncated, gamma, lam):
    done = (terminated | truncated).float()
    A, total = torch.zeros_like(reward), 0.0
    for t in reversed(range(len(reward))):
        delta = reward[t] + gamma * then[t] * (1 - done[t]) - value[t]
        total = delta + gamma * lam * (1 - done[t]) * total
        A[t] = total
    return A


def terminated_for_both(reward, value, then, terminated, truncated, gamma, lam):
    never = torch.zeros_like(truncated)
    return answers(GAE)[1](reward, value, then, terminated, never, gamma, lam)


def not_detached(logits, value, action, target, entropy):
    dist = torch.distributions.Categorical(logits=logits)
    advantage = target - value
    actor = -(advantage * dist.log_prob(action)).mean()
    return actor + 0.5 * F.mse_loss(value, target) - entropy * dist.entropy().mean()


def one_detached(logits, value, action, target, entropy):
    dist = torch.distributions.Categorical(logits=logits)
    advantage = (target - value).detach()
    actor = -(advantage * dist.log_prob(action)).mean()
    return actor + 0.5 * advantage.pow(2).mean() - entropy * dist.entropy().mean()


def gain_of(ratio, advantage, clip):
    A = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    return torch.min(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)


@pytest.mark.parametrize(
    ("exercise", "answer", "named", "points"),
    [
        (RETURNS_TO_GO, to_go_shifted, "starts one step late", 0),
        (
            RETURNS_TO_GO,
            lambda reward, ended, gamma: reward.flip(0).cumsum(0).flip(0),
            "knows neither discount nor ends",
            0,
        ),
        (
            LEAVE_ONE_OUT,
            lambda G, alive: (G - (G * alive).sum(1, True) / alive.sum(1, True).clamp(1)) * alive,
            "counts itself in",
            0,
        ),
        (
            REINFORCE_LOSS,
            lambda logits, action, advantage, alive: (
                F.cross_entropy(logits.flatten(0, 1), action.flatten(), reduction="none")
                @ (advantage * alive).flatten()
                / alive.numel()
            ),
            "averages over all steps",
            0,
        ),
        (GAE, done_for_both, "takes a truncation for a termination", 5),
        (GAE, terminated_for_both, "runs on over a truncation", 5),
        (ACTOR_CRITIC_LOSS, not_detached, "detaches nothing", 4),
        (ACTOR_CRITIC_LOSS, one_detached, "detaches the critic's error", 4),
        (
            PPO_LOSS,
            lambda new, old, A, clip: -gain_of(torch.exp(new - new.detach()), A, clip).mean(),
            "compares the policy with itself",
            0,
        ),
        (
            PPO_LOSS,
            lambda new, old, A, clip: (
                -torch.min((new - old).exp() * A, (new - old).exp().clamp(1 - clip, 1 + clip) * A)
            ).mean(),
            "does not normalise",
            6,
        ),
    ],
)
def test_a_learners_way_to_be_wrong_is_named(exercise, answer, named, points):
    for seed in SEEDS:
        report = exercise.evaluate(answer, seed)
        assert (report.mistake and report.mistake.name) == named
        assert report.points == points
