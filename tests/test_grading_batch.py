"""A folder of submissions: what is listed, what is kept, the cluster, and the command line."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from masters import ROOT
from submissions import needs_sandbox, notebook, script, solution_cells

from course_lib.grading import batch, grader
from course_lib.grading.__main__ import _parser, main
from course_lib.grading.records import NotGraded
from course_lib.grading.sandbox import Sandbox, SandboxError

CHAIN = "def chain(paths):\n    import math\n    return float(sum(math.prod(p) for p in paths))\n"
WRONG = "def chain(paths):\n    return float(sum(map(sum, paths)))\n"


def heed_interrupts():
    """A shell has its background jobs ignore them, and what these start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def folder(tmp_path):
    """Three submissions; two are alike."""
    made = tmp_path / "submissions"
    made.mkdir()
    (made / "ada.py").write_text(CHAIN)
    (made / "bob.py").write_text(WRONG)
    (made / "cy.ipynb").write_bytes(notebook([CHAIN]))
    return made


def run(*words, jobs=1):
    """The exit code of a command, in this process."""
    extra = ["-j", jobs] if words[0] == "grade" else []
    return main([str(word) for word in (*words, *extra)])


def gradebook(out):
    """The rows of the gradebook, by student."""
    with (out / "gradebook.csv").open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def results(out):
    """The results of each learner, by file."""
    found = [json.loads(p.read_text()) for p in (out / "learners").glob("*/results.json")]
    return {result["extra_data"]["file"]: result for result in found}


# ---- what is in a folder


def test_a_listing_names_each_thing_that_is_no_submission(folder):
    (folder / "notes.txt").write_text("x")
    (folder / "sub.ipynb").mkdir()
    (folder / "link.py").symlink_to(folder / "ada.py")
    (folder / "ADA.ipynb").write_bytes(b"{}")
    (folder / "big.py").write_bytes(b"#" * (batch.LARGEST + 1))
    for hidden in (".DS_Store", "._ada.ipynb", "__MACOSX"):
        (folder / hidden).touch()
    files, others = batch.listing(folder)
    assert [path.name for path in files] == ["bob.py", "cy.ipynb"]
    reasons = {entry.file: entry.reason for entry in others}
    assert set(reasons) == {"notes.txt", "sub.ipynb", "link.py", "ADA.ipynb", "ada.py", "big.py"}
    assert "neither" in reasons["notes.txt"] and "link" in reasons["link.py"]
    assert "folder" in reasons["sub.ipynb"] and "only file" in reasons["ada.py"]
    assert "20,971,521 bytes" in reasons["big.py"]


def test_names_that_differ_in_the_way_an_accent_is_written_are_one_learner(folder):
    (folder / "r\u00e9mi.py").write_text(CHAIN)
    (folder / "re\u0301mi.ipynb").write_bytes(notebook([CHAIN]))
    files, others = batch.listing(folder)
    assert len(files) == 3
    assert len(others) == 2


def test_a_file_that_turns_into_a_link_is_not_followed(folder):
    path = folder / "ada.py"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        batch.content(path)


def test_a_file_that_turns_into_a_pipe_does_not_block(folder):
    path = folder / "ada.py"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="no ordinary file"):
        batch.content(path)


def test_seeds_are_drawn_anew():
    seeds = {batch.new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert all(0 < seed < batch.SEEDS for seed in seeds)


# ---- the command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grade", "autogrd", "{in}", "{out}"], "there is no chapter 'autogrd'; there are att"),
        (["grade", "autograd", "{in}/none", "{out}"], "is no folder"),
        (["grade", "autograd", "{in}", "{in}"], "lies within"),
        (["grade", "autograd", "{in}", "{in}/out"], "lies within"),
        (["grade", "autograd", "{in}", "{in}/../other"], "has other things in it"),
        (["grade", "autograd", "{in}/../empty", "{out}"], "is empty; put the notebooks in it"),
        (["grade", "autograd", "{in}", "{out}", "--executor", "spark://x"], "expected dask://"),
        (
            ["grade", "autograd", "{in}", "{out}", "--executor", "dask://127.0.0.1:9"],
            "no scheduler answers",
        ),
    ],
)
def test_wrong_words_end_with_2_and_what_to_do(folder, capsys, words, said):
    out = folder.parent / "out"
    (folder.parent / "empty").mkdir()
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "diary.txt").touch()
    assert run(*[word.format(**{"in": folder, "out": out}) for word in words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-j", "0"], ["--seed", "-1"], ["--seconds", "0"]])
def test_numbers_below_one_are_refused(folder, capsys, words):
    with pytest.raises(SystemExit) as stopped:
        main(["grade", "autograd", str(folder), "out", *words])
    assert stopped.value.code == 2
    assert "is not above 0" in capsys.readouterr().err


def test_without_a_sandbox_nothing_is_graded_and_no_zero_is_written(folder):
    out = folder.parent / "out"
    command = [sys.executable, "-m", "course_lib.grading", "grade", "autograd", folder, out]
    environment = os.environ | {"PATH": str(folder)}
    ended = subprocess.run(
        [*command, "--isolation", "namespaces"], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "NOT GRADED" in ended.stderr and "bubblewrap" in ended.stderr
    assert not (out / "gradebook.csv").exists()
    assert not (out / "learners").exists()


def documented(path):
    """The commands of the grader that a page shows, each as words."""
    blocks = re.findall(r"^```bash\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if "-m course_lib.grading" in line]


@pytest.mark.parametrize("page", ["book/instructors.md", "README.md"])
def test_the_commands_that_the_pages_show_exist(page):
    commands = documented(ROOT / page)
    assert commands
    for words in commands:
        assert words[:3] == [".venv/bin/python", "-m", "course_lib.grading"]
        assert callable(_parser().parse_args(words[3:]).run)


class TestGraded:
    """What needs the sandbox."""

    @pytest.fixture(autouse=True)
    def sandbox(self):
        needs_sandbox()

    def test_a_class_is_graded_into_a_gradebook(self, folder, capsys):
        (folder / "notes.txt").write_text("x")
        (folder / "eve.ipynb").write_text("{}")
        out = folder.parent / "out"
        assert run("grade", "autograd", folder, out, "--seed", 5) == 0
        rows = gradebook(out)
        assert list(rows) == ["ada", "bob", "cy", "eve"]
        assert list(rows["ada"])[:2] == ["student", "chain"]
        assert list(rows["ada"])[-3:] == ["train_on_moons", "total", "max"]
        assert (rows["ada"]["chain"], rows["ada"]["total"], rows["ada"]["max"]) == ("4", "4", "55")
        assert set(list(rows["eve"].values())[1:]) == {""}
        assert 0 <= int(rows["bob"]["chain"]) < 4
        assert results(out)["ada.py"]["score"] == 4
        summary = json.loads((out / "grading.json").read_text())
        assert (summary["seed"], summary["isolation"]) == (5, ["namespaces"])
        said = capsys.readouterr().out
        assert "3 graded, 2 not. Isolation: namespaces." in said
        assert "'notes.txt' is neither .ipynb nor .py" in said
        for name in ("junit.xml", "overview.html"):
            assert (out / name).stat().st_size > 500
        assert len(list(out.glob("learners/*/feedback.html"))) == 3

    def test_a_class_without_a_grade_ends_with_2_and_its_reasons(self, folder, capsys):
        for path in folder.iterdir():
            path.write_text("{}")
            path.rename(path.with_suffix(".ipynb"))
        out = folder.parent / "out"
        assert run("grade", "autograd", folder, out) == 2
        assert "No file has a grade" in capsys.readouterr().err
        assert "no list of cells" in (out / "overview.html").read_text()

    def test_the_same_seed_gives_the_same_grades(self, folder):
        outs = [folder.parent / name for name in ("one", "two")]
        for out in outs:
            assert run("grade", "autograd", folder, out, "--seed", 7) == 0
        one, two = ((out / "gradebook.csv").read_bytes() for out in outs)
        assert one == two

    def test_after_a_start_that_failed_the_same_command_works(self, folder, monkeypatch):
        out = folder.parent / "out"
        with monkeypatch.context() as without:
            without.setenv("PATH", str(folder))
            assert run("grade", "autograd", folder, out, "--isolation", "namespaces") == 2
        assert run("grade", "autograd", folder, out, "--isolation", "namespaces") == 0

    def test_a_summary_that_cannot_be_read_is_named(self, folder, capsys):
        out = folder.parent / "out"
        run("grade", "autograd", folder, out)
        for broken in ('{"chap', "[]", '{"chapter": "autograd"}'):
            (out / "grading.json").write_text(broken)
            assert run("grade", "autograd", folder, out, "--resume") == 2
            assert "grading.json cannot be read" in capsys.readouterr().err

    def test_results_are_never_overwritten(self, folder, capsys):
        out = folder.parent / "out"
        run("grade", "autograd", folder, out)
        before = (out / "gradebook.csv").read_bytes()
        assert run("grade", "autograd", folder, out) == 2
        assert "holds results" in capsys.readouterr().err
        assert (out / "gradebook.csv").read_bytes() == before

    def test_resume_keeps_what_holds_and_grades_the_rest(self, folder):
        out = folder.parent / "out"
        run("grade", "autograd", folder, out, "--seed", 5)
        paths = {
            json.loads(path.read_text())["extra_data"]["file"]: path
            for path in out.glob("learners/*/results.json")
        }
        marked = json.loads(paths["ada.py"].read_text())
        marked["extra_data"]["seconds"] = marked["execution_time"] = 12345.0  # to know it again
        paths["ada.py"].write_text(json.dumps(marked))
        paths["cy.ipynb"].write_text('{"cut off')
        forged = json.loads(paths["bob.py"].read_text())
        forged["extra_data"]["exercises"][0]["lines"][0]["points"] = "many"
        paths["bob.py"].write_text(json.dumps(forged))
        (folder / "dora.py").write_text(CHAIN)
        (out / "gradebook.csv").unlink()
        assert run("grade", "autograd", folder, out, "--resume") == 0
        rows = gradebook(out)
        assert list(rows) == ["ada", "bob", "cy", "dora"]
        assert [rows[name]["chain"] for name in ("ada", "cy", "dora")] == ["4"] * 3
        assert int(rows["bob"]["chain"]) < 4
        found = results(out)
        assert found["ada.py"]["extra_data"]["seconds"] == 12345.0
        assert {result["extra_data"]["seed"] for result in found.values()} == {5}

    def test_resume_does_not_mix_seeds_or_chapters(self, folder, capsys):
        out = folder.parent / "out"
        run("grade", "autograd", folder, out, "--seed", 5)
        assert run("grade", "autograd", folder, out, "--resume", "--seed", 6) == 2
        assert run("grade", "neuron", folder, out, "--resume") == 2
        assert "chapter autograd with seed 5" in capsys.readouterr().err

    def test_an_interruption_keeps_what_is_graded(self, folder):
        for i in range(12):
            (folder / f"slow{i:02d}.py").write_text("import time\ntime.sleep(0.8)\n" + CHAIN)
        out = folder.parent / "out"
        command = [sys.executable, "-m", "course_lib.grading", "grade", "autograd", folder, out]
        first = subprocess.Popen(
            [*command, "-j", "1"], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
        )
        try:
            while len(list(out.glob("learners/*/results.json"))) < 4:
                assert first.poll() is None
                time.sleep(0.05)
            first.send_signal(signal.SIGINT)
            _, said = first.communicate(timeout=300)
        finally:
            first.kill()
        assert first.returncode == 130
        assert "--resume goes on from there" in said
        kept = {p: p.stat().st_mtime_ns for p in out.glob("learners/*/results.json")}
        assert 4 <= len(kept) < 15
        seed = json.loads((out / "grading.json").read_text())["seed"]
        assert run("grade", "autograd", folder, out, "--resume") == 0
        assert {p: p.stat().st_mtime_ns for p in kept} == kept
        assert len(gradebook(out)) == 15
        assert {r["extra_data"]["seed"] for r in results(out).values()} == {seed}

    def test_copies_come_out_with_similar(self, folder):
        answer = next(cell for cell in solution_cells("autograd") if "class Value" in cell)
        other = (ROOT / "tests/right_answers/autograd.py").read_text()
        renamed = answer.replace("order", "sequence").replace("node", "knot")
        for name, source in {"eve": answer, "fay": renamed, "gus": other, "hal": CHAIN}.items():
            (folder / f"{name}.py").write_bytes(script(source))
        for name in ("ivy", "jim"):
            (folder / f"{name}.py").write_text(
                "class Value:\n    def __init__(self, data):\n        self.data = data\n"
            )
        out = folder.parent / "out"
        assert run("grade", "autograd", folder, out, "--similar") == 0
        page = (out / "similar.html").read_text()
        assert "eve" in page and "fay" in page
        assert "gus" not in page and "ada" not in page
        assert "similar.html" in (out / "overview.html").read_text()

    def test_a_cluster_of_processes_does_the_same_work(self, folder):
        distributed = pytest.importorskip("distributed")
        here, there = folder.parent / "here", folder.parent / "there"
        assert run("grade", "autograd", folder, here, "--seed", 5) == 0
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            address = cluster.scheduler_address.replace("tcp://", "dask://")
            words = ["grade", "autograd", folder, there, "--seed", 5, "--executor", address]
            assert run(*words) == 0
            alive = len(cluster.workers)
        assert alive == 2
        assert (here / "gradebook.csv").read_bytes() == (there / "gradebook.csv").read_bytes()

    def test_a_submission_that_breaks_the_grader_itself_is_one_file_without_a_grade(
        self, folder, monkeypatch
    ):
        settings = batch.Settings("autograd", 5, jobs=1)
        monkeypatch.setattr(grader, "grade", _breaks)
        done = list(batch.run(sorted(folder.iterdir()), settings, {}))
        assert [type(result) for result in done].count(NotGraded) == 3
        assert "the grader failed: ZeroDivisionError(" in done[0].reason


def _breaks(job):
    return 1 / 0


# ---- Gradescope


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The archive, as Gradescope lays it out."""
    root = tmp_path_factory.mktemp("autograder")
    path = root / "autograder.zip"
    assert run("gradescope-zip", "autograd", "--out", path) == 0
    with zipfile.ZipFile(path) as archive:
        archive.extractall(root / "source")
    for name in ("setup.sh", "run_autograder"):
        (root / "source" / name).chmod(0o755)
    (root / "submission").mkdir()
    return root


def test_the_archive_has_what_it_takes_and_the_same_bytes_twice(unpacked, tmp_path):
    source = unpacked / "source"
    assert (source / "requirements.txt").read_text().count("==") > 5
    assert (source / "course/course_lib/checks/autograd.py").exists()
    assert (source / "course/course_lib/solutions/03_autograd.ipynb").exists()
    for name in ("setup.sh", "run_autograder"):
        assert subprocess.run(["bash", "-n", source / name]).returncode == 0
    assert "download.pytorch.org/whl/cpu" in (source / "setup.sh").read_text()
    again = tmp_path / "again.zip"
    run("gradescope-zip", "autograd", "--out", again)
    assert again.read_bytes() == (unpacked / "autograder.zip").read_bytes()


def upload(unpacked, **files):
    """Grade an upload by the archive's own command; its results.json."""
    for path in (unpacked / "submission").iterdir():
        path.unlink()
    for name, content in files.items():
        (unpacked / "submission" / name.replace("__", ".")).write_text(content)
    results = unpacked / "results" / "results.json"
    results.unlink(missing_ok=True)
    environment = os.environ | {"AUTOGRADER": str(unpacked), "PYTHON": sys.executable}
    environment.pop("PYTHONPATH", None)
    ended = subprocess.run([unpacked / "source/run_autograder"], env=environment, cwd="/")
    return ended.returncode, json.loads(results.read_text()) if results.exists() else None


def test_the_archive_grades_an_upload(unpacked):
    needs_sandbox()
    code, result = upload(unpacked, ada__py=CHAIN)
    assert (code, result["score"]) == (0, 4)
    code, result = upload(unpacked, ada__py=CHAIN, bob__py=CHAIN)
    assert result["score"] == 0
    assert "Upload one notebook" in result["output"] and "bob.py" in result["output"]
    code, result = upload(unpacked, ada__ipynb="{}")
    assert "no list of cells" in result["output"]


def test_an_upload_gets_no_result_where_nothing_can_be_graded(tmp_path, monkeypatch):
    def refuse(self, view):
        raise SandboxError("not here")

    monkeypatch.setattr(Sandbox, "_start", refuse)
    grader.close()
    upload = tmp_path / "submission"
    upload.mkdir()
    (upload / "ada.py").write_text(CHAIN)
    assert run("gradescope", "autograd", upload, tmp_path / "results.json") == 2
    assert not (tmp_path / "results.json").exists()
