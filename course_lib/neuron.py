"""One neuron: activations, the perceptron, linear and logistic regression by hand.

Chapter: book/02_neuron. Sources: Rosenblatt 1958, 1962 (the perceptron), Novikoff 1962 (its bound),
Hendrycks & Gimpel 2016 (GELU). Letters: B batch, D features, z the pre-activation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


def minus_abs(z: Tensor) -> Tensor:
    """``-|z|``, with a slope of -1 at 0, so that what is built on it has the right slope there.

    Args:
        z: any shape.

    Returns:
        Shape of ``z``, no entry above 0.
    """
    return torch.where(z >= 0, -z, z)  # -z.abs() has slope 0 at 0


def step(z: Tensor) -> Tensor:
    """Heaviside step: ``1 if z >= 0 else 0``. The neuron fires when the evidence suffices.

    Args:
        z: pre-activation, any shape.

    Returns:
        Zeros and ones, shape and dtype of ``z``.

    Example:
        >>> step(torch.tensor([-0.5, 0.0, 2.0]))
        tensor([0., 1., 1.])

    Source: McCulloch & Pitts 1943.
    """
    return (z >= 0).to(z.dtype)


def step_derivative(z: Tensor) -> Tensor:
    """Zero everywhere (at the jump by convention): a step gives gradient descent no direction.

    Args:
        z: pre-activation, any shape.

    Returns:
        Zeros, shape and dtype of ``z``.
    """
    return torch.zeros_like(z)


def sigmoid(z: Tensor) -> Tensor:
    """Logistic function ``σ(z) = 1 / (1 + exp(-z))``, between 0 and 1, without overflow.

    Args:
        z: pre-activation, any shape, floating point.

    Returns:
        Shape of ``z``. Exact to rounding for every finite ``z``, gradients included.

    Example:
        >>> sigmoid(torch.tensor([-1e4, 0.0, 1e4]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    e = torch.exp(minus_abs(z))  # in (0, 1]: cannot overflow
    return torch.where(z >= 0, 1, e) / (1 + e)


def sigmoid_derivative(z: Tensor) -> Tensor:
    """``σ'(z) = σ(z) σ(-z)``, at most 1/4 (at ``z = 0``).

    Args:
        z: pre-activation, any shape.

    Returns:
        Shape of ``z``.
    """
    return sigmoid(z) * sigmoid(-z)  # σ(-z), not 1 - σ(z): no cancellation for large z


def tanh(z: Tensor) -> Tensor:
    """Hyperbolic tangent ``(exp(z) - exp(-z)) / (exp(z) + exp(-z)) = 2 σ(2z) - 1``.

    Args:
        z: pre-activation, any shape, floating point.

    Returns:
        Values between -1 and 1, shape of ``z``.
    """
    e = torch.expm1(2 * minus_abs(z))  # exp(-2 abs(z)) - 1, exact near zero
    return torch.where(z >= 0, -e, e) / (2 + e)


def tanh_derivative(z: Tensor) -> Tensor:
    """``tanh'(z) = 1 - tanh(z)² = 4 σ(2z) σ(-2z)``, at most 1 (at ``z = 0``).

    Args:
        z: pre-activation, any shape.

    Returns:
        Shape of ``z``.
    """
    return 4 * sigmoid_derivative(2 * z)


def relu(z: Tensor) -> Tensor:
    """Rectified linear unit ``max(z, 0)``.

    Args:
        z: pre-activation, any shape.

    Returns:
        Shape of ``z``; NaN stays NaN.

    Source: Nair & Hinton 2010.
    """
    return torch.where(z <= 0, 0, z)


def relu_derivative(z: Tensor) -> Tensor:
    """``1 if z > 0 else 0``; at the kink 0, as torch has it.

    Args:
        z: pre-activation, any shape.

    Returns:
        Shape and dtype of ``z``.
    """
    return (z > 0).to(z.dtype)


def gelu(z: Tensor) -> Tensor:
    """Gaussian error linear unit ``z Φ(z)``, with ``Φ`` the standard normal distribution.

    Args:
        z: pre-activation, any shape, floating point.

    Returns:
        Shape of ``z``.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """
    return z * _normal_cdf(z)


def gelu_derivative(z: Tensor) -> Tensor:
    """``Φ(z) + z φ(z)``, with ``φ`` the standard normal density.

    Args:
        z: pre-activation, any shape, floating point.

    Returns:
        Shape of ``z``.
    """
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return _normal_cdf(z) + z * density


def _normal_cdf(z: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-z / math.sqrt(2))  # erfc keeps its digits where 1 + erf cancels


def softplus(z: Tensor) -> Tensor:
    """``log(1 + exp(z))``, a smooth ReLU, without overflow.

    Args:
        z: pre-activation, any shape, floating point.

    Returns:
        Shape of ``z``.

    Source: Dugas et al. 2001.
    """
    return torch.where(z >= 0, z, 0) + torch.log1p(torch.exp(minus_abs(z)))


def softplus_derivative(z: Tensor) -> Tensor:
    """``σ(z)``: the slope of softplus is the logistic function.

    Args:
        z: pre-activation, any shape.

    Returns:
        Shape of ``z``.
    """
    return sigmoid(z)


class Activation(NamedTuple):
    """An activation function and its derivative, both elementwise."""

    f: Callable[[Tensor], Tensor]
    df: Callable[[Tensor], Tensor]


ACTIVATIONS = {
    "step": Activation(step, step_derivative),
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(tanh, tanh_derivative),
    "ReLU": Activation(relu, relu_derivative),
    "GELU": Activation(gelu, gelu_derivative),
    "softplus": Activation(softplus, softplus_derivative),
}


def neuron(
    x: Tensor, w: Tensor, b: Tensor | float, activation: Callable[[Tensor], Tensor] = step
) -> Tensor:
    """One neuron: ``y = f(x · w + b)``.

    Args:
        x: inputs, shape (..., D).
        w: weights, shape (D,).
        b: bias, a number or a tensor with one element.
        activation: ``f``, elementwise.

    Returns:
        Shape (...): one output for each row of ``x``.

    Raises:
        TypeError: when ``x`` or ``w`` is no tensor, or the activation no function.
        ValueError: when the last axis of ``x`` and the weights differ in length.

    Example:
        >>> AND = neuron(torch.tensor([[0., 1.], [1., 1.]]), torch.ones(2), -1.5)
        >>> AND
        tensor([0., 1.])
    """
    _check_features(x, w)
    if not callable(activation):
        raise TypeError(f"activation is a function such as sigmoid, got {activation!r}")
    return activation(x @ w + b)


def _check_features(x: Tensor, w: Tensor) -> None:
    if not isinstance(x, Tensor) or not isinstance(w, Tensor):
        kinds = f"{type(x).__name__} and {type(w).__name__}"
        raise TypeError(f"x and w must be tensors, got {kinds}; try torch.tensor(...)")
    if w.ndim != 1 or x.ndim == 0 or x.shape[-1] != w.shape[0]:
        raise ValueError(
            f"a neuron has one weight per feature: got x of shape {tuple(x.shape)} and w of shape "
            f"{tuple(w.shape)}; expected x (..., D) and w (D,)"
        )


def _check_data(X: Tensor, y: Tensor, classes: bool) -> None:
    if not isinstance(X, Tensor) or not isinstance(y, Tensor):
        kinds = f"{type(X).__name__} and {type(y).__name__}"
        raise TypeError(f"X and y must be tensors, got {kinds}; try torch.as_tensor(...)")
    if not X.is_floating_point():
        raise TypeError(f"X must hold floating-point numbers, got {X.dtype}; try X.float()")
    if X.ndim != 2 or y.shape != X.shape[:1] or len(y) == 0:
        raise ValueError(
            f"expected X of shape (B, D) and y of shape (B,) with B >= 1, got "
            f"{tuple(X.shape)} and {tuple(y.shape)}"
        )
    if classes and not ((y == 0) | (y == 1)).all():
        found = sorted(set(y.tolist()))[:5]
        cure = "; map -1 to 0 with y.clamp(min=0)" if -1 in found else ""
        raise ValueError(f"labels must be 0 or 1, got {found}{cure}")


@dataclass
class PerceptronFit:
    """What :func:`perceptron` learned and how it went."""

    w: Tensor  # (D,)
    b: Tensor  # ()
    mistakes: list[int]  # one number per epoch
    converged: bool  # True when the last epoch made no mistake


def perceptron(X: Tensor, y: Tensor, max_epochs: int = 100) -> PerceptronFit:
    """Learn a linear threshold: after each mistake ``w += (y - ŷ) x`` and ``b += y - ŷ``.

    It starts from zero weights, in the order of the rows.

    Args:
        X: inputs, shape (B, D).
        y: labels 0 or 1, shape (B,).
        max_epochs: passes over the data at most; it stops earlier, after a pass without mistake.

    Returns:
        A :class:`PerceptronFit`. If the classes can be separated by a plane, the sum of its
        mistakes is at most :func:`perceptron_bound`.

    Raises:
        TypeError: when ``X`` or ``y`` is no tensor, or ``X`` holds no floating-point numbers.
        ValueError: when the shapes do not fit or a label is neither 0 nor 1.

    Example:
        >>> X = torch.tensor([[0., 0.], [0., 1.], [1., 0.], [1., 1.]])
        >>> perceptron(X, torch.tensor([0., 0., 0., 1.])).converged
        True

    Source: Rosenblatt 1962.
    """
    _check_data(X, y, classes=True)
    if max_epochs < 1:
        raise ValueError(f"max_epochs must be at least 1, got {max_epochs}")
    w, b = torch.zeros_like(X[0]), torch.zeros_like(X[0, 0])
    y = y.to(X.dtype)
    mistakes = []
    for _ in range(max_epochs):
        wrong = 0
        for x_i, y_i in zip(X, y, strict=True):
            error = y_i - step(x_i @ w + b)  # -1, 0 or 1
            if error != 0:
                w, b = w + error * x_i, b + error
                wrong += 1
        mistakes.append(wrong)
        if wrong == 0:
            break
    return PerceptronFit(w, b, mistakes, converged=mistakes[-1] == 0)


def perceptron_bound(X: Tensor, y: Tensor, w: Tensor, b: Tensor | float) -> float:
    """Most mistakes that the perceptron can make in all: ``(R / γ)²``.

    ``R`` is the length of the longest input and ``γ`` the margin of the given separating plane,
    the least distance of an input to it, both with the bias counted as one more feature that
    is always 1. Any plane that separates gives a bound; the widest margin gives the best one.

    Args:
        X: inputs, shape (B, D).
        y: labels 0 or 1, shape (B,).
        w: weights of a separating plane, shape (D,).
        b: its bias.

    Returns:
        The bound, or ``inf`` when the plane does not separate the classes.

    Raises:
        TypeError: when ``X`` or ``y`` is no tensor, or ``X`` holds no floating-point numbers.
        ValueError: when the shapes do not fit or a label is neither 0 nor 1.

    Source: Novikoff 1962.
    """
    _check_data(X, y, classes=True)
    _check_features(X, w)
    sign = 2 * y.to(X.dtype) - 1  # 0, 1 -> -1, +1
    length = torch.sqrt((w * w).sum() + b * b)
    margin = (sign * (X @ w + b)).min() / length
    if not margin > 0:
        return math.inf
    R2 = (X * X).sum(1).max() + 1
    return (R2 / margin**2).item()


def linear_regression(X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares: the ``w, b`` that minimise ``mean((X w + b - y)²)``.

    The bias is taken out by centring, then ``(Xᶜ)ᵀ Xᶜ w = (Xᶜ)ᵀ yᶜ`` is solved through the
    pseudo-inverse: where features repeat each other and many weights do equally well, it takes
    the shortest.

    Args:
        X: inputs, shape (B, D).
        y: targets, shape (B,).

    Returns:
        ``w`` of shape (D,) and ``b`` of shape ().

    Raises:
        TypeError: when ``X`` or ``y`` is no tensor, or ``X`` holds no floating-point numbers.
        ValueError: when the shapes do not fit.
    """
    _check_data(X, y, classes=False)
    y = y.to(X.dtype)
    x_mean, y_mean = X.mean(0), y.mean()
    w = torch.linalg.pinv(X - x_mean) @ (y - y_mean)  # (D, B) @ (B,) -> (D,)
    return w, y_mean - x_mean @ w


def logistic_loss(X: Tensor, y: Tensor, w: Tensor, b: Tensor | float, l2: float = 0.0) -> Tensor:
    """Mean cross-entropy of a sigmoid neuron, plus ``l2 / 2 · ‖w‖²``, in nats.

    ``-y log σ(z) - (1 - y) log(1 - σ(z)) = softplus(z) - y z`` with ``z = X w + b``: no
    logarithm of a probability that has rounded to zero.

    Args:
        X: inputs, shape (B, D).
        y: labels 0 or 1, shape (B,).
        w: weights, shape (D,).
        b: bias.
        l2: penalty on the weights, >= 0; the bias is free.

    Returns:
        The loss, shape ().

    Raises:
        TypeError: when ``X`` or ``y`` is no tensor, or ``X`` holds no floating-point numbers.
        ValueError: when the shapes do not fit or a label is neither 0 nor 1.
    """
    _check_data(X, y, classes=True)
    _check_features(X, w)
    z = X @ w + b  # (B,)
    return (softplus(z) - y * z).mean() + 0.5 * l2 * (w * w).sum()


def logistic_gradient(
    X: Tensor, y: Tensor, w: Tensor, b: Tensor | float, l2: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Gradient of :func:`logistic_loss`: the mean of (error times input).

    ``∂L/∂w = Xᵀ (p - y) / B + l2 · w`` and ``∂L/∂b = mean(p - y)`` with ``p = σ(X w + b)``.

    Args:
        X: inputs, shape (B, D).
        y: labels 0 or 1, shape (B,).
        w: weights, shape (D,).
        b: bias.
        l2: penalty on the weights, >= 0.

    Returns:
        The gradients by ``w``, shape (D,), and by ``b``, shape ().

    Raises:
        TypeError: when ``X`` or ``y`` is no tensor, or ``X`` holds no floating-point numbers.
        ValueError: when the shapes do not fit or a label is neither 0 nor 1.
    """
    _check_data(X, y, classes=True)
    _check_features(X, w)
    error = sigmoid(X @ w + b) - y  # (B,)
    return X.T @ error / len(y) + l2 * w, error.mean()


def logistic_regression(
    X: Tensor, y: Tensor, lr: float = 0.5, steps: int = 1000, l2: float = 0.0
) -> tuple[Tensor, Tensor, list[float]]:
    """Train a sigmoid neuron by gradient descent on :func:`logistic_loss`, from zero weights.

    Args:
        X: inputs, shape (B, D); give them a common scale first (see ``data.standardize``).
        y: labels 0 or 1, shape (B,).
        lr: step size, > 0.
        steps: updates, >= 0.
        l2: penalty on the weights, >= 0.

    Returns:
        ``w`` of shape (D,), ``b`` of shape (), and the loss before each step, in nats.

    Raises:
        TypeError: when ``X`` or ``y`` is no tensor, or ``X`` holds no floating-point numbers.
        ValueError: when the shapes do not fit, a label is neither 0 nor 1, ``lr`` is not > 0, or
            ``steps`` is negative.
        FloatingPointError: when the loss is no longer finite; the message names the step.

    Source: Cox 1958.
    """
    _check_data(X, y, classes=True)
    if not lr > 0 or steps < 0:
        raise ValueError(
            f"expected lr > 0 and steps >= 0, got {lr} and {steps}; "
            "lr=0.5 suits standardized features"
        )
    w, b = torch.zeros_like(X[0]), torch.zeros_like(X[0, 0])
    y = y.to(X.dtype)
    losses = []
    for t in range(steps):
        losses.append(logistic_loss(X, y, w, b, l2).item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(
                f"the loss is {losses[-1]} at step {t}; standardize X or lower lr (now {lr})"
            )
        grad_w, grad_b = logistic_gradient(X, y, w, b, l2)
        w, b = w - lr * grad_w, b - lr * grad_b
    return w, b, losses
