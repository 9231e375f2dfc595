"""Make every notebook of the course from its MyST source: `python -m tools.notebooks [name ...]`.

`book/NN_name.md` becomes an executed `book/NN_name.ipynb`; `solutions/NN_name.md` becomes an
executed `solutions/NN_name.ipynb` and the learner's `exercises/NN_name.ipynb`, cut and not
executed. Two runs give the same bytes. `--check` runs everything, writes nothing, and fails where
a stored file differs.
"""

import argparse
import hashlib
import itertools
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm
from traitlets import default

from tools.budget import Cost, Meter, table
from tools.compare import exception
from tools.cutter import CutError, cut, drop, tags
from tools.outputs import Refused, refuse, tidy

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = Path(__file__).parent / "templates" / "setup.py"
OFFLINE = Path(__file__).parent / "offline"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
SECONDS_PER_CELL = 600


class HereKernel(KernelSpecManager):
    """The one kernel is the Python that runs this, whatever kernels a machine has registered."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class HereManager(AsyncKernelManager):
    """Starts that kernel."""

    @default("kernel_spec_manager")
    def _here(self) -> KernelSpecManager:
        return HereKernel(parent=self)


def sources(root: Path = ROOT) -> list[Path]:
    """The MyST notebooks, book before solutions, in the order of their numbers."""
    files = [f for d in ("book", "solutions") for f in sorted((root / d).glob("[0-9][0-9]_*.md"))]
    return [f for f in files if is_notebook(f)]


def is_notebook(path: Path) -> bool:
    """Whether a page is a notebook: its front matter names a kernel."""
    front = path.read_text(encoding="utf-8").split("\n---", 1)[0]
    return front.startswith("---") and "kernelspec:" in front


def name_of(path: Path) -> str:
    """`book/02_neuron` for .../book/02_neuron.md."""
    return f"{path.parent.name}/{path.stem}"


def chosen(names: list[str], root: Path = ROOT) -> list[Path]:
    """The sources that names mean: `neuron`, `02_neuron` or `book/02_neuron.md`; all for none."""
    every = sources(root)
    picked: list[Path] = []
    for name in names:
        stem = name.removesuffix(".md").removesuffix(".ipynb")
        hits = [p for p in every if stem in (name_of(p), p.stem, p.stem[3:])]
        if not hits:
            known = ", ".join(sorted({p.stem for p in every})) or "none"
            raise Refused(f"no notebook is called {name!r}; there is: {known}")
        picked += [p for p in hits if p not in picked]
    return picked if names else every


def number_cells(nb: NotebookNode, name: str) -> None:
    """Give each cell an id from its notebook, its text, and its place among equal texts."""
    seen: Counter = Counter()
    for cell in nb.cells:
        key = (cell.cell_type, cell.source)
        text = "\0".join([name, *key, str(seen[key])])
        cell.id = hashlib.sha256(text.encode()).hexdigest()[:12]
        seen[key] += 1


def fold_hidden(cell: NotebookNode) -> None:
    """Hide in Jupyter and Colab what the page hides."""
    if {"hide-input", "remove-input"} & set(tags(cell)):
        cell.metadata["jupyter"] = {"source_hidden": True}
        cell.metadata["cellView"] = "form"


def check_setup(nb: NotebookNode, name: str) -> None:
    """The first code cell must be the setup cell, letter for letter."""
    expected = TEMPLATE.read_text(encoding="utf-8").rstrip("\n")
    first = next((c for c in nb.cells if c.cell_type == "code"), None)
    if first is None or "setup" not in tags(first):
        raise Refused(
            f"{name}: the first code cell must carry the tag `setup` and hold "
            "tools/templates/setup.py"
        )
    if first.source != expected:
        pairs = itertools.zip_longest(first.source.split("\n"), expected.split("\n"))
        line, came, wanted = next((i, a, b) for i, (a, b) in enumerate(pairs, 1) if a != b)
        raise Refused(
            f"{name}: line {line} of the setup cell is {came!r}, expected {wanted!r}; "
            "copy tools/templates/setup.py into the cell"
        )


def check_cells(nb: NotebookNode, name: str) -> None:
    """Refuse cells that could not be run or compared."""
    for cell in nb.cells:
        if cell.cell_type == "code" and not cell.source.strip():
            raise Refused(f"{name}: an empty code cell; remove it")
        if cell.cell_type == "code" and "exercise-only" in tags(cell):
            raise Refused(f"{name}: an exercise-only code cell would never be run; use markdown")
        try:
            exception(cell.metadata)
        except ValueError as error:
            raise Refused(f"{name}, cell `{cell.source[:40]}`: {error}") from error


def finish(nb: NotebookNode, name: str, source: Path) -> NotebookNode:
    """Fixed metadata and ids; a note that says what made the file, and from what."""
    nb.nbformat, nb.nbformat_minor = 4, 5
    made = {"by": "python -m tools.notebooks", "from": f"{name_of(source)}.md"}
    metadata = {"generated": made, "kernelspec": KERNEL, "language_info": LANGUAGE}
    nb.metadata = nbformat.from_dict(metadata)
    for cell in nb.cells:
        fold_hidden(cell)
    number_cells(nb, name)
    return nb


def read_source(source: Path) -> NotebookNode:
    """The cells of a .md, checked."""
    nb = jupytext.reads(source.read_text(encoding="utf-8"), fmt="md:myst")
    check_setup(nb, name_of(source))
    check_cells(nb, name_of(source))
    return nb


def compose(source: Path) -> NotebookNode:
    """The notebook of a .md before it runs: what the stored .ipynb must agree with."""
    return finish(drop(read_source(source), "exercise-only"), name_of(source), source)


def compose_exercise(source: Path) -> NotebookNode:
    """The learner's notebook of a master."""
    return finish(cut(read_source(source), name_of(source)), f"exercises/{source.stem}", source)


def dumps(nb: NotebookNode) -> bytes:
    """A notebook as the bytes that are stored."""
    nbformat.validate(nb)
    return (nbformat.writes(nb).rstrip("\n") + "\n").encode()


def environment(scratch: str) -> dict[str, str]:
    """What a kernel finds in its environment: this library, no network, no user's settings.

    The generator's kernels have it from here, and those of nbval from conftest.py.
    """
    paths = (str(OFFLINE), str(ROOT), os.environ.get("PYTHONPATH"))
    return {
        "PYTHONPATH": os.pathsep.join(p for p in paths if p),
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": scratch,
        "COURSE_PROGRESS": "off",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as ipykernel sets it
    }


def warm_fonts() -> None:
    """Let matplotlib build its font cache here: it says so on stderr, which is refused."""
    try:
        import matplotlib.font_manager  # noqa: F401
    except ImportError:
        return


def execute(
    nb: NotebookNode,
    folder: Path,
    name: str,
    quiet: bool = False,
    costs: dict[str, Cost] | None = None,
) -> NotebookNode:
    """Run a notebook in its folder, in a fresh kernel; outputs and cost are checked."""
    total = sum(c.cell_type == "code" for c in nb.cells)
    started: list[int] = []
    meter = Meter()

    def after_cell(**_: object) -> None:
        meter.look()
        bar.update()

    with (
        tempfile.TemporaryDirectory() as scratch,
        tqdm(total=total, desc=f"  {name}", unit="cell", leave=False, disable=quiet) as bar,
    ):
        client = NotebookClient(
            nb,
            kernel_manager_class=HereManager,
            extra_arguments=["--log-level=ERROR"],
            timeout=SECONDS_PER_CELL,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(folder)}},
            on_cell_start=lambda cell, **_: started.append(cell.cell_type == "code"),
            on_notebook_start=lambda **_: meter.start(client.km.provisioner.pid),
            on_cell_executed=after_cell,
        )
        try:
            client.execute(env=os.environ | environment(scratch))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise Refused(f"{name}, code cell {sum(started)}: {error}") from error
        finally:
            cost = meter.stop()
    for cell in (c for c in nb.cells if c.cell_type == "code"):
        tidy(cell)
    nb.metadata.language_info = LANGUAGE
    refuse(nb, name)
    cost.check(name)
    if costs is not None:
        costs[name] = cost
    return nb


def generate(
    source: Path, quiet: bool = False, costs: dict[str, Cost] | None = None
) -> dict[Path, bytes]:
    """The files that one source gives: path → bytes. Nothing is written."""
    files = {}
    if source.parent.name == "solutions":
        exercise = source.parent.parent / "exercises" / f"{source.stem}.ipynb"
        files[exercise] = dumps(compose_exercise(source))
    warm_fonts()
    nb = execute(compose(source), source.parent, name_of(source), quiet, costs)
    return {source.with_suffix(".ipynb"): dumps(nb)} | files


def store(files: dict[Path, bytes]) -> None:
    """Write the files, making folders."""
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def differing(files: dict[Path, bytes]) -> list[str]:
    """The files whose stored bytes are not these."""
    stale = [p for p, new in files.items() if not p.exists() or p.read_bytes() != new]
    return [f"{name_of(p)}.ipynb" for p in stale]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.add_argument("name", nargs="*", help="neuron or book/02_neuron; none means all")
    parser.add_argument("--check", action="store_true", help="run, compare, write nothing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args(argv)
    stale: list[str] = []
    costs: dict[str, Cost] = {}
    try:
        for source in tqdm(chosen(args.name, args.root.resolve()), desc="notebooks", unit="nb"):
            files = generate(source, costs=costs)
            if args.check:
                stale += differing(files)
            else:
                store(files)
    except (Refused, CutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(costs))
    for name in stale:
        print(f"{name} differs from its source; run `python -m tools.notebooks`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
