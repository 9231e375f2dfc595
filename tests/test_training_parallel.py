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

    where, device, dropout = sys.argv[1], sys.argv[2], float(sys.argv[3])
    torch.manual_seed(0)
    X = torch.randn(83, 8, dtype=torch.float64); y = (X[:, 0] * X[:, 1] > 0).long()
    if os.environ.get("RANK", "0") != "0":
        torch.manual_seed(99)  # other first weights: those of the first process must count
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 2))
    model.double()
    history = fit(model, nn.CrossEntropyLoss(), (X[:65], y[:65]), (X[65:], y[65:]), epochs=4,
                  batch_size=16, lr=0.02, accumulate=2, clip=0.5, metrics={"accuracy": accuracy},
                  device=device, checkpoint=where + "/run.pt", patience=4)
    rank = os.environ.get("RANK", "alone")
    torch.save({"weights": {k: v.cpu() for k, v in model.state_dict().items()},
                "losses": history.losses, "epochs": history.epochs}, f"{where}/{rank}.pt")
    """
)


def run(folder, processes, device, dropout=0.0):
    """Train; what each process ended with. The port is one that the system found free."""
    script = folder / "train.py"
    script.write_text(RUN)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    start = [*torchrun, f"--nproc-per-node={processes}"] if processes else []
    command = [sys.executable, *start, str(script), str(folder), device, str(dropout)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    names = range(processes) if processes else ["alone"]
    return [torch.load(folder / f"{name}.pt", weights_only=True) for name in names]


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    if request.param == "cuda" and torch.cuda.device_count() < 2:
        pytest.skip("fewer than two GPUs that torch can use")
    return request.param


def test_two_processes_learn_what_one_learns(tmp_path, device):
    """65 rows in batches of 16: the last batch is one row, and one process has no part of it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (alone,) = run(tmp_path / "one", 0, device)
    first, second = run(tmp_path / "two", 2, device)
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-6)
    for ours, theirs in zip(first["epochs"], alone["epochs"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)
    for name, tensor in alone["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        torch.testing.assert_close(first["weights"][name], tensor, rtol=1e-9, atol=1e-12)


def test_each_process_goes_on_with_its_own_generator(tmp_path):
    """Dropout differs between the processes; half the run, then the rest, is the whole run."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    wanted = run(whole, 2, "cpu", 0.3)[0]
    short = RUN.replace("epochs=4", "epochs=2")
    assert short != RUN
    (parts / "short.py").write_text(short)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--local-addr=127.0.0.1", "--nproc-per-node=2", str(parts / "short.py")]
    subprocess.run([*command, str(parts), "cpu", "0.3"], check=True, capture_output=True)
    resumed = run(parts, 2, "cpu", 0.3)[0]
    assert resumed["losses"] == wanted["losses"]
