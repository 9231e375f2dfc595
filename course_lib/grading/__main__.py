"""Grade the notebooks of a class in a sandbox: gradebook, feedback and overview."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

try:
    from . import batch, grader, gradescope, results
    from .sandbox import NAMESPACES, UID, SandboxError
    from .view import UnknownChapter
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}; the grader needs more than the course: pip install 'course-lib[grading]'")

GRADED, NOT_SAFE, INTERRUPTED = 0, 2, 130  # exit codes
GOES_ON = "What is graded is kept; the same command with --resume goes on from there."


def main(words: list[str] | None = None) -> int:
    """Run a command.

    Args:
        words: of the command line; by default those of this process.

    Returns:
        The exit code: 0 when done, 2 when something is wrong with the words, the folders or the
        sandbox, 130 when interrupted.
    """
    arguments = _parser().parse_args(words)
    try:
        arguments.run(arguments)
        return GRADED
    except (batch.BatchError, UnknownChapter, OSError) as error:
        print(error, file=sys.stderr)
    except SandboxError as error:
        print(f"NOT GRADED. {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {GOES_ON}", file=sys.stderr)
        grader.close()
        return INTERRUPTED
    return NOT_SAFE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m course_lib.grading", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    grade = commands.add_parser("grade", help="grade a folder of notebooks")
    grade.set_defaults(run=_grade)
    grade.add_argument("chapter", help="such as autograd")
    grade.add_argument("submissions", type=Path, help="a folder of .ipynb or .py files")
    grade.add_argument("out", type=Path, help="a folder for the results, made if missing")
    grade.add_argument(
        "-j", "--jobs", type=_positive(int), default=2, help="submissions at once (default 2)"
    )
    grade.add_argument("--resume", action="store_true", help="go on where an earlier run stopped")
    grade.add_argument("--seed", type=_positive(int), help="of the hidden inputs (default: drawn)")
    grade.add_argument(
        "--seconds", type=_positive(float), default=10.0, help="per cell and exercise (default 10)"
    )
    grade.add_argument("--similar", action="store_true", help="report answers that look alike")
    grade.add_argument("--executor", help="a dask cluster: dask://host:8786")
    grade.add_argument("--isolation", choices=[NAMESPACES, UID], help="(default: the best)")
    archive = commands.add_parser("gradescope-zip", help="write the archive for Gradescope")
    archive.set_defaults(run=_archive)
    archive.add_argument("chapter")
    archive.add_argument("--out", type=Path, help="(default: autograder-CHAPTER.zip)")
    single = commands.add_parser("gradescope", help="what that archive calls for each upload")
    single.set_defaults(run=_single)
    single.add_argument("chapter")
    single.add_argument("submission", type=Path, help="the folder of the upload")
    single.add_argument("results", type=Path, help="the results.json to write")
    return parser


def _positive(kind: type) -> Callable[[str], float]:
    def positive(word: str) -> float:
        number = kind(word)
        if not 0 < number < batch.SEEDS:
            raise argparse.ArgumentTypeError(f"{word} is not above 0 and below {batch.SEEDS:,}")
        return number

    return positive


def _grade(arguments: argparse.Namespace) -> None:
    results.grade_folder(
        arguments.submissions,
        arguments.out,
        chapter=arguments.chapter,
        seed=arguments.seed,
        resume=arguments.resume,
        similar=arguments.similar,
        seconds=arguments.seconds,
        jobs=arguments.jobs,
        executor=arguments.executor,
        isolation=arguments.isolation,
    )


def _archive(arguments: argparse.Namespace) -> None:
    path = arguments.out or Path(f"autograder-{arguments.chapter}.zip")
    gradescope.write_archive(arguments.chapter, path)
    print(f"Wrote {path}; upload it as the autograder of a programming assignment.")


def _single(arguments: argparse.Namespace) -> None:
    gradescope.grade_upload(arguments.chapter, arguments.submission, arguments.results)


if __name__ == "__main__":
    code = main()
    if code == INTERRUPTED:
        os._exit(code)  # what is still at work may take minutes, and nobody wants it
    sys.exit(code)
