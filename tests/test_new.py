"""tools.new: what is laid out runs, passes the tests, and fails just where it is left to write."""

import ast
import difflib
import os
import re
import shutil
import subprocess
import sys

import jupytext
import pytest
import yaml

from tools import new
from tools.new import PLACES, ROOT, lay_out

# What `make new` says that the tests will ask of an author who has written nothing yet.
LEFT = {
    "tests/test_layout.py::test_nothing_is_left_to_write[88_lighthouse_keepers]",
    "tests/test_book.py::test_length_of_prose_and_of_cells[88_lighthouse_keepers]",
    "tests/test_book.py::test_citations_and_terms_exist[88_lighthouse_keepers]",
    "tests/test_checks.py::test_a_chapter_has_its_exercises[lighthouse_keepers]",
}


@pytest.fixture
def root(tmp_path):
    """An empty project with the two files that a chapter is entered in."""
    for name in ("_toc.yml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_the_files_stand_in_their_places_with_the_name_filled_in(root):
    paths = lay_out("77_toy", "Toys, measured", root)
    assert [str(p.relative_to(root)) for p in paths] == [
        *(p.format(full="77_toy", name="toy") for p in PLACES.values()),
        "_toc.yml",
        "README.md",
    ]
    for path in paths[:-2]:
        text = path.read_text(encoding="utf-8")
        words = ("NN_name", "NUM", "ZZ", "NAME", "TITLE", "SETUP_CELL")
        assert not [w for w in words if w in text], path
        if path.suffix == ".py":
            ast.parse(text)
    book = jupytext.read(root / "book/77_toy.md")
    assert book.cells[0].source.startswith("# 77 · Toys, measured\n")


def test_what_is_laid_out_runs_and_fails_where_it_is_left_to_write(tmp_path):
    """Go the way that make new shows, in a copy of the tree."""
    tree = tmp_path / "tree"
    ignored = ("__pycache__", ".*_cache", ".git", ".venv*", "_build", ".hypothesis", "*.egg-info")
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*ignored))

    def run(*command):
        env = os.environ | {"PYTHONPATH": str(tree)}
        whole = [sys.executable, "-m", *command]
        done = subprocess.run(whole, cwd=tree, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def works(*command):
        code, said = run(*command)
        assert code == 0, said
        return said

    works("tools.new", "88_lighthouse_keepers", "--title", "A lighthouse")
    modules = [str(path) for path in tree.rglob("*lighthouse*.py")]
    works("ruff", "check", *modules)
    works("ruff", "format", "--check", *modules)
    works("course_lib.studies", "lighthouse_keepers", "--device", "cpu")
    works("tools.notebooks", "88_lighthouse_keepers")
    works("tools.ledger")
    assert "[88.1](88_lighthouse_keepers.ipynb#" in (tree / "book/claims.md").read_text("utf-8")
    notebooks = [f"{folder}/88_lighthouse_keepers.ipynb" for folder in ("book", "solutions")]
    works("pytest", "-q", "--nbval", "--nbval-current-env", *notebooks)
    pages = ("--ignore", "tests/test_pages.py")
    _, said = run(
        "pytest", "-q", "--doctest-modules", "course_lib", "tests", *pages, "-k", "lighthouse"
    )
    assert set(re.findall(r"^FAILED (\S+)", said, re.M)) == LEFT, said
    assert int(re.search(r"(\d+) passed", said)[1]) > 50
    for message in (
        "places are left to write:",
        "book/88_lighthouse_keepers.md:",
        "words, expected 2,000 to 4,500",
        "no paper is cited: write {cite:p}`key`",
        "1 exercises; write 6 or more",
    ):
        assert message in said, said


@pytest.mark.parametrize("name", ["autograd", "3_autograd", "03_Auto", "03-autograd", "../03_x"])
def test_other_names_are_refused(name, root):
    with pytest.raises(ValueError, match="a chapter is named like 03_autograd"):
        lay_out(name, root=root)


CLASHES = {
    "77_checks": "checks is the part course_lib.checks",
    "77_data": "data is the part course_lib.data",
    "77_lambda": "lambda is a word of Python",
    "77_torch": "torch is what `import torch` stands for",
    "77_random": "random is what `import random` stands for",
}


@pytest.mark.parametrize("name", CLASHES)
def test_names_that_mean_something_else_are_refused(name, root):
    with pytest.raises(ValueError, match=f"{CLASHES[name]}.*give the chapter another name"):
        lay_out(name, root=root)
    assert {p.name for p in root.iterdir()} == {"_toc.yml", "README.md"}


@pytest.mark.parametrize("name", ["hypothesis", "match", "jupytext"])
def test_a_package_of_the_same_name_does_no_harm(name):
    assert new.other_meaning(name) is None


def entered(root, *chapters):
    """The parts of the book after the chapters were laid out, as caption: chapters."""
    for full in chapters:
        lay_out(full, root=root)
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return {p["caption"]: [c["file"] for c in p["chapters"]] for p in toc["parts"]}


def test_a_chapter_is_entered_at_its_place_whatever_is_there(root):
    for name in ("_toc.yml", "README.md"):  # begin with no chapter at all
        text = (root / name).read_text(encoding="utf-8")
        text = re.sub(r"  - caption: \"[IV]+ (.|\n)*(?=  - caption: Reference)", "", text)
        text = re.sub(r"(?m)^\| \[\d\d .*\n", "", text)
        (root / name).write_text(text, encoding="utf-8")
    before = entered(root)
    order = ["13_m", "05_c", "08_a", "00_z", "20_q", "07_b", "06_y"]
    parts = entered(root, *order)
    reference = parts.pop("Reference")
    assert parts == {
        "I · Foundations": ["book/00_z", "book/05_c", "book/06_y"],
        "II · Architectures": ["book/07_b", "book/08_a", "book/13_m"],
        "III · Practice": ["book/20_q"],
    }
    assert list(parts) == ["I · Foundations", "II · Architectures", "III · Practice"]
    assert reference == before["Reference"]
    rows = re.findall(r"^\| \[(\d\d) · (\w+)\]", (root / "README.md").read_text("utf-8"), re.M)
    assert rows == [(c[:2], c[3:].upper()) for c in sorted(order)]


def test_entering_a_chapter_changes_nothing_else(root):
    before = {n: (root / n).read_text(encoding="utf-8") for n in ("_toc.yml", "README.md")}
    lay_out("77_toy", root=root)
    for name, text in before.items():
        after = (root / name).read_text(encoding="utf-8")
        changes = difflib.ndiff(text.splitlines(), after.splitlines())
        assert {line[0] for line in changes} == {" ", "+"}, name


def test_the_template_keeps_the_rules_that_it_can(root):
    lay_out("77_toy", root=root)
    book = (root / "book/77_toy.md").read_text(encoding="utf-8")
    assert not re.search(r"^\(.+\)=$", book, re.M)
    assert "and two hours for the [exercises]" in book
    for place in PLACES.values():
        if "tests" not in place and "checks" not in place:
            assert "TODO" in (root / place.format(full="77_toy", name="toy")).read_text("utf-8")


def test_it_says_what_the_tests_will_ask(root, capsys):
    assert new.main(["77_toy", "--root", str(root)]) == 0
    said = capsys.readouterr().out
    for words in ("wrote book/77_toy.md", "2,000", "3 pictures", "a claim 77.1", "toy.py"):
        assert words in said
    for test in LEFT:
        assert re.search(r"::(\w+)", test)[1] in said
    assert max(map(len, said.splitlines())) <= 100
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+) name=", said):
        assert re.search(rf"^{target}:", targets, re.M), target


@pytest.mark.parametrize("name", ["77_toy", "77_other", "78_toy"])
def test_nothing_is_overwritten(name, root):
    before = {p: p.read_bytes() for p in lay_out("77_toy", root=root)}
    with pytest.raises(ValueError, match="cannot be laid out: there is"):
        lay_out(name, root=root)
    assert all(p.read_bytes() == text for p, text in before.items())
