"""Multilayer perceptrons by hand: softmax, cross-entropy, layers, initial weights.

Chapter: book/04_mlp. Sources: Glorot & Bengio 2010 and He et al. 2015 (the scale of the first
weights). Letters: B batch, D inputs of a layer, K outputs or classes, z pre-activations or logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .device import pick_device
from .neuron import ACTIVATIONS, relu


def log_softmax(z: Tensor, dim: int = -1) -> Tensor:
    """``log p_k = (z_k - m) - log Σ_j exp(z_j - m)`` with ``m = max_j z_j``, without overflow.

    Args:
        z: logits, any shape, floating point. ``-inf`` masks a class out.
        dim: the axis of the classes.

    Returns:
        Logarithms of probabilities, shape of ``z``.

    Example:
        >>> log_softmax(torch.tensor([1e4, 1e4]))
        tensor([-0.6931, -0.6931])
    """
    z = z - z.detach().amax(dim, keepdim=True)  # the shift cancels, so it needs no gradient
    return z - z.exp().sum(dim, keepdim=True).log()


def softmax(z: Tensor, dim: int = -1) -> Tensor:
    """``p_k = exp(z_k) / Σ_j exp(z_j)``, without overflow.

    Args:
        z: logits, any shape, floating point. ``-inf`` masks a class out.
        dim: the axis of the classes.

    Returns:
        Probabilities that sum to one along ``dim``, shape of ``z``.

    Example:
        >>> softmax(torch.tensor([0.0, 1e4, -torch.inf]))
        tensor([0., 1., 0.])
    """
    e = torch.exp(z - z.detach().amax(dim, keepdim=True))  # in [0, 1]: cannot overflow
    return e / e.sum(dim, keepdim=True)


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    """Mean surprise at the labels, ``-1/B Σ_i log softmax(z_i)[y_i]``, in nats.

    Args:
        z: logits, shape (B, K).
        y: labels 0 .. K - 1, integers, shape (B,).

    Returns:
        The loss, shape ().

    Raises:
        TypeError: when the labels are no integers.
        ValueError: when the shapes do not fit, or a label is out of range.

    Example:
        >>> cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))  # log 4
        tensor(1.3863)
    """
    _check_labels(z, y)
    return -log_softmax(z)[torch.arange(len(y), device=z.device), y].mean()


def _check_labels(z: Tensor, y: Tensor) -> None:
    if z.ndim != 2 or y.shape != z.shape[:1] or len(y) == 0:
        raise ValueError(
            f"expected logits (B, K) and labels (B,) with B >= 1, got {tuple(z.shape)} and "
            f"{tuple(y.shape)}"
        )
    if y.is_floating_point():
        raise TypeError(f"labels are the numbers of classes, got {y.dtype}; try y.long()")
    low, high = y.min().item(), y.max().item()
    if low < 0 or high >= z.shape[1]:
        raise ValueError(
            f"labels run from {low} to {high}, but {z.shape[1]} logits are for the classes 0 to "
            f"{z.shape[1] - 1}; give the last layer {high + 1} outputs, or renumber the labels"
        )


def xavier_(W: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with normal numbers of variance ``gain² · 2 / (fan_in + fan_out)``.

    Args:
        W: weights, shape (fan_out, fan_in), changed in place.
        gain: 1 for activations of slope 1 at zero such as tanh; 4 for the sigmoid's slope of 1/4.
        generator: where the numbers come from; by default torch's own.

    Returns:
        ``W``.

    Raises:
        ValueError: when ``W`` is no matrix.

    Source: Glorot & Bengio 2010, Eq. 12.
    """
    fan_out, fan_in = _fans(W)
    with torch.no_grad():
        return W.normal_(0, gain * math.sqrt(2 / (fan_in + fan_out)), generator=generator)


def kaiming_(
    W: Tensor, gain: float = math.sqrt(2), generator: torch.Generator | None = None
) -> Tensor:
    """Fill with normal numbers of variance ``gain² / fan_in``.

    Args:
        W: weights, shape (fan_out, fan_in), changed in place.
        gain: √2 for ReLU, which lets half of the second moment pass; 1 for no activation.
        generator: where the numbers come from; by default torch's own.

    Returns:
        ``W``.

    Raises:
        ValueError: when ``W`` is no matrix.

    Source: He, Zhang, Ren & Sun 2015, Eq. 10.
    """
    _, fan_in = _fans(W)
    with torch.no_grad():
        return W.normal_(0, gain / math.sqrt(fan_in), generator=generator)


def _fans(W: Tensor) -> tuple[int, int]:
    if W.ndim != 2:
        raise ValueError(f"weights have shape (fan_out, fan_in), got {tuple(W.shape)}")
    return W.shape[0], W.shape[1]


def start_(
    W: Tensor, activation: Callable[[Tensor], Tensor] | None, generator: torch.Generator | None
) -> Tensor:
    """Fill the weights of a layer at the scale that suits what follows it.

    Before ReLU by :func:`kaiming_`, otherwise by :func:`xavier_`, with gain 4 before the sigmoid.

    Args:
        W: weights, shape (fan_out, fan_in), changed in place.
        activation: what follows the layer, None for nothing.
        generator: where the numbers come from; None for torch's own.

    Returns:
        ``W``.
    """
    if activation in (relu, torch.relu, nn.functional.relu):
        return kaiming_(W, generator=generator)
    gain = 4.0 if activation in (ACTIVATIONS["sigmoid"].f, torch.sigmoid) else 1.0
    return xavier_(W, gain, generator)


class Linear(nn.Module):
    """A layer without activation: ``z = W x + b`` for each row x of a batch.

    Its weights start by :func:`start_`, its biases at zero.

    Args:
        D: inputs.
        K: outputs.
        activation: the function that follows the layer, None for none.
        device: where the parameters live; None chooses.
        dtype: of the parameters.
        generator: where the first weights come from, a generator of the CPU.

    Example:
        >>> Linear(3, 2, device="cpu")(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self, D: int, K: int, activation=None, device=None, dtype=None, generator=None
    ) -> None:
        super().__init__()
        W = start_(torch.empty(K, D, dtype=dtype), activation, generator)
        b = torch.zeros(K, dtype=dtype)
        device = pick_device(device)
        self.weight = nn.Parameter(W.to(device))  # (K, D)
        self.bias = nn.Parameter(b.to(device))  # (K,)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's outputs, shape (..., K), of inputs (..., D)."""
        return x @ self.weight.T + self.bias  # (..., D) @ (D, K) -> (..., K)


class MLP(nn.Module):
    """Layers one after the other, an activation between them and none behind the last.

    Args:
        sizes: width of each layer from the inputs to the outputs, as in (64, 32, 10).
        activation: a name in ``neuron.ACTIVATIONS``, or an elementwise function.
        device: where the parameters live; None chooses.
        dtype: of the parameters.
        generator: where the first weights come from, a generator of the CPU.

    Raises:
        ValueError: for fewer than two sizes, or a name that is none of the activations.

    Example:
        >>> net = MLP((2, 16, 16, 3), device="cpu")
        >>> net(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Callable[[Tensor], Tensor] = "ReLU",
        device=None,
        dtype=None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"an MLP needs the sizes of inputs and outputs, got {tuple(sizes)}")
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r} is none of {', '.join(ACTIVATIONS)}")
        known = isinstance(activation, str)
        self.activation = ACTIVATIONS[activation].f if known else activation
        follows = [self.activation] * (len(sizes) - 2) + [None]  # none behind the last layer
        self.layers = nn.ModuleList(
            Linear(D, K, f, device, dtype, generator)
            for D, K, f in zip(sizes[:-1], sizes[1:], follows, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (..., K), of inputs (..., D)."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)  # no activation: the loss takes logits


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """The length of the gradient by each weight matrix, after ``backward()``.

    Args:
        model: any module.

    Returns:
        ``{"layers.0.weight": ...}``, in the order of the parameters; biases are left out.

    Raises:
        ValueError: when a weight has no gradient.
    """
    norms = {}
    for name, p in model.named_parameters():
        if p.ndim > 1:
            if p.grad is None:
                raise ValueError(f"{name} has no gradient; call loss.backward() first")
            norms[name] = p.grad.norm().item()
    return norms
