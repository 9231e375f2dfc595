"""Where tensors live. Serves every chapter: one place decides between CPU and GPU."""

from __future__ import annotations

import torch


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """Return the device to compute on: the one asked for, else the GPU if there is one.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, a ``torch.device``, or None to choose.

    Returns:
        A ``torch.device`` that this machine has.

    Raises:
        ValueError: when the device asked for is not on this machine; the message says what is.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        have = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise ValueError(
            f"device {str(device)!r} is not usable here (this machine has {', '.join(have)}); "
            "pass one of these, or None to let the library choose"
        ) from error
    return device
