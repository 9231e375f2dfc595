"""Right answers to chapter 13_attention by other ways than the master."""

import numpy as np
import torch
from torch import nn


def look_up(q, keys, values):
    # One share after the other, in plain numbers.
    scores = [float(sum(a * b for a, b in zip(q, key, strict=True))) for key in keys]
    shares = [np.exp(s - max(scores)) for s in scores]
    return sum(share / sum(shares) * value for share, value in zip(shares, values, strict=True))


def attend(q, k, v):
    scores = torch.einsum("...td,...sd->...ts", q / k.shape[-1] ** 0.5, k)
    shares = torch.exp(scores - scores.amax(-1, keepdim=True))
    weights = shares / shares.sum(-1, keepdim=True)
    return torch.einsum("...ts,...se->...te", weights, v), weights


def masked_weights(scores, lengths, causal):
    # Query by query, over the keys that it may see.
    weights = torch.zeros_like(scores)
    for b, length in enumerate(lengths.tolist()):
        for t in range(scores.shape[1]):
            n = min(length, t + 1) if causal else length
            weights[b, t, :n] = torch.softmax(scores[b, t, :n], 0)
    return weights


def multi_head(x, W_q, W_k, W_v, W_o, heads):
    # Head by head: each takes its own rows of the matrices, and the results add up.
    y = torch.zeros_like(x)
    parts = (W.chunk(heads, 0) for W in (W_q, W_k, W_v, W_o.T))
    for A, B, C, D in zip(*parts, strict=True):
        q, k, v = x @ A.T, x @ B.T, x @ C.T
        weights = torch.softmax(q @ k.transpose(1, 2) / len(A) ** 0.5, -1)
        y = y + weights @ v @ D
    return y


def attend_backward(q, k, v, g):
    q, k, v = (x.clone().requires_grad_() for x in (q, k, v))
    out = nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])
    out[0].backward(g)
    return q.grad, k.grad, v.grad


def greedy(step, state, start, end, steps):
    # As a function that calls itself.
    if not steps:
        return torch.tensor([]), torch.tensor([])
    logits, weights, state = step(start, state)
    token = logits.max(0).indices
    if token == end:
        return torch.tensor([]), torch.tensor([])
    tokens, places = greedy(step, state, token, end, steps - 1)
    place = weights.topk(1).indices
    return torch.cat([token[None], tokens]), torch.cat([place, places])


def beam_search(step, state, start, end, beams, steps, alpha):
    # With tensors: all totals in one table, and topk over the whole of it.
    tokens, totals = torch.full((1, 1), start), torch.zeros(1)
    found = []
    for length in range(1, steps + 1):
        log_p, state = step(tokens[:, -1], state)
        table = totals[:, None] + log_p  # (n, K)
        totals, places = table.flatten().topk(min(beams, table.numel()))
        rows, last = places // table.shape[1], places % table.shape[1]
        tokens, state = torch.cat([tokens[rows], last[:, None]], 1), state[rows]
        done = last == end
        for text, total in zip(tokens[done], totals[done], strict=True):
            found.append((text[1:-1], total / length**alpha))
        tokens, totals, state = tokens[~done], totals[~done], state[~done]
        if not len(tokens):
            break
    found += [(text[1:], total / steps**alpha) for text, total in zip(tokens, totals, strict=True)]
    scores = torch.stack([score for _, score in found])
    return [found[i] for i in scores.argsort(descending=True)[:beams]]
