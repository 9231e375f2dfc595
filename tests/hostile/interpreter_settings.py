"""Attacks the settings of the interpreter and of torch, which the runner shares."""

# %%
import decimal
import gc
import os
import sys
import warnings

import torch

gc.disable()
sys.setswitchinterval(1000)
sys.set_int_max_str_digits(0)
sys.dont_write_bytecode = False
warnings.simplefilter("error")
decimal.getcontext().prec = 1
os.umask(0o777)
os.nice(19)
torch.set_default_dtype(torch.float16)
torch.set_num_threads(64)
torch.set_default_device("meta")
torch.set_grad_enabled(False)

# %%
sys.stdout.close()
sys.stderr = sys.stdout = sys.stdin = None
sys.path = sys.argv = None

# %%
sys.setrecursionlimit(60)


# %%
def chain(paths):
    return "nothing"
