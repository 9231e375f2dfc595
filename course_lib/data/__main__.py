"""Fetch data sets into the cache, before a class that has no network: python -m course_lib.data."""

from __future__ import annotations

import argparse
import os
import sys

from . import images, texts
from .downloads import DataError, cache, content

FILES = (*images.FILES, *texts.FILES)


def main(argv: list[str] | None = None) -> int:
    """Fetch the sets named on the command line, or all; 1 if a file could not be had.

    Args:
        argv: folders of the cache, ``["mnist"]``; by default those of the command line.

    Returns:
        The exit code.
    """
    known = sorted({file.path.partition("/")[0] for file in FILES})
    parser = argparse.ArgumentParser(prog="python -m course_lib.data", description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"{', '.join(known)}; default: all")
    wanted = parser.parse_args(argv).sets or known
    if unknown := set(wanted) - set(known):
        parser.error(f"no set is called {', '.join(unknown)}; there are {', '.join(known)}")
    for file in FILES:
        if file.path.partition("/")[0] in wanted:
            try:
                print(f"{file.path}: {len(content(file)):,} bytes")
            except DataError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
    print(f"in {os.environ.get('COURSE_DATA') or cache()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
