"""Right answers to chapter 14_transformer by other ways than the master."""

import math

import numpy as np
import torch
from torch import nn


def sinusoidal(T, D, base):
    # Number by number, in plain Python.
    wave = (math.sin, math.cos)
    rows = [[wave[j % 2](t / base ** (j // 2 * 2 / D)) for j in range(D)] for t in range(T)]
    return torch.tensor(rows)


def rotate(x, start, base):
    # As complex numbers: a pair is one of them, and a turn is a product.
    d = x.shape[-1]
    z = torch.complex(x[..., : d // 2], x[..., d // 2 :])
    places = start + torch.arange(x.shape[-2])
    angle = torch.outer(places, 1 / base ** (torch.arange(d // 2) * 2 / d))
    z = z * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], -1)


def next_loss(logits, tokens, lengths):
    # Text by text, target by target.
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    losses = [
        -log_p[b, t, tokens[b, t + 1]] for b, n in enumerate(lengths.tolist()) for t in range(n - 1)
    ]
    return sum(losses) / len(losses)


def gpt_logits(tokens, table, places, blocks, norm):
    # As modules of torch, and a list of parts that each add to the stream.
    x = nn.functional.embedding(tokens, table)
    x = x + nn.functional.embedding(torch.arange(tokens.shape[1]), places)
    for part in [part for block in blocks for part in block]:
        x = torch.add(x, part(norm(x)))
    return nn.functional.linear(norm(x), table)


def nucleus(logits, temperature, p):
    # Row by row: take the likeliest of what is left until they hold p.
    rows = []
    for row in logits:
        every = torch.softmax(row / temperature, 0)
        kept = torch.zeros(len(row))
        while kept.sum() < p:
            best = torch.where(kept > 0, -1.0, every).argmax()
            kept[best] = every[best]
        rows.append(kept / kept.sum())
    return torch.stack(rows)


def cached_attention(x, W_q, W_k, W_v, keys, values):
    # One new place after the other: none can see what is not there yet.
    y = []
    for row in x:
        keys = torch.cat([keys, (W_k @ row)[None]])
        values = torch.cat([values, (W_v @ row)[None]])
        weights = torch.softmax(keys @ (W_q @ row) / len(W_q) ** 0.5, 0)
        y.append(weights @ values)
    return torch.stack(y), keys, values


def scaling_law(N, losses, floor, target):
    slope, height = np.polyfit(np.log(N.numpy()), np.log(losses.numpy() - floor), 1)
    return np.exp(height), -slope, np.exp((np.log(target - floor) - height) / slope)
