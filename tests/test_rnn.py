"""course_lib.rnn against torch.nn and autograd: values, states, gradients; counts by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from course_lib import rnn as lib

KINDS = ["RNN", "LSTM", "GRU"]
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def draw(seed, *shape, device="cpu"):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(device)


def pair(kind, D, H, layers=1, device="cpu", **settings):
    """Our layer and torch's, with the same weights, in float64."""
    ours = getattr(lib, kind)(D, H, layers, device=device, dtype=torch.float64, **settings)
    theirs = getattr(nn, kind)(D, H, layers, dtype=torch.float64, **settings).to(device)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def flat(state):
    return list(state) if isinstance(state, tuple) else [state]


def start(kind, seed, *shape, device="cpu"):
    parts = [draw(seed + k, *shape, device=device).requires_grad_() for k in range(2)]
    return tuple(parts) if kind == "LSTM" else parts[0]


def slopes(outputs, inputs):
    """Gradients of a sum in which every number has a weight of its own."""
    total = sum((draw(50 + k, *y.shape).to(y) * y).sum() for k, y in enumerate(outputs))
    return torch.autograd.grad(total, inputs)


def assert_alike(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


# Cells


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("B", "D", "H"), [(1, 1, 1), (3, 2, 5), (4, 6, 3)])
@pytest.mark.parametrize("kind", [*KINDS, "relu"])
def test_cells_equal_torch(kind, B, D, H, seed, device):
    if kind == "relu":
        theirs = nn.RNNCell(D, H, nonlinearity="relu", dtype=torch.float64)
        ours = lambda *given: lib.rnn_cell(*given, activation="relu")  # noqa: E731
    else:
        theirs = getattr(nn, f"{kind}Cell")(D, H, dtype=torch.float64)
        ours = getattr(lib, f"{kind.lower()}_cell")
    theirs = theirs.to(device)
    x, state = draw(seed, B, D, device=device).requires_grad_(), start(kind, 7, B, H, device=device)
    weights = [theirs.weight_ih, theirs.weight_hh, theirs.bias_ih, theirs.bias_hh]
    a, b = flat(ours(x, state, *weights)), flat(theirs(x, state))
    assert_alike(a, b)
    inputs = [x, *flat(state), *weights]
    assert_alike(slopes(a, inputs), slopes(b, inputs))


def test_a_cell_names_what_does_not_fit():
    x, h, W, b = torch.zeros(2, 3), torch.zeros(2, 5), torch.zeros(20, 5), torch.zeros(20)
    with pytest.raises(ValueError, match=r"a cell takes one step: .* got \(7, 2, 3\)"):
        lib.rnn_cell(torch.zeros(7, 2, 3), h, W, W, b, b)
    with pytest.raises(ValueError, match=r"must be \(15, 3\) and \(15, 5\), got \(20, 5\)"):
        lib.gru_cell(x, h, W, W, b, b)
    with pytest.raises(ValueError, match=r"a pair \(h, c\)"):
        lib.lstm_cell(x, h, W, W, b, b)
    with pytest.raises(ValueError, match="tanh, relu, got 'sine'"):
        lib.rnn_cell(x, h, torch.zeros(5, 3), torch.zeros(5, 5), b[:5], b[:5], activation="sine")


# Layers


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_equal_torch(kind, layers, batch_first, given, device):
    T, B, D, H = 6, 4, 3, 5
    ours, theirs = pair(kind, D, H, layers, device, batch_first=batch_first)
    shape = (B, T, D) if batch_first else (T, B, D)
    x = draw(1, *shape, device=device).requires_grad_()
    state = start(kind, 3, layers, B, H, device=device) if given else None
    inputs = [x, *(flat(state) if given else [])]
    found = []
    for layer in (ours, theirs):
        out, end = layer(x, state)
        found.append(([out, *flat(end)], [*inputs, *layer.parameters()]))
    assert_alike(found[0][0], found[1][0])
    assert_alike(*(slopes(*one) for one in found))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("lengths", [(2, 6, 1, 6), (3, 3), (1,), (5, 4, 2)])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_equal_torch(kind, layers, lengths, given, device):
    B, D, H = len(lengths), 3, 4
    ours, theirs = pair(kind, D, H, layers, device, batch_first=True)
    x = draw(1, B, max(lengths), D, device=device).requires_grad_()
    state = start(kind, 3, layers, B, H, device=device) if given else None
    found = []
    for layer in (ours, theirs):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, end = layer(packed, state)
        padded, kept = pad_packed_sequence(out, batch_first=True)
        assert kept.tolist() == list(lengths)
        inputs = [x, *(flat(state) if given else []), *layer.parameters()]
        found.append(([padded, *flat(end)], inputs))
    assert_alike(found[0][0], found[1][0])
    assert_alike(*(slopes(*one) for one in found))


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_batch_equals_its_sequences_one_by_one(kind):
    ours, _ = pair(kind, 2, 3, 2)
    texts = [draw(T, T, 2) for T in (4, 3, 1)]
    _, end = ours(pack_sequence(texts))  # sorted already: no indices are kept
    for b, x in enumerate(texts):
        _, alone = ours(x[:, None])
        assert_alike([part[:, b] for part in flat(end)], [part[:, 0] for part in flat(alone)])


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_draws_the_weights_that_torch_draws(kind):
    weights = []
    for home in (lib, nn):
        torch.manual_seed(3)
        settings = {"device": "cpu"} if home is lib else {}
        weights.append(getattr(home, kind)(2, 4, 2, **settings).state_dict())
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(a, b) for a, b in zip(*map(dict.values, weights), strict=True))


def test_dropout_acts_between_layers_and_in_training_only():
    layer = lib.GRU(2, 50, 2, dropout=0.5, device="cpu")
    x = torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    single = lib.GRU(2, 50, 1, dropout=0.5, device="cpu")  # nothing between: nothing to drop
    assert torch.equal(single(x)[0], single(x)[0])


def test_layers_name_what_does_not_fit():
    layer = lib.LSTM(3, 4, 2, batch_first=True, device="cpu")
    with pytest.raises(ValueError, match=r"\(B, T, D\) with D = 3 .* got \(5, 2\); batch_first is"):
        layer(torch.zeros(5, 2))
    with pytest.raises(ValueError, match=r"no axis empty, got \(5, 0, 3\)"):
        layer(torch.zeros(5, 0, 3))
    with pytest.raises(ValueError, match=r"a pair \(h, c\) of \(2, 5, 4\), layers first"):
        layer(torch.zeros(5, 2, 3), torch.zeros(2, 5, 4))
    with pytest.raises(ValueError, match="hidden_size must be at least 1, got 0"):
        lib.RNN(1, 0)
    with pytest.raises(ValueError, match="num_layers must be at least 1, got 0"):
        lib.RNN(1, 1, 0)
    with pytest.raises(ValueError, match=r"dropout must be at least 0 and below 1, got 1\.0"):
        lib.RNN(1, 1, dropout=1.0)
