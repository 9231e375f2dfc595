"""Stands where the checks are in a notebook; the grader calls the answers itself."""

CHECKED = {}  # the answers that `check` got with the name of an exercise beside them


def check(answer=None, name=None):
    """Remember an answer that is called otherwise than its exercise; nothing is printed here."""
    if name is not None:
        CHECKED[name] = answer


def demo(function):
    """Leave a demonstration out."""
