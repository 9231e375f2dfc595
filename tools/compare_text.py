"""When are two texts the same? Words must be; numbers may differ as far as processors do.

Integers must be equal. A number with a point or an exponent may differ by a hundredth of itself, or
by 1.5 units of the last digit that the stored text prints, whichever is more.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

MINUS = "\N{MINUS SIGN}"
# A version or an address (1.2.3) is a word. A name's digits (conv2d, x1) belong to the name.
NUMBER = re.compile(
    rf"(?<![\w.])(?P<word>\d+(?:\.\d+){{2,}})"
    rf"|(?P<number>(?:(?<![\w.)\]])[-+{MINUS}])?(?<![\w.])"
    r"(?:(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+|\.(?=[,\])]|\s+[-\d\]]|e))?|\.\d+)"
    rf"(?:[eE][-+{MINUS}]?\d+)?)"
)
INLINE = {
    "a",
    "b",
    "i",
    "em",
    "strong",
    "span",
    "code",
    "sub",
    "sup",
    "small",
    "mark",
    "u",
    "s",
    "kbd",
    "var",
    "tspan",
    "abbr",
    "cite",
    "q",
    "samp",
}
SILENT = {"script", "style", "template"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass(frozen=True)
class Rule:
    """How far numbers may differ; `every` lets integers differ too (an exception with a reason)."""

    rtol: float = 1e-2
    atol: float = 0.0
    every: bool = False


def value(literal: str) -> float:
    """The number that a literal means."""
    return float(literal.replace(MINUS, "-").replace(",", ""))


def is_integer(literal: str) -> bool:
    """Whether a literal has neither point nor exponent."""
    return not re.search(r"[.eE]", literal)


def last_unit(literal: str) -> float:
    """The worth of a literal's last digit: 0.01 for 0.98, 1e-5 for 1.2e-4.

    A bare `1.` is how tensors print a whole number: it claims no digit.
    """
    mantissa, _, exponent = literal.replace(MINUS, "-").lower().partition("e")
    if ("." not in mantissa and not exponent) or mantissa.endswith("."):
        return 0.0
    digits = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - digits)


def number_trouble(stored: str, now: str, rule: Rule = Rule()) -> str | None:
    """Say why two literals are not the same number, or None."""
    if stored == now:
        return None
    a, b = value(stored), value(now)
    if not rule.every:
        if is_integer(stored) and is_integer(now):
            return None if a == b else f"stored {stored}, now {now}; integers must be equal"
        if is_integer(stored) or is_integer(now):
            return f"stored {stored}, now {now}; one is an integer and one is not"
    tolerance = max(rule.rtol * abs(a), rule.atol, 1.5 * last_unit(stored))
    if abs(a - b) <= tolerance * (1 + 1e-9):
        return None
    return f"stored {stored}, now {now}; they differ by {abs(a - b):.3g}, tolerance {tolerance:.3g}"


def split(text: str) -> tuple[list[str], list[str]]:
    """Words and numbers of a text; padding beside a number is not text."""
    words, numbers, at = [], [], 0
    for hit in NUMBER.finditer(text):
        if hit.group("word"):
            continue
        words.append(text[at : hit.start()])
        numbers.append(hit.group("number"))
        at = hit.end()
    words.append(text[at:])
    words = [w.lstrip(" \t") if i else w for i, w in enumerate(words)]
    words = [w.rstrip(" \t") if i < len(numbers) else w for i, w in enumerate(words)]
    return words, numbers


def text_trouble(stored: str, now: str, rule: Rule = Rule()) -> str | None:
    """Say where two texts differ beyond the rule, or None."""
    if stored == now:
        return None
    (words_a, numbers_a), (words_b, numbers_b) = split(stored), split(now)
    for i, (a, b) in enumerate(zip(words_a, words_b, strict=False)):
        if a != b:
            return f"text after {i} numbers: {difference(a, b)}"
        both = i < min(len(numbers_a), len(numbers_b))
        if both and (why := number_trouble(numbers_a[i], numbers_b[i], rule)):
            return f"number {i + 1} ({context(words_a, i)}): {why}"
    if len(numbers_a) != len(numbers_b):
        return f"stored has {len(numbers_a)} numbers, now there are {len(numbers_b)}"
    return None


def context(words: list[str], i: int) -> str:
    """The words before a number."""
    return repr(" ".join(words[i].split())[-40:])


def difference(a: str, b: str) -> str:
    """The first place where two texts part."""
    pairs = enumerate(zip(a, b, strict=False))
    at = next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
    start = max(0, at - 20)
    return f"stored {a[start : at + 30]!r}, now {b[start : at + 30]!r}"


class VisibleText(HTMLParser):
    """Collects what a reader of HTML gets: its text, SVG's too, and its alternative texts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag, attrs):
        self.silent += tag in SILENT
        self.parts += [] if tag in INLINE else [" "]
        alternatives = [v for k, v in attrs if k in ("alt", "aria-label") and v]
        self.parts += [f" {v} " for v in alternatives if not self.silent]

    def handle_endtag(self, tag):
        self.silent = max(0, self.silent - (tag in SILENT))
        self.parts += [] if tag in INLINE else [" "]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.silent = max(0, self.silent - (tag in SILENT))

    def handle_data(self, data):
        self.parts += [] if self.silent else [data]


def visible_text(html: str) -> str:
    """What a reader of this HTML gets, in one line."""
    parser = VisibleText()
    parser.feed(html)
    parser.close()
    return " ".join("".join(parser.parts).split())


def json_trouble(stored, now, rule: Rule = Rule(), at: str = "$") -> str | None:
    """Say where two JSON values differ beyond the rule, or None."""
    if isinstance(stored, dict) and isinstance(now, dict):
        if stored.keys() != now.keys():
            return f"{at}: stored has the keys {sorted(stored)}, now {sorted(now)}"
        pairs = [(stored[k], now[k], f"{at}.{k}") for k in stored]
    elif isinstance(stored, list) and isinstance(now, list):
        if len(stored) != len(now):
            return f"{at}: stored has {len(stored)} items, now {len(now)}"
        pairs = [(a, b, f"{at}[{i}]") for i, (a, b) in enumerate(zip(stored, now, strict=True))]
    else:
        why = leaf_trouble(stored, now, rule)
        return why and f"{at}: {why}"
    return next((why for a, b, path in pairs if (why := json_trouble(a, b, rule, path))), None)


def leaf_trouble(stored, now, rule: Rule) -> str | None:
    """The same for two values that are neither lists nor objects."""
    if isinstance(stored, str) and isinstance(now, str):
        return text_trouble(stored, now, rule)
    plain = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (stored, now))
    if plain and stored == stored and now == now and abs(stored) != float("inf") != abs(now):
        return number_trouble(repr(stored), repr(now), rule)
    return None if repr(stored) == repr(now) else f"stored {stored!r}, now {now!r}"
