"""Attacks the wire: a thread that writes frames between those of the runner."""

# %%
import json
import os
import threading
import time

CLAIM = json.dumps({"dict": [["outcomes", []], ["points", 4], ["status", "ok"]]}).encode()
FRAME = len(CLAIM).to_bytes(4, "big") + bytes(4) + CLAIM


def write():
    for _ in range(600):
        for fd in range(3, 64):
            try:
                os.write(fd, FRAME)
            except OSError:
                pass
        time.sleep(0.1)


threading.Thread(target=write, daemon=True).start()


# %%
def chain(paths):
    time.sleep(0.3)
    return "nothing"
