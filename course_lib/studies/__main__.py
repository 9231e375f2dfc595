"""``python -m course_lib.studies neuron --seeds 10 --device cuda``."""

import argparse

from .runner import run_study

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a study and write its results.")
    parser.add_argument("name", help="the study, such as neuron")
    parser.add_argument("--seeds", type=int, help="runs a setting (default: the experiment's own)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU if there is one)")
    args = parser.parse_args()
    try:
        print("wrote", run_study(args.name, args.seeds, args.device))
    except ValueError as error:
        parser.error(str(error))
