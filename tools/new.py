"""Lay out a new chapter: ``python -m tools.new 03_autograd``. Never overwrites a file.

The files come from tools/templates/chapter, a small chapter that runs: NN_name stands for
03_autograd, NUM for 3, ZZ for 03, NAME for autograd and TITLE for the title, in the text of the
files. Each place to write says TODO. The pages are entered in _toc.yml and in README.md.
"""

import argparse
import keyword
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).parent / "templates" / "chapter"
SETUP = Path(__file__).parent / "templates" / "setup.py"
PLACES = {
    "book.md": "book/{full}.md",
    "module.py": "course_lib/{name}.py",
    "study.py": "course_lib/studies/{name}.py",
    "checks.py": "course_lib/checks/{name}.py",
    "solutions.md": "solutions/{full}.md",
    "test.py": "tests/test_{name}.py",
    "right_answers.py": "tests/right_answers/{name}.py",
}

# What stands before and after the chapters in course_lib, in the order in which they may import.
SHARED = [
    "device",
    "progress",
    "data",
    "plotting",
    "source",
    "explore",
    "quiz",
    "claims",
    "training",
]
LAST = ["studies", "playgrounds", "checks", "grading"]
IMPORTED = {"torch", "numpy", "matplotlib", "sklearn", "ipywidgets", "pooch", "tqdm", "gymnasium"}
# The parts of the book, each with the number that its chapters begin at.
PARTS = {"I · Foundations": 0, "II · Architectures": 7, "III · Practice": 19, "Reference": 100}
PAGES = """\
      - file: book/{full}
        sections:
          - file: exercises/{full}
          - file: solutions/{full}
"""
ROW = (
    "| [{number} · {title}](book/{full}.md) | [{name}](course_lib/{name}.py) "
    "| [{full}](exercises/{full}.ipynb) | [{full}](solutions/{full}.md) |\n"
)
NEXT = """
It is a small chapter that runs. See it run, then make it yours, as CONTRIBUTING.md says:

  make study name={name}
  make notebooks name={full}
  make chapter name={full}

The last one fails until the chapter is written, and says where:

  test_nothing_is_left_to_write          each TODO, by file and line
  test_length_of_prose_and_of_cells      2,000 to 4,500 words
  test_citations_and_terms_exist         a paper of book/references.bib, a term of book/glossary.md
  test_a_chapter_has_its_exercises       six of them, from difficulty 1 to 4 or 5

All the rest passes as it is laid out, and goes on asking, while you write, for

- the parts of the template in their order, code cells of 72 columns and of 5 lines (the median;
  16 at most);
- 3 pictures and an explorer, each with alt text of 4 words or more; a quiz of 3 to 5 questions;
- a claim {number}.1 or more, announced in a box before it is measured: the sentence of claim(...),
  "Refuted if", and the threshold in bold;
- source(lib....) of the library's version, held against torch by an assert;
- exercises of 5 minutes or more, each with 3 mistakes or more whose outputs differ, and hints of
  8 to 45 words; another right answer to each in tests/right_answers/{name}.py;
- in {name}.py docstrings with Args, Returns and Raises; tests against torch or a closed form;
- results of today's code: make study name={name} after each change of what it measures;
- a run in 120 CPU seconds and 2 GiB at the most, without the network.
"""


def lay_out(full: str, title: str | None = None, root: Path = ROOT) -> list[Path]:
    """Write the files of a chapter, and enter it in the order of the book and in the map.

    Args:
        full: number and name, ``"03_autograd"``.
        title: of the chapter; by default made of the name.
        root: the project's folder.

    Returns:
        The paths written, _toc.yml and README.md the last.

    Raises:
        ValueError: when the name has another form or another meaning, or the number or the name
            is taken.
    """
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", full):
        raise ValueError(f"a chapter is named like 03_autograd, got {full!r}")
    number, _, name = full.partition("_")
    title = title or name.replace("_", " ").capitalize()
    if meaning := other_meaning(name):
        raise ValueError(f"{name} is {meaning}; give the chapter another name")
    taken = [*root.glob(f"book/{number}_*.md"), *root.glob(f"course_lib/{name}.py")]
    paths = {t: root / p.format(full=full, name=name) for t, p in PLACES.items()}
    taken += [p for p in paths.values() if p.exists() and p not in taken]
    if taken:
        where = ", ".join(str(p.relative_to(root)) for p in taken)
        raise ValueError(f"{full} cannot be laid out: there is {where} already")
    texts = {
        path: fill((TEMPLATES / template).read_text(encoding="utf-8"), full, title)
        for template, path in paths.items()
    }
    toc, readme = root / "_toc.yml", root / "README.md"
    texts[toc] = in_order(toc.read_text(encoding="utf-8"), full)
    row = ROW.format(full=full, number=number, name=name, title=title)
    texts[readme] = in_map(readme.read_text(encoding="utf-8"), row)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def other_meaning(name: str) -> str | None:
    """What a name means already: a chapter of that name would hide it, or be hidden.

    An installed package of the same name does no harm, because ours is course_lib.NAME; only a
    Python that is started in course_lib/ would find ours where torch or numpy import their own.
    """
    if name in SHARED + LAST:
        return f"the part course_lib.{name}"
    if keyword.iskeyword(name):
        return "a word of Python"
    if name in IMPORTED | sys.stdlib_module_names:
        return f"what `import {name}` stands for in this library and in those that it uses"
    return None


def fill(text: str, full: str, title: str) -> str:
    """Put a chapter's number, name and title, and the setup cell, into a template."""
    number, _, name = full.partition("_")
    for word, value in (
        ("SETUP_CELL", SETUP.read_text(encoding="utf-8").rstrip()),
        ("NN_name", full),
        ("NUM", str(int(number))),
        ("ZZ", number),
        ("NAME", name),
        ("TITLE", title),
    ):
        text = text.replace(word, value)
    return text


def in_order(toc: str, full: str) -> str:
    """Enter a chapter's pages in the text of _toc.yml: in its part, by its number."""
    number = int(full[:2])
    caption = max((c for c in PARTS if PARTS[c] <= number), key=PARTS.get)
    lines = toc.splitlines(keepends=True)
    part = ""
    for i, line in enumerate(lines):
        if head := re.match(r'  - caption: "?(.*?)"?$', line):
            if part == caption or PARTS.get(head[1], 0) > number:  # the end of its part
                start = "" if part == caption else f'  - caption: "{caption}"\n    chapters:\n'
                return "".join([*lines[:i], start, PAGES.format(full=full), *lines[i:]])
            part = head[1]
        chapter = re.match(r"      - file: book/(\d\d)_", line)
        if chapter and int(chapter[1]) > number:
            return "".join([*lines[:i], PAGES.format(full=full), *lines[i:]])
    raise ValueError("_toc.yml has no part called Reference, before which the chapters stand")


def in_map(readme: str, row: str) -> str:
    """Enter a row in the text of README.md: in the table of chapters, by its number."""
    before, head, rest = readme.partition("|---|---|---|---|\n")
    rows = re.match(r"(?:\|.*\n)*", rest)[0]
    ordered = sorted([*rows.splitlines(keepends=True), row])
    return before + head + "".join(ordered) + rest.removeprefix(rows)


def main(argv: list[str] | None = None) -> int:
    """Lay out the chapter named on the command line and say what comes next."""
    parser = argparse.ArgumentParser(prog="python -m tools.new", description=__doc__)
    parser.add_argument("full", metavar="NN_name", help="03_autograd")
    parser.add_argument("--title", help="default: the name")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args(argv)
    try:
        paths = lay_out(args.full, args.title, args.root)
    except ValueError as error:
        print(error)
        return 1
    for path in paths[:-2]:
        print(f"wrote {path.relative_to(args.root)}")
    print("entered it in _toc.yml and README.md")
    number, _, name = args.full.partition("_")
    print(NEXT.format(full=args.full, number=number, name=name), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
