"""Attacks the memory: files that live in it, which no limit on a process counts."""

# %%
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
got = []


def fill(fd):
    block = bytes(2**24)
    for _ in range(128):  # 2 GiB
        if os.write(fd, block) < len(block):
            return
        got.append(len(block))


# %%
fill(os.memfd_create("hostile-memory"))

# %%
fill(os.open("/dev/shm/hostile-memory", os.O_RDWR | os.O_CREAT))

# %%
segments = [libc.shmget(0, 2**28, 0o1600) for _ in range(8)]  # IPC_CREAT
for segment in segments:
    libc.shmctl(segment, 0, None)  # IPC_RMID: it ends with this process


# %%
def chain(paths):
    size = sum(got)
    if size > 2**27:
        raise RuntimeError(f"BREACH: {size:,} bytes beside the limit")
    return "nothing"
