"""The code cells of a submission: a notebook (Jupyter, Colab, VS Code) or a .py file."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import pairwise

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
BLOCK = re.compile(r"\n\s*\n(?=[^\s)\]}])")  # what begins at the margin below a blank line
MOST_CELLS = 2000
MARKER = re.compile(r"^# (?:%%|In\[[\d ]*\]:)(.*)\n?", re.M)  # VS Code and Jupytext, nbconvert


class Unreadable(ValueError):
    """A file without code that can be read; its text is a sentence for the instructor."""


def code_cells(content: bytes, ending: str) -> list[str]:
    """The source of each code cell, in order.

    Args:
        content: the file.
        ending: ".ipynb" or ".py".

    Returns:
        The sources, in which there is some code.

    Raises:
        Unreadable: with the reason.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is no text in UTF-8: {error.reason} at byte {error.start}") from error
    cells = _of_notebook(text) if ending == ".ipynb" else _of_script(text)
    if len(cells) > MOST_CELLS:
        raise Unreadable(f"has {len(cells):,} code cells; the most is {MOST_CELLS:,}")
    if not any(map(str.strip, cells)):
        raise Unreadable("has no code in it")
    return cells


def _of_notebook(text: str) -> list[str]:
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"is no notebook: {error}") from error
    except RecursionError as error:
        raise Unreadable("is no notebook: it is nested too deep") from error
    try:
        sheets = notebook.get("worksheets", [notebook])  # of notebooks before 2015
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        return [_source(cell) for cell in cells if cell.get("cell_type") == "code"]
    except (AttributeError, KeyError, TypeError) as error:
        raise Unreadable("is no notebook: it has no list of cells") from error


def _source(cell: dict) -> str:
    source = cell.get("source", cell.get("input", ""))
    return source if isinstance(source, str) else "".join(source)


def _of_script(text: str) -> list[str]:
    """The parts between markers; without any, each statement is a cell, or each block."""
    if MARKER.search(text):
        head, *parts = MARKER.split(text)
        cells = [] if not head.strip() else [head]
        marked = zip(parts[::2], parts[1::2], strict=True)  # what stands beside a marker, and below
        return cells + [code for title, code in marked if "[markdown]" not in title]
    statements = parsed(text)
    if statements is None:
        return BLOCK.split(text)
    lines = text.splitlines(keepends=True)
    starts = [min(s.lineno, *_decorators(s)) - 1 for s in statements]
    return ["".join(lines[a:b]) for a, b in pairwise([*starts, len(lines)])]


def _decorators(statement: ast.stmt) -> Iterable[int]:
    return [d.lineno for d in getattr(statement, "decorator_list", [])] or [statement.lineno]


def parsed(code: str) -> list[ast.stmt] | None:
    """The statements of some code, or None where it is no Python."""
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def statements_of(cells: Iterable[str]) -> list[ast.stmt]:
    """The statements of all cells that are Python."""
    return [statement for cell in cells for statement in parsed(cell) or []]


def definitions(statements: Iterable[ast.stmt]) -> dict[str, Definition]:
    """The last function or class of each name."""
    return {s.name: s for s in statements if isinstance(s, Definition)}


def reached(name: str, defined: Mapping[str, Definition], through: Set[str]) -> set[str]:
    """A name, and those that its code reads, directly or by way of others.

    Args:
        name: where to begin.
        defined: as of :func:`definitions`.
        through: the names that are followed.

    Returns:
        The names.
    """
    found, to_do = {name}, [name]
    while to_do:
        node = defined.get(to_do.pop())
        read = {x.id for x in ast.walk(node) if isinstance(x, ast.Name)} if node else set()
        new = (read & through) - found
        found |= new
        to_do += new
    return found


def uses(cells: Iterable[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Which of the exercises each of them uses, itself or through helpers.

    Args:
        cells: the sources.
        names: of the exercises.

    Returns:
        For each name the others, in order.
    """
    defined = definitions(statements_of(cells))
    through = defined.keys() | set(names)
    ways = {name: reached(name, defined, through) - {name} for name in names}
    return {name: [other for other in names if other in way] for name, way in ways.items()}


def defined_in(cells: Iterable[str], name: str) -> int | None:
    """The last cell that defines a function or class of this name, parsed or not."""
    pattern = re.compile(rf"^(?:async +def|def|class) +{re.escape(name)}\b", re.M)
    places = [i for i, cell in enumerate(cells) if pattern.search(cell)]
    return places[-1] if places else None
