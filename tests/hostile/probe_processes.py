"""Attacks other processes: which of them can be seen, or reached by a signal (0, a probe only)?"""

# %%
import os

reached = []
for pid in [os.getppid(), *range(2, 70_000)]:
    if pid in (0, os.getpid()):
        continue
    try:
        os.kill(pid, 0)
        reached.append(pid)
    except OSError:
        pass
try:
    listed = [name for name in os.listdir("/proc") if name.isdigit()]
    reached += [int(name) for name in listed if int(name) not in (os.getpid(), *reached)]
except OSError:
    pass


# %%
def chain(paths):
    if reached:
        raise RuntimeError(f"BREACH: processes {reached[:20]}")
    return "nothing"
