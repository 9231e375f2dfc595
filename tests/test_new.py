"""tools.new: a new chapter's files stand, run, and keep to the layout."""

import ast
import shutil
import subprocess
import sys

import jupytext
import pytest

from tools.new import PLACES, ROOT, lay_out


def test_the_files_stand_in_their_places_with_the_name_filled_in(tmp_path):
    paths = lay_out("77_toy", tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in paths] == [
        p.format(full="77_toy", name="toy") for p in PLACES.values()
    ]
    for path in paths:
        text = path.read_text()
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
    assert "NotImplementedError" in (tmp_path / "exercises/77_toy.ipynb").read_text()
    assert "2/2 points" in (tmp_path / "solutions/77_toy.ipynb").read_text()


@pytest.mark.parametrize("name", ["autograd", "3_autograd", "03_Auto", "03-autograd", "../03_x"])
def test_other_names_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="a chapter is named like 03_autograd"):
        lay_out(name, tmp_path)


@pytest.mark.parametrize("name", ["77_toy", "77_other", "78_toy"])
def test_nothing_is_overwritten(name, tmp_path):
    before = {p: p.read_bytes() for p in lay_out("77_toy", tmp_path)}
    with pytest.raises(ValueError, match="cannot be laid out: there is"):
        lay_out(name, tmp_path)
    assert all(p.read_bytes() == text for p, text in before.items())
