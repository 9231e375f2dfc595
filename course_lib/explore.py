"""Figures that move without a kernel: a drawing function sampled over a grid of settings.

Serves every chapter. Frames are SVG; matplotlib writes one path segment a line, so the frames
of one figure share nearly all of their lines and are kept as indices into one list of lines.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from .plotting import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_FRAMES = 24
MAX_BYTES = 250_000

_SCRIPT = """
for (const f of document.querySelectorAll('[data-explorer="%s"]:not([data-on])')) {
  f.dataset.on = 1;
  const d = JSON.parse(f.querySelector('.dlm-frames').textContent);
  const controls = [...f.querySelectorAll('input, select')];
  const shown = [...f.querySelectorAll('output')];
  const draw = () => {
    let k = 0;
    controls.forEach((c, i) => {
      k = k * d.axes[i].values.length + Number(c.value);
      shown[i].textContent = d.axes[i].values[c.value];
      c.setAttribute('aria-valuetext', d.axes[i].values[c.value]);
    });
    f.querySelector('.dlm-frame').innerHTML = d.frames[k].map(i => d.lines[i]).join('\\n');
  };
  controls.forEach(c => c.addEventListener('input', draw));
}
"""


class Explorer:
    """A figure with controls: a block of HTML as it is displayed, :meth:`live` with a kernel."""

    def __init__(self, draw: Callable[..., Figure], alt: str, axes: dict[str, list]) -> None:
        self.draw, self.alt, self.axes = draw, alt, axes
        key = json.dumps([draw.__name__, alt, axes])
        self.id = hashlib.sha256(key.encode()).hexdigest()[:10]
        self.frames = [self._svg(settings) for settings in self._grid()]
        size = len(self._repr_html_())
        if size > MAX_BYTES:
            raise ValueError(
                f"explorer {draw.__name__} takes {size:,} bytes, at most {MAX_BYTES:,} are "
                "allowed; draw fewer points or offer fewer settings"
            )

    def _grid(self) -> list[dict[str, Any]]:
        product = itertools.product(*self.axes.values())
        return [dict(zip(self.axes, values, strict=True)) for values in product]

    def _alt(self, settings: dict[str, Any]) -> str:
        return f"{self.alt} ({', '.join(f'{k} = {_text(v)}' for k, v in settings.items())})"

    def _svg(self, settings: dict[str, Any]) -> str:
        fig = self.draw(**settings)
        if fig is None:
            raise TypeError(f"{self.draw.__name__} returned None; end it with `return fig`")
        return to_svg(fig, self._alt(settings), prefix=self.id)

    def __repr__(self) -> str:
        axes = " × ".join(f"{name} ({len(values)})" for name, values in self.axes.items())
        return f"Explorer {self.draw.__name__}: {axes}, {len(self.frames)} frames"

    def _data(self) -> dict[str, Any]:
        table: dict[str, int] = {}
        frames = [
            [table.setdefault(line, len(table)) for line in frame.split("\n")]
            for frame in self.frames
        ]
        axes = [{"name": n, "values": [_text(v) for v in vs]} for n, vs in self.axes.items()]
        alts = [self._alt(settings) for settings in self._grid()]
        return {"axes": axes, "lines": list(table), "frames": frames, "alts": alts}

    def _repr_html_(self) -> str:
        data = json.dumps(self._data(), ensure_ascii=False, separators=(",", ":"))
        data = data.replace("</", "<\\/")  # a closing tag would end the script element
        own = self.id
        controls = "".join(_control(n, v, f"{own}-{n}") for n, v in self.axes.items())
        return (
            f'<figure class="dlm-explorer" data-explorer="{own}" style="margin:0.5em 0">'
            f'<div class="dlm-controls" style="display:flex;flex-wrap:wrap;gap:0.4em 2em">'
            f'{controls}</div><div class="dlm-frame" aria-live="polite" '
            f'style="text-align:center">{self.frames[0]}</div>'
            f'<script type="application/json" class="dlm-frames">{data}</script>'
            f"<script>{_SCRIPT % own}</script></figure>"
        )

    def live(self) -> Any:
        """The same figure with continuous ipywidgets sliders, where there is a kernel.

        Returns:
            An ipywidgets box; as the last line of a cell it is displayed.
        """
        import ipywidgets as widgets

        picture = widgets.HTML()
        controls = {name: _widget(values) for name, values in self.axes.items()}

        def redraw(**settings: Any) -> None:
            picture.value = self._svg(settings)

        out = widgets.interactive_output(redraw, controls)
        rows = [widgets.HBox([widgets.Label(name), c]) for name, c in controls.items()]
        return widgets.VBox([*rows, picture, out])


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _control(name: str, values: Sequence[Any], own: str) -> str:
    if _is_numeric(values):
        field = (
            f'<input type="range" id="{own}" min="0" max="{len(values) - 1}" step="1" value="0" '
            f'aria-valuetext="{_text(values[0])}">'
        )
    else:
        options = "".join(
            f'<option value="{i}">{escape(_text(v))}</option>' for i, v in enumerate(values)
        )
        field = f'<select id="{own}">{options}</select>'
    hidden = "" if _is_numeric(values) else " hidden"
    return (
        f'<span style="display:inline-flex;align-items:center;gap:0.6em">'
        f'<label for="{own}">{escape(name)}</label>{field}'
        f'<output for="{own}" style="min-width:3em"{hidden}>{escape(_text(values[0]))}</output>'
        "</span>"
    )


def _widget(values: Sequence[Any]) -> Any:
    import ipywidgets as widgets

    if not _is_numeric(values):
        return widgets.Dropdown(options=list(values), value=values[0])
    low, high = min(values), max(values)
    if all(isinstance(v, int) for v in values):
        return widgets.IntSlider(values[0], low, high)
    return widgets.FloatSlider(values[0], min=low, max=high, step=(high - low) / 100)


def explore(draw: Callable[..., Figure], *, alt: str, **axes: Sequence[Any]) -> Explorer:
    """Draw a figure over a grid of settings and let the reader move through it.

    Works on the static page, in Colab and in Jupyter; printed, it shows its first frame.

    Args:
        draw: called as ``draw(name=value, ...)`` for each combination; returns a figure.
        alt: what the figure shows; each frame's alt text adds its settings.
        axes: a list of values a control. Numbers become a slider, anything else a menu.

    Returns:
        An :class:`Explorer`; as the last line of a cell it is displayed.

    Raises:
        ValueError: for no control, an empty one, more than 24 frames or 250 KB, or no alt text.

    Example:
        >>> from course_lib.plotting import subplots
        >>> def line(slope):
        ...     fig, ax = subplots(size=(3, 2))
        ...     ax.plot([0, 1], [0, slope])
        ...     return fig
        >>> explore(line, alt="A line through the origin.", slope=[0, 1, 2])
        Explorer line: slope (3), 3 frames
    """
    values = {name: list(v) for name, v in axes.items()}
    if not values or not all(values.values()):
        raise ValueError("explore needs at least one control with values, as in lr=[0.1, 0.3]")
    if len(alt.split()) < 4:
        raise ValueError(f"alt text must say what the figure shows, got {alt!r}")
    count = 1
    for v in values.values():
        count *= len(v)
    if count > MAX_FRAMES:
        raise ValueError(f"{count} frames are more than {MAX_FRAMES}; offer fewer settings")
    return Explorer(draw, alt, values)
