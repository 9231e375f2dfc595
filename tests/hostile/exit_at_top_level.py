"""Attacks the process: cells that end it in every way that Python and C have."""

# %%
import sys

sys.exit(0)

# %%
exit()

# %%
import os

os._exit(0)

# %%
import ctypes

ctypes.CDLL(None).exit(0)

# %%
import os

os.abort()

# %%
raise SystemExit("4/4 points")


# %%
def chain(paths):
    return "nothing"
