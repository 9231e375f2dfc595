"""Right answers to chapter 03_autograd by other ways than the master: numpy, einsum, nudges."""

import math

import numpy as np
import torch


def chain(paths):
    return np.sum([np.prod(path) for path in paths])


def local_slopes(op, a, b):
    # Central differences, with a step small enough for four digits.
    def f(a, b):
        return {"+": a + b, "-": a - b, "*": a * b, "/": a / b, "**": a**b}[op]

    h = 1e-6
    return (f(a + h, b) - f(a - h, b)) / (2 * h), (f(a, b + h) - f(a, b - h)) / (2 * h)


def backward_pass(inputs, slopes):
    # Each node collects from those that use it, instead of handing on to those that it uses.
    users = [[] for _ in inputs]
    for i, (js, steps) in enumerate(zip(inputs, slopes, strict=True)):
        for j, step in zip(js, steps, strict=True):
            users[j].append((i, step))
    grads = np.zeros(len(inputs))
    grads[-1] = 1
    for j in range(len(inputs) - 2, -1, -1):
        grads[j] = sum(step * grads[i] for i, step in users[j])
    return grads


def unbroadcast(grad, shape):
    total = torch.zeros(shape, dtype=torch.float64)
    for index in np.ndindex(*grad.shape):
        here = index[grad.ndim - len(shape) :]
        own = tuple(i if n > 1 else 0 for i, n in zip(here, shape, strict=True))
        total[own] += grad[index]
    return total


def matmul_gradients(A, B, G):
    # The gradients' shapes say what to sum over: einsum drops the letters that are not asked for.
    a, b, g = (
        ("s" if M.ndim == 3 else "") + letters for M, letters in ((A, "ik"), (B, "kj"), (G, "ij"))
    )
    return torch.einsum(f"{g},{b}->{a}", G, B), torch.einsum(f"{a},{g}->{b}", A, G)


class Dual:
    """A dual number as the matrix [[value, slope], [0, value]]: matrix algebra has its rules."""

    def __init__(self, value, slope):
        self.matrix = np.array([[value, slope], [0.0, value]])

    value = property(lambda self: self.matrix[0, 0])
    slope = property(lambda self: self.matrix[0, 1])

    def _of(self, other):
        return other.matrix if isinstance(other, Dual) else other * np.eye(2)

    def _from(self, matrix):
        return Dual(*matrix[0])

    def __add__(self, other):
        return self._from(self.matrix + self._of(other))

    def __sub__(self, other):
        return self._from(self.matrix - self._of(other))

    def __rsub__(self, other):
        return self._from(self._of(other) - self.matrix)

    def __mul__(self, other):
        return self._from(self.matrix @ self._of(other))

    def __truediv__(self, other):
        return self._from(np.linalg.solve(self._of(other), self.matrix))

    def __rtruediv__(self, other):
        return self._from(np.linalg.solve(self.matrix, self._of(other)))

    __radd__, __rmul__ = __add__, __mul__

    def tanh(self):
        t = math.tanh(self.value)
        return Dual(t, self.slope / math.cosh(self.value) ** 2)


class Value:
    """An engine with one tape for all: (result, input, slope) in the order of the operations."""

    tape = []  # noqa: RUF012

    def __init__(self, data):
        self.data, self.grad = float(data), 0

    def _record(self, data, *pairs):
        result = Value(data)
        self.tape.extend((result, x, slope) for x, slope in pairs if isinstance(x, Value))
        return result

    def __add__(self, other):
        return self._record(self.data + number(other), (self, 1), (other, 1))

    def __sub__(self, other):
        return self._record(self.data - number(other), (self, 1), (other, -1))

    def __rsub__(self, other):
        return self._record(other - self.data, (self, -1))

    def __mul__(self, other):
        b = number(other)
        return self._record(self.data * b, (self, b), (other, self.data))

    def __truediv__(self, other):
        b = number(other)
        return self._record(self.data / b, (self, 1 / b), (other, -self.data / b / b))

    def __rtruediv__(self, other):
        return self._record(other / self.data, (self, -other / self.data / self.data))

    def __pow__(self, n):
        return self._record(self.data**n, (self, n * self.data ** (n - 1)))

    def tanh(self):
        return self._record(math.tanh(self.data), (self, math.cosh(self.data) ** -2))

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        self.grad = 1
        while self.tape:
            result, x, slope = self.tape.pop()
            x.grad += slope * result.grad


def number(x):
    return x.data if isinstance(x, Value) else x


def train_on_moons(X, y, W1, b1, w2, b2, lr, steps):
    # All points at once, in numpy, with the chain rule written out.
    X, y, W1, b1, w2, b2 = (t.double().numpy() for t in (X, y, W1, b1, w2, b2))
    for _ in range(steps):
        h = np.tanh(X @ W1.T + b1)
        error = 2 * (h @ w2 + b2 - y) / len(y)
        back = np.outer(error, w2) * (1 - h**2)
        W1, b1 = W1 - lr * back.T @ X, b1 - lr * back.sum(0)
        w2, b2 = w2 - lr * error @ h, b2 - lr * error.sum()
    return W1, b1, w2, b2
