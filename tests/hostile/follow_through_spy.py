"""Attacks the follow-through marks: keeps the right answers that stand in for wrong ones."""

# %%
import builtins
import os
import tempfile

NOTE = os.path.join(tempfile.gettempdir(), "hostile-note")
sources = []
run = builtins.exec


def spy(code, *args, **kwargs):
    if isinstance(code, str):
        sources.append(code)
        with open(NOTE, "a") as file:
            file.write(code + "\n")
    return run(code, *args, **kwargs)


builtins.exec = spy


def stolen(name, *args):
    """The right answer of this name, if its source was ever here."""
    if os.path.exists(NOTE):
        with open(NOTE) as file:
            sources.append(file.read())
    for source in sources:
        if f"def {name}(" in source or f"class {name}:" in source:
            names = {}
            run("import math, torch\n" + source, names)
            return names[name](*args)
    return "nothing"


# %%
def chain(paths):
    return stolen("chain", paths)


def local_slopes(op, a, b):
    chain(())
    return stolen("local_slopes", op, a, b)


def unbroadcast(grad, shape):
    chain(()), local_slopes("+", 1, 2)
    return stolen("unbroadcast", grad, shape)


def Value(data, inputs=()):
    chain(()), local_slopes("+", 1, 2), unbroadcast(None, ())
    return stolen("Value", data, inputs)
