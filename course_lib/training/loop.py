"""The loop itself: batches by index, forward, backward, step. Chapter: book/04_mlp."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from os import PathLike

import torch
from torch import Tensor, nn

from ..progress import bar
from .checkpoint import Checkpoint
from .history import History
from .inputs import (
    Metric,
    Pair,
    check_batches,
    check_counts,
    check_model,
    check_pair,
    check_settings,
    evaluate,
    place,
)
from .losses import Losses
from .team import Team


def batches(
    n: int, batch_size: int | None = None, seed: int = 0, epoch: int = 0, device=None
) -> tuple[Tensor, ...]:
    """Cut the row numbers 0 .. n - 1, shuffled, into batches; each row is in one of them.

    Args:
        n: rows of the data set, >= 1.
        batch_size: rows a batch, the last may be shorter; None takes all rows at once.
        seed: of the run; with ``epoch`` it decides the order, the same on every device.
        epoch: which pass over the data.
        device: where the numbers live; None is the CPU.

    Returns:
        Index tensors, int64, each of shape (B,).

    Example:
        >>> [len(rows) for rows in batches(10, batch_size=4)]
        [4, 4, 2]
    """
    order = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=order).to(device or "cpu").split(batch_size or n)


def fit(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    train: Pair,
    valid: Pair | None = None,
    *,
    epochs: int = 10,
    batch_size: int | None = 64,
    lr: float = 1e-3,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    schedule: Callable[[float], float] | None = None,
    metrics: dict[str, Metric] | None = None,
    patience: int | None = None,
    clip: float | None = None,
    accumulate: int = 1,
    augment: Callable[[Tensor], Tensor] | None = None,
    dtype: torch.dtype | None = None,
    compile: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
    checkpoint: str | PathLike | None = None,
    save_every: int | None = None,
    progress: bool | None = None,
) -> History:
    """Train a model in place, from tensors that live on its device as a whole.

    The order of the batches depends on ``seed`` alone. Dropout and ``augment`` draw from torch's
    global generator, which is yours to seed. Started by ``torchrun``, each process takes its share
    of every batch and the gradients are added up: the step is that of one process wherever it could
    as well be computed in parts (see ``accumulate``).

    Args:
        model: maps inputs (B, ...) to outputs; it is moved to the device.
        loss: of outputs and targets, the mean over the batch.
        train: inputs (N, ...) and targets (N, ...).
        valid: the same, measured after each epoch, never learned from.
        epochs: passes over the training data, >= 1.
        batch_size: rows a step; None is all of them.
        lr: the step size that ``schedule`` multiplies, > 0.
        optimizer: called as ``optimizer(model.parameters(), lr=lr)``.
        schedule: the factor on ``lr`` at each fraction of the run, 0 to just below 1.
        metrics: by name, functions of outputs and targets; on ``valid``, or ``train`` without one.
        patience: stop after this many epochs without a lower validation loss, and go back to the
            weights that had the lowest.
        clip: the greatest norm of the gradient of all parameters together.
        accumulate: parts in which a batch is computed, to save memory. The step is the same where
            the loss is a plain mean over the rows (no class weights, no labels left out) and
            nothing looks across rows or draws numbers (batch norm, dropout, ``augment``).
        augment: changes the inputs of a batch before the model sees them.
        dtype: ``torch.bfloat16`` computes the forward pass in it; the weights stay as they are.
        compile: let ``torch.compile`` make the model faster, after a wait at the start.
        seed: of the order of the batches.
        device: None takes the GPU where there is one.
        checkpoint: a file; a run that was stopped goes on from it, bit for bit.
        save_every: steps between two saves; None saves after each epoch.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The :class:`History` of the run.

    Raises:
        ValueError: for settings, shapes, labels or devices that do not fit; it says what to do.
        Diverged: when the loss or the weights are no longer finite.

    Example:
        >>> X = torch.linspace(-1, 1, 64)[:, None]
        >>> line = nn.Linear(1, 1)
        >>> data, sgd = (X, 3 * X + 1), torch.optim.SGD
        >>> history = fit(line, nn.MSELoss(), data, epochs=50, lr=0.5, optimizer=sgd, device="cpu")
        >>> print(f"{line.weight.item():.2f} x + {line.bias.item():.2f}")
        3.00 x + 1.00
    """
    counts = {"batch_size": batch_size, "patience": patience, "save_every": save_every}
    check_counts(epochs=epochs, accumulate=accumulate, **counts)
    check_settings(lr, clip, optimizer, valid, patience, dtype, compile)
    lr, clip, seed = float(lr), clip and float(clip), int(seed)  # numpy's do not go into a file
    batch_size = batch_size and int(batch_size)
    team = Team.join(device)
    X, y = check_pair(train, "train", team.device)
    valid = None if valid is None else check_pair(valid, "valid", team.device)
    check_model(place(model, team.device), loss, {"train": (X, y), "valid": valid})
    sizes = [len(rows) for rows in batches(len(X), batch_size)]
    check_batches(model, team, sizes, accumulate)
    team.share(model)
    if isinstance(loss, nn.Module):
        loss.to(team.device)  # it may hold the weights of the classes
    opt = optimizer(model.parameters(), lr=lr)
    rates = [group["lr"] for group in opt.param_groups]
    forward = torch.compile(model) if compile else model
    cast = torch.autocast(team.device.type, dtype) if dtype else nullcontext()
    history, best = History(), {}
    losses = Losses(history, model, opt, X, team)
    settings = {"rows": len(X), "batch_size": batch_size, "lr": lr, "seed": seed, "clip": clip}
    settings |= {"accumulate": accumulate, "epochs": epochs if schedule else None}
    settings |= {"valid": len(valid[0]) if valid else None, "patience": bool(patience)}
    settings["data"] = str((X[0].flatten()[:4].tolist(), y.flatten()[:8].tolist()))
    saver = Checkpoint(checkpoint, settings, model, opt, history, best, team)
    saver.load()

    steps, watched = epochs * len(sizes), progress if team.first else False
    with bar(
        watched, total=steps, initial=history.steps, desc="fit", delay=0 if progress else 1
    ) as shown:
        for epoch in range(history.steps // len(sizes), epochs):
            if patience and history.waited() >= patience:
                break
            began = time.perf_counter()
            model.train()
            order = batches(len(X), batch_size, seed, epoch, team.device)
            for rows in order[history.steps % len(sizes) :]:  # not 0 after a stop in mid-epoch
                factor = schedule(history.steps / steps) if schedule else 1.0
                for group, rate in zip(opt.param_groups, rates, strict=True):
                    group["lr"] = float(factor * rate)
                for i, (part, weight) in enumerate(team.parts(rows, accumulate)):
                    inputs = augment(X[part]) if augment else X[part]
                    with cast:
                        share = weight * loss(forward(inputs), y[part])
                    losses.add(share.detach(), first=i == 0)
                    if i == 0:
                        opt.zero_grad()  # not sooner: a message may tell of the last gradient
                    share.backward()
                team.add_gradients(model)
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                opt.step()
                history.steps += 1
                shown.update()
                if save_every and history.steps % save_every == 0 and rows is not order[-1]:
                    losses.read()
                    began = history.add_time(began)
                    saver.save()
            losses.read()
            losses.check_weights()
            history.add_time(began)
            team.share(model)  # batch norm has seen other rows in each process
            row = {"epoch": epoch + 1, "step": history.steps, "lr": opt.param_groups[0]["lr"]}
            row["train_loss"] = history.mean(sizes)
            row |= _measure(model, loss, (X, y), valid, metrics)
            history.epochs.append(team.gather(row)[0])  # the first decides for all when to stop
            if patience and history.waited() == 0:
                best.update(copy.deepcopy(model.state_dict()))
            saver.save()
    if best:
        model.load_state_dict(best)
    return history


def _measure(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    train: Pair,
    valid: Pair | None,
    metrics: dict[str, Metric] | None,
) -> dict[str, float]:
    if valid is None:
        measured = evaluate(model, loss, train, metrics) if metrics else {}
        measured.pop("loss", None)  # the mean of the epoch stands for it
        return measured
    measured = evaluate(model, loss, valid, metrics)
    return {"valid_loss": measured.pop("loss"), **measured}
