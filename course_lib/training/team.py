"""The processes that train one model together; usually there is one. Chapter: book/19_hardware."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..device import pick_device


@dataclass(frozen=True)
class Team:
    """This process, and how many there are: data parallel, as ``torchrun`` starts them."""

    device: torch.device
    rank: int = 0  # of this process, from 0
    size: int = 1  # processes

    @classmethod
    def join(cls, device: str | torch.device | None = None) -> Team:
        """Meet the processes that ``torchrun`` started; without it, be alone.

        Args:
            device: None takes a GPU for each process where there is one.

        Returns:
            The team as this process sees it.

        Raises:
            ValueError: for a device that is not on this machine, or fewer GPUs than processes.
        """
        if not dist.is_torchelastic_launched() and not _joined():
            return cls(pick_device(device))
        here = int(os.environ.get("LOCAL_RANK", 0))
        local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if str(device) in ("None", "cuda") and torch.cuda.is_available():
            device = f"cuda:{here}"
            if torch.cuda.device_count() < local:
                raise ValueError(
                    f"{local} processes share {torch.cuda.device_count()} GPU here; start as many "
                    "processes as there are GPUs, or pass device='cpu'"
                )
        device = pick_device(device)
        gpu = device.type == "cuda"
        if gpu:
            torch.cuda.set_device(device)  # objects are gathered by way of the current GPU
        if not _joined():
            dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo")
            atexit.register(dist.destroy_process_group)
        return cls(device, dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and shows progress."""
        return self.rank == 0

    def parts(self, rows: Tensor, pieces: int = 1) -> list[tuple[Tensor, float]]:
        """What this process computes of a batch.

        Args:
            rows: row numbers of the whole batch (B,).
            pieces: how many parts this process makes of its share.

        Returns:
            Row numbers, and their part of the mean over the whole batch. A process for which
            nothing is left takes a row that counts nothing, so that all of them keep in step.
        """
        share = rows[self.rank :: self.size]
        if not len(share):
            return [(rows[:1], 0.0)]
        return [(part, len(part) / len(rows)) for part in share.chunk(pieces)]

    def add_gradients(self, model: nn.Module) -> None:
        """Give each process the sum of all gradients."""
        if self.size > 1:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    dist.all_reduce(parameter.grad)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def share(self, model: nn.Module) -> None:
        """Give each process the weights and running statistics of the first."""
        if self.size > 1:
            for tensor in (p.detach() for p in (*model.parameters(), *model.buffers())):
                dist.broadcast(tensor, 0)

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, in the order of their ranks."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        dist.all_gather_object(values, value)
        return values


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()
