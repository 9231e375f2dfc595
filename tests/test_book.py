"""Each chapter has the whole anatomy, and says nothing that is not there."""

import json
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

from course_lib.claims import MIME

ROOT = Path(__file__).parents[1]


def page(name):
    return (ROOT / "book" / name).read_text(encoding="utf-8")


CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
PARTS = [
    "The question",
    "The idea",
    "From scratch",
    "The library’s version",
    "The measurement",
    "What goes wrong",
    "Explore",
    "Check yourself",
    "Summary",
    "Sources",
]
PRIMER = "00_tensors"  # the readers' warm-up: the plan of the course gives it no claim to measure
QUIET = {"setup", "hide-input", "remove-input", "remove-cell"}  # code that a page does not show

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def cells(path, kind=None):
    every = nbformat.read(path, as_version=4).cells
    return [c for c in every if kind in (None, c.cell_type)]


def prose(path):
    return "\n\n".join(c.source for c in cells(path, "markdown"))


def outputs(path, mime):
    return [
        o["data"][mime]
        for c in cells(path, "code")
        for o in c.outputs
        if "data" in o and mime in o["data"]
    ]


def shown(path):
    every = cells(path, "code")
    return [c for c in every if not QUIET & set(c.metadata.get("tags", []))]


def test_there_are_chapters():
    assert CHAPTERS


@chapters
def test_the_parts_stand_in_order(path):
    heads = [h.replace("'", "’") for h in re.findall(r"^## (.+)$", prose(path), re.M)]
    assert [h for h in heads if h in PARTS] == PARTS
    before = prose(path).split("## The question")[0]
    for word in ("You will be able to", "Builds on", "Time"):
        assert word in before


@chapters
def test_length_of_prose_and_of_cells(path):
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "x", prose(path), flags=re.S)
    words = len(text.split())
    assert 2000 <= words <= 4500, f"{words} words, expected 2,000 to 4,500"
    lengths = sorted(len(c.source.splitlines()) for c in shown(path))
    median = lengths[len(lengths) // 2]
    assert median <= 5, f"half of the cells have {median} lines or more, at most 5; split some"
    assert lengths[-1] <= 16, f"a cell has {lengths[-1]} lines, at most 16; split it"
    for cell in cells(path, "code"):
        long = [line for line in cell.source.splitlines() if len(line) > 72]
        assert not long, "lines of more than 72 columns: a phone would cut them"


@chapters
def test_every_claim_stood_in_the_text_before_it_was_measured(path):
    told, numbers = "", []
    for cell in cells(path):
        if cell.cell_type == "markdown":
            told += cell.source
        bundles = [output.get("data", {}) for output in cell.get("outputs", [])]
        for data in (bundle[MIME] for bundle in bundles if MIME in bundle):
            number = data["number"]
            assert number.startswith(path.stem[:2] + ".")
            statement = re.search(rf"Claim {re.escape(number)}: (.+)", told)
            assert statement, f"claim {number} is not announced"
            assert statement[1].lower() == data["statement"].lower()
            box = told[statement.start() :].split(":::")[0]
            threshold = re.search(r"[\d.]+", data["refuted_if"])[0]
            said = "Refuted if" in box and f"**{threshold}**" in box
            assert said, f"the box of claim {number} must say: Refuted if ... **{threshold}**"
            numbers.append(number)
    assert numbers or path.stem == PRIMER, "no cell ends in claim(...)"
    assert numbers == [f"{path.stem[:2]}.{i}" for i in range(1, len(numbers) + 1)]


@chapters
def test_pictures_explorers_and_quiz(path):
    html = outputs(path, "text/html")
    assert sum('class="dlm-figure"' in h for h in html) >= 3, "fewer than 3 pictures by show(...)"
    assert sum('class="dlm-explorer"' in h for h in html) >= 1, "no explore(...)"
    for h in html:
        for svg in re.findall(r"<svg[^>]*>", re.sub(r"<script.*?</script>", "", h, flags=re.S)):
            alt = re.search(r'aria-label="([^"]+)"', svg)
            assert alt and len(alt[1].split()) >= 4
    for h in (h for h in html if "dlm-explorer" in h):
        assert len(h.encode()) <= 250_000
        block = re.search(r'class="dlm-frames">(.*?)</script>', h, re.S)[1]
        assert len(json.loads(block)["frames"]) <= 24
    (quiz,) = [h for h in html if "dlm-quiz" in h]
    assert 3 <= quiz.count("<fieldset>") <= 5


@chapters
def test_the_library_is_shown_and_held_against_torch(path):
    code = "\n".join(c.source for c in cells(path, "code"))
    assert "source(lib." in code
    assert "assert torch.allclose" in code or "assert torch.equal" in code


@chapters
def test_citations_and_terms_exist(path):
    keys = set(re.findall(r"@\w+\{(\w+),", page("references.bib")))
    cited = {k.strip() for g in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", prose(path))
             for k in g.split(",")}  # fmt: skip
    assert cited, "no paper is cited: write {cite:p}`key`, with the key in book/references.bib"
    assert cited <= keys, f"not in book/references.bib: {sorted(cited - keys)}"
    glossary = page("glossary.md")
    terms = set(re.findall(r"^(\S[^\n]*)\n  \S", glossary, re.M))
    used = {re.sub(r".*<(.+)>", r"\1", t) for t in re.findall(r"\{term\}`([^`]+)`", prose(path))}
    assert used, "no term is linked: write {term}`word`, with the word in book/glossary.md"
    assert used <= terms, f"not in book/glossary.md: {sorted(used - terms)}"


@chapters
def test_wide_tables_and_bare_widgets_stay_out(path):
    for table in outputs(path, "text/markdown"):
        head = table.split("\n")[0]
        assert head.startswith("```") or head.count("|") <= 7
    assert not re.search(r"\binteract\(", "\n".join(c.source for c in cells(path, "code")))
    assert not outputs(path, "application/vnd.jupyter.widget-view+json")


@chapters
def test_the_exercises_are_pointed_to(path):
    text = prose(path)
    assert f"{{colab}}`exercises/{path.stem}.ipynb`" in text
    assert f"../solutions/{path.stem}.ipynb" in text
    assert f"course_lib.{path.stem[3:]}" in text


def test_the_report_in_the_intro_is_what_check_says(capsys):
    from course_lib.checks.neuron import check

    def neuron_vote(x, w, b):
        return (x @ w >= 0).float()

    check(neuron_vote)
    assert f"```text\n{capsys.readouterr().out}```" in (ROOT / "book/intro.md").read_text(
        encoding="utf-8"
    )


def test_the_report_for_learners_is_what_check_says(capsys):
    text = page("learners.md")
    code, report = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.S).groups()
    exec(code, {})
    assert capsys.readouterr().out == report


def test_the_glossary_follows_the_alphabet():
    terms = re.findall(r"^(\S[^\n]*)\n  \S", page("glossary.md"), re.M)
    assert len(terms) > 30
    for one, other in pairwise(terms):
        assert one.lower() < other.lower(), f"{other!r} stands behind {one!r}"
