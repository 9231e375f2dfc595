"""Where things are on the published page: pages, labels, equations, citations, Colab."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import yaml
from docutils.nodes import make_id
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pybtex.database import BibliographyData, Entry, parse_file
from sphinx.util.nodes import _make_id

EXTENSIONS = {"amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath", "substitution"}
FOLDERS = ("book", "exercises", "solutions")
# The branch with stamped copies of these folders' notebooks; solutions are not among them.
BRANCH, STAMPED_FOLDERS = "published", ("book", "exercises")
KINDS = {"book": "chapter"}  # what a folder's notebook is called, where not by the folder's name
SERVER, COLAB = "https://github.com", "https://colab.research.google.com"


class PublishError(ValueError):
    """Something that cannot be published; the message says where and what to do."""


def parse(text: str) -> list[Token]:
    """The tokens of MyST Markdown."""
    config = MdParserConfig(enable_extensions=set(EXTENSIONS))
    return create_md_parser(config, RendererHTML).parse(text)


def directive(token: Token) -> tuple[str, str] | None:
    """Name and argument of a directive's fence, None for other tokens."""
    if token.type not in ("fence", "colon_fence"):
        return None
    found = re.match(r"\{([\w:.-]+)\}\s*(.*)", token.info.strip())
    return (found.group(1), found.group(2).strip()) if found else None


def options(content: str) -> tuple[dict[str, str], str]:
    """Split a directive's content into its options (`:key: value` or YAML) and its body."""
    if content.startswith("---\n"):
        head, _, body = content[4:].partition("\n---\n")
        return {k: str(v) for k, v in (yaml.safe_load(head) or {}).items()}, body
    found, lines = {}, content.split("\n")
    while lines and (hit := re.match(r":([\w-]+):\s*(.*)$", lines[0])):
        found[hit.group(1)] = hit.group(2)
        lines.pop(0)
    return found, "\n".join(lines)


def equation_number(doc: str, count: int) -> str:
    """The number of a page's first, second ... equation: 3.1 in chapter 3.

    Example:
        >>> equation_number("book/03_autograd", 1)
        '3.1'
    """
    chapter = re.match(r"\w+/(\d\d)_", doc)
    return f"{int(chapter[1])}.{count}" if chapter else str(count)


def server_of(env: Mapping[str, str]) -> str:
    """Where the repository stands: GITHUB_SERVER_URL, else GitHub itself."""
    return (env.get("GITHUB_SERVER_URL") or SERVER).rstrip("/")


def is_stamped(path: str) -> bool:
    """Whether the branch holds a copy of this notebook."""
    return path.partition("/")[0] in STAMPED_FOLDERS


def kind_of(path: str) -> str:
    """`the chapter`, `the exercises` or `the solutions`."""
    folder = path.partition("/")[0]
    return f"the {KINDS.get(folder, folder)}"


def colab_address(repository: str, path: str, branch: str = BRANCH) -> str:
    """The address that opens a notebook of the branch in Colab."""
    return f"{COLAB}/github/{repository}/blob/{branch}/{path}"


@dataclass(frozen=True)
class Label:
    """A place that text refers to."""

    doc: str
    anchor: str
    text: str


@dataclass
class Pages:
    """Addresses of one publication."""

    page_url: str  # ends with a slash
    repository: str  # owner/name
    branch: str = BRANCH
    server: str = SERVER
    titles: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    bibliography: BibliographyData = field(default_factory=BibliographyData)

    def address(self, doc: str, anchor: str = "") -> str:
        """A page's address, and a place on it."""
        return f"{self.page_url}{doc}.html" + (f"#{anchor}" if anchor else "")

    def colab(self, path: str) -> str:
        """The address that opens a notebook of the branch in Colab."""
        return colab_address(self.repository, path, self.branch)

    def label(self, name: str, where: str) -> Label:
        """The place that a label names."""
        if name not in self.labels:
            raise PublishError(f"{where}: no label `{name}` exists; write `({name})=` before it")
        return self.labels[name]

    def cite(self, key: str, textual: bool, where: str) -> str:
        """An author-year link for a key of the bibliography."""
        if key not in self.bibliography.entries:
            raise PublishError(f"{where}: no entry `{key}` in book/references.bib; add it")
        entry = self.bibliography.entries[key]
        year = entry.fields.get("year", "n.d.")
        text = f"{authors(entry)} ({year})" if textual else f"{authors(entry)}, {year}"
        return f"[{text}]({source_address(entry) or self.address('book/references')})"


def authors(entry: Entry) -> str:
    """`Rosenblatt`, `Glorot and Bengio` or `LeCun et al.`"""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    parts = [[*p.rich_prelast_names, *p.rich_last_names] for p in people]
    names = [" ".join(str(word) for word in words) for words in parts]
    if not names:
        return str(entry.rich_fields.get("title", "Unknown"))
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def source_address(entry: Entry) -> str | None:
    """The address of a paper: DOI first, then its URL, then arXiv."""
    fields = entry.fields
    if doi := fields.get("doi"):
        return "https://doi.org/" + re.sub(r"^https?://(dx\.)?doi\.org/", "", doi)
    return fields.get("url") or (
        f"https://arxiv.org/abs/{fields['eprint']}" if "eprint" in fields else None
    )


def term_anchor(term: str) -> str:
    """The anchor that Sphinx gives a glossary term."""
    return _make_id(f"term-{term}") or "term"


# ---- the index


def markdown_of(path: Path) -> list[str]:
    """The Markdown of a page: a notebook's cells, or the whole file."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, 4).cells
        return [c.source for c in cells if c.cell_type == "markdown"]
    return [path.read_text(encoding="utf-8")]


def page_files(root: Path) -> list[Path]:
    """Every page of the book: notebooks, and Markdown that is no notebook's source."""
    files = []
    for folder in FOLDERS:
        files += sorted((root / folder).glob("*.ipynb"))
        pages = sorted((root / folder).glob("*.md"))
        files += [p for p in pages if not p.with_suffix(".ipynb").exists()]
    return files


class Indexer:
    """Collects title and labels of one page."""

    def __init__(self, pages: Pages, doc: str) -> None:
        self.pages, self.doc, self.equations = pages, doc, 0
        self.waiting: list[str] = []

    def name(self, label: str, text: str = "", anchor: str | None = None) -> None:
        self.pages.labels[label] = Label(self.doc, anchor or make_id(label), text)

    def equation(self, label: str) -> None:
        """Equations with a label have a number."""
        self.equations += 1
        number = equation_number(self.doc, self.equations)
        self.name(label, f"({number})", make_id(f"equation-{label}"))

    def read(self, text: str) -> None:
        tokens = parse(text)
        for i, token in enumerate(tokens):
            if token.type == "myst_target":
                self.waiting.append(token.content)
                self.name(token.content)
            elif token.type == "heading_open":
                title = tokens[i + 1].content
                self.pages.titles.setdefault(self.doc, title)
                for label in self.waiting:
                    self.name(label, title)
            elif token.type == "math_block_label":
                self.equation(token.info)
            elif found := directive(token):
                self.directive(found[0], found[1], token.content)
            if token.type != "myst_target":
                self.waiting = []

    def directive(self, kind: str, argument: str, content: str) -> None:
        given, body = options(content)
        label = given.get("label") or given.get("name")
        if kind == "math" and label:
            self.equation(label)
        elif label:
            self.name(label, "figure" if kind == "figure" else argument)
        if kind not in ("math", "code-block", "code"):
            self.read(body)


def index(root: Path, pages: Pages) -> Pages:
    """Fill in titles, labels and bibliography from the files under a folder."""
    for path in page_files(root):
        indexer = Indexer(pages, path.relative_to(root).with_suffix("").as_posix())
        for text in markdown_of(path):
            indexer.read(text)
    if (bib := root / "book" / "references.bib").exists():
        pages.bibliography = parse_file(str(bib))
    return pages
