"""What chapter 14_transformer measures: time by length, prose, longer texts, the cache, scaling.

Letters: B batch, T time, D width, H units, K symbols, N weights. Settings were found with seed 100
(the language's in another language); the thresholds, at the head of each part, were set after that
and before the runs of the study. Times are processor seconds of one thread: what else runs on the
machine does not count.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable
from functools import partial
from statistics import median
from time import process_time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import attend, causal_mask
from ..device import pick_device
from ..optimization import one_cycle
from ..rnn import LSTM, CharModel
from ..transformer import GPT, WAVES, Block, generate, learn, nats, sinusoidal
from ._nanogpt import AT_SCALE
from .rnn import book
from .runner import Experiment

CHAPTER = "14_transformer"


def seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of each run, taken in turns, in processor seconds of one thread.

    Args:
        runs: what to time, by name.
        repeats: how often, after one turn that does not count.

    Returns:
        Seconds by name.
    """
    threads, taken = torch.get_num_threads(), {name: [] for name in runs}
    torch.set_num_threads(1)
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = process_time()
            run()
            taken[name].append(process_time() - start)
    torch.set_num_threads(threads)
    return {name: median(times[1:]) for name, times in taken.items()}


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """A model whose first weights come from a seed; torch's own generator stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def weights(model: nn.Module) -> float:
    """How many numbers a model learns."""
    return float(sum(p.numel() for p in model.parameters()))


@torch.no_grad()
def bits(model: Callable[[Tensor], Tensor], rows: Tensor, last: int) -> float:
    """Bits of the last symbols of rows, each told from all that stands before it in its row.

    Args:
        model: tokens (B, T) to logits (B, T, K), in eval mode.
        rows: texts, shape (M, T + 1).
        last: symbols at the end of each that count.

    Returns:
        Mean of -log2 p.
    """
    logits = torch.cat([model(part[:, :-1])[:, -last:] for part in rows.split(32)])
    return nats(logits, rows[:, -last:]).item() / math.log(2)


# ---- 14.1: time a token by length, GPT and LSTM of equal size
#
# "Transformers train in parallel", so that a step of learning takes less time than an LSTM's of
# equal size, is refuted if at 256 tokens, of one text or of each of 16, the LSTM takes less than 1
# times the GPT's time per token (medians of five seeds; the lesser of the two counts).


def speed_run(seed: int, batch: int, length: int, device=None, repeats=9) -> dict[str, float]:
    """Time a step of learning, forward and backward, for a GPT and an LSTM of equal size.

    Args:
        seed: of weights and tokens.
        batch: texts at once.
        length: T.
        device: not used; this is about one thread of a CPU.
        repeats: turns.

    Returns:
        ``gpt`` and ``lstm`` (torch's) in microseconds a token, their ``ratio`` (lstm / gpt), how
        many weights each has, and the :func:`chain` of each (of chapter 9's LSTM, which shows its
        steps).
    """
    K = 92
    gpt = seeded(seed, lambda: GPT(K, 64, 2, 4, length, positions="rotary", device="cpu"))
    lstm = seeded(seed, lambda: CharModel(K, 103, recurrent=nn.LSTM, device="cpu"))
    shown = CharModel(K, 103, recurrent=partial(LSTM, device="cpu"), device="cpu")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(K, (batch, length + 1), generator=generator)

    def step(model: nn.Module) -> None:
        answer = model(rows[:, :-1])
        nats(answer if model is gpt else answer[0], rows[:, 1:]).backward()

    taken = seconds({"gpt": lambda: step(gpt), "lstm": lambda: step(lstm)}, repeats)
    each = {name: 1e6 * time / (batch * length) for name, time in taken.items()}
    return {
        **each,
        "ratio": each["lstm"] / each["gpt"],
        "gpt_weights": weights(gpt),
        "lstm_weights": weights(lstm),
        "gpt_chain": float(chain(gpt(rows[:1, :-1]))),
        "lstm_chain": float(chain(shown(rows[:1, :-1])[0])),
    }


def chain(y: Tensor) -> int:
    """The longest chain of operations behind a tensor of which each waits for the one before."""
    length, waiting = {}, [y.grad_fn]
    while waiting:
        node = waiting[-1]
        before = [n for n, _ in node.next_functions if n is not None]
        todo = [n for n in before if n not in length]
        if todo:
            waiting += todo
        else:
            length[waiting.pop()] = 1 + max((length[n] for n in before), default=0)
    return length[y.grad_fn]


# ---- 14.2: the book's prose, GPT and LSTM at equal multiplications
#
# "Transformers beat RNNs at equal compute" is refuted if after 1,200 steps the GPT saves less than
# 0.05 bits per character of the test piece against the LSTM (means of five seeds).

PROSE = {"batch": 16, "length": 64}
GPT_PROSE = {"width": 48, "layers": 2, "heads": 4}
LSTM_UNITS = 90
TUNED = {"GPT": (1e-2, 0.0), "LSTM": (3e-2, 0.0)}  # step size and dropout; best of six pairs each


def multiplications(D: int, layers: int, T: int, K: int) -> int:
    """Of a GPT, for a symbol, forward: all masked pairs counted as if they were computed."""
    return layers * (12 * D**2 + 2 * T * D) + K * D


def lstm_multiplications(H: int, K: int) -> int:
    """Of a character model with one LSTM layer, for a symbol, forward."""
    return 8 * H**2 + K * H


def learn_lstm(model: CharModel, tokens: Tensor, steps: int, lr: float) -> None:
    """Teach an LSTM as chapter 9 does: pieces side by side, the state carried on.

    Args:
        model: changed in place.
        tokens: the text, (N,).
        steps: of AdamW, on PROSE's windows; at the end of the text it begins again.
        lr: greatest step size; as in :func:`learn` it follows one cycle.
    """
    B, T = PROSE["batch"], PROSE["length"]
    text = tokens[: len(tokens) // B * B].view(B, -1)
    turns = (text.shape[1] - 1) // T
    optimizer = torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.99), weight_decay=0.1)
    model.train()
    for step in range(steps):
        t = step % turns * T
        if t == 0:
            state = None
        logits, state = model(text[:, t : t + T], state)
        optimizer.param_groups[0]["lr"] = lr * one_cycle(step / steps)
        optimizer.zero_grad()
        nats(logits, text[:, t + 1 : t + T + 1]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = tuple(part.detach() for part in state)


def prose_run(
    seed: int, model: str, steps: int, device=None, tuned: tuple[float, float] | None = None
) -> dict[str, float]:
    """Learn the book's prose, tell every character from at least 32 before it.

    The GPT reads windows of 64 and tells the last half of each; the LSTM reads on from the start.

    Args:
        seed: of weights, windows and dropout.
        model: ``"GPT"`` or ``"LSTM"``.
        steps: of AdamW.
        device: where to compute; None chooses.
        tuned: step size and dropout; None takes those found.

    Returns:
        ``valid`` and ``test``: bits a character; ``weights``; ``multiplications``, in units of
        10⁹, of all forward passes of learning.
    """
    device, (parts, symbols) = pick_device(device), book()
    texts = [torch.tensor([symbols.index(x) for x in part], device=device) for part in parts]
    K, B, T = len(symbols), PROSE["batch"], PROSE["length"]
    lr, dropout = tuned or TUNED[model]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if model == "GPT":
            net = GPT(K, block=T, positions="rotary", dropout=dropout, device=device, **GPT_PROSE)
            learn(net, texts[0], steps=steps, batch=B, lr=lr, seed=seed, progress=False)
            net.eval()
            found = [bits(net, text.unfold(0, T + 1, T // 2), T // 2) for text in texts[1:]]
            each = multiplications(GPT_PROSE["width"], GPT_PROSE["layers"], T, K)
        else:
            net = CharModel(K, LSTM_UNITS, recurrent=nn.LSTM, dropout=dropout, device=device)
            learn_lstm(net, texts[0], steps, lr)
            net.eval()
            read = lambda tokens: net(tokens)[0]
            found = [bits(read, text[None], len(text) - 1 - T // 2) for text in texts[1:]]
            each = lstm_multiplications(LSTM_UNITS, K)
    total = steps * B * T * each / 1e9
    return {"valid": found[0], "test": found[1], "weights": weights(net), "multiplications": total}


# ---- 14.3: cost by length
#
# "Time grows with the square of length" is refuted if the exponent of a block's time, fitted to
# lengths of 512 to 4,096 (medians of five seeds), is less than 1.8. If that of attention is not,
# with every score written down, it holds only for that.


def cost_run(seed: int, length: int, device=None, repeats: int = 3) -> dict[str, float]:
    """Time forward and backward of causal attention, and of a block, on one text.

    Args:
        seed: of weights and inputs.
        length: T.
        device: not used; this is about one thread of a CPU.
        repeats: turns; more for short texts.

    Returns:
        Milliseconds of ``attend`` (every score written down), of the ``fused`` kernel and of a
        whole ``block`` (with the fused kernel); the multiplications of attention and block, in
        units of 10⁶; ``scores``: MiB that the scores take.
    """
    D, heads = 64, 2
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 1, heads, length, D // heads, generator=generator).unbind()
    x = torch.randn(1, length, D, generator=generator)
    for tensor in (q, k, v, x):
        tensor.requires_grad_()
    mask = causal_mask(length, device="cpu")
    block = seeded(seed, lambda: Block(D, heads, causal=True))
    taken = seconds(
        {
            "attend": lambda: attend(q, k, v, mask)[0].sum().backward(),
            "fused": lambda: (
                F.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
            ),
            "block": lambda: block(x).sum().backward(),
        },
        max(repeats, 4096 // length),
    )
    pairs = 2 * length**2 * D / 1e6
    return {
        **{name: 1e3 * time for name, time in taken.items()},
        "attention_multiplications": pairs,
        "block_multiplications": pairs + 12 * D**2 * length / 1e6,
        "scores": heads * length**2 * 4 / 2**20,
    }


def exponent(x: Tensor, y: Tensor) -> float:
    """The slope of log y by log x, by least squares."""
    x, y = x.double().log(), y.double().log()
    return ((x - x.mean()) @ (y - y.mean()) / (x - x.mean()).square().sum()).item()


# ---- a language of known entropy, for 14.4 and 14.6

TONGUE = {"K": 12, "sharpness": 3.0}
WINDOW, BATCH, STEPS, RATE = 32, 16, 600, 3e-2


def language(K: int, sharpness: float, seed: int) -> tuple[Tensor, float]:
    """A language where two symbols tell the odds of the next, and its entropy.

    Args:
        K: symbols.
        sharpness: of the odds, ``softmax(sharpness · normal numbers)``.
        seed: which language.

    Returns:
        Odds (K, K, K), float64, the last axis adding up to 1; bits a symbol that nobody can save.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(K, K, K, generator=generator, dtype=torch.float64)
    odds = (sharpness * scores).softmax(-1)
    pairs = torch.full((K, K), 1 / K**2, dtype=torch.float64)
    for _ in range(200):  # how often each pair stands in a long text
        pairs = (pairs[..., None] * odds).sum(0)
    return odds, -(pairs[..., None] * odds * odds.log2()).sum().item()


def speak(odds: Tensor, n: int, seed: int) -> Tensor:
    """A text of n symbols in a language."""
    draws = torch.rand(n, generator=torch.Generator().manual_seed(seed)).tolist()
    steps, a, b, text = odds.cumsum(-1).tolist(), 0, 0, []
    for u in draws:
        a, b = b, min(bisect(steps[a][b], u), len(steps) - 1)
        text.append(b)
    return torch.tensor(text)


def taught(
    seed: int, width: int, positions: str, steps: int, tongue: int, device: torch.device
) -> tuple[GPT, Tensor, float]:
    """A GPT that read a text in a language, each symbol about once.

    Args:
        seed: of the weights, the texts and the order.
        width: D; two blocks of two heads.
        positions: as :class:`~course_lib.transformer.GPT` takes them.
        steps: of learning.
        tongue: the seed of the language.
        device: where it learns.

    Returns:
        The GPT in eval mode, a new text of 20,000 symbols, and the language's entropy.
    """
    odds, entropy = language(**TONGUE, seed=tongue)
    text = speak(odds, BATCH * WINDOW * steps, 2 * seed).to(device)
    make = lambda: GPT(TONGUE["K"], width, 2, 2, WINDOW, positions=positions, device=device)
    net = seeded(seed, make)
    learn(net, text, steps=steps, batch=BATCH, lr=RATE, seed=seed, progress=False)
    if positions == "sinusoidal":  # to read on behind the window
        net.waves = WAVES * sinusoidal(4 * WINDOW, width).to(device)
    return net.eval(), speak(odds, 20_000, 2 * seed + 1).to(device), entropy


# ---- 14.4: longer texts than those of learning
#
# "A Transformer reads longer texts than it learned from" is refuted for a kind of positions if at
# twice the length it loses more than 0.05 bits a symbol (means of five seeds), and as a whole if
# that is so for sinusoidal or for rotary positions.


def longer_run(seed: int, positions: str, device=None, tongue: int = 0) -> dict[str, float]:
    """Learn from windows of 32; tell the same symbols after texts 1, 2 and 4 times as long.

    Args:
        seed: of weights and texts.
        positions: see :class:`GPT`; ``"learned"`` cannot read more than 32.
        device: where to compute; None chooses.
        tongue: which language.

    Returns:
        ``bits_1``, ``bits_2``, ``bits_4``: bits a symbol of the last 16 places of each text; and
        the ``entropy``, which is the least.
    """
    net, new, entropy = taught(seed, 32, positions, STEPS, tongue, pick_device(device))
    rows = new.unfold(0, 4 * WINDOW + 1, WINDOW // 2)
    reach = (1,) if positions == "learned" else (1, 2, 4)
    net.block = max(reach) * WINDOW
    found = {f"bits_{n}": bits(net, rows[:, -n * WINDOW - 1 :], WINDOW // 2) for n in reach}
    return found | {"entropy": entropy}


# ---- 14.5: the cache
#
# "A cache of keys and values makes writing several times faster" is refuted if at 256 symbols the
# gain is less than 5 (median of five seeds), or if one symbol is another.


def cache_run(seed: int, length: int, device=None) -> dict[str, float]:
    """Write a text with and without a cache.

    Args:
        seed: of weights and draws; the model is GPT's default, not taught.
        length: symbols to write.
        device: not used; this is about one thread of a CPU.

    Returns:
        ``same``: the share of symbols that are the same; ``with`` and ``without``: milliseconds
        a symbol; ``gain``: their ratio.
    """
    model = seeded(seed, lambda: GPT(92, block=length, device="cpu"))
    texts = {}

    def write(cache: bool) -> None:
        generator = torch.Generator().manual_seed(seed)
        prompt = torch.tensor([0])
        texts[cache] = generate(model, prompt, length, cache=cache, generator=generator)

    taken = seconds({"with": lambda: write(True), "without": lambda: write(False)}, 1)
    same = (texts[True] == texts[False]).double().mean().item()
    each = {name: 1e3 * time / length for name, time in taken.items()}
    return {"same": same, **each, "gain": taken["without"] / taken["with"]}


# ---- 14.6: loss by size
#
# "The loss of a larger model can be foretold from smaller ones by a power law" is refuted if the
# law, fitted to the mean losses of the FITTED widths (five seeds), misses that of width 48 by more
# than half of what width 48 gains over width 24.

FITTED, FORETOLD = (8, 12, 16, 20, 24), (32, 48, 64)


def scaling_run(
    seed: int, width: int, steps: int, device=None, tongue: int = 0
) -> dict[str, float]:
    """Teach a GPT of some width the language.

    Args:
        seed: of weights and texts.
        width: D.
        steps: of AdamW.
        device: where to compute; None chooses.
        tongue: which language.

    Returns:
        ``bits`` a symbol on a new text, the last half of each window; ``entropy``, which is the
        least; ``weights`` of the blocks.
    """
    net, new, entropy = taught(seed, width, "rotary", steps, tongue, pick_device(device))
    left = bits(net, new.unfold(0, WINDOW + 1, WINDOW // 2), WINDOW // 2)
    return {"bits": left, "entropy": entropy, "weights": weights(net.blocks)}


def power_law(N: Tensor, loss: Tensor) -> tuple[float, float, float]:
    """Fit ``loss = E + A N^-a`` by least squares.

    Args:
        N: sizes, (n,).
        loss: of each.

    Returns:
        E, A and a; a is the best of 0.01, 0.02, ... 3.
    """
    N, loss = N.double(), loss.double()[:, None]
    best = (math.inf, 0.0, 0.0, 0.0)
    for a in torch.arange(1, 301) / 100:
        X = torch.stack([torch.ones_like(N), N ** -a.item()], 1)
        fit = torch.linalg.lstsq(X, loss).solution
        error = (X @ fit - loss).square().sum().item()
        best = min(best, (error, *fit.flatten().tolist(), a.item()))
    return best[1:]


# What comes first is short and steady: a test measures it again.
EXPERIMENTS = {
    "speed": Experiment(
        speed_run,
        [
            {"batch": batch, "length": length}
            for batch, lengths in ((1, (16, 64, 256, 1024)), (16, (16, 64, 256)))
            for length in lengths
        ],
        seeds=5,
        times=("gpt", "lstm", "ratio"),
    ),
    "prose": Experiment(
        prose_run,
        [{"model": model, "steps": steps} for steps in (300, 1200) for model in ("LSTM", "GPT")],
        seeds=5,
    ),
    "cost": Experiment(
        cost_run,
        [{"length": 2**n} for n in range(6, 13)],
        seeds=5,
        times=("attend", "fused", "block"),
    ),
    "longer": Experiment(
        longer_run,
        [{"positions": p} for p in ("none", "learned", "sinusoidal", "rotary")],
        seeds=5,
    ),
    "cache": Experiment(
        cache_run,
        [{"length": 2**n} for n in range(5, 9)],
        seeds=5,
        times=("with", "without", "gain"),
    ),
    "scaling": Experiment(
        scaling_run,
        [*({"width": D, "steps": STEPS} for D in FORETOLD + FITTED), {"width": 24, "steps": 1200}],
        seeds=5,
    ),
}
EXPERIMENTS |= AT_SCALE
