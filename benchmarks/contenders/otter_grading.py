"""Grade a folder with otter-grader: `python otter_grading.py FOLDER AUTOGRADER SCORES JOBS`.

It runs in otter's own environment and needs nothing else. Otter is imported once, not once for
each submission as by `otter run`; every notebook still gets a kernel of its own, as in all of its
ways. SCORES is JSON: for each file the points of each exercise.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from otter.api import grade_submission


def points(path, autograder):
    """The points of one submission, by exercise."""
    results = grade_submission(str(path), autograder, quiet=True)
    return {name: results.get_score(name) for name in results.results}


def main(folder, autograder, scores, jobs):
    """Grade all notebooks, so many at a time."""
    paths = sorted(Path(folder).glob("*.ipynb"))
    with ProcessPoolExecutor(int(jobs)) as pool:
        graded = pool.map(partial(points, autograder=autograder), paths)
        every = {path.stem: result for path, result in zip(paths, graded)}  # noqa: B905
    Path(scores).write_text(json.dumps(every))


if __name__ == "__main__":
    main(*sys.argv[1:])
