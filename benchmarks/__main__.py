"""`make bench`: every race, in turns, into benchmarks/results.json and the page; or a look.

A benchmark never fails: a race that cannot be run here says why, and the next one starts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from benchmarks import page, peers
from benchmarks.plan import RACES, Race, why_not
from benchmarks.race import Contender, race, verdict

RESULTS = Path(__file__).with_name("results.json")


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "date": date.today().isoformat(),
        "processor": f"{processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def look(plan: Race) -> Race:
    """The race without its slow contenders."""
    aside = "left out of a look"

    def quick() -> list[Contender]:
        return [replace(c, missing=aside) if c.name in plan.slow else c for c in plan.contenders()]

    return replace(plan, contenders=quick)


def run(plan: Race, rounds: int) -> dict[str, Any]:
    """Run a race and hold it against its goals."""
    options = {"threads": plan.threads, "warm": plan.warm, "same": plan.same}
    measured = race(plan.title, plan.contenders(), rounds, **options)
    goals = [verdict(measured, goal) for goal in plan.goals]
    return {"title": plan.title, **machine(), **measured, "goals": goals}


def load() -> dict[str, Any]:
    """What was measured before."""
    if not RESULTS.exists():
        return {"races": {}, "peers": {}}
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def store(results: dict[str, Any]) -> None:
    """Write everything down, races in the order of the plan; the file is replaced at once."""
    results["races"] = {name: results["races"][name] for name in RACES if name in results["races"]}
    draft = RESULTS.with_suffix(".part")
    draft.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(RESULTS)


def main() -> None:
    """Run the races that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(RACES))
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing written")
    given = parser.parse_args()
    if unknown := set(given.names) - set(RACES):
        parser.error(
            f"no race is called {', '.join(sorted(unknown))}; there are {', '.join(RACES)}"
        )
    results = load()
    for name in given.names or RACES:
        plan = look(RACES[name]) if given.quick else RACES[name]
        rounds = plan.rounds
        if given.quick:
            rounds = plan.quick or (2 if given.names else 0)
        if not rounds:
            continue
        if why := why_not(plan):
            print(f"\n{plan.title}: not run, {why}")
            continue
        try:
            measured = run(plan, rounds)
        except Exception as error:  # whatever it is, the other races are worth their time
            print(f"\n{plan.title}: not measured, {type(error).__name__}: {error}")
            continue
        print(page.plain(measured), flush=True)
        if not given.quick:
            results["races"][name] = measured
            results["peers"] |= peers.installed()
            store(results)
    if not given.quick:
        page.write()


if __name__ == "__main__":
    main()
