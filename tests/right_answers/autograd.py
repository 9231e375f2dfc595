"""Right answers to chapter 03_autograd by other ways than the master."""


def twice(x):
    return x + x
