"""What chapter 17_q_learning measures: bandits, a lake, a cliff, a maze, the steps to a DQN.

Letters: N agents side by side, S states, A actions. Settings were found with seeds from 100 up; the
thresholds, at the head of each part, were set after that and before the runs of the study. Agents
that learn side by side draw apart from each other: each is a seed of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import pick_device
from ..q_learning import (
    MDP,
    GymVector,
    action_values,
    dqn,
    epsilon_greedy,
    evaluate,
    greedy_rule,
    gridworld,
    play_bandit,
    td_control,
    thompson_rule,
    ucb_rule,
)
from .runner import Experiment

CHAPTER = "17_q_learning"


def each(name: str, values: Tensor) -> dict[str, float]:
    """A number for each agent: ``name_0``, ``name_1`` and so on."""
    return {f"{name}_{i}": value for i, value in enumerate(values.tolist())}


# ---- worlds with a table


def world_of(name: str, device: torch.device, **options) -> MDP:
    """A Gymnasium environment that has a table, written down."""
    import gymnasium

    return MDP.from_gym(gymnasium.make(name, **options)).to(device)


def greedy(Q: Tensor) -> Tensor:
    """The policy that takes a best action always: (N, S, A) to probabilities (N, S, A)."""
    return F.one_hot(Q.argmax(2), Q.shape[2]).to(Q)


def expected_return(mdp: MDP, policy: Tensor, limit: int) -> Tensor:
    """The mean undiscounted return of an episode, computed and not sampled.

    Args:
        mdp: the world.
        policy: probabilities of actions, shape (N, S, A).
        limit: steps after which an episode is cut off.

    Returns:
        A number for each of the N policies.
    """
    P = torch.einsum("nsa,sat->nst", policy, mdp.P)
    r = torch.einsum("nsa,sat,sat->ns", policy, mdp.P, mdp.R)
    v = torch.zeros_like(r)
    for _ in range(limit):
        v = torch.where(mdp.terminal, 0.0, r + torch.einsum("nst,nt->ns", P, v))
    return v @ mdp.start


def best_return(mdp: MDP, limit: int) -> float:
    """The highest mean return that any policy has within so many steps."""
    v = torch.zeros_like(mdp.start)
    for _ in range(limit):
        v = action_values(mdp, v, 1.0).max(1).values
    return (v @ mdp.start).item()


# ---- 17.1: the lake, medians of 20 agents
#
# "An agent learns by reward and penalty alone" is refuted if its greedy policy gets less than 0.9
# of the way from random actions to the best policy, in success within the lake's 200 steps. Judged
# twice: with a penalty of 1 for a hole, and as the lake comes, with the reward of 1 for the goal.

RIVALS_OF_LAKE = ("random", "best", "reward", "reward and penalty")
LIMIT_OF_LAKE = {"4x4": 100, "8x8": 200}  # Gymnasium's


def lake_run(
    seed: int,
    rival: str,
    size: str = "8x8",
    alpha: float = 0.0,
    epsilon: float = 0.0,
    episodes: int = 0,
    device=None,
    agents: int = 20,
) -> dict[str, float]:
    """Learn to cross a slippery lake; how often do the greedy policies arrive?

    Args:
        seed: of all agents.
        rival: one of ``RIVALS_OF_LAKE``.
        size: ``"4x4"`` or ``"8x8"``.
        alpha: step size.
        epsilon: share of random actions while learning.
        episodes: of each agent.
        device: where to compute; None chooses.
        agents: that learn side by side.

    Returns:
        For each agent i ``success_i``, the probability to arrive within the lake's limit of steps.
    """
    lake = world_of("FrozenLake-v1", pick_device(device), map_name=size, is_slippery=True)
    limit = LIMIT_OF_LAKE[size]
    if rival == "best":
        return {"success_0": best_return(lake, limit)}
    if rival == "random":
        evenly = torch.full_like(lake.P[None, :, :, 0], 1 / lake.actions)
        return each("success", expected_return(lake, evenly, limit))
    arrived = torch.arange(lake.states, device=lake.P.device) == lake.states - 1
    penalty = (lake.terminal & ~arrived).double() * (rival == "reward and penalty")
    told = replace(lake, R=lake.R - penalty)
    options = {"alpha": alpha, "epsilon": epsilon, "gamma": 0.99, "limit": limit, "seed": seed}
    Q = td_control(told, episodes=episodes, agents=agents, **options)["Q"]
    return each("success", expected_return(lake, greedy(Q), limit))


# ---- 17.2: a bandit of five arms, means of 5 seeds of 1,000 agents
#
# "The regret of UCB and of Thompson's rule grows at the theoretical rate" is refuted if, from pull
# 1,000 to pull 10,000, that of either grows more than 2 times as fast in ln t as Lai and Robbins
# prove possible.

MEANS = (0.0, 0.25, 0.5, 0.75, 1.0)
RATE = sum(2 / (max(MEANS) - mean) for mean in MEANS[:-1])  # of regret in ln t, for unit normals
PULLS = (10, 30, 100, 300, 1000, 3000, 10_000)
RULES = {"thompson": thompson_rule(), "ucb": ucb_rule()}


def bandit_run(
    seed: int, rule: str, epsilon: float = 0.0, device=None, agents: int = 1000, pulls=PULLS
) -> dict[str, float]:
    """Pull the arms of one bandit with many agents.

    Args:
        seed: of all agents.
        rule: ``"thompson"``, ``"ucb"`` or ``"greedy"``.
        epsilon: share of random pulls of the last.
        device: where to compute; None chooses.
        agents: that play side by side.
        pulls: where to look.

    Returns:
        For each look k ``regret_k``, the mean of the agents.
    """
    means = torch.tensor(MEANS, device=pick_device(device))
    chosen = RULES.get(rule) or greedy_rule(epsilon)
    regret = play_bandit(means, chosen, pulls[-1], agents, seed)["regret"].mean(0)
    return {f"regret_{k}": regret[k - 1].item() for k in pulls}


# ---- 17.3: the cliff, means of 50 agents
#
# "SARSA does better than Q-learning on the cliff" is refuted if it does not lose at least 10 less
# in an episode. Judged twice: acting with ε = 0.1, in the last 100 of 500 episodes, and greedily
# after the last.


def cliff_run(
    seed: int,
    method: str,
    alpha: float,
    device=None,
    episodes: int = 500,
    agents: int = 50,
    epsilon: float = 0.1,
) -> dict[str, float]:
    """Learn to walk along the cliff.

    Args:
        seed: of all agents.
        method: one of ``course_lib.q_learning.CONTROLS``.
        alpha: step size.
        device: where to compute; None chooses.
        episodes: of each agent.
        agents: that learn side by side.
        epsilon: share of random actions while learning.

    Returns:
        For each agent i what an episode costs, return with the sign turned: ``acting_i``, mean of
        the last fifth of the episodes, and ``greedy_i``, within 100 steps.
    """
    cliff = world_of("CliffWalking-v1", pick_device(device))
    options = {"episodes": episodes, "alpha": alpha, "epsilon": epsilon, "seed": seed}
    out = td_control(cliff, method, agents=agents, **options)
    acting = -out["returns"][:, -episodes // 5 :].mean(1)
    return each("acting", acting) | each("greedy", -expected_return(cliff, greedy(out["Q"]), 100))


# ---- 17.4: a maze and a bonus, shares of 20 agents
#
# "A bonus for each step in the right direction leads the agent to its goal" is refuted if less than
# 0.9 of the agents reach it with the greedy policy. Judged twice: with a bonus of 0.1 and of 0.01.
# Going to and fro beside the goal pays b γ / (1 - γ²), going in pays 1 + b: they are equal at
# b = 0.0205.

MAZE = (
    "S.......",
    "....#...",
    ".####.#.",
    ".#....#.",
    ".#.####.",
    ".#......",
    ".#.####.",
    "...#...G",
)
GAMMA = 0.99


def steps_to_goal(maze: MDP) -> Tensor:
    """How many steps each state is from the end at least, shape (S,)."""
    then = maze.P.argmax(2)  # (S, A): nothing slips
    far = torch.where(maze.terminal, 0.0, torch.inf).double()
    for _ in range(maze.states):
        far = torch.where(maze.terminal, 0.0, 1 + far[then].amin(1))
    return far


def shaped(maze: MDP, kind: str, bonus: float) -> MDP:
    """The maze with a reward on top.

    Args:
        maze: pays at its end.
        kind: ``"bonus"`` pays for each step that comes nearer to the end; ``"potential"`` pays
            ``γ Φ(s') - Φ(s)`` with Φ = bonus · (steps nearer than the farthest state); ``"plain"``
            nothing.
        bonus: in units of reward.

    Returns:
        The shaped world.

    Source: Randløv & Alstrøm 1998 (the bonus); Ng, Harada & Russell 1999 (the potential).
    """
    far = steps_to_goal(maze)
    here, there = far[:, None, None], far[None, None]
    if kind == "bonus":
        return replace(maze, R=maze.R + bonus * (there < here))
    phi = torch.where(maze.terminal, 0.0, bonus * (far.max() - far)) * (kind == "potential")
    return replace(maze, R=maze.R + GAMMA * phi - phi[:, None, None])


def maze_run(
    seed: int,
    kind: str,
    bonus: float,
    alpha: float,
    device=None,
    episodes: int = 100,
    agents: int = 20,
) -> dict[str, float]:
    """Learn the way through a maze by a shaped reward, judged by the goal.

    Args:
        seed: of all agents.
        kind: of shaping, see :func:`shaped`.
        bonus: in units of the reward for the goal.
        alpha: step size.
        device: where to compute; None chooses.
        episodes: of each agent, of at most 500 steps.
        agents: that learn side by side.

    Returns:
        For each agent i ``arrives_i``, 1 if its greedy policy is at the goal within 100 steps;
        ``steps_i``, thousands of steps taken in all episodes; ``last_i``, steps of the last ones,
        mean of a tenth of them.
    """
    maze = gridworld(MAZE, step=0.0, goal=1.0)
    maze = maze.to(pick_device(device))
    told = shaped(maze, kind, bonus)
    options = {"alpha": alpha, "epsilon": 0.1, "gamma": GAMMA, "limit": 500, "seed": seed}
    out = td_control(told, episodes=episodes, agents=agents, **options)
    lengths = out["lengths"].double()
    return {
        **each("arrives", expected_return(maze, greedy(out["Q"]), 100)),
        **each("steps", lengths.sum(1) / 1000),
        **each("last", lengths[:, -episodes // 10 :].mean(1)),
    }


# ---- 17.5 to 17.8: a pole on a cart, means of 8 seeds
#
# "Learned values replace tables" is refuted if the double DQN's mean greedy return, at the looks of
# the second half, is less than 1.5 times the best table's. Judged twice: against tables that cut
# all four numbers into 4 or more parts, and against the best of all tables.
#
# "Experience replay makes deep Q-learning learn" is refuted if the return with it is less than 1.5
# times the naive network's; "A target network makes DQN better", if less than 1.2 times that of
# replay alone; "Double targets cure the overestimation of Q", if they leave more than 0.5 of it:
# of what Q promises at the starts above what is kept, in the last three looks, with a target
# network. If nothing is overestimated without them, it is refuted, too.

STEPS = 12_000
LOOKS = tuple(range(1000, STEPS + 1, 1000))
POLE = "CartPole-v1"
RANGES = (2.4, 3.0, 0.21, 3.0)  # of position, speed, angle and its speed, to both sides


def kept(returns: Tensor) -> Tensor:
    """Discounted returns of episodes that pay 1 a step, from the undiscounted: a geometric sum."""
    return (1 - GAMMA**returns) / (1 - GAMMA)


def dqn_run(
    seed: int,
    rival: str,
    lr: float = 0.0,
    target: int = 0,
    device=None,
    steps: int = STEPS,
    games: int = 10,
) -> dict[str, float]:
    """Train a DQN on the pole; look at its greedy policy after each thousand steps.

    Args:
        seed: of the network, of the starts and of all that is drawn.
        rival: ``"random"`` actions, ``"naive"``, ``"replay"``, ``"target"`` or ``"double"``: each
            with what those before it have.
        lr: step size of Adam.
        target: steps between copies of the network that gives the targets.
        device: where to compute; None chooses.
        steps: of training.
        games: greedy episodes at each look.

    Returns:
        For each look k ``return_k``, mean of the games, undiscounted; ``promise_k``, the largest Q
        at their starts; ``kept_k``, their discounted returns. Random actions have a ``return_0``.
    """
    device = pick_device(device)
    judge = GymVector(POLE, games, seed=500_000 + seed, device=device)
    if rival == "random":
        draws = torch.Generator().manual_seed(seed)
        act = lambda obs: torch.randint(2, (len(obs),), generator=draws).to(obs.device)
        return {"return_0": evaluate(judge, act).mean().item()}
    found = {}

    def watch(step: int, net: torch.nn.Module) -> None:
        if step not in LOOKS:
            return
        with torch.no_grad():
            found[f"promise_{step}"] = net(judge.reset()).amax(1).mean().item()
        returns = evaluate(judge, lambda obs: net(obs).argmax(1))
        found[f"return_{step}"] = returns.mean().item()
        found[f"kept_{step}"] = kept(returns).mean().item()

    dqn(
        GymVector(POLE, seed=1000 * seed, device=device),
        **{"steps": steps, "lr": lr, "gamma": GAMMA, "seed": seed, "watch": watch},
        **{"replay": 10_000 * (rival != "naive"), "target": target, "double": rival == "double"},
        progress=False,
    )
    return found


def cell_of(obs: Tensor, bins: tuple[int, ...]) -> Tensor:
    """The cell of a table for each observation.

    Args:
        obs: shape (N, D).
        bins: into how many even parts of its range each of the D numbers is cut.

    Returns:
        Cells, int64, shape (N,).
    """
    parts = torch.tensor(bins, device=obs.device)
    share = (obs / torch.tensor(RANGES, device=obs.device) + 1) / 2  # 0 to 1 within the ranges
    place = (share * parts).long().clamp(min=0).minimum(parts - 1)  # (N, D)
    index = torch.zeros_like(place[:, 0])
    for d, count in enumerate(bins):
        index = index * count + place[:, d]
    return index


def table_run(
    seed: int, bins: list[int], alpha: float, device=None, steps: int = STEPS, agents: int = 8
) -> dict[str, float]:
    """Learn the pole by Q-learning in a table of cells; look at the greedy policy as a DQN's.

    Args:
        seed: of all agents.
        bins: parts of position, speed, angle and its speed.
        alpha: step size.
        device: where to compute; None chooses.
        steps: of each agent; its share of random actions falls as a DQN's.
        agents: that learn side by side, a table each.

    Returns:
        For each agent i ``return_i``, mean of ten greedy episodes at each look in the second half;
        ``seen_i``, the share of cells that it has been in.
    """
    device, games = pick_device(device), 10
    env = GymVector(POLE, agents, seed=1000 * seed, device=device)
    judge = GymVector(POLE, agents * games, seed=500_000 + seed, device=device)
    draws = torch.Generator().manual_seed(seed)
    lane = torch.arange(agents, device=device)
    Q = torch.zeros(agents, math.prod(bins), env.actions, device=device)
    seen = torch.zeros_like(Q[:, :, 0])
    act = lambda obs: Q[lane.repeat_interleave(games), cell_of(obs, bins)].argmax(1)
    obs, returns = env.reset(), []
    for t in range(1, steps + 1):
        now = cell_of(obs, bins)
        epsilon = 1 - 0.95 * min(1.0, t / (0.2 * steps))
        action = epsilon_greedy(Q[lane, now], epsilon, draws)
        step = env.step(action)
        seen[lane, now] = 1.0
        future = Q[lane, cell_of(step.reached, bins)].amax(1) * ~step.terminated
        Q[lane, now, action] += alpha * (step.reward + GAMMA * future - Q[lane, now, action])
        obs = step.obs
        if t in LOOKS and 2 * t >= steps:
            returns.append(evaluate(judge, act).view(agents, games).mean(1))
    return each("return", torch.stack(returns).mean(0)) | each("seen", seen.mean(1))


BINS = {  # the step size of each table, best of 0.1, 0.3 and 0.6 with eight agents of seed 100
    (4, 4, 4, 4): 0.3,
    (8, 8, 8, 8): 0.6,
    (3, 3, 6, 6): 0.1,
    (1, 1, 6, 12): 0.3,  # no position, no speed
}
RIVALS = (  # lr and target: the best of four step sizes, or of five pairs, with seeds 100 and 101
    ("random", 0.0, 0),
    ("naive", 0.001, 0),
    ("replay", 0.003, 0),
    ("target", 0.0003, 20),
    ("double", 0.0003, 20),
    ("replay", 0.0003, 0),  # not its best: the step size of the two before
)

# What comes first is short and steady: a test measures it again.
EXPERIMENTS = {
    "lake": Experiment(
        lake_run,
        [
            *(
                {"rival": r, "alpha": 0.0, "epsilon": 0.0, "episodes": 0}
                for r in ("random", "best")
            ),
            {"rival": "reward", "alpha": 0.1, "epsilon": 0.3, "episodes": 2000},
            {"rival": "reward and penalty", "alpha": 0.1, "epsilon": 0.1, "episodes": 2000},
        ],
        seeds=1,
    ),
    "bandit": Experiment(
        bandit_run,
        [
            {"rule": "thompson", "epsilon": 0.0},
            {"rule": "ucb", "epsilon": 0.0},
            {"rule": "greedy", "epsilon": 0.02},
            {"rule": "greedy", "epsilon": 0.05},
            {"rule": "greedy", "epsilon": 0.1},
        ],
        seeds=5,
    ),
    "cliff": Experiment(
        cliff_run,
        [
            {"method": "q_learning", "alpha": 0.2},
            {"method": "sarsa", "alpha": 0.1},
            {"method": "expected_sarsa", "alpha": 0.5},
        ],
        seeds=1,
    ),
    "maze": Experiment(
        maze_run,
        [
            {"kind": kind, "bonus": bonus, "alpha": 1.0}
            for kind, bonus in (
                ("plain", 0.0),
                ("bonus", 0.01),
                ("bonus", 0.1),
                ("potential", 0.01),
                ("potential", 0.1),
            )
        ],
        seeds=1,
    ),
    "table": Experiment(
        table_run,
        [
            {"bins": [1, 1, 1, 1], "alpha": 0.3, "steps": 2000},  # one cell: the baseline
            *({"bins": [*b], "alpha": alpha} for b, alpha in BINS.items()),
        ],
        seeds=1,
    ),
    "dqn": Experiment(
        dqn_run,
        [{"rival": r, "lr": lr, "target": target} for r, lr, target in RIVALS],
        seeds=8,
    ),
}
