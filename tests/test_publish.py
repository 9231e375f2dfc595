"""The publish step: stamped, flattened notebooks on a branch, and a reader who runs them."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
import sample
from needs import needs, required

from tools import publish
from tools.flatten import Flattener, leftovers, myst_in
from tools.notebooks import compose, dumps
from tools.pages import STAMPED_FOLDERS, Label, Pages, PublishError
from tools.publish import ROOT, git, origin

SHA = "a" * 40
ENV = {"GITHUB_REPOSITORY": "Ann/course", "GITHUB_SHA": SHA}
URL = "https://ann.github.io/course/"
BIB = """
@article{one, author={Rosenblatt, Frank}, title={T}, year=1958, doi={10.1037/h0042519}}
@book{two, author={Minsky, Marvin and {van der} Waals, J}, title={T}, year=1969, url={https://a.org/b}}
@misc{three, author={A, B and C, D and {\\'E}, F}, title={T}, year=2017, eprint={1706.03762}}
@misc{none, author={A, B}, title={T}, year=2001}
"""


def run_git(*command, cwd):
    me = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return git(*me, *command, cwd=cwd)


@pytest.fixture
def pages():
    from pybtex.database import parse_string

    return Pages(
        URL,
        "Ann/course",
        titles={"book/02_x": "A neuron", "exercises/02_x": "Exercises", "book/claims": "Ledger"},
        labels={
            "sec-a": Label("book/03_y", "sec-a", "A section"),
            "eq:loss": Label("book/02_x", "equation-eq-loss", "(3)"),
            "fig-a": Label("book/02_x", "fig-a", "figure"),
        },
        bibliography=parse_string(BIB, "bibtex"),
    )


EQ = f"[(3)]({URL}book/02_x.html#equation-eq-loss)"
FLAT = {
    # citations
    "so {cite}`one`": "so ([Rosenblatt, 1958](https://doi.org/10.1037/h0042519))",
    "{cite:t}`two` say": "[Minsky and van der Waals (1969)](https://a.org/b) say",
    "{cite:p}`three`": "([É et al., 2017](https://arxiv.org/abs/1706.03762))".replace("É", "A"),
    "{cite:p}`one,none`": "([Rosenblatt, 1958](https://doi.org/10.1037/h0042519); "
    f"[A, 2001]({URL}book/references.html))",
    # references
    "{ref}`sec-a`": f"[A section]({URL}book/03_y.html#sec-a)",
    "{ref}`here <sec-a>`": f"[here]({URL}book/03_y.html#sec-a)",
    "by {eq}`eq:loss`.": f"by {EQ}.",
    "{numref}`fig-a`": f"[figure]({URL}book/02_x.html#fig-a)",
    "{doc}`../exercises/02_x`": f"[Exercises]({URL}exercises/02_x.html)",
    "{doc}`/book/claims`": f"[Ledger]({URL}book/claims.html)",
    "{term}`deep net`": f"[deep net]({URL}book/glossary.html#term-deep-net)",
    "{term}`slopes <GELU>`": f"[slopes]({URL}book/glossary.html#term-GELU)",
    "{py:func}`~course_lib.x.f`": f"[`f()`]({URL}book/api.html#course_lib.x.f)",
    "{py:class}`course_lib.x.C`": f"[`course_lib.x.C`]({URL}book/api.html#course_lib.x.C)",
    "{py:mod}`course_lib.x`": f"[`course_lib.x`]({URL}book/api.html#module-course_lib.x)",
    "{colab}`exercises/02_x.ipynb`": "[Open the exercises in Colab](https://colab.research.google.com"
    "/github/Ann/course/blob/published/exercises/02_x.ipynb)",
    "{colab}`book/02_x.ipynb`": "[Open the chapter in Colab](https://colab.research.google.com"
    "/github/Ann/course/blob/published/book/02_x.ipynb)",
    "{colab}`solutions/02_x.ipynb`": f"[Read the solutions]({URL}solutions/02_x.html)",
    "{download}`../solutions/02_x.ipynb`": "[02_x.ipynb](https://github.com/Ann/course/blob/HEAD/"
    "solutions/02_x.ipynb)",
    # links
    "[ex](../exercises/02_x.ipynb)": f"[ex]({URL}exercises/02_x.html)",
    "[ex](../exercises/02_x.ipynb#exercise-2-1)": f"[ex]({URL}exercises/02_x.html#exercise-2-1)",
    "[](../exercises/02_x.ipynb)": f"[Exercises]({URL}exercises/02_x.html)",
    "[a `b` c](claims.md)": f"[a `b` c]({URL}book/claims.html)",
    "[up](#sec-a) [own](#the-idea)": f"[up]({URL}book/03_y.html#sec-a) "
    f"[own]({URL}book/02_x.html#the-idea)",
    "[out](https://a.org/x_(y))": "[out](https://a.org/x_(y))",
    "![alt](img/p.svg)": f"![alt]({URL}_images/p.svg)",
    # what goes away
    "(sec-b)=\n## Title": "## Title",
    "% a comment\nText": "Text",
    "---\na: b\n---\n\nText": "Text",
    # formulas
    "$$\nx\n$$ (eq:loss)": "$$\nx\n\\tag{3}\n$$",
    "$$\nx\n$$": "$$\nx\n$$",
    "```{math}\n:label: eq:loss\n\nx\n```": "$$\nx\n\\tag{3}\n$$",
    "{math}`x`": "$x$",
    # blocks
    "```{note}\nText\n```": "> **Note**\n>\n> Text",
    ":::{admonition} Why {cite:t}`none`?\n:class: tip\nBecause.\n:::": "> **Why "
    f"[A (2001)]({URL}book/references.html)?**\n>\n> Because.",
    "::::{tip}\nA\n\n:::{note}\nB\n:::\n::::": "> **Tip**\n>\n> A\n>\n> > **Note**\n> >\n> > B",
    ":::{dropdown} More\n- a\n- b\n:::": "> **More**\n>\n> - a\n> - b",
    ":::{seealso}\n---\nclass: x\n---\nA\n:::": "> **See also**\n>\n> A",
    ":::{note}\n```python\na = {1: 2}\n```\n:::": "> **Note**\n>\n> ```python\n> a = {1: 2}\n> ```",
    "- item\n\n  ```{note}\n  A\n  ```\n- next": "- item\n\n  > **Note**\n  >\n  > A\n- next",
    "```{figure} img/p.png\n:alt: A picture\n:name: fig-a\n\nSee {eq}`eq:loss`\n```":
        f"![A picture]({URL}_images/p.png)\n\n*See {EQ}*",
    "```{image} img/p.png\n:alt: A\n```": f"![A]({URL}_images/p.png)",
    "```{code-block} python\n:caption: x\n\na = 1\n```": "```python\na = 1\n```",
    "::::{tab-set}\n:::{tab-item} One\nA\n:::\n::::": "**One**\n\nA",
    "| a |\n|---|\n| {ref}`sec-a` |": f"| a |\n|---|\n| [A section]({URL}book/03_y.html#sec-a) |",
    "> {eq}`eq:loss`": f"> {EQ}",
    # what stays
    "`` {cite}`x` `` and `{eq}`": "`` {cite}`x` `` and `{eq}`",
    "```python\n# {cite}`x`\n(a)=\n```": "```python\n# {cite}`x`\n(a)=\n```",
    "$a_{[x](y)}$ costs": "$a_{[x](y)}$ costs",
    "a[^1]\n\n[^1]: foot": "a[^1]\n\n[^1]: foot",
    "It costs \\$5 {eq}`eq:loss`": f"It costs \\$5 {EQ}",
}  # fmt: skip


@pytest.mark.parametrize("before", FLAT)
def test_flatten(pages, before):
    after = Flattener(pages, "book/02_x").flatten(before)
    assert after == FLAT[before]
    assert Flattener(pages, "book/02_x").flatten(after) == after, "flattening again changes it"
    assert myst_in(after) == []


LEFT = ["{foo}`x`", "```{foo}\nx\n```", ":::{foo}\n:::", "(a)=\n", "% c", "$$\nx\n$$ (a)",
        "[x](a.md)", "[x](#a)", "![x](a.png)", "{{ sub }}", "> {foo}`x`", "- :::{foo}\n  :::",
        "| a |\n|---|\n| {foo}`x` |", "<project:#a>"]  # fmt: skip


@pytest.mark.parametrize("text", LEFT)
def test_leftovers_are_found(text):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    assert [cell for cell, _ in leftovers(nb)] == [1]


def test_unknown_things_are_named(pages):
    flat = Flattener(pages, "book/02_x").flatten
    for text, why in {
        "{cite}`zzz`": "no entry `zzz` in book/references.bib",
        "{ref}`zzz`": "no label `zzz` exists",
        "[](zzz.md)": "leads to `book/zzz`, which is no page",
        "[a](zzz.ipynb)": "leads to `book/zzz`, which is no page",
    }.items():
        with pytest.raises(PublishError, match=f"book/02_x: .*{re.escape(why)}"):
            flat(text)


def test_environment_is_asked_for():
    assert origin(ENV).source == f"course_lib @ git+https://github.com/Ann/course@{SHA}"
    assert origin(ENV).page_url == URL
    assert origin(ENV | {"GITHUB_SERVER_URL": "https://git.x/"}).source.startswith(
        "course_lib @ git+https://git.x/Ann"
    )
    for name in ENV:
        with pytest.raises(PublishError, match=f"{name} is None, expected"):
            origin({k: v for k, v in ENV.items() if k != name})
    with pytest.raises(PublishError, match="GITHUB_SHA is 'main'"):
        origin(ENV | {"GITHUB_SHA": "main"})


# ---- the branch


CHAPTER = """(sec-top)=
## The question

By {eq}`eq-a` and {cite:t}`one`, see {term}`neuron` and the
[exercises](../exercises/02_x.ipynb).

$$
y = x
$$ (eq-a)
"""


@pytest.fixture
def repo(tmp_path):
    """A small repository with a chapter, and a bare one to publish to."""
    needs("git", bool(shutil.which("git")), "there is no git: install the package `git`")
    root = tmp_path / "repo"
    source = sample.write(root, "book/02_x", CHAPTER, sample.code("print(1)"), title="A neuron")
    nb = compose(source)
    for cell in (c for c in nb.cells if c.cell_type == "code"):
        cell.outputs = [nbformat.v4.new_output("stream", text="kept\n")]
    source.with_suffix(".ipynb").write_bytes(dumps(nb))
    (root / "exercises").mkdir()
    text = "See {ref}`sec-top` and {doc}`/book/02_x`."
    exercise = compose(sample.write(tmp_path, "scratch/02_x", text))
    (root / "exercises" / "02_x.ipynb").write_bytes(dumps(exercise))
    (root / "book" / "references.bib").write_text(BIB, encoding="utf-8")
    run_git("init", "--quiet", cwd=root)
    run_git("add", ".", cwd=root)
    run_git("commit", "--quiet", "-m", "a", cwd=root)
    run_git("init", "--quiet", "--bare", str(tmp_path / "remote.git"), cwd=tmp_path)
    return root


def commit(repo):
    run_git("commit", "--quiet", "--all", "--allow-empty", "-m", "b", cwd=repo)


def publish_to(repo, monkeypatch, *more, sha=None):
    sha = sha or git("rev-parse", "HEAD", cwd=repo)
    for key, value in (ENV | {"GITHUB_SHA": sha}).items():
        monkeypatch.setenv(key, value)
    remote = str(repo.parent / "remote.git")
    return publish.main(["--root", str(repo), "--remote", remote, *more])


def branch(repo, *command):
    return git(*command, cwd=repo.parent / "remote.git")


def test_branch_is_created_then_grows_by_what_changed(repo, monkeypatch, capsys):
    assert publish_to(repo, monkeypatch) == 0
    first = branch(repo, "rev-parse", "published")
    files = branch(repo, "ls-tree", "-r", "--name-only", "published").split()
    assert files == ["README.md", "book/02_x.ipynb", "exercises/02_x.ipynb"]
    assert publish_to(repo, monkeypatch) == 0
    assert "nothing has changed" in capsys.readouterr().out
    assert branch(repo, "rev-parse", "published") == first
    commit(repo)
    assert publish_to(repo, monkeypatch) == 0  # the stamp has changed
    assert branch(repo, "rev-parse", "published^") == first


def test_what_is_gone_may_not_be_linked(repo, monkeypatch, capsys):
    (repo / "exercises" / "02_x.ipynb").unlink()
    commit(repo)
    assert publish_to(repo, monkeypatch) == 1
    assert "leads to `exercises/02_x`, which is no page yet" in capsys.readouterr().err


def test_published_notebooks_are_stamped_and_flat(repo, monkeypatch):
    before = git("status", "--porcelain", cwd=repo)
    assert publish_to(repo, monkeypatch) == 0
    assert git("status", "--porcelain", cwd=repo) == before
    nb = nbformat.reads(branch(repo, "show", "published:book/02_x.ipynb"), 4)
    assert leftovers(nb) == []
    setup = nb.cells[1]
    sha = git("rev-parse", "HEAD", cwd=repo)
    line = f'COURSE = "course_lib @ git+https://github.com/Ann/course@{sha}"'
    assert setup.source.split("\n")[1] == line
    assert all(c.outputs[0].text == "kept\n" for c in nb.cells if c.cell_type == "code")
    assert nb.metadata.generated == {"by": "python -m tools.publish", "from": "book/02_x.ipynb"}
    text = nb.cells[2].source
    assert f"By [(2.1)]({URL}book/02_x.html#equation-eq-a) and [Rosenblatt (1958)]" in text
    assert "\\tag{2.1}" in text and "{" not in re.sub(r"\\tag\{2\.1\}", "", text)
    exercise = nbformat.reads(branch(repo, "show", "published:exercises/02_x.ipynb"), 4)
    assert f"[The question]({URL}book/02_x.html#sec-top) and [A neuron]" in exercise.cells[2].source


def test_solutions_are_not_published(repo, monkeypatch):
    (repo / "solutions").mkdir()
    (repo / "solutions" / "02_x.ipynb").write_bytes((repo / "book" / "02_x.ipynb").read_bytes())
    run_git("add", ".", cwd=repo)
    commit(repo)
    assert publish_to(repo, monkeypatch) == 0
    assert "solutions" not in branch(repo, "ls-tree", "-r", "--name-only", "published")


def test_refuses_files_of_another_commit(repo, monkeypatch, capsys):
    assert publish_to(repo, monkeypatch, sha=SHA) == 1
    assert f"GITHUB_SHA is {SHA[:12]}, but HEAD is " in capsys.readouterr().err
    bib = repo / "book" / "references.bib"
    bib.write_text(BIB + "\n", encoding="utf-8")
    assert publish_to(repo, monkeypatch) == 1
    said = capsys.readouterr().err
    assert "differ from the commit" in said and "book/references.bib" in said
    assert branch(repo, "branch", "--list") == ""
    assert publish_to(repo, monkeypatch, "--source", "course_lib", sha=SHA) == 0


def test_dry_run_pushes_nothing(repo, monkeypatch, tmp_path):
    out = tmp_path / "out"
    url = "https://a.org/b"
    assert publish_to(repo, monkeypatch, "--dry-run", str(out), "--page-url", url) == 0
    assert branch(repo, "branch", "--list") == ""
    assert "https://a.org/b/book/02_x.html" in (out / "book/02_x.ipynb").read_text(encoding="utf-8")


def test_refuses_what_is_left(repo, monkeypatch, capsys):
    path = repo / "book" / "02_x.ipynb"
    text = path.read_text(encoding="utf-8").replace("{term}`neuron`", "{foo}`neuron`")
    path.write_text(text, encoding="utf-8")
    commit(repo)
    assert publish_to(repo, monkeypatch) == 1
    said = capsys.readouterr().err
    assert "book/02_x.ipynb, cell 3: MyST is left (1 in all): role {foo}`neuron`" in said
    assert branch(repo, "branch", "--list") == ""


def test_refuses_a_notebook_without_the_setup_line(repo, monkeypatch, capsys):
    path = repo / "book" / "02_x.ipynb"
    text = path.read_text(encoding="utf-8").replace("COURSE = None", "COURSE = 1")
    path.write_text(text, encoding="utf-8")
    commit(repo)
    assert publish_to(repo, monkeypatch) == 1
    assert "expected a cell tagged `setup` with one line `COURSE = None`" in capsys.readouterr().err


def test_no_password_in_an_error(repo, monkeypatch, capsys):
    for key, value in ENV.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    remote = "https://user:secret@localhost:9/x.git"
    asked = ["--root", str(repo), "--remote", remote, "--source", "course_lib"]
    assert publish.main(asked) == 1
    said = capsys.readouterr().err
    assert "ls-remote" in said and "secret" not in said


# ---- this repository


def stored_notebooks():
    return sorted(p for d in STAMPED_FOLDERS for p in (ROOT / d).glob("*.ipynb"))


def test_no_myst_is_left_in_this_book(tmp_path, monkeypatch):
    if not stored_notebooks():
        pytest.skip("no notebook is stored yet")
    for key, value in ENV.items():
        monkeypatch.setenv(key, value)
    out = tmp_path / "out"
    asked = ["--remote", "none", "--dry-run", str(out), "--source", "course_lib"]
    assert publish.main(asked) == 0
    made = {p.relative_to(out) for p in out.rglob("*.ipynb")}
    assert made == {p.relative_to(ROOT) for p in stored_notebooks()}


# ---- a reader, end to end

# Older pips read no `name @ git+file://` (`git+https://` they do): the test takes a new one.
READER = ["pip", "torch", "numpy", "matplotlib", "ipywidgets", "ipython", "ipykernel"]
READER += ["nbclient", "nbformat"]
QUICKLY = ["-qU", "--disable-pip-version-check", "--no-compile"]  # what runs is compiled then
RUN = """
import sys, importlib.metadata as m, nbformat
from nbclient import NotebookClient
versions = lambda: [m.version(p) for p in ("torch", "numpy")]
before = versions()
nb = nbformat.read(sys.argv[1], 4)
try:
    NotebookClient(nb, timeout=300, kernel_name="python3").execute()
except Exception:
    print([c.outputs for c in nb.cells if c.get("outputs")][-1], file=sys.stderr)
    raise
assert versions() == before, (before, versions())
print(m.version("course_lib"), *before)
"""


def reader(folder):
    """A fresh environment with what a notebook service has, from the registry."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pins = (
        (ROOT / "requirements.txt").read_text(encoding="utf-8")
        if (ROOT / "requirements.txt").exists()
        else ""
    )
    wanted = [next(iter(re.findall(rf"^{p}==\S+", pins, re.M)), p) for p in READER]
    run = subprocess.run(
        [python, "-m", "pip", "install", *QUICKLY, *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    needs(
        "registry",
        run.returncode == 0,
        f"the package registry is out of reach: {run.stderr[-300:]}",
    )
    return python


def committed_library():
    """Whether the commit at HEAD holds a library that pip can build."""
    return "book/results" in git("ls-tree", "-d", "--name-only", "HEAD", "book/", cwd=ROOT)


@pytest.mark.slow
def test_a_reader_runs_the_published_chapter(tmp_path, monkeypatch):
    """Clone this repository at HEAD, publish from it, run the notebook where nothing of ours is."""
    if not required("registry"):
        pytest.skip("it installs torch a second time: set REQUIRE=registry to run it")
    inside = (ROOT / ".git").exists() and shutil.which("git") and committed_library()
    needs("git", bool(inside), "this is no git checkout whose HEAD holds the library")
    bare, clone = tmp_path / "course.git", tmp_path / "clone"
    git("clone", "--quiet", "--bare", "--no-local", str(ROOT), str(bare), cwd=tmp_path)
    git("clone", "--quiet", str(bare), str(clone), cwd=tmp_path)
    sha = git("rev-parse", "HEAD", cwd=ROOT)
    git("checkout", "--quiet", sha, cwd=clone)
    found = sorted((clone / "book").glob("[0-9][0-9]_*.ipynb"), key=lambda p: p.stat().st_size)
    name = f"book/{found[0].name}" if found else "book/00_x.ipynb"
    if not found:
        source = sample.write(clone, "book/00_x", sample.code("import course_lib"))
        source.with_suffix(".ipynb").write_bytes(dumps(compose(source)))
    monkeypatch.setenv("GITHUB_REPOSITORY", "Ann/course")
    monkeypatch.setenv("GITHUB_SHA", sha)
    asked = f"course_lib @ git+{bare.as_uri()}@{sha}"
    assert publish.main(["--root", str(clone), "--remote", str(bare), "--source", asked]) == 0
    notebook = tmp_path / "reader" / Path(name).name
    notebook.parent.mkdir()
    notebook.write_text(git("show", f"published:{name}", cwd=bare), encoding="utf-8")
    assert json.dumps(asked)[1:-1] in notebook.read_text(encoding="utf-8").replace('\\"', '"')
    python = reader(tmp_path / "venv")
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COURSE", "JUPYTER"))
    }
    # A kernel registered for the user must not stand in for the one of the environment.
    kept["JUPYTER_PREFER_ENV_PATH"] = "1"
    kept["VIRTUAL_ENV"] = str(tmp_path / "venv")
    run = subprocess.run(
        [python, "-c", RUN, str(notebook)], cwd=notebook.parent, env=kept,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    print(f"course_lib, torch, numpy: {run.stdout.strip()} on Python {sys.version.split()[0]}")
