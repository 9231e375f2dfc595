"""Lay out a new chapter: ``python -m tools.new 03_autograd``. Never overwrites a file.

The files come from tools/templates/chapter: NN_name stands for 03_autograd, NUM for 3, ZZ for 03
and NAME for autograd, in the names of the files and in their text.
"""

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).parent / "templates" / "chapter"
SETUP = Path(__file__).parent / "templates" / "setup.py"
PLACES = {
    "book.md": "book/{full}.md",
    "module.py": "course_lib/{name}.py",
    "checks.py": "course_lib/checks/{name}.py",
    "solutions.md": "solutions/{full}.md",
    "test.py": "tests/test_{name}.py",
    "right_answers.py": "tests/right_answers/{name}.py",
}

# What stands before and after the chapters in course_lib, in the order in which they may import.
SHARED = ["device", "data", "plotting", "source", "explore", "quiz", "claims", "training"]
LAST = ["studies", "playgrounds", "checks", "grading"]
NEXT = """
Next: enter book/{full}, exercises/{full} and solutions/{full} in _toc.yml and in the map of
README.md; write; then make notebooks and make test, which asks for

- the parts of the template in their order, 2,000 to 4,500 words, code cells of 72 columns and of
  5 lines (the median; 16 at most);
- 3 pictures and an explorer, each with alt text of 4 words or more; a quiz of 3 to 5 questions;
- a claim {number}.1 or more, announced in a box before it is measured: the sentence of claim(...),
  "Refuted if", and the threshold in bold;
- source(lib....) of the library's version, held against torch by an assert;
- papers cited from book/references.bib, terms linked to book/glossary.md;
- 6 exercises or more, of 5 minutes or more, from difficulty 1 to 4 or 5, each with 3 mistakes or
  more whose outputs differ, and hints of 8 to 45 words; another right answer to each in
  tests/right_answers/{name}.py;
- {name}.py: docstrings with Args, Returns and Raises; tests against torch or a closed form;
- a run in 120 CPU seconds and 2 GiB at the most, without the network.
"""


def lay_out(full: str, root: Path = ROOT) -> list[Path]:
    """Write the files of a chapter.

    Args:
        full: number and name, ``"03_autograd"``.
        root: the project's folder.

    Returns:
        The paths written.

    Raises:
        ValueError: when the name has another form or another meaning, or the number or the name
            is taken.
    """
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", full):
        raise ValueError(f"a chapter is named like 03_autograd, got {full!r}")
    number, _, name = full.partition("_")
    if meaning := other_meaning(name):
        raise ValueError(f"{name} is {meaning}; give the chapter another name")
    taken = [*root.glob(f"book/{number}_*.md"), *root.glob(f"course_lib/{name}.py")]
    paths = {t: root / p.format(full=full, name=name) for t, p in PLACES.items()}
    taken += [p for p in paths.values() if p.exists() and p not in taken]
    if taken:
        where = ", ".join(str(p.relative_to(root)) for p in taken)
        raise ValueError(f"{full} cannot be laid out: there is {where} already")
    for template, path in paths.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fill(text, number, name), encoding="utf-8")
    return list(paths.values())


def other_meaning(name: str) -> str | None:
    """What a name means already: a chapter of that name would hide it, or be hidden."""
    if name in SHARED + LAST:
        return f"the part course_lib.{name}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "a word of Python"
    if name in sys.stdlib_module_names or find_spec(name):
        return f"the package that `import {name}` finds"
    return None


def fill(text: str, number: str, name: str) -> str:
    """Put a chapter's number and name, and the setup cell, into a template."""
    setup = SETUP.read_text(encoding="utf-8").rstrip()
    for word, value in (
        ("SETUP_CELL", setup),
        ("NN_name", f"{number}_{name}"),
        ("NUM", str(int(number))),
        ("ZZ", number),
        ("NAME", name),
    ):
        text = text.replace(word, value)
    return text


def main(argv: list[str]) -> int:
    """Lay out the chapter named on the command line and say what comes next."""
    if len(argv) != 1:
        print("usage: make new name=03_autograd")
        return 2
    try:
        paths = lay_out(argv[0])
    except ValueError as error:
        print(error)
        return 1
    for path in paths:
        print(f"wrote {path.relative_to(ROOT)}")
    number, _, name = argv[0].partition("_")
    print(NEXT.format(full=argv[0], number=number, name=name), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
