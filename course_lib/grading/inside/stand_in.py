"""Stands where the checks are in a notebook; the grader calls the answers itself."""

import sys


def check(answer=None, name=None):
    """Give an answer the name of its exercise, where it has another; nothing is printed here."""
    if name is not None:
        setattr(sys.modules["__main__"], name, answer)


def demo(function):
    """Leave a demonstration out."""
