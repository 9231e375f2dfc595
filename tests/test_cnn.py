"""course_lib.cnn against torch, finite differences and arithmetic by hand."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import cnn as lib

CPU_AND_GPU = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def normal(*shape, seed=0, device="cpu"):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(device)


def settings(kernels=(1, 3, (2, 3)), groups=(1, 2)):
    """Strides, paddings and dilations, each alone and some together, with pairs among them."""
    grid = [
        {},
        {"stride": 2},
        {"padding": 1},
        {"dilation": 2},
        {"stride": 3, "padding": 2},
        {"stride": 2, "padding": 1, "dilation": 2},
        {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)},
    ]
    return [(k, g, kw) for k, g, kw in product(kernels, groups, grid)]


def problem(kernel, groups, C_in=4, C_out=6, device="cpu"):
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    x = normal(2, C_in, 7, 6, device=device).requires_grad_()
    weight = normal(C_out, C_in // groups, kh, kw, seed=1, device=device).requires_grad_()
    return x, weight, normal(C_out, seed=2, device=device).requires_grad_()


# ---- convolution


@pytest.mark.parametrize("device", CPU_AND_GPU)
@pytest.mark.parametrize("kernel, groups, kw", settings())
def test_conv2d_and_its_backward_equal_torch(kernel, groups, kw, device):
    x, weight, _ = inputs = problem(kernel, groups, device=device)
    theirs = F.conv2d(*inputs, **kw, groups=groups)
    ours = lib.conv2d(*inputs, **kw, groups=groups)
    torch.testing.assert_close(ours, theirs)
    grad = normal(*theirs.shape, seed=3, device=device)
    wanted = torch.autograd.grad(theirs, inputs, grad)
    torch.testing.assert_close(torch.autograd.grad(ours, inputs, grad), wanted)
    by_hand = lib.conv2d_backward(grad, x.detach(), weight.detach(), **kw, groups=groups)
    torch.testing.assert_close(by_hand, wanted)


@pytest.mark.parametrize("kernel, groups, kw", settings(kernels=((3, 2),)))
def test_the_loops_and_their_backward_equal_torch(kernel, groups, kw):
    x, weight, _ = inputs = problem(kernel, groups, C_in=2, C_out=4)
    theirs = F.conv2d(*inputs, **kw, groups=groups)
    ours = lib.conv2d_loops(*inputs, **kw, groups=groups)
    torch.testing.assert_close(ours, theirs)
    grad = normal(*theirs.shape, seed=3)
    wanted = torch.autograd.grad(theirs, inputs, grad)
    torch.testing.assert_close(torch.autograd.grad(ours, inputs, grad), wanted)
    by_hand = lib.conv2d_loops_backward(grad, x.detach(), weight.detach(), **kw, groups=groups)
    torch.testing.assert_close(by_hand, wanted)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_slopes_equal_central_differences(groups):
    inputs = (normal(2, 4, 5, 4), normal(4, 4 // groups, 3, 2, seed=1), normal(4, seed=2))
    inputs = [t.requires_grad_() for t in inputs]
    conv = lambda *inputs: lib.conv2d(*inputs, 2, 1, 1, groups)
    assert torch.autograd.gradcheck(conv, inputs)
    assert torch.autograd.gradgradcheck(conv, inputs)


def test_depthwise_and_no_bias_and_no_pictures():
    x, weight = normal(2, 4, 5, 5), normal(8, 1, 3, 3)
    torch.testing.assert_close(lib.conv2d(x, weight, groups=4), F.conv2d(x, weight, groups=4))
    assert lib.conv2d(x[:0], weight, groups=4).shape == (0, 8, 3, 3)
    assert lib.conv2d_backward(normal(0, 8, 3, 3), x[:0], weight, groups=4)[0].shape == (0, 4, 5, 5)


def test_the_slope_in_the_input_is_the_transposed_convolution():
    x, weight = normal(2, 3, 7, 7), normal(5, 3, 3, 3)
    grad = normal(2, 5, 4, 4, seed=1)
    grad_x, _, _ = lib.conv2d_backward(grad, x, weight, stride=2, padding=1)
    torch.testing.assert_close(grad_x, F.conv_transpose2d(grad, weight, stride=2, padding=1))


@pytest.mark.parametrize("conv", [lib.conv2d, lib.conv2d_loops])
@pytest.mark.parametrize(
    "x, weight, kw, message",
    [
        ((3, 8, 8), (4, 3, 3, 3), {}, r"got \(3, 8, 8\) and .* x\[None\] makes a batch"),
        ((2, 8, 8, 3), (4, 3, 3, 3), {}, r"channels last\? x.permute\(0, 3, 1, 2\)"),
        ((2, 4, 8, 8), (4, 3, 3, 3), {}, r"pictures of 3 channels, got shape \(2, 4, 8, 8\)$"),
        ((2, 4, 8, 8), (5, 2, 3, 3), {"groups": 2}, r"must divide the 5 kernels, got 2"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"groups": 0}, r"got 0 groups"),
        ((2, 3, 2, 8), (4, 3, 3, 3), {}, r"spans 3 pixels, but size 2 with padding 0 has 2"),
        ((2, 3, 0, 8), (4, 3, 3, 3), {"padding": 2}, r"at least 1 .* got 0, 3"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"dilation": 4}, r"3 taps, 4 apart, spans 9 pixels"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"stride": 0}, r"stride and dilation are at least 1"),
        ((2, 3, 8, 8), (4, 3, 3, 3), {"padding": -1}, r"padding at least 0"),
    ],
)
def test_conv2d_says_what_does_not_fit(conv, x, weight, kw, message):
    with pytest.raises(ValueError, match=message):
        conv(torch.zeros(x), torch.zeros(weight), **kw)


def test_conv2d_refuses_a_bias_or_a_slope_of_another_shape():
    x, weight = torch.zeros(1, 1, 4, 4), torch.zeros(2, 1, 3, 3)
    with pytest.raises(ValueError, match=r"a bias for each of 2 kernels, got \(1,\)"):
        lib.conv2d(x, weight, torch.zeros(1))
    for backward in (lib.conv2d_backward, lib.conv2d_loops_backward):
        with pytest.raises(ValueError, match=r"each output, \(1, 2, 2, 2\), got \(1, 2, 1, 2\)"):
            backward(torch.zeros(1, 2, 1, 2), x, weight)


# ---- windows


@pytest.mark.parametrize("size, kernel, stride", [*product((3, 8, 9, 28), (1, 2, 3), (1, 2, 3))])
def test_output_size_equals_the_shape_that_torch_gives(size, kernel, stride):
    for padding, dilation in product((0, 1, 3), (1, 2)):
        if size + 2 * padding <= dilation * (kernel - 1):
            continue
        x, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
        theirs = F.conv1d(x, weight, None, stride, padding, dilation).shape[2]
        assert lib.output_size(size, kernel, stride, padding, dilation) == theirs


@pytest.mark.parametrize("kernel, _, kw", settings(groups=(1,)))
def test_unfold_and_fold_equal_torch(kernel, _, kw):
    x = normal(2, 3, 7, 6)
    cols = lib.unfold(x, kernel, **kw)
    torch.testing.assert_close(cols, F.unfold(x, kernel, **kw))
    y = normal(*cols.shape, seed=1)
    torch.testing.assert_close(lib.fold(y, (7, 6), kernel, **kw), F.fold(y, (7, 6), kernel, **kw))
    # each is the other's transpose: <unfold(x), y> = <x, fold(y)>
    torch.testing.assert_close((cols * y).sum(), (x * lib.fold(y, (7, 6), kernel, **kw)).sum())


def test_fold_refuses_columns_of_other_pictures():
    with pytest.raises(ValueError, match=r"\(B, C·9, 4\) of pictures 4 x 4, got shape \(1, 9, 5\)"):
        lib.fold(torch.zeros(1, 9, 5), (4, 4), 3)
    with pytest.raises(ValueError, match=r"expected pictures \(B, C, H, W\), got shape \(4, 4\)"):
        lib.unfold(torch.zeros(4, 4), 3)


# ---- pooling


@pytest.mark.parametrize("device", CPU_AND_GPU)
@pytest.mark.parametrize("kernel, stride, padding", [(2, None, 0), (3, 2, 1), ((2, 3), 1, (1, 0))])
def test_pooling_equals_torch(kernel, stride, padding, device):
    x = normal(2, 3, 7, 6, device=device).requires_grad_()
    for ours, theirs in ((lib.max_pool2d, F.max_pool2d), (lib.avg_pool2d, F.avg_pool2d)):
        y, y_torch = (pool(x, kernel, stride, padding) for pool in (ours, theirs))
        torch.testing.assert_close(y, y_torch)
        grad = normal(*y.shape, seed=1, device=device)
        slopes = [torch.autograd.grad(out, x, grad)[0] for out in (y, y_torch)]
        torch.testing.assert_close(*slopes)


def test_pooling_drops_the_row_that_fills_no_window():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 4] = 9.0
    assert lib.max_pool2d(x, 2).shape == (1, 1, 2, 2) and lib.max_pool2d(x, 2).max() == 0


def test_padding_is_never_the_largest_value():
    assert (lib.max_pool2d(-torch.ones(1, 1, 4, 4), 2, padding=1) == -1).all()


def test_pooling_refuses_windows_of_padding_alone():
    with pytest.raises(ValueError, match="padding 2 is more than half of a window of 3"):
        lib.max_pool2d(torch.zeros(1, 1, 8, 8), 3, padding=2)
    with pytest.raises(ValueError, match="spans 9 pixels"):
        lib.avg_pool2d(torch.zeros(1, 1, 8, 8), 9)


# ---- receptive field

STACKS = [
    [(3, 1, 0)],
    [(3, 1, 1)] * 4,
    [(5, 1, 2), (2, 2, 0), (5, 1, 2), (2, 2, 0)],  # LeNet
    [(3, 2, 1), (3, 1, 1, 2), (1, 1, 0), (2, 3, 0)],
    [(3, 1, 1, 1), (3, 1, 2, 2), (3, 1, 4, 4)],
]


def chain(layers):
    """One channel, weights above 0: what is seen is what has a slope, unless taps skip it."""
    net = nn.Sequential(*(nn.Conv1d(1, 1, k, s, p, *d, bias=False) for k, s, p, *d in layers))
    for w in net.double().parameters():
        nn.init.ones_(w)
    return net


@pytest.mark.parametrize("layers", STACKS)
def test_the_receptive_field_is_where_the_slope_is_not_zero(layers):
    x = torch.zeros(1, 1, 100, dtype=torch.float64, requires_grad=True)
    net, rows = chain(layers), lib.receptive_field(layers)
    for depth, (size, jump, start) in enumerate(rows, 1):
        y = net[:depth](x)[0, 0]
        for i in (0, 1, len(y) // 2, len(y) - 1):
            (slope,) = torch.autograd.grad(y[i], x, retain_graph=True)
            seen = slope[0, 0].nonzero().flatten().tolist()
            first, last = start + i * jump, start + i * jump + size - 1
            if first >= 0 and last < 100:  # no padding in it
                assert (seen[0], seen[-1]) == (first, last)
            assert first <= seen[0] and seen[-1] <= last


@pytest.mark.parametrize("layer", [(3, 1), (0, 1, 0), (3, 0, 0), (3, 1, -1), (3, 1, 0, 0)])
def test_receptive_field_refuses_what_is_no_layer(layer):
    with pytest.raises(ValueError, match=r"expected \(kernel, stride, padding\)"):
        lib.receptive_field([(3, 1, 1), layer])


# ---- networks


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def conv(C_in, C_out, k, bias):
    return C_out * (C_in * k * k + bias)


@pytest.mark.parametrize("size, channels", [(8, 1), (28, 1), (32, 3)])
def test_lenet_has_the_shapes_and_parameters_of_the_text(size, channels):
    model = lib.lenet(channels, size, device="cpu")
    convs = conv(channels, 6, 5, 1) + conv(6, 16, 5, 1)
    dense = 16 * (size // 4) ** 2 * 120 + 120 + 120 * 84 + 84 + 84 * 10 + 10
    assert parameters(model) == convs + dense
    assert model(torch.zeros(3, channels, size, size)).shape == (3, 10)


def test_vgg_has_the_shapes_and_parameters_of_the_text():
    model = lib.vgg((16, 32), device="cpu")
    convs = sum(conv(*c, 3, 0) for c in ((1, 16), (16, 16), (16, 32), (32, 32)))
    assert parameters(model) == convs + 2 * (16 + 16 + 32 + 32) + 32 * 10 + 10
    assert model(torch.zeros(3, 1, 9, 8)).shape == (3, 10)


@pytest.mark.parametrize("blocks", [1, 3])
def test_resnet_has_the_depth_and_parameters_of_the_text(blocks):
    widths = (4, 8)
    model = lib.ResNet(widths, blocks, device="cpu")
    plain = lib.ResNet(widths, blocks, shortcut=False, device="cpu")
    pairs = [(1, 4), (4, 4), (4, 4), (4, 8), (8, 8)] + [(4, 4), (8, 8)] * 2 * (blocks - 1)
    convs = sum(conv(*c, 3, 0) + 2 * c[1] for c in pairs)
    assert parameters(plain) == convs + 8 * 10 + 10
    assert parameters(model) - parameters(plain) == conv(4, 8, 1, 0)  # the 1 x 1 where it widens
    layers = [row for row in lib.summary(plain, (1, 8, 8)) if row[3]]
    assert len(layers) == 2 + 2 * len(widths) * blocks
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_a_residual_block_adds_what_comes_in():
    block = lib.Residual(3, 3).eval()
    nn.init.zeros_(block.conv2.weight)
    x = normal(2, 3, 5, 5).float()
    torch.testing.assert_close(block(x), torch.relu(x))
    block.shortcut = None
    assert (block(x) == 0).all()


def test_networks_refuse_what_they_cannot_be():
    with pytest.raises(ValueError, match="size must be 4, 8, 12, ..., got 10"):
        lib.lenet(size=10)
    with pytest.raises(ValueError, match=r"needs a stage .* got widths \(\) and 1 blocks"):
        lib.ResNet(())


@pytest.mark.parametrize("device", CPU_AND_GPU)
@pytest.mark.parametrize("make", [lambda d: lib.lenet(size=8, device=d), lib.vgg, lib.ResNet])
def test_networks_learn_a_batch(make, device):
    torch.manual_seed(0)
    model = make(device=device) if make in (lib.vgg, lib.ResNet) else make(device)
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(device)
    y = torch.arange(16, device=device) % 10
    opt = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


# ---- looking inside


def test_summary_adds_up_and_leaves_the_model_as_it_was():
    model = lib.ResNet((4, 8), device="cpu").train()
    model.blocks[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rows = lib.summary(model, (1, 8, 8))
    assert sum(row[2] for row in rows) == parameters(model)
    assert rows[0] == ("stem.0 Conv2d", (4, 8, 8), 36, 4 * 64 * 9)
    assert rows[-1] == ("head Linear", (10,), 90, 80)
    assert model.training and model.blocks[0].training and not model.blocks[1].training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_summary_counts_the_multiplications_of_the_loops():
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    (row,) = lib.summary(nn.Sequential(layer), (4, 7, 7))
    assert row == ("0 Conv2d", (6, 4, 4), 6 * (2 * 9 + 1), 6 * 4 * 4 * 2 * 9)


def test_feature_maps_are_those_of_an_evaluation():
    model = lib.vgg((4, 8), device="cpu").train()
    x = normal(5, 1, 8, 8).float()
    maps = lib.feature_maps(model, x, "3")
    assert model.training and not maps.requires_grad
    torch.testing.assert_close(maps, model.eval()[:4](x).detach())
    with pytest.raises(ValueError, match="no layer 'conv9'; there are 0, 1, 2"):
        lib.feature_maps(model, x, "conv9")


@pytest.mark.parametrize("layer, channel", [("0", 3), ("3", 5), ("11", 2)])
def test_excite_finds_a_picture_that_excites_more(layer, channel):
    torch.manual_seed(0)
    model = lib.lenet(size=8, device="cpu")
    found = lib.excite(model, layer, channel, (1, 8, 8), generator=torch.Generator().manual_seed(0))
    assert found.shape == (1, 8, 8) and found.min() >= 0 and found.max() <= 1
    others = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    y = lib.feature_maps(model, torch.cat([found[None], others]), layer)[:, channel]
    middle = y[(slice(None), *(n // 2 for n in y.shape[1:]))]
    assert middle[0] > middle[1:].max()
    assert all(p.grad is None for p in model.parameters())


def test_excite_finds_what_a_linear_unit_likes_best():
    layer = nn.Conv2d(1, 1, 3, padding=1)
    found = lib.excite(nn.Sequential(layer), "0", 0, (1, 5, 5))
    # the middle unit sees the middle 3 x 3: white where its weight is above 0, black elsewhere
    torch.testing.assert_close(found[0, 1:4, 1:4], (layer.weight[0, 0] > 0).float())


@pytest.mark.parametrize("dx, dy", [(0, 0), (1, 0), (-2, 1), (3, -3)])
def test_shift_moves_and_fills_with_zeros(dx, dy):
    x = normal(2, 1, 6, 7)
    moved = torch.zeros_like(x)
    for i, j in product(range(6), range(7)):
        if 0 <= i + dy < 6 and 0 <= j + dx < 7:
            moved[..., i + dy, j + dx] = x[..., i, j]
    assert torch.equal(lib.shift(x, dx, dy), moved)


def test_convolution_commutes_with_a_shift_away_from_the_border():
    x, weight = normal(1, 2, 12, 12), normal(3, 2, 3, 3)
    a = lib.conv2d(lib.shift(x, 2, -1), weight, padding=1)
    b = lib.shift(lib.conv2d(x, weight, padding=1), 2, -1)
    torch.testing.assert_close(a[..., 3:-3, 3:-3], b[..., 3:-3, 3:-3])
    assert not torch.allclose(a, b)
