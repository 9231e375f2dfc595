"""Right answers to chapter 18_policy_gradient by other ways than the master."""

import torch


def average(x):
    return x @ torch.full((x.shape[1],), 1 / x.shape[1])
