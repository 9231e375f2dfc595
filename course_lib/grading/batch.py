"""Grade a folder: what is in it, who does the work, what is kept when something interrupts."""

from __future__ import annotations

import json
import os
import secrets
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import grader, reports
from .records import Grade, NotGraded
from .sandbox import SandboxError

LARGEST = 20 * 2**20  # bytes of a submission
AHEAD = 4  # jobs that wait for each worker: few, so that a large class takes no more memory
SEEDS = 2**31
DASK = "dask://"


class BatchError(ValueError):
    """The batch cannot begin; the text says what came, what was expected and what to do."""


@dataclass(frozen=True)
class Settings:
    """How a batch is graded."""

    chapter: str
    seed: int
    seconds: float = 10.0
    isolation: str | None = None
    jobs: int = 2  # submissions at once on this machine
    executor: str | None = None  # "dask://host:port": workers there do it
    private: tuple[str, ...] = ()


def listing(folder: Path) -> tuple[list[Path], list[NotGraded]]:
    """Look through a folder; links are not followed.

    Args:
        folder: of submissions, a file each.

    Returns:
        The submissions, by name, and what else is there, with the reason why it is none.
    """
    files, others = [], []
    visible = (
        entry for entry in os.scandir(folder) if not entry.name.startswith((".", "__MACOSX"))
    )
    for entry in sorted(visible, key=lambda entry: entry.name):
        if reason := _no_submission(entry):
            others.append(NotGraded(entry.name, reason))
        else:
            files.append(Path(entry.path))
    count = Counter(map(_student, files))
    double = [path for path in files if count[_student(path)] > 1]
    reason = "is not the only file of this name; keep one of them"
    others += [NotGraded(path.name, reason) for path in double]
    return [path for path in files if path not in double], others


def _student(path: Path) -> str:
    """The name as file systems compare it, where capitals or ways to write an accent are alike."""
    return unicodedata.normalize("NFC", path.stem).casefold()


def _no_submission(entry: os.DirEntry) -> str | None:
    if entry.is_symlink():
        return "is a link; links are not followed"
    if entry.is_dir():
        return "is a folder; each submission is a file"
    if not entry.is_file():
        return "is no ordinary file"
    if Path(entry.name).suffix.lower() not in reports.ENDINGS:
        return f"is neither {' nor '.join(reports.ENDINGS)}"
    size = entry.stat(follow_symlinks=False).st_size
    if size > LARGEST:
        return f"has {size:,} bytes; the most is {LARGEST:,}"
    return None


def content(path: Path) -> bytes:
    """Read a file that is still an ordinary one.

    Args:
        path: of the file.

    Returns:
        Its bytes, at most those of the largest submission.

    Raises:
        OSError: when it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("is no ordinary file")
        return file.read(LARGEST)


def new_seed() -> int:
    """A seed for the hidden inputs that nobody can guess."""
    return secrets.randbelow(SEEDS - 1) + 1


def graded_before(out: Path, settings: Settings) -> dict[str, Grade]:
    """Find the grades that still hold: for the same chapter, the same checks and the same seed.

    Args:
        out: a folder of results.
        settings: of the new run.

    Returns:
        The grades, by file.
    """
    same = (settings.chapter, settings.seed, grader.digest_of_checks(settings.chapter))
    grades = {}
    for path in sorted((out / reports.LEARNERS).glob("*/results.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            grade = Grade.from_data(data["extra_data"])
            if json.loads(json.dumps(reports.results_json(grade))) != data:
                continue
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # cut off, or not as we write it: it is graded again
        if (grade.chapter, grade.seed, grade.checks) == same:
            grades[grade.file] = grade
    return grades


def run(
    paths: Sequence[Path], settings: Settings, before: dict[str, Grade]
) -> Iterator[Grade | NotGraded]:
    """Grade files, each as soon as a worker is free.

    Args:
        paths: the submissions.
        settings: for all of them.
        before: grades from an earlier run, which stand if the file is the same.

    Yields:
        What became of each file, in the order in which they are done.

    Raises:
        SandboxError: when a worker has no sandbox; what is graded by then stands.
    """
    to_do = iter(paths)
    with _workers(settings) as (pool, slots):
        waiting: dict[Future, str] = {}
        while True:
            for path in to_do:
                try:
                    data = content(path)
                except OSError as error:
                    yield NotGraded(path.name, f"cannot be read: {error.strerror or error}")
                    continue
                old = before.get(path.name)
                if old and old.digest == grader.digest(data):
                    yield old
                    continue
                waiting[pool.submit(grader.grade, _job(path, data, settings))] = path.name
                if len(waiting) >= AHEAD * slots:
                    break
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield _result(future, waiting.pop(future))


def _result(future: Future, file: str) -> Grade | NotGraded:
    """What a worker made of a file; an error of ours costs the others nothing."""
    try:
        return future.result()
    except SandboxError:
        raise
    except Exception as error:
        return NotGraded(file, f"could not be graded, the grader failed: {error!r}", ours=True)


def _job(path: Path, data: bytes, settings: Settings) -> grader.Job:
    return grader.Job(
        chapter=settings.chapter,
        file=path.name,
        content=data,
        seed=settings.seed,
        seconds=settings.seconds,
        isolation=settings.isolation,
        private=settings.private,
    )


@contextmanager
def _workers(settings: Settings) -> Iterator[tuple[Executor, int]]:
    """Threads of this process, or a cluster, and how many jobs they do at once.

    Threads suffice: the answers run in processes of their own, and judging them takes less time.
    After an error nobody waits for what is at work.
    """
    with ExitStack() as stack:
        if settings.executor is None:
            pool, slots = ThreadPoolExecutor(settings.jobs), settings.jobs
        else:
            pool, slots = _cluster(settings.executor, stack)
        try:
            yield pool, slots
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()


def _cluster(address: str, stack: ExitStack) -> tuple[Executor, int]:
    if not address.startswith(DASK):
        raise BatchError(f"--executor is {address}; expected {DASK}host:port")
    try:
        from distributed import Client
    except ImportError:
        raise BatchError("--executor needs dask.distributed: pip install distributed") from None
    try:
        client = stack.enter_context(Client(address.removeprefix(DASK), timeout=10))
    except OSError as error:
        raise BatchError(f"no scheduler answers at {address}: {error}") from error
    if not (slots := sum(client.nthreads().values())):
        raise BatchError(f"the cluster at {address} has no workers; start some: dask worker ...")
    return client.get_executor(pure=False), slots
