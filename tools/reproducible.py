"""Generate every notebook twice, in memory, and compare the bytes: ``make reproducible``."""

import argparse
import sys
from pathlib import Path

from tools.notebooks import ROOT, chosen, generate
from tools.outputs import Refused


def differing(source: Path) -> list[str]:
    """The files of one source that two runs give in different bytes."""
    first, second = generate(source), generate(source)
    return [f"{p.parent.name}/{p.name}" for p in first if first[p] != second[p]]


def main(argv: list[str] | None = None) -> int:
    """Return 0 when two runs gave the same bytes, else name the notebooks that differ."""
    parser = argparse.ArgumentParser(prog="python -m tools.reproducible", description=__doc__)
    parser.add_argument("name", nargs="*", help="neuron or book/02_neuron; none means all")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args(argv)
    try:
        sources = chosen(args.name, args.root.resolve())
        differ = [name for source in sources for name in differing(source)]
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name in differ:
        print(f"{name}: two runs gave different bytes", file=sys.stderr)
    if not differ:
        print(f"{len(sources)} sources give the same bytes twice")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
