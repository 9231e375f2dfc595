"""The helpers of chapter 7's study, on cases that can be worked out by hand."""

import math

import pytest
import torch
from torch import nn

from course_lib.cnn import shift
from course_lib.studies import cnn as study


def ramp(angle: float, size: int = 8) -> torch.Tensor:
    """A picture (1, 1, size, size) that gets brighter in one direction, by 1 a pixel."""
    at = torch.arange(size).float()
    return (at * math.cos(angle) + at[:, None] * math.sin(angle))[None, None]


@pytest.mark.parametrize(("angle", "bin"), [(0, 0), (60, 3), (90, 4.5), (120, 6), (180, 0)])
def test_a_ramp_votes_for_its_direction(angle, bin):
    votes = study.hog(ramp(math.radians(angle))).view(9, 49)[:, 24]  # the cell in the middle
    expected = torch.zeros(9)
    expected[int(bin)] = 1 if bin == int(bin) else 0.5
    expected[math.ceil(bin)] = expected[int(bin)]  # between two bins the vote is shared
    assert torch.allclose(votes / votes.sum(), expected / expected.sum(), atol=1e-4)


def test_an_upright_edge_is_felt_where_it_is_and_whatever_its_sign():
    X = torch.zeros(1, 1, 8, 8)
    X[..., 4:] = 1  # the gradient is 1/2 in columns 3 and 4
    cells = study.hog(X).view(9, 7, 7)
    assert torch.allclose(study.hog(1 - X), study.hog(X), atol=1e-5)
    assert (cells[0, :, 2:5] > 0).all() and (cells[0, :, [0, 1, 5, 6]] == 0).all()
    assert (cells[1:].abs() < 1e-5).all()
    # votes of the columns of cells 2, 3, 4: 1, 2, 1 in two rows; around the middle: 3 x (1 + 4 + 1)
    assert cells[0, 3, 3].item() == pytest.approx(2 / math.sqrt(18.01))


def test_hog_of_nothing_is_nothing_and_grows_with_no_picture():
    assert study.hog(torch.zeros(2, 1, 8, 8)).shape == (2, 441)
    assert study.hog(torch.ones(2, 1, 16, 16)).abs().max() == 0


def test_lines_are_oriented_and_blobs_are_not():
    at = torch.linspace(-1, 1, 5)
    edge, bar = at.expand(5, 5), (at**2).expand(5, 5).T
    blob = torch.exp(-3 * (at**2 + at[:, None] ** 2))
    checks = torch.tensor([[(-1.0) ** (i + j) for i in range(5)] for j in range(5)])
    shares = study.one_way(torch.stack([edge, bar + 7, edge + edge.T, blob, checks]))
    assert torch.allclose(shares[:3], torch.ones(3).double())
    assert (shares[3:] < 0.5).all()


@pytest.mark.parametrize("way", [(0, 0), (2, 0), (-3, 1), (4, -4)])
def test_place_moves_like_shift(way):
    X = torch.rand(5, 1, 16, 16)
    dx, dy = (torch.full((5,), d) for d in way)
    assert torch.equal(study.place(X, dx, dy), shift(X, *way))
    point = torch.zeros(1, 1, 16, 16)
    point[..., 8, 6] = 1
    assert shift(point, *way)[..., 8 + way[1], 6 + way[0]].item() == 1


def test_scattered_digits_lose_nothing():
    X, _ = study.split_digits(0, 50, 16, "cpu")["train"]
    moved = study.scatter(X, torch.Generator().manual_seed(0))
    assert torch.allclose(moved.sum((1, 2, 3)), X.sum((1, 2, 3)))
    assert not torch.equal(moved, X)


def test_centring_undoes_the_scattering():
    point = torch.zeros(1, 1, 9, 9)
    point[..., 1, 6], point[..., 2, 6] = 3, 1  # the mass is at row 1.25, column 6
    centred = study.centre(point)
    assert centred[..., 4, 4].item() == 3 and centred[..., 5, 4].item() == 1
    X, _ = study.split_digits(0, 50, 16, "cpu")["train"]
    scattered = study.centre(study.scatter(X, torch.Generator().manual_seed(0)))
    assert torch.equal(scattered, study.centre(X))
    assert torch.allclose(scattered.sum((1, 2, 3)), X.sum((1, 2, 3)))


def test_the_parts_share_no_picture_and_fewer_are_the_first_of_more():
    few, many = (study.split_digits(3, n, device="cpu") for n in (20, 1000))
    assert torch.equal(few["train"][0], many["train"][0][:20])
    assert torch.equal(few["test"][0], many["test"][0])
    assert [len(X) for X, _ in many.values()] == [597, 200, 1000]
    rows = torch.cat([X.flatten(1) for X, _ in many.values()])
    assert len(rows.unique(dim=0)) == 1797


@pytest.mark.parametrize("angle", range(8))
def test_edges_run_across_their_direction(angle):
    X, way = study.edges(400, torch.Generator().manual_seed(0))
    mean = X[way == angle][:, 0]
    dx, dy = (mean[:, :, 1:] - mean[:, :, :-1])[:, :-1], (mean[:, 1:] - mean[:, :-1])[..., :-1]
    cross = 2 * (dx.sum((1, 2)) * dy.sum((1, 2))).mean()
    along = (dx.sum((1, 2)) ** 2 - dy.sum((1, 2)) ** 2).mean()
    off = (torch.atan2(cross, along) / 2 - angle * math.pi / 8) / math.pi  # of a half circle
    assert abs(off - off.round()) < 0.06


def test_a_probe_reads_what_is_there_and_nothing_else():
    g = torch.Generator().manual_seed(0)
    y = {part: torch.randint(3, (300,), generator=g) for part in ("train", "valid", "test")}
    told = {k: torch.eye(3)[v] + 0.1 * torch.randn(300, 3, generator=g) for k, v in y.items()}
    silent = {k: torch.randn(300, 3, generator=g) for k in y}
    assert study.probe(told, y) == 100
    assert study.probe(silent, y) < 45


def test_multiplications_and_weights_are_those_of_the_text():
    X = {64: torch.zeros(2, 1, 8, 8), 256: torch.zeros(2, 1, 16, 16)}
    for pixels, pictures in X.items():
        nets = {name: study.tries_of(name, pixels)[0][0]() for name in ("CNN", *study.HIDDEN)}
        weights = {k: sum(p.numel() for p in net.parameters()) for k, net in nets.items()}
        times = {k: study.multiplications(net, pictures) for k, net in nets.items()}
        assert weights["CNN"] == 4370
        assert times["CNN"] == {64: 96_928, 256: 387_232}[pixels]
        assert weights["MLP, equal weights"] == pytest.approx(4370, rel=0.03)
        assert times["MLP, equal compute"] == pytest.approx(times["CNN"], rel=0.001)
    assert study.multiplications(nn.Sequential(nn.Conv2d(1, 8, 3, padding=1)), X[64]) == 64 * 72
