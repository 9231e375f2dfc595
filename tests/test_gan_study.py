"""course_lib.studies.gan: what the study counts, held against torch and against numbers by hand."""

import pytest
import torch
from torch import nn

from course_lib.gan import frechet_distance, gradient_penalty
from course_lib.studies import gan as study


def test_cover_counts_by_hand():
    at = study.centres()
    assert study.cover(at.repeat(4, 1)) == (8, 1.0)
    assert study.cover(at[:3].repeat(10, 1)) == (3, 1.0)
    far = at * (1 + 3.1 * study.SD / study.RADIUS)  # a little beyond three standard deviations
    assert study.cover(far) == (0, 0.0)
    one_in_forty = torch.cat([at[:1].repeat(39, 1), at[1:2]])
    assert study.cover(one_in_forty) == (1, 1.0)


def test_clouds_cover_themselves():
    x = study.clouds((2, 5000), torch.Generator().manual_seed(0))
    assert x.shape == (2, 5000, 2)
    covered, good = study.cover(x[0])
    assert covered == 8
    assert good == pytest.approx(0.989, abs=0.005)  # 1 - exp(-9 / 2)


def test_networks_side_by_side_are_networks():
    net = study.first_weights(lambda: study.Points(3, 2, S=2, slope=0.2), 0, "cpu")
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    out = net(x)
    for s in range(2):
        one = nn.Sequential(
            *(nn.Linear(3, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)),
            nn.Linear(64, 2),
        )
        for layer, many in zip(one[::2], net.layers, strict=True):
            layer.weight.data, layer.bias.data = many.W.data[s].T, many.b.data[s, 0]
        assert torch.allclose(one(x[s]), out[s], atol=1e-6)


def test_the_power_iteration_finds_the_largest_singular_value():
    layer = study.first_weights(lambda: study.Linears(3, 5, 4, spectral=True), 0, "cpu")
    for _ in range(200):
        found = layer.stretch()
    wanted = torch.linalg.matrix_norm(layer.W, 2)
    assert torch.allclose(found.flatten(), wanted, rtol=1e-4)


def test_the_statistic_is_one_number_a_batch():
    net = study.first_weights(lambda: study.Points(2, 1, S=1, statistic=True), 0, "cpu")
    x = torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(1))
    whole, alike = net(x), net(x[:, :1].repeat(1, 6, 1))
    assert alike.std() < 1e-6
    assert (whole[0, 0] - alike[0, 0]).abs() > 1e-4  # the same point, in another company


def test_the_penalty_of_one_game_is_the_librarys():
    D = study.first_weights(lambda: study.Points(2, 1, S=1, slope=0.2), 0, "cpu")
    g = torch.Generator().manual_seed(2)
    real, fake = torch.randn(2, 1, 7, 2, generator=g)
    ours = study.penalty(D, real, fake, torch.Generator().manual_seed(3))
    alone = lambda x: D(x[None])[0, :, 0]
    theirs = gradient_penalty(alone, real[0], fake[0], torch.Generator().manual_seed(3))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_the_digits_are_split_without_overlap():
    X, y, reference, fresh = study.parts_of_digits(0, torch.device("cpu"))
    assert len(X) == len(y) == 897
    assert len(reference) == len(fresh) == study.N
    assert X.min() == -1 and X.max() == 1
    rows = torch.cat([X, reference, fresh]).flatten(1)
    other = study.parts_of_digits(1, torch.device("cpu"))
    others = torch.cat([other[0], *other[2:]]).flatten(1)
    assert not torch.equal(rows, others)
    assert len(torch.unique(torch.cat([rows, others]), dim=0)) == len(torch.unique(rows, dim=0))


def test_the_expected_distance_is_what_normal_numbers_give():
    g, n = torch.Generator().manual_seed(0), 2000
    scale = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    draws = torch.randn(60, 2, n, 4, generator=g, dtype=torch.float64) * scale
    mean = sum(frechet_distance(a, b) for a, b in draws) / len(draws)
    assert study.expected_distance(scale.square().diag(), n) == pytest.approx(mean, rel=0.1)
    # all variances 1: D (D + 5) / (2 n)
    assert study.expected_distance(torch.eye(6), 100) == pytest.approx(6 * 11 / 200)
