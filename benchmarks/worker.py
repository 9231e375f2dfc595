"""One contender in a process of its own: `python -m benchmarks.worker MODULE NAME SETTINGS`.

Runs in any environment, ours or a peer's, and imports of this project only the contender's module.
It prepares, then runs once for each line on stdin. Each answer is a line of JSON on the pipe that
was stdout; what the contender itself prints goes to stderr.
"""

import importlib
import json
import os
import sys
import time


def main() -> None:
    """Prepare the contender and time a run whenever asked."""
    module, name, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = time.perf_counter()
    contender = getattr(importlib.import_module(module), name)
    run = contender(**settings)
    print(json.dumps({"prepared": time.perf_counter() - start}), file=answers)
    for _ in sys.stdin:
        start = time.perf_counter()
        measured = run() or {}
        answer = {"seconds": time.perf_counter() - start, **measured}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
