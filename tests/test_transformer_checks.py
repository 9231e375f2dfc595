"""Single exercises of chapter 14_transformer: answers that no other test tries."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from masters import solutions

from course_lib import transformer
from course_lib.checks.transformer import (
    CACHED_ATTENTION,
    GPT_LOGITS,
    NEXT_LOSS,
    NUCLEUS,
    ROTATE,
    SCALING_LAW,
    SINUSOIDAL,
)

SEEDS = range(20)


def cases(exercise):
    """The arguments of every call on some seeds."""
    return itertools.chain(*(group for seed in SEEDS for group in exercise.cases(seed)))


def points(exercise, answer):
    """The points on each seed."""
    return {exercise.evaluate(answer, seed).points for seed in SEEDS}


# ---- references against the library and torch


@pytest.mark.parametrize(
    ("exercise", "theirs"),
    [
        (SINUSOIDAL, transformer.sinusoidal),
        (ROTATE, transformer.rotate),
        (NUCLEUS, lambda logits, t, p: transformer.filtered(logits, t, top_p=p)),
    ],
    ids=["sinusoidal", "rotate", "nucleus"],
)
def test_the_reference_is_the_librarys(exercise, theirs):
    for args in cases(exercise):
        torch.testing.assert_close(exercise.reference(*args), theirs(*args))


def test_the_six_lines_are_the_librarys_gpt():
    model = transformer.GPT(5, width=8, layers=2, heads=2, block=6, norm="rms", device="cpu")
    tokens = torch.tensor([[0, 3, 1, 4], [2, 2, 0, 1]])
    blocks = [(block.attention, block.mlp) for block in model.blocks]
    tables = model.table.weight, model.positions.weight
    for mine in (GPT_LOGITS.reference, solutions("transformer")["gpt_logits"]):
        logits = mine(tokens, *tables, blocks, model.norm)
        torch.testing.assert_close(logits, model(tokens))


def test_the_loss_is_that_of_torch():
    for logits, tokens, lengths in cases(NEXT_LOSS):
        y = tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], -100)
        wanted = F.cross_entropy(logits[:, :-1].flatten(0, 1), y[:, 1:].flatten())
        torch.testing.assert_close(NEXT_LOSS.reference(logits, tokens, lengths), wanted)


def test_a_text_read_with_a_cache_is_the_text_read_at_once():
    g = torch.Generator().manual_seed(0)
    x, W = torch.randn(9, 4, generator=g), torch.randn(3, 3, 4, generator=g)
    q, k, v = (x @ w.T for w in W)
    whole = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
    for size in (1, 2, 4, 9):
        y, keys, values = [], *torch.zeros(2, 0, 3)
        for piece in x.split(size):
            out, keys, values = CACHED_ATTENTION.reference(piece, *W, keys, values)
            y.append(out)
        torch.testing.assert_close(torch.cat(y), whole)
        torch.testing.assert_close((keys, values), (k, v))


def test_a_law_without_noise_is_found():
    N = 4.0 ** torch.arange(1, 6).double()
    found = SCALING_LAW.reference(N, 1.3 + 3 * N**-0.35, 1.3, 1.3 + 3 * 1000**-0.35)
    torch.testing.assert_close(torch.stack(found), torch.tensor([3, 0.35, 1000]).double())


# ---- what the cases must have, for every mistake to show


def test_no_nucleus_hangs_on_a_rounding():
    """The sum of the kept ones is never nearly p, so `>` may stand for `>=`."""
    for logits, temperature, p in cases(NUCLEUS):
        ranked = (logits / temperature).softmax(-1).sort(-1, descending=True).values
        assert (ranked.cumsum(-1) - p).abs().min() > 0.005
        assert ranked.diff(dim=-1).abs().min() > 0.003


def test_padding_is_a_symbol_that_the_texts_have():
    for seed in SEEDS:
        _, tokens, _ = NEXT_LOSS.cases(seed)[0][0]
        assert 0 in tokens[:, 1:]
        for _, tokens, lengths in NEXT_LOSS.cases(seed)[1]:
            assert not tokens[torch.arange(3) >= lengths[:, None]].any()


# ---- right answers that look different


def test_a_turn_may_be_a_matrix():
    def rotate(x, start, base):
        T, d = x.shape[-2:]
        rows = []
        for t in range(T):
            M = torch.zeros(d, d)
            for i in range(d // 2):
                angle = (start + t) / base ** (2 * i / d)
                M[i, i] = M[i + d // 2, i + d // 2] = math.cos(angle)
                M[i + d // 2, i], M[i, i + d // 2] = math.sin(angle), -math.sin(angle)
            rows.append(x[..., t, :] @ M.T)
        return torch.stack(rows, -2)

    assert points(ROTATE, rotate) == {ROTATE.points}


def test_a_filter_may_hide_logits():
    def nucleus(logits, temperature, p):
        logits = logits / temperature
        ranked, order = logits.sort(descending=True)
        over = ranked.softmax(-1).cumsum(-1) > p
        over = torch.cat([torch.zeros_like(over[:, :1]), over[:, :-1]], 1)
        hidden = over.gather(1, order.argsort(1))
        return logits.masked_fill(hidden, -math.inf).softmax(-1)

    assert points(NUCLEUS, nucleus) == {NUCLEUS.points}


def test_padding_may_be_ignored_by_torch():
    def next_loss(logits, tokens, lengths):
        y = tokens.clone()
        y[torch.arange(y.shape[1]) >= lengths[:, None]] = -100
        return F.cross_entropy(logits[:, :-1].permute(0, 2, 1), y[:, 1:])

    assert points(NEXT_LOSS, next_loss) == {NEXT_LOSS.points}


@pytest.mark.parametrize("log, back", [(torch.log10, 10.0), (torch.log2, 2.0), (torch.log, math.e)])
def test_a_line_may_be_fitted_in_any_logarithm(log, back):
    def scaling_law(N, losses, floor, target):
        M = torch.stack([torch.ones(len(N)), -log(N)], 1)
        height, alpha = torch.linalg.lstsq(M, log(losses - floor)[:, None]).solution[:, 0]
        A = back**height
        return A.item(), alpha.item(), ((target - floor) / A) ** (-1 / alpha)

    assert points(SCALING_LAW, scaling_law) == {SCALING_LAW.points}


# ---- wrong answers that are near


def test_a_loss_that_cannot_be_learned_from_is_not_paid_in_full():
    right = solutions("transformer")["next_loss"]
    paid = points(NEXT_LOSS, lambda *args: right(*args).item())
    assert paid == {NEXT_LOSS.points - 1}


def test_targets_are_not_changed_in_place():
    def next_loss(logits, tokens, lengths):
        tokens[torch.arange(tokens.shape[1]) >= lengths[:, None]] = -100
        return F.cross_entropy(logits[:, :-1].permute(0, 2, 1), tokens[:, 1:])

    assert max(points(NEXT_LOSS, next_loss)) <= 2
    assert "changed its argument `tokens` in place" in str(NEXT_LOSS.evaluate(next_loss))


def test_torchs_own_causal_mask_is_cut_from_the_top():
    def cached_attention(x, W_q, W_k, W_v, keys, values):
        q, keys = x @ W_q.T, torch.cat([keys, x @ W_k.T])
        values = torch.cat([values, x @ W_v.T])
        y = F.scaled_dot_product_attention(q[None], keys[None], values[None], is_causal=True)
        return y[0], keys, values

    report = CACHED_ATTENTION.evaluate(cached_attention)
    assert report.mistake.name == "cuts the mask from the top"
    assert points(CACHED_ATTENTION, cached_attention) == {0}


def test_a_mask_only_for_the_first_piece_is_not_enough():
    right = solutions("transformer")["cached_attention"]

    def cached_attention(x, W_q, W_k, W_v, keys, values):
        y, all_keys, all_values = right(x, W_q, W_k, W_v, keys, values)
        if len(keys):
            weights = (x @ W_q.T @ all_keys.T / math.sqrt(len(W_q))).softmax(-1)
            y = weights @ all_values
        return y, all_keys, all_values

    assert points(CACHED_ATTENTION, cached_attention) == {2}


def test_a_cache_that_outlives_its_text_is_not_paid():
    right = solutions("transformer")["cached_attention"]
    kept = []

    def cached_attention(x, W_q, W_k, W_v, keys, values):
        if not kept or kept[0].shape[1] != keys.shape[1]:
            kept[:] = keys, values
        y, *kept[:] = right(x, W_q, W_k, W_v, *kept)
        return y, *kept

    assert max(points(CACHED_ATTENTION, cached_attention)) < CACHED_ATTENTION.points


def test_a_fit_of_the_losses_themselves_is_another_law():
    def scaling_law(N, losses, floor, target):
        """The weights of least squares when errors are those of the losses, not of logarithms."""
        excess = (losses - floor).numpy()
        slope, height = np.polyfit(np.log(N.numpy()), np.log(excess), 1, w=excess)
        return np.exp(height), -slope, np.exp((np.log(target - floor) - height) / slope)

    assert points(SCALING_LAW, scaling_law) == {0}


def test_no_speed_is_paid_but_the_right_one():
    for power in (0.5, 1.5, 2.0, -1.0, 0.0):

        def sinusoidal(T, D, base, power=power):
            return SINUSOIDAL.reference(T, D, base**power)

        def rotate(x, start, base, power=power):
            return ROTATE.reference(x, start, base**power)

        assert points(SINUSOIDAL, sinusoidal) == {0}
        assert max(points(ROTATE, rotate)) == 0
