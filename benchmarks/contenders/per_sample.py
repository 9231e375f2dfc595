"""A picture at a time, as torchvision's data sets and transforms prepare them."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.contenders.training import BATCH, ROWS, over, pictures


class PerSample(Dataset):
    """Does for each item what torchvision does, whose build on the registry is for CUDA: bytes to
    a picture of Pillow's, that to a tensor from 0 to 1, that to one from -1 to 1."""

    def __init__(self, rows: int) -> None:
        X, self.y = pictures(rows)
        self.bytes = (255 * X[:, 0]).byte()

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.bytes[i].numpy())
        tensor = torch.from_numpy(np.array(picture)).view(28, 28, 1)
        tensor = tensor.permute(2, 0, 1).contiguous().float().div(255)
        mean, std = (torch.tensor([0.5]).view(-1, 1, 1) for _ in range(2))
        return tensor.sub_(mean).div_(std), int(self.y[i])


def per_sample(net: str = "mlp", rows: int = ROWS, workers: int = 4):
    """A picture at a time by worker processes, as with torchvision's transforms."""
    warnings.filterwarnings("ignore", message="This DataLoader will create 4 worker")
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    return over(DataLoader(PerSample(rows), BATCH, shuffle=True, **options), net)
