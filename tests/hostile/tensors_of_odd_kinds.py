"""Attacks the reader of values: tensors of kinds that no answer needs."""

# %%
import torch


def chain(paths):
    return torch.full((), float("nan"))


def local_slopes(op, a, b):
    return torch.ones((), dtype=torch.complex64), torch.full((), float("inf"))


def backward_pass(inputs, slopes):
    return torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])


def unbroadcast(grad, shape):
    return torch.quantize_per_tensor(grad, 0.1, 0, torch.quint8)


def matmul_gradients(A, B, G):
    return A.to(torch.float8_e5m2), torch.ones(5).view(torch.uint8)[1:]


def Dual(value, slope):
    return torch.nn.Parameter(torch.ones(3))


def Value(data, inputs=()):
    return torch.tensor([True, False]).to_sparse()


def train_on_moons(X, y, W1, b1, w2, b2, lr, steps):
    return W1.to_mkldnn(), b1.conj().imag if b1.is_complex() else b1.to_sparse(), w2, b2
