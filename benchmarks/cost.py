"""What a command takes, with all the processes that it starts: CPU seconds, wall time, memory.

On Linux: it adopts the orphans that a command leaves, so that their time is counted too.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


@dataclass(frozen=True)
class Cost:
    """What a command and all the processes that it started took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    memory: float  # the peak, in MB


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
        raise RuntimeError(f"still running after {seconds} s: {psutil.Process().children(True)}")


def used() -> float:
    """The CPU seconds of all processes that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(command: Sequence, every: float = 0.05, memory: Callable = divided) -> Cost:
    """Run a command, with a look at its memory every so many seconds.

    Args:
        command: the program and its arguments; it runs in the project's root.
        every: seconds between two looks.
        memory: of a process, in bytes.

    Returns:
        What it took.

    Raises:
        RuntimeError: when it fails, with the end of what it said, or leaves processes behind.
    """
    seconds, samples = {}, [0.0]
    before, start = used(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen(command, stdout=said, stderr=said, cwd=ROOT)
        while run.poll() is None:
            samples.append(sample(seconds, memory))
            time.sleep(every)
        wall = time.perf_counter() - start
        if run.returncode:
            said.seek(0)
            raise RuntimeError(f"{said.read()[-3000:]}\nexit code {run.returncode}: {command}")
    wait_for_all()
    cpu = used() - before
    missed = sum(seconds.values()) - 1.05 * cpu
    assert missed < 0, f"{missed:.1f} CPU seconds were seen in processes that nobody waited for"
    return Cost(cpu, wall, max(samples))
