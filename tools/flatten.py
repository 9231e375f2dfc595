"""Turn MyST into Markdown that Jupyter and Colab show: links, quotes and formulas, no directives.

`flatten` rewrites a text; `leftovers` says what MyST a notebook still holds, by its own parse.
"""

import posixpath
import re

from markdown_it.token import Token
from nbformat import NotebookNode

from tools.pages import (
    Pages,
    PublishError,
    directive,
    is_stamped,
    kind_of,
    options,
    parse,
    term_anchor,
)

PLAIN = """note warning tip hint important attention caution danger error
admonition dropdown margin sidebar topic"""
ADMONITIONS = {name: name.capitalize() for name in PLAIN.split()} | {"seealso": "See also"}
DROPPED = {"contents", "tableofcontents", "toctree"}
BIBLIOGRAPHY = "bibliography"
# A code span (with a role before it, or none), a formula, or a link: whichever comes first.
INLINE = re.compile(
    r"(?:\{(?P<role>[\w:.-]+)\})?(?<!`)(?P<tick>`+)(?!`)(?P<code>(?:(?!\n\s*\n).)+?)(?<!`)(?P=tick)(?!`)"
    r"|(?P<math>\$\$?(?=[^\s$])[^$`]+?\$\$?)"
    r"|(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]*(?:\([^()\s]*\))?)(?P<title>\s+\"[^\"]*\")?\)",
    re.DOTALL,
)
EXPLICIT = re.compile(r"(.*?)\s*<([^<>]+)>$", re.DOTALL)
PY_ROLES = {"func", "class", "meth", "mod", "attr", "data", "exc", "obj"}


class Flattener:
    """Flattens the text of one page."""

    def __init__(self, pages: Pages, doc: str) -> None:
        self.pages, self.doc = pages, doc

    # ---- blocks

    def flatten(self, text: str) -> str:
        """Rewrite a text, block by block."""
        lines, done, at = text.split("\n"), [], 0
        for token in parse(text):
            if token.map is None or token.map[0] < at or not self.is_block(token):
                continue
            start, end = token.map
            done += self.prose(lines[at:start]) + self.block(token, lines[start:end])
            at = end
        done += self.prose(lines[at:])
        return re.sub(r"\n{3,}", "\n\n", "\n".join(done)).strip("\n")

    @staticmethod
    def is_block(token: Token) -> bool:
        """Whether a token's lines are not prose."""
        kinds = ("fence colon_fence code_block math_block math_block_label amsmath myst_target "
                 "myst_line_comment myst_block_break front_matter html_block")  # fmt: skip
        return token.type in kinds.split()

    def block(self, token: Token, lines: list[str]) -> list[str]:
        """The lines that stand for a block."""
        if token.type in ("myst_target", "myst_line_comment", "myst_block_break", "front_matter"):
            return []
        if not (found := directive(token)) and token.type != "math_block_label":
            return lines
        prefix = re.match(r"[\s>]*(?:[-*+]\s+|\d+[.)]\s+)?", lines[0]).group()
        if found:
            given, body = options(token.content)
            new = self.directive(found[0], found[1], given, body)
        else:
            new = self.formula(token.content.strip("\n"), token.info)
        if new is None:
            return lines
        later = "".join(c if c == ">" else " " for c in prefix)
        return [(later if i else prefix) + line for i, line in enumerate(new.split("\n"))]

    def formula(self, content: str, label: str | None) -> str:
        """A displayed formula, with its number if it has a label."""
        tag = ""
        if label:
            number = self.pages.label(label, self.doc).text
            tag = f"\n\\tag{{{number.strip('()')}}}"
        return f"$$\n{content}{tag}\n$$"

    def directive(self, kind: str, argument: str, given: dict, body: str) -> str | None:
        """What a directive becomes; None if it is not known."""
        if kind in ADMONITIONS:
            title = self.inline(argument) or ADMONITIONS[kind]
            quote = f"**{title}**\n\n{self.flatten(body.strip())}".rstrip()
            return "\n".join(f"> {line}".rstrip() for line in quote.split("\n"))
        if kind == "math":
            return self.formula(
                "\n".join(x for x in (argument, body.strip("\n")) if x), given.get("label")
            )
        if kind in ("figure", "image"):
            caption = self.flatten(body.strip())
            return f"![{given.get('alt', '')}]({self.image(argument)})" + (
                f"\n\n*{caption}*" if caption else ""
            )
        if kind in ("code-block", "code"):
            return f"```{argument}\n{body.strip(chr(10))}\n```"
        if kind in ("tab-set", "tab-item"):
            title = f"**{argument}**\n\n" if kind == "tab-item" else ""
            return title + self.flatten(body.strip())
        if kind == BIBLIOGRAPHY:
            return f"The [references]({self.pages.address('book/references')}) of the book."
        return "" if kind in DROPPED else None

    # ---- prose

    def prose(self, lines: list[str]) -> list[str]:
        """Lines of prose, their roles and links rewritten."""
        return self.inline("\n".join(lines)).split("\n") if lines else []

    def inline(self, text: str) -> str:
        """A text, its roles and links rewritten; code spans and formulas stay."""
        return INLINE.sub(self.replace, text)

    def replace(self, hit: re.Match) -> str:
        if hit["math"]:
            return hit[0]
        if hit["code"] is None:
            return self.link(hit)
        new = self.role(hit["role"], hit["code"].strip()) if hit["role"] else None
        return hit[0] if new is None else new

    def role(self, name: str, content: str) -> str | None:
        """What a role becomes; None if it is not known."""
        shown, target = content, content
        if explicit := EXPLICIT.match(content):
            shown, target = explicit.groups()
        text = shown if explicit else ""
        kind = name.rpartition(":")[2]
        if name in ("cite", "cite:p", "cite:t", "cite:ps", "cite:ts"):
            return self.cites(content, textual=":t" in name)
        if name in ("ref", "numref", "eq", "math:numref"):
            label = self.pages.label(target, self.doc)
            return (
                f"[{text or label.text or target}]({self.pages.address(label.doc, label.anchor)})"
            )
        if name == "doc":
            doc = self.resolve(target)
            return f"[{text or self.title(doc)}]({self.pages.address(doc)})"
        if name == "term":
            return f"[{shown}]({self.pages.address('book/glossary', term_anchor(target))})"
        if name.startswith("py:") or name in PY_ROLES:
            return self.python(kind, text, target)
        if name == "colab":
            return self.colab(text, target)
        if name == "download":
            path = self.resolve(target)
            return f"[{text or posixpath.basename(target)}]({self.blob(path)})"
        plain = {"math": f"${content}$", "code": f"`{content}`", "abbr": shown}
        html = {k: f"<{k}>{content}</{k}>" for k in ("sub", "sup", "kbd")}
        return (plain | html).get(name)

    def colab(self, text: str, path: str) -> str:
        """A link that opens a notebook of the branch; other notebooks have their page."""
        if is_stamped(path):
            return f"[{text or f'Open {kind_of(path)} in Colab'}]({self.pages.colab(path)})"
        page = self.pages.address(path.removesuffix(".ipynb"))
        return f"[{text or f'Read {kind_of(path)}'}]({page})"

    def cites(self, keys: str, textual: bool) -> str:
        """Author-year links; in brackets unless they are part of the sentence."""
        links = [self.pages.cite(key.strip(), textual, self.doc) for key in keys.split(",")]
        return ", ".join(links) if textual else f"({'; '.join(links)})"

    def python(self, kind: str, text: str, target: str) -> str:
        """A link to a name in the library's reference."""
        path = target.lstrip("~")
        shown = path.rpartition(".")[2] if target.startswith("~") else path
        call = "()" if kind in ("func", "meth") else ""
        anchor = f"module-{path}" if kind == "mod" else path
        return f"[`{text or shown + call}`]({self.pages.address('book/api', anchor)})"

    def link(self, hit: re.Match) -> str:
        """A Markdown link or image: what points into the book points to its page."""
        target, title = hit["target"], hit["title"] or ""
        if hit["image"]:
            return f"![{hit['text']}]({self.image(target)}{title})"
        text = self.inline(hit["text"])
        if re.match(r"[a-z][a-z+.-]*:|//", target):
            return f"[{text or target}]({target}{title})"
        return f"[{text or self.default_text(target)}]({self.destination(target)}{title})"

    def destination(self, target: str) -> str:
        """The address of a place that a link names from this page."""
        path, _, anchor = target.partition("#")
        if not path and anchor in self.pages.labels:
            label = self.pages.labels[anchor]
            return self.pages.address(label.doc, label.anchor)
        if path and not re.search(r"\.(md|ipynb)$", path):
            return self.blob(self.resolve(path))
        doc = self.resolve(path).rpartition(".")[0] if path else self.doc
        if path:
            self.title(doc)  # it must be there
        return self.pages.address(doc, anchor)

    def default_text(self, target: str) -> str:
        """The words of a link that was written without any."""
        path, _, anchor = target.partition("#")
        if not path:
            return self.pages.label(anchor, self.doc).text or anchor
        if not re.search(r"\.(md|ipynb)$", path):
            return posixpath.basename(path)
        return self.title(self.resolve(path).rpartition(".")[0])

    def resolve(self, path: str) -> str:
        """A path as written on this page, from the root of the book."""
        here = posixpath.dirname(self.doc)
        return posixpath.normpath(
            path.lstrip("/") if path.startswith("/") else posixpath.join(here, path)
        )

    def title(self, doc: str) -> str:
        """The title of a page, which must be there."""
        if doc not in self.pages.titles:
            raise PublishError(f"{self.doc}: a link leads to `{doc}`, which is no page yet")
        return self.pages.titles[doc]

    def image(self, path: str) -> str:
        """The address of a picture: Sphinx copies each into one folder."""
        remote = re.match(r"https?:|data:", path)
        return path if remote else f"{self.pages.page_url}_images/{posixpath.basename(path)}"

    def blob(self, path: str) -> str:
        """The address of a file: a notebook on the branch, else the source."""
        stamped = path.endswith(".ipynb") and is_stamped(path)
        branch = self.pages.branch if stamped else "HEAD"
        return f"{self.pages.server}/{self.pages.repository}/blob/{branch}/{path}"


# ---- what is left


def myst_in(text: str) -> list[str]:
    """The MyST that a text still holds."""
    found = []
    for token in parse(text):
        if directive(token):
            found.append(f"directive {token.info.strip()}")
        elif token.type == "colon_fence":
            found.append(f"colon fence {token.info.strip()}")
        elif token.type.startswith(("myst_", "substitution")) or token.type in (
            "math_block_label",
            "front_matter",
        ):
            found.append(f"{token.type} {token.content or token.info}".strip())
        for child in token.children or []:
            found += inline_myst(child)
    return found


def inline_myst(token: Token) -> list[str]:
    """The MyST in one inline token."""
    if token.type == "myst_role":
        return [f"role {{{token.meta['name']}}}`{token.content}`"]
    if token.type.startswith("substitution"):
        return [f"substitution {token.content}"]
    target = str(token.attrs.get("href", token.attrs.get("src", "")))
    if token.type in ("link_open", "image") and not re.match(r"https?:|mailto:|data:", target):
        return [f"link to `{target}`, which the branch does not hold"]
    return [x for child in token.children or [] for x in inline_myst(child)]


def leftovers(nb: NotebookNode) -> list[tuple[int, str]]:
    """What MyST is left in a notebook: (number of the cell, what it is)."""
    cells = enumerate(nb.cells, 1)
    return [(i, what) for i, c in cells if c.cell_type == "markdown" for what in myst_in(c.source)]
