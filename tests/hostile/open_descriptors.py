"""Attacks the tables of the system: descriptors, pipes and maps until there are no more."""

# %%
import mmap
import os

held = []
for make in (
    lambda: os.open("/dev/null", os.O_RDONLY),
    os.pipe,
    lambda: os.dup(0),
    lambda: mmap.mmap(-1, 4096),
    lambda: os.eventfd(0),
):
    for _ in range(20_000):
        try:
            held.append(make())
        except OSError:
            break


# %%
def chain(paths):
    return open("/dev/null").read()
