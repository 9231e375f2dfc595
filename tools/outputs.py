"""What a notebook may store: outputs are tidied here, or refused if another machine differs."""

import re
import tempfile
from pathlib import Path

from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"
DATA_URI = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")
# A path starts where no word, tag or address runs on: "</work>" and "x.org/home" are fine.
PATHS = re.compile(
    r"(?<![\w.<~-])/(?:home|root|work|tmp|Users)(?=[/\s\"'`:,)]|$)"
    r"|\b[D-Z]:\\(?=\w+\\|Users)|\bC:\\"
)
ADDRESS = re.compile(r"\b0x7f[0-9a-f]+|\bat 0x[0-9a-f]{5,}|\b0x[0-9a-f]{9,}", re.IGNORECASE)


class Refused(ValueError):
    """A notebook that must not be written; the message says which cell and what to do."""


def merge_streams(outputs: list) -> list:
    """Join stream outputs that follow each other: where a flush falls is chance."""
    merged: list = []
    for out in outputs:
        last = merged[-1] if merged else None
        if last and out.output_type == last.output_type == "stream" and out.name == last.name:
            last.text += out.text
        else:
            merged.append(out)
    return merged


def tidy(cell: NotebookNode) -> None:
    """Bring a code cell's outputs and metadata into the one form that is stored."""
    cell.outputs = merge_streams(cell.outputs)
    cell.metadata.pop("execution", None)
    for out in cell.outputs:
        data = out.get("data", {})
        if WIDGET in data and "text/html" in data:
            del data[WIDGET]  # the static picture stays
        if "execution_count" in out:
            out.execution_count = cell.execution_count


def texts(out: NotebookNode) -> list[str]:
    """All text an output stores, without embedded images (base64 may spell anything)."""
    found = [out.get("text", "")] + [str(v) for v in out.get("data", {}).values()]
    return [DATA_URI.sub("data:", text) for text in found]


def local_paths() -> list[str]:
    """Folders of the machine that runs this: none may be stored, whatever their names."""
    here = [Path(__file__).resolve().parent.parent, Path.home(), Path(tempfile.gettempdir())]
    return [str(p) for p in here if len(p.parts) > 2]


def trouble(out: NotebookNode) -> str | None:
    """Say why an output must not be stored, or None."""
    if out.output_type == "error":
        return f"error output {out.ename}: {out.evalue}; catch the exception and print it"
    if out.get("name") == "stderr":
        return f"stderr output {out.text[:120]!r}; cure the warning, or turn the progress bar off"
    if "image/png" in out.get("data", {}):
        return "an image/png output; show the figure with course_lib.plotting.show (inline SVG)"
    if WIDGET in out.get("data", {}):
        return "a widget without a text/html form, dead on a page; show it with explore(...)"
    for text in texts(out):
        if re.search(r"\r(?!\n)", text):
            return "a carriage return, the mark of a progress bar; turn it off (disable=True)"
        if hit := PATHS.search(text):
            return f"an absolute path near {nearby(text, hit)!r}; print a relative path or a name"
        if hit := ADDRESS.search(text):
            return f"a memory address near {nearby(text, hit)!r}; print something with a fixed repr"
        for path in local_paths():
            if path in text:
                return f"the path {path!r} of this machine; print a relative path or a name"
    return None


def nearby(text: str, hit: re.Match) -> str:
    """The words around a match."""
    return text[max(0, hit.start() - 30) : hit.end() + 30]


def refuse(nb: NotebookNode, name: str) -> None:
    """Raise Refused, naming notebook and cell, where an output must not be stored."""
    for number, cell in enumerate((c for c in nb.cells if c.cell_type == "code"), 1):
        first = cell.source.strip().split("\n")[0]
        where = f"{name}, code cell {number} (`{first}`)"
        if cell.execution_count != number:
            raise Refused(
                f"{where}: ran as number {cell.execution_count}, expected {number}; "
                "every code cell must run, in order (no skip tags, no empty cells)"
            )
        for out in cell.outputs:
            if why := trouble(out):
                raise Refused(f"{where}: {why}")
