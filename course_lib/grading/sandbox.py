"""Start the fork server in bubblewrap (or as another user), and talk to the children it makes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .inside import UIDS, UNPRIVILEGED, wire
from .view import LIBRARY, ROOT, lay_out

NAMESPACES, UID = "namespaces", "uid"
START = 120  # seconds for the fork server to load torch
COURSE = "/course"  # where the sandbox sees course_lib
END = b"e"
ALWAYS = "torch"  # loaded already; an empty request would be the end
PRELOADED = {  # what a submission with these bytes in it will load, which takes a while
    b"optim": "torch._dynamo",  # the first optimiser loads it
    b"pyplot": "matplotlib.pyplot",
    b"sklearn": "sklearn.datasets",
    **dict.fromkeys([b'"%', b"\n%", b'"!', b"\n!"], "IPython.core.inputtransformer2"),
}
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "/tmp",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}
ADVICE = """\
Nothing was graded. The sandbox needs Linux, bubblewrap (the package bubblewrap), libseccomp (the
package libseccomp2, and pip install 'course-lib[grading]') and user namespaces; on Ubuntu 24.04
and later these are switched on by
  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
Without namespaces, root can grade with --isolation uid, which protects less."""


class SandboxError(RuntimeError):
    """The sandbox does not start, so nothing may be graded."""


class Stopped(Exception):
    """A submission's process is over; the text says why, as a learner reads it."""


class Late(Stopped):
    """It took longer than it may."""


class Gone(RuntimeError):
    """The fork server has ended in the middle of the work."""


class Sandbox:
    """A fork server, ready to give each submission a process of its own.

    Args:
        chapter: whose exercises are graded; its library stays outside.
        isolation: "namespaces", "uid", or None for the best that works here.
        private: folders that no submission may see.

    Raises:
        SandboxError: when it does not start; the text says what to do.
    """

    def __init__(
        self, chapter: str, isolation: str | None = None, private: Sequence[Path] = ()
    ) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="course-")
        view = Path(self.folder.name) / "view"
        view.mkdir()
        Path(self.folder.name).chmod(0o755)
        lay_out(chapter, view)
        self.private = [path.resolve() for path in private]
        levels = [isolation] if isolation else [NAMESPACES, UID]
        failures = []
        for level in levels:
            try:
                self.isolation = level
                self._start(view)
                return
            except SandboxError as error:
                failures.append(f"{level}: {error}")
        self.folder.cleanup()
        raise SandboxError("\n".join(["The sandbox does not start.", *failures, ADVICE]))

    def _start(self, view: Path) -> None:
        if sys.platform != "linux":
            raise SandboxError(f"this is {sys.platform}, not Linux")
        if self.isolation == NAMESPACES:
            before, after = _bubblewrap(view, self.private), []
            path, home = COURSE, {}
        else:
            before, after = [], [str(_another_user(self.private))]
            path = str(view)
            home = dict.fromkeys(["HOME", "MPLCONFIGDIR"], self.folder.name)
        self.control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        module = [sys.executable, "-s", "-P", "-m", "course_lib.grading.inside.zygote"]
        self.log = Path(self.folder.name) / "log"
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                [*before, *module, str(theirs.fileno()), *after],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=ENVIRONMENT | {"PYTHONPATH": path} | home,
                cwd="/",
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        self._try_out()

    def _try_out(self) -> None:
        """One child, asked for nothing: the whole way works or says why it does not."""
        try:
            child = self.fork()
            child.ask({"do": "defined", "names": []}, START)
            child.close()
        except (Stopped, Gone) as error:
            self._stop()
            said = self.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise SandboxError("; ".join([str(error), *said])) from error

    def fork(self, content: bytes = b"") -> Child:
        """A fresh process for a submission.

        Args:
            content: of the submission; what it seems to need is loaded beforehand.

        Returns:
            The process, which waits to be asked.

        Raises:
            Gone: when the fork server has ended.
        """
        names = dict.fromkeys(name for mark, name in PRELOADED.items() if mark in content)
        (ours, theirs), (line, keeper) = socket.socketpair(), socket.socketpair()
        with theirs, keeper:
            request = " ".join([ALWAYS, *names]).encode()
            try:
                socket.send_fds(self.control, [request], [theirs.fileno(), keeper.fileno()])
            except OSError as error:
                raise Gone("the fork server has ended") from error
        return Child(ours, line)

    def close(self) -> None:
        """End the fork server, and with it all that it started."""
        self._stop()
        self.folder.cleanup()

    def _stop(self) -> None:
        self.control.close()
        try:
            self.server.wait(10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()


class Child:
    """The process of one submission: ask it, close it.

    Args:
        end: where it answers.
        line: to its keeper, who ends it.
    """

    def __init__(self, end: socket.socket, line: socket.socket) -> None:
        self.end, self.line = end, line

    def ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a message and wait for its reply.

        Args:
            message: ``do`` names a method of :class:`~.inside.runner.Submission`.
            seconds: the longest to wait.

        Returns:
            The reply, which nobody has looked at yet.

        Raises:
            Stopped: when it did not answer, or not with what can be read; it is closed then.
        """
        deadline = time.monotonic() + seconds
        frame = wire.encode(message)
        with self._closing(), suppress(ConnectionError):  # if it is gone, listen will find it
            wire.send(self.end, frame, deadline)
        return self.listen(seconds)

    def listen(self, seconds: float) -> dict[str, Any]:
        """Wait for another reply to the last message.

        Args:
            seconds: the longest to wait.

        Returns:
            The reply, as of :meth:`ask`.

        Raises:
            Stopped: as :meth:`ask`.
        """
        with self._closing():
            reply = wire.receive(self.end, time.monotonic() + seconds)
        if reply is None:
            raise Stopped(_ending(self.close()))
        if not isinstance(reply, dict) or "refused" in reply:
            self.close()
            said = reply.get("refused") if isinstance(reply, dict) else None
            raise Stopped(said if isinstance(said, str) else "sent what is no answer")
        return reply

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            self.close()
            raise Late from None
        except wire.Malformed as error:
            self.close()
            raise Stopped(f"sent what cannot be read: it {error}") from error

    def close(self) -> int:
        """End the process and all that it started.

        Returns:
            Its exit code; 128 and more for a signal.

        Raises:
            Gone: when the fork server has ended.
        """
        code = b""
        with self.end, self.line:
            with suppress(OSError):
                self.line.sendall(END)  # too late where the process has ended by itself
            with suppress(OSError):
                code = self.line.recv(1)
        if not code:
            raise Gone("the fork server has ended")
        return code[0]


def _ending(code: int) -> str:
    if code < 128:
        return f"ended the process (exit code {code})"
    return f"crashed the process (signal {256 - code})"


def _bubblewrap(view: Path, private: Sequence[Path]) -> list[str]:
    """The command that shows the system, Python's environment and the view, and nothing else."""
    if not (program := shutil.which("bwrap")):
        raise SandboxError("there is no bubblewrap (the command bwrap)")
    if any(path.is_relative_to("/tmp") for path in map(Path, (sys.prefix, sys.base_prefix))):
        raise SandboxError("this Python lies in /tmp, which each submission has to itself")
    words = [program, "--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session"]
    words += [
        "--uid",
        str(UNPRIVILEGED),
        "--gid",
        str(UNPRIVILEGED),
        "--cap-drop",
        "ALL",
        "--hostname",
        "sandbox",
    ]
    shown = [Path("/usr"), Path(sys.base_prefix), Path(sys.prefix)]
    for path in dict.fromkeys(shown):
        words += ["--ro-bind", str(path), str(path)]
    for top in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(top).is_symlink():
            words += ["--symlink", str(Path(top).readlink()), top]
        elif Path(top).exists():
            words += ["--ro-bind", top, top]
    words += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    words += ["--ro-bind", str(view), COURSE]
    installed = Path(sysconfig.get_path("purelib")) / "course_lib"
    for path in dict.fromkeys([*private, LIBRARY, installed]):
        if path.is_dir() and any(path.is_relative_to(top) for top in shown):
            words += ["--tmpfs", str(path), "--remount-ro", str(path)]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/"]


def _another_user(private: Sequence[Path]) -> int:
    """A user without rights, after making sure of what it can read and what not."""
    if os.geteuid() != 0:
        raise SandboxError("to change the user takes root")
    uid = 20_000 + os.getpid() % 400 * UIDS
    for folder in (sys.base_prefix, sys.prefix):
        if not _may_read(uid, folder):
            raise SandboxError(f"other users cannot read Python in {folder}; use one they can")
    for folder in (LIBRARY / "checks", LIBRARY / "solutions", ROOT / "solutions"):
        if folder.exists():
            folder.chmod(0o700)
    for folder in private:
        if _may_read(uid, folder):
            raise SandboxError(f"other users may read {folder}; run  chmod 700 {folder}")
    return uid


def _may_read(uid: int, folder: Path | str) -> bool:
    look = ["ls", "--", str(folder)]
    run = subprocess.run(look, user=uid, group=uid, extra_groups=[], capture_output=True, cwd="/")
    return run.returncode == 0
