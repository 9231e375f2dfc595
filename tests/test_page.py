"""tools.page and tools.icons: addresses, masks, and the theme without its icon font."""

import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from needs import needs

from tools import page
from tools.icons import ICONS, stylesheet

ROOT = Path(__file__).parents[1]


def test_addresses_follow_the_fork(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    assert page.repository_url() == "https://github.com/someone/fork"
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.x/")
    assert page.repository_url() == "https://git.x/someone/fork"
    url = page.colab_address(page.repository(), "book/02_neuron.ipynb")
    assert url.endswith("/github/someone/fork/blob/published/book/02_neuron.ipynb")
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert page.repository() == ""


@pytest.fixture
def node(monkeypatch):
    """The way to node, as the book's settings have it."""
    binary = Path(page.NODE_ROOT) if os.name == "nt" else Path(page.NODE_ROOT, "bin")
    monkeypatch.setattr(page.katex, "NODEJS_BINARY", str(binary / "node"))


@pytest.mark.skipif(os.name != "posix", reason="elsewhere sphinxcontrib-katex starts it itself")
def test_the_server_of_formulas_answers_each_request(node, tmp_path):
    process, connection = page.start_katex(tmp_path, timeout=300)
    server = page.katex.KaTeXServer(tmp_path, process, connection)
    try:
        for latex in ("x^2", r"\frac{1}{2}"):
            answer = server.render({"latex": latex, "katex_options": {}}, timeout=300)
            assert 'class="katex"' in answer["html"]
    finally:
        server.terminate()
    assert process.poll() is not None


@pytest.mark.skipif(os.name != "posix", reason="elsewhere sphinxcontrib-katex starts it itself")
def test_a_server_of_formulas_that_does_not_come_is_told_of(node, tmp_path):
    with pytest.raises(page.katex.KaTeXError, match="did not came up after 0 seconds"):
        page.start_katex(tmp_path, timeout=0)


@pytest.mark.parametrize("folder, saved", [("book", ""), ("exercises", "02_x_exercises.ipynb")])
def test_exercises_are_not_saved_over_the_chapter(folder, saved):
    link = f'<a class="dlm-colab dlm-{folder} reference download internal" download="{{}}" '
    link += 'href="../_downloads/c8f3/02_x.ipynb">'
    assert page.name_downloads(link.format("")) == link.format(saved)


@pytest.mark.parametrize(
    "css, kept",
    [
        ('@font-face{font-family:"Font Awesome 6 Free";src:url(a.woff2)}a{b:c}', "a{b:c}"),
        ('.fa-bars:before,.fa-x::before{content:"x"}.note:before{content:"y"}',
         '.note:before{content:"y"}'),
    ],
)  # fmt: skip
def test_the_icon_font_and_nothing_else_is_taken_out(css, kept):
    assert page.without_fontawesome(css) == kept


def test_every_icon_is_a_picture_that_can_be_read():
    css = unquote(stylesheet())
    assert len(ICONS) >= 20
    pictures = re.findall(r"<svg.*?</svg>", css, re.S)
    assert len(pictures) >= len(ICONS)
    for picture in pictures:
        assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_script_weight_counts_local_scripts_compressed(tmp_path):
    (tmp_path / "a.js").write_text("x = 1;" * 1000, encoding="utf-8")
    text = '<script src="a.js?v=1"></script><script src="https://elsewhere.example/b.js"></script>'
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert 0 < page.script_weight(tmp_path / "page.html") < 200


def test_launch_buttons_stand_only_where_the_build_is_stamped(tmp_path):
    """Build the book as the publish workflow of a fork does; the other build has no button."""
    env = {**os.environ, "GITHUB_REPOSITORY": "someone/fork"}
    build = Path(sys.executable).with_name("jupyter-book")
    command = [str(build), "build", "-q", "-W", "--keep-going", "--path-output", str(tmp_path), "."]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    opens = "/github/someone/fork/blob/published/"
    chapters = sorted(p.stem for p in (ROOT / "book").glob("[0-9][0-9]_*.md"))
    stamps = {"book": True, "exercises": True, "solutions": False}
    for full, (folder, stamped) in product(chapters, stamps.items()):
        html = (tmp_path / f"_build/html/{folder}/{full}.html").read_text(encoding="utf-8")
        header = html[html.index("header-article") : html.index("<article")]
        assert (f"{opens}{folder}/{full}.ipynb" in header) is stamped, f"{folder}/{full}"
    built = ROOT / f"_build/html/book/{chapters[0]}.html"
    needs("book", built.exists(), "the book is not built; run make book")
    stamped = "GITHUB_REPOSITORY" in os.environ  # a workflow, or a hosted editor
    assert ("/blob/published/" in built.read_text(encoding="utf-8")) is stamped
