"""CONTRIBUTING.md is true: its commands, files and messages are those of the project."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# The chapter of its examples, which there is not, for one that there is.
TRUE = PAGE.replace("88_lighthouse", "02_neuron").replace("lighthouse", "neuron")
TREE = "benchmarks|book|course_lib|exercises|solutions|tests|tools"


def commands(start):
    """The lines of the page's shell blocks that begin so, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", TRUE, re.S)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [part for line in lines for part in line.split(" && ") if part.startswith(start)]


def sources():
    """The text of everything that can say something to an author."""
    folders = ("tests", "tools", "course_lib")
    paths = [p for folder in folders for p in (ROOT / folder).rglob("*.py") if p != Path(__file__)]
    return "\n".join(p.read_text(encoding="utf-8") for p in [*paths, ROOT / "Makefile"])


def test_every_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = set(re.findall(r"`make ([a-z]+)", TRUE)) | {c.split()[1] for c in commands("make ")}
    assert len(named) >= 10
    assert named <= targets


def test_every_file_exists():
    named = set(re.findall(rf"(?<![\w/])(?:{TREE})/[\w./]+\.\w+", TRUE))
    named |= {p.strip() for p in re.findall(r"`([\w.]+\.(?:md|yml))`", TRUE)}
    assert len(named) >= 12
    assert [p for p in sorted(named) if not (ROOT / p).exists()] == []


@pytest.mark.parametrize("command", commands(".venv/bin/python -m pytest"))
def test_the_tests_that_it_calls_can_be_collected(command):
    words = shlex.split(command)[1:]
    run = [sys.executable, *words, "--collect-only"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_an_exercise_is_tried_as_it_shows(capsys):
    (command,) = commands(".venv/bin/python -c")
    exec(shlex.split(command)[-1], {})
    assert "hint: you compared the weighted sum with 0" in capsys.readouterr().out


def test_the_messages_that_it_explains_are_said_somewhere():
    said = sources()
    rows = re.findall(r"^\| (.*`[^|]+) \| [^|]+ \|$", PAGE.partition("| It says | Do |")[2], re.M)
    phrases = [words for row in rows for words in re.findall(r"`([^`]+)`", row)]
    parts = [p.strip(" ,") for words in phrases for p in re.split(r"\.\.\.|[\d.]+", words)]
    assert len(phrases) >= 12
    assert [part for part in parts if part not in said] == []
