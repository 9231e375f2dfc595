"""course_lib.training: a run that is killed goes on bit for bit; a bad file is refused."""

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.training import fit

RUN = textwrap.dedent(
    """
    import random, sys
    import numpy as np
    import torch
    from torch import nn
    from course_lib.training import accuracy, fit

    where, wait, save_every = sys.argv[1], sys.argv[2] == "wait", int(sys.argv[3])
    torch.manual_seed(0); np.random.seed(0); random.seed(0)
    X = torch.randn(90, 8); y = (X[:, 0] * X[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3),
                          nn.Linear(16, 2))

    def augment(rows):  # draws from all three generators
        print("step", flush=True)
        if wait:
            sys.stdin.readline()
        return rows + 0.1 * torch.randn_like(rows) * random.random() * np.random.rand()

    history = fit(model, nn.CrossEntropyLoss(), (X[:70], y[:70]), (X[70:], y[70:]), epochs=5,
                  batch_size=16, lr=0.01, schedule=lambda t: 1 - t, patience=3, clip=1.0,
                  augment=augment, metrics={"accuracy": accuracy}, device="cpu",
                  checkpoint=where + "/run.pt", save_every=save_every or None)
    torch.save({"model": model.state_dict(), "losses": history.losses,
                "epochs": history.epochs, "steps": history.steps}, where + "/end.pt")
    """
)


def start(folder, save_every, wait=False):
    command = [sys.executable, "-c", RUN, str(folder), "wait" if wait else "go", str(save_every)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def finish(process, folder):
    """Let it run to its end; what it ended with, and the steps that it made."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return torch.load(folder / "end.pt", weights_only=True), said.count("step")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    end, steps = finish(start(folder, 0), folder)
    assert steps == end["steps"] > 10
    return end


@pytest.mark.parametrize("save_every, steps", [(0, 8), (2, 3), (2, 14), (3, 10)])
def test_killed_in_mid_epoch_it_goes_on_bit_for_bit(uninterrupted, tmp_path, save_every, steps):
    """Five steps an epoch; the kill comes while a step is being computed."""
    process = start(tmp_path, save_every, wait=True)
    for _ in range(steps):
        assert process.stdout.readline() == "step\n"
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.stdout.readline() == "step\n"  # it waits in this one
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "end.pt").exists()
    resumed, again = finish(start(tmp_path, save_every), tmp_path)
    kept = max(steps // 5 * 5, steps // save_every * save_every if save_every else 0)
    assert again == uninterrupted["steps"] - kept
    assert resumed["steps"] == uninterrupted["steps"]
    assert resumed["losses"] == uninterrupted["losses"]
    assert resumed["epochs"] == uninterrupted["epochs"]
    for name, tensor in uninterrupted["model"].items():
        assert torch.equal(resumed["model"][name], tensor), name


CE = nn.CrossEntropyLoss()
X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
y = torch.arange(12) % 3


def train(path, seed=0, hidden=5, data=(X, y), **settings):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 3))
    settings = {"epochs": 2, "batch_size": 4, "lr": 0.01, "device": "cpu", **settings}
    return model, fit(model, CE, data, checkpoint=path, **settings)


def test_more_epochs_go_on_where_the_last_run_ended(tmp_path):
    path = tmp_path / "run.pt"
    train(path, epochs=2)
    longer, history = train(path, epochs=5)
    whole, wanted = train(None, epochs=5)
    assert history.losses == wanted.losses
    assert torch.equal(longer[0].weight, whole[0].weight)


def test_numbers_of_numpy_do_not_spoil_the_file(tmp_path):
    settings = {"lr": np.float64(0.01), "schedule": lambda t: np.cos(t), "epochs": 2}
    settings |= {"batch_size": np.int64(4), "clip": np.float32(1.0)}
    model, _ = train(tmp_path / "run.pt", **settings)
    again, _ = train(tmp_path / "run.pt", seed=9, **settings)
    assert torch.equal(again[0].weight, model[0].weight)


def test_a_finished_run_is_not_run_again(tmp_path):
    path = tmp_path / "run.pt"
    model, _ = train(path)
    stamp = path.stat().st_mtime_ns
    again, history = train(path, seed=9)
    assert torch.equal(again[0].weight, model[0].weight)
    assert history.steps == 6 and path.stat().st_mtime_ns == stamp


def test_early_stopping_is_remembered(tmp_path):
    path, settings = tmp_path / "run.pt", {"epochs": 40, "patience": 1, "lr": 1.0}
    settings["valid"] = (X, (y + 1) % 3)
    model, history = train(path, **settings)
    again, resumed = train(path, seed=9, **settings)
    assert len(history.epochs) < 40
    assert resumed.epochs == history.epochs
    assert torch.equal(again[0].weight, model[0].weight)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lr": 0.5}, r"a run with lr=0.01, this one has lr=0.5"),
        ({"patience": 3, "valid": (X, y)}, r"valid=None, patience=False.*valid=12, patience=True"),
        ({"optimizer": partial(torch.optim.AdamW, weight_decay=0.5)}, "'weight_decay': 0.5"),
        ({"data": (X + 1, y)}, r"belongs to a run with data="),
        ({"batch_size": 6}, r"with batch_size=4, this one has batch_size=6"),
        ({"optimizer": torch.optim.SGD}, r"optimizer='AdamW'.*, this one has optimizer='SGD'"),
        ({"hidden": 6}, r"is of another model: .*size mismatch"),
    ],
)
def test_a_file_of_another_run_is_refused(tmp_path, change, message):
    path = tmp_path / "run.pt"
    train(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message.replace(".*", r"[\s\S]*")):
        train(path, **change)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_file_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "run.pt"
    train(path)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is no checkpoint of fit, or it is damaged"):
        train(path)
    assert path.read_bytes() == before


def test_reading_a_checkpoint_runs_no_code_of_its_author(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save({"settings": {}, "model": Evil(), "optimizer": {}, "generators": []}, tmp_path / "x")
    with pytest.raises(ValueError, match="is no checkpoint of fit"):
        train(tmp_path / "x")
    assert not (tmp_path / "pwned").exists()


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    train(path, epochs=1)
    before = path.read_bytes()

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course_lib.training.checkpoint.torch.save", full)
    with pytest.raises(OSError, match="No space left"):
        train(path, epochs=3)
    assert path.read_bytes() == before
