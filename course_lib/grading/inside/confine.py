"""Lock this process up for good: namespaces, mounts, limits, no privileges, few system calls.

Source: man 7 namespaces, user_namespaces, capabilities; man 2 mount, prctl, seccomp.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

import pyseccomp

from . import UNPRIVILEGED

libc = ctypes.CDLL(None, use_errno=True)

NEW_NAMESPACES = (  # Linux's <sched.h>
    0x00020000  # mounts
    | 0x04000000  # the name of the host
    | 0x08000000  # shared memory, semaphores, queues
    | 0x10000000  # users
    | 0x20000000  # processes
    | 0x40000000  # network
)
CLONE_THREAD = 0x00010000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
SCRATCH = 64 * 2**20  # bytes of /tmp, and of any one file

FORBIDDEN = (
    *("fork", "vfork", "execve", "execveat"),  # no other process ...
    *("socket", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp"),  # ... to talk to
    *("pidfd_open", "pidfd_getfd", "pidfd_send_signal", "perf_event_open"),
    *("unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "mount_setattr"),
    *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("memfd_create", "memfd_secret", "shmget", "mq_open"),  # memory that no limit counts
    *("bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("flock", "inotify_init", "inotify_init1", "fanotify_init"),  # notes for another submission
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module"),
    *("kexec_load", "kexec_file_load", "swapon", "swapoff", "reboot", "acct", "quotactl"),
)


@dataclass(frozen=True)
class Limits:
    """What a submission may use."""

    memory: int = 2 * 2**30  # bytes, beyond what torch takes
    cpu: int = 600  # seconds of processor time in all; the grader's clock stops it earlier
    files: int = 64  # open at once
    threads: int = 64


def _call(name: str, *args: object) -> None:
    if getattr(libc, name)(*args):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def own_namespaces() -> None:
    """Leave everything that this process shares; its next child is the first of a new world.

    Raises:
        OSError: where the kernel does not allow it.
    """
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", NEW_NAMESPACES)
    me = Path("/proc/self")
    (me / "setgroups").write_text("deny")
    (me / "uid_map").write_text(f"{UNPRIVILEGED} {uid} 1")
    (me / "gid_map").write_text(f"{UNPRIVILEGED} {gid} 1")
    (me / "oom_score_adj").write_text("1000")  # where memory runs out, this goes first
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    scratch = f"size={SCRATCH},nr_inodes=2000,mode=1777".encode()
    _call("mount", b"tmpfs", b"/tmp", b"tmpfs", flags, scratch)
    fixed = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC
    for device in filter(Path.is_char_device, Path("/dev").iterdir()):
        if not device.is_symlink():  # root's child could change the machine's own device
            _call("mount", None, bytes(device), None, fixed, None)
    for folder in (b"/dev/pts", b"/proc"):
        _call("mount", b"tmpfs", folder, b"tmpfs", flags | MS_RDONLY, b"size=4k")


def another_user(uid: int) -> None:
    """Become a user without rights or groups."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def address_space() -> int:
    """The bytes of address space that this process has taken."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def few_calls() -> pyseccomp.SyscallFilter:
    """Make the filter of system calls.

    Returns:
        The filter, to be loaded where the learner's code begins.
    """
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for call in FORBIDDEN:
        rules.add_rule(refused, call)
    thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0)
    rules.add_rule(refused, "clone", thread)  # a process; threads are allowed
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")  # then libc takes clone
    for locks in (fcntl.F_SETLK, fcntl.F_SETLKW, fcntl.F_OFD_SETLK, fcntl.F_OFD_SETLKW):
        rules.add_rule(refused, "fcntl", pyseccomp.Arg(1, pyseccomp.EQ, locks))
    return rules


def give_up_rights(rules: pyseccomp.SyscallFilter, limits: Limits, memory: int) -> None:
    """Limits, no capabilities, no way back, and the filter of system calls.

    Args:
        rules: of :func:`few_calls`.
        limits: what may be used.
        memory: bytes of address space in all.
    """
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_FSIZE, SCRATCH),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_NPROC, limits.threads),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability)  # fails where there is no such capability
    head = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", head, (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    rules.load()
