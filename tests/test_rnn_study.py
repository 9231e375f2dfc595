"""course_lib.studies.rnn: what the study counts, held against torch and against numbers by hand."""

import math

import pytest
import torch
from torch import nn

from course_lib.data import text
from course_lib.studies import rnn as study


@pytest.mark.parametrize("kind", study.KINDS)
def test_a_reader_is_torchs_layer_and_leaves_the_global_generator_alone(kind):
    before = torch.get_rng_state()
    one, two = (study.Reader(kind, (3, 5, 2), seed) for seed in (4, 4))
    assert torch.equal(before, torch.get_rng_state())
    x = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0))
    answer, _ = one(x)
    assert torch.equal(answer, two(x)[0])
    assert torch.equal(answer, one.head(one.recurrent(x)[0]))


def test_the_forget_bias_is_set_and_nothing_else():
    plain, opened = (study.Reader("LSTM", (3, 5, 2), 0, forget) for forget in (None, 4.0))
    for name, p in plain.recurrent.named_parameters():
        changed = (opened.recurrent.get_parameter(name) != p).nonzero().flatten().tolist()
        assert changed == (list(range(5, 10)) if "bias" in name else [])
    both = opened.recurrent.bias_ih_l0 + opened.recurrent.bias_hh_l0
    assert torch.equal(both[5:10], torch.full((5,), 4.0))


@pytest.mark.parametrize("kind", study.KINDS)
def test_gradients_by_distance_are_those_of_a_run_that_starts_at_the_state(kind):
    net = study.Reader(kind, (3, 5, 1), 1).double()
    g = torch.Generator().manual_seed(2)
    X = torch.randn(4, 6, 3, generator=g, dtype=torch.float64)
    loss = lambda answer: answer.square().sum()
    lengths = study.gradient_by_distance(net, X, loss)
    assert lengths.shape == (6,)
    for d in range(1, 6):
        _, state = net.recurrent(X[:, : 6 - d])
        state = state if kind == "LSTM" else (state,)
        leaves = tuple(s.detach().requires_grad_() for s in state)
        answer, _ = net(X[:, 6 - d :], leaves if kind == "LSTM" else leaves[0])
        grads = torch.autograd.grad(loss(answer[:, -1]), leaves)
        wanted = torch.cat([grad.flatten() for grad in grads]).norm()
        assert lengths[d].item() == pytest.approx(wanted.item(), rel=1e-9)


def test_tasks_ask_for_what_was_read():
    X, y = study.draw("copy", 5, 7, seed=0, device="cpu")
    assert X.shape == (5, 9, 10)
    assert torch.equal(X[:, 0].argmax(1), y)
    assert study.accuracy("copy", X[:, 0, :8], y) == 1
    X, y = study.draw("adding", 5, 8, seed=0, device="cpu")
    sums = (X[..., 0] * X[..., 1]).sum(1, keepdim=True)
    assert study.accuracy("adding", sums + 0.09, y) == 1
    assert study.accuracy("adding", sums + 0.11, y) == 0


def test_fit_keeps_the_best_round_of_the_best_rate():
    def practise(model, optimizer):
        with torch.no_grad():
            model.weight += optimizer.param_groups[0]["lr"]

    def make():
        model = nn.Linear(1, 1)
        nn.init.zeros_(model.weight)
        return model

    def judge(model):
        return abs(model.weight.item() - 0.9)

    # 0.2 falls to 0.15, 0.1, 0.05: sum 0.5; 0.6, 0.45, 0.3, 0.15: passes 0.9 on its way
    model, rate, error = study.fit(make, [0.2, 0.6], 4, practise, judge)
    assert rate == 0.6
    assert model.weight.item() == pytest.approx(1.05)
    assert error == pytest.approx(0.15)


@pytest.mark.parametrize("name", ["seasonal", "threshold"])
def test_series_with_noise_leave_noise_of_variance_one(name):
    y = study.series(name, seed=0)
    assert y.shape == (2500,)
    if name == "seasonal":
        z = y[1:] - 0.5 * y[:-1]
        noise = z[12:] - 0.6 * z[:-12]
    else:
        noise = y[1:] - 2 + 0.9 * y[:-1].abs()
    assert noise.var().item() == pytest.approx(1, abs=0.1)
    assert abs((noise[1:] * noise[:-1]).mean().item()) < 0.1


def test_mackey_glass_wanders_within_its_known_bounds():
    y = study.series("Mackey-Glass", seed=0)
    assert y.shape == (2500,)
    assert 0.2 < y.min() < 0.5 < 1.2 < y.max() < 1.5


def test_autoregression_is_exact_where_the_truth_is_linear():
    y = torch.sin(0.7 * torch.arange(2500, dtype=torch.float64)) + 3
    assert torch.allclose(study.autoregression(y, 3), y[3:])


def test_grams_by_hand():
    assert study.grams("abb", 1) == {"a": 1, "b": 2, "^": 1, "$": 1}
    assert sorted(study.grams("ab", 2)) == ["$", "^", "^a", "a", "ab", "b", "b$"]


def test_ngram_bits_by_hand():
    # a twice and b once, of 3 symbols: p(a) = (2 + 2/3) / (3 + 2)
    assert study.ngram_bits("aab", "a", 1, 3) == pytest.approx(-math.log2(8 / 15))
    assert study.ngram_bits("aab", "c", 1, 3) == pytest.approx(-math.log2(2 / 15))
    # behind a: a once, b once, so p(b | a) = (1 + 2 p(b)) / (2 + 2), p(b) = (1 + 2/3) / 5
    first, second = -math.log2(8 / 15), -math.log2((1 + 2 / 3) / 4)
    assert study.ngram_bits("aab", "ab", 2, 3) == pytest.approx((first + second) / 2)


def test_ngram_probabilities_add_up_to_one():
    def p(x):
        whole = study.ngram_bits("abracadabra", "bra" + x, 3, 6) * 4
        return 2 ** -(whole - study.ngram_bits("abracadabra", "bra", 3, 6) * 3)

    assert sum(p(x) for x in "abcdrz") == pytest.approx(1)


class Bigram(nn.Module):
    """Knows the last character alone; its state says nothing."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 4)

    def forward(self, tokens, state=None):
        return self.table(tokens), None


def test_a_model_without_memory_has_the_same_bits_by_any_context():
    tokens = torch.randint(4, (300,), generator=torch.Generator().manual_seed(0))
    found = study.bits_by_context(Bigram(), tokens)
    assert len(found) == 2 * len(study.CONTEXTS)
    assert max(found.values()) - min(found.values()) < 1e-6


def test_a_context_holds_the_last_characters_and_foreign_ones_before():
    seen = []

    class Spy(Bigram):
        def forward(self, tokens, state=None):
            seen.append((tokens.clone(), state))
            return self.table(tokens % 4), "warm"

    study.bits_by_context(Spy(), torch.arange(400) % 4)
    (elsewhere, none), *calls = seen
    assert none is None and elsewhere.shape[1] == 50
    assert [x.shape[1] for x, state in calls if state == "warm"] == list(study.CONTEXTS)
    assert [x.shape[1] for x, state in calls if state is None] == list(study.CONTEXTS)


def test_the_pieces_of_the_book_are_the_book():
    parts, symbols = study.book()
    prose = text("book")
    assert len("".join(parts)) == len(prose) // 40 * 40
    assert set("".join(parts)) <= set(symbols)
    assert all(part[:500] in prose for part in parts)
    assert len(parts[1]) == len(parts[2])
