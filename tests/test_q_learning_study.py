"""course_lib.studies.q_learning: what the study counts, against simulation and numbers by hand."""

import pytest
import torch

from course_lib.q_learning import action_values, gridworld, policy_values, value_iteration
from course_lib.studies import q_learning as study

CORRIDOR = gridworld(["S..G"], step=-1.0, goal=5.0)
LEFT, DOWN, RIGHT, UP = range(4)


def always(action, states=4):
    return torch.nn.functional.one_hot(torch.full((1, states), action), 4).double()


def optimal(world):
    v, _ = value_iteration(world, study.GAMMA)
    return study.greedy(action_values(world, v, study.GAMMA)[None])


def test_the_expected_return_by_hand():
    run = lambda policy, limit: study.expected_return(CORRIDOR, policy, limit).item()
    assert run(always(RIGHT), 10) == -3 + 5
    assert run(always(RIGHT), 2) == -2  # cut off before the goal
    assert run(always(LEFT), 7) == -7


def test_the_expected_return_is_the_linear_solve_where_nothing_is_cut_off():
    world = gridworld(["S.X", "..G"], slip=0.4)
    policy = torch.rand(1, 6, 4, generator=torch.Generator().manual_seed(0)).double().softmax(2)
    wanted = policy_values(world, policy[0], 1.0) @ world.start
    assert study.expected_return(world, policy, 2000).item() == pytest.approx(wanted.item())


def test_the_best_return_is_that_of_value_iteration_where_nothing_is_cut_off():
    world = gridworld(["S.X", "..G"], slip=0.4)
    v, _ = value_iteration(world, 1.0)
    assert study.best_return(world, 2000) == pytest.approx((v @ world.start).item())
    assert study.best_return(CORRIDOR, 2) == -2


def test_greedy_takes_the_best():
    Q = torch.tensor([[[0.0, 2.0, 1.0], [5.0, 0.0, 0.0]]])
    assert study.greedy(Q).tolist() == [[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]


def test_the_rate_of_lai_and_robbins():
    assert pytest.approx(8 + 4 + 8 / 3 + 2) == study.RATE


def test_steps_to_the_goal_go_around_walls():
    far = study.steps_to_goal(gridworld(["S#G", "..."]))
    assert far[[0, 2, 3, 4, 5]].tolist() == [4, 0, 3, 2, 1]
    assert study.steps_to_goal(gridworld(study.MAZE))[0] == 14


@pytest.mark.parametrize("kind", ["bonus", "potential"])
def test_shaping_pays_what_it_says(kind):
    told = study.shaped(CORRIDOR, kind, 0.1)
    extra = (told.R - CORRIDOR.R) * (CORRIDOR.P > 0)
    if kind == "bonus":
        assert extra[1, RIGHT, 2].item() == pytest.approx(0.1)
        assert extra[1, LEFT].abs().max() == 0
    else:  # the farthest state is 3 steps away: Φ = 0, 0.1, 0.2, and 0 at the end
        assert extra[1, RIGHT, 2].item() == pytest.approx(0.99 * 0.2 - 0.1)
        assert extra[1, LEFT, 0].item() == pytest.approx(-0.1)
        assert extra[2, RIGHT, 3].item() == pytest.approx(-0.2)
    assert torch.equal(study.shaped(CORRIDOR, "plain", 0.0).R, CORRIDOR.R)


@pytest.mark.parametrize(("bonus", "arrives"), [(0.0204, True), (0.0206, False)])
def test_going_to_and_fro_pays_above_the_bonus_of_the_text(bonus, arrives):
    maze = gridworld(study.MAZE, step=0.0, goal=1.0)
    told = study.shaped(maze, "bonus", bonus)
    best = optimal(told)
    assert study.expected_return(maze, best, 100).item() == float(arrives)
    told = study.shaped(maze, "potential", bonus)
    assert study.expected_return(maze, optimal(told), 100).item() == 1.0


def test_what_is_kept_is_the_discounted_sum():
    wanted = sum(study.GAMMA**t for t in range(37))
    assert study.kept(torch.tensor([37.0])).item() == pytest.approx(wanted, rel=1e-5)


def test_cells_of_a_table():
    obs = torch.tensor([[-9.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0], [0.1, -0.1, 0.01, -0.1]])
    assert study.cell_of(obs, (2, 1, 1, 1)).tolist() == [0, 1, 1]
    assert study.cell_of(obs, (2, 2, 2, 2)).tolist() == [0b0111, 0b1111, 0b1010]
    assert study.cell_of(obs, (3, 1, 1, 4)).tolist() == [2, 11, 5]


def test_runs_are_their_seeds():
    for run in (
        lambda seed: study.bandit_run(seed, "ucb", device="cpu", agents=3, pulls=(20,)),
        lambda seed: study.table_run(seed, [1, 1, 6, 6], 0.3, "cpu", steps=1000, agents=2),
        lambda seed: study.dqn_run(seed, "random", device="cpu"),
    ):
        assert run(0) == run(0)
        assert run(0) != run(1)


def test_a_dqn_is_looked_at_along_the_way():
    found = study.dqn_run(0, "naive", 0.001, 0, "cpu", steps=2000, games=2)
    keys = {f"{key}_{k}" for key in ("return", "promise", "kept") for k in (1000, 2000)}
    assert set(found) == keys
    assert found["kept_2000"] <= 1 / (1 - study.GAMMA)
