"""What a run measured, epoch by epoch. Serves chapter 04 and all after it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from ..plotting import MARKERS, Picture, show, subplots

NUMBERS = ("epoch", "step", "lr")  # columns that are no measurements


@dataclass
class History:
    """The measurements of a run of :func:`~course_lib.training.fit`."""

    epochs: list[dict[str, float]] = field(default_factory=list)  # a row an epoch
    losses: list[float] = field(default_factory=list)  # the training loss of each step
    steps: int = 0  # of the optimizer
    seconds: float = 0.0  # spent training, without the measurements after each epoch

    def __getitem__(self, name: str) -> list[float]:
        """A column, a number an epoch: ``history["valid_loss"]``."""
        columns = self.epochs[0] if self.epochs else {}
        if name not in columns:
            raise KeyError(f"no column {name!r}; there are {', '.join(columns) or 'none yet'}")
        return [row[name] for row in self.epochs]

    def __repr__(self) -> str:
        if not self.epochs:
            return "History(no epoch yet)"
        last = {k: v for k, v in self.epochs[-1].items() if k not in NUMBERS}
        return f"History(epoch {len(self.epochs)}: {_words(last)})"

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, that had the lowest validation loss, the first of equals.

        Raises:
            KeyError: when the run had no validation set.
        """
        valid = self["valid_loss"]
        return 1 + min(range(len(valid)), key=lambda i: (math.isnan(valid[i]), valid[i]))

    def add_time(self, began: float) -> float:
        """Count the seconds since then, and return the time now."""
        now = time.perf_counter()
        self.seconds += now - began
        return now

    def waited(self) -> int:
        """How many epochs have passed since the best one."""
        return len(self.epochs) - self.best_epoch if self.epochs else 0

    def mean(self, sizes: list[int]) -> float:
        """The mean training loss of the last epoch, each row counted once.

        Args:
            sizes: rows in each batch of an epoch.
        """
        last = self.losses[-len(sizes) :]
        return sum(v * n for v, n in zip(last, sizes, strict=True)) / sum(sizes)

    def plot(self, *names: str, log: bool = False) -> Picture:
        """Draw columns against the epoch.

        Args:
            names: of columns; by default the losses.
            log: draw a logarithmic axis.

        Returns:
            A :class:`~course_lib.plotting.Picture`, displayed as the last line of a cell.

        Raises:
            KeyError: for a column that there is not.
            ValueError: before the first epoch.
        """
        if not self.epochs:
            raise ValueError("nothing to draw: the run has no epoch yet")
        names = names or tuple(n for n in ("train_loss", "valid_loss") if n in self.epochs[0])
        fig, ax = subplots()
        for name, marker in zip(names, MARKERS, strict=False):
            ax.plot(self["epoch"], self[name], marker=marker, ms=4, label=name.replace("_", " "))
        label = {"lr": "learning rate"}.get(names[0], names[0].rpartition("_")[2])
        ax.set(xlabel="epoch", ylabel=label)
        ax.set_yscale("log" if log else "linear")
        fig.legend(loc="outside upper center", ncols=3)
        ends = {name: self[name][-1] for name in names}
        return show(fig, alt=f"After {len(self.epochs)} epochs: {_words(ends)}.")


def _words(row: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in row.items())
