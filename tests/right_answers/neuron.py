"""Right answers to chapter 02_neuron by other ways than the master: loops, numpy, other algebra."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def neuron_vote(x, w, b):
    votes = []
    for row in x.tolist():
        evidence = b
        for value, weight in zip(row, w.tolist(), strict=True):
            evidence += value * weight
        votes.append(1.0 if evidence >= 0 else 0.0)
    return torch.tensor(votes)


def gate(name):
    # Uneven weights, plain lists, and for AND a corner on the boundary, which fires.
    return {
        "AND": ([0.1, 0.2], -0.3),
        "OR": ([5, 3], -1),
        "NAND": ([-2.0, -2.5], 3.0),
        "NOR": ([-1.0, -1.0], 0.25),
    }[name]


def sigmoid(z):
    return 0.5 * (1 + torch.tanh(z / 2))


def collapse(W1, b1, W2, b2):
    one, two = (np.block([[W.numpy(), b.numpy()[:, None]]]) for W, b in ((W1, b1), (W2, b2)))
    last = np.zeros((1, one.shape[1]))
    last[0, -1] = 1  # a layer in homogeneous coordinates is a matrix alone
    both = two @ np.concatenate([one, last])
    return both[:, :-1], both[:, -1]


def perceptron_update(w, b, x, y):
    fired = bool((w * x).sum() + b >= 0)
    if fired and y == 0:
        return w - x, b - 1
    if not fired and y == 1:
        return w + x, b + 1
    return w, b


def bce_with_logits(z, y):
    return -F.logsigmoid((2 * y - 1) * z).mean()


def logistic_gradients(X, y, w, b):
    B, D = X.shape
    grad_w, grad_b = [0.0] * D, 0.0
    for x_i, y_i in zip(X.tolist(), y.tolist(), strict=True):
        z = sum(v * u for v, u in zip(x_i, w.tolist(), strict=True)) + b.item()
        error = 1 / (1 + math.exp(-z)) - y_i
        grad_w = [g + error * v / B for g, v in zip(grad_w, x_i, strict=True)]
        grad_b += error / B
    return torch.tensor(grad_w), grad_b


def parity_network(n):
    # Neuron k fires for fewer than k ones; the output undoes the negation.
    k = np.arange(1, n + 1)
    signs = (-1.0) ** (k + 1)
    return -np.ones((n, n)), k - 0.5, -3 * signs, 3 * signs.sum() - 1.5
