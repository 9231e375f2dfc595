"""The setup cell: short, clear when it cannot help, and it never changes numpy or torch."""

import importlib.util
import subprocess
from importlib.metadata import version

import pytest

from tools.notebooks import TEMPLATE

TEXT = TEMPLATE.read_text(encoding="utf-8")


@pytest.fixture
def no_library(monkeypatch):
    """As if course_lib were not installed; pip's calls are collected."""
    calls = []
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "course_lib" else real(name)
    )
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    monkeypatch.delenv("COURSE_LIB_SOURCE", raising=False)
    return calls


def test_it_is_short():
    lines = TEXT.splitlines()
    assert len(lines) <= 14 and max(map(len, lines)) <= 72
    assert lines.count("COURSE = None") == 1  # what the publish step stamps


def test_an_installed_library_is_used(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", None)  # calling it would raise
    exec(TEXT, {})
    assert capsys.readouterr().out == "The course library is ready.\n"


def test_it_says_what_to_install(no_library):
    with pytest.raises(ImportError, match=r"In the folder of the book run: pip install -e \."):
        exec(TEXT, {})
    assert no_library == []


@pytest.mark.parametrize("stamped", [True, False])
def test_it_installs_beside_the_numpy_and_torch_that_are_there(no_library, monkeypatch, stamped):
    source = "course_lib @ git+https://example.org/a/b@c0ffee"
    if not stamped:
        monkeypatch.setenv("COURSE_LIB_SOURCE", source)
    exec(TEXT.replace("COURSE = None", f"COURSE = {source!r}") if stamped else TEXT, {})
    pins = [f"{name}=={version(name)}" for name in ("numpy", "torch")]
    assert no_library[0][-3:] == [source, *pins]
