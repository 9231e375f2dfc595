"""Attacks the reader of dicts: keys that lie, that clash, that are code or markup."""


# %%
class Key(str):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 0


class Clash:
    __hash__ = lambda self: 0
    __eq__ = lambda self, other: sum(range(1000)) < 0


def chain(paths):
    return {Key("points"): 4, "__class__": "Report", "score": 4, None: 1, (1, (2,)): 3}


def local_slopes(op, a, b):
    return {Clash(): i for i in range(2000)}


def unbroadcast(grad, shape):
    return {"<script>alert(1)</script>": 1, "\x1b[2J\0\ud800": 2, "=1+1": 3, float("nan"): 4}


def matmul_gradients(A, B, G):
    return {("tuple",): [1], frozenset([1]): 2, A: B}


class Value:
    def __init__(self, data, inputs=()):
        self.data = self.grad = {Key("y.data"): 4}

    def __getattr__(self, name):
        return lambda *args: Value(0)
