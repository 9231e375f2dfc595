"""The exercises of chapter 17_q_learning: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/17_q_learning.md. Letters: N rows, B batch, S
states, A actions, T steps, D numbers of an observation. Tables are drawn so that no two of their
values are near each other: what is best is then never in doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import uniform
from .exercise import Exercise, Mistake, Test, checker, part, parts
from .probes import program


def _table(g: Generator, rows: int, columns: int) -> Tensor:
    """Values of two decimals around 0, in any order, each 0.2 or more from the next."""
    size = rows * columns
    steps = 0.5 * torch.randperm(size, generator=g) + uniform(g, 0.0, 0.3, size)
    return (steps - size / 4).round(decimals=2).view(rows, columns)


def _share(g: Generator, low: float, high: float) -> float:
    """A share or a discount, of two decimals."""
    return round(uniform(g, low, high).item(), 2)


def _rewards(g: Generator, count: int) -> Tensor:
    """Rewards of either sign, none of them near 0."""
    positive = torch.rand(count, generator=g) < 0.5
    size = uniform(g, 0.5, 3.0, count)
    return torch.where(positive, size, -size)


def _order(g: Generator, count: int) -> list[int]:
    return torch.randperm(count, generator=g).tolist()


def _as_tensor(args: tuple, value: Any) -> Any:
    """A list of numbers is as good as a tensor of them."""
    return torch.as_tensor(value) if isinstance(value, tuple) else value


# 17.1 epsilon_greedy_policy


def _no_ties(g: Generator) -> list[tuple]:
    """Two rows of three, three of three: the best of the table stands in one row alone."""
    return [(_table(g, N, 3), _share(g, 0.1, 0.4)) for N in (2, 3)]


def _ties(g: Generator) -> list[tuple]:
    """Two best in the first row, all alike in the second, as in a new table."""
    low, high = (float(v) for v in (_table(g, 1, 2).sort().values[0]))
    row = torch.tensor([high, high, low])[_order(g, 3)]
    return [(torch.stack([row, torch.zeros(3)]), _share(g, 0.1, 0.4))]


def _never_or_always(g: Generator) -> list[tuple]:
    return [(_table(g, 2, 3), 0.0), (_table(g, 2, 3), 1.0)]


def _is_best(Q: Tensor) -> Tensor:
    return (Q.amax(1, keepdim=True) == Q).float()


def _first_best(Q: Tensor) -> Tensor:
    return F.one_hot(Q.argmax(1), Q.shape[1]).float()


def _explores(
    greedy: Callable[[Tensor], Tensor] = lambda Q: _is_best(Q) / _is_best(Q).sum(1, keepdim=True),
    mix: Callable[[Tensor, float, int], Tensor] = lambda p, e, A: (1 - e) * p + e / A,
) -> Callable:
    """``mix(p, epsilon, A)``, where p is the policy that never explores."""
    return lambda Q, epsilon: mix(greedy(Q), epsilon, Q.shape[1])


def _others_share(p: Tensor, epsilon: float, A: int) -> Tensor:
    """The best share 1 - ε, the others share ε."""
    others = (p == 0).sum(1, keepdim=True)
    return torch.where(p > 0, (1 - epsilon) * p, epsilon / others.clamp(min=1))


EPSILON_GREEDY_POLICY = Exercise(
    number="17.1",
    title="Mostly the best",
    name="epsilon_greedy_policy",
    difficulty=1,
    minutes=10,
    reference=_explores(),
    tests=[
        Test("explores as often as ε says", _no_ties, 2),
        Test("shares between actions that are equally good", _ties, 1),
        Test("never explores, or always", _never_or_always, 1),
    ],
    mistakes=[
        Mistake(
            "explores among the others only",
            _explores(_first_best, lambda p, e, A: (1 - e) * p + (1 - p) * e / (A - 1)),
            "you drew the random action from the others only; it is drawn from all A, so the best "
            "one has 1 - ε + ε/A",
        ),
        Mistake(
            "explores among the others only, and shares",
            _explores(mix=_others_share),
            "you shared ε among the other actions only; the random action is drawn from all A, so "
            "a best one has (1 - ε)/m + ε/A",
        ),
        Mistake(
            "gives the best what is left of ε alone",
            _explores(mix=lambda p, e, A: torch.where(p > 0, (1 - e) * p, e / A)),
            "you gave the best action 1 - ε, so that the row does not sum to 1; the random draw "
            "may hit it, too: 1 - ε + ε/A",
        ),
        Mistake(
            "overwrites the share of the first of the best",
            _explores(_first_best, lambda p, e, A: torch.where(p > 0, (1 - e) * p, e / A)),
            "you wrote 1 - ε over the ε/A of the best action, so that the row does not sum to 1; "
            "add it, and share it where several actions are equally good",
        ),
        Mistake(
            "takes the first of the best",
            _explores(_first_best),
            "you gave it all to the first of several equally good actions, as argmax does; they "
            "share 1 - ε evenly: compare with the largest value and count",
        ),
        Mistake(
            "pays each of the best in full",
            _explores(_is_best),
            "you gave each of several equally good actions the whole 1 - ε, so that the row sums "
            "to more than 1; divide it by how many there are",
        ),
        Mistake(
            "swaps the shares",
            _explores(mix=lambda p, e, A: e * p + (1 - e) / A),
            "you swapped the shares: ε is the probability of a random action, and 1 - ε that of "
            "the best",
        ),
        Mistake(
            "gives every action the whole of ε",
            _explores(mix=lambda p, e, A: (1 - e) * p + e),
            "you gave every action the whole of ε; the random draw divides it among the A actions: "
            "ε/A each",
        ),
        Mistake(
            "compares the rows",
            lambda Q, epsilon: _explores()(Q.T, epsilon).T,
            "you looked for the best along dim 0, which compares the rows; each row is a state of "
            "its own, so compare its actions, along dim 1",
        ),
        Mistake(
            "compares with the best of all",
            _explores(lambda Q: (Q.max() == Q).float()),
            "you compared with the largest value of the whole table; each row has a best action of "
            "its own: Q.amax(1, keepdim=True)",
        ),
        Mistake(
            "counts the best of all rows",
            _explores(lambda Q: _is_best(Q) / _is_best(Q).sum()),
            "you divided by the number of best actions in the whole table; each row has its own m: "
            "sum(1, keepdim=True)",
        ),
        Mistake(
            "divides by the number of states",
            lambda Q, epsilon: _explores(mix=lambda p, e, A: (1 - e) * p + e / len(p))(Q, epsilon),
            "you divided ε by the number of rows; it is shared by the actions of a row, and there "
            "are Q.shape[1] of them",
        ),
        Mistake(
            "takes the worst",
            lambda Q, epsilon: _explores()(-Q, epsilon),
            "you took the smallest values for the best; Q is what an action brings in, so the "
            "largest is best",
        ),
        Mistake(
            "takes a softmax",
            lambda Q, epsilon: Q.softmax(1),
            "you took a softmax, which prefers better actions by degrees; ε-greedy knows the best "
            "and all others, and no degrees",
        ),
        Mistake(
            "never explores",
            _explores(mix=lambda p, e, A: p),
            "you never explore: these are the probabilities for ε = 0; mix (1 - ε) of them with "
            "ε/A for every action",
        ),
        Mistake(
            "gives the action",
            lambda Q, epsilon: Q.argmax(1),
            "you returned which action is best; return the probability of each action, shape "
            "(N, A)",
        ),
    ],
)


# 17.2 discounted_returns


def _ended(g: Generator) -> list[tuple]:
    return [(_rewards(g, T), _share(g, 0.5, 0.9), 0.0) for T in (3, 4)]


def _cut_off(g: Generator) -> list[tuple]:
    return [(_rewards(g, 3), _share(g, 0.5, 0.9), _share(g, 1.0, 3.0))]


def _extreme_discounts(g: Generator) -> list[tuple]:
    return [(_rewards(g, 3), gamma, _share(g, 1.0, 3.0)) for gamma in (0.0, 1.0)]


def _weighted(
    weight: Callable[[int, float], float] = lambda k, gamma: gamma**k,
    left: Callable[[int, float], float] = lambda n, gamma: gamma**n,
    first: int = 0,
) -> Callable:
    """Returns whose reward k steps later counts ``weight(k)``, and what is left ``left(n)``."""

    def total(r: list[float], gamma: float, rest: float) -> float:
        paid = sum(weight(k, gamma) * r[k] for k in range(first, len(r)))
        return paid + left(len(r), gamma) * rest

    def discounted_returns(rewards: Tensor, gamma: float, rest: float) -> Tensor:
        r = rewards.tolist()
        return torch.tensor([total(r[t:], gamma, rest) for t in range(len(r))])

    return discounted_returns


_returns = _weighted()


def _from_the_start(rewards: Tensor, gamma: float, rest: float) -> Tensor:
    """As seen from the first step: each return is gamma**t too small."""
    return _returns(rewards, gamma, rest) * gamma ** torch.arange(len(rewards))


def _rewards_from_the_start(rewards: Tensor, gamma: float, rest: float) -> Tensor:
    """The rewards alone are as seen from the first step."""
    return _from_the_start(rewards, gamma, 0.0) + _returns(0 * rewards, gamma, rest)


def _forward(rewards: Tensor, gamma: float, rest: float) -> Tensor:
    """Runs the recursion from the first step on."""
    G, out = rest, []
    for r in rewards.tolist():
        G = r + gamma * G
        out.append(G)
    return torch.tensor(out)


def _wrong_factor(rewards: Tensor, gamma: float, rest: float) -> Tensor:
    G, out = rest, []
    for r in reversed(rewards.tolist()):
        G = gamma * r + G
        out.append(G)
    return torch.tensor(out[::-1])


DISCOUNTED_RETURNS = Exercise(
    number="17.2",
    title="What is still to come",
    name="discounted_returns",
    difficulty=2,
    minutes=15,
    reference=_returns,
    tests=[
        Test("adds up what follows", _ended, 2, _as_tensor),
        Test("counts what would have come after", _cut_off, 2, _as_tensor),
        Test("is right for a discount of 0 or 1", _extreme_discounts, 1, _as_tensor),
    ],
    mistakes=[
        Mistake(
            "discounts the first reward",
            _weighted(lambda k, gamma: gamma ** (k + 1), lambda n, gamma: gamma ** (n + 1)),
            "you discounted the first reward of each return, too, which is off by one; the "
            "next reward counts in full, the one after it γ",
        ),
        Mistake(
            "begins one reward late",
            _weighted(lambda k, gamma: gamma ** (k - 1), lambda n, gamma: gamma ** (n - 1), 1),
            "you began one reward late: rewards[t] is paid for step t itself, so it belongs to "
            "the return of step t",
        ),
        Mistake(
            "forgets the discount",
            _weighted(lambda k, gamma: 1, lambda n, gamma: 1),
            "you forgot the discount: a reward k steps later counts γ to the power k",
        ),
        Mistake(
            "discounts once",
            _weighted(lambda k, gamma: gamma if k else 1, lambda n, gamma: gamma),
            "you discounted all later rewards alike; γ multiplies the whole next return, which is "
            "discounted already, so the powers of γ grow",
        ),
        Mistake(
            "discounts from the start of the episode",
            _from_the_start,
            "you counted the powers of γ from the start of the episode; each return counts from "
            "its own step: divide by γ**t, or work backwards",
        ),
        Mistake(
            "discounts the rewards from the start of the episode",
            _rewards_from_the_start,
            "you counted the powers of γ for the rewards from the start of the episode; reward k "
            "is k - t steps away from step t: γ**(k - t)",
        ),
        Mistake(
            "divides by a power that may be 0",
            lambda rewards, gamma, rest: (
                _from_the_start(rewards, gamma, rest) / gamma ** torch.arange(len(rewards))
            ),
            "you divided by a power of γ, which is 0 for γ = 0; work from the last step back, "
            "and nothing has to be divided",
        ),
        Mistake(
            "runs forward",
            _forward,
            "you ran from the first step to the last, so you added up the past; a return looks "
            "ahead: begin with the last step",
        ),
        Mistake(
            "leaves the order turned",
            lambda rewards, gamma, rest: _returns(rewards, gamma, rest).flip(0),
            "you worked backwards, which is right, but returned the list in that order; turn it "
            "round at the end",
        ),
        Mistake(
            "discounts the reward in place of what follows",
            _wrong_factor,
            "you multiplied γ with the reward in place of what follows it: G = r + γ G",
        ),
        Mistake(
            "forgets what is left",
            _weighted(left=lambda n, gamma: 0),
            "you took every end for a true one and left out `rest`; where only the time was up, "
            "it is what would still have come, after the last reward",
        ),
        Mistake(
            "does not discount what is left",
            _weighted(left=lambda n, gamma: 1),
            "you added `rest` to every return without a discount; it lies T - t steps ahead of "
            "step t",
        ),
        Mistake(
            "discounts what is left once",
            _weighted(left=lambda n, gamma: gamma),
            "you discounted `rest` once for every step; it lies T - t steps ahead of step t, so "
            "the power of γ is T - t",
        ),
        Mistake(
            "discounts what is left by the whole length",
            lambda rewards, gamma, rest: (
                _returns(rewards, gamma, 0.0) + gamma ** len(rewards) * rest
            ),
            "you discounted `rest` by γ**T for every step; step t is nearer to it: T - t steps",
        ),
        Mistake(
            "adds what is left to the last reward",
            _weighted(left=lambda n, gamma: gamma ** (n - 1)),
            "you added `rest` to the last reward, which is one step too early: it comes after that "
            "step, so it is discounted once more",
        ),
        Mistake(
            "appends what is left, and a return for it",
            lambda rewards, gamma, rest: torch.cat(
                [_returns(rewards, gamma, rest), torch.tensor([rest])]
            ),
            "you returned T + 1 numbers: `rest` is no step of its own, so drop the return that "
            "belongs to it",
        ),
        Mistake(
            "gives `rest` to the last step alone",
            _weighted(left=lambda n, gamma: gamma if n == 1 else 0),
            "you counted `rest` for the last step alone; every earlier return holds it, too, "
            "with one more γ for each step",
        ),
        Mistake(
            "gives the first return alone",
            lambda rewards, gamma, rest: _returns(rewards, gamma, rest)[0],
            "you returned what the whole episode was worth from its start; each step has a "
            "return: T numbers",
        ),
    ],
)


# 17.3 value_sweep

BOTH = ("Q", "v")


def _world(g: Generator, A: int, ends: bool) -> tuple:
    """Two states. Ways are taken by chances of tenths; if it ends, then in the second state."""
    first = torch.stack([torch.randperm(4, generator=g)[:A] for _ in range(2)]) + 1
    chance = first / 10 + torch.tensor([[0.0], [0.4]])  # of state 0, by state and action
    P = torch.stack([chance, 1 - chance], 2)
    R = _table(g, 4, A).view(2, A, 2)
    v = _table(g, 1, 2)[0] + 4
    terminal = torch.tensor([False, ends])
    return P.round(decimals=1), R, terminal, v.round(decimals=2), _share(g, 0.5, 0.9)


def _endless(g: Generator) -> list[tuple]:
    return [_world(g, 2, False)]


def _ending(g: Generator) -> list[tuple]:
    return [_world(g, 3, True)]


def _expected(P: Tensor, R: Tensor, future: Tensor, gamma: float) -> Tensor:
    return (P * (R + gamma * future)).sum(2)


def _largest(Q: Tensor) -> Tensor:
    return Q.amax(1)


def _swept(
    Q: Callable[..., Tensor] = _expected,
    v: Callable[[Tensor], Tensor] = _largest,
    stop: bool = True,
    nothing: bool = True,
    finish: Callable[[Tensor, Tensor], Any] = lambda Q, v: (Q, v),
) -> Callable:
    """``stop``: what a terminal state holds is not looked at. ``nothing``: it is worth 0."""

    def value_sweep(P: Tensor, R: Tensor, terminal: Tensor, old: Tensor, gamma: float) -> Any:
        values = Q(P, R, old.masked_fill(terminal & stop, 0.0), gamma)
        values = values.masked_fill((terminal & nothing)[:, None], 0.0)
        return finish(values, v(values))

    return value_sweep


def _loses_last_rewards(P: Tensor, R: Tensor, terminal: Tensor, v: Tensor, gamma: float) -> Any:
    return _swept()(P, R * ~terminal, terminal, v, gamma)


def _state_by_state(P: Tensor, R: Tensor, terminal: Tensor, v: Tensor, gamma: float) -> Any:
    """Looks up values that this sweep has written already."""
    v, Q = v.masked_fill(terminal, 0.0), torch.zeros(P.shape[:2])
    for s in (~terminal).nonzero().flatten().tolist():
        Q[s] = (P[s] * (R[s] + gamma * v)).sum(1)
        v[s] = Q[s].max()
    return Q, v


def _into_each_state(P: Tensor, R: Tensor, future: Tensor, gamma: float) -> Tensor:
    return (P * (R + gamma * future[:, None, None])).sum(2)


def _ends_in_v_alone(P: Tensor, R: Tensor, terminal: Tensor, old: Tensor, gamma: float) -> tuple:
    Q, v = _swept(nothing=False)(P, R, terminal, old, gamma)
    return Q, v * ~terminal


def _ends_in_Q_alone(P: Tensor, R: Tensor, terminal: Tensor, old: Tensor, gamma: float) -> tuple:
    Q, v = _swept(nothing=False)(P, R, terminal, old, gamma)
    return Q * ~terminal[:, None], v


def _keeps_old_value_of_an_end(
    P: Tensor, R: Tensor, terminal: Tensor, old: Tensor, gamma: float
) -> tuple:
    Q, v = _swept()(P, R, terminal, old, gamma)
    return Q, torch.where(terminal, old, v)


VALUE_SWEEP = Exercise(
    number="17.3",
    title="One look ahead",
    name="value_sweep",
    difficulty=3,
    minutes=25,
    reference=lambda P, R, terminal, v, gamma: _swept()(P, R, terminal, v, gamma),
    tests=[
        Test("values every action by where it may lead", _endless, 2, part(0, *BOTH)),
        Test("values a state by its best action", _endless, 1, part(1, *BOTH)),
        Test("stops at terminal states", _ending, 3, lambda args, value: parts(value, *BOTH)),
    ],
    mistakes=[
        Mistake(
            "looks through the end",
            _swept(stop=False),
            "you looked through the end: what `v` holds at a terminal state does not count, since "
            "nothing comes after it; take 0 for it before you multiply by γ",
        ),
        Mistake(
            "lets the dead act",
            _swept(nothing=False),
            "you let the terminal states themselves go on: in them nothing is earned any more, so "
            "their rows of Q are 0",
        ),
        Mistake(
            "lets the dead act, and values them at 0",
            _ends_in_v_alone,
            "your `v` is right, but Q goes on in the terminal states; in them nothing is earned "
            "any more, so their rows of Q are 0, too",
        ),
        Mistake(
            "takes the maximum before it ends",
            _ends_in_Q_alone,
            "your Q is right, but you took the maximum before you emptied the terminal rows; a "
            "terminal state is worth 0 in the new `v`, too",
        ),
        Mistake(
            "keeps the old value of an end",
            _keeps_old_value_of_an_end,
            "your Q is right, but in the new `v` a terminal state kept its old value; it is worth "
            "0 there, whatever `v` said before",
        ),
        Mistake(
            "knows no end",
            _swept(stop=False, nothing=False),
            "you did not look at `terminal`: a terminal state is worth 0 to those who arrive, and "
            "its own row of Q is 0",
        ),
        Mistake(
            "loses the last reward",
            _loses_last_rewards,
            "you dropped the reward of the step into a terminal state, as if it led nowhere; that "
            "reward is paid, only the value after it is 0",
        ),
        Mistake(
            "forgets the discount",
            _swept(lambda P, R, future, gamma: _expected(P, R, future, 1.0)),
            "you forgot γ: what the next state is worth comes one step later",
        ),
        Mistake(
            "discounts the reward as well",
            _swept(lambda P, R, future, gamma: gamma * _expected(P, R, future, 1.0)),
            "you discounted the reward as well, which is off by one step; γ belongs to the value "
            "of the next state alone",
        ),
        Mistake(
            "adds the rewards of all ways",
            _swept(lambda P, R, future, gamma: R.sum(2) + gamma * P @ future),
            "you added up the rewards of all ways; only one way is taken, so weigh each reward by "
            "its probability, as you did with the values",
        ),
        Mistake(
            "averages the rewards evenly",
            _swept(lambda P, R, future, gamma: R.mean(2) + gamma * P @ future),
            "you averaged the rewards as if all ways were equally likely; weigh each by P",
        ),
        Mistake(
            "leaves out the probabilities",
            _swept(lambda P, R, future, gamma: (R + gamma * future).sum(2)),
            "you added up all ways without their probabilities; multiply by P before you sum",
        ),
        Mistake(
            "weighs the rewards alone",
            _swept(lambda P, R, future, gamma: (P * R + gamma * future).sum(2)),
            "you weighed the rewards and added the values of all states in full; P weighs both, so "
            "put brackets round R + γ v",
        ),
        Mistake(
            "chooses where it lands",
            _swept(lambda P, R, future, gamma: (R + gamma * future).amax(2)),
            "you took the best next state, as if the agent could choose where it lands; it "
            "chooses the action, and P decides the rest: take the mean over s'",
        ),
        Mistake(
            "takes the likeliest way",
            _swept(
                lambda P, R, future, gamma: (
                    (R + gamma * future).gather(2, P.argmax(2, keepdim=True)).squeeze(2)
                )
            ),
            "you followed the likeliest way alone; the others happen, too: take the mean over all "
            "of them, weighed by P",
        ),
        Mistake(
            "takes the value of the state it leaves",
            _swept(_into_each_state),
            "you added the value of the state that the agent leaves; γ v belongs to s', the last "
            "axis of P and R",
        ),
        Mistake(
            "lays the values along the actions",
            _swept(lambda P, R, future, gamma: _expected(P, R, future[:, None], gamma)),
            "you wrote v[:, None], which lays v along the axis of the actions; as it is, v lies "
            "along the last axis, and that is s'",
        ),
        Mistake(
            "sums over the actions",
            _swept(lambda P, R, future, gamma: (P * (R + gamma * future)).sum(1)),
            "you summed along dim 1, over the actions; the mean is over s', the last axis: dim 2",
        ),
        Mistake(
            "reads the table backwards",
            lambda P, R, terminal, v, gamma: _swept()(
                P.transpose(0, 2), R.transpose(0, 2), terminal, v, gamma
            ),
            "you read P and R as [s', a, s]; they are [s, a, s'], so the sum runs over the last "
            "axis",
        ),
        Mistake(
            "averages over the actions",
            _swept(v=lambda Q: Q.mean(1)),
            "your Q is right, but you averaged over the actions, as for an agent that draws them "
            "evenly; the best agent takes the largest",
        ),
        Mistake(
            "takes the worst action",
            _swept(v=lambda Q: Q.amin(1)),
            "your Q is right, but you took the smallest; the value of a state is that of its best "
            "action",
        ),
        Mistake(
            "gives the best actions",
            _swept(v=lambda Q: Q.argmax(1)),
            "your Q is right, but in the place of `v` you returned which action is best; return "
            "what it is worth: amax, not argmax",
        ),
        Mistake(
            "gives the pair that max makes",
            _swept(v=lambda Q: Q.max(1)),
            "your Q is right, but Q.max(1) is a pair, the values and their places; take Q.amax(1), "
            "or .values of the pair",
        ),
        Mistake(
            "takes the best over the states",
            _swept(v=lambda Q: Q.amax(0)),
            "your Q is right, but you took the largest along dim 0, over the states; each state "
            "takes its best action, along dim 1",
        ),
        Mistake(
            "uses the new values at once",
            _state_by_state,
            "you wrote new values into `v` and looked them up in the same sweep; that arrives, "
            "too, but here every state looks at the old values",
        ),
        Mistake(
            "returns v alone",
            _swept(finish=lambda Q, v: v),
            "you returned v alone; return two values: Q, v",
        ),
        Mistake(
            "returns v first",
            _swept(finish=lambda Q, v: (v, Q)),
            "you returned the values of the states first; the order is Q, v",
        ),
    ],
)


# 17.4 first_visit


def _walk(g: Generator, visited: list[int]) -> tuple:
    """An episode through these states, with rewards of one decimal."""
    rewards = torch.randint(5, 40, (len(visited),), generator=g).tolist()
    return tuple(visited), tuple(r / 10 for r in rewards)


def _walks(states: int, *routes: str) -> Callable[[Generator], list[tuple]]:
    """Episodes along routes such as "aba"; which state is a, b or c is drawn."""

    def cases(g: Generator) -> list[tuple]:
        names = dict(zip("abc", _order(g, states), strict=False))
        episodes = tuple(_walk(g, [names[letter] for letter in route]) for route in routes)
        return [(episodes, states, _share(g, 0.5, 0.8))]

    return cases


def _every_return(rewards: tuple, gamma: float) -> list[float]:
    G = [0.0]
    for r in reversed(rewards):
        G.append(r + gamma * G[-1])
    return G[:0:-1]


def _first_only(visited: tuple, G: list[float]) -> list[tuple[int, float]]:
    return [(s, G[t]) for t, s in enumerate(visited) if s not in visited[:t]]


def _counted(
    returns: Callable[[tuple, float], list[float]] = _every_return,
    keep: Callable[[tuple, list[float]], list[tuple[int, float]]] = _first_only,
    merge: Callable[[list[float], int], float] = lambda G, episodes: sum(G) / len(G) if G else 0.0,
) -> Callable:
    """``merge(returns of a state, number of episodes)`` makes its value."""

    def first_visit(episodes: tuple, states: int, gamma: float) -> Tensor:
        pairs = [
            pair for visited, rewards in episodes for pair in keep(visited, returns(rewards, gamma))
        ]
        found = [[G for s, G in pairs if s == state] for state in range(states)]
        return torch.tensor([float(merge(G, len(episodes))) for G in found])

    return first_visit


def _first_of_all(episodes: tuple, states: int, gamma: float) -> Tensor:
    """Never forgets which states it has seen."""
    once: dict[int, float] = {}
    for visited, rewards in episodes:
        for s, G in _first_only(visited, _every_return(rewards, gamma)):
            once.setdefault(s, G)
    return torch.tensor([once.get(s, 0.0) for s in range(states)])


def _last_only(visited: tuple, G: list[float]) -> list[tuple[int, float]]:
    return [(s, G[t]) for t, s in enumerate(visited) if s not in visited[t + 1 :]]


def _of_visited(merge: Callable[[list[float]], float]) -> Callable[[list[float], int], float]:
    return lambda G, episodes: merge(G) if G else 0.0


def _seen_from_the_start(rewards: tuple, gamma: float) -> list[float]:
    return [gamma**t * G for t, G in enumerate(_every_return(rewards, gamma))]


def _by_all_visits(episodes: tuple, states: int, gamma: float) -> Tensor:
    """Sums over first visits, counts of every visit."""
    total = _counted(merge=_of_visited(sum))(episodes, states, gamma)
    visits = [sum(visited.count(s) for visited, _ in episodes) for s in range(states)]
    return total / torch.tensor(visits).clamp(min=1)


def _without_a_break(episodes: tuple, states: int, gamma: float) -> Tensor:
    """Never sets the return back to 0."""
    G, returns = 0.0, []
    for visited, rewards in episodes:
        first = {}
        for s, r in zip(reversed(visited), reversed(rewards), strict=True):
            first[s] = G = r + gamma * G
        returns.append(first)
    found = [[first[s] for first in returns if s in first] for s in range(states)]
    return torch.tensor([sum(G) / max(len(G), 1) for G in found])


FIRST_VISIT = Exercise(
    number="17.4",
    title="Averages of what came",
    name="first_visit",
    difficulty=3,
    minutes=25,
    reference=lambda episodes, states, gamma: _counted()(episodes, states, gamma),
    tests=[
        Test("averages returns over episodes", _walks(3, "abc", "cb"), 2, _as_tensor),
        Test(
            "counts the first visit of an episode",
            _walks(3, "abaca", "cbcb", "ba"),
            2,
            _as_tensor,
        ),
        Test("knows nothing of a state that was not visited", _walks(4, "ab", "cb"), 1, _as_tensor),
    ],
    mistakes=[
        Mistake(
            "counts every visit",
            _counted(keep=lambda visited, G: list(zip(visited, G, strict=True))),
            "you counted every visit; that is another estimate: here a state counts once an "
            "episode, with the return from its first visit",
        ),
        Mistake(
            "counts the last visit",
            _counted(keep=_last_only),
            "you kept the return of the last visit, as a loop that overwrites does; it is the "
            "first visit of the episode that counts",
        ),
        Mistake(
            "counts the first visit of all episodes",
            _first_of_all,
            "you counted the first visit of all episodes; what was visited is to be forgotten "
            "when a new episode begins",
        ),
        Mistake(
            "keeps the newest return",
            _counted(merge=_of_visited(lambda G: G[-1])),
            "you kept the return of the newest episode; the estimate is the average over all "
            "episodes that visit the state",
        ),
        Mistake(
            "adds up",
            _counted(merge=_of_visited(sum)),
            "you added up the returns of a state; divide by how many episodes visited it",
        ),
        Mistake(
            "divides by all episodes",
            _counted(merge=lambda G, episodes: sum(G) / episodes),
            "you divided by the number of episodes; an episode that never came by says nothing of "
            "a state: divide by those that visited it",
        ),
        Mistake(
            "divides by all visits",
            _by_all_visits,
            "you summed first visits and divided by all visits; a state counts once an episode in "
            "both: divide by the number of episodes that visited it",
        ),
        Mistake(
            "divides by no visits",
            _counted(merge=lambda G, episodes: sum(G) / len(G) if G else float("nan")),
            "you divided by no visits, which gives nan; a state that no episode visits has the "
            "value 0 here",
        ),
        Mistake(
            "lets Python divide by no visits",
            _counted(merge=lambda G, episodes: sum(G) / len(G)),
            "you divided by no visits; a state that no episode visits has the value 0 here, so "
            "look whether there are any first",
        ),
        Mistake(
            "begins one reward late",
            _counted(lambda rewards, gamma: [*_every_return(rewards, gamma)[1:], 0.0]),
            "you left out the reward of the visit's own step, which is off by one; rewards[t] is "
            "paid for the step out of visited[t]",
        ),
        Mistake(
            "discounts the first reward",
            _counted(lambda rewards, gamma: [gamma * G for G in _every_return(rewards, gamma)]),
            "you discounted the first reward after the visit, which is off by one; it counts in "
            "full, the next one γ",
        ),
        Mistake(
            "forgets the discount",
            _counted(lambda rewards, gamma: _every_return(rewards, 1.0)),
            "you forgot the discount; a return is r + γ times the next return",
        ),
        Mistake(
            "discounts from the start of the episode",
            _counted(_seen_from_the_start),
            "you counted the powers of γ from the start of the episode; a return counts from the "
            "visit, whose own reward is worth its full size",
        ),
        Mistake(
            "credits the whole episode",
            _counted(lambda rewards, gamma: _every_return(rewards, gamma)[:1] * len(rewards)),
            "you credited every state with the return of the whole episode; what came before the "
            "visit does not count for it",
        ),
        Mistake(
            "sees the next reward alone",
            _counted(lambda rewards, gamma: list(rewards)),
            "you averaged the next reward alone; a value counts all that follows, discounted",
        ),
        Mistake(
            "sums the past",
            _counted(lambda rewards, gamma: _every_return(rewards[::-1], gamma)[::-1]),
            "you ran through the episode from its start, so your sums hold the past; a return "
            "looks ahead: begin with the last step",
        ),
        Mistake(
            "runs on into the episode before",
            _without_a_break,
            "you set G to 0 once, before the episodes, so the return of one runs on into the next; "
            "each episode begins with G = 0",
        ),
    ],
)


# 17.5 td_targets

METHODS = ("sarsa", "expected_sarsa", "q_learning")
ENDS = torch.tensor([[True, False, False, True], [False, False, True, True]])


def _steps(g: Generator, ends: Tensor) -> tuple:
    """A step a column of ends (terminated, truncated). No next action is the best one."""
    B = ends.shape[1]
    Q = _table(g, B, 3) + 4
    actions = torch.zeros(B, dtype=torch.long)
    while (actions == actions[0]).all():  # or a column is as good as a row
        second = torch.randint(1, 3, (B, 1), generator=g)
        actions = Q.argsort(1, descending=True).gather(1, second).squeeze(1)
    flags = ends[0].clone(), ends[1].clone()
    return _rewards(g, B), *flags, Q, actions, _share(g, 0.5, 0.9), _share(g, 0.1, 0.4)


def _going_on(g: Generator) -> list[tuple]:
    return [_steps(g, torch.zeros(2, 3, dtype=torch.bool))]


def _over(g: Generator) -> list[tuple]:
    return [_steps(g, ENDS[:, [0, 1]])]


def _time_up(g: Generator) -> list[tuple]:
    """Cut off, both at once, and neither."""
    return [_steps(g, ENDS[:, [2, 3, 1]])]


def _all_three(args: tuple, value: Any) -> dict[str, Any]:
    """By name; a tensor with a row for each method is as good as three, a list as a tensor."""
    if isinstance(value, Tensor) and value.ndim == 2 and len(value) == len(METHODS):
        value = tuple(value)
    targets = (_as_tensor(args, target) for target in parts(value, *METHODS))
    return dict(zip(METHODS, targets, strict=True))


def _one(method: str) -> Callable[[tuple, Any], Any]:
    return lambda args, value: _all_three(args, value)[method]


def _taken(Q: Tensor, action: Tensor, epsilon: float) -> Tensor:
    return Q.gather(1, action[:, None]).squeeze(1)


def _mean(Q: Tensor, action: Tensor, epsilon: float) -> Tensor:
    return epsilon * Q.mean(1) + (1 - epsilon) * Q.amax(1)


def _max(Q: Tensor, action: Tensor, epsilon: float) -> Tensor:
    return Q.amax(1)


def _kept(reward: Tensor, future: Tensor, goes_on: Tensor, gamma: float) -> Tensor:
    return reward + gamma * future * goes_on


def _not_terminated(terminated: Tensor, truncated: Tensor) -> Tensor:
    return ~terminated


def _targets(
    sarsa: Callable[..., Tensor] = _taken,
    expected: Callable[..., Tensor] = _mean,
    q_learning: Callable[..., Tensor] = _max,
    goes_on: Callable[[Tensor, Tensor], Tensor] = _not_terminated,
    add: Callable[..., Tensor] = _kept,
    finish: Callable[..., Any] = lambda *targets: targets,
) -> Callable:
    def td_targets(reward, terminated, truncated, Q_next, next_action, gamma, epsilon):
        futures = [f(Q_next, next_action, epsilon) for f in (sarsa, expected, q_learning)]
        on = goes_on(terminated, truncated)
        return finish(*add(reward, torch.stack(futures), on, gamma))

    return td_targets


def _others_evenly(Q: Tensor, action: Tensor, epsilon: float) -> Tensor:
    """The best with 1 - ε, the others share ε."""
    best = Q.amax(1)
    return (1 - epsilon) * best + epsilon * (Q.sum(1) - best) / (Q.shape[1] - 1)


def _by_columns(reward, terminated, truncated, Q_next, next_action, *rates) -> tuple:
    """SARSA's future is (B, B): every row gets the columns of all."""
    others = _targets()(reward, terminated, truncated, Q_next, next_action, *rates)[1:]
    return (_kept(reward, Q_next[:, next_action], ~terminated, rates[0]), *others)


def _with_axis(reward, terminated, truncated, Q_next, next_action, *rates) -> tuple:
    """SARSA's future is (B, 1), its target (B, B)."""
    others = _targets()(reward, terminated, truncated, Q_next, next_action, *rates)[1:]
    return (_kept(reward, Q_next.gather(1, next_action[:, None]), ~terminated, rates[0]), *others)


TD_TARGETS = Exercise(
    number="17.5",
    title="Three answers to what comes next",
    name="td_targets",
    difficulty=3,
    minutes=25,
    reference=lambda reward, terminated, truncated, Q_next, next_action, gamma, epsilon: _targets()(
        reward, terminated, truncated, Q_next, next_action, gamma, epsilon
    ),
    tests=[
        Test("SARSA: the action that is taken", _going_on, 1, _one("sarsa")),
        Test("expected SARSA: the mean over the policy", _going_on, 1, _one("expected_sarsa")),
        Test("Q-learning: the best action", _going_on, 1, _one("q_learning")),
        Test("adds nothing after the end", _over, 2, _all_three),
        Test("goes on where only the time is up", _time_up, 2, _all_three),
    ],
    mistakes=[
        Mistake(
            "bootstraps through the end",
            _targets(goes_on=lambda terminated, truncated: torch.ones_like(terminated)),
            "you bootstrapped through a terminal state: where `terminated` is True nothing comes "
            "after, so the target is the reward alone",
        ),
        Mistake(
            "takes time up for the end",
            _targets(goes_on=lambda terminated, truncated: ~(terminated | truncated)),
            "you took truncation for termination: where only the time was up the task would have "
            "gone on, and Q_next says what it was worth; look at `terminated` alone",
        ),
        Mistake(
            "swaps the two ends",
            _targets(goes_on=lambda terminated, truncated: ~truncated),
            "you swapped the two ends: after `terminated` nothing comes; after `truncated` the "
            "task would have gone on, so its target bootstraps",
        ),
        Mistake(
            "lets time up undo the end",
            _targets(goes_on=lambda terminated, truncated: ~terminated | truncated),
            "you bootstrapped where both flags are True; the task was over there, whatever the "
            "clock said: `terminated` decides",
        ),
        Mistake(
            "loses the reward at the end",
            _targets(add=lambda reward, future, on, gamma: (reward + gamma * future) * on),
            "you set the whole target to 0 at the end; the reward of the last step is paid, only "
            "what would come after it is 0",
        ),
        Mistake(
            "keeps what ends",
            _targets(goes_on=lambda terminated, truncated: terminated),
            "you multiplied by `terminated` itself, so only steps that end look ahead; multiply by "
            "its opposite, ~terminated",
        ),
        Mistake(
            "forgets the discount",
            _targets(add=lambda reward, future, on, gamma: reward + future * on),
            "you forgot γ: what the next state is worth comes one step later",
        ),
        Mistake(
            "discounts the reward as well",
            _targets(add=lambda reward, future, on, gamma: gamma * (reward + future * on)),
            "you discounted the reward as well, which is off by one; γ belongs to the future alone",
        ),
        Mistake(
            "leaves out the reward",
            _targets(add=lambda reward, future, on, gamma: gamma * future * on),
            "you left out the reward; the target is what this step paid, plus γ times what is "
            "still to come",
        ),
        Mistake(
            "takes the best for SARSA",
            _targets(sarsa=_max),
            "you gave SARSA the largest value, which is Q-learning's; SARSA looks up the action "
            "that is really taken next, next_action",
        ),
        Mistake(
            "takes the taken action for Q-learning",
            _targets(q_learning=_taken),
            "you gave Q-learning the value of the action taken next, which is SARSA's; it takes "
            "the largest in the row, whatever the agent does",
        ),
        Mistake(
            "takes the best of the batch",
            _targets(q_learning=lambda Q, action, epsilon: Q.max().expand(len(Q))),
            "your Q-learning takes the largest value of the whole batch; each step has a row of "
            "its own: Q_next.amax(1)",
        ),
        Mistake(
            "takes the best over the rows",
            _targets(q_learning=lambda Q, action, epsilon: Q.amax(0).repeat(2)[: len(Q)]),
            "your Q-learning takes the largest along dim 0, over the steps of the batch; the "
            "actions lie along dim 1",
        ),
        Mistake(
            "takes the place of the best",
            _targets(q_learning=lambda Q, action, epsilon: Q.argmax(1)),
            "your Q-learning adds the number of the best action in the place of its value; take "
            "amax, not argmax",
        ),
        Mistake(
            "draws evenly",
            _targets(expected=lambda Q, action, epsilon: Q.mean(1)),
            "your expected SARSA averages as if all actions were equally likely; weigh them by the "
            "ε-greedy policy of Exercise 17.1",
        ),
        Mistake(
            "averages over the policy",
            _targets(expected=lambda Q, action, epsilon: _mean(Q, action, epsilon) / Q.shape[1]),
            "your expected SARSA divides by A once more; the probabilities of the policy are the "
            "weights already, so sum π Q over the actions",
        ),
        Mistake(
            "adds up all actions",
            _targets(
                expected=lambda Q, action, epsilon: (1 - epsilon) * Q.amax(1) + epsilon * Q.sum(1)
            ),
            "your expected SARSA gives every action the whole of ε; the random draw divides it "
            "among the A actions: ε times the mean of the row",
        ),
        Mistake(
            "swaps the shares",
            _targets(expected=lambda Q, action, epsilon: _mean(Q, action, 1 - epsilon)),
            "your expected SARSA swaps the shares: the best action is taken with 1 - ε, a random "
            "one with ε",
        ),
        Mistake(
            "explores among the others only",
            _targets(expected=_others_evenly),
            "your expected SARSA draws the random action from the others only; it is drawn from "
            "all A, so the best one has 1 - ε + ε/A",
        ),
        Mistake(
            "weighs the taken action",
            _targets(
                expected=lambda Q, action, epsilon: (
                    (1 - epsilon) * Q.amax(1) + epsilon * _taken(Q, action, epsilon)
                )
            ),
            "your expected SARSA still looks at the action that was drawn; it needs none: the "
            "share ε goes to the mean over all actions",
        ),
        Mistake(
            "picks columns for the whole batch",
            _by_columns,
            "your SARSA has B rows: Q_next[:, next_action] picks columns for the whole batch; use "
            "gather, or Q_next[torch.arange(B), next_action]",
        ),
        Mistake(
            "keeps the axis of gather",
            _with_axis,
            "your SARSA has B rows: gather leaves an axis of length 1, and (B,) with (B, 1) makes "
            "(B, B); squeeze it",
        ),
        Mistake(
            "turns the order",
            _targets(finish=lambda *targets: targets[::-1]),
            "you turned the order; return the targets of SARSA, expected SARSA and Q-learning",
        ),
        Mistake(
            "gives one of three",
            _targets(finish=lambda *targets: targets[2]),
            "you returned Q-learning's targets alone; return three values, SARSA's and expected "
            "SARSA's before them",
        ),
    ],
)


# 17.6 q_learning


def _journey(g: Generator, *steps: tuple[str, str, bool], repeat: bool = False) -> tuple:
    """Steps ("a", "b", over) between three states; which is which is drawn.

    No action is the best one of the state that it leads to, so that looking up the same action
    there is no luck; with repeat, the last action is the first one again.
    """
    Q = _table(g, 3, 2) / 2
    names = dict(zip("abc", _order(g, 3), strict=True))
    s, then = (torch.tensor([names[step[i]] for step in steps]) for i in (0, 1))
    a = 1 - Q[then].argmax(1)
    if repeat:
        a[-1] = a[0]
    over = torch.tensor([step[2] for step in steps])
    reward = uniform(g, 3.0, 6.0, len(steps))
    rates = _share(g, 0.2, 0.4), _share(g, 0.5, 0.9)
    return Q.round(decimals=2), s, a, reward, then, over, *rates


def _one_step(g: Generator) -> list[tuple]:
    return [_journey(g, ("a", "b", False))]


def _in_turn(g: Generator) -> list[tuple]:
    """Comes back to where it began, and does the same again."""
    steps = (("a", "b", False), ("b", "c", False), ("c", "a", False), ("a", "b", False))
    return [_journey(g, *steps, repeat=True)]


def _several_episodes(g: Generator) -> list[tuple]:
    """One ends, one is cut off before the next begins elsewhere, and the last one ends."""
    steps = (("a", "b", True), ("c", "a", False), ("b", "c", False), ("c", "b", True))
    return [_journey(g, *steps)]


Rows = list[list[float]]
Update = Callable[[list[float], int, float, float, float], None]


def _move(row: list[float], a: int, r: float, ahead: float, alpha: float) -> None:
    """Row of the state, action, reward, the discounted value of what is ahead."""
    row[a] += alpha * (r + ahead - row[a])


def _best_there(Q: Rows, s: int, a: int, then: int) -> float:
    return max(Q[then])


def _learned(
    update: Update = _move,
    look: Callable[[Rows, int, int, int], float] = _best_there,
    at_end: str = "stop",
    reaches: Callable[[Tensor, Tensor], Tensor] = lambda s, then: then,
    scale: Callable[[float, float], tuple[float, float]] = lambda alpha, gamma: (alpha, gamma),
) -> Callable:
    """``at_end``: "stop" to look ahead, "ignore" it, "skip" its step, "leave" or
    "after" it, "set" its reward, "lose" it.
    """

    def q_learning(Q, s, a, reward, then, terminated, alpha, gamma):
        table, (alpha, gamma) = Q.tolist(), scale(alpha, gamma)
        columns = (v.tolist() for v in (s, a, reward, reaches(s, then), terminated))
        for s_i, a_i, r, to, over in zip(*columns, strict=True):
            if over and at_end == "leave":
                break
            if over and at_end == "skip":
                continue
            future = 0.0 if over and at_end != "ignore" else look(table, s_i, a_i, to)
            rate = 1.0 if over and at_end == "set" else alpha
            paid = 0.0 if over and at_end == "lose" else r
            update(table[s_i], a_i, paid, gamma * future, rate)
            if over and at_end == "after":
                break
        return torch.tensor(table)

    return q_learning


def _at_once(gather: bool) -> Callable:
    """All errors from the old table; of two steps from one pair both count, or the last."""

    def q_learning(Q, s, a, reward, then, terminated, alpha, gamma):
        target = reward + gamma * Q[then].amax(1) * ~terminated
        change = alpha * (target - Q[s, a])
        return Q.index_put((s, a), change if gather else Q[s, a] + change, accumulate=gather)

    return q_learning


def _whole_row(row: list[float], a: int, r: float, ahead: float, alpha: float) -> None:
    error = r + ahead - row[a]
    row[:] = [q + alpha * error for q in row]


def _without_old(row: list[float], a: int, r: float, ahead: float, alpha: float) -> None:
    row[a] += alpha * (r + ahead)


def _without_brackets(row: list[float], a: int, r: float, ahead: float, alpha: float) -> None:
    row[a] = (1 - alpha) * row[a] + alpha * r + ahead


def _away(row: list[float], a: int, r: float, ahead: float, alpha: float) -> None:
    row[a] -= alpha * (r + ahead - row[a])


def _replace(row: list[float], a: int, r: float, ahead: float, alpha: float) -> None:
    row[a] = r + ahead


def _in_place(Q: Tensor, *rest: Any) -> Tensor:
    return Q.copy_(_learned()(Q, *rest))


def _looks_ahead_in_old(Q: Tensor, *steps: Any) -> Tensor:
    old = Q.tolist()
    return _learned(look=lambda Q, s, a, then: max(old[then]))(Q, *steps)


Q_LEARNING = Exercise(
    number="17.6",
    title="A table that learns",
    name="q_learning",
    difficulty=4,
    minutes=30,
    reference=lambda Q, s, a, reward, then, terminated, alpha, gamma: _learned()(
        Q, s, a, reward, then, terminated, alpha, gamma
    ),
    tests=[
        Test("learns from one step", _one_step, 2),
        Test("learns from each step in turn", _in_turn, 2),
        Test("learns from ends, and from what was cut off", _several_episodes, 3),
    ],
    mistakes=[
        Mistake(
            "bootstraps through the end",
            _learned(at_end="ignore"),
            "you bootstrapped through a terminal state: after `terminated` the target is the "
            "reward alone, whatever the table says of the state that was reached",
        ),
        Mistake(
            "looks at the next row's state",
            _learned(reaches=lambda s, then: torch.cat([s[1:], then[-1:]])),
            "you took the next row's state for the one that was reached; after a cut the next row "
            "begins a new episode: look at `then`",
        ),
        Mistake(
            "skips the last step",
            _learned(at_end="skip"),
            "you skipped the steps that end an episode; their reward is often the only one there "
            "is: learn from it, with nothing after",
        ),
        Mistake(
            "stops at the first end",
            _learned(at_end="leave"),
            "you stopped at the first end, before you had learned from it; the rows hold several "
            "episodes, and their last steps count",
        ),
        Mistake(
            "stops after the first end",
            _learned(at_end="after"),
            "you stopped after the first end; the rows hold several episodes, and the next one "
            "begins in the row behind it",
        ),
        Mistake(
            "loses the reward at the end",
            _learned(at_end="lose"),
            "you set the whole target to 0 at the end; the last reward is paid, only what would "
            "come after it is 0",
        ),
        Mistake(
            "skips the last row",
            lambda Q, *steps: _learned()(Q, *(x[:-1] for x in steps[:5]), *steps[5:]),
            "you left out the last row, as a loop to len(s) - 1 does; `then` says where each step "
            "led, so no row after it is needed",
        ),
        Mistake(
            "writes the last reward down",
            _learned(at_end="set"),
            "you wrote the reward of a last step into the table; such a step, too, moves the old "
            "value by α of the way only",
        ),
        Mistake(
            "loses one of two changes",
            _at_once(gather=False),
            "you computed all changes at once, so where a pair comes twice, one change is lost; go "
            "row by row, each on the table that the one before it left",
        ),
        Mistake(
            "learns all from the old table",
            _at_once(gather=True),
            "you computed all changes from the old table; each row is to see what the rows before "
            "it have changed: go row by row",
        ),
        Mistake(
            "looks ahead in the old table",
            _looks_ahead_in_old,
            "you looked up the future in the table that you were given; each step works on the "
            "table that the step before it left",
        ),
        Mistake(
            "forgets the learning rate",
            _learned(_replace),
            "you wrote the target into the table; move the old value by α of the way only, "
            "since one step tells little",
        ),
        Mistake(
            "swaps the shares",
            _learned(scale=lambda alpha, gamma: (1 - alpha, gamma)),
            "you gave α to the old value and the rest to the target; it is the other way round: "
            "(1 - α) Q + α target",
        ),
        Mistake(
            "gives the future no rate",
            _learned(_without_brackets),
            "you multiplied only the reward by α: γ max Q belongs to the target, too, so put "
            "brackets round both",
        ),
        Mistake(
            "adds the target whole",
            _learned(_without_old),
            "you added α times the target and did not subtract the old value, so Q grows for "
            "ever; what is added is α times the difference",
        ),
        Mistake(
            "moves away",
            _learned(_away),
            "you moved away from the target; the error is target minus old value, and it is added",
        ),
        Mistake(
            "forgets the discount",
            _learned(scale=lambda alpha, gamma: (alpha, 1.0)),
            "you forgot γ: what the next state is worth comes one step later",
        ),
        Mistake(
            "looks at its own state",
            _learned(look=lambda Q, s, a, then: max(Q[s])),
            "you took the best action of the state that the step left; the future lies in the "
            "state that it reached: Q[then]",
        ),
        Mistake(
            "takes the same action again",
            _learned(look=lambda Q, s, a, then: Q[then][a]),
            "you looked up the same action in the next state; Q-learning takes the best one there: "
            "Q[then].max()",
        ),
        Mistake(
            "takes the place of the best",
            _learned(look=lambda Q, s, a, then: Q[then].index(max(Q[then]))),
            "you added the number of the best action in the place of its value; take max, not "
            "argmax",
        ),
        Mistake(
            "takes the best of the table",
            _learned(look=lambda Q, s, a, then: max(map(max, Q))),
            "you took the largest value of the whole table; only the actions of the state that was "
            "reached can be taken there",
        ),
        Mistake(
            "averages over the actions",
            _learned(look=lambda Q, s, a, then: sum(Q[then]) / len(Q[then])),
            "you averaged over the actions of the next state, as for an agent that draws them "
            "evenly; Q-learning assumes the best one",
        ),
        Mistake(
            "learns nothing of the future",
            _learned(look=lambda Q, s, a, then: 0.0),
            "you learned from the reward alone; add γ times what the best action in the next "
            "state is worth, where the task goes on",
        ),
        Mistake(
            "changes the whole row",
            _learned(_whole_row),
            "you changed all actions of the state; only the one that was taken was tried: Q[s, a]",
        ),
        Mistake(
            "changes the table that it was given",
            _in_place,
            "your numbers are right, but you wrote into the table that was handed to you; begin "
            "with Q = Q.clone()",
        ),
    ],
)


# 17.7 dqn_loss

STEP = (
    "import torch; W, V = {}.requires_grad_(), {}.requires_grad_(); "
    "online = lambda x: x @ W; frozen = lambda x: x @ V; "
    "loss = dqn_loss(online, {}, {}, torch.tensor({}), {}, torch.tensor({}), {}, {}, {})"
)
B, A = 3, 3  # in every case, so that no shape tells one axis from the other


def _text(values: Tensor) -> str:
    """How a program writes a matrix or a row of numbers of two decimals."""
    flat = [f"{v:.2f}" for v in values.flatten().tolist()]
    if values.ndim == 1:
        return f"torch.tensor([{', '.join(flat)}])"
    width = values.shape[1]
    rows = [", ".join(flat[i : i + width]) for i in range(0, len(flat), width)]
    return f"torch.tensor([[{'], ['.join(rows)}]])"


def _chosen_apart(g: Generator) -> tuple[Tensor, ...]:
    """Weights, observations and actions that tell the mistakes apart.

    In s' the networks choose unlike actions, each with a margin, and neither has just been taken.
    Drawn fifty at a time, since few will do.
    """
    while True:
        (W, V), (obs, reached) = (uniform(g, -1.5, 1.5, 2, 50, *size) for size in ((2, A), (B, 2)))
        Q = torch.stack([reached @ W, reached @ V, obs @ W])  # (3, 50, B, A)
        best, next_best = Q.topk(2).values.unbind(-1)
        mine, theirs, now = Q.argmax(-1)  # (50, B)
        action = 3 - mine - theirs
        fit = (
            (mine != theirs).all(1)
            & (now != action).any(1)
            & (now != mine).any(1)
            & (now != theirs).any(1)
            & (action != action[:, :1]).any(1)
            & (Q.argmax(-2)[:2] != Q.argmax(-1)[:2]).any(-1).all(0)  # nor is dim 0 dim 1
            & (best - next_best > 0.1).all(2).all(0)
        )
        if fit.any():
            i = int(fit.nonzero()[0])
            return W[i], V[i], obs[i], action[i], reached[i]


def _lesson(
    results: str, double: bool, over: tuple[bool, ...], frozen: str = "frozen", lines: str = ""
) -> Callable[[Generator], list[tuple]]:
    """A program: the loss on a batch, which ends where it is over."""

    def cases(g: Generator) -> list[tuple]:
        W, V, obs, action, reached = _chosen_apart(g)
        steps = _text(obs), action.tolist(), _text(_rewards(g, B)), list(over), _text(reached)
        code = STEP.format(_text(W), _text(V), frozen, *steps, _share(g, 0.5, 0.9), double)
        return [("dqn_loss", code + lines, results)]

    return cases


GO_ON = (False, False, False)


def _double_future(online, frozen, double, obs, action, reached) -> Tensor:
    Q = frozen(reached)
    choice = (online(reached) if double else Q).argmax(1, keepdim=True)
    return Q.gather(1, choice).squeeze(1)


def _value_taken(online, obs, action) -> Tensor:
    return online(obs).gather(1, action[:, None]).squeeze(1)


def _constant(target: Tensor) -> Tensor:
    return target.detach()


def _lost(
    future: Callable[..., Tensor] = _double_future,
    taken: Callable[..., Tensor] = _value_taken,
    add: Callable[..., Tensor] = _kept,
    cut: Callable[[Tensor], Tensor] = _constant,
    cost: Callable[[Tensor, Tensor], Any] = F.mse_loss,
) -> Callable:
    def dqn_loss(online, frozen, obs, action, reward, terminated, reached, gamma, double):
        ahead = future(online, frozen, double, obs, action, reached)
        target = add(reward, ahead, ~terminated, gamma)
        return cost(taken(online, obs, action), cut(target))

    return dqn_loss


def _with(flag: Callable[[bool], bool]) -> Callable:
    """Takes another flag for double."""
    return lambda online, frozen, double, *batch: _double_future(
        online, frozen, flag(double), *batch
    )


def _among(choose: str, value: str) -> Callable:
    """With double, one network chooses and another values; else the frozen one does both."""

    def future(online, frozen, double, obs, action, reached) -> Tensor:
        nets = {"online": online, "frozen": frozen}
        if not double:
            choose_by = value_by = frozen
        else:
            choose_by, value_by = nets[choose], nets[value]
        choice = choose_by(reached).argmax(1, keepdim=True)
        return value_by(reached).gather(1, choice).squeeze(1)

    return future


def _largest_over_batch(online, frozen, double, obs, action, reached) -> Tensor:
    Q = frozen(reached)  # (B, A), and B = A where it is used
    choice = (online(reached) if double else Q).argmax(0)
    return Q.gather(1, choice[: len(Q), None]).squeeze(1)


def _chooses_in_obs(online, frozen, double, obs, action, reached) -> Tensor:
    Q = frozen(reached)
    choice = (online(obs) if double else Q).argmax(1, keepdim=True)
    return Q.gather(1, choice).squeeze(1)


def _each_with_each(value: Tensor, target: Tensor) -> Tensor:
    """As mse_loss has it, without its warning."""
    return ((value - target) ** 2).mean()


def _future_with_axis(*batch: Any) -> Tensor:
    return _double_future(*batch)[:, None]


def _future_in_columns(online, frozen, double, obs, action, reached) -> Tensor:
    Q = frozen(reached)
    return Q[:, (online(reached) if double else Q).argmax(1)]


DQN_LOSS = Exercise(
    number="17.7",
    title="One chooses, the other values",
    name="dqn_loss",
    difficulty=5,
    minutes=40,
    reference=lambda *batch: _lost()(*batch),
    tests=[
        Test("takes the frozen network's maximum", _lesson("loss", False, GO_ON), 1, probe=program),
        Test("lets one choose and the other value", _lesson("loss", True, GO_ON), 2, probe=program),
        Test(
            "adds nothing after the end",
            _lesson("loss", True, (True, False, False)),
            2,
            probe=program,
        ),
        Test(
            "holds the target still, even with one network",
            _lesson("W.grad", False, (False, True, False), "online", "; loss.backward()"),
            3,
            probe=program,
        ),
    ],
    mistakes=[
        Mistake(
            "takes the maximum of the frozen network in both cases",
            _lost(_with(lambda double: False)),
            "you let the frozen network choose the action, too, so double changes nothing: with "
            "double=True the argmax is the online network's, and only the value is frozen's",
        ),
        Mistake(
            "swaps the two networks",
            _lost(_among("frozen", "online")),
            "you swapped the networks: with double=True the online network chooses the action, "
            "and the frozen one says what it is worth",
        ),
        Mistake(
            "takes the maximum of the network that learns",
            _lost(_among("online", "online")),
            "you took the maximum over the wrong network: with double=True the online one "
            "chooses, but its own value of its own choice is too high; ask the frozen one",
        ),
        Mistake(
            "forgets the frozen network",
            _lost(lambda online, frozen, double, obs, action, reached: online(reached).amax(1)),
            "you never asked the frozen network; in both cases the value in the target is its, so "
            "that the target does not move with each step",
        ),
        Mistake(
            "doubles in both cases",
            _lost(_with(lambda double: True)),
            "you let the online network choose in both cases; with double=False the target is "
            "the frozen network's own maximum",
        ),
        Mistake(
            "turns the flag round",
            _lost(_with(lambda double: not double)),
            "you turned `double` round: True lets the online network choose, False takes the "
            "frozen network's own maximum",
        ),
        Mistake(
            "bootstraps through the end",
            _lost(add=lambda reward, future, on, gamma: reward + gamma * future),
            "you bootstrapped through a terminal state: where `terminated` is True the target is "
            "the reward alone",
        ),
        Mistake(
            "loses the reward at the end",
            _lost(add=lambda reward, future, on, gamma: (reward + gamma * future) * on),
            "you set the whole target to 0 at the end; the last reward is paid, only what would "
            "come after it is 0",
        ),
        Mistake(
            "keeps what ends",
            _lost(add=lambda reward, future, on, gamma: reward + gamma * future * ~on),
            "you multiplied by `terminated` itself, so only steps that end look ahead; multiply by "
            "its opposite, ~terminated",
        ),
        Mistake(
            "forgets the discount",
            _lost(add=lambda reward, future, on, gamma: reward + future * on),
            "you forgot γ before the value of the next state",
        ),
        Mistake(
            "looks ahead from where it stands",
            _lost(
                lambda online, frozen, double, obs, action, reached: _double_future(
                    online, frozen, double, obs, action, obs
                )
            ),
            "you looked ahead from `obs`, where the step began; the future lies in `reached`",
        ),
        Mistake(
            "chooses where it stands",
            _lost(_chooses_in_obs),
            "you let the online network choose in `obs`, where the step began; a* is the best "
            "action of s': online(reached)",
        ),
        Mistake(
            "takes the same action again",
            _lost(
                lambda online, frozen, double, obs, action, reached: _value_taken(
                    frozen, reached, action
                )
            ),
            "you valued the next state by the action that was taken before; there the best "
            "action counts, an argmax over the actions",
        ),
        Mistake(
            "chooses over the batch",
            _lost(_largest_over_batch),
            "you took the argmax along dim 0, over the batch; the actions lie along dim 1",
        ),
        Mistake(
            "moves the best action",
            _lost(taken=lambda online, obs, action: online(obs).amax(1)),
            "you compared the target with the best value in `obs`; only the action that was taken "
            "has been tried: gather `action`",
        ),
        Mistake(
            "moves every action",
            _lost(
                taken=lambda online, obs, action: online(obs),
                cost=lambda Q, target: ((Q - target[:, None]) ** 2).mean(),
            ),
            "you moved the values of all actions to the target; only the action that was taken has "
            "been tried: gather `action`",
        ),
        Mistake(
            "picks columns for the whole batch",
            _lost(
                taken=lambda online, obs, action: online(obs)[:, action],
                cost=lambda Q, target: ((Q - target) ** 2).mean(),
            ),
            "you wrote Q[:, action], which picks columns for the whole batch, shape (B, B); use "
            "gather, or Q[torch.arange(B), action]",
        ),
        Mistake(
            "compares each with each",
            _lost(cost=lambda value, target: ((value[:, None] - target) ** 2).mean()),
            "you compared every value with every target: shapes (B, 1) and (B,) make (B, B); "
            "squeeze what gather gives",
        ),
        Mistake(
            "keeps the axis of the choice",
            _lost(_future_with_axis, cost=_each_with_each),
            "you compared every value with every target: gather leaves an axis of length 1 in the "
            "future, so the target is (B, B); squeeze it",
        ),
        Mistake(
            "values all choices in every row",
            _lost(_future_in_columns, cost=_each_with_each),
            "you wrote Q[:, choice], which picks columns for the whole batch, so the target is (B, "
            "B); use gather, or Q[torch.arange(B), choice]",
        ),
        Mistake(
            "learns through the target",
            _lost(cut=lambda target: target),
            "your loss is right, but slopes flow back through the target, which is to stand "
            "still; compute it under torch.no_grad(), or detach it",
        ),
        Mistake(
            "learns nothing",
            _lost(cost=lambda value, target: F.mse_loss(value.detach(), target)),
            "your loss is right, but nothing can be learned from it: you cut the way to Q(s, a), "
            "too; only the target belongs under torch.no_grad()",
        ),
        Mistake(
            "returns a plain number",
            _lost(cost=lambda value, target: F.mse_loss(value, target).item()),
            "your loss is right, but as a plain number it has no way back to the weights; return "
            "the tensor",
        ),
        Mistake(
            "sums",
            _lost(cost=lambda value, target: F.mse_loss(value, target, reduction="sum")),
            "you summed over the batch; take the mean, so that the step does not depend on B",
        ),
        Mistake(
            "takes the half",
            _lost(cost=lambda value, target: F.mse_loss(value, target) / 2),
            "you took half of the mean square; here it is the mean of the squares itself",
        ),
        Mistake(
            "takes Huber's loss",
            _lost(cost=F.smooth_l1_loss),
            "you took Huber's loss, as many programs do; here it is the mean of the squares",
        ),
        Mistake(
            "gives the errors",
            _lost(cost=lambda value, target: target - value),
            "you returned the error of every step; the loss is one number, the mean of their "
            "squares",
        ),
    ],
)

EXERCISES = (
    EPSILON_GREEDY_POLICY,
    DISCOUNTED_RETURNS,
    VALUE_SWEEP,
    FIRST_VISIT,
    TD_TARGETS,
    Q_LEARNING,
    DQN_LOSS,
)

check = checker(EXERCISES)
