"""The masters, solutions/NN_name.md, and the answers that stand in them."""

import ast
from functools import cache
from pathlib import Path

import jupytext

from tools.cutter import tags

ROOT = Path(__file__).resolve().parent.parent


def master(chapter):
    """The path of a chapter's master."""
    (path,) = ROOT.glob(f"solutions/[0-9][0-9]_{chapter}.md")
    return path


@cache
def solutions(chapter):
    """The names that the master's imports and solution cells define."""
    names = {}
    for cell in jupytext.read(master(chapter)).cells:
        if cell.cell_type == "code" and ("solution" in tags(cell) or only_imports(cell.source)):
            exec(cell.source, names)
    return names


def only_imports(source):
    """Whether a cell holds imports and nothing else."""
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source).body)
