"""Other right answers to the exercises, a module a chapter: the checks must pay them in full."""
