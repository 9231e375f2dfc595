"""Attacks the number of processes: 200 by fork, each of which tries to answer the grader."""

# %%
import ctypes
import os
import time

started = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, b"hostile-fork", 0, 0, 0)  # PR_SET_NAME
            time.sleep(60)
            os._exit(0)
        started += 1
    except OSError:
        pass
if started:
    raise RuntimeError(f"BREACH: {started} processes started")


# %%
def chain(paths):
    return "nothing"
