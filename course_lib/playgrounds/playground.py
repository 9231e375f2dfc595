"""What every playground shares: a figure with a first picture, its data, and a script for both.

A playground is computed in the browser by an ES module of this folder. The module's text stands in
the output itself, so one mechanism serves the static page, Jupyter and Colab, without a kernel.
Where scripts do not run, the first picture and its caption remain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SHARED = "stage.mjs"  # what the modules have in common; they import it
MAX_BYTES = 120_000

_STYLE = (
    ".dlm-playground{margin:.5em 0;text-align:center}"
    ".dlm-playground p{margin:.4em 0;font-variant-numeric:tabular-nums}"
    ".dlm-playground [hidden]{display:none}"
    ".dlm-playground .dlm-controls{margin:.5em 0}"
    ".dlm-playground .dlm-controls:not([hidden]){display:flex;flex-wrap:wrap;gap:.5em .8em;"
    "align-items:center;justify-content:center}"
    ".dlm-playground label{display:inline-flex;align-items:center;gap:.4em;margin:0;"
    "flex-wrap:nowrap;white-space:nowrap}"
    ".dlm-playground input{width:5.2em;min-width:0}"
    ".dlm-playground :is(button,select){font:inherit;color:inherit;background:transparent;"
    "border:1px solid currentColor;border-radius:.35em;padding:.3em .7em;min-height:2.2em}"
    ".dlm-playground option{color:black;background:white}"
    ".dlm-playground button:disabled{opacity:.65;border-style:dashed}"
    ".dlm-playground label span{min-width:2.1em;text-align:left}"
    ".dlm-playground .dlm-said{min-height:1.5em}"
    ".dlm-playground svg{display:block;width:100%;height:auto;margin:0 auto;"
    "touch-action:manipulation}"
    "@media(max-width:600px){.dlm-playground .dlm-controls:not([hidden]){gap:.4em}"
    ".dlm-playground :is(button,select){padding:.3em .45em}.dlm-playground input{width:9em}}"
)

_MOUNT = """
for (const figure of document.querySelectorAll('[data-playground="%s"]:not([data-on])')) {
  figure.dataset.on = 1;
  mount(figure, JSON.parse(figure.querySelector(".dlm-data").textContent));
}
"""


class Playground:
    """A figure that the browser computes; printed, it says what it would show.

    Args:
        module: name of the ES module; it exports ``mount(figure, data)``.
        data: what the module is given, as JSON.
        title: what it is, in a sentence.
        text: what there is to see, and to do.
        controls: HTML of buttons and sliders, a string a row; shown once the script runs.
        picture: HTML of the first picture, which the script then moves.

    Raises:
        ValueError: when the whole takes more than 120 KB.
    """

    def __init__(
        self,
        module: str,
        data: dict[str, Any],
        title: str,
        text: str,
        controls: Sequence[str],
        picture: str,
    ) -> None:
        self.module, self.data, self.title, self.text = module, data, title, text
        self.controls, self.picture = controls, picture
        key = json.dumps([module, data, title, text])
        self.id = hashlib.sha256(key.encode()).hexdigest()[:10]
        size = len(self._repr_html_().encode())
        if size > MAX_BYTES:
            raise ValueError(
                f"playground {module} takes {size:,} bytes, at most {MAX_BYTES:,} are allowed; "
                "give it fewer cells, or smaller networks"
            )

    def __repr__(self) -> str:
        return f"Playground {self.module}: {self.title}"

    def _repr_html_(self) -> str:
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        data = data.replace("<", "\\u003c")  # no tag can begin or end in it
        rows = "".join(f'<div class="dlm-controls" hidden>{row}</div>' for row in self.controls)
        return (
            f'<figure class="dlm-playground" data-playground="{self.id}"><style>{_STYLE}</style>'
            f"{rows}{self.picture}<figcaption>{escape(f'{self.title} {self.text}')} "
            '<span class="dlm-without">It needs JavaScript, which does not run here: this is its '
            "first picture.</span></figcaption>"
            f'<script type="application/json" class="dlm-data">{data}</script>'
            f'<script type="module">\n{script(self.module)}{_MOUNT % self.id}</script></figure>'
        )


def script(module: str) -> str:
    """The text of a module with the shared one before it, in the place of its import."""
    own = (FOLDER / f"{module}.mjs").read_text(encoding="utf-8")
    shared = (FOLDER / SHARED).read_text(encoding="utf-8")
    kept = [line for line in own.split("\n") if f'from "./{SHARED}"' not in line]
    return shared + "\n".join(kept)


def button(name: str, label: str) -> str:
    """A button, as the script finds it by its name."""
    return f'<button type="button" name="{name}">{escape(label)}</button>'


def slider(name: str, label: str, low: float, high: float, value: float) -> str:
    """A slider with its label and the value that it stands at, in hundredths."""
    shown = max(f"{value:.2f}", f"{value:g}", key=len)  # 0.90, but 0.995
    return (
        f'<label>{escape(label)}<input type="range" name="{name}" min="{low:g}" max="{high:g}" '
        f'step="0.01" value="{value:g}" autocomplete="off">'
        f'<span aria-hidden="true">{shown}</span></label>'
    )


def menu(name: str, label: str, options: dict[Any, str], chosen: Any) -> str:
    """A menu with its label: values and what they are called."""
    rows = "".join(
        f'<option value="{escape(str(value))}"{" selected" * (value == chosen)}>'
        f"{escape(text)}</option>"
        for value, text in options.items()
    )
    return f'<label>{escape(label)}<select name="{name}" autocomplete="off">{rows}</select></label>'
