"""Attacks the process: it reads address 0, in a cell and in the answer."""

# %%
import ctypes

ctypes.string_at(0)

# %%
import ctypes


def chain(paths):
    return ctypes.string_at(0)


def unbroadcast(grad, shape):
    return ctypes.CFUNCTYPE(None)(1)()
