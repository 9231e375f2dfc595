"""A browser for tests, and what they ask of a page in it."""

import shutil
from contextlib import contextmanager, suppress
from threading import Timer

import psutil
import pytest
from needs import needs

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run", "--force-color-profile=srgb"]
WAIT = 120  # seconds that a page has for each thing it is asked for; the longest takes one
PATIENCE = 300  # seconds after which the browser of a test counts as hung; the slowest takes 10
MODES = [(theme, width) for theme in ("light", "dark") for width in (1280, 390)]


@contextmanager
def chromium():
    """A function that gives a Chromium that makes no requests of its own; skips where none is.

    It is the same one at each call, until it dies: then a new one is started.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    needs("browser", bool(CHROMIUM), "there is no Chromium: install the package `chromium`")
    with playwright.sync_playwright() as p:
        started = []

        def running():
            if not (started and started[-1].is_connected()):
                started.append(p.chromium.launch(executable_path=CHROMIUM, args=FLAGS))
            return started[-1]

        yield running
        for browser in started:
            browser.close()


@contextmanager
def patience(seconds=PATIENCE):
    """End the browsers of this process if the block takes longer: what waits for one then raises.

    On a starved machine Chromium may stop drawing for good: no animation frame comes any more,
    and Playwright waits without a limit for a script that waits for one.
    """
    timer = Timer(seconds, end_browsers)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end_browsers():
    """End every Chromium that this process started."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "chrom" in child.name():
                child.kill()


# Effective ground of an element: the first opaque background on the way up.
GROUND = """
const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const ground = e => {
  const layers = [], white = [255, 255, 255];
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    const a = c[3] === undefined ? 1 : c[3];
    if (a > 0) layers.push([c, a]);
    if (a === 1) break;
  }
  return layers.reduceRight((g, [c, a]) => g.map((v, i) => v * (1 - a) + c[i] * a), white);
};
"""

# Texts below the contrast of WCAG AA (4.5, or 3 where they are large).
FAINT = (
    "() => {"
    + GROUND
    + """
  const light = c => { const [r, g, b] = c.map(v => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const faint = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest("script, style, noscript, option, .katex-mathml, .headerlink"))
      continue;
    if (!e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const s = getComputedStyle(e), g = ground(e);
    const c = parse(e.closest("svg") && s.fill !== "none" ? s.fill : s.color);
    const a = c[3] === undefined ? 1 : c[3];
    const [x, y] = [light(g), light(g.map((v, i) => v * (1 - a) + c[i] * a))];
    const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    const size = parseFloat(s.fontSize);
    const large = size >= 24 || (size >= 18.66 && +s.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      const where = e.closest("[class]")?.getAttribute("class");
      faint.set(`${where}: ${n.data.trim().slice(0, 30)}`, +ratio.toFixed(2));
    }
  }
  return [...faint];
}"""
)
