"""Small notebooks for the tests of the tools: MyST sources made in a temporary folder."""

from pathlib import Path

from tools.notebooks import TEMPLATE

FRONT = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---
"""


def code(source: str, tags: str = "", extra: str = "") -> str:
    """A code cell of a MyST notebook."""
    options = (f":tags: [{tags}]\n" if tags else "") + (f"{extra}\n" if extra else "")
    return f"```{{code-cell}} ipython3\n{options}\n{source.rstrip()}\n```\n"


def setup() -> str:
    """The setup cell."""
    return code(TEMPLATE.read_text(encoding="utf-8"), "setup")


def page(*cells: str, title: str = "A sample") -> str:
    """A MyST notebook: front matter, title, setup cell, the given cells."""
    return "\n".join([FRONT, f"# {title}\n", setup(), *cells])


def write(root: Path, name: str, *cells: str, title: str = "A sample") -> Path:
    """Write a MyST notebook `book/02_x` under a folder and return its path."""
    path = root / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(*cells, title=title), encoding="utf-8")
    return path


MASTER = (
    "## Exercise 2.1: Doubling\n\nDouble it.\n",
    code(
        'import math\n\nimport torch\n\n\ndef double(x):  # (B,)\n    """Twice x."""\n'
        "    secret = x + x\n    return secret\n",
        "solution",
    ),
    code("try:\n    print(double(2))\nexcept NotImplementedError as todo:\n    print(todo)\n"),
    "## Exercise 2.2: A net\n",
    code(
        'class Net(torch.nn.Module):\n    """Identity."""\n\n    def forward(self, x):\n'
        "        return x * 1.0\n",
        "solution",
    ),
    code("answer_of_mine = 42\n", "solution-only"),
    '+++ {"tags": ["exercise-only"]}\n\nYour turn.\n',
)
