"""Attacks the file system: 20,000 empty files, deep folders and names of every length."""

# %%
import os
import tempfile

top = tempfile.gettempdir()
made = 0
for i in range(20_000):
    try:
        os.close(os.open(f"{top}/hostile-{i}" + "x" * (i % 200), os.O_CREAT | os.O_WRONLY))
        made += 1
    except OSError:
        break

# %%
for _ in range(500):
    os.mkdir("hostile-deep")
    os.chdir("hostile-deep")


# %%
def chain(paths):
    return "nothing"
