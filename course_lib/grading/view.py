"""What a submission may see of course_lib: shared parts and earlier chapters, no answers."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

from ..checks.exercise import Exercise

LIBRARY = Path(__file__).parents[1]
ROOT = LIBRARY.parent
WITHHELD = {"checks", "grading", "studies", "results", "solutions", "__pycache__"}
PROBES = ("__init__.py", "probes.py", "values.py")  # of the checks; they know no answer
STANDS_IN = "from course_lib.grading.inside.stand_in import {}\n"
OWN = (
    "raise ImportError('course_lib.{name} is not here when the exercises of chapter {chapter} are "
    "graded, because it may hold answers; write your own')\n"
)


class UnknownChapter(ValueError):
    """There is no chapter of this name with exercises."""


def exercises(chapter: str) -> list[Exercise]:
    """The exercises of a chapter.

    Raises:
        UnknownChapter: when there are none; the text lists the chapters.
    """
    if chapter not in chapters():
        raise UnknownChapter(f"there is no chapter {chapter!r}; there are {', '.join(chapters())}")
    return list(import_module(f"course_lib.checks.{chapter}").EXERCISES)


def chapters() -> list[str]:
    """The names of the chapters with exercises: a module each, and one more in checks."""
    names = {path.stem for path in LIBRARY.glob("[a-z]*.py")}
    return sorted(path.stem for path in (LIBRARY / "checks").glob("*.py") if path.stem in names)


def number(chapter: str) -> int:
    """The chapter's number, as its exercises have it."""
    return int(exercises(chapter)[0].number.partition(".")[0])


def lay_out(chapter: str, folder: Path) -> None:
    """Copy what submissions for a chapter may import into a folder.

    Args:
        chapter: the one whose exercises are graded.
        folder: an empty one.
    """
    package = folder / "course_lib"
    shutil.copytree(LIBRARY, package, ignore=lambda _, names: WITHHELD.intersection(names))
    checks = package / "checks"
    checks.mkdir()
    for name in PROBES:
        shutil.copy(LIBRARY / "checks" / name, checks)
    (checks / "exercise.py").write_text(STANDS_IN.format("demo"))
    for other in chapters():
        (checks / f"{other}.py").write_text(STANDS_IN.format("check"))
        if number(other) >= number(chapter):
            (package / f"{other}.py").write_text(OWN.format(name=other, chapter=number(chapter)))
    (package / "grading").mkdir()
    (package / "grading/__init__.py").touch()
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(LIBRARY / "grading/inside", package / "grading/inside", ignore=without)
