"""Attacks the verdict `todo`: claims to be unfinished where the answer would be wrong."""


# %%
def chain(paths):
    raise NotImplementedError("Exercise 3.1: 4/4 points")


def local_slopes(op, a, b):
    if op == "+":
        return "nothing"
    raise NotImplementedError("Exercise 3.2")


def unbroadcast(grad, shape):
    if tuple(grad.shape) == tuple(shape):
        return grad  # a property, which is not paid alone
    raise NotImplementedError("Exercise 3.4: the rest")


class Dual:
    def __init__(self, value, slope):
        self.value, self.slope = "nothing", "nothing"

    def __getattr__(self, name):
        raise NotImplementedError("Exercise 3.6: all methods")
