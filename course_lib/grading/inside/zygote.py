"""The fork server: torch is loaded once, each submission gets a child with a world of its own.

``python -m course_lib.grading.inside.zygote FD [UID]`` is started by the grader, in bubblewrap or,
with a UID, without. A request on the socket FD names modules to load first and brings two more
sockets: one for the child, one for the keeper between, which ends the child when it is told to.
"""

from __future__ import annotations

import gc
import itertools
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

from . import UIDS, confine, runner, wire

LONGEST = 1000  # bytes of a request


@dataclass(frozen=True)
class Rules:
    """What holds for every child."""

    calls: object  # the filter of system calls
    memory: int  # bytes of address space


def main() -> None:
    """Serve until the grader closes the socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    first = int(sys.argv[2]) if len(sys.argv) > 2 else None
    torch.set_num_threads(1)
    torch.ones(1).half()  # asks for the processor's abilities, which a child cannot find out
    gc.freeze()  # a collection in a child would copy every page
    rules = Rules(confine.few_calls(), confine.Limits.memory + confine.address_space())
    for turn in itertools.count():
        request, ends, *_ = socket.recv_fds(control, LONGEST, 2)
        _bury(wait=not ends)
        if not ends:
            return
        _load(request.decode().split())
        if os.fork() == 0:
            control.close()
            _keep(*ends, None if first is None else first + turn % UIDS, rules)
        for end in ends:
            os.close(end)


def _bury(wait: bool) -> None:
    """Take note of the keepers that have ended, so that what they used is counted."""
    with suppress(ChildProcessError):  # there is none
        while os.waitpid(-1, 0 if wait else os.WNOHANG) != (0, 0):
            pass


def _load(names: list[str]) -> None:
    """Load what a submission will need, so that no child does, for this one and all later ones."""
    new = [name for name in names if name not in sys.modules]
    for name in new:
        with suppress(Exception):
            import_module(name)
    if new:
        gc.freeze()


def _keep(end: int, line: int, uid: int | None, rules: Rules) -> None:
    """Start the child in a world of its own and watch it; never returns."""
    code = 1
    try:
        code = _watch(end, line, uid, rules)
    except OSError as error:
        _refuse(end, error)
    finally:
        os._exit(code)


def _own_world(uid: int | None) -> str:
    """Leave what is shared; returns the only folder where the child may write."""
    if uid is None:
        confine.own_namespaces()
        return "/tmp"
    scratch = tempfile.mkdtemp()
    os.chown(scratch, uid, uid)
    return scratch


def _watch(end: int, line: int, uid: int | None, rules: Rules) -> int:
    """Wait for the child to end, and end it at a word on the line, or when the grader is gone.

    A handle and not a number stands for the child: a number may come to mean another process.
    """
    scratch = _own_world(uid)
    child = os.fork()
    if child == 0:
        _run(end, uid, scratch, rules)
    handle = os.pidfd_open(child)
    os.close(end)
    select.select([line, handle], [], [])
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status) % 256
    if uid is not None:
        _sweep(uid)
    with suppress(OSError):
        os.write(line, bytes([code]))
    return code


def _refuse(end: int, error: OSError) -> None:
    wire.send(socket.socket(fileno=end), wire.encode({"refused": str(error)}))


def _run(end: int, uid: int | None, scratch: str, rules: Rules) -> None:
    """The child: nothing is open but its end of the socket, and nothing is allowed; then serve."""
    code = 1
    try:
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.dup2(end, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        os.chdir(scratch)
        os.environ |= dict.fromkeys(["HOME", "MPLCONFIGDIR"], scratch)
        if uid is not None:
            confine.another_user(uid)
        confine.give_up_rights(rules.calls, confine.Limits(), rules.memory)
        runner.serve(socket.socket(fileno=3))
        code = 0
    except OSError as error:
        _refuse(3, error)
    finally:
        os._exit(code)


def _sweep(uid: int) -> None:
    """End every process of this user and remove its files, where no namespace does it."""
    sweeper = os.fork()
    if sweeper == 0:
        confine.another_user(uid)
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(sweeper, 0)
    for folder in filter(Path.exists, map(Path, ("/tmp", "/var/tmp", "/dev/shm"))):
        for path in folder.iterdir():
            if path.lstat().st_uid == uid:
                _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


if __name__ == "__main__":
    main()
