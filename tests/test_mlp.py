"""course_lib.mlp against torch: values, gradients, extremes, and the scale of first weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import mlp as lib

SHAPES = [(4,), (5, 3), (2, 3, 4)]


def logits(shape, seed, scale=3.0):
    g = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(shape, generator=g, dtype=torch.float64)).requires_grad_()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("ours", "theirs"), [(lib.softmax, torch.softmax), (lib.log_softmax, torch.log_softmax)]
)
def test_softmax_equals_torch_along_every_axis(ours, theirs, shape, seed):
    for dim in range(-len(shape), len(shape)):
        z, weight = logits(shape, seed), logits(shape, seed + 100).detach()
        came, wanted = ours(z, dim), theirs(z, dim)
        torch.testing.assert_close(came, wanted, rtol=1e-12, atol=1e-14)
        (slope,) = torch.autograd.grad((weight * came).sum(), z)
        (by_torch,) = torch.autograd.grad((weight * wanted).sum(), z)
        torch.testing.assert_close(slope, by_torch, rtol=1e-11, atol=1e-13)


EXTREMES = [
    [0.0, 1e4, -1e4],
    [1e4, 1e4, 1e4],
    [-1e4, -1e4 + 1, -1e4],
    [1e300, -1e300, 0.0],
    [-math.inf, 2.0, 3.0],
    [-math.inf, -math.inf, -5.0],
]


@pytest.mark.parametrize("row", EXTREMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes_and_masks_equal_torch(row, dtype):
    z = torch.tensor([row, row[::-1]], dtype=torch.float64).clamp(max=1e30).to(dtype)
    z.requires_grad_()
    torch.testing.assert_close(lib.softmax(z), torch.softmax(z, -1))
    torch.testing.assert_close(lib.log_softmax(z), torch.log_softmax(z, -1))
    y = torch.tensor([2, 0])  # the last of the row: never masked
    ours, theirs = lib.cross_entropy(z, y), F.cross_entropy(z, y)
    torch.testing.assert_close(ours, theirs)
    slopes = (torch.autograd.grad(loss, z)[0] for loss in (ours, theirs))
    torch.testing.assert_close(*slopes)


def test_nan_and_a_row_that_is_all_masked_are_not_hidden():
    for row in ([math.nan, 0.0], [-math.inf, -math.inf]):
        assert lib.softmax(torch.tensor(row)).isnan().all()


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_loss_is_the_error(seed):
    z, y = logits((6, 4), seed), torch.randint(4, (6,))
    loss = lib.cross_entropy(z, y)
    torch.testing.assert_close(loss, F.cross_entropy(z, y), rtol=1e-13, atol=0)
    (slope,) = torch.autograd.grad(loss, z)
    error = lib.softmax(z.detach()) - F.one_hot(y, 4)
    torch.testing.assert_close(slope, error / 6, rtol=1e-12, atol=1e-15)


def test_cross_entropy_and_linear_have_the_slopes_of_differences():
    z, y = logits((3, 4), 0), torch.tensor([0, 3, 1])
    assert torch.autograd.gradcheck(lambda z: lib.cross_entropy(z, y), z)
    layer = lib.Linear(4, 2, None, "cpu", torch.float64)
    assert torch.autograd.gradcheck(layer, z)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
def test_linear_equals_torch(shape):
    ours = lib.Linear(3, 4, None, "cpu", torch.float64)
    theirs = nn.Linear(3, 4, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())  # the same names and shapes
    x = logits(shape, 0)
    torch.testing.assert_close(ours(x), theirs(x))
    weight = logits(ours(x).shape, 1).detach()
    by_ours = torch.autograd.grad((weight * ours(x)).sum(), [x, *ours.parameters()])
    by_theirs = torch.autograd.grad((weight * theirs(x)).sum(), [x, *theirs.parameters()])
    torch.testing.assert_close(by_ours, by_theirs)


@pytest.mark.parametrize(("fan_out", "fan_in"), [(300, 300), (600, 150), (150, 600)])
def test_first_weights_have_the_scale_of_torchs(fan_out, fan_in):
    W, T = torch.empty(fan_out, fan_in), torch.empty(fan_out, fan_in)
    g = torch.Generator().manual_seed(0)
    for ours, theirs in (
        (lib.xavier_(W.clone(), generator=g), nn.init.xavier_normal_(T.clone(), generator=g)),
        (lib.xavier_(W.clone(), 4.0, g), nn.init.xavier_normal_(T.clone(), 4.0, generator=g)),
        (
            lib.kaiming_(W.clone(), generator=g),
            nn.init.kaiming_normal_(T.clone(), nonlinearity="relu", generator=g),
        ),
    ):
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.02)
        assert abs(ours.mean().item()) < 4 * ours.std().item() / math.sqrt(ours.numel())


def test_the_same_generator_gives_the_same_weights_and_keeps_the_global_one():
    def weights():
        return lib.xavier_(torch.empty(3, 2), generator=torch.Generator().manual_seed(5))

    state = torch.get_rng_state()
    assert torch.equal(weights(), weights())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("activation", ["ReLU", "tanh", "sigmoid"])
def test_an_mlp_equals_torchs_layers(activation):
    g = torch.Generator().manual_seed(0)
    net = lib.MLP((5, 7, 6, 3), activation, "cpu", torch.float64, g)
    bend = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation]
    theirs = nn.Sequential(
        nn.Linear(5, 7), bend(), nn.Linear(7, 6), bend(), nn.Linear(6, 3)
    ).double()
    for ours, p in zip(net.parameters(), theirs.parameters(), strict=True):
        p.data.copy_(ours)
    x, y = logits((8, 5), 0), torch.arange(8) % 3
    torch.testing.assert_close(net(x), theirs(x), rtol=1e-12, atol=1e-13)
    lib.cross_entropy(net(x), y).backward()
    F.cross_entropy(theirs(x), y).backward()
    for ours, p in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, p.grad, rtol=1e-10, atol=1e-13)
    norms = lib.gradient_norms(net)
    assert list(norms) == [f"layers.{i}.weight" for i in range(3)]
    assert norms["layers.1.weight"] == pytest.approx(theirs[2].weight.grad.norm().item())


@pytest.mark.parametrize("name", ["ReLU", "tanh", "sigmoid"])
def test_the_first_weights_suit_the_activation(name):
    wanted = {"ReLU": math.sqrt(2 / 400), "tanh": math.sqrt(2 / 600), "sigmoid": 4 / 300**0.5}
    by_torch = {"ReLU": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    for activation in (name, by_torch[name]):
        g = torch.Generator().manual_seed(0)
        net = lib.MLP((400, 200, 10), activation, "cpu", generator=g)
        assert net.layers[0].weight.std().item() == pytest.approx(wanted[name], rel=0.02)
        last = math.sqrt(2 / 210)
        assert net.layers[1].weight.std().item() == pytest.approx(last, rel=0.05)
        assert not net.layers[0].bias.any()


def test_without_hidden_layers_it_is_one_layer():
    net = lib.MLP((3, 2), device="cpu")
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net(x), net.layers[0](x))


def test_a_saved_model_comes_back(tmp_path):
    first, second = (
        lib.MLP((3, 4, 2), device="cpu", generator=torch.Generator().manual_seed(s)) for s in (0, 1)
    )
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(first(x), second(x))
    torch.save(first.state_dict(), tmp_path / "net.pt")
    second.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lib.cross_entropy(torch.zeros(2, 3), torch.zeros(2)), TypeError, "y.long"),
        (
            lambda: lib.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3])),
            ValueError,
            "run from 0 to 3, but 3 logits are for the classes 0 to 2; give the last layer 4",
        ),
        (
            lambda: lib.cross_entropy(torch.zeros(2, 3), torch.tensor([-1, 0])),
            ValueError,
            "from -1",
        ),
        (
            lambda: lib.cross_entropy(torch.zeros(3), torch.tensor([1])),
            ValueError,
            r"\(B, K\).*got \(3,\)",
        ),
        (
            lambda: lib.cross_entropy(torch.zeros(0, 3), torch.zeros(0).long()),
            ValueError,
            "B >= 1",
        ),
        (lambda: lib.xavier_(torch.zeros(3)), ValueError, r"\(fan_out, fan_in\), got \(3,\)"),
        (lambda: lib.MLP((3,)), ValueError, r"sizes of inputs and outputs, got \(3,\)"),
        (lambda: lib.MLP((3, 2), "Relu"), ValueError, "'Relu' is none of step, sigmoid"),
        (lambda: lib.gradient_norms(lib.Linear(2, 2)), ValueError, "call loss.backward"),
    ],
)
def test_bad_input_gets_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_gives_the_cpus_numbers():
    def loss_and_slope(device):
        g = torch.Generator().manual_seed(0)
        net = lib.MLP((5, 8, 3), device=device, generator=g)
        x = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).to(device)
        loss = lib.cross_entropy(net(x), (torch.arange(7) % 3).to(device))
        loss.backward()
        return loss.cpu(), net.layers[0].weight.grad.cpu()

    torch.testing.assert_close(loss_and_slope("cuda"), loss_and_slope("cpu"), rtol=1e-4, atol=1e-5)
