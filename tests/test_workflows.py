"""The workflows: pinned actions, least permissions, and steps that run here too."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = {p.stem: p for p in sorted((ROOT / ".github/workflows").glob("*.yml"))}
FLOWS = {name: yaml.safe_load(p.read_text(encoding="utf-8")) for name, p in FILES.items()}
JOBS = [(flow, job) for flow, content in FLOWS.items() for job in content["jobs"]]
OWN = "./.github/workflows/"  # a workflow of this commit, so nothing to pin
WRITES = {  # all that a job may do beyond reading the files
    ("publish", "notebooks"): {"contents": "write"},
    ("publish", "pages"): {"pages": "write", "id-token": "write"},
}

each_flow = pytest.mark.parametrize("flow", FLOWS)
each_job = pytest.mark.parametrize(("flow", "job"), JOBS, ids=[f"{f}-{j}" for f, j in JOBS])


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def steps(flow, job):
    return FLOWS[flow]["jobs"][job].get("steps", [])


def uses(flow, job, action):
    return [s for s in steps(flow, job) if s.get("uses", "").startswith(f"actions/{action}@")]


def triggers(flow):
    return FLOWS[flow][True]  # YAML 1.1 reads the word `on` as true


def test_the_workflows_are_there():
    assert set(FLOWS) == {"test", "publish", "weekly"}
    assert {"pull_request", "push", "workflow_call"} <= set(triggers("test"))
    assert triggers("publish")["push"] == {"branches": ["main"]}
    assert "main" in triggers("test")["push"]["branches-ignore"]  # publish tests it
    assert {"schedule", "workflow_dispatch"} == set(triggers("weekly"))


@each_flow
def test_actions_are_pinned_by_commit(flow):
    lines = re.findall(r"^\s*-?\s*uses: (.+)$", FILES[flow].read_text(encoding="utf-8"), re.M)
    assert lines
    for line in lines:
        pinned = re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
        assert pinned or line.startswith(OWN), f"pin by 40 digits, version in a comment: {line}"


@each_flow
def test_nobody_may_do_anything_unless_a_job_says_so(flow):
    assert FLOWS[flow]["permissions"] in ({}, {"contents": "read"})


@each_job
def test_a_job_has_the_least_permissions(flow, job):
    asked = FLOWS[flow]["jobs"][job].get("permissions", {})
    assert asked in ({}, {"contents": "read"}, WRITES.get((flow, job)))


@each_job
def test_a_job_ends_and_leaves_no_password(flow, job):
    if "uses" in FLOWS[flow]["jobs"][job]:
        return  # the workflow that it calls is tested itself
    assert FLOWS[flow]["jobs"][job]["timeout-minutes"] <= 60
    pushes = WRITES.get((flow, job), {}).get("contents") == "write"
    for step in uses(flow, job, "checkout"):
        assert step["with"]["persist-credentials"] is pushes


@each_job
def test_every_command_can_be_run_here(flow, job):
    targets = re.findall(r"^([a-z]+):", read("Makefile"), re.M)
    for command in (s["run"] for s in steps(flow, job) if "run" in s):
        made = re.fullmatch(r"make ([a-z]+)( \w+=\w+)*", command)
        assert command == ".ci/run" or (made and made[1] in targets), command
        assert "${{" not in command  # a shell would run what a stranger wrote
        assert uses(flow, job, "checkout") and uses(flow, job, "setup-python")


def test_nothing_is_published_before_the_tests_have_passed():
    jobs = FLOWS["publish"]["jobs"]
    assert jobs["test"]["uses"] == f"{OWN}test.yml"
    for job in set(jobs) - {"test"}:
        needed = job
        while needed != "test":
            needed = jobs[needed]["needs"]
    assert FLOWS["publish"]["concurrency"] == {"group": "publish", "cancel-in-progress": False}


def test_the_pythons_are_those_of_the_readme_the_makefile_and_the_package():
    tested = FLOWS["test"]["jobs"]["linux"]["strategy"]["matrix"]["python"]
    first, last = tested[0], tested[-1]
    assert f"Python {', '.join(tested[:-1])} or {last}" in read("README.md")
    assert re.findall(r"python(3\.\d+)", read("Makefile").split("BIN :=")[0]) == tested[::-1]
    low, high = (version.replace(".", ", ") for version in (first, last))
    assert f"({low}) <= sys.version_info[:2] <= ({high})" in read("Makefile")
    assert f'requires-python = ">={first}"' in read("pyproject.toml")
    for flow, job in JOBS:
        for step in uses(flow, job, "setup-python"):
            version = step["with"]["python-version"]
            assert version in (*tested, "${{ matrix.python }}"), (flow, job)
