"""Progress bars, where somebody looks. Serves every part that takes long."""

from __future__ import annotations

import os
import sys
from typing import Any


def bar(shown: bool | None = None, **options: Any) -> Any:
    """A progress bar of tqdm.

    Args:
        shown: None shows it on a terminal and in a notebook, unless the environment variable
            ``COURSE_PROGRESS`` says ``off``, as it does where notebooks are generated and tested.
        options: what tqdm takes: ``total``, ``desc``, ``unit`` ...

    Returns:
        A ``tqdm``, to use in a ``with`` statement.
    """
    from tqdm.auto import tqdm

    if shown is None:
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        watched = sys.stderr.isatty() or hasattr(shell, "kernel")
        shown = watched and os.environ.get("COURSE_PROGRESS") != "off"
    return tqdm(disable=not shown, **options)
