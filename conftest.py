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
    """What runs in one process with `--dist loadgroup`: a file, or a part of a long one.

    The exercises are a group a chapter, the pages one for light or dark, desk or phone.
    (Notebooks go by `loadfile`.)
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        asked = item.callspec.params if hasattr(item, "callspec") else {}
        part = [str(asked[name]) for name in ("chapter", "theme", "width") if name in asked]
        file = item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(" ".join([file, *part])))


def pytest_terminal_summary(terminalreporter):
    """Print the rows that tests recorded as their property "row", in whichever process they ran."""
    reports = [report for said in terminalreporter.stats.values() for report in said]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    rows = [value for call in calls for name, value in call.user_properties if name == "row"]
    if not rows:
        return
    lines = [list(rows[0]), *sorted([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
