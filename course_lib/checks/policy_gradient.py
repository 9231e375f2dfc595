"""The exercises of chapter 18_policy_gradient: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/18_policy_gradient.md. Letters: T steps, N
episodes or environments side by side, A actions (in signatures: an advantage), B rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .draws import uniform
from .exercise import Exercise, Mistake, Test, checker
from .probes import gradient, program


def _share(g: Generator, low: float, high: float) -> float:
    """A discount, a decay, a width: one number of two decimals."""
    return round(float(uniform(g, low, high)), 2)


def _either_sign(g: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers of two decimals as large as that, some of them negative."""
    return uniform(g, low, high, *shape) * torch.randint(0, 2, shape, generator=g).mul(2).sub(1)


def _mixed(g: Generator, values: list[float]) -> Tensor:
    """These values in another order."""
    return torch.tensor(values)[torch.randperm(len(values), generator=g)]


def _scores(g: Generator, *shape: int) -> Tensor:
    """Logits of which no two in a row are near each other."""
    steps = torch.rand(shape, generator=g).argsort(-1) * 0.7
    return (steps + uniform(g, -0.9, -0.4, *shape)).round(decimals=2)


def _unlikely(g: Generator, logits: Tensor) -> Tensor:
    """Actions none of which is the likeliest of its row."""
    shift = torch.randint(1, logits.shape[-1], logits.shape[:-1], generator=g)
    return (logits.argmax(-1) + shift) % logits.shape[-1]


def _of(log_p: Tensor, action: Tensor) -> Tensor:
    """The entries of the actions taken: (..., A) -> (...)."""
    return log_p.gather(-1, action[..., None])[..., 0]


def _z(A: Tensor) -> Tensor:
    """Mean 0, standard deviation 1."""
    return (A - A.mean()) / (A.std() + 1e-8)


# 18.1 log_prob


def _some_rows(g: Generator) -> list[tuple]:
    """The second has as many rows as actions, so that no shape tells the two apart."""
    cases = []
    for B in (2, 3):
        logits = _scores(g, B, 3)
        action = _unlikely(g, logits)
        while action.tolist() == list(range(B)):
            logits = _scores(g, B, 3)
            action = _unlikely(g, logits)
        cases.append((logits, action))
    return cases


def _far_logits(g: Generator) -> list[tuple]:
    """So far apart that in float32 a probability is 0, and so high that exp overflows.

    The last row is low as a whole: the largest logit of another row is of no use there.
    """
    high, low = uniform(g, 100, 180, 3), uniform(g, -180, -100, 3)
    high[2] = low[2] + uniform(g, 1, 3)
    first = torch.randint(0, 2, (3,), generator=g)
    logits = torch.where(first[:, None] == torch.arange(2), high[:, None], low[:, None])
    return [(logits, torch.stack([1 - first[0], first[1], 1 - first[2]]))]


def _taken(
    log_p: Callable[[Tensor], Tensor] = lambda logits: logits.log_softmax(-1),
    pick: Callable[[Tensor, Tensor], Tensor] = _of,
    finish: Callable[[Tensor], Any] = lambda picked: picked,
) -> Callable:
    return lambda logits, action: finish(pick(log_p(logits), action))


def _less_the_largest_of_all(logits: Tensor) -> Tensor:
    z = logits - logits.max()
    return z - z.exp().sum(-1, keepdim=True).log()


def _less_the_largest_once(logits: Tensor) -> Tensor:
    z = logits - logits.amax(-1, keepdim=True)
    return logits - z.exp().sum(-1, keepdim=True).log()


LOG_PROB = Exercise(
    number="18.1",
    title="How likely was that?",
    name="log_prob",
    difficulty=1,
    minutes=10,
    reference=lambda logits, action: -F.cross_entropy(logits, action, reduction="none"),
    tests=[
        Test("gives the logarithm of each action's probability", _some_rows, 2),
        Test("stays right where an action is all but impossible", _far_logits, 1),
        Test("sends a slope to every logit", _some_rows, 1, probe=gradient, property=True),
    ],
    mistakes=[
        Mistake(
            "gives the probability",
            _taken(lambda logits: logits.softmax(-1)),
            "you returned probabilities; their logarithm is asked for, which is never above 0",
        ),
        Mistake(
            "gives the logit",
            _taken(lambda logits: logits),
            "you picked the logit itself; logits are free up to a constant, so take log_softmax "
            "over the actions first",
        ),
        Mistake(
            "takes the logarithm of a rounded probability",
            _taken(lambda logits: logits.softmax(-1).log()),
            "you took the logarithm after the softmax, which is rounded to 0 for an unlikely "
            "action: that gives minus infinity; log_softmax does both at once",
        ),
        Mistake(
            "overflows",
            _taken(lambda logits: logits - logits.exp().sum(-1, keepdim=True).log()),
            "you took exp of logits as they come, and it overflows above 88; log_softmax, or "
            "torch.logsumexp, takes off the largest first",
        ),
        Mistake(
            "divides what overflows",
            _taken(lambda logits: (logits.exp() / logits.exp().sum(-1, keepdim=True)).log()),
            "you wrote the softmax with exp of logits as they come, which overflows above 88 and "
            "gives nan; log_softmax does softmax and logarithm safely",
        ),
        Mistake(
            "takes off the largest of all",
            _taken(_less_the_largest_of_all),
            "you took off the largest logit of the whole tensor, so exp is 0 in a row far below "
            "it; take off each row's own: amax(-1, keepdim=True)",
        ),
        Mistake(
            "does not put back the largest",
            _taken(_less_the_largest_once),
            "you took off the largest logit within the exponential alone; take it off z_a as well, "
            "or add it to the logarithm again",
        ),
        Mistake(
            "adds a little to the probability",
            _taken(lambda logits: (logits.softmax(-1) + 1e-8).log()),
            "you added a small number inside the logarithm, so no action is ever less likely than "
            "that; start from the logits, with log_softmax",
        ),
        Mistake(
            "normalises twice",
            _taken(lambda logits: logits.softmax(-1).log_softmax(-1)),
            "you applied softmax and then log_softmax, which applies it again; hand log_softmax "
            "(or Categorical(logits=...)) the logits themselves",
        ),
        Mistake(
            "takes logits for probabilities",
            lambda logits, action: torch.distributions.Categorical(logits).log_prob(action),
            "you handed Categorical the logits as its first argument, which is for probabilities; "
            "name it: Categorical(logits=logits)",
        ),
        Mistake(
            "normalises down the rows",
            _taken(lambda logits: logits.log_softmax(0)),
            "you normalised over the rows, which are different states; the probabilities of the "
            "*actions* of one state sum to 1: dim -1",
        ),
        Mistake(
            "normalises over everything",
            _taken(lambda logits: logits - logits.logsumexp((0, 1))),
            "you normalised over the whole tensor; each row is a policy of its own, so sum over "
            "the actions, dim -1, alone",
        ),
        Mistake(
            "takes the likeliest action",
            _taken(pick=lambda log_p, action: log_p.amax(-1)),
            "you took the likeliest action of each row; what counts is the action that was taken, "
            "whichever it was",
        ),
        Mistake(
            "gives all actions",
            _taken(pick=lambda log_p, action: log_p),
            "you returned a number for every action; pick the one that was taken, with gather "
            "along the last axis or a pair of indices",
        ),
        Mistake(
            "picks columns",
            _taken(pick=lambda log_p, action: log_p[:, action]),
            "you indexed the columns alone, so every row is paired with every action; go along "
            "the rows as well: log_p[torch.arange(B), action]",
        ),
        Mistake(
            "picks rows",
            _taken(pick=lambda log_p, action: log_p[action]),
            "you used the actions to choose rows; they choose a column in each row: "
            "log_p[torch.arange(B), action]",
        ),
        Mistake(
            "keeps the axis",
            _taken(pick=lambda log_p, action: log_p.gather(-1, action[:, None])),
            "you left gather's axis of length 1; squeeze it, or (B, 1) times (B,) will make a "
            "table of B x B later",
        ),
        Mistake(
            "turns the sign",
            _taken(finish=torch.neg),
            "you turned the sign, as cross_entropy does; the logarithm of a probability is "
            "negative",
        ),
        Mistake(
            "gives the mean cross-entropy",
            _taken(finish=lambda picked: -picked.mean()),
            "you returned the mean cross-entropy; give every row its own number, and without the "
            "minus: -F.cross_entropy(..., reduction='none')",
        ),
        Mistake(
            "averages",
            _taken(finish=torch.mean),
            "you averaged over the rows; each action will be weighed by an advantage of its own, "
            "so return all B numbers",
        ),
        Mistake(
            "sums",
            _taken(finish=torch.sum),
            "you summed over the rows; each action will be weighed by an advantage of its own, so "
            "return all B numbers",
        ),
        Mistake(
            "cuts the way back",
            _taken(finish=lambda picked: picked.detach()),
            "your values are right, but detached (detach, no_grad or numpy), so no policy can "
            "learn from them; keep the graph",
        ),
    ],
)


# 18.2 returns_to_go


def _one_episode(g: Generator) -> list[tuple]:
    """Nobody ends: what comes after the last step is not known and counts as nothing."""
    return [
        (uniform(g, 0.5, 2, T, N), torch.zeros(T, N, dtype=torch.bool), _share(g, 0.5, 0.9))
        for T, N in ((3, 2), (3, 3))
    ]


def _ends_within(g: Generator) -> Tensor:
    """Four steps of two environments: one episode ends with the second, one with the third."""
    return torch.arange(4)[:, None] == torch.randperm(2, generator=g) + 1


def _several_episodes(g: Generator) -> list[tuple]:
    return [(uniform(g, 0.5, 2, 4, 2), _ends_within(g), _share(g, 0.5, 0.9)) for _ in range(2)]


def _undiscounted(g: Generator) -> list[tuple]:
    """The last step of one environment is an end, too."""
    ended = _ends_within(g)
    ended[-1, 0] = True
    return [(uniform(g, 0.5, 2, 4, 2), ended, 1.0)]


def _backwards(step: Callable[..., float], *series: Tensor) -> Tensor:
    """``step(total, ...)`` from the last row to the first, where total is that of the row below.

    In plain numbers, ten times as fast as in tensors so small.
    """
    columns = []
    for column in zip(*(x.T.tolist() for x in series), strict=True):
        total, rows = 0.0, []
        for values in zip(*map(reversed, column), strict=True):
            total = step(total, *values)
            rows.append(total)
        columns.append(rows[::-1])
    return torch.tensor(columns).T.contiguous()


def _still_to_come(
    step: Callable[..., float] = lambda total, r, on, gamma: r + gamma * total * on,
    goes_on: Callable[[Tensor], Tensor] = torch.logical_not,
    finish: Callable[..., Any] = lambda G, reward, ended, gamma: G,
) -> Callable:
    """From the last step back, with parts that can be spoilt."""

    def returns_to_go(reward: Tensor, ended: Tensor, gamma: float) -> Any:
        G = _backwards(lambda *values: step(*values, gamma), reward, goes_on(ended))
        return finish(G, reward, ended, gamma)

    return returns_to_go


def _later(x: Tensor) -> Tensor:
    """The next row in the place of each; after the last, 0."""
    return torch.cat([x[1:], torch.zeros_like(x[:1])])


def _earlier(x: Tensor) -> Tensor:
    """The row before in the place of each; before the first, 0."""
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


def _without_last(x: Tensor) -> Tensor:
    """With a last row of 0."""
    return torch.cat([x[:-1], torch.zeros_like(x[:1])])


def _age(ended: Tensor) -> Tensor:
    """How many steps ago each step's episode began."""
    age = torch.zeros(ended.shape)
    for t in range(1, len(ended)):
        age[t] = (age[t - 1] + 1) * ~ended[t - 1]
    return age


def _of_first_step(G: Tensor, reward: Tensor, ended: Tensor, gamma: float) -> Tensor:
    """What the first step of its episode has, for every step."""
    start = torch.arange(len(G))[:, None] - _age(ended).long()
    return G.gather(0, start)


def _so_far(reward: Tensor, ended: Tensor, gamma: float) -> Tensor:
    back = _still_to_come(goes_on=lambda ended: ~_later(ended))
    return back(reward.flip(0), ended.flip(0), gamma).flip(0)


RETURNS_TO_GO = Exercise(
    number="18.2",
    title="What came after",
    name="returns_to_go",
    difficulty=2,
    minutes=20,
    reference=_still_to_come(),
    tests=[
        Test("adds up what is still to come", _one_episode, 2),
        Test("stops at the end of an episode", _several_episodes, 2),
        Test("needs no discount", _undiscounted, 1),
    ],
    mistakes=[
        Mistake(
            "gives every step the whole return",
            _still_to_come(finish=_of_first_step),
            "you gave every step of an episode its whole return; an action cannot change the "
            "rewards before it, so start each sum at the step itself",
        ),
        Mistake(
            "gives every step the sum of everything",
            _still_to_come(
                goes_on=torch.ones_like,
                finish=lambda G, reward, ended, gamma: G[:1].expand_as(G),
            ),
            "you gave every step the sum over all rows; a step's own sum starts at the step itself "
            "and stops at its episode's end",
        ),
        Mistake(
            "counts the discount from the start",
            _still_to_come(finish=lambda G, reward, ended, gamma: G * gamma ** _age(ended)),
            "you counted the discount from the episode's first step; count it from step t: the "
            "reward at t in full, the next times gamma",
        ),
        Mistake(
            "starts one step late",
            _still_to_come(finish=lambda G, reward, ended, gamma: _later(G) * ~ended),
            "you are off by one: your G_t starts with the next reward; the reward that the action "
            "at t earned is the first in the sum, r_t + gamma G_(t+1)",
        ),
        Mistake(
            "leaves out the own reward",
            _still_to_come(finish=lambda G, reward, ended, gamma: G - reward),
            "you left out the reward of the step itself; G_t = r_t + gamma G_(t+1), and r_t came "
            "from this very action",
        ),
        Mistake(
            "discounts the own reward",
            _still_to_come(lambda total, r, on, gamma: gamma * (r + total * on)),
            "you discounted the step's own reward; gamma belongs to what comes later: "
            "r_t + gamma G_(t+1)",
        ),
        Mistake(
            "discounts the wrong part",
            _still_to_come(lambda total, r, on, gamma: gamma * r + total * on),
            "you put gamma on the reward of the step, and the later rewards stay in full; it "
            "belongs to the other part: r_t + gamma G_(t+1)",
        ),
        Mistake(
            "runs on over the end",
            _still_to_come(goes_on=torch.ones_like),
            "you ran on over the end of an episode, so a step is paid for the luck of the next "
            "one; where ended[t] is True, nothing follows",
        ),
        Mistake(
            "loses the last reward",
            _still_to_come(lambda total, r, on, gamma: (r + gamma * total) * on),
            "you cut off the reward of the last step as well; that step still earned it: only what "
            "would follow is dropped",
        ),
        Mistake(
            "looks at the next step's end",
            _still_to_come(goes_on=lambda ended: ~_later(ended)),
            "you are off by one with the ends: you looked at ended[t+1], or emptied the sum after "
            "reward[t] was added; where ended[t] is True, empty it first, then add reward[t]",
        ),
        Mistake(
            "looks at the end before",
            _still_to_come(goes_on=lambda ended: ~_earlier(ended)),
            "you are off by one with the ends: you cut behind the *first* step of an episode; "
            "ended[t] says that step t is the last one",
        ),
        Mistake(
            "turns the ends round",
            _still_to_come(goes_on=lambda ended: ended),
            "you turned the flags round, so the sum goes on only where an episode ends; multiply "
            "by ~ended[t]",
        ),
        Mistake(
            "ends all when one ends",
            _still_to_come(goes_on=lambda ended: (~ended).all(1, keepdim=True).expand_as(ended)),
            "you ended all environments when one of them ended; each column has its own episodes, "
            "so multiply by ~ended[t] entry by entry",
        ),
        Mistake(
            "forgets the discount",
            _still_to_come(lambda total, r, on, gamma: r + total * on),
            "you forgot the discount: each step later costs one more factor gamma",
        ),
        Mistake(
            "knows neither discount nor ends",
            _still_to_come(lambda total, r, on, gamma: r + total),
            "you added up all later rewards, without the discount and across the ends of episodes; "
            "each step later costs one more factor gamma, and after an end nothing counts",
        ),
        Mistake(
            "looks one step ahead",
            lambda reward, ended, gamma: reward + gamma * _later(reward) * ~ended,
            "you looked one step ahead only; go backwards, so that G_(t+1) is ready when G_t needs "
            "it, and add gamma G_(t+1), not gamma r_(t+1)",
        ),
        Mistake(
            "adds up what came before",
            _so_far,
            "you added up the rewards so far; to go means from step t to the episode's end, so run "
            "through time backwards",
        ),
        Mistake(
            "forgets to turn the list round",
            _still_to_come(finish=lambda G, reward, ended, gamma: G.flip(0)),
            "you went backwards and returned the list backwards, too; turn it round, so that row 0 "
            "belongs to the first step",
        ),
        Mistake(
            "keeps one tensor for all rows",
            _still_to_come(finish=lambda G, reward, ended, gamma: G[:1].expand_as(G)),
            "your rows are all one tensor: `total += ...` and `total *= ...` change it in place, "
            "wherever it was appended; write `total = ...`, which makes a new one",
        ),
        Mistake(
            "leaves the last row empty",
            lambda reward, ended, gamma: _still_to_come()(_without_last(reward), ended, gamma),
            "you left the last row at 0, as a loop from T - 2 does; its return is its own reward, "
            "and the rows before it build on that",
        ),
        Mistake(
            "adds along the environments",
            lambda reward, ended, gamma: _still_to_come()(reward.T, ended.T, gamma).T,
            "you added along the environments, which know nothing of each other; time is axis 0",
        ),
        Mistake(
            "normalises",
            _still_to_come(finish=lambda G, reward, ended, gamma: (G - G.mean()) / G.std()),
            "you normalised the returns, as many programs do next; here they are asked for as they "
            "are",
        ),
        Mistake(
            "gives the first step's alone",
            _still_to_come(finish=lambda G, reward, ended, gamma: G[0]),
            "you returned the sum of the first step alone; every step needs its own, shape (T, N)",
        ),
    ],
)


# 18.3 leave_one_out


def _all_alive(g: Generator) -> list[tuple]:
    """More episodes than steps, then as many."""
    return [
        (uniform(g, 1, 9, T, N), torch.ones(T, N, dtype=torch.bool)) for T, N in ((2, 4), (3, 3))
    ]


def _lengths(g: Generator, values: list[int], T: int) -> Tensor:
    """Which steps belong to episodes of these lengths, in any order."""
    return torch.arange(T)[:, None] < _mixed(g, values)


def _unlike_lengths(g: Generator) -> list[tuple]:
    """Nobody is alone."""
    return [
        (uniform(g, 1, 9, 2, 4), _lengths(g, lengths, 2))
        for lengths in ([1, 1, 2, 2], [1, 2, 2, 2])
    ]


def _alone(g: Generator) -> list[tuple]:
    """In the second step one episode is alone; then it is gone, too."""
    return [(uniform(g, 1, 9, 3, 2), _lengths(g, [1, 2], 3))]


def _compared(
    baseline: Callable[[Tensor, Tensor], Tensor],
    finish: Callable[[Tensor, Tensor, Tensor], Any] = lambda G, b, alive: (G - b) * alive,
) -> Callable:
    return lambda G, alive: finish(G, baseline(G, alive), alive)


def _running(alive: Tensor) -> Tensor:
    """How many run at each step, (T, 1)."""
    return alive.sum(1, keepdim=True)


def _total(G: Tensor, alive: Tensor) -> Tensor:
    return (G * alive).sum(1, keepdim=True)


def _rest(G: Tensor, alive: Tensor) -> Tensor:
    """The sum of the others, (T, N)."""
    return _total(G, alive) - G * alive


def _mean_of_others(G: Tensor, alive: Tensor) -> Tensor:
    return _rest(G, alive) / (_running(alive) - alive.long()).clamp(min=1)


def _mean_of_all(G: Tensor, alive: Tensor) -> Tensor:
    return _total(G, alive) / _running(alive).clamp(min=1)


def _lone_minus_itself(G: Tensor, alive: Tensor) -> Tensor:
    return torch.where(_running(alive) == 1, G, _mean_of_others(G, alive))


LEAVE_ONE_OUT = Exercise(
    number="18.3",
    title="Better than the others?",
    name="leave_one_out",
    difficulty=3,
    minutes=25,
    reference=_compared(_mean_of_others),
    tests=[
        Test("compares with the mean of the others", _all_alive, 2),
        Test("counts those alone that still run", _unlike_lengths, 2),
        Test("has a baseline of 0 for who is alone", _alone, 1),
    ],
    mistakes=[
        Mistake(
            "counts itself in",
            _compared(_mean_of_all),
            "you left each episode in its own baseline, which shrinks every advantage by one part "
            "in N; take the mean of the *others*",
        ),
        Mistake(
            "counts itself in, and divides by nobody",
            _compared(lambda G, alive: _total(G, alive) / _running(alive)),
            "you left each episode in its own baseline; take the mean of the *others*, and clamp "
            "their number at 1, or nobody gives nan",
        ),
        Mistake(
            "takes the mean of the row",
            _compared(lambda G, alive: G.mean(1, keepdim=True)),
            "you took the mean of the whole row, which holds the episode itself and those that are "
            "over; take the mean of the *others* that still run",
        ),
        Mistake(
            "divides by one too many",
            _compared(lambda G, alive: _rest(G, alive) / _running(alive).clamp(min=1)),
            "you summed the others and divided by one too many; of n running episodes there are "
            "n - 1 others",
        ),
        Mistake(
            "leaves itself in the sum",
            _compared(
                lambda G, alive: _total(G, alive) / (_running(alive) - alive.long()).clamp(min=1)
            ),
            "you divided by the number of the others, but the episode's own G is still in the "
            "sum; take it off",
        ),
        Mistake(
            "averages over time",
            _compared(
                lambda G, alive: (G * alive).sum(0) / alive.sum(0),
            ),
            "you averaged each episode over its own steps; compare across episodes, at the same "
            "step: along axis 1",
        ),
        Mistake(
            "averages over everything",
            _compared(lambda G, alive: G[alive].mean()),
            "you took one mean for all steps; late steps have less to come than early ones, so "
            "each row has a mean of its own",
        ),
        Mistake(
            "counts the ended ones",
            _compared(lambda G, alive: (G.sum(1, keepdim=True) - G) / (G.shape[1] - 1)),
            "you counted episodes that are over; what stands in G there is no return: multiply G "
            "by alive before you sum, and count the living ones",
        ),
        Mistake(
            "adds the ended ones",
            _compared(
                lambda G, alive: (
                    (G.sum(1, keepdim=True) - G) / (_running(alive) - alive.long()).clamp(min=1)
                )
            ),
            "you divided by the number of living others, but summed G of ended episodes as well; "
            "multiply G by alive before you sum",
        ),
        Mistake(
            "divides by all others",
            _compared(lambda G, alive: _rest(G, alive) / (G.shape[1] - 1)),
            "you divided by N - 1 although some episodes are over; divide by the number of others "
            "that still run at this step",
        ),
        Mistake(
            "forgets the mask in the end",
            _compared(_mean_of_others, lambda G, b, alive: G - b),
            "your living steps are right, but the ended ones must be 0, or the loss will learn "
            "from steps that no episode took: multiply by alive",
        ),
        Mistake(
            "empties before it subtracts",
            _compared(
                lambda G, alive: _rest(G, alive) / (_running(alive) - 1).clamp(min=1),
                lambda G, b, alive: G * alive - b,
            ),
            "you emptied the ended steps before you subtracted the baseline, so they hold minus "
            "the baseline; multiply the result by alive, too",
        ),
        Mistake(
            "divides by no others",
            _compared(lambda G, alive: _rest(G, alive) / (_running(alive) - alive.long())),
            "you divided by 0 where an episode is alone, and got nan; with no others the baseline "
            "is 0: clamp the count at 1",
        ),
        Mistake(
            "divides the whole row by no others",
            _compared(lambda G, alive: _rest(G, alive) / (_running(alive) - 1)),
            "you divided by n - 1, which is 0 where an episode is alone, and got nan; with no "
            "others the baseline is 0: clamp the count at 1",
        ),
        Mistake(
            "gives the lone one nothing",
            _compared(_lone_minus_itself),
            "you gave the lone episode the advantage 0; with nobody to compare with the baseline "
            "is 0, so its advantage is its G",
        ),
        Mistake(
            "returns the baseline",
            _compared(_mean_of_others, lambda G, b, alive: b * alive),
            "you returned the baseline; the advantage is what is above it, G - b",
        ),
        Mistake(
            "subtracts the wrong way",
            _compared(_mean_of_others, lambda G, b, alive: (b - G) * alive),
            "you subtracted the wrong way round; an episode that did better than the others has "
            "a positive advantage, G - b",
        ),
        Mistake(
            "divides by the baseline",
            _compared(_mean_of_others, lambda G, b, alive: G / b * alive),
            "you divided by the baseline; only a difference leaves the expected gradient as it "
            "is, so subtract it",
        ),
        Mistake(
            "divides by the spread",
            _compared(
                _mean_of_others,
                lambda G, b, alive: (G - b) / G.std(1, keepdim=True) * alive,
            ),
            "you divided by the standard deviation as well; here advantages keep the unit of the "
            "rewards",
        ),
        Mistake(
            "compares with the best",
            _compared(
                lambda G, alive: torch.stack(
                    [
                        (G * alive)[:, torch.arange(G.shape[1]) != i].amax(1)
                        for i in range(G.shape[1])
                    ],
                    1,
                )
            ),
            "you compared with the best of the others, so nearly every advantage is negative; "
            "take their mean",
        ),
    ],
)


# 18.4 reinforce_loss


def _played(g: Generator, T: int, N: int, alive: Tensor) -> tuple:
    """Logits of two actions, what was done, and what it was worth."""
    logits = _scores(g, T, N, 2)
    return logits, _unlikely(g, logits), _either_sign(g, 0.5, 2, T, N), alive


def _whole_episodes(g: Generator) -> list[tuple]:
    return [
        _played(g, T, N, torch.ones(T, N, dtype=torch.bool)) for T, N in ((3, 2), (2, 3), (2, 2))
    ]


def _ended_early(g: Generator) -> list[tuple]:
    return [_played(g, 3, 2, _lengths(g, [int(torch.randint(1, 3, (), generator=g)), 3], 3))]


def _reinforced(
    log_p: Callable[[Tensor, Tensor], Tensor] = lambda logits, action: _of(
        logits.log_softmax(-1), action
    ),
    weigh: Callable[..., Tensor] = lambda log_p, advantage, alive: log_p * advantage * alive,
    total: Callable[[Tensor, Tensor], Tensor] = lambda gain, alive: -gain.sum() / gain.shape[1],
    finish: Callable[[Tensor], Any] = lambda loss: loss,
) -> Callable:
    """The chance of what was done, weighed, and brought to one number."""

    def reinforce_loss(logits: Tensor, action: Tensor, advantage: Tensor, alive: Tensor) -> Any:
        gain = weigh(log_p(logits, action), advantage, alive)
        return finish(total(gain, alive))

    return reinforce_loss


REINFORCE_LOSS = Exercise(
    number="18.4",
    title="A loss with the right slope",
    name="reinforce_loss",
    difficulty=3,
    minutes=20,
    reference=_reinforced(),
    tests=[
        Test("weighs every step by its advantage", _whole_episodes, 2),
        Test("leaves out what no episode did", _ended_early, 1),
        Test("has minus the policy gradient as its slope", _ended_early, 2, probe=gradient),
    ],
    mistakes=[
        Mistake(
            "turns the sign",
            _reinforced(total=lambda gain, alive: gain.sum() / gain.shape[1]),
            "you left out the minus: an optimizer goes down, so this loss makes good actions "
            "rarer; minimise minus the weighted log-probability",
        ),
        Mistake(
            "averages over all steps",
            _reinforced(total=lambda gain, alive: -gain.mean()),
            "you averaged over T·N; an episode is a sum over its steps, so sum over time and "
            "divide by N alone",
        ),
        Mistake(
            "averages over all steps, dead or alive",
            _reinforced(
                weigh=lambda log_p, advantage, alive: log_p * advantage,
                total=lambda gain, alive: -gain.mean(),
            ),
            "you averaged over all T·N entries, and steps after an episode's end are among them; "
            "multiply by alive, sum over time, and divide by N alone",
        ),
        Mistake(
            "averages over the living steps",
            _reinforced(total=lambda gain, alive: -gain.sum() / alive.sum()),
            "you divided by the number of steps taken; sum over the steps of an episode and take "
            "the mean over the N episodes",
        ),
        Mistake(
            "averages each episode",
            _reinforced(total=lambda gain, alive: -(gain.sum(0) / alive.sum(0)).mean()),
            "you averaged each episode over its own steps, so a step of a long episode counts "
            "less; sum over time, then take the mean over the episodes",
        ),
        Mistake(
            "sums over the episodes",
            _reinforced(total=lambda gain, alive: -gain.sum()),
            "you summed over the episodes as well; divide by N, so that the step size need not "
            "change with the number of episodes",
        ),
        Mistake(
            "gives each episode its own loss",
            _reinforced(total=lambda gain, alive: -gain.sum(0)),
            "you returned a number for every episode; the loss is one number, their mean",
        ),
        Mistake(
            "averages over time",
            _reinforced(total=lambda gain, alive: -gain.mean(0).sum()),
            "you averaged over time and summed over the episodes; it is the other way round: sum "
            "along axis 0, mean along axis 1",
        ),
        Mistake(
            "learns from ended episodes",
            _reinforced(weigh=lambda log_p, advantage, alive: log_p * advantage),
            "you learned from steps after an episode's end, which belong to no episode; multiply "
            "by alive",
        ),
        Mistake(
            "takes the probability",
            _reinforced(lambda logits, action: _of(logits.softmax(-1), action)),
            "you weighed probabilities; the gradient of an expectation has the slope of their "
            "*logarithm*: use log_softmax",
        ),
        Mistake(
            "takes the logit",
            _reinforced(_of),
            "you weighed the raw logits; take log_softmax over the actions first",
        ),
        Mistake(
            "normalises along another axis",
            _reinforced(lambda logits, action: _of(logits.log_softmax(1), action)),
            "you normalised over the episodes (dim 1); the probabilities of the actions sum to 1, "
            "along the last axis",
        ),
        Mistake(
            "weighs every action",
            _reinforced(
                lambda logits, action: logits.log_softmax(-1),
                lambda log_p, advantage, alive: log_p.sum(-1) * advantage * alive,
            ),
            "you weighed all actions alike; only the action that was taken earned the advantage: "
            "pick it, with gather along the last axis",
        ),
        Mistake(
            "takes the likeliest action",
            _reinforced(lambda logits, action: logits.log_softmax(-1).amax(-1)),
            "you took the likeliest action; what is to be made likelier or rarer is the action "
            "that was taken",
        ),
        Mistake(
            "forgets the advantage",
            _reinforced(weigh=lambda log_p, advantage, alive: log_p * alive),
            "you forgot the advantage, so whatever was done becomes likelier, good or bad; "
            "multiply each log-probability by it",
        ),
        Mistake(
            "weighs whole episodes",
            _reinforced(
                weigh=lambda log_p, advantage, alive: (
                    (log_p * alive).sum(0, keepdim=True) * (advantage * alive).sum(0, keepdim=True)
                )
            ),
            "you multiplied the sum of an episode's log-probabilities by the sum of its "
            "advantages; each step has an advantage of its own: multiply first, then sum",
        ),
        Mistake(
            "multiplies means",
            _reinforced(
                total=lambda gain, alive: gain,
                weigh=lambda log_p, advantage, alive: (
                    -(log_p * alive).sum() * (advantage * alive).sum() / alive.shape[1]
                ),
            ),
            "you summed both factors before you multiplied; a mean of products is no product of "
            "means: multiply step by step first",
        ),
        Mistake(
            "cuts the way back",
            _reinforced(finish=lambda loss: loss.detach()),
            "your value is right, but the log-probabilities are detached, so the policy cannot "
            "learn; only the advantage is a constant",
        ),
        Mistake(
            "returns a plain number",
            _reinforced(finish=lambda loss: loss.item()),
            "you turned the loss into a plain number (.item(), float()), from which no slope comes "
            "back to the policy; return the tensor",
        ),
    ],
)


# 18.5 gae

NEVER = torch.zeros(4, 2, dtype=torch.bool)


def _walk(g: Generator, terminated: Tensor, truncated: Tensor, lam: float | None = None) -> tuple:
    """Steps and values as a critic gives them: a state that goes on has one value, not two."""
    T, N = terminated.shape
    value = _either_sign(g, 0.4, 2, T, N)
    new = _either_sign(g, 0.4, 2, T, N)  # of states that are reached and not gone on from
    goes_on = ~(terminated | truncated)
    goes_on[-1] = False
    then = torch.where(goes_on, _later(value), new)
    lam = _share(g, 0.5, 0.9) if lam is None else lam
    reward = uniform(g, 0.5, 2, T, N)
    return reward, value, then, terminated, truncated, _share(g, 0.5, 0.9), lam


def _one_step(g: Generator) -> list[tuple]:
    return [_walk(g, NEVER, NEVER, lam=0.0)]


def _many_steps(g: Generator) -> list[tuple]:
    return [_walk(g, NEVER, NEVER)]


def _over(g: Generator) -> list[tuple]:
    """Both environments come to the end of the task, one of them just as time is up."""
    over = _ends_within(g)
    return [_walk(g, over, over & torch.tensor([True, False]))]


def _cut_short(g: Generator) -> list[tuple]:
    return [_walk(g, NEVER, _ends_within(g))]


def _estimated(
    hope: Callable[..., Tensor] = lambda value, then, term, trunc: then * ~term,
    on: Callable[[Tensor, Tensor], Tensor] = lambda term, trunc: ~(term | trunc),
    delta: Callable[..., Tensor] = lambda r, hope, value, gamma: r + gamma * hope - value,
    decay: Callable[[float, float], float] = lambda gamma, lam: gamma * lam,
    step: Callable[..., float] = lambda total, d, on, decay: d + decay * total * on,
    finish: Callable[..., Any] = lambda A, delta, value, lam: A,
) -> Callable:
    """``hope``: V of what was reached; ``on``: whether the sum runs on after a step."""

    def gae(reward, value, then, terminated, truncated, gamma, lam):
        deltas = delta(reward, hope(value, then, terminated, truncated), value, gamma)
        weight, goes_on = decay(gamma, lam), on(terminated, truncated)
        A = _backwards(lambda *values: step(*values, weight), deltas, goes_on)
        return finish(A, deltas, value, lam)

    return gae


def _next_row(value: Tensor, then: Tensor, term: Tensor, trunc: Tensor) -> Tensor:
    """The value of the next row's state, which after an end is a new episode's start."""
    return torch.cat([value[1:], then[-1:]]) * ~term


def _always(term: Tensor, trunc: Tensor) -> Tensor:
    return torch.ones_like(term)


def _without_reward(reward, value, then, terminated, truncated, gamma, lam):
    return _estimated()(reward * ~terminated, value, then, terminated, truncated, gamma, lam)


def _through_past(reward, value, then, terminated, truncated, gamma, lam):
    """The sum of the surprises so far."""
    none = torch.zeros_like(terminated)
    delta = _estimated()(reward, value, then, terminated, truncated, gamma, 0.0)
    ended = _later(terminated | truncated).flip(0)
    back = _estimated()(delta.flip(0), 0 * value, 0 * then, none, ended, gamma, lam)
    return back.flip(0)


def _without_last_surprise(reward, value, then, *ends_and_rates):
    rows = (_without_last(x) for x in (reward, value, then))
    return _estimated()(*rows, *ends_and_rates)


GAE = Exercise(
    number="18.5",
    title="How much better than expected",
    name="gae",
    difficulty=4,
    minutes=40,
    reference=_estimated(),
    tests=[
        Test("measures one step against what was expected", _one_step, 1),
        Test("adds later surprises, each weaker than the one before", _many_steps, 2),
        Test("expects nothing after a termination", _over, 2),
        Test("looks beyond a truncation, and adds nothing from there", _cut_short, 2),
    ],
    mistakes=[
        Mistake(
            "bootstraps through a termination",
            _estimated(lambda value, then, term, trunc: then),
            "you bootstrapped through a terminal state: after a termination nothing more is paid, "
            "whatever the critic says of that state; multiply `then` by ~terminated",
        ),
        Mistake(
            "takes a truncation for a termination",
            _estimated(lambda value, then, term, trunc: then * ~(term | trunc)),
            "you took a truncation for a termination: only the clock ran out, and the state that "
            "was reached is still worth V; drop `then` where terminated alone",
        ),
        Mistake(
            "lets a truncation undo a termination",
            _estimated(lambda value, then, term, trunc: then * (~term | trunc)),
            "you bootstrapped where both flags are True; then the task is over, and the clock "
            "does not matter: ~terminated decides alone",
        ),
        Mistake(
            "expects something after a truncation only",
            _estimated(lambda value, then, term, trunc: then * trunc),
            "you added V of the next state at truncations alone; every step counts it but those "
            "that terminate: then * ~terminated",
        ),
        Mistake(
            "swaps the two ends",
            _estimated(lambda value, then, term, trunc: then * ~trunc),
            "you swapped the two ends: after a termination V of the reached state is 0, after a "
            "truncation it counts; multiply `then` by ~terminated",
        ),
        Mistake(
            "runs on over every end",
            _estimated(on=_always),
            "you ran on over the ends: the next row is another episode, whose surprises are not "
            "this action's merit; multiply the later sum by ~(terminated | truncated)",
        ),
        Mistake(
            "runs on over a truncation",
            _estimated(on=lambda term, trunc: ~term),
            "you ran on over a truncation: its state is still worth V, but the next row is "
            "another episode; the sum stops at either kind of end",
        ),
        Mistake(
            "runs on over a termination",
            _estimated(on=lambda term, trunc: ~trunc),
            "you ran on over a termination into the next episode; the sum stops at either kind "
            "of end: ~(terminated | truncated)",
        ),
        Mistake(
            "forgets brackets round both ends",
            _estimated(on=lambda term, trunc: ~term | trunc),
            "your sum runs on over truncations: ~terminated | truncated is (~terminated) | "
            "truncated; put brackets round both: ~(terminated | truncated)",
        ),
        Mistake(
            "empties the sum one step late",
            _estimated(on=lambda term, trunc: ~_later(term | trunc)),
            "you are off by one: you emptied the sum after the step's own surprise was added, or "
            "looked at the flags of t+1; where step t ends, empty it first",
        ),
        Mistake(
            "knows no ends",
            _estimated(lambda value, then, term, trunc: then, _always),
            "you used neither flag: no V after a termination, and no later sum after either kind "
            "of end",
        ),
        Mistake(
            "takes the next row's value",
            _estimated(_next_row),
            "you used value[t+1] for the state that a step reached; after a truncation that row is "
            "the start of another episode: use then[t]",
        ),
        Mistake(
            "takes the next row's value, and runs on",
            _estimated(_next_row, lambda term, trunc: ~term),
            "you looked at terminated alone and used value[t+1]: after a truncation that row "
            "belongs to another episode; use then[t], and stop the sum at either end",
        ),
        Mistake(
            "takes the next row's value, and nothing in the end",
            _estimated(lambda value, then, term, trunc: _later(value) * ~term),
            "you used value[t+1], with 0 after the last row; the rows stop there, the episode does "
            "not: then[t] is V of what each step reached",
        ),
        Mistake(
            "swaps the values",
            _estimated(
                delta=lambda r, hope, value, gamma: r + gamma * value - hope,
            ),
            "you swapped the two values: gamma V of the state that was *reached* is gained, V of "
            "the state before is what was expected",
        ),
        Mistake(
            "forgets what was expected",
            _estimated(delta=lambda r, hope, value, gamma: r + gamma * hope),
            "you did not subtract V of the state before; a surprise is what came minus what was "
            "expected",
        ),
        Mistake(
            "forgets what may follow",
            _estimated(delta=lambda r, hope, value, gamma: r - value),
            "you compared V with one reward; V expects everything that follows, so add gamma V of "
            "the state that was reached",
        ),
        Mistake(
            "does not discount the next value",
            _estimated(delta=lambda r, hope, value, gamma: r + hope - value),
            "you forgot gamma before V of the state that was reached, which is one step away",
        ),
        Mistake(
            "discounts the reward as well",
            _estimated(delta=lambda r, hope, value, gamma: gamma * (r + hope) - value),
            "you discounted the reward as well; it is paid at once, and gamma belongs to V of the "
            "state that was reached",
        ),
        Mistake(
            "turns the sign",
            _estimated(finish=lambda A, delta, value, lam: -A),
            "you turned the sign: more than expected is an advantage above 0",
        ),
        Mistake(
            "forgets lambda",
            _estimated(decay=lambda gamma, lam: gamma),
            "you forgot lambda: a surprise k steps later counts (gamma lambda)^k; with gamma alone "
            "you have the return minus V",
        ),
        Mistake(
            "forgets gamma in the sum",
            _estimated(decay=lambda gamma, lam: lam),
            "you let later surprises fade by lambda alone; they are discounted as well: gamma "
            "times lambda a step",
        ),
        Mistake(
            "stops after one step",
            _estimated(decay=lambda gamma, lam: 0.0),
            "you returned the one-step surprises; add the later ones, gamma lambda weaker with "
            "each step",
        ),
        Mistake(
            "weighs like an average",
            _estimated(finish=lambda A, delta, value, lam: (1 - lam) * A),
            "you multiplied by 1 - lambda, which belongs to the average of k-step estimates; "
            "written with one-step surprises the sum has no such factor",
        ),
        Mistake(
            "leaves out the own surprise",
            _estimated(finish=lambda A, delta, value, lam: A - delta),
            "you are off by one: the sum starts with the step's own surprise, "
            "A_t = delta_t + gamma lambda A_(t+1)",
        ),
        Mistake(
            "loses the last surprise",
            _estimated(step=lambda total, d, on, decay: (d + decay * total) * on),
            "you cut off the last step's own surprise together with what follows; "
            "~ended multiplies the later sum alone",
        ),
        Mistake(
            "loses the last reward",
            _without_reward,
            "you dropped the reward of the terminating step as well; it was earned: only V of the "
            "state behind it is 0",
        ),
        Mistake(
            "looks at the next step's flags",
            lambda reward, value, then, terminated, truncated, gamma, lam: _estimated()(
                reward, value, then, _later(terminated), _later(truncated), gamma, lam
            ),
            "you are off by one with the flags: terminated[t] and truncated[t] say what step t "
            "itself led to",
        ),
        Mistake(
            "adds the surprises so far",
            _through_past,
            "you ran forwards in time and added the surprises before; an action answers for what "
            "comes after it: start at the last row",
        ),
        Mistake(
            "forgets to turn the list round",
            _estimated(finish=lambda A, delta, value, lam: A.flip(0)),
            "you went backwards and returned the list backwards, too; row 0 belongs to the first "
            "step",
        ),
        Mistake(
            "keeps one tensor for all rows",
            _estimated(finish=lambda A, delta, value, lam: A[:1].expand_as(A)),
            "your rows are all one tensor: `total += ...` and `total *= ...` change it in place, "
            "wherever it was appended; write `total = ...`, which makes a new one",
        ),
        Mistake(
            "leaves the last row empty",
            _without_last_surprise,
            "you left the last row at 0, as a loop from T - 2 does; its advantage is its own "
            "surprise, and the rows before it build on that",
        ),
        Mistake(
            "returns the critic's target",
            _estimated(finish=lambda A, delta, value, lam: A + value),
            "you returned A + V, what the critic is moved towards; the advantage is without V",
        ),
        Mistake(
            "normalises",
            _estimated(finish=lambda A, delta, value, lam: (A - A.mean()) / A.std()),
            "you normalised the advantages, which is a later step; here they are asked for as they "
            "are, because A + V is to be the critic's target",
        ),
    ],
)


# 18.6 actor_critic_loss


def _heads(g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, values, actions, targets of three rows: one target below the value, one above."""
    logits = _scores(g, 3, 3)
    value = _either_sign(g, 0.4, 1.5, 3)
    surprise = uniform(g, 0.4, 1.2, 3) * _mixed(g, [-1.0, 1.0, 1.0])
    return logits, value, _unlikely(g, logits), (value + surprise).round(decimals=2)


def _without_entropy(g: Generator) -> list[tuple]:
    return [(*_heads(g), 0.0)]


def _with_entropy(g: Generator) -> list[tuple]:
    return [(*_heads(g), _share(g, 0.2, 0.6))]


def _numbers(x: Tensor) -> str:
    """The text that makes a tensor again."""
    if x.dtype == torch.long:
        return f"torch.tensor({x.tolist()})"
    return f"torch.tensor([{', '.join(f'{v:.2f}' for v in x.flatten().tolist())}])"


def _slopes_left(g: Generator) -> list[tuple]:
    """A program: what the loss leaves in the value and in the target."""
    logits, value, action, target = _heads(g)
    lines = (
        "import torch",
        f"logits = {_numbers(logits)}.view(3, 3).requires_grad_()",
        f"value = {_numbers(value)}.requires_grad_()",
        f"target = {_numbers(target)}.requires_grad_()",
        "value.grad, target.grad = torch.zeros(2, 3)",
        f"loss = actor_critic_loss(logits, value, {_numbers(action)}, target, 0.0)",
        "loss.backward()",
    )
    return [("actor_critic_loss", "; ".join(lines), "value.grad, target.grad")]


def _entropy(logits: Tensor) -> Tensor:
    """Of each row's policy, in nats: (B,)."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def _log_chance(logits: Tensor, action: Tensor) -> Tensor:
    return _of(logits.log_softmax(-1), action)


def _surprise(target: Tensor, value: Tensor) -> Tensor:
    return (target - value).detach()


def _half_square(target: Tensor, value: Tensor) -> Tensor:
    return (target.detach() - value).square() / 2


def _two_parts(
    advantage: Callable[[Tensor, Tensor], Tensor] = _surprise,
    error: Callable[[Tensor, Tensor], Tensor] = _half_square,
    bonus: Callable[[Tensor, Tensor], Tensor] = lambda logits, action: _entropy(logits).mean(),
    chance: Callable[[Tensor, Tensor], Tensor] = _log_chance,
    total: Callable[[Tensor], Tensor] = torch.mean,
    sign: int = -1,
    finish: Callable[[Tensor], Any] = lambda loss: loss,
) -> Callable:
    """What the policy pays, what the critic pays, and what entropy earns."""

    def actor_critic_loss(logits, value, action, target, entropy):
        paid = sign * total(chance(logits, action) * advantage(target, value))
        earned = entropy * bonus(logits, action) if entropy else 0.0
        return finish(paid + total(error(target, value)) - earned)

    return actor_critic_loss


def _square(target: Tensor, value: Tensor) -> Tensor:
    """Half the squared error, with a way back to both."""
    return (target - value).square() / 2


ACTOR_CRITIC_LOSS = Exercise(
    number="18.6",
    title="Two networks, one loss",
    name="actor_critic_loss",
    difficulty=4,
    minutes=35,
    reference=_two_parts(),
    tests=[
        Test("adds up what actor and critic pay", _without_entropy, 2),
        Test("makes a random policy cheaper", _with_entropy, 1),
        Test("sends the actor its slope", _with_entropy, 1, probe=gradient),
        Test("lets the critic alone learn, from its own error", _slopes_left, 3, probe=program),
    ],
    mistakes=[
        Mistake(
            "does not detach the advantage",
            _two_parts(lambda target, value: target.detach() - value),
            "your value is right, but you did not detach the advantage: the actor's part moves "
            "the critic, too, to make its own gain larger; write (target - value).detach()",
        ),
        Mistake(
            "does not detach the advantage, target included",
            _two_parts(torch.sub),
            "your value is right, but the advantage is not detached: the actor's part moves the "
            "critic and the target; write (target - value).detach()",
        ),
        Mistake(
            "detaches nothing",
            _two_parts(torch.sub, _square),
            "your value is right, but you detached nothing: to the actor the advantage is a "
            "constant, to the critic the target is one",
        ),
        Mistake(
            "does not detach the target",
            _two_parts(error=_square),
            "your value is right, but the critic's part moves the target, too; a target stands "
            "still, so use target.detach()",
        ),
        Mistake(
            "detaches the value only",
            _two_parts(lambda target, value: target - value.detach(), _square),
            "your value is right, but you detached the value only; the target comes from the "
            "critic as well and must not move: detach it in both parts",
        ),
        Mistake(
            "detaches the value only in the advantage",
            _two_parts(lambda target, value: target - value.detach()),
            "your value is right, but the actor's part moves the target; detach the whole "
            "advantage, not the value alone",
        ),
        Mistake(
            "detaches the critic's error",
            _two_parts(error=lambda target, value: _surprise(target, value).square() / 2),
            "your value is right, but the critic never learns: you used the detached advantage, or "
            "a detached value, in the critic's part; only the target is a constant there",
        ),
        Mistake(
            "turns the actor's sign",
            _two_parts(sign=1),
            "you turned the sign of the actor's part: either the minus is missing, or the "
            "advantage is value - target",
        ),
        Mistake(
            "weighs by the target",
            _two_parts(lambda target, value: target.detach()),
            "you weighed the actions by the target, without a baseline; the advantage is "
            "target - value",
        ),
        Mistake(
            "normalises",
            _two_parts(lambda target, value: _z(_surprise(target, value))),
            "you normalised the advantage; many programs do, but this loss takes target - value "
            "as it is",
        ),
        Mistake(
            "takes probabilities",
            _two_parts(chance=lambda logits, action: _log_chance(logits, action).exp()),
            "you weighed probabilities; it is their logarithm that has the right slope: "
            "log_softmax",
        ),
        Mistake(
            "takes the logit",
            _two_parts(chance=_of),
            "you weighed the raw logits; take log_softmax over the actions first",
        ),
        Mistake(
            "weighs each by each",
            _two_parts(chance=lambda logits, action: _log_chance(logits, action)[:, None]),
            "you weighed every log-probability by every advantage: shapes (B, 1) and (B,) make (B, "
            "B); squeeze what gather gives",
        ),
        Mistake(
            "forgets the critic",
            _two_parts(error=lambda target, value: 0 * value),
            "you left out the critic's part, so it never learns what to expect; add half the mean "
            "squared error",
        ),
        Mistake(
            "forgets the actor",
            _two_parts(chance=lambda logits, action: 0 * logits[:, 0]),
            "you left out the actor's part; subtract the mean of advantage times log-probability",
        ),
        Mistake(
            "forgets the half",
            _two_parts(error=lambda target, value: 2 * _half_square(target, value)),
            "you forgot the half before the critic's mean squared error, as mse_loss has none",
        ),
        Mistake(
            "subtracts the critic's error",
            _two_parts(error=lambda target, value: -_half_square(target, value)),
            "you subtracted the critic's error, so it grows; the actor's part has the minus, "
            "the error is added",
        ),
        Mistake(
            "takes the distance",
            _two_parts(error=lambda target, value: (target.detach() - value).abs() / 2),
            "you took the absolute error; the critic pays half the *square*, so that it settles at "
            "the mean of what comes",
        ),
        Mistake(
            "sums",
            _two_parts(total=torch.sum),
            "you summed over the rows; take the mean, so that the loss does not depend on how "
            "many there are",
        ),
        Mistake(
            "forgets the entropy",
            _two_parts(bonus=lambda logits, action: 0.0),
            "you left out the entropy; subtract `entropy` times the mean entropy of the policies",
        ),
        Mistake(
            "punishes entropy",
            _two_parts(bonus=lambda logits, action: -_entropy(logits).mean()),
            "you turned the sign of the entropy, so the policy is driven to be sure; "
            "H = -sum p log p is positive, and the loss falls as it rises",
        ),
        Mistake(
            "takes the surprise of the actions",
            _two_parts(bonus=lambda logits, action: -_log_chance(logits, action).mean()),
            "you took -log p of the actions that were taken; the entropy sums over all actions of "
            "a row, each weighed by its own probability",
        ),
        Mistake(
            "averages over the actions",
            _two_parts(bonus=lambda logits, action: _entropy(logits).mean() / logits.shape[1]),
            "you averaged p log p over the actions as well; a policy's entropy is a sum over its "
            "actions, and only the rows are averaged",
        ),
        Mistake(
            "sums the entropy",
            _two_parts(bonus=lambda logits, action: _entropy(logits).sum()),
            "you summed the entropy over the rows; take their mean, like the other two parts",
        ),
        Mistake(
            "forgets the weights of the entropy",
            _two_parts(bonus=lambda logits, action: -logits.log_softmax(-1).sum(-1).mean()),
            "you summed -log p over the actions without the weight p; the entropy is the "
            "*expected* surprise, -sum p log p",
        ),
        Mistake(
            "hides the entropy from the actor",
            _two_parts(bonus=lambda logits, action: _entropy(logits).mean().detach()),
            "your value is right, but the entropy, or the p in it, is detached, so it cannot make "
            "the policy more random",
        ),
        Mistake(
            "returns a plain number",
            _two_parts(finish=lambda loss: loss.item()),
            "you turned the sum into a plain number, with .item() or float(), so neither network "
            "can learn from it; return the tensor",
        ),
    ],
)


# 18.7 ppo_loss

EVEN = [1.0, 1.0, 0.0, -1.0, -1.0]  # mean 0 and standard deviation 1: normalising changes nothing


def _moved(g: Generator, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities before and now, whose ratios are these but for rounding."""
    old = uniform(g, -2.2, -0.8, *ratio.shape)
    return (old + ratio.log()).round(decimals=2), old


def _near(g: Generator) -> list[tuple]:
    """Within the clip: none beyond, some almost."""
    ratio = 1 + uniform(g, 0.05, 0.15, 5) * _mixed(g, [1.0, -1.0, 1.0, -1.0, 1.0])
    return [(*_moved(g, ratio), _mixed(g, EVEN), _share(g, 0.2, 0.3))]


def _far_with(g: Generator, advantage: list[float]) -> list[tuple]:
    """Better and worse actions, each both more and less likely than before, in any order."""
    clip = _share(g, 0.1, 0.25)
    up, down = 1 + clip + uniform(g, 0.1, 0.6, 2), 1 - clip - uniform(g, 0.1, 0.4, 2)
    ratio = torch.stack([up[0], down[0], 1 + uniform(g, 0.03, 0.08), up[1], down[1]])
    order = torch.randperm(5, generator=g)
    return [(*_moved(g, ratio[order]), torch.tensor(advantage)[order], clip)]


def _far(g: Generator) -> list[tuple]:
    return _far_with(g, EVEN)


def _near_and_far(g: Generator) -> list[tuple]:
    """Within the bounds both products are alike, and both send a slope."""
    return _near(g) + _far(g)


def _as_they_come(g: Generator) -> list[tuple]:
    """Advantages in the unit of the rewards, all positive."""
    steps = uniform(g, 0.5, 2, 5).cumsum(0) + 1
    return _far_with(g, steps.round(decimals=2).flip(0).tolist())


def _ratio(new: Tensor, old: Tensor) -> Tensor:
    return (new - old).exp()


def _within(ratio: Tensor, clip: float) -> Tensor:
    return ratio.clamp(1 - clip, 1 + clip)


def _lower(ratio: Tensor, A: Tensor, clip: float) -> Tensor:
    return torch.minimum(ratio * A, _within(ratio, clip) * A)


def _proximal(
    ratio: Callable[[Tensor, Tensor], Tensor] = _ratio,
    scale: Callable[[Tensor], Tensor] = _z,
    gain: Callable[[Tensor, Tensor, float], Tensor] = _lower,
    total: Callable[[Tensor], Tensor] = torch.mean,
    finish: Callable[[Tensor], Any] = torch.neg,
) -> Callable:
    return lambda new, old, advantage, clip: finish(
        total(gain(ratio(new, old), scale(advantage), clip))
    )


def _clamped_logs(new: Tensor, old: Tensor, advantage: Tensor, clip: float) -> Tensor:
    A, log_ratio = _z(advantage), new - old
    near = log_ratio.clamp(-clip, clip).exp()
    return -torch.minimum(log_ratio.exp() * A, near * A).mean()


def _weighed_late(new: Tensor, old: Tensor, advantage: Tensor, clip: float) -> Tensor:
    ratio = _ratio(new, old)
    return -_z(torch.minimum(ratio * advantage, _within(ratio, clip) * advantage)).mean()


def _through_near(ratio: Tensor, A: Tensor, clip: float) -> Tensor:
    """The gain whose slope is that of the plain ratio everywhere."""
    plain = ratio * A
    return plain + (_lower(ratio, A, clip) - plain).detach()


PPO_LOSS = Exercise(
    number="18.7",
    title="Not too far",
    name="ppo_loss",
    difficulty=5,
    minutes=40,
    reference=_proximal(),
    tests=[
        Test("weighs each action by its ratio", _near, 2),
        Test("stops paying where the ratio has gone far", _far, 2),
        Test("normalises the advantages first", _as_they_come, 1),
        Test("has no slope where nothing more is to be gained", _near_and_far, 2, probe=gradient),
    ],
    mistakes=[
        Mistake(
            "forgets the old log-probabilities",
            _proximal(lambda new, old: new.exp()),
            "you took the new probability for the ratio, without the old log-probabilities; the "
            "ratio is new over old, exp(new - old)",
        ),
        Mistake(
            "compares the policy with itself",
            _proximal(lambda new, old: (new - new.detach()).exp()),
            "you compared the new policy with itself, so the ratio is always 1 and never clipped; "
            "`old` was written down when the actions were taken",
        ),
        Mistake(
            "divides logarithms",
            _proximal(lambda new, old: new / old),
            "you divided the logarithms; the ratio of the probabilities is exp(new - old)",
        ),
        Mistake(
            "forgets the exponential",
            _proximal(lambda new, old: new - old),
            "you took the difference of the logarithms for the ratio; take exp of it: an unchanged "
            "policy has the ratio 1, not 0",
        ),
        Mistake(
            "turns the ratio round",
            _proximal(lambda new, old: (old - new).exp()),
            "you put the old probability above the new one; the ratio is new over old, "
            "exp(new - old)",
        ),
        Mistake(
            "weighs the logarithm",
            _proximal(lambda new, old: new, gain=lambda ratio, A, clip: ratio * A),
            "you used REINFORCE's loss, log-probability times advantage; after the first step on a "
            "batch it is off, so weigh the ratio, and clip it",
        ),
        Mistake(
            "does not normalise",
            _proximal(scale=lambda A: A),
            "you did not normalise the advantages; subtract their mean and divide by their "
            "standard deviation before anything else",
        ),
        Mistake(
            "centres only",
            _proximal(scale=lambda A: A - A.mean()),
            "you subtracted the mean of the advantages, but their size is still the reward's; "
            "divide by their standard deviation",
        ),
        Mistake(
            "forgets the brackets",
            _proximal(scale=lambda A: A - A.mean() / A.std()),
            "you divided the mean alone by the standard deviation; put brackets round the "
            "difference: (A - A.mean()) / A.std()",
        ),
        Mistake(
            "scales only",
            _proximal(scale=lambda A: A / A.std()),
            "you divided the advantages by their standard deviation without subtracting the mean; "
            "where all are positive, everything that was done becomes likelier",
        ),
        Mistake(
            "divides by the variance",
            _proximal(scale=lambda A: (A - A.mean()) / A.var()),
            "you divided by the variance; its root, the standard deviation, has the unit of the "
            "advantages",
        ),
        Mistake(
            "divides by N",
            _proximal(scale=lambda A: (A - A.mean()) / A.std(correction=0)),
            "your standard deviation divides by B (numpy's does, too); here it divides by B - 1, "
            "as torch's does by itself",
        ),
        Mistake(
            "normalises the gains",
            _weighed_late,
            "you normalised after the ratio was multiplied in, so the mean is always 0; normalise "
            "the advantages, before they meet the ratio",
        ),
        Mistake(
            "does not clip",
            _proximal(gain=lambda ratio, A, clip: ratio * A),
            "you did not clip: some steps on one batch could move the policy as far as they like; "
            "take the smaller of ratio times A and clipped ratio times A",
        ),
        Mistake(
            "clips only",
            _proximal(gain=lambda ratio, A, clip: _within(ratio, clip) * A),
            "you clipped and left out the minimum: an action that moved the wrong way, far, then "
            "has no slope to come back; take min with the unclipped product",
        ),
        Mistake(
            "takes the larger",
            _proximal(
                gain=lambda ratio, A, clip: torch.maximum(ratio * A, _within(ratio, clip) * A)
            ),
            "you took the larger of the two products, which keeps the gains beyond the clip; with "
            "gains it is the minimum (the maximum goes with two negative losses)",
        ),
        Mistake(
            "takes Python's min",
            _proximal(gain=lambda ratio, A, clip: min(ratio * A, _within(ratio, clip) * A)),
            "you asked a whole tensor for one truth value, as Python's min, max and if do; "
            "torch.minimum and clamp decide for each entry",
        ),
        Mistake(
            "takes the minimum before it weighs",
            _proximal(gain=lambda ratio, A, clip: torch.minimum(ratio, _within(ratio, clip)) * A),
            "you took the minimum of the two ratios; take that of the two *products*, or actions "
            "with a negative advantage are clipped on the wrong side",
        ),
        Mistake(
            "clips above only",
            _proximal(
                gain=lambda ratio, A, clip: torch.minimum(ratio * A, ratio.clamp(max=1 + clip) * A)
            ),
            "you clipped above only; an action with a negative advantage becomes rarer, so its "
            "gain stops at 1 - clip",
        ),
        Mistake(
            "clips below only",
            _proximal(
                gain=lambda ratio, A, clip: torch.minimum(ratio * A, ratio.clamp(min=1 - clip) * A)
            ),
            "you clipped below only; an action with a positive advantage becomes likelier, so its "
            "gain stops at 1 + clip",
        ),
        Mistake(
            "clips around 0",
            _proximal(
                gain=lambda ratio, A, clip: torch.minimum(ratio * A, ratio.clamp(-clip, clip) * A)
            ),
            "you clipped the ratio to ± clip; an unchanged policy has the ratio 1, so the bounds "
            "are 1 - clip and 1 + clip",
        ),
        Mistake(
            "clips the logarithm",
            _clamped_logs,
            "you clipped the difference of the logarithms to ± clip; clip the ratio itself, after "
            "exp: exp(0.2) is 1.22, not 1.2",
        ),
        Mistake(
            "clips the advantage",
            _proximal(gain=lambda ratio, A, clip: ratio * A.clamp(-clip, clip)),
            "you clipped the advantage; it is the ratio that must not count beyond 1 ± clip",
        ),
        Mistake(
            "clips the product",
            _proximal(
                gain=lambda ratio, A, clip: torch.minimum(
                    ratio * A, (ratio * A).clamp(1 - clip, 1 + clip)
                )
            ),
            "you clipped ratio times advantage; clip the ratio first, then multiply by the "
            "advantage",
        ),
        Mistake(
            "turns the sign",
            _proximal(finish=lambda gain: gain),
            "you returned the gain, which is to be raised; an optimizer goes down, so return "
            "minus the mean",
        ),
        Mistake(
            "sums",
            _proximal(total=torch.sum),
            "you summed over the rows; take the mean, so that the loss does not depend on the "
            "size of the minibatch",
        ),
        Mistake(
            "does not average",
            _proximal(total=lambda gain: gain),
            "you returned a number for every row; take their mean",
        ),
        Mistake(
            "cuts the way back",
            _proximal(finish=lambda gain: -gain.detach()),
            "your value is right, but detached; `old` and the advantages are constants, `new` is "
            "what the policy learns through",
        ),
        Mistake(
            "keeps the slope beyond the clip",
            _proximal(gain=_through_near),
            "your value is right, but the clipped rows still have the slope of the plain ratio; "
            "let clamp, which is flat outside its bounds, stand in the graph",
        ),
        Mistake(
            "clips a copy without a slope",
            _proximal(
                gain=lambda ratio, A, clip: torch.minimum(
                    ratio * A, _within(ratio.detach(), clip) * A
                )
            ),
            "your value is right, but you clipped a detached ratio: within the bounds both "
            "products are alike, and min sends half of the slope through each; clip the ratio "
            "itself",
        ),
    ],
)

EXERCISES = (
    LOG_PROB,
    RETURNS_TO_GO,
    LEAVE_ONE_OUT,
    REINFORCE_LOSS,
    GAE,
    ACTOR_CRITIC_LOSS,
    PPO_LOSS,
)

check = checker(EXERCISES)
