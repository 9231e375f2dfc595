"""Attacks the reports: replies in the right form whose words fill megabytes of every page."""

# %%
import json
import os
import struct


def reply(value="null", error="null", changed='{"tuple": []}'):
    text = '{"dict": [["value", %s], ["error", %s], ["changed", %s]]}' % (value, error, changed)
    for fd in range(3, 64):
        try:
            os.write(fd, struct.pack(">II", len(text), 0) + text.encode())
        except OSError:
            pass
    os._exit(0)


# %%
def chain(paths):
    reply(error=json.dumps("hostile " * 200_000))


def backward_pass(inputs, slopes):
    reply(value=json.dumps("hostile " * 200_000))


def unbroadcast(grad, shape):
    reply(changed='{"tuple": [%s]}' % ", ".join(["0"] * 30_000))


def matmul_gradients(A, B, G):
    reply(value='{"dict": [%s]}' % ", ".join(f'["{i:0900}", 1]' for i in range(900)))
