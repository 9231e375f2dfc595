"""Cut a learner's notebook from a master: solutions become stubs that raise.

A cell tagged `solution` holds imports, functions and classes only. Imports, signatures, docstrings,
a class's annotated fields and its second names for a method (`__radd__ = __add__`) stay; each body
becomes `raise NotImplementedError("Exercise 2.1: ...")`.
Cells tagged `solution-only` go; markdown cells tagged `exercise-only` are only in the cut.
"""

import ast
import copy
import io
import itertools
import json
import re
import textwrap
import tokenize

import nbformat
from markdown_it import MarkdownIt
from nbformat import NotebookNode

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORT = (ast.Import, ast.ImportFrom)


class CutError(ValueError):
    """A master that cannot be cut; the message says where and what to do."""


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell, none if it has none."""
    return cell.metadata.get("tags", [])


def exercise_number(markdown: str) -> str | None:
    """The N.M of the last heading `## Exercise N.M` in a text."""
    tokens = MarkdownIt().parse(markdown)
    titles = [
        b.content
        for a, b in itertools.pairwise(tokens)
        if a.type == "heading_open" and a.tag == "h2"
    ]
    found = [m.group(1) for t in titles if (m := re.match(r"Exercise\s+(\d+\.\d+)", t))]
    return found[-1] if found else None


def header(source: str, node: ast.AST) -> str:
    """Source of a def or class from its decorators to the colon, with a comment on that line."""
    lines = source.splitlines(keepends=True)
    first = min([node.lineno] + [d.lineno for d in node.decorator_list])
    depth = 0
    tail = "".join(lines[node.lineno - 1 :])
    stream = tokenize.generate_tokens(io.StringIO(textwrap.dedent(tail)).readline)
    for token in stream:
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        if token.string == ":" and depth == 0:
            break
    after = next(stream)
    if after.type == tokenize.COMMENT:
        token = after
    row = node.lineno - 1 + token.end[0] - 1
    end = token.end[1] + (node.col_offset)
    return "".join(lines[first - 1 : row]) + lines[row][:end]


def stub(label: str, indent: str) -> str:
    """The line that raises, wrapped to 72 columns."""
    line = f"{indent}raise NotImplementedError({json.dumps(label, ensure_ascii=False)})"
    if len(line) <= 72:
        return line
    inner = indent + "    "
    parts = textwrap.wrap(label, 68 - len(inner), drop_whitespace=False)
    quoted = "\n".join(inner + json.dumps(part, ensure_ascii=False) for part in parts)
    return f"{indent}raise NotImplementedError(\n{quoted}\n{indent})"


def segment(source: str, node: ast.AST) -> str:
    """The source lines of a statement, as they stand."""
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def doc_node(node: ast.AST) -> ast.AST | None:
    """The statement that is the docstring, if there is one."""
    return node.body[0] if ast.get_docstring(node, clean=False) is not None else None


def docstring(source: str, doc: ast.AST, indent: str) -> str:
    """A docstring as written, though it may stand on the line of its `def`."""
    return indent + ast.get_source_segment(source, doc, padded=False)


def cut_function(source: str, node: ast.AST, number: str) -> str:
    """A function with its signature, its docstring and a body that raises."""
    indent = " " * (node.col_offset + 4)
    doc = doc_node(node)
    title = ast.get_docstring(node).strip().split("\n")[0] if doc else f"write {node.name}"
    parts = [header(source, node)]
    if doc:
        parts.append(docstring(source, doc, indent))
    return "\n".join([*parts, stub(f"Exercise {number}: {title}", indent)])


def cut_class(source: str, node: ast.ClassDef, number: str) -> str:
    """A class with its docstring, its fields, its methods' stubs and their second names."""
    indent = " " * (node.col_offset + 4)
    doc = doc_node(node)
    parts = [header(source, node)]
    if doc:
        parts.append(docstring(source, doc, indent))
    for before, child in zip([None, *node.body], node.body, strict=False):
        if child is doc or isinstance(child, ast.Pass):
            continue
        apart = isinstance(child, FUNCTION) or isinstance(before, FUNCTION)
        gap = "\n" if apart and len(parts) > 1 else ""
        parts.append(gap + cut_statement(source, child, number, inside=True))
    if len(parts) == 1:
        parts.append(stub(f"Exercise {number}: write {node.name}", indent))
    return "\n".join(parts)


def renames(node: ast.AST) -> bool:
    """Whether a statement gives a second name to something, as `__radd__ = __add__` does."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)


def cut_statement(source: str, node: ast.AST, number: str, inside: bool = False) -> str:
    """One statement of a solution cell, cut."""
    if isinstance(node, FUNCTION):
        return cut_function(source, node, number)
    if isinstance(node, ast.ClassDef):
        return cut_class(source, node, number)
    if isinstance(node, IMPORT) or (inside and (isinstance(node, ast.AnnAssign) or renames(node))):
        return segment(source, node)
    raise CutError(
        f"Exercise {number}: a cell tagged solution holds `{ast.unparse(node)[:60]}`, "
        "expected only imports, functions and classes; move it to a cell without the tag (kept) "
        "or to one tagged solution-only (dropped)"
    )


def cut_source(source: str, number: str) -> str:
    """The learner's form of a solution cell."""
    nodes = ast.parse(source).body
    text = ""
    for before, node in zip([None, *nodes], nodes, strict=False):
        both = isinstance(before, IMPORT) and isinstance(node, IMPORT)
        text += "" if before is None else "\n" if both else "\n\n\n"
        text += cut_statement(source, node, number)
    ast.parse(text)
    return text


def drop(nb: NotebookNode, tag: str) -> NotebookNode:
    """A copy without the cells that carry a tag."""
    nb = copy.deepcopy(nb)
    nb.cells = [cell for cell in nb.cells if tag not in tags(cell)]
    return nb


def no_labels(cell: NotebookNode, name: str) -> None:
    """Refuse `(label)=` in a master: the label would exist twice, in exercise and solution."""
    if found := re.search(r"^\(([^)\s]+)\)=\s*$", cell.source, re.MULTILINE):
        raise CutError(
            f"{name}: the label `({found.group(1)})=` would exist in the exercise and in the "
            "solution; remove it and link to the page and its heading: "
            f"[...](../exercises/{name.rpartition('/')[2]}.ipynb#exercise-2-1)"
        )


def cut(nb: NotebookNode, name: str) -> NotebookNode:
    """The learner's notebook of a composed master, without outputs or ids.

    Args:
        nb: the master, as composed from its .md.
        name: for messages, e.g. `solutions/02_neuron`.
    """
    nb = drop(nb, "solution-only")
    number = None
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            no_labels(cell, name)
            number = exercise_number(cell.source) or number
        elif "solution" in tags(cell):
            if number is None:
                raise CutError(
                    f"{name}: a solution cell stands before any heading `## Exercise N.M`; add one"
                )
            cell.source = cut_source(cell.source, number)
            cell.metadata.tags = ["exercise" if t == "solution" else t for t in tags(cell)]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.from_dict(nb)
