"""pytest settings for the whole tree: notebooks are compared by the rules of tools.compare."""

import os
import tempfile

import pytest


def pytest_configure(config):
    """Put our comparer in nbval's place, and give its kernels the generator's environment.

    With --nbval-lax cells must run, and nothing is compared: the claims assert their verdicts.
    """
    if not (getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False)):
        return
    from tools.compare import install
    from tools.notebooks import environment, warm_fonts

    install()
    warm_fonts()
    config._ipython_dir = tempfile.TemporaryDirectory()
    os.environ.update(environment(config._ipython_dir.name))


def pytest_unconfigure(config):
    """Remove the kernels' scratch folder."""
    if hasattr(config, "_ipython_dir"):
        config._ipython_dir.cleanup()


def pytest_collection_modifyitems(config, items):
    """What runs in one process with `--dist loadgroup`: a file, or what it asks of one chapter.

    The exercises' tests, the longest file, are a group a chapter. (Notebooks go by `loadfile`.)
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        asked = getattr(item, "callspec", None) and item.callspec.params.get("chapter")
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(f"{file} {asked}" if asked else file))
