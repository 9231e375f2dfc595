"""A whole batch, from the folder of submissions to the folder of results."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import batch, grader, pages, reports, view
from .records import Grade, NotGraded
from .similar import pairs

SUMMARY = "grading.json"  # what a folder of results says of itself
SHOWN = 10  # files without a grade that the terminal lists


def grade_folder(
    submissions: Path,
    out: Path,
    *,
    chapter: str,
    seed: int | None = None,
    resume: bool = False,
    similar: bool = False,
    **settings: Any,
) -> None:
    """Grade the submissions in a folder and write every report.

    Args:
        submissions: the folder.
        out: where the results go; made if missing.
        chapter: whose exercises they answer.
        seed: of the hidden inputs; drawn if None.
        resume: go on with the results that are there, under their seed.
        similar: also compare the answers with one another.
        settings: more fields of :class:`~.batch.Settings`.

    Raises:
        BatchError: when the folders or settings do not fit.
        SandboxError: when nothing can be graded safely.
    """
    exercises = view.exercises(chapter)
    seed = _begin(submissions, out, chapter, seed, resume)
    private = (str(submissions.resolve()), str(out.resolve()))
    chosen = batch.Settings(chapter=chapter, seed=seed, private=private, **settings)
    files, not_graded = batch.listing(submissions)
    if not files and not not_graded:
        raise batch.BatchError(f"{submissions} is empty; put the notebooks in it")
    try:
        grades, failed = _graded(files, out, chosen, resume)
    finally:
        grader.close()
    not_graded = sorted([*not_graded, *failed], key=lambda entry: entry.file)
    _write_tables(out, [exercise.name for exercise in exercises], grades, not_graded)
    if similar:
        _write_similar(out, grades)
    reports.write(out / "overview.html", pages.overview(grades, not_graded, similar))
    reports.write(out / SUMMARY, _as_text(_about(chosen, grades, not_graded)))
    _tell(out, chosen, grades, not_graded)
    if not grades:
        raise batch.BatchError("No file has a grade; the reasons stand above and in overview.html")


def _begin(submissions: Path, out: Path, chapter: str, seed: int | None, resume: bool) -> int:
    """Look at both folders before any work; returns the seed."""
    if not submissions.is_dir():
        raise batch.BatchError(f"{submissions} is no folder; name the one with the submissions")
    if out.resolve().is_relative_to(submissions.resolve()):
        raise batch.BatchError(f"{out} lies within {submissions}; name a folder beside it")
    out.mkdir(parents=True, exist_ok=True)
    if (out / SUMMARY).exists():
        return _seed_of(out, chapter, seed, resume)
    if any(out.iterdir()):
        raise batch.BatchError(f"{out} has other things in it; name a new or an empty folder")
    return seed or batch.new_seed()


def _seed_of(out: Path, chapter: str, seed: int | None, resume: bool) -> int:
    """The seed of the results in a folder, if more may be added to them."""
    if not resume:
        raise batch.BatchError(
            f"{out} holds results. Name another folder, or add --resume to go on with these"
        )
    try:
        old = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        there = old["chapter"], old["seed"]
    except (ValueError, KeyError, TypeError) as error:
        raise batch.BatchError(
            f"{out / SUMMARY} cannot be read ({error!r}); name another folder"
        ) from error
    if there != (chapter, seed or there[1]):
        raise batch.BatchError(
            f"{out} holds results of chapter {there[0]} with seed {there[1]}; name another folder"
        )
    return there[1]


def _graded(
    files: list[Path], out: Path, settings: batch.Settings, resume: bool
) -> tuple[list[Grade], list[NotGraded]]:
    """Grade the files, with a bar, and write down each grade as it comes."""
    from tqdm import tqdm

    grades, failed = [], []
    before = batch.graded_before(out, settings) if resume else {}
    work = batch.run(files, settings, before)
    for result in tqdm(work, "grading", len(files), unit="file", disable=not files):
        if isinstance(result, NotGraded):
            failed.append(result)
            continue
        grades.append(result)
        if not (out / SUMMARY).exists():
            begun = {"chapter": settings.chapter, "seed": settings.seed, "finished": False}
            reports.write(out / SUMMARY, _as_text(begun))
        if result is not before.get(result.file):
            write_learner(out, result)
    return sorted(grades, key=lambda grade: grade.file), failed


def _as_text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1) + "\n"


def write_learner(out: Path, grade: Grade) -> None:
    """The two files of one learner; the page first, so that what --resume finds is complete."""
    folder = out / reports.LEARNERS / reports.slug(grade.file)
    folder.mkdir(parents=True, exist_ok=True)
    reports.write(folder / "feedback.html", pages.feedback(grade))
    reports.write(folder / "results.json", _as_text(reports.results_json(grade)))


def _write_tables(
    out: Path, names: list[str], grades: list[Grade], not_graded: list[NotGraded]
) -> None:
    reports.write(out / "gradebook.csv", reports.gradebook(grades, not_graded, names))
    reports.write(out / "junit.xml", reports.junit(grades, not_graded))


def _write_similar(out: Path, grades: list[Grade]) -> None:
    reports.write(out / "similar.html", pages.similar_page(pairs(grades)))


def _about(
    settings: batch.Settings, grades: list[Grade], not_graded: list[NotGraded]
) -> dict[str, Any]:
    return {
        "chapter": settings.chapter,
        "seed": settings.seed,
        "finished": True,
        "isolation": sorted({grade.isolation for grade in grades}),
        "seconds": settings.seconds,
        "graded": len(grades),
        "not graded": [asdict(entry) for entry in not_graded],
        "versions": {"python": sys.version.split()[0], "torch": version("torch")},
    }


def _tell(
    out: Path, settings: batch.Settings, grades: list[Grade], not_graded: list[NotGraded]
) -> None:
    levels = ", ".join(sorted({grade.isolation for grade in grades})) or "nothing to isolate"
    print(f"{len(grades)} graded, {len(not_graded)} not. Isolation: {levels}. ", end="")
    print(f"Seed of the hidden inputs: {settings.seed}.")
    for entry in not_graded[:SHOWN]:
        print(f"  not graded: {entry.file!a} {entry.reason}")
    if len(not_graded) > SHOWN:
        print(f"  ... and {len(not_graded) - SHOWN} more, listed in overview.html")
    print(f"Open {out / 'overview.html'}; the gradebook is {out / 'gradebook.csv'}.")
