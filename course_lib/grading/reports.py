"""What is written of grades for other programs: Gradescope, a spreadsheet, whatever reads JUnit.

Names, messages and hints come from submissions, so they are hostile text: each format has its own
way to make them harmless, and no path is made of them but by :func:`slug`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from .records import ExerciseGrade, Grade, LineGrade, NotGraded

ENDINGS = (".ipynb", ".py")  # of submissions
LEARNERS = "learners"  # the folder with a folder for each learner
PAID_LATER = "holds; paid once the values are right"
# What XML 1.0 has no place for: control characters, halves of characters, two that are none.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FORMULA = tuple("=+-@\t\r＝＋－＠")  # the last four are as wide as an East Asian letter


def legal(text: str) -> str:
    """A text that every file can hold: what cannot be shown is replaced by a visible sign.

    Example:
        >>> legal("a\\x00b\\udc80")
        'a�b�'
    """
    return _ILLEGAL.sub("\ufffd", text)


def slug(file_name: str) -> str:
    """A name for a folder, safe on every system and unique for each file name.

    Example:
        >>> slug("Ada Lovelace.ipynb")
        'ada-lovelace-e170673549'
    """
    plain = unicodedata.normalize("NFKD", Path(file_name).stem).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-") or "file"
    code = hashlib.sha256(file_name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{words}-{code}"


def write(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there as a whole or not at all.

    Args:
        path: where to; its folder exists.
        content: a text is written as UTF-8, what has no place there as a visible sign.
    """
    data = content if isinstance(content, bytes) else legal(content).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}")  # a rename stays within its folder
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def results_json(grade: Grade) -> dict[str, Any]:
    """A grade in Gradescope's format.

    Args:
        grade: the grade; it stands whole in ``extra_data``, which ``Grade.from_data`` reads.

    Returns:
        The content of ``results.json``. Every test says its score and its status: a status alone
        would pay all or nothing, and a score alone leaves the colour of 0 of 0 points open.

    Source: Gradescope, "Autograder specifications", output format.
    """
    return {
        "score": grade.points,
        "execution_time": grade.seconds,
        "output": legal(_overall(grade)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(ex, line) for ex in grade.exercises for line in ex.lines],
        "extra_data": grade.as_data(),
    }


def _test(exercise: ExerciseGrade, line: LineGrade) -> dict[str, Any]:
    return {
        "name": legal(f"{exercise.number} {exercise.name}: {line.name}"),
        "name_format": "text",
        "score": line.paid,
        "max_score": line.points,
        "status": "passed" if line.status == "ok" else "failed",
        "output": legal(said(exercise, line)),
        "output_format": "text",
        "visibility": "visible",
    }


def said(exercise: ExerciseGrade, line: LineGrade) -> str:
    """What there is to say of a line that does not pay: what came, for what, and the hint."""
    if line.status == "held":
        return PAID_LATER
    parts = [line.message or (exercise.not_done if line.status == "todo" else None)]
    parts += [f"hint: {line.hint}" if line.hint else None]
    return "\n".join(filter(None, parts))


def _overall(grade: Grade) -> str:
    """What concerns the whole submission: the points, the cells, the follow-through marks."""
    parts = [f"{grade.points} of {grade.possible} points. Isolation: {grade.isolation}."]
    if grade.cells:
        parts += ["These cells stopped with an error:", *(f"  {cell}" for cell in grade.cells)]
    parts += [f"{ex.number} {ex.name}: {follow_through(ex)}" for ex in grade.exercises
              if ex.follow_through]  # fmt: skip
    return "\n".join(parts)


def follow_through(exercise: ExerciseGrade) -> str:
    """The sentence for an exercise in which right ones stood in for earlier answers."""
    *others, last = (f"`{name}`" for name in exercise.follow_through)
    names = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    ones = "right ones in their place" if others else "a right one in its place"
    return f"Your {names} not right yet, so this exercise was also tried with {ones}; that counts."


def gradebook(
    grades: Sequence[Grade], not_graded: Sequence[NotGraded], names: Sequence[str]
) -> str:
    """The gradebook as CSV: student, the points of each exercise, total, max.

    Args:
        grades: a row each.
        not_graded: a row too for each that is a submission by its name, with empty cells: no grade
            is not a grade of zero.
        names: of the exercises, in order.

    Returns:
        The text; no cell of it starts a formula.
    """
    rows = [(grade.file, _row(grade, names)) for grade in grades]
    empty = [None] * (len(names) + 2)
    submitted = [entry.file for entry in not_graded if Path(entry.file).suffix.lower() in ENDINGS]
    rows += [(file, [Path(file).stem, *empty]) for file in submitted]
    rows.sort(key=lambda row: row[0].casefold())
    text = io.StringIO()
    # Texts stand in quotes: where a semicolon separates cells, a name could start one within
    table = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    table.writerow(["student", *map(_cell, names), "total", "max"])
    table.writerows([_cell(student), *cells] for _, (student, *cells) in rows)
    return text.getvalue()


def _row(grade: Grade, names: Sequence[str]) -> list[Any]:
    points = {exercise.name: exercise.points for exercise in grade.exercises}
    return [grade.student, *map(points.get, names), grade.points, grade.possible]


def _cell(text: str) -> str:
    """A text that a spreadsheet shows and does not compute."""
    text = legal(text)
    starts = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if starts else text


def junit(grades: Sequence[Grade], not_graded: Sequence[NotGraded]) -> bytes:
    """The grades as JUnit XML: a test suite per learner, a test case per line of each exercise.

    Args:
        grades: of those who have one.
        not_graded: a suite with an error each.

    Returns:
        The file's bytes.
    """
    suites = [_suite(grade) for grade in grades]
    for entry in not_graded:
        suite = ET.Element("testsuite", _suite_attributes(Path(entry.file).stem, 1, errors=1))
        case = ET.SubElement(suite, "testcase", classname="submission", name="can be graded")
        _say(ET.SubElement(case, "error"), f"not graded: {legal(entry.file)} {entry.reason}")
        suites.append(suite)
    every = ("tests", "failures", "errors", "skipped")
    totals = {key: str(sum(int(suite.get(key)) for suite in suites)) for key in every}
    root = ET.Element("testsuites", totals)
    root.extend(suites)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _suite(grade: Grade) -> ET.Element:
    lines = [(exercise, line) for exercise in grade.exercises for line in exercise.lines]
    held = sum(line.status == "held" for _, line in lines)
    failures = sum(line.status in ("FAIL", "todo") for _, line in lines)
    about = _suite_attributes(grade.student, len(lines), failures=failures, skipped=held)
    suite = ET.Element("testsuite", about | {"time": f"{grade.seconds:.2f}"})
    for exercise, line in lines:
        where = legal(f"{grade.chapter}.{exercise.name}")
        case = ET.SubElement(suite, "testcase", classname=where, name=legal(line.name))
        if line.status != "ok":
            kind = "skipped" if line.status == "held" else "failure"
            _say(ET.SubElement(case, kind), said(exercise, line) or "not done yet")
    return suite


def _suite_attributes(name: str, tests: int, failures=0, errors=0, skipped=0) -> dict[str, str]:
    counts = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    return {"name": legal(name)} | {key: str(count) for key, count in counts.items()}


def _say(element: ET.Element, text: str) -> None:
    text = legal(text)
    element.set("message", text.partition("\n")[0])
    element.text = text
