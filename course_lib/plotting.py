"""Figures of the book: matplotlib drawings shown as SVG that reads on white and on black.

Serves every chapter. Text and axes take the colour of the surrounding page (``currentColor``);
data take the colours of ``PALETTE``, which have a contrast of 3 : 1 against both backgrounds and
differ for colour-blind readers (after Okabe & Ito 2008).
"""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

INK = "black"  # drawn in the page's own text colour
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#B5519C", "#8C6D1F", "#6A6FC4")
MARKERS = ("o", "^", "s", "D", "v", "P")

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "deep learning, measured",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2,
    "path.simplify": False,
}


class Picture:
    """A finished figure: SVG in a notebook or page, its alt text anywhere else."""

    def __init__(self, svg: str, alt: str, caption: str | None = None) -> None:
        self.svg, self.alt, self.caption = svg, alt, caption

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_html_(self) -> str:
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        style = "margin:0.5em 0;text-align:center"
        return f'<figure class="dlm-figure" style="{style}">{self.svg}{caption}</figure>'


class Table:
    """A small table; Markdown where that is rendered, aligned text elsewhere."""

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.rows = [list(map(str, head)), *(list(map(str, row)) for row in rows)]

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        pad = [[c.ljust(w) for c, w in zip(r, widths, strict=True)] for r in self.rows]
        return "\n".join("  ".join(row).rstrip() for row in pad)

    def _repr_markdown_(self) -> str:
        head, *rows = ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([head, "|" + "---|" * len(self.rows[0]), *rows])


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A small table of text and formatted numbers, at most six narrow columns.

    Args:
        head: a name a column, with its unit.
        rows: a list of cells a row, as many as there are columns; numbers formatted by you.

    Returns:
        A :class:`Table`; as the last line of a cell it is displayed.

    Raises:
        ValueError: for more than six columns or a row of another length than the head.

    Example:
        >>> table(["gate", "outputs"], [["AND", "0 0 0 1"]])
        gate  outputs
        AND   0 0 0 1
    """
    if len(head) > 6 or any(len(row) != len(head) for row in rows):
        lengths = sorted({len(row) for row in rows})
        raise ValueError(
            f"a table has at most six columns and rows as long as its head, got {len(head)} "
            f"names and rows of {lengths}"
        )
    return Table(head, rows)


def subplots(
    rows: int = 1, cols: int = 1, size: tuple[float, float] = (4.8, 3.2), **options: Any
) -> tuple[Figure, Any]:
    """Make a figure in the style of the book and its axes, without pyplot's global state.

    Args:
        rows: rows of axes.
        cols: columns of axes.
        size: width and height in inches; up to 4.8 wide, its text stays readable on a phone.
        options: passed on to ``Figure.subplots`` (``sharey=True`` ...).

    Returns:
        The figure, and one axes or an array of them.

    Example:
        >>> fig, ax = subplots(size=(4, 3))
        >>> lines = ax.plot([0, 1], [0, 1])
        >>> show(fig, alt="A straight line from 0 to 1.")
        Figure: A straight line from 0 to 1.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**STYLE, "axes.prop_cycle": mpl.cycler(color=PALETTE)}):
        fig = Figure(figsize=size, layout="constrained")
        return fig, fig.subplots(rows, cols, **options)


def show(fig: Figure, alt: str, caption: str | None = None) -> Picture:
    """Turn a figure into a picture; as the last line of a cell it is displayed.

    Args:
        fig: a matplotlib figure, best from :func:`subplots`.
        alt: what the picture shows, in a sentence or two, for those who cannot see it.
        caption: printed below the picture, if given.

    Returns:
        A :class:`Picture`.

    Raises:
        ValueError: when the alt text is missing or too short to say anything.
    """
    if len(alt.split()) < 4:
        raise ValueError(f"alt text must say in a few words what the figure shows, got {alt!r}")
    return Picture(to_svg(fig, alt), alt, caption)


def to_svg(fig: Figure, alt: str, prefix: str | None = None) -> str:
    """The figure as SVG to stand inside a page: same input, same text.

    Args:
        fig: a matplotlib figure.
        alt: its alt text.
        prefix: of the ids inside, unique on a page; by default a hash of the drawing.

    Returns:
        One ``<svg>`` element, a path segment a line, with no ids but those that it uses.
    """
    import matplotlib as mpl

    for legend in [*fig.legends, *(ax.get_legend() for ax in fig.axes)]:
        if legend:
            legend.set_frame_on(False)  # a frame would be a white slab on a dark page
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        fig.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _inline(buffer.getvalue(), alt, prefix, width=round(fig.get_figwidth() * 115))


def _inline(svg: str, alt: str, prefix: str | None, width: int) -> str:
    """What a stand-alone SVG file needs changed to live in the middle of a page."""
    view = re.search(r'viewBox="([^"]+)"', svg).group(1)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.S)
    # matplotlib's style sheet is meant for its own file; here it would restyle the whole page
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.S)
    body = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", body)
    body = body.replace("xlink:href", "href").replace("#000000", "currentColor")
    # a hundredth of a point is finer than a screen shows; what stands between the tags is text
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _hundredths, tag[0]), body)
    body = _rename_ids(body, prefix or hashlib.sha256(body.encode()).hexdigest()[:6])
    body = re.sub(r"\n\s*\n+", "\n", body).strip()
    style = (
        f"width:100%;max-width:{width}px;height:auto;overflow:visible;"
        "fill:currentColor;stroke-linejoin:round;stroke-linecap:butt"
    )
    head = f'<svg role="img" aria-label="{escape(alt)}" viewBox="{view}" style="{style}">'
    return f"{head}\n{body}"


def _hundredths(number: re.Match) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _rename_ids(body: str, prefix: str) -> str:
    """Keep only ids that something refers to, and make them this figure's own."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))

    def rename(match: re.Match) -> str:
        return f' id="{prefix}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]+)"', rename, body)
    return re.sub(r'(href="#|url\(#)([^")]+)', rf"\g<1>{prefix}-\2", body)


def scatter(
    ax: Axes, X: Tensor, y: Tensor, names: tuple[str, ...] = ("class 0", "class 1")
) -> None:
    """Points of a plane, with one colour and one marker per class.

    Args:
        ax: where to draw.
        X: points, shape (B, 2).
        y: classes, integers (any dtype), shape (B,).
        names: what the legend calls them.

    Raises:
        ValueError: when the shapes do not fit.
    """
    if X.ndim != 2 or X.shape[1] != 2 or y.shape != X.shape[:1]:
        raise ValueError(f"expected X (B, 2) and y (B,), got {tuple(X.shape)} and {tuple(y.shape)}")
    X, y = X.detach().cpu(), y.detach().cpu()
    for k, name in enumerate(names):
        points = X[y == k]
        style = {"s": 18, "color": PALETTE[k], "marker": MARKERS[k], "linewidths": 0}
        ax.scatter(points[:, 0], points[:, 1], label=name, **style)


def regions(
    ax: Axes, predict: Callable[[Tensor], Tensor], limits: tuple[float, float, float, float]
) -> None:
    """Shade where a classifier says 1 and draw its boundary, the level 0.5.

    Args:
        ax: where to draw.
        predict: maps points of shape (B, 2) to a score between 0 and 1, shape (B,).
        limits: left, right, bottom, top.
    """
    import torch

    left, right, bottom, top = limits
    x1, x2 = torch.meshgrid(
        torch.linspace(left, right, 81), torch.linspace(bottom, top, 81), indexing="xy"
    )
    grid = torch.stack([x1.flatten(), x2.flatten()], 1)  # (81·81, 2)
    with torch.no_grad():
        score = predict(grid).detach().cpu().reshape(x1.shape)
    ax.contourf(x1, x2, score, [-9, 0.5, 9], colors=PALETTE[:2], alpha=0.14)
    ax.contour(x1, x2, score, [0.5], colors=INK, linewidths=1.5)
    ax.set(xlim=(left, right), ylim=(bottom, top))


def graph(texts: dict[Any, str], edges: Sequence[tuple[Any, Any]], mark: Any = None) -> Figure:
    """Draw boxes joined by arrows that point down, such as the graph of a computation.

    Args:
        texts: what stands in each box, by its key.
        edges: pairs of keys, from and to, without circles. A pair given twice is drawn twice.
        mark: the key of a box to draw in colour.

    Returns:
        A figure, about 4.8 inches wide where a row holds four boxes of short lines.
    """
    rows = _rows(texts, edges)
    ways = {edge: _way(edge, rows) for edge in edges}
    places = _places(texts, rows, ways.values())
    lines = {key: text.split("\n") for key, text in texts.items()}
    height = 0.2 * max(map(len, lines.values())) + 0.42  # inches a row
    half = {key: (0.09 * len(line) + 0.07) / height for key, line in lines.items()}  # in rows
    column, left, right = _columns(places, lines)
    size = max(column * (right - left), 2.4), height * (max(rows.values()) + 1)
    fig, ax = subplots(size=size)
    for key, text in texts.items():
        style = {"boxstyle": "round,pad=0.4", "fc": "none", "lw": 1, "ec": INK}
        style |= {"ec": PALETTE[1], "lw": 2.5} if key == mark else {}
        ax.text(*places[key], text, ha="center", va="center", size=9, bbox=style)
    for edge, way in ways.items():
        (x, row), *between, (x_end, row_end) = [places[key] for key in way]
        points = [(x, row - half[way[0]]), *between, (x_end, row_end + half[way[-1]])]
        ax.plot(*zip(*points[:-1], strict=True), color=PALETTE[0], lw=1)
        times = edges.count(edge)
        for k in range(times):
            bend = 0.3 * (2 * k - times + 1)
            arrow = {"arrowstyle": "->", "color": PALETTE[0], "lw": 1, "shrinkA": 0, "shrinkB": 0}
            arrow["connectionstyle"] = f"arc3,rad={bend}"
            ax.annotate("", points[-1], points[-2], arrowprops=arrow)
    ax.set(xlim=(left, right), ylim=(-0.5, max(rows.values()) + 0.5))
    ax.axis("off")
    return fig


def _rows(keys: Iterable[Any], edges: Sequence[tuple[Any, Any]]) -> dict[Any, int]:
    """The row of each box, counted upwards: above all that it leads to."""
    rows = dict.fromkeys(keys, 0)
    for _ in rows:  # the longest way has no more steps than there are boxes
        for a, b in edges:
            rows[a] = max(rows[a], rows[b] + 1)
    return rows


def _way(edge: tuple[Any, Any], rows: dict[Any, int]) -> list[Any]:
    """The keys along an edge: a place of its own in each row that it passes through."""
    a, b = edge
    return [a, *((edge, row) for row in range(rows[a] - 1, rows[b], -1)), b]


def _places(
    texts: dict[Any, str], rows: dict[Any, int], ways: Iterable[list[Any]]
) -> dict[Any, tuple[float, int]]:
    """Column and row of every key: above the middle of what it leads to, where there is room."""
    follow: dict[Any, list[Any]] = {key: [] for key in texts}
    for way in ways:
        for a, b in itertools.pairwise(way):
            follow.setdefault(a, []).append(b)
    row_of = {key: rows[key] if key in rows else key[1] for key in follow}
    columns: dict[Any, float] = {}
    for row in range(max(row_of.values()) + 1):
        line = [key for key in follow if row_of[key] == row]
        wish = {k: sum(columns[f] for f in follow[k]) / max(len(follow[k]), 1) for k in line}
        line.sort(key=wish.__getitem__)
        at: list[float] = []
        for key in line:
            at.append(max(wish[key], at[-1] + 1) if at else wish[key])
        shift = sum(wish[k] - x for k, x in zip(line, at, strict=True)) / len(line)
        columns |= {k: x + shift for k, x in zip(line, at, strict=True)}
    return {key: (columns[key], row_of[key]) for key in follow}


def _columns(
    places: dict[Any, tuple[float, int]], lines: dict[Any, list[str]]
) -> tuple[float, float, float]:
    """Inches a column, so that neighbours do not touch, and the left and right end in columns."""
    half = {key: 0.04 * max(map(len, line)) + 0.1 for key, line in lines.items()}  # inches
    column = 1.15
    for a, b in itertools.combinations(lines, 2):
        (x_a, row_a), (x_b, row_b) = places[a], places[b]
        if row_a == row_b:
            column = max(column, (half[a] + half[b]) / abs(x_a - x_b))
    ends = [(x, max(half.get(key, 0) / column, 0.5)) for key, (x, _) in places.items()]
    return column, min(x - end for x, end in ends), max(x + end for x, end in ends)
