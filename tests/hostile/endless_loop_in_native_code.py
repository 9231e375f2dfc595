"""Attacks the clock: C code that never comes back to Python, so that no handler of it can run."""

# %%
import re


def chain(paths):
    return 7 ** (10**9)


def unbroadcast(grad, shape):
    return re.match(r"(a+)+$", "a" * 64 + "b")
