"""course_lib.studies.transformer: what the study counts, held against numbers by hand."""

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib.rnn import CharModel
from course_lib.studies import transformer as study
from course_lib.transformer import GPT


def test_the_longest_chain_is_counted_once_for_each_operation_that_waits():
    x = torch.ones(3, requires_grad=True)
    y = x.exp().sin()  # leaf, exp, sin
    assert study.chain(y) == 3
    assert study.chain(y + x) == 4  # the longer way counts
    for _ in range(5000):  # deeper than Python recurses
        y = y + x
    assert study.chain(y) == 5003


def test_bits_are_those_of_the_last_symbols():
    rows = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]])
    odds = torch.tensor([0.25, 0.75])
    model = lambda tokens: odds.log().expand(*tokens.shape, 2)
    by_hand = -sum(math.log2(odds[k]) for k in (1, 0, 0, 0)) / 4
    assert study.bits(model, rows, 2) == pytest.approx(by_hand, rel=1e-6)


def test_a_text_of_the_language_has_its_odds_and_its_entropy():
    odds, entropy = study.language(3, 2.0, seed=1)
    assert torch.allclose(odds.sum(-1), torch.ones(3, 3, dtype=torch.float64))
    text = study.speak(odds, 60_000, seed=2).tolist()
    triples = Counter(zip(text, text[1:], text[2:], strict=False))
    pairs = Counter(pairwise(text))
    for (a, b, c), n in triples.items():
        assert n / pairs[a, b] == pytest.approx(odds[a, b, c].item(), abs=0.02)
    spent = -sum(n * math.log2(odds[t]) for t, n in triples.items()) / (len(text) - 2)
    assert spent == pytest.approx(entropy, abs=0.02)


def test_a_power_law_is_found_again_and_so_is_an_exponent():
    N = torch.tensor([1e3, 2e3, 4e3, 8e3, 3e4])
    E, A, a = study.power_law(N, 1.5 + 300 * N**-0.8)
    assert (E, A, a) == pytest.approx((1.5, 300, 0.8), rel=1e-3)
    assert study.exponent(N, 7 * N**1.7) == pytest.approx(1.7)


@pytest.mark.parametrize("T", [8, 32])
def test_multiplications_are_those_that_torch_counts(T):
    K, D, layers, H = 11, 16, 2, 12
    gpt = GPT(K, D, layers, 2, T, positions="rotary", device="cpu")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as count:
        gpt(torch.zeros(1, T, dtype=torch.int64))
    counted = study.multiplications(D, layers, T, K)
    assert count.get_total_flops() == 2 * T * counted
    lstm = CharModel(K, H, recurrent=nn.LSTM, device="cpu")
    matrices = [p for name, p in lstm.named_parameters() if p.ndim == 2 and "table" not in name]
    assert study.lstm_multiplications(H, K) == sum(p.numel() for p in matrices)


def test_the_rivals_in_prose_cost_the_same():
    K = len(study.book()[1])
    gpt = study.multiplications(study.GPT_PROSE["width"], study.GPT_PROSE["layers"], 64, K)
    assert study.lstm_multiplications(study.LSTM_UNITS, K) == pytest.approx(gpt, rel=0.02)


def test_first_weights_come_from_the_seed_alone():
    before = torch.get_rng_state()
    one, two, other = (study.seeded(seed, lambda: nn.Linear(3, 3)) for seed in (1, 1, 2))
    assert torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight, other.weight)
    assert torch.equal(before, torch.get_rng_state())


def test_an_lstm_learns_with_its_state_carried_on():
    tokens = torch.arange(3).repeat(16 * 64)  # 0 1 2 0 1 2 ...
    net = study.seeded(0, lambda: CharModel(3, 8, recurrent=nn.LSTM, device="cpu"))
    study.learn_lstm(net, tokens, 30, 0.03)
    net.eval()
    assert study.bits(lambda x: net(x)[0], tokens[None, :40], 10) < 0.2
