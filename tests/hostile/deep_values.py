"""Attacks the reader of values: what holds itself, is nested deep, or doubles at each step."""

# %%
itself = [1.0]
itself.append(itself)
table = {}
table["table"] = table
deep = ()
for _ in range(10**5):
    deep = (deep,)
twice = (1.0,)
for _ in range(60):
    twice = (twice, twice)  # 2**60 numbers in 60 tuples


# %%
def chain(paths):
    return itself


def local_slopes(op, a, b):
    return deep


def backward_pass(inputs, slopes):
    return twice


def unbroadcast(grad, shape):
    return table


def matmul_gradients(A, B, G):
    return [[1.0] * 10**6] * 2
