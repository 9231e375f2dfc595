"""How an answer is called. A probe runs beside the learner's code and returns plain values.

Probes know nothing of right answers, so that a grader may send them where the answer runs.
"""

from __future__ import annotations

from typing import Any

import torch


def call(answer: Any, *args: Any) -> Any:
    """The answer's own value: ``answer(*args)``."""
    return answer(*args)


def gradient(answer: Any, z: torch.Tensor, *args: Any) -> torch.Tensor:
    """What autograd makes of the answer: the gradient of ``answer(z, ...).sum()`` by ``z``."""
    z = z.clone().requires_grad_()
    (grad,) = torch.autograd.grad(answer(z, *args).sum(), z)
    return grad
