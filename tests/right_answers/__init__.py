"""Other right answers, one module per chapter: the checks must pay them in full."""
