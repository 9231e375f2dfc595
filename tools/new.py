"""Lay out a new chapter: ``python -m tools.new 03_autograd``. Never overwrites a file.

The files come from tools/templates/chapter: NN_name stands for 03_autograd, NUM for 3, ZZ for 03
and NAME for autograd, in the names of the files and in their text.
"""

import re
import sys
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


def lay_out(full: str, root: Path = ROOT) -> list[Path]:
    """Write the files of a chapter.

    Args:
        full: number and name, ``"03_autograd"``.
        root: the project's folder.

    Returns:
        The paths written.

    Raises:
        ValueError: when the name has another form, or the number or the name is taken.
    """
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", full):
        raise ValueError(f"a chapter is named like 03_autograd, got {full!r}")
    number, _, name = full.partition("_")
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
    full = argv[0]
    print(
        f"\nNext: enter book/{full}, exercises/{full} and solutions/{full} in _toc.yml and in the "
        "map of README.md;\nwrite; then make notebooks and make test."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
