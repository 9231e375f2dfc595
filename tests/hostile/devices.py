"""Attacks the machine's devices, which root's child might change, and leaves notes by them."""

# %%
import os

reached = []
for path in ("/dev/null", "/dev/full", "/dev/random", "/dev/tty", "/dev/pts", "/dev/ptmx", "/dev"):
    try:
        now = os.stat(path)
        os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns))  # as they are: nothing changes
        reached.append(f"times of {path}")
        os.chmod(path, now.st_mode & 0o7777)
        reached.append(f"mode of {path}")
    except OSError:
        pass

# %%
try:
    os.openpty()
    reached.append("a terminal")
except OSError:
    pass


# %%
def chain(paths):
    if reached:
        raise RuntimeError(f"BREACH: {reached}")
    return "nothing"
