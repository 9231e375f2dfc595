"""Numbers in digits, and as English words say them: a translation that gets longer with the number.

Chapter: book/13_attention.
"""

from __future__ import annotations

from .generated import _random

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))


def numbers(n: int, digits: tuple[int, int] = (1, 9), seed: int = 0) -> list[tuple[str, str]]:
    """Whole numbers and their names; every length is as likely as any other.

    Args:
        n: how many; a number may come twice.
        digits: the fewest and the most digits, from 1 to 12.
        seed: which.

    Returns:
        Pairs (digits, words): ``("42007", "forty two thousand seven")``.

    Raises:
        ValueError: for other lengths.

    Example:
        >>> len(numbers(3))
        3
    """
    least, most = digits
    if not 1 <= least <= most <= 12:
        raise ValueError(f"digits are (fewest, most) from 1 to 12, got {digits}")
    random = _random(seed)
    lengths = random.randint(least, most + 1, n)
    drawn = random.randint(0, 10, (n, most))
    firsts = random.randint(1, 10, n)  # a long number does not begin with 0
    found = []
    for length, first, row in zip(lengths.tolist(), firsts.tolist(), drawn.tolist(), strict=True):
        row[0] = first if length > 1 else row[0]
        written = "".join(map(str, row[:length]))
        found.append((written, number_words(int(written))))
    return found


def number_words(value: int) -> str:
    """The English name of a number, without hyphens and without "and".

    Args:
        value: from 0 to 999,999,999,999.

    Returns:
        Words between blanks.

    Raises:
        ValueError: for a number outside of these.

    Example:
        >>> number_words(1_042_310)
        'one million forty two thousand three hundred ten'
    """
    if not 0 <= value < 10**12:
        raise ValueError(f"numbers from 0 to 999999999999 have a name here, got {value}")
    if value == 0:
        return ONES[0]
    words = []
    for scale, name in SCALES:
        if value >= scale:
            words += [*_below_thousand(value // scale), name]
            value %= scale
    return " ".join(words + _below_thousand(value))


def _below_thousand(value: int) -> list[str]:
    words = [ONES[value // 100], "hundred"] if value >= 100 else []
    value %= 100
    if value >= 20:
        words.append(TENS[value // 10 - 2])
        value %= 10
    return [*words, ONES[value]] if value else words
