"""Attacks the call of an answer: coroutines, generators, classes, modules and numbers."""

# %%
import functools
import itertools
import types


async def chain(paths):
    return 12345.0


def local_slopes(op, a, b):
    while True:
        yield b, a


class Caller:
    __name__ = property(lambda self: 1 / 0)
    __signature__ = property(lambda self: 1 / 0)

    def __call__(self, *args, **kwargs):
        return self


backward_pass = Caller()


class unbroadcast:
    def __init__(self, grad, shape):
        self.points = 6


matmul_gradients = functools.partial(itertools.repeat, 4)
Dual = types.ModuleType("Dual")


def Value(*args):
    return types.SimpleNamespace(data="nothing", grad="nothing", backward=lambda: None)


train_on_moons = 37
