"""How an answer is called. A probe runs beside the learner's code and returns plain values.

Probes know nothing of right answers, so that a grader may send them where the answer runs.
"""

from __future__ import annotations

from typing import Any

import torch


class Unusable(Exception):
    """An answer's value on which the probe cannot work; its text is a sentence for the learner."""


def call(answer: Any, *args: Any) -> Any:
    """The answer's own value: ``answer(*args)``."""
    return answer(*args)


def gradient(answer: Any, z: torch.Tensor, *args: Any) -> torch.Tensor:
    """What autograd makes of the answer: the gradient of ``answer(z, ...).sum()`` by ``z``."""
    z = z.clone().requires_grad_()
    y = answer(z, *args)
    if not isinstance(y, torch.Tensor):
        raise Unusable(f"returned a {type(y).__name__}; autograd needs a tensor")
    if not y.requires_grad:
        raise Unusable(
            "lost the gradient: the value no longer depends on the input for autograd "
            "(numpy, .item(), .detach() and torch.tensor(...) cut it off)"
        )
    (grad,) = torch.autograd.grad(y.sum(), z, allow_unused=True)
    return torch.zeros_like(z) if grad is None else grad
