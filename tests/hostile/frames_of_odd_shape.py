"""Attacks the reader of the wire: frames in the right form that say what no runner says."""

# %%
import os
import struct

import torch
from safetensors.torch import save

ONE = save({"t0": torch.zeros(3)})
TENSOR = '{"tensor": "t0"}'
OUTCOME = '{"dict": [["value", %s], ["error", %s], ["changed", %s]]}'
NONE = '{"tuple": []}'


def reply(text, data=b""):
    """Answer in the runner's place, and end before it can."""
    frame = struct.pack(">II", len(text), len(data)) + text.encode() + data
    for fd in range(3, 64):
        try:
            os.write(fd, frame)
        except OSError:
            pass
    os._exit(0)


# %%
def chain(paths):
    reply('{"dict": [[{"dict": []}, 1]]}')  # a key that cannot be hashed


def local_slopes(op, a, b):
    reply(TENSOR, ONE)  # a tensor in the place of an outcome


def backward_pass(inputs, slopes):
    reply(OUTCOME % (TENSOR, "null", '{"tuple": [-1, 99, true]}'), ONE)


def unbroadcast(grad, shape):
    reply(OUTCOME % ('{"dict": [[%s, 1], [null, 2]]}' % TENSOR, "null", NONE), ONE)


def matmul_gradients(A, B, G):
    reply(OUTCOME % ("1" * 4000, '""', NONE))


def Dual(value, slope):
    reply(OUTCOME % ("Infinity", "4", "null"))


def Value(data, inputs=()):
    reply('{"dict": [["value", null], ["points", 14], ["changed", %s]]}' % TENSOR, ONE)


def train_on_moons(X, y, W1, b1, w2, b2, lr, steps):
    reply('{"dict": [["value", null]]}')
