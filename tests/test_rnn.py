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
        ours = lambda *given: lib.rnn_cell(*given, activation="relu")
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


# Gradients through time


def unrolled(x, h, W_ih, W_hh, b, window=None):
    """States by autograd, cut off at every window."""
    states = [h]
    for t, x_t in enumerate(x):
        before = states[-1].detach() if window and t and t % window == 0 else states[-1]
        states.append(torch.tanh(x_t @ W_ih.T + before @ W_hh.T + b))
    return states


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("window", [None, 1, 2, 3, 7, 20])
@pytest.mark.parametrize("seed", range(3))
def test_bptt_equals_autograd_truncated_too(seed, window, device):
    T, B, D, H = 7, 3, 2, 4
    made = [draw(seed + k, *s, device=device) for k, s in
            enumerate([(T, B, D), (B, H), (H, D), (H, H), (H,)])]  # fmt: skip
    x, h, W_ih, W_hh, b = (one.requires_grad_() for one in made)
    states = unrolled(x, h, W_ih, W_hh, b, window)
    out = torch.stack(states[1:])
    grad_h = draw(9, T, B, H, device=device)
    wanted = torch.autograd.grad((grad_h * out).sum(), [x, h, W_ih, W_hh, b, *states[1:]])
    with torch.no_grad():
        came = lib.bptt(x, torch.stack(states), W_ih, W_hh, grad_h, window)
    assert_alike([came[k] for k in ("x", "W_ih", "W_hh", "b")], [wanted[k] for k in (0, 2, 3, 4)])
    assert_alike([*came["h"]], [wanted[1], *wanted[5:]])


def test_bptt_names_what_does_not_fit():
    x, h, W = torch.zeros(3, 2, 1), torch.zeros(4, 2, 1), torch.zeros(1, 1)
    with pytest.raises(ValueError, match="expected 4 states .* and 3 gradients"):
        lib.bptt(x, h[1:], W, W, h[1:])
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        lib.bptt(x, h, W, W, h[1:], window=0)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_by_step_is_that_of_the_rest_of_the_sequence(kind, batch_first):
    T, B, D, H = 5, 3, 2, 4
    x = draw(0, *((B, T) if batch_first else (T, B)), D)
    cut = (lambda a, t: a[:, t:]) if batch_first else (lambda a, t: a[t:])
    for layer in pair(kind, D, H, 2, batch_first=batch_first):
        came = lib.gradient_by_step(layer, x, lambda out: cut(out, T - 1).square().sum())
        assert came.shape == ((2 if kind == "LSTM" else 1), T)
        for t in range(1, T):  # start in the middle, with the state as a leaf
            _, state = layer(x[:, :t] if batch_first else x[:t])
            leaves = [part.detach().requires_grad_() for part in flat(state)]
            out, _ = layer(cut(x, t), tuple(leaves) if kind == "LSTM" else leaves[0])
            last = out[:, -1] if batch_first else out[-1]
            wanted = torch.autograd.grad(last.square().sum(), leaves)
            assert_alike(came[:, t - 1], [g.norm() for g in wanted])


# Characters


def test_a_text_comes_back():
    text = "Ünïcode, and a line\nfeed."
    symbols = lib.alphabet(text)
    tokens = lib.encode(text, symbols)
    assert tokens.max() == len(symbols) - 1 and lib.decode(tokens, symbols) == text
    assert len(lib.encode("", symbols)) == 0
    with pytest.raises(ValueError, match=r"\['q'\] are not among the \d+ symbols"):
        lib.encode("q", symbols)


@pytest.mark.parametrize(("N", "B", "T"), [(21, 2, 5), (22, 2, 5), (40, 3, 4), (7, 6, 1)])
def test_streams_go_on_where_they_ended(N, B, T):
    windows = lib.streams(torch.arange(N), B, T)
    x, y = (torch.cat(part, 1) for part in zip(*windows, strict=True))
    assert (y == x + 1).all() and (x.diff(dim=1) == 1).all()
    assert all(a.shape == b.shape == (B, T) for a, b in windows)
    assert (N - 1) // B - T < x.shape[1] <= (N - 1) // B
    with pytest.raises(ValueError, match=f"got {N}; try T={(N - 1) // B}"):
        lib.streams(torch.arange(N), B, N)


def test_likelihoods_do_not_depend_on_the_window():
    torch.manual_seed(0)
    model = lib.CharModel(5, 8, recurrent=lib.LSTM, device="cpu")
    tokens = torch.randint(5, (40,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, _ = model(tokens[None, :-1])
    wanted = -F.cross_entropy(logits[0], tokens[1:], reduction="none")
    for window in (1, 7, 39, 100):
        torch.testing.assert_close(lib.log_likelihoods(model, tokens, window), wanted)
    assert lib.bits(wanted).exp2() == pytest.approx(lib.perplexity(wanted))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [1, 2, 4])
def test_ngrams_sum_to_one_and_equal_counts(n, seed):
    K, a = 3, 0.7
    tokens = torch.randint(K, (50,), generator=torch.Generator().manual_seed(seed))
    model = lib.Ngram(tokens, K, n, strength=a)
    seen = tokens.tolist()
    for context in ([], [0], [2, 1], [1, 1, 0, 2], [0] * 9):
        wanted = [1 / K] * K
        for m in range(min(n, len(context) + 1)):
            tail = context[len(context) - m :]
            places = [t for t in range(m, 50) if seen[t - m : t] == tail]
            counts = [sum(seen[t] == k for t in places) for k in range(K)]
            wanted = [(c + a * p) / (len(places) + a) for c, p in zip(counts, wanted, strict=True)]
        p = model.probs(context)
        torch.testing.assert_close(p, torch.tensor(wanted, dtype=torch.float64))
        assert p.sum().item() == pytest.approx(1)
    log_p = model.log_likelihoods(tokens)
    by_probs = [model.probs(seen[:t])[seen[t]].log() for t in range(1, 50)]
    torch.testing.assert_close(log_p, torch.stack(by_probs))


def test_ngrams_check_their_settings():
    with pytest.raises(ValueError, match="n >= 1 and strength > 0, got 0 and 1"):
        lib.Ngram(torch.zeros(3), 1, 0)
    with pytest.raises(ValueError, match="got 2 and 0"):
        lib.Ngram(torch.zeros(3), 1, 2, strength=0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature):
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    g = torch.Generator().manual_seed(0)
    drawn = torch.tensor([lib.next_symbol(logits, temperature, g) for _ in range(4000)])
    share = drawn.bincount(minlength=4) / 4000
    torch.testing.assert_close(share, (logits / temperature).softmax(-1), atol=0.03, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
def test_a_cold_sample_is_the_largest_each_time(device):
    torch.manual_seed(0)
    model = lib.CharModel(6, 8, recurrent=lib.GRU, device=device)
    prompt = torch.tensor([1, 4, 2], device=device)
    came = lib.sample(model, prompt, 12, temperature=0)
    whole = prompt
    for _ in range(12):  # read everything again for each symbol
        logits, _ = model(whole[None])
        whole = torch.cat([whole, logits[0, -1].argmax()[None]])
    assert torch.equal(came, whole[3:])
    g = torch.Generator().manual_seed(0)
    assert torch.equal(came, lib.sample(model, prompt, 12, 1e-6, g))


def test_sampling_checks_what_it_gets():
    model = lib.CharModel(3, 4, device="cpu")
    with pytest.raises(ValueError, match="temperature must be at least 0, got -1"):
        lib.sample(model, torch.tensor([0]), 1, temperature=-1)
    with pytest.raises(ValueError, match=r"a prompt \(P,\) with P >= 1, got \(0,\)"):
        lib.sample(model, torch.tensor([]), 1)


def test_the_model_of_characters_runs_on_our_layers_and_on_torchs():
    torch.manual_seed(0)
    ours = lib.CharModel(7, 6, layers=2, recurrent=lib.LSTM, dropout=0.3, device="cpu").eval()
    theirs = lib.CharModel(7, 6, layers=2, dropout=0.3, device="cpu").eval()
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.randint(7, (3, 9), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(tokens)[0], theirs(tokens)[0])
    assert math.prod(ours(tokens)[0].shape) == 3 * 9 * 7
