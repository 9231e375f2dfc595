"""Attacks the walls between submissions: leaves the inputs that it met for the next one."""

# %%
import ctypes
import os
import sys
import tempfile

NOTE = b"hostile-message "
libc = ctypes.CDLL(None, use_errno=True)
places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", "/", os.getcwd()]
places += [os.path.expanduser("~"), tempfile.gettempdir(), "/dev/mqueue", *sys.path]


def leave(text):
    for place in dict.fromkeys(places):
        try:
            with open(os.path.join(place, "hostile-message"), "ab") as file:
                file.write(NOTE + text.encode())
        except OSError:
            pass


leave("before any input")

# %%
segment = libc.shmget(0x0DD, 4096, 0o1666)  # IPC_CREAT
libc.shmat.restype = ctypes.c_void_p
if segment >= 0:
    ctypes.memmove(libc.shmat(segment, None, 0), NOTE, len(NOTE))

# %%
libc.syscall(248, b"user", b"hostile-message", NOTE, len(NOTE), -4)  # add_key, the user's keyring

# %%
from multiprocessing import shared_memory

memory = shared_memory.SharedMemory("hostile-message", create=True, size=4096)
memory.buf[: len(NOTE)] = NOTE


# %%
def chain(paths):
    leave(repr(paths))
    return "nothing"


def unbroadcast(grad, shape):
    leave(repr((grad, shape)))
    return "nothing"
