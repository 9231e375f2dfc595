"""Attacks the sandbox's walls: each system call that could take them down again."""

# %%
import ctypes
import os
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
NEW = {"mount": 0x20000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}
undone = []


def attempt(what, *call):
    """Call, and take note of a success."""
    try:
        name, *arguments = call
        if getattr(libc, name)(*arguments) >= 0:
            undone.append(what)
    except AttributeError:  # this C library has no such function
        pass


# %%
for name, flag in NEW.items():
    attempt(f"unshare {name}", "unshare", flag)

# %%
for process in ("1", str(os.getppid())):
    for space in ("mnt", "user", "pid", "net", "ipc"):
        try:
            fd = os.open(f"/proc/{process}/ns/{space}", os.O_RDONLY)
        except OSError:
            continue
        attempt(f"setns {space} of {process}", "setns", fd, 0)
        os.close(fd)

# %%
folder = os.path.join(tempfile.gettempdir(), "hostile-mount")
os.makedirs(folder, exist_ok=True)
where = folder.encode()
attempt("mount tmpfs", "mount", b"none", where, b"tmpfs", 0, None)
attempt("mount proc", "mount", b"proc", where, b"proc", 0, None)
attempt("bind /", "mount", b"/", where, None, 0x5000, None)
attempt("remount / writable", "mount", None, b"/", None, 0x1020, None)
attempt("umount /proc", "umount2", b"/proc", 2)
attempt("pivot_root", "syscall", 155, where, where)
attempt("chroot", "chroot", where)

# %%
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
for pid in (1, os.getppid()):
    if pid not in (0, os.getpid()):
        attempt(f"ptrace {pid}", "ptrace", PTRACE_SEIZE, pid, None, None)
        libc.ptrace(PTRACE_DETACH, pid, None, None)

# %%
attempt("setuid 0", "setuid", 0)
attempt("setgid 0", "setgid", 0)
attempt("setgroups", "setgroups", 1, (ctypes.c_int * 1)(0))
attempt("no_new_privs off", "prctl", 38, 0, 0, 0, 0)
attempt("seccomp off", "prctl", 22, 0, 0, 0, 0)
attempt("ambient capability", "prctl", 47, 2, 21, 0, 0)
attempt("sethostname", "sethostname", b"hostile", 7)

# %%
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
attempt("capset", "capset", head, (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6))

# %%
X86_64 = {"bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "perf_event_open": 298}
for name, number in (X86_64 | {"open_tree": 428, "fsopen": 430, "keyctl": 250}).items():
    attempt(name, "syscall", number, 0, 0, 0, 0, 0)


# %%
def chain(paths):
    return "nothing"


def unbroadcast(grad, shape):
    if undone:
        raise RuntimeError(f"BREACH: undone {undone}")
    return "nothing"
