"""What is special to single exercises of chapter 03; test_checks tests what all have in common."""

import itertools
import time

import pytest
import torch
from masters import solutions

from course_lib.checks import probes
from course_lib.checks.autograd import BACKWARD_PASS
from course_lib.checks.autograd_engine import VALUE
from course_lib.checks.probes import outcome_of
from course_lib.checks.values import difference


def test_the_gradients_of_the_engine_are_torchs():
    def leaf(data):
        return torch.tensor(data, dtype=torch.float64, requires_grad=True)

    for seed in range(3):
        for name, code, results in itertools.chain(*VALUE.cases(seed)):
            came = outcome_of(VALUE.reference, probes.program, (name, code, results)).value
            code = code.replace("grad = 0", "grad = None")  # torch's way to forget one
            wanted = probes.program(leaf, name, code, results)
            wanted = {k: 0.0 if v is None else v.item() for k, v in wanted.items()}
            assert difference(came, wanted) is None, code


@pytest.mark.parametrize("exercise", [BACKWARD_PASS, VALUE], ids=["backward_pass", "Value"])
def test_a_walk_along_every_path_is_stopped(exercise):
    begin = time.process_time()
    (walk,) = [m for m in exercise.mistakes if m.name == "walks along every path"]
    report = exercise.evaluate(walk.answer)
    assert [line.test.name for line in report.lines if line.status == "FAIL"] == [
        "visits every node once"
    ]
    assert "was stopped after 200,000 steps" in str(report)
    assert time.process_time() - begin < 20  # the paths would take days


@pytest.mark.parametrize(
    ("second", "grad"),
    [("z = h * 2; z.backward()", 10.0), ("y.backward()", 8.0)],
    ids=["another result", "the same again"],
)
def test_the_masters_engine_may_go_back_through_a_graph_twice(second, grad):
    engine = solutions("autograd")["Value"]
    code = f"a = Value(2); b = Value(3); h = a * b; y = h + a; y.backward(); {second}"
    assert probes.program(engine, "Value", code, "a.grad") == {"a.grad": grad}
