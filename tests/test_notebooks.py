"""The generator: same bytes twice, stable ids, refusals; and every stored notebook in step."""

import ast
import json
import shutil
import warnings

import nbformat
import pytest
import sample

from tools import budget, notebooks, reproducible
from tools.cutter import CutError, cut_source
from tools.notebooks import (
    ROOT,
    compose,
    compose_exercise,
    dumps,
    execute,
    generate,
    name_of,
    sources,
)
from tools.outputs import Refused, trouble

SOURCES = sources(ROOT)
BOOKS = [s for s in SOURCES if s.parent.name == "book"]
MASTERS = [s for s in SOURCES if s.parent.name == "solutions"]
every = pytest.mark.parametrize("source", SOURCES, ids=name_of)
masters = pytest.mark.parametrize("source", MASTERS, ids=name_of)


def stored(source):
    path = source.with_suffix(".ipynb")
    assert path.exists(), f"{name_of(source)}.ipynb is missing; run `python -m tools.notebooks`"
    return nbformat.read(path, 4)


def codes(nb):
    return [c for c in nb.cells if c.cell_type == "code"]


# ---- the generator, on a sample


def test_two_runs_give_the_same_bytes(tmp_path):
    source = sample.write(
        tmp_path,
        "book/02_x",
        sample.code("import sys\nprint(1)\nsys.stdout.flush()\nprint({'b', 'a', 'c'})"),
        sample.code("object.__repr__\n{'x': 1.5}", "hide-input"),
    )
    first, second = generate(source, quiet=True), generate(source, quiet=True)
    assert first == second
    nb = nbformat.reads(next(iter(first.values())).decode(), 4)
    assert nb.metadata.generated == {"by": "python -m tools.notebooks", "from": "book/02_x.md"}
    assert nb.metadata.kernelspec.name == "python3"
    assert "version" not in nb.metadata.language_info
    assert len(codes(nb)[1].outputs) == 1  # two writes, one stream
    assert codes(nb)[2].metadata.cellView == "form"
    assert codes(nb)[2].metadata.jupyter.source_hidden is True


def test_command_writes_and_checks(tmp_path, capsys):
    source = sample.write(tmp_path, "solutions/02_x", *sample.MASTER)
    assert notebooks.main(["--root", str(tmp_path), "--check"]) == 1
    assert not source.with_suffix(".ipynb").exists()
    assert notebooks.main(["--root", str(tmp_path), "x"]) == 0
    assert notebooks.main(["--root", str(tmp_path), "--check", "02_x"]) == 0
    assert notebooks.main(["--root", str(tmp_path), "nothing"]) == 1
    assert "no notebook is called 'nothing'; there is: 02_x" in capsys.readouterr().err


def test_ids_stay_when_other_cells_change(tmp_path):
    one = compose(sample.write(tmp_path, "book/02_x", sample.code("a = 1"), sample.code("a = 1")))
    two = compose(
        sample.write(tmp_path, "book/02_x", sample.code("b = 2"), sample.code("a = 1"), "Words.")
    )
    assert [c.id for c in one.cells][:3] == [*[c.id for c in two.cells][:2], two.cells[3].id]
    assert len({c.id for c in one.cells}) == len(one.cells)
    other = compose(sample.write(tmp_path, "book/03_y", sample.code("a = 1")))
    assert other.cells[2].id != one.cells[2].id


REFUSALS = {
    "an absolute path": "print('/home/ann/x.csv')",
    "a memory address": "print('<f at 0x7f00dead>')",
    "memory address near": "object()",
    "image/png": "display({'image/png': 'QUJD'}, raw=True)",
    "stderr output": "import sys\nprint('hm', file=sys.stderr)",
    "carriage return": "print('50%\\r100%')",
    "ZeroDivisionError": "1 / 0",
    "a widget": "display({'application/vnd.jupyter.widget-view+json': {}}, raw=True)",
}


@pytest.mark.parametrize("why", REFUSALS)
def test_refuses(tmp_path, why):
    source = sample.write(tmp_path, "book/02_x", sample.code(REFUSALS[why]))
    with pytest.raises(Refused, match=rf"book/02_x, code cell 2[\s\S]*{why}"):
        generate(source, quiet=True)


OUTSIDE = [
    "import socket\nsocket.create_connection(('192.0.2.1', 80))",
    "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/x')",
    "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "import socket\nsocket.getaddrinfo('data.example', 80)",
    "import subprocess, sys\n"
    "code = 'import socket; socket.create_connection((\"192.0.2.1\", 80))'\n"
    "run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)\n"
    "raise OSError(run.stderr)",
]


@pytest.mark.parametrize("code", OUTSIDE, ids=["connect", "url", "send", "name", "child"])
def test_a_kernel_is_offline(tmp_path, code):
    source = sample.write(tmp_path, "book/02_x", sample.code(code))
    with pytest.raises(Refused, match=r"code cell 2[\s\S]*runs offline, and it asked for '"):
        generate(source, quiet=True)


def test_a_kernel_may_talk_to_its_own_machine(tmp_path):
    code = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(('localhost', server.getsockname()[1])).close()\n"
        "a, b = socket.socketpair()\na.send(b'x')\nb.recv(1)"
    )
    assert generate(sample.write(tmp_path, "book/02_x", sample.code(code)), quiet=True)


def test_costs_are_measured(tmp_path, capsys):
    sample.write(
        tmp_path,
        "book/02_x",
        sample.code("import time\nheld = bytearray(150_000_000)\nend = time.process_time() + 0.5"),
        sample.code("while time.process_time() < end:\n    pass"),
    )
    assert notebooks.main(["--root", str(tmp_path)]) == 0
    _, line = capsys.readouterr().out.splitlines()
    name, seconds, cpu, peak = line.split()
    assert name == "book/02_x"
    assert float(seconds) >= float(cpu) * 0.5 and float(cpu) >= 0.5
    assert 150 <= float(peak) <= 2048


@pytest.mark.parametrize(
    ("limit", "value", "why"),
    [("CPU_SECONDS", 0.01, r"used \d+\.\d CPU seconds, at most 0\.01 are allowed"),
     ("MEMORY", 2**20, r"held 0\.\d\d GiB at its peak, at most \S+ are allowed")],
)  # fmt: skip
def test_refuses_what_costs_too_much(tmp_path, monkeypatch, limit, value, why):
    monkeypatch.setattr(budget, limit, value)
    source = sample.write(tmp_path, "book/02_x", sample.code("sum(range(10**6))"))
    with pytest.raises(Refused, match=f"^book/02_x: its kernel {why}"):
        generate(source, quiet=True)


def test_two_runs_are_held_against_each_other(tmp_path, capsys):
    source = sample.write(tmp_path, "book/02_x", sample.code("print(1)"))
    assert reproducible.main(["--root", str(tmp_path)]) == 0
    sample.write(tmp_path, "book/02_x", sample.code("import time\nprint(time.time_ns())"))
    assert reproducible.main(["--root", str(tmp_path), "x"]) == 1
    assert "book/02_x.ipynb: two runs gave different bytes" in capsys.readouterr().err
    assert not source.with_suffix(".ipynb").exists()  # nothing is written


def test_refuses_an_error_that_was_asked_for(tmp_path):
    source = sample.write(tmp_path, "book/02_x", sample.code("1 / 0", "raises-exception"))
    with pytest.raises(Refused, match="error output ZeroDivisionError"):
        generate(source, quiet=True)


def test_refuses_a_skipped_cell(tmp_path):
    source = sample.write(tmp_path, "book/02_x", sample.code("1", "skip-execution"))
    with pytest.raises(Refused, match="every code cell must run"):
        generate(source, quiet=True)


LOCAL = ["/root", "see /tmp/x", "'/work/a'", "/Users/ann", r"C:\data", r"D:\a\b"]
HARMLESS = [
    "</work>",
    "https://a.org/home/x",
    "in/work/out",
    r"$F:\mathbb{R}\to X$",
    "a/tmp",
    "0xff00",
]


@pytest.mark.parametrize("text", LOCAL)
def test_paths_are_found(text):
    out = nbformat.v4.new_output("stream", text=text)
    assert "absolute path" in trouble(out)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_path_is_fine(text):
    assert trouble(nbformat.v4.new_output("stream", text=text)) is None


def test_base64_may_spell_anything():
    html = '<image href="data:image/png;base64,AAA/tmp/0x7f00=="/>'
    assert trouble(nbformat.v4.new_output("display_data", {"text/html": html})) is None


def test_setup_cell_must_be_the_template(tmp_path):
    path = sample.write(tmp_path, "book/02_x")
    text = path.read_text(encoding="utf-8").replace("COURSE = None", "COURSE = 1")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match="line 2 of the setup cell is 'COURSE = 1', expected 'COURSE"):
        compose(path)
    path.write_text(sample.FRONT + sample.code("1"), encoding="utf-8")
    with pytest.raises(Refused, match="must carry the tag `setup`"):
        compose(path)


def test_an_exception_needs_its_reason(tmp_path):
    cell = sample.code("1", extra=":compare: {ignore: true}")
    with pytest.raises(Refused, match="gives no reason"):
        compose(sample.write(tmp_path, "book/02_x", cell))
    cell = sample.code("1", extra=":compare: {rtol: 0.1, reason: sums in another order}")
    assert compose(sample.write(tmp_path, "book/02_x", cell)).cells[-1].metadata.compare.rtol == 0.1


# ---- the cutter


def test_cut(tmp_path):
    source = sample.write(tmp_path, "solutions/02_x", *sample.MASTER)
    nb = compose_exercise(source)
    text = "\n".join(c.source for c in nb.cells)
    for word in ("secret", "x * 1.0", "answer_of_mine"):
        assert word not in text
    for word in (
        "import math\nimport torch",
        "def double(x):  # (B,)",
        "Your turn",
        '"""Twice x."""',
    ):
        assert word in text
    assert 'NotImplementedError("Exercise 2.1: Twice x.")' in text
    assert 'NotImplementedError("Exercise 2.2: write forward")' in text
    assert all(c.execution_count is None and c.outputs == [] for c in codes(nb))
    assert "Your turn" not in "\n".join(c.source for c in compose(source).cells)
    execute(nb, tmp_path, "exercises/02_x", quiet=True)  # the unsolved notebook runs
    assert codes(nb)[2].outputs[0].text == "Exercise 2.1: Twice x.\n"


STUB = 'raise NotImplementedError("Exercise 1.1: write f")'
SIGNATURE = "@cache\ndef f(k=lambda a: {1: 2}) -> dict[int, int]:  # (B,)"
FIELDS = "class N:\n    lr: float = 0.1  # a step\n"
CUTS = {
    "def f(x): return x": f"def f(x):\n    {STUB}",
    'def f(x): "é it"; return x': f'def f(x):\n    "é it"\n    {STUB}'.replace("write f", "é it"),
    f"{SIGNATURE}\n    # secret\n    return k": f"{SIGNATURE}\n    {STUB}",
    "class N:\n    pass": f"class N:\n    {STUB}".replace("write f", "write N"),
    f"{FIELDS}    def f(self): return 1": f"{FIELDS}\n    def f(self):\n        {STUB}",
    "class N:\n    def f(self): return 1\n    g = f\n    h = f": (
        f"class N:\n    def f(self):\n        {STUB}\n\n    g = f\n    h = f"
    ),
}


@pytest.mark.parametrize("before", CUTS)
def test_cut_source(before):
    assert cut_source(before, "1.1") == CUTS[before]


def test_a_long_message_is_wrapped():
    text = cut_source(f'def f():\n    """{"many words " * 12}."""\n    return 1', "1.1")
    assert max(map(len, text.split("\n")[2:])) <= 72
    assert ast.parse(text)


def test_a_solution_cell_holds_no_constants():
    for source in ("answer = 42", "class N:\n    answer = 42", "f = g"):
        with pytest.raises(CutError, match=f"holds `{source[-11:].strip()}`"):
            cut_source(source, "1.1")


def test_a_solution_needs_its_number(tmp_path):
    source = sample.write(tmp_path, "solutions/02_x", sample.code("def f(): pass", "solution"))
    with pytest.raises(CutError, match="before any heading"):
        compose_exercise(source)


def test_a_master_has_no_labels(tmp_path):
    source = sample.write(tmp_path, "solutions/02_x", "(here)=\n## Exercise 2.1\n")
    with pytest.raises(CutError, match=r"label `\(here\)=`"):
        compose_exercise(source)


# ---- every stored notebook


def test_every_notebook_has_its_source():
    """No notebook is an orphan, and the tests below see each one."""
    made = {s.with_suffix(".ipynb") for s in SOURCES}
    made |= {ROOT / "exercises" / f"{s.stem}.ipynb" for s in MASTERS}
    found = {p for d in ("book", "solutions", "exercises") for p in (ROOT / d).glob("*.ipynb")}
    assert found == made, f"run `python -m tools.notebooks`: {sorted(p.name for p in found ^ made)}"


@every
def test_every_cell_was_run_in_order(source):
    cells = codes(stored(source))
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))


@every
def test_pair_is_in_step(source):
    """The .ipynb holds the cells of the .md: sources, types, metadata, ids."""
    fresh, old = compose(source), stored(source)
    assert old.metadata == fresh.metadata
    for a, b in zip(fresh.cells, old.cells, strict=True):
        for key in ("cell_type", "source", "metadata", "id"):
            assert a[key] == b[key], f"{name_of(source)}: {key} of cell {a.id} is out of step"


@every
def test_outputs_may_be_stored(source):
    """A stored warning, path, address or error raises Refused."""
    nb = stored(source)
    assert any(cell.get("outputs") for cell in nb.cells)
    notebooks.refuse(nb, name_of(source))


@every
def test_at_most_two_exceptions(source):
    """Exceptions to the comparison are few, and each is printed with its reason."""
    found = [c for c in stored(source).cells if "compare" in c.metadata]
    for cell in found:
        warnings.warn(f"{name_of(source)}: {json.dumps(cell.metadata.compare)}", stacklevel=1)
    assert len(found) <= 2, f"{name_of(source)} has {len(found)} exceptions, at most 2 are allowed"


@masters
def test_exercise_is_in_step(source):
    path = ROOT / "exercises" / f"{source.stem}.ipynb"
    assert path.read_bytes() == dumps(compose_exercise(source)), "run `python -m tools.notebooks`"


@masters
def test_exercise_holds_no_solution(source):
    """A cut function's body is its docstring and a raise; solution-only cells are gone."""
    nb = nbformat.read(ROOT / "exercises" / f"{source.stem}.ipynb", 4)
    master = notebooks.read_source(source)
    assert not any("solution" in tag for c in nb.cells for tag in c.metadata.get("tags", []))
    secret = {c.source for c in master.cells if "solution-only" in c.metadata.get("tags", [])}
    assert not secret & {c.source for c in nb.cells}
    for cell in nb.cells:
        if "exercise" not in cell.metadata.get("tags", []):
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[ast.get_docstring(node) is not None :]
                assert [type(s) for s in body] == [ast.Raise], f"{node.name} holds code"


@masters
def test_unsolved_notebook_runs(source, tmp_path):
    """Before anything is solved, `check` catches the stubs and every cell runs."""
    folder = shutil.copytree(ROOT / "exercises", tmp_path / "exercises")
    execute(compose_exercise(source), folder, f"exercises/{source.stem}", quiet=True)
