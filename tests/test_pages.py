"""Every built page, in a browser: light and dark, desk and phone.

No request leaves the server, no script fails, no page scrolls sideways, every explorer shows the
frame that its controls choose, every playground runs, every text has contrast, every link arrives.
Run `make book` first.
"""

import gzip
import io
import json
import os
import re
import threading
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from browser import FAINT, GROUND, patience
from bs4 import BeautifulSoup
from needs import needs
from PIL import Image

from tools.page import INDEX, script_weight
from tools.serve import make_server

HTML = Path(os.environ.get("BOOK_HTML", Path(__file__).parents[1] / "_build" / "html"))
SCRIPT_BUDGET = 60_000  # bytes (gz) of script a page may load
INDEX_BUDGET = 2_000  # bytes (gz) of search index for each page of the book
LOADED = [("light", 1280), ("dark", 390)]  # each page, which then turns to the other theme

PAGES = sorted(
    str(path.relative_to(HTML)) for path in HTML.rglob("*.html") if "_static" not in path.parts
)
# index.html only sends on to the first page.
SHOWN = [page for page in PAGES if page != "index.html"]
CHAPTERS = [page for page in SHOWN if re.match(r"book/\d\d_", page)]
on_every_page = pytest.mark.parametrize("page_name", PAGES or ["no build"])


@pytest.fixture(scope="session")
def built():
    """The folder of the built book."""
    needs("browser", bool(PAGES), f"there is no built book in {HTML}: run `make book`")
    return HTML


@pytest.fixture(scope="session")
def server(built):
    """The address of the built book, served on a free port of this machine."""
    with make_server(str(built), port=0) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


# --- in the browser ----------------------------------------------------------------------------

# Scroll through the page, so that all of it is drawn: a frame of each screen, if one comes.
SCROLL = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const second = () => new Promise(go => setTimeout(go, 1000));
  for (let y = 0; y < document.body.scrollHeight; y += 800) {
    scrollTo(0, y); await Promise.race([frame(), second()]); }
}"""

# Move every control of the page to its ends and back; open what opens.
MOVE_ALL = """() => {
  const fire = e => {
    for (const t of ["input", "change"]) e.dispatchEvent(new Event(t, {bubbles: true})); };
  for (const e of document.querySelectorAll("article input[type=range]"))
    for (const v of [e.max, e.min]) { e.value = v; fire(e); }
  for (const e of document.querySelectorAll("article select"))
    for (const i of [e.options.length - 1, 0]) { e.selectedIndex = i; fire(e); }
  for (const e of document.querySelectorAll("article input[type=checkbox]:not([disabled])"))
    { e.click(); e.click(); }
  for (const e of document.querySelectorAll("article details")) e.open = true;
  for (const e of document.querySelectorAll("article .dlm-explorer button, article .toggle-button"))
    e.click();
  for (const e of document.querySelectorAll("article .dlm-playground button"))
    { e.click(); e.click(); }
}"""

# Set the controls of one explorer to the place `at` (an index for each axis).
SET = """(figure, at) => {
  [...figure.querySelectorAll("input[type=range], select")].forEach((e, i) => {
    if (e.tagName === "SELECT") e.selectedIndex = at[i];
    else e.value = +e.min + at[i] * (+e.step || 1);
    for (const t of ["input", "change"]) e.dispatchEvent(new Event(t, {bubbles: true}));
  });
}"""

# Lift the frame to a corner of the window, where whole pixels begin and nothing lies over it.
LIFT = (
    "(frame) => {"
    + GROUND
    + """
  const g = ground(frame), s = getComputedStyle(frame), w = frame.clientWidth;
  frame.dataset.was = frame.getAttribute("style") || "";
  Object.assign(frame.style, {position: "fixed", left: 0, top: 0, width: w + "px", margin: 0,
    zIndex: 99999, background: `rgb(${g})`});
  return {width: w, ground: `rgb(${g})`, color: s.color, font: s.font, align: s.textAlign,
    height: frame.clientHeight};
}"""
)
DROP = "frame => frame.setAttribute('style', frame.dataset.was)"


def pixels(png: bytes) -> np.ndarray:
    """A screenshot as floats, (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)


def soft(image: np.ndarray) -> np.ndarray:
    """Each pixel averaged with its neighbours, (H, W, 3) -> (H - 2, W - 2, 3)."""
    return np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1)).mean((-1, -2))


def far_apart(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pixels that differ visibly; 1 where the sizes differ by more than a pixel.

    Both are softened, because Chromium may draw a thin line softer in a layer of its own.
    """
    if abs(a.shape[0] - b.shape[0]) > 1 or abs(a.shape[1] - b.shape[1]) > 1:
        return 1.0
    h, w = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
    return float((np.abs(soft(a[:h, :w]) - soft(b[:h, :w])).max(axis=-1) > 32).mean())


def frame_svg(data: dict, k: int) -> str:
    """Frame k of an explorer's data."""
    return "\n".join(data["lines"][i] for i in data["frames"][k])


def places(shape: list[int]) -> list[tuple[int, ...]]:
    """A few places of the grid: the first, the last, and the middle."""
    last = tuple(n - 1 for n in shape)
    return list(dict.fromkeys([tuple(n // 2 for n in shape), last, tuple(0 for _ in shape)]))


def move_explorer(figure) -> list[tuple]:
    """Move one explorer; what it showed, and what a fresh page must show: (k, png, html)."""
    data = json.loads(figure.query_selector("script.dlm-frames").text_content())
    shape = [len(axis["values"]) for axis in data["axes"]]
    assert len(data["frames"]) == len(data["alts"]) == np.prod(shape)
    frame = figure.query_selector(".dlm-frame")
    shots = []
    for at in places(shape):
        figure.evaluate(SET, list(at))
        k = int(np.ravel_multi_index(at, shape))  # the last axis runs fastest
        assert frame.query_selector("svg").get_attribute("aria-label") == data["alts"][k]
        style = frame.evaluate(LIFT)
        shown = frame.screenshot()
        frame.evaluate(DROP)
        fresh = (
            f"<body style='margin:0;background:{style['ground']};color:{style['color']}'>"
            "<style>svg { max-width: 100%; height: auto }</style>"
            f"<div id='f' style='font:{style['font']};text-align:{style['align']};"
            f"width:{style['width']}px'>{frame_svg(data, k)}</div></body>"
        )
        shots.append((k, pixels(shown), fresh))
    for (_, one, _), (_, other, _) in pairwise(shots):
        assert far_apart(one, other) > 0, "the picture did not change"
    return shots


def check_frames(blank, shots: list[tuple]) -> None:
    """Draw the chosen frames on an empty page, and compare."""
    for k, shown, html in shots:
        blank.set_content(html)
        fresh = pixels(blank.locator("#f").screenshot())
        assert fresh.std() > 1, f"frame {k} is blank"
        differ = far_apart(shown, fresh)
        assert differ < 0.005, f"{differ:.1%} of the pixels shown are not those of frame {k}"


@pytest.mark.parametrize("page_name", SHOWN or ["no build"])
@pytest.mark.parametrize(("theme", "width"), LOADED)
def test_page(new_page, server, record_property, page_name, theme, width):
    page = new_page(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    requests, bad, errors = [], [], []
    page.on("request", lambda r: requests.append(r.url))
    page.on("requestfailed", lambda r: bad.append(f"{r.url}: {r.failure}"))
    page.on("response", lambda r: bad.append(f"{r.url}: {r.status}") if r.status >= 400 else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.goto(f"{server}/{page_name}", wait_until="load")
    page.evaluate(SCROLL)
    asleep = page.locator(".dlm-playground:not([data-on])").count()
    page.evaluate(MOVE_ALL)
    moved = [move_explorer(figure) for figure in page.query_selector_all(".dlm-explorer")]
    questions = check_quizzes(page)
    faint = []
    for shown in sorted(("light", "dark"), key=theme.__ne__):  # as it was loaded, then turned
        page.emulate_media(color_scheme=shown)
        page.wait_for_function("t => document.documentElement.dataset.theme === t", arg=shown)
        faint += [(shown, *found) for found in page.evaluate(FAINT)]
    over = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    page.wait_for_timeout(50)
    if moved:  # last, because a page behind another draws slowly
        blank = page.context.new_page()
        for shots in moved:
            check_frames(blank, shots)
    elsewhere = [u for u in requests if not u.startswith((server, "data:", "blob:", "about:"))]
    record_property("row", {
        "page": page_name, "mode": f"{theme} {width}", "requests": len(requests),
        "elsewhere": len(elsewhere), "errors": len(errors) + len(bad), "explorers": len(moved),
        "frames": sum(map(len, moved)), "quiz answers": questions, "faint texts": len(faint),
        "width": "ok" if over <= 0 else f"+{over}",
    })  # fmt: skip
    assert not elsewhere, f"asked another host: {elsewhere}"
    assert not bad, bad
    assert not errors, errors
    assert not asleep, f"{asleep} playgrounds were not mounted by their scripts"
    assert over <= 0, f"the page scrolls sideways by {over} px at {width}"
    assert not faint, f"too little contrast: {faint}"


def check_quizzes(page) -> int:
    """Click every answer of every quiz: its own reason appears, and no other."""
    clicked = 0
    for quiz in page.query_selector_all(".dlm-quiz"):
        radios = quiz.query_selector_all("input[type=radio]")
        for radio in radios:
            before = quiz.inner_text()
            radio.evaluate("e => e.click()")
            after = quiz.inner_text()
            assert after != before, f"no reason appears: {after[:80]!r}"
            name = radio.get_attribute("name")
            seen = quiz.query_selector_all(f".dlm-option:has([name={name}]) .dlm-reason:visible")
            own = radio.evaluate("e => e.parentElement.querySelector('.dlm-reason').innerText")
            assert [reason.inner_text() for reason in seen] == [own]
            clicked += 1
    return clicked


def test_search_finds_a_word(new_page, server):
    page = new_page()
    page.goto(f"{server}/search.html?q=sigmoid")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert any("/book/02_neuron.html" in href for href in found), found
    found = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert any("neuron" in address for address in found), found


def test_an_excerpt_holds_each_formula_once_and_as_text(new_page, server):
    """KaTeX writes a formula three times into a page: as MathML, as TeX and as boxes."""
    page = new_page()
    page.goto(f"{server}/search.html?q=bias")
    page.wait_for_selector("#search-results .context")
    page.wait_for_timeout(500)
    excerpts = page.locator("#search-results .context").all_inner_texts()
    text = page.evaluate("""async () => {
        const page = await (await fetch("book/02_neuron.html")).text();
        const terms = await (await fetch("book/glossary.html")).text();
        return Search.htmlToText(page, "") + Search.htmlToText(terms, ""); }""")
    assert excerpts and not [e for e in excerpts if "\\" in e or "\n" in e.strip()], excerpts
    assert "\\mathbf" not in text
    assert re.search(r"Here x holds the D inputs", text), text[:2000]
    assert re.search(r"\bbatch The\b", text), "a term and its meaning run together"


@pytest.mark.parametrize("page_name", CHAPTERS or ["no build"])
def test_nothing_is_cut_off_without_a_sign(new_page, server, page_name):
    """On a phone a formula's number stands clear of it, and what scrolls sideways fades."""
    page = new_page(viewport={"width": 390, "height": 900})
    page.goto(f"{server}/{page_name}")
    covered, cut = page.evaluate("""() => {
        const box = e => e.getBoundingClientRect();
        const covered = [...document.querySelectorAll("div.math:has(> .eqno)")].filter(m => {
            const [a, b] = [box(m.querySelector(".eqno")), box(m.querySelector(".katex-html"))];
            return a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top; });
        const cut = [...document.querySelectorAll(`article .katex-display .katex-html, article pre,
            article .pst-scrollable-table-container`)].filter(e => {
            const style = getComputedStyle(e);
            const fades = parseFloat(style.getPropertyValue("--dlm-fade")) > 0;
            return (e.scrollWidth > e.clientWidth + 1)
                !== (fades && style.maskImage.includes("gradient")); });
        const name = e => e.id || e.className || e.textContent.slice(0, 60);
        return [covered.map(name), cut.map(name)]; }""")
    assert not covered, covered
    assert not cut, cut


def test_search_dialog_leads_to_the_search_page(new_page, server):
    page = new_page(viewport={"width": 390, "height": 900})
    page.goto(f"{server}/{SHOWN[0]}")
    page.locator("button.search-button:visible").first.click()
    page.locator("#pst-search-dialog input[name=q]").fill("sigmoid")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=sigmoid")
    page.wait_for_selector("#search-results li a")


def test_theme_button_changes_the_theme(new_page, server):
    page = new_page(color_scheme="light")
    page.goto(f"{server}/{SHOWN[0]}")
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button:visible").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
    assert seen == {"light", "dark"}


def test_paper_is_light(new_page, server):
    page = new_page(color_scheme="dark")
    page.goto(f"{server}/{SHOWN[0]}")
    themes = page.evaluate("""["beforeprint", "afterprint"].map(name => {
        dispatchEvent(new Event(name)); return document.documentElement.dataset.theme; })""")
    assert themes == ["light", "dark"]


@pytest.mark.parametrize("hung", ["() => new Promise(() => {})", "() => { for (;;); }"])
def test_a_browser_that_hangs_is_ended_and_another_takes_its_place(chromiums, hung):
    page = chromiums().new_page()
    with patience(1), pytest.raises(Exception, match="has been closed"):
        page.evaluate(hung)
    page = chromiums().new_page()
    assert page.evaluate("1 + 1") == 2
    page.close()


# --- without a browser -------------------------------------------------------------------------


def test_a_line_drawn_softer_is_the_same_line_and_one_elsewhere_is_not():
    def line(top, *ink):
        image = np.full((300, 400, 3), 255.0)
        for row, share in enumerate(ink, top):
            image[row] -= 230 * share
        return image

    sharp = line(150, 1, 0.3)
    assert far_apart(sharp, line(149, 0.2, 0.6, 0.5)) < 0.005
    assert far_apart(sharp, line(153, 1, 0.3)) > 0.005


@pytest.fixture(scope="session")
def anchors(soups):
    """The names of each page's places."""
    return {
        page: {tag[key] for tag in soup.find_all() for key in ("id", "name") if tag.get(key)}
        for page, soup in soups.items()
    }


@pytest.fixture(scope="session")
def soups(built):
    """Every built page, parsed."""
    return {
        page: BeautifulSoup((built / page).read_text(encoding="utf-8"), "html.parser")
        for page in PAGES
    }


@on_every_page
def test_links_and_anchors(built, soups, anchors, page_name):
    checked, broken = 0, []
    for tag in soups[page_name].find_all(["a", "link", "img", "script", "iframe", "source"]):
        link = tag.get("href") or tag.get("src")
        if not link or urlsplit(link).scheme in ("http", "https", "mailto", "data", "javascript"):
            continue
        parts = urlsplit(link)
        here = built / page_name
        target = (here.parent / unquote(parts.path) if parts.path else here).resolve()
        checked += 1
        if not target.is_file():
            broken.append(link)
        elif parts.fragment and target.suffix == ".html":
            places = anchors[str(target.relative_to(built.resolve()))]
            if unquote(parts.fragment) not in places:
                broken.append(link)
    assert not broken, f"{len(broken)} of {checked} links lead nowhere: {sorted(set(broken))}"


@on_every_page
def test_ids_are_unique(built, soups, page_name):
    """Two anchors would hide one; two clip paths of one name would cut each other's picture."""
    soup = soups[page_name]
    used = set(re.findall(r"(?:url\(|href=[\"'])#([\w.-]+)", str(soup)))
    found = {}
    for tag in soup.find_all(id=True):
        if not tag.find_parent("svg") or tag["id"] in used:
            found.setdefault(tag["id"], []).append(tag)
    # Matplotlib names a shape by its content: the same name for the same shape does no harm.
    twice = [i for i, tags in found.items() if len(tags) > 1 and len(set(map(str, tags))) > 1]
    twice += [i for i, tags in found.items() if len(tags) > 1 and not tags[0].find_parent("svg")]
    assert not twice, sorted(set(twice))


@on_every_page
def test_pictures_have_words(built, soups, page_name):
    soup = soups[page_name]
    mute = [str(img)[:80] for img in soup.find_all("img") if img.get("alt") is None]
    mute += [
        str(svg)[:80]
        for svg in soup.select("article svg")
        if not svg.find_parent(class_=re.compile("katex|btn|sd-"))
        and not svg.get("aria-label")
        and svg.get("aria-hidden") != "true"
    ]
    assert not mute, mute


@on_every_page
def test_no_other_host_is_named_as_a_resource(built, soups, page_name):
    named = []
    for tag in soups[page_name].find_all(["link", "script", "img", "iframe", "source", "video"]):
        link = tag.get("src") or tag.get("href") or ""
        if link.startswith(("http:", "https:", "//")) and tag.get("rel") != ["canonical"]:
            named.append(link)
    assert not named, named


@on_every_page
def test_script_budget(built, page_name):
    weight = script_weight(built / page_name)
    assert weight <= SCRIPT_BUDGET, f"{page_name} loads {weight} bytes (gz) of script"


def test_search_index_budget(built):
    weight = len(gzip.compress((built / INDEX).read_bytes()))
    assert weight <= INDEX_BUDGET * len(SHOWN), f"{weight} bytes (gz) for {len(SHOWN)} pages"


def test_equations_are_numbered_by_chapter(soups):
    """3.1, 3.2 … in chapter 3, and a reference shows the number of the equation it leads to."""
    numbers = {}
    for name, soup in soups.items():
        for equation in soup.select("div.math:has(> .eqno)"):
            number = equation.select_one(".eqno").get_text().split(")")[0].strip("(")
            numbers.setdefault(name, {})["#" + equation["id"]] = number
    assert numbers
    for name, found in numbers.items():
        chapter = int(re.search(r"/(\d\d)_", name)[1])
        assert list(found.values()) == [f"{chapter}.{i + 1}" for i in range(len(found))]
        for link in soups[name].select("a.internal[href^='#equation-']"):
            assert link.get_text().strip("()") == found[link["href"]]


def test_search_index_stays_on_the_search_page(built, soups):
    where = {p for p, s in soups.items() if s.find("script", src=re.compile("searchindex"))}
    assert where == {"search.html"}


def test_no_icon_font_is_left(built):
    left = [p.name for p in built.rglob("*") if re.search("fontawesome|fa-(solid|brands)", p.name)]
    assert not left, left
    theme = (built / "_static/styles/pydata-sphinx-theme.css").read_text(encoding="utf-8")
    assert "@font-face" not in theme
