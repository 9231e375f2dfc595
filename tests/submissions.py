"""Submissions to grade in tests: the masters' cells as notebooks and scripts, with changes."""

import json
import shutil
import subprocess
from functools import cache

from masters import master
from needs import needs

MARK = "# %%\n"


def needs_sandbox():
    """Skip the tests of a module where bubblewrap or user namespaces are missing."""
    needs("bwrap", shutil.which("bwrap") is not None, "bubblewrap is missing (package bubblewrap)")
    inner = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "unshare", "--user", "true"]
    works = subprocess.run(inner, capture_output=True).returncode == 0
    needs("userns", works, "user namespaces are switched off (kernel or AppArmor settings)")


@cache
def solution_cells(chapter):
    """The code cells of the master, as its notebook has them."""
    path = master(chapter).with_suffix(".ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def changed(chapter, *changes):
    """The master's cells with each (old, new) replaced, which must occur."""
    cells = list(solution_cells(chapter))
    for old, new in changes:
        assert any(old in cell for cell in cells), f"no cell has {old!r}"
        cells = [cell.replace(old, new) for cell in cells]
    return cells


def notebook(cells, **metadata):
    """An .ipynb file of code cells."""
    made = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": cell}
        for cell in cells
    ]
    content = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content).encode()


def script(*cells):
    """A .py file in percent format."""
    return "".join(f"{MARK}{cell}\n" for cell in cells).encode()
