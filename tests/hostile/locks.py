"""Attacks the walls between submissions: locks on files that all of them see are notes."""

# %%
import fcntl
import torch

reached = []
with open(torch.__file__, "rb") as file:
    for name, lock in (("flock", fcntl.flock), ("lockf", fcntl.lockf)):
        try:
            lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            reached.append(name)
        except OSError:
            pass


# %%
def chain(paths):
    if reached:
        raise RuntimeError(f"BREACH: {reached}")
    return "nothing"
