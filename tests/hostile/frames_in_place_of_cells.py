"""Attacks the reader of the wire: cells that answer for the runner, and say odd things of names."""

# %%
import os
import struct

import torch
from safetensors.torch import save

ONE = save({"t0": torch.zeros(3)})


def say(text, data=b""):
    """A frame beside the runner's own: from now on the grader reads one message behind."""
    frame = struct.pack(">II", len(text), len(data)) + text.encode() + data
    for fd in range(3, 64):
        try:
            os.write(fd, frame)
        except OSError:
            pass


# %%
say('{"dict": [["error", {"tensor": "t0"}]]}', ONE)

# %%
say('{"dict": [["error", null], ["names", [{"tensor": "t0"}, [], 4, null, "chain"]]]}', ONE)

# %%
say('{"dict": [["names", {"dict": [["chain", 4]]}], ["outcomes", []]]}')


# %%
def chain(paths):
    say("[]")
    return 12345.0


def unbroadcast(grad, shape):
    say("NaN")
    return 12345.0
