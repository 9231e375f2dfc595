"""Attacks the memory: 8 GiB of bytes, in steps that are written to."""

# %%
held = []


def chain(paths):
    for _ in range(32 - len(held)):
        held.append(bytearray(b"\1") * 2**28)
    return "nothing"
