"""course_lib.claims: a verdict that the numbers do not give is an error."""

import pytest

from course_lib.claims import MIME, claim, refutes


def test_a_claim_that_holds_carries_its_data():
    c = claim("07.1", "Two is small", value=2, unit="units", refuted_if="> 3", holds=True)
    assert c._repr_mimebundle_()[MIME] == {
        "number": "07.1",
        "statement": "Two is small",
        "value": 2.0,
        "unit": "units",
        "refuted_if": "> 3",
        "verdict": "holds",
        "condition": None,
        "otherwise": None,
    }
    assert "Holds" in c._repr_mimebundle_()["text/html"]


def test_a_refuted_claim_is_reported_as_refuted():
    c = claim("07.1", "Four is small", value=4, refuted_if="> 3", holds=False)
    assert c.verdict == "refuted here"
    assert repr(c).endswith("verdict: refuted here")


@pytest.mark.parametrize("value, holds", [(4, True), (2, False)])
def test_the_text_cannot_contradict_the_numbers(value, holds):
    with pytest.raises(AssertionError, match="change the text, not the threshold"):
        claim("07.1", "It is small", value=value, refuted_if="> 3", holds=holds)


def test_a_condition_needs_both_sides():
    kwargs = {"refuted_if": "> 3", "holds": "only if the depth is below 8"}
    c = claim("07.1", "It is small", value=2, otherwise=5, **kwargs)
    assert (c.verdict, c.condition) == ("holds only if", "the depth is below 8")
    with pytest.raises(AssertionError, match=r"without it \(2.5\) it must"):
        claim("07.1", "It is small", value=2, otherwise=2.5, **kwargs)
    with pytest.raises(AssertionError, match="must not meet"):
        claim("07.1", "It is small", value=4, otherwise=5, **kwargs)
    with pytest.raises(ValueError, match="give otherwise="):
        claim("07.1", "It is small", value=2, **kwargs)
    with pytest.raises(ValueError, match="the condition must hold a number"):
        claim("07.1", "It is small", value=2, otherwise=5, refuted_if="> 3", holds="if it is calm")


@pytest.mark.parametrize(
    "value, text, expected",
    [(1, "> 1", False), (1, ">= 1", True), (0.5, "< 1", True), (1e-4, "<= 1e-3", True)],
)
def test_comparisons(value, text, expected):
    assert refutes(value, text) is expected


@pytest.mark.parametrize("text", ["1", "> one", "== 1", "> 1 or so"])
def test_a_threshold_that_cannot_be_read(text):
    with pytest.raises(ValueError, match="a comparison like '> 0.01'"):
        refutes(1.0, text)


def test_nan_measures_nothing():
    with pytest.raises(ValueError, match="nothing was measured"):
        refutes(float("nan"), "> 1")
