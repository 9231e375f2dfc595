"""Stop and go on, bit for bit: all that a run depends on, in one file. Chapter: book/04_mlp.

Of random generators, the global ones are kept; one that you make for ``augment`` is yours to keep.
"""

from __future__ import annotations

import os
import random
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .history import History
from .team import Team


class Checkpoint:
    """The file of a run: weights, optimizer, random generators, history, best weights."""

    def __init__(
        self,
        path: str | PathLike | None,
        settings: dict[str, Any],
        model: nn.Module,
        opt: torch.optim.Optimizer,
        history: History,
        best: dict[str, Tensor],
        team: Team,
    ) -> None:
        self.path = Path(path) if path is not None else None
        options = {k: v for k, v in opt.defaults.items() if k != "lr"}
        self.settings = settings | {"optimizer": type(opt).__name__, "options": str(options)}
        self.settings["processes"] = team.size
        self.model, self.opt, self.team = model, opt, team
        self.history, self.best = history, best
        if self.path and not self.path.parent.is_dir():
            raise ValueError(f"checkpoint {str(path)!r}: there is no folder {self.path.parent}")

    def save(self) -> None:
        """Write the file in full, then put it in the place of the old one: never half a file."""
        if self.path is None:
            return
        generators = self.team.gather(generator_states(self.team.device))
        if not self.team.first:
            return
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimizer": self.opt.state_dict(),
            "generators": generators,
            "history": vars(self.history),
            "best": self.best,
        }
        draft = self.path.with_name(self.path.name + ".part")
        with draft.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def load(self) -> None:
        """Go on where the file stands; without a file, leave everything as it is.

        Raises:
            ValueError: when the file is damaged, or of a run with other settings.
        """
        if self.path is None or not self.path.exists():
            return
        state = self._read()
        differ = [k for k, v in self.settings.items() if state["settings"].get(k) != v]
        if differ:
            theirs, ours = (
                ", ".join(f"{k}={s.get(k)!r}" for k in differ)
                for s in (state["settings"], self.settings)
            )
            raise ValueError(
                f"checkpoint {str(self.path)!r} belongs to a run with {theirs}, this one has "
                f"{ours}; take the same settings to go on, or another file to begin anew"
            )
        try:
            self.model.load_state_dict(state["model"])
            self.opt.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"checkpoint {str(self.path)!r} is of another model: {error}; take the same model "
                "to go on, or another file to begin anew"
            ) from error
        vars(self.history).update(state["history"])
        self.best.update(state["best"])
        set_generator_states(state["generators"][self.team.rank], self.team.device)

    def _read(self) -> dict[str, Any]:
        try:  # weights_only: a checkpoint holds numbers, and reading one runs no code of its author
            state = torch.load(self.path, map_location=self.team.device, weights_only=True)
            assert {"settings", "model", "optimizer", "generators"} <= state.keys()
        except Exception as error:
            raise ValueError(
                f"{str(self.path)!r} is no checkpoint of fit, or it is damaged ({error}); delete "
                "it to begin anew, or name another file"
            ) from error
        return state


def generator_states(device: torch.device) -> dict[str, Any]:
    """Where the global random generators stand: torch's, numpy's and Python's.

    Args:
        device: of the run; a GPU has a generator of its own.

    Returns:
        Numbers, tuples and tensors that :func:`set_generator_states` takes.
    """
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        "python": random.getstate(),
    }


def set_generator_states(states: dict[str, Any], device: torch.device) -> None:
    """Set the global random generators to where they stood.

    Args:
        states: from :func:`generator_states`.
        device: of the run.
    """
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))
    random.setstate(states["python"])
