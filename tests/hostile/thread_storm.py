"""Attacks the number of threads: 200, each of which keeps a processor busy."""

# %%
import threading
import time

until = time.monotonic() + 60


def work():
    while time.monotonic() < until:
        sum(range(10_000))


for _ in range(200):
    try:
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError:
        break


# %%
def chain(paths):
    return "nothing"
