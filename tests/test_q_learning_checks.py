"""Single exercises of chapter 17_q_learning: what the tests of every exercise do not try."""

import itertools
import re

import pytest
import torch
from masters import master, solutions
from right_answers import q_learning as others
from torch import nn

from course_lib.checks.q_learning import (
    DISCOUNTED_RETURNS,
    DQN_LOSS,
    EPSILON_GREEDY_POLICY,
    EXERCISES,
    FIRST_VISIT,
    Q_LEARNING,
    TD_TARGETS,
    VALUE_SWEEP,
    _chosen_apart,
)
from course_lib.q_learning import (
    action_values,
    epsilon_greedy,
    gridworld,
    q_targets,
    value_iteration,
)
from tools.notebooks import compose_exercise


def rights(exercise):
    """The three right answers to an exercise."""
    name = exercise.name
    return [exercise.reference, solutions("q_learning")[name], getattr(others, name)]


def named(exercise, answer):
    return exercise.evaluate(answer).mistake.name


# ---- the answers against the library


def test_the_policy_is_that_of_the_actions_that_the_library_draws():
    Q = torch.tensor([[0.0, 3.0, 1.0], [2.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
    drawn = epsilon_greedy(Q.repeat(40_000, 1), 0.3, torch.Generator().manual_seed(0))
    shares = torch.stack([(drawn.view(-1, 3) == a).double().mean(0) for a in range(3)], 1)
    for answer in rights(EPSILON_GREEDY_POLICY):
        torch.testing.assert_close(answer(Q, 0.3).double(), shares, rtol=0, atol=0.01)


def test_sweeps_arrive_where_the_librarys_do():
    """On a world with a pit, a goal and slippery floor; terminal states hold nonsense."""
    world, gamma = gridworld(["S..", ".X.", "..G"], goal=5.0, slip=0.2), 0.9
    P, R = world.P.float(), world.R.float()
    wanted, _ = value_iteration(world, gamma)
    for answer in rights(VALUE_SWEEP):
        v = torch.zeros(world.states)
        for _ in range(200):
            v = torch.where(world.terminal, 77.0, v)
            Q, v = answer(P, R, world.terminal, v, gamma)
        torch.testing.assert_close(v.double(), wanted, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            Q.double(), action_values(world, wanted, gamma), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("double", [False, True])
def test_the_loss_is_that_of_the_librarys_targets(double):
    torch.manual_seed(0)
    online, frozen = nn.Linear(4, 3), nn.Linear(4, 3)
    obs, reached = torch.randn(2, 8, 4)
    action, reward, terminated = torch.arange(8) % 3, torch.randn(8), torch.arange(8) % 4 == 1
    goal = q_targets(reward, terminated, reached, online, frozen, 0.9, double)
    wanted = (online(obs)[torch.arange(8), action] - goal).square().mean()
    slopes = torch.autograd.grad(wanted, list(online.parameters()))
    for answer in rights(DQN_LOSS):
        loss = answer(online, frozen, obs, action, reward, terminated, reached, 0.9, double)
        torch.testing.assert_close(loss, wanted)
        online.zero_grad()
        loss.backward()
        torch.testing.assert_close([p.grad for p in online.parameters()], list(slopes))
        assert all(p.grad is None for p in frozen.parameters())


# ---- the answers against each other, and against what is known


def test_a_step_of_the_table_is_a_step_to_the_target():
    """Exercise 17.6 moves an entry to the target of Exercise 17.5."""
    g = torch.Generator().manual_seed(0)
    Q = torch.randn(4, 3, generator=g)
    s, a, then, r, over = (torch.tensor([v]) for v in (1, 2, 3, 0.7, False))
    y = solutions("q_learning")["td_targets"](r, over, ~over, Q[then], a, 0.9, 0.1)[2]
    wanted = Q.clone()
    wanted[1, 2] += 0.25 * (y.item() - Q[1, 2])
    for answer in rights(Q_LEARNING):
        torch.testing.assert_close(answer(Q, s, a, r, then, over, 0.25, 0.9), wanted)


def test_a_return_that_is_cut_anywhere_is_the_same_return():
    """What is left is the return of the step where it was cut."""
    rewards = torch.tensor([1.0, -2.0, 0.5, 3.0, 1.5])
    for answer in rights(DISCOUNTED_RETURNS):
        G = torch.as_tensor(answer(rewards, 0.8, 2.0))
        for t in range(1, 5):
            torch.testing.assert_close(
                torch.as_tensor(answer(rewards[:t], 0.8, float(G[t]))), G[:t]
            )


def test_a_symmetric_walk_is_worth_a_half():
    """Of the three ways that first visits may be counted, all agree where no state comes twice."""
    episodes = (((1, 2), (0.0, 1.0)), ((1, 0), (0.0, 0.0)), ((1, 2), (0.0, 0.0)))
    for answer in rights(FIRST_VISIT):
        values = torch.as_tensor(answer(episodes, 4, 1.0))
        torch.testing.assert_close(values, torch.tensor([0.0, 1 / 3, 0.5, 0.0]))


# ---- what learners write, in their own way


def test_lists_of_returns_are_paid():
    right = solutions("q_learning")
    for exercise in (DISCOUNTED_RETURNS, FIRST_VISIT):

        def listed(*args, answer=right[exercise.name]):
            return list(answer(*args))

        assert exercise.evaluate(listed).points == exercise.points


def test_one_flag_for_both_ends_is_named():
    """The old `done` of Gym, on both the vectors and a loop."""

    def td_targets(reward, terminated, truncated, Q_next, next_action, gamma, epsilon):
        done = torch.logical_or(terminated, truncated).float()
        chosen = Q_next[torch.arange(len(reward)), next_action]
        expected = (solutions("q_learning")["epsilon_greedy_policy"](Q_next, epsilon) * Q_next).sum(
            1
        )
        best = Q_next.max(dim=1).values
        return tuple(reward + gamma * (1 - done) * v for v in (chosen, expected, best))

    report = TD_TARGETS.evaluate(td_targets)
    assert report.mistake.name == "takes time up for the end"
    assert report.points == 5  # all but the steps that were cut off


def test_an_update_by_fancy_indexing_is_named():
    def q_learning(Q, s, a, reward, then, terminated, alpha, gamma):
        Q = Q.clone()
        target = reward + gamma * Q[then].max(1).values * (~terminated).float()
        Q[s, a] += alpha * (target - Q[s, a])
        return Q

    assert named(Q_LEARNING, q_learning) == "loses one of two changes"


def test_a_table_that_is_changed_in_place_is_named():
    def q_learning(Q, s, a, reward, then, terminated, alpha, gamma):
        for i in range(len(s)):
            target = reward[i] + (0 if terminated[i] else gamma * Q[then[i]].max())
            Q[s[i], a[i]] += alpha * (target - Q[s[i], a[i]])
        return Q

    assert named(Q_LEARNING, q_learning) == "changes the table that it was given"


def test_a_target_that_moves_is_paid_but_for_its_slopes():
    right = solutions("q_learning")["dqn_loss"]

    def dqn_loss(online, frozen, obs, action, reward, terminated, reached, gamma, double):
        theirs = frozen(reached)
        choice = (online if double else frozen)(reached).argmax(1)
        future = theirs[torch.arange(len(obs)), choice]
        target = reward + gamma * future * (1 - terminated.float())
        return ((online(obs)[torch.arange(len(obs)), action] - target) ** 2).mean()

    report = DQN_LOSS.evaluate(dqn_loss)
    assert report.mistake.name == "learns through the target"
    assert [line.status for line in report.lines] == ["ok", "ok", "ok", "FAIL"]
    assert DQN_LOSS.evaluate(right).points == DQN_LOSS.points


# ---- the cases


@pytest.mark.parametrize("seed", range(20))
def test_the_networks_disagree_with_a_margin(seed):
    W, V, _, action, reached = _chosen_apart(torch.Generator().manual_seed(seed))
    mine, theirs = ((reached @ M).topk(2, dim=1) for M in (W, V))
    assert (mine.indices[:, 0] != theirs.indices[:, 0]).all()
    for top in (mine, theirs):
        assert (top.values[:, 0] - top.values[:, 1]).min() > 0.05
    assert not (action == mine.indices[:, 0]).any()
    assert not (action == theirs.indices[:, 0]).any()
    assert len(set(action.tolist())) > 1


@pytest.mark.parametrize("seed", range(20))
def test_the_world_of_every_sweep_is_a_world(seed):
    for P, *_ in itertools.chain(*VALUE_SWEEP.cases(seed)):
        assert P.min() >= 0
        torch.testing.assert_close(P.sum(2), torch.ones(P.shape[:2]))


def test_the_copy_of_the_learner_keeps_the_answers_to_itself():
    copy = "\n".join(cell.source for cell in compose_exercise(master("q_learning")).cells)
    assert "**Why.**" not in copy
    assert len(re.findall(r"NotImplementedError\(", copy)) >= len(EXERCISES)
    for exercise in EXERCISES:
        assert f"## {exercise.heading()}" in copy
        assert f"check({exercise.name})" in copy
