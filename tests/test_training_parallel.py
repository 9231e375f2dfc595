"""course_lib.training under torchrun: the same loss curve as one process, GPU and CPU."""

import subprocess
import sys
import textwrap

import pytest
import torch

RUN = textwrap.dedent(
    """
    import os
    import sys
    import torch
    from torch import nn
    from course_lib.training import accuracy, fit

    where, device, kind, epochs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    rank = os.environ.get("RANK", "alone")
    torch.manual_seed(0)
    X = torch.randn(83, 8, dtype=torch.float64); y = (X[:, 0] * X[:, 1] > 0).long()
    if rank not in ("0", "alone"):
        torch.manual_seed(99)  # other first weights: those of the first process must count
    middle = {"plain": nn.Identity(), "dropout": nn.Dropout(0.3), "norm": nn.BatchNorm1d(16),
              "noisy": nn.Identity()}[kind]
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), middle, nn.Linear(16, 2)).double()
    loss = nn.CrossEntropyLoss()
    noisy = lambda y_hat, y: loss(y_hat, y) * (1 + torch.rand(()))  # as a loss that samples
    rows = 64 if kind == "norm" else 65
    history = fit(model, noisy if kind == "noisy" else loss, (X[:rows], y[:rows]),
                  (X[65:], y[65:]), epochs=epochs, batch_size=16, lr=0.02, accumulate=2, clip=0.5,
                  metrics={"accuracy": accuracy}, device=device, checkpoint=where + "/run.pt",
                  patience=2)
    torch.save({"weights": {k: v.cpu() for k, v in model.state_dict().items()},
                "losses": history.losses, "epochs": history.epochs}, f"{where}/{rank}.pt")
    """
)


def run(folder, processes, device="cpu", kind="plain", epochs=30):
    """Train; what each process ended with. The port is one that the system found free."""
    folder.mkdir(exist_ok=True)
    script = folder / "train.py"
    script.write_text(RUN)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    start = [*torchrun, f"--nproc-per-node={processes}"] if processes else []
    command = [sys.executable, *start, str(script), str(folder), device, kind, str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    names = range(processes) if processes else ["alone"]
    return [torch.load(folder / f"{name}.pt", weights_only=True) for name in names]


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    if request.param == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("fewer than two GPUs that torch can use")
    return request.param


def assert_alike(first, second):
    """Two processes that end with the same numbers, to the last bit."""
    assert first["losses"] == second["losses"]
    assert first["epochs"] == second["epochs"]
    for name, tensor in first["weights"].items():
        assert torch.equal(tensor, second["weights"][name]), name


def test_two_processes_learn_what_one_learns(tmp_path, device):
    """65 rows in batches of 16: the last batch is one row, and one process has no part of it."""
    (alone,) = run(tmp_path / "one", 0, device)
    first, second = run(tmp_path / "two", 2, device)
    assert_alike(first, second)
    assert len(alone["epochs"]) < 30  # it stopped early, and so did they
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-6)
    for ours, theirs in zip(first["epochs"], alone["epochs"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)
    for name, tensor in alone["weights"].items():
        torch.testing.assert_close(first["weights"][name], tensor, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["norm", "noisy"])
def test_processes_that_see_other_things_stay_together(tmp_path, kind):
    """Batch norm sees other rows in each, and the noisy loss draws other numbers."""
    assert_alike(*run(tmp_path, 2, kind=kind))


def test_each_process_goes_on_with_its_own_generator(tmp_path):
    """Dropout differs between the processes; half the run, then the rest, is the whole run."""
    wanted = run(tmp_path / "whole", 2, kind="dropout", epochs=4)[0]
    run(tmp_path / "parts", 2, kind="dropout", epochs=2)
    resumed = run(tmp_path / "parts", 2, kind="dropout", epochs=4)[0]
    assert resumed["losses"] == wanted["losses"]
