"""Every race: who runs, how often, and the goals it is held against. `make bench` runs them all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks import lineup
from benchmarks.lineup import CHAPTERS, grows
from benchmarks.race import Contender, Goal


@dataclass(frozen=True)
class Race:
    """Contenders, the reference first; ``quick``: rounds of a look, 0 leaves it out."""

    title: str
    contenders: Callable[[], list[Contender]]
    goals: list[Goal] = field(default_factory=list)
    rounds: int = 7
    quick: int = 3
    slow: Sequence[str] = ()  # contenders that a look leaves out
    threads: int = 2
    warm: int = 1
    same: Sequence[str] = ()  # numbers on which all contenders must agree
    again: bool = False  # short runs: the second of two counts
    needs: str = ""  # "data", "linux" or "gpu": without it, it is not run


def powers(most: float, key: str = "seconds") -> list[Goal]:
    """A cost that grows by at most this power of the size, also from the last size but one to the
    last, where no constant cost hides it; a tenth is left to caches and noise."""
    return [Goal(how, most + 0.1, key=key, how=how) for how in ("exponent", "last")]


def growing(title: str, most: float, contenders: Callable[[], list[Contender]]) -> Race:
    """A race of sizes, and the power by which its time may grow."""
    return Race(f"growth with {title}", contenders, powers(most), rounds=5, quick=0, again=True)


SCALARS = {"module": "course_lib.autograd"}
GROWTH = {
    "rows": growing(
        "rows of data, an epoch",
        1,
        grows("training.fit", "rows", (7500, 15_000, 30_000, 60_000)),
    ),
    "points": growing(
        "points, the scalar engine",
        1,
        grows("engines.scalars", "points", (50, 100, 200, 400), **SCALARS),
    ),
    "points_off": growing(
        "points, collector off",
        1,
        grows("engines.scalars", "points", (50, 100, 200, 400), **SCALARS, collect=False),
    ),
    "width": growing(
        "width of a layer",
        2,
        grows("growing.perceptron", "width", (256, 512, 1024, 2048)),
    ),
    "depth": growing(
        "layers",
        1,
        grows("growing.perceptron", "depth", (4, 8, 16, 32)),
    ),
    "steps": growing(
        "steps of an LSTM",
        1,
        grows("operators.lstm", "T", (32, 64, 128, 256)),
    ),
    "looks": growing(
        "places, attention",
        2,
        grows("operators.attention", "T", (128, 256, 512, 1024), batch=4),
    ),
    "looks_kept": growing(
        "places, attention with kept memory",
        2,
        grows("operators.attention", "T", (128, 256, 512, 1024), batch=4, keep=True),
    ),
    "reading": growing(
        "places, a GPT that learns",
        2,
        grows("growing.reading", "T", (64, 128, 256, 512)),
    ),
    "writing": growing(
        "symbols written with a cache",
        2,
        grows("operators.write", "length", (64, 128, 256, 512), cache=True),
    ),
    "carts": growing(
        "environments, 50 steps",
        1,
        grows("growing.carts", "count", (4096, 16_384, 65_536, 262_144)),
    ),
}


MS = 0.001
RACES = {
    "loop": Race(
        "an epoch of 784-256-10 on 60,000 pictures",
        lineup.loops,
        [Goal("fit", 1.05, "bare loop", upper=True)],
        rounds=20,
        slow=[f"a picture at a time, {n} workers" for n in (4, 2)] + ["Lightning, barebones"],
        same=("steps",),
    ),
    "lenet": Race(
        "an epoch of LeNet on 60,000 pictures",
        lineup.lenets,
        [
            Goal("fit", 1 / 3, "a picture at a time, 4 workers"),
            Goal("fit, channels_last", 1 / 3, "a picture at a time, 4 workers"),
        ],
        rounds=5,
        same=("steps",),
        quick=0,
    ),
    "clothes": Race(
        "Fashion-MNIST",
        lineup.clothes,
        [
            goal
            for percent, most in ((90, 1 / 5), (91, 2 / 5), (92, 1.1))
            for goal in (
                Goal(f"recipe for {percent} %", most, "textbook LeNet, 10 passes"),
                Goal(f"recipe for {percent} %", percent, "", "accuracy", "value", at_least=True),
            )
        ],
        rounds=10,
        quick=0,
        warm=0,
        needs="data",
    ),
    "letters": Race(
        "tiny Shakespeare, 0.8 M parameters",
        lineup.letters,
        [
            Goal("nanoGPT's settings", 1.898, "", "nats", "value"),
            Goal("the course's, 190 steps", 1 / 5, "nanoGPT's settings"),
            Goal("the course's, 190 steps", 0.0, "nanoGPT's settings", "nats", "difference"),
            Goal("the course's, 940 steps", 1.0, "nanoGPT's settings"),
            Goal("the course's, 940 steps", 1.62, "", "nats", "value"),
        ],
        rounds=5,
        quick=0,
        warm=0,
        needs="data",
    ),
    **{
        f"scalars{'' if collect else '_off'}": Race(
            f"moons by scalars, garbage collector {'on' if collect else 'off'}",
            lineup.scalar_engines(collect),
            [Goal("Value", most, "micrograd")],
            threads=1,
            same=("loss", "gradients"),
        )
        for collect, most in ((True, 1 / 8), (False, 1 / 3))
    },
    "arrays": Race(
        "moons by arrays, 1,000 points",
        lineup.arrays,
        [Goal("Array", 4, "torch")],
        same=("gradients",),
        again=True,
    ),
    **{
        name: Race(
            f"{name}, forward and backward",
            lineup.operator(name),
            [Goal(name, most, f"torch's {name}")],
            rounds=11,
            same=("gradients",),
            again=True,
        )
        for name, most in (("conv2d", 4), ("attention", 4), ("lstm", 3))
    },
    **{
        name: Race(
            f"256 symbols written by a GPT, {threads}",
            lineup.writing,
            [Goal("with a cache", 1 / 5, "without a cache")],
            quick=3 if count == 1 else 0,
            threads=count,
            same=("written",),
            again=True,
        )
        for name, threads, count in (("cache", "two threads", 2), ("cache_one", "one thread", 1))
    },
    "worlds": Race(
        "a step of one CartPole",
        lineup.worlds,
        [
            Goal("tensors, 16,384", 1 / 150, "Gymnasium, one"),
            Goal("tensors, 65,536", 1.0, "Gymnasium's vector, 65,536"),
        ],
        again=True,
    ),
    "balance": Race(
        "PPO until 100 fresh episodes average 475",
        lineup.balancing,
        [
            Goal("ppo, 128 carts", 1 / 10, "Stable-Baselines3, defaults"),
            Goal("ppo, 16 carts", 1 / 10, "Stable-Baselines3, defaults"),
            Goal("ppo, 16 carts", 1.0, "Stable-Baselines3, its zoo's settings"),
            Goal("ppo, 16 carts", 475, "", "return", "value", at_least=True),
        ],
        rounds=10,
        quick=0,
        threads=1,
        warm=0,
    ),
    "grader": Race(
        "CPU seconds to grade a submission, of 30",
        lineup.graders,
        [Goal("our grader", 1 / 12, "otter-grader")],
        rounds=5,
        quick=0,
        same=("grades",),
        needs="linux",
    ),
    "imports": Race(
        "an import",
        lineup.imports,
        [
            goal
            for name in (full[3:] for full in CHAPTERS)
            for goal in (
                Goal(name, 1.05, "torch"),
                Goal(name, 10, "torch", "mib", "difference"),
            )
        ],
        rounds=9,
        quick=0,
    ),
    "notebooks": Race(
        "a chapter's notebook",
        lineup.notebooks,
        [Goal(name, 2048, "", "mib", "value") for name in CHAPTERS],
        rounds=1,
        quick=0,
        warm=0,
    ),
    "suite": Race(
        "nbval, seconds a notebook",
        lineup.suite,
        [Goal("nbval", 30, "", how="value")],
        rounds=1,
        quick=0,
        warm=0,
        needs="linux",
        threads=1,  # as `make test` has it
    ),
    "build": Race(
        "the book, seconds a page",
        lineup.builds,
        [Goal("from nothing", 2, how="value"), Goal("once more", 0.5, how="value")],
        rounds=5,
        quick=0,
    ),
    "checks": Race(
        "the slowest check of a chapter",
        lineup.answers,
        [Goal(name, 10 * MS, how="value") for name in CHAPTERS],
        rounds=5,
        quick=0,
        threads=1,
    ),
    **GROWTH,
    "gpu_loop": Race(
        "an epoch of 784-256-10 on a GPU",
        lineup.gpu_loops,
        [Goal("fit", 1.05, "bare loop", upper=True), Goal("fit", 0.05, "", "waits", "value")],
        quick=0,
        needs="gpu",
    ),
    **{
        f"gpu_{kind}": Race(
            f"the {kind} on a GPU",
            lineup.on_a_gpu(kind),
            [Goal(f"{kind}, bf16, compiled", 0.3, "matrix peak, bf16", "tflops", at_least=True)],
            quick=0,
            needs="gpu",
        )
        for kind in ("gpt", "resnet")
    },
    "gpu_carts": Race(
        "a step of one CartPole on a GPU",
        lineup.gpu_carts,
        [Goal("65,536 carts", 1 / 150, "Gymnasium, one")],
        quick=0,
        needs="gpu",
    ),
    "classes": Race(
        "growth with submissions",
        lineup.classes,
        [*powers(1), *powers(0, "mb")],
        rounds=5,
        quick=0,
        warm=0,
        needs="linux",
    ),
}


def why_not(race: Race) -> str:
    """Why a race cannot be run here; empty where it can."""
    if race.needs == "data" and not os.environ.get("COURSE_DATA"):
        return "COURSE_DATA names no folder of data sets"
    if race.needs == "linux" and not Path("/proc/self/smaps_rollup").exists():
        return "it counts processes as Linux does"
    if race.needs == "gpu" and not torch.cuda.is_available():
        return "there is no GPU"
    return ""
