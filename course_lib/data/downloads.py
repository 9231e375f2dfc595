"""Files that are fetched when they are asked for: from several mirrors, checked, kept, or refused.

What counts is the MD5 of the content, not of the archive around it: mirrors compress differently.
A file comes from the folder ``COURSE_DATA`` where that is set, and then from nowhere else; or from
the cache; or from the first mirror that has it. ``COURSE_CACHE`` names another cache folder, and
``COURSE_PROGRESS=off`` turns the progress bar off.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from ..progress import bar

TIMEOUT = 30.0  # seconds in which a server has to answer, and then to send the next piece
SLOWEST = 1000  # bytes a second; below that the next mirror is tried
LARGEST = 128 * 2**20  # bytes of an archive or of its content; no set has more
ROUNDS = 2  # how often the mirrors are tried, one after the other
AIR_GAPPED = (
    "Without a network: put the file, as it is or with .gz, at {path} below a folder, and set the "
    "environment variable COURSE_DATA to that folder."
)


class DataError(RuntimeError):
    """A file of data can be had from nowhere, or is not what it should be."""


@dataclass(frozen=True)
class File:
    """One file of a data set, and who offers it."""

    path: str  # below the cache and below COURSE_DATA, with / between its parts
    md5: str  # of the content, not compressed
    mirrors: tuple[str, ...]  # addresses of it, plain, as .gz, or in a .tar.gz


def content(file: File) -> bytes:
    """The content of a file, checked: from COURSE_DATA, the cache, or a mirror.

    Args:
        file: what to look for.

    Returns:
        The bytes, not compressed.

    Raises:
        DataError: when it is nowhere, or damaged; the text says where was looked, and what to do.
    """
    if folder := os.environ.get("COURSE_DATA"):
        return _given(file, Path(folder).expanduser().absolute())
    kept = cache() / file.path
    try:
        found = kept.read_bytes()
    except OSError:
        found = None
    if found is not None and _md5(found) == file.md5:
        return found
    if found is not None:
        _say(f"{kept} is damaged: its MD5 is {_md5(found)}, expected {file.md5}. Fetching it anew.")
    found = fetch(file)
    try:
        _keep(found, kept)
    except OSError as error:
        _say(
            f"{file.path} was fetched and is right, but could not be kept in {cache()}: {error}. "
            "It will be fetched again next time; make room there, or set the environment variable "
            "COURSE_CACHE to a folder that can be written."
        )
    return found


def cache() -> Path:
    """The folder in which fetched files are kept; it has the layout of COURSE_DATA."""
    import pooch

    folder = os.environ.get("COURSE_CACHE")
    return Path(folder or pooch.os_cache("deep-learning-measured")).expanduser().absolute()


def fetch(file: File) -> bytes:
    """The content of a file from the first mirror that has it, past the cache.

    Args:
        file: what to fetch.

    Returns:
        The bytes, not compressed, with the right MD5.

    Raises:
        DataError: when no mirror has it; the text says what went wrong at each.
    """
    failed = {}
    for _ in range(ROUNDS):
        for mirror in file.mirrors:
            try:
                return fetch_from(mirror, file, TIMEOUT)
            except DataError as error:
                failed[mirror] = str(error)
    raise DataError(
        f"{file.path} could not be fetched. Tried {ROUNDS} times each:\n"
        + "".join(f"  {mirror}\n    {why}\n" for mirror, why in failed.items())
        + "Nothing was kept. Check the connection, then call again.\n"
        + AIR_GAPPED.format(path=file.path)
    )


def fetch_from(mirror: str, file: File, timeout: float = TIMEOUT) -> bytes:
    """The content of a file from one mirror.

    Args:
        mirror: the address.
        file: what should be there.
        timeout: seconds in which the server has to answer.

    Returns:
        The bytes, not compressed, with the right MD5.

    Raises:
        DataError: with the reason, when they do not arrive or are others.
    """
    import requests
    from pooch import HTTPDownloader

    sent = _Sent(timeout)
    try:
        with bar(total=1, desc=file.path, unit="B", unit_scale=True, leave=False) as shown:
            HTTPDownloader(progressbar=shown, timeout=timeout)(mirror, sent, None)
        found = _unpack(sent.getvalue(), mirror, file)
    except requests.RequestException as error:
        raise DataError(_reason(error, sent.tell(), timeout)) from error
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"sent what cannot be read: {error}") from error
    if _md5(found) != file.md5:
        raise DataError(
            f"sent other content: {len(found)} bytes that begin with {found[:20]!r}, MD5 "
            f"{_md5(found)}, expected {file.md5}"
        )
    return found


class _Sent(io.BytesIO):
    """Takes what a server sends, but not without end, and not at a crawl."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self.began, self.timeout = time.monotonic(), timeout

    def write(self, piece: bytes) -> int:
        if self.tell() + len(piece) > LARGEST:
            raise DataError(f"sent more than {LARGEST} bytes")
        seconds = time.monotonic() - self.began
        if seconds > self.timeout and self.tell() < SLOWEST * seconds:
            raise DataError(f"too slow: {self.tell()} bytes in {seconds:.0f} seconds")
        return super().write(piece)


def _unpack(sent: bytes, mirror: str, file: File) -> bytes:
    """Take the content out of what was sent; some servers unpack a .gz on the way, unasked."""
    plain = _gunzip(sent) if sent.startswith(b"\x1f\x8b") else sent
    if not mirror.endswith(".tar.gz"):
        return plain
    name = file.path.rpartition("/")[2]
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
        for member in tar:
            if member.isfile() and member.name.rpartition("/")[2] == name:
                return tar.extractfile(member).read()
    raise DataError(f"sent an archive without {name}")


def _gunzip(packed: bytes) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        found = stream.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise DataError(f"is packed content of more than {LARGEST} bytes")
    return found


def _reason(error: Exception, received: int, timeout: float) -> str:
    """What went wrong on the way, in a line."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.TooManyRedirects):
        return "redirects without end"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"sent nothing for {timeout:g} seconds, after {received} bytes"
    if received or isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"cut the connection after {received} bytes: {error}"
    return f"could not be reached: {getattr(error.args[0], 'reason', error)}"


def _given(file: File, folder: Path) -> bytes:
    """The content of a file in the folder COURSE_DATA, which alone is asked."""
    if not folder.is_dir():
        raise DataError(f"COURSE_DATA names no folder: {folder}. Name one that exists, or unset it")
    plain = folder / file.path
    packed = plain.with_name(f"{plain.name}.gz")
    for path in (plain, packed):
        try:
            found = path.read_bytes()
            found = _gunzip(found) if path is packed else found
        except FileNotFoundError:
            continue
        except (OSError, EOFError, zlib.error, DataError) as error:
            raise DataError(f"{path}, in COURSE_DATA, cannot be read: {error}") from error
        if _md5(found) == file.md5:
            return found
        raise DataError(
            f"{path}, in COURSE_DATA, is damaged or another file: the MD5 of its content is "
            f"{_md5(found)}, expected {file.md5}. Put the right one there, or unset COURSE_DATA to "
            "fetch it from the network"
        )
    raise DataError(
        f"COURSE_DATA has no {file.path}: there is neither {plain} nor {packed}. Put it there, or "
        "unset COURSE_DATA to fetch it from the network"
    )


def _keep(found: bytes, path: Path) -> None:
    """Write a file at once or not at all, whoever else is writing it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f".{path.name}.*.part"):  # of a process that was killed
        with suppress(FileNotFoundError):  # another one was faster
            if time.time() - old.stat().st_mtime > 3600:
                old.unlink()
    draft = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with draft.open("xb") as stream:
            stream.write(found)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _md5(found: bytes) -> str:
    return hashlib.md5(found, usedforsecurity=False).hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr)
