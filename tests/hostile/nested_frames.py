"""Attacks the reader of the wire: JSON that is nested a million deep, or holds a million parts."""

# %%
import os
import struct


def write(text):
    frame = struct.pack(">II", len(text), 0) + text
    for fd in range(3, 64):
        try:
            os.write(fd, frame)
        except OSError:
            pass


# %%
write(b"[" * 10**6)

# %%
write(b'{"a":' * 10**6)

# %%
write(b'{"tuple":[' * 500 + b"]}" * 500)


# %%
def chain(paths):
    write(b"[" + b"[]," * 10**6 + b"[]]")
    return 12345.0


def unbroadcast(grad, shape):
    write(b'{"dict": [' + b"[0, 0]," * 10**6 + b"[0, 0]]}")
    return 12345.0
