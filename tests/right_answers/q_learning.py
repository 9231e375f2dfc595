"""Right answers to chapter 17_q_learning by other ways than the master."""

import torch
import torch.nn.functional as F


def epsilon_greedy_policy(Q, epsilon):
    # Row by row, in plain numbers.
    policy = []
    for row in Q.tolist():
        best = [q == max(row) for q in row]
        policy.append([epsilon / len(row) + (1 - epsilon) * b / sum(best) for b in best])
    return torch.tensor(policy)


def discounted_returns(rewards, gamma, rest):
    # What is left is one more reward, and each return a sum with growing powers.
    paid = [*rewards.tolist(), rest]
    return [
        sum(gamma ** (k - t) * r for k, r in enumerate(paid) if k >= t) for t in range(len(rewards))
    ]


def value_sweep(P, R, terminal, v, gamma):
    # The expected reward and the expected value apart, as two contractions.
    on = (~terminal).float()
    reward = torch.einsum("sat,sat->sa", P, R)
    Q = on[:, None] * (reward + gamma * torch.einsum("sat,t,t->sa", P, v, on))
    return Q, Q.max(dim=1).values


def first_visit(episodes, states, gamma):
    # A running mean; the return is summed anew from each state's first place.
    v, count = [0.0] * states, [0] * states
    for visited, rewards in episodes:
        for s in set(visited):
            t = visited.index(s)
            G = sum(r * gamma**k for k, r in enumerate(rewards[t:]))
            count[s] += 1
            v[s] += (G - v[s]) / count[s]
    return v


def td_targets(reward, terminated, truncated, Q_next, next_action, gamma, epsilon):
    # Each method is a policy of the next step; the value there is that policy's mean.
    greedy = F.one_hot(Q_next.argmax(1), Q_next.shape[1]).float()
    policies = (
        F.one_hot(next_action, Q_next.shape[1]).float(),
        (1 - epsilon) * greedy + epsilon / Q_next.shape[1],
        greedy,
    )
    return [
        torch.where(terminated, reward, reward + gamma * (policy * Q_next).sum(1))
        for policy in policies
    ]


def q_learning(Q, s, a, reward, then, terminated, alpha, gamma):
    # A dict of the pairs, and the update as a mean of old value and target.
    S, A = Q.shape
    table = {(i, j): Q[i, j].item() for i in range(S) for j in range(A)}
    for i in range(len(s)):
        target = reward[i].item()
        if not terminated[i]:
            target += gamma * max(table[then[i].item(), j] for j in range(A))
        pair = s[i].item(), a[i].item()
        table[pair] = (1 - alpha) * table[pair] + alpha * target
    return torch.tensor([[table[i, j] for j in range(A)] for i in range(S)])


def dqn_loss(online, frozen, obs, action, reward, terminated, reached, gamma, double):
    # Transition by transition.
    errors = []
    for i in range(len(obs)):
        theirs = frozen(reached[i : i + 1])[0].detach()
        choose_by = online(reached[i : i + 1])[0] if double else theirs
        target = reward[i]
        if not terminated[i]:
            target = target + gamma * theirs[choose_by.argmax()]
        errors.append(online(obs[i : i + 1])[0, action[i]] - target)
    return torch.stack(errors).square().mean()
