"""Grading one class by our grader and by otter-grader: CPU seconds a submission. On Linux.

Both grade the same honest submissions (benchmarks/assignment.py), two at a time. Otter runs without
Docker by its Python API, so that it is not loaded anew for each submission. It has no sandbox
there; ours has one.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from benchmarks import assignment
from benchmarks.assignment import CHAPTER, HIDDEN_SEED, NAMES, ROOT
from benchmarks.cost import Cost, adopt_orphans, anonymous, divided, measure

Points = dict[str, dict[str, float]]  # learner -> exercise -> points


def per_submission(cost: Cost, size: int, points: Points) -> dict[str, float]:
    """What a run tells: costs of one submission, and a number that stands for all grades."""
    assert len(points) == size, f"{len(points)} of {size} submissions were graded"
    return {
        "seconds": cost.cpu / size,
        "wall": cost.wall / size,
        "mb": cost.memory,
        "grades": fingerprint(points),
    }


def fingerprint(points: Points) -> float:
    """A number that is another one when any learner has another grade."""
    rows = [[who, *(float(points[who][name]) for name in NAMES)] for who in sorted(points)]
    return float(zlib.crc32(json.dumps(rows).encode()))


def ours(learners: int = 30, jobs: int = 2, growth: bool = False):
    """Our grader; ``growth`` counts memory without what stands in files, to compare sizes."""
    adopt_orphans()
    home = tempfile.TemporaryDirectory()
    assignment.write_class(Path(home.name) / "class", learners)
    command = [sys.executable, "-m", "course_lib.grading", "grade", CHAPTER]

    def run() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as out:
            options = ["-j", str(jobs), "--seed", str(HIDDEN_SEED)]
            memory = anonymous if growth else divided
            given = [Path(home.name) / "class", Path(out) / "out"]
            cost = measure([*command, *given, *options], memory=memory)
            points = our_points(Path(out) / "out")
        return per_submission(cost, learners, points) | ({"seconds": cost.cpu} if growth else {})

    return run


def our_points(out: Path) -> Points:
    """The points in our gradebook, as otter tells its own."""
    with (out / "gradebook.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["student"]: {name: float(row[name]) for name in NAMES}
            for row in csv.DictReader(file)
        }


def otter(python: str, learners: int = 30, jobs: int = 2):
    """Otter, in the environment of this Python."""
    adopt_orphans()
    home = tempfile.TemporaryDirectory()
    folder = Path(home.name)
    assignment.write_class(folder / "class", learners, otters=True)
    archive = otters_autograder(folder / "autograder", python)
    worker, scores = ROOT / "benchmarks/contenders/otter_grading.py", folder / "points.json"

    def run() -> dict[str, float]:
        cost = measure([python, worker, Path(home.name) / "class", archive, scores, str(jobs)])
        points = json.loads(scores.read_text(encoding="utf-8"))
        return per_submission(cost, learners, points)

    return run


def otters_autograder(folder: Path, python: str) -> Path:
    """The archive that `otter generate` makes of our checks in otter's form."""
    assignment.write_otters_autograder(folder)
    archive = folder / "autograder.zip"
    generate = [python, "-m", "otter", "generate", "-o", archive, "calls.pt"]
    subprocess.run(generate, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return archive
