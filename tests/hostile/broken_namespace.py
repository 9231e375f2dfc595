"""Attacks the names that cells share: without builtins, with check and the runner's names taken."""

# %%
import sys

check = demo = exec = compile = lambda *args, **kwargs: {"points": 4}
__name__ = "course_lib.grading.__main__"
__file__ = "/hostile"


# %%
def chain(paths):
    return "nothing"


# %%
class Names(dict):
    def get(self, name, default=None):
        return lambda *args: "nothing"


sys.modules["__main__"].__class__ = type("Main", (type(sys),), {"__getattr__": lambda *args: 4})
sys.modules["__main__"].__dict__.update(Names(points=4))

# %%
from course_lib.checks.autograd import check

check(chain, name=object())
check(None, "unbroadcast")
check(lambda *args: 12345.0, "local_slopes")

# %%
globals()["__builtins__"] = {}

# %%
globals().clear()
