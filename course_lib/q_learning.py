"""Values learned from reward: bandits, Markov decision processes, temporal differences, DQN.

Chapter: book/17_q_learning. Sources: Sutton & Barto 2018 (the whole); Auer, Cesa-Bianchi &
Fischer 2002 (UCB); Thompson 1933; Watkins & Dayan 1992 (Q-learning); Mnih et al. 2015 (DQN); van
Hasselt, Guez & Silver 2016 (double DQN). Letters: N environments or agents side by side, K arms,
S states, A actions, D numbers of an observation, B batch, T steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device import pick_device
from .plotting import INK, PALETTE
from .progress import bar

# ---- bandits: one state, K arms

Rule = Callable[[int, Tensor, Tensor, torch.Generator], Tensor]


def play_bandit(
    means: Tensor, rule: Rule, steps: int, agents: int = 1, seed: int = 0
) -> dict[str, Tensor]:
    """Let agents pull the arms of a bandit whose rewards are normal with standard deviation 1.

    Each arm is pulled once, in order; from then on the rule chooses.

    Args:
        means: the mean reward of each arm, shape (K,).
        rule: ``rule(t, counts, averages, generator)`` with t pulls made so far, counts and
            averages (N, K), gives the arms to pull, int64, shape (N,).
        steps: T, pulls of each agent, at least K.
        agents: N, independent agents side by side.
        seed: of the rewards and of the rule.

    Returns:
        ``arms``: what was pulled, int64, shape (N, T); ``regret``: what the means of these arms
        lack to the best arm's, summed from the first pull on, shape (N, T), in units of reward.

    Raises:
        ValueError: for fewer steps than arms.

    Example:
        >>> out = play_bandit(torch.tensor([0.0, 1.0]), greedy_rule(0.0), steps=3)
        >>> out["arms"].shape, out["regret"][0, :2].tolist()  # arm 0 lacks 1, arm 1 nothing
        (torch.Size([1, 3]), [1.0, 1.0])

    Source: Lai & Robbins 1985 (regret).
    """
    K = len(means)
    if steps < K:
        raise ValueError(f"each of the {K} arms is pulled once: steps must be {K} or more")
    draws, device = torch.Generator().manual_seed(seed), means.device
    lane = torch.arange(agents, device=device)
    counts, sums = torch.zeros(2, agents, K, device=device)
    arms = torch.empty(agents, steps, dtype=torch.long, device=device)
    for t in range(steps):
        first = torch.full((agents,), t, device=device)
        arm = first if t < K else rule(t, counts, sums / counts, draws)  # (N,)
        reward = means[arm] + torch.randn(agents, generator=draws).to(device)
        counts[lane, arm] += 1
        sums[lane, arm] += reward
        arms[:, t] = arm
    return {"arms": arms, "regret": (means.max() - means[arms]).double().cumsum(1)}


def greedy_rule(epsilon: float) -> Rule:
    """The rule that pulls a random arm with probability ε, else the best average so far.

    Args:
        epsilon: share of pulls made at random, 0 to 1.

    Returns:
        A rule for :func:`play_bandit`.
    """

    def rule(t: int, counts: Tensor, averages: Tensor, draws: torch.Generator) -> Tensor:
        return epsilon_greedy(averages, epsilon, draws)

    return rule


def ucb_rule(width: float = 2.0) -> Rule:
    """The rule that pulls the arm whose mean might be highest: ``average + √(width ln t / n)``.

    Args:
        width: of the interval; 2 is UCB1's, for rewards within 0 and 1.

    Returns:
        A rule for :func:`play_bandit`.

    Source: Auer, Cesa-Bianchi & Fischer 2002, figure 1.
    """

    def rule(t: int, counts: Tensor, averages: Tensor, draws: torch.Generator) -> Tensor:
        return (averages + (width * log(t) / counts).sqrt()).argmax(1)

    return rule


def thompson_rule() -> Rule:
    """The rule that draws each mean from what is believed of it, and pulls the highest draw.

    With a flat prior and rewards of standard deviation 1, the mean of an arm pulled n times is
    believed to be normal around its average with variance 1/n.

    Returns:
        A rule for :func:`play_bandit`.

    Source: Thompson 1933; Agrawal & Goyal 2013.
    """

    def rule(t: int, counts: Tensor, averages: Tensor, draws: torch.Generator) -> Tensor:
        noise = torch.randn(averages.shape, generator=draws).to(averages.device)
        return (averages + noise / counts.sqrt()).argmax(1)

    return rule


def epsilon_greedy(Q: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """ε-greedy actions: any with probability ε, else one of the best, ties broken evenly.

    Args:
        Q: values, shape (N, A).
        epsilon: the probability of an action drawn evenly from all, 0 to 1.
        generator: on the CPU.

    Returns:
        Actions, int64, shape (N,), on the device of Q.

    Example:
        >>> epsilon_greedy(torch.tensor([[0.0, 3.0, 1.0]]), 0.0, torch.Generator())
        tensor([1])
    """
    N, A = Q.shape
    order = torch.rand(N, A, generator=generator).to(Q.device)  # breaks ties, draws the others
    coin = torch.rand(N, generator=generator).to(Q.device)
    best = torch.where(Q.max(1, keepdim=True).values == Q, order, -1.0).argmax(1)
    return torch.where(coin < epsilon, order.argmax(1), best)


# ---- worlds that are known: Markov decision processes


@dataclass(frozen=True)
class MDP:
    """A world of S states and A actions, written down whole. All in float64.

    Args:
        P: ``P[s, a, s']``, the probability that action a leads from s to s', shape (S, A, S).
        R: ``R[s, a, s']``, the reward on this way, shape (S, A, S).
        terminal: bool, where an episode ends, shape (S,). Nothing comes after: value 0.
        start: the probability to begin in each state, shape (S,).

    Raises:
        ValueError: when shapes do not fit or probabilities do not sum to 1.
    """

    P: Tensor
    R: Tensor
    terminal: Tensor
    start: Tensor

    def __post_init__(self) -> None:
        S, A = self.P.shape[:2]
        shapes = [tuple(t.shape) for t in (self.P, self.R, self.terminal, self.start)]
        if shapes != [(S, A, S), (S, A, S), (S,), (S,)]:
            raise ValueError(f"expected P and R (S, A, S), terminal and start (S,), got {shapes}")
        total = self.P.sum(2)
        if not torch.allclose(total, torch.ones_like(total)):
            s, a = divmod(int((total - 1).abs().argmax()), A)
            raise ValueError(
                f"the probabilities of state {s}, action {a} sum to {total[s, a]:.4g}, not to 1"
            )

    @property
    def states(self) -> int:
        """S, how many states there are."""
        return self.P.shape[0]

    @property
    def actions(self) -> int:
        """A, how many actions there are."""
        return self.P.shape[1]

    @classmethod
    def from_gym(cls, env: Any) -> MDP:
        """Write down a Gymnasium environment that has a table, such as FrozenLake.

        Args:
            env: an environment whose ``unwrapped.P[s][a]`` lists ways as
                ``(probability, next state, reward, terminated)``.

        Returns:
            The world. Of several ways to one state the probabilities are added up, and R is the
            mean of their rewards.

        Raises:
            ValueError: when the environment has no such table.
        """
        env = env.unwrapped
        if not hasattr(env, "P"):
            raise ValueError(
                f"{type(env).__name__} has no table P[s][a]; FrozenLake, CliffWalking and Taxi do"
            )
        S, A = int(env.observation_space.n), int(env.action_space.n)
        P, R = torch.zeros(S, A, S).double(), torch.zeros(S, A, S).double()
        terminal = torch.zeros(S, dtype=torch.bool)
        for s in range(S):
            for a in range(A):
                for chance, then, reward, done in env.P[s][a]:
                    P[s, a, then] += chance
                    R[s, a, then] += chance * float(reward)
                    terminal[then] |= bool(done)
        R = R / torch.where(P > 0, P, 1.0)  # the mean of all ways to one state
        return cls(P, R, terminal, torch.as_tensor(env.initial_state_distrib).double())

    def to(self, device: str | torch.device) -> MDP:
        """The same world on another device."""
        return MDP(*(t.to(device) for t in (self.P, self.R, self.terminal, self.start)))

    def begin(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw where episodes start: int64, shape (count,)."""
        return _draw(self.start.expand(count, -1), generator)

    def step(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Take one step in each of N worlds.

        Args:
            state: int64, shape (N,).
            action: int64, shape (N,).
            generator: on the CPU.

        Returns:
            Where it leads, int64; the reward; whether the episode is over there, bool; each (N,).
        """
        then = _draw(self.P[state, action], generator)
        return then, self.R[state, action, then], self.terminal[then]


def _draw(chances: Tensor, generator: torch.Generator) -> Tensor:
    """One index a row of probabilities (N, S), by the inverse of the cumulated sum."""
    u = torch.rand(len(chances), 1, generator=generator, dtype=torch.float64).to(chances.device)
    below = (chances.cumsum(1) <= u).sum(1)
    return below.clamp(max=chances.shape[1] - 1)  # a sum of 1 - 1e-16 leaves a crack


ACTIONS = ("left", "down", "right", "up")  # as FrozenLake counts them
_MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # rows down, columns right


def gridworld(
    rows: Sequence[str],
    step: float = -1.0,
    goal: float = 0.0,
    pit: float = -10.0,
    slip: float = 0.0,
) -> MDP:
    """A world of cells, drawn with letters: S start, G goal, X pit, # wall, . floor.

    State ``row * columns + column``. An action moves one cell; into a wall or off the edge it
    stays. Goals and pits end the episode.

    Args:
        rows: the drawing, strings of equal length.
        step: reward of every step.
        goal: reward on top for reaching G.
        pit: reward on top for falling into X.
        slip: the probability to go to one side instead, half of it to each.

    Returns:
        The world. A wall is a state that nothing reaches.

    Raises:
        ValueError: for rows of several lengths, another letter, or no S.

    Example:
        >>> world = gridworld(["S.G"])
        >>> value_iteration(world, gamma=1.0)[0]
        tensor([-2., -1.,  0.], dtype=torch.float64)
    """
    letters = "".join(rows)
    if len({len(row) for row in rows}) != 1 or set(letters) - set("SGX#.") or "S" not in letters:
        raise ValueError(
            f"rows must be of one length, made of S G X # and . with an S, got {list(rows)}"
        )
    height, width, S = len(rows), len(rows[0]), len(letters)
    paid = {"G": goal, "X": pit}
    P, R = torch.zeros(S, 4, S).double(), torch.zeros(S, 4, S).double()
    for s, a, turn in itertools.product(range(S), range(4), (-1, 0, 1)):
        down, right = _MOVES[(a + turn) % 4]
        i, j = s // width + down, s % width + right
        then = i * width + j if 0 <= i < height and 0 <= j < width else s
        then = s if letters[then] == "#" else then
        P[s, a, then] += slip / 2 if turn else 1 - slip
        R[s, a, then] = step + paid.get(letters[then], 0.0)
    terminal = torch.tensor([letter in "GX" for letter in letters])
    start = torch.tensor([float(letter == "S") for letter in letters]).double()
    return MDP(P, R, terminal, start / start.sum())


def action_values(mdp: MDP, v: Tensor, gamma: float) -> Tensor:
    """What each action is worth if the states are worth v: ``Q = Σ P (R + γ v)``.

    Args:
        mdp: the world.
        v: values of states, shape (S,); those of terminal states do not count.
        gamma: discount a step, 0 to 1.

    Returns:
        Q, shape (S, A); 0 in terminal states.

    Source: Sutton & Barto 2018, equation 4.6.
    """
    future = torch.where(mdp.terminal, 0.0, v)  # (S,)
    Q = (mdp.P * (mdp.R + gamma * future)).sum(2)
    return torch.where(mdp.terminal[:, None], 0.0, Q)


def policy_values(mdp: MDP, policy: Tensor, gamma: float) -> Tensor:
    """What each state is worth to a policy, by solving ``(I - γ Pπ) v = rπ``.

    Args:
        mdp: the world.
        policy: probabilities of actions, shape (S, A), or one action a state, int64, (S,).
        gamma: discount a step; below 1 unless the policy ends every episode.

    Returns:
        v, shape (S,); 0 in terminal states.

    Raises:
        ValueError: when the policy may run forever and gamma is 1.

    Source: Sutton & Barto 2018, equation 4.4.
    """
    if policy.ndim == 1:
        policy = F.one_hot(policy, mdp.actions).to(mdp.P)
    on = ~mdp.terminal  # (S,)
    P = torch.einsum("sa,sat->st", policy, mdp.P) * on[:, None] * on  # among states that go on
    r = torch.einsum("sa,sat,sat->s", policy, mdp.P, mdp.R) * on
    try:
        return torch.linalg.solve(torch.eye(mdp.states).to(P) - gamma * P, r)
    except RuntimeError as error:
        raise ValueError(
            f"with gamma = {gamma} the sum of rewards has no value: the policy never ends from "
            "some state; take gamma < 1 or a policy that ends"
        ) from error


def value_iteration(
    mdp: MDP, gamma: float, tolerance: float = 1e-10, sweeps: int = 10_000
) -> tuple[Tensor, int]:
    """Apply ``v ← max_a Q(v)`` from v = 0 until no state changes by more than the tolerance.

    Args:
        mdp: the world.
        gamma: discount a step, 0 to 1.
        tolerance: largest change of a state, in units of reward.
        sweeps: at most so many.

    Returns:
        v, shape (S,), and how many sweeps it took.

    Raises:
        ValueError: when it has not settled after all sweeps.

    Source: Bellman 1957; Sutton & Barto 2018, section 4.4.
    """
    v = torch.zeros(mdp.states).to(mdp.P)
    for sweep in range(1, sweeps + 1):
        old, v = v, action_values(mdp, v, gamma).max(1).values
        if (v - old).abs().max() <= tolerance:
            return v, sweep
    raise ValueError(
        f"still changing by {(v - old).abs().max():.2g} after {sweeps} sweeps; take gamma < 1, "
        "more sweeps, or a larger tolerance"
    )


def policy_iteration(mdp: MDP, gamma: float) -> tuple[Tensor, Tensor, int]:
    """Solve for a policy's values, act greedily by them, and again, until no action changes.

    Args:
        mdp: the world.
        gamma: discount a step, below 1.

    Returns:
        v, shape (S,); the policy, int64, shape (S,); and how many policies were solved for.

    Raises:
        ValueError: for a gamma of 1 or more, with which the first policy may have no value.

    Source: Howard 1960; Sutton & Barto 2018, section 4.3.
    """
    if not 0 <= gamma < 1:
        raise ValueError(f"gamma must be at least 0 and below 1, got {gamma}")
    policy = torch.zeros(mdp.states, dtype=torch.long, device=mdp.P.device)
    for rounds in range(1, mdp.actions**mdp.states + 1):
        v = policy_values(mdp, policy, gamma)
        Q = action_values(mdp, v, gamma)
        better = Q.max(1).values > Q.gather(1, policy[:, None]).squeeze(1) + 1e-9
        if not better.any():
            return v, policy, rounds
        policy = torch.where(better, Q.argmax(1), policy)
    raise AssertionError("a finite world has finitely many policies")


# ---- worlds that are met: learning from steps

CONTROLS = ("q_learning", "sarsa", "expected_sarsa")


def td_control(
    mdp: MDP,
    method: str = "q_learning",
    *,
    episodes: int = 500,
    alpha: float = 0.5,
    epsilon: float = 0.1,
    gamma: float = 1.0,
    limit: int = 500,
    agents: int = 1,
    seed: int = 0,
    watch: Callable[[int, Tensor], object] | None = None,
) -> dict[str, Tensor]:
    """Learn Q from steps with ``Q[s, a] += α (r + γ future - Q[s, a])``, acting ε-greedily.

    The future is ``max Q[s']`` (q_learning), ``Q[s', a']`` of the action taken next (sarsa) or
    the mean over the ε-greedy policy (expected_sarsa); 0 after a terminal state, but not where
    only the time is up.

    Args:
        mdp: the world; the learner sees its steps, not its table.
        method: one of the three.
        episodes: of each agent.
        alpha: step size, above 0, at most 1.
        epsilon: share of random actions.
        gamma: discount a step.
        limit: steps after which an episode is cut off.
        agents: N, independent learners side by side.
        seed: of all that is drawn.
        watch: called after each step with its number and Q.

    Returns:
        ``Q``, shape (N, S, A); ``returns``: undiscounted, and ``lengths`` in steps, both of
        each episode while learning, shape (N, episodes).

    Raises:
        ValueError: for a method that is none of the three.

    Source: Sutton & Barto 2018, sections 6.4 to 6.6; Watkins & Dayan 1992.
    """
    if method not in CONTROLS:
        raise ValueError(f"method must be one of {', '.join(CONTROLS)}, got {method!r}")
    draws, device = torch.Generator().manual_seed(seed), mdp.P.device
    lane = torch.arange(agents, device=device)
    Q = torch.zeros(agents, mdp.states, mdp.actions, device=device).double()
    returns = torch.zeros(agents, episodes, device=device).double()
    lengths = torch.zeros(agents, episodes, device=device).long()
    episode, length = torch.zeros(2, agents, device=device).long()
    s = mdp.begin(agents, draws)
    a = epsilon_greedy(Q[lane, s], epsilon, draws)
    for step in range(1, episodes * limit + 1):
        then, r, over = mdp.step(s, a, draws)
        after = epsilon_greedy(Q[lane, then], epsilon, draws)
        future = _future(Q[lane, then], after, method, epsilon)
        at_work = episode < episodes  # who has had all episodes learns no more
        error = r + gamma * torch.where(over, 0.0, future) - Q[lane, s, a]
        Q[lane, s, a] += alpha * torch.where(at_work, error, 0.0)
        now = episode.clamp(max=episodes - 1)
        returns[lane, now] += torch.where(at_work, r, 0.0)
        lengths[lane, now] += at_work.long()
        length += 1
        ended = over | (length >= limit)
        episode += (ended & at_work).long()
        length = torch.where(ended, 0, length)
        s = torch.where(ended, mdp.begin(agents, draws), then)
        # SARSA takes the action it has learned from; Q-learning looks once more at the new values
        fresh = epsilon_greedy(Q[lane, s], epsilon, draws)
        a = torch.where(ended, fresh, after) if method == "sarsa" else fresh
        if watch:
            watch(step, Q)
        if not (episode < episodes).any():
            break
    return {"Q": Q, "returns": returns, "lengths": lengths}


def _future(Q: Tensor, after: Tensor, method: str, epsilon: float) -> Tensor:
    """What the next state is worth to each method: Q (N, A), actions taken there (N,)."""
    best = Q.max(1).values
    if method == "q_learning":
        return best
    if method == "sarsa":
        return Q.gather(1, after[:, None]).squeeze(1)
    return epsilon * Q.mean(1) + (1 - epsilon) * best


# ---- worlds without a table: Gymnasium, many at once


class Step(NamedTuple):
    """What one step of N environments gives.

    ``obs`` (N, D) is where the next step starts: after the end of an episode, a new one.
    ``reached`` (N, D) is where this step led, before any new start: what a target looks at.
    ``terminated`` (N,): the task itself is over, nothing comes after. ``truncated`` (N,): the
    time is up, though the task would go on.
    """

    obs: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    reached: Tensor


class GymVector:
    """N copies of a Gymnasium environment, tensors in and tensors out.

    Args:
        name: ``"CartPole-v1"``, ``"Acrobot-v1"``: observations are vectors, actions are counted.
        count: N.
        seed: of the starts.
        device: where the tensors go; the environments themselves run on the CPU.
        options: passed on to the environment.

    Raises:
        ValueError: for an environment with other observations or actions.

    Example:
        >>> env = GymVector("CartPole-v1", count=3)
        >>> env.reset().shape, env.step(torch.tensor([0, 1, 1])).reward
        (torch.Size([3, 4]), tensor([1., 1., 1.]))
    """

    def __init__(self, name: str, count: int = 1, seed: int = 0, device=None, **options) -> None:
        import gymnasium
        from gymnasium.vector import AutoresetMode

        same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.env = gymnasium.make_vec(
            name, num_envs=count, vectorization_mode="sync", vector_kwargs=same_step, **options
        )
        seen, acted = self.env.single_observation_space, self.env.single_action_space
        if len(seen.shape or ()) != 1 or not isinstance(acted, gymnasium.spaces.Discrete):
            raise ValueError(
                f"{name} has observations {seen} and actions {acted}; vectors and counted actions "
                "are needed. A world of counted states fits MDP.from_gym"
            )
        self.count, self.features, self.actions = count, seen.shape[0], int(acted.n)
        self.seed, self.device = seed, pick_device(device)

    def reset(self, seed: int | None = None) -> Tensor:
        """Start all episodes anew: observations (N, D). Without a seed, the same ones each time."""
        obs, _ = self.env.reset(seed=self.seed if seed is None else seed)
        return self._tensor(obs)

    def step(self, action: Tensor) -> Step:
        """Take one step in each; an episode that ends starts anew.

        Args:
            action: int64, shape (N,).

        Returns:
            A :class:`Step`, in tensors on the device.
        """
        obs, reward, terminated, truncated, info = self.env.step(action.cpu().numpy())
        obs = self._tensor(obs)
        reached = obs.clone()
        for i in (terminated | truncated).nonzero()[0].tolist():
            reached[i] = self._tensor(info["final_obs"][i])
        ends = [torch.from_numpy(end.copy()).to(self.device) for end in (terminated, truncated)]
        return Step(obs, self._tensor(reward), *ends, reached)

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)


@torch.no_grad()
def evaluate(env: Any, policy: Callable[[Tensor], Tensor], limit: int = 100_000) -> Tensor:
    """Play one episode in each environment, without learning.

    Args:
        env: N environments, such as :class:`GymVector`.
        policy: observations (N, D) to actions (N,) int64.
        limit: steps after which it stops.

    Returns:
        The undiscounted return of each episode, shape (N,).

    Raises:
        ValueError: when an episode does not end within the limit.
    """
    obs = env.reset()
    total = torch.zeros(env.count, device=obs.device)
    running = torch.ones(env.count, dtype=torch.bool, device=obs.device)
    for _ in range(limit):
        step = env.step(policy(obs))
        total += step.reward * running
        running &= ~(step.terminated | step.truncated)
        obs = step.obs
        if not running.any():
            return total
    raise ValueError(f"{int(running.sum())} of {env.count} episodes go on after {limit} steps")


# ---- deep Q-learning


def q_network(features: int, actions: int, hidden: int = 64, seed: int = 0) -> nn.Sequential:
    """A network in the place of the table: observations (B, D) to values of actions (B, A).

    Args:
        features: D.
        actions: A.
        hidden: width of its two hidden layers.
        seed: of the first weights; torch's own generator stays as it was.

    Returns:
        The network, on the CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, actions),
        )


class Replay:
    """The newest transitions, in a ring.

    Args:
        capacity: how many it keeps.
        features: D.
        device: where; None chooses.
    """

    def __init__(self, capacity: int, features: int, device=None) -> None:
        device = pick_device(device)
        self.obs = torch.zeros(capacity, features, device=device)
        self.reached = torch.zeros(capacity, features, device=device)
        self.action = torch.zeros(capacity, dtype=torch.long, device=device)
        self.reward = torch.zeros(capacity, device=device)
        self.terminated = torch.zeros(capacity, dtype=torch.bool, device=device)
        self.capacity, self.added = capacity, 0

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, obs: Tensor, action: Tensor, step: Step) -> None:
        """Keep N transitions, in the place of the oldest where it is full."""
        rows = (torch.arange(len(obs), device=obs.device) + self.added) % self.capacity
        self.obs[rows], self.action[rows], self.reward[rows] = obs, action, step.reward
        self.reached[rows], self.terminated[rows] = step.reached, step.terminated
        self.added += len(obs)

    def sample(self, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw transitions evenly: obs, action, reward, terminated, reached, B rows each."""
        rows = torch.randint(len(self), (batch,), generator=generator).to(self.obs.device)
        return self.rows(rows)

    def newest(self, count: int) -> tuple[Tensor, ...]:
        """The last transitions added, in the same form."""
        rows = torch.arange(self.added - count, self.added, device=self.obs.device)
        return self.rows(rows % self.capacity)

    def rows(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Obs, action, reward, terminated and reached of these rows."""
        kept = self.obs, self.action, self.reward, self.terminated, self.reached
        return tuple(part[rows] for part in kept)


@torch.no_grad()
def q_targets(
    reward: Tensor,
    terminated: Tensor,
    reached: Tensor,
    online: nn.Module,
    frozen: nn.Module,
    gamma: float,
    double: bool,
) -> Tensor:
    """What ``Q(s, a)`` is moved towards: ``r + γ Q⁻(s', argmax Q(s'))``, or r at an end.

    Args:
        reward: shape (B,).
        terminated: bool, shape (B,): the task was over in s'. Not where the time was up.
        reached: s', shape (B, D).
        online: the network that learns.
        frozen: its older copy Q⁻, or the same network where there is none.
        gamma: discount a step.
        double: let ``online`` choose the action and ``frozen`` value it; else ``frozen`` does
            both, ``max Q⁻(s')``.

    Returns:
        Targets without a gradient, shape (B,).

    Source: Mnih et al. 2015, algorithm 1; van Hasselt, Guez & Silver 2016, equation 4.
    """
    Q = frozen(reached)  # (B, A)
    choice = (online(reached) if double else Q).argmax(1, keepdim=True)
    return reward + gamma * ~terminated * Q.gather(1, choice).squeeze(1)


def dqn(
    env: Any,
    *,
    steps: int = 20_000,
    replay: int = 10_000,
    target: int = 100,
    double: bool = True,
    lr: float = 1e-3,
    gamma: float = 0.99,
    batch: int = 64,
    epsilon: tuple[float, float] = (1.0, 0.05),
    exploring: float = 0.2,
    warmup: int = 500,
    huber: bool = False,
    hidden: int = 64,
    seed: int = 0,
    watch: Callable[[int, nn.Module], object] | None = None,
    progress: bool | None = None,
) -> nn.Sequential:
    """Deep Q-learning. Each device can be left out: replay, target network, double targets.

    Args:
        env: N environments, such as :class:`GymVector`; one step of each is one step here.
        steps: steps taken, and after the warm-up one step of Adam for each.
        replay: transitions kept to learn from; 0 learns from the N newest alone.
        target: steps between copies of the network that gives the targets; 0 takes the network
            that learns.
        double: double targets, see :func:`q_targets`; needs a target network to differ.
        lr: step size of Adam, > 0.
        gamma: discount a step.
        batch: B, transitions of a step of Adam.
        epsilon: share of random actions at the start and in the end.
        exploring: the share of all steps in which it falls from the first to the second.
        warmup: steps before learning starts.
        huber: Huber's loss, whose slope is at most 1, as Mnih et al. clip theirs; else squares.
        hidden: width of the network's two layers.
        seed: of the first weights and all that is drawn; starts are drawn by ``env``.
        watch: called after each step with its number and the network.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The network, observations (B, D) to values (B, A).

    Raises:
        ValueError: when replay is too small for a batch.

    Source: Mnih et al. 2015, with Adam instead of RMSProp and without its pictures.
    """
    if 0 < replay < batch:
        raise ValueError(f"replay must hold a batch of {batch}, got {replay}; 0 does without")
    draws = torch.Generator().manual_seed(seed)
    obs = env.reset()
    online = q_network(env.features, env.actions, hidden, seed).to(obs.device)
    frozen = q_network(env.features, env.actions, hidden, seed).to(obs.device)
    optimizer = torch.optim.Adam(online.parameters(), lr, fused=True)
    loss = F.smooth_l1_loss if huber else F.mse_loss
    memory = Replay(replay or env.count, env.features, obs.device)
    with bar(progress, total=steps, desc="DQN", unit="step") as shown:
        for t in range(1, steps + 1):
            share = min(1.0, t / max(1.0, exploring * steps))
            now = epsilon[0] + share * (epsilon[1] - epsilon[0])
            with torch.no_grad():
                action = epsilon_greedy(online(obs), now, draws)
            step = env.step(action)
            memory.add(obs, action, step)
            obs = step.obs
            if t > warmup:
                rows = memory.sample(batch, draws) if replay else memory.newest(env.count)
                goal = q_targets(*rows[2:], online, frozen if target else online, gamma, double)
                _learn(online, optimizer, rows[0], rows[1], goal, loss)
                if target and t % target == 0:
                    frozen.load_state_dict(online.state_dict())
            if watch:
                watch(t, online)
            shown.update()
    return online


def _learn(
    online: nn.Module,
    optimizer: torch.optim.Optimizer,
    obs: Tensor,
    action: Tensor,
    goal: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """One step of the optimizer on the loss between Q(s, a) and its target."""
    value = online(obs).gather(1, action[:, None]).squeeze(1)  # (B,)
    optimizer.zero_grad()
    loss(value, goal).backward()
    optimizer.step()


# ---- the rest of the chapter: rates, episodes, predictions, pictures


def lai_robbins(means: Tensor) -> float:
    """The least slope of regret against ln T: ``Σ 2 / Δ`` over the arms that lack Δ > 0.

    Args:
        means: the mean reward of each arm, shape (K,); rewards are normal with variance 1.

    Returns:
        The slope; any rule that does well on all bandits has it or more, as T grows.

    Example:
        >>> lai_robbins(torch.tensor([0.0, 0.5, 1.0]))  # 2 / 1 + 2 / 0.5
        6.0

    Source: Lai & Robbins 1985, theorem 1.
    """
    lack = means.double().max() - means.double()
    return (2 / lack[lack > 0]).sum().item()


class Episode(NamedTuple):
    """What was met from a start to an end: T + 1 states, T rewards.

    ``terminated`` is False where the time ran out: the task would have gone on.
    """

    states: list[int]
    rewards: list[float]
    terminated: bool


def play(
    mdp: MDP, policy: Tensor, episodes: int, seed: int = 0, limit: int = 10_000
) -> list[Episode]:
    """Let a policy act, without learning.

    Args:
        mdp: the world.
        policy: probabilities of actions, shape (S, A).
        episodes: how many, side by side.
        seed: of starts, actions and steps.
        limit: steps after which an episode is cut off.

    Returns:
        The episodes.

    Example:
        >>> walk = gridworld(["S.G"])
        >>> right = torch.tensor([[0.0, 0, 1, 0]] * 3).double()
        >>> play(walk, right, episodes=1)
        [Episode(states=[0, 1, 2], rewards=[-1.0, -1.0], terminated=True)]
    """
    draws = torch.Generator().manual_seed(seed)
    states, rewards = [mdp.begin(episodes, draws)], []
    length = torch.full((episodes,), limit, device=mdp.P.device)
    over = torch.zeros(episodes, dtype=torch.bool, device=mdp.P.device)
    while len(rewards) < limit and not over.all():
        then, reward, ended = mdp.step(states[-1], _draw(policy[states[-1]], draws), draws)
        states.append(then), rewards.append(reward)
        length[ended & ~over] = len(rewards)  # what comes later is not kept
        over |= ended
    lists = (part.tolist() for part in (torch.stack(states, 1), torch.stack(rewards, 1), over))
    return [
        Episode(s[: n + 1], r[:n], done)
        for s, r, done, n in zip(*lists, length.tolist(), strict=True)
    ]


def discounted_returns(rewards: Sequence[float], gamma: float) -> list[float]:
    """The return from each step on: ``G_t = r_{t+1} + γ G_{t+1}``, counted from the end.

    Args:
        rewards: of one episode, T of them; the first follows the first action.
        gamma: discount a step.

    Returns:
        T returns.

    Example:
        >>> discounted_returns([0.0, 0.0, 8.0], gamma=0.5)
        [2.0, 4.0, 8.0]
    """
    found, G = [], 0.0
    for r in reversed(rewards):
        G = r + gamma * G
        found.append(G)
    return found[::-1]


def monte_carlo(episodes: Sequence[Episode], states: int, gamma: float) -> Tensor:
    """Predict values as averages of the returns after the first visit to a state.

    Args:
        episodes: that a policy has played to their ends.
        states: S.
        gamma: discount a step.

    Returns:
        v after each episode, shape (E, S), float64; 0 where a state was never visited.

    Raises:
        ValueError: for an episode that was cut off: its returns are not known.

    Source: Sutton & Barto 2018, section 5.1.
    """
    v, visits, after = [0.0] * states, [0] * states, []
    for n, episode in enumerate(episodes):
        if not episode.terminated:
            raise ValueError(
                f"episode {n} was cut off after {len(episode.rewards)} steps, so its returns are "
                "not known: raise the limit, or use td_prediction"
            )
        met = set()
        for s, G in zip(episode.states, discounted_returns(episode.rewards, gamma), strict=False):
            if s not in met:
                met.add(s)
                visits[s] += 1
                v[s] += (G - v[s]) / visits[s]
        after.append(v.copy())
    return torch.tensor(after, dtype=torch.float64)


def td_prediction(
    episodes: Sequence[Episode], states: int, gamma: float, alpha: float, start: float = 0.0
) -> Tensor:
    """Predict values by TD(0): ``v[s] += α (r + γ v[s'] - v[s])`` after each step.

    Args:
        episodes: that a policy has played.
        states: S.
        gamma: discount a step.
        alpha: step size, above 0, at most 1.
        start: the first guess of all values.

    Returns:
        v after each episode, shape (E, S), float64. What a terminal state shows is the first
        guess; as a future it counts 0.

    Source: Sutton 1988; Sutton & Barto 2018, section 6.1.
    """
    v, after = [start] * states, []
    for episode in episodes:
        last = len(episode.rewards) - 1
        ways = zip(*(episode.states[i:] for i in (0, 1)), episode.rewards, strict=False)
        for t, (s, then, r) in enumerate(ways):
            future = 0.0 if t == last and episode.terminated else v[then]
            v[s] += alpha * (r + gamma * future - v[s])
        after.append(v.copy())
    return torch.tensor(after, dtype=torch.float64)


def draw_grid(
    ax: Any,
    rows: Sequence[str],
    v: Tensor | None = None,
    policy: Tensor | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    digits: int | None = None,
) -> None:
    """Draw a gridworld: values as colour, a policy as arrows.

    Args:
        ax: where to draw.
        rows: the drawing, as for :func:`gridworld`.
        v: values, shape (S,); the higher, the bluer.
        policy: an action a state, int64, shape (S,); -1 draws none.
        limits: the values of no colour and of full colour.
        digits: decimals of the values written below the arrows; None writes none.
    """
    from matplotlib.patches import Rectangle

    width, low, high = len(rows[0]), *limits
    for s, letter in enumerate("".join(rows)):
        i, j = divmod(s, width)
        paint = {"fc": "none", "ec": INK, "lw": 0.6}
        if letter == "#":
            paint["fc"] = "#808080"
        elif letter in "GX":
            paint |= {"hatch": "//", "ec": PALETTE[2 if letter == "G" else 1], "lw": 1.5}
        elif v is not None:
            share = min(max((float(v[s]) - low) / (high - low), 0.0), 1.0)
            paint["fc"] = (0.0, 0.447, 0.698, 0.8 * share)  # PALETTE[0], more or less of it
        ax.add_patch(Rectangle((j + 0.03, i + 0.03), 0.94, 0.94, **paint))
        words = [letter] if letter in "SGX" else []
        if letter in "S." and policy is not None and policy[s] >= 0:
            words = ["←↓→↑"[int(policy[s])]]
        if letter in "S." and v is not None and digits is not None:
            words.append(f"{float(v[s]):.{digits}f}")
        ax.text(j + 0.5, i + 0.5, "\n".join(words), ha="center", va="center", linespacing=1.1)
    ax.set(xlim=(0, width), ylim=(len(rows), 0), aspect="equal")
    ax.axis("off")
