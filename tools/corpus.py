"""The book's own prose as a text to learn from: `make corpus` writes course_lib/data/book.txt.

A language model trained on it learns to write the book. It is a snapshot, refreshed on purpose and
never by itself: a chapter's numbers must not change because a sentence of another one did. One
paragraph is one line. Front matter, code, formulas, tables, pictures and directives are left out,
and a sentence that holds a formula goes with it; what a directive such as an admonition says stays.
"""

import hashlib
import re
import sys
from pathlib import Path

from course_lib.data.texts import BOOK

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("intro", "[0-9][0-9]_*", "learners", "instructors")  # patterns, in this order
HEADER = """\
# The prose of this book. Made by `make corpus`; do not edit. CC BY 4.0, as the book.
# Pages: {pages}
# SHA-256 of what follows the empty line: {sha256}

"""
FORMULA = r"\s*\$\$.*?\$\$( *\([\w-]+\))?"  # that stands alone, with its label; ends a sentence
DROPPED = (  # what is replaced by nothing
    r"\A---\n.*?\n---\n",  # front matter
    r"^(`{3,}|~{3,}).*?^\1\s*$",  # code, and directives that hold no prose
    r"<!--.*?-->",
    r"^(:{3,} *| *:[\w-]+:.*|\|.*|\+\+\+.*|%.*|\([\w-]+\)=)$",  # ends, options, rows, marks, labels
    r"!\[[^\]]*\]\([^)]*\)",  # pictures
    r" ?\{(cite|colab)[\w:]*\}`[^`]*`",  # sources and buttons
)
WORDED = (  # what is replaced by its words
    (r"^:{3,}\{[\w-]+\} *(.*)$", r"\n\1\n"),  # the title of a directive
    (r"^#+ +(.*)$", r"\n\1\n"),  # a heading
    (r"^ *(?:[-*]|\d+\.) +", "\n"),  # an item of a list
    (r"\{[\w:]+\}`([^`<]*?)(?: *<[^`]*>)?`", r"\1"),  # a term
    (r"\[([^\]]*)\]\([^)]*\)", r"\1"),  # a link
    (r"`+([^`]*)`+", r"\1"),  # a name of the code
    (r"(?<!\w)(\*{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2"),  # what is stressed
)
SENTENCE = r"(?<=[.!?:])(?<!\d\.) +(?=[A-Z*\"(])"  # the gap between two


def prose(markdown: str) -> str:
    """The prose of a page: a paragraph a line.

    Args:
        markdown: the text of a MyST page or notebook.

    Returns:
        Lines, each ended by a line feed.
    """
    text = re.sub(FORMULA, " $", markdown, flags=re.S)
    for pattern in DROPPED:
        text = re.sub(pattern, "", text, flags=re.S | re.M if ".*?" in pattern else re.M)
    text = re.sub(r"\{eq\}`[^`]*`", "$", text)  # a formula by its name is a formula
    for pattern, words in WORDED[:3]:
        text = re.sub(pattern, words, text, flags=re.M)
    lines = (worded(" ".join(p.split())) for p in re.split(r"\n\s*\n", text))
    return "".join(f"{line}\n" for line in lines if line)


def worded(paragraph: str) -> str:
    """A paragraph without the sentences that hold a formula, and without marks."""
    kept = " ".join(s for s in re.split(SENTENCE, paragraph) if "$" not in s)
    for pattern, words in WORDED[3:]:
        kept = re.sub(pattern, words, kept)
    return kept.strip()


def corpus(folder: Path) -> str:
    """The text of book.txt: a header, an empty line, and the prose of the pages of a folder."""
    pages = [page for pattern in PAGES for page in sorted(folder.glob(f"{pattern}.md"))]
    text = "".join(prose(page.read_text(encoding="utf-8")) for page in pages)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return HEADER.format(pages=" ".join(page.stem for page in pages), sha256=sha256) + text


def main() -> int:
    """Write the snapshot anew and say what it holds."""
    text = corpus(ROOT / "book")
    BOOK.write_text(text, encoding="utf-8")
    print(f"wrote {BOOK.relative_to(ROOT)}: {len(text):,} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
