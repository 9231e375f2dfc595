"""Single exercises of chapter 02_neuron: answers that the tests of every exercise do not try."""

import itertools
import math

import pytest
import torch
from masters import solutions

from course_lib.checks import probes
from course_lib.checks.neuron import BCE_WITH_LOGITS, NEURON_VOTE
from course_lib.checks.values import difference

SEEDS = range(200)


def stable_loss(z, y):
    softplus = torch.where(z >= 0, z, 0) + torch.log1p(torch.exp(torch.where(z >= 0, -z, z)))
    return (softplus - y * z).mean()


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        (stable_loss, 6),
        (torch.nn.functional.binary_cross_entropy_with_logits, 6),
        (lambda z, y: (torch.logaddexp(z, torch.zeros(())) - y * z).mean(), 6),
        (lambda z, y: stable_loss(z, y).item(), 4),
        (lambda z, y: stable_loss(z.detach(), y), 4),
        (lambda z, y: (z.clamp(min=0) + (-z.abs()).exp().log1p() - y * z).mean(), 4),
        (lambda z, y: (z.relu() + (-z.abs()).exp().log1p() - y * z).mean(), 4),
        (
            lambda z, y: torch.where(
                z >= 0, (-z).exp().log1p() + z - y * z, z.exp().log1p() - y * z
            ).mean(),
            4,
        ),
    ],
)
def test_a_loss_without_its_slope_is_not_paid_in_full(answer, points):
    for seed in SEEDS:
        report = BCE_WITH_LOGITS.evaluate(answer, seed)
        assert report.points == points, str(report)
        assert report.points == 6 or report.mistake


@pytest.mark.parametrize(
    "own",
    [
        lambda z: 1 / (1 + torch.exp(-z)),
        lambda z: 0.5 * (1 + torch.tanh(z / 2)),
        solutions("neuron")["sigmoid"],
    ],
)
def test_a_wrong_value_is_named_though_its_slope_is_another(own):
    """The slope of log σ(z), where it overflows, depends on how the reader wrote σ."""

    def naive(z, y):
        return -(y * own(z).log() + (1 - y) * (1 - own(z)).log()).mean()

    for seed in SEEDS:
        named = BCE_WITH_LOGITS.evaluate(naive, seed).mistake
        assert named.name == "takes the logarithm of zero"
        squared = BCE_WITH_LOGITS.evaluate(lambda z, y: ((own(z) - y) ** 2).mean(), seed).mistake
        assert squared.name == "takes the squared error"


def test_the_loss_has_the_slope_of_the_formula():
    """The reference's slopes, against the closed form."""
    (slope,) = [test for test in BCE_WITH_LOGITS.tests if test.probe is probes.gradient]
    logits = set()
    for z, y in slope.cases(torch.Generator().manual_seed(0)):
        came = probes.gradient(BCE_WITH_LOGITS.reference, z, y)
        wanted = [(0.5 * (1 + math.tanh(v / 2)) - t) / len(z) for v, t in zip(z, y, strict=True)]
        assert difference(came, torch.tensor(wanted)) is None
        logits |= set(zip(z.tolist(), y.tolist(), strict=True))
    for z, y in itertools.product((0.0, 200.0, -200.0, 1e4, -1e4), (0.0, 1.0)):
        assert (z, y) in logits


def test_rounding_the_probability_is_named_as_silence_at_zero():
    report = NEURON_VOTE.evaluate(lambda x, w, b: torch.round(torch.sigmoid(x @ w + b)))
    assert report.mistake.name == "fires above zero only"
    assert "torch.round" in report.mistake.hint
