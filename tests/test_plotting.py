"""course_lib.plotting: colours that everybody can tell apart, SVG fit to stand in a page."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import data
from course_lib.plotting import (
    INK,
    PALETTE,
    graph,
    regions,
    scatter,
    show,
    subplots,
    table,
    to_svg,
)

PAGES = {"light": "#ffffff", "dark": "#14181e"}
# Machado, Oliveira & Fernandes 2009: what full deuteranopia and protanopia make of linear RGB.
COLOUR_BLIND = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
}  # fmt: skip


def linear(colour):
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    light, dark = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (a, b))[::-1]
    return light / dark


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(xyz @ rgb / [0.9505, 1, 1.089], 0))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_stands_out_on_both_pages(colour, page):
    assert contrast(colour, page) >= 3


@pytest.mark.parametrize("matrix", COLOUR_BLIND.values(), ids=COLOUR_BLIND)
def test_the_first_three_colours_differ_for_the_colour_blind(matrix):
    seen = [lab(np.clip(np.array(matrix) @ linear(c), 0, 1)) for c in PALETTE[:3]]
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(a - b) > 15  # 2.3 is a just noticeable difference


def drawing():
    fig, ax = subplots()
    ax.plot([0, 1], [0, 1], color=INK, label="a line")
    ax.text(0.5, 0.2, "words")
    ax.imshow([[0, 1], [1, 0]], extent=(0, 1, 0, 1))
    ax.legend()
    fig.legend(loc="outside upper center")
    return fig


def test_svg_follows_the_pages_ink_and_brings_no_white():
    svg = to_svg(drawing(), "a drawing")
    assert "currentColor" in svg
    assert not re.search(r"#000000|#ffffff|<style|<\?xml|DOCTYPE|<metadata", svg)
    assert set(re.findall(r"font-family: ([^;\"]*)", svg)) == {"system-ui, sans-serif"}


def test_svg_is_well_formed_with_unique_ids_that_are_used():
    svg = to_svg(drawing(), 'a "drawing" <of> lines & words')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'a "drawing" <of> lines & words'
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    refs = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    assert len(ids) == len(set(ids)) > 0
    assert set(ids) == {a or b for a, b in refs}


def test_same_drawing_same_bytes_and_other_drawing_other_ids():
    assert to_svg(drawing(), "a drawing") == to_svg(drawing(), "a drawing")
    fig, ax = subplots()
    ax.plot([0, 1], [1, 0])
    ids = [set(re.findall(r' id="([^"]+)"', to_svg(f, "x"))) for f in (drawing(), fig)]
    assert not ids[0] & ids[1]


def test_figures_leave_no_trace_in_pyplot():
    import matplotlib as mpl
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    show(drawing(), alt="a line in a square of four")
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_show_asks_for_an_alt_text():
    with pytest.raises(ValueError, match="what the figure shows, got 'plot'"):
        show(drawing(), alt="plot")


def test_scatter_and_regions_draw_what_they_are_given():
    X, y = data.xor(device="cpu")
    _, ax = subplots()
    scatter(ax, X, y, ("zero", "one"))
    zero, one = ax.collections
    assert zero.get_offsets().tolist() == [[0, 0], [1, 1]]
    assert one.get_offsets().tolist() == [[0, 1], [1, 0]]
    regions(ax, lambda p: torch.sigmoid(p[:, 0] - 0.25), (-1, 2, -1, 2))
    boundary = ax.collections[-1].get_paths()[0].vertices
    assert np.allclose(boundary[:, 0], 0.25, atol=1e-3)
    assert ax.get_xlim() == (-1, 2)


def test_scatter_names_shapes_that_do_not_fit():
    _, ax = subplots()
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(3,\)"):
        scatter(ax, torch.zeros(4, 2), torch.zeros(3))


def test_table_renders_as_markdown_and_as_aligned_text():
    t = table(["gate", "out"], [["AND", 1], ["NAND", 0]])
    assert repr(t) == "gate  out\nAND   1\nNAND  0"
    assert t._repr_markdown_() == "| gate | out |\n|---|---|\n| AND | 1 |\n| NAND | 0 |"


def test_table_refuses_ragged_rows_and_many_columns():
    with pytest.raises(ValueError, match=r"rows of \[1\]"):
        table(["a", "b"], [[1]])
    with pytest.raises(ValueError, match="at most six columns"):
        table(list("abcdefg"), [])


def boxes(fig):
    """The outlines of the boxes of a graph, in pixels, by their text."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(fig).draw()
    texts = [t for t in fig.axes[0].texts if t.get_text()]
    return {t.get_text(): t.get_bbox_patch().get_window_extent() for t in texts}


def arrows(fig):
    return [t for t in fig.axes[0].texts if not t.get_text()]


@st.composite
def graphs(draw):
    """Boxes of one to three lines and edges that lead from lower to higher numbers."""
    n = draw(st.integers(1, 9))
    word = st.text("adeg 0.1", min_size=1, max_size=24)
    texts = {i: "\n".join([f"{i}", *draw(st.lists(word, max_size=2))]) for i in range(n)}
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] < e[1])
    return texts, draw(st.lists(pairs, max_size=12)) if n > 1 else []


@settings(max_examples=40, deadline=None, derandomize=True)
@given(graphs())
def test_a_graph_shows_every_box_once_apart_and_inside_above_what_it_leads_to(drawn):
    texts, edges = drawn
    fig = graph(texts, edges)
    found = boxes(fig)
    assert list(found) == list(texts.values())
    for a, b in itertools.combinations(found.values(), 2):
        assert not a.overlaps(b)
    width, height = fig.get_size_inches() * fig.dpi
    for box in found.values():
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
    for a, b in edges:
        assert found[texts[a]].y0 > found[texts[b]].y1
    assert len(arrows(fig)) == len(edges)  # an edge given twice is drawn twice


def test_arrows_go_from_box_to_box():
    fig = graph({"x": "one", "y": "two\nlines"}, [("x", "y")])
    found, to_pixels = boxes(fig), fig.axes[0].transData.transform
    (arrow,) = arrows(fig)
    start, end = to_pixels(arrow.xyann)[1], to_pixels(arrow.xy)[1]
    assert abs(start - found["one"].y0) < 4 and abs(end - found["two\nlines"].y1) < 4


def test_an_edge_past_a_row_goes_round_its_boxes():
    texts = dict(zip("abc", "abc", strict=True))
    fig = graph(texts, [("a", "b"), ("b", "c"), ("a", "c")])
    (long,) = [line for line in fig.axes[0].lines if len(line.get_xdata()) > 1]
    x, y = fig.axes[0].transData.transform(long.get_xydata())[-1]
    assert not boxes(fig)["b"].contains(x, y)


def test_a_mark_is_drawn_in_colour_and_the_same_graph_gives_the_same_svg():
    texts, edges = {1: "a", 2: "b"}, [(1, 2), (1, 2)]
    plain, marked = (to_svg(graph(texts, edges, mark), "a leads to b") for mark in (None, 2))
    assert PALETTE[1].lower() not in plain and PALETTE[1].lower() in marked
    assert to_svg(graph(texts, edges), "a leads to b") == plain


def test_numbers_in_words_keep_their_digits():
    fig, ax = subplots(size=(3, 2))
    ax.plot([0, 1], [0, 1 / 3])
    ax.set(title="lr = 0.0005", xlabel="0.604")
    svg = show(fig, alt="A line that rises by a third.").svg
    assert "lr = 0.0005" in svg and "0.604" in svg
    path = re.findall(r'd="([^"]*)"', svg)
    assert path and not any(re.search(r"\.\d{3,}", d) for d in path)
