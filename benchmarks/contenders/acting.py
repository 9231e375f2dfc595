"""Steps of CartPole a second, and PPO until it balances: the book's."""

from __future__ import annotations

import itertools
import time

import torch


def actions(*shape: int) -> torch.Tensor:
    """Pushes at random, drawn before the clock starts."""
    return torch.randint(2, shape, generator=torch.Generator().manual_seed(0))


def pushing(env, pushes):
    """A run: a step of all environments for each row of pushes."""

    def run() -> dict[str, float]:
        start = time.perf_counter()
        for push in pushes:
            env.step(push)
        return per_step(start, pushes.shape[0] * pushes.shape[1])

    return run


def tensors(count: int, steps: int, plain: bool = False):
    """The book's batched CartPole; ``plain``: as Gymnasium computes, in 64 bits on one thread."""
    from course_lib.policy_gradient import CartPole

    torch.set_num_threads(1 if plain else torch.get_num_threads())
    env = CartPole(count, device="cpu", dtype=torch.float64 if plain else torch.float32)
    return pushing(env, actions(steps, count))


def per_step(start: float, steps: int) -> dict[str, float]:
    """Seconds of one step of one environment, in the place of a run's."""
    return {"seconds": (time.perf_counter() - start) / steps}


def single(steps: int):
    """Gymnasium's CartPole, one, without its wrappers' checks."""
    import gymnasium

    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    env.reset(seed=0)
    pushes = actions(steps).tolist()

    def run() -> dict[str, float]:
        start = time.perf_counter()
        for push in pushes:
            *_, terminated, truncated, _ = env.step(push)
            if terminated or truncated:
                env.reset()
        return per_step(start, steps)

    return run


def vector(count: int, steps: int):
    """Gymnasium's own NumPy version of many."""
    import gymnasium

    env = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode="vector_entry_point")
    env.reset(seed=0)
    return pushing(env, actions(steps, count).numpy())


def ppo(rival: str):
    """The book's PPO from scratch until 100 fresh episodes average 475; another seed each run.

    Seconds are of the learning alone, without the looks; then 1,000 more episodes confirm.
    """
    from course_lib.policy_gradient import CartPole
    from course_lib.studies.policy_gradient import BUDGET, RIVALS, Looks, fresh

    learn, count, settings = RIVALS[rival]
    per_update = count * 32
    seeds = itertools.count(1000)  # chapter 18 chose its settings by seeds from 100 on

    def run() -> dict[str, float]:
        seed, looking = next(seeds), 0.0
        looks = Looks(seed, "cpu", lambda info: per_update, stop=True)

        def watch(*told) -> bool:
            nonlocal looking
            start = time.perf_counter()
            done = looks(*told)
            looking += time.perf_counter() - start
            return done

        start, env = time.perf_counter(), CartPole(count, seed, device="cpu")
        updates = BUDGET // per_update
        policy = learn(env, **settings, updates=updates, seed=seed, watch=watch, progress=False)
        seconds = time.perf_counter() - start - looking
        more = fresh(policy.greedy, 1000, 10_000 * (seed + 1) + 9_999, "cpu").mean().item()
        found = looks.found.get("steps", BUDGET)
        return {"seconds": seconds, "return": more, "steps": found, "solved": bool(looks.found)}

    return run
