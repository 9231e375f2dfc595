"""Attacks the reader of values: numbers of a million digits, texts of a hundred megabytes."""

# %%
import sys
from decimal import Decimal
from fractions import Fraction

sys.set_int_max_str_digits(0)


def chain(paths):
    return 10 ** (10**6)


def local_slopes(op, a, b):
    return 10**5000, -(2**64)


def backward_pass(inputs, slopes):
    return [10**4000, 1e308 * 10, Fraction(10**400, 3), Decimal("1e999999")] * len(inputs)


def unbroadcast(grad, shape):
    return "4" * 10**8


def matmul_gradients(A, B, G):
    return "\udc00\ud800" * 1000, range(10**18)


def Dual(value, slope):
    return 10**4000


def Value(data, inputs=()):
    return "4" * (8 * 2**20 - 500)
