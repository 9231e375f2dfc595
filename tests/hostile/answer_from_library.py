"""Attacks by import: the chapter's own module, which holds answers, by every road to it."""

# %%
from course_lib.autograd import Value

# %%
from course_lib.autograd import unbroadcast

# %%
import importlib

Dual = importlib.import_module("course_lib.autograd").Dual

# %%
import glob
import os
import runpy
import sys

roads = [*sys.path, "/", "/*", "/*/*", "/usr/lib/python3*/*-packages", "~", "~/*"]
for road in map(os.path.expanduser, roads):
    for path in glob.glob(f"{road}/course_lib/autograd.py"):
        try:
            names = runpy.run_path(path, run_name="course_lib.autograd")
            Value, Dual = names["Value"], names["Dual"]
            unbroadcast = names["unbroadcast"]
        except Exception:
            continue

# %%
import pkgutil

import course_lib

for module in pkgutil.walk_packages(course_lib.__path__, "course_lib."):
    try:
        found = vars(importlib.import_module(module.name))
    except Exception:
        continue
    for name in ("Value", "Dual", "unbroadcast"):
        if name in found:
            globals()[name] = found[name]

# %%
from course_lib.checks.autograd import check

for name in ("Value", "Dual", "unbroadcast"):
    if name in globals():
        check(globals()[name])


# %%
def train_on_moons(*args):
    return "nothing"
