"""Answers to a few exercises as different people write them, and what a copier does to one.

Each exercise has the plain way that comes to most minds and others; no two share a helper.
"""

import ast
import random

CHAIN = [
    """
def chain(paths):
    total = 0.0
    for path in paths:
        product = 1.0
        for slope in path:
            product *= slope
        total += product
    return total
""",
    """
def chain(paths):
    result = 0
    for p in paths:
        acc = 1
        for s in p:
            acc = acc * s
        result = result + acc
    return result
""",
    """
def chain(paths):
    return sum(math.prod(path) for path in paths)
""",
    """
def chain(paths):
    return sum([math.prod(p) for p in paths])
""",
    """
def chain(paths):
    total = 0
    for path in paths:
        total += math.prod(path)
    return total
""",
    """
def chain(paths):
    products = []
    for path in paths:
        prod = 1.0
        for i in range(len(path)):
            prod *= path[i]
        products.append(prod)
    return sum(products)
""",
    """
def chain(paths):
    total = torch.tensor(0.0)
    for path in paths:
        total = total + torch.tensor(path).prod()
    return total.item()
""",
]

UNBROADCAST = [
    """
def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(0)
    for i, n in enumerate(shape):
        if n == 1:
            grad = grad.sum(i, keepdim=True)
    return grad
""",
    """
def unbroadcast(grad, shape):
    extra = grad.dim() - len(shape)
    for _ in range(extra):
        grad = grad.sum(dim=0)
    for d in range(len(shape)):
        if shape[d] == 1 and grad.shape[d] != 1:
            grad = grad.sum(dim=d, keepdim=True)
    return grad
""",
    """
def unbroadcast(grad, shape):
    lead = grad.ndim - len(shape)
    axes = list(range(lead))
    axes += [lead + i for i, n in enumerate(shape) if n == 1]
    if axes:
        grad = grad.sum(axes, keepdim=True)
    return grad.reshape(shape)
""",
    """
def unbroadcast(grad, shape):
    padded = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    dims = tuple(i for i, (a, b) in enumerate(zip(grad.shape, padded)) if a != b)
    out = grad.sum(dims, keepdim=True) if dims else grad
    return out.view(shape)
""",
    """
def unbroadcast(grad, shape):
    if len(grad.shape) > len(shape):
        return unbroadcast(grad.sum(0), shape)
    for k in range(len(shape)):
        if shape[k] == 1:
            grad = grad.sum(k, keepdim=True)
    return grad
""",
    """
def unbroadcast(grad, shape):
    return grad.sum_to_size(shape)
""",
]

SIGMOID = [
    """
def sigmoid(z):
    e = torch.exp(torch.where(z >= 0, -z, z))
    return torch.where(z >= 0, 1 / (1 + e), e / (1 + e))
""",
    """
def sigmoid(z):
    positive = z >= 0
    safe = torch.where(positive, -z, z)
    ez = torch.exp(safe)
    return torch.where(positive, 1.0 / (1.0 + ez), ez / (1.0 + ez))
""",
    """
def sigmoid(z):
    return 0.5 * (1 + torch.tanh(z / 2))
""",
    """
def sigmoid(z):
    return (torch.tanh(0.5 * z) + 1) / 2
""",
    """
def sigmoid(z):
    return torch.exp(-torch.logaddexp(torch.zeros_like(z), -z))
""",
    """
def sigmoid(z):
    neg = z < 0
    t = torch.exp(torch.where(neg, z, -z))
    top = torch.where(neg, t, torch.ones_like(t))
    return top / (1 + t)
""",
]

# A graph of closures, as one popular engine has it; one of local slopes; a tape for all.
VALUE = [
    """
class Value:
    def __init__(self, data, children=()):
        self.data = data
        self.grad = 0.0
        self._prev = set(children)
        self._backward = lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, n):
        out = Value(self.data**n, (self,))

        def _backward():
            self.grad += n * self.data ** (n - 1) * out.grad

        out._backward = _backward
        return out

    def tanh(self):
        t = math.tanh(self.data)
        out = Value(t, (self,))

        def _backward():
            self.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    def __sub__(self, other):
        return self + (-1) * other

    def __truediv__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return self * other**-1

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for node in reversed(topo):
            node._backward()
""",
    """
class Value:
    def __init__(self, data, parents=()):
        self.data = data
        self.grad = 0
        self.parents = parents
        self.push = None

    @staticmethod
    def lift(x):
        if isinstance(x, Value):
            return x
        return Value(x)

    def __add__(self, other):
        other = Value.lift(other)
        result = Value(self.data + other.data, [self, other])
        def push():
            self.grad = self.grad + result.grad
            other.grad = other.grad + result.grad
        result.push = push
        return result

    def __mul__(self, other):
        other = Value.lift(other)
        result = Value(self.data * other.data, [self, other])
        def push():
            self.grad = self.grad + result.grad * other.data
            other.grad = other.grad + result.grad * self.data
        result.push = push
        return result

    def __pow__(self, k):
        result = Value(self.data ** k, [self])
        def push():
            self.grad = self.grad + result.grad * k * self.data ** (k - 1)
        result.push = push
        return result

    def tanh(self):
        result = Value(math.tanh(self.data), [self])
        def push():
            self.grad = self.grad + result.grad * (1 - result.data ** 2)
        result.push = push
        return result

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-Value.lift(other))

    def __truediv__(self, other):
        return self * Value.lift(other) ** -1

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        order = []
        seen = set()
        stack = [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                for p in node.parents:
                    stack.append((p, False))
        self.grad = 1
        for node in order[::-1]:
            if node.push is not None:
                node.push()
""",
    """
def as_value(x):
    return x if isinstance(x, Value) else Value(x)

class Value:
    def __init__(self, data, inputs=()):
        self.data = data
        self.grad = 0.0
        self.inputs = inputs

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def __pow__(self, n):
        return Value(self.data ** n, ((self, n * self.data ** (n - 1)),))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, ((self, 1 - y * y),))

    def __sub__(self, other):
        other = as_value(other)
        return Value(self.data - other.data, ((self, 1.0), (other, -1.0)))

    def __truediv__(self, other):
        other = as_value(other)
        a, b = self.data, other.data
        return Value(a / b, ((self, 1 / b), (other, -a / b ** 2)))

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        order, seen = [], set()
        def visit(v):
            if v in seen:
                return
            seen.add(v)
            for x, _ in v.inputs:
                visit(x)
            order.append(v)
        visit(self)
        self.grad = 1.0
        for v in reversed(order):
            for x, slope in v.inputs:
                x.grad += slope * v.grad
""",
    """
TAPE = []

class Value:
    def __init__(self, data):
        self.data = float(data)
        self.grad = 0.0

    def record(self, inputs, slopes):
        TAPE.append((self, inputs, slopes))
        return self

    def wrap(self, x):
        return x if type(x) is Value else Value(x)

    def __add__(self, o):
        o = self.wrap(o)
        return Value(self.data + o.data).record([self, o], [1, 1])

    def __mul__(self, o):
        o = self.wrap(o)
        return Value(self.data * o.data).record([self, o], [o.data, self.data])

    def __sub__(self, o):
        o = self.wrap(o)
        return Value(self.data - o.data).record([self, o], [1, -1])

    def __truediv__(self, o):
        o = self.wrap(o)
        return Value(self.data / o.data).record([self, o], [1 / o.data, -self.data / o.data**2])

    def __pow__(self, p):
        return Value(self.data**p).record([self], [p * self.data ** (p - 1)])

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t).record([self], [1 - t * t])

    def __radd__(self, o):
        return self + o

    def __rmul__(self, o):
        return self * o

    def backward(self):
        self.grad = 1.0
        while TAPE:
            out, inputs, slopes = TAPE.pop()
            for x, s in zip(inputs, slopes):
                x.grad += s * out.grad
""",
]

ANSWERS = {"chain": CHAIN, "unbroadcast": UNBROADCAST, "sigmoid": SIGMOID, "Value": VALUE}


class Renamed(ast.NodeTransformer):
    """Every name that the code gives itself gets another; what the exercise asks for stays."""

    def __init__(self, tree, keep):
        given = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)
                 and isinstance(n.ctx, ast.Store)]  # fmt: skip
        given += [n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)]
        given += [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
                  and isinstance(n.ctx, ast.Store)]  # fmt: skip
        given += [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        given = [g for g in dict.fromkeys(given) if g not in keep and not g.startswith("__")]
        self.new = {old: f"renamed_{i}" for i, old in enumerate(given)}

    def generic_visit(self, node):
        super().generic_visit(node)
        for field in ("id", "arg", "attr", "name"):
            old = getattr(node, field, None)
            if isinstance(old, str) and old in self.new:
                setattr(node, field, self.new[old])
        return node


def disguised(source, seed=0):
    """A copy with other names, an other order of functions and methods, and other docstrings."""
    order = random.Random(seed)
    keep = {*ANSWERS, "data", "grad", "backward", "tanh", "self"}
    tree = ast.parse(source)
    tree = Renamed(tree, keep).visit(tree)
    for node in [tree, *ast.walk(tree)]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.body.insert(0, ast.Expr(ast.Constant("I wrote this all by myself.")))
        if isinstance(node, ast.FunctionDef):
            node.returns = ast.Name("object", ast.Load())
        if isinstance(node, ast.ClassDef | ast.Module):
            blocks = [x for x in node.body if isinstance(x, ast.FunctionDef | ast.ClassDef)]
            lines = [x for x in node.body if x not in blocks]
            order.shuffle(blocks)
            words = [x for x in lines if isinstance(x, ast.Expr)]
            node.body = [*words, *blocks, *(x for x in lines if x not in words)]
    return "# my own work\n" + ast.unparse(ast.fix_missing_locations(tree))


class OwnHand(ast.NodeTransformer):
    """The same plan in another hand: at each place one of two ways to write it, by chance."""

    def __init__(self, seed, chance=0.5):
        self.draw, self.chance = random.Random(seed), chance

    def otherwise(self):
        return self.draw.random() < self.chance

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        if not self.otherwise():
            return node
        target = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.Assign([node.target], ast.BinOp(target, node.op, node.value))

    def visit_BinOp(self, node):
        self.generic_visit(node)
        numbers = isinstance(node.op, ast.Add | ast.Mult) and not isinstance(node.left, ast.Tuple)
        if numbers and self.otherwise():
            node.left, node.right = node.right, node.left
        return node

    def visit_Return(self, node):
        self.generic_visit(node)
        if node.value is None or isinstance(node.value, ast.Name) or not self.otherwise():
            return node
        name = f"out{self.draw.randrange(1000)}"
        return [
            ast.Assign([ast.Name(name, ast.Store())], node.value),
            ast.Return(ast.Name(name, ast.Load())),
        ]

    def visit_Assign(self, node):
        self.generic_visit(node)
        if not isinstance(node.value, ast.IfExp) or not self.otherwise():
            return node
        yes, no = (ast.Assign(node.targets, v) for v in (node.value.body, node.value.orelse))
        return ast.If(node.value.test, [yes], [no])

    def visit_Call(self, node):
        self.generic_visit(node)
        if node.args and not node.keywords and self.otherwise():
            node.args[0] = ast.IfExp(ast.Constant(True), node.args[0], ast.Constant(None))
        return node


def by_hand(source, seed, chance=0.5):
    """A solution of somebody who had the same plan and wrote it alone."""
    tree = OwnHand(seed, chance).visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(tree))
