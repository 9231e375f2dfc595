"""The comparer: words exactly, numbers within reason, figures by what they show."""

import base64
import io
import json
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import sample
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from course_lib.playgrounds import cartpole, gridworld
from tools.compare import trouble
from tools.compare_frames import drawing, drawing_trouble, transform
from tools.compare_text import NUMBER, last_unit, text_trouble, value, visible_text
from tools.notebooks import ROOT, compose, dumps, execute


def plain(text):
    return [nbformat.v4.new_output("execute_result", {"text/plain": text})]


def html(text):
    return [nbformat.v4.new_output("display_data", {"text/html": text, "text/plain": "x"})]


def stream(text, name="stdout"):
    return [nbformat.v4.new_output("stream", name=name, text=text)]


SAME = [
    ("loss 0.98", "loss 0.985"),  # half a unit of the last digit
    ("0.1", "0.2"),  # one unit
    ("1e-3", "1.2e-3"),
    ("1.25e-04", "1.26e-04"),
    ("1234.5", "1240.1"),  # half a hundredth
    ("tensor([1., 2.])", "tensor([0.9999, 2.0001])"),
    ("[ 0.01 -0.01]", "[-0.00  0.00]"),
    ("\N{MINUS SIGN}0.52", "-0.53"),
    ("1,234.5 images", "1,235.5 images"),
    ("a  0.97 |\nb 10.01 |", "a 10.0 |\nb 9.99 |".replace("a 10.0", "a 0.97")),
    ("93.1%", "93.2%"),
    ("nan inf", "nan inf"),
]
DIFFERENT = [
    ("12", "13", "integers must be equal"),
    ("-1", "1", "integers must be equal"),
    ("12 of 12", "12 of 13", "number 2"),
    ("1,234 images", "1,235 images", "integers must be equal"),
    ("step 200.", "step 201.", "integers must be equal"),
    ("0.98", "0.96", "stored 0.98, now 0.96; they differ by 0.02, tolerance 0.015"),
    ("1e-3", "3e-3", "tolerance"),
    ("100.0", "102.0", "tolerance 1"),
    ("12", "12.0", "one is an integer and one is not"),
    ("it holds", "it fails", "stored 'it holds', now 'it fails'"),
    ("loss 0.5 down", "loss 0.5 up", "text after 1 numbers"),
    ("0.5", "nan", "text"),
    ("0.5 0.6", "0.5", "text"),
    ("[0.5, 0.6]", "[0.5]", "text"),
    ("version 1.2.3", "version 1.2.4", "text"),
    ("conv2d", "conv3d", "text"),
    ("layer1 0.5", "layer2 0.5", "text"),
    ("2026-01-02", "2026-01-03", "integers must be equal"),
    ("28x28", "28x29", "text"),
    ("a b", "a  b", "text"),
    ("x", "", "text"),
]


@pytest.mark.parametrize(("stored", "now"), SAME)
def test_same(stored, now):
    for wrap in (plain, stream, lambda t: html(f"<p>{t}</p>")):
        assert trouble(wrap(stored), wrap(now)) is None


@pytest.mark.parametrize(("stored", "now", "why"), DIFFERENT)
def test_different(stored, now, why):
    assert why in trouble(plain(stored), plain(now))
    assert trouble(stream(stored), stream(now)).startswith("stream stdout: ")


@given(
    st.floats(-1e12, 1e12), st.sampled_from([".0f", ".1f", ".3f", ".2e", ".6g", "+.2f", ",.2f", ""])
)
@example(1e16, ".6g")
def test_every_printed_number_is_read_back(x, spec):
    """The pattern takes a printed number whole, and its value is the number."""
    text = format(x, spec)
    found = NUMBER.fullmatch(text)
    assert found and found.group("number") == text
    assert value(text) == float(text.replace(",", ""))
    assert text_trouble(f"a {text} b", f"a {text} b") is None


@given(st.floats(1e-6, 1e6), st.integers(1, 4), st.floats(-1.4, 1.4))
def test_a_unit_of_the_last_digit_is_forgiven(x, digits, units):
    stored = f"{x:.{digits}e}"
    now = f"{value(stored) + units * last_unit(stored):.12e}"
    assert text_trouble(stored, now) is None


@given(st.floats(1e-3, 1e6), st.sampled_from([-1, 1]), st.floats(0.0101, 10))
def test_a_hundredth_is_the_limit(x, sign, off):
    stored = f"{x:.8e}"
    now = f"{value(stored) * (1 + sign * off):.12e}"
    assert "tolerance" in text_trouble(f"loss {stored}", f"loss {now}")


@given(st.integers(), st.integers())
def test_integers_are_exact(a, b):
    assert (text_trouble(f"n = {a}", f"n = {b}") is None) == (a == b)


@given(st.text(max_size=40), st.text(max_size=40))
def test_text_without_numbers_is_exact(a, b):
    """Whatever the text: equal passes, and where no number is found the texts must be equal."""
    assert text_trouble(a, a) is None
    if not NUMBER.search(a) and not NUMBER.search(b):
        assert (text_trouble(a, b) is None) == (a == b)


# ---- outputs


def test_outputs_are_counted():
    two = plain("a") + plain("b")
    assert "stored has 2 outputs" in trouble(two, plain("a"))
    assert "stored has 1 outputs" in trouble(plain("a"), two)
    assert "stream stdout" in trouble(stream("a"), [])
    assert "stream stderr" in trouble([], stream("a", "stderr"))
    assert "stored has ['text/html', 'text/plain'], now ['text/plain']" in trouble(
        html("a"), [nbformat.v4.new_output("display_data", {"text/plain": "x"})]
    )


def test_where_a_stream_is_flushed_is_chance():
    assert trouble(stream("a\nb\n"), stream("a\n") + stream("b\n")) is None


def test_html_by_what_is_read():
    a = '<table style="x"><tr><td>1</td><td>0.98</td></tr></table><script>1</script>'
    b = "<div><p>1</p> <i>0.98</i></div><style>.b{}</style><script>2</script>"
    assert trouble(html(a), html(b)) is None
    assert "integers" in trouble(html(a), html(a.replace("<td>1", "<td>2")))
    assert "text" in trouble(html("<b>holds</b>"), html("<b>fails</b>"))
    assert trouble(html("<b>a</b>b"), html("<span>ab</span>")) is None
    assert visible_text("<td>1</td><td>2</td>") == "1 2"


def test_svg_text_and_alternatives_count():
    svg = (
        '<svg role="img" aria-label="Loss 0.52 falls"><path d="M 0 0"/><text x="1">{}</text></svg>'
    )
    assert visible_text(svg.format("epoch")) == "Loss 0.52 falls epoch"
    assert trouble(html(svg.format("epoch")), html(svg.format("epochs")))
    assert trouble(html(svg.format("a")), html(svg.format("a").replace("0.52", "0.60")))
    near, moved = (svg.format("a").replace("M 0 0", to) for to in ("M 1 1", "M 9 9"))
    assert trouble(html(svg.format("a")), html(near)) is None
    assert "SVG units off" in trouble(html(svg.format("a")), html(moved))


def test_json_by_structure():
    def claim(**changes):
        data = {"number": "02.1", "value": 0.98, "n": 3, "ok": True, "seeds": [1, 2]} | changes
        return [nbformat.v4.new_output("display_data", {"application/vnd.x+json": data})]

    assert trouble(claim(), claim(value=0.985)) is None
    assert "$.value" in trouble(claim(), claim(value=0.9))
    assert "integers" in trouble(claim(), claim(n=4))
    assert "$.ok" in trouble(claim(), claim(ok=False))
    assert "$.seeds: stored has 2 items" in trouble(claim(), claim(seeds=[1]))
    assert "keys" in trouble(claim(), claim(more=1))
    assert "$.value: stored 0.98, now None" in trouble(claim(), claim(value=None))


def test_exceptions_need_reasons():
    reason = "sums in another order"
    assert trouble(plain("1"), plain("2"), {"compare": {"ignore": True, "reason": reason}}) is None
    wide = {"compare": {"rtol": 0.2, "reason": reason}}
    assert trouble(plain("10 0.5"), plain("11 0.55"), wide) is None
    assert "tolerance" in trouble(plain("10"), plain("13"), wide)
    assert "text" in trouble(plain("a 1.0"), plain("b 1.0"), wide)
    for wrong in (
        {"ignore": True},
        {"rtol": 0.1, "reason": ""},
        {"reason": reason},
        {"rtl": 1},
        True,
    ):
        assert "expected {rtol" in trouble(plain("1"), plain("1"), {"compare": wrong})


# ---- explorers


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def frame(y=50.0, label="a", image=None):
    lines = ['<svg viewBox="0 0 400 300">', '<g transform="translate(10 20)">']
    lines += [f'<path d="M 0 0 L 100 {y} Q 150 60 200 10 z" style="fill: none"/>']
    lines += [f'<text x="5" y="6">{label}</text>', "</g>"]
    lines += [f'<image x="0" y="0" width="8" height="8" xlink:href="{image}"/>'] if image else []
    return "\n".join([*lines, "</svg>"])


def explorer(frames, alts=None, values=(0.1, 0.2), id="02-a"):
    lines = sorted({line for f in frames for line in f.split("\n")})
    data = {
        "axes": [{"name": "lr", "values": list(values)}],
        "lines": lines,
        "frames": [[lines.index(x) for x in f.split("\n")] for f in frames],
        "alts": alts or ["one", "two"],
    }
    block = json.dumps(data).replace("</", "<\\/")
    control = f'<input type="range" name="lr" min="0" max="{len(values) - 1}" value="0">'
    return html(
        f'<figure class="dlm-explorer" data-explorer="{id}"><label>lr {control}</label>'
        f'<div class="dlm-frame">{frames[0]}</div>'
        f'<script type="application/json" class="dlm-frames">{block}</script></figure>'
    )


def test_explorer_frames_near():
    assert trouble(explorer([frame(), frame(60)]), explorer([frame(51), frame(62.5)])) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (explorer([frame(), frame(70)]), "frame 1: shape 0 (path) lies"),
        (explorer([frame()]), "stored 2 frames, now 1"),
        (explorer([frame(), frame(60)], alts=["one", "2"]), "stored alts"),
        (explorer([frame(), frame(60)], values=(0.1, 0.3)), "stored axes"),
        (explorer([frame(), frame(60)], values=(0.1, 0.2, 0.3)), "stored controls"),
        (explorer([frame(), frame(60)], id="02-b"), "stored explorers ['02-a'], now ['02-b']"),
        (explorer([frame(), frame(60, "b")]), "frame 1: text"),
        (html("<figure>a</figure>"), "text"),
    ],
)
def test_explorer_differs(other, why):
    assert why in trouble(explorer([frame(), frame(60)]), other)


def test_embedded_images_by_their_pixels():
    rng = np.random.default_rng(0)
    a = rng.integers(5, 250, (8, 8, 3))
    near, far_off = a + rng.integers(-3, 4, a.shape), 255 - a
    stored = explorer([frame(), frame(60, image=png(a))])
    assert trouble(stored, explorer([frame(), frame(60, image=png(near))])) is None
    off = explorer([frame(), frame(60, image=png(far_off))])
    assert "embedded image differs by" in trouble(stored, off)
    cropped = explorer([frame(), frame(60, image=png(a[:4]))])
    assert "(8, 8), now (4, 8)" in trouble(stored, cropped)
    assert "images" in trouble(stored, explorer([frame(), frame(60)]))


def test_a_figure_that_is_no_explorer_is_compared_too():
    """One vertex of the second figure moves; pictures that a script holds are not shown."""
    still, script = frame(), "<script>'<svg>'</script>"

    def page(y):
        return html(f'{script}<figure class="dlm-figure">{still}</figure><p>and</p>{frame(y)}')

    assert trouble(page(50), page(52)) is None
    why = trouble(page(50), page(60))
    assert "picture 2 of 2: shape 0 (path) lies" in why and "SVG units off" in why


# ---- playgrounds


def carts(seed=0, **names):
    """A playground of networks whose first weights come from a seed."""
    nets = {}
    for name, shift in (names or {"untrained": 0, "trained": 1}).items():
        layer = torch.nn.Linear(4, 2)
        draws = torch.Generator().manual_seed(seed + shift)
        layer.weight.data = torch.randn(2, 4, generator=draws)
        nets[name] = torch.nn.Sequential(layer)
    return cartpole(nets)._repr_html_()


def test_playgrounds_of_other_weights_are_the_same():
    assert carts() != carts(5)
    assert trouble(html(carts()), html(carts(5))) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (carts(untrained=0, tuned=1), "now 'metres · tuned tuned: a cart"),
        (carts(untrained=0), "text"),
        (carts().replace("Push left", "Push"), "text"),
        (carts().replace('name="left"', 'name="right"'), "explorer 'playground': stored controls"),
        (carts().replace('<rect x="-18"', '<rect x="-38"'), "SVG units off"),
        (carts() * 2, "text"),
    ],
)
def test_playground_differs(other, why):
    assert why in trouble(html(carts()), html(other))


def test_a_playground_and_an_explorer_in_one_output():
    frames = explorer([frame(), frame(60)])[0]["data"]["text/html"]
    other = explorer([frame(), frame(70)])[0]["data"]["text/html"]
    assert trouble(html(frames + carts()), html(frames + carts(3))) is None
    assert "frame 1" in trouble(html(frames + carts()), html(other + carts()))


def test_worlds_are_compared_by_their_words_and_sliders():
    def shown(rows=("S.G",), **settings):
        return html(gridworld(rows, **settings)._repr_html_())

    assert trouble(shown(), shown()) is None
    assert "stored controls" in trouble(shown(), shown(epsilon=0.201))
    assert "number" in trouble(shown(), shown(step=-0.5))
    assert trouble(shown(), shown(("S.X",)))


# ---- geometry


def svg(inside, box="0 0 400 300"):
    return f'<svg viewBox="{box}">{inside}</svg>'


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ('<path d="M 0 0 L 100 0"/>', '<path d="M 0 0 L 50 1 L 100 0"/>'),  # one vertex more
        ('<path d="M10,10 h 20 v 30 H 5 Z"/>', '<path d="M 10 10 L 30 10 L 30 40 L 5 40 z"/>'),
        ('<path d="m 5 5 l 5 5 5 -5"/>', '<polyline points="5,5 10,10 15,5"/>'),
        (
            '<g transform="translate(10 5)"><path d="M 0 0 L 9 9"/></g>',
            '<path d="M 10 5 L 19 14"/>',
        ),
        ('<use x="5" y="5" href="#m"/>', '<use x="6" y="7" href="#n"/>'),
        ('<path d="M 0 0 L 9 9999"/>', '<path d="M 0 0 L 9 8888"/>'),  # out of sight
        ('<defs><path d="M 0 0 L 99 0"/></defs><circle r="9"/>', '<circle r="9"/>'),
        ('<path d="M 0 0 L 50 0"/><path d="M 50 0 L 99 0"/>', '<path d="M 0 0 L 99 0"/>'),
        ('<rect width="20" height="10"/>', '<path d="M 0 0 H 20 V 10 H 0 Z"/>'),
    ],
)
def test_drawings_alike(a, b):
    assert drawing_trouble(svg(a), svg(b)) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ('<path d="M 0 0 L 100 0"/>', '<path d="M 0 0 L 50 0"/>'),  # a part is missing
        ('<path d="M 0 0 L 100 0"/>', '<path d="M 0 0 L 50 9 L 100 0"/>'),
        ('<use x="5" y="5"/>', '<use x="5" y="15"/>'),
        ('<path d="M 0 0 L 9 0"/>', ""),
        ('<path d="M 0 0 L 90 0"/><path d="M 0 50 L 90 50"/>',) * 1
        + ('<path d="M 0 50 L 90 50"/><path d="M 0 0 L 90 0"/>',),  # two lines changed places
        ('<g transform="scale(2)"><use x="5" y="5"/></g>', '<use x="5" y="5"/>'),
    ],
)
def test_drawings_apart(a, b):
    assert drawing_trouble(svg(a), svg(b))


def test_transforms_compose_left_to_right():
    m = transform("translate(10, 20) rotate(90) scale(2 3)")
    assert np.allclose(m @ [1, 0, 1], [10, 22, 1])
    assert np.allclose(transform("rotate(90 5 5)") @ [5, 5, 1], [5, 5, 1])
    assert np.allclose(transform("matrix(1 2 3 4 5 6)") @ [1, 1, 1], [9, 12, 1])


def test_a_real_figure_is_read():
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    def draw(slope):
        figure, axes = plt.subplots()
        axes.plot([0, 1, 2], [0, slope, 1])
        axes.scatter([0.5, 1.5], [0.2, 0.8])
        axes.imshow(np.eye(4), extent=(0, 2, 0, 1))
        axes.set(xlim=(0, 2), ylim=(0, 1))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg")
        plt.close(figure)
        return buffer.getvalue()

    assert {"path", "use", "image"} <= {s.tag for s in drawing(draw(0.5))}
    assert drawing_trouble(draw(0.5), draw(0.505)) is None
    assert "SVG units off" in drawing_trouble(draw(0.5), draw(0.6))


# ---- nbval, end to end


def run_nbval(path, kind="--nbval"):
    command = [sys.executable, "-m", "pytest", kind, "--nbval-current-env"]
    return subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(path.parent),
         "--confcutdir", "/", "-p", "conftest", "-p", "no:cacheprovider", str(path)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip


def test_nbval_uses_this_comparer(tmp_path):
    cells = sample.code("print('loss', 0.98)"), sample.code("print('12 images')")
    source = sample.write(tmp_path, "book/02_x", *cells)
    nb = execute(compose(source), tmp_path, "book/02_x", quiet=True)
    path = source.with_suffix(".ipynb")
    nb.cells[2].outputs[0].text = "loss 0.984\n"
    path.write_bytes(dumps(nb))
    right = run_nbval(path)
    assert right.returncode == 0, right.stdout
    assert "3 passed" in right.stdout
    nb.cells[3].outputs[0].text = "13 images\n"
    path.write_bytes(dumps(nb))
    wrong = run_nbval(path)
    assert wrong.returncode == 1
    assert "1 failed, 2 passed" in wrong.stdout
    assert "stream stdout: number 1 (''): stored 13, now 12; integers must be equal" in wrong.stdout


def test_make_claims_compares_nothing_and_stops_at_an_error(tmp_path):
    """With --nbval-lax other numbers pass; a claim whose verdict is another one does not."""
    code = "from course_lib.claims import claim"
    measured = "claim('02.1', 'It is small', value=2, refuted_if='> 3', holds=True)"
    source = sample.write(tmp_path, "book/02_x", sample.code(code), sample.code(measured))
    nb = execute(compose(source), tmp_path, "book/02_x", quiet=True)
    path = source.with_suffix(".ipynb")
    nb.cells[3].outputs[0].data["text/plain"] = "measured 1"
    path.write_bytes(dumps(nb))
    assert run_nbval(path).returncode == 1
    assert "3 passed" in run_nbval(path, "--nbval-lax").stdout
    nb.cells[3].source = measured.replace("value=2", "value=4")
    path.write_bytes(dumps(nb))
    wrong = run_nbval(path, "--nbval-lax")
    assert "1 failed, 2 passed" in wrong.stdout
    assert "change the text, not the threshold" in wrong.stdout


def test_what_nbval_lax_runs_is_offline_too(tmp_path):
    code = "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"
    source = sample.write(tmp_path, "book/02_x", sample.code(code))
    source.with_suffix(".ipynb").write_bytes(dumps(compose(source)))
    assert "runs offline" in run_nbval(source.with_suffix(".ipynb"), "--nbval-lax").stdout
