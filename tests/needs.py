"""Skip a test whose tool this machine lacks, or fail it where the tool is required."""

import os

import pytest


def needs(name: str, found: bool, reason: str) -> None:
    """Skip with the reason unless found; fail instead if the variable REQUIRE lists the name."""
    if found:
        return
    if name in os.environ.get("REQUIRE", "").split(","):
        pytest.fail(f"REQUIRE lists {name}, but {reason}")
    pytest.skip(reason)
