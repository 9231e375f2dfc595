"""Tiny Shakespeare at scale: models of characters, judged in bits. Chapter: book/09_rnn.

The text is cut as nanoGPT cuts it (Karpathy 2022): nine tenths to learn, the last to judge.
"""

from __future__ import annotations

import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import text
from ..device import pick_device
from ..optimization import one_cycle
from ..progress import bar
from ..rnn import CharModel, Ngram, alphabet, encode, log_likelihoods, streams
from ._fashion_mnist import keep_memory
from .runner import Experiment

CHAR_RNN = {"hidden": 128, "layers": 2, "batch": 50, "steps": 50, "epochs": 50}  # its defaults
CHAR_RNN |= {"lr": 2e-3, "dropout": 0.0, "recipe": "char-rnn"}
COURSE = {"hidden": 256, "layers": 2, "batch": 64, "steps": 128, "recipe": "course"}


def parts(choosing: bool, device=None) -> tuple[Tensor, Tensor, int]:
    """Tiny Shakespeare as numbers: what is learned, and what judges.

    Args:
        choosing: True holds back what judges at the end: 8/9 of the training text to learn, the
            last ninth to judge.
        device: where the tensors live; None chooses.

    Returns:
        Two texts, int64, shapes (N,) and (M,), and how many different characters there are.
    """
    whole = text("tiny_shakespeare")
    symbols = alphabet(whole)
    tokens = encode(whole, symbols).to(pick_device(device))
    n = int(0.9 * len(tokens))
    if choosing:
        return tokens[: n * 8 // 9], tokens[n * 8 // 9 : n], len(symbols)
    return tokens[:n], tokens[n:], len(symbols)


def nats(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of the next characters: logits (B, T, K), characters (B, T)."""
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def detached(state):
    """The state without its past: a tensor, or the pair that an LSTM keeps."""
    return state.detach() if isinstance(state, Tensor) else tuple(s.detach() for s in state)


def start_as_char_rnn(model: CharModel) -> None:
    """Weights even in ±0.08, and forget gates that start open."""
    for p in model.parameters():
        nn.init.uniform_(p, -0.08, 0.08)
    for name, p in model.recurrent.named_parameters():
        if "bias" in name:
            forget = slice(len(p) // 4, len(p) // 2)
            nn.init.constant_(p[forget].detach(), 1.0 if "bias_ih" in name else 0.0)


def train(
    model: CharModel, tokens: Tensor, recipe: str, batch: int, steps: int, epochs: int, lr: float
) -> float:
    """Truncated backpropagation through time, the state carried from piece to piece.

    Args:
        model: changed in place.
        tokens: the text, (N,).
        recipe: ``"char-rnn"``: RMSprop, a step size that falls by 3 % an epoch after the tenth,
            each entry of a piece's summed gradient cut at 5; ``"course"``: AdamW, one cycle, the
            norm cut at 1.
        batch: streams.
        steps: characters a piece.
        epochs: passes over the text.
        lr: the greatest step size.

    Returns:
        Seconds.
    """
    theirs = recipe == "char-rnn"
    optimizer = (
        torch.optim.RMSprop(model.parameters(), lr=lr, alpha=0.95)
        if theirs
        else torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    )
    pieces = streams(tokens, batch, steps)
    began = time.perf_counter()
    model.train()
    with bar(total=epochs * len(pieces), desc="characters") as shown:
        for epoch in range(epochs):
            state = None
            for i, (X, y) in enumerate(pieces):
                fraction = (epoch + i / len(pieces)) / epochs
                factor = 0.97 ** max(epoch - 9, 0) if theirs else one_cycle(fraction)
                optimizer.param_groups[0]["lr"] = lr * factor
                logits, state = model(X, state)
                state = detached(state)
                optimizer.zero_grad()
                nats(logits, y).backward()
                if theirs:
                    nn.utils.clip_grad_value_(model.parameters(), 5.0 / steps)  # of the sum
                else:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                shown.update()
    return time.perf_counter() - began


@torch.no_grad()
def judge(model: CharModel, tokens: Tensor) -> dict[str, float]:
    """What the model pays for a text that it has not seen.

    Args:
        model: it is put into eval mode.
        tokens: the text, (M,).

    Returns:
        ``stream``: nats a character when the text is read in one go; ``bits``: the same in bits;
        ``windows``: nats when every 256 characters begin without a past, as nanoGPT judges.
    """
    stream = -log_likelihoods(model, tokens).mean().item()
    n = (len(tokens) - 1) // 256 * 256
    apart = nats(model(tokens[:n].view(-1, 256))[0], tokens[1 : n + 1].view(-1, 256)).item()
    return {"stream": stream, "bits": stream / math.log(2), "windows": apart}


def shakespeare_run(
    seed: int,
    recipe: str,
    hidden: int,
    layers: int,
    batch: int,
    steps: int,
    epochs: int,
    lr: float,
    dropout: float,
    choosing: bool = False,
    device=None,
) -> dict[str, float]:
    """Learn tiny Shakespeare and be judged on its last part.

    Args:
        seed: of the first weights and of dropout.
        recipe: as :func:`train` takes it.
        hidden: units a layer.
        layers: of the LSTM.
        batch: streams.
        steps: characters a piece.
        epochs: passes.
        lr: the greatest step size.
        dropout: between the layers and in front of the last.
        choosing: judge on a part of the training text, held out.
        device: where to compute; None chooses.

    Returns:
        What :func:`judge` says, ``parameters`` and ``train_seconds``.
    """
    keep_memory()
    learned, judging, symbols = parts(choosing, device)
    torch.manual_seed(seed)
    model = CharModel(symbols, hidden, layers, nn.LSTM, dropout, learned.device)
    if recipe == "char-rnn":
        start_as_char_rnn(model)
    seconds = train(model, learned, recipe, batch, steps, epochs, lr)
    size = sum(p.numel() for p in model.parameters())
    return judge(model, judging) | {"parameters": size, "train_seconds": seconds}


def counting_run(
    seed: int, n: int, strength: float, choosing: bool = False, device=None
) -> dict[str, float]:
    """An n-gram on tiny Shakespeare, judged as the networks are.

    Args:
        seed: changes nothing; counting draws no numbers.
        n: order, as :class:`Ngram` takes it.
        strength: of the smoothing, as :class:`Ngram` takes it.
        choosing: judge on a part of the training text, held out.
        device: it counts on the CPU, whatever is asked for.

    Returns:
        ``stream``: nats a character; ``bits``: the same in bits.
    """
    learned, judging, symbols = parts(choosing, "cpu")
    stream = -Ngram(learned, symbols, n, strength).log_likelihoods(judging).mean().item()
    return {"stream": stream, "bits": stream / math.log(2)}


TRIED = [0.003, 0.006]  # step sizes
CHOSEN = {"epochs": 10, "lr": 0.006, "dropout": 0.3}  # the step size by "shakespeare_choosing"
COUNTED = {"n": 12, "strength": 64.0}  # by "shakespeare_counting"
SHORT = COURSE | CHOSEN | {"epochs": 5, "choosing": True}
AT_SCALE = {
    "shakespeare_choosing": Experiment(
        shakespeare_run,
        [SHORT | {"lr": lr} for lr in TRIED],
        seeds=1,
        times=["train_seconds"],
        at_scale=True,
    ),
    "shakespeare_counting": Experiment(
        counting_run,
        [
            {"n": n, "strength": a, "choosing": True}
            for n in (6, 8, 10, 12)
            for a in (16.0, 64.0, 256.0)
        ],
        seeds=1,
        at_scale=True,
    ),
    "shakespeare_ngram": Experiment(counting_run, [COUNTED], seeds=1, at_scale=True),
    "char_rnn": Experiment(
        shakespeare_run, [CHAR_RNN], seeds=1, times=["train_seconds"], at_scale=True
    ),
    "shakespeare": Experiment(
        shakespeare_run, [COURSE | CHOSEN], seeds=2, times=["train_seconds"], at_scale=True
    ),
}
