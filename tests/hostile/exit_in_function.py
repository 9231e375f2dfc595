"""Attacks the process: answers that end it, with an exit code that means success."""

# %%
import os
import sys


def chain(paths):
    os._exit(0)


def local_slopes(op, a, b):
    sys.exit(0)


def unbroadcast(grad, shape):
    os.abort()
