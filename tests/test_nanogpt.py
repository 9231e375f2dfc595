"""nanoGPT's settings and the course's: sizes, schedules, and that both learn."""

import math

import pytest
import torch

from course_lib.studies import _nanogpt as study
from course_lib.studies.runner import results

TOKENS = torch.tensor([0, 1, 2, 3, 4] * 200)


def test_the_schedule_is_nanogpts():
    """Its train.py: up over 100 steps, then a cosine from 1e-3 to 1e-4, here as a factor."""
    for step, lr in ((0, 1e-3 / 101), (99, 1e-3 * 100 / 101), (100, 1e-3), (1050, 5.5e-4)):
        assert 1e-3 * study.warm_cosine(step / 2000) == pytest.approx(lr)
    assert study.warm_cosine(1) == pytest.approx(0.1)


def test_the_courses_schedule_goes_up_stays_and_comes_down_straight():
    assert study.down(0) == pytest.approx(0.4)
    assert [study.down(f) for f in (0.03, 0.2, 0.4)] == pytest.approx([1, 1, 1])
    assert [study.down(f) for f in (0.7, 1.0)] == pytest.approx([0.5, 0])


def test_the_reference_has_nanogpts_size_and_both_learn():
    """0.80 M weights, as nanoGPT counts them: without the positions."""
    for learn in (
        lambda: study.reference(65, TOKENS, 0, steps=3),
        lambda: study.course(65, TOKENS, 0, steps=3, lr=5e-3),
    ):
        model = learn()
        assert all(p.isfinite().all() for p in model.parameters())
    reference = study.reference(65, TOKENS, 0, steps=1)
    size = sum(p.numel() for p in reference.parameters())
    assert size - reference.positions.weight.numel() == 795_904  # 12 D² a block, gains, 65 rows
    assert size == 12 * 128**2 * 4 + 9 * 128 + 65 * 128 + 64 * 128


@pytest.mark.parametrize("without", ["nothing", *study.WITHOUT, "Muon", "bfloat16"])
def test_each_part_can_be_left_out(without):
    model = study.course(5, TOKENS, 0, steps=2, lr=5e-3, without=without)
    loss = study.judge(model, TOKENS, 64)
    assert 0 < loss < 3 * math.log(5)


def test_the_text_held_out_chose_the_fewest_steps():
    """The fewest whose mean beats the reference; of two step sizes the best."""
    rows = results("14_transformer", "gpt_fewest")

    def mean(case):
        found = [r["nats"] for r in rows if (case | {"choosing": True}).items() <= r.items()]
        assert len(found) == 3
        return sum(found) / 3

    tried = [study.SHORT | {"steps": n, "lr": lr} for n in study.FEWER for lr in (0.005, 0.007)]
    better = [case for case in tried if mean(case) < mean({"recipe": "reference"})]
    assert min(better, key=lambda case: (case["steps"], mean(case))) == study.FEWEST
