"""The exercises of chapter 03_autograd: what they ask, how they are judged, what goes wrong.

The statements and the solutions stand in solutions/03_autograd.md; exercises 3.6 to 3.8, which are
classes, in autograd_engine.py. Paths and tapes are tuples of numbers, not tensors: their parts
differ in length. Their slopes are halves and whole numbers.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from . import probes
from .autograd_engine import ALONG_EVERY_PATH, DUAL, TRAIN_ON_MOONS, VALUE
from .draws import normal, uniform
from .exercise import Exercise, Mistake, Test, checker, numbers, part, parts, shapes
from .values import difference

Paths = tuple[tuple[float, ...], ...]

SLOPES = torch.tensor([-3.0, -2.0, -1.5, -0.5, 0.5, 1.5, 2.0, 3.0])


def _slopes(g: Generator, *lengths: int) -> Paths:
    """Slopes in groups of the lengths given, all different within a group, none of them 0 or 1."""
    return tuple(
        tuple(SLOPES[torch.randperm(len(SLOPES), generator=g)[:n]].tolist()) for n in lengths
    )


# 3.1 chain


def _closed_path(g: Generator) -> list[tuple]:
    """One of three paths holds a zero, at its end, then in its middle."""
    two, three, one = _slopes(g, 2, 3, 1)
    (a, b), *others = _slopes(g, 2, 2, 3)
    return [((two, (*three, 0.0), one),), (((a, 0.0, b), *others),)]


def _with_loop(
    start: float = 1.0,
    total: float = 0.0,
    step: Callable = operator.mul,
    join: Callable = operator.add,
) -> Callable:
    """The two loops of the chain rule, with what they start from and how they combine."""
    return lambda paths: functools.reduce(
        join, (functools.reduce(step, path, start) for path in paths), total
    )


def _never_begins_anew(paths: Paths) -> float:
    total, product = 0.0, 1.0
    for path in paths:
        for slope in path:
            product *= slope
        total += product
    return total


def _adds_on_the_way(paths: Paths) -> float:
    total = 0.0
    for path in paths:
        product = 1.0
        for slope in path:
            product *= slope
            total += product
    return total


def _returns_within_the_loop(paths: Paths) -> float | None:
    for path in paths:
        return math.prod(path)
    return None


CHAIN = Exercise(
    number="3.1",
    title="Every path counts",
    name="chain",
    difficulty=1,
    minutes=10,
    reference=lambda paths: sum(torch.tensor(path, dtype=torch.float64).prod() for path in paths),
    tests=[
        Test("multiplies along a path", lambda g: [(_slopes(g, 3),), (_slopes(g, 2),)]),
        Test("adds over the paths", lambda g: [(_slopes(g, 2, 3),), (_slopes(g, 3, 2, 1),)]),
        Test("lets a zero close its own path only", _closed_path),
        Test("knows no path, and a path without steps", lambda g: [((),), (((),),)]),
    ],
    mistakes=[
        Mistake(
            "adds along the path",
            _with_loop(0.0, 0.0, operator.add),
            "you added the slopes along a path; a change that is doubled and then tripled grows "
            "sixfold: multiply along the path",
        ),
        Mistake(
            "multiplies the paths",
            _with_loop(1.0, 1.0, join=operator.mul),
            "you multiplied the paths together; what reaches the output by different paths "
            "arrives side by side: add over the paths",
        ),
        Mistake(
            "swaps sum and product",
            _with_loop(0.0, 1.0, operator.add, operator.mul),
            "you added along each path and multiplied over the paths; it is the other way round: "
            "multiply along a path, add over the paths",
        ),
        Mistake(
            "starts the product at 0",
            _with_loop(start=0.0),
            "your product starts at 0 and stays there; start each path at 1",
        ),
        Mistake(
            "starts the sum at 1",
            _with_loop(total=1.0),
            "your sum is too large by 1: it starts at 1, as a product does; a sum starts at 0, "
            "so that no path at all gives 0",
        ),
        Mistake(
            "never begins anew",
            _never_begins_anew,
            "your product goes on from one path into the next; set it back to 1 at the start of "
            "every path",
        ),
        Mistake(
            "adds after every step",
            _adds_on_the_way,
            "you added the unfinished product after every slope; add it once, at the end of its "
            "path, outside the inner loop",
        ),
        Mistake(
            "returns within the loop",
            _returns_within_the_loop,
            "your `return` stands inside the loop, so the first path is the only one; "
            "return the sum after the loop",
        ),
        Mistake(
            "takes the first path",
            lambda paths: math.prod(paths[0]),
            "you followed the first path alone; every path carries a part of the change: "
            "add over all of them",
        ),
        Mistake(
            "keeps the last path",
            _with_loop(join=lambda total, product: product),
            "each path overwrites the one before it, so the last one is left; "
            "add its product to the sum with +=",
        ),
        *[
            Mistake(
                f"averages{how}",
                lambda paths, least=least: sum(map(math.prod, paths)) / max(len(paths), least),
                "you averaged over the paths; their changes add up at the output: do not divide",
            )
            for how, least in (("", 0), (", except over nothing", 1))
        ],
        Mistake(
            "gives 1 for no path",
            lambda paths: sum(map(math.prod, paths)) if paths else 1.0,
            "you returned 1 where no path leads to the output; such an input changes nothing: "
            "the derivative is 0",
        ),
        Mistake(
            "stacks what may be empty",
            lambda paths: torch.stack([torch.tensor(p).prod() for p in paths]).sum(),
            "where there is no path, there is nothing to stack; start a sum at 0 and add to it, "
            "path by path",
        ),
        Mistake(
            "closes every path",
            lambda paths: 0 if any(0 in p for p in paths) else sum(map(math.prod, paths)),
            "you returned 0 because of one slope of 0; it closes its own path only, "
            "and the other paths still count",
        ),
        Mistake(
            "skips zeros",
            lambda paths: sum(math.prod(s for s in p if s) for p in paths),
            "you skipped the slopes that are 0; such a slope lets nothing through, "
            "so its whole path counts 0",
        ),
        Mistake(
            "has no product of nothing",
            lambda paths: sum(functools.reduce(operator.mul, p) for p in paths),
            "a path without steps has nothing to multiply; start its product at 1: "
            "the input is the output, and the derivative 1",
        ),
        Mistake(
            "leaves out a path without steps",
            lambda paths: sum(math.prod(p) for p in paths if p),
            "you left out a path without steps; there the input is the output itself, "
            "and the derivative is 1",
        ),
        Mistake(
            "makes a tensor of the paths",
            lambda paths: torch.tensor(paths).prod(1).sum(),
            "the paths differ in length, so they do not fit into one tensor; "
            "take them one by one, in a loop",
        ),
        Mistake(
            "does not add",
            lambda paths: [math.prod(p) for p in paths],
            "you returned a product for each path; the derivative is one number: their sum",
        ),
    ],
)


# 3.2 local_slopes

OPERATIONS: dict[str, Callable] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


def _by_autograd(op: str, a: float, b: float) -> tuple[Tensor, Tensor]:
    at = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (a, b)]
    return torch.autograd.grad(OPERATIONS[op](*at), at)


def _operands(g: Generator, *ops: str) -> list[tuple]:
    """Two calls for each operation: b positive, then negative; a above 1, then below."""
    return [
        (op, round(float(uniform(g, *a)), 2), round(sign * float(uniform(g, 1.3, 3.0)), 2))
        for op in ops
        for a, sign in (((1.3, 3.0), 1), ((0.2, 0.8), -1))
    ]


def _two_slopes(args: tuple, value: object) -> tuple[Tensor, ...]:
    names = ("the slope by a", "the slope by b")
    given = zip(names, parts(value, "slope_a", "slope_b"), strict=True)
    return tuple(numbers(name, slope, ()) for name, slope in given)


def _slope_of(i: int) -> Callable:
    return lambda args, value: _two_slopes(args, value)[i]


@functools.lru_cache(maxsize=64)  # every mistake below asks for the same few
def _right_slopes(op: str, a: float, b: float) -> tuple[float, float]:
    slope_a, slope_b = _by_autograd(op, a, b)
    return slope_a.item(), slope_b.item()


def _but_for(wrong_op: str, by_a: Callable | None = None, by_b: Callable | None = None) -> Callable:
    """Right slopes, but for one operation's slope by a or by b."""

    def slopes(op: str, a: float, b: float) -> tuple[float, float]:
        right = _right_slopes(op, a, b)
        if op != wrong_op:
            return right
        return (by_a(a, b) if by_a else right[0]), (by_b(a, b) if by_b else right[1])

    return slopes


def _nudged(op: str, a: float, b: float, h: float) -> tuple[float, float]:
    f = OPERATIONS[op]
    return (f(a + h, b) - f(a, b)) / h, (f(a, b + h) - f(a, b)) / h


LOG_OF_A = (
    "a ** b by b is a ** b * log(a): you took the logarithm of b; it is taken of the base, "
    "because a ** b = exp(b log a)"
)

LOCAL_SLOPES = Exercise(
    number="3.2",
    apart=True,
    title="Local slopes",
    name="local_slopes",
    difficulty=2,
    minutes=10,
    reference=_by_autograd,
    tests=[
        Test("knows sums and differences", lambda g: _operands(g, "+", "-"), observe=_two_slopes),
        Test("knows products", lambda g: _operands(g, "*"), observe=_two_slopes),
        Test("knows quotients", lambda g: _operands(g, "/"), observe=_two_slopes),
        Test("knows powers, by the base", lambda g: _operands(g, "**"), observe=_slope_of(0)),
        Test("knows powers, by the exponent", lambda g: _operands(g, "**"), observe=_slope_of(1)),
    ],
    mistakes=[
        Mistake(
            "gives the terms of a sum",
            _but_for("+", lambda a, b: a, lambda a, b: b),
            "a + b grows by 1 when a grows by 1, whatever a is: both slopes are 1, not a and b",
        ),
        Mistake(
            "forgets the minus of a difference",
            _but_for("-", by_b=lambda a, b: 1.0),
            "a - b falls when b grows: its slope by b is -1",
        ),
        Mistake(
            "gives the minus to a",
            _but_for("-", lambda a, b: -1.0, lambda a, b: 1.0),
            "you gave the minus to the wrong one: a - b grows with a, slope 1, "
            "and falls with b, slope -1",
        ),
        Mistake(
            "swaps the factors",
            _but_for("*", lambda a, b: a, lambda a, b: b),
            "in a * b each slope is the other factor: by a it is b, by b it is a",
        ),
        Mistake(
            "treats a product as a sum",
            _but_for("*", lambda a, b: 1.0, lambda a, b: 1.0),
            "a * b grows by b when a grows by 1: the slope by each factor is the other factor, "
            "not 1",
        ),
        Mistake(
            "forgets the minus of a quotient",
            _but_for("/", by_b=lambda a, b: a / b**2),
            "your slope of a / b by b lacks its minus: 1 / b falls when b grows, "
            "so it is -a / b**2",
        ),
        Mistake(
            "forgets the numerator",
            _but_for("/", by_b=lambda a, b: -1 / b**2),
            "you gave the slope of 1 / b, which is -1 / b**2; a / b is a times that: -a / b**2",
        ),
        Mistake(
            "forgets the square",
            _but_for("/", by_b=lambda a, b: -a / b),
            "a / b is a times b**-1, and the power rule takes one more from the exponent: "
            "the slope by b is -a / b**2",
        ),
        Mistake(
            "forgets the square and the minus",
            _but_for("/", by_b=lambda a, b: a / b),
            "you gave the quotient itself for its slope by b; write it as a * b**-1 "
            "and use the power rule: -a / b**2",
        ),
        Mistake(
            "treats a quotient as a product",
            _but_for("/", lambda a, b: b, lambda a, b: a),
            "you gave the slopes of a product; a / b is a times 1 / b, so its slope by a is 1 / b, "
            "and by b it is -a / b**2",
        ),
        Mistake(
            "keeps the exponent",
            _but_for("**", lambda a, b: b * a**b),
            "you kept the exponent; the power rule takes 1 from it: "
            "the slope of a ** b by a is b * a ** (b - 1)",
        ),
        Mistake(
            "forgets the brackets",
            _but_for("**", lambda a, b: b * a**b - 1),
            "you wrote b * a ** b - 1: the 1 is taken off at the end, for ** comes first; "
            "put the exponent in brackets: b * a ** (b - 1)",
        ),
        Mistake(
            "forgets the factor",
            _but_for("**", lambda a, b: a ** (b - 1)),
            "you lowered the exponent but lost the factor in front; "
            "the slope of a ** b by a is b * a ** (b - 1)",
        ),
        Mistake(
            "takes the exponent for a constant",
            _but_for("**", by_b=lambda a, b: 0.0),
            "you took the exponent for a constant; here b is an input too, and a ** b = "
            "exp(b log a) moves with it: a ** b * log(a)",
        ),
        Mistake(
            "forgets the logarithm",
            _but_for("**", by_b=lambda a, b: a**b),
            "only e ** b is its own slope; any other base brings the factor log(a): "
            "a ** b * log(a)",
        ),
        Mistake(
            "gives the logarithm alone",
            _but_for("**", by_b=lambda a, b: math.log(a)),
            "log(a) is the slope of b log a; a ** b is exp of that, "
            "so the chain rule multiplies by a ** b: a ** b * log(a)",
        ),
        Mistake(
            "takes the logarithm of the exponent",
            _but_for("**", by_b=lambda a, b: a**b * math.log(b)),
            LOG_OF_A,
        ),
        Mistake(
            "takes the logarithm of the exponent, with torch",
            _but_for("**", by_b=lambda a, b: a**b * torch.tensor(b).log().item()),
            LOG_OF_A,
        ),
        *[
            Mistake(
                f"counts in powers of {base}",
                _but_for("**", by_b=lambda a, b, base=base: a**b * math.log(a, base)),
                "you took a logarithm to another base; the slope of a ** b by b has the natural "
                "one: math.log",
            )
            for base in (2, 10)
        ],
        *[
            Mistake(
                f"lowers the exponent before the logarithm{how}",
                _but_for("**", by_b=by_b),
                "you lowered the exponent, which is the rule for the base; by the exponent, "
                "a ** b stays as it is and brings log(a): a ** b * log(a)",
            )
            for how, by_b in (
                ("", lambda a, b: a ** (b - 1) * math.log(a)),
                (", with its factor", lambda a, b: b * a ** (b - 1) * math.log(a)),
            )
        ],
        Mistake(
            "uses the power rule for both",
            _but_for("**", by_b=lambda a, b: b * a ** (b - 1)),
            "the power rule gives the slope by the base; when the exponent moves, "
            "a ** b = exp(b log a) has the slope a ** b * log(a)",
        ),
        *[
            Mistake(
                f"nudges by {h}",
                partial(_nudged, h=h),
                "you nudged the inputs, which is right to a few digits only; "
                "find the formula of each slope with pencil and paper",
            )
            for h in (0.01, 0.001, 0.0001)
        ],
        Mistake(
            "returns the slope by b first",
            lambda op, a, b: _right_slopes(op, a, b)[::-1],
            "you returned the slope by b first; the slope by a comes first: "
            "return slope_a, slope_b",
            whole=True,
        ),
        Mistake(
            "returns one number",
            lambda op, a, b: OPERATIONS[op](a, b),
            "you returned one number; asked for are two slopes, how fast the result grows with a "
            "and how fast with b: return slope_a, slope_b",
        ),
    ],
)


# 3.3 backward_pass

Inputs = tuple[tuple[int, ...], ...]

CHAINS = (((), (0,), (1,), (2,)), ((), (0,)))
REUSED = (
    ((), (0,), (0,), (1, 2)),  # a diamond
    ((), (0,), (1,), (1, 2)),  # a short way and a long one, from a node that has an input
    ((), (0,), (1,), (1,), (2, 3)),  # a diamond on a stalk
)
TWICE = (((), (0, 0)), ((), (0,), (1, 1)))
UNUSED = (((), (), (0,)), ((), (0,), (0, 1), (1,)))
LONG = 1_500  # links of a chain: a recursion ends after 1,000 calls
DOUBLINGS = 40  # of the number of paths: nobody walks along all of them


def _tapes(g: Generator, *tapes: Inputs) -> list[tuple]:
    return [(inputs, _slopes(g, *map(len, inputs))) for inputs in tapes]


def _any_tape(g: Generator) -> list[tuple]:
    """Two leaves, then operations on the node before and on any other, in both orders."""
    drawn = [(i - 1, int(torch.randint(0, i, (), generator=g))) for i in range(2, 6)]
    return _tapes(g, ((), (), *drawn), ((), (), *(pair[::-1] for pair in drawn)))


def _long_chain(g: Generator) -> list[tuple]:
    return [(((), *((i,) for i in range(LONG))), ((), *[(-1.0,)] * LONG))]


def _double_chain(g: Generator) -> list[tuple]:
    inputs = (), *((i, i) for i in range(DOUBLINGS))
    return [(inputs, ((), *[(0.5, -1.5)] * DOUBLINGS))]


def _alternates(args: tuple, grads: Tensor) -> str | None:
    return difference(grads, torch.tensor([1.0, -1.0] * (len(grads) // 2) + [1.0]))


def _one_number_per_node(args: tuple, value: object) -> Tensor:
    return numbers("the list of gradients", value, (len(args[0]),))


def _through_offsets(inputs: Inputs, slopes: Paths) -> Tensor:
    """What torch finds: the slope of the last node by an offset of 0 added to each node."""
    offsets = torch.zeros(len(inputs), dtype=torch.float64, requires_grad=True)
    nodes = []
    for node, js, steps in zip(offsets, inputs, slopes, strict=True):
        for j, slope in zip(js, steps, strict=True):
            node = torch.add(node, nodes[j], alpha=slope)
        nodes.append(node)
    return torch.autograd.grad(nodes[-1], offsets)[0]


def _sweep(
    hand_on: Callable = lambda there, slope, here: there + slope * here,
    seed: Callable = lambda n: [0.0] * (n - 1) + [1.0],
    order: Callable = lambda n: reversed(range(n)),
    edges: Callable = lambda js, steps: zip(js, steps, strict=True),
) -> Callable:
    """The sweep over the tape, of which any part can be spoilt."""

    def answer(inputs: Inputs, slopes: Paths) -> list[float]:
        grads = seed(len(inputs))
        for i in order(len(inputs)):
            for j, slope in edges(inputs[i], slopes[i]):
                grads[j] = hand_on(grads[j], slope, grads[i])
        return grads

    return answer


def _unpacked(js: tuple[int, ...], steps: tuple[float, ...]) -> list[tuple]:
    if not js:
        return []
    (one, two), (by_one, by_two) = js, steps
    return [(one, by_one), (two, by_two)]


def _counted(js: tuple[int, ...], steps: tuple[float, ...]) -> list[tuple]:
    return [(js[k], steps[k]) for k in range(2)] if js else []


def _forward_mode(inputs: Inputs, slopes: Paths) -> list[float]:
    grads = [1.0] + [0.0] * (len(inputs) - 1)
    for i, (js, steps) in enumerate(zip(inputs, slopes, strict=True)):
        grads[i] += sum(s * grads[j] for j, s in zip(js, steps, strict=True))
    return grads


def _descends(inputs: Inputs, slopes: Paths, once: bool, at_once: bool) -> list[float]:
    """From the output into the inputs, whether their gradients are complete or not."""
    grads, seen = [0.0] * (len(inputs) - 1) + [1.0], set()

    def visit(i: int) -> None:
        if once and i in seen:
            return
        seen.add(i)
        for j, slope in zip(inputs[i], slopes[i], strict=True):
            grads[j] += slope * grads[i]
            if at_once:
                visit(j)
        for j in () if at_once else inputs[i]:
            visit(j)

    visit(len(inputs) - 1)
    return grads


def _spreads(inputs: Inputs, slopes: Paths) -> list[float]:
    """Breadth first from the output, each node once."""
    grads, queue = [0.0] * (len(inputs) - 1) + [1.0], [len(inputs) - 1]
    seen = set(queue)
    for i in queue:
        for j, slope in zip(inputs[i], slopes[i], strict=True):
            grads[j] += slope * grads[i]
            if j not in seen:
                seen.add(j)
                queue.append(j)
    return grads


def _works_through(inputs: Inputs, slopes: Paths, take: int) -> list[float]:
    """A list of what is to do, on which a node stands once for every way to it."""
    grads, to_do = [0.0] * (len(inputs) - 1) + [1.0], [len(inputs) - 1]
    while to_do:
        i = to_do.pop(take)
        for j, slope in zip(inputs[i], slopes[i], strict=True):
            grads[j] += slope * grads[i]
            to_do.append(j)
    return grads


def _slopes_of_the_input(inputs: Inputs, slopes: Paths) -> list[float]:
    grads = [0.0] * (len(inputs) - 1) + [1.0]
    for i in reversed(range(len(inputs))):
        for k, j in enumerate(inputs[i]):
            grads[j] += slopes[j][k] * grads[i]
    return grads


def _along_every_path(inputs: Inputs, slopes: Paths) -> list[float]:
    grads, to_do = [0.0] * len(inputs), [(len(inputs) - 1, 1.0)]
    while to_do:
        i, grad = to_do.pop()
        grads[i] += grad
        steps = zip(inputs[i], slopes[i], strict=True)
        to_do.extend((j, slope * grad) for j, slope in steps)
    return grads


def _along_every_path_by_recursion(inputs: Inputs, slopes: Paths) -> list[float]:
    grads = [0.0] * len(inputs)

    def visit(i: int, grad: float) -> None:
        grads[i] += grad
        for j, slope in zip(inputs[i], slopes[i], strict=True):
            visit(j, slope * grad)

    visit(len(inputs) - 1, 1.0)
    return grads


def _leaves_only(inputs: Inputs, slopes: Paths) -> list[float]:
    grads = _sweep()(inputs, slopes)
    return [grad for grad, js in zip(grads, inputs, strict=True) if not js]


def _operations_erased(inputs: Inputs, slopes: Paths) -> list[float]:
    grads = _sweep()(inputs, slopes)
    return [0.0 if js else grad for grad, js in zip(grads, inputs, strict=True)]


TOO_EARLY = (
    "you followed the edges and handed gradients on before they were complete; a node must wait "
    "for all that use it: walk the tape from its end, each node once"
)

BACKWARD_PASS = Exercise(
    number="3.3",
    title="The sweep",
    name="backward_pass",
    difficulty=3,
    minutes=25,
    reference=_through_offsets,
    tests=[
        Test("follows a chain", lambda g: _tapes(g, *CHAINS), 1, _one_number_per_node),
        Test(
            "adds up where a node is used again",
            lambda g: _tapes(g, *REUSED),
            2,
            _one_number_per_node,
        ),
        Test(
            "counts a node twice that is both inputs",
            lambda g: _tapes(g, *TWICE),
            1,
            _one_number_per_node,
        ),
        Test(
            "gives 0 to what the output does not use",
            lambda g: _tapes(g, *UNUSED),
            1,
            _one_number_per_node,
        ),
        Test("sweeps over any tape", _any_tape, 1, _one_number_per_node),
        Test(
            "sweeps over a long one",
            _long_chain,
            1,
            _one_number_per_node,
            _alternates,
            property=True,
        ),
        Test(
            "visits every node once",
            _double_chain,
            1,
            _one_number_per_node,
            _alternates,
            probes.call_in_steps,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "overwrites",
            _sweep(lambda there, slope, here: slope * here),
            "a node that is used twice keeps only one of its gradients, for each overwrites the "
            "one before; add with +=",
        ),
        Mistake(
            "walks forwards",
            _sweep(order=range),
            "nothing came further than the inputs of the last node: you walked the tape forwards, "
            "or stopped after one node; go back over all of them, reversed(range(N))",
        ),
        Mistake(
            "forgets the seed",
            _sweep(seed=lambda n: [0.0] * n),
            "all your gradients are 0, because nothing set the first one: "
            "the last node's gradient by itself is 1",
        ),
        Mistake(
            "seeds every node",
            _sweep(seed=lambda n: [1.0] * n),
            "you gave every node a gradient of 1 to begin with; only the last node is the output: "
            "1 for it and 0 for the others",
        ),
        Mistake(
            "sets every gradient to 1",
            lambda inputs, slopes: [1.0] * len(inputs),
            "every gradient of yours is 1: you seed within the loop, where it overwrites what has "
            "arrived; set the last node's gradient once, before the loop",
        ),
        Mistake(
            "seeds the first node",
            _sweep(seed=lambda n: [1.0] + [0.0] * (n - 1)),
            "you seeded the first node; the walk starts at the last one, the output, "
            "and its gradient by itself is 1: grads[-1]",
        ),
        Mistake(
            "hands nothing on",
            _sweep(order=lambda n: reversed(range(n - 1))),
            "the gradient never left the last node; begin the sweep there, at index N - 1, and add "
            "slope * grads[i] to its inputs, grads[j]",
        ),
        Mistake(
            "swaps the slopes",
            _sweep(edges=lambda js, steps: zip(js, steps[::-1], strict=True)),
            "you gave each input the other one's slope; slopes[i][k] belongs to the node "
            "inputs[i][k]",
        ),
        Mistake(
            "takes the first slope for both",
            _sweep(edges=lambda js, steps: ((j, steps[0]) for j in js)),
            "you used the first slope for every input; slopes[i][k] belongs to the node "
            "inputs[i][k]",
        ),
        Mistake(
            "forgets the slope",
            _sweep(lambda there, slope, here: there + here),
            "you handed the gradient on without its slope; multiply: slope * grads[i]",
        ),
        Mistake(
            "forgets the gradient",
            _sweep(lambda there, slope, here: there + slope),
            "you added up bare slopes; the chain rule multiplies each by the gradient of the node "
            "that hands it on: slope * grads[i]",
        ),
        Mistake(
            "adds slope and gradient",
            _sweep(lambda there, slope, here: there + slope + here),
            "you added the slope to the gradient; along an edge they multiply: slope * grads[i]",
        ),
        Mistake(
            "multiplies what comes together",
            _sweep(
                lambda there, slope, here: there * slope * here,
                seed=lambda n: [1.0] * n,
            ),
            "you multiplied into grads[j]; along an edge the gradient is multiplied by the slope, "
            "but what arrives at a node by several edges is added, from 0",
        ),
        Mistake(
            "counts a node once",
            _sweep(edges=lambda js, steps: dict(zip(js, steps, strict=True)).items()),
            "a node that is both inputs of another counts twice: in a * a each factor hands its "
            "part back; add for every entry of inputs[i]",
        ),
        Mistake(
            "follows the first input only",
            _sweep(edges=lambda js, steps: list(zip(js, steps, strict=True))[:1]),
            "you followed the first input of each node; a node hands its gradient to all of them: "
            "loop over inputs[i]",
        ),
        *[
            Mistake(
                f"expects two inputs, {how}",
                _sweep(edges=edges),
                "you took two inputs from every operation, but a node may have one, as a link of "
                "a chain has; loop over inputs[i], however many they are",
            )
            for how, edges in (("unpacked", _unpacked), ("counted", _counted))
        ],
        Mistake(
            "looks slopes up by node",
            _sweep(edges=lambda js, steps: ((j, steps[j]) for j in js)),
            "slopes[i] has one entry for each input, not one for each node; "
            "take the k-th slope with the k-th input: zip(inputs[i], slopes[i])",
        ),
        Mistake(
            "returns them in reverse",
            lambda inputs, slopes: _sweep()(inputs, slopes)[::-1],
            "your gradients stand in the order of the walk; return them in the order of the tape, "
            "node 0 first",
        ),
        Mistake(
            "computes forward mode",
            _forward_mode,
            "you seeded the first node and went forwards: that is the derivative of every node by "
            "the first; asked for is that of the last node by every node",
        ),
        Mistake(
            "looks the slopes up at the input",
            _slopes_of_the_input,
            "you wrote slopes[j][k]; the slopes stand with the node that uses the inputs, not with "
            "the input: slopes[i][k] belongs to inputs[i][k]",
        ),
        Mistake("goes breadth first", _spreads, TOO_EARLY),
        Mistake("works through a queue", partial(_works_through, take=0), TOO_EARLY),
        Mistake("works through a stack", partial(_works_through, take=-1), TOO_EARLY),
        *[
            Mistake(
                f"goes depth first{', each node once' if once else ''}"
                f"{', at once' if at_once else ''}",
                partial(_descends, once=once, at_once=at_once),
                TOO_EARLY,
            )
            for once in (False, True)
            for at_once in (False, True)
        ],
        Mistake("walks along every path", _along_every_path, ALONG_EVERY_PATH),
        Mistake(
            "walks along every path, by recursion",
            _along_every_path_by_recursion,
            ALONG_EVERY_PATH,
        ),
        Mistake(
            "returns the leaves",
            _leaves_only,
            "you returned the gradients of the leaves alone; asked for is one number per node, "
            "the intermediate ones included",
        ),
        Mistake(
            "erases the operations",
            _operations_erased,
            "your leaves are right, but the nodes computed on the way have gradients too; "
            "do not set them back to 0",
        ),
    ],
)


# 3.4 unbroadcast

ADDED = (((3, 3), (3,)), ((1, 3), (3,)), ((2, 3, 2), (2,)))
STRETCHED = (((3, 3), (3, 1)), ((3, 3), (1, 3)), ((2, 3), (1, 1)), ((2, 1), (1, 1)))
BOTH = (((2, 3, 2), (3, 1)), ((2, 2, 2), (1, 2)), ((3, 2, 2), (1,)))
SINGLE = (((3,), ()), ((2, 2), ()))
EMPTY = (((0, 3), (1, 3)), ((2, 0), (0,)), ((0,), ()))
SAME = (((2, 3), (2, 3)), ((2, 1), (2, 1)), ((), ()))


def _gradients(g: Generator, *pairs: tuple) -> list[tuple]:
    return [(normal(g, *came), wanted) for came, wanted in pairs]


def _through_expand(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    x = torch.zeros(shape, dtype=grad.dtype, requires_grad=True)
    # not grad(y, x, grad), which has torch import sympy first
    return torch.autograd.grad((x.expand(grad.shape) * grad).sum(), x)[0]


def _added(grad: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(grad.ndim - len(shape)))


def _ones(grad: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis, length in enumerate(shape) if length == 1)


def _over(grad: Tensor, axes: tuple[int, ...], reduce: Callable = torch.sum, **keep) -> Tensor:
    return reduce(grad, axes, **keep) if axes else grad


def _stretched(grad: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in _ones(grad, shape) if grad.shape[axis] != 1)


def _sum_carelessly(
    grad: Tensor, shape: tuple[int, ...], added: bool, ones: bool, find: Callable
) -> Tensor:
    """Sums over a tuple of axes where one may be empty: torch then sums over all of them."""
    first = _added(grad, shape)
    grad = grad.sum(first) if added else _over(grad, first)
    second = find(grad, shape)
    return grad.sum(second, keepdim=True) if ones else _over(grad, second, keepdim=True)


def _all_at_once_carelessly(grad: Tensor, shape: tuple[int, ...], differ: bool) -> Tensor:
    extra = _added(grad, shape)
    ones = (len(extra) + axis for axis in _ones(grad, shape))
    stretched = [axis for axis in ones if not (differ and grad.shape[axis] == 1)]
    return grad.sum((*extra, *stretched), keepdim=True).reshape(shape)


def _dropped(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    return _over(_over(grad, _added(grad, shape)), _ones(grad, shape))


def _dropped_in_turn(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    grad = _over(grad, _added(grad, shape))
    for axis in _ones(grad, shape):
        grad = grad.sum(axis)
    return grad


def _aligned_on_the_left(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    for axis, (came, wanted) in enumerate(zip(grad.shape, shape, strict=False)):
        if came != wanted:
            grad = grad.sum(axis, keepdim=True)
    return grad


def _averaged(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    grad = _over(grad, _added(grad, shape), torch.mean)
    return _over(grad, _ones(grad, shape), torch.mean, keepdim=True)


def _picked(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    while grad.ndim > len(shape):
        grad = grad[0]
    for axis in _ones(grad, shape):
        grad = grad.narrow(axis, 0, 1)
    return grad


def _once(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sums over one added axis, where there may be several."""
    if grad.ndim > len(shape):
        grad = grad.sum(0)
    return _over(grad, _ones(grad, shape), keepdim=True)


def _from_the_right(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    while grad.ndim > len(shape):
        grad = grad.sum(-1)
    return _over(grad, _ones(grad, shape), keepdim=True)


def _moving_axes(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    for axis in _added(grad, shape):
        grad = grad.sum(axis)
    return _over(grad, _ones(grad, shape), keepdim=True)


def _keeping_what_was_added(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    extra = len(_added(grad, shape))
    ones = tuple(extra + axis for axis in _ones(grad, shape))
    return _over(grad, (*_added(grad, shape), *ones), keepdim=True)


def _axes_unshifted(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Looks for axes of length 1 at their place in shape before the added axes are gone."""
    grad = _over(grad, _ones(grad, shape), keepdim=True)
    return _over(grad, _added(grad, shape))


SUMS_OVER_NOTHING = (
    "with an empty tuple of axes torch sums over all of them; sum only where there is an axis to "
    "sum over: test the tuple first, or loop over the axes"
)

UNBROADCAST = Exercise(
    number="3.4",
    title="Broadcasting, backwards",
    name="unbroadcast",
    difficulty=3,
    minutes=20,
    reference=_through_expand,
    tests=[
        Test("sums over axes that were added", lambda g: _gradients(g, *ADDED)),
        Test("sums over axes that were stretched", lambda g: _gradients(g, *STRETCHED)),
        Test("does both at once", lambda g: _gradients(g, *BOTH)),
        Test("comes back to a single number", lambda g: _gradients(g, *SINGLE)),
        Test("copes with axes of length 0", lambda g: _gradients(g, *EMPTY), property=True),
        Test("leaves alone what was not broadcast", lambda g: _gradients(g, *SAME), property=True),
    ],
    mistakes=[
        *[
            Mistake(
                f"drops the axes of length 1, {how}",
                answer,
                "you dropped the axes of length 1; keep them with sum(axis, keepdim=True), "
                "so that the result has the shape asked for",
            )
            for how, answer in (("at once", _dropped), ("one by one", _dropped_in_turn))
        ],
        Mistake(
            "averages",
            _averaged,
            "you averaged over the copies; each copy moves the loss on its own, "
            "so their gradients add up: sum",
        ),
        Mistake(
            "picks the first copy",
            _picked,
            "you picked one copy's gradient; broadcasting used the value many times, "
            "and every use counts: sum over the axis",
        ),
        Mistake(
            "forgets the stretched axes",
            lambda grad, shape: _over(grad, _added(grad, shape)),
            "you summed over the axes that were added on the left; an axis of length 1 that was "
            "stretched needs a sum as well, with keepdim=True",
        ),
        Mistake(
            "forgets the added axes",
            lambda grad, shape: _over(
                grad, tuple(a for a in _ones(grad, shape) if a < grad.ndim), keepdim=True
            ),
            "you summed over the axes of length 1; axes that broadcasting added on the left must "
            "go: sum over axis 0 until grad has len(shape) axes",
        ),
        Mistake(
            "sums over one added axis",
            _once,
            "you summed over one added axis; there may be several: `while`, not `if`",
        ),
        Mistake(
            "sums from the right",
            _from_the_right,
            "you summed over the last axes; broadcasting lines shapes up on the right and adds "
            "axes on the left: sum over axis 0",
        ),
        Mistake(
            "forgets that axes move",
            _moving_axes,
            "after sum(0) the old axis 1 is the new axis 0, so a loop over 0, 1, ... skips; "
            "sum over axis 0 each time, or over all of them at once",
        ),
        Mistake(
            "keeps what was added",
            _keeping_what_was_added,
            "you kept the added axes, with length 1; they did not exist before broadcasting: "
            "sum over them without keepdim",
        ),
        Mistake(
            "looks for the axes in the wrong place",
            _axes_unshifted,
            "you looked for the stretched axes while the added ones were still there, so all "
            "stand too far left; remove the added axes first",
        ),
        Mistake(
            "sums over everything",
            lambda grad, shape: grad.sum(),
            "you summed over all axes; sum only over those that were added or stretched",
        ),
        Mistake(
            "spreads the total",
            lambda grad, shape: grad.sum().expand(shape),
            "you gave the total of all entries to every entry; each entry gets the sum over its "
            "own copies: sum over the broadcast axes only",
        ),
        *[
            Mistake(
                f"reshapes{how}",
                answer,
                "reshape keeps every number; the broadcast gradient has one for each copy, "
                "and along an axis of length 1 the copies must be summed",
            )
            for how, answer in (
                ("", lambda grad, shape: grad.reshape(shape)),
                (
                    " what was stretched",
                    lambda grad, shape: _over(grad, _added(grad, shape)).reshape(shape),
                ),
            )
        ],
        Mistake(
            "sums over axis 0 whatever the shape",
            lambda grad, shape: grad.sum(0),
            "you summed over axis 0 once, whatever the shape; compare grad.shape with shape: "
            "there may be no axis to sum over, or several",
        ),
        Mistake(
            "lines the shapes up on the left",
            _aligned_on_the_left,
            "you compared the shapes from the left; broadcasting lines them up on the right: "
            "remove the added axes on the left first, with sum(0)",
        ),
        *[
            Mistake(
                f"sums over nothing {what}{how}",
                partial(_sum_carelessly, added=added, ones=ones, find=find),
                SUMS_OVER_NOTHING,
            )
            for what, added, ones in (
                ("added or stretched", True, True),
                ("added", True, False),
                ("stretched", False, True),
            )
            for how, find in (("", _ones), (", where lengths differ", _stretched))
        ],
        *[
            Mistake(
                f"sums over nothing at all{how}",
                partial(_all_at_once_carelessly, differ=differ),
                SUMS_OVER_NOTHING,
            )
            for how, differ in (("", False), (", where lengths differ", True))
        ],
    ],
)


# 3.5 matmul_gradients

PLAIN = (((2, 2), (2, 2)), ((2, 3), (3, 1)))
STACKED = (((2, 2, 2), (2, 2)), ((2, 2), (2, 2, 2)), ((2, 2, 3), (3, 1)), ((2, 2, 2), (2, 2, 2)))
MATRICES = ("grad_A", "grad_B")


def _products(g: Generator, *pairs: tuple) -> list[tuple]:
    cases = []
    for a, b in pairs:
        A, B = normal(g, *a), normal(g, *b)
        cases.append((A, B, normal(g, *(A @ B).shape)))
    return cases


def _through_matmul(A: Tensor, B: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
    A, B = A.clone().requires_grad_(), B.clone().requires_grad_()
    # not grad(y, inputs, G), which has torch import sympy first
    return torch.autograd.grad((A @ B * G).sum(), (A, B))


def _products_that(
    by_A: Callable = lambda A, B, G: G @ B.mT,
    by_B: Callable = lambda A, B, G: A.mT @ G,
    reduce: Callable = _through_expand,
) -> Callable:
    """Two products, brought back to the shapes of A and B."""
    return lambda A, B, G: (reduce(by_A(A, B, G), A.shape), reduce(by_B(A, B, G), B.shape))


def _as_they_come(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    return grad


def _summed(grad: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What an unbroadcast makes of any shape: it asks no questions."""
    while grad.ndim > len(shape):
        grad = grad.sum(0)
    return _over(grad, _ones(grad, shape), keepdim=True)


WAYS_BACK = (("", _through_expand), (", and keeps the stack", _as_they_come))
EXCHANGED = (
    "these are the two gradients in the wrong order; grad_A, which is G @ B.mT, comes first: "
    "return grad_A, grad_B"
)


def _all_axes_reversed(
    A: Tensor, B: Tensor, G: Tensor, reduce: Callable = _through_expand
) -> tuple[Tensor, Tensor]:
    """What .T does to a stack."""
    A_T, B_T = (M.permute(*reversed(range(M.ndim))) for M in (A, B))
    return reduce(G @ B_T, A.shape), reduce(A_T @ G, B.shape)


MATMUL_GRADIENTS = Exercise(
    number="3.5",
    title="A product of matrices, backwards",
    name="matmul_gradients",
    difficulty=3,
    minutes=20,
    reference=_through_matmul,
    tests=[
        Test("is the gradient by A", lambda g: _products(g, *PLAIN), 1, part(0, *MATRICES)),
        Test("is the gradient by B", lambda g: _products(g, *PLAIN), 1, part(1, *MATRICES)),
        Test("sums where a stack shares a matrix", lambda g: _products(g, *STACKED), 2),
        Test(
            "has the shapes of A and B",
            lambda g: _products(g, *PLAIN, *STACKED),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        *[
            Mistake(
                f"transposes nothing{how}",
                _products_that(lambda A, B, G: G @ B, lambda A, B, G: A @ G, reduce=back),
                "you forgot to transpose; G has the shape of A @ B, so G @ B.mT has that of A, "
                "and A.mT @ G that of B",
            )
            for how, back in WAYS_BACK
        ],
        Mistake(
            "does not transpose B",
            _products_that(by_A=lambda A, B, G: G @ B),
            "grad_A needs B transposed: A[i, k] met row k of B, so its slope is row i of G times "
            "row k of B: G @ B.mT",
        ),
        Mistake(
            "does not transpose A",
            _products_that(by_B=lambda A, B, G: A @ G),
            "grad_B needs A transposed: it sums over the rows of A, which are the rows of G, "
            "A.mT @ G",
        ),
        *[
            Mistake(
                f"multiplies in the wrong order{how}",
                _products_that(lambda A, B, G: B.mT @ G, lambda A, B, G: G @ A.mT, reduce=back),
                "you put the factors in the wrong order; each keeps its side: B stands on the "
                "right (G @ B.mT), A on the left (A.mT @ G)",
            )
            for how, back in WAYS_BACK
        ],
        *[
            Mistake(
                f"swaps the factors{how}",
                _products_that(lambda A, B, G: G @ A.mT, lambda A, B, G: B.mT @ G, reduce=back),
                "the gradient by A is made from B, and the gradient by B from A, as in a * b; "
                "you used each for its own",
            )
            for how, back in WAYS_BACK
        ],
        Mistake(
            "returns the gradient by B first",
            lambda A, B, G: _products_that()(A, B, G)[::-1],
            EXCHANGED,
        ),
        *[
            Mistake(
                f"exchanges the products{how}",
                _products_that(lambda A, B, G: A.mT @ G, lambda A, B, G: G @ B.mT, back),
                EXCHANGED,
            )
            for how, back in ((", and sums", _summed), (", and keeps the stack", _as_they_come))
        ],
        Mistake(
            "leaves out G",
            lambda A, B, G: _products_that()(A, B, torch.ones_like(G)),
            "you left out G; every entry of A @ B counts as much as its "
            "entry of G: G @ B.mT and A.mT @ G",
        ),
        *[
            Mistake(
                f"multiplies entry by entry{how}",
                _products_that(lambda A, B, G: G * B, lambda A, B, G: A * G, reduce=back),
                "you multiplied entry by entry with *; the gradient of a matrix product is a "
                "matrix product: G @ B.mT and A.mT @ G",
            )
            for how, back in WAYS_BACK
        ],
        *[
            Mistake(
                f"returns the transpose of {which}",
                lambda A, B, G, i=i: tuple(
                    M.mT if k in i else M for k, M in enumerate(_products_that()(A, B, G))
                ),
                f"you returned the transpose of {which}; a gradient has the shape of what it "
                "belongs to: G @ B.mT for A, A.mT @ G for B",
            )
            for which, i in (("both gradients", (0, 1)), ("grad_A", (0,)), ("grad_B", (1,)))
        ],
        Mistake(
            "keeps the stack",
            _products_that(reduce=_as_they_come),
            "you returned one gradient for each matrix of the stack; a matrix that all of them "
            "share gets the sum: unbroadcast(grad_A, A.shape)",
        ),
        Mistake(
            "averages over the stack",
            _products_that(reduce=_averaged),
            "you averaged over the stack; a shared matrix is used once for every member, "
            "and the gradients of all uses add up: sum",
        ),
        Mistake(
            "takes the first of the stack",
            _products_that(reduce=_picked),
            "you took the gradient from the first member of the stack; a matrix that all share "
            "gets the sum of theirs",
        ),
        Mistake(
            "sums over every stack",
            _products_that(reduce=lambda grad, shape: grad.sum(0) if grad.ndim > 2 else grad),
            "you summed over every stack; only a matrix that the stack shares gets a sum, "
            "and a stack keeps one gradient for each member: unbroadcast(grad_A, A.shape)",
        ),
        Mistake(
            "sums for B only",
            lambda A, B, G: (G @ B.mT, _products_that()(A, B, G)[1]),
            "you summed over the stack for B alone; A may be the matrix that is shared: "
            "unbroadcast both gradients",
        ),
        Mistake(
            "sums for A only",
            lambda A, B, G: (_products_that()(A, B, G)[0], A.mT @ G),
            "you summed over the stack for A alone; B may be the matrix that is shared: "
            "unbroadcast both gradients",
        ),
        Mistake(
            "has single matrices in mind",
            partial(_all_axes_reversed, reduce=_as_they_come),
            "this is right for single matrices; on a stack .T reverses all axes, so use .mT, "
            "and a matrix that the stack shares gets the sum: unbroadcast",
        ),
        Mistake(
            "reverses all axes",
            _all_axes_reversed,
            "on a stack .T reverses all axes, the stack's own included; "
            "B.mT transposes each matrix and leaves the stack alone",
        ),
        Mistake(
            "returns one gradient",
            lambda A, B, G: _products_that()(A, B, G)[0],
            "you returned one gradient; B has one too: return grad_A, grad_B",
        ),
    ],
)

EXERCISES = (
    CHAIN,
    LOCAL_SLOPES,
    BACKWARD_PASS,
    UNBROADCAST,
    MATMUL_GRADIENTS,
    DUAL,
    VALUE,
    TRAIN_ON_MOONS,
)

check = checker(EXERCISES)
