"""The browser that several test files share."""

from contextlib import suppress

import pytest
from browser import WAIT, chromium, patience


@pytest.fixture(scope="module")
def chromiums():
    """Gives the Chromium of a file's tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def new_page(chromiums):
    """Opens a page of its own context, closed after the test.

    It waits for minutes, because a machine may be busy; a browser that hangs for longer is ended.
    """
    contexts = []

    def opened(**settings):
        contexts.append(chromiums().new_context(**settings))
        contexts[-1].set_default_timeout(1000 * WAIT)
        return contexts[-1].new_page()

    with patience():
        yield opened
        for context in contexts:
            with suppress(Exception):  # the browser died, and what waited for it has said so
                context.close()


def pytest_collection_modifyitems(items):
    """A browser that died is no fault of the page: such a test runs once more, in a new one."""
    for item in items:
        if "new_page" in getattr(item, "fixturenames", ()):
            died = ["TargetClosedError", "Target crashed", "TimeoutError"]
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=died))
