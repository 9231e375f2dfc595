"""Attacks the memory: 8 GiB that are shared and anonymous, which some limits do not count."""

# %%
import mmap

held = []


def chain(paths):
    for _ in range(32 - len(held)):
        part = mmap.mmap(-1, 2**28, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        held.append(part)
        for page in range(0, 2**28, mmap.PAGESIZE):
            part[page] = 1
    return "nothing"
