"""Contenders timed in turns, and what their paired times say: medians, spread, ratios, exponents.

A race starts a process for each contender (benchmarks/worker.py), lets each prepare and warm up,
and then makes rounds: in each, every contender runs once, in an order drawn anew, so that nobody
always runs after the same other. A ratio is of two runs of one round, since a machine may drift by
half within the hour.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import exp, isclose, log
from pathlib import Path
from typing import Any

from course_lib.progress import bar

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contender:
    """Something to time.

    ``module`` has a function ``function`` that prepares by the settings and returns ``run()``,
    which may return numbers, its own ``seconds`` among them.
    """

    name: str
    module: str
    function: str
    settings: dict[str, Any] = field(default_factory=dict)
    python: str = sys.executable
    missing: str = ""  # why it cannot run here
    size: float = 0  # in a race of sizes, this one's


@dataclass(frozen=True)
class Goal:
    """What a number is wanted to be.

    ``how`` says which number of each round: the ``ratio`` or ``difference`` of ``name`` to
    ``reference``, the ``value`` of ``name``, or the ``exponent`` with which ``key`` grows with the
    sizes of all contenders, or between the ``last`` two.
    """

    name: str
    bound: float
    reference: str = ""
    key: str = "seconds"
    how: str = "ratio"
    upper: bool = False  # hold the upper end of the 95 % interval against it, not the median
    at_least: bool = False


class Worker:
    """The process of a contender, ready to run."""

    def __init__(self, contender: Contender, threads: int) -> None:
        command = [contender.python, "-m", "benchmarks.worker", contender.module]
        command += [contender.function, json.dumps(contender.settings)]
        limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **limits, "PYTHONPATH": str(ROOT), "COURSE_PROGRESS": "off"},
        )
        self.name = contender.name
        self.prepared = self.answer()["prepared"]

    def run(self) -> dict[str, float]:
        """One run: its seconds, and what else it measured."""
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, float]:
        """The next line of JSON that the contender gives."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with code {self.process.wait()}; see above")
        return json.loads(line)

    def end(self) -> None:
        """Let the process end; one that does not within ten seconds is stopped."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def race(
    title: str,
    contenders: Sequence[Contender],
    rounds: int = 7,
    threads: int = 2,
    warm: int = 1,
    same: Sequence[str] = (),
    again: bool = False,
) -> dict[str, Any]:
    """Time contenders in turns.

    Args:
        title: shown beside the progress bar.
        contenders: one or more, the reference first; those that are missing are noted.
        rounds: runs of each that count.
        threads: of each contender's arithmetic.
        warm: runs of each before, reported but not counted.
        same: numbers on which all must agree to 1e-3: speed is not bought by doing less.
        again: in each round a contender runs twice and the second run counts. Of short runs the
            first is slow, because the run of somebody else has emptied the caches.

    Returns:
        For each contender ``prepared`` and ``warm`` (seconds) and ``runs``, or why it is
        ``missing``; the threads, and the machine's load before.

    Raises:
        RuntimeError: when a contender's process ends; its message stands on stderr.
        AssertionError: when contenders disagree.
    """
    load = os.getloadavg()[0]
    found: dict[str, Any] = {c.name: {"missing": c.missing} for c in contenders}
    workers: list[Worker] = []
    try:
        for contender in (c for c in contenders if not c.missing):
            workers.append(Worker(contender, threads))
        for worker in workers:
            warmed = [worker.run() for _ in range(warm)]
            found[worker.name] = {
                "prepared": worker.prepared,
                "warm": [run["seconds"] for run in warmed],
                "runs": [],
            }
        with bar(total=rounds * len(workers), desc=title, unit="run") as shown:
            order = random.Random(0)
            for _ in range(rounds):
                for worker in order.sample(workers, len(workers)):
                    if again:
                        worker.run()
                    found[worker.name]["runs"].append(worker.run())
                    shown.update()
    finally:
        for worker in workers:
            worker.end()
    for contender in contenders:
        found[contender.name] |= {"size": contender.size} if contender.size else {}
    for key in same:
        agree(found, key)
    return {"threads": threads, "load": load, "contenders": found}


def agree(found: dict[str, Any], key: str) -> None:
    """Assert that all contenders that ran computed the same."""
    values = {name: each["runs"][0][key] for name, each in found.items() if "runs" in each}
    first = next(iter(values.values()))
    if not all(isclose(v, first, rel_tol=1e-3) for v in values.values()):
        raise AssertionError(f"the contenders do not compute the same {key}: {values}")


def numbers(measured: dict[str, Any], goal: Goal) -> list[float]:
    """What a goal speaks of, round by round; empty where somebody did not run.

    Args:
        measured: what :func:`race` returned.
        goal: the ratio, difference, value or exponent that is wanted.

    Returns:
        A number a round.

    Raises:
        ValueError: for a goal that speaks of something else.
    """
    every = measured["contenders"]
    wanted = [goal.name, goal.reference] if goal.reference else [goal.name]
    if goal.how in ("exponent", "last"):
        wanted = list(every)
    if any("runs" not in every[name] for name in wanted):
        return []
    rounds = list(zip(*([run[goal.key] for run in every[n]["runs"]] for n in wanted), strict=True))
    if goal.how in ("exponent", "last"):
        some = slice(-2 if goal.how == "last" else 0, None)
        sizes = [every[name]["size"] for name in wanted][some]
        return [slope(sizes, costs[some]) for costs in rounds]
    if goal.how == "value":
        return [mine for (mine,) in rounds]
    if goal.how == "difference":
        return [mine - theirs for mine, theirs in rounds]
    if goal.how == "ratio":
        return [mine / theirs for mine, theirs in rounds]
    known = "a ratio, difference, value or exponent, or that of the last two sizes"
    raise ValueError(f"a goal is {known}, not {goal.how!r}")


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent k of cost = c * size^k, by least squares through the logarithms."""
    return statistics.linear_regression([log(s) for s in sizes], [log(c) for c in costs]).slope


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the 95 % interval of the mean, by Student's t; of ratios, in logarithms.

    Args:
        values: one or more numbers; where all are above 0, the mean is the geometric one.

    Returns:
        Median, lower and upper end; the ends are the value itself where there is only one.
    """
    from scipy.stats import t

    if len(values) < 2:
        return values[0], values[0], values[0]
    positive = min(values) > 0
    scaled = [log(v) if positive else v for v in values]
    half = t.ppf(0.975, len(scaled) - 1) * statistics.stdev(scaled) / len(scaled) ** 0.5
    ends = [statistics.mean(scaled) - half, statistics.mean(scaled) + half]
    low, high = map(exp, ends) if positive else ends
    return statistics.median(values), low, high


def verdict(measured: dict[str, Any], goal: Goal) -> dict[str, Any]:
    """Hold a race against a goal.

    Args:
        measured: what :func:`race` returned.
        goal: what is wanted.

    Returns:
        The goal; and where all that it needs ran, the median, its interval, and whether it is
        ``reached``, else None.
    """
    values = numbers(measured, goal)
    if not values:
        return {**asdict(goal), "reached": None}
    median, low, high = interval(values)
    value = high if goal.upper else median
    reached = value >= goal.bound if goal.at_least else value <= goal.bound
    return {**asdict(goal), "median": median, "low": low, "high": high, "reached": reached}
