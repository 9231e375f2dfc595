"""Attacks by links: names in the scratch folder that lead to places outside of it."""

# %%
import os
import re
import tempfile

place, found = tempfile.gettempdir(), set()
TARGETS = ["/", "/etc/shadow", "/proc/1/root", "/proc/self/fd/3", "..", "hostile-link-5"]
for i, target in enumerate(TARGETS):
    link = os.path.join(place, f"hostile-link-{i}")
    try:
        os.symlink(target, link)
        with open(link, "rb") as file:
            found.update(re.findall(rb"CANARY-[0-9a-f]{32}", file.read(2**20)))
    except OSError:
        pass

# %%
linked = []
for target in (__import__("torch").__file__, "/etc/passwd"):
    try:
        os.link(target, os.path.join(place, "hostile-hard-link"))
        linked.append(target)
    except OSError:
        pass
try:
    os.mkfifo(os.path.join(place, "hostile-pipe"))
    os.mknod(os.path.join(place, "hostile-disk"), 0o060666, os.makedev(8, 0))
    linked.append("a device")
except OSError:
    pass


# %%
def chain(paths):
    return str(sorted(found))


def unbroadcast(grad, shape):
    if linked:
        raise RuntimeError(f"BREACH: linked {linked}")
    return "nothing"
