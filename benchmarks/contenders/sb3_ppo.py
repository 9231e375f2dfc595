"""PPO of Stable-Baselines3 until it balances, in an environment of its own.

The stopping rule is the book's: every 2,048 steps 100 fresh episodes are played greedily, and a
mean return of 475 ends the training. Seconds are of the learning alone, without these looks.
"""

import itertools
import time

import gymnasium
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

SOLVED, EVERY, TOGETHER = 475, 2048, 100
# rl-baselines3-zoo, hyperparams/ppo.yml, CartPole-v1; its step size and clip fall to 0 along a line
ZOO = {
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
    "learning_rate": lambda left: left * 1e-3,
    "clip_range": lambda left: left * 0.2,
}


class Looks(BaseCallback):
    """Ends the training at the first look that finds it solved."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.seen, self.solved, self.seconds = seed, 0, False, 0.0

    def _on_step(self) -> bool:
        return not self.solved

    def _on_rollout_start(self) -> None:
        due = (self.seen + 1) * EVERY
        if self.model.num_timesteps < due:
            return
        start = time.perf_counter()
        self.seen += 1
        found = mean(self.model, 100, 10_000 * (self.seed + 1) + 100 * self.seen)
        self.solved = bool(found >= SOLVED)
        self.seconds += time.perf_counter() - start


def mean(model, episodes: int, seed: int) -> float:
    """The mean return of fresh episodes, played greedily, a hundred at a time."""
    envs = make_vec_env("CartPole-v1", TOGETHER, seed=seed)
    return float(evaluate_policy(model, envs, n_eval_episodes=episodes, deterministic=True)[0])


def ppo(zoo: bool = False):
    """PPO with its default settings, or with those that its authors tuned for CartPole."""
    seeds = itertools.count(1000)

    def make(seed: int) -> tuple[PPO, int]:
        if zoo:
            envs = make_vec_env("CartPole-v1", 8, seed=seed)
            return PPO("MlpPolicy", envs, seed=seed, device="cpu", **ZOO), 100_000
        world = gymnasium.make("CartPole-v1")
        return PPO("MlpPolicy", world, seed=seed, device="cpu"), 245_760

    def run() -> dict[str, float]:
        seed = next(seeds)
        start = time.perf_counter()
        model, steps = make(seed)
        looks = Looks(seed)
        model.learn(steps, callback=looks)
        seconds = time.perf_counter() - start - looks.seconds
        more = mean(model, 1000, 10_000 * (seed + 1) + 9_000)
        return {
            "seconds": seconds,
            "return": more,
            "steps": model.num_timesteps,
            "solved": looks.solved,
        }

    return run
