"""The code cells of a submission: a notebook (Jupyter, Colab, VS Code) or a .py file."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from itertools import pairwise

MARKER = re.compile(r"^# (?:%%|In\[[\d ]*\]:)", re.M)  # of VS Code and Jupytext, of nbconvert


class Unreadable(ValueError):
    """A file without code that can be read; its text is a sentence for the instructor."""


def code_cells(content: bytes, ending: str) -> list[str]:
    """The source of each code cell, in order.

    Args:
        content: the file.
        ending: ".ipynb" or ".py".

    Returns:
        The sources that are not blank, one at least.

    Raises:
        Unreadable: with the reason.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is no text in UTF-8: {error.reason} at byte {error.start}") from error
    cells = _of_notebook(text) if ending == ".ipynb" else _of_script(text)
    cells = [cell for cell in cells if cell.strip()]
    if not cells:
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
    """The parts between markers; without any, each statement is a cell."""
    if MARKER.search(text):
        return MARKER.split(text)
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [text]
    lines = text.splitlines(keepends=True)
    starts = [min(s.lineno, *_decorators(s)) - 1 for s in statements]
    return ["".join(lines[a:b]) for a, b in pairwise([*starts, len(lines)])]


def _decorators(statement: ast.stmt) -> Iterable[int]:
    return [d.lineno for d in getattr(statement, "decorator_list", [])] or [statement.lineno]


def parsed(cells: Iterable[str]) -> list[ast.stmt]:
    """The statements of all cells that can be parsed."""
    statements: list[ast.stmt] = []
    for cell in cells:
        try:
            statements += ast.parse(cell).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return statements


def uses(cells: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """Which of the exercises each of them uses, itself or through helpers.

    Args:
        cells: the sources.
        names: of the exercises.

    Returns:
        For each name the others, in order.
    """
    names = list(names)
    read = {
        s.name: {node.id for node in ast.walk(s) if isinstance(node, ast.Name)}
        for s in parsed(cells)
        if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    found = {}
    for name in names:
        reached, to_do = {name}, [name]
        while to_do:
            new = read.get(to_do.pop(), set()) - reached
            reached |= new
            to_do += new
        found[name] = [other for other in names if other in reached and other != name]
    return found


def defined_in(cells: Iterable[str], name: str) -> int | None:
    """The last cell that defines a function or class of this name, parsed or not."""
    pattern = re.compile(rf"^(?:async +def|def|class) +{re.escape(name)}\b", re.M)
    places = [i for i, cell in enumerate(cells) if pattern.search(cell)]
    return places[-1] if places else None
