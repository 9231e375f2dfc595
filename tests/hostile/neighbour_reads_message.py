"""Attacks the walls between submissions: reads what neighbour_leaves_message left."""

# %%
import ctypes
import os
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)
heard = []
places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/", os.getcwd()]
places += [os.path.expanduser("~"), tempfile.gettempdir(), "/dev/mqueue", *sys.path]
for place in dict.fromkeys(places):
    try:
        with open(os.path.join(place, "hostile-message"), "rb") as file:
            heard.append(f"{place}: {file.read(100)}")
    except OSError:
        pass

# %%
segment = libc.shmget(0x0DD, 4096, 0o666)
libc.shmat.restype = ctypes.c_void_p
if segment >= 0:
    heard.append(f"shared memory: {ctypes.string_at(libc.shmat(segment, None, 0), 16)}")

# %%
if libc.syscall(249, b"user", b"hostile-message", None, 0) >= 0:  # request_key
    heard.append("keyring")

# %%
from multiprocessing import shared_memory

heard.append(bytes(shared_memory.SharedMemory("hostile-message").buf[:16]))


# %%
def chain(paths):
    if heard:
        raise RuntimeError(f"BREACH: heard {heard}")
    return "nothing"
