"""Convolution and what is built from it: LeNet, a VGG-style network, a ResNet.

Chapter: book/07_cnn. Sources: LeCun, Bottou, Bengio & Haffner 1998 (LeNet); Simonyan & Zisserman
2015 (VGG); He, Zhang, Ren & Sun 2016 (ResNet). Letters: B batch, C channels, H and W height and
width in pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .device import pick_device


def lenet(channels: int = 1, size: int = 28, classes: int = 10, device=None) -> nn.Sequential:
    """LeNet-5 with the parts that later work put in: ReLU and max pooling.

    Args:
        channels: of the picture.
        size: its height and width, in pixels, a multiple of 4.
        classes: K, outputs.
        device: where the parameters live; None chooses.

    Returns:
        A network of (B, channels, size, size) pictures with (B, K) logits.

    Raises:
        ValueError: when two poolings do not divide the picture.

    Example:
        >>> lenet(size=8, device="cpu")(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Source: LeCun, Bottou, Bengio & Haffner 1998, Fig. 2.
    """
    if size < 4 or size % 4:
        raise ValueError(f"two poolings halve the picture: size must be 4, 8, 12, ..., got {size}")
    model = nn.Sequential(
        *(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(16 * (size // 4) ** 2, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, classes),
    )
    return model.to(pick_device(device))


def vgg(
    widths: Sequence[int] = (16, 32), channels: int = 1, classes: int = 10, device=None
) -> nn.Sequential:
    """Stages of two 3 x 3 convolutions and a pooling; the mean over the pixels goes to the classes.

    Args:
        widths: channels of each stage; each halves height and width.
        channels: of the picture.
        classes: K, outputs.
        device: where the parameters live; None chooses.

    Returns:
        A network of (B, channels, H, W) pictures with (B, K) logits; H and W are at least
        ``2 ** len(widths)``.

    Example:
        >>> vgg((8, 16), device="cpu")(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Source: Simonyan & Zisserman 2015, Table 1; batch norm and the mean in place of two wide layers
    came later (Ioffe & Szegedy 2015; Lin, Chen & Yan 2014).
    """
    layers: list[nn.Module] = []
    for C_in, C_out in pairwise((channels, *widths)):
        for C in (C_in, C_out):
            layers += [nn.Conv2d(C, C_out, 3, padding=1, bias=False), nn.BatchNorm2d(C_out)]
            layers += [nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes)]
    return nn.Sequential(*layers, *head).to(pick_device(device))


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a way around them: ``y = relu(x + F(x))``.

    Args:
        C_in: channels that come in.
        C_out: channels that go out.
        stride: of the first convolution, in pixels.
        shortcut: False leaves the way around out, and a plain network is left.

    Example:
        >>> Residual(4, 8, stride=2)(torch.zeros(5, 4, 6, 6)).shape
        torch.Size([5, 8, 3, 3])

    Source: He, Zhang, Ren & Sun 2016, Fig. 2.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 1, shortcut: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(C_in, C_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(C_out)
        self.conv2 = nn.Conv2d(C_out, C_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(C_out)
        self.shortcut: nn.Module | None = None
        if shortcut:
            same = C_in == C_out and stride == 1
            self.shortcut = nn.Identity() if same else nn.Conv2d(C_in, C_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, C_out, H / stride, W / stride) of feature maps (B, C_in, H, W)."""
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y if self.shortcut is None else y + self.shortcut(x))


class ResNet(nn.Module):
    """A first convolution, stages of :class:`Residual` blocks, a mean over the pixels, one layer.

    Each stage after the first halves height and width by the stride of its first block. Depth, in
    layers with weights on the longest way, is ``2 + 2 * len(widths) * blocks``.

    Args:
        widths: channels of each stage.
        blocks: blocks a stage, >= 1.
        channels: of the picture.
        classes: K, outputs.
        stem: stride of the first convolution, in pixels.
        shortcut: False for the plain network of the same size.
        device: where the parameters live; None chooses.

    Raises:
        ValueError: for no stage or no block.

    Example:
        >>> ResNet((8, 16), device="cpu")(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Source: He, Zhang, Ren & Sun 2016, section 4.2, with 1 x 1 convolutions where the width changes.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
        channels: int = 1,
        classes: int = 10,
        stem: int = 1,
        shortcut: bool = True,
        device=None,
    ) -> None:
        super().__init__()
        if not widths or blocks < 1:
            raise ValueError(
                f"a ResNet needs a stage and a block in it, got widths {tuple(widths)} and "
                f"{blocks} blocks"
            )
        first = nn.Conv2d(channels, widths[0], 3, stem, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(widths[0]), nn.ReLU())
        stages: list[nn.Module] = []
        for i, C_out in enumerate(widths):
            ins = [widths[max(i - 1, 0)]] + [C_out] * (blocks - 1)
            strides = [2 if i else 1] + [1] * (blocks - 1)
            stages += [Residual(C, C_out, s, shortcut) for C, s in zip(ins, strides, strict=True)]
        self.blocks = nn.Sequential(*stages)
        self.head = nn.Linear(widths[-1], classes)
        self.to(pick_device(device))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K) of pictures (B, channels, H, W)."""
        x = self.blocks(self.stem(x))  # (B, C, H / 2^s, W / 2^s)
        return self.head(x.mean((2, 3)))  # (B, C) -> (B, K)
