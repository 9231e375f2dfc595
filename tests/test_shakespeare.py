"""The characters at scale: how a text is cut, learned and judged, on a text of our own."""

import math
import os

import pytest
import torch
import torch.nn.functional as F
from needs import needs
from torch import nn

from course_lib.rnn import CharModel
from course_lib.studies import _shakespeare as study

TOKENS = torch.tensor([0, 1, 2, 3] * 400)


def small_model(seed: int = 0, layers: int = 2) -> CharModel:
    torch.manual_seed(seed)
    return CharModel(symbols=4, hidden=8, layers=layers, device="cpu")


def test_the_streams_judgement_is_the_cross_entropy_of_the_whole_text():
    model = small_model().eval()
    tokens = TOKENS[:1001]
    with torch.no_grad():
        expected = F.cross_entropy(model(tokens[None, :-1])[0][0], tokens[1:]).item()
        blank = [F.cross_entropy(model(tokens[None, i : i + 256])[0][0], tokens[i + 1 : i + 257])
                 for i in (0, 256, 512)]  # fmt: skip
    measured = study.judge(model, tokens)
    assert measured["stream"] == pytest.approx(expected, rel=1e-5)
    assert measured["bits"] == pytest.approx(expected / math.log(2), rel=1e-5)
    assert measured["windows"] == pytest.approx(torch.stack(blank).mean().item(), rel=1e-5)


@pytest.mark.parametrize("recurrent", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_state_without_its_past_has_the_same_numbers_and_no_gradient(recurrent):
    model = CharModel(symbols=4, hidden=8, recurrent=recurrent, device="cpu")
    _, state = model(TOKENS[None, :5])
    kept = study.detached(state)
    before = state if isinstance(state, tuple) else (state,)
    after = kept if isinstance(kept, tuple) else (kept,)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not any(s.requires_grad for s in after)


def test_char_rnns_start_opens_the_forget_gates():
    model = small_model()
    study.start_as_char_rnn(model)
    lstm = model.recurrent
    for layer in range(2):
        both = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
        assert torch.equal(both[8:16], torch.ones(8))
        assert both[:8].abs().max() <= 0.16
    assert model.head.weight.abs().max() <= 0.08


@pytest.mark.parametrize("recipe, lr", [("char-rnn", 2e-3), ("course", 1e-2)])
def test_a_text_that_repeats_itself_is_learned(recipe, lr):
    model = small_model()
    before = study.judge(model, TOKENS)["stream"]
    study.train(model, TOKENS, recipe, batch=4, steps=20, epochs=12, lr=lr)
    assert before > 1.2 and study.judge(model, TOKENS)["stream"] < 0.3


def test_dropout_is_off_while_it_is_judged():
    torch.manual_seed(0)
    model = CharModel(symbols=4, hidden=8, layers=2, dropout=0.5, device="cpu")
    assert study.judge(model.train(), TOKENS) == study.judge(model.train(), TOKENS)


def test_the_text_is_cut_as_nanogpt_cuts_it():
    needs("data", bool(os.environ.get("COURSE_DATA")), "COURSE_DATA names no folder of data sets")
    learned, judging, symbols = study.parts(choosing=False, device="cpu")
    assert (len(learned), len(judging), symbols) == (1_003_854, 111_540, 65)
    shorter, held, _ = study.parts(choosing=True, device="cpu")
    assert torch.equal(torch.cat([shorter, held]), learned)
