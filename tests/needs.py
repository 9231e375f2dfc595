"""Skip a test for want of a tool, unless REQUIRE names it: then its absence is a failure."""

import os

import pytest


def required(tool: str) -> bool:
    """Whether REQUIRE lists a tool."""
    return tool in os.environ.get("REQUIRE", "").replace(" ", "").split(",")


def needs(tool: str, found: bool, reason: str) -> None:
    """Go on if `found`; else skip with the reason, or fail where REQUIRE lists the tool.

    Args:
        tool: the name that REQUIRE uses: `browser`, `bwrap`, `userns`, `git`, `registry`, `data`, `mount`
            or `compiler`.
        found: whether the tool is there.
        reason: what is missing and how to get it.
    """
    if found:
        return
    if required(tool):
        pytest.fail(f"REQUIRE={tool}, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
