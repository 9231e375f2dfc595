"""The child's side: run the cells of a submission, call its answers, send back plain values.

Nothing here is trusted by the grader: the learner's code shares this process and may change it.
"""

from __future__ import annotations

import ast
import builtins
import codeop
import linecache
import random
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy
import torch

from ...checks import probes
from ...checks.probes import Outcome, outcome_of
from . import notebook, wire
from .fragments import fragments

NESTED_CALLS = 1000  # as where `check` runs
RUNS_ITS_CELL = {"time", "timeit", "capture", "prun"}  # magics of IPython


def serve(end: socket.socket) -> None:
    """Answer messages until the grader closes."""
    submission = Submission()
    while (message := wire.receive(end)) is not None:
        do: Callable[..., Iterable[dict]] = getattr(submission, message.pop("do"))
        for reply in do(**message):
            wire.send(end, _frame(reply))


class Submission:
    """The cells of one notebook, and the names that they have made.

    Each method is asked by its name, and what it yields are its replies.
    """

    def __init__(self) -> None:
        self.main = sys.modules["__main__"] = ModuleType("__main__")
        self.cells: list[str] = []
        self.compile = codeop.Compile()  # keeps `from __future__ import ...` for what follows
        builtins.get_ipython = lambda: _Shell(self.main)
        builtins.display = lambda *args, **kwargs: None

    def read(self, content: torch.Tensor, ending: str, names: list[str]) -> Iterator[dict]:
        """Look at the file, before any line of it has run.

        Args:
            content: its bytes, of type uint8.
            ending: ".ipynb" or ".py".
            names: of the exercises.

        Yields:
            How many cells it has, what uses what, where each exercise is defined.
        """
        try:
            self.cells = notebook.code_cells(content.numpy().tobytes(), ending)
        except notebook.Unreadable as error:
            yield {"unreadable": str(error)}
            return
        self.cells = [_plain_python(cell) for cell in self.cells]
        yield {
            "unreadable": None,
            "cells": len(self.cells),
            "uses": notebook.uses(self.cells, names),
            "places": {name: notebook.defined_in(self.cells, name) for name in names},
            "fragments": {k: list(v) for k, v in fragments(self.cells, names).items()},
        }

    def run(self, cell: int) -> Iterator[dict]:
        """Run a cell.

        Args:
            cell: its place, from 0.

        Yields:
            What went wrong, in a line.
        """
        source, file = self.cells[cell], f"<cell {cell + 1}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        failed = []
        try:
            for statement in ast.parse(source, file).body:
                failed.append(self._execute(statement, file))
        except BaseException as error:
            failed.append(_told(error, file))
        yield {"error": "; ".join(filter(None, failed)) or None}

    def _execute(self, statement: ast.stmt, file: str) -> str | None:
        """Run a statement. An import that fails costs itself alone, and is told."""
        try:
            exec(self.compile(ast.Module([statement], []), file, "exec"), self.main.__dict__)
        except ImportError as error:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                raise
            return _told(error, file)
        return None

    def defined(self, names: list[str]) -> Iterator[dict]:
        """The names that exist."""
        yield {"names": [name for name in names if self.main.__dict__.get(name) is not None]}

    def call(self, name: str, probe: str, calls: list[tuple], seed: int) -> Iterator[dict]:
        """Call an answer through a probe.

        Args:
            name: of the exercise.
            probe: a function of course_lib.checks.probes.
            calls: the arguments of each call.
            seed: of all random numbers.

        Yields:
            The outcome of each, as plain data.
        """
        answer, probe_function = self.main.__dict__[name], getattr(probes, probe)
        torch.set_num_threads(1)
        sys.setrecursionlimit(NESTED_CALLS)
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed)
        for args in calls:
            yield vars(_outcome(name, answer, probe_function, args))

    def put(self, cells: list[str], names: list[str]) -> Iterator[dict]:
        """Put right answers in the place of these names."""
        right: dict[str, Any] = {"__name__": "right"}
        for cell in cells:
            exec(cell, right)
        self.main.__dict__.update({name: right[name] for name in names})
        yield {}


def _outcome(name: str, answer: Any, probe: Callable[..., Any], args: tuple) -> Outcome:
    if not callable(answer):
        return Outcome(error=f"{name} is a {type(answer).__name__} when all cells have run")
    try:
        return outcome_of(answer, probe, args)
    except BaseException as error:  # SystemExit and its like; an error that has no text
        return Outcome(error=f"raised {type(error).__name__}")


def _frame(reply: dict[str, Any]) -> bytes:
    try:
        return wire.encode(reply)
    except wire.Malformed as reason:
        return wire.encode(vars(Outcome(error=f"returned something that {reason}")))


def _told(error: BaseException, file: str) -> str:
    """An error in a line, with the line of the cell where it happened."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        said = str(error.msg if isinstance(error, SyntaxError) else error).partition("\n")[0][:200]
    except Exception:
        said = "an error that has no text"
    return f"{type(error).__name__}: {said}" + f" (line {line})" * (line is not None)


def _plain_python(cell: str) -> str:
    """The cell, or where that is no Python, what IPython makes of it: magics become calls."""
    if notebook.parsed(cell) is not None:
        return cell
    from IPython.core.inputtransformer2 import TransformerManager

    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        return TransformerManager().transform_cell(cell)
    return cell


class _Shell:
    """What stands in for IPython: magics do nothing, but for those that run their cell."""

    def __init__(self, main: ModuleType) -> None:
        self.main = main

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        if name in RUNS_ITS_CELL:
            exec(compile(_plain_python(cell), f"<%%{name}>", "exec"), self.main.__dict__)

    def run_line_magic(self, name: str, line: str, **_: Any) -> None:
        self.run_cell_magic(name, "", line)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None
