"""course_lib.attention against torch, slow loops, exhaustive search and its own word."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import attention as lib
from course_lib.plotting import subplots

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def draw(seed, *shape, device="cpu"):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(device)


def choose(seed, *shape, device="cpu"):
    """A mask that leaves each query at least one key."""
    g = torch.Generator().manual_seed(seed)
    mask = torch.rand(shape, generator=g) < 0.5
    mask[..., 0] = True
    return mask.to(device)


def slopes(out, inputs):
    """Gradients of a sum in which every number has a weight of its own."""
    return torch.autograd.grad((draw(77, *out.shape).to(out) * out).sum(), inputs)


def assert_alike(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


# Attention

SHAPES = [((), (), 1, 1, 1, 1), ((), (), 4, 6, 3, 2), ((2, 3), (2, 3), 5, 4, 8, 8),
          ((2, 3), (3,), 2, 5, 4, 1), ((1,), (4,), 3, 3, 2, 5)]  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("masked", ["no", "full", "one row for all", "causal"])
@pytest.mark.parametrize(("many", "more", "T", "S", "D", "E"), SHAPES)
def test_attend_equals_torch(many, more, T, S, D, E, masked, device):
    q, k, v = (draw(i, *shape, device=device).requires_grad_() for i, shape in
               enumerate([(*many, T, D), (*more, S, D), (*more, S, E)]))  # fmt: skip
    masks = {"full": choose(3, T, S), "one row for all": choose(4, 1, S)}
    masks["causal"] = lib.causal_mask(T, S, "cpu") if S >= T else choose(5, T, S)
    mask = None if masked == "no" else masks[masked].to(device)
    mixed, weights = lib.attend(q, k, v, mask)
    full = mask if mask is None else mask.expand(T, S)
    whole = torch.broadcast_shapes(many, more)
    wide = [x.expand(*whole, *x.shape[-2:]) for x in (q, k, v)]
    theirs = F.scaled_dot_product_attention(*wide, attn_mask=full)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert mask is None or (weights.masked_select(~mask) == 0).all()
    assert_alike([mixed, *slopes(mixed, (q, k, v))], [theirs, *slopes(theirs, (q, k, v))])


@pytest.mark.parametrize("seed", range(3))
def test_attend_equals_a_loop(seed):
    q, k, v = draw(seed, 3, 4), draw(seed + 9, 5, 4), draw(seed + 18, 5, 2)
    mask = choose(seed, 3, 5)
    for t in range(3):
        raised = [math.exp(sum(a * b for a, b in zip(q[t].tolist(), k[s].tolist(), strict=True))
                           / 2) * mask[t, s].item() for s in range(5)]  # fmt: skip
        wanted = sum(r * v[s] for s, r in enumerate(raised)) / sum(raised)
        torch.testing.assert_close(lib.attend(q, k, v, mask)[0][t], wanted)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_backward_pass_equals_autograd(seed, masked):
    q, k, v = (
        draw(seed + i, 2, *s).requires_grad_() for i, s in enumerate([(3, 4), (5, 4), (5, 6)])
    )
    mask = choose(seed, 3, 5) if masked else None
    if masked:
        mask[1] = False
    mixed, _ = lib.attend(q, k, v, mask)
    grad = draw(seed + 5, *mixed.shape)
    wanted = torch.autograd.grad((grad * mixed).sum(), (q, k, v))
    with torch.no_grad():
        assert_alike(lib.attend_backward(q, k, v, grad, mask), wanted)


def test_a_query_that_may_look_nowhere_gets_zeros_and_passes_no_gradient_on():
    q, k, v = (draw(i, 3, 4).requires_grad_() for i in range(3))
    mask = torch.tensor([[True], [False], [True]]).expand(3, 3)
    mixed, weights = lib.attend(q, k, v, mask)
    assert (mixed[1] == 0).all() and (weights[1] == 0).all()
    grads = slopes(mixed, (q, k, v))
    assert all(g.isfinite().all() for g in grads) and (grads[0][1] == 0).all()


def test_attend_names_what_does_not_fit():
    q = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"got \(2, 3\), \(4, 5\) and \(4, 3\)"):
        lib.attend(q, torch.zeros(4, 5), torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"got \(2, 3\), \(4, 3\) and \(5, 3\)"):
        lib.attend(q, torch.zeros(4, 3), torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"must be bool, .* got torch\.int64"):
        lib.attend(q, q, q, torch.ones(2, 2, dtype=torch.int64))


def test_masks():
    assert lib.padding_mask(torch.tensor([2, 0, 3]), 3).tolist() == [
        [True, True, False], [False] * 3, [True] * 3]  # fmt: skip
    for T, S in ((1, 1), (4, 4), (2, 5)):
        mask = lib.causal_mask(T, S, "cpu")
        assert mask.tolist() == [[s <= t + S - T for s in range(S)] for t in range(T)]
    assert torch.equal(lib.causal_mask(4, device="cpu"), lib.causal_mask(4, 4, "cpu"))


@pytest.mark.parametrize("seed", range(3))
def test_the_additive_score_equals_a_loop(seed):
    torch.manual_seed(seed)
    layer = lib.AdditiveAttention(3, 5, 4, device="cpu").double()
    q, k, v, mask = draw(0, 2, 3), draw(1, 6, 5), draw(2, 6, 7), choose(3, 2, 6)
    W, b = layer.query.weight, layer.query.bias
    for M in (None, mask):
        mixed, weights = layer(q[None], k[None], v[None], M)
        for t in range(2):
            inner = [W @ q[t] + b + layer.key.weight @ row for row in k]
            scores = torch.stack([layer.score.weight[0] @ one.tanh() for one in inner])
            A = (scores if M is None else scores.masked_fill(~mask[t], -math.inf)).softmax(0)
            assert_alike([weights[0, t], mixed[0, t]], [A, A @ v])
    assert (layer(q, k, v, torch.zeros(2, 6, dtype=torch.bool))[0] == 0).all()


# Heads


def test_heads_are_slices_of_the_width():
    x = draw(0, 2, 5, 12)
    split = lib.split_heads(x, 3)
    assert split.shape == (2, 3, 5, 4)
    for h in range(3):
        assert torch.equal(split[:, h], x[..., 4 * h : 4 * h + 4])
    assert torch.equal(lib.merge_heads(split), x)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("masked", ["no", "padding", "causal", "per head"])
@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("crossed", [False, True])
def test_several_heads_equal_torch(crossed, heads, masked, bias, device):
    B, T, S, E = 3, 4, 6 if crossed else 4, 12
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(E, heads, bias=bias, batch_first=True, dtype=torch.float64)
    theirs = theirs.to(device)
    ours = lib.MultiHeadAttention(E, heads, bias=bias, device=device).double()
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = draw(1, B, T, E, device=device).requires_grad_()
    y = draw(2, B, S, E, device=device).requires_grad_() if crossed else x
    z = draw(3, B, S, E, device=device).requires_grad_() if crossed else x
    mask, told = None, {}
    if masked == "padding":
        here = lib.padding_mask(torch.tensor([S, 1, 3], device=device), S)
        mask, told = here[:, None], {"key_padding_mask": ~here}
    elif masked == "causal":
        mask = lib.causal_mask(T, S, device)
        told = {"attn_mask": ~mask}
    elif masked == "per head":
        mask = choose(5, B, heads, T, S, device=device)
        told = {"attn_mask": ~mask.flatten(0, 1)}
    a, b = ours(x, y, z, mask), theirs(x, y, z, average_attn_weights=False, **told)
    assert_alike(a, b)
    given = [x, y, z] if crossed else [x]
    assert_alike(slopes(a[0], [*given, *ours.parameters()]),
                 slopes(b[0], [*given, *theirs.parameters()]))  # fmt: skip


@pytest.mark.parametrize("bias", [False, True])
def test_one_seed_draws_the_weights_that_torch_draws(bias):
    torch.manual_seed(3)
    theirs = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True).state_dict()
    torch.manual_seed(3)
    ours = lib.MultiHeadAttention(8, 2, bias=bias, device="cpu").state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_self_attention_follows_a_permutation_and_a_causal_mask_hides_the_future():
    layer = lib.MultiHeadAttention(6, 2, device="cpu").double()
    x, order = draw(0, 1, 5, 6), torch.tensor([3, 0, 4, 1, 2])
    turned = x[:, order]
    torch.testing.assert_close(layer(turned, turned, turned)[0], layer(x, x, x)[0][:, order])
    past, later = lib.causal_mask(5, device="cpu"), x.clone()
    later[:, 3:] += 1
    assert torch.equal(layer(later, later, later, past)[0][:, :3], layer(x, x, x, past)[0][:, :3])


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple of heads, got 10 and 3"):
        lib.MultiHeadAttention(10, 3)
    with pytest.raises(ValueError, match="multiple of heads, got 10 and 0"):
        lib.MultiHeadAttention(10, 0)


def test_a_drawing_has_a_patch_for_each_weight_that_shows():
    _, ax = subplots()
    lib.draw_weights(ax, torch.tensor([[0.04, 0.26, 0.7], [0.0, 1.0, 0.0]]), "abc", "xy")
    assert [p.get_alpha() for p in ax.patches] == [0.3, 0.7, 1.0, None]  # and the frame
    assert [p.get_xy() for p in ax.patches] == [(1, 0), (2, 0), (1, 1), (0, 0)]
    assert [t.get_text() for t in (*ax.get_xticklabels(), *ax.get_yticklabels())] == [*"abcxy"]


# Words as numbers


def test_a_vocabulary_brings_texts_back():
    letters = lib.Vocabulary(["ab", "ca"])
    assert letters.tokens == [*lib.SPECIALS, "a", "b", "c"] and len(letters) == 7
    assert letters.encode("bax") == [5, 4, lib.UNKNOWN]
    ids = lib.frame(letters.encode("cab"))
    assert ids == [lib.START, 6, 4, 5, lib.END]
    assert letters.decode([*ids, lib.PAD]) == letters.decode(torch.tensor(ids)) == [*"cab"]
    assert letters.decode([4, lib.PAD, lib.UNKNOWN]) == ["a", "<unknown>"]
    words = lib.Vocabulary(["to be or", "not to be"], split=str.split, at_least=2)
    assert words.tokens[4:] == ["be", "to"] and words.encode("to or") == [5, lib.UNKNOWN]


@pytest.mark.parametrize("device", DEVICES)
def test_pad_and_trim(device):
    rows = lib.pad([[4, 5, 6], [], [7]], device)
    assert rows.tolist() == [[4, 5, 6], [0, 0, 0], [7, 0, 0]]
    assert rows.dtype == torch.int64 and rows.device.type == device
    assert lib.trim(rows[1:]).tolist() == [[0], [7]]


# A reader and a writer


def model(attention=True, device="cpu", dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return lib.Seq2Seq(9, 8, 6, attention, dropout, device).double()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("attention", [False, True])
def test_padding_changes_nothing(attention, device):
    net = model(attention, device)
    rows = [[4, 5, 6, 7, 8], [5], [8, 4, 4]]
    source, target = lib.pad(rows, device), torch.tensor([[1, 4, 7]] * 3, device=device)
    together = net(source, target)
    wider = net(F.pad(source, (0, 4)), target)
    torch.testing.assert_close(wider, together)
    for b, row in enumerate(rows):
        alone = net(torch.tensor([row], device=device), target[b : b + 1])
        torch.testing.assert_close(alone[0], together[b])
    memory = net.read(source)
    _, _, weights = net.write(target, net.start(memory), memory)
    if attention:
        assert weights.shape == (3, 3, 5) and (weights[1, :, 1:] == 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    else:
        assert weights is None


@pytest.mark.parametrize("attention", [False, True])
def test_a_later_symbol_does_not_change_an_earlier_logit(attention):
    net, source = model(attention), torch.tensor([[4, 5, 6]])
    target = torch.tensor([[1, 4, 5, 6, 7]])
    for t in range(1, 5):
        other = target.clone()
        other[0, t] = 3
        a, b = net(source, target), net(source, other)
        assert torch.equal(a[:, :t], b[:, :t]) and not torch.equal(a[:, t:], b[:, t:])


@pytest.mark.parametrize("attention", [False, True])
def test_symbol_by_symbol_is_the_same_as_all_at_once(attention):
    net, source = model(attention), lib.pad([[4, 5, 6], [7]], "cpu")
    target = torch.tensor([[1, 4, 5, 6], [1, 7, 7, 2]])
    memory = net.read(source)
    state, found = net.start(memory), []
    for t in range(4):
        logits, state, _ = net.write(target[:, t : t + 1], state, memory)
        found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), net(source, target))


def test_the_writer_equals_its_equations():
    net, source, target = model(), torch.tensor([[4, 5, 6]]), torch.tensor([[1, 4]])
    H, x = 6, net.source_table.weight[source[0]]
    values, last = net.reader(x[None])
    keys, summary = values[0] @ net.keys.weight.T, last.flatten()
    state = (net.first.weight @ summary + net.first.bias).tanh()
    for t in range(2):
        cell = nn.GRUCell(H, H).double()
        for ours, theirs in zip(cell.parameters(), net.writer.parameters(), strict=True):
            ours.data = theirs.data
        state = cell(net.target_table.weight[target[0, t]], state)
        seen = (keys @ state / H**0.5).softmax(0) @ values[0]
        mixed = (net.mix.weight @ torch.cat([state, seen]) + net.mix.bias).tanh()
        wanted = net.head.weight @ mixed + net.head.bias
        torch.testing.assert_close(net(source, target)[0, t], wanted)


def test_dropout_acts_in_training_only():
    net, source, target = model(dropout=0.5), torch.tensor([[4, 5]]), torch.tensor([[1, 4]])
    assert not torch.equal(net(source, target), net(source, target))
    net.eval()
    assert torch.equal(net(source, target), net(source, target))


# Learning

SOURCE = lib.pad([[4, 5, 6], [5], [8, 4], [6, 7]], "cpu")
TARGET = lib.pad([[1, 5, 2], [1, 4, 5, 6, 2], [1, 2], [1, 7, 2]], "cpu")


def test_one_step_of_teach_is_adamw_on_the_clipped_mean_over_real_symbols():
    ours, theirs = model(), model()
    (loss,) = lib.teach(ours, SOURCE, TARGET, epochs=1, batch=4, lr=0.1, clip=0.01, progress=False)
    log_p = theirs(SOURCE, TARGET[:, :-1]).log_softmax(-1)
    real = TARGET[:, 1:] != lib.PAD
    wanted = -log_p.gather(2, TARGET[:, 1:, None])[..., 0][real].mean()
    assert loss == pytest.approx(wanted.item())
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.1 * 0.04)  # the cycle's first size
    wanted.backward()
    nn.utils.clip_grad_norm_(theirs.parameters(), 0.01)
    optimizer.step()
    assert_alike([*ours.parameters()], [*theirs.parameters()])


@pytest.mark.parametrize("device", DEVICES)
def test_teach_learns_and_can_be_repeated(device):
    runs = []
    for seed in (0, 0, 1):
        net, told = model(device=device), []
        given = SOURCE.to(device), TARGET.to(device)
        losses = lib.teach(net, *given, epochs=60, batch=2, lr=0.05, seed=seed, watch=told.append,
                           progress=False)  # fmt: skip
        assert told == list(range(1, 61)) and losses[-1] < 0.1 < losses[0]
        assert lib.translate(net, given[0], 6)[0].tolist() == TARGET[:, 1:].tolist()
        runs.append(losses)
    assert runs[0] == pytest.approx(runs[1], rel=1e-6) and runs[0] != pytest.approx(
        runs[2], rel=1e-6
    )


def test_teach_wants_pairs():
    with pytest.raises(ValueError, match="4 sources and 3 targets; they come in pairs"):
        lib.teach(model(), SOURCE, TARGET[:3], epochs=1)


# Writing


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_one_beam_is_greedy_and_greedy_is_the_likeliest_symbol_each_time(seed, attention, device):
    net, source = model(attention, device, seed=seed), SOURCE.to(device)
    with torch.no_grad():
        net.head.bias[lib.END] += 0.1 * seed  # some end early
    written, looked = lib.translate(net, source, 7)
    assert (looked is None) == (not attention)
    assert looked is None or looked.shape == (*written.shape, 3)
    for row, text in zip(source, written.tolist(), strict=True):
        alone, wanted = row[row != lib.PAD], [lib.START]
        for _ in range(7):
            logits = net(alone[None], torch.tensor([wanted], device=device))[0, -1]
            wanted.append(int(logits.argmax()))
            if wanted[-1] == lib.END:
                break
        assert text == wanted[1:] + [lib.PAD] * (len(text) - len(wanted) + 1)
        ((tokens, score),) = lib.translate_beam(net, alone, beams=1, steps=7)
        assert [lib.START, *tokens] == wanted[: len(tokens) + 1]
        assert wanted[len(tokens) + 1 :] in ([], [lib.END])
        log_p = net(alone[None], torch.tensor([wanted[:-1]], device=device)).log_softmax(-1)[0]
        assert score == pytest.approx(sum(log_p[t, k].item() for t, k in enumerate(wanted[1:])))


def chain(seed, K=6):
    """log p of the next symbol by the last two; PAD, START and UNKNOWN are never written."""
    scores = draw(seed, K, K, K)
    scores[..., [lib.PAD, lib.START, lib.UNKNOWN]] = -math.inf
    log_p = scores.log_softmax(-1)
    return log_p, lambda last, before: (log_p[before, last], last)  # the state: one symbol back


def exhaustive(log_p, symbols, steps, alpha):
    """Every text of at most ``steps`` symbols, END with them; those cut off count too."""
    found = []
    for n in range(steps + 1):
        for word in itertools.product(symbols, repeat=n):
            path = [lib.START, lib.START, *word] + [lib.END] * (n < steps)
            total = sum(
                log_p[a, b, c].item() for a, b, c in zip(path, path[1:], path[2:], strict=False)
            )
            found.append(([*word], total / (len(path) - 2) ** alpha))
    return sorted(found, key=lambda pair: -pair[1])


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("steps", [1, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_with_beams_enough_the_search_is_exhaustive(seed, steps, alpha):
    log_p, step = chain(seed)
    start = torch.tensor([lib.START])
    wanted = exhaustive(log_p, (4, 5), steps, alpha)
    found = lib.beam_search(step, start, beams=100, steps=steps, alpha=alpha)
    assert [text for text, _ in found] == [text for text, _ in wanted]
    assert [s for _, s in found] == pytest.approx([s for _, s in wanted])
    few = lib.beam_search(step, start, beams=2, steps=steps, alpha=alpha)
    assert len(few) <= 2 and few[0][1] <= wanted[0][1] + 1e-9
    scores = dict((tuple(text), score) for text, score in wanted)
    assert all(score == pytest.approx(scores[tuple(text)]) for text, score in few)


def test_a_state_may_be_a_tuple():
    _, step = chain(0)
    start = torch.tensor([lib.START])

    def pairs(last, state):
        log, before = step(last, state[0])
        return log, (before, state[1] + 1)

    assert lib.beam_search(pairs, (start, start), 3, 4) == lib.beam_search(step, start, 3, 4)


def test_greed_loses_where_two_beams_win():
    P = torch.zeros(7, 7)
    P[1, 4:] = torch.tensor([0.5, 0.4, 0.1])
    P[4, [2, 5, 6]] = torch.tensor([0.4, 0.3, 0.3])
    P[5, [2, 6]] = torch.tensor([0.1, 0.9])
    P[6, [2, 4]] = torch.tensor([0.9, 0.1])
    step = lambda last, state: (P[last].log(), state)
    (greedy,) = lib.beam_search(step, torch.zeros(1), 1, 6)
    best, *_ = lib.beam_search(step, torch.zeros(1), 2, 6)
    assert greedy[0] == [4] and greedy[1] == pytest.approx(math.log(0.2))
    assert best[0] == [5, 6] and best[1] == pytest.approx(math.log(0.324))


def test_beams_and_steps_are_at_least_one():
    with pytest.raises(ValueError, match="at least 1, got 0 and 50"):
        lib.beam_search(None, torch.zeros(1), beams=0)
    with pytest.raises(ValueError, match="at least 1, got 5 and 0"):
        lib.beam_search(None, torch.zeros(1), steps=0)
