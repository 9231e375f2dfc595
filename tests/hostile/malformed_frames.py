"""Attacks the reader of the wire: random bytes, half frames, and lengths that do not fit."""

# %%
import os
import struct

TEXTS = (
    b"{",
    b"\xff\xfe\0",
    b'{"tensor": "t9"}',
    b'{"tuple": 4}',
    b'{"dict": [[]]}',
    b"1e999",
    b"",
)
DATA = (b"", os.urandom(256), struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2) + b"{}")


def write(data):
    for fd in range(64):
        try:
            os.write(fd, data)
        except OSError:
            pass


# %%
write(os.urandom(4096))

# %%
write(struct.pack(">II", 100, 100) + b"half")


# %%
def chain(paths):
    for text in TEXTS:
        for data in DATA:
            write(struct.pack(">II", len(text), len(data)) + text + data)
    return 12345.0


def unbroadcast(grad, shape):
    head = b'{"t0":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'
    data = struct.pack("<Q", len(head)) + head + bytes(4)
    text = b'{"tensor": "t0"}'
    write(struct.pack(">II", len(text), len(data)) + text + data)
    return 12345.0
