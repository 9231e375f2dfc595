"""Right answers to chapter NN_name by other ways than the master."""


def twice(x):
    return x + x
