"""The pages: feedback for a learner, the overview of a class, the list of similar pairs.

Each is one HTML file that needs nothing else: no script, no request, light and dark, on a phone, on
a desk and on paper. The templates escape whatever comes from a submission.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import reports
from .records import ExerciseGrade, Grade, LineGrade, NotGraded
from .similar import THRESHOLD, Pair

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
AGAIN = 5  # mistakes at the head of the overview
SHOWN = 6  # mistakes of an exercise that are seen at once
PAIRS_SHOWN = 200
SIGNS = {  # a line's status as a sign and in words
    "ok": ("✓", "right"),
    "held": ("○", "holds"),
    "FAIL": ("✗", "not yet"),
    "todo": ("–", "not done"),
}


# --- for the learner ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line of an exercise as the page shows it."""

    line: LineGrade
    sign: str
    words: str
    said: str | None = None  # what came and what was expected
    given: str | None = None  # for what
    hint: str | None = None


def feedback(grade: Grade) -> str:
    """The page for one learner: points, what each test said, what to do about it.

    Args:
        grade: the learner's.

    Returns:
        The page.
    """
    return _page(
        "feedback.html",
        grade=grade,
        exercises=[(exercise, _rows(exercise)) for exercise in grade.exercises],
        next=_next_step(grade),
        follow_through=reports.follow_through,
    )


def _rows(exercise: ExerciseGrade) -> list[Row]:
    """The lines of an exercise; what was said once is not said again."""
    rows, told = [], set()
    for line in exercise.lines:
        sign, words = SIGNS[line.status]
        said, _, given = (line.message or "").partition("\n")
        hint = None if line.hint in told else line.hint
        if line.status == "held":
            said = reports.PAID_LATER
        elif said and said in told:
            said, given, words = None, None, f"{words}, as above"
        told |= {said, line.hint}
        rows.append(Row(line, sign, words, said, given, hint))
    return rows


def _next_step(grade: Grade) -> ExerciseGrade | None:
    """The exercise that lacks the fewest points, of those that were begun if there are any."""
    open_ones = [ex for ex in grade.exercises if ex.points < ex.possible]
    least = lambda ex: (ex.not_done is not None, ex.possible - ex.points)
    return min(open_ones, key=least, default=None)


# --- for the instructor ------------------------------------------------------------------------


@dataclass
class Finding:
    """A mistake, or a test that failed without one, and who it happened to."""

    exercise: str  # its name
    name: str  # of the mistake or of the test
    says: str  # its hint, or an example of what was said
    who: list[Grade] = field(default_factory=list)


@dataclass
class Standing:
    """How a class did in an exercise."""

    number: str
    name: str
    title: str
    share: float  # of the points, on average
    full: int  # learners with all points
    not_done: int
    through: int  # graded with a right earlier answer in the place of theirs
    mistakes: list[Finding]
    unnamed: list[Finding]  # tests that failed without a mistake that is known


def overview(
    grades: Sequence[Grade], not_graded: Sequence[NotGraded], similar: bool = False
) -> str:
    """The page for the instructor: what to teach again, points, exercises, learners.

    Args:
        grades: of the class.
        not_graded: the files without a grade.
        similar: whether there is a page of similar pairs to link to.

    Returns:
        The page.
    """
    standings = [_standing(group) for group in _by_exercise(grades)]
    mistakes = [finding for standing in standings for finding in standing.mistakes]
    return _page(
        "overview.html",
        grades=sorted(grades, key=lambda grade: grade.student.casefold()),
        not_graded=not_graded,
        similar=similar,
        SHOWN=SHOWN,
        standings=standings,
        again=_by_count(mistakes)[:AGAIN],
        numbers=_numbers([grade.points for grade in grades]),
        histogram=_histogram(grades) if grades else None,
    )


def _by_exercise(grades: Sequence[Grade]) -> list[list[tuple[Grade, ExerciseGrade]]]:
    groups: dict[str, list[tuple[Grade, ExerciseGrade]]] = defaultdict(list)
    for grade in grades:
        for exercise in grade.exercises:
            groups[exercise.name].append((grade, exercise))
    return list(groups.values())


def _standing(group: Sequence[tuple[Grade, ExerciseGrade]]) -> Standing:
    exercises = [exercise for _, exercise in group]
    first = exercises[0]
    return Standing(
        first.number,
        first.name,
        first.title,
        share=statistics.fmean(ex.points / max(1, ex.possible) for ex in exercises),
        full=sum(ex.points == ex.possible for ex in exercises),
        not_done=sum(ex.not_done is not None for ex in exercises),
        through=sum(bool(ex.follow_through) for ex in exercises),
        mistakes=_by_count(_found(group, _mistakes)),
        unnamed=_by_count(_found(group, _unnamed)),
    )


def _found(group: Sequence[tuple[Grade, ExerciseGrade]], of: Any) -> Iterable[Finding]:
    findings: dict[str, Finding] = {}
    for grade, exercise in group:
        for name, says in of(exercise):
            finding = findings.setdefault(name, Finding(exercise.name, name, says))
            finding.who.append(grade)
    return findings.values()


def _mistakes(exercise: ExerciseGrade) -> list[tuple[str, str]]:
    return list(zip(exercise.mistakes, exercise.hints, strict=True))


def _unnamed(exercise: ExerciseGrade) -> list[tuple[str, str]]:
    """The tests that failed, and no mistake that the checks know explains them."""
    return [
        (line.name, line.message or "")
        for line in exercise.lines
        if line.status == "FAIL" and line.hint not in exercise.hints
    ]


def _by_count(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: -len(finding.who))


def _numbers(points: Sequence[int]) -> dict[str, float]:
    """What describes the points of a class; nothing where there is none."""
    if not points:
        return {}
    both = list(points) * 2 if len(points) == 1 else points  # one learner is every quartile
    lower, median, upper = statistics.quantiles(both, n=4, method="inclusive")
    return {
        "mean": statistics.fmean(points),
        "lower quartile": lower,
        "median": median,
        "upper quartile": upper,
    }


def _histogram(grades: Sequence[Grade]) -> Markup:
    """How many learners reached how many points."""
    from markupsafe import Markup

    from ..plotting import PALETTE, subplots, to_svg

    most = max(grade.possible for grade in grades)
    width = max(1, round(most / 20))  # points in a bar
    counts = Counter(grade.points // width for grade in grades)
    fig, ax = subplots(size=(4.8, 2.4))
    bars = range(most // width + 1)
    ax.bar([k * width for k in bars], [counts[k] for k in bars], 0.85 * width, color=PALETTE[0])
    ax.set(xlabel=f"points, of {most}", ylabel="learners", xlim=(-width, most + width))
    ax.yaxis.get_major_locator().set_params(integer=True)
    reached = ", ".join(f"{counts[k]} with {_range(k * width, width, most)}" for k in bars
                        if counts[k])  # fmt: skip
    return Markup(to_svg(fig, alt=f"Histogram of points. Learners: {reached}."))


def _range(first: int, width: int, most: int) -> str:
    last = min(first + width - 1, most)
    return f"{first}" if first == last else f"{first} to {last}"


def similar_page(pairs: Sequence[Pair]) -> str:
    """The page of pairs that are worth a look side by side.

    Args:
        pairs: as :func:`~.similar.pairs` found them.

    Returns:
        The page.
    """
    shown = pairs[:PAIRS_SHOWN]
    return _page("similar.html", pairs=shown, count=len(pairs), threshold=THRESHOLD)


# --- both --------------------------------------------------------------------------------------


def _page(template: str, **content: Any) -> str:
    return _environment().get_template(template).render(content)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _code, "number": _number, "points": _points}
    environment.globals["folder"] = lambda grade: f"{reports.LEARNERS}/{reports.slug(grade.file)}"
    return environment


def _code(text: str) -> Markup:
    """What stands between backticks, as code; everything escaped."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _points(count: int) -> str:
    return f"{count} point" if count == 1 else f"{count} points"
