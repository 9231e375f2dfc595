"""Single exercises of chapter 13_attention: answers that the tests of every exercise do not try."""

import itertools
import math

import pytest
import torch
from masters import solutions
from torch import nn

from course_lib.checks import attention
from course_lib.checks.attention import (
    ATTEND,
    ATTEND_BACKWARD,
    BEAM_SEARCH,
    GREEDY,
    LOOK_UP,
    MASKED_WEIGHTS,
    MULTI_HEAD,
)
from course_lib.checks.exercise import observed, same_outcome
from course_lib.checks.probes import outcome_of

SEEDS = range(20)


def outcomes(test, case, answers):
    return [observed(test, case, outcome_of(answer, test.probe, case)) for answer in answers]


def tables(case):
    """The tables of numbers in a program."""
    lines = [line.partition(" = ")[2] for line in case[1].split("; ") if "= torch.tensor(" in line]
    return [eval(line) for line in lines]


# ---- what the cases must have, for every mistake to show


PLACES = {
    "keeps the place of the end",
    "gives the place before",
    "gives the place behind",
    "gives the place of the greatest logit",
    "looks where the weight is least",
    "gives all weights",
    "gives the greatest weight",
}
TOKENS = {m.name for m in GREEDY.mistakes} - PLACES - {"returns the symbols alone"}


@pytest.mark.parametrize("seed", attention.TELLING_WALKS)
def test_a_walk_tells_its_mistakes_apart(seed):
    cases = attention._walks_from(seed)
    rows = torch.cat([table for case in cases for table in tables(case)])
    assert rows.sort(1).values.diff(dim=1).min() > 0.015, "two entries of a row are as good as tied"
    for test, names in zip(GREEDY.tests, (TOKENS, PLACES), strict=True):
        wrong = [m.answer for m in GREEDY.mistakes if m.name in names]
        seen = [outcomes(test, case, [GREEDY.reference, *wrong]) for case in cases]
        for one, two in itertools.combinations(zip(*seen, strict=True), 2):
            assert not all(map(same_outcome, one, two))


GREED = {"keeps everything"}
STATES = {
    "looks at the last symbol alone",
    "keeps the best of each beginning",
    "starts with copies",
    "does not move the states",
    "does not carry the state",
}
ENDS = {
    "narrows the beam",
    "lets the done ones compete",
    "refills the beam",
    "refills the beam and stops when enough are done",
    "stops when enough are done",
    "drops what is done",
    "extends what is done",
    "does not rank again",
    "keeps the end",
}
LENGTHS = {
    "forgets the length",
    "divides at every step",
    "divides all by the same",
    "counts the start",
    "divides only what is done",
    "does not count the end",
}


def margin(case):
    """How far the last continuation that is kept lies above the first that is not."""
    gaps = [math.inf]

    def choose(found, done, beams, ended):
        totals = [total for _, total, _ in found]
        gaps.extend(a - b for a, b in zip(totals[beams - 1 :][:1], totals[beams:], strict=False))
        return attention._together(found, done, beams, ended)

    outcomes(BEAM_SEARCH.tests[-1], case, [attention._beam_search(choose=choose)])
    return min(gaps)


@pytest.mark.parametrize(
    ("seeds", "names", "search"),
    [
        (zip(attention.TELLING_GREED), GREED, {"beams": 1, "alpha": 0.0}),
        (zip(attention.TELLING_BEAMS), STATES, {"beams": 3, "alpha": 0.0, "rare": True}),
        (attention.TELLING_ENDS, ENDS | STATES, {"beams": 3, "alpha": 0.0}),
        (zip(attention.TELLING_SCORES), LENGTHS, {"beams": 3, "alpha": 0.8}),
    ],
    ids=["greed", "states", "ends", "lengths"],
)
def test_a_search_tells_its_mistakes_apart(seeds, names, search):
    wrong = [m.answer for m in BEAM_SEARCH.mistakes if m.name in names]
    assert len(wrong) == len(names)
    for group in seeds:
        cases = [attention._search(seed, **search) for seed in group]
        answers = [BEAM_SEARCH.reference, *wrong]
        seen = [outcomes(BEAM_SEARCH.tests[-1], case, answers) for case in cases]
        assert all(margin(case) > 0.01 for case in cases), "as good as tied"
        for right, *_ in seen:
            scores = sorted(right.value["scores"])
            assert all(b - a > 0.01 for a, b in itertools.pairwise(scores)), "as good as tied"
        for one, two in itertools.combinations(zip(*seen, strict=True), 2):
            assert not all(map(same_outcome, one, two)), group


# ---- references against torch


@pytest.mark.parametrize("seed", range(3))
def test_the_heads_are_those_of_torchs_layer(seed):
    torch.manual_seed(seed)
    layer = nn.MultiheadAttention(6, 3, bias=False, batch_first=True)
    x = torch.randn(2, 4, 6)
    W = *layer.in_proj_weight.chunk(3), layer.out_proj.weight
    for mine in (MULTI_HEAD.reference, solutions("attention")["multi_head"]):
        torch.testing.assert_close(mine(x, *W, 3), layer(x, x, x)[0])


def test_the_way_back_is_that_of_autograd():
    for seed in SEEDS:
        for q, k, v, g in itertools.chain(*ATTEND_BACKWARD.cases(seed)):
            inputs = [x.double().requires_grad_() for x in (q, k, v)]
            out = nn.functional.scaled_dot_product_attention(*inputs)
            wanted = torch.autograd.grad(out, inputs, g.double())
            came = ATTEND_BACKWARD.reference(q.double(), k.double(), v.double(), g.double())
            torch.testing.assert_close(came, wanted)


def test_a_wide_beam_finds_the_best_of_all_texts():
    """Every text of three symbols at the most, one by one."""
    for seed in SEEDS:
        (case,) = BEAM_SEARCH.cases(seed)[3]
        (P,) = tables((None, case[1].replace(".log_softmax(1)", "")))
        *_, end, _, _, _ = case[1].rpartition("beam_search(")[2].split(", ")
        P, end = P.log_softmax(1), int(end)

        def step(tokens, state, P=P):
            new = (2 * state + tokens % 2) % 8
            return P[new], new

        texts = {}
        for text in itertools.product(range(3), repeat=3):
            written = text[: text.index(end) + 1] if end in text else text
            state, total = torch.tensor([0]), 0.0
            for last, symbol in itertools.pairwise((3, *written)):
                log_p, state = step(torch.tensor([last]), state)
                total += log_p[0, symbol].item()
            texts[tuple(k for k in written if k != end)] = total / len(written) ** 0.5
        best = max(texts, key=texts.get)
        found = BEAM_SEARCH.reference(step, torch.tensor([0]), 3, end, 27, 3, 0.5)
        assert len(found) == len(texts)
        assert tuple(found[0][0]) == best
        assert found[0][1] == pytest.approx(texts[best])


# ---- right answers that look different


def test_a_mask_may_be_added():
    def masked_weights(scores, lengths, causal):
        hidden = torch.arange(scores.shape[2]) >= lengths[:, None, None]
        if causal:
            hidden = hidden | torch.ones(scores.shape[1:], dtype=torch.bool).triu(1)
        weights = torch.softmax(scores + hidden * -1e9, -1)
        return weights * ~hidden

    for seed in SEEDS:
        assert MASKED_WEIGHTS.evaluate(masked_weights, seed).points == MASKED_WEIGHTS.points


def test_symbols_may_come_as_tensors():
    right = solutions("attention")["greedy"]

    def one_by_one(*args):
        return tuple([torch.tensor(i) for i in row] for row in right(*args))

    def at_once(*args):
        return tuple(torch.tensor(row) for row in right(*args))

    for answer in (one_by_one, at_once):
        assert GREEDY.evaluate(answer).points == GREEDY.points


def test_a_step_may_be_called_for_one_beginning_at_a_time():
    right = solutions("attention")["beam_search"]

    def beam_search(step, *rest):
        def one_by_one(tokens, state):
            each = [step(tokens[i : i + 1], state[i : i + 1]) for i in range(len(tokens))]
            return tuple(torch.cat(parts) for parts in zip(*each, strict=True))

        return right(one_by_one, *rest)

    for seed in SEEDS:
        assert BEAM_SEARCH.evaluate(beam_search, seed).points == BEAM_SEARCH.points


# ---- wrong answers that are near


def test_no_scale_is_paid_but_the_right_one():
    for power in (0.0, 0.25, 1.0, -0.5):

        def attend(q, k, v, power=power):
            weights = (q @ k.mT / q.shape[-1] ** power).softmax(-1)
            return weights @ v, weights

        for seed in SEEDS:
            assert ATTEND.evaluate(attend, seed).points == 0


def test_a_hard_choice_is_not_paid_for_long_queries():
    for seed in SEEDS:
        report = LOOK_UP.evaluate(lambda q, keys, values: values[(keys @ q).argmax()], seed)
        assert report.points == 0


def test_each_mask_is_named_by_itself():
    """Two mistakes at once: the padding's mask is too long, and no query sees itself."""

    def masked_weights(scores, lengths, causal):
        seen = torch.arange(scores.shape[2]) <= lengths[:, None, None]
        if causal:
            seen = torch.ones(scores.shape[1:], dtype=torch.bool).tril(-1)
        return scores.masked_fill(~seen, -math.inf).softmax(-1).masked_fill(~seen, 0.0)

    report = MASKED_WEIGHTS.evaluate(masked_weights)
    assert report.points == 0
    assert report.lines[0].mistake.name == "sees one place of padding"


def test_states_in_a_wrong_order_are_not_paid():
    right = solutions("attention")["beam_search"]

    def beam_search(step, *rest):
        return right(lambda tokens, state: step(tokens, state.flip(0)), *rest)

    for seed in SEEDS:
        assert BEAM_SEARCH.evaluate(beam_search, seed).points < BEAM_SEARCH.points


def test_greedy_is_no_beam_search():
    def beam_search(step, state, start, end, beams, steps, alpha):
        tokens, total, token = [], 0.0, start
        while len(tokens) < steps and token != end:
            log_p, state = step(torch.tensor([token]), state)
            token = int(log_p.argmax())
            total += log_p.max().item()
            tokens.append(token)
        return [([t for t in tokens if t != end], total / len(tokens) ** alpha)]

    for seed in SEEDS:
        assert BEAM_SEARCH.evaluate(beam_search, seed).points == 1
