"""tools.new: a new chapter's files stand, run, and keep to the layout."""

import ast
import re
import shutil
import subprocess
import sys

import jupytext
import pytest

from tools import new
from tools.new import PLACES, ROOT, lay_out


def test_the_files_stand_in_their_places_with_the_name_filled_in(tmp_path):
    paths = lay_out("77_toy", tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in paths] == [
        p.format(full="77_toy", name="toy") for p in PLACES.values()
    ]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert not [w for w in ("NN_name", "NUM", "ZZ", "NAME", "SETUP_CELL") if w in text], path
        if path.suffix == ".py":
            ast.parse(text)
    book = jupytext.read(tmp_path / "book/77_toy.md")
    assert book.cells[0].source.startswith("# 77 · ")


def test_what_is_laid_out_works(tmp_path):
    """Module, checks, test file, chapter and master of a copy of the tree do what they say."""
    for folder in ("course_lib", "tests", "tools", "book"):
        ignore = shutil.ignore_patterns("__pycache__", "*.ipynb")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignore)
    (tmp_path / "solutions").mkdir()
    (tmp_path / "exercises").mkdir()
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, tmp_path)
    lay_out("77_toy", tmp_path)

    def run(*args):
        command = [sys.executable, "-m", *args]
        env = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    run("pytest", "-q", "tests/test_toy.py", "--doctest-modules", "course_lib/toy.py")
    run("ruff", "check", "course_lib/toy.py", "course_lib/checks/toy.py", "tests/test_toy.py")
    run("tools.notebooks", "77_toy")
    assert (tmp_path / "exercises/77_toy.ipynb").exists()
    assert "NotImplementedError" in (tmp_path / "exercises/77_toy.ipynb").read_text(
        encoding="utf-8"
    )
    assert "2/2 points" in (tmp_path / "solutions/77_toy.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["autograd", "3_autograd", "03_Auto", "03-autograd", "../03_x"])
def test_other_names_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="a chapter is named like 03_autograd"):
        lay_out(name, tmp_path)


CLASHES = {
    "77_checks": "checks is the part course_lib.checks",
    "77_data": "data is the part course_lib.data",
    "77_lambda": "lambda is a word of Python",
    "77_match": "match is a word of Python",
    "77_torch": "torch is the package that `import torch` finds",
    "77_random": "random is the package",
}


@pytest.mark.parametrize("name", CLASHES)
def test_names_that_mean_something_else_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"{CLASHES[name]}.*give the chapter another name"):
        lay_out(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_template_keeps_the_rules_that_it_can(tmp_path):
    lay_out("77_toy", tmp_path)
    book = (tmp_path / "book/77_toy.md").read_text(encoding="utf-8")
    assert not re.search(r"^\(.+\)=$", book, re.M)
    titles = re.findall(r"Claim 77\.1: (.+)", book)
    assert titles == re.findall(r'claim\("77\.1", "(.+)"', book) and len(titles) == 1
    assert not re.search(r"^claim\(", book, re.M), "no verdict before anything is measured"
    hours = "and two hours for the [exercises]"
    assert hours in book
    checks = (tmp_path / "course_lib/checks/toy.py").read_text(encoding="utf-8")
    calls = [n for n in ast.walk(ast.parse(checks)) if isinstance(n, ast.Call)]
    hints = [c.args[2].value for c in calls if getattr(c.func, "id", "") == "Mistake"]
    assert len(hints) >= 3 and all(8 <= len(hint.split()) <= 45 for hint in hints)


def test_it_says_what_the_tests_will_ask(monkeypatch, capsys):
    monkeypatch.setattr(new, "lay_out", lambda full: [])
    assert new.main(["77_toy"]) == 0
    said = capsys.readouterr().out
    for words in ("book/77_toy", "2,000", "3 pictures", "a claim 77.1", "hints of 8", "toy.py"):
        assert words in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("name", ["77_toy", "77_other", "78_toy"])
def test_nothing_is_overwritten(name, tmp_path):
    before = {p: p.read_bytes() for p in lay_out("77_toy", tmp_path)}
    with pytest.raises(ValueError, match="cannot be laid out: there is"):
        lay_out(name, tmp_path)
    assert all(p.read_bytes() == text for p, text in before.items())
