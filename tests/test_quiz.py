"""course_lib.quiz: every option has its reason, and the order gives nothing away."""

import re

import pytest

from course_lib.quiz import Question, quiz


def question(i=0):
    return Question(
        f"What is {i} plus `one`?",
        right={f"{i + 1}": "Count on by one."},
        wrong={f"{i}": "That adds nothing at all.", f"{i + 2} <b>": "That adds one too many."},
    )


def test_every_option_has_a_radio_a_label_and_a_reason():
    html = quiz(*map(question, range(3)))._repr_html_()
    ids = re.findall(r'<input type="radio" name="\w+" id="([\w-]+)"', html)
    assert len(ids) == len(set(ids)) == 9
    assert html.count('class="reason"') == 9
    assert html.count("Right.") == 3
    for i in ids:
        assert f'<label for="{i}">' in html
    assert "<b>" not in html
    assert "<code>one</code>" in html
    assert "<script" not in html


def test_text_form_keeps_the_answers_to_itself():
    text = repr(quiz(*map(question, range(3))))
    assert "( ) 1" in text
    assert "Count on" not in text


def test_the_right_option_is_not_always_in_the_same_place():
    places = {[r for _, _, r in question(i).options()].index(True) for i in range(12)}
    assert places == {0, 1, 2}


@pytest.mark.parametrize(
    "questions, message",
    [
        ([question()], "three to five questions, got 1"),
        ([Question("Why?", {"a": "b c d"}, {"e": "f g h"})] * 3, "at least two wrong"),
        ([Question("Why?", {"a": "b"}, {"e": "f g h", "i": "j k l"})] * 3, "'a' needs a reason"),
    ],
)
def test_half_made_questions_are_refused(questions, message):
    with pytest.raises(ValueError, match=message):
        quiz(*questions)
