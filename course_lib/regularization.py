"""Regularization by hand: penalties, dropout, norm layers, augmentation, stopping, smoothing.

Chapter: book/06_regularization. Sources: Hoerl & Kennard 1970 (ridge), Tibshirani 1996 (lasso),
Srivastava et al. 2014 (dropout), Ioffe & Szegedy 2015 (batch norm), Ba et al. 2016 (layer norm),
Szegedy et al. 2016 (label smoothing). Letters: B batch, D features, H and W height and width,
K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor, nn


def polynomial(x: Tensor, degree: int) -> Tensor:
    """Legendre polynomials ``P_1(x) ... P_degree(x)``: every polynomial is a weighted sum of them.

    The powers x, x², ... span the same curves, but grow so alike that rounding eats the solution.

    Args:
        x: numbers from -1 to 1, shape (B,).
        degree: >= 1.

    Returns:
        Shape (B, degree), without the constant, which is the bias's part.

    Raises:
        ValueError: for a degree below 1.

    Example:
        >>> polynomial(torch.tensor([0.0, 1.0]), 2)
        tensor([[ 0.0000, -0.5000],
                [ 1.0000,  1.0000]])
    """
    if degree < 1:
        raise ValueError(f"degree must be at least 1, got {degree}")
    P = [torch.ones_like(x), x]
    for k in range(1, degree):
        P.append(((2 * k + 1) * x * P[k] - k * P[k - 1]) / (k + 1))
    return torch.stack(P[1:], 1)


def ridge(X: Tensor, y: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """Least squares with a penalty: the least ``1/(2B) Σ (x·w + b - y)² + l2/2 |w|²``.

    Args:
        X: inputs, shape (B, D).
        y: targets, shape (B,).
        l2: penalty on the weights, > 0; the bias is free.

    Returns:
        Weights (D,) and bias ().

    Raises:
        ValueError: when the shapes do not fit, or ``l2`` is not above 0.

    Source: Hoerl & Kennard 1970.
    """
    _check_regression(X, y, l2)
    X_mean, y_mean = X.mean(0), y.mean()  # the best bias is y_mean - X_mean·w
    X_c, y_c = X - X_mean, y - y_mean
    A = X_c.T @ X_c / len(X) + l2 * torch.eye(X.shape[1], dtype=X.dtype, device=X.device)
    w = torch.linalg.solve(A, X_c.T @ y_c / len(X))  # (D,)
    return w, y_mean - X_mean @ w


def soft_threshold(z: Tensor, t: float) -> Tensor:
    """The ``w`` that makes ``(w - z)²/2 + t |w|`` least: z moved by t towards 0, and no further.

    Args:
        z: any shape.
        t: threshold, >= 0.

    Returns:
        Shape of ``z``; 0 wherever ``|z| <= t``.

    Example:
        >>> soft_threshold(torch.tensor([-3.0, 0.5, 2.0]), 1.0)
        tensor([-2.,  0.,  1.])
    """
    return z - z.clamp(-t, t)


def lasso(X: Tensor, y: Tensor, l1: float, rounds: int = 1000) -> tuple[Tensor, Tensor]:
    """The least ``1/(2B) Σ (x·w + b - y)² + l1 Σ |w_d|``, one weight at a time.

    Args:
        X: inputs, shape (B, D), no feature constant.
        y: targets, shape (B,).
        l1: penalty on the weights, > 0; the bias is free.
        rounds: how often to go through the weights at most; it ends once they stand still.

    Returns:
        Weights (D,), some of them exactly 0, and bias ().

    Raises:
        ValueError: when the shapes do not fit, or ``l1`` is not above 0.

    Source: Tibshirani 1996; coordinate descent: Friedman, Hastie & Tibshirani 2010.
    """
    _check_regression(X, y, l1)
    X_mean, y_mean = X.mean(0), y.mean()
    X_c = X - X_mean
    size = X_c.square().mean(0)  # (D,)
    w, r = torch.zeros_like(X[0]), y - y_mean  # r: what is left to explain, (B,)
    for _ in range(rounds):
        before = w.clone()
        for d in range(X.shape[1]):
            z = X_c[:, d] @ r / len(X) + size[d] * w[d]  # the pull on w_d, were it 0
            new = soft_threshold(z, l1) / size[d]
            r = r - X_c[:, d] * (new - w[d])
            w[d] = new
        if (w - before).abs().max() <= 1e-9 * w.abs().max():
            break
    return w, y_mean - X_mean @ w


def _check_regression(X: Tensor, y: Tensor, penalty: float) -> None:
    if X.ndim != 2 or y.shape != X.shape[:1] or len(y) == 0:
        got = f"{tuple(X.shape)} and {tuple(y.shape)}"
        raise ValueError(f"expected X (B, D) and y (B,) with B >= 1, got {got}")
    if not penalty > 0:
        raise ValueError(
            f"the penalty must be above 0, got {penalty}; without one, use "
            "course_lib.neuron.linear_regression"
        )


def dropout(
    x: Tensor, p: float | Tensor, training: bool = True, generator: Generator | None = None
) -> Tensor:
    """Set each entry to 0 with probability p, and divide the others by 1 - p.

    Args:
        x: any shape.
        p: 0 <= p < 1; a tensor that broadcasts to ``x`` gives each part its own.
        training: False leaves ``x`` as it is.
        generator: draws the mask; None takes torch's own.

    Returns:
        Shape of ``x``, with the mean of ``x`` over the masks.

    Raises:
        ValueError: for a p outside of [0, 1).

    Source: Srivastava et al. 2014, with the scale at training time ("inverted").
    """
    if not 0 <= torch.as_tensor(p).min() <= torch.as_tensor(p).max() < 1:
        raise ValueError(f"p is the probability to drop, 0 <= p < 1, got {p}")
    if not training:
        return x
    keep = torch.rand(x.shape, generator=generator, device=x.device) >= p
    return x * keep / (1 - p)


class Dropout(nn.Module):
    """:func:`dropout` as a layer, which does nothing after ``model.eval()``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Args: x of any shape. Returns: shape of ``x``."""
        return dropout(x, self.p, self.training)


def normalize(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """``(x - mean) / sqrt(var + eps)``.

    Args:
        x: any shape.
        mean: broadcasts to ``x``.
        var: broadcasts to ``x``, >= 0.
        eps: keeps the root away from 0, > 0.

    Returns:
        Shape of ``x``.
    """
    return (x - mean) / torch.sqrt(var + eps)


class BatchNorm(nn.Module):
    """Give each feature mean 0 and variance 1 over the batch, then a scale and a shift to learn.

    In training the batch's own mean and variance are used, and a running average of them is kept;
    after ``model.eval()`` the running average is used.

    Args:
        D: features.
        momentum: weight of the newest batch in the running averages.
        eps: added to the variance.

    Source: Ioffe & Szegedy 2015, Alg. 1; running averages as in ``torch.nn.BatchNorm1d``.
    """

    def __init__(self, D: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(D))
        self.bias = nn.Parameter(torch.zeros(D))
        self.register_buffer("running_mean", torch.zeros(D))
        self.register_buffer("running_var", torch.ones(D))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a batch (B, D).

        Raises:
            ValueError: for another shape, or a single row in training.
        """
        if x.ndim != 2 or x.shape[1] != len(self.weight):
            raise ValueError(f"expected x (B, {len(self.weight)}), got {tuple(x.shape)}")
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = self._of(x)
        return normalize(x, mean, var, self.eps) * self.weight + self.bias

    def _of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the batch; they enter the running averages."""
        if len(x) < 2:
            raise ValueError(
                "one row has no variance: train with batches of two or more, or call model.eval()"
            )
        mean, var = x.mean(0), x.var(0, correction=0)  # (D,)
        with torch.no_grad():  # the average estimates the population: divided by B - 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * len(x) / (len(x) - 1), self.momentum)
        return mean, var


class LayerNorm(nn.Module):
    """Give each row mean 0 and variance 1 over its features, then a scale and a shift to learn.

    No batch, no running averages: training and evaluation are the same.

    Args:
        D: features.
        eps: added to the variance.

    Source: Ba, Kiros & Hinton 2016.
    """

    def __init__(self, D: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(D))
        self.bias = nn.Parameter(torch.zeros(D))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (..., D) along its last axis."""
        mean = x.mean(-1, keepdim=True)  # (..., 1)
        var = x.var(-1, correction=0, keepdim=True)
        return normalize(x, mean, var, self.eps) * self.weight + self.bias


def smooth_cross_entropy(logits: Tensor, y: Tensor, eps: float | Tensor) -> Tensor:
    """Cross-entropy with a share ``eps`` of each label spread evenly over all K classes.

    Args:
        logits: shape (..., B, K).
        y: classes, integers, shape (..., B).
        eps: 0 <= eps < 1; 0 is the plain loss. A tensor broadcasts to (..., B).

    Returns:
        The mean over the batch, shape (...).

    Source: Szegedy et al. 2016, section 7.
    """
    log_p = logits.log_softmax(-1)  # (..., B, K)
    at_label = log_p.gather(-1, y[..., None])[..., 0]  # (..., B)
    return -((1 - eps) * at_label + eps * log_p.mean(-1)).mean(-1)


def early_stop(losses: Sequence[float], patience: int) -> tuple[int, int]:
    """Which epoch to keep, and after which to stop, by the validation losses.

    Args:
        losses: one an epoch, in order.
        patience: epochs in a row without a new best that are waited for, >= 1.

    Returns:
        The index of the best epoch (the first, if several are equal) and of the last one run.

    Raises:
        ValueError: for no losses, or a patience below 1.

    Example:
        >>> early_stop([0.9, 0.5, 0.6, 0.7, 0.4], patience=2)
        (1, 3)
    """
    if not losses or patience < 1:
        raise ValueError(f"expected losses and patience >= 1, got {losses} and {patience}")
    best, last = 0, 0
    for last, loss in enumerate(losses):
        if loss < losses[best]:
            best = last
        if last - best >= patience:
            break
    return best, last


def k_folds(n: int, k: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Part n rows into k folds; each is held out once while the others train.

    Args:
        n: rows.
        k: folds, 2 <= k <= n.
        seed: of the order.

    Yields:
        Training rows and held-out rows, as indices.

    Raises:
        ValueError: for a k outside of 2 .. n.
    """
    if not 2 <= k <= n:
        raise ValueError(f"expected 2 <= k <= n, got k = {k} and n = {n}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    folds = order.tensor_split(k)
    for i in range(k):
        yield torch.cat([*folds[:i], *folds[i + 1 :]]), folds[i]


def jitter(
    X: Tensor,
    shift: float | Tensor = 1.0,
    angle: float | Tensor = 0.0,
    noise: float | Tensor = 0.0,
    generator: Generator | None = None,
) -> Tensor:
    """Shift, turn and blur square pictures a little, each by its own random amount.

    Args:
        X: pictures as rows, shape (..., H·H); what comes in from beyond the edge is 0.
        shift: greatest shift along either axis, in pixels; shape (...) or a number.
        angle: greatest turn either way, in degrees.
        noise: standard deviation of what is added to each pixel.
        generator: draws the amounts; None takes torch's own.

    Returns:
        Shape of ``X``. A label that a small move cannot change stays right.

    Raises:
        ValueError: when a row is not a square picture.
    """
    H = math.isqrt(X.shape[-1])
    if X.shape[-1] != H * H:
        raise ValueError(f"a row of {X.shape[-1]} numbers is no square picture")

    def between(limit: float | Tensor) -> Tensor:  # uniform from -limit to limit, one a picture
        return limit * (2 * torch.rand(X.shape[:-1], generator=generator, device=X.device) - 1)

    turn, across, down = between(angle) * math.pi / 180, between(shift), between(shift)
    rows = [turn.cos(), -turn.sin(), across * 2 / H], [turn.sin(), turn.cos(), down * 2 / H]
    theta = torch.stack([torch.stack(row, -1) for row in rows], -2)  # (..., 2, 3)
    pictures = X.reshape(-1, 1, H, H)
    grid = nn.functional.affine_grid(
        theta.reshape(-1, 2, 3).to(X.dtype), list(pictures.shape), align_corners=False
    )
    moved = nn.functional.grid_sample(pictures, grid, align_corners=False).reshape(X.shape)
    dust = torch.randn(X.shape, generator=generator, device=X.device, dtype=X.dtype)
    return moved + torch.as_tensor(noise, device=X.device)[..., None] * dust


def random_features(X: Tensor, W: Tensor) -> Tensor:
    """ReLU features with weights that are drawn once and never trained: ``max(X W, 0)``.

    Args:
        X: inputs, shape (B, D).
        W: shape (D, N), one column a feature.

    Returns:
        Shape (B, N).
    """
    return (X @ W).clamp(min=0)


def least_norm(Phi: Tensor, Y: Tensor, l2: float = 0.0) -> Tensor:
    """Weights of ridge regression without a bias; for ``l2 = 0`` the shortest best weights.

    With at least as many features as examples the fit is exact, and among all exact fits this is
    the one of least length, to which gradient descent from 0 converges as well.

    Args:
        Phi: features, shape (B, N).
        Y: targets, shape (B, K).
        l2: penalty, >= 0, as in :func:`ridge`.

    Returns:
        Shape (N, K).
    """
    U, s, Vh = torch.linalg.svd(Phi, full_matrices=False)
    inverse = s / (s.square() + l2 * len(Phi))  # (min(B, N),)
    inverse = torch.where(s > 1e-10 * s[0], inverse, 0)
    return Vh.T @ (inverse[:, None] * (U.T @ Y))
