"""The house keeps its shape: one name in six places, imports point left, the map is true."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from needs import needs

from tools.new import LAST, SHARED
from tools.new import PLACES as LAID_OUT

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(p.stem for p in (ROOT / "book").glob("[0-9][0-9]_*.md"))
LAZY = ["matplotlib", "sklearn", "gymnasium", "ipywidgets", "pooch", "pygments", "tqdm"]
MODULES = sorted((ROOT / "course_lib").rglob("*.py"))
DOCUMENTED = [p for p in MODULES if "checks" not in p.parts]
PLACES = [
    "book/{full}.md",
    "book/{full}.ipynb",
    "course_lib/{name}.py",
    "course_lib/checks/{name}.py",
    "exercises/{full}.ipynb",
    "solutions/{full}.md",
    "solutions/{full}.ipynb",
    "tests/test_{name}.py",
    "tests/right_answers/{name}.py",
]


def order() -> list[str]:
    """The line along which imports may point left."""
    return SHARED + [c.partition("_")[2] for c in CHAPTERS] + LAST


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "course_lib").with_suffix("").parts[0]


def imported_parts(path: Path) -> set[str]:
    """The parts of course_lib that a module imports, at its top or inside."""
    parts = set()
    depth = len(path.relative_to(ROOT / "course_lib").parts) - 1
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("course_lib.")]
            parts |= {n.split(".")[1] for n in names}
        elif isinstance(node, ast.ImportFrom):
            inside = node.level == depth + 1 or (node.module or "").split(".")[0] == "course_lib"
            if inside:
                module = (node.module or "").removeprefix("course_lib").strip(".")
                parts |= {module.split(".")[0]} if module else {a.name for a in node.names}
    return parts


def test_there_is_a_chapter():
    assert CHAPTERS


@pytest.mark.parametrize("full", CHAPTERS)
def test_one_name_in_its_places(full):
    name = full.partition("_")[2]
    missing = [p for p in PLACES if not (ROOT / p.format(full=full, name=name)).exists()]
    assert not missing


@pytest.mark.parametrize("full", CHAPTERS)
def test_nothing_is_left_to_write(full):
    """What make new laid out and the author has not written yet says TODO."""
    name = full.partition("_")[2]
    left = []
    for place in (p.format(full=full, name=name) for p in LAID_OUT.values()):
        path = ROOT / place
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        left += [f"{place}:{i}: {s.strip()}" for i, s in enumerate(lines, 1) if "TODO" in s]
    assert not left, f"{len(left)} places are left to write:\n" + "\n".join(left)


@pytest.mark.parametrize("full", CHAPTERS)
def test_number_and_title_are_those_of_the_file_name_and_the_map(full):
    number = int(full[:2])
    heads = [
        re.search(r"^# (.+)$", text, re.M)[1]
        for folder in ("book", "exercises", "solutions")
        for text in [first_markdown(ROOT / folder / f"{full}.ipynb")]
    ]
    row = rf"^\| \[{number:02d} · ([^\]]+)\]"
    title = re.search(row, (ROOT / "README.md").read_text(encoding="utf-8"), re.M)[1]
    shown = f"{number} · {title}"
    assert heads == [shown, f"{shown}: exercises", f"{shown}: solutions"]


def first_markdown(path: Path) -> str:
    """The first text cell of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return next(c.source for c in cells if c.cell_type == "markdown")


def test_no_exercise_or_solution_without_a_chapter():
    found = [p for f in ("exercises", "solutions") for p in (ROOT / f).glob("*.ipynb")]
    assert {p.stem for p in found} <= set(CHAPTERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_left(path):
    if path == ROOT / "course_lib/__init__.py":
        assert not imported_parts(path)
        return
    here = order().index(part_of(path))
    for part in imported_parts(path) - {part_of(path)}:
        assert order().index(part) < here, f"{path.name} imports {part}, which stands right of it"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_are_imported_where_they_are_used(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {n.split(".")[0] for n in names} & {*LAZY, "torchvision"}, path


@pytest.mark.parametrize("full", CHAPTERS)
def test_a_chapter_imports_little_besides_torch(full):
    name = full.partition("_")[2]
    code = (
        "import sys, torch; before = set(sys.modules); "
        f"import course_lib.{name}; print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extra = {m.split(".")[0] for m in run.stdout.split()} - set(sys.stdlib_module_names)
    assert extra <= {"course_lib", "torch", "numpy"}


def public(tree: ast.AST) -> list[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes, and the public methods of these."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
            found += [node, *(public(node) if isinstance(node, ast.ClassDef) else [])]
    return found


def wanted(node: ast.FunctionDef) -> list[str]:
    """The parts of a long function's docstring: what it takes, gives and raises."""
    taken = [a.arg for a in node.args.args + node.args.kwonlyargs if a.arg not in ("self", "cls")]
    inner = {n for f in ast.walk(node) if f is not node and isinstance(f, ast.FunctionDef)
             for n in ast.walk(f)}  # fmt: skip
    own = [n for n in ast.walk(node) if n not in inner]
    gives = any(isinstance(n, ast.Return) and n.value is not None for n in own)
    raises = any(isinstance(n, ast.Raise) for n in own)
    parts = {"Args:": bool(taken), "Returns:": gives, "Raises:": raises}
    return [part for part, needed in parts.items() if needed]


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_functions_have_docstrings_with_their_parts(path):
    for node in public(ast.parse(path.read_text(encoding="utf-8"))):
        doc = ast.get_docstring(node) or ""
        assert doc, f"{path.name}: {node.name} has no docstring"
        if isinstance(node, ast.FunctionDef) and len(node.body) - 1 > 4:  # the docstring aside
            missing = [part for part in wanted(node) if part not in doc]
            assert not missing, f"{path.name}: {node.name} says nothing of {missing}"


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            files += [chapter["file"], *(s["file"] for s in chapter.get("sections", []))]
    return files


def test_every_page_is_in_the_order_of_the_book():
    files = toc_files()
    for full in CHAPTERS:
        chapter = files.index(f"book/{full}")
        pages = [f"{folder}/{full}" for folder in ("book", "exercises", "solutions")]
        assert files[chapter : chapter + 3] == pages
    for page in ("intro", "learners", "instructors", "claims", "glossary", "references", "api"):
        assert f"book/{page}" in files


def test_the_map_in_the_readme_is_true():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d\d)[^|]*\]\(([^)]+)\) \|(.*)\|$", readme, re.M)
    assert [f"{n}" for n, *_ in rows] == [c[:2] for c in CHAPTERS]
    for full, (_, book, rest) in zip(CHAPTERS, rows, strict=True):
        name = full.partition("_")[2]
        linked = {book, *re.findall(r"\]\(([^)]+)\)", rest)}
        places = ("book/{0}.md", "course_lib/{1}.py", "exercises/{0}.ipynb", "solutions/{0}.md")
        assert linked == {p.format(full, name) for p in places}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_arrive(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S))
    targets = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_requirements_are_pinned_with_torch_first_and_ourselves_last():
    lines = [
        line
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0].startswith("torch==")
    assert lines[-1] == "-e ."
    assert all(re.fullmatch(r"[\w.\-\[\]]+==[\w.]+( ?; .+)?", line) for line in lines[:-1])


def test_the_package_caps_nothing_from_above():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needs = re.search(r"dependencies = \[(.*?)\]", text, re.S)[1]
    assert re.findall(r'"([^"]+)"', needs)
    assert not re.search(r"<|==|~=|!=", needs)


def test_nothing_names_a_place_that_only_the_author_has():
    here = (ROOT / ".git").exists() and shutil.which("git")
    needs("git", bool(here), "this is no git checkout: the files to read are those that git lists")
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    texts = [ROOT / f for f in files if f.endswith((".md", ".ipynb", ".json", ".yml", ".toml"))]
    assert texts
    for path in (p for p in texts if p.exists()):
        found = re.search(
            r"(?<![\w./:])/(?:home|root|work|Users|tmp)/[\w.]+", path.read_text(encoding="utf-8")
        )
        assert not found, f"{path.relative_to(ROOT)}: {found[0]}"
