"""Generate every notebook twice and compare the bytes: ``make reproducible``."""

import sys
from pathlib import Path

from tools.notebooks import main as generate

ROOT = Path(__file__).parents[1]


def snapshot() -> dict[str, bytes]:
    """The bytes of every generated notebook."""
    folders = ("book", "exercises", "solutions")
    paths = [p for f in folders for p in sorted((ROOT / f).glob("*.ipynb"))]
    return {str(p.relative_to(ROOT)): p.read_bytes() for p in paths}


def main() -> int:
    """Return 0 when two runs gave the same bytes, else name the notebooks that differ."""
    runs = []
    for _ in range(2):
        if code := generate([]):
            return code
        runs.append(snapshot())
    first, second = runs
    differ = [name for name in first if first[name] != second.get(name)]
    for name in differ:
        print(f"{name}: two runs gave different bytes")
    print(f"{len(first) - len(differ)} of {len(first)} notebooks are the same twice")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
