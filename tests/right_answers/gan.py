"""Right answers to chapter 12_gan by other ways than the master."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def discriminator_loss(real_logits, fake_logits):
    bce = F.binary_cross_entropy_with_logits
    real = bce(real_logits, torch.ones_like(real_logits))
    return real + bce(fake_logits, torch.zeros_like(fake_logits))


def loss_and_slope(fake_logits, saturating):
    # Label 1 for the non-saturating loss; minus the cross-entropy of label 0 for the other.
    label = torch.full_like(fake_logits, 0.0 if saturating else 1.0)
    sign = -1.0 if saturating else 1.0
    loss = sign * F.binary_cross_entropy_with_logits(fake_logits, label)
    return loss, sign * (fake_logits.sigmoid() - label) / len(label)


def best_discriminator(p_data, p_model, dx):
    # Place by place, and the divergence from the mean of the two rather than from the game.
    D, jsd = [], 0.0
    for p, q in zip(p_data.tolist(), p_model.tolist(), strict=True):
        D.append(p / (p + q) if p + q else 0.5)
        jsd += sum(v * math.log(2 * v / (p + q)) for v in (p, q) if v) / 2 * dx
    return D, jsd


def train_step(G, D, opt_G, opt_D, real, z):
    # The gradients are asked for one by one, so that nothing is left anywhere.
    def step(loss, net, optimizer):
        params = list(net.parameters())
        for p, slope in zip(params, torch.autograd.grad(loss, params), strict=True):
            p.grad = slope
        optimizer.step()
        return loss.detach()

    with torch.no_grad():
        shown = G(z)
    logits = torch.cat([D(real), D(shown)])
    labels = torch.cat([torch.ones(len(real)), torch.zeros(len(z))])
    loss_D = step(2 * F.binary_cross_entropy_with_logits(logits, labels), D, opt_D)
    return loss_D, step(-F.logsigmoid(D(G(z))).mean(), G, opt_G)


def gradient_penalty(D, real, fake, u):
    # Row by row.
    penalties = []
    for a, b, share in zip(real, fake, u, strict=True):
        x = torch.lerp(b, a, share)[None].requires_grad_()
        slope = torch.autograd.grad(D(x)[0], x, create_graph=True)[0]
        penalties.append((slope.square().sum().sqrt() - 1) ** 2)
    return torch.stack(penalties).mean()


def frechet_distance(a, b):
    # The symmetric root of one covariance makes the product symmetric.
    a, b = a.double().numpy(), b.double().numpy()
    S, T = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(S)
    root = vectors * np.sqrt(values) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ T @ root)).sum()
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(S + T) - 2 * shared


def precision_recall(real, fake, k):
    # Sample by sample.
    real, fake = real.tolist(), fake.tolist()

    def share(points, centres):
        hits = 0
        for p in points:
            for c in centres:
                radius = sorted(math.dist(c, other) for other in centres)[k]
                if math.dist(p, c) <= radius:
                    hits += 1
                    break
        return hits / len(points)

    return share(fake, real), share(real, fake)
