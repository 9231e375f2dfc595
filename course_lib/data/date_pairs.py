"""Dates as people write them, and as ISO 8601 writes them: a small translation.

Chapter: book/13_attention.
"""

from __future__ import annotations

from datetime import date, timedelta

from .generated import _random

MONTHS = (  # typed in: strftime would follow the reader's language
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FORMS = (  # none reads as two dates: a month in digits follows the year, or a day and a point
    "{d} {month} {y}",
    "{d} {mon} {y}",
    "{month} {d}, {y}",
    "{mon} {d}, {y}",
    "{d}{th} {month} {y}",
    "{d}{th} of {month}, {y}",
    "{month} the {d}{th}, {y}",
    "{weekday}, {d} {month} {y}",
    "{weekday}, {month} {d}, {y}",
    "{day} {d} {mon} {y}",
    "{d:02}-{mon}-{y}",
    "{d}.{m}.{y}",
    "{d:02}.{m:02}.{y}",
    "{y}/{m:02}/{d:02}",
    "{y} {month} {d}",
    "{y}{m:02}{d:02}",
)
FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)


def dates(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Dates from 1950 to 2049 in sixteen forms, some in capitals or small letters.

    Args:
        n: how many; a date may come twice.
        seed: which.

    Returns:
        Pairs (as written, ISO): ``("Sunday, 3 March 2024", "2024-03-03")``.

    Example:
        >>> len(dates(3))
        3
    """
    random = _random(seed)
    days = random.randint(0, (LAST - FIRST).days + 1, n)
    forms, cases = random.randint(0, len(FORMS), n), random.randint(0, 4, n)
    found = []
    for day, form, case in zip(days.tolist(), forms, cases, strict=True):
        when = FIRST + timedelta(days=day)
        written = write_date(when, FORMS[form])
        written = (written.lower(), written.upper(), written, written)[case]  # half as it is
        found.append((written, when.isoformat()))
    return found


def write_date(when: date, form: str) -> str:
    """A date in one of :data:`FORMS`.

    Args:
        when: the date.
        form: with fields ``d``, ``m``, ``y``, ``th``, ``month``, ``mon``, ``weekday``, ``day``.

    Returns:
        The text.

    Example:
        >>> write_date(date(2024, 3, 22), "{weekday}, {d}{th} of {month}")
        'Friday, 22nd of March'
    """
    d, month, weekday = when.day, MONTHS[when.month - 1], WEEKDAYS[when.weekday()]
    th = "th" if 11 <= d <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th")
    words = {"th": th, "month": month, "mon": month[:3], "weekday": weekday, "day": weekday[:3]}
    return form.format(d=d, m=when.month, y=when.year, **words)
