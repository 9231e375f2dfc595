"""course_lib.training: bad input and bad runs end with a message that says what to do."""

import pytest
import torch
from torch import nn

from course_lib.training import Diverged, History, accuracy, batches, fit
from course_lib.training.losses import Losses
from course_lib.training.team import Team

CE = nn.CrossEntropyLoss()
X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
y = torch.arange(12) % 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    "data, message",
    [
        ((X[:0], y[:0]), r"train is empty: inputs \(0, 4\)"),
        ((X, y[:7]), r"inputs \(12, 4\) and targets \(7,\) need the same first dimension"),
        ((X, y + 1), "labels run from 1 to 3, but the model has 3 outputs, for the classes 0 to 2"),
        ((X, y - 1), "labels run from -1 to 1, but the model has 3 outputs"),
        ((X[:, :3], y), r"inputs of shape \(B, 3\) and torch.float32.*takes 4 features"),
        ((X.double(), y), r"and torch.float64.*its first layer takes 4 features of torch.float32"),
        ((X, y.float()), r"cannot compare outputs \(B, 3\), torch.float32, with targets \(B,\)"),
        ((X / 0, y), "48 of the 48 numbers in the inputs are nan or infinite"),
        ((X.numpy(), y), r"pair of tensors \(X, y\), got \['ndarray', 'Tensor'\]"),
        ([X], r"pair of tensors \(X, y\), got list; fit cuts the batches itself"),
        (X, r"pair of tensors \(X, y\), got Tensor"),
        ((X, y > 0), r"cannot compare.*torch.bool.*y.long\(\) makes classes"),
        ((X.sum(), y), r"inputs \(\) and targets \(12,\)"),
    ],
)
def test_data_that_do_not_fit(data, message):
    with pytest.raises(ValueError, match=message):
        fit(network(), CE, data, device="cpu")


def test_validation_data_are_looked_at_before_the_first_step():
    model = network()
    before = model[0].weight.clone()
    with pytest.raises(ValueError, match="valid: labels run from 0 to 9"):
        fit(model, CE, (X, y), (X[:10], torch.arange(10)), device="cpu")
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("left_out", [-100, -1, 255])
def test_labels_that_cross_entropy_leaves_out_are_let_in(left_out):
    loss = nn.CrossEntropyLoss(ignore_index=left_out)
    kept, model = y != 0, network()
    wanted = CE(model(X[kept]), y[kept]).item()
    history = fit(model, loss, (X, torch.where(kept, y, left_out)), epochs=1, device="cpu")
    assert history.losses == [pytest.approx(wanted, rel=1e-5)]


def test_a_class_for_each_step_of_a_sequence_and_for_each_pixel():
    """A language model has its classes last, torch's cross-entropy has them second."""
    tokens = torch.arange(24).view(4, 6) % 20
    flat = lambda y_hat, y: CE(y_hat.flatten(0, 1), y.flatten())
    language_model = nn.Sequential(nn.Embedding(20, 4), nn.Linear(4, 20))
    history = fit(language_model, flat, (tokens, tokens), epochs=1, metrics={"right": accuracy})
    assert 0 <= history["right"][0] <= 1
    pictures, labels = torch.randn(4, 1, 8, 8), torch.arange(256).view(4, 8, 8) % 3
    history = fit(nn.Conv2d(1, 3, 1), CE, (pictures, labels), epochs=1, metrics={"a": accuracy})
    assert 0 <= history["a"][0] <= 1
    with pytest.raises(ValueError, match="labels run from 0 to 19, but the model has 12 outputs"):
        fit(nn.Sequential(nn.Embedding(20, 4), nn.Linear(4, 12)), flat, (tokens, tokens))


def test_whole_numbers_for_an_embedding():
    with pytest.raises(ValueError, match=r"takes whole numbers \(int64\) below 20"):
        fit(nn.Sequential(nn.Embedding(20, 4), nn.Linear(4, 3)), CE, (X, y))


def test_one_output_beside_classes():
    with pytest.raises(ValueError, match=r"one output, \(B, 1\).*give y.float\(\)\[:, None\]"):
        fit(nn.Linear(4, 1), nn.BCEWithLogitsLoss(), (X, y % 2), device="cpu")


def test_a_model_that_returns_more_than_its_outputs():
    with pytest.raises(ValueError, match="the model returns a tuple; let it return the outputs"):
        fit(nn.LSTM(4, 3), CE, (X[:, None], y), device="cpu")


def test_data_that_come_out_of_a_graph_are_cut_off_from_it():
    embedded = (X * torch.ones(4, requires_grad=True)).tanh()
    history = fit(network(), CE, (embedded, y), epochs=2, device="cpu")
    assert history.steps == 2


def test_a_column_of_outputs_beside_a_row_of_targets():
    with pytest.raises(ValueError, match=r"outputs \(B, 1\) and targets \(B,\) would be broadcast"):
        fit(nn.Linear(4, 1), nn.MSELoss(), (X, y.float()), device="cpu")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"save_every": 0.5}, "save_every must be a whole number of at least 1, got 0.5"),
        (
            {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=1)},
            "got a SGD object; pass the class",
        ),
        ({"optimizer": torch.optim.LBFGS}, "LBFGS asks for several"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, got 2.5"),
        ({"accumulate": 0}, "accumulate must be"),
        ({"lr": -1.0}, "lr must be a finite number above 0, got -1.0"),
        ({"lr": float("nan")}, "lr must be a finite number above 0, got nan"),
        ({"clip": 0.0}, "clip must be a finite number above 0"),
        ({"patience": 3}, r"pass valid=\(X, y\) as well"),
        ({"dtype": torch.float16}, "dtype must be None or torch.bfloat16, got torch.float16"),
        ({"device": "cuda:77"}, "'cuda:77' is not usable here"),
        ({"checkpoint": "no/such/folder/run.pt"}, "there is no folder no/such/folder"),
    ],
)
def test_settings_that_cannot_be_meant(settings, message):
    with pytest.raises(ValueError, match=message):
        fit(network(), CE, (X, y), **{"device": "cpu", **settings})


def test_compiling_takes_a_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"compile=True needs a C\+\+ compiler"):
        fit(network(), CE, (X, y), compile=True, device="cpu")


def test_models_that_cannot_be_trained():
    with pytest.raises(ValueError, match="no parameter to train"):
        fit(network().requires_grad_(False), CE, (X, y), device="cpu")
    with pytest.raises(ValueError, match="device 'meta', which keeps shapes and no values"):
        fit(nn.Linear(4, 3, device="meta"), CE, (X, y), device="cpu")


class LeftBehind(nn.Module):
    """Keeps a tensor that does not move with it, as on a GPU machine a plain attribute would."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.scale = torch.ones(3, device="meta")

    def forward(self, x):
        return (self.layer(x) * self.scale).to(x.device)


def test_a_tensor_on_the_wrong_device_is_named():
    with pytest.raises(ValueError, match="did not move with it.*register_buffer"):
        fit(LeftBehind(), CE, (X, y), device="cpu")


def test_a_loss_must_be_one_number():
    with pytest.raises(ValueError, match=r"one number in a tensor.*got shape \(2,\)"):
        fit(network(), nn.CrossEntropyLoss(reduction="none"), (X, y), device="cpu")
    with pytest.raises(ValueError, match="got float"):
        fit(network(), lambda y_hat, y: CE(y_hat, y).item(), (X, y), device="cpu")


def test_batch_norm_and_a_batch_of_one():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="batch norm needs two rows or more.*has 1 in 1 part"):
        fit(model, CE, (X[:11], y[:11]), batch_size=5, device="cpu")
    fit(model, CE, (X, y), batch_size=5, epochs=1, device="cpu")  # 5, 5, 2
    pictures = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, 3))
    one = torch.randn(1, 1, 8, 8)  # 36 places to take the mean of
    fit(pictures, CE, (one, y[:1]), epochs=1, device="cpu")


def diverge(lr=1e5):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    settings = {"optimizer": torch.optim.SGD, "batch_size": 6, "device": "cpu"}
    with pytest.raises(Diverged) as caught:
        fit(model, nn.MSELoss(), (100 * X, X.sum(1, keepdim=True)), lr=lr, epochs=20, **settings)
    return str(caught.value)


def test_a_run_that_diverges_names_step_loss_gradient_and_what_to_try():
    torch.manual_seed(0)
    message = diverge()
    assert "the loss is " in message and "at step " in message
    assert "gradient" in message and ".weight'" in message
    assert "Try a smaller lr (now 100000) or clip" in message
    assert f"the largest here is {(100 * X).abs().max():g}" in message


def test_a_loss_that_is_not_finite_from_the_start_says_so():
    with pytest.raises(Diverged, match=r"the loss is nan at step 1; no step was made before it"):
        fit(network(), lambda y_hat, y: y_hat.sum() * torch.nan, (X, y), device="cpu")


def test_the_step_that_is_named_is_the_step_that_failed():
    """The loss is spoilt on purpose at the fifth step; the weights are still those before it."""
    calls = []

    def spoilt(y_hat, y):
        calls.append(y_hat)  # the first call is the look before the run
        return CE(y_hat, y) * (torch.inf if len(calls) == 6 else 1)

    model, twin = network(), network()
    with pytest.raises(
        Diverged, match=r"the loss is inf at step 5, after \d\.\d+ before it; the l"
    ):
        fit(model, spoilt, (X, y), epochs=9, batch_size=4, device="cpu")
    assert len(calls) == 6
    steps = [rows for epoch in (0, 1) for rows in batches(12, 4, epoch=epoch)][:4]
    opt = torch.optim.AdamW(twin.parameters(), lr=1e-3)
    for rows in steps:
        opt.zero_grad()
        CE(twin(X[rows]), y[rows]).backward()
        opt.step()
    assert torch.equal(model[0].weight, twin[0].weight)


def test_the_message_of_a_run_with_sparse_gradients_and_yes_or_no_inputs():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(2, 4, sparse=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.out(self.embed(x.long()).sum(1)) * (
                torch.nan if self.embed.weight.grad is not None else 1
            )

    with pytest.raises(Diverged, match="the loss is nan at step 2.*last gradient"):
        fit(Words(), CE, (X > 0, y), device="cpu", optimizer=torch.optim.SGD)


def test_weights_spoilt_by_the_very_last_step_are_found():
    class Spoil(torch.optim.SGD):
        def step(self, closure=None):
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(torch.nan)

    with pytest.raises(Diverged, match=r"the last step of epoch 1 left weights in '0.weight'"):
        fit(network(), CE, (X, y), epochs=1, batch_size=None, optimizer=Spoil, device="cpu")


@pytest.mark.parametrize("wrong, noticed", [(0, 5), (3, 5), (4, 9), (9, 10)])
def test_where_losses_are_read_seldom_the_step_that_failed_is_named(wrong, noticed):
    """On a GPU reading a number makes it wait, so the losses are looked at some steps at a time."""
    model = network()
    losses = Losses(History(), model, torch.optim.SGD(model.parameters()), X, Team.join("cpu"))
    losses.every = 4
    with pytest.raises(Diverged) as caught:
        for step in range(10):
            value = torch.inf if step == wrong else float(step)
            losses.add(torch.tensor(value), first=True)
        losses.read()
    before = f", after {wrong - 1:g} before it" if wrong else ""
    assert f"the loss is inf at step {wrong + 1}{before};" in str(caught.value)
    assert len(losses.waiting) == noticed


def test_where_losses_are_read_seldom_none_is_lost():
    model, history = network(), History()
    losses = Losses(history, model, torch.optim.SGD(model.parameters()), X, Team.join("cpu"))
    losses.every = 4
    for step in range(10):
        losses.add(torch.tensor(float(step)), first=True)
        losses.add(torch.tensor(0.5), first=False)
    losses.read()
    assert history.losses == [step + 0.5 for step in range(10)]
