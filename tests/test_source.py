"""course_lib.source: the code as it stands, without what the API page says."""

import ast

import pytest
import torch

from course_lib import neuron
from course_lib.source import source, without_docstrings


def test_shown_code_is_the_librarys_code():
    shown = source(neuron.sigmoid, neuron.PerceptronFit)
    scope = {"torch": torch, "Tensor": torch.Tensor, "minus_abs": neuron.minus_abs}
    exec(shown.code.split("\n\n\n")[0], scope)
    z = torch.linspace(-5, 5, 11)
    assert torch.equal(scope["sigmoid"](z), neuron.sigmoid(z))
    assert '"""' not in shown.code
    assert "mistakes: list[int]  # one number per epoch" in shown.code


def test_markdown_is_a_python_block():
    shown = source(neuron.relu)
    assert shown._repr_markdown_() == f"```python\n{shown!r}\n```"


def test_docstrings_on_request():
    assert '"""Rectified linear unit' in source(neuron.relu, docstring=True).code


@pytest.mark.parametrize(
    "code, expected",
    [
        ('def f():\n    "Doc."\n\n    return 1', "def f():\n    return 1"),
        ('def f():\n    "Only this."', 'def f():\n    "Only this."'),
        ('class A:\n    "Doc."\n    def g(self):\n        "Doc."\n        x = 1',
         "class A:\n    def g(self):\n        x = 1"),
        ('x = "not a docstring"', 'x = "not a docstring"'),
    ],
)  # fmt: skip
def test_without_docstrings(code, expected):
    assert without_docstrings(code) == expected
    ast.parse(expected)


def test_what_has_no_source_is_named():
    with pytest.raises(TypeError, match="has no Python source to show"):
        source(torch.relu)
