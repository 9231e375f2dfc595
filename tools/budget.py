"""What a notebook costs, measured from outside its kernel, and what it may cost."""

import threading
import time
from dataclasses import dataclass

import psutil

from tools.outputs import Refused

CPU_SECONDS = 120.0  # a minute on two cores
GIB = 2**30
MEMORY = 2 * GIB
EVERY = 0.05  # seconds between two looks at the memory


@dataclass(frozen=True)
class Cost:
    """Of one notebook, the start of its kernel included."""

    seconds: float
    cpu_seconds: float
    memory: int  # bytes, the peak

    def check(self, name: str) -> None:
        """Refuse what is above the limits."""
        if self.cpu_seconds > CPU_SECONDS:
            raise Refused(
                f"{name}: its kernel used {self.cpu_seconds:.1f} CPU seconds, at most "
                f"{CPU_SECONDS:g} are allowed (a minute on two cores); make its runs smaller, or "
                "move them to a study (course_lib/studies)"
            )
        if self.memory > MEMORY:
            raise Refused(
                f"{name}: its kernel held {self.memory / GIB:.2f} GiB at its peak, at most "
                f"{MEMORY / GIB:g} are allowed; work in batches, or move the run to a study"
            )


class Meter:
    """Watches a process and its children in a thread until it is stopped."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.cpu, self.memory = 0.0, 0
        self.process: psutil.Process | None = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def start(self, pid: int) -> None:
        """Begin with the process of this number."""
        self.process = psutil.Process(pid)
        self.thread.start()

    def watch(self) -> None:
        while not self.done.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Take the time used so far, and the memory held now."""
        cpu, memory = 0.0, 0
        try:
            for process in [self.process, *self.process.children(recursive=True)]:
                times = process.cpu_times()
                cpu += times.user + times.system
                memory += process.memory_info().rss
            own = self.process.cpu_times()  # children that have ended are counted here
            cpu += getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)
        except psutil.Error:
            return  # it has ended, or a child ended while it was looked at
        self.cpu, self.memory = max(self.cpu, cpu), max(self.memory, memory)

    def stop(self) -> Cost:
        """The cost until the last look."""
        self.done.set()
        if self.thread.is_alive():
            self.thread.join()
        return Cost(time.perf_counter() - self.began, self.cpu, self.memory)


def table(costs: dict[str, Cost]) -> str:
    """A line a notebook, for the terminal."""
    width = max(map(len, costs), default=0)
    lines = [f"{'notebook':<{width}}  wall s   CPU s  peak MiB"]
    for name, cost in costs.items():
        numbers = f"{cost.seconds:>6.1f}  {cost.cpu_seconds:>6.1f}  {cost.memory / 2**20:>8.0f}"
        lines.append(f"{name:<{width}}  {numbers}")
    return "\n".join(lines)
