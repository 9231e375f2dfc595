"""Attacks the sandbox's walls: other programs, by each system call that starts one."""

# %%
import ctypes
import os

SLEEP = ["hostile-sleep", "60"]
libc = ctypes.CDLL(None, use_errno=True)
started = []

# %%
if os.system("exit 0") == 0:
    started.append("system")

# %%
started.append(f"posix_spawn: {os.posix_spawn('/bin/sleep', SLEEP, {})}")

# %%
started.append(f"popen: {os.popen('echo hostile').read().split()[0]}")

# %%
SIGCHLD, CLONE_VFORK, NEW_USER = 17, 0x4000, 0x10000000
for number, *arguments in ((56, SIGCHLD), (56, NEW_USER | SIGCHLD), (57,), (58,)):  # of x86-64
    pid = libc.syscall(number, *arguments, 0, 0, 0, 0)
    if pid == 0:
        libc.prctl(15, b"hostile-clone", 0, 0, 0)
        libc.sleep(20)
        libc._exit(0)
    if pid > 0:
        started.append(f"system call {number}")

# %%
if started:
    raise RuntimeError(f"BREACH: started {started}")


# %%
def chain(paths):
    os.execv("/bin/sleep", SLEEP)
    return "nothing"


def unbroadcast(grad, shape):
    if started:
        raise RuntimeError(f"BREACH: started {started}")
    return "nothing"
