"""State a claim, measure it, give the verdict. The ledger of the book is made of these cells."""

from __future__ import annotations

import operator
import re
from dataclasses import asdict, dataclass
from html import escape

MIME = "application/vnd.dl-measured.claim+json"
_LOOKS = {  # class and colour
    "holds": ("dlm-holds", "#009E73"),
    "holds only if": ("dlm-partly", "#B5519C"),
    "refuted here": ("dlm-refuted", "#D55E00"),
}
_COMPARE = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Claim:
    """A measured claim. Displays as a box; carries its data for the ledger."""

    number: str
    statement: str
    value: float
    unit: str
    refuted_if: str
    verdict: str  # "holds", "holds only if", "refuted here"
    condition: str | None = None
    otherwise: float | None = None

    def __repr__(self) -> str:
        measured = f"{self.value:.3g} {self.unit}".strip()
        text = f"Claim {self.number}: {self.statement}\n"
        text += f"  measured {measured}; refuted if {self.refuted_if}"
        if self.condition:
            text += f"; without the condition {self.otherwise:.3g}"
        return f"{text}\n  verdict: {self.verdict} {self.condition or ''}".rstrip()

    def _repr_mimebundle_(self, **_: object) -> dict:
        return {"text/plain": repr(self), "text/html": self._html(), MIME: asdict(self)}

    def _html(self) -> str:
        kind, colour = _LOOKS[self.verdict]
        rest = repr(self).split("\n")[1].strip()
        return (
            f'<div class="dlm-claim {kind}" style="border-left:5px solid {colour};'
            'padding:0.4em 1em;margin:0.5em 0">'
            f"<p><strong>Claim {self.number}.</strong> {escape(self.statement)}.</p>"
            f"<p>{escape(rest[0].upper() + rest[1:])}.</p>"
            f'<p><strong class="dlm-verdict">{self.verdict.capitalize()}</strong> '
            f"{escape(self.condition or '')}</p></div>"
        )


def claim(
    number: str,
    statement: str,
    *,
    value: float,
    refuted_if: str,
    holds: bool | str,
    unit: str = "",
    otherwise: float | None = None,
) -> Claim:
    """Compare a measured value with the threshold stated before the run; assert the verdict.

    Args:
        number: chapter and claim, ``"02.1"``.
        statement: the claim, in a sentence.
        value: what was measured.
        refuted_if: a comparison that would refute the claim, such as ``"> 0.01"``.
        holds: the verdict in the text: True, False (refuted here), or a condition with a number,
            ``"if |mean z| < 0.5"``, when it holds only under it.
        unit: unit of the value.
        otherwise: for a condition, the value measured where it is not met; must refute.

    Returns:
        A :class:`Claim`; as the last line of a cell it is displayed.

    Raises:
        ValueError: when ``refuted_if`` or the condition cannot be read.
        AssertionError: when the verdict in the text is not what the numbers say.

    Example:
        >>> claim("00.1", "Two is small", value=2.0, refuted_if="> 3", holds=True)
        Claim 00.1: Two is small
          measured 2; refuted if > 3
          verdict: holds
    """
    value = float(value)
    refuted = refutes(value, refuted_if)
    condition = holds if isinstance(holds, str) else None
    if condition is None and refuted is bool(holds):
        said, is_so = ("holds", "refuted") if holds else ("is refuted", "not refuted")
        raise AssertionError(
            f"the text says that claim {number} {said}, but it is {is_so}: measured {value:.4g}, "
            f"refuted if {refuted_if}; change the text, not the threshold"
        )
    if condition is not None:
        _check_condition(number, condition, refuted, otherwise, refuted_if)
    verdict = "holds only if" if condition else "refuted here" if refuted else "holds"
    short = condition.removeprefix("only ").removeprefix("if ") if condition else None
    return Claim(number, statement, value, unit, refuted_if, verdict, short, otherwise)


def refutes(value: float, refuted_if: str) -> bool:
    """Whether a value meets the comparison, ``refutes(0.02, "> 0.01")``."""
    match = re.fullmatch(r"\s*(>=|<=|>|<)\s*(-?[\d.]+(?:e-?\d+)?)\s*", refuted_if)
    if not match:
        raise ValueError(f"refuted_if must be a comparison like '> 0.01', got {refuted_if!r}")
    if value != value:
        raise ValueError("the measured value is NaN: nothing was measured")
    return _COMPARE[match[1]](value, float(match[2]))


def _check_condition(
    number: str, condition: str, refuted: bool, otherwise: float | None, refuted_if: str
) -> None:
    if not re.search(r"\d", condition):
        raise ValueError(f"claim {number}: the condition must hold a number, got {condition!r}")
    if otherwise is None:
        raise ValueError(f"claim {number}: give otherwise=, the value without the condition")
    if refuted or not refutes(otherwise, refuted_if):
        raise AssertionError(
            f"claim {number} is said to hold only {condition}: with it the value must not meet "
            f"'{refuted_if}', without it ({otherwise:.4g}) it must"
        )
