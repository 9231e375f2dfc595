"""nanoGPT's CPU settings on tiny Shakespeare, and the course's. Chapter: book/14_transformer.

Text, split, sizes and steps are those of Karpathy's nanoGPT (2022), whose README gives a loss of
1.88 on a part of the validation text; here every window of 64 characters judges.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from ..transformer import GPT, judge, learn
from ._fashion_mnist import keep_memory
from ._shakespeare import parts
from .runner import Experiment

PARTS = {
    "positions": "rotary",
    "norm": "rms",
    "activation": "relu2",
    "qk_norm": True,
    "value_embeddings": True,
}
WITHOUT = {  # GPT-2's part in the place of each
    "rotary positions": {"positions": "learned"},
    "RMSNorm": {"norm": "layer"},
    "ReLU squared": {"activation": "gelu"},
    "QK-norm": {"qk_norm": False},
    "value embeddings": {"value_embeddings": False},
}


def warm_cosine(fraction: float, steps: int = 2000) -> float:
    """nanoGPT's schedule: 100 steps up, then half a wave down to a tenth."""
    step = fraction * steps
    if step < 100:
        return (step + 1) / 101
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 100) / (steps - 100)))


def down(fraction: float) -> float:
    """The course's: up in a twentieth of the run, then level, and straight down from 40 % on."""
    return min(1.0, (fraction + 0.02) / 0.05, (1 - fraction) / 0.6)


def reference(symbols: int, tokens: Tensor, seed: int, steps: int = 2000) -> GPT:
    """nanoGPT's architecture and settings for a CPU, in plain PyTorch, learned."""
    torch.manual_seed(seed)
    model = GPT(symbols, width=128, layers=4, heads=4, block=64, device=tokens.device)
    learn(model, tokens, steps=steps, batch=12, lr=1e-3, schedule=warm_cosine, seed=seed)
    return model


def course(
    symbols: int, tokens: Tensor, seed: int, steps: int, lr: float, without: str = "nothing"
) -> GPT:
    """The same size by the course's recipe, learned.

    Args:
        symbols: K.
        tokens: the text.
        seed: of the first weights and of the windows.
        steps: of 24 windows each.
        lr: as :func:`optimizers` takes it.
        without: a name of WITHOUT, ``"Muon"``, ``"bfloat16"`` or ``"nothing"``.

    Returns:
        The model.
    """
    torch.manual_seed(seed)
    model = GPT(symbols, 128, 4, 4, 64, **PARTS | WITHOUT.get(without, {}), device=tokens.device)
    learn(
        model,
        tokens,
        steps=steps,
        batch=24,
        recipe="adamw" if without == "Muon" else "muon",
        lr=lr,
        weight_decay=0.0,
        schedule=down,
        clip=None,
        dtype=None if without == "bfloat16" else torch.bfloat16,
        seed=seed,
    )
    return model


def gpt_run(
    seed: int, recipe: str, choosing: bool = False, device=None, **settings
) -> dict[str, float]:
    """Learn tiny Shakespeare and be judged on all windows of its last part.

    Args:
        seed: of the first weights and of the windows.
        recipe: ``"reference"`` or ``"course"``.
        choosing: judge on a part of the training text, held out.
        device: where to compute; None chooses.
        settings: what :func:`reference` or :func:`course` takes.

    Returns:
        ``nats`` a character, ``parameters``, ``cpu_seconds`` of the training.
    """
    keep_memory()
    learned, judging, symbols = parts(choosing, device)
    began = time.process_time()
    model = (reference if recipe == "reference" else course)(symbols, learned, seed, **settings)
    seconds = time.process_time() - began
    size = sum(p.numel() for p in model.parameters())
    return {"nats": judge(model, judging, 64), "parameters": size, "cpu_seconds": seconds}


SHORT = {"recipe": "course", "steps": 220, "lr": 0.005}
LONG = SHORT | {"steps": 1400}
TRIED = {  # step sizes
    "nothing": (0.0025, 0.005, 0.01, 0.02),
    "Muon": (0.0008, 0.0015, 0.003, 0.006, 0.012),
}
FEWER = (160, 175, 190)  # steps, beside the reference on text held out
FEWEST = SHORT | {"steps": 190, "lr": 0.007}  # of these, whose mean is below the reference's there
AT_SCALE = {
    "gpt_choosing": Experiment(
        gpt_run,
        [
            SHORT | {"lr": lr, "without": without, "choosing": True}
            for without, rates in TRIED.items()
            for lr in rates
        ],
        seeds=1,
        times=["cpu_seconds"],
        at_scale=True,
    ),
    "gpt_fewest": Experiment(
        gpt_run,
        [{"recipe": "reference", "choosing": True}]
        + [
            SHORT | {"steps": steps, "lr": lr, "choosing": True}
            for steps in FEWER
            for lr in (0.005, 0.007)
        ],
        seeds=3,
        times=["cpu_seconds"],
        at_scale=True,
    ),
    "gpt": Experiment(
        gpt_run, [{"recipe": "reference"}, SHORT, LONG], 3, times=["cpu_seconds"], at_scale=True
    ),
    "gpt_without": Experiment(
        gpt_run,
        [SHORT | {"without": name} for name in (*WITHOUT, "bfloat16")]
        + [SHORT | {"without": "Muon", "lr": 0.0015}],
        seeds=3,
        times=["cpu_seconds"],
        at_scale=True,
    ),
}
