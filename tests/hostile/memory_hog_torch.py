"""Attacks the memory: 8 GiB of tensors, at top level and in the answer."""

# %%
import torch

held = []
for _ in range(16):
    held.append(torch.ones(2**26))  # 256 MiB


# %%
def unbroadcast(grad, shape):
    for _ in range(32 - len(held)):
        held.append(torch.ones(2**26))
    return "nothing"
