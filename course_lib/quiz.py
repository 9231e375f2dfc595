"""Questions with an instant answer and a reason for each option. Serves every chapter.

Plain HTML: a reader picks an option and its reason appears (a CSS rule, no script, no kernel).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from html import escape

_STYLE = (
    ".dlm-quiz fieldset{border:0;border-left:3px solid currentColor;margin:1em 0;padding:0 1em}"
    ".dlm-quiz legend{font-weight:600;padding:0;float:left;width:100%;margin-bottom:.4em}"
    ".dlm-quiz .dlm-option{clear:both;display:grid;grid-template-columns:1.6em 1fr;margin:.3em 0}"
    ".dlm-quiz input{margin:.35em 0 0;justify-self:start;align-self:start}"
    ".dlm-quiz label{cursor:pointer}"
    ".dlm-quiz .dlm-reason{display:none;grid-column:2;margin:.2em 0 .6em}"
    ".dlm-quiz input:checked~.dlm-reason{display:block}"
)


@dataclass(frozen=True)
class Question:
    """A question and its options, each with the reason why it is right or wrong."""

    text: str
    right: dict[str, str]  # option: reason; exactly one
    wrong: dict[str, str]  # option: reason, one for each wrong option

    def options(self) -> list[tuple[str, str, bool]]:
        """Option, reason and whether it is right, in an order that says nothing."""
        every = [(o, r, True) for o, r in self.right.items()]
        every += [(o, r, False) for o, r in self.wrong.items()]
        return sorted(every, key=lambda o: hashlib.sha256(o[0].encode()).digest())


class Quiz:
    """Questions as displayed; the text form lists them without the answers."""

    def __init__(self, questions: list[Question]) -> None:
        self.questions = questions

    def __repr__(self) -> str:
        rows = []
        for i, question in enumerate(self.questions, 1):
            rows.append(f"{i}. {question.text}")
            rows += [f"   ( ) {option}" for option, _, _ in question.options()]
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        fields = "".join(_fieldset(i, q) for i, q in enumerate(self.questions, 1))
        return f'<style>{_STYLE}</style><div class="dlm-quiz">{fields}</div>'


def _fieldset(i: int, question: Question) -> str:
    name = "q" + hashlib.sha256(question.text.encode()).hexdigest()[:8]
    rows = []
    for j, (option, reason, right) in enumerate(question.options()):
        kind, verdict = ("dlm-right", "Right.") if right else ("dlm-wrong", "Not so.")
        rows.append(
            f'<div class="dlm-option"><input type="radio" name="{name}" id="{name}-{j}">'
            f'<label for="{name}-{j}">{_html(option)}</label>'
            f'<p class="dlm-reason {kind}"><strong>{verdict}</strong> {_html(reason)}</p></div>'
        )
    return f"<fieldset><legend>{i}. {_html(question.text)}</legend>{''.join(rows)}</fieldset>"


def _html(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def quiz(*questions: Question) -> Quiz:
    """Show three to five questions; each option answers at once, with its reason.

    Args:
        questions: the questions, in order. Text in backticks is shown as code.

    Returns:
        A :class:`Quiz`; as the last line of a cell it is displayed.

    Raises:
        ValueError: when there are not three to five questions, a question has not exactly one
            right and at least two wrong options, or a reason is missing.
    """
    if not 3 <= len(questions) <= 5:
        raise ValueError(f"a quiz has three to five questions, got {len(questions)}")
    for question in questions:
        if len(question.right) != 1 or len(question.wrong) < 2:
            raise ValueError(f"{question.text!r} needs one right and at least two wrong options")
        for option, reason, _ in question.options():
            if len(reason.split()) < 3:
                raise ValueError(f"{question.text!r}: option {option!r} needs a reason")
    return Quiz(list(questions))
