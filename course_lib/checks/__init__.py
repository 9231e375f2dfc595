"""Checks of the exercises: one module per chapter, all built from checks.exercise."""
