"""Attacks the disk: 2 GiB wherever something can be written."""

# %%
import os
import tempfile

PLACES = [tempfile.gettempdir(), os.getcwd(), os.path.expanduser("~"), "/", "/dev/shm", "/var/tmp"]
BLOCK = bytes(2**24)
written = 0
for place in dict.fromkeys(PLACES):
    for part in range(4):
        if written >= 2**31:
            break
        try:
            with open(f"{place}/hostile-disk-{part}", "wb", buffering=0) as file:
                for _ in range(32):  # 512 MiB
                    written += file.write(BLOCK)
        except OSError:
            continue
if written > 2**28:
    raise RuntimeError(f"BREACH: {written:,} bytes written")


# %%
def chain(paths):
    return "nothing"
