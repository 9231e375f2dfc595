"""Stands where the checks are in a notebook; the grader calls the answers itself."""

CHECKED = {}  # the answers that `check` got, by the name of their exercise


def check(answer=None, name=None):
    """Remember an answer; nothing is printed here."""
    CHECKED[name or getattr(answer, "__name__", None)] = answer


def demo(function):
    """Leave a demonstration out."""
