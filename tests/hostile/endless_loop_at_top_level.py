"""Attacks the clock: a cell that never ends, before the answer is defined and after it."""

# %%
while True:
    pass


# %%
def chain(paths):
    return "nothing"


# %%
while True:
    chain(())
