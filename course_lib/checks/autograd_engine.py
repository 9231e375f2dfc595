"""The last exercises of chapter 03_autograd: two classes and a network trained with one of them.

The statements and the solutions stand in solutions/03_autograd.md. The classes are judged by what
short programs compute with them: any design passes that gets the numbers right.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ..data import moons
from .draws import normal, uniform
from .exercise import Exercise, Mistake, Test, numbers, parts
from .probes import program, program_in_steps
from .values import difference, show

ALONG_EVERY_PATH = (
    "your walk goes along every path, and paths double at each node; go back over the nodes, each "
    "once, and hand on its whole gradient"
)

# ---- programs, and classes to run them with

SIZES = torch.tensor([0.3, 0.4, 0.6, 0.7, 0.8, 1.2, 1.4, 1.5, 1.7])  # no two alike, none 1


def _draw(g: Generator, count: int) -> list[str]:
    """Numbers of one decimal and of different sizes, as Python reads them."""
    sizes = SIZES[torch.randperm(len(SIZES), generator=g)[:count]]
    signs = 2 * torch.randint(0, 2, (count,), generator=g) - 1
    return [f"{x:.1f}" for x in (sizes * signs).tolist()]


def _cases(name: str, arguments: int, *lines: str, results: str = "") -> Callable:
    """A program for each line: it makes those of a, b and c that the line names, of drawn numbers.

    Without ``results`` these are the gradients of what it makes.
    """

    def cases(g: Generator) -> list[tuple]:
        drawn = _draw(g, 3 * arguments)
        made = {x: f"{x} = {name}({', '.join(drawn[i::3])})" for i, x in enumerate("abc")}
        programs = []
        for line in lines:
            used = [x for x in made if re.search(rf"\b{x}\b", line)]
            code = "; ".join([*(made[x] for x in used), line])
            programs.append((name, code, results or ", ".join(f"{x}.grad" for x in used)))
        return programs

    return cases


Ran = partial(Test, probe=program)
RIGHT = ("y = a + 2", "y = a - 2", "y = a * 3", "y = a / 4")
LEFT = ("y = 2 + a", "y = 2 - a", "y = 3 * a", "y = 4 / a")


def _operator(rule: str, reflected: bool = False) -> Callable:
    if reflected:
        return lambda self, other: self._apply(rule, other, self)
    return lambda self, *other: self._apply(rule, self, *other)


class _Number:
    """A number with operators; a mistake replaces a rule or a method."""

    rules: ClassVar[dict[str, Callable]]

    __add__, __radd__ = _operator("add"), _operator("add", reflected=True)
    __sub__, __rsub__ = _operator("sub"), _operator("sub", reflected=True)
    __mul__, __rmul__ = _operator("mul"), _operator("mul", reflected=True)
    __truediv__, __rtruediv__ = _operator("div"), _operator("div", reflected=True)
    __pow__ = _operator("pow")
    tanh = _operator("tanh")


# As many write them: a difference by a product, as here, and a quotient by a power.
DIFFERENCES: dict[str, Callable] = {
    "__sub__": lambda self, other: self + -1 * other,
    "__rsub__": lambda self, other: other + -1 * self,
}


def _with(base: type, methods: dict[str, Any] | None = None, **rules: Callable) -> type:
    """The class with other rules and methods, under the name that the learner's class has."""
    return type(base.__name__.strip("_"), (base,), {"rules": base.rules | rules, **(methods or {})})


def _not_mine(self: _Number, other: object) -> object:
    return NotImplemented


REFLECTED = ("__radd__", "__rsub__", "__rmul__", "__rtruediv__")
FROM_THE_RIGHT = {"__rsub__": _operator("sub"), "__rtruediv__": _operator("div")}


def _with_numbers(base: type, own_kind_only: Callable) -> list[Mistake]:
    """What goes wrong between an object of a class and a plain number."""
    return [
        Mistake(
            "knows no numbers on the left",
            _with(base, dict.fromkeys(REFLECTED, _not_mine)),
            "a * 3 works but 3 * a does not: Python asks the number first, then your class for "
            "__radd__, __rsub__, __rmul__ and __rtruediv__; write these too",
        ),
        Mistake(
            "knows no numbers",
            _with(base, {"_apply": own_kind_only}),
            "your operators look for an attribute that a plain number does not have; make an "
            "object of your class of it first",
        ),
        Mistake(
            "takes 2 - a for a - 2",
            _with(base, {"__rsub__": FROM_THE_RIGHT["__rsub__"]}),
            "your 2 - a gives a - 2: in __rsub__(self, other) the other one stands on the left, "
            "so it is other - self",
        ),
        Mistake(
            "takes 4 / a for a / 4",
            _with(base, {"__rtruediv__": FROM_THE_RIGHT["__rtruediv__"]}),
            "your 4 / a gives a / 4: in __rtruediv__(self, other) the other one stands on the "
            "left, so it is other / self",
        ),
        Mistake(
            "takes both for the other way round",
            _with(base, FROM_THE_RIGHT),
            "your 2 - a gives a - 2 and your 4 / a gives a / 4: in a reflected method the other "
            "one stands on the left, so the order matters",
        ),
    ]


# 3.6 Dual


_dual = partial(_cases, "Dual", 2, results="y.value, y.slope")


def _seeded(g: Generator) -> list[tuple]:
    """A derivative by one variable at a time: the slope 1 goes in at one place."""
    a, b, c = _draw(g, 3)
    line = "y = (a * a - 3 * b) / (c * c + 2) + (b * c).tanh()"
    at = [f"a = Dual({a}, {i}); b = Dual({b}, {j}); c = Dual({c}, {k})" for i, j, k in SEEDS]
    return [("Dual", f"{inputs}; {line}", "y.value, y.slope") for inputs in at]


SEEDS = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


class _Dual(_Number):
    """Forward mode; a rule maps values and slopes to a value and a slope."""

    rules: ClassVar = {
        "add": lambda a, da, b, db: (a + b, da + db),
        "sub": lambda a, da, b, db: (a - b, da - db),
        "mul": lambda a, da, b, db: (a * b, da * b + a * db),
        "div": lambda a, da, b, db: (a / b, (da * b - a * db) / b**2),
        "tanh": lambda a, da: (math.tanh(a), (1 - math.tanh(a) ** 2) * da),
    }
    constant = 0.0  # the slope of a plain number

    def __init__(self, value: float, slope: float) -> None:
        self.value, self.slope = value, slope

    def _apply(self, rule: str, *operands: _Dual | float) -> _Dual:
        pairs = (
            (x.value, x.slope) if isinstance(x, _Dual) else (x, self.constant) for x in operands
        )
        return type(self)(*self.rules[rule](*itertools.chain(*pairs)))


def _duals_only(self: _Number, rule: str, *operands: _Dual) -> _Dual:
    return type(self)(*self.rules[rule](*itertools.chain(*((x.value, x.slope) for x in operands))))


def _in_place(*rules: str) -> type:
    """A Dual whose operators write these results into their left operand."""

    def apply(self: _Dual, rule: str, *operands: _Dual | float) -> _Dual:
        result = _Dual._apply(self, rule, *operands)
        if rule not in rules:
            return result
        self.value, self.slope = result.value, result.slope
        return self

    return _with(_Dual, {"_apply": apply})


def _formulas(g: Generator) -> list[tuple]:
    """Programs that use a number again after it was an operand, and a long one."""
    again = [f"y = (a {sign} b) * a" for sign in "+-*/"]
    return [*_dual(*again)(g), *_seeded(g)]


STEP = torch.zeros((), dtype=torch.float64, requires_grad=True)


class _Line(Tensor):
    """``value + slope · t`` and what is computed from it: torch finds the slope by t, at t = 0."""

    value = property(lambda self: self.item())

    @property
    def slope(self) -> float:
        return torch.autograd.grad(self, STEP, retain_graph=True)[0].item()


def _line(value: float, slope: float) -> _Line:
    return (value + slope * STEP).as_subclass(_Line)


DUAL = Exercise(
    number="3.6",
    title="A number and its slope",
    name="Dual",
    apart=True,
    difficulty=3,
    minutes=25,
    reference=_line,
    tests=[
        Ran("adds and subtracts", _dual("y = a + b", "y = a - b")),
        Ran("multiplies, with the product rule", _dual("y = a * b", "y = a * a")),
        Ran("divides, with the quotient rule", _dual("y = a / b")),
        Ran("has a tanh, with the chain rule", _dual("y = a.tanh()")),
        Ran("takes a number on the right", _dual(*RIGHT)),
        Ran("takes a number on the left", _dual(*LEFT)),
        Ran("differentiates a whole formula", _formulas, 2),
    ],
    mistakes=[
        Mistake(
            "multiplies the slopes",
            _with(_Dual, mul=lambda a, da, b, db: (a * b, da * db)),
            "the slope of your product is the product of the slopes; by the product rule it is "
            "a' b + a b', each slope times the other's value",
        ),
        Mistake(
            "adds the slopes of a product",
            _with(_Dual, mul=lambda a, da, b, db: (a * b, da + db)),
            "you added the slopes of a product as those of a sum; by the product rule each slope "
            "is multiplied by the other's value first: a' b + a b'",
        ),
        Mistake(
            "lets only the first factor move",
            _with(_Dual, mul=lambda a, da, b, db: (a * b, da * b)),
            "the slope of your product is a' b, as if b stood still; b moves too: a' b + a b'",
        ),
        Mistake(
            "multiplies each slope by its own value",
            _with(_Dual, mul=lambda a, da, b, db: (a * b, a * da + b * db)),
            "in your product each slope is multiplied by its own value; the product rule takes "
            "the other's: a' b + a b'",
        ),
        Mistake(
            "divides the slopes",
            _with(_Dual, div=lambda a, da, b, db: (a / b, da / db if db else 0.0)),
            "the slope of your quotient is the quotient of the slopes; "
            "the quotient rule says (a' b - a b') / b²",
        ),
        Mistake(
            "adds in the quotient rule",
            _with(_Dual, div=lambda a, da, b, db: (a / b, (da * b + a * db) / b**2)),
            "your quotient has a plus where the rule has a minus: (a' b - a b') / b², because "
            "1 / b falls when b grows",
        ),
        Mistake(
            "forgets the square",
            _with(_Dual, div=lambda a, da, b, db: (a / b, (da * b - a * db) / b)),
            "you divided by b, where the quotient rule divides by b squared: (a' b - a b') / b²",
        ),
        Mistake(
            "turns the quotient rule round",
            _with(_Dual, div=lambda a, da, b, db: (a / b, (a * db - da * b) / b**2)),
            "the two parts of your quotient rule are exchanged, so the sign is wrong; "
            "it is (a' b - a b') / b²",
        ),
        Mistake(
            "lets only the numerator move",
            _with(_Dual, div=lambda a, da, b, db: (a / b, da / b)),
            "the slope of your quotient is a' / b, as if b stood still; "
            "the quotient rule says (a' b - a b') / b²",
        ),
        Mistake(
            "adds the slopes of a difference",
            _with(_Dual, sub=lambda a, da, b, db: (a - b, da + db)),
            "the slope of a - b is a' - b': subtract the slopes as you subtract the values",
        ),
        *[
            Mistake(
                f"gives numbers the slope 1{how}",
                _with(_Dual, {"constant": 1.0, **methods}),
                "you gave a plain number the slope 1; a constant does not move, so its slope is 0 "
                "(the 1 is for the variable by which one differentiates)",
            )
            for how, methods in (("", {}), (", also in a difference", DIFFERENCES))
        ],
        *[
            Mistake(
                f"changes its left operand{how}",
                _in_place(*rules),
                "your operator changes its left operand; return a new Dual",
            )
            for how, rules in (
                (", in a sum", ("add",)),
                (", in a product", ("mul",)),
                (", in a sum and a difference", ("add", "sub")),
                ("", ("add", "sub", "mul", "div")),
            )
        ],
        *_with_numbers(_Dual, _duals_only),
        Mistake(
            "forgets the inner slope of tanh",
            _with(_Dual, tanh=lambda a, da: (math.tanh(a), 1 - math.tanh(a) ** 2)),
            "your tanh has the slope 1 - tanh²(a) whatever comes in; the chain rule multiplies it "
            "by the slope of a",
        ),
        Mistake(
            "passes the slope through tanh",
            _with(_Dual, tanh=lambda a, da: (math.tanh(a), da)),
            "your tanh bends the value and not the slope; multiply the slope by 1 - tanh²(a)",
        ),
        Mistake(
            "applies tanh to the slope",
            _with(_Dual, tanh=lambda a, da: (math.tanh(a), math.tanh(da))),
            "you took tanh of the slope as well; the slope is multiplied by the derivative, "
            "1 - tanh²(a)",
        ),
        Mistake(
            "forgets the square of tanh",
            _with(_Dual, tanh=lambda a, da: (math.tanh(a), (1 - math.tanh(a)) * da)),
            "you wrote 1 - tanh(a) for the slope of tanh; the square is missing: 1 - tanh²(a)",
        ),
        Mistake(
            "squares the input of tanh",
            _with(_Dual, tanh=lambda a, da: (math.tanh(a), (1 - a**2) * da)),
            "you wrote 1 - a² for the slope of tanh; it is 1 - tanh²(a): square what came out, "
            "not what went in",
        ),
    ],
)


# 3.7 Value


def _value(*lines: str, results: str = "") -> Callable[[Generator], list[tuple]]:
    """Programs that compute y and go back from it."""
    return _cases("Value", 1, *[f"{line}; y.backward()" for line in lines], results=results)


def _calls(*lines: str) -> Callable[[Generator], list[tuple]]:
    """Two results, one after the other, and what happens to the gradients in between."""
    first, second = "y = a * b - a; y.backward()", "y = a * a + 2 * b; y.backward()"
    return _cases("Value", 1, *["; ".join([first, *line, second]) for line in lines])


VALUES_ALONE = _cases(
    "Value",
    1,
    *("y = a * b + c", "y = a - b / c", "y = (a + b) ** 3", "y = (a * c).tanh()"),
    results="y.data",
)
DIAMONDS = _value(
    "h = a * b; y = h + h * c",
    "h = a * b; y = h * c + h",
    "h = a * b; k = h.tanh(); y = (h - k) * (h + c)",
)
BYSTANDERS = _value(
    "h = b * c; y = a * b", results="a.grad, b.grad, c.grad, a.data, b.data, c.data"
)
CHAIN = _value("y = sum([a] * 1200, b)")


def _counts_every_use(args: tuple, grads: Any) -> str | None:
    return difference(grads, {"a.grad": 1200.0, "b.grad": 1.0})


# Each step doubles the paths; half of a list or a text, which would double too, is an error.
DOUBLINGS = _value("y = a; [y := (y + y) * 0.5 for _ in range(40)]")


def _counts_every_path(args: tuple, grads: Any) -> str | None:
    return difference(grads, {"a.grad": 1.0})


BIRTHS = itertools.count()
BIRTH = attrgetter("birth")


class _Value(_Number):
    """Reverse mode; a rule maps two numbers to a result and its slope by each of them."""

    rules: ClassVar = {
        "add": lambda a, b: (a + b, 1.0, 1.0),
        "sub": lambda a, b: (a - b, 1.0, -1.0),
        "mul": lambda a, b: (a * b, b, a),
        "div": lambda a, b: (a / b, 1 / b, -a / b**2),
        "pow": lambda a, n: (a**n, n * a ** (n - 1), 0.0),
        "tanh": lambda a, _: (math.tanh(a), 1 - math.tanh(a) ** 2, 0.0),
    }

    def __init__(self, data: float, inputs: Iterable[tuple[_Value, float]] = ()) -> None:
        self.data, self.grad, self.inputs = data, 0.0, inputs
        self.birth = next(BIRTHS)

    def _apply(self, rule: str, a: _Value | float, b: _Value | float = 0.0) -> _Value:
        a, b = _as_value(a), _as_value(b)
        data, by_a, by_b = self.rules[rule](a.data, b.data)
        return type(self)(data, ((a, by_a), (b, by_b)))

    def backward(self) -> None:
        self.grad = 1.0
        for node in sorted(_ancestors(self), key=BIRTH, reverse=True):
            for x, slope in node.inputs:
                x.grad += slope * node.grad


def _as_value(x: _Value | float) -> _Value:
    return x if isinstance(x, _Value) else _Value(x)


def _ancestors(root: _Value) -> set[_Value]:
    """A value and all that it was computed from."""
    found, to_do = {root}, [root]
    while to_do:
        for x, _ in to_do.pop().inputs:
            if x not in found:
                found.add(x)
                to_do.append(x)
    return found


def _walked(pass_on: Callable[[_Value, _Value, float], None], seed: float = 1.0) -> type:
    """An engine that goes through the graph in the right order and does something else there."""

    def backward(self: _Value) -> None:
        self.grad = seed
        for node in sorted(_ancestors(self), key=BIRTH, reverse=True):
            for x, slope in node.inputs:
                pass_on(node, x, slope)

    return _with(_Value, {"backward": backward})


def _overwrites(node: _Value, x: _Value, slope: float) -> None:
    x.grad = slope * node.grad


def _adds_local_slopes(node: _Value, x: _Value, slope: float) -> None:
    x.grad += slope


def _adds_upstream(node: _Value, x: _Value, slope: float) -> None:
    x.grad += node.grad


def _adds_both(node: _Value, x: _Value, slope: float) -> None:
    x.grad += slope * node.grad


def _path_by_path(self: _Value) -> None:
    self.grad, to_do = 1.0, [self]
    while to_do:
        node = to_do.pop()
        for x, slope in node.inputs:
            x.grad += slope * node.grad
            to_do.append(x)


def _works_through_a_queue(self: _Value) -> None:
    self.grad, queue = 1.0, [self]
    for node in queue:
        for x, slope in node.inputs:
            x.grad += slope * node.grad
            queue.append(x)


def _product_of_values(self: _Value, other: _Value | float) -> _Value:
    if not isinstance(other, _Value):
        other = type(self)(other)
    return type(self)(self.data * other.data, ((self, other), (other, self)))


def _along_every_path(self: _Value) -> None:
    to_do = [(self, 1.0)]
    while to_do:
        node, grad = to_do.pop()
        node.grad += grad
        to_do.extend((x, slope * grad) for x, slope in node.inputs)


def _along_every_path_by_recursion(self: _Value, grad: float = 1.0) -> None:
    self.grad += grad
    for x, slope in self.inputs:
        x.backward(slope * grad)


def _level_by_level(self: _Value) -> None:
    self.grad = 1.0
    found, level = {self}, [self]
    while level:
        after = []
        for node in level:
            for x, slope in node.inputs:
                x.grad += slope * node.grad
                if x not in found:
                    found.add(x)
                    after.append(x)
        level = after


def _by_recursion(self: _Value) -> None:
    order, seen = [], set()

    def visit(node: _Value) -> None:
        if node not in seen:
            seen.add(node)
            for x, _ in node.inputs:
                visit(x)
            order.append(node)

    visit(self)
    self.grad = 1.0
    for node in reversed(order):
        for x, slope in node.inputs:
            x.grad += slope * node.grad


def _by_plain_recursion(self: _Value) -> None:
    def visit(node: _Value) -> None:
        for x, slope in node.inputs:
            x.grad += slope * node.grad
            visit(x)

    self.grad = 1.0
    visit(self)


def _starts_afresh(self: _Value) -> None:
    for node in _ancestors(self):
        node.grad = 0.0
    _Value.backward(self)


def _keeps_the_tape(self: _Value) -> None:
    """As on a tape that is never emptied: operations of earlier calls are gone through again."""
    nodes = _ancestors(self)
    nodes = nodes.union(*(getattr(node, "earlier", ()) for node in nodes))
    self.grad = 1.0
    for node in sorted(nodes, key=BIRTH, reverse=True):
        node.earlier = nodes
        for x, slope in node.inputs:
            x.grad += slope * node.grad


def _one_level(self: _Value) -> None:
    self.grad = 1.0
    for x, slope in self.inputs:
        x.grad += slope * self.grad


COMPOSED = DIFFERENCES | {
    "__truediv__": lambda self, other: self * _as_value(other) ** -1,
    "__rtruediv__": lambda self, other: other * self**-1,
}


def _both_ways(name: str, methods: dict[str, Any], hint: str) -> list[Mistake]:
    """A mistake whose outcome depends on what a difference and a quotient are made of."""
    return [
        Mistake(name, _with(_Value, methods), hint),
        Mistake(f"{name}, operators composed", _with(_Value, COMPOSED | methods), hint),
    ]


def _keeps_a_set(self: _Value, data: float, inputs: Iterable[tuple[_Value, float]] = ()) -> None:
    _Value.__init__(self, data, dict(inputs).items())


def _starts_with_none(self: _Value, data: float, inputs: Iterable = ()) -> None:
    _Value.__init__(self, data, inputs)
    self.grad = None


def _none_is_zero(node: _Value, x: _Value, slope: float) -> None:
    x.grad = (x.grad or 0.0) + slope * node.grad


def _values_only(self: _Value, rule: str, a: _Value, b: _Value | float = 0.0) -> _Value:
    if rule not in ("pow", "tanh"):
        _ = a.data, b.data  # a number has none
    return _Value._apply(self, rule, a, b)


TOO_EARLY = (
    "you pass a gradient on before it is complete: a value that is used twice must wait until "
    "both of its users have added their part; go through the values in the reverse of the order "
    "in which they were made"
)

VALUE = Exercise(
    number="3.7",
    title="An engine of your own",
    name="Value",
    apart=True,
    difficulty=5,
    minutes=60,
    reference=_Value,
    tests=[
        Ran("computes with its data", VALUES_ALONE),
        Ran(
            "goes back through + - * /", _value("y = a + b", "y = a - b", "y = a * b", "y = a / b")
        ),
        Ran("goes back through ** and tanh", _value("y = a ** 3", "y = a ** -2", "y = a.tanh()")),
        Ran("goes back through a whole formula", _value("y = ((a * b - c) / a).tanh() * b")),
        Ran("takes a number on the right", _value(*RIGHT, results="y.data, a.grad")),
        Ran("takes a number on the left", _value(*LEFT, results="y.data, a.grad")),
        Ran("adds up what every use brings", _value("y = a + a", "y = a * a", "y = a * b + a * c")),
        Ran("waits until a gradient is complete", DIAMONDS, 2),
        Ran("adds up over calls until grad is set to 0", _calls([], ["a.grad = 0"])),
        Ran("leaves alone what does not matter", BYSTANDERS),
        Ran("survives a chain of 1,200 additions", CHAIN, 2, judge=_counts_every_use),
        Test(
            "visits every node once",
            DOUBLINGS,
            judge=_counts_every_path,
            probe=program_in_steps,
        ),
    ],
    mistakes=[
        Mistake(
            "overwrites the gradient",
            _walked(_overwrites),
            "you wrote grad = where grad += belongs: a value that is used twice keeps only the "
            "part that came last; every use adds its part",
        ),
        Mistake(
            "forgets the seed",
            _walked(_adds_both, seed=0.0),
            "all your gradients are 0, because the first one is: the slope of the result by itself "
            "is 1, so set its grad to 1 before you go back",
        ),
        *_both_ways(
            "goes back one step",
            {"backward": _one_level},
            "you went back one step only; the inputs must hand their gradient on as well",
        ),
        Mistake(
            "forgets the chain rule",
            _walked(_adds_local_slopes),
            "you add the slope of each operation by itself; the chain rule multiplies it by the "
            "grad of the operation's result: x.grad += slope * result.grad",
        ),
        Mistake(
            "forgets the local slope",
            _walked(_adds_upstream),
            "you hand the gradient of a result on as it is; multiply it by the slope of the "
            "operation by that input: x.grad += slope * result.grad",
        ),
        Mistake("walks path by path", _with(_Value, {"backward": _path_by_path}), TOO_EARLY),
        Mistake(
            "works through a queue", _with(_Value, {"backward": _works_through_a_queue}), TOO_EARLY
        ),
        Mistake("walks level by level", _with(_Value, {"backward": _level_by_level}), TOO_EARLY),
        Mistake(
            "walks path by path, by recursion",
            _with(_Value, {"backward": _by_plain_recursion}),
            "you hand a gradient on as soon as a part of it arrives, so parts count twice, and "
            "each step calls itself; put all values into an order first, in a loop: a value after "
            "all that use it",
        ),
        *[
            Mistake(
                f"walks along every path{how}", _with(_Value, {"backward": walk}), ALONG_EVERY_PATH
            )
            for how, walk in (
                ("", _along_every_path),
                (", by recursion", _along_every_path_by_recursion),
            )
        ],
        Mistake(
            "sorts by recursion",
            _with(_Value, {"backward": _by_recursion}),
            "your gradients are right, but your function calls itself once per step of the graph, "
            "and Python stops that after a thousand calls; use a loop and a list of what is to do",
        ),
        Mistake(
            "sets all gradients to 0 first",
            _with(_Value, {"backward": _starts_afresh}),
            "your backward sets every grad to 0 before it starts, so a second call forgets the "
            "first; gradients add up until the user sets them to 0",
        ),
        *_both_ways(
            "keeps the tape",
            {"backward": _keeps_the_tape},
            "the tape still holds the first result, and its gradients are handed on again: empty "
            "the tape at the end of backward",
        ),
        Mistake(
            "keeps its inputs in a set",
            _with(_Value, {"__init__": _keeps_a_set}),
            "you keep the inputs of an operation in a set or a dict, which holds a value once; in "
            "a + a it stands twice and has two parts to get: use a list",
        ),
        Mistake(
            "has no gradient until it is reached",
            _with(_walked(_none_is_zero), {"__init__": _starts_with_none}),
            "the grad of a value that the result does not depend on is None; its slope is known, "
            "it is 0, so let every grad start at 0.0",
        ),
        Mistake(
            "exchanges the slopes of a product",
            _with(_Value, mul=lambda a, b: (a * b, a, b)),
            "the slopes of your product are exchanged: a * b changes with a by b, and with b by a",
        ),
        *_both_ways(
            "keeps a Value as a slope",
            dict.fromkeys(("__mul__", "__rmul__"), _product_of_values),
            "a.grad is a Value: slopes are plain numbers, so keep other.data and self.data as the "
            "slopes of a product, not the Values",
        ),
        Mistake(
            "gives the terms of a sum",
            _with(_Value, add=lambda a, b: (a + b, a, b)),
            "the slopes of your a + b are a and b; it grows by 1 when either of them grows by 1, "
            "so both slopes are 1",
        ),
        Mistake(
            "adds the slopes of a difference",
            _with(_Value, sub=lambda a, b: (a - b, 1.0, 1.0)),
            "your a - b hands the same gradient to both; it falls when b grows, so the slope by b "
            "is -1",
        ),
        Mistake(
            "forgets the minus of a quotient",
            _with(_Value, div=lambda a, b: (a / b, 1 / b, a / b**2)),
            "your slope of a / b by b lacks its minus; 1 / b falls when b grows, so the slope is "
            "-a / b²",
        ),
        Mistake(
            "forgets the square in a quotient",
            _with(_Value, div=lambda a, b: (a / b, 1 / b, -a / b)),
            "the slope of your a / b by b is -a / b; the power is missing: a / b is a · b⁻¹, and "
            "its slope by b is -a / b²",
        ),
        Mistake(
            "forgets the exponent as a factor",
            _with(_Value, pow=lambda a, n: (a**n, a ** (n - 1), 0.0)),
            "the slope of your a ** n lacks the factor n: it is n · a ** (n - 1)",
        ),
        Mistake(
            "multiplies by the exponent alone",
            _with(_Value, pow=lambda a, n: (a**n, n * a, 0.0)),
            "the slope of your a ** n is n · a, which holds for squares only; in general it is "
            "n · a ** (n - 1)",
        ),
        Mistake(
            "does not lower the exponent",
            _with(_Value, pow=lambda a, n: (a**n, n * a**n, 0.0)),
            "the slope of your a ** n keeps the exponent; it is one lower: n · a ** (n - 1)",
        ),
        Mistake(
            "squares the input of tanh",
            _with(_Value, tanh=lambda a, _: (math.tanh(a), 1 - a**2, 0.0)),
            "you wrote 1 - a² for the slope of tanh; it is 1 - tanh²(a): square what came out, "
            "not what went in",
        ),
        Mistake(
            "forgets the square of tanh",
            _with(_Value, tanh=lambda a, _: (math.tanh(a), 1 - math.tanh(a), 0.0)),
            "you wrote 1 - tanh(a) for the slope of tanh; the square is missing: 1 - tanh²(a)",
        ),
        Mistake(
            "passes the gradient through tanh",
            _with(_Value, tanh=lambda a, _: (math.tanh(a), 1.0, 0.0)),
            "your tanh hands the gradient on unchanged; multiply it by the slope, 1 - tanh²(a)",
        ),
        *_with_numbers(_Value, _values_only),
    ],
)


# 3.8 train_on_moons

PARAMETERS = ("W1", "b1", "w2", "b2")


def _runs(steps: int) -> Callable[[Generator], list[tuple]]:
    """One run of so many steps: four points, a network of three hidden neurons, a step size."""

    def cases(g: Generator) -> list[tuple]:
        X, y = moons(4, seed=int(torch.randint(10**6, (), generator=g)), device="cpu")
        weights = normal(g, 3, 2), uniform(g, 0.1, 0.9, 3), normal(g, 3), uniform(g, 0.1, 0.9)
        lr = int(torch.randint(5, 16, (), generator=g)) / 100
        return [(X.round(decimals=2), 2.0 * y - 1, *weights, lr, steps)]

    return cases


def _some(*names: str) -> Callable[[tuple, Any], dict[str, Tensor]]:
    """Observe these parameters, as doubles in the shapes in which they were given."""

    def observe(args: tuple, value: Any) -> dict[str, Tensor]:
        came = dict(zip(PARAMETERS, parts(value, *PARAMETERS), strict=True))
        shape = {n: tuple(p.shape) for n, p in zip(PARAMETERS, args[2:6], strict=True)}
        return {n: numbers(n, came[n], shape[n]) for n in names}

    return observe


def _loss(args: tuple, parameters: Iterable[Tensor]) -> Tensor:
    X, y, (W1, b1, w2, b2) = args[0].double(), args[1].double(), parameters
    return ((torch.tanh(X @ W1.T + b1) @ w2 + b2 - y) ** 2).mean()


def _loss_reached(args: tuple, value: Any) -> float:
    """The loss of the parameters that came back: computed here, whatever the answer says."""
    return _loss(args, _some(*PARAMETERS)(args, value).values()).item()


def _has_learned(args: tuple, loss: float) -> str | None:
    wanted = _loss(args, _by_autograd(*args)).item()
    if abs(loss - wanted) <= 1e-3 * wanted:
        return None
    before = _loss(args, [p.double() for p in args[2:6]]).item()
    return (
        f"your parameters have the loss {show(loss)}, expected {show(wanted)}; "
        f"it was {show(before)} at the start"
    )


def _by_autograd(
    X: Tensor,
    y: Tensor,
    W1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    lr: float,
    steps: int,
) -> tuple[Tensor, ...]:
    parameters = [p.double().requires_grad_() for p in (W1, b1, w2, b2)]
    for _ in range(steps):
        slopes = torch.autograd.grad(_loss((X, y), parameters), parameters)
        with torch.no_grad():
            for p, slope in zip(parameters, slopes, strict=True):
                p -= lr * slope
    return tuple(p.detach() for p in parameters)


TANH = torch.tanh, lambda h: 1 - h * h  # a function, and its slope from its value
IDENTITY = lambda z: z, torch.ones_like


def _slopes(
    X: Tensor,
    y: Tensor,
    *parameters: Tensor,
    hidden: tuple[Callable, Callable] = TANH,
    output: tuple[Callable, Callable] = IDENTITY,
    use: tuple[int, int] = (1, 1),  # 0 leaves a bias out
) -> tuple[Tensor, ...]:
    """The slopes of the mean squared error, by formula."""
    W1, b1, w2, b2 = parameters
    h = hidden[0](X @ W1.T + use[0] * b1)  # (B, H)
    y_hat = output[0](h @ w2 + use[1] * b2)  # (B,)
    error = 2 * (y_hat - y) * output[1](y_hat) / len(y)
    back = error[:, None] * w2 * hidden[1](h)  # (B, H)
    return back.T @ X, use[0] * back.sum(0), h.T @ error, use[1] * error.sum()


def _trainer(
    slopes: Callable = _slopes,
    scale: Callable[[Tensor], float] = lambda X: 1.0,
    rates: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),  # one per parameter
    count: Callable[[int], int] = lambda steps: steps,
    memory: float = 0.0,  # how much of the last slopes stays
    finish: Callable[..., Any] = lambda *parameters: parameters,
) -> Callable[..., Any]:
    """Gradient descent with one thing or another wrong."""

    def train(X: Tensor, y: Tensor, *rest: Any) -> Any:
        *parameters, lr, steps = rest
        X, y, *parameters = (t.double() for t in (X, y, *parameters))
        kept = [0.0] * 4
        for _ in range(count(steps)):
            new = slopes(X, y, *parameters)
            kept = [memory * old + slope for old, slope in zip(kept, new, strict=True)]
            step = [lr * scale(X) * rate for rate in rates]
            moves = zip(parameters, step, kept, strict=True)
            parameters = [p - size * slope for p, size, slope in moves]
        return finish(*parameters)

    return train


def _layer_by_layer(X: Tensor, y: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    """The hidden layer's slopes are found with an output layer that has moved already."""
    *parameters, lr, steps = rest
    X, y, *parameters = (t.double() for t in (X, y, *parameters))
    for _ in range(steps):
        for i in (3, 2, 1, 0):
            parameters[i] = parameters[i] - lr * _slopes(X, y, *parameters)[i]
    return tuple(parameters)


def _point_by_point(X: Tensor, y: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    *parameters, lr, steps = rest
    one_step = _trainer()
    for _ in range(steps):
        for i in range(len(X)):
            parameters = one_step(X[i : i + 1], y[i : i + 1], *parameters, lr, 1)
    return tuple(parameters)


TRAIN_ON_MOONS = Exercise(
    number="3.8",
    title="Your engine learns",
    name="train_on_moons",
    difficulty=4,
    minutes=30,
    reference=_by_autograd,
    tests=[
        Test("moves the output layer by one step", _runs(1), 1, _some("w2", "b2"), atol=1e-5),
        Test("moves the hidden layer by one step", _runs(1), 1, _some("W1", "b1"), atol=1e-5),
        Test("takes as many steps as it is told", _runs(3), 2, _some(*PARAMETERS), atol=1e-5),
        Test("ends at the loss it should", _runs(5), 1, _loss_reached, _has_learned),
    ],
    mistakes=[
        Mistake(
            "forgets to zero the gradients",
            _trainer(memory=1.0),
            "the first step is right and the next ones are too long: the gradients of earlier "
            "steps are still in .grad; set it to 0 before each backward, or make new Values",
        ),
        Mistake(
            "climbs",
            _trainer(scale=lambda X: -1.0),
            "you added the gradient, which points uphill, so the loss rises; subtract it: "
            "p - lr * p.grad",
        ),
        Mistake(
            "sums",
            _trainer(scale=len),
            "your steps are longer by the number of points: you went downhill on the sum of the "
            "squared errors; the loss is their mean",
        ),
        Mistake(
            "sums, and forgets to zero the gradients",
            _trainer(scale=len, memory=1.0),
            "two things are missing: divide the loss by the number of points, for it is a mean; "
            "and set every grad to 0 before each backward",
        ),
        Mistake(
            "halves the error",
            _trainer(scale=lambda X: 0.5),
            "your steps are half as long as they should be: the loss is (ŷ - y)² without a factor "
            "of one half",
        ),
        Mistake(
            "leaves the step size out",
            lambda X, y, *rest: _trainer()(X, y, *rest[:4], 1.0, rest[5]),
            "you subtracted the gradient itself; multiply it by lr first: p - lr * p.grad",
        ),
        Mistake(
            "moves the output layer only",
            _trainer(rates=(0.0, 0.0, 1.0, 1.0)),
            "your hidden layer, W1 and b1, did not move; it has gradients too: update all four "
            "parameters",
        ),
        Mistake(
            "moves the hidden layer only",
            _trainer(rates=(1.0, 1.0, 0.0, 0.0)),
            "your output layer, w2 and b2, did not move; it has gradients too: update all four "
            "parameters",
        ),
        Mistake(
            "moves the weights only",
            _trainer(rates=(1.0, 0.0, 1.0, 0.0)),
            "your biases did not move; they learn as weights do: b - lr * b.grad",
        ),
        Mistake(
            "moves all but the output bias",
            _trainer(rates=(1.0, 1.0, 1.0, 0.0)),
            "b2 came back as it went in; it is a parameter as the others are: b2 - lr * b2.grad",
        ),
        Mistake(
            "moves nothing",
            _trainer(count=lambda steps: 0),
            "your parameters came back as they went in: the update changed a copy, or gradients "
            "of Values that the loss was not computed from; return the new numbers",
        ),
        Mistake(
            "takes one step",
            _trainer(count=lambda steps: 1),
            "you stopped after the first step; check whether the `return` stands inside the loop",
        ),
        Mistake(
            "takes a step too many",
            _trainer(count=lambda steps: steps + 1),
            "you took one step more than you were told; range(steps) counts from 0 to steps - 1",
        ),
        Mistake(
            "takes a step too few",
            _trainer(count=lambda steps: steps - 1),
            "you took one step less than you were told; range(steps) counts from 0 to steps - 1, "
            "which is `steps` times",
        ),
        Mistake(
            "updates while it computes",
            _layer_by_layer,
            "you moved one parameter and then computed the gradient of the next with it; find all "
            "gradients first, in one backward, and move all parameters afterwards",
        ),
        Mistake(
            "takes a step per point",
            _point_by_point,
            "you took a step after every point; here one step uses all the points: add up their "
            "losses, divide by their number, go back once",
        ),
        Mistake(
            "forgets the tanh",
            _trainer(partial(_slopes, hidden=IDENTITY)),
            "your hidden layer has no tanh, so your network draws one straight line: "
            "h = tanh(W1 x + b1)",
        ),
        Mistake(
            "puts a tanh on the output too",
            _trainer(partial(_slopes, output=TANH)),
            "you put a tanh on the output as well; it is linear here: ŷ = w2 · h + b2",
        ),
        Mistake(
            "leaves out the hidden biases",
            _trainer(partial(_slopes, use=(0, 1))),
            "your hidden layer leaves out b1: h = tanh(W1 x + b1)",
        ),
        Mistake(
            "leaves out the output bias",
            _trainer(partial(_slopes, use=(1, 0))),
            "your output leaves out b2: ŷ = w2 · h + b2",
        ),
        Mistake(
            "returns them in another order",
            _trainer(finish=lambda W1, b1, w2, b2: (W1, w2, b1, b2)),
            "b1 and w2 have the same shape and you exchanged them; return W1, b1, w2, b2",
        ),
        Mistake(
            "returns the gradients",
            lambda X, y, *rest: _slopes(X, y, *rest[:4]),
            "you returned the gradients; return the parameters after the last step",
        ),
        Mistake(
            "returns the loss",
            lambda X, y, *rest: _loss((X, y), [p.double() for p in rest[:4]]),
            "you returned one number, a loss as it seems; return the four parameters, for which "
            "the loss is computed here",
        ),
    ],
)
