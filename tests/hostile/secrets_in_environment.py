"""Attacks by reading: the environment, the arguments and the settings of this process."""

# %%
import ctypes
import os
import re
import sys

texts = [repr(dict(os.environ)), repr(sys.argv), repr(sys.orig_argv), repr(sys.flags)]
for name in ("environ", "cmdline", "status", "mountinfo", "mounts", "cgroup", "maps", "stat"):
    for process in ("self", "thread-self"):
        try:
            with open(f"/proc/{process}/{name}", errors="replace") as file:
                texts.append(file.read())
        except OSError:
            pass
try:
    texts += [os.readlink(f"/proc/self/{name}") for name in ("exe", "cwd", "root")]
except OSError:
    pass
pointer = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
i = 0
while pointer and pointer[i]:
    texts.append(pointer[i].decode(errors="replace"))
    i += 1
found = re.findall(r"CANARY-[0-9a-f]{32}", " ".join(texts))


# %%
def chain(paths):
    return str(found)


def unbroadcast(grad, shape):
    raise RuntimeError(str(found))
