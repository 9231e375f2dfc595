"""The process of one submission, which is started anew when the learner's code ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..checks.probes import Outcome
from .sandbox import Child, Late, Sandbox, Stopped

MANY = 12  # a submission may take so many times what one cell or exercise may
LONGEST = 2000  # characters of a message that come back
SHORT = 300  # of one on a cell
NOWHERE = "not defined"
TOLD = 50  # cells that failed


class Process:
    """Runs the cells of a submission and calls its answers.

    A cell that ends the process, or does not end, is left out when the process is started anew.

    Args:
        sandbox: what makes processes.
        file: the submission's name.
        content: its bytes.
        names: of the exercises.
        seconds: the longest that a cell or an exercise may take.
        seed: of random numbers that the answers draw.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        file: str,
        content: bytes,
        names: list[str],
        seconds: float,
        seed: int,
    ) -> None:
        self.sandbox, self.names, self.seconds, self.seed = sandbox, names, seconds, seed
        self.content = torch.frombuffer(bytearray(content or b" "), dtype=torch.uint8)
        self.ending = Path(file).suffix.lower()
        self.deadline = time.monotonic() + MANY * seconds
        self.time_for_cells = time.monotonic() + MANY / 2 * seconds
        self.all_seen = False  # whether each cell has had its turn
        self.child: Child | None = None
        self.facts = self._begin()
        self.left_out: dict[int, str] = {}  # cells that ended the process, and how
        self.errors: dict[int, str] = {}  # cells that raised
        self.defined: set[str] | None = None  # exercises with an answer, once the cells have run

    def _begin(self) -> dict[str, Any]:
        """Start a process; what it reads off the file before any line of it runs."""
        self.close()
        self.child = self.sandbox.fork(self.content.numpy().tobytes())
        message = {"content": self.content, "ending": self.ending, "names": self.names}
        return self._ask("read", MANY * self.seconds, **message)

    def _ask(self, do: str, seconds: float | None = None, **message: Any) -> dict[str, Any]:
        """The reply of the process; one that does not reply is over."""
        ask = partial(self.child.ask, {"do": do, **message})
        return self._reply(ask, self.seconds if seconds is None else seconds)

    def _reply(self, wait: Callable[[float], dict[str, Any]], seconds: float) -> dict[str, Any]:
        left = self.deadline - time.monotonic()
        try:
            return wait(min(seconds, left))
        except Late:
            self.child = self.defined = None
            limit = f"the {self.seconds:g} s that a cell or an exercise may take"
            if left < seconds:
                limit = f"the {MANY * self.seconds:g} s that a submission may take in all"
            raise Stopped(f"was stopped after {limit}") from None
        except Stopped:
            self.child = self.defined = None
            raise

    def _ready(self) -> None:
        """A process in which all cells have run that can."""
        while self.defined is None:
            if self.child is None:
                self._begin()
            self.errors = {}
            cells = [i for i in range(self.facts["cells"]) if i not in self.left_out]
            if all(map(self._survives, cells)):
                self.all_seen = True
                names = self._ask("defined", names=self.names).get("names")
                names = names if isinstance(names, list) else []
                self.defined = {name for name in names if isinstance(name, str)}

    def _survives(self, cell: int) -> bool:
        """Run a cell; whether the process is still there."""
        if not self.all_seen and time.monotonic() > self.time_for_cells:
            limit = f"{MANY / 2 * self.seconds:g} s"
            self.left_out[cell] = f"was left out: the cells above it took {limit} and more"
            return True
        try:
            error = self._ask("run", cell=cell).get("error")
        except Stopped as reason:
            if time.monotonic() >= self.deadline:
                raise
            self.left_out[cell] = one_line(reason)
            return False
        if error is not None:
            self.errors[cell] = one_line(error, SHORT) if isinstance(error, str) else "an odd error"
        return True

    def missing(self, name: str) -> str | None:
        """Look for an answer, once all cells have run.

        Args:
            name: of the exercise.

        Returns:
            Why there is none, or None where there is one.
        """
        try:
            self._ready()
        except Stopped as reason:
            return f"not reached: the notebook {one_line(reason)}"
        if name in self.defined:
            return None
        place = self.facts["places"].get(name)
        if place is None:
            return NOWHERE
        why = (self.errors | self.left_out).get(place, "it has no value when all cells have run")
        return f"not defined: code cell {place + 1} failed ({why})"

    def call(
        self, name: str, probe: str, group: Sequence[tuple], deadline: float
    ) -> Iterator[Outcome]:
        """Call an answer.

        Args:
            name: of the exercise.
            probe: a function of course_lib.checks.probes, by its name.
            group: the arguments of each call.
            deadline: for all calls, by time.monotonic().

        Yields:
            The outcome of each call.

        Raises:
            Stopped: when its process ended over the next one.
        """
        self._ready()
        message = {"do": "call", "name": name, "probe": probe, "calls": list(group)}
        wait = partial(self.child.ask, message | {"seed": self.seed})
        for args in group:
            reply = self._reply(wait, deadline - time.monotonic())
            try:
                yield _outcome(reply, len(args))
            except (TypeError, ValueError):
                self.close()
                raise Stopped("sent what is no answer") from None
            wait = self.child.listen

    def put(self, cells: list[str], names: list[str]) -> bool:
        """Start afresh, with what these cells define in the place of some answers.

        Args:
            cells: the sources of right answers.
            names: of the answers that they stand in for.

        Returns:
            Whether they do.
        """
        self.close()
        try:
            self._ready()
            self._ask("put", cells=cells, names=names)
        except Stopped:
            return False
        return True

    def failures(self) -> tuple[str, ...]:
        """What went wrong in which cell, for the first cells in which it did."""
        failed = sorted((self.errors | self.left_out).items())
        told = [f"code cell {i + 1}: {reason}" for i, reason in failed[:TOLD]]
        more = len(failed) - len(told)
        return (*told, f"and {more:,} more") if more else tuple(told)

    def close(self) -> None:
        """End the process."""
        child, self.child, self.defined = self.child, None, None
        if child:
            child.close()


def _outcome(data: Any, arguments: int) -> Outcome:
    """An outcome from what came for it, if that has the right form."""
    if not isinstance(data, dict) or data.keys() != {"value", "error", "changed"}:
        raise TypeError
    error, changed = data["error"], data["changed"]
    if not (error is None or isinstance(error, str)) or not isinstance(changed, tuple):
        raise TypeError
    if not all(type(i) is int for i in changed):
        raise TypeError
    if not all(0 <= i < arguments for i in changed) or list(changed) != sorted(set(changed)):
        raise ValueError
    return Outcome(data["value"], None if error is None else one_line(error), changed)


def one_line(words: object, longest: int = LONGEST) -> str:
    """What a stranger said, on one line and not too long."""
    text = str(words)
    printable = "".join(c if c.isprintable() else " " for c in text[: 2 * longest])
    line = " ".join(printable.split())
    return line if len(line) <= longest and len(text) <= 2 * longest else line[:longest] + " ..."
