"""Other right answers to the exercises, one module per chapter: the checks must pay them in full."""
