"""pytest settings for the whole tree: notebooks are compared by the rules of tools.compare."""

import os
import tempfile


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
