"""Attacks the reader of values: lists and dicts that are longer, shorter or other than they say."""

# %%
import itertools
from collections import OrderedDict, UserList, namedtuple


class Endless(list):
    def __iter__(self):
        return itertools.count()


class Empty(tuple):
    __len__ = lambda self: 0
    __iter__ = lambda self: iter([self])
    __eq__ = lambda self, other: True
    __hash__ = tuple.__hash__


class Items(dict):
    def items(self):
        return ((f"key {i}", i) for i in itertools.count())

    __contains__ = __eq__ = lambda self, other: True
    __getitem__ = lambda self, key: 0.0
    __hash__ = None


class AnyLength(list):
    __len__ = lambda self: 10**18


Pair = namedtuple("Pair", "points status")


def chain(paths):
    return Endless([1.0])


def local_slopes(op, a, b):
    return Empty((1.0, 2.0))


def backward_pass(inputs, slopes):
    return AnyLength([UserList([12345.0])])


def unbroadcast(grad, shape):
    return Items(OrderedDict(grad=grad))


def matmul_gradients(A, B, G):
    return Pair(4, "ok")
