"""Attacks the reader's patience: a frame that comes a byte at a time, and never ends."""

# %%
import os
import struct
import time


def drip():
    frame = struct.pack(">II", 4000, 0) + b" " * 4000
    for byte in frame:
        for fd in range(3, 64):
            try:
                os.write(fd, bytes([byte]))
            except OSError:
                pass
        time.sleep(0.05)


def chain(paths):
    drip()
    return 12345.0
