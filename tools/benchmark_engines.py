"""How fast the engines of course_lib.autograd are beside micrograd and torch: `make benchmark`.

Both tables take the network 2-16-16-1 with ReLU on the moons, a forward and a backward pass a step.
"""

import json
import math
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

import torch

from course_lib import data
from course_lib.autograd import Array
from course_lib.plotting import table

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers"
MICROGRAD = "micrograd==0.1.0"
RUNS = 7  # of each engine, in turns
FASTER, SLOWER = 8, 4  # goals: times as fast as micrograd, times as slow as torch


def row(name: str, seconds: list[float], ratio: str = "") -> list[str]:
    """Median, least and most of some times, in milliseconds."""
    ms = [1000 * s for s in seconds]
    return [name, f"{statistics.median(ms):,.2f}", f"{min(ms):,.2f} to {max(ms):,.2f}", ratio]


def peer_python() -> Path:
    """The Python of an environment that holds micrograd alone, made the first time."""
    python, ready = PEERS / "bin/python", PEERS / ".ready"
    if not ready.exists():
        print(f"installing {MICROGRAD} into {PEERS.name} ...")
        venv.create(PEERS, clear=True, with_pip=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", MICROGRAD]
        subprocess.run(pip, check=True)
        ready.touch()
    return python


def worker(python: Path | str, module: str, points: str) -> tuple[float, float, float]:
    """Loss, sum of gradients and median seconds of a step, from a process of its own."""
    command = [python, ROOT / "tools/benchmark_worker.py", module]
    run = subprocess.run(command, input=points, capture_output=True, text=True, check=True)
    loss, gradients, seconds = json.loads(run.stdout)
    return loss, gradients, statistics.median(seconds)


def scalars() -> None:
    """Value beside micrograd on 100 points, each run in a process of its own."""
    X, y = data.moons(100, device="cpu", dtype=torch.float64)
    points = json.dumps([X.tolist(), (2 * y - 1).tolist()])
    engines = {
        "micrograd": (peer_python(), "micrograd.engine"),
        "Value": (sys.executable, "course_lib.autograd"),
    }
    seconds = {name: [] for name in engines}
    for _ in range(RUNS):
        results = []
        for name, (python, module) in engines.items():
            *result, taken = worker(python, module, points)
            results.append(result)
            seconds[name].append(taken)
        assert all(map(math.isclose, *results)), f"the engines differ: {results}"
    ratio = statistics.median(seconds["micrograd"]) / statistics.median(seconds["Value"])
    print(f"\nValue and {MICROGRAD}: ms a step on 100 points, garbage collector on, {RUNS} runs;")
    print(f"torch is loaded beside Value. Goal: at least {FASTER} x as fast")
    micrograd, ours = seconds.values()
    rows = [row("micrograd", micrograd), row("Value", ours, f"{ratio:.1f} x as fast")]
    print(table(["engine", "median", "spread", "ratio"], rows))


def step(X, t, weights):
    """The mean hinge loss of a batch and its gradients, by Array or torch alike."""
    W1, b1, W2, b2, W3, b3 = weights
    h = ((X @ W1 + b1).relu() @ W2 + b2).relu()  # (B, 16)
    loss = (1 - (h @ W3 + b3) * t).relu().mean()
    loss.backward()


def seconds_a_step(X, t, weights, steps: int = 200) -> float:
    """Mean time of a step; gradients are cleared outside the clock."""
    taken = 0.0
    for _ in range(steps):
        for w in weights:
            w.grad = None
        start = time.perf_counter()
        step(X, t, weights)
        taken += time.perf_counter() - start
    return taken / steps


def arrays() -> None:
    """Array beside torch.autograd on a batch of 1,000, in turns in this process."""
    X, y = data.moons(1000, device="cpu")
    t = (2.0 * y - 1)[:, None]  # (B, 1)
    torch.manual_seed(0)
    shapes = [(2, 16), (16,), (16, 16), (16,), (16, 1), (1,)]
    start = [torch.randn(shape) / shape[0] ** 0.5 for shape in shapes]
    theirs = [w.clone().requires_grad_() for w in start]
    ours = [Array(w.clone()) for w in start]
    print(f"\nArray and torch {torch.__version__}: ms a step at batch 1,000, float32, {RUNS} runs")
    print(f"Goal: at most {SLOWER} x torch")
    rows = []
    threads = torch.get_num_threads()
    for n in (1, 2):
        torch.set_num_threads(n)
        seconds_a_step(X, t, theirs), seconds_a_step(X, t, ours)  # warm
        times = [(seconds_a_step(X, t, theirs), seconds_a_step(X, t, ours)) for _ in range(RUNS)]
        for a, w in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.grad, w.grad)
        torchs, mine = zip(*times, strict=True)
        ratio = statistics.median(mine) / statistics.median(torchs)
        rows += [row(f"torch, threads: {n}", torchs)]
        rows += [row(f"Array, threads: {n}", mine, f"{ratio:.1f} x torch")]
    torch.set_num_threads(threads)
    print(table(["engine", "median", "spread", "ratio"], rows))
