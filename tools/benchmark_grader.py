"""What our class grader costs beside otter-grader: `make benchmark-grader`, on Linux.

Both grade the same 30 honest submissions (tools/benchmark_class.py), in turns, two at a time, and
must agree on every grade. Otter runs without Docker by its Python API, the cheapest of its ways:
`otter run`, which loads otter anew for each submission, takes about 40 % more CPU seconds.
None of otter's ways here has a sandbox; ours has one. With `flat=yes` our grader alone takes a
class of 1,000: does its memory grow?
"""

import argparse
import csv
import ctypes
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from course_lib.plotting import table
from tools import benchmark_class
from tools.benchmark_class import CHAPTER, HIDDEN_SEED, NAMES, ROOT

OTTER = ROOT / ".venv-otter"
GRADER = "otter-grader==7.0.0"
GOAL = 1 / 12  # of otter's CPU seconds
FLAT = 1.1  # the most by which memory may differ between the tenths of a large class
JOBS = 2
ROUNDS = 2  # of each grader, in turns
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>

Points = dict[str, dict[str, float]]  # learner -> exercise -> points


@dataclass(frozen=True)
class Cost:
    """What a command and all the processes that it started took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    samples: list[tuple[int, float]]  # how much was done, MB of memory at that time

    @property
    def memory(self) -> float:
        """The peak, in MB."""
        return max(mb for _, mb in self.samples)


def divided(process: psutil.Process) -> int:
    """Bytes, those that processes share divided among them: the proportional set size."""
    try:
        return process.memory_full_info().pss
    except psutil.AccessDenied:  # another user's: what it shares counts in full
        return process.memory_info().rss


def anonymous(process: psutil.Process) -> int:
    """The same without what stands in files, which depends on who else has torch loaded."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return 1024 * int(re.search(r"Pss_Anon: *(\d+) kB", rollup)[1])


def sample(seconds: dict[psutil.Process, float], memory: Callable = divided) -> float:
    """MB of memory of all processes below this one; notes how long each has run."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            seconds[process] = sum(process.cpu_times()[:2])
            total += memory(process)
    return total / 2**20


def adopt_orphans() -> None:
    """Become the parent of processes below this one that lose theirs."""
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1)


def wait_for_all(seconds: float = 10) -> None:
    """Wait for what a command left behind: only who was waited for counts as used time."""
    deadline = time.monotonic() + seconds
    with suppress(ChildProcessError):  # nobody is left
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        raise SystemExit(f"still running after {seconds} s: {psutil.Process().children(True)}")


def used() -> float:
    """The CPU seconds of all processes that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(
    command: Sequence,
    every: float = 0.05,
    memory: Callable[[psutil.Process], int] = divided,
    done: Callable[[], int] = lambda: 0,
) -> Cost:
    """Run a command, with a look at its memory every so many seconds."""
    seconds, samples = {}, []
    before, start = used(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen(command, stdout=said, stderr=said, cwd=ROOT)
        while run.poll() is None:
            samples.append((done(), sample(seconds, memory)))
            time.sleep(every)
        wall = time.perf_counter() - start
        if run.returncode:
            said.seek(0)
            raise SystemExit(f"{said.read()[-3000:]}\nexit code {run.returncode}: {command}")
    wait_for_all()
    cpu = used() - before
    missed = sum(seconds.values()) - 1.05 * cpu
    assert missed < 0, f"{missed:.1f} CPU seconds were seen in processes that nobody waited for"
    return Cost(cpu, wall, samples)


def otter_python() -> Path:
    """The Python of an environment that holds otter and our torch, made the first time."""
    python, ready = OTTER / "bin/python", OTTER / ".ready"
    if not ready.exists():
        print(f"installing {GRADER} into {OTTER.name} (a few minutes) ...", flush=True)
        venv.create(OTTER, clear=True, with_pip=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        subprocess.run([*pip, *[pin for pin in pins if pin.startswith("torch==")]], check=True)
        subprocess.run([*pip, GRADER, "ipykernel", "nbconvert"], check=True)
        ready.touch()
    return python


def ours(submissions: Path, out: Path, jobs: int = JOBS) -> list:
    """The command that grades a folder by our grader."""
    command = [sys.executable, "-m", "course_lib.grading", "grade", CHAPTER, submissions, out]
    return [*command, "-j", str(jobs), "--seed", str(HIDDEN_SEED)]


def our_points(out: Path) -> Points:
    """The points in our gradebook."""
    with (out / "gradebook.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["student"]: {name: float(row[name]) for name in NAMES}
            for row in csv.DictReader(file)
        }


def otters(submissions: Path, out: Path, autograder: Path) -> list:
    """The command that grades a folder by otter."""
    worker = ROOT / "tools/benchmark_otter.py"
    return [otter_python(), worker, submissions, autograder, out, str(JOBS)]


def otters_autograder(folder: Path) -> Path:
    """The archive that `otter generate` makes of our checks in otter's form."""
    benchmark_class.write_otters_autograder(folder)
    archive = folder / "autograder.zip"
    generate = [otter_python(), "-m", "otter", "generate", "-o", archive, "calls.pt"]
    subprocess.run(generate, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return archive


def assert_same_points(ours: Points, otters: Points) -> None:
    """Speed must not be bought by doing less."""
    for learner in sorted(ours.keys() | otters.keys()):
        mine, theirs = ours.get(learner), otters.get(learner)
        assert mine == theirs, f"{learner}: ours {mine}, otter {theirs}"


def a_round(folder: Path, autograder: Path, size: int) -> tuple[Cost, Cost]:
    """Both graders once, on a class of that size."""
    benchmark_class.write_class(folder / "ours", size)
    benchmark_class.write_class(folder / "otters", size, otters=True)
    mine = measure(ours(folder / "ours", folder / "out"))
    theirs = measure(otters(folder / "otters", folder / "points.json", autograder))
    points = json.loads((folder / "points.json").read_text(encoding="utf-8"))
    assert_same_points(our_points(folder / "out"), points)
    return mine, theirs


def row(name: str, costs: list[Cost], size: int) -> list[str]:
    """What a grader took for one submission."""
    cpu = [cost.cpu / size for cost in costs]
    wall = statistics.median(cost.wall / size for cost in costs)
    peak = max(cost.memory for cost in costs)
    spread = f"{min(cpu):.3f} to {max(cpu):.3f}"
    return [name, f"{statistics.median(cpu):.3f}", spread, f"{wall:.3f}", f"{peak:,.0f}"]


def compare(rounds: int, size: int = 30) -> None:
    """Print the table of both graders, and whether the goal is reached."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        autograder = otters_autograder(folder / "autograder")
        a_round(folder / "warm", autograder, JOBS)  # reads the files from the disk
        costs = [a_round(folder / str(i), autograder, size) for i in range(rounds)]
    mine, theirs = (list(each) for each in zip(*costs, strict=True))
    ratio = [statistics.median(a.cpu / b.cpu for a, b in costs)]
    ratio += [statistics.median(a.wall / b.wall for a, b in costs)]
    ratio += [max(c.memory for c in mine) / max(c.memory for c in theirs)]
    print(f"\nour grader and {GRADER} (by its Python API, no Docker, no sandbox):")
    print(
        f"{size} submissions of {len(NAMES)} exercises, {JOBS} at a time, {rounds} rounds in turns."
    )
    print("All grades agree. CPU and wall seconds a submission, peak MB of all processes:")
    rows = [row("otter", theirs, size), row("ours", mine, size)]
    rows += [["ours / otter", f"1/{1 / ratio[0]:.1f}", "", *[f"1/{1 / r:.1f}" for r in ratio[1:]]]]
    print(table(["", "CPU s", "spread", "wall s", "peak MB"], rows))
    verdict = "reached" if ratio[0] <= GOAL else "missed"
    print(f"Goal: at most 1/{1 / GOAL:.0f} of otter's CPU seconds: {verdict}")


def tenths(samples: list[tuple[int, float]], size: int) -> list[list[float]]:
    """The memory while the first tenth of a class was graded, the second, and so on."""
    found = [[] for _ in range(10)]
    for done, mb in samples:
        found[min(9, 10 * done // size)].append(mb)
    assert all(found), "results.json files did not come one by one, so there is nothing to count"
    return found


def flat(size: int = 1000) -> None:
    """Print the memory of our grader at three places of a large class."""
    rows = []
    for jobs in (1, JOBS):
        with tempfile.TemporaryDirectory() as name:
            submissions, out = Path(name) / "class", Path(name) / "out"
            benchmark_class.write_class(submissions, size)
            cost = measure(
                ours(submissions, out, jobs),
                every=0.2,
                memory=anonymous,
                done=lambda out=out: sum(1 for _ in out.glob("learners/*/results.json")),
            )
            assert len(our_points(out)) == size
        peaks = [max(tenth) for tenth in tenths(cost.samples, size)]
        ratio = max(peaks) / min(peaks)
        places = [f"{peaks[i]:,.0f}" for i in (0, 4, 9)]
        rows.append([f"-j {jobs}", *places, f"{ratio:.3f}, {'flat' if ratio <= FLAT else 'GROWS'}"])
    print(
        f"\nour grader, {size:,} submissions: peak MB of all its processes, without what stands in"
    )
    print("files, in the tenth of the class that ends there; and of all tenths, most / least")
    print(table(["", "10 %", "50 %", "100 %", "most / least"], rows))
    print(f"Goal: within {FLAT - 1:.0%} from the first tenth to the last")


def main() -> None:
    """Compare, or look for growth."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each grader")
    parser.add_argument("--flat", action="store_true", help="memory in a class of 1,000 instead")
    given = parser.parse_args()
    adopt_orphans()
    if given.flat:
        flat()
    else:
        compare(given.rounds)


if __name__ == "__main__":
    main()
