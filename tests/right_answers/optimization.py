"""Right answers to chapter 05_optimization by other ways than the master: torch, numpy, loops."""

import math

import numpy as np
import torch


def sgd_step(w, g, lr, decay):
    p = w.clone().requires_grad_()
    p.grad = g.clone()
    torch.optim.SGD([p], lr=lr, weight_decay=decay).step()
    return p


def stable_lr(H):
    # The largest singular value, which is the largest eigenvalue here.
    return 2 / np.linalg.norm(H.numpy(), 2)


def momentum_step(w, v, g, lr, beta, nesterov):
    # The velocity as torch keeps it: a buffer in the optimizer's state.
    p = w.clone().requires_grad_()
    p.grad = g.clone()
    optimizer = torch.optim.SGD([p], lr=lr, momentum=beta, nesterov=nesterov)
    optimizer.state[p]["momentum_buffer"] = v.clone()
    optimizer.step()
    return p, optimizer.state[p]["momentum_buffer"]


def rmsprop_step(w, s, g, lr, alpha, eps):
    w, s, g = w.numpy(), s.numpy(), g.numpy()
    s = s + (1 - alpha) * (g * g - s)
    return w - lr * g / (np.sqrt(s) + eps), s


def adam_step(w, m, v, g, t, lr, beta1, beta2, eps):
    # The correction moved into the step size, as the paper notes at the end of its section 2.
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    root = math.sqrt(1 - beta2**t)
    step = lr * root / (1 - beta1**t)
    return w - step * m / (v.sqrt() + eps * root), m, v


def adamw_step(w, m, v, g, t, lr, decay):
    new, m, v = adam_step(w, m, v, g, t, lr, 0.9, 0.999, 1e-8)
    return new - lr * decay * w, m, v


def clip_by_norm(grad_W, grad_b, limit):
    length = math.sqrt(sum(x * x for x in [*grad_W.flatten().tolist(), *grad_b.tolist()]))
    if length <= limit:
        return grad_W, grad_b
    return grad_W * limit / length, grad_b * limit / length


def warmup_cosine(t, steps, warmup):
    rise = min(1.0, (t + 1) / warmup)
    fall = math.cos(math.pi / 2 * max(0.0, (t - warmup) / (steps - warmup))) ** 2
    return rise * fall


def halving(losses, keep):
    losses = np.array(losses)
    alive, spent = np.arange(losses.shape[1]), 0
    for r, row in enumerate(losses):
        spent += alive.size * keep**r
        order = np.argsort(row[alive])
        alive = alive[order[: max(1, alive.size // keep)]]
    return int(alive[0]), int(spent)
