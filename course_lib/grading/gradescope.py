"""The autograder archive for Gradescope, and what it runs for each upload."""

from __future__ import annotations

import json
import zipfile
from importlib.metadata import version
from pathlib import Path
from string import Template

from . import batch, grader, reports, view
from .records import NotGraded
from .sandbox import SandboxError

NEEDED = (
    *("numpy", "matplotlib", "scikit-learn", "ipywidgets", "ipython", "tqdm"),
    *("jinja2", "safetensors", "pyseccomp"),
)
TEMPLATES = Path(__file__).parent / "templates"
COURSE = "course/"  # where the library lies in the archive
DATE = (2020, 1, 1, 0, 0, 0)  # of every entry, so that the same sources make the same bytes
LEFT_OUT = {"__pycache__", "results", "solutions", "studies"}


def write_archive(chapter: str, path: Path) -> None:
    """Write the archive that Gradescope asks for: set-up, the command for an upload, the library.

    Args:
        chapter: whose exercises it grades.
        path: the zip file.

    Raises:
        UnknownChapter: when there is none of this name.
    """
    solutions = grader.solutions_path(chapter)
    words = {"chapter": chapter, "torch": version("torch").partition("+")[0]}
    entries = {
        "setup.sh": _filled("setup.sh", words),
        "run_autograder": _filled("run_autograder", words),
        "requirements.txt": "".join(f"{name}=={version(name)}\n" for name in NEEDED).encode(),
        f"{COURSE}course_lib/solutions/{solutions.name}": solutions.read_bytes(),
    }
    for file in sorted(view.LIBRARY.rglob("*")):
        inside = file.relative_to(view.LIBRARY.parent)
        if file.is_file() and not LEFT_OUT.intersection(inside.parts):
            entries[COURSE + inside.as_posix()] = file.read_bytes()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if content.startswith(b"#!") else 0o644) << 16
            archive.writestr(entry, content)


def _filled(name: str, words: dict[str, str]) -> bytes:
    return Template((TEMPLATES / name).read_text(encoding="utf-8")).substitute(words).encode()


def grade_upload(chapter: str, submission: Path, results: Path) -> None:
    """Grade the one file of an upload.

    Args:
        chapter: whose exercises it answers.
        submission: the folder of the upload.
        results: the file to write.

    Raises:
        SandboxError: when it cannot be graded safely; no file is written then, which Gradescope
            shows as a failure of the autograder, not as a grade.
    """
    files, others = batch.listing(submission)
    if len(files) != 1:
        reports.write(results, json.dumps(_refusal(files, others)))
        return
    job = grader.Job(
        chapter=chapter,
        file=files[0].name,
        content=batch.content(files[0]),
        seed=batch.new_seed(),
        private=(str(submission.resolve()), str(results.parent.resolve())),
    )
    result = grader.grade(job)
    if isinstance(result, NotGraded) and result.ours:
        raise SandboxError(f"{result.file} {result.reason}")
    if isinstance(result, NotGraded):
        reports.write(results, json.dumps(_refusal([], [result])))
    else:
        reports.write(results, json.dumps(reports.results_json(result)))


def _refusal(files: list[Path], others: list[NotGraded]) -> dict:
    said = [f"{entry.file} {entry.reason}" for entry in others] + [path.name for path in files]
    found = reports.legal("; ".join(said)) or "nothing"
    return {"score": 0, "output": f"Upload one notebook (.ipynb) or .py file. Found: {found}."}
