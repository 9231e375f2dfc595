"""Attacks the moment of judging: the returned tensor changes after it was looked at."""

# %%
import threading
import time

import torch

shared = torch.full((3,), 12345.0)
numbers = [12345.0]


def change():
    for i in range(6000):
        shared.resize_(i % 7).fill_(i)
        numbers[:] = [float(i)] * (i % 9)
        time.sleep(0.001)


threading.Thread(target=change, daemon=True).start()


# %%
def chain(paths):
    return numbers


def unbroadcast(grad, shape):
    return shared
