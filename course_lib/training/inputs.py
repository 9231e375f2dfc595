"""What goes into a run, looked at before the first step, and what a model makes of a data set.

Serves chapter 04 and all after it. Each error says what came, what was expected and what to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor, nn

from .team import Team

Pair = tuple[Tensor, Tensor]
Metric = Callable[[Tensor, Tensor], float]
ROWS = 4096  # of a data set, that a model is given at once when nothing is learned


def accuracy(logits: Tensor, y: Tensor) -> float:
    """The share of right answers.

    Args:
        logits: (B, K), the largest counts; (B, K, H, W) or (B, T, K); or (B,), above 0 is class 1.
        y: classes (B,), (B, H, W) or (B, T).

    Returns:
        A number from 0 to 1.

    Example:
        >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        0.5
    """
    dim = 1 if logits.shape[2:] == y.shape[1:] else -1
    answer = logits.argmax(dim) if logits.ndim > y.ndim else logits > 0
    return (answer == y).double().mean().item()


@torch.no_grad()
def predict(model: nn.Module, X: Tensor) -> Tensor:
    """The model's outputs in evaluation mode, without gradients; each part keeps its own mode.

    Args:
        model: on any one device.
        X: inputs (N, ...), on any device.

    Returns:
        Outputs (N, ...) on the model's device.

    Raises:
        TypeError: when the model returns anything but a tensor.
    """
    device = next((p.device for p in model.parameters()), X.device)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        outputs = [model(part.to(device)) for part in X.split(ROWS)]
    finally:
        for module, mode in modes:
            module.training = mode
    if not all(isinstance(output, Tensor) for output in outputs):
        came = type(outputs[0]).__name__
        raise TypeError(f"the model returns a {came}; let it return the outputs alone, a tensor")
    return torch.cat(outputs)


def evaluate(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    data: Pair,
    metrics: dict[str, Metric] | None = None,
) -> dict[str, float]:
    """The loss and other measures of a model on a data set, in evaluation mode.

    Args:
        model: on any one device.
        loss: of outputs and targets.
        data: inputs (N, ...) and targets (N, ...).
        metrics: by name, functions of outputs and targets.

    Returns:
        ``{"loss": ...}`` and a number for each metric.

    Raises:
        ValueError: for an empty data set, or inputs and targets that do not belong together.
    """
    X, y = check_pair(data, "data")
    y_hat = predict(model, X)
    y = y.to(y_hat.device)
    measures = {"loss": loss, **(metrics or {})}
    with torch.no_grad():
        return {name: float(measure(y_hat, y)) for name, measure in measures.items()}


def check_counts(**counts: int | None) -> None:
    """Refuse what is no count.

    Args:
        counts: by name; None is passed over.

    Raises:
        ValueError: it names the setting and what came.
    """
    for name, value in counts.items():
        if value is not None and not (isinstance(value, Integral) and value >= 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def check_settings(
    lr: float,
    clip: float | None,
    optimizer: Callable,
    valid: Pair | None,
    patience: int | None,
    dtype: torch.dtype | None,
    compile: bool,
) -> None:
    """Refuse what cannot be meant.

    Args:
        lr, clip, optimizer, valid, patience, dtype, compile: as ``fit`` takes them.

    Raises:
        ValueError: it names the setting, what came and what to give.
    """
    for name, value in (("lr", lr), ("clip", clip)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    if not callable(optimizer):
        raise ValueError(
            f"optimizer is called as optimizer(parameters, lr=lr), got a {type(optimizer).__name__}"
            " object; pass the class, torch.optim.SGD, or partial(torch.optim.SGD, momentum=0.9)"
        )
    if optimizer is torch.optim.LBFGS:
        raise ValueError(
            "fit computes one gradient a step, and LBFGS asks for several; take another"
        )
    if patience and valid is None:
        raise ValueError("patience waits for a better validation loss; pass valid=(X, y) as well")
    if dtype not in (None, torch.bfloat16):
        raise ValueError(f"dtype must be None or torch.bfloat16, got {dtype}")
    if compile and compiler() is None:
        raise ValueError(
            "compile=True needs a C++ compiler, and this machine has none on its path (g++ or "
            "clang++); install one, or leave compile=False"
        )


def compiler() -> str | None:
    """The path of a C++ compiler, which ``torch.compile`` needs, or None."""
    names = (os.environ.get("CXX"), "c++", "g++", "clang++", "cl")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def check_pair(data: Pair, name: str, device: torch.device | None = None) -> Pair:
    """Inputs and targets on the device, or an error that says what is wrong with them.

    Args:
        data: two tensors of the same length.
        name: ``"train"``, ``"valid"``, for the message.
        device: where they go, each as a whole; None leaves them where they are.

    Returns:
        The two tensors on the device, cut off from any graph that they came out of.

    Raises:
        ValueError: for anything but two finite tensors of one length above 0.
    """
    pair = isinstance(data, tuple | list) and len(data) == 2
    if not pair or not all(isinstance(part, Tensor) for part in data):
        came = [type(p).__name__ for p in data] if pair else type(data).__name__
        raise ValueError(
            f"{name} must be a pair of tensors (X, y), got {came}; fit cuts the batches itself, so "
            "pass whole tensors (torch.as_tensor makes one of an array; of a Dataset d, pass "
            "(d.X_train, d.y_train))"
        )
    X, y = data
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"{name}: inputs {tuple(X.shape)} and targets {tuple(y.shape)} need the same first "
            "dimension, a row an example"
        )
    if not len(X):
        raise ValueError(f"{name} is empty: inputs {tuple(X.shape)}; there is nothing to learn")
    for part, what in ((X, "inputs"), (y, "targets")):
        # A sum is finite where all numbers are, bar an overflow, and ten times as fast as a count.
        bad = 0 if part.sum().isfinite() else (~part.isfinite()).sum().item()
        if bad:
            raise ValueError(
                f"{name}: {bad} of the {part.numel()} numbers in the {what} are nan or infinite; "
                "find them with torch.isfinite, and drop or repair their rows"
            )
    return X.detach().to(device or X.device), y.detach().to(device or y.device)


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, moved to the device of the run.

    Args:
        model: with weights, on any device.
        device: where it goes.

    Returns:
        The same model.

    Raises:
        ValueError: when there is nothing to train, or the weights have no values.
    """
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("the model has no parameter to train (none has requires_grad=True)")
    if any(p.is_meta for p in model.parameters()):
        raise ValueError(
            "the model lives on the device 'meta', which keeps shapes and no values; make it with "
            "device='cpu', or without a device: fit moves it"
        )
    return model.to(device)


def check_model(model: nn.Module, loss: Callable, sets: dict[str, Pair | None]) -> None:
    """Give the model and the loss two rows of each set, and say what does not fit.

    Args:
        model: on the device of the run.
        loss: of outputs and targets.
        sets: by name, inputs and targets on the same device; None is passed over.

    Raises:
        ValueError: for inputs that the model does not take, labels out of range, targets that the
            loss does not take.
    """
    for name, (X, y) in ((k, v) for k, v in sets.items() if v is not None):
        try:
            y_hat = predict(model, X[:2])
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ValueError(
                f"{name}: the model cannot be run on inputs of shape (B{_tail(X)}) and {X.dtype}: "
                f"{error}{_advice(model, str(error))}"
            ) from error
        _check_labels(loss, y_hat, y, name)
        _check_targets(loss, y_hat, y, name)


def check_batches(model: nn.Module, team: Team, sizes: list[int], accumulate: int) -> None:
    """Refuse a batch that leaves batch norm a single row to take a mean and a spread of.

    Args:
        model: with batch norm, or without.
        team: the processes that share a batch.
        sizes: rows in each batch of an epoch.
        accumulate: parts of a batch.

    Raises:
        ValueError: when a part has one row; it says which batch size to take.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    rows = min(len(part) for n in set(sizes) for part, _ in team.parts(torch.arange(n), accumulate))
    if norms and rows == 1:
        raise ValueError(
            f"batch norm needs two rows or more, and a batch of this run has {sizes[-1]} in "
            f"{accumulate} part(s) for {team.size} process(es), which leaves one; choose another "
            f"batch_size (now {sizes[0]}), one that leaves more over, or drop a row"
        )


def _check_labels(loss: Callable, y_hat: Tensor, y: Tensor, name: str) -> None:
    if y.is_floating_point() or y_hat.ndim != y.ndim + 1:
        return
    if y_hat.shape[1:] == (1,):
        raise ValueError(
            f"{name}: one output, (B, 1), and whole numbers as targets, (B,); for a yes or no give "
            "y.float()[:, None], for K classes a model with K outputs"
        )
    K = max(y_hat.shape[1], y_hat.shape[-1])  # torch has classes second, a language model last
    known = y[y != getattr(loss, "ignore_index", -100)]  # which cross-entropy leaves out
    if known.numel() and (known.min() < 0 or known.max() >= K):
        raise ValueError(
            f"{name}: labels run from {known.min()} to {known.max()}, but the model has {K} "
            f"outputs, for the classes 0 to {K - 1}; count the classes from 0, or give the model "
            "more outputs"
        )


def _check_targets(loss: Callable, y_hat: Tensor, y: Tensor, name: str) -> None:
    two = y[: len(y_hat)]
    if y.is_floating_point() and y_hat.shape != two.shape and y_hat.numel() == two.numel():
        raise ValueError(
            f"{name}: outputs (B{_tail(y_hat)}) and targets (B{_tail(y)}) would be broadcast to a "
            "table of all pairs; give both the same shape, with y[:, None] or .squeeze(-1)"
        )
    try:
        value = loss(y_hat, two)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"{name}: the loss cannot compare outputs (B{_tail(y_hat)}), {y_hat.dtype}, with "
            f"targets (B{_tail(y)}), {y.dtype}: {error}{_mend(y)}"
        ) from error
    if not isinstance(value, Tensor) or value.ndim:
        came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"the loss must be one number in a tensor, the batch's mean, got {came}")


def _mend(y: Tensor) -> str:
    return "; y.long() makes classes, y.float() amounts" if y.dtype == torch.bool else ""


def _tail(tensor: Tensor) -> str:
    return ", ".join(["", *map(str, tensor.shape[1:])]) or ","


def _advice(model: nn.Module, error: str) -> str:
    """What a model could have been given, where that is known."""
    if "device" in error:
        return (
            "; a tensor that the model keeps did not move with it: make it in forward with "
            "device=x.device, or keep it by register_buffer"
        )
    for layer in model.modules():
        if isinstance(layer, nn.Embedding):
            return f"; its first layer takes whole numbers (int64) below {layer.num_embeddings}"
        if isinstance(layer, nn.Linear):
            return f"; its first layer takes {layer.in_features} features of {layer.weight.dtype}"
        if isinstance(layer, nn.modules.conv._ConvNd):
            return f"; its first layer takes {layer.in_channels} channels of {layer.weight.dtype}"
    return ""
