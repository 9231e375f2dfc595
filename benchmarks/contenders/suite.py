"""The project's own waits: its notebooks checked, its book built, an answer judged."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks.cost import adopt_orphans, measure
from benchmarks.race import ROOT

BIN = Path(sys.executable).parent


def nbval(jobs: int = 2):
    """All notebooks of book/ and solutions/ against their stored outputs; seconds a notebook."""
    adopt_orphans()
    notebooks = [*ROOT.glob("book/*.ipynb"), *ROOT.glob("solutions/*.ipynb")]
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), "--dist", "loadfile"]
    command += ["--nbval", "--nbval-current-env", *notebooks]

    def run() -> dict[str, float]:
        cost = measure(command, every=0.5)
        return {"seconds": cost.wall / len(notebooks), "cpu": cost.cpu / len(notebooks)}

    return run


def chapter(name: str):
    """A chapter's notebook, run from its source in a fresh kernel; nothing is written."""
    from tools.notebooks import ROOT as BOOK
    from tools.notebooks import generate

    def run() -> dict[str, float]:
        costs = {}
        generate(BOOK / f"book/{name}.md", quiet=True, costs=costs)
        (cost,) = costs.values()
        return {"seconds": cost.seconds, "cpu": cost.cpu_seconds, "mib": cost.memory / 2**20}

    return run


def book(warm: bool):
    """The book built into a folder of its own, from nothing or once more; seconds a page."""
    home = tempfile.TemporaryDirectory()
    command = [BIN / "jupyter-book", "build", "-q", "--path-output"]

    def build(folder: Path) -> float:
        folder.mkdir(exist_ok=True)
        start = time.perf_counter()
        subprocess.run([*command, folder, "."], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        pages = [p for p in folder.rglob("_build/html/**/*.html") if "_static" not in p.parts]
        return seconds / len(pages)

    def run() -> dict[str, float]:
        if warm:
            return {"seconds": build(Path(home.name))}
        with tempfile.TemporaryDirectory() as folder:
            return {"seconds": build(Path(folder))}

    return run


def checks(name: str, runs: int = 3):
    """What a learner waits for: the slowest right answer of a chapter, the slowest mistake."""
    exercises = importlib.import_module(f"course_lib.checks.{name}").EXERCISES
    warnings.simplefilter("ignore")  # a mistake may overflow; that is its point

    def seconds(exercise, answer) -> float:
        taken = []
        for _ in range(runs):
            start = time.perf_counter()
            str(exercise.evaluate(answer))
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    def run() -> dict[str, float]:
        right = {e.name: seconds(e, e.reference) for e in exercises}
        wrong = {e.name: max(seconds(e, m.answer) for m in e.mistakes) for e in exercises}
        slow = max(wrong, key=wrong.get)
        print(f"{name}: slowest {max(right, key=right.get)}, a mistake in {slow}", file=sys.stderr)
        return {"seconds": max(right.values()), "mistake": wrong[slow]}

    return run
