"""course_lib.training: held against a bare loop in torch, weight for weight."""

import re
from functools import partial

import pytest
import torch
from needs import needs
from torch import nn

from course_lib.training import History, accuracy, batches, evaluate, fit, predict
from course_lib.training.inputs import compiler

DEVICES = ["cpu", "cuda"]
CE = nn.CrossEntropyLoss()
SGD = torch.optim.SGD


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    return request.param


def problem(n=50, seed=0):
    """Inputs (n, 6) and three classes that a small network can learn."""
    order = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 6, generator=order, dtype=torch.float64)
    return X, (X @ torch.randn(6, 3, generator=order, dtype=torch.float64)).argmax(1)


def network(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    layers = nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 3)
    return nn.Sequential(*layers).double()


def weights(model):
    return torch.cat([p.detach().flatten().cpu() for p in model.parameters()])


def bare_loop(model, X, y, epochs, batch_size, opt, clip=None, factor=lambda fraction: 1.0):
    """What everybody writes, with torch's own DataLoader-free batches in the same order."""
    rate, losses = opt.param_groups[0]["lr"], []
    steps = epochs * -(-len(X) // (batch_size or len(X)))
    for epoch in range(epochs):
        model.train()
        for rows in batches(len(X), batch_size, seed=3, epoch=epoch, device=X.device):
            opt.param_groups[0]["lr"] = rate * factor(len(losses) / steps)
            value = CE(model(X[rows]), y[rows])
            opt.zero_grad()
            value.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            opt.step()
            losses.append(value.item())
    return losses


@pytest.mark.parametrize("batch_size", [16, 50, None, 64])
@pytest.mark.parametrize("optimizer", [SGD, torch.optim.AdamW, partial(SGD, momentum=0.9)])
def test_the_weights_are_those_of_a_bare_loop_bit_for_bit(optimizer, batch_size, device):
    X, y = (part.to(device) for part in problem())
    ours, theirs = network(dropout=0.3), network(dropout=0.3).to(device)
    settings = {"epochs": 3, "batch_size": batch_size}
    torch.manual_seed(7)
    losses = bare_loop(theirs, X, y, opt=optimizer(theirs.parameters(), lr=0.1), **settings)
    torch.manual_seed(7)
    history = fit(ours, CE, (X, y), lr=0.1, optimizer=optimizer, seed=3, device=device, **settings)
    assert torch.equal(weights(ours), weights(theirs))
    assert history.losses == pytest.approx(losses, rel=1e-6)
    assert history.steps == len(losses)


def test_schedule_and_clipping_are_those_of_a_bare_loop(device):
    X, y = (part.to(device) for part in problem())
    ours, theirs = network(), network().to(device)
    factor = lambda fraction: 1 - fraction / 2
    bare_loop(theirs, X, y, 4, 16, SGD(theirs.parameters(), lr=2.0), clip=0.05, factor=factor)
    history = fit(
        ours, CE, (X, y), epochs=4, batch_size=16, lr=2.0, optimizer=SGD, clip=0.05,
        schedule=factor, seed=3, device=device,
    )  # fmt: skip
    assert torch.equal(weights(ours), weights(theirs))
    assert history["lr"] == pytest.approx([2 * factor((4 * e - 1) / 16) for e in (1, 2, 3, 4)])


@pytest.mark.parametrize("pieces", [2, 3, 7, 100])
def test_a_batch_computed_in_parts_makes_the_same_step(pieces):
    X, y = problem()
    whole, parts = network(), network()
    settings = {"epochs": 2, "batch_size": 20, "lr": 0.1, "device": "cpu"}
    one = fit(whole, CE, (X, y), **settings)
    many = fit(parts, CE, (X, y), accumulate=pieces, **settings)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-9, atol=1e-12)
    assert many.losses == pytest.approx(one.losses, rel=1e-6)


def test_each_row_is_met_once_an_epoch_in_an_order_of_the_seed():
    orders = {(s, e): torch.cat(batches(23, 5, seed=s, epoch=e)) for s in (0, 1) for e in (0, 1)}
    for rows in orders.values():
        assert rows.sort().values.tolist() == list(range(23))
    assert len({tuple(rows.tolist()) for rows in orders.values()}) == 4
    assert torch.equal(orders[0, 1], torch.cat(batches(23, 5, seed=0, epoch=1)))
    assert [len(rows) for rows in batches(23, 5)] == [5, 5, 5, 5, 3]
    assert [len(rows) for rows in batches(23)] == [23]


def test_the_mean_loss_of_an_epoch_counts_each_row_once():
    X, y = problem(23)
    model = network()
    wanted = CE(model(X), y).item()
    history = fit(model, CE, (X, y), epochs=1, batch_size=5, lr=1e-12, device="cpu")
    assert history["train_loss"] == [pytest.approx(wanted, rel=1e-6)]


def test_early_stopping_goes_back_to_the_best_weights():
    """The rule, applied by hand to a run that did not stop, gives the epochs and the weights."""
    X, y = problem(40)
    valid = problem(60, seed=1)  # other classes: learning makes it worse, sooner or later
    settings = {"batch_size": 8, "lr": 0.02, "device": "cpu"}
    full = fit(network(), CE, (X, y), valid, epochs=30, **settings)["valid_loss"]
    stopped = network()
    history = fit(stopped, CE, (X, y), valid, epochs=30, patience=4, **settings)
    seen = history["valid_loss"]
    assert seen == full[: len(seen)]
    assert history.best_epoch == 1 + min(range(len(seen)), key=seen.__getitem__)
    assert len(seen) == history.best_epoch + 4 < 30
    again = network()
    fit(again, CE, (X, y), epochs=history.best_epoch, **settings)
    assert torch.equal(weights(stopped), weights(again))


def test_evaluation_changes_nothing_and_uses_no_dropout():
    X, y = problem()
    model = network(dropout=0.5)
    model.eval()
    wanted = CE(model(X), y).item()
    model.train()
    state = torch.get_rng_state()
    found = evaluate(model, CE, (X, y), {"accuracy": accuracy})
    right = (model.eval()(X).argmax(1) == y).double().mean().item()
    assert found == {"loss": wanted, "accuracy": right}
    assert torch.equal(torch.get_rng_state(), state)
    assert predict(model.train(), X).requires_grad is False and model.training


def test_each_part_of_a_model_keeps_its_mode():
    model = network(dropout=0.5).train()
    model[2].eval()
    predict(model, problem()[0])
    assert (model.training, model[2].training) == (True, False)


def test_a_validation_loss_that_is_no_number_is_not_the_best():
    rows = [{"valid_loss": v} for v in (float("nan"), 1.2, 1.1, float("nan"))]
    assert History(epochs=rows).best_epoch == 3
    assert History(epochs=rows).waited() == 1


def test_predict_in_parts_is_predict_at_once():
    X = torch.randn(9001, 6, dtype=torch.float64)
    model = network()
    torch.testing.assert_close(predict(model, X), model(X).detach(), rtol=1e-12, atol=1e-14)


def test_metrics_are_those_of_the_validation_set():
    train, valid = problem(), problem(30, seed=1)
    model = network()
    history = fit(model, CE, train, valid, epochs=2, metrics={"accuracy": accuracy}, device="cpu")
    last = evaluate(model, CE, valid, {"accuracy": accuracy})
    assert history.epochs[-1]["valid_loss"] == last["loss"]
    assert history["accuracy"][-1] == last["accuracy"]
    without = fit(network(), CE, train, epochs=1, metrics={"accuracy": accuracy}, device="cpu")
    assert list(without.epochs[0]) == ["epoch", "step", "lr", "train_loss", "accuracy"]


def test_accuracy_of_two_classes_by_one_logit():
    assert accuracy(torch.tensor([0.5, -2.0, 3.0, -0.1]), torch.tensor([1, 0, 0, 1])) == 0.5


def test_augment_sees_each_batch_and_changes_what_is_learned():
    X, y = problem()
    seen = []
    fit(
        network(), CE, (X, y), epochs=2, batch_size=20, device="cpu",
        augment=lambda rows: seen.append(len(rows)) or rows * 0,
    )  # fmt: skip
    assert seen == [20, 20, 10] * 2
    blind = network()
    fit(blind, CE, (X, y), epochs=3, lr=0.1, augment=lambda rows: rows * 0, device="cpu")
    assert torch.equal(predict(blind, X * 0).std(0), torch.zeros(3).double())


def test_bf16_computes_the_forward_pass_in_it_and_keeps_the_weights(device):
    X, y = problem()
    X = X.float()
    kinds = []
    model = network().float()
    model[0].register_forward_hook(lambda layer, given, made: kinds.append(made.dtype))
    history = fit(
        model, CE, (X, y), epochs=60, lr=0.05, batch_size=None, dtype=torch.bfloat16, device=device
    )
    assert torch.bfloat16 in kinds
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.losses[-1] < 0.2 < history.losses[0]


def test_a_compiled_model_learns_the_same():
    needs("compiler", compiler() is not None, "no C++ compiler for torch.compile")
    X, y = problem()
    eager, fast = network(), network()
    settings = {"epochs": 2, "batch_size": 25, "lr": 0.1, "optimizer": SGD, "device": "cpu"}
    one = fit(eager, CE, (X, y), **settings)
    two = fit(fast, CE, (X, y), compile=True, **settings)
    torch.testing.assert_close(weights(fast), weights(eager), rtol=1e-9, atol=1e-12)
    assert two.losses == pytest.approx(one.losses, rel=1e-6)


def test_history_tells_what_it_has():
    history = History()
    assert repr(history) == "History(no epoch yet)"
    with pytest.raises(KeyError, match="no column 'loss'; there are none yet"):
        history["loss"]
    with pytest.raises(ValueError, match="nothing to draw"):
        history.plot()
    history = fit(network(), CE, problem(), problem(20, 1), epochs=2, device="cpu")
    with pytest.raises(KeyError, match="no column 'loss'; there are epoch, step, lr, train_loss"):
        history["loss"]
    picture = history.plot()
    assert f"valid loss {history['valid_loss'][-1]:.3g}" in picture.alt
    assert {"train loss", "valid loss"} <= set(re.findall(r">([^<>]+)</text>", picture.svg))
    assert "learning rate" in history.plot("lr", log=True).svg


def test_the_bar_is_shown_to_people_only(monkeypatch, capsys):
    fit(network(), CE, problem(), epochs=1, device="cpu")
    assert capsys.readouterr().err == ""
    fit(network(), CE, problem(), epochs=3, device="cpu", progress=True)
    assert "fit: 100%" in capsys.readouterr().err
