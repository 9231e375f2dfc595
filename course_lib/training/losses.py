"""The losses of a run, and an end with a message when one is no longer a finite number."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .history import History
from .team import Team

LOOK_EVERY = 32  # steps, on a GPU: it must wait whenever a number is read


class Diverged(ArithmeticError):
    """A loss or a weight is no finite number any more; the message says where, and what to try."""


class Losses:
    """Collects the loss of each step of an epoch and looks at it."""

    def __init__(
        self,
        history: History,
        model: nn.Module,
        opt: torch.optim.Optimizer,
        X: Tensor,
        team: Team,
    ) -> None:
        self.history, self.model, self.opt, self.X, self.team = history, model, opt, X, team
        self.every = 1 if team.device.type == "cpu" else LOOK_EVERY
        self.waiting: list[Tensor] = []
        self.looked = 0

    def add(self, share: Tensor, first: bool) -> None:
        """Note a part of a step's loss; on a CPU, look at it at once.

        Args:
            share: of the loss, a tensor without a gradient.
            first: whether a step begins with it.

        Raises:
            Diverged: when it is not finite.
        """
        if first:
            self.waiting.append(share)
        else:
            self.waiting[-1] = self.waiting[-1] + share
        if self.every == 1 and not math.isfinite(share.item()):
            self._stop(self.waiting[-1].item(), self.history.steps)
        elif self.every > 1 and first and len(self.waiting) - self.looked > self.every:
            self._look(self.waiting[self.looked : -1])

    def read(self) -> None:
        """Write the losses of the steps since the last reading into the history.

        Raises:
            Diverged: when one is not finite.
        """
        if self.waiting:
            values = self.team.total(torch.stack(self.waiting).float())
            self._check(values.tolist(), len(self.history.losses))
            self.history.losses += values.tolist()
        self.waiting, self.looked = [], 0

    def check_weights(self) -> None:
        """Raise :class:`Diverged` when a weight is not finite: the last step may have spoilt it."""
        for name, parameter in self.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Diverged(
                    f"the last step of epoch {len(self.history.epochs) + 1} left weights in "
                    f"{name!r} that are not finite; {self._last_gradient()}. {self._advice()}"
                )

    def _look(self, totals: list[Tensor]) -> None:
        first = len(self.history.losses) + self.looked
        self.looked += len(totals)
        self._check(torch.stack(totals).tolist(), first)

    def _check(self, values: list[float], first: int) -> None:
        for step, value in enumerate(values, first):
            if not math.isfinite(value):
                self._stop(value, step)

    def _stop(self, value: float, step: int) -> None:
        raise Diverged(
            f"the loss is {value} at step {step + 1}{self._before(step)}; {self._last_gradient()}. "
            f"{self._advice()}"
        )

    def _before(self, step: int) -> str:
        known = len(self.history.losses)
        losses = self.history.losses + [t.item() for t in self.waiting[: max(step - known, 0)]]
        return f", after {losses[-1]:.4g} before it" if losses else ""

    def _last_gradient(self) -> str:
        """Of the last step that has one: a gradient that was huge, or not finite, is the cause."""
        sizes = {
            name: torch.nan_to_num(_largest(p.grad), nan=torch.inf, posinf=torch.inf).item()
            for name, p in self.model.named_parameters()
            if p.grad is not None and p.grad.numel()
        }
        if not sizes:
            return "no step was made before it"
        worst = max(sizes, key=sizes.__getitem__)
        late = f" (of a step up to {self.every} later)" if self.every > 1 else ""
        if math.isinf(sizes[worst]):
            return f"the last gradient was not finite in {worst!r}{late}"
        return f"the largest entry of the last gradient was {sizes[worst]:.3g}, in {worst!r}{late}"

    def _advice(self) -> str:
        rate, size = self.opt.param_groups[0]["lr"], _largest(self.X).item()
        return (
            f"Try a smaller lr (now {rate:g}) or clip, inputs of about unit size (the largest here "
            f"is {size:g}), a loss that takes logits, without a log of its own, and batches in "
            "which some labels count"
        )


def _largest(values: Tensor) -> Tensor:
    """The largest entry in size; a sparse gradient, as of an embedding, has few."""
    values = values.coalesce().values() if values.is_sparse else values
    return values.abs().max() if values.dtype != torch.bool else values.any().float()
