"""Attacks the judge: frames that name one tensor thousands of times, where it is told at length."""

# %%
import json
import os
import struct

import torch
from safetensors.torch import save

DATA = save({"t": torch.randn(1000)})
MANY = [{"tensor": "t"}] * 2000


def reply(message):
    text = json.dumps(message).encode()
    os.write(3, struct.pack(">II", len(text), len(DATA)) + text + DATA)


def outcome(value=None, error=None):
    reply({"dict": [["value", value], ["error", error], ["changed", {"tuple": []}]]})
    os._exit(0)


# %%
reply({"dict": [["error", MANY]]})


# %%
def chain(paths):
    outcome({"dict": [[0, MANY]]})


def local_slopes(op, a, b):
    outcome({"tuple": [{"tuple": [{"tuple": MANY[:100]}] * 20}] * 20})


def backward_pass(inputs, slopes):
    outcome(error=MANY)


def unbroadcast(grad, shape):
    reply({"dict": [["refused", MANY]]})
    os._exit(0)
