"""What the grader writes, read by others: csv, XML and HTML parsers, a schema, a browser."""

import csv
import io
import itertools
import json
import random
import re
import stat
from collections import Counter
from dataclasses import replace
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest
from browser import FAINT, MODES
from bs4 import BeautifulSoup
from graded_class import NOT_GRADED, SEED, a_class, exercises, graded, one

from course_lib.grading import pages, reports, similar
from course_lib.grading.records import Grade, NotGraded

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "  =1+1",
    "\t@SUM(1)",
    "-2+3",
    "x;=1+1",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    '"><img src=//evil.example/x onerror=alert(1)>',
    "javascript:alert(1)",
    "nul\x00, bell\x07, escape\x1b[31m",
    "half \ud800 a character, odd bytes \udcff",
    "a\ufffenon\uffffcharacter",
    "../../x",
    "/etc/passwd",
    "CON",
    "aux.",
    "a" * 500,
    "👩‍🔬 e\u0301 李雷 🎓",
    "\u202egnp.exe\u202c \u05d0\u05d1",
    "two\r\nlines, a \"quote\" and 'another'",
    "]]><!-- & &amp; -->",
    "",
]
each_hostile = pytest.mark.parametrize("text", HOSTILE, ids=ascii)
FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
SPECIFICATION = {  # of Gradescope's results.json, as its documentation has it
    "type": "object",
    "additionalProperties": False,
    "required": ["tests"],
    "properties": {
        "score": {"type": "number"},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        "output_format": {"$ref": "#/$defs/format"},
        "test_output_format": {"$ref": "#/$defs/format"},
        "test_name_format": {"$ref": "#/$defs/format"},
        "visibility": {"$ref": "#/$defs/visibility"},
        "stdout_visibility": {"$ref": "#/$defs/visibility"},
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"},
                    "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string"},
                    "name_format": {"$ref": "#/$defs/format"},
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "output_format": {"$ref": "#/$defs/format"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": {"$ref": "#/$defs/visibility"},
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
    "$defs": {
        "visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "format": {"enum": ["text", "html", "simple_format", "md", "ansi"]},
    },
}


@pytest.fixture(scope="module")
def grades():
    return a_class()


@pytest.fixture(scope="module")
def names():
    return [exercise.name for exercise in exercises("autograd")]


def hostile(text):
    """A grade whose every text is the given one."""
    grade = one("autograd", text, random.Random(1), 0.3, file=f"{text}.ipynb", cells=(text,))
    lines = [
        tuple(replace(x, name=text, message=f"{text}\nfor {text}", hint=text) for x in ex.lines)
        for ex in grade.exercises
    ]
    poisoned = tuple(
        replace(
            ex, lines=new, mistakes=(text,), hints=(text,), follow_through=(text,),
            not_done=ex.not_done and text,
        )
        for ex, new in zip(grade.exercises, lines, strict=True)
    )  # fmt: skip
    return replace(grade, exercises=poisoned)


def sample(grades):
    """A grade with everything in it: held and unfinished lines, follow-through, failed cells."""
    shape = graded("autograd", 4, None)
    held = replace(shape.lines[0], status="held")
    failed = replace(shape.lines[1], status="FAIL", message="returned 1\nfor x = 2", hint="add `b`")
    right = replace(shape.lines[2], status="ok")
    mixed = replace(shape, not_done=None, lines=(held, failed, right, *shape.lines[3:]))
    through = replace(graded("autograd", 7, -1), follow_through=("Dual", "Value"))
    chosen = (graded("autograd", 0, -1), graded("autograd", 1, 0), mixed, through)
    cells = ("cell 4: NameError: name 'np' is not defined (line 3)",)
    return replace(grades[0], exercises=chosen, cells=cells)


# --- names of files ----------------------------------------------------------------------------


@each_hostile
def test_a_slug_is_a_safe_name_on_every_system(text, tmp_path):
    slug = reports.slug(f"{text}.ipynb")
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,50}-[0-9a-f]{10}", slug)
    (tmp_path / slug).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [slug]


def test_slugs_differ_where_file_names_do():
    files = [f"{text}.ipynb" for text in HOSTILE] + ["A.ipynb", "a.ipynb", "a.py", "á.ipynb"]
    files += ["é.ipynb", "e\u0301.ipynb"]
    assert len({reports.slug(file) for file in files}) == len(files)
    assert reports.slug("Marie Curie.ipynb").startswith("marie-curie-")
    assert reports.slug("Müller, Jörg.ipynb").startswith("muller-jorg-")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    reports.write(path, "first \ud800")
    assert path.read_text(encoding="utf-8") == "first \ufffd"
    reports.write(path, b"second")

    def full(self, data):
        raise OSError("no space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        reports.write(path, "third")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_ISREG(path.stat().st_mode)


# --- results.json ------------------------------------------------------------------------------


def test_results_are_what_gradescope_specifies(grades):
    for grade in [*grades, sample(grades), *map(hostile, HOSTILE)]:
        results = json.loads(json.dumps(reports.results_json(grade)))
        jsonschema.validate(results, SPECIFICATION)
        assert results["score"] == sum(test["score"] for test in results["tests"]) == grade.points
        assert sum(test["max_score"] for test in results["tests"]) == grade.possible
        assert results["stdout_visibility"] == "hidden"
        for test in results["tests"]:
            assert 0 <= test["score"] <= test["max_score"]
            assert (test["status"] == "passed") == (test["score"] == test["max_score"] > 0)


def test_a_grade_comes_back_from_its_results(grades):
    for grade in [*grades, sample(grades), *map(hostile, HOSTILE)]:
        text = json.dumps(reports.results_json(grade))
        assert Grade.from_data(json.loads(text)["extra_data"]) == grade


def test_results_say_what_the_learner_needs(grades):
    results = reports.results_json(sample(grades))
    tests = {test["name"]: test for test in results["tests"]}
    assert tests["3.1 chain: multiplies along a path"]["status"] == "passed"
    assert tests["3.5 matmul_gradients: is the gradient by A"]["output"] == reports.PAID_LATER
    failed = tests["3.5 matmul_gradients: is the gradient by B"]
    assert (failed["status"], failed["score"]) == ("failed", 0)
    assert failed["output"] == "returned 1\nfor x = 2\nhint: add `b`"
    assert "cell 4: NameError: name 'np' is not defined (line 3)" in results["output"]
    assert (
        "3.8 train_on_moons: Your `Dual` and `Value` are not right yet, so this exercise was also "
        "tried with right ones in their place; that counts."
    ) in results["output"]


def test_nothing_that_no_database_takes_is_shown():
    for text in HOSTILE:
        results = reports.results_json(hostile(text))
        shown = [
            results["output"],
            *(t[key] for t in results["tests"] for key in ("name", "output")),
        ]
        assert not any("\x00" in said for said in shown)
        assert [said.encode("utf-8").decode() for said in shown] == shown


# --- the gradebook -----------------------------------------------------------------------------


def rows_of(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_gradebook_is_read_back(grades, names):
    head, *rows = rows_of(reports.gradebook(grades, NOT_GRADED, names))
    assert head == ["student", *names, "total", "max"]
    by_student = {row[0]: row[1:] for row in rows}
    submitted = [entry for entry in NOT_GRADED if not entry.file.endswith(".docx")]
    assert len(rows) == len(by_student) == len(grades) + len(submitted)
    for grade in grades:
        *points, total, most = map(int, by_student[grade.student])
        assert points == [exercise.points for exercise in grade.exercises]
        assert total == sum(points) == grade.points
        assert most == grade.possible == sum(e.points for e in exercises("autograd"))
    for entry in submitted:
        assert by_student[entry.file.rpartition(".")[0]] == [""] * (len(names) + 2)


@each_hostile
def test_no_cell_of_the_gradebook_is_a_formula(text, names):
    book = reports.gradebook([hostile(text)], [NotGraded(f"{text or 0}.py", "no")], names)
    book.encode("utf-8")
    rows = rows_of(book)
    assert [len(row) for row in rows] == [len(names) + 3] * 3
    assert not [cell for row in rows for cell in row if FORMULA.match(cell)]
    # where a semicolon separates the cells of a row, no name breaks out of its own
    line_by_line = csv.reader(io.StringIO(book, newline=""), delimiter=";")
    assert not [cell for row in line_by_line for cell in row if FORMULA.match(cell)]


def test_names_that_are_harmless_stay_as_they_are(grades):
    for name in ("Anne-Marie O'Neil", "李雷", "a.b@c.example", "7", "Zoë (2)"):
        rows = rows_of(reports.gradebook([replace(grades[0], student=name)], [], []))
        assert rows[1][0] == name


# --- JUnit -------------------------------------------------------------------------------------


def test_junit_has_a_suite_a_learner_and_a_case_a_line(grades):
    everyone = [*grades, sample(grades)]
    root = ET.fromstring(reports.junit(everyone, NOT_GRADED))
    suites = root.findall("testsuite")
    assert len(suites) == len(everyone) + len(NOT_GRADED)
    for grade, suite in zip(everyone, suites, strict=False):
        lines = [line for exercise in grade.exercises for line in exercise.lines]
        cases = suite.findall("testcase")
        assert suite.get("name") == grade.student
        assert [case.get("name") for case in cases] == [line.name for line in lines]
        status = Counter(line.status for line in lines)
        assert int(suite.get("tests")) == len(lines)
        found = suite.findall("testcase/failure")
        assert int(suite.get("failures")) == len(found) == status["FAIL"] + status["todo"]
        skipped = suite.findall("testcase/skipped")
        assert int(suite.get("skipped")) == len(skipped) == status["held"]
        assert all(failure.get("message") for failure in found)
    for entry, suite in zip(NOT_GRADED, suites[len(everyone) :], strict=True):
        assert suite.get("errors") == "1"
        assert entry.reason in suite.find("testcase/error").get("message")
    for count in ("tests", "failures", "errors", "skipped"):
        assert int(root.get(count)) == sum(int(suite.get(count)) for suite in suites)


@each_hostile
def test_junit_can_be_parsed_whatever_it_holds(text):
    root = ET.fromstring(reports.junit([hostile(text)], [NotGraded(f"{text}.x", text)]))
    assert len(root.findall("testsuite")) == 2
    assert len(root.findall("testsuite/testcase")) > 1


# --- pages -------------------------------------------------------------------------------------


def soup_of(page):
    """A page, parsed, after what holds for every page."""
    soup = BeautifulSoup(page, "html.parser")
    for kind in ("script", "link", "iframe", "object", "embed", "form", "base", "img", "image"):
        assert not soup.find(kind), kind
    for tag in soup.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on")], tag
        for name in ("href", "src", "srcset", "action", "data", "poster", "background"):
            address = urlsplit(tag.get(name, ""))
            assert not address.scheme and not address.netloc and address.path[:1] != "/", tag
        assert "url(" not in tag.get("style", "")
    assert not re.search(r"@import|url\(|@font-face", soup.style.string)
    assert soup.html["lang"] == "en" and soup.title.string.strip()
    levels = [int(tag.name[1]) for tag in soup.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    inside = {a["href"][1:] for a in soup.find_all("a", href=re.compile("^#"))}
    assert inside <= set(ids)
    for table in soup.find_all("table"):
        assert table.caption.get_text(strip=True)
        assert all(th.get("scope") in ("col", "row") for th in table.find_all("th"))
        widths = {len(row.find_all(["th", "td"])) for row in table.find_all("tr")}
        assert len(widths) == 1, "rows of different lengths"
    return soup


def words(tag):
    """The text of a tag with single spaces."""
    return " ".join(tag.get_text(" ").split())


def test_feedback_says_all_there_is_to_say(grades):
    grade = sample(grades)
    soup = soup_of(pages.feedback(grade))
    text = words(soup)
    assert words(soup.h1) == grade.student
    assert f"{grade.points} of {grade.possible} points" in words(soup.find(class_="total"))
    for exercise in grade.exercises:
        card = soup.find(id=exercise.name)
        assert exercise.title in words(card.h3)
        assert f"{exercise.points} of {exercise.possible} point" in words(card)
        shown = [words(line.find_all("span")[1]) for line in card.find_all("li")]
        assert shown == [line.name for line in exercise.lines]
        assert all(" ".join(hint.replace("`", "").split()) in text for hint in exercise.hints)
    signs = {tag.get_text() for tag in soup.find_all(class_="sign")}
    assert signs == {"✓", "○", "✗", "–"}
    for said in ("not yet", "not done", "holds", "returned 1", "for x = 2", reports.PAID_LATER):
        assert said in text
    assert soup.find("code", string="b") and "that counts" in text
    assert grade.cells[0] in text
    assert str(SEED) in words(soup.footer) and "namespaces" in words(soup.footer)


def test_feedback_points_to_the_nearest_points(grades):
    begun, almost = graded("autograd", 2, None), graded("autograd", 1, 0)
    assert almost.possible - almost.points == 1
    grade = replace(grades[0], exercises=(begun, almost))
    near = words(soup_of(pages.feedback(grade)).find(class_="next"))
    assert "3.2 · Local slopes lacks 1 point." in near and almost.hints[0] in near
    grade = replace(grades[0], exercises=(graded("autograd", 0, -1), begun))
    near = words(soup_of(pages.feedback(grade)).find(class_="next"))
    assert "3.3 · The sweep is the next one to begin: it brings 8 points." in near
    full = replace(grades[0], exercises=(graded("autograd", 0, -1),))
    page = soup_of(pages.feedback(full))
    assert not page.find(class_="next") and "Every exercise is right" in words(page)


def test_feedback_says_the_same_thing_once(grades):
    """One mistake may fail many tests: its hint stands at the first."""
    exercise = graded("autograd", 0, 0)
    assert sum(line.hint is not None for line in exercise.lines) > 1
    card = soup_of(pages.feedback(replace(grades[0], exercises=(exercise,)))).find(id="chain")
    assert len(card.find_all(class_="hint")) == 1


@each_hostile
def test_hostile_text_is_only_text(text):
    grade = hostile(text)
    everyone = [grade, *a_class(size=3)]
    pair = similar.Pair(grade, everyone[1], 0.9, {text: 0.9})
    for page in (
        pages.feedback(grade),
        pages.overview(everyone, [NotGraded(text, text)], similar=True),
        pages.similar_page([pair]),
    ):
        soup = soup_of(reports.legal(page).encode().decode())
        assert " ".join(reports.legal(text).replace("`", "").split()) in words(soup)
        assert "49" not in words(soup.title)
        for bidi in ("\u202e", "\u05d0"):  # a name that turns the text around turns itself alone
            strings = [s for s in soup.find_all(string=re.compile(bidi)) if s.parent.name == "a"]
            assert not strings


def test_the_overview_counts_right(grades):
    soup = soup_of(pages.overview(grades, NOT_GRADED))
    text = words(soup)
    assert "60 graded, 3 not" in text
    points = [grade.points for grade in grades]
    shown = [float(b.get_text()) for b in soup.find(class_="numbers").find_all("b")]
    wanted = [np.mean(points), *np.percentile(points, [25, 50, 75])]
    assert np.allclose(shown, wanted, atol=0.051)
    made = Counter(
        (exercise.name, mistake) for grade in grades for exercise in grade.exercises
        for mistake in exercise.mistakes
    )  # fmt: skip
    again = soup.find(class_="again").find_all("li")
    counts = [int(words(item.find(class_="count"))) for item in again]
    assert counts == sorted(made.values(), reverse=True)[: len(again)] and len(again) == pages.AGAIN
    for item, count in zip(again, counts, strict=True):
        assert made[words(item.code), words(item.find(class_="name"))] == count
    for number, exercise in enumerate(exercises("autograd")):
        of_class = [grade.exercises[number] for grade in grades]
        card = soup.find("section", id=exercise.name)
        share = round(100 * np.mean([ex.points / ex.possible for ex in of_class]))
        assert f"{share} % of the points" in words(card)
        full = sum(ex.points == ex.possible for ex in of_class)
        assert f"{full} of 60 have all points" in words(card)
        listed = Counter()
        for item in card.find("ul", class_="findings").parent.select(".findings > li"):
            count, name = (words(item.find(class_=c)) for c in ("count", "name"))
            assert len(item.select("ul.who > li")) == int(count)
            listed[exercise.name, name] += int(count)
        known = {key: n for key, n in made.items() if key[0] == exercise.name}
        assert known.items() <= listed.items()
        tests = Counter(
            line.name for ex in of_class for line in ex.lines
            if line.status == "FAIL" and line.hint not in ex.hints
        )  # fmt: skip
        assert set(listed) == {*known, *((exercise.name, name) for name in tests)}
    for entry in NOT_GRADED:
        assert entry.file in text and entry.reason in text


def test_the_overview_links_to_the_feedback_of_each(grades, tmp_path):
    soup = soup_of(pages.overview(grades, [], similar=True))
    rows = soup.find("table", class_="class").tbody.find_all("tr")
    assert [words(row.a) for row in rows] == [grade.student for grade in grades]
    assert [int(words(row.b)) for row in rows] == [grade.points for grade in grades]
    for row, grade in zip(rows, grades, strict=True):
        assert row.a["href"] == f"learners/{reports.slug(grade.file)}/feedback.html"
    pages_and_tables = {unquote(a["href"]) for a in soup.header.find_all("a")}
    assert pages_and_tables == {"#not-graded", "gradebook.csv", "#learners", "similar.html"}


def test_the_histogram_shows_everyone_in_the_colour_of_the_text(grades):
    svg = soup_of(pages.overview(grades, [])).find("svg")
    counted = [int(n) for n in re.findall(r"(\d+) with", svg["aria-label"])]
    assert sum(counted) == len(grades)
    assert svg["role"] == "img" and "currentcolor" in str(svg).lower()
    assert not re.search(r"#000000|fill: ?(black|white|#fff)", str(svg))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_classes_have_an_overview(grades, count):
    soup = soup_of(pages.overview(grades[:count], NOT_GRADED))
    assert f"{count} graded, 3 not" in words(soup)
    assert bool(soup.find("svg")) == (count > 0)


def test_an_overview_of_a_thousand_is_no_burden(names):
    everyone = a_class(size=1000)
    page = pages.overview(everyone, NOT_GRADED)
    assert len(page) < 4_000_000
    assert len(soup_of(page).find("table", class_="class").tbody.find_all("tr")) == 1000
    assert len(rows_of(reports.gradebook(everyone, [], names))) == 1001
    assert len(ET.fromstring(reports.junit(everyone, []))) == 1000


def test_the_page_of_pairs_says_look_and_no_verdict(grades):
    found = [similar.Pair(grades[0], grades[1], 0.81, {"chain": 0.05, "Value": 0.78})]
    soup = soup_of(pages.similar_page(found))
    row = words(soup.tbody.tr)
    assert "0.81" in row and "Value 0.78" in row and "chain" not in row
    assert not re.search(r"cheat|copied|plagiar|guilty|suspect", words(soup), re.I)
    assert "There is nothing to look at" in words(soup_of(pages.similar_page([])))
    many = soup_of(pages.similar_page(found * 1000))
    assert len(many.tbody.find_all("tr")) == pages.PAIRS_SHOWN and "of 1000" in words(many)


def test_the_templates_come_with_the_package():
    assert {path.name for path in pages.TEMPLATES.glob("*.html")} == {
        "base.html", "feedback.html", "overview.html", "similar.html",
    }  # fmt: skip


# --- in a browser ------------------------------------------------------------------------------


@pytest.mark.parametrize(("theme", "width"), MODES)
@pytest.mark.parametrize("kind", ["feedback", "overview", "similar", "hostile"])
def test_pages_read_well(new_page, grades, tmp_path, kind, theme, width):
    shown = {
        "feedback": lambda: pages.feedback(sample(grades)),
        "overview": lambda: pages.overview(grades, NOT_GRADED, similar=True),
        "similar": lambda: pages.similar_page([similar.Pair(*grades[:2], 0.8, {"Value": 0.8})]),
        "hostile": lambda: pages.overview(
            [hostile("W" * 500), hostile("\u202e<b>")], [NotGraded("x" * 500, "y" * 500)]
        ),
    }[kind]()
    path = tmp_path / "page.html"
    reports.write(path, shown)
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(FAINT) == []
    assert asked == [path.as_uri()] and said == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (theme == "dark")
