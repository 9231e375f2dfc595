"""Backpropagation: a tape, a scalar engine and a tensor engine on it, forward mode, gradcheck.

Chapter: book/03_autograd. Sources: Wengert 1964 (forward mode), Linnainmaa 1976 (reverse mode),
Rumelhart, Hinton & Williams 1986 (for networks), Griewank & Walther 2008 (the book).
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .device import pick_device
from .plotting import graph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# ---- the rules: what an operation makes of its inputs, and its slope by each of them


def add(a: float, b: float) -> tuple[float, float, float]:
    """``a + b`` and its slopes 1 and 1."""
    return a + b, 1.0, 1.0


def sub(a: float, b: float) -> tuple[float, float, float]:
    """``a - b`` and its slopes 1 and -1."""
    return a - b, 1.0, -1.0


def mul(a: float, b: float) -> tuple[float, float, float]:
    """``a b`` and its slopes b and a."""
    return a * b, b, a


def div(a: float, b: float) -> tuple[float, float, float]:
    """``y = a / b`` and its slopes 1 / b and -a / b² = -y / b."""
    y = a / b
    return y, 1 / b, -y / b  # b² might underflow


def power(a: float, b: float) -> tuple[float, float, float]:
    """``aᵇ`` and its slopes b aᵇ⁻¹ and aᵇ log a (NaN for a < 0, where it has none)."""
    if a < 0 and not b.is_integer():
        raise ValueError(f"{a} to the power of {b} is no real number; the base must be >= 0")
    y = a**b
    if a == 0:  # the slope of a⁰·⁵ is infinite there
        return y, math.inf if 0 < b < 1 else float(b == 1), 0.0
    return y, b * a ** (b - 1), y * math.log(a) if a > 0 else math.nan


def exp(a: float) -> tuple[float, float]:
    """``exp(a)``, which is its own slope."""
    y = math.exp(a)
    return y, y


def log(a: float) -> tuple[float, float]:
    """``log(a)`` and its slope 1 / a."""
    if a <= 0:
        raise ValueError(f"log needs a number above 0, got {a}")
    return math.log(a), 1 / a


def tanh(a: float) -> tuple[float, float]:
    """``tanh(a)`` and its slope 1 - tanh²(a)."""
    y = math.tanh(a)
    return y, 1 - y * y


def relu(a: float) -> tuple[float, float]:
    """``max(a, 0)`` and its slope 1 or 0; at the kink 0, as torch has it. NaN stays NaN."""
    return (0.0, 0.0) if a <= 0 else (a, 1.0)


def sigmoid(a: float) -> tuple[float, float]:
    """``σ(a) = 1 / (1 + exp(-a))`` and its slope σ(a) σ(-a), without overflow."""
    e = math.exp(-abs(a))
    y = (1.0 if a >= 0 else e) / (1 + e)
    return y, e / (1 + e) ** 2


RULES = {
    "+": add, "−": sub, "×": mul, "÷": div, "^": power,
    "exp": exp, "log": log, "tanh": tanh, "relu": relu, "sigmoid": sigmoid,
}  # fmt: skip


class _Arithmetic:
    """Operators and functions, each handed on as ``_apply(name, inputs...)``."""

    __slots__ = ()

    def __add__(self, other):
        return self._apply("+", self, other)

    def __radd__(self, other):
        return self._apply("+", other, self)

    def __sub__(self, other):
        return self._apply("−", self, other)

    def __rsub__(self, other):
        return self._apply("−", other, self)

    def __mul__(self, other):
        return self._apply("×", self, other)

    def __rmul__(self, other):
        return self._apply("×", other, self)

    def __truediv__(self, other):
        return self._apply("÷", self, other)

    def __rtruediv__(self, other):
        return self._apply("÷", other, self)

    def __pow__(self, other):
        return self._apply("^", self, other)

    def __rpow__(self, other):
        return self._apply("^", other, self)

    def __neg__(self):
        return self._apply("−", 0.0, self)

    def exp(self):
        """``exp(x)``."""
        return self._apply("exp", self)

    def log(self):
        """``log(x)``, for x > 0."""
        return self._apply("log", self)

    def tanh(self):
        """``tanh(x)``."""
        return self._apply("tanh", self)

    def relu(self):
        """``max(x, 0)``."""
        return self._apply("relu", self)

    def sigmoid(self):
        """``1 / (1 + exp(-x))``."""
        return self._apply("sigmoid", self)


def _one_number(x: Any, kind: str) -> float:
    if not isinstance(x, int | float):
        raise TypeError(
            f"a {kind} holds one number, got {x!r}; .item() makes one, Array holds many"
        )
    return float(x)


_ABSENT = object()  # in place of b where an operation takes one input


# ---- the tape


class Tape:
    """The operations done so far, in the order in which they were done."""

    def __init__(self) -> None:
        self.nodes: list[Value | Array] = []
        self.on = True

    def walk(self, root: Value | Array, seed: Any, keep: bool) -> Iterator[Value | Array]:
        """Go back from the end of the tape; yield each node once it has handed its gradient on.

        An operation stands behind its inputs, so a gradient is complete when its turn comes.

        Args:
            root: where gradients start.
            seed: the gradient of ``root`` by itself.
            keep: True to leave the nodes on the tape.

        Raises:
            RuntimeError: when nothing leads to the root, or it is no longer on the tape.
        """
        _check_on_tape(root)
        for node in self.nodes:
            node.grad = node.nothing  # leaves are not on the tape: theirs accumulate
        root.grad = seed
        nodes = self.nodes
        if not keep:
            self.nodes = []
        try:
            for node in reversed(nodes):
                node._hand_on()
                yield node
        finally:
            if not keep:
                for node in nodes:
                    node.spent = True


tape = Tape()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: nothing is put on the tape, no gradient passes through.

    Example:
        >>> w = Value(2.0)
        >>> with no_grad():
        ...     y = 3 * w
        >>> y.inputs
        ()
    """
    before, tape.on = tape.on, False
    try:
        yield
    finally:
        tape.on = before


def zero_grad(leaves: Iterable[Value | Array]) -> None:
    """Forget the gradients that leaves have accumulated.

    Args:
        leaves: weights and inputs, :class:`Value` or :class:`Array`.
    """
    if isinstance(leaves, Array):  # it would run through its rows
        raise TypeError("zero_grad takes a list of leaves; write zero_grad([w]) for one")
    for leaf in leaves:
        leaf.grad = leaf.nothing


def _check_on_tape(node: Value | Array, what: str = "") -> None:
    kind = what or f"this {type(node).__name__}"
    if node.spent:
        raise RuntimeError(
            f"{kind} was computed before an earlier backward(), which has emptied the tape; "
            "compute it anew, or call backward(keep=True) the earlier time"
        )
    if not node.inputs:
        raise RuntimeError(
            f"nothing leads to {kind}: it is a leaf, or it was computed under no_grad(); "
            "call backward() on the result of recorded operations"
        )


# ---- the scalar engine


class Value(_Arithmetic):
    """One number that remembers where it came from, so that backward() can find all slopes.

    ``+ - * / **`` with numbers or Values; exp, log, tanh, relu, sigmoid. Each result stands on the
    tape until backward() is called; compute under :func:`no_grad` what needs no slopes.

    Args:
        data: the number.

    Raises:
        TypeError: when ``data`` is not one number.

    Example:
        >>> a, b = Value(2.0), Value(3.0)
        >>> (a * b + a).backward()
        >>> a.grad, b.grad
        (4.0, 2.0)
    """

    __slots__ = ("a", "b", "by_a", "by_b", "data", "grad", "op", "spent")
    nothing = 0.0  # what grad is before anything has arrived

    def __init__(self, data: float) -> None:
        self.data, self.grad = _one_number(data, "Value"), 0.0
        self.op, self.a, self.b, self.spent = "", None, None, False

    def _apply(self, op: str, a: Any, b: Any = _ABSENT) -> Value:
        out = Value.__new__(Value)
        out.grad, out.op, out.spent = 0.0, op, False
        out.a = a = a if isinstance(a, Value) else Value(a)
        if b is _ABSENT:
            out.b = None
            out.data, out.by_a = RULES[op](a.data)
        else:
            out.b = b = b if isinstance(b, Value) else Value(b)
            out.data, out.by_a, out.by_b = RULES[op](a.data, b.data)
        if tape.on:
            tape.nodes.append(out)
        else:
            out.a = out.b = None
        return out

    def _hand_on(self) -> None:
        g = self.grad
        if not g:
            return  # nothing depends on it, or with slope 0: then 0 · inf counts as 0
        a, b = self.a, self.b
        if a.spent or (b is not None and b.spent):
            _check_on_tape(a if a.spent else b, f"an input of {self.op}")
        a.grad += g * self.by_a
        if b is not None:
            b.grad += g * self.by_b

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What it was computed from; nothing for a leaf."""
        return tuple(x for x in (self.a, self.b) if x is not None)

    def steps(self, keep: bool = False) -> Iterator[Value | Array]:
        """backward() step by step, to be run to its end: yields each node that has handed on."""
        return tape.walk(self, 1.0, keep)

    def backward(self, keep: bool = False) -> None:
        """Add to the ``grad`` of every leaf that led here the slope of this Value by it.

        Args:
            keep: True to keep the tape, so that backward() can be called again.

        Raises:
            RuntimeError: when nothing leads here, or the tape was emptied since.
        """
        for _ in self.steps(keep):
            pass

    def __repr__(self) -> str:
        return f"Value(data={self.data:.4g}, grad={self.grad:.4g})"


# ---- forward mode


class Dual(_Arithmetic):
    """A number and its slope by one chosen input, carried along together.

    Args:
        value: the number.
        slope: 1 for the input to differentiate by, 0 for all others.

    Raises:
        TypeError: when one of the two is not one number.

    Example:
        >>> x = Dual(3.0, 1.0)
        >>> (x * x + 2 * x).slope
        8.0

    Source: Wengert 1964.
    """

    __slots__ = ("slope", "value")

    def __init__(self, value: float, slope: float = 0.0) -> None:
        self.value, self.slope = _one_number(value, "Dual"), _one_number(slope, "Dual")

    def _apply(self, op: str, a: Any, b: Any = _ABSENT) -> Dual:
        out = Dual.__new__(Dual)
        a = a if isinstance(a, Dual) else Dual(a)
        if b is _ABSENT:
            out.value, by_a = RULES[op](a.value)
            out.slope = by_a * a.slope
        else:
            b = b if isinstance(b, Dual) else Dual(b)
            out.value, by_a, by_b = RULES[op](a.value, b.value)
            # a constant has no say, though the slope by it be NaN
            out.slope = (by_a * a.slope if a.slope else 0.0) + (by_b * b.slope if b.slope else 0.0)
        return out

    def __repr__(self) -> str:
        return f"Dual(value={self.value:.4g}, slope={self.slope:.4g})"


def reverse_gradient(f: Callable[[list], Value], x: Sequence[float]) -> list[float]:
    """The gradient of ``f`` by reverse mode: one pass forward, one back; it empties the tape.

    Args:
        f: maps a list of :class:`Value` to a Value.
        x: where, D numbers.

    Returns:
        D slopes.
    """
    inputs = [Value(v) for v in x]
    (f(inputs) * 1.0).backward()  # a step at least, should f return an input
    return [v.grad for v in inputs]


def forward_gradient(f: Callable[[list], Dual], x: Sequence[float]) -> list[float]:
    """The gradient of ``f`` by forward mode: one pass for each of the D inputs.

    Args:
        f: maps a list of :class:`Dual` to a Dual.
        x: where, D numbers.

    Returns:
        D slopes.
    """
    return [f([Dual(v, float(i == d)) for i, v in enumerate(x)]).slope for d in range(len(x))]


# ---- the tensor engine: its rules give the result and, for each input, what pulls the gradient
# back to it and the tensors that this will look at again


def _add(a, b):
    return a + b, (_same,), (_same,)


def _sub(a, b):
    return a - b, (_same,), (torch.neg,)


def _mul(a, b):
    return a * b, (lambda g: g * b, b), (lambda g: g * a, a)


def _div(a, b):
    y = a / b
    return y, (lambda g: g / b, b), (lambda g: -g * (y / b), y, b)


def _power(a, b):
    y = a**b
    a, b = (torch.as_tensor(x, dtype=y.dtype, device=y.device) for x in (a, b))
    by_a = lambda g: g * torch.where(b == 0, 0, b * a ** (b - 1))
    by_b = lambda g: g * torch.where(a == 0, 0, a**b * a.log())
    return y, (by_a, a, b), (by_b, a, b)


def _matmul(a, b):
    if not all(isinstance(x, Tensor) and x.ndim for x in (a, b)):
        raise TypeError("@ needs tensors of one axis or more; numbers are multiplied by *")
    A = a if a.ndim > 1 else a[None, :]  # (..., N, D)
    B = b if b.ndim > 1 else b[:, None]  # (..., D, K)
    Y = A @ B  # (..., N, K)
    by_a = lambda g: unbroadcast(g.reshape(Y.shape) @ B.mT, A.shape).reshape(a.shape)
    by_b = lambda g: unbroadcast(A.mT @ g.reshape(Y.shape), B.shape).reshape(b.shape)
    y = Y if a.ndim > 1 else Y[..., 0, :]
    return y if b.ndim > 1 else y[..., 0], (by_a, b), (by_b, a)


def _exp(a):
    y = a.exp()
    return y, (lambda g: g * y, y)


def _log(a):
    return a.log(), (lambda g: g / a, a)


def _tanh(a):
    y = a.tanh()
    return y, (lambda g: g * (1 - y * y), y)


def _relu(a):
    return a.relu(), (lambda g: g * ~(a <= 0), a)  # NaN stays NaN


def _sigmoid(a):
    y = a.sigmoid()
    return y, (lambda g: g * y * (1 - y), y)


def _same(g: Tensor) -> Tensor:
    return g


PULLS = {
    "+": _add, "−": _sub, "×": _mul, "÷": _div, "^": _power, "@": _matmul,
    "exp": _exp, "log": _log, "tanh": _tanh, "relu": _relu, "sigmoid": _sigmoid,
}  # fmt: skip


def unbroadcast(grad: Tensor, shape: Sequence[int]) -> Tensor:
    """Sum a gradient over the axes along which its input was repeated.

    Broadcasting reads one number many times; the chain rule adds up what comes back.

    Args:
        grad: gradient of the result, of a shape that ``shape`` broadcasts to.
        shape: of the input.

    Returns:
        The gradient of the input, of shape ``shape``.

    Example:
        >>> unbroadcast(torch.ones(3, 2), (1, 2))
        tensor([[3., 3.]])
    """
    if grad.shape == tuple(shape):
        return grad
    added = range(grad.ndim - len(shape))  # axes that broadcasting put on the left
    stretched = [len(added) + d for d, n in enumerate(shape) if n == 1]
    return grad.sum([*added, *stretched]).reshape(shape)


class Array(_Arithmetic):
    """A tensor that remembers where it came from: the engine of Value, whole tensors at a time.

    ``data`` and ``grad`` are torch tensors; a ``grad`` of None means that nothing has arrived.
    Numbers, lists, numpy arrays and torch tensors may take part in an operation, as constants. A
    change in place of what a gradient needs is found at backward(), unless it is made by numpy.

    Args:
        data: numbers, nested lists or a tensor, whose memory is shared; whole numbers become
            floating-point ones.
        dtype: a floating-point dtype; by default that of ``data``.
        device: None leaves a tensor where it is and puts numbers on the GPU if there is one.

    Raises:
        TypeError: when ``data`` cannot be read as real numbers.

    Example:
        >>> W = Array([[1.0, 2.0], [3.0, 4.0]], device="cpu")
        >>> (W @ torch.ones(2)).sum().backward()
        >>> W.grad
        tensor([[1., 1.],
                [1., 1.]])
    """

    __slots__ = ("data", "grad", "inputs", "op", "pulls", "saved", "spent")
    __array_ufunc__ = None  # numpy on the left hands the operation over to us
    nothing = None  # what grad is before anything has arrived

    def __init__(self, data: Any, dtype: torch.dtype | None = None, device=None) -> None:
        self.data = _floating(data, dtype, device)
        self.grad, self.op, self.inputs, self.spent = None, "", (), False

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented  # a torch tensor on the left does so too

    def _apply(self, op: str, *inputs: Any) -> Array:
        y, *pulls = PULLS[op](*[self._read(x) for x in inputs])
        return _recorded(y, op, inputs, *pulls)

    def _read(self, x: Any) -> Tensor | float:
        """What an input holds; constants that are not torch's take our dtype and device."""
        if isinstance(x, Array):
            return x.data
        if isinstance(x, Tensor):
            return x.detach()
        return x if isinstance(x, int | float) else _floating(x, self.data.dtype, self.data.device)

    def _hand_on(self) -> None:
        if self.grad is None:
            return  # nothing depends on it
        for tensor, version in self.saved:
            if tensor._version != version:
                raise RuntimeError(
                    f"a tensor of shape {tuple(tensor.shape)} that {self.op} needs for its "
                    "gradient was changed in place after the operation; write x.data = x.data + 1 "
                    "instead of x.data += 1, or change it after backward()"
                )
        for x, pull in zip(self.inputs, self.pulls, strict=True):
            if x.spent:
                _check_on_tape(x, f"an input of {self.op}")
            g = unbroadcast(pull(self.grad), x.shape).to(x.data.dtype)
            if x.grad is not None:
                x.grad = x.grad + g
            else:  # a leaf gets memory of its own, which may be changed in place
                x.grad = g if x.inputs else g.clone()

    def steps(self, keep: bool = False) -> Iterator[Value | Array]:
        """backward() step by step: yields each node once it has handed its gradient on."""
        if self.data.numel() != 1:
            raise ValueError(
                f"backward() starts from one number, got shape {tuple(self.shape)}; "
                "call .sum() or .mean() first"
            )
        return tape.walk(self, torch.ones_like(self.data), keep)

    backward = Value.backward

    @property
    def shape(self) -> torch.Size:
        """Lengths of the axes."""
        return self.data.shape

    def item(self) -> float:
        """The only number that it holds."""
        return self.data.item()

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Array({self.data})"

    def __matmul__(self, other):
        return self._apply("@", self, other)

    def __rmatmul__(self, other):
        return self._apply("@", other, self)

    def __getitem__(self, index: Any) -> Array:
        a = self.data
        places = torch.arange(a.numel(), device=a.device).reshape(a.shape)[index]

        def pull(g: Tensor) -> Tensor:
            zeros = torch.zeros(a.numel(), dtype=g.dtype, device=g.device)
            return zeros.index_add(0, places.flatten(), g.flatten()).reshape(a.shape)

        return _recorded(a[index], "[ ]", (self,), (pull,))

    def sum(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Array:
        """The sum over one axis, several, or all."""
        a, y = self.data, self.data.sum(dim, keepdim=True)
        pull = lambda g: g.reshape(y.shape).expand(a.shape)
        return _recorded(y if keepdim else _squeezed(y, dim), "sum", (self,), (pull,))

    def mean(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Array:
        """The mean over one axis, several, or all."""
        a, y = self.data, self.data.mean(dim, keepdim=True)
        count = a.numel() // max(y.numel(), 1)
        pull = lambda g: (g / count).reshape(y.shape).expand(a.shape)
        return _recorded(y if keepdim else _squeezed(y, dim), "mean", (self,), (pull,))

    def max(self, dim: int | tuple[int, ...] | None = None, keepdim: bool = False) -> Array:
        """The largest entry over one axis, several, or all; those that tie share the gradient."""
        a, y = self.data, self.data.amax(() if dim is None else dim, keepdim=True)

        def pull(g: Tensor) -> Tensor:
            largest = (a == y).to(a.dtype)
            return largest / largest.sum(dim, keepdim=True) * g.reshape(y.shape)

        return _recorded(y if keepdim else _squeezed(y, dim), "max", (self,), (pull, a, y))

    def reshape(self, *shape: int) -> Array:
        """The same entries, in the same order, in another shape."""
        pull = lambda g: g.reshape(self.shape)
        return _recorded(self.data.reshape(*shape), "reshape", (self,), (pull,))

    def transpose(self, dim0: int, dim1: int) -> Array:
        """Swap two axes."""
        pull = lambda g: g.transpose(dim0, dim1)
        return _recorded(self.data.transpose(dim0, dim1), "transpose", (self,), (pull,))


def concatenate(arrays: Sequence[Array | Tensor], dim: int = 0) -> Array:
    """Join arrays along an axis; the gradient is cut at the seams.

    Args:
        arrays: alike but for the length of axis ``dim``; tensors count as constants.
        dim: the axis.

    Returns:
        An :class:`Array`.
    """
    data = [x.data for x in arrays]
    ends = list(itertools.accumulate(x.shape[dim] for x in data))
    pulls = [
        (lambda g, x=x, n=x.shape[dim], end=end: g.narrow(dim, end - n, n).reshape(x.shape),)
        for x, end in zip(data, ends, strict=True)
    ]
    return _recorded(torch.cat(data, dim), "concatenate", tuple(arrays), *pulls)


def softmax_cross_entropy(logits: Array, labels: Tensor) -> Array:
    """``mean(log Σₖ exp(zₖ) - z_label)``: the mean of minus the log of each label's probability.

    Args:
        logits: z, shape (B, K).
        labels: classes from 0 to K - 1, whole numbers, shape (B,).

    Returns:
        The loss in nats, shape (). Its gradient is ``(softmax(z) - one_hot(label)) / B``.

    Raises:
        ValueError: when the shapes do not fit or a label is not one of the K classes.
    """
    z = logits.data
    if z.ndim != 2 or labels.shape != z.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"expected logits (B, K) and whole numbers (B,), got {tuple(z.shape)} and "
            f"{labels.dtype} of shape {tuple(labels.shape)}"
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < z.shape[1]):
        raise ValueError(
            f"labels must lie from 0 to {z.shape[1] - 1}, got {int(labels.min())} to "
            f"{int(labels.max())}"
        )
    labels = labels.long()  # an index of booleans or bytes would be taken for a mask
    log_p = z - z.logsumexp(1, keepdim=True)  # (B, K)
    rows = torch.arange(len(labels), device=z.device)

    def pull(g: Tensor) -> Tensor:
        p = log_p.exp()
        p[rows, labels] -= 1
        return g * p / len(labels)

    loss = -log_p[rows, labels].mean()
    return _recorded(loss, "cross-entropy", (logits,), (pull, log_p, labels))


def _recorded(data: Tensor, op: str, inputs: Sequence[Any], *pulls: tuple) -> Array:
    """The result of an operation, put on the tape with what its gradient will need."""
    out = Array.__new__(Array)
    out.data, out.grad, out.op, out.spent = data, None, op, False
    edges = [(x, *p) for x, p in zip(inputs, pulls, strict=True) if isinstance(x, Array)]
    edges = edges if tape.on else []
    out.inputs = tuple(x for x, *_ in edges)
    out.pulls = [pull for _, pull, *_ in edges]
    out.saved = [(t, t._version) for _, _, *ts in edges for t in ts if isinstance(t, Tensor)]
    if tape.on:
        tape.nodes.append(out)
    return out


def _floating(data: Any, dtype: torch.dtype | None, device: Any) -> Tensor:
    if isinstance(data, Array):
        raise TypeError("this is an Array already; use its .data")
    try:
        x = data.detach() if isinstance(data, Tensor) else torch.as_tensor(data, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"an Array holds numbers, got {data!r}") from error
    if x.is_complex():
        raise TypeError(f"an Array holds real numbers, got {x.dtype}")
    if dtype is None:
        dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating-point one, got {dtype}")
    stays = device is None and isinstance(data, Tensor)
    return x.to(x.device if stays else pick_device(device), dtype)


def _squeezed(y: Tensor, dim: int | tuple[int, ...] | None) -> Tensor:
    """Without the axes that were summed over; neither None nor () leaves any."""
    return y.reshape(()) if dim is None or dim == () else y.squeeze(dim)


# ---- looking at it


def gradcheck(
    f: Callable[..., Value | Array],
    *inputs: float | Tensor,
    h: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-7,
) -> float:
    """Hold the gradients of ``f`` against central differences ``(f(x + h) - f(x - h)) / 2h``.

    It computes in float64. A result with many entries is weighted and summed, so that each counts.
    Near a kink (ReLU at 0) the two may differ rightly. Like backward(), it empties the tape.

    Args:
        f: takes as many :class:`Value` as there are inputs, or :class:`Array` where one of them is
            a tensor, and returns one.
        inputs: numbers and tensors; where to check.
        h: step, for entries beyond 1 relative to their size.
        rtol: relative tolerance.
        atol: absolute tolerance.

    Returns:
        The largest difference found.

    Raises:
        AssertionError: when a gradient differs; it names the input, the index and both numbers.

    Example:
        >>> gradcheck(lambda a, b: (a * b).tanh() / b, 0.5, 2.0) < 1e-8
        True
    """
    tensors = [torch.as_tensor(x, dtype=torch.float64) for x in inputs]
    kind = Array if any(isinstance(x, Tensor) for x in inputs) else lambda x: Value(x.item())
    nodes = [kind(x) for x in tensors]
    _weighted(f(*nodes)).backward()
    worst = 0.0
    for i, (x, node) in enumerate(zip(tensors, nodes, strict=True)):
        grad = (
            torch.zeros_like(x) if node.grad is None else torch.as_tensor(node.grad, dtype=x.dtype)
        )
        for k in range(x.numel()):
            said, step = grad.flatten()[k].item(), h * max(1.0, abs(x.flatten()[k].item()))
            slope = _central_difference(f, kind, tensors, i, k, step)
            if not abs(said - slope) <= atol + rtol * max(abs(said), abs(slope)):
                at = tuple(torch.unravel_index(torch.tensor(k), x.shape)) if x.ndim else ()
                raise AssertionError(
                    f"the gradient by {_input(f, i)}{_index(at)} is wrong: backward() says "
                    f"{said:.6g}, central differences say {slope:.6g} (h = {step:g})"
                )
            worst = max(worst, abs(said - slope))
    return worst


def _central_difference(f, kind, tensors: list[Tensor], i: int, k: int, h: float) -> float:
    """The slope of the weighted result by entry k of input i."""
    ends = []
    for step in (h, -h):
        moved = [x.clone(memory_format=torch.contiguous_format) for x in tensors]
        moved[i].view(-1)[k] += step
        with no_grad():
            ends.append(_weighted(f(*map(kind, moved))).data)
    return float(ends[0] - ends[1]) / (2 * h)


def _input(f: Callable, i: int) -> str:
    names = list(inspect.signature(f).parameters)
    return f"input {i} `{names[i]}`" if i < len(names) else f"input {i}"


def _index(at: tuple[Tensor, ...]) -> str:
    return f" at index [{', '.join(str(int(j)) for j in at)}]" if at else ""


def _weighted(y: Value | Array) -> Value | Array:
    """One number in which each entry has a weight of its own: a plain sum hides errors."""
    if isinstance(y, Value):
        return y * 1.0  # on the tape, even where f returns its input
    if not isinstance(y, Array):
        raise TypeError(f"f must return a Value or an Array, got {y!r}")
    n = y.data.numel()
    weights = torch.linspace(0.5, 1.5, n, dtype=y.data.dtype, device=y.data.device)
    return (y.reshape(n) * weights).sum()


def draw(
    root: Value | Array,
    names: dict[str, Value | Array] | None = None,
    label: Callable[[Any], str] | None = None,
    mark: Value | Array | None = None,
) -> Figure:
    """Draw the graph that leads to a node, inputs on top: each with its data and its gradient.

    Args:
        root: the result.
        names: what to call which node; others are called by their operation.
        label: the text below a node's name; by default its data and gradient, or its shape.
        mark: a node to draw in colour.

    Returns:
        A matplotlib figure, for ``plotting.show``.

    Raises:
        ValueError: for a graph of more than 40 nodes, which nobody could read.

    Example:
        >>> a = Value(2.0)
        >>> len(draw(a * a + 1, {"a": a}).axes)
        1
    """
    called = {id(node): name for name, node in (names or {}).items()}
    nodes, todo = {id(root): root}, [root]
    while todo:
        for x in todo.pop().inputs:
            if id(x) not in nodes:
                nodes[id(x)] = x
                todo.append(x)
        if len(nodes) > 40:
            raise ValueError("a graph of more than 40 nodes cannot be read; draw a part of it")
    edges = [(id(x), id(node)) for node in nodes.values() for x in node.inputs]
    texts = {key: _text(node, called.get(key), label or _two_lines) for key, node in nodes.items()}
    return graph(texts, edges, mark=id(mark))


def _text(node: Value | Array, name: str | None, label: Callable) -> str:
    if not name and not node.inputs and isinstance(node, Value):
        return f"{node.data:g}"  # a constant
    head = f"{name} = {node.op}" if name and node.op else name or node.op
    return f"{head}\n{label(node)}".strip()


def _two_lines(node: Value | Array) -> str:
    if isinstance(node, Array):
        return str(tuple(node.shape))
    return f"data {node.data:.3g}\ngrad {node.grad:.3g}"
