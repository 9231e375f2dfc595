"""Attacks the wire: every open file is closed, or replaced, under the runner's hands."""

# %%
import os

# %%
os.closerange(0, 64)


# %%
def chain(paths):
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in range(64):
        os.dup2(nothing, fd)
    return 12345.0


def unbroadcast(grad, shape):
    read, write = os.pipe()
    for fd in range(3, 64):
        if fd not in (read, write):
            os.dup2(read, fd)
    return 12345.0
