"""Attacks the limits: takes them off again, and then takes more memory than they allow."""

# %%
import os
import resource

import torch

raised, held = [], []
for name in [name for name in dir(resource) if name.startswith("RLIMIT_")]:
    number = getattr(resource, name)
    hard = resource.getrlimit(number)[1]
    for most in (resource.RLIM_INFINITY, 2**40):
        try:
            resource.setrlimit(number, (most, most))
            if hard != resource.RLIM_INFINITY and most != hard:
                raised.append(name)
        except (OSError, ValueError):
            pass
    for pid in (1, os.getppid()):
        try:
            if pid not in (0, os.getpid()):
                resource.prlimit(pid, number)
                raised.append(f"{name} of {pid} seen")
        except (OSError, ValueError):
            pass


# %%
def chain(paths):
    for _ in range(16 - len(held)):
        held.append(torch.ones(2**26))  # 256 MiB, 4 GiB in all
    raise RuntimeError(f"BREACH: {len(held) / 4} GiB held")


def unbroadcast(grad, shape):
    if raised:
        raise RuntimeError(f"BREACH: raised {raised}")
    return "nothing"
