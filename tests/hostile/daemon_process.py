"""Attacks the time after grading: a process that leaves its parent, and answers for it later."""

# %%
import ctypes
import os
import tempfile
import time


def leave():
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    ctypes.CDLL(None).prctl(15, b"hostile-daemon", 0, 0, 0)  # PR_SET_NAME
    for t in range(60):
        with open(f"{tempfile.gettempdir()}/hostile-daemon", "a") as file:
            file.write(f"{t}\n")
        for fd in range(3, 64):
            try:
                os.write(fd, b'{"points": 4}\n')
            except OSError:
                pass
        time.sleep(1)
    os._exit(0)


leave()


# %%
def chain(paths):
    leave()
    return "nothing"
