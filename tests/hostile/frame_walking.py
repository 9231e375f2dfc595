"""Attacks by the call stack: looks for right answers in the frames of those who call."""

# %%
import inspect
import re
import sys
import threading

WORDS = ("reference", "expected", "solution", "right", "answer_key", "tests", "exercise")


def walk(args):
    found = []
    frames = [sys._getframe(), *sys._current_frames().values()]
    frames += [info.frame for info in inspect.stack()]
    for thread in threading.enumerate():
        found.append(repr(vars(thread))[:1000])
    for frame in frames:
        while frame:
            for name, value in [*frame.f_locals.items(), *frame.f_globals.items()]:
                for source in (value, getattr(value, "reference", None)):
                    if callable(source) and any(word in name for word in WORDS):
                        try:
                            return source(*args)
                        except Exception:
                            continue
                if isinstance(value, str | bytes | list | tuple | dict):
                    found.append(repr(value)[:2000])
            frame = frame.f_back
    return re.findall(r"CANARY-[0-9a-f]{32}", " ".join(found)) or "nothing"


def chain(paths):
    return walk((paths,))


def unbroadcast(grad, shape):
    value = walk((grad, shape))
    if isinstance(value, list):
        raise RuntimeError(str(value))
    return value
