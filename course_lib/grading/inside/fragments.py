"""The fragments of an answer's syntax tree, by which answers are compared with one another.

Only hashes leave the sandbox, never the code. A fragment is a run of SIZE nodes of a function's
tree in the order of writing. Comments and layout are not in the tree; docstrings, annotations and
the values of constants are left out of it; a name that the code gives itself (a variable, an
argument, a helper, an attribute that it stores, a module) counts only by where in the run it comes
back. So renaming and moving functions around change nothing, and an edit changes the runs that it
touches.

Source: Schleimer, Wilkerson & Aiken 2003, "Winnowing" (MOSS). They keep some of the runs of a long
program; an answer is short, so all are kept, up to MOST of them.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence

from .notebook import Definition, definitions, reached, statements_of

SIZE = 8  # nodes; shorter runs are shared by chance, longer ones are lost with every edit
MOST = 1000  # hashes of an answer: the smallest, so that every answer keeps the same ones
DIGITS = 10
LONGEST = 50_000  # nodes that are looked at for one answer

SILENT = (ast.Load, ast.Store, ast.Del, ast.arguments, ast.Expr, ast.Import, ast.ImportFrom)
Token = tuple[str, str | None]  # what kind of node, and the learner's own name in it


def fragments(cells: Iterable[str], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The hashes of each answer's fragments, its helpers' included, other answers' not.

    Args:
        cells: the code; cells that cannot be parsed are left out.
        names: of the exercises.

    Returns:
        For each name at most MOST hashes, sorted; none where there is only a stub, or nothing.
    """
    names, statements = list(names), statements_of(cells)
    defined = definitions(statements)
    helpers = defined.keys() - names
    around = {word for node in statements for word in _given_outside(node)}
    used = {name: sorted(reached(name, defined, helpers) & defined.keys()) for name in names}
    return {name: _of_one([defined[word] for word in used[name]], around) for name in names}


def _of_one(used: Sequence[Definition], around: set[str]) -> tuple[str, ...]:
    own = around.union(*map(_given_names, used))
    runs = {run for node in used for part in _parts(node) for run in _runs(_tokens(part, own))}
    hashes = {hashlib.sha256(run.encode("utf-8", "replace")).hexdigest()[:DIGITS] for run in runs}
    return tuple(sorted(hashes)[:MOST])


def _given_names(tree: ast.AST) -> Iterator[str]:
    """The names that a piece of code gives: others come from Python or a library."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(getattr(node, "name", None), str):  # a function, a class, an error caught
            yield node.name


def _given_outside(statement: ast.stmt) -> Iterator[str]:
    """The modules and variables that stand around the functions and classes."""
    if isinstance(statement, ast.Import):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _parts(tree: Definition) -> Iterator[ast.AST]:
    """Each method of a class by itself, so that their order does not matter; stubs left out."""
    if isinstance(tree, ast.ClassDef):
        for node in _without_docstring(tree.body):
            yield from _parts(node) if isinstance(node, Definition) else [node]
    elif not _is_stub(tree):
        yield tree


def _is_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = _without_docstring(function.body)
    return all(isinstance(node, ast.Raise | ast.Pass) or _is_word(node) for node in body)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return body[1:] if _is_word(body[0]) else body


def _is_word(node: ast.stmt) -> bool:
    """A constant by itself: a docstring, or three dots."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _tokens(part: ast.AST, own: set[str]) -> list[Token]:
    """A piece of code, node by node in the order of writing; without recursion: trees are deep."""
    tokens: list[Token] = []
    to_do = [part]
    while to_do and len(tokens) < LONGEST:
        node = to_do.pop()
        if not isinstance(node, SILENT):
            tokens.append(_token(node, own))
        to_do += reversed(list(_children(node)))
    return tokens


def _token(node: ast.AST, own: set[str]) -> Token:
    kind = type(node).__name__
    if isinstance(node, ast.Constant):
        return f"{kind} {type(node.value).__name__}", None
    for field in ("id", "attr", "arg", "name"):
        name = getattr(node, field, None)
        if isinstance(name, str):
            return (kind, name) if name in own else (f"{kind} {name}", None)
    return kind, None


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params"):
            continue
        several = value if isinstance(value, list) else [value]
        if field == "body" and isinstance(node, Definition):
            several = _without_docstring(value)
        yield from (child for child in several if isinstance(child, ast.AST))


def _runs(tokens: Sequence[Token]) -> Iterator[str]:
    """All runs of SIZE nodes, or the whole where it is shorter."""
    for start in range(max(1, len(tokens) - SIZE + 1)):
        yield _written(tokens[start : start + SIZE])


def _written(run: Sequence[Token]) -> str:
    """A run as text, with own names by the order in which they come."""
    places: dict[str, int] = {}
    words = (kind if name is None else f"{kind} {places.setdefault(name, len(places))}"
             for kind, name in run)  # fmt: skip
    return "\n".join(words)
