"""The fork server: torch is loaded once, each submission gets a child with a world of its own.

``python -m course_lib.grading.inside.zygote FD [UID]`` is started by the grader, in bubblewrap or,
with a UID, without. Over the socket FD come requests of one byte: ``fork``, with the child's end
of a socket beside it, and ``kill``, which is answered by the child's exit code.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import torch

from . import confine, runner, wire

FORK, KILL = b"f", b"k"
PRELOADED = ("numpy", "IPython.core.inputtransformer2", "matplotlib.pyplot", "course_lib.plotting")


def main() -> None:
    """Serve until the grader closes the socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    uid = int(sys.argv[2]) if len(sys.argv) > 2 else None
    _warm_up()
    rules, memory = confine.few_calls(), confine.Limits.memory + confine.address_space()
    while True:
        request, ends, *_ = socket.recv_fds(control, 1, 1)
        if request != FORK:
            return
        keeper = os.fork()
        if keeper == 0:
            control.close()
            _keep(ends[0], uid, rules, memory)
        os.close(ends[0])
        control.recv(1)  # KILL, or nothing where the grader is gone
        os.kill(keeper, signal.SIGTERM)
        _, status = os.waitpid(keeper, 0)
        control.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))


def _warm_up() -> None:
    """Load what answers commonly need, so that no child does."""
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # the first one imports half of torch
    for name in PRELOADED:
        if find_spec(name.partition(".")[0]):
            import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page


def _keep(end: int, uid: int | None, rules: object, memory: int) -> None:
    """Start the child in a world of its own, wait for it, kill it when told to; never returns."""
    code = 1
    try:
        scratch = _own_world(uid)
        code = _watch(end, uid, scratch, rules, memory)
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


def _watch(end: int, uid: int | None, scratch: str, rules: object, memory: int) -> int:
    """The child's exit code."""
    children: list[int] = []

    def end_it(*_: object) -> None:
        if not children:
            os._exit(0)
        with suppress(ProcessLookupError):
            os.kill(children[0], signal.SIGKILL)

    signal.signal(signal.SIGTERM, end_it)
    child = os.fork()
    if child == 0:
        _run(end, uid, scratch, rules, memory)
    children.append(child)
    os.close(end)
    _, status = os.waitpid(child, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if uid is not None:
        _sweep(uid, scratch)
    return os.waitstatus_to_exitcode(status) % 256


def _refuse(end: int, error: OSError) -> None:
    wire.send(socket.socket(fileno=end), wire.encode({"refused": str(error)}))


def _run(end: int, uid: int | None, scratch: str, rules: object, memory: int) -> None:
    """The child: nothing is open but its end of the socket, and nothing is allowed; then serve."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.dup2(end, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        os.chdir(scratch)
        if uid is not None:
            confine.another_user(uid)
        confine.give_up_rights(rules, confine.Limits(), memory)
        runner.serve(socket.socket(fileno=3))
        code = 0
    except OSError as error:
        _refuse(3, error)
    finally:
        os._exit(code)


def _sweep(uid: int, scratch: str) -> None:
    """End every process of this user and remove its files, where no namespace does it."""
    sweeper = os.fork()
    if sweeper == 0:
        confine.another_user(uid)
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(sweeper, 0)
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
