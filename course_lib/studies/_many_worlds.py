"""PPO in 64 to 65,536 CartPoles, and how fast they are stepped. Chapter: 18_policy_gradient.

The same settings for every number of worlds, so that more of them means more experience a step of
Adam. Seconds are by the clock, on a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from ..device import pick_device
from ..policy_gradient import ActorCritic, CartPole, ppo
from ..q_learning import evaluate
from .runner import Experiment

COUNTS = (64, 256, 1024, 4096, 16_384, 65_536)
HORIZON = 32


def clock(device: torch.device) -> float:
    """Seconds by the clock, once the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def stepper(world: str, count: int, seed: int, device: torch.device) -> Callable[[int], object]:
    """Make N environments that are stepped with actions drawn before.

    Args:
        world: ``"tensor"``, ``"gymnasium"`` (one environment) or ``"gymnasium vector"``, which is
            written with NumPy and counts a new start as a step.
        count: N.
        seed: of starts and actions.
        device: of the tensors; Gymnasium's environments live on the CPU.

    Returns:
        A function of the number of the step, which takes it in each environment.
    """
    actions = torch.randint(2, (64, count), generator=torch.Generator().manual_seed(seed))
    if world == "tensor":
        env, actions = CartPole(count, seed, device=device), actions.to(device)
        return lambda t: env.step(actions[t % 64])
    import gymnasium

    if world == "gymnasium vector":
        many = gymnasium.make_vec("CartPole-v1", count, vectorization_mode="vector_entry_point")
        many.reset(seed=seed)
        return lambda t: many.step(actions[t % 64].numpy())
    one, choices = gymnasium.make("CartPole-v1"), actions[:, 0].tolist()
    one.reset(seed=seed)

    def step(t: int) -> None:
        _, _, terminated, truncated, _ = one.step(choices[t % 64])
        if terminated or truncated:
            one.reset()

    return step


def speed_run(
    seed: int, world: str, count: int, device=None, at_least: float = 2.0
) -> dict[str, float]:
    """Step worlds with random actions for two seconds or more.

    Args:
        seed: of starts and actions.
        world: see :func:`stepper`.
        count: N.
        device: where to compute; None chooses.
        at_least: seconds.

    Returns:
        ``million_a_second``: steps of environments, in millions.
    """
    device = pick_device(device)
    step = stepper(world, count, seed, device)
    for t in range(100):  # warm
        step(t)
    t, start = 0, clock(device)
    while (taken := clock(device) - start) < at_least:
        for _ in range(100):
            step(t)
            t += 1
    return {"million_a_second": count * t / taken / 1e6}


def worlds_run(
    seed: int, count: int, device=None, lr: float = 3e-3, updates: int = 60
) -> dict[str, float]:
    """Learn CartPole by PPO in N worlds until 100 fresh greedy episodes have a mean of 475.

    Args:
        seed: of first weights, starts and actions.
        count: N.
        device: where to compute; None chooses.
        lr: step size of PPO, falling to 0.
        updates: of PPO at most, N times 32 steps each; it is looked at after each.

    Returns:
        ``updates`` and ``steps`` of the environments taken; the means ``hundred`` of the last look
        and ``thousand`` of 1,000 more episodes; ``learning``, seconds without the looks, and
        ``looking``; ``million_a_second``, steps of the environments with the learning.
    """
    device, taken, looks = pick_device(device), [], []

    def fresh(episodes: int, number: int, policy: ActorCritic) -> Tensor:
        env = CartPole(episodes, 10_000 * (seed + 1) + number, device=device)
        return evaluate(env, policy.greedy)

    def watch(update: int, policy: ActorCritic, info: dict[str, float]) -> bool:
        start = clock(device)
        looks.append(fresh(100, update, policy).mean().item())
        taken.append(clock(device) - start)
        return looks[-1] >= 475

    start = clock(device)
    policy = ppo(
        CartPole(count, seed, device=device),
        updates=updates,
        horizon=HORIZON,
        minibatches=8,
        lr=lr,
        seed=seed,
        watch=watch,
        progress=False,
    )
    learning, steps = clock(device) - start - sum(taken), len(looks) * HORIZON * count
    return {
        "updates": len(looks),
        "steps": steps,
        "hundred": looks[-1],
        "thousand": fresh(1000, 9_999, policy).mean().item(),
        "learning": learning,
        "looking": sum(taken),
        "million_a_second": steps / learning / 1e6,
    }


AT_SCALE = {
    "speed": Experiment(
        speed_run,
        [
            {"world": "gymnasium", "count": 1},
            *({"world": "gymnasium vector", "count": n} for n in COUNTS),
            *({"world": "tensor", "count": n} for n in (1, *COUNTS)),
        ],
        seeds=3,
        times=["million_a_second"],
        at_scale=True,
    ),
    "worlds": Experiment(
        worlds_run,
        [{"count": n} for n in COUNTS],
        seeds=3,
        times=["learning", "looking", "million_a_second"],
        at_scale=True,
    ),
}
