"""Single exercises of chapter 09_rnn: answers that the tests of every exercise do not try."""

import itertools

import pytest
import torch
from masters import solutions
from torch import nn

from course_lib.checks.rnn import (
    FINAL_STATES,
    LSTM_CELL,
    TRAIN,
    TRUNCATED_LOSS,
    UNROLL,
    UNSEEN,
)

SEEDS = range(20)


def test_a_layer_of_torch_without_batch_first_is_no_answer():
    """Where B = T no shape tells: the first case is such a one."""

    def unroll(x, h, W_ih, W_hh, b):
        net = nn.RNN(x.shape[2], len(b))
        mine = {"weight_ih": W_ih, "weight_hh": W_hh, "bias_ih": b, "bias_hh": 0 * b}
        net.load_state_dict({f"{name}_l0": value for name, value in mine.items()})
        return net(x, h[None])[0]

    for seed in SEEDS:
        x, h, *_ = UNROLL.cases(seed)[1][0]
        assert x.shape[0] == x.shape[1] == len(h)
        assert UNROLL.evaluate(unroll, seed).points == 0


def test_no_step_of_the_sequence_has_a_gradient_of_zero():
    """Or a cut at a wrong place would not show."""
    for seed in SEEDS:
        for w, x, y, k in TRUNCATED_LOSS.cases(seed)[1]:
            assert len(x) % k, "a last chunk that is short"
            w = w.clone().requires_grad_()
            loss = TRUNCATED_LOSS.reference(w, x, y, k)
            assert (torch.autograd.grad(loss, w)[0] != 0).all()


def test_a_loss_that_keeps_no_gradient_is_paid_for_its_value():
    right = solutions("rnn")["truncated_loss"]
    report = TRUNCATED_LOSS.evaluate(lambda *args: right(*args).item())
    assert report.points == 1
    assert "autograd needs a tensor" in str(report)


def test_the_orders_are_not_their_own_inverses():
    for seed in SEEDS:
        for _, lengths, _ in itertools.chain(*FINAL_STATES.cases(seed)):
            order = lengths.argsort(descending=True)
            assert not torch.equal(order, order.argsort())


@pytest.mark.parametrize("seed", range(3))
def test_the_cell_takes_torchs_weights_and_gives_its_states(seed):
    torch.manual_seed(seed)
    theirs = nn.LSTMCell(3, 5)
    for mine in (LSTM_CELL.reference(3, 5), solutions("rnn")["LSTMCell"](3, 5)):
        mine.load_state_dict(theirs.state_dict())
        a = b = torch.randn(2, 5), torch.randn(2, 5)
        for x in torch.randn(4, 2, 3):
            a, b = theirs(x, a), mine(x, b)
        torch.testing.assert_close(b, a)


class TwoMistakes(LSTM_CELL.reference):
    """The gates are swapped, and the forget gates start half closed."""

    def __init__(self, D, H):
        super().__init__(D, H)
        self.bias_ih.data.zero_()

    def forward(self, x, state):
        def swapped(p):
            i, f, g, o = p.chunk(4)
            return torch.cat([f, i, g, o])

        return torch.lstm_cell(x, state, *map(swapped, self.parameters()))


def test_two_mistakes_of_a_class_are_named_one_by_one():
    report = LSTM_CELL.evaluate(TwoMistakes)
    named = [line.mistake and line.mistake.name for line in report.lines]
    assert named == ["swaps input and forget gate"] * 2 + ["starts from biases of zero"]


def test_the_weights_are_judged_by_what_the_net_says():
    """Turning two signs leaves every output as it is: h turns, and so does what reads it."""
    right, turn = solutions("rnn")["train"], torch.tensor([1.0, -1.0, -1.0])
    for seed in SEEDS:
        report = TRAIN.evaluate(lambda *args: turn * right(*args), seed)
        assert report.points == TRAIN.points


def test_no_constant_is_paid():
    for weights in ([0.7, 1.0, 1.0], [0.7, 0.1, 10.0], [0.0, 0.0, 0.0]):
        for seed in SEEDS:
            assert TRAIN.evaluate(lambda *args, w=weights: torch.tensor(w), seed).points == 0


def test_the_unseen_sequences_are_longer_than_those_of_any_case():
    for args in itertools.chain(*TRAIN.cases(0)):
        assert args[0].shape[1] < UNSEEN.shape[1]
