"""Multi30k at scale: English to German with and without attention. Chapter: book/13_attention."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..attention import (
    END,
    START,
    UNKNOWN,
    Memory,
    Seq2Seq,
    Vocabulary,
    frame,
    pad,
    teach,
    translate,
)
from ..attention import beam_search as search
from ..data import translations
from ..device import pick_device
from .runner import Experiment

LONGEST = 50  # words that a translation may have
LENGTHS = ((1, 9), (10, 12), (13, 15), (16, 99))  # words of the English sentence, four groups


def words(text: str) -> list[str]:
    """Small letters; words and marks apart.

    Example:
        >>> words("A dog's ball.")
        ['a', 'dog', "'", 's', 'ball', '.']
    """
    return re.findall(r"\w+|[^\w\s]", text.lower())


def sentence(tokens: Sequence[str]) -> str:
    """Words as a sentence: marks stand where German sets them; unknown words are left out.

    Example:
        >>> sentence(["ein", "hund", ",", "der", "<unknown>", "bellt", "."])
        'ein hund, der bellt.'
    """
    text = " ".join(token for token in tokens if token != "<unknown>")
    text = re.sub(r" ([.,!?;:)])", r"\1", text)
    return re.sub(r"(\w) ([-/']) (\w)", r"\1\2\3", text)


class Half(nn.Module):
    """A translator whose lessons are computed in bfloat16, in half the time."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits (B, T, K), in float32."""
        with torch.autocast(source.device.type, torch.bfloat16):
            return self.model(source, target).float()


def bleu(found: Sequence[str], right: Sequence[str]) -> float:
    """Corpus BLEU of sacrebleu, without regard to capitals.

    Args:
        found: translations.
        right: one reference each.

    Returns:
        From 0 to 100.

    Source: Papineni et al. 2002; Post 2018.
    """
    from sacrebleu.metrics import BLEU

    return BLEU(lowercase=True).corpus_score(list(found), [list(right)]).score


def by_beams(model: Seq2Seq, source: Tensor, beams: int, alpha: float) -> list[int]:
    """The best translation of one sentence (S,), without words that nobody knows."""
    memory = model.read(source[None])

    def step(tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        many = Memory(*(part.expand(len(tokens), *part.shape[1:]) for part in memory))
        logits, state, _ = model.write(tokens[:, None], state, many)
        logits[..., [START, UNKNOWN]] = -torch.inf
        return logits[:, 0].log_softmax(-1), state

    return search(step, model.start(memory), beams, LONGEST, alpha)[0][0]


def translation_run(
    seed: int,
    attention: bool,
    hidden: int,
    lr: float,
    epochs: int,
    dropout: float,
    at_least: int,
    choosing: bool = False,
    device=None,
) -> dict[str, float]:
    """Learn to translate captions, and be judged by BLEU.

    Args:
        seed: of the first weights, the order of the pairs and dropout.
        attention: as :class:`Seq2Seq` takes it.
        hidden: as there.
        lr: the greatest step size.
        epochs: passes over the 29,000 pairs.
        dropout: as :class:`Seq2Seq` takes it.
        at_least: a word is known when the training sentences have it this often.
        choosing: judge on the split that chooses settings, in place of test_2016.
        device: where to compute; None chooses.

    Returns:
        ``greedy`` and ``beams`` (of five, alpha 0.6): BLEU; ``greedy_A_B``: of the sentences with A
        to B English words; ``nats``: the last mean training loss; ``parameters``;
        ``cpu_seconds`` of the training, on however many threads.
    """
    device = pick_device(device)
    train = translations("train", "en", "de")
    judged = translations("valid" if choosing else "test", "en", "de")
    known = [Vocabulary([pair[i] for pair in train], words, at_least) for i in (0, 1)]
    source = pad([known[0].encode(en) for en, _ in train], device)
    target = pad([frame(known[1].encode(de)) for _, de in train], device)
    torch.manual_seed(seed)
    model = Seq2Seq(len(known[0]), len(known[1]), hidden, attention, dropout, device)
    began = time.process_time()
    losses = teach(Half(model), source, target, epochs=epochs, batch=128, lr=lr, seed=seed)
    found = {"cpu_seconds": time.process_time() - began, "nats": losses[-1]}
    found["parameters"] = sum(p.numel() for p in model.parameters())
    rows = [known[0].encode(en) for en, _ in judged]
    written = [
        sentence(known[1].decode(row))
        for part in pad(rows, device).split(100)
        for row in translate(model, part, LONGEST)[0]
    ]
    right = [de for _, de in judged]
    found["greedy"] = bleu(written, right)
    for least, most in LENGTHS:
        inside = [i for i, row in enumerate(rows) if least <= len(row) <= most]
        pairs = [written[i] for i in inside], [right[i] for i in inside]
        found[f"greedy_{least}_{most}"] = bleu(*pairs)
    with torch.no_grad():
        best = [by_beams(model, torch.tensor(row, device=device), 5, 0.6) for row in rows]
    found["beams"] = bleu([sentence(known[1].decode([*row, END])) for row in best], right)
    return found


CHOSEN = {"hidden": 192, "epochs": 4, "dropout": 0.3, "at_least": 3}
TRIED = [2e-3, 4e-3]  # step sizes, for each of the two
AT_SCALE = {
    "multi30k_choosing": Experiment(
        translation_run,
        [
            CHOSEN | {"epochs": 1, "attention": attention, "lr": lr, "choosing": True}
            for attention in (True, False)
            for lr in TRIED
        ],
        seeds=1,
        times=["cpu_seconds"],
        at_scale=True,
    ),
    "multi30k": Experiment(
        translation_run,
        [CHOSEN | {"attention": attention, "lr": 2e-3} for attention in (True, False)],
        seeds=2,
        times=["cpu_seconds"],
        at_scale=True,
    ),
}
