"""The environments of the peers, each made the first time it is asked for, with pinned versions."""

from __future__ import annotations

import subprocess
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv-peers"
PINS = {  # torch, where it is needed, has our own pin
    "micrograd": ["micrograd==0.1.0"],
    "lightning": ["torch", "lightning==2.6.6"],
    "skorch": ["torch", "skorch==1.4.0"],
    "sb3": ["torch", "stable-baselines3==2.9.2"],
    "d2l": ["torch", "torchvision==0.28.0", "d2l==1.0.3"],
    "otter": ["torch", "otter-grader==7.0.0", "ipykernel==7.4.0", "nbconvert==7.17.2"],
}


class NotHere(RuntimeError):
    """A peer that cannot be had on this machine; the message says why."""


def pinned_torch() -> str:
    """The line of requirements.txt that pins torch."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def python(name: str) -> str:
    """The Python of a peer's environment, which is made the first time.

    Args:
        name: a key of PINS.

    Returns:
        The path of its Python.

    Raises:
        NotHere: when it cannot be installed.
    """
    folder = FOLDER / name
    found, ready = folder / "bin/python", folder / ".ready"
    pins = [pinned_torch() if pin == "torch" else pin for pin in PINS[name]]
    if ready.exists() and ready.read_text(encoding="utf-8").split() == pins:
        return str(found)
    print(f"installing {', '.join(PINS[name])} into {FOLDER.name}/{name} ...", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    for pin in pins:  # one by one: torch is there before what depends on it
        command = [found, "-m", "pip", "install", "-q", "--disable-pip-version-check", pin]
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode:
            why = (said.stderr.strip() or "pip gave no reason").splitlines()[-1]
            raise NotHere(f"{pin} could not be installed: {why}")
    ready.write_text("\n".join(pins), encoding="utf-8")
    return str(found)


def versions(name: str) -> dict[str, str]:
    """Package and version of what a peer's environment was made for."""
    wanted = [pin.partition("==")[0] for pin in PINS[name]]
    code = f"from importlib.metadata import version as v; print(*map(v, {wanted}))"
    said = subprocess.run([python(name), "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(wanted, said.stdout.split(), strict=True))


def installed() -> dict[str, str]:
    """Versions of all peers that are there; Gymnasium is in our own environment."""
    ready = [name for name in PINS if (FOLDER / name / ".ready").exists()]
    found = [{"gymnasium": version("gymnasium")}, *map(versions, ready)]
    return {package: pin for each in found for package, pin in each.items()}
