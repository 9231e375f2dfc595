"""Submissions that attack the grader: none gains a point, sees a secret or touches a neighbour.

The attacks stand in tests/hostile, a submission each, and are graded in one batch with honest
neighbours, odd files and links. A canary, a random word, lies in every place that is forbidden.
``pytest tests/test_grading_hostile.py -s`` prints the table of attacks and outcomes.
"""

import csv
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from masters import ROOT
from submissions import needs_sandbox, notebook, script, solution_cells

from benchmarks.cost import adopt_orphans
from course_lib.grading import grader
from course_lib.grading.records import Grade
from course_lib.plotting import table

needs_sandbox()

ATTACKS = {p.name.partition(".")[0]: p for p in sorted((ROOT / "tests/hostile").glob("*.py.txt"))}
CANARY = re.compile(rb"CANARY-[0-9a-f]{32}")
TRACE = "hostile-"  # how the names of all files begin that an attack tries to make
PORTS = (8786, 18080)  # of loopback, where the attacks knock
SEED = 20_261_121
SECONDS = 2
CHAIN = "def chain(paths):\n    return 0.0\n"
SLOPES = next(cell for cell in solution_cells("autograd") if "def local_slopes" in cell)
SLOW = 900  # seconds for the whole batch, at most

HONEST = {  # content, points
    "aa_right": (notebook(solution_cells("autograd")), 55),
    "mm_half": (script("import math", SLOPES, CHAIN), 5),
    "mn_right": ((ROOT / "tests/right_answers/autograd.py").read_bytes(), 55),
    "zz_right": (notebook(solution_cells("autograd")), 55),
}
# The files of the checks that lie beside the answers, because they call them.
VISIBLE = {f"course_lib/checks/{name}.py" for name in ("__init__", "probes", "values")}


def canary():
    """A word that occurs nowhere else."""
    return f"CANARY-{secrets.token_hex(16)}"


def lay_canaries(project, home):
    """Write one into each forbidden place of a copy of the project; returns them by place."""
    laid = {}
    library = project / "course_lib"
    files = [*library.glob("checks/*.py"), *library.glob("studies/*.py"), library / "autograd.py"]
    files += [path for path in library.glob("grading/*.py")]
    for path in files:
        place = path.relative_to(project).as_posix()
        laid[place] = canary()
        with path.open("a") as file:
            file.write(f"\n_SECRET = {laid[place]!r}\n")
    for path in (project / "solutions").glob("*.ipynb"):
        laid[path.name] = canary()
        content = json.loads(path.read_text())
        content["cells"][0]["source"] = [laid[path.name]]
        path.write_text(json.dumps(content))
    for place in (home / ".secret", project / "last term" / "gradebook.csv"):
        laid[place.name] = canary()
        place.parent.mkdir(exist_ok=True)
        place.write_text(laid[place.name])
    return laid


def odd_files(folder):
    """Things that are no submissions, or hardly; the names of those that must not be graded."""
    (folder / "link_out.py").symlink_to("/etc/passwd")
    (folder / "link_to_neighbour.ipynb").symlink_to(folder / "aa_right.ipynb")
    (folder / "link_to_nothing.py").symlink_to("nowhere")
    (folder / "folder.ipynb").mkdir()
    (folder / "notes.txt").write_text("hello")
    (folder / ".DS_Store").write_bytes(b"\0\1")
    (folder / "twin.py").write_text(CHAIN)
    (folder / "Twin.ipynb").write_bytes(notebook([CHAIN]))
    (folder / "empty.ipynb").write_bytes(b"")
    (folder / "brackets.ipynb").write_bytes(b"[" * 10**6)
    (folder / "objects.ipynb").write_bytes(b'{"cells":' * 10**5)
    (folder / "digits.ipynb").write_bytes(b'{"cells": ' + b"9" * 10**6 + b"}")
    (folder / "not_utf8.py").write_bytes(b"\xff\xfe\xff")
    cells = ["E = type('x' * 3000, (Exception,), {})", *["raise E"] * 100_000]
    (folder / "many_cells.ipynb").write_bytes(notebook(cells))
    os.mkfifo(folder / "pipe.py")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(2**31)
    return {path.name for path in folder.iterdir() if path.name != ".DS_Store"}


ODD_NAMES = ["=1+1;cmd!A0.py", "-rf.py", "a\nb\t.py", "<script>alert(1)<b>.py", "é" * 60 + ".py"]
ODD_NAMES += ["CON.py", "\u202egpj.py", os.fsdecode(b"\xff\xfe.py"), "%s{0}$(id).py"]


@contextmanager
def new_processes():
    """Processes below this one that were started within the block and have not ended after it.

    One that loses its parent becomes ours, so that none is missed.
    """
    adopt_orphans()
    before = set(psutil.Process().children(recursive=True))
    found = []
    yield found
    for process in set(psutil.Process().children(recursive=True)) - before:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)


class Listener:
    """A server on loopback that counts who knocks."""

    def __init__(self, port):
        self.knocks = 0
        self.server = socket.socket()
        with suppress(OSError):  # somebody else listens there
            self.server.bind(("127.0.0.1", port))
            self.server.listen()
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self):
        while True:
            try:
                self.server.accept()[0].close()
            except OSError:
                return
            self.knocks += 1


class Batch:
    """One run over all attacks, and what it left behind."""

    def __init__(self, folder, attacks=ATTACKS, python=sys.executable, arguments=()):
        self.python = python
        self.project, self.home = folder / "project", folder / "home"
        self.submissions, self.out = folder / "submissions", folder / "out"
        self.scratch = folder / "scratch"
        for made in (self.project, self.home, self.submissions, self.scratch):
            made.mkdir(exist_ok=True)
        skip = shutil.ignore_patterns("__pycache__")
        for part in ("course_lib", "solutions"):
            shutil.copytree(ROOT / part, self.project / part, ignore=skip)
        self.canaries = lay_canaries(self.project, self.home)
        for name, (content, _) in HONEST.items():
            ending = ".ipynb" if content[:1] == b"{" else ".py"
            (self.submissions / f"{name}{ending}").write_bytes(content)
        self.canaries["neighbour"] = canary()
        with (self.submissions / "mm_half.py").open("a") as file:
            file.write(f"# {self.canaries['neighbour']}\n")
        honest = {path.name for path in self.submissions.iterdir()}
        self.odd = odd_files(self.submissions) - honest
        for name in ODD_NAMES:
            (self.submissions / name).write_text(CHAIN)
        for name in attacks:
            shutil.copy(ATTACKS[name], self.submissions / f"{name}.py")
        for again in ("neighbour_reads_message_2.py", "neighbour_reads_message_3.py"):
            shutil.copy(ATTACKS["neighbour_reads_message"], self.submissions / again)
        self.canaries["environment"] = canary()
        self.before = self.everything()
        with new_processes() as self.left:
            self.run = self.grade(arguments)
        self.after = self.everything()
        self.grades = self.read()

    def grade(self, arguments):
        command = [self.python, "-m", "course_lib.grading", "grade", "autograd"]
        command += [self.submissions, self.out, "-j", "2"]
        command += ["--seconds", str(SECONDS), "--seed", str(SEED), *arguments]
        environment = os.environ | {
            "PYTHONPATH": str(self.project),
            "HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "SECRET": self.canaries["environment"],
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            command, env=environment, cwd=self.project, capture_output=True, timeout=SLOW
        )

    def everything(self):
        """Every file that an attack might have changed, with its content."""
        folders = (self.project, self.home, self.submissions)
        found = {path for folder in folders for path in folder.rglob("*")}
        ours = self.home / ".cache"  # where matplotlib keeps its list of fonts
        found = {path for path in found if not path.is_relative_to(ours) and path.is_file()}
        return {path: path.read_bytes() for path in found if path.stat().st_size < 2**24}

    def leaked(self):
        """The places whose canaries came back, in the results or on the terminal.

        A canary of an earlier run, in a log that it left, stands for itself.
        """
        came = [path.read_bytes() for path in self.out.rglob("*") if path.is_file()]
        came += [self.run.stdout, self.run.stderr]
        found = {word.decode() for data in came for word in CANARY.findall(data)}
        places = {word: place for place, word in self.canaries.items()}
        return {places.get(word, word) for word in found}

    def read(self):
        grades = {}
        for path in self.out.glob("learners/*/results.json"):
            grade = Grade.from_data(json.loads(path.read_text())["extra_data"])
            grades[grade.file] = grade
        return grades


@pytest.fixture(scope="module")
def listeners():
    heard = [Listener(port) for port in PORTS]
    yield heard
    for listener in heard:
        listener.server.close()


@pytest.fixture(scope="module")
def batch(tmp_path_factory, listeners):
    made = Batch(tmp_path_factory.mktemp("hostile"))
    yield made
    rows = [[name, outcome(made.grades.get(f"{name}.py"))] for name in ATTACKS]
    print(f"\n{table(['attack', 'outcome'], rows)}")


def outcome(grade):
    """What became of an attack, in a few words."""
    if grade is None:
        return "not graded"
    said = [*grade.cells, *[line.message for e in grade.exercises for line in e.lines]]
    said += [e.not_done for e in grade.exercises]
    known = next((words for words in said if words and words != "not defined"), "")
    return f"{grade.points} points: {known.partition(chr(10))[0][:70]}"


def test_there_are_enough_attacks():
    assert len(ATTACKS) >= 30


def test_no_attack_can_be_imported():
    """A test runner that collects modules, for their doctests say, would run it."""
    folder = ROOT / "tests/hostile"
    assert {path.name for path in folder.iterdir()} - {p.name for p in ATTACKS.values()} == {
        "README.md"
    }


def test_the_batch_finished(batch):
    assert batch.run.returncode == 0, batch.run.stderr.decode()[-2000:]
    assert json.loads((batch.out / "grading.json").read_text())["finished"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gains_nothing(batch, attack):
    grade = batch.grades[f"{attack}.py"]
    assert grade.points == 0
    assert [e.points for e in grade.exercises] == [0] * len(grade.exercises)
    assert grade.possible == 55
    assert grade.isolation == "namespaces"


@pytest.mark.parametrize(
    ("name", "points"), [(name, points) for name, (_, points) in HONEST.items()]
)
def test_neighbours_have_the_grades_that_they_have_alone(batch, name, points):
    (path,) = batch.submissions.glob(f"{name}.*")
    alone = grader.grade(grader.Job("autograd", path.name, path.read_bytes(), SEED))
    assert batch.grades[path.name].exercises == alone.exercises
    assert alone.points == points


def test_no_canary_comes_back_but_from_what_is_visible(batch):
    """Those in the visible files come back, which shows that the attacks find what they can."""
    assert batch.leaked() == VISIBLE
    assert len(batch.canaries) > 15


def test_no_attack_reached_anything_outside(batch):
    """Where one does, it says so by the word BREACH."""
    breached = [name for name, grade in batch.grades.items() if "BREACH" in str(grade.as_data())]
    assert breached == []


def test_nothing_outside_was_written_or_deleted(batch):
    assert batch.after == batch.before
    assert list(batch.scratch.iterdir()) == []
    folders = (Path("/tmp"), Path.home(), Path("/"), ROOT, batch.project.parent)
    assert [path for folder in folders for path in folder.glob(f"{TRACE}*")] == []


def test_nothing_is_left_running(batch):
    assert batch.left == []


def test_an_orphan_would_be_found():
    with new_processes() as found:
        subprocess.run(["sh", "-c", "sleep 60 & sleep 0.2"])
    assert [process.name() for process in found] == ["sleep"]
    found[0].kill()
    found[0].wait()


def test_nobody_knocked_on_a_door_of_this_machine(batch, listeners):
    assert [listener.knocks for listener in listeners] == [0, 0]


def test_odd_files_are_listed_and_not_graded(batch):
    told = json.loads((batch.out / "grading.json").read_text())["not graded"]
    assert {entry["file"] for entry in told} == batch.odd
    assert batch.odd.isdisjoint(batch.grades)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_odd_names_are_graded_as_any(batch, name):
    assert batch.grades[name].points == 0
    assert batch.grades[name].cells == ()


def test_every_result_lies_in_its_folder(batch):
    """Names of files lead nowhere else."""
    learners = {path.name for path in (batch.out / "learners").iterdir()}
    assert len(learners) == len(batch.grades) == len(ATTACKS) + 2 + len(HONEST) + len(ODD_NAMES)
    assert all(re.fullmatch(r"[\w.-]{1,80}", name, re.ASCII) for name in learners)


def test_the_gradebook_has_a_row_for_each_and_no_formula(batch):
    with (batch.out / "gradebook.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head[0] == "student" and head[-2:] == ["total", "max"]
    assert len(rows) == len(batch.grades) + len(batch.odd - {"notes.txt"})
    assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in tuple("=+-@")]


# --- without namespaces: root grades as another user, who may read whatever everybody may

AS_ANOTHER_USER = [
    *("secrets_in_files", "secrets_in_environment", "secrets_in_descriptors", "frame_walking"),
    *("answer_from_checks", "garbage_walking", "fork_storm", "orphan", "raised_limits"),
    *("daemon_process", "sockets", "exit_in_function", "endless_loop_in_function", "segfault"),
    *("forged_frames", "patched_runner", "memory_hog_torch"),
]
NOBODY = 65534


def python_for_all(folder):
    """A Python that other users may run, with the packages of this one; skips without."""
    site = sysconfig.get_path("purelib")
    system = "/usr/bin/python3"
    if os.geteuid() != 0:
        pytest.skip("to grade as another user takes root")
    if subprocess.run(["ls", site], user=NOBODY, capture_output=True).returncode:
        pytest.skip(f"other users may not read {site}")
    said = subprocess.getoutput(f"{system} --version")
    if f"Python {sys.version_info.major}.{sys.version_info.minor}." not in said:
        pytest.skip(f"{system} is not of the version of this Python")
    subprocess.run([system, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "packages.pth").write_text(site)
    return folder / "bin/python"


@pytest.fixture(scope="module")
def as_another_user():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        python = python_for_all(folder / "python")
        for private in ("home", "submissions", "out"):
            (folder / private).mkdir(mode=0o700)
        yield Batch(folder, AS_ANOTHER_USER, python, ["--isolation", "uid"])


def test_as_another_user_an_attack_gains_nothing_either(as_another_user):
    batch = as_another_user
    assert batch.run.returncode == 0, batch.run.stderr.decode()[-2000:]
    told = json.loads((batch.out / "grading.json").read_text())["not graded"]
    files = {f"{name}.py" for name in AS_ANOTHER_USER}
    ended = files & {entry["file"] for entry in told}  # by a neighbour, who is the same user here
    assert len(ended) <= 2, told
    points = {file: batch.grades[file].points for file in files - ended}
    assert points == dict.fromkeys(points, 0)
    assert {grade.isolation for grade in batch.grades.values()} == {"uid"}
    assert [batch.grades[f"{name}.ipynb"].points for name in ("aa_right", "zz_right")] == [55, 55]


def test_another_user_reads_no_check_no_solution_and_no_neighbour(as_another_user):
    closed = {place for place in as_another_user.canaries if "/checks/" in place} - VISIBLE
    closed |= {"02_neuron.ipynb", "03_autograd.ipynb", "neighbour", "environment", ".secret"}
    assert len(closed) > 8
    assert as_another_user.leaked() & closed == set()


def test_another_user_leaves_nothing_running(as_another_user):
    assert as_another_user.left == []


def test_another_user_is_refused_where_everybody_may_read_the_submissions(as_another_user):
    batch = as_another_user
    batch.submissions.chmod(0o755)
    batch.out = batch.out.parent / "out2"
    refused = batch.grade(["--isolation", "uid"])
    assert refused.returncode == 2
    assert f"run  chmod 700 {batch.submissions}" in refused.stderr.decode()
