"""Attacks the clock: a module that the submission writes never ends while it is imported."""

# %%
import importlib.util
import tempfile

path = f"{tempfile.gettempdir()}/hostile-loop.py"
with open(path, "w") as file:
    file.write("while True:\n    pass\n")
spec = importlib.util.spec_from_file_location("hostile_loop", path)
spec.loader.exec_module(importlib.util.module_from_spec(spec))


# %%
def chain(paths):
    return "nothing"
