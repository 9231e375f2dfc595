"""Attacks the reports: replies in the right form whose words fill megabytes of every page."""

# %%
import json
import os
import struct


def reply(value="null", error="null", changed='{"tuple": []}'):
    outcome = '{"dict": [["value", %s], ["error", %s], ["changed", %s]]}' % (value, error, changed)
    for calls in (1, 2, 3, 4, 5, 6, 8):  # of which one is right
        text = '{"dict": [["outcomes", [%s]]]}' % ", ".join([outcome] * calls)
        frame = struct.pack(">II", len(text), 0) + text.encode()
        for fd in range(3, 64):
            try:
                os.write(fd, frame)
            except OSError:
                pass


def chain(paths):
    reply(error=json.dumps("hostile " * 90_000))


def backward_pass(inputs, slopes):
    reply(value=json.dumps("hostile " * 90_000))


def unbroadcast(grad, shape):
    reply(changed='{"tuple": [%s]}' % ", ".join(["0"] * 20_000))


def matmul_gradients(A, B, G):
    reply(value='{"dict": [%s]}' % ", ".join(f'["{i:090}", 1]' for i in range(8_000)))
