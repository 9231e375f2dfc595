"""Policies learned directly: REINFORCE, baselines, actor-critic, GAE, PPO, many worlds at once.

Chapter: book/18_policy_gradient. Sources: Williams 1992 (REINFORCE); Sutton et al. 2000 (the
theorem); Mnih et al. 2016 (A2C); Schulman et al. 2016 (GAE) and 2017 (PPO); Barto, Sutton &
Anderson 1983 (the cart and its pole). Letters: N environments side by side, T steps, D numbers of
an observation, A actions, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device import pick_device
from .progress import bar
from .q_learning import MDP, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# ---- a world as tensors


class CartPole:
    """N carts with poles, stepped at once: the physics of Gymnasium's CartPole-v1.

    An observation is the cart's place in metres, its speed, the pole's angle in radians and its
    speed. Action 0 pushes to the left, 1 to the right, with 10 newtons for 0.02 seconds. Each
    step pays 1. An episode terminates where the cart is beyond 2.4 metres or the pole beyond 12
    degrees, and is truncated after ``limit`` steps.

    Args:
        count: N.
        seed: of the starts, each number uniform in -0.05 to 0.05.
        limit: steps of an episode.
        device: where the tensors live; None chooses.
        dtype: of state and observations; Gymnasium keeps its state in float64.

    Example:
        >>> env = CartPole(2, device="cpu")
        >>> env.reset().shape, env.step(torch.tensor([0, 1])).reward
        (torch.Size([2, 4]), tensor([1., 1.]))

    Source: Barto, Sutton & Anderson 1983; Gymnasium, classic control.
    """

    features, actions = 4, 2

    def __init__(
        self, count: int, seed: int = 0, limit: int = 500, device=None, dtype=torch.float32
    ) -> None:
        self.count, self.seed, self.limit = count, seed, limit
        self.device, self.dtype = pick_device(device), dtype
        self.reset()

    def reset(self, seed: int | None = None) -> Tensor:
        """Start all episodes anew.

        Args:
            seed: of these and all later starts; None takes that of the environments.

        Returns:
            Observations, shape (N, 4).
        """
        seed = self.seed if seed is None else seed
        self.draws = torch.Generator(self.device).manual_seed(seed)
        self.state = self._starts(self.count)
        self.age = torch.zeros(self.count, dtype=torch.long, device=self.device)
        return self.state

    def step(self, action: Tensor) -> Step:
        """Push each cart once; an episode that ends starts anew.

        Args:
            action: 0 left or 1 right, int64, shape (N,).

        Returns:
            What came of it, in each of the N environments.
        """
        reached = _push(self.state, action)
        place, angle = reached[:, 0], reached[:, 2]
        terminated = (place.abs() > 2.4) | (angle.abs() > 12 * 2 * pi / 360)
        self.age += 1
        truncated = self.age >= self.limit
        self.state = reached.clone()
        ended = (terminated | truncated).nonzero().squeeze(1)
        self.state[ended] = self._starts(len(ended))
        self.age[ended] = 0
        reward = torch.ones(self.count, dtype=self.dtype, device=self.device)
        return Step(self.state, reward, terminated, truncated, reached)

    def _starts(self, count: int) -> Tensor:
        options = {"generator": self.draws, "device": self.device, "dtype": self.dtype}
        return torch.rand(count, 4, **options) * 0.1 - 0.05


def _push(state: Tensor, action: Tensor) -> Tensor:
    """Where carts and poles are 0.02 seconds later: states (N, 4), pushes (N,) 0 or 1."""
    gravity, cart, pole, half, tau = 9.8, 1.0, 0.1, 0.5, 0.02  # kg, metres, seconds
    _, speed, angle, turn = state.unbind(1)
    sin, cos = angle.sin(), angle.cos()
    force = (action * 2 - 1) * 10.0
    push = (force + pole * half * turn.square() * sin) / (cart + pole)
    inertia = half * (4.0 / 3.0 - pole * cos.square() / (cart + pole))
    turn_rate = (gravity * sin - cos * push) / inertia
    speed_rate = push - pole * half * turn_rate * cos / (cart + pole)
    return state + tau * torch.stack([speed, speed_rate, turn, turn_rate], 1)  # Euler's step


# ---- policy and value


class ActorCritic(nn.Module):
    """Two networks: observations to logits of actions, and to the value of the state.

    Args:
        features: D.
        actions: A.
        hidden: width of the two hidden layers of each.
        seed: of the first weights; torch's own generator stays as it was.
        device: where the parameters live; None chooses.

    Example:
        >>> logits, value = ActorCritic(4, 2, device="cpu")(torch.zeros(3, 4))
        >>> logits.shape, value.shape
        (torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(
        self, features: int, actions: int, hidden: int = 64, seed: int = 0, device=None
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.actor = _mlp(features, hidden, actions, gain=0.01)  # near even at the start
            self.critic = _mlp(features, hidden, 1, gain=1.0)
        self.to(pick_device(device))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (..., A) and values (...) of observations (..., D)."""
        return self.actor(obs), self.critic(obs).squeeze(-1)

    def greedy(self, obs: Tensor) -> Tensor:
        """The likeliest action of each row, int64."""
        return self.actor(obs).argmax(-1)


def _mlp(features: int, hidden: int, outputs: int, gain: float) -> nn.Sequential:
    """Two hidden layers of tanh with orthogonal weights, the last layer's scaled by gain."""
    net = nn.Sequential(
        nn.Linear(features, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        nn.Linear(hidden, outputs),
    )
    for layer, scale in zip(net[::2], (2**0.5, 2**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return net


def draw_actions(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Actions drawn from ``softmax(logits)``, by Gumbel's trick: argmax of logits plus noise.

    Args:
        logits: shape (N, A).
        generator: on the CPU or on the device of the logits.

    Returns:
        Actions, int64, shape (N,).
    """
    u = torch.rand(logits.shape, generator=generator, device=generator.device)
    return (logits - (-u.clamp(1e-20).log()).log().to(logits.device)).argmax(-1)


def log_prob(logits: Tensor, action: Tensor) -> Tensor:
    """``log π(a|s)`` of the actions taken: logits (..., A), actions (...)."""
    return logits.log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)


# ---- experience


@dataclass
class Rollout:
    """T steps of N environments. Each field's first two axes are (T, N)."""

    obs: Tensor  # (T, N, D)
    action: Tensor
    log_prob: Tensor  # of the action, by the policy that took it
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    reached: Tensor  # (T, N, D), before any new start

    def flat(self) -> Rollout:
        """The same with one axis of T·N rows."""
        return Rollout(*(getattr(self, f.name).flatten(0, 1) for f in fields(self)))


@torch.no_grad()
def rollout(
    env: Any, policy: ActorCritic, obs: Tensor, steps: int, generator: torch.Generator
) -> tuple[Rollout, Tensor]:
    """Let a policy act.

    Args:
        env: N environments, such as :class:`CartPole` or :class:`~course_lib.q_learning.GymVector`.
        policy: its ``actor`` gives logits.
        obs: where the environments are, (N, D).
        steps: T.
        generator: of the actions.

    Returns:
        What happened, and where the environments are now.
    """
    rows = []
    for _ in range(steps):
        logits = policy.actor(obs)
        action = draw_actions(logits, generator)
        step = env.step(action)
        rows.append((obs, action, log_prob(logits, action), *step[1:]))
        obs = step.obs
    return Rollout(*(torch.stack(column) for column in zip(*rows, strict=True))), obs


def episodes(
    env: Any,
    policy: ActorCritic,
    generator: torch.Generator,
    seed: int | None = None,
    limit: int = 100_000,
) -> tuple[Rollout, Tensor]:
    """One whole episode in each environment, from its start.

    Args:
        env: N environments.
        policy: its ``actor`` gives logits.
        generator: of the actions.
        seed: of the starts; None takes that of the environments.
        limit: steps after which it stops.

    Returns:
        What happened, T steps of the longest episode; and which steps belong to the first
        episode of their environment, bool, shape (T, N).

    Raises:
        ValueError: when an episode does not end within the limit.
    """
    obs, pieces = env.reset(seed), []
    running = torch.ones(env.count, dtype=torch.bool, device=obs.device)
    alive = []
    while running.any():
        if len(pieces) >= limit:
            raise ValueError(f"{int(running.sum())} episodes go on after {limit} steps")
        piece, obs = rollout(env, policy, obs, 1, generator)
        pieces.append(piece)
        alive.append(running)
        running = running & ~(piece.terminated | piece.truncated)[0]
    joined = (torch.cat([getattr(p, f.name) for p in pieces]) for f in fields(Rollout))
    return Rollout(*joined), torch.stack(alive)


# ---- what a step was worth


def returns_to_go(reward: Tensor, ended: Tensor, gamma: float = 1.0) -> Tensor:
    """``G_t = r_t + γ G_{t+1}``, the discounted rewards from each step to its episode's end.

    Args:
        reward: shape (T, N).
        ended: bool, (T, N): the episode's last step.
        gamma: discount a step.

    Returns:
        G, shape (T, N).

    Example:
        >>> returns_to_go(torch.ones(3, 1), torch.zeros(3, 1, dtype=torch.bool), 0.5).squeeze()
        tensor([1.7500, 1.5000, 1.0000])
    """
    G, total = torch.empty_like(reward), torch.zeros_like(reward[0])
    for t in range(len(reward) - 1, -1, -1):
        total = reward[t] + gamma * total * ~ended[t]
        G[t] = total
    return G


def gae(
    reward: Tensor,
    value: Tensor,
    then: Tensor,
    terminated: Tensor,
    ended: Tensor,
    gamma: float = 0.99,
    lam: float = 0.95,
) -> Tensor:
    """Generalised advantages: ``A_t = δ_t + γλ A_{t+1}`` with ``δ_t = r_t + γ V(s') - V(s_t)``.

    Args:
        reward: shape (T, N).
        value: V(s_t), shape (T, N).
        then: V of the state that the step reached, before any new start, shape (T, N).
        terminated: bool, (T, N): the task was over, nothing is worth anything afterwards.
        ended: bool, (T, N): terminated or truncated; the sum does not run on.
        gamma: discount a step.
        lam: λ; 0 trusts the values, 1 the rewards.

    Returns:
        Advantages, shape (T, N).

    Source: Schulman et al. 2016, equations 11 and 16.
    """
    delta = reward + gamma * then * ~terminated - value
    A, total = torch.empty_like(delta), torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        total = delta[t] + gamma * lam * total * ~ended[t]
        A[t] = total
    return A


# ---- the three learners, each whole

Watch = Callable[[int, ActorCritic, dict[str, float]], object]
BASELINES = ("none", "mean", "value")


def reinforce(
    env: Any,
    *,
    updates: int = 100,
    baseline: str = "mean",
    lr: float = 3e-3,
    gamma: float = 0.99,
    hidden: int = 64,
    seed: int = 0,
    watch: Watch | None = None,
    progress: bool | None = None,
) -> ActorCritic:
    """REINFORCE: climb along ``E[Σ_t (G_t - b) ∇ log π(a_t|s_t)]``, a step for N whole episodes.

    Args:
        env: N environments; each update plays one episode in each.
        updates: steps of Adam.
        baseline: b: ``"none"``; ``"mean"``, the mean of the other episodes' G_t at the same t;
            or ``"value"``, learned beside.
        lr: step size of Adam, > 0.
        gamma: discount a step.
        hidden: width of the networks.
        seed: of the first weights and the actions; starts follow the seed of ``env``.
        watch: called after each update with its number, the policy and ``{"return": ...}``, the
            mean return of the episodes just played; what it returns, if true, ends the training.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The policy.

    Raises:
        ValueError: for another baseline.

    Source: Williams 1992; Kool, van Hoof & Welling 2019 (the mean of the others).
    """
    if baseline not in BASELINES:
        raise ValueError(f"baseline must be one of {', '.join(BASELINES)}, got {baseline!r}")
    policy, draws = ActorCritic(env.features, env.actions, hidden, seed, env.device), _draws(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr, fused=True)
    with bar(progress, total=updates, desc="REINFORCE", unit="update") as shown:
        for update in range(1, updates + 1):
            starts = env.seed + update * env.count  # others each time
            played, alive = episodes(env, policy, draws, starts)
            G = returns_to_go(played.reward * alive, ~alive, gamma)  # (T, N)
            logits, value = policy(played.obs)
            advantage = G - _baseline(baseline, G, value.detach(), alive)
            gain = (log_prob(logits, played.action) * advantage * alive).sum(0).mean()
            loss = -gain + F.mse_loss(value[alive], G[alive]) * (baseline == "value")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            shown.update()
            total = (played.reward * alive).sum(0).mean().item()
            if watch and watch(update, policy, {"return": total}):
                break
    return policy


def _baseline(name: str, G: Tensor, value: Tensor, alive: Tensor) -> Tensor:
    """What is taken from G (T, N): nothing, the mean of the others at the same t, or V(s)."""
    if name == "none":
        return torch.zeros_like(G)
    others = (alive.sum(1, keepdim=True) - alive.long()).clamp(min=1)  # (T, N)
    return value if name == "value" else ((G * alive).sum(1, keepdim=True) - G * alive) / others


def actor_critic(
    env: Any,
    *,
    updates: int = 1000,
    horizon: int = 8,
    lam: float = 1.0,
    lr: float = 3e-3,
    gamma: float = 0.99,
    entropy: float = 0.0,
    hidden: int = 64,
    seed: int = 0,
    watch: Watch | None = None,
    progress: bool | None = None,
) -> ActorCritic:
    """Advantage actor-critic (A2C): a step of Adam after each ``horizon`` steps of N environments.

    Args:
        env: N environments.
        updates: steps of Adam.
        horizon: T, steps of each environment between them.
        lam: λ of :func:`gae`.
        lr: step size of Adam, > 0.
        gamma: discount a step.
        entropy: weight of the policy's entropy, which is made large.
        hidden: width of the networks.
        seed: of the first weights and the actions; starts are drawn by ``env``.
        watch: as in :func:`reinforce`; ``return`` is nan where no episode has ended.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The policy.

    Source: Mnih et al. 2016, without its asynchronous workers.
    """
    policy, draws = ActorCritic(env.features, env.actions, hidden, seed, env.device), _draws(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr, fused=True)
    obs, score = env.reset(), Score(env)
    with bar(progress, total=updates, desc="actor-critic", unit="update") as shown:
        for update in range(1, updates + 1):
            played, obs = rollout(env, policy, obs, horizon, draws)
            advantage, goal = _advantages(policy, played, gamma, lam)
            logits, value = policy(played.obs)
            gain = (log_prob(logits, played.action) * advantage).mean()
            loss = -gain + 0.5 * F.mse_loss(value, goal) - entropy * _entropy(logits)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimizer.step()
            shown.update()
            if watch and watch(update, policy, {"return": score.add(played)}):
                break
    return policy


def ppo(
    env: Any,
    *,
    updates: int = 100,
    horizon: int = 32,
    epochs: int = 4,
    minibatches: int = 4,
    clip: float = 0.2,
    lam: float = 0.95,
    lr: float = 3e-3,
    gamma: float = 0.99,
    entropy: float = 0.0,
    hidden: int = 64,
    seed: int = 0,
    watch: Watch | None = None,
    progress: bool | None = None,
) -> ActorCritic:
    """Proximal policy optimisation: several steps on the same experience, none of them far.

    Args:
        env: N environments.
        updates: how often experience is gathered.
        horizon: T, steps of each environment each time.
        epochs: how often all T·N rows are gone through.
        minibatches: steps of Adam in each epoch.
        clip: ε: beyond 1 ± ε the ratio of new and old probability gains nothing more.
        lam: λ of :func:`gae`.
        lr: step size of Adam at the start, > 0; it falls to 0 along a line.
        gamma: discount a step.
        entropy: weight of the policy's entropy, which is made large.
        hidden: width of the networks.
        seed: of the first weights, the actions and the minibatches; starts are drawn by ``env``.
        watch: as in :func:`actor_critic`.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The policy.

    Source: Schulman et al. 2017, algorithm 1 and equation 7.
    """
    policy, draws = ActorCritic(env.features, env.actions, hidden, seed, env.device), _draws(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr, eps=1e-5, fused=True)
    obs, score = env.reset(), Score(env)
    with bar(progress, total=updates, desc="PPO", unit="update") as shown:
        for update in range(1, updates + 1):
            optimizer.param_groups[0]["lr"] = lr * (1 - (update - 1) / updates)
            played, obs = rollout(env, policy, obs, horizon, draws)
            advantage, goal = (t.flatten() for t in _advantages(policy, played, gamma, lam))
            rows = played.flat()
            for _ in range(epochs):
                order = torch.randperm(len(goal), generator=draws).to(goal.device)
                for i in order.chunk(minibatches):
                    logits, value = policy(rows.obs[i])
                    new = log_prob(logits, rows.action[i])
                    gain = clipped_gain(new, rows.log_prob[i], normalised(advantage[i]), clip)
                    loss = -gain + 0.5 * F.mse_loss(value, goal[i]) - entropy * _entropy(logits)
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                    optimizer.step()
            shown.update()
            if watch and watch(update, policy, {"return": score.add(played)}):
                break
    return policy


def clipped_gain(new: Tensor, old: Tensor, advantage: Tensor, clip: float = 0.2) -> Tensor:
    """PPO's aim: the mean of ``min(ρA, clamp(ρ, 1-ε, 1+ε) A)`` with ``ρ = π_new / π_old``.

    Args:
        new: log-probabilities of the actions by the policy that learns, shape (B,).
        old: by the policy that took them, without a gradient, shape (B,).
        advantage: shape (B,).
        clip: ε.

    Returns:
        A number to make large.

    Example:
        >>> new = torch.tensor([0.5, 0.5]).log()  # twice as likely as it was
        >>> clipped_gain(new, torch.tensor([0.25, 0.25]).log(), torch.tensor([1.0, -1.0]))
        tensor(-0.4000)

    Source: Schulman et al. 2017, equation 7.
    """
    ratio = (new - old).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


def normalised(advantage: Tensor) -> Tensor:
    """Advantages with mean 0 and standard deviation 1."""
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


def _draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)  # on the CPU: the same numbers on every device


def _entropy(logits: Tensor) -> Tensor:
    """The mean entropy of policies in nats: logits (..., A)."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1).mean()


@torch.no_grad()
def _advantages(
    policy: ActorCritic, played: Rollout, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Advantages, and what the values are moved towards, both (T, N)."""
    value, then = policy.critic(torch.stack([played.obs, played.reached])).squeeze(-1)
    ended = played.terminated | played.truncated
    A = gae(played.reward, value, then, played.terminated, ended, gamma, lam)
    return A, A + value


class Score:
    """Keeps count of the returns of episodes that end while an agent learns.

    Args:
        env: the environments it learns in.
    """

    def __init__(self, env: Any) -> None:
        self.running = torch.zeros(env.count, device=env.device)

    def add(self, played: Rollout) -> float:
        """The mean return of the episodes that ended in these steps; nan if none has."""
        done = []
        for reward, ended in zip(played.reward, played.terminated | played.truncated, strict=True):
            self.running += reward
            done.append(self.running[ended])
            self.running = self.running * ~ended
        return torch.cat(done).mean().item()


# ---- what the chapter looks at


class TableWorld:
    """N copies of a world that is written down; an observation is the state, one-hot.

    Args:
        mdp: the world.
        count: N.
        seed: of starts and steps.
        limit: steps of an episode.

    Example:
        >>> from course_lib.q_learning import gridworld
        >>> env = TableWorld(gridworld(["S.G"]), count=2)
        >>> env.reset()[0].tolist(), env.step(torch.tensor([2, 0])).reached.argmax(1).tolist()
        ([1.0, 0.0, 0.0], [1, 0])
    """

    def __init__(self, mdp: MDP, count: int, seed: int = 0, limit: int = 1000) -> None:
        self.mdp, self.count, self.seed, self.limit = mdp, count, seed, limit
        self.features, self.actions, self.device = mdp.states, mdp.actions, mdp.P.device
        self.reset()

    def reset(self, seed: int | None = None) -> Tensor:
        """Start all episodes anew: observations (N, S). Without a seed, the same ones each time."""
        self.draws = torch.Generator().manual_seed(self.seed if seed is None else seed)
        self.state = self.mdp.begin(self.count, self.draws)
        self.age = torch.zeros_like(self.state)
        return self._seen(self.state)

    def step(self, action: Tensor) -> Step:
        """Take one action in each world; an episode that ends starts anew.

        Args:
            action: int64, shape (N,).

        Returns:
            What came of it, with states as one-hot observations (N, S).
        """
        reached, reward, terminated = self.mdp.step(self.state, action, self.draws)
        self.age += 1
        truncated = self.age >= self.limit
        ended = terminated | truncated
        self.state = torch.where(ended, self.mdp.begin(self.count, self.draws), reached)
        self.age[ended] = 0
        return Step(self._seen(self.state), reward, terminated, truncated, self._seen(reached))

    def _seen(self, state: Tensor) -> Tensor:
        return F.one_hot(state, self.features).to(self.mdp.P)


def episode_gradients(actor: nn.Module, played: Rollout, weight: Tensor) -> Tensor:
    """The gradient of ``Σ_t w_t log π(a_t|s_t)`` for each environment by itself.

    Args:
        actor: observations to logits.
        played: T steps of N environments.
        weight: w, shape (T, N); 0 where a step does not count.

    Returns:
        One row an environment, all parameters of the actor in a line, shape (N, P).
    """
    parameters = {name: weight.detach() for name, weight in actor.named_parameters()}

    def gain(parameters: dict[str, Tensor], obs: Tensor, action: Tensor, weight: Tensor) -> Tensor:
        logits = torch.func.functional_call(actor, parameters, (obs,))
        return (weight * log_prob(logits, action)).sum()

    each = torch.func.vmap(torch.func.grad(gain), in_dims=(None, 1, 1, 1))
    slopes = each(parameters, played.obs, played.action, weight)
    return torch.cat([slope.flatten(1) for slope in slopes.values()], 1)


def interval(returns: Tensor) -> tuple[float, float]:
    """The mean of N returns and the half-width of its 95 % interval, ``1.96 s / √N``.

    Args:
        returns: of N episodes that do not depend on each other, N > 1.

    Raises:
        ValueError: for fewer than two.

    Example:
        >>> interval(torch.tensor([480.0, 500.0, 490.0, 490.0]))
        (490.0, 8.00...)
    """
    if len(returns) < 2:
        raise ValueError(f"the spread of {len(returns)} returns is unknown; play 2 or more")
    returns = returns.double()
    return returns.mean().item(), 1.96 * (returns.std() / len(returns) ** 0.5).item()


def draw_cart(ax: Axes, obs: Tensor, color: str) -> None:
    """Draw the cart and its pole, in metres.

    Args:
        ax: where.
        obs: one observation of :class:`CartPole`, shape (4,).
        color: of the pole.
    """
    place, angle = float(obs[0]), float(obs[2])
    ax.plot([-2.4, 2.4], [0, 0], color="black", lw=1)
    ax.plot([-2.4, -2.4, 2.4, 2.4], [-0.08, 0.08, 0.08, -0.08], "k|", ms=8)
    ax.fill(
        [place - 0.25, place + 0.25, place + 0.25, place - 0.25],
        [0.05, 0.05, 0.3, 0.3],
        facecolor="none",
        edgecolor="black",
    )
    ax.plot([place, place + sin(angle)], [0.3, 0.3 + cos(angle)], color=color, lw=5)
    ax.set(xlim=(-2.6, 2.6), ylim=(-0.15, 1.45), aspect="equal")
    ax.axis("off")
