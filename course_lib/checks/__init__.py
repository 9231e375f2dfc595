"""Checks of the exercises: a module a chapter, all built from checks.exercise."""
