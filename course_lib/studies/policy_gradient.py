"""What chapter 18_policy_gradient measures: ways to 475, noise of gradients, a gamed reward.

Letters: N environments, T steps, K batches of episodes, E ways to weight a step, P parameters.
Settings were found with seeds from 100 up; the thresholds, at the head of each part, were set after
that and before the runs of the study.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..device import pick_device
from ..policy_gradient import (
    ActorCritic,
    CartPole,
    Rollout,
    actor_critic,
    draw_actions,
    episodes,
    gae,
    log_prob,
    ppo,
    reinforce,
    returns_to_go,
)
from ..q_learning import GymVector, Step, evaluate
from ._many_worlds import AT_SCALE
from .runner import Experiment

CHAPTER = "18_policy_gradient"
SOLVED = 475  # mean return, of at most 500
BUDGET = 245_760  # steps of the environments


def mean_and_error(returns: Tensor) -> tuple[float, float]:
    """The mean of independent returns, and 1.96 of its standard errors."""
    x = returns.double()
    return x.mean().item(), 1.96 * x.std().item() / len(x) ** 0.5


def fresh(policy: Callable[[Tensor], Tensor], count: int, seed: int, device) -> Tensor:
    """Returns of new episodes of CartPole, one each from ``count`` starts, without learning."""
    return evaluate(CartPole(count, seed, device=device), policy)


# ---- 18.1 to 18.4: to 475, ten seeds
#
# "Policies can be learned directly, from reward alone" is refuted if REINFORCE with the mean
# baseline has fewer than 9 of 10 seeds at 475 within the budget, on 100 episodes and on 1,000 more.
# "PPO solves CartPole within seconds" is refuted if PPO has fewer than 9 of 10 there, each within
# 10 seconds of one core and with 475 in Gymnasium's own CartPole. "PPO learns from far fewer steps
# than REINFORCE" is refuted if REINFORCE (mean) needs less than 2 times the steps of PPO with 16
# environments (medians; a seed that never gets there counts as the whole budget). "It is the clip
# that makes PPO's several passes work" is refuted if without it the median is less than 1.5 times
# that with it, each at its best step size; if it is not so at a step size of 0.01, it holds only
# there.

RIVALS: dict[str, tuple[Callable, int, dict[str, Any]]] = {  # learner, environments, settings
    "PPO": (ppo, 128, {"minibatches": 8, "lr": 3e-3}),
    "PPO, 16 worlds": (ppo, 16, {"minibatches": 4, "lr": 1e-2}),
    "PPO, no clip": (ppo, 128, {"minibatches": 8, "lr": 1e-3, "clip": 1e9}),
    "PPO, lr 0.01": (ppo, 128, {"minibatches": 8, "lr": 1e-2}),
    "PPO, lr 0.01, no clip": (ppo, 128, {"minibatches": 8, "lr": 1e-2, "clip": 1e9}),
    "PPO, no truncation": (ppo, 128, {"minibatches": 8, "lr": 3e-3}),
    "A2C": (actor_critic, 64, {"lr": 3e-3, "horizon": 8, "lam": 0.95}),
    "REINFORCE, no baseline": (reinforce, 16, {"lr": 3e-2, "baseline": "none"}),
    "REINFORCE, mean": (reinforce, 16, {"lr": 1e-2, "baseline": "mean"}),
    "REINFORCE, value": (reinforce, 16, {"lr": 3e-2, "baseline": "value"}),
}

ALIKE = ("REINFORCE, no baseline", "REINFORCE, mean")


class Unending(CartPole):
    """A CartPole whose time limit is told as an end of the task: truncation as termination."""

    def step(self, action: Tensor) -> Step:
        """Take one action in each."""
        step = super().step(action)
        ended = step.terminated | step.truncated
        return step._replace(terminated=ended, truncated=torch.zeros_like(ended))


def rule(obs: Tensor) -> Tensor:
    """Push to the side to which the pole will lean in a second: nothing is learned."""
    return (obs[:, 2] + obs[:, 3] > 0).long()


def linear(w: Tensor) -> Callable[[Tensor], Tensor]:
    """The policy that pushes to the right where ``obs @ w > 0``."""
    return lambda obs: (obs @ w > 0).long()


class Looks:
    """Looks at a policy every 2,048 steps: 100 greedy episodes from starts never used before.

    Args:
        seed: of the run.
        device: where to play.
        steps: ``steps(info)`` gives the steps that an update took.
        stop: end the training at the first look with a mean of 475 or more; else it is looked at
            every 8,192 steps to the end of the budget.
    """

    def __init__(self, seed: int, device, steps: Callable[[dict], float], stop: bool) -> None:
        self.seed, self.device, self.steps, self.stop = seed, device, steps, stop
        self.every = 2048 if stop else 8192
        self.taken, self.means, self.found = 0, [], {}

    def __call__(self, update: int, policy: ActorCritic, info: dict[str, float]) -> bool:
        """What a learner calls after each update; true ends it."""
        due = (len(self.means) + 1) * self.every
        self.taken += round(self.steps(info))
        return self.taken >= due and self.look(policy.greedy)

    def look(self, policy: Callable[[Tensor], Tensor]) -> bool:
        """Judge a policy by 100 fresh episodes.

        Args:
            policy: observations to actions.

        Returns:
            Whether the training ends: it has solved and stops there, or the budget is used up.
        """
        number = len(self.means) + 1
        returns = fresh(policy, 100, 10_000 * (self.seed + 1) + number, self.device)
        mean, error = mean_and_error(returns)
        self.means.append(mean)
        if mean >= SOLVED and not self.found:
            self.found = {"steps": self.taken, "hundred": mean, "hundred_error": error}
        return self.taken >= BUDGET or (self.stop and bool(self.found))


def guess(looks: Looks, draws: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Random search: draw the four weights of a linear policy until 16 episodes have 475.

    Args:
        looks: what it is judged by; the steps of the 16 episodes are counted there.
        draws: of the weights.

    Returns:
        The last policy, solved or not.
    """
    tries = 0
    while True:
        tries += 1
        policy = linear(torch.randn(4, generator=draws).to(looks.device))
        returns = fresh(policy, 16, 10_000 * (looks.seed + 1) + 5_000 + tries, looks.device)
        looks.taken += int(returns.sum())
        if (returns.mean() >= SOLVED or looks.taken >= BUDGET) and looks.look(policy):
            return policy


def solve_run(
    seed: int, rival: str, stop: bool = True, device=None, lr: float | None = None
) -> dict[str, float]:
    """Learn CartPole until a look finds it solved, or to the end of the budget.

    Args:
        seed: of first weights, starts and actions.
        rival: one of ``RIVALS``, ``"rule"``, ``"random"`` or ``"random search"``.
        stop: at the first look with a mean of 475; else all looks are noted.
        device: where to compute; None chooses.
        lr: in the place of the rival's own.

    Returns:
        ``steps`` of the environments to the first such look (without those
        of REINFORCE's carts that wait for the last), its mean ``hundred`` (absent where
        there is none) and, of the last policy, the mean of 1,000 more episodes ``thousand``, each
        with its ``_error``; of the rule and of PPO also ``gym``, of 20 episodes in Gymnasium's own
        CartPole; ``cpu``, seconds of the processor with all looks; ``sampled``, the mean where
        actions are drawn; where it does not stop, ``look_k``.
    """
    device, start = pick_device(device), time.process_time()
    draws = torch.Generator().manual_seed(seed)
    looks, learned = Looks(seed, device, lambda info: 0, stop), None
    if rival == "rule":
        policy = rule
    elif rival == "random":
        policy = lambda obs: draw_actions(torch.zeros(len(obs), 2, device=device), draws)
    elif rival == "random search":
        policy = guess(looks, draws)
    else:
        learn, count, settings = RIVALS[rival]
        T = settings.get("horizon", 32)
        looks.steps = lambda info: count * (info["return"] if learn is reinforce else T)
        world = Unending if rival == "PPO, no truncation" else CartPole
        updates = BUDGET // (count * T) if learn is ppo else BUDGET
        settings = settings | ({"lr": lr} if lr else {})
        learned = learn(
            world(count, seed, device=device),
            **settings,
            updates=updates,
            seed=seed,
            watch=looks,
            progress=False,
        )
        policy = learned.greedy
    found = looks.found | {"cpu": time.process_time() - start}
    found["thousand"], found["thousand_error"] = mean_and_error(
        fresh(policy, 1000, 10_000 * (seed + 1) + 9_999, device)
    )
    if rival in ("rule", "PPO"):
        found["gym"], found["gym_error"] = mean_and_error(
            evaluate(GymVector("CartPole-v1", 20, seed, device), policy)
        )
    if learned:
        played, alive = episodes(CartPole(100, seed + 9_000, device=device), learned, draws)
        found["sampled"] = (played.reward * alive).sum(0).mean().item()
    return found | {f"look_{k}": mean for k, mean in enumerate(looks.means, 1) if not stop}


# ---- 18.5 to 18.7: the noise of a gradient, means of five half-trained policies
#
# "A policy gradient is mostly noise" is refuted if the variance of an estimate from 16 episodes is
# less than 1 times the squared length of its mean; if GAE (0.95) refutes it and the whole return
# does not, it holds only there. "A baseline makes the estimate less noisy" is refuted if the
# variance by reward to go is less than 1.5 times that by the values' advantage. "A little bias
# pays" is refuted if the mean cosine with the gradient, at λ = 0.95, is less than 0.02 above that
# at λ = 1.

WAYS = {  # what a step's ∇ log π is weighted by, and λ
    "return": None,
    "to go": None,
    "mean": None,
    "value": 1.0,
    "0.95": 0.95,
    "0.8": 0.8,
    "0": 0.0,
}


def half_trained(until: float, seed: int, device) -> ActorCritic:
    """A policy taught by REINFORCE until 16 episodes have a mean return of ``until``."""
    enough = lambda update, policy, info: info["return"] >= until
    env = CartPole(16, seed, device=device)
    return reinforce(env, updates=200, seed=seed, watch=enough, progress=False)


def fit_values(policy: ActorCritic, obs: Tensor, G: Tensor, draws: torch.Generator) -> None:
    """Fit the critic to returns by 500 steps of Adam, its step size falling to 0.

    Args:
        policy: its critic is changed.
        obs: shape (R, D).
        G: returns in units of their mean, shape (R,).
        draws: of the minibatches.
    """
    optimizer = torch.optim.Adam(policy.critic.parameters(), 3e-3)
    for step in range(500):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 500)
        i = torch.randint(len(G), (1024,), generator=draws).to(G.device)
        optimizer.zero_grad()
        F.mse_loss(policy.critic(obs[i]).squeeze(1), G[i]).backward()
        optimizer.step()


@torch.no_grad()
def weights(policy: ActorCritic, played: Rollout, alive: Tensor, unit: float) -> Tensor:
    """What each way weights the steps by, with γ = 1; batches are 16 neighbours.

    Args:
        policy: its critic gives values in units of ``unit``.
        played: whole episodes.
        alive: bool, (T, N): steps of the first episode.
        unit: a return.

    Returns:
        Weights, shape (E, T, N), 0 after the first episode.
    """
    reward = played.reward * alive
    ended = played.terminated | played.truncated | ~alive
    G = returns_to_go(reward, ended)
    value, then = unit * policy.critic(torch.stack([played.obs, played.reached])).squeeze(-1)
    groups, there = (G * alive).unflatten(1, (-1, 16)), alive.unflatten(1, (-1, 16))
    others = (there.sum(2, keepdim=True) - there.long()).clamp(min=1)
    mean = ((groups.sum(2, keepdim=True) - groups) / others).flatten(1)
    advantages = [
        gae(reward, value, then, played.terminated, ended, 1.0, lam)
        for lam in WAYS.values()
        if lam is not None
    ]
    return torch.stack([reward.sum(0).expand_as(G), G, G - mean, *advantages]) * alive


def gradients(policy: ActorCritic, played: Rollout, alive: Tensor, weight: Tensor) -> Tensor:
    """Estimate the policy's gradient from each batch of 16 episodes, in each way.

    Args:
        policy: its actor has the parameters.
        played: whole episodes.
        alive: bool, (T, N): steps of the first episode.
        weight: see :func:`weights`, (E, T, N).

    Returns:
        Gradients, shape (K, E, P).
    """
    parameters, found = list(policy.actor.parameters()), []
    for k in range(0, alive.shape[1], 16):
        now = alive[:, k : k + 16]
        obs, action = (part[:, k : k + 16][now] for part in (played.obs, played.action))
        terms = log_prob(policy.actor(obs), action)  # (R,)
        by = weight[:, :, k : k + 16][:, now] / 16  # (E, R)
        parts = torch.autograd.grad(terms, parameters, by, is_grads_batched=True)
        found.append(torch.cat([p.flatten(1) for p in parts], 1))
    return torch.stack(found)


def noise(g: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """Of estimates g (K, P): variance over signal, and two cosines with a better estimate.

    Args:
        g: independent estimates.
        truth: other estimates from the same episodes, of which the mean is right, (K, P).

    Returns:
        The trace of the covariance over the squared length of the mean; the mean cosine of an
        estimate with the mean of ``truth`` over all other batches; the cosine of the mean of the
        even batches with the mean of ``truth`` over the odd ones.
    """
    K = len(g)
    spread = g.var(0).sum()
    signal = g.mean(0).square().sum() - spread / K
    others = (truth.sum(0) - truth) / (K - 1)
    one = F.cosine_similarity(g, others).mean()
    many = F.cosine_similarity(g[::2].mean(0), truth[1::2].mean(0), dim=0)
    return (spread / signal).item(), one.item(), many.item()


def noise_run(seed: int, until: float, device=None, batches: int = 128) -> dict[str, float]:
    """Estimate one policy's gradient from many batches of 16 episodes, each in seven ways.

    Args:
        seed: of the policy and of all that is drawn.
        until: return at which its training ended; 0 takes the first weights.
        device: where to compute; None chooses.
        batches: K.

    Returns:
        ``return``, the policy's own; for each way ``spread_*``, the trace of the covariance;
        ``noise_*``, ``one_*`` and ``many_*``: see :func:`noise`.
    """
    device, draws = pick_device(device), torch.Generator().manual_seed(seed)
    policy = ActorCritic(4, 2, seed=seed, device=device)
    if until:
        policy = half_trained(until, seed, device)
    before, alive = episodes(CartPole(256, 20_000 + seed, device=device), policy, draws)
    G = returns_to_go(before.reward * alive, ~alive)[alive]
    unit = G.mean().item()
    fit_values(policy, before.obs[alive], G / unit, draws)
    world = CartPole(16 * batches, 30_000 + seed, device=device)
    played, alive = episodes(world, policy, draws)
    g = gradients(policy, played, alive, weights(policy, played, alive, unit))  # (K, E, P)
    right = g[:, list(WAYS).index("value")]
    found = {"return": alive.sum(0).double().mean().item()}
    for way, name in enumerate(WAYS):
        found[f"spread_{name}"] = g[:, way].var(0).sum().item()
        for key, value in zip(("noise", "one", "many"), noise(g[:, way], right), strict=True):
            found[f"{key}_{name}"] = value
    return found


# ---- 18.8: a reward that is gamed, means of five seeds
#
# "A bonus on top of the reward helps" is refuted if the pole, with a bonus of 20 paid for each
# rescue, is upright for less than 450 of 500 steps; if it is not with a fine of 20 for each lean,
# it holds only then.

LEAN = 3 * 2 * math.pi / 360  # three degrees: beyond them the pole leans


class Paid(CartPole):
    """CartPole with another pay: each step gives ``pay(before, after)``, of two states (N, 4).

    Args:
        count: N.
        pay: the reward.
        seed: of the starts.
        device: where the tensors live.
    """

    def __init__(self, count: int, pay: Callable, seed: int = 0, device=None) -> None:
        super().__init__(count, seed, device=device)
        self.pay = pay

    def step(self, action: Tensor) -> Step:
        """Take one action in each."""
        before = self.state
        step = super().step(action)
        return step._replace(reward=self.pay(before, step.reached).to(self.dtype))


def upright(before: Tensor, after: Tensor) -> Tensor:
    """What is wanted: 1 for each step that ends with the pole within three degrees."""
    return after[:, 2].abs() <= LEAN


def rescued(before: Tensor, after: Tensor) -> Tensor:
    """1 where the pole leaned and does so no longer."""
    return ~upright(before, before) & upright(before, after)


def lost(before: Tensor, after: Tensor) -> Tensor:
    """1 where the pole did not lean and now does."""
    return upright(before, before) & ~upright(before, after)


def pay_for(bonus: float, fine: float) -> Callable[[Tensor, Tensor], Tensor]:
    """One a step, a bonus for each rescue, a fine for each time that the pole is lost."""
    return lambda before, after: (
        1 + bonus * rescued(before, after).float() - fine * lost(before, after).float()
    )


def paid_run(
    seed: int, bonus: float, fine: float, learn: bool = True, device=None, lr: float = 3e-3
) -> dict[str, float]:
    """Learn from a shaped reward by PPO; judge by what is paid and by what is wanted.

    Args:
        seed: of first weights, starts and actions.
        bonus: paid on top for each rescue.
        fine: taken for each lean.
        learn: else the rule, which learns nothing.
        device: where to compute; None chooses.
        lr: step size of PPO.

    Returns:
        Means of 100 greedy episodes after every tenth update k: ``paid_k``, ``upright_k``; of the
        last ones also ``steps``, and of a learner ``rescued``.
    """
    device, found = pick_device(device), {}

    def mean(policy: Callable[[Tensor], Tensor], pay: Callable, k: int) -> float:
        world = Paid(100, pay, 10_000 * (seed + 1) + k, device)
        return evaluate(world, policy).mean().item()

    def look(k: int, policy: Callable[[Tensor], Tensor]) -> None:
        found[f"upright_{k}"] = mean(policy, upright, k)
        found[f"paid_{k}"] = mean(policy, paid, k)

    paid = pay_for(bonus, fine)
    if not learn:
        look(60, rule)
        return found | {"steps": mean(rule, pay_for(0, 0), 60)}
    policy = ppo(
        Paid(128, paid, seed, device),
        updates=60,
        minibatches=8,
        lr=lr,
        seed=seed,
        watch=lambda k, policy, info: look(k, policy.greedy) if k % 10 == 0 else None,
        progress=False,
    )
    found["steps"] = mean(policy.greedy, pay_for(0, 0), 60)
    return found | {"rescued": mean(policy.greedy, rescued, 60)}


# What comes first learns nothing: a test measures it again, on other processors too.
EXPERIMENTS = {
    "solve": Experiment(
        solve_run,
        [{"rival": r} for r in ("rule", "random", "random search", *RIVALS)],
        seeds=10,
        times=["cpu"],
    ),
    "curves": Experiment(
        solve_run,
        [
            {"rival": "rule", "stop": False},
            *({"rival": r, "stop": False, "lr": 0.01} for r in ALIKE),
            {"rival": "PPO", "stop": False},
        ],
        seeds=5,
        times=["cpu"],
    ),
    "noise": Experiment(noise_run, [{"until": 0.0}, {"until": 100.0}], seeds=5),
    "paid": Experiment(
        paid_run,
        [
            {"bonus": 20.0, "fine": 0.0, "learn": False},
            *(
                {"bonus": b, "fine": f, "learn": True}
                for b, f in ((0.0, 0.0), (20.0, 0.0), (20.0, 20.0))
            ),
        ],
        seeds=5,
    ),
}
EXPERIMENTS |= AT_SCALE
