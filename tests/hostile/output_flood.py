"""Attacks the output: 512 MiB to each stream, by print, by descriptor and as warnings."""

# %%
import os
import sys
import warnings

LINE = "hostile \x1b[2J\r " * 4096

for _ in range(8 * 2**10):
    print(LINE)

# %%
block = LINE.encode() * 16
for fd in (1, 2):
    for _ in range(512):
        os.write(fd, block)

# %%
for i in range(10_000):
    warnings.warn(f"{i} {LINE}")


# %%
def chain(paths):
    for _ in range(2**10):
        print(LINE, file=sys.stderr)
    return "nothing"
