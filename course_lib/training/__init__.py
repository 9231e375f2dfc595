"""The training loop that chapter 04 builds, finished. Serves every chapter from 04_mlp on.

``fit`` trains on one device or on several processes, from tensors that live on the device as a
whole and are batched by index. Its loop is in loop.py, and short; what stands around it has a file
each: data and their errors, history, checkpoints, processes.
"""

from .history import History
from .inputs import accuracy, evaluate, predict
from .loop import batches, fit
from .losses import Diverged

__all__ = [
    "Diverged",
    "History",
    "accuracy",
    "batches",
    "evaluate",
    "fit",
    "predict",
]
