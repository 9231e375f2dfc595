"""What takes how long: `make benchmark`. Timings stand here, never in a test."""

import importlib
import statistics
import time
import warnings
from pathlib import Path

from tools import benchmark_engines, benchmark_training

ROOT = Path(__file__).parents[1]
GOAL = 10  # milliseconds, for small exercises


def milliseconds(exercise, answer, runs: int = 30) -> float:
    """The median time of one evaluation, the report's text included."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        str(exercise.evaluate(answer))
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def checks() -> None:
    """Print a row per exercise: the right answer, and the mistake that takes longest to name."""
    warnings.simplefilter("ignore")  # a mistake may overflow; that is its point
    print(f"median milliseconds of a check (goal: at most {GOAL})")
    print(f"{'exercise':<32}{'right':>8}{'slowest mistake':>18}")
    for path in sorted((ROOT / "book").glob("[0-9][0-9]_*.md")):
        module = importlib.import_module(f"course_lib.checks.{path.stem[3:]}")
        for exercise in module.EXERCISES:
            right = milliseconds(exercise, exercise.reference)
            slowest = max(milliseconds(exercise, m.answer, 10) for m in exercise.mistakes)
            print(f"{path.stem + ' ' + exercise.name:<32}{right:>8.2f}{slowest:>18.2f}")


def main() -> None:
    """Print how long a learner waits for `check`, then the engines and the training loop."""
    checks()
    benchmark_engines.scalars()
    benchmark_engines.arrays()
    benchmark_training.epochs()


if __name__ == "__main__":
    main()
