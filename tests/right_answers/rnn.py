"""Right answers to chapter 09_rnn by other ways than the master."""

import math

import numpy as np
import torch


def windows(series, T):
    pairs = [(series[i : i + T], series[i + T]) for i in range(len(series) - T)]
    X, y = zip(*pairs, strict=True)
    return torch.stack(X), torch.stack(y)


def unroll(x, h, W_ih, W_hh, b):
    W = torch.cat([W_ih, W_hh], 1)  # one matrix for input and state
    out = torch.empty(x.shape[0], x.shape[1], len(b))
    for t in range(x.shape[1]):
        h = out[:, t] = torch.tanh(torch.cat([x[:, t], h], 1) @ W.T + b)
    return out


def bptt(x, w, y):
    # Forwards: the slope of the state by w, and by each earlier state, carried along.
    h, by_w, by_state = 0.0, 0.0, []
    for x_t in x.tolist():
        new = math.tanh(w * h + x_t)
        slope = 1 - new**2
        by_w = slope * (h + w * by_w)
        by_state = [slope * w * s for s in by_state] + [1.0]
        h = new
    return torch.tensor([(h - y) * s for s in by_state]), torch.tensor((h - y) * by_w)


def truncated_loss(w, x, y, k):
    h, total = torch.zeros(1), 0.0
    for x_k, y_k in zip(x.split(k), y.split(k), strict=True):
        states = []
        for x_t in x_k:
            h = torch.tanh(w[:1] * h + w[1:] * x_t)
            states.append(h)
        total = total + (torch.cat(states) - y_k).square().sum()
        h = h.detach()
    return total / len(x)


class LSTMCell(torch.nn.LSTMCell):
    def __init__(self, D, H):
        super().__init__(D, H)
        torch.nn.init.zeros_(self.bias_hh)
        torch.nn.init.zeros_(self.bias_ih)
        self.bias_ih.data[H : 2 * H] = 1


def gru_step(x, h, W_ih, W_hh, b_ih, b_hh):
    cell = torch.nn.GRUCell(x.shape[1], h.shape[1])
    cell.load_state_dict(dict(weight_ih=W_ih, weight_hh=W_hh, bias_ih=b_ih, bias_hh=b_hh))
    return cell(x, h)


def bits_per_character(logits, y, lengths):
    total = 0.0
    for row, symbols, length in zip(logits.double(), y.tolist(), lengths.tolist(), strict=True):
        for z, symbol in list(zip(row, symbols, strict=True))[:length]:
            total -= math.log2(torch.softmax(z, 0)[symbol])
    bits = total / lengths.sum().item()
    return bits, 2**bits


def final_states(x, lengths, w):
    # Row by row: no order is needed then.
    h = []
    for row, length in zip(x.tolist(), lengths.tolist(), strict=True):
        state = 0.0
        for x_t in row[:length]:
            state = math.tanh(x_t + w * state)
        h.append(state)
    return h, [sum(n > t for n in lengths.tolist()) for t in range(max(lengths.tolist()))]


def sample(logits, temperature, u):
    weights = np.exp(logits.double().numpy() / temperature)
    p = weights / weights.sum()
    return p, np.searchsorted(np.cumsum(p), u.double().numpy(), side="right")


def train(x, y, w, lr, limit, steps):
    # Plain numbers: the slopes of a state by both weights are carried forwards.
    a, b, c = w.tolist()
    B = len(y)
    for _ in range(steps):
        grad = np.zeros(3)
        for row, target in zip(x.tolist(), y.tolist(), strict=True):
            h, by_a, by_b = 0.0, 0.0, 0.0
            for x_t in row:
                new = math.tanh(a * h + b * x_t)
                slope = 1 - new**2
                by_a, by_b = slope * (h + a * by_a), slope * (x_t + a * by_b)
                h = new
            grad += 2 * (c * h - target) / B * np.array([c * by_a, c * by_b, h])
        a, b, c = np.array([a, b, c]) - lr * min(1, limit / np.linalg.norm(grad)) * grad
    return np.array([a, b, c])
