"""The exercises of chapter 02_neuron: what they ask, how they are judged, what goes wrong.

The statements and the solutions stand in solutions/02_neuron.md. Every case with a hard decision
(fires or not) is drawn from whole and half numbers, so that no order of summation can tip it.
"""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import nonzero, normal, uniform, whole
from .exercise import (
    IF_ON_A_TENSOR,
    SUBTRACTS_TRUTH_VALUES,
    Exercise,
    Mistake,
    Test,
    checker,
    numbers,
    part,
    parts,
    shapes,
)
from .probes import gradient
from .values import difference, show

HUGE = 1e4  # exp(HUGE) overflows in every floating-point type


def _fires(z: Tensor) -> Tensor:
    return (z >= 0).to(torch.float32)


# 2.1 neuron_vote


def _random_votes(g: Generator) -> list[tuple]:
    return [(whole(g, B, D), nonzero(g, D), float(whole(g, 1)) + 0.5) for B, D in ((3, 2), (4, 3))]


def _close_votes(g: Generator, margins: tuple[float, ...]) -> list[tuple]:
    """Inputs whose weighted sum misses the threshold by the margin, and an empty ballot."""
    w = nonzero(g, 2)
    cases = []
    for side, margin in itertools.product((1, -1), margins):
        x = torch.stack([side * w, torch.zeros(2), whole(g, 2)])
        cases.append((x, w, -side * float(w @ w) + margin))
    return cases


def _zeros_and_ones(args: tuple, value: object) -> str | None:
    x = args[0]
    if message := difference(shapes(args, value), torch.zeros(len(x))):
        return message
    if value.dtype == torch.bool:
        return "returned True and False, expected the numbers 1.0 and 0.0"
    if not torch.isin(value, torch.tensor([0, 1])).all():
        return f"returned {show(value)}, expected only 0 and 1"
    return None


def _vote_with_if(x: Tensor, w: Tensor, b: float) -> float:
    return 1.0 if x @ w + b >= 0 else 0.0


NEURON_VOTE = Exercise(
    number="2.1",
    title="A vote",
    name="neuron_vote",
    difficulty=1,
    minutes=5,
    reference=lambda x, w, b: torch.heaviside(x @ w + b, torch.ones(())),
    tests=[
        Test("adds up the weighted inputs of each row", _random_votes),
        Test("is as easily convinced as the bias says", partial(_close_votes, margins=(0.5, -0.5))),
        Test("fires at exactly zero", partial(_close_votes, margins=(0.0,))),
        Test(
            "answers 0 or 1, once for each row", _random_votes, judge=_zeros_and_ones, property=True
        ),
    ],
    mistakes=[
        Mistake(
            "leaves out the bias",
            lambda x, w, b: _fires(x @ w),
            "you compared the weighted sum with 0 and left out the bias; "
            "add b to the sum before you compare",
        ),
        Mistake(
            "fires above zero only",
            lambda x, w, b: (x @ w + b > 0).float(),
            "you stay silent at exactly 0, where step(0) is 1; compare with >=, not with > "
            "(and not with torch.round, which rounds a half down to 0)",
        ),
        Mistake(
            "subtracts the bias",
            lambda x, w, b: _fires(x @ w - b),
            "you treated b as a threshold and subtracted it; "
            "the bias is added: fire when x·w + b >= 0",
        ),
        Mistake(
            "adds the bias once per feature",
            lambda x, w, b: _fires((x * w + b).sum(-1)),
            "you added b to every product before summing, so it counts once per feature; "
            "sum first, then add b once",
        ),
        Mistake(
            "forgets to sum",
            lambda x, w, b: _fires(x * w + b),
            "you decided for each feature on its own, which gives one value per feature; "
            "sum the products over the features (x @ w), then decide once per row",
        ),
        Mistake(
            "uses the sign",
            lambda x, w, b: torch.sign(x @ w + b),
            "you returned the sign, which is -1, 0 or 1; a step neuron answers 0 or 1, "
            "and 1 at exactly 0",
        ),
        Mistake(
            "returns truth values",
            lambda x, w, b: x @ w + b >= 0,
            "your decisions are right but they are True and False, which torch will not subtract "
            "from one another; convert them with .float()",
        ),
        Mistake(
            "asks if of a tensor",
            _vote_with_if,
            IF_ON_A_TENSOR,
        ),
        Mistake(
            "does not decide",
            lambda x, w, b: x @ w + b,
            "you returned the sum itself; the neuron decides by it: "
            "return 1.0 where it is >= 0 and 0.0 elsewhere",
        ),
        Mistake(
            "sums over the batch",
            lambda x, w, b: _fires((x * w).sum() + b),
            "you summed over all rows at once, so one decision is left; "
            "sum each row on its own: x @ w, or (x * w).sum(1)",
        ),
        Mistake(
            "puts the weights first",
            lambda x, w, b: _fires(w @ x + b),
            "you wrote w @ x, but here every row of x is one input; "
            "the rows come first: x of shape (B, D) times w of shape (D,) is x @ w",
        ),
        Mistake(
            "calls dot",
            lambda x, w, b: _fires(torch.dot(x, w) + b),
            "torch.dot takes two vectors, and x is a batch of them; "
            "x @ w multiplies each row of x by w",
        ),
        Mistake(
            "sums over the rows",
            lambda x, w, b: _fires((x * w).sum(0) + b),
            "you summed down the columns, axis 0, which mixes the examples; "
            "sum along each row: x @ w, or (x * w).sum(1)",
        ),
        Mistake(
            "uses the sigmoid",
            lambda x, w, b: torch.sigmoid(x @ w + b),
            "you returned the sigmoid of the sum; this neuron takes a hard decision: "
            "1.0 where the sum is >= 0 and 0.0 elsewhere",
        ),
        Mistake(
            "answers in a column",
            lambda x, w, b: _fires(x @ w[:, None] + b),
            "your answer is a column of shape (B, 1); keep w as it comes, of shape (D,), "
            "and x @ w has shape (B,)",
        ),
    ],
)


# 2.2 gate

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
TABLES = {
    "AND": (0, 0, 0, 1),
    "OR": (0, 1, 1, 1),
    "NAND": (1, 1, 1, 0),
    "NOR": (1, 0, 0, 0),
}


def _side(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """The sign of ``W x + b`` for each row x: 1, -1, or 0 on the boundary, up to rounding."""

    def weighted(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
        return torch.tensordot(x, W, dims=([-1], [-1])) + b

    z = weighted(x, W, b)
    return torch.where(z.abs() <= 1e-6 * weighted(x.abs(), W.abs(), b.abs()), 0, z.sign())


def _gate_sides(args: tuple, value: object) -> Tensor:
    w, b = parts(value, "w", "b")
    return _side(CORNERS, numbers("w", w, (2,)), numbers("b", b, ()))


def _is_gate(args: tuple, sides: Tensor) -> str | None:
    (name,) = args
    fires = (sides >= 0).int()
    wanted = torch.tensor(TABLES[name])
    if torch.equal(fires, wanted):
        return None
    said, want = ("".join(map(str, row.tolist())) for row in (fires, wanted))
    message = f"for the inputs 00, 01, 10, 11 it answers {said}, {name} answers {want}"
    lying = (sides == 0) & (fires != wanted)
    if lying.any():
        corner = "".join(f"{bit:.0f}" for bit in CORNERS[lying][0])
        message += f"; at {corner} the sum is exactly 0, on the boundary, and step(0) fires"
    return message


def _gate_test(name: str) -> Test:
    return Test(f"{name} has its truth table", lambda g: [(name,)], 1, _gate_sides, _is_gate)


def _gates(AND: tuple, OR: tuple, NAND: tuple, NOR: tuple):
    """An answer that looks up ``(w, b)``; a weight is given once and serves both inputs."""
    table = {"AND": AND, "OR": OR, "NAND": NAND, "NOR": NOR}
    return lambda name: (torch.full((2,), table[name][0]), table[name][1])


_right_gate = _gates((1.0, -1.5), (1.0, -0.5), (-1.0, 1.5), (-1.0, 0.5))

GATE = Exercise(
    number="2.2",
    title="Logic gates",
    name="gate",
    difficulty=1,
    minutes=10,
    reference=_right_gate,
    tests=[_gate_test(name) for name in TABLES],
    mistakes=[
        Mistake(
            "gives the threshold as the bias",
            _gates((1.0, 1.5), (1.0, 0.5), (-1.0, -1.5), (-1.0, -0.5)),
            "you gave the threshold as the bias; the neuron fires when x·w + b >= 0, "
            "so the bias is minus the threshold",
        ),
        Mistake(
            "swaps AND and OR",
            _gates((1.0, -0.5), (1.0, -1.5), (-1.0, 0.5), (-1.0, 1.5)),
            "your AND is an OR and your OR an AND; with weights of 1, AND must ask for two "
            "votes (b = -1.5), OR for one (b = -0.5)",
        ),
        Mistake(
            "negates the weights only",
            _gates((1.0, -1.5), (1.0, -0.5), (-1.0, -1.5), (-1.0, -0.5)),
            "you negated the weights of AND and OR and kept the bias, so nothing can fire; "
            "the opposite gate has the opposite sum: negate w and b",
        ),
        Mistake(
            "negates the bias only",
            _gates((1.0, -1.5), (1.0, -0.5), (1.0, 1.5), (1.0, 0.5)),
            "you negated the bias of AND and OR and kept the weights, so everything fires; "
            "the opposite gate has the opposite sum: negate w and b",
        ),
        Mistake(
            "swaps NAND and NOR",
            _gates((1.0, -1.5), (1.0, -0.5), (-1.0, 0.5), (-1.0, 1.5)),
            "your NAND is a NOR and your NOR a NAND: 'not both' still fires for one 1, "
            "'neither' does not; negate AND for NAND and OR for NOR",
        ),
        Mistake(
            "negates a gate that lies on the boundary",
            _gates((1.0, -2.0), (1.0, -1.0), (-1.0, 2.0), (-1.0, 1.0)),
            "your AND and OR hold only because step(0) = 1: a corner lies exactly on the "
            "boundary, and its opposite lies there too; move the boundary between the corners",
        ),
        Mistake(
            "returns the bias first",
            lambda name: _right_gate(name)[::-1],
            "you returned the bias first; the weights come first: return w, b",
        ),
    ],
)


# 2.3 sigmoid


def _moderate(g: Generator) -> list[tuple]:
    return [(3 * normal(g, 3),), (3 * normal(g, 2, 2),)]


def _extreme(g: Generator) -> list[tuple]:
    size = uniform(g, 200.0, 2000.0, 2)
    return [(torch.stack([torch.tensor(-HUGE), -size[0], size[1], torch.tensor(HUGE)]),)]


def _around_zero(g: Generator) -> list[tuple]:
    return [(torch.cat([3 * normal(g, 3), torch.zeros(1)]),)]


def _abs_sigmoid(z: Tensor) -> Tensor:
    e = torch.exp(-z.abs())
    return torch.where(z >= 0, 1 / (1 + e), e / (1 + e))


def _sigmoid_with_if(z: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-z)) if z >= 0 else torch.exp(z) / (1 + torch.exp(z))


def _swapped_results(z: Tensor) -> Tensor:
    e = torch.exp(torch.where(z >= 0, -z, z))
    return torch.where(z >= 0, e / (1 + e), 1 / (1 + e))


def _numpy_sigmoid(z: Tensor) -> Tensor:
    with np.errstate(over="ignore"):
        return 1 / (1 + torch.from_numpy(np.exp(-z.numpy())))


SIGMOID = Exercise(
    number="2.3",
    title="A sigmoid that survives",
    name="sigmoid",
    difficulty=2,
    minutes=15,
    reference=lambda z: torch.sigmoid(z),
    tests=[
        Test("equals 1 / (1 + exp(-z))", _moderate),
        Test("has a value at ±10,000", _extreme),
        Test("has its own slope, at 0 too", _around_zero, probe=gradient),
        Test("has a slope at ±10,000", _extreme, probe=gradient, property=True),
        Test("keeps the shape", _moderate, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "flips the sign",
            lambda z: 1 / (1 + torch.exp(z)),
            "your curve falls where it should rise: that is σ(-z); the exponent is -z",
        ),
        Mistake(
            "divides infinity by infinity",
            lambda z: torch.exp(z) / (1 + torch.exp(z)),
            "exp(z) overflows for large z, and infinity over infinity is NaN; "
            "take exp only of numbers that are not positive",
        ),
        Mistake(
            "uses the formula as it stands",
            lambda z: 1 / (1 + torch.exp(-z)),
            "the value survives (1 / infinity is 0) but the gradient does not: exp(-z) overflows "
            "for very negative z and 0 · infinity is NaN; use exp(z) there",
        ),
        Mistake(
            "chooses after the overflow",
            lambda z: torch.where(
                z >= 0, 1 / (1 + torch.exp(-z)), torch.exp(z) / (1 + torch.exp(z))
            ),
            "torch.where computes both branches, and the one that it throws away sends "
            "0 · infinity = NaN into the gradient; choose the exponent first, then take exp of it",
        ),
        Mistake(
            "has no slope at zero",
            _abs_sigmoid,
            "your slope at exactly 0 is 0, for autograd gives abs() the slope 0 there; with zero "
            "weights and bias a neuron would never learn. Use torch.where(z >= 0, -z, z)",
        ),
        Mistake(
            "uses math",
            lambda z: 1 / (1 + math.exp(-z)),
            "math.exp takes one number; torch.exp takes a whole tensor and keeps its gradient",
        ),
        Mistake(
            "uses numpy",
            _numpy_sigmoid,
            "numpy knows nothing of gradients, and detaching, which the error suggests, would lose "
            "them; use torch.exp instead of np.exp",
        ),
        Mistake(
            "leaves autograd",
            lambda z: torch.sigmoid(z.detach()),
            "your values are right, but they were computed out of autograd's sight, so nothing "
            "can be learned through them; compute with tensors from z to the result",
        ),
        Mistake(
            "asks if of a tensor",
            _sigmoid_with_if,
            IF_ON_A_TENSOR,
        ),
        Mistake(
            "swaps the results",
            _swapped_results,
            "you took the two results the wrong way round, so your curve falls; with e = exp(-|z|) "
            "it is 1 / (1 + e) for z >= 0 and e / (1 + e) below",
        ),
        Mistake(
            "swaps the branches",
            lambda z: torch.where(
                z >= 0, torch.exp(z) / (1 + torch.exp(z)), 1 / (1 + torch.exp(-z))
            ),
            "you use each form where it overflows; exp(-z) is safe for z >= 0 and exp(z) below. "
            "Choose the exponent with torch.where first, then take exp of it",
        ),
        Mistake(
            "replaces the NaN",
            lambda z: torch.nan_to_num(torch.exp(z) / (1 + torch.exp(z)), nan=1.0),
            "nan_to_num mends the value, but backwards the overflow is still there and makes the "
            "gradient NaN; take exp only of numbers that are not positive",
        ),
        Mistake(
            "replaces the NaN by zero",
            lambda z: torch.nan_to_num(torch.exp(z) / (1 + torch.exp(z))),
            "nan_to_num puts 0 in the place of NaN, but there the value is 1, and the slope stays "
            "NaN; take exp only of numbers that are not positive",
        ),
        Mistake(
            "forgets the sign",
            lambda z: 1 / (1 + torch.exp(-z.abs())),
            "you used |z| for negative z too, so the curve rises on both sides; with e = exp(-|z|) "
            "it is 1 / (1 + e) for z >= 0 and e / (1 + e) below",
        ),
    ],
)


# 2.4 collapse


def _two_layers(g: Generator, bias: float) -> list[tuple]:
    """Two layers D -> H -> K: all of one size first, then three sizes."""
    return [
        (normal(g, H, D), bias * normal(g, H), normal(g, K, H), bias * normal(g, K))
        for D, H, K in ((2, 2, 2), (2, 3, 1))
    ]


def _collapse(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    """Read the one layer off its outputs: for 0 it answers b, for a unit vector a column more."""

    def both(X: Tensor) -> Tensor:
        return (X @ W1.T + b1) @ W2.T + b2

    b = both(torch.zeros_like(W1[0]))
    return (both(torch.eye(W1.shape[1])) - b).T, b


COLLAPSE = Exercise(
    number="2.4",
    title="Two layers in one",
    name="collapse",
    difficulty=2,
    minutes=10,
    reference=_collapse,
    tests=[
        Test("does what both layers do, without biases", partial(_two_layers, bias=0.0)),
        Test("carries both biases through", partial(_two_layers, bias=1.0)),
        Test(
            "is one layer from D to K",
            partial(_two_layers, bias=1.0),
            observe=shapes,
            property=True,
        ),
    ],
    mistakes=[
        Mistake(
            "multiplies in the wrong order",
            lambda W1, b1, W2, b2: (W1 @ W2, W2 @ b1 + b2),
            "you multiplied W1 @ W2; the layer that acts first stands next to x, "
            "W2 (W1 x), so it is W2 @ W1",
        ),
        Mistake(
            "thinks in rows",
            lambda W1, b1, W2, b2: (W1 @ W2, b1 @ W2 + b2),
            "you composed the layers as if they computed x @ W; here a layer is W x + b, so the "
            "second one stands on the left: W2 @ W1 and W2 @ b1",
        ),
        Mistake(
            "adds the biases",
            lambda W1, b1, W2, b2: (W2 @ W1, b1 + b2),
            "you added b1 to b2; b1 passes through the second layer too, so it arrives as W2 @ b1",
        ),
        Mistake(
            "loses the first bias",
            lambda W1, b1, W2, b2: (W2 @ W1, b2),
            "your bias is b2 alone; b1 is part of what the second layer gets: add W2 @ b1",
        ),
        Mistake(
            "loses the second bias",
            lambda W1, b1, W2, b2: (W2 @ W1, W2 @ b1),
            "your bias is W2 @ b1 alone; the second layer adds its own bias at the end: add b2",
        ),
        Mistake(
            "sends the bias through both layers",
            lambda W1, b1, W2, b2: (W2 @ W1, W2 @ W1 @ b1 + b2),
            "you sent b1 through both matrices; it is added after the first, so only W2 acts on it",
        ),
        Mistake(
            "returns the transpose",
            lambda W1, b1, W2, b2: ((W2 @ W1).T, W2 @ b1 + b2),
            "your W is transposed; here a layer computes W x + b with W of shape (K, D), "
            "one row per output",
        ),
        Mistake(
            "multiplies entry by entry",
            lambda W1, b1, W2, b2: (W2 * W1, W2 * b1 + b2),
            "you multiplied entry by entry with *; a layer is a matrix product: use @",
        ),
        Mistake(
            "sends both biases through the second layer",
            lambda W1, b1, W2, b2: (W2 @ W1, W2 @ (b1 + b2)),
            "you sent b2 through the second layer too; that layer adds it at its end: W2 @ b1 + b2",
        ),
        Mistake(
            "returns the matrix alone",
            lambda W1, b1, W2, b2: W2 @ W1,
            "you returned W alone; the one layer has a bias too: return W, b",
        ),
        Mistake(
            "returns the bias first",
            lambda W1, b1, W2, b2: (W2 @ b1 + b2, W2 @ W1),
            "you returned the bias first; the matrix comes first: return W, b",
        ),
    ],
)


# 2.5 perceptron_update


def _meeting(g: Generator, evidence: float, label: float, *, against: bool = False) -> tuple:
    """A perceptron whose sum for the input is ``evidence``, and the label it should have given.

    With ``against`` the weights alone would answer otherwise: the bias tips the balance.
    """
    w, x = nonzero(g, 3), nonzero(g, 3)
    if against:
        x[0] += x[0].sign() * (w @ x == 0)
        x = torch.where(evidence * (w @ x) > 0, -x, x)
    return w, evidence - w @ x, x, torch.tensor(label)


def _right_already(g: Generator) -> list[tuple]:
    return [_meeting(g, 2.5, 1.0), _meeting(g, -2.5, 0.0, against=True)]


def _missed(g: Generator) -> list[tuple]:
    return [_meeting(g, -1.5, 1.0), _meeting(g, -0.5, 1.0, against=True)]


def _false_alarm(g: Generator) -> list[tuple]:
    return [_meeting(g, 1.5, 0.0), _meeting(g, 0.5, 0.0, against=True)]


def _from_zero(g: Generator) -> list[tuple]:
    start = (torch.zeros(3), torch.tensor(0.0))
    return [
        (*start, nonzero(g, 3), torch.tensor(1.0)),
        (*start, nonzero(g, 3), torch.tensor(0.0)),
    ]


def _update(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if (w @ x + b >= 0) == (y > 0):
        return w, b
    return (w + x, b + 1) if y > 0 else (w - x, b - 1)


def _update_in_place(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    error = y - _fires(w @ x + b)
    w += error * x
    b += error
    return w, b


def _update_without_bias(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    error = y - _fires(w @ x)
    return w + error * x, b + error


def _update_without_input(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    error = y - _fires(w @ x + b)
    return w + error, b + error


def _with_error(error, bias: bool = True):
    """An update that takes ``error(z, y)`` for the error."""

    def update(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        e = error(w @ x + b, y)
        return w + e * x, b + e if bias else b

    return update


PERCEPTRON_UPDATE = Exercise(
    number="2.5",
    title="Learn from one mistake",
    name="perceptron_update",
    difficulty=2,
    minutes=10,
    reference=_update,
    tests=[
        Test("leaves a neuron alone that was right", _right_already, property=True),
        Test("moves towards an input that it missed", _missed),
        Test("moves away from an input that it should have ignored", _false_alarm),
        Test("starts from zero weights and bias, where it fires", _from_zero),
    ],
    mistakes=[
        Mistake(
            "learns when it was right",
            _with_error(lambda z, y: 2 * y - 1),
            "you moved the weights though the answer was right; the error y - ŷ is then 0, "
            "so nothing may change",
        ),
        Mistake(
            "moves the wrong way",
            _with_error(lambda z, y: _fires(z) - y),
            "you moved the wrong way: after a missed 1 the sum must grow; add (y - ŷ) x, "
            "with the label first",
        ),
        Mistake(
            "uses labels as -1 and 1",
            _with_error(lambda z, y: y * (_fires(z) != y)),
            "you added y x, the rule for labels -1 and 1; with labels 0 and 1 it never corrects "
            "a false alarm. Add (y - ŷ) x",
        ),
        Mistake(
            "keeps the bias",
            _with_error(lambda z, y: y - _fires(z), bias=False),
            "you moved the weights but not the bias; it learns like the weight of an input "
            "that is always 1: add y - ŷ to b",
        ),
        Mistake(
            "fires above zero only",
            _with_error(lambda z, y: y - (z > 0).float()),
            "you predicted with > 0; step(0) is 1, so a neuron with zero weights and bias fires: "
            "predict with >= 0",
        ),
        Mistake(
            "takes the sum for the answer",
            _with_error(lambda z, y: y - z),
            "you took the error from the sum z = w·x + b; the perceptron compares y with its "
            "answer ŷ = step(z), which is 0 or 1",
        ),
        Mistake(
            "changes its arguments",
            _update_in_place,
            "w += ... changes the caller's tensor, and the old weights are lost; "
            "write w = w + ..., which makes a new one",
        ),
        Mistake(
            "subtracts a truth value",
            _with_error(lambda z, y: y - (z >= 0)),
            SUBTRACTS_TRUTH_VALUES,
        ),
        Mistake(
            "predicts without the bias",
            _update_without_bias,
            "you predicted from w·x alone; the bias votes too: the neuron fires when w·x + b >= 0",
        ),
        Mistake(
            "forgets the input",
            _update_without_input,
            "you added the bare error to every weight; a weight moves in proportion to its input: "
            "add (y - ŷ) x",
        ),
        Mistake(
            "moves up when it is not a false alarm",
            _with_error(lambda z, y: 1 - 2 * _fires(z) * (1 - y)),
            "you move up in every case but the false alarm, even after a right answer; "
            "there are three cases, and (y - ŷ) x covers them all",
        ),
        Mistake(
            "moves up after every error",
            _with_error(lambda z, y: (_fires(z) != y).float()),
            "you move up after every wrong answer; after a false alarm the sum must fall: "
            "add (y - ŷ) x, whose sign says which way",
        ),
        Mistake(
            "predicts with the sigmoid",
            _with_error(lambda z, y: y - torch.sigmoid(z)),
            "you predicted with the sigmoid; the perceptron answers 0 or 1, "
            "so that nothing moves when it is right: ŷ = step(w·x + b)",
        ),
        Mistake(
            "returns the weights alone",
            lambda w, b, x, y: _update(w, b, x, y)[0],
            "you returned the weights alone; the bias learns too: return w, b",
        ),
        Mistake(
            "returns the bias first",
            lambda w, b, x, y: _update(w, b, x, y)[::-1],
            "you returned the bias first; the weights come first: return w, b",
        ),
    ],
)


# 2.6 bce_with_logits


def _ordinary(g: Generator) -> list[tuple]:
    return [
        (2 * normal(g, 4), torch.tensor([0.0, 1.0, 1.0, 0.0])),
        (2 * normal(g, 3), torch.tensor([1.0, 0.0, 0.0])),
    ]


def _sure_logits(g: Generator) -> list[Tensor]:
    size = uniform(g, 120.0, 900.0, 2)
    # At 40 the probability is 1 in single precision, but exp does not overflow yet.
    return [
        torch.tensor([HUGE, -HUGE]),
        torch.stack([size[0], -size[1]]),
        torch.tensor([40.0, -40.0]),
    ]


def _sure_and_right(g: Generator) -> list[tuple]:
    return [(z, torch.tensor([1.0, 0.0])) for z in _sure_logits(g)]


def _sure_and_wrong(g: Generator) -> list[tuple]:
    return [(z, torch.tensor([0.0, 1.0])) for z in _sure_logits(g)]


def _slopes(g: Generator) -> list[tuple]:
    """Ordinary logits, a logit of exactly 0, and sure ones, each with both labels."""
    sure = [torch.tensor([200.0, -200.0]), *_sure_logits(g)]
    return [
        *_ordinary(g),
        (torch.zeros(2), torch.tensor([0.0, 1.0])),
        *[(z.repeat(2), torch.tensor([1.0, 0.0, 0.0, 1.0])) for z in sure],
    ]


def _costs(z: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(z, y, reduction="none")


def _naive(z: Tensor, y: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def _clamped(z: Tensor, y: Tensor, eps: float) -> Tensor:
    p = torch.sigmoid(z).clamp(eps, 1 - eps)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def _cushioned(z: Tensor, y: Tensor, eps: float) -> Tensor:
    p = torch.sigmoid(z)
    return -(y * (p + eps).log() + (1 - y) * (1 - p + eps).log()).mean()


def _loss_with_if(z: Tensor, y: Tensor) -> Tensor:
    e = torch.exp(-z) if z >= 0 else torch.exp(z)
    return (torch.log1p(e) - y * z).mean()


def _chosen_too_late(z: Tensor, y: Tensor) -> Tensor:
    above, below = z + torch.log(1 + torch.exp(-z)), torch.log(1 + torch.exp(z))
    return (torch.where(z >= 0, above, below) - y * z).mean()


def _kinked(z: Tensor, y: Tensor, positive) -> Tensor:
    return (positive(z) + torch.log(1 + torch.exp(-z.abs())) - y * z).mean()


def _weighted_by_label(z: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.log(1 + torch.exp(-z)), torch.log(1 + torch.exp(z))
    return (y * one + (1 - y) * zero).mean()


def _chosen_by_label(z: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.log(1 + torch.exp(-z)), torch.log(1 + torch.exp(z))
    return torch.where(y == 1, one, zero).mean()


OVERFLOWS = (
    "exp overflows beyond 88; write the loss as log(1 + exp(z)) - y z and choose the exponent "
    "first, as in 2.3: torch.where(z >= 0, z, 0) + log1p(exp(torch.where(z >= 0, -z, z)))"
)
TOO_LATE = (
    "torch.where computes both branches, and the one that it throws away sends "
    "0 · infinity = NaN into the gradient; choose the exponent first, as in 2.3"
)
NO_SLOPE_AT_ZERO = (
    "the value is right, but at exactly 0 both terms have a corner, and autograd's slopes there "
    "do not add up to σ(0) - y; take torch.where(z >= 0, z, 0) and, for -|z|, "
    "torch.where(z >= 0, -z, z)"
)
SATURATES = (
    "your loss stops growing, and where it is flat there is no gradient: a neuron that is sure "
    "and wrong would never learn. Write the loss in z: log(1 + exp(z)) - y z needs no limit"
)

BCE_WITH_LOGITS = Exercise(
    number="2.6",
    title="A loss that survives",
    name="bce_with_logits",
    difficulty=3,
    minutes=20,
    reference=lambda z, y: F.binary_cross_entropy_with_logits(z, y),
    tests=[
        Test("equals the mean cross-entropy", _ordinary),
        Test("charges nothing for being sure and right", _sure_and_right),
        Test("charges |z| for being sure and wrong", _sure_and_wrong, points=2),
        Test("has the slope (σ(z) - y) / B everywhere", _slopes, probe=gradient),
        Test("is a single number", _ordinary, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "takes the logarithm of zero",
            _naive,
            "for large |z| the probability rounds to 0 or 1, and 0 · log(0) is NaN; "
            "put σ into the logarithm by hand: -log σ(z) = log(1 + exp(-z))",
        ),
        Mistake(
            "overflows",
            lambda z, y: (torch.log(1 + torch.exp(z)) - y * z).mean(),
            OVERFLOWS,
        ),
        *[
            Mistake(f"overflows: {how}", answer, OVERFLOWS)
            for how, answer in (
                ("weighted by the label", _weighted_by_label),
                ("chosen by the label", _chosen_by_label),
                ("with the signed logit", lambda z, y: F.soft_margin_loss(z, 2 * y - 1)),
            )
        ],
        *[
            Mistake(f"clamps the probability at {eps}", partial(_clamped, eps=eps), SATURATES)
            for eps in (1e-5, 1e-6, 1e-7)
        ],
        *[
            Mistake(f"adds {eps} in the logarithm", partial(_cushioned, eps=eps), SATURATES)
            for eps in (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
        ],
        Mistake(
            "clamps the logarithm as torch does",
            lambda z, y: F.binary_cross_entropy(torch.sigmoid(z), y),
            "your loss stops at 100: torch limits the logarithm of a probability there, and the "
            "gradient with it. Write the loss in z: log(1 + exp(z)) - y z needs no limit",
        ),
        Mistake(
            "sums",
            lambda z, y: _costs(z, y).sum(),
            "you summed over the batch; the loss is the mean, so that the step size need not "
            "change with the batch",
        ),
        Mistake(
            "forgets the mean",
            _costs,
            "you returned one loss per example; take the mean over the batch",
        ),
        Mistake(
            "forgets the minus",
            lambda z, y: -_costs(z, y).mean(),
            "your loss is negative: the cross-entropy is minus the logarithm of the probability "
            "given to the label",
        ),
        Mistake(
            "forgets the zeros",
            lambda z, y: (y * F.softplus(-z)).mean(),
            "you charged only for the examples with y = 1; "
            "those with y = 0 cost -log(1 - σ(z)) = log(1 + exp(z))",
        ),
        Mistake(
            "swaps the labels",
            lambda z, y: _costs(z, 1 - y).mean(),
            "you swapped the labels: σ(z) is the probability of y = 1, "
            "so y = 1 costs -log σ(z), which is small for large z",
        ),
        Mistake(
            "chooses after the overflow",
            _chosen_too_late,
            TOO_LATE,
        ),
        Mistake(
            "chooses after the overflow, from 20",
            lambda z, y: (torch.where(z > 20, z, torch.log1p(torch.exp(z))) - y * z).mean(),
            TOO_LATE,
        ),
        *[
            Mistake(name, partial(_kinked, positive=positive), NO_SLOPE_AT_ZERO)
            for name, positive in (
                # clamp and relu give one or the other, depending on the version of torch
                ("has no slope at zero: 1 and 0", lambda z: torch.where(z >= 0, z, 0)),
                ("has no slope at zero: 0 and 0", lambda z: torch.where(z > 0, z, 0)),
            )
        ],
        Mistake(
            "returns a Python number",
            lambda z, y: _costs(z, y).mean().item(),
            "the value is right, but .item() makes a plain number of the loss, and nothing can be "
            "learned through it; return the tensor",
        ),
        Mistake(
            "leaves autograd",
            lambda z, y: _costs(z.detach(), y).mean(),
            "the value is right, but it was computed out of autograd's sight, so nothing can be "
            "learned through it; compute with tensors from z to the loss",
        ),
        Mistake(
            "asks if of a tensor",
            _loss_with_if,
            IF_ON_A_TENSOR,
        ),
        Mistake(
            "adds y z",
            lambda z, y: (F.softplus(z) + y * z).mean(),
            "you added y z; it is subtracted: log(1 + exp(z)) - y z, "
            "so that a label of 1 makes a large z cheap",
        ),
        Mistake(
            "takes the squared error",
            lambda z, y: ((torch.sigmoid(z) - y) ** 2).mean(),
            "that is the squared error of the probability, which never charges more than 1; "
            "the cross-entropy is minus the logarithm of the probability given to the label",
        ),
        Mistake(
            "counts in bits",
            lambda z, y: _costs(z, y).mean() / math.log(2),
            "you took the logarithm to base 2, which counts in bits; "
            "the loss is wanted in nats: torch.log or torch.log1p",
        ),
    ],
)


# 2.7 logistic_gradients


def _batches(g: Generator) -> list[tuple]:
    return [
        (
            normal(g, B, D),
            (torch.arange(B) % 2).float(),
            normal(g, D),
            uniform(g, 0.5, 1.5),
        )
        for B, D in ((3, 3), (5, 2))
    ]


def _by_autograd(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    w, b = w.clone().requires_grad_(), b.clone().requires_grad_()
    return torch.autograd.grad(F.binary_cross_entropy_with_logits(X @ w + b, y), (w, b))


def _with_residual(residual, bias: float = 1.0):
    """Gradients that are means over the batch of ``residual(z, y)`` times the input."""

    def gradients(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        r = residual(X @ w + bias * b, y)
        return X.T @ r / len(y), r.mean()

    return gradients


def _summed(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.sigmoid(X @ w + b) - y
    return X.T @ error, error.sum()


def _weights_summed(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.sigmoid(X @ w + b) - y
    return X.T @ error, error.mean()


def _summed_over_features(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.sigmoid(X @ w + b) - y
    return X @ error / len(y), error.mean()


def _divided_by_features(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.sigmoid(X @ w + b) - y
    return X.T @ error / len(w), error.sum() / len(w)


def _updated(X: Tensor, y: Tensor, w: Tensor, b: Tensor, lr: float) -> tuple[Tensor, Tensor]:
    grad_w, grad_b = _by_autograd(X, y, w, b)
    return w - lr * grad_w, b - lr * grad_b


def _squared_error(z: Tensor, y: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    return (p - y) * p * (1 - p)


def _broadcast_wrongly(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.sigmoid(X @ w + b) - y
    return (X * error).mean(0), error.mean()


def _averaged_over_features(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    error = torch.sigmoid(X @ w + b) - y
    return (X * error[:, None]).mean(1), error.mean()


GRADIENTS = ("grad_w", "grad_b")

LOGISTIC_GRADIENTS = Exercise(
    number="2.7",
    title="Gradients by hand",
    name="logistic_gradients",
    difficulty=3,
    minutes=20,
    reference=_by_autograd,
    tests=[
        Test("is the slope of the mean loss by the weights", _batches, 2, part(0, *GRADIENTS)),
        Test("is the slope of the mean loss by the bias", _batches, 1, part(1, *GRADIENTS)),
        Test("has the shapes of w and b", _batches, observe=shapes, property=True),
    ],
    mistakes=[
        Mistake(
            "sums",
            _summed,
            "you summed over the batch; the loss is a mean, so its gradient is one too: "
            "divide by the number of examples",
        ),
        Mistake(
            "divides the bias only",
            _weights_summed,
            "grad_b is a mean but grad_w is a sum: X.T @ error adds over the batch, "
            "so divide it by the number of examples",
        ),
        Mistake(
            "points downhill",
            _with_residual(lambda z, y: y - torch.sigmoid(z)),
            "your gradient points downhill: the error is p - y, the prediction first; "
            "the minus of gradient descent belongs to the update",
        ),
        Mistake(
            "differentiates the squared error",
            _with_residual(_squared_error),
            "you multiplied by σ' = p (1 - p), which belongs to the squared error; in the "
            "cross-entropy it cancels against the logarithm's 1 / (p (1 - p)), and p - y is left",
        ),
        Mistake(
            "leaves out the bias",
            _with_residual(lambda z, y: torch.sigmoid(z) - y, bias=0.0),
            "your prediction leaves out the bias: p = σ(X w + b)",
        ),
        Mistake(
            "forgets the sigmoid",
            _with_residual(lambda z, y: z - y),
            "you took the error from z = X w + b, as in linear regression; here the prediction "
            "is p = σ(z)",
        ),
        Mistake(
            "multiplies columns where it should multiply rows",
            _broadcast_wrongly,
            "you lined the errors up with the columns of X, not with its rows; "
            "write X * error[:, None], or X.T @ error for product and sum in one",
        ),
        Mistake(
            "averages over the features",
            _averaged_over_features,
            "you averaged over the features, axis 1; a gradient has one number per weight, "
            "so average over the batch, axis 0",
        ),
        Mistake(
            "sums over the features",
            _summed_over_features,
            "you wrote X @ error, which sums over the features; each weight needs a sum over the "
            "batch: X.T @ error",
        ),
        Mistake(
            "divides by the features",
            _divided_by_features,
            "you divided by D, the number of features; the loss is a mean over the batch, "
            "so divide by B = len(X)",
        ),
        Mistake(
            "divides the weights by the features",
            lambda X, y, w, b: (
                _divided_by_features(X, y, w, b)[0],
                _summed(X, y, w, b)[1] / len(y),
            ),
            "grad_w is divided by D, the number of features; "
            "divide it by the number of examples, B = len(X), as grad_b is",
        ),
        Mistake(
            "uses the step",
            _with_residual(lambda z, y: _fires(z) - y),
            "you took the error from step(z), as the perceptron does; "
            "here the prediction is the probability p = σ(z)",
        ),
        *[
            Mistake(
                f"returns updated weights, lr = {lr}",
                partial(_updated, lr=lr),
                "you returned the weights after a step downhill; "
                "return the gradients alone, and leave the step to the caller",
            )
            for lr in (0.01, 0.1, 0.5, 1.0)
        ],
        Mistake(
            "returns the gradient of the weights alone",
            lambda X, y, w, b: _by_autograd(X, y, w, b)[0],
            "you returned one value; the bias has a gradient too, the mean error: "
            "return grad_w, grad_b",
        ),
        Mistake(
            "returns the bias first",
            lambda X, y, w, b: _by_autograd(X, y, w, b)[::-1],
            "you returned grad_b first; the weights come first: return grad_w, grad_b",
        ),
    ],
)


# 2.8 parity_network


def _bits(n: int) -> Tensor:
    """All inputs of n bits, shape (2^n, n)."""
    place = torch.arange(n - 1, -1, -1)
    return (torch.arange(2**n)[:, None] >> place & 1).to(torch.float64)


def _parity_sides(args: tuple, value: object) -> Tensor:
    """The sign of the output neuron's sum for every input of n bits."""
    (n,) = args
    names = ("W1", "b1", "w2", "b2")
    wanted = ((n, n), (n,), (n,), ())
    given = zip(names, parts(value, *names), wanted, strict=True)
    W1, b1, w2, b2 = (numbers(*each) for each in given)
    hidden = (_side(_bits(n), W1, b1) >= 0).to(torch.float64)  # (2^n, n)
    return _side(hidden, w2, b2)


def _is_parity(args: tuple, sides: Tensor) -> str | None:
    X = _bits(*args)
    fires = sides >= 0
    odd = X.sum(1) % 2 == 1
    wrong = (fires != odd).nonzero().flatten().tolist()
    if not wrong:
        return None
    first = wrong[0]
    bits = "".join(f"{bit:.0f}" for bit in X[first])
    boundary = ", with a sum of exactly 0" if sides[first] == 0 else ""
    return (
        f"wrong for {len(wrong)} of {len(X)} inputs, the first {bits}: "
        f"it answers {int(fires[first])}{boundary}, the parity is {int(odd[first])}"
    )


def _parity(n: int, first: float = 0.5, signs: str = "+-", bias: float = -0.5, own: bool = False):
    """Hidden neuron k fires for at least k ones; the output adds them up with the signs given.

    The parts can be spoilt one by one: the ``first`` threshold, the ``signs`` (the last one is
    repeated unless there are two), the output's ``bias``, and ``own`` bits for all bits.
    """
    W1 = torch.eye(n) if own else torch.ones(n, n)
    b1 = torch.full((n,), -0.5) if own else -torch.arange(n) - first
    pattern = [signs[k % 2] if k < 2 or len(signs) == 2 else signs[-1] for k in range(n)]
    w2 = torch.tensor([1.0 if sign == "+" else -1.0 for sign in pattern])
    return W1, b1, w2, torch.tensor(bias)


def _positive_thresholds(n: int):
    W1, b1, w2, b2 = _parity(n)
    return W1, -b1, w2, b2


def _counts_own_bit(n: int):
    return torch.eye(n), *_parity(n)[1:]


def _equal_thresholds(n: int):
    W1, _, w2, b2 = _parity(n)
    return W1, torch.full((n,), -0.5), w2, b2


def _even(n: int):
    W1, b1, w2, b2 = _parity(n)
    return W1, b1, -w2, -b2


def _widths(*sizes: int):
    return lambda g: [(n,) for n in sizes]


def _wide(g: Generator) -> list[tuple]:
    return [(n,) for n in (3, 4, 5, 6, int(torch.randint(7, 10, (), generator=g)))]


PARITY_NETWORK = Exercise(
    number="2.8",
    title="Odd or even",
    name="parity_network",
    difficulty=5,
    minutes=40,
    reference=lambda n: _parity(n),
    tests=[
        Test("repeats a single bit", _widths(1), 1, _parity_sides, _is_parity),
        Test("is XOR for two bits", _widths(2), 1, _parity_sides, _is_parity),
        Test("counts ones modulo 2 for any n", _wide, 3, _parity_sides, _is_parity),
    ],
    mistakes=[
        Mistake(
            "adds up every hidden neuron",
            lambda n: _parity(n, signs="++"),
            "all your output weights are positive, so your network is an OR; hidden neuron k "
            "fires for at least k ones: the second must take back what the first gave",
        ),
        Mistake(
            "takes back first",
            lambda n: _parity(n, signs="-+"),
            "your output weights start with -1, so the output never fires; "
            "the first hidden neuron must speak for firing: +1, then -1, then +1 again",
        ),
        Mistake(
            "works for two bits only",
            lambda n: _parity(n, signs="+--"),
            "your network is an XOR and no more: after the second one the output stays silent; "
            "the third one must raise it again, so let the signs alternate to the end",
        ),
        Mistake(
            "leaves the output on the boundary",
            lambda n: _parity(n, bias=0.0),
            "your output sum is 0 for an even number of ones, and step(0) fires; "
            "put its threshold between 0 and 1: b2 = -0.5",
        ),
        Mistake(
            "gives the threshold as the bias",
            lambda n: _parity(n, bias=0.5),
            "your output neuron always fires: b2 is added, so a threshold of one half is b2 = -0.5",
        ),
        Mistake(
            "counts one too many",
            lambda n: _parity(n, first=1.5),
            "your hidden thresholds are one too high: the first neuron must fire for a single 1, "
            "so its bias lies between -1 and 0",
        ),
        Mistake(
            "looks at one bit per neuron",
            lambda n: _parity(n, own=True),
            "each of your hidden neurons looks at one bit, so the hidden layer only copies the "
            "input; let every neuron count all bits, each with another threshold",
        ),
        Mistake(
            "gives the hidden thresholds as biases",
            _positive_thresholds,
            "your hidden neurons always fire: the bias is added, so a threshold of k - 0.5 "
            "is a bias of 0.5 - k",
        ),
        Mistake(
            "counts in the identity",
            _counts_own_bit,
            "your thresholds count, but with the identity for W1 each hidden neuron sees one bit; "
            "to count all bits, W1 must be all ones",
        ),
        Mistake(
            "gives every hidden neuron the same threshold",
            _equal_thresholds,
            "your hidden neurons are all alike: each fires for at least one 1; "
            "give neuron k a threshold of its own, so that it fires for at least k ones",
        ),
        Mistake(
            "fires for even",
            _even,
            "your network fires for an even number of ones; it should fire for odd: "
            "turn the signs of w2 and b2",
        ),
    ],
)

EXERCISES = (
    NEURON_VOTE,
    GATE,
    SIGMOID,
    COLLAPSE,
    PERCEPTRON_UPDATE,
    BCE_WITH_LOGITS,
    LOGISTIC_GRADIENTS,
    PARITY_NETWORK,
)

check = checker(EXERCISES)
