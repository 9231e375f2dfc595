"""course_lib.data.downloads: whatever a server, a disk or a neighbour does, no wrong byte is used.

The server is tests/mirror.py, on this machine. Always: the right content, or an error that says
which file, from where, what went wrong and what to do; and a cache that is right or empty.
"""

import errno
import gzip
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from mirror import Mirror
from needs import needs

from course_lib.data import __main__ as prepare
from course_lib.data import downloads
from course_lib.data.downloads import DataError, File, content
from tools import mirrors

CONTENT = random.Random(0).randbytes(40_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
WRONG = {  # what a server does, and what the error says of it
    "cut": "cut the connection after .* bytes",
    "reset": "cut the connection after .* bytes",
    "truncated": "cannot be read: Compressed file ended",
    "unmeasured": "cannot be read: Compressed file ended",
    "too_short": "cannot be read: Compressed file ended",
    "too_long": "cut the connection after .* bytes",
    "no_number": "cannot be read: invalid literal",
    "empty": "other content: 0 bytes",
    "wrong": "other content: 12 bytes that begin with b'another file'",
    "html": "other content: .* begin with b'<!DOCTYPE html>",
    "missing": "answered 404 Not Found",
    "broken": "answered 500 Internal Server Error",
    "corrupt": "cannot be read: ",
    "tar_without": "an archive without file",
    "tar_none": "cannot be read: ",
    "round": "redirects without end",
    "silent": "sent nothing for 0.5 seconds, after 0 bytes",
    "hang": "sent nothing for 0.5 seconds, after .* bytes",
    "drip": "too slow: .* bytes in|sent nothing for 0.5",
    "endless": "more than 1000000 bytes",
    "bomb": "packed content of more than 1000000 bytes",
    "refused": "could not be reached: .* refused",
}


@pytest.fixture
def mirror():
    server = Mirror(CONTENT)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path, request):
    """An empty cache, small limits, and short patience where a server is slow on purpose."""
    slow = any(how in request.node.name for how in ("silent", "hang", "drip", "every_mirror"))
    folder = tmp_path / "cache"
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5 if slow else 20.0)
    monkeypatch.setattr(downloads, "SLOWEST", 50_000)
    monkeypatch.setattr(downloads, "LARGEST", 1_000_000)
    return folder


def file_at(mirror, *ways):
    addresses = [NOBODY if how == "refused" else mirror.address(how) for how in ways]
    return File("set/file", MD5, tuple(addresses))


TAKEN = socket.socket()  # a port that nobody listens at, and that nobody else can get
TAKEN.bind(("127.0.0.1", 0))
NOBODY = f"http://127.0.0.1:{TAKEN.getsockname()[1]}/file.gz"


def files(folder):
    """All that lies in a folder, hidden files too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def kept(cache):
    """Whether the cache holds the right file, and nothing else."""
    return files(cache) == ["set/file"] and (cache / "set/file").read_bytes() == CONTENT


# Servers


@pytest.mark.parametrize("how", ["good", "plain", "tar", "unasked", "tar_unasked"])
def test_a_file_is_fetched_once(mirror, cache, how, capsys):
    file = file_at(mirror, how)
    assert content(file) == CONTENT
    assert content(file) == CONTENT
    assert mirror.asked[how] == 1
    assert kept(cache)
    assert capsys.readouterr().err == ""  # nobody looks, so no bar


@pytest.mark.parametrize("how", WRONG)
def test_a_mirror_that_goes_wrong_is_named_and_nothing_is_kept(mirror, cache, how):
    file = file_at(mirror, how)
    with pytest.raises(DataError, match=WRONG[how]) as caught:
        content(file)
    text = str(caught.value)
    assert "set/file could not be fetched" in text
    assert file.mirrors[0] in text
    assert "call again" in text and "COURSE_DATA" in text
    assert " at 0x" not in text
    assert files(cache) == []
    if how not in ("refused", "round"):
        assert mirror.asked[how] == downloads.ROUNDS


@pytest.mark.parametrize("how", WRONG)
def test_the_next_mirror_makes_it_good(mirror, cache, how):
    assert content(file_at(mirror, how, "good")) == CONTENT
    assert mirror.asked["good"]
    assert kept(cache)


def test_a_passing_cut_is_retried(mirror, cache):
    assert content(file_at(mirror, "second")) == CONTENT
    assert mirror.asked["second"] == 2
    assert kept(cache)


def test_the_error_tells_of_every_mirror(mirror):
    with pytest.raises(DataError) as caught:
        content(file_at(mirror, "missing", "html", "silent"))
    text = str(caught.value)
    places = [text.index(mirror.address(how)) for how in ("missing", "html", "silent")]
    assert places == sorted(places)
    assert "404" in text and "DOCTYPE" in text and "sent nothing" in text


# The cache


def test_a_damaged_file_in_the_cache_is_replaced_and_said_so(mirror, cache, capsys):
    file = file_at(mirror, "good")
    (cache / "set").mkdir(parents=True)
    (cache / "set/file").write_bytes(CONTENT[:-1] + b"x")
    assert content(file) == CONTENT
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(cache / "set/file") in said and "damaged" in said and MD5 in said
    assert kept(cache)


def test_who_reads_a_file_while_it_is_replaced_reads_one_file_to_its_end(mirror, cache):
    (cache / "set").mkdir(parents=True)
    (cache / "set/file").write_bytes(b"damaged")
    with (cache / "set/file").open("rb") as reader:
        content(file_at(mirror, "good"))
        assert reader.read() == b"damaged"
    assert kept(cache)


def test_a_damaged_file_is_not_used_where_no_mirror_helps(mirror, cache):
    (cache / "set").mkdir(parents=True)
    (cache / "set/file").write_bytes(b"damaged")
    with pytest.raises(DataError, match="404"):
        content(file_at(mirror, "missing"))


def test_a_cache_that_is_a_file_costs_only_the_keeping(mirror, cache, capsys):
    cache.write_text("not a folder")
    assert content(file_at(mirror, "good")) == CONTENT
    said = capsys.readouterr().err
    assert "could not be kept" in said and str(cache) in said and "COURSE_CACHE" in said
    assert cache.read_text() == "not a folder"


@contextmanager
def as_nobody():
    """Rights are for users other than root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_cache_costs_only_the_keeping(mirror, monkeypatch, capsys):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        monkeypatch.setenv("COURSE_CACHE", folder)
        with as_nobody():
            assert content(file_at(mirror, "good")) == CONTENT
        assert "Permission denied" in capsys.readouterr().err
        assert files(Path(folder)) == []
        Path(folder).chmod(0o755)


def test_a_full_disk_costs_only_the_keeping(mirror, tmp_path, monkeypatch, capsys):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)]
    mounted = shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode
    needs("mount", bool(mounted), "a full file system needs the right to mount one (root, Linux)")
    try:
        monkeypatch.setenv("COURSE_CACHE", str(small))
        assert content(file_at(mirror, "good")) == CONTENT
        assert os.strerror(errno.ENOSPC) in capsys.readouterr().err
        assert files(small) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_write_that_stops_in_the_middle_leaves_nothing(mirror, cache, capsys):
    """As on a full disk, and without any right: no file may grow beyond 20,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        assert content(file_at(mirror, "good")) == CONTENT
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.strerror(errno.EFBIG) in capsys.readouterr().err
    assert files(cache) == []
    assert content(file_at(mirror, "good")) == CONTENT
    assert kept(cache)


def test_the_cache_is_where_the_system_keeps_such_things(monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", "")
    assert downloads.cache().name == "deep-learning-measured"
    monkeypatch.setenv("COURSE_CACHE", "~/elsewhere")
    assert downloads.cache() == Path.home() / "elsewhere"


def test_the_cache_of_one_machine_serves_another_as_its_folder_of_data(mirror, cache, monkeypatch):
    content(file_at(mirror, "good"))
    monkeypatch.setenv("COURSE_DATA", str(cache))
    assert content(file_at(mirror, "missing")) == CONTENT


# Processes

FETCH = """
import os, signal, sys, time
from course_lib.data.downloads import File, content
if sys.argv[3] == "stop":
    os.fsync = lambda handle: (print("writing", flush=True), time.sleep(60))
print(len(content(File("set/file", sys.argv[1], (sys.argv[2],)))))
"""


def fetching(file, how="go"):
    """Another process that fetches a file."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, file.md5, file.mirrors[0], how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip


def test_two_processes_at_once_both_have_it(mirror, cache):
    """The server answers when both have asked, so neither finds what the other one kept."""
    file = file_at(mirror, "together")
    both = [fetching(file), fetching(file)]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert (out, err, process.returncode) == (f"{len(CONTENT)}\n", "", 0)
    assert mirror.asked["together"] == 2
    assert kept(cache)


def test_a_process_killed_while_it_fetches_leaves_nothing(mirror, cache):
    process = fetching(file_at(mirror, "hang"))
    assert mirror.halfway.wait(300)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert files(cache) == []
    assert content(file_at(mirror, "good")) == CONTENT
    assert kept(cache)


def test_a_process_killed_while_it_writes_leaves_no_file_of_that_name(mirror, cache):
    process = fetching(file_at(mirror, "good"), "stop")
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (draft,) = files(cache)
    assert draft.startswith("set/.file.") and draft.endswith(".part")
    assert content(file_at(mirror, "good")) == CONTENT
    assert files(cache) == [draft, "set/file"]  # it could belong to a process that is at work
    os.utime(cache / draft, (time.time() - 4000,) * 2)
    (cache / "set/file").unlink()
    content(file_at(mirror, "good"))
    assert kept(cache)  # it could not: the draft is gone


# COURSE_DATA: the folder of an air-gapped class


def test_a_class_prepares_its_folder_by_one_command(mirror, cache, monkeypatch, capsys):
    file, other = file_at(mirror, "good"), File("other/file", MD5, (mirror.address("missing"),))
    monkeypatch.setattr(prepare, "FILES", (file, other))
    assert prepare.main(["set"]) == 0
    assert capsys.readouterr().out == f"set/file: 40,000 bytes\nin {cache}\n"
    assert kept(cache)
    assert prepare.main([]) == 1  # all: one of them cannot be had
    assert "error: other/file could not be fetched" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        prepare.main(["sets"])
    assert "no set is called sets; there are other, set" in capsys.readouterr().err


@pytest.fixture
def given(tmp_path, monkeypatch):
    folder = tmp_path / "given"
    (folder / "set").mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATA", str(folder))
    return folder


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_the_folder_serves_plain_and_packed_files(mirror, given, cache, name):
    (given / "set" / name).write_bytes(gzip.compress(CONTENT) if ".gz" in name else CONTENT)
    assert content(file_at(mirror, "good")) == CONTENT
    assert not mirror.asked and not cache.exists()


@pytest.mark.parametrize(
    "name, put, says",
    [
        ("other", CONTENT, r"COURSE_DATA has no set/file: .*/set/file nor .*/set/file\.gz"),
        ("file", CONTENT[1:], "set/file, in COURSE_DATA, is damaged or another file"),
        ("file", b"", "set/file, in COURSE_DATA, is damaged or another file"),
        ("file.gz", b"", "damaged or another file"),
        ("file.gz", b"\x1f\x8b\x08\0\0", r"file\.gz, in COURSE_DATA, cannot be read: "),
        ("file.gz", CONTENT, r"file\.gz, in COURSE_DATA, cannot be read: Not a gzipped file"),
    ],
)
def test_the_folder_never_falls_through_to_the_network(mirror, given, cache, name, put, says):
    (given / "set" / name).write_bytes(put)
    cache.mkdir()
    with pytest.raises(DataError, match=says):
        content(file_at(mirror, "good"))
    assert not mirror.asked and files(cache) == []


def test_a_folder_in_the_place_of_the_file(mirror, given):
    (given / "set/file").mkdir()
    with pytest.raises(DataError, match="cannot be read: .*Is a directory"):
        content(file_at(mirror, "good"))


def test_a_folder_that_is_not_there(mirror, given, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(given / "nowhere"))
    with pytest.raises(DataError, match="names no folder: .*/given/nowhere. Name one that exists"):
        content(file_at(mirror, "good"))
    assert not mirror.asked


# What is shown


def test_a_bar_on_a_terminal_names_the_file(mirror, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    content(file_at(mirror, "good"))
    assert "set/file" in capsys.readouterr().err


def test_the_bar_can_be_turned_off(mirror, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    content(file_at(mirror, "good"))
    assert capsys.readouterr().err == ""


# The mirrors themselves, once a week: make mirrors


def test_the_weekly_check_asks_every_mirror(mirror, cache, capsys):
    good = file_at(mirror, "good", "tar")
    assert mirrors.check([good]) == 0
    assert mirror.asked["good"] == mirror.asked["tar"] == 1
    out = capsys.readouterr().out.splitlines()
    assert out == [f"{a}: set/file is there, and the same" for a in good.mirrors]
    assert not cache.exists()


def test_the_weekly_check_names_the_mirror_that_fails(mirror, capsys):
    assert mirrors.check([file_at(mirror, "missing", "good", "wrong")]) == 2
    said = capsys.readouterr()
    assert said.out.count("the same") == 1
    assert f"error: {mirror.address('missing')}: set/file answered 404" in said.err
    assert f"error: {mirror.address('wrong')}: set/file sent other content" in said.err


def test_every_file_of_every_set_is_checked():
    paths = [file.path for file in mirrors.FILES]
    assert len(paths) == len(set(paths)) == 8 + 2 + 9 + 2
    for file in mirrors.FILES:
        assert len(file.mirrors) >= 2, file.path
        assert len(set(file.mirrors)) == len(file.mirrors)
        assert len({address.split("/")[2] for address in file.mirrors}) >= 2, "two houses"


def test_instructors_find_every_folder():
    page = Path(__file__).parents[1].joinpath("book/instructors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| `data", page, re.M)
    assert set(listed) == {file.path.split("/")[0] for file in mirrors.FILES}
