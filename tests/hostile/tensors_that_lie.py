"""Attacks the reader of values: tensors without the memory that they claim, or of odd kinds."""

# %%
import itertools

import torch

one = torch.ones(1)
quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8)
ODD = itertools.cycle([
    one.expand(10**12),
    torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), one, (10**12,)),
    torch.empty(10**6, 10**6, device="meta"),
    torch.ones(2, dtype=torch.complex64),
    torch.full((3,), float("nan")),
    torch.full((3,), float("inf")),
    quantized,
    torch.empty(0, 10**12),
    one.as_strided((10**9,), (0,)),
    torch.ones((1,) * 60),
    torch.nested.nested_tensor([one, torch.ones(2)]),
    torch.ones(2, requires_grad=True) * 2,
    torch._efficientzerotensor(3),
    torch.ones(3).to(torch.float8_e5m2),
    one.view(torch.uint8)[1:],
])  # fmt: skip


def chain(paths):
    return next(ODD)


def unbroadcast(grad, shape):
    return next(ODD)
