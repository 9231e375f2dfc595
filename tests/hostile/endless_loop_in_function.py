"""Attacks the clock: an answer that never ends, and swallows what would stop it."""


# %%
def chain(paths):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
