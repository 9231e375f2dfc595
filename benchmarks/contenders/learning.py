"""Whole trainings, another seed each run: Fashion-MNIST to an accuracy, tiny Shakespeare."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

import torch

from benchmarks.peers import NotHere


def timed(seed: int, learn, right) -> dict[str, float]:
    """Seconds of a training, and its accuracy on the test rows, judged once at the end."""
    start = time.perf_counter()
    model = learn(seed)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "accuracy": right(model)}


def textbook():
    """LeNet as textbooks draw and train it, ten passes by the bare loop."""
    from course_lib.studies import _fashion_mnist as clothes
    from course_lib.studies._fashion_tricks import right

    clothes.keep_memory()
    train, test = clothes.pictures("cpu")
    seeds = itertools.count()

    def learn(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        model = clothes.lenet()
        opt = torch.optim.SGD(model.parameters(), lr=0.9)
        for _ in range(10):
            for rows in torch.randperm(len(train[0])).split(256):
                opt.zero_grad()
                clothes.LOSS(model(train[0][rows]), train[1][rows]).backward()
                opt.step()
        return model

    return lambda: timed(next(seeds), learn, lambda model: right(model, test))


def recipe(target: int):
    """The course's recipe for so many percent, as the rows held out chose it."""
    from course_lib.studies import _fashion_mnist as clothes
    from course_lib.studies import _fashion_tricks as tricks

    clothes.keep_memory()
    train, test = clothes.pictures("cpu")
    seeds = itertools.count()

    def learn(seed: int) -> torch.nn.Module:
        model = tricks.learn(train, seed, **tricks.TARGETS[target])[0]
        return tricks.BothWays(model) if target in tricks.BOTH_WAYS else model

    return lambda: timed(next(seeds), learn, lambda model: tricks.right(model, test))


def gpt(recipe: str, **settings):
    """A character GPT at nanoGPT's CPU size, ``"reference"`` or ``"course"``."""
    from course_lib.studies import _nanogpt
    from course_lib.studies._fashion_mnist import keep_memory
    from course_lib.studies._shakespeare import parts

    keep_memory()
    learned, judging, symbols = parts(False, "cpu")
    train = _nanogpt.reference if recipe == "reference" else _nanogpt.course
    return characters(lambda seed: train(symbols, learned, seed, **settings), judging)


def characters(learn, judging: torch.Tensor):
    """A run: seconds of a training; its loss on all windows, and as nanoGPT estimates it."""
    from course_lib.transformer import judge

    seeds = itertools.count()

    def run() -> dict[str, float]:
        seed = next(seeds)
        start = time.perf_counter()
        model = learn(seed)
        seconds = time.perf_counter() - start
        draws = torch.Generator().manual_seed(seed)
        places = torch.randint(len(judging) - 65, (20 * 12,), generator=draws)
        some = [judge(model, judging[i : i + 65], 64) for i in places.tolist()]
        whole = judge(model, judging, 64)
        return {"seconds": seconds, "nats": whole, "estimate": sum(some) / len(some)}

    return run


def nanogpt_folder() -> Path:
    """Where nanoGPT's own code is: the folder nanoGPT of ``PEERS``.

    Raises:
        NotHere: without it.
    """
    folder = Path(os.environ.get("PEERS") or ".") / "nanoGPT"
    if not os.environ.get("PEERS") or not (folder / "model.py").exists():
        raise NotHere("PEERS names no folder with nanoGPT in it; it is on no package registry")
    return folder


class Logits(torch.nn.Module):
    """nanoGPT's model, which gives the logits of all places only when it is told the targets."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model(tokens, tokens)[0]


def nanogpt(folder: str, steps: int = 2000):
    """nanoGPT's own model and optimizer by the settings that its README gives for a CPU."""
    from course_lib.studies._fashion_mnist import keep_memory
    from course_lib.studies._nanogpt import warm_cosine
    from course_lib.studies._shakespeare import parts

    keep_memory()
    sys.path.insert(0, folder)
    from model import GPT, GPTConfig  # nanoGPT's

    learned, judging, symbols = parts(False, "cpu")
    size = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64, "vocab_size": symbols}

    def learn(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        model = GPT(GPTConfig(dropout=0.0, bias=False, **size))
        opt = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
        for i in range(steps):
            for group in opt.param_groups:
                group["lr"] = 1e-3 * warm_cosine(i / steps, steps)
            rows = learned[torch.randint(len(learned) - 65, (12, 1)) + torch.arange(65)]
            _, loss = model(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            opt.zero_grad(set_to_none=True)
        return Logits(model)

    return characters(learn, judging)
