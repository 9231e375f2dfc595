"""Attacks the library on disk: can a file that others will import be opened for writing?"""

# %%
import os
import sys

writable = []
for name, module in list(sys.modules.items()):
    for attribute in ("__file__", "__cached__"):
        path = getattr(module, attribute, None)
        if not isinstance(path, str):
            continue
        try:
            os.close(os.open(path, os.O_WRONLY))  # nothing is written
            writable.append(path)
        except OSError:
            pass
for path in (sys.executable, "/etc/passwd", "/usr/bin/python3", "/proc/sys/kernel/core_pattern"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        writable.append(path)
    except OSError:
        pass


# %%
def chain(paths):
    if writable:
        raise RuntimeError(f"BREACH: can write {writable[:5]}")
    return "nothing"
