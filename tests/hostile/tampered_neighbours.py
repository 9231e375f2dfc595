"""Attacks the class: finds the submissions of others, to read them and to open them for writing."""

# %%
import os
import re
import time

until = time.monotonic() + 0.8
found, others = set(), []
tops = [os.getcwd(), os.path.dirname(os.getcwd()), "/tmp", os.path.expanduser("~"), "/"]
for top in dict.fromkeys(tops):
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in ("proc", "sys", "usr", "lib", "site-packages")]
        for name in files:
            if not name.endswith(("aa_right.ipynb", "exit_in_function.py", "segfault.py")):
                continue
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    found.update(re.findall(rb"CANARY-[0-9a-f]{32}", file.read()))
                others.append(f"read {path}")
                os.close(os.open(path, os.O_RDWR))  # nothing is written
                others.append(f"may write {path}")
            except OSError:
                pass
        if time.monotonic() > until:
            break


# %%
def chain(paths):
    return str(sorted(found))


def unbroadcast(grad, shape):
    if others:
        raise RuntimeError(f"BREACH: {sorted(found)} {others[:5]}")
    return "nothing"
