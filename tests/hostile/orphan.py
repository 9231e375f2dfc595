"""Attacks the time after grading: this process asks not to die with its parent, and stays."""

# %%
import ctypes
import os
import signal
import time

libc = ctypes.CDLL(None)
libc.prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
libc.prctl(15, b"hostile-orphan", 0, 0, 0)  # PR_SET_NAME
for number in signal.valid_signals():
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass

# %%
os.setsid()


# %%
def chain(paths):
    os.closerange(0, 64)
    until = time.monotonic() + 100
    while time.monotonic() < until:
        time.sleep(0.1)
    os._exit(0)
