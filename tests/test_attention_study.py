"""course_lib.studies.attention: what the study counts, held against torch and by hand."""

from datetime import date

import pytest
import torch
from torch import nn

from course_lib.attention import translate
from course_lib.data import dates
from course_lib.data.date_pairs import FORMS, write_date
from course_lib.studies import attention as study


@pytest.fixture(scope="module")
def half_taught():
    return study.Translator(0, "dates", pairs=500, epochs=2, hidden=16, device="cpu")


def test_a_translator_is_the_same_again_and_leaves_the_global_generator_alone(half_taught):
    before = torch.get_rng_state()
    again = study.Translator(0, "dates", pairs=500, epochs=2, hidden=16, device="cpu")
    assert torch.equal(before, torch.get_rng_state())
    for p, q in zip(half_taught.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_one_beam_is_greedy_also_where_the_end_is_second(half_taught):
    for text, _ in dates(40, seed=9):
        X = half_taught.encode([text])
        greedy, _ = translate(half_taught.model, X, study.STEPS)
        ((tokens, _), *_) = study.translate_beam(half_taught.model, X[0], 1, study.STEPS)
        assert half_taught.target.decode(tokens) == half_taught.target.decode(greedy[0])


def test_right_counts_whole_texts(half_taught):
    X = half_taught.encode(["3 March 2024", "4 May 1999"])
    written, _ = translate(half_taught.model, X, study.STEPS)
    first, second = ("".join(half_taught.target.decode(row)) for row in written.tolist())
    assert half_taught.right([("3 March 2024", first), ("4 May 1999", second)]) == 100
    assert half_taught.right([("3 March 2024", first), ("4 May 1999", second + "0")]) == 50


def test_attention_and_its_rivals_are_of_equal_size():
    size = lambda module: sum(p.numel() for p in module.parameters())
    nets = [study.Seq2Seq(14, 36, H, a, device="cpu") for H, a in ((64, True), (67, False))]
    assert size(nets[0]) == pytest.approx(size(nets[1]), rel=0.02)
    assert size(study.SelfAttention(64)) == pytest.approx(size(nn.GRU(64, 48)), rel=0.02)


def test_a_layer_of_self_attention_is_torchs_with_one_head():
    ours, theirs = study.SelfAttention(8), nn.MultiheadAttention(8, 1, batch_first=True)
    theirs.in_proj_weight, theirs.in_proj_bias = ours.inward.weight, ours.inward.bias
    theirs.out_proj = ours.outward
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours(x), theirs(x, x, x)[0], atol=1e-6)


def test_a_list_holds_the_key_that_a_query_names():
    query, keys, values, answer = study.lists(50, torch.Generator().manual_seed(0))
    for b in range(50):
        assert len(set(keys[b].tolist())) == study.PLACES
        (at,) = (keys[b] == (query[b] - 7) % study.SYMBOLS).nonzero().flatten().tolist()
        assert values[b, at] == answer[b]


def test_a_small_start_has_the_scores_of_the_scaled_net_and_the_plain_one_larger_ones():
    *asked, _ = study.lists(9, torch.Generator().manual_seed(1))
    weights = {k: study.LookUp(64, k, 2)(*asked)[1] for k in ("scaled", "small start", "plain")}
    assert torch.allclose(weights["scaled"], weights["small start"], atol=1e-5)
    scores = weights["scaled"].log() * 8
    assert torch.allclose(weights["plain"], scores.softmax(1), atol=1e-4)


def test_slopes_are_those_of_the_softmax():
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda s: s.softmax(0)))(scores)
    wanted = jacobian.flatten(1).norm(dim=1)
    assert torch.allclose(study.slopes(scores.softmax(1)), wanted)


@pytest.mark.parametrize("form", FORMS)
def test_fields_are_marked_where_they_stand(form):
    when = date(1987, 11, 6)
    written = write_date(when, form)
    marks = study.fields(written, when, form)
    say = lambda field: "".join(c for c, mark in zip(written, marks, strict=True) if mark == field)
    assert say("year") == "1987"
    assert say("day").lstrip("0") == "6"
    assert say("month") in ("11", "Nov", "November")


def test_a_blind_guess_by_hand():
    year = (1 / 2 + 0 + 4 / 5 + 9 / 10) / 4  # 19 or 20; the 9 or 0; one of five decades; any year
    month = (3 / 12 + (3 - 1 + 9 - 1) / 12) / 2  # 0 or 1; then one of three, or of nine
    day = (1 - 10 / 30.4 + 1 - 4 / 30.4) / 2  # ten of thirty begin with 1; four beginnings
    assert study.blind_guess() == pytest.approx(100 * (year + (month + day) / 2) / 2, abs=0.5)


def test_places_hidden_for_comparison_are_as_many_and_elsewhere():
    texts, marks = study.marked_dates(30, seed=0)
    lengths = torch.tensor([len(text) for text, _ in texts])
    S = int(lengths.max())
    own = study.places_of(marks, S)
    places = (torch.arange(S) < lengths[:, None])[:, None].expand_as(own)
    other = study.others(own, places, seed=0)
    assert not (other & own).any() and not (other & ~places).any()
    free = (places & ~own).sum(-1)
    assert torch.equal(other.sum(-1), torch.minimum(own.sum(-1), free))
    assert own[:, [4, 7]].sum() == 0  # the hyphens of 2024-03-22 belong to no field


def test_hiding_nothing_changes_nothing(half_taught, monkeypatch):
    texts, marks = study.marked_dates(20, seed=1)
    monkeypatch.setattr(study, "others", lambda own, places, seed: torch.zeros_like(own))
    found = study.looks(half_taught, texts, marks, seed=0)
    assert found["changed_other"] == 0
    assert 0 < found["chance"] < 100
