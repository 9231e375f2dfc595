"""Right answers to chapter 18_policy_gradient by other ways than the master."""

import numpy as np
import torch
from torch.distributions import Categorical


def log_prob(logits, action):
    return Categorical(logits=logits).log_prob(action)


def returns_to_go(reward, ended, gamma):
    # Each sum by itself, forwards.
    T, N = reward.shape
    G = np.zeros((T, N))
    for n in range(N):
        for t in range(T):
            factor = 1.0
            for k in range(t, T):
                G[t, n] += factor * reward[k, n].item()
                factor *= gamma
                if ended[k, n]:
                    break
    return G


def leave_one_out(G, alive):
    # Episode by episode.
    A = torch.zeros_like(G)
    for t, n in alive.nonzero().tolist():
        others = [G[t, m] for m in range(G.shape[1]) if m != n and alive[t, m]]
        A[t, n] = G[t, n] - (sum(others) / len(others) if others else 0)
    return A


def reinforce_loss(logits, action, advantage, alive):
    # The living steps alone, in one row.
    losses = torch.nn.functional.cross_entropy(logits[alive], action[alive], reduction="none")
    return losses @ advantage[alive] / alive.shape[1]


def gae(reward, value, then, terminated, truncated, gamma, lam):
    # Not backwards: a matrix of weights for each environment.
    T, N = reward.shape
    delta = reward + gamma * torch.where(terminated, 0.0, then) - value
    A = torch.empty(T, N)
    for n in range(N):
        ends = (terminated | truncated)[:, n].long()
        episode = ends.cumsum(0) - ends  # which one each step belongs to
        away = torch.arange(T) - torch.arange(T)[:, None]  # (t, k): steps from t to k
        weight = (gamma * lam) ** away.clamp(min=0) * (away >= 0)
        weight = weight * (episode == episode[:, None])
        A[:, n] = weight @ delta[:, n]
    return A


def actor_critic_loss(logits, value, action, target, entropy):
    with torch.no_grad():
        goal = target + 0.0
        advantage = goal - value
    policy = Categorical(logits=logits)
    rows = (value - goal) ** 2 / 2 - advantage * policy.log_prob(action)
    return (rows - entropy * policy.entropy()).mean()


def ppo_loss(new, old, advantage, clip):
    # Row by row: a bound above for good actions, a bound below for bad ones.
    spread, mean = torch.std_mean(advantage)
    A = (advantage - mean) / spread
    ratio = torch.exp(new) / torch.exp(old)
    bounded = torch.where(A > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    return (-A * bounded).sum() / len(A)
