"""Attacks the C stack: nesting that Python's own limit of recursion does not see."""

# %%
import ast
import json
import sys
import threading

# %%
compile("(" * 10**5 + ")" * 10**5, "<hostile>", "eval")

# %%
ast.literal_eval("-" * 10**6 + "1")

# %%
json.loads("[" * 10**6)

# %%
nested = None
for _ in range(10**6):
    nested = [nested]
del nested  # frees a million lists, one inside the other

# %%
chained = iter(())
for _ in range(10**6):
    chained = filter(None, chained)
list(chained)


# %%
def chain(paths):
    sys.setrecursionlimit(2**31 - 1)
    threading.stack_size(2**15)
    thread = threading.Thread(target=deeper)
    thread.start()
    thread.join()
    return deeper()


def deeper():
    return sorted([1, 2], key=lambda _: deeper())
