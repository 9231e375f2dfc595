"""Attacks the reader of values: tensors without the memory that they claim."""

# %%
import torch

one = torch.ones(1)


def chain(paths):
    return one.expand(10**12)


def local_slopes(op, a, b):
    return torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), one, (10**12,)), one


def backward_pass(inputs, slopes):
    return torch.empty(10**6, 10**6, device="meta")


def unbroadcast(grad, shape):
    return one.expand((7, *grad.shape)).as_strided((10**9,), (0,))


def matmul_gradients(A, B, G):
    return torch.empty(0, 10**12), torch.ones((1,) * 60)


def Dual(value, slope):
    return torch._efficientzerotensor(3)


def Value(data, inputs=()):
    emptied = torch.ones(1000)
    emptied.untyped_storage().resize_(0)
    return emptied


def train_on_moons(X, y, W1, b1, w2, b2, lr, steps):
    return (W1.expand(10**4, *W1.shape), b1.expand(10**9, *b1.shape), w2, b2)
