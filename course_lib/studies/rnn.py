"""What chapter 09_rnn measures: how far back nets remember, forecasts, names, a model of prose.

Letters: B batch, T time, D inputs, H units, K answers. Settings were found with seed 100, and the
thresholds, at the head of each part, were set after that and before the runs of the study.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import adding, copying, labelled, text
from ..device import pick_device
from ..rnn import CharModel
from ._shakespeare import AT_SCALE
from .runner import Experiment

CHAPTER = "09_rnn"
KINDS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


class Reader(nn.Module):
    """A recurrent layer and a linear one on each of its outputs.

    Args:
        kind: ``"RNN"`` (tanh), ``"GRU"`` or ``"LSTM"``.
        sizes: D inputs, H units, K answers.
        seed: of the first weights, drawn as torch draws them.
        forget: first bias of an LSTM's forget gates; None leaves torch's, near 0.
    """

    def __init__(self, kind: str, sizes: tuple[int, int, int], seed: int, forget=None) -> None:
        super().__init__()
        D, H, K = sizes
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.recurrent = KINDS[kind](D, H, batch_first=True)
            self.head = nn.Linear(H, K)
        if forget is not None:
            with torch.no_grad():
                self.recurrent.bias_ih_l0[H : 2 * H] = forget
                self.recurrent.bias_hh_l0[H : 2 * H] = 0.0

    def forward(self, x: Tensor, state=None) -> tuple[Tensor, object]:
        """Answers (B, T, K) to inputs (B, T, D), and the last state."""
        h, state = self.recurrent(x, state)
        return self.head(h), state


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss, the gradient's length clipped at 1."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def fit(
    make: Callable[[], nn.Module],
    rates: Sequence[float],
    rounds: int,
    practise: Callable[[nn.Module, torch.optim.Optimizer], None],
    judge: Callable[[nn.Module], float],
) -> tuple[nn.Module, float, float]:
    """Train by Adam at each rate; keep the weights of the round with the least validation error.

    Args:
        make: gives a new model, the same each time.
        rates: learning rates to try; each falls to 0 on a straight line, round by round.
        rounds: how often to practise and to judge, at each rate.
        practise: trains a model with an optimizer for a round.
        judge: the error on validation data.

    Returns:
        The best model, its rate and its error.
    """
    least, best, found = math.inf, make(), rates[0]
    for rate in rates:
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), rate)
        for done in range(rounds):
            optimizer.param_groups[0]["lr"] = rate * (1 - done / rounds)
            practise(model, optimizer)
            error = judge(model)
            if error < least:
                least, best, found = error, copy.deepcopy(model), rate
    return best, found, least


# ---- 09.1 and 09.2: how far back
#
# The reach of a net: the longest length at which, and at all shorter ones, the median accuracy of
# five seeds is at least 0.9. 09.1, "plain RNNs fail at long range", is refuted if on either task
# the plain RNN reaches 50. 09.2, "LSTM and GRU hold longer", is refuted if on either task the GRU
# or the LSTM, as torch starts them, has less than 2 times the reach of the plain RNN (which counts
# as 10 where it is less). If the LSTM fails and one with a forget bias of 5 does not, it holds only
# with that bias.

SYMBOLS = 8  # of the copy task; one is read, and written down after the delay
RATES = {"RNN": 0.01, "GRU": 0.03, "LSTM": 0.01}  # best of 0.003, 0.01, 0.03 with seed 100
SOLVED = 0.95  # accuracy on validation sequences at which training stops


def draw(task: str, n: int, length: int, seed: int, device=None) -> tuple[Tensor, Tensor]:
    """Sequences of a task, and what to answer at their last step.

    Args:
        task: ``"adding"``, or ``"copy"`` of one symbol.
        n: sequences.
        length: steps of a sum; steps from reading a symbol to writing it.
        seed: which sequences.
        device: where the tensors live; None chooses.

    Returns:
        Inputs (n, T, D); sums (n,) or symbols (n,).
    """
    if task == "adding":
        return adding(n, length, seed, device)
    X, y = copying(n, length, 1, SYMBOLS, seed, device)
    return F.one_hot(X, SYMBOLS + 2).float(), y[:, -1]


def loss_of(task: str, answer: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of sums, cross-entropy of symbols; answers are (B, K)."""
    return F.mse_loss(answer[:, 0], y) if task == "adding" else F.cross_entropy(answer, y)


def accuracy(task: str, answer: Tensor, y: Tensor) -> float:
    """The share of sums that are right to within 0.1, or of symbols that are right."""
    right = (answer[:, 0] - y).abs() < 0.1 if task == "adding" else answer.argmax(1) == y
    return right.double().mean().item()


def task_sizes(task: str, hidden: int) -> tuple[int, int, int]:
    """Inputs, units and answers of a net for a task."""
    return (2, hidden, 1) if task == "adding" else (SYMBOLS + 2, hidden, SYMBOLS)


def reach_run(
    seed: int,
    task: str,
    length: int,
    kind: str,
    forget: float | None,
    device=None,
    steps: int = 800,
    batch: int = 32,
    hidden: int = 32,
) -> dict[str, float]:
    """Train a net on a task of one length; new sequences in each step, none seen twice.

    Training stops when 95 % of 500 validation sequences are right, looked at every hundred steps.

    Args:
        seed: of the first weights and of the sequences.
        task: ``"adding"`` or ``"copy"``.
        length: see :func:`draw`.
        kind: ``"RNN"``, ``"GRU"`` or ``"LSTM"``.
        forget: first bias of the forget gates, None for torch's.
        device: where to compute; None chooses.
        steps: of Adam, at most.
        batch: sequences a step.
        hidden: units.

    Returns:
        ``accuracy`` on 1,000 other sequences, and the ``steps`` taken.
    """
    device, first = pick_device(device), 100_000 * (seed + 1)
    X_valid, y_valid = draw(task, 500, length, first - 1, device)
    net = Reader(kind, task_sizes(task, hidden), seed, forget).to(device)
    optimizer = torch.optim.Adam(net.parameters(), RATES[kind])
    for t in range(1, steps + 1):
        X, y = draw(task, batch, length, first + t, device)
        descend(net, optimizer, loss_of(task, net(X)[0][:, -1], y))
        if t % 100 == 0:
            with torch.no_grad():
                right = accuracy(task, net(X_valid)[0][:, -1], y_valid)
            if right >= SOLVED:
                break
    X, y = draw(task, 1000, length, first - 2, device)
    with torch.no_grad():
        return {"accuracy": accuracy(task, net(X)[0][:, -1], y), "steps": float(t)}


# ---- 09.3: the gradient by distance
#
# "The gradient of an LSTM does not vanish" is refuted if at the start less than 0.01 of the length
# that the gradient has at the last state comes back to the state 50 steps before (median of five
# seeds). If it depends on the forget bias, the least of 0, 1 ... 5 at which it holds is reported.

DISTANCES = (1, 2, 5, 10, 20, 30, 40, 50, 75, 99)


def gradient_by_distance(net: Reader, X: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Length of the gradient of a loss at the last step by the state of each step.

    Args:
        net: reads step by step; the state of an LSTM is its h and c together.
        X: inputs (B, T, D).
        loss: of the last answer (B, K).

    Returns:
        Lengths (T,); entry d belongs to the state d steps before the last one.
    """
    B, T, _ = X.shape
    parts = 2 if isinstance(net.recurrent, nn.LSTM) else 1
    H = net.recurrent.hidden_size
    # What is added to each state is 0; its gradient is that of the state.
    nudges = [X.new_zeros(parts, B, H, requires_grad=True) for _ in range(T)]
    state = None
    for t in range(T):
        _, state = net.recurrent(X[:, t : t + 1], state)
        whole = torch.cat(state) if parts == 2 else state  # (parts, B, H)
        whole = whole + nudges[t]
        state = tuple(whole.split(1)) if parts == 2 else whole
    h = state[0] if parts == 2 else state
    grads = torch.autograd.grad(loss(net.head(h[0])), nudges)
    return torch.stack([g.norm() for g in grads]).flip(0)


def gradient_run(
    seed: int, kind: str, forget: float | None, steps: int, device=None, length: int = 100
) -> dict[str, float]:
    """How much of the gradient comes back over a distance, before or after training.

    Args:
        seed: of the first weights and of the sequences.
        kind: ``"RNN"``, ``"GRU"`` or ``"LSTM"``.
        forget: first bias of the forget gates, None for torch's.
        steps: of Adam at 0.01 on the adding problem; 0 looks at the start.
        device: where to compute; None chooses.
        length: of the sequences.

    Returns:
        ``gradient_d``: length of the gradient by the state d steps back over that by the last.
        After training also the ``accuracy``.
    """
    device, first = pick_device(device), 100_000 * (seed + 1)
    net = Reader(kind, task_sizes("adding", 32), seed, forget).to(device)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for t in range(1, steps + 1):
        X, y = draw("adding", 32, length, first + t, device)
        descend(net, optimizer, loss_of("adding", net(X)[0][:, -1], y))
    X, y = draw("adding", 200, length, first - 2, device)
    measured = {}
    if steps:
        with torch.no_grad():
            measured["accuracy"] = accuracy("adding", net(X)[0][:, -1], y)
    net, X, y = net.double(), X.double(), y.double()
    lengths = gradient_by_distance(net, X, lambda answer: loss_of("adding", answer, y))
    back = {f"gradient_{d}": (lengths[d] / lengths[0]).item() for d in DISTANCES}
    return measured | back


# ---- 09.4: forecasts
#
# "Recurrent networks forecast better than linear autoregression" is refuted if on any of the three
# series the net that is best on the validation steps (mean error of five seeds) has more than 0.95
# times the error of the linear forecast (median of the ratios, seed by seed).

SEASON, BURN_IN, PARTS = 12, 500, (1000, 500, 1000)  # steps to train, to choose, to test


def series(name: str, seed: int) -> Tensor:
    """A series of 2,500 steps from a stated truth.

    ``"seasonal"``: (1 - 0.5 B)(1 - 0.6 B¹²) y = e, where B steps back by one and e is normal noise
    of variance 1: no forecast has an expected squared error below 1. ``"threshold"``:
    y_t = 2 - 0.9 |y_{t-1}| + e_t, the same. ``"Mackey-Glass"``: x' = 0.2 x(t-17) / (1 + x(t-17)¹⁰)
    - 0.1 x by Euler's steps of 0.1, every sixth unit of time: no noise at all.

    Args:
        name: one of the three.
        seed: of the noise; of the past of the third.

    Returns:
        Shape (2500,), float64.

    Source: Mackey & Glass 1977; Tong & Lim 1980.
    """
    g, n = torch.Generator().manual_seed(seed), BURN_IN + sum(PARTS)
    if name == "Mackey-Glass":
        x = (1.2 + 0.1 * torch.randn(171, generator=g, dtype=torch.float64)).tolist()
        for _ in range(60 * n):
            late = x[-171]
            x.append(x[-1] + 0.1 * (0.2 * late / (1 + late**10) - 0.1 * x[-1]))
        return torch.tensor(x[171::60][-sum(PARTS) :], dtype=torch.float64)
    y = torch.randn(n, generator=g, dtype=torch.float64).tolist()  # begins as the noise
    for t in range(SEASON + 1, n):
        if name == "threshold":
            y[t] += 2 - 0.9 * abs(y[t - 1])
        else:
            y[t] += 0.5 * y[t - 1] + 0.6 * y[t - SEASON] - 0.3 * y[t - SEASON - 1]
    return torch.tensor(y[BURN_IN:], dtype=torch.float64)


def autoregression(y: Tensor, lags: int) -> Tensor:
    """Forecast each step from the last ones, by least squares on the training steps.

    Args:
        y: a series (n,); its first part of ``PARTS`` is fitted.
        lags: how many steps the forecast sees.

    Returns:
        Forecasts of y[lags:], shape (n - lags,).
    """
    X = torch.cat([y.unfold(0, lags, 1)[:-1], y.new_ones(len(y) - lags, 1)], 1)  # (n - p, p + 1)
    rows = PARTS[0] - lags
    w = torch.linalg.lstsq(X[:rows], y[lags:][:rows, None]).solution
    return (X @ w)[:, 0]


def forecast_run(
    seed: int, name: str, method: str, device=None, rounds: int = 20, hidden: int = 32
) -> dict[str, float]:
    """Forecast the next step of a series, over 1,000 steps that nothing was fitted to.

    A net trains on windows of 50 steps, 20 steps of Adam a round, at two learning rates; round and
    rate are those with the least error on the validation steps, as is the number of lags of linear
    autoregression (1 to 30).

    Args:
        seed: of the series and of the first weights.
        name: of the :func:`series`.
        method: ``"last value"``, ``"last season"``, ``"linear"`` or a kind of net.
        device: where to compute; None chooses.
        rounds: of training.
        hidden: units of a net.

    Returns:
        ``error``, the mean squared error; ``valid``, that on the validation steps.
    """
    y, start = series(name, seed), PARTS[0]
    end = start + PARTS[1]
    if method.startswith("last"):
        lag = 1 if method == "last value" else SEASON
        return {"error": (y[end:] - y[end - lag : -lag]).square().mean().item()}
    if method == "linear":
        left = {p: (autoregression(y, p) - y[p:]).square() for p in range(1, 31)}
        valid = {p: e[start - p : end - p].mean().item() for p, e in left.items()}
        p = min(valid, key=valid.__getitem__)
        return {"error": left[p][end - p :].mean().item(), "valid": valid[p], "lags": float(p)}

    device = pick_device(device)
    mean, sd = y[:start].mean(), y[:start].std()
    z = ((y - mean) / sd).float().to(device)[:, None]  # (n, 1)
    windows = z[:start].unfold(0, 51, 50).transpose(1, 2)  # (B, T + 1, 1)
    valid = z[start - 25 : end].unfold(0, 51, 25).transpose(1, 2)

    def practise(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(20):
            descend(net, optimizer, F.mse_loss(net(windows[:, :-1])[0], windows[:, 1:]))

    def judge(net: nn.Module) -> float:
        with torch.no_grad():  # the first half of a window is there to warm up
            return F.mse_loss(net(valid[:, :-1])[0][:, 25:], valid[:, 26:]).item()

    net, rate, least = fit(
        lambda: Reader(method, (1, hidden, 1), seed).to(device),
        (0.003, 0.01),
        rounds,
        practise,
        judge,
    )
    with torch.no_grad():
        error = F.mse_loss(net(z[None, :-1])[0][0, end - 1 :], z[end:])
    variance = sd.item() ** 2
    return {"error": error.item() * variance, "valid": least * variance, "rate": rate}


# ---- 09.5: names by language
#
# "Recurrent networks tell the language of a name better than n-grams" is refuted if the net that
# is best on the validation names (mean of five seeds) is right less than 2 points more often than
# logistic regression on n-grams (means of five seeds).


def grams(name: str, longest: int) -> Counter:
    """Counts of the pieces of a name of 1 to ``longest`` letters, with marks at both ends.

    Example:
        >>> sorted(grams("ab", 2))
        ['$', '^', '^a', 'a', 'ab', 'b', 'b$']
    """
    marked = f"^{name}$"
    return Counter(
        marked[i : i + n] for n in range(1, longest + 1) for i in range(len(marked) - n + 1)
    )


def names_run(
    seed: int, method: str, device=None, epochs: int = 30, hidden: int = 64
) -> dict[str, float]:
    """Tell the language of a surname, of 12.

    Of 1,147 names 803 train, 115 choose and 229 test. A net reads the letters and answers behind
    the last one; 30 epochs of Adam in batches of 64, two learning rates. Logistic regression
    chooses its penalty, of five, and for n-grams the longest piece, of 2 to 4 letters.

    Args:
        seed: of the split, the first weights and the batches.
        method: ``"letters"`` (counted, in no order), ``"n-grams"`` or a kind of net.
        device: where to compute; None chooses.
        epochs: of a net.
        hidden: its units.

    Returns:
        ``accuracy`` on the test names in percent, and of a net ``valid``, that on the validation
        names, less a hair for its loss.
    """
    d = labelled("surnames")
    order = torch.randperm(len(d.texts), generator=torch.Generator().manual_seed(seed))
    train, valid, test = order.split([803, 115, 229])
    names = [name.lower() for name in d.texts]
    if method in ("letters", "n-grams"):
        longest = [1] if method == "letters" else [2, 3, 4]
        return {"accuracy": logistic(names, d.y, (train, valid, test), longest)}

    device = pick_device(device)
    lengths = torch.tensor([len(name) for name in names], device=device)
    X = torch.zeros(len(names), int(lengths.max()), 26, device=device)
    for k, name in enumerate(names):
        X[k, torch.arange(len(name)), [ord(letter) - ord("a") for letter in name]] = 1.0
    y, batches = d.y.to(device), torch.Generator().manual_seed(seed)

    def answers(net: nn.Module, rows: Tensor) -> Tensor:
        return net(X[rows])[0][torch.arange(len(rows)), lengths[rows] - 1]  # (B, K)

    def practise(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for rows in train[torch.randperm(len(train), generator=batches)].split(64):
            descend(net, optimizer, F.cross_entropy(answers(net, rows), y[rows]))

    def judge(net: nn.Module) -> float:
        with torch.no_grad():
            answer = answers(net, valid)
            loss = F.cross_entropy(answer, y[valid]).item()
            # Where as many are right, the lower loss decides.
            return (answer.argmax(1) != y[valid]).double().mean().item() + 1e-3 * loss

    sizes = (26, hidden, len(d.classes))
    net, rate, least = fit(
        lambda: Reader(method, sizes, seed).to(device), (0.003, 0.01), epochs, practise, judge
    )
    with torch.no_grad():
        right = (answers(net, test).argmax(1) == y[test]).double().mean().item()
    return {"accuracy": 100 * right, "valid": 100 * (1 - least), "rate": rate}


def logistic(names: list[str], y: Tensor, parts: Sequence[Tensor], longest: list[int]) -> float:
    """Logistic regression on counted pieces of names.

    Args:
        names: B of them.
        y: classes (B,).
        parts: rows to train, to choose by, to test.
        longest: pieces of up to so many letters; the best is chosen.

    Returns:
        Accuracy on the test rows in percent.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    train, valid, test = (rows.tolist() for rows in parts)
    best = (-1.0, 0.0)
    for n in longest:
        counts = [grams(name, n) for name in names]
        vectors = DictVectorizer().fit([counts[i] for i in train])
        X, labels = vectors.transform(counts), y.numpy()
        for C in (0.1, 0.3, 1.0, 3.0, 10.0):
            model = LogisticRegression(C=C, max_iter=1000).fit(X[train], labels[train])
            scores = [model.score(X[rows], labels[rows]) for rows in (valid, test)]
            if scores[0] > best[0]:
                best = (scores[0], scores[1])
    return 100 * best[1]


# ---- 09.6 and 09.7: the prose of this book, character by character
#
# 09.6, "recurrent networks predict characters better than n-grams", is refuted if the net with the
# fewest bits on the validation piece saves less than 0.1 bits per character on the test piece
# against the n-gram that is best on the validation piece (mean of five seeds). 09.7, "RNNs keep a
# memory of context": a net's memory is the fewest true characters (of CONTEXTS) from which on its
# bits are within 0.02 of those with 100; refuted if the median of five seeds is less than 10
# characters for the plain RNN, the GRU or the LSTM; if some hold, we say which.

UNITS = {"RNN": 128, "GRU": 84, "LSTM": 74}  # each makes about 58,000 parameters
CHAR_RATES = {"RNN": 0.01, "GRU": 0.01, "LSTM": 0.02}  # best of three in 12 epochs, seed 100
CONTEXTS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100)


def book() -> tuple[list[str], list[str]]:
    """This book's prose in three pieces, from all of its chapters.

    Of every ten stretches of 2,444 characters eight go to the first piece, one to each other.

    Returns:
        The pieces to train, to choose and to test; and all symbols.
    """
    prose = text("book")
    size = len(prose) // 40
    stretches = [prose[i * size : (i + 1) * size] for i in range(40)]
    train = "".join(s for i, s in enumerate(stretches) if i % 10 < 8)
    return [train, "".join(stretches[8::10]), "".join(stretches[9::10])], sorted(set(prose))


def ngram_bits(train: str, prose: str, order: int, symbols: int) -> float:
    """Bits per character of an n-gram model with Witten-Bell smoothing.

    With s the last n - 1 characters, c(s) how often they were seen and d(s) how many different
    characters followed: p(x | s) = (c(sx) + d(s) p(x | s without its first)) / (c(s) + d(s)). The
    shortest guess is 1 / symbols.

    Args:
        train: what is counted.
        prose: what is predicted.
        order: n, >= 1.
        symbols: K.

    Returns:
        The mean of -log2 p.

    Source: Witten & Bell 1991, method C.
    """
    follow: dict[str, Counter] = {}
    for i, x in enumerate(train):
        for k in range(min(order, i + 1)):
            follow.setdefault(train[i - k : i], Counter())[x] += 1
    bits = 0.0
    for i, x in enumerate(prose):
        p = 1 / symbols
        for k in range(min(order, i + 1)):
            seen = follow.get(prose[i - k : i])
            if seen is None:
                break
            p = (seen[x] + len(seen) * p) / (seen.total() + len(seen))
        bits -= math.log2(p)
    return bits / len(prose)


def ngram_run(seed: int, order: int, device=None) -> dict[str, float]:
    """Bits per character of an n-gram model of this book.

    Args:
        seed: not used; counting has no chance in it.
        order: n.
        device: not used.

    Returns:
        ``valid`` and ``test``.
    """
    (train, *others), symbols = book()
    bits = [ngram_bits(train, prose, order, len(symbols)) for prose in others]
    return dict(zip(("valid", "test"), bits, strict=True))


def bits(logits: Tensor, tokens: Tensor) -> float:
    """Mean bits of tokens under logits (..., K)."""
    return F.cross_entropy(logits.flatten(0, -2), tokens.flatten()).item() / math.log(2)


def bits_by_context(model: nn.Module, tokens: Tensor) -> dict[str, float]:
    """Bits per character when the model has read only the last k characters of the true text.

    Args:
        model: a character model.
        tokens: of the text, (n,).

    Returns:
        ``bits_k``: before the k characters it read 50 from elsewhere in the text. ``fresh_k``: it
        read nothing before them. About 1,900 characters are predicted, the same for every k.
    """
    windows = tokens.unfold(0, max(CONTEXTS) + 1, 5)  # (M, 101)
    targets = windows[:, -1]
    elsewhere = windows.roll(len(windows) // 2, 0)[:, :50]
    found = {}
    with torch.no_grad():
        _, warm = model(elsewhere)
        for k in CONTEXTS:
            for name, state in (("bits", warm), ("fresh", None)):
                logits, _ = model(windows[:, -1 - k : -1], state)
                found[f"{name}_{k}"] = bits(logits[:, -1], targets)
    return found


def chars_run(
    seed: int, kind: str, epochs: int, device=None, batch: int = 32, T: int = 50
) -> dict[str, float]:
    """Train a character model on this book; ask how much it uses of what it has read.

    The state is carried from window to window, the gradient is not. The epoch kept is the one with
    the fewest bits on the validation piece.

    Args:
        seed: of the first weights.
        kind: ``"RNN"``, ``"GRU"`` or ``"LSTM"``.
        epochs: of Adam.
        device: where to compute; None chooses.
        batch: pieces that are read side by side.
        T: characters a window.

    Returns:
        ``valid`` and ``test``: bits per character; ``parameters``; and what
        :func:`bits_by_context` returns.
    """
    device, (parts, symbols) = pick_device(device), book()
    train, valid, test = (
        torch.tensor([symbols.index(x) for x in part], device=device) for part in parts
    )
    train, valid = (x[: len(x) // batch * batch].view(batch, -1) for x in (train, valid))

    def make() -> CharModel:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return CharModel(len(symbols), UNITS[kind], recurrent=KINDS[kind], device=device)

    def practise(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        state = None
        for t in range(0, train.shape[1] - T, T):
            logits, state = model(train[:, t : t + T], state)
            loss = F.cross_entropy(logits.flatten(0, 1), train[:, t + 1 : t + T + 1].flatten())
            descend(model, optimizer, loss)
            state = tuple(s.detach() for s in state) if kind == "LSTM" else state.detach()

    def judge(model: nn.Module) -> float:
        with torch.no_grad():
            return bits(model(valid[:, :-1])[0], valid[:, 1:])

    model, _, least = fit(make, [CHAR_RATES[kind]], epochs, practise, judge)
    with torch.no_grad():
        whole = bits(model(test[None, :-1])[0], test[None, 1:])
    size = sum(p.numel() for p in model.parameters())
    return {
        "valid": least,
        "test": whole,
        "parameters": float(size),
        **bits_by_context(model, test),
    }


LENGTHS = (10, 20, 50, 100, 200)
NETS = [("GRU", None), ("RNN", None), ("LSTM", None), ("LSTM", 5.0)]  # kind, first forget bias
STARTS = [*NETS, *(("LSTM", float(b)) for b in range(5))]

# What comes first is short and steady: a test measures it again.
EXPERIMENTS = {
    "reach": Experiment(
        reach_run,
        [
            {"task": task, "length": n, "kind": kind, "forget": forget}
            for task in ("copy", "adding")
            for n in LENGTHS
            for kind, forget in NETS
        ],
        seeds=5,
    ),
    "gradient": Experiment(
        gradient_run,
        [
            {"kind": kind, "forget": forget, "steps": steps}
            for steps, nets in ((0, STARTS), (600, NETS))
            for kind, forget in nets
        ],
        seeds=5,
    ),
    "forecast": Experiment(
        forecast_run,
        [
            {"name": name, "method": method}
            for name in ("seasonal", "threshold", "Mackey-Glass")
            for method in ("linear", "last value", "last season", *KINDS)
        ],
        seeds=5,
    ),
    "names": Experiment(
        names_run, [{"method": m} for m in ("n-grams", "letters", *KINDS)], seeds=5
    ),
    "ngrams": Experiment(ngram_run, [{"order": n} for n in range(1, 9)], seeds=1),
    "chars": Experiment(
        chars_run,
        [{"kind": "LSTM", "epochs": 1}, *({"kind": kind, "epochs": 15} for kind in KINDS)],
        seeds=5,
    ),
}
EXPERIMENTS |= AT_SCALE
