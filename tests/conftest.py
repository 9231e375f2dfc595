"""The browser that several test files share."""

import pytest
from browser import chromium, patience


@pytest.fixture(scope="module")
def chromiums():
    """Gives the Chromium of a file's tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def browser(chromiums):
    """A Chromium, ended if one test keeps it for minutes."""
    with patience():
        yield chromiums()


def pytest_collection_modifyitems(items):
    """A browser that died is no fault of the page: such a test runs once more, in a new one."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            died = ["TargetClosedError", "Target crashed"]
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=died))
