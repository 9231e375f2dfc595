"""Which submissions are more alike than the class explains: a list of pairs to look at.

A fragment of an answer (see ``inside/fragments.py``) that n of N submissions share weighs

    w = log(N / n) / log(N)      1 where one has it alone, 0 where everybody has it,

so that the template and the only sensible line weigh nothing (Spärck Jones 1972 weighs words of
documents so). Of the answers A and B of two submissions to an exercise, the share

    s(A, B) = W(A ∩ B) / (min(W(A), W(B)) + ENOUGH),    W the sum of the weights

is small where little is left that not everybody writes: a function of one line proves nothing. The
smaller answer counts, so that code added to a copy hides nothing. The score of a pair is the
largest share of a single exercise, or that of all together. A high score is no proof: two may have
worked together, as they were told to, or learned from one source.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from .records import Grade

ENOUGH = 40  # of W: two answers that share so much and all of it have a share of a half
THRESHOLD = 0.55  # above the pairs of those who had the same plan and wrote it alone
BLOCK = 4096  # fragments that are compared at once


@dataclass(frozen=True)
class Pair:
    """Two submissions that are worth a look side by side."""

    one: Grade
    other: Grade
    score: float  # 0 to 1
    shares: dict[str, float] = field(default_factory=dict)  # of each exercise


def pairs(grades: Sequence[Grade], threshold: float = THRESHOLD) -> list[Pair]:
    """The pairs of submissions with a score of at least the threshold, the highest first.

    Args:
        grades: of the class; ``fragments`` is what is compared.
        threshold: between 0 and 1.

    Returns:
        The pairs; in a class of fewer than three there is nothing to compare with.
    """
    names = list(dict.fromkeys(name for grade in grades for name in grade.fragments))
    if len(grades) < 3 or not names:
        return []
    compared = [_compared([set(g.fragments.get(name, ())) for g in grades]) for name in names]
    shared = torch.stack([weight for weight, _ in compared])  # (E, N, N)
    least = torch.stack([size for _, size in compared])
    shares = shared / (least + ENOUGH)
    together = shared.sum(0) / (least.sum(0) + ENOUGH)
    score = torch.maximum(shares.amax(0), together).triu(1)
    found = [
        Pair(
            grades[i], grades[j], score[i, j].item(),
            dict(zip(names, shares[:, i, j].tolist(), strict=True)),
        )
        for i, j in (score >= threshold).nonzero().tolist()
    ]  # fmt: skip
    return sorted(found, key=lambda pair: (-pair.score, pair.one.file, pair.other.file))


def _compared(answers: Sequence[set[str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """For each pair of answers W of what they share, and W of the lesser one."""
    counts = Counter(code for answer in answers for code in answer)
    N = max(2, sum(1 for answer in answers if answer))
    weights = {code: math.log(N / n) / math.log(N) for code, n in counts.items()}
    holders: dict[str, list[int]] = defaultdict(list)  # an inverted index
    for i, answer in enumerate(answers):
        for code in answer:
            if counts[code] > 1:
                holders[code].append(i)
    codes = list(holders)
    shared = torch.zeros(len(answers), len(answers), dtype=torch.float64)
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK]
        has = torch.zeros(len(answers), len(block), dtype=torch.float64)
        for column, code in enumerate(block):
            has[holders[code], column] = math.sqrt(weights[code])
        shared += has @ has.T
    whole = torch.tensor([sum(weights[code] for code in answer) for answer in answers])
    return shared, torch.minimum(whole[:, None], whole)
