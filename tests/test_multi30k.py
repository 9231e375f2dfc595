"""Translation at scale: words, sentences, BLEU, and what the beams may not write."""

import math

import pytest
import torch

from course_lib.attention import END, START, UNKNOWN, Seq2Seq
from course_lib.studies import _multi30k as study


@pytest.mark.parametrize(
    "text",
    ["ein hund, der bellt.", "zwei t-shirts (eins rot): 3 euro!", "was ist das?"],
)
def test_words_and_sentence_undo_each_other(text):
    found = study.sentence(study.words(text))
    assert found.replace("( ", "(") == text


def test_unknown_words_are_left_out_and_capitals_do_not_count():
    assert study.words("Ein Hund.") == ["ein", "hund", "."]
    assert study.sentence(["ein", "<unknown>", "hund", "."]) == "ein hund."


def test_bleu_is_the_geometric_mean_of_four_precisions_times_the_brevity():
    """By hand: 5, 4, 3, 2 of the n-grams of a text of 5 words stand in a reference of 6 words."""
    right = ["the cat sat on a mat"]
    assert study.bleu(["The cat sat on a mat"], right) == pytest.approx(100)
    assert study.bleu(["the cat sat on a"], right) == pytest.approx(100 * math.exp(1 - 6 / 5))
    # of "the cat sat on one mat" 5 of 6, 3 of 5, 2 of 4, 1 of 3 n-grams are right
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert study.bleu(["the cat sat on one mat"], right) == pytest.approx(expected)


def test_lessons_in_bfloat16_are_those_of_the_model_roughly():
    torch.manual_seed(0)
    model = Seq2Seq(9, 7, hidden=16, device="cpu")
    source, target = torch.tensor([[4, 5, 6]]), torch.tensor([[START, 4, 5]])
    with torch.no_grad():
        half, whole = study.Half(model)(source, target), model(source, target)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, whole, atol=0.05, rtol=0.05)


def test_beams_never_write_what_is_no_word():
    torch.manual_seed(0)
    model = Seq2Seq(9, 7, hidden=16, device="cpu").eval()
    with torch.no_grad():
        model.head.bias[UNKNOWN] = model.head.bias[START] = 9.0  # the likeliest by far
        found = study.by_beams(model, torch.tensor([4, 5]), beams=3, alpha=0.6)
    assert not {UNKNOWN, START, END} & set(found)


def test_a_run_gives_a_bleu_for_every_length(monkeypatch):
    pairs = [(f"{'a ' * n}dog .", f"{'ein ' * n}hund .") for n in range(1, 9)]
    monkeypatch.setattr(study, "translations", lambda *_: pairs)
    monkeypatch.setattr(study, "LENGTHS", ((1, 5), (6, 99)))
    settings = study.SETTINGS | {"hidden": 8, "epochs": 2, "at_least": 1}
    found = study.translation_run(0, True, lr=1e-3, **settings, device="cpu")
    assert {"greedy", "beams", "greedy_1_5", "greedy_6_99", "nats"} <= set(found)
    assert all(0 <= found[key] <= 100 for key in found if key.startswith(("greedy", "beams")))
    assert 0 < found["nats"] < 2 * math.log(7)  # four special ones and three words
