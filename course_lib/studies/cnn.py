"""What chapter 07_cnn measures over many seeds, on pictures of 8 x 8 pixels.

A CNN against MLPs and hand-made features by the number of training pictures; moved digits; what
each layer knows before and after training; depth with and without shortcuts. Thresholds of the
claims are those of the chapter's boxes; they were set before the first run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..cnn import ResNet, shift, vgg
from ..data import load
from ..device import pick_device
from ..training import accuracy, evaluate, fit
from ..training.inputs import predict
from . import _fashion_resnet, _fashion_tricks
from .runner import Experiment

CHAPTER = "07_cnn"
LOSS = nn.CrossEntropyLoss()
BATCH = 50
Pictures = tuple[Tensor, Tensor]  # (B, 1, H, W) from 0 to 1, and classes (B,)


def split_digits(seed: int, n: int, size: int = 8, device=None) -> dict[str, Pictures]:
    """The digits in three parts: n to train, 200 to choose, 597 to judge, the same for every n.

    Args:
        seed: of the split; fewer training rows are the first of more.
        n: training rows, at most 1000.
        size: height and width of the black frame in whose middle the digit stands, in pixels.
        device: where the tensors live; None chooses.

    Returns:
        ``train``, ``valid`` and ``test``: pictures (B, 1, size, size) from 0 to 1, and classes.
    """
    d = load("digits", device="cpu")
    X, y = torch.cat([d.X_train, d.X_test]) / 16, torch.cat([d.y_train, d.y_test])
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    X, y = X[order].view(-1, 1, 8, 8), y[order]
    X = F.pad(X, [(size - 8) // 2] * 4)
    device = pick_device(device)
    parts = {"test": slice(597), "valid": slice(597, 797), "train": slice(797, 797 + n)}
    return {name: (X[rows].to(device), y[rows].to(device)) for name, rows in parts.items()}


def fall(progress: float) -> float:
    """The factor on the step size: from 1 along a straight line to 0."""
    return 1 - progress


def train(
    net: nn.Module, data: Pictures, lr: float, steps: int, seed: int, augment=None, device=None
) -> None:
    """Steps of AdamW on batches of 50 pictures, the step size falling to 0.

    Args:
        net: the network, trained in place.
        data: pictures and classes.
        lr: the first step size.
        steps: how many, rounded up to whole passes over the data.
        seed: of the order of the pictures, and of ``augment``.
        augment: changes the pictures of a batch.
        device: where to compute; None chooses.
    """
    torch.manual_seed(seed)
    epochs = math.ceil(steps / math.ceil(len(data[0]) / BATCH))
    options = {"batch_size": BATCH, "schedule": fall, "augment": augment, "progress": False}
    fit(net, LOSS, data, epochs=epochs, lr=lr, seed=seed, device=device, **options)


def right(net: nn.Module, data: Pictures) -> float:
    """Pictures that a network classifies rightly, in percent."""
    return 100 * evaluate(net, LOSS, data, {"right": accuracy})["right"]


def first_weights(make: Callable[[], nn.Module], seed: int, device=None) -> nn.Module:
    """A new network on its device, its first weights drawn from the seed."""
    torch.manual_seed(seed)
    return make().to(pick_device(device))


def best_network(
    tries: Sequence[tuple[Callable[[], nn.Module], float]],
    data: dict[str, Pictures],
    steps: int,
    seed: int,
    augment=None,
    device=None,
) -> tuple[nn.Module, float]:
    """Train some networks; keep the one with the fewest errors on the validation pictures.

    Args:
        tries: what builds a network, and its first step size.
        data: parts of :func:`split_digits`.
        steps: of AdamW, for each.
        seed: of the first weights, which all tries of one kind share, and of the order.
        augment: changes the pictures of a batch.
        device: where to compute; None chooses.

    Returns:
        The network and its step size.
    """
    found = []
    for make, lr in tries:
        net = first_weights(make, seed, device)
        train(net, data["train"], lr, steps, seed, augment, device)
        loss = evaluate(net, LOSS, data["valid"])["loss"]
        found.append((right(net, data["valid"]) - 1e-3 * loss, lr, net))  # a tie: the lower loss
    _, lr, net = max(found, key=lambda row: row[0])
    return net, lr


# ---- 07.1 to 07.3: a CNN and its rivals, by training pictures. Refuted if, at any number of them,
# the CNN cuts the mean test error by less than 10 %: of the MLP with as many weights (07.1), of the
# MLP with as many multiplications (07.2), of any of the three classifiers on HOG or pixels (07.3).
# Asked of centred and of scattered digits; a claim that survives one alone holds only there.


RATES = (3e-3, 1e-2, 3e-2)


def cnn() -> nn.Sequential:
    """The VGG-style network with 8 and 16 channels: 4,370 weights, whatever the picture's size."""
    return vgg((8, 16), device="cpu")


def mlp(pixels: int, hidden: int, normed: bool) -> nn.Sequential:
    """One hidden layer, with or without batch norm."""
    norm = [nn.BatchNorm1d(hidden)] if normed else []
    layers = [nn.Flatten(), nn.Linear(pixels, hidden), *norm, nn.ReLU(), nn.Linear(hidden, 10)]
    return nn.Sequential(*layers)


HIDDEN = {  # units by pixels: (D + 11) H + 10 weights, (D + 10) H multiplications, like the CNN's
    "MLP, equal weights": {64: 58, 256: 16},
    "MLP, equal compute": {64: 1310, 256: 1456},
}


def tries_of(rival: str, pixels: int) -> list[tuple[Callable[[], nn.Module], float]]:
    """What is tried: a CNN at three step sizes, an MLP at three with batch norm and three without.

    Args:
        rival: ``"CNN"``, ``"CNN, flattened"`` or a key of HIDDEN.
        pixels: of a picture.

    Returns:
        Builders of networks, each with a step size.
    """
    if rival in HIDDEN:
        makes = [partial(mlp, pixels, HIDDEN[rival][pixels], normed) for normed in (False, True)]
    else:
        makes = [{"CNN": cnn, "CNN, flattened": flat_cnn}[rival]]
    return [(make, lr) for make in makes for lr in RATES]


def hog(X: Tensor, bins: int = 9) -> Tensor:
    """Histograms of oriented gradients, made by hand: how much edge of which direction is where.

    The gradient of each pixel votes with its length for its direction, a half circle cut into
    bins; between two bins the vote is shared. Votes are added up in 7 x 7 square cells, a quarter
    of the picture wide, each half over the next. Each histogram is divided by the length of those
    around it, 3 x 3 cells, so that contrast does not count.

    Args:
        X: pictures (B, 1, H, W), H = W a multiple of 8.
        bins: directions; bin 0 is a gradient to the left or right, that is an upright edge.

    Returns:
        Features (B, bins * 49).

    Source: after Dalal & Triggs 2005.
    """
    edge = F.pad(X, [1] * 4, mode="replicate")
    dx = (edge[..., 1:-1, 2:] - edge[..., 1:-1, :-2]) / 2  # (B, 1, H, W)
    dy = (edge[..., 2:, 1:-1] - edge[..., :-2, 1:-1]) / 2
    length, place = torch.hypot(dx, dy), torch.atan2(dy, dx) / math.pi * bins
    away = (place - torch.arange(bins, device=X.device).view(-1, 1, 1)).remainder(bins)
    share = (1 - torch.minimum(away, bins - away)).clamp(min=0)  # (B, bins, H, W)
    cell = X.shape[-1] // 4
    votes = F.avg_pool2d(length * share, cell, cell // 2) * cell**2  # (B, bins, 7, 7)
    energy = F.pad(votes.square().sum(1, keepdim=True), [1] * 4)
    around = 9 * F.avg_pool2d(energy, 3, stride=1)
    return (votes / (around + 0.01).sqrt()).flatten(1)


PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)  # C of logistic regression: six tries
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # gamma of the SVM, times 1 / (D * variance): six too


def multiplications(net: nn.Module, X: Tensor) -> int:
    """Multiplications of convolutions and linear layers for one picture.

    Args:
        net: a network.
        X: pictures; the first is shown to it.

    Returns:
        How many.
    """
    counts: list[int] = []

    def note(layer: nn.Module, _, out: Tensor) -> None:
        counts.append(out.numel() // len(layer.weight) * layer.weight.numel())

    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    predict(net, X[:1])
    for hook in hooks:
        hook.remove()
    return sum(counts)


def classical(features: dict[str, tuple], kernel: str) -> tuple:
    """Six tries of a classifier of scikit-learn; the best on the validation rows is kept.

    Args:
        features: arrays X (B, D) and y (B,) by part.
        kernel: ``"linear"`` is logistic regression, ``"RBF"`` an SVM with C = 10.

    Returns:
        The fitted classifier and what was tried in it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    X, y = features["train"]
    scale = 1 / (X.shape[1] * X.var())
    tries = {
        "linear": [(c, LogisticRegression(C=c, max_iter=2000)) for c in PENALTIES],
        "RBF": [(w, SVC(C=10, gamma=w * scale)) for w in WIDTHS],
    }[kernel]
    fitted = [(model.fit(X, y).score(*features["valid"]), -i) for i, (_, model) in enumerate(tries)]
    value, model = tries[-max(fitted)[1]]
    return model, value


def numbers_of(model) -> tuple[int, int]:
    """Numbers stored in a classifier of scikit-learn, and its multiplications for one picture."""
    if hasattr(model, "support_vectors_"):
        vectors = model.support_vectors_.size + model.dual_coef_.size
        return vectors + model.intercept_.size, vectors
    return model.coef_.size + model.intercept_.size, model.coef_.size


def arrays(data: Pictures, kind: str) -> tuple:
    """Features (B, D) and classes (B,) for scikit-learn; ``kind`` is ``"HOG"`` or ``"pixels"``."""
    X, y = data
    features = hog(X) if kind == "HOG" else X.flatten(1)
    return features.double().cpu().numpy(), y.cpu().numpy()


def rivals_run(
    seed: int, rival: str, scattered: bool, n: int, device=None, steps: int = 300
) -> dict[str, float]:
    """Train one rival on n pictures; the best of its tries by 200 validation pictures is judged.

    Args:
        seed: of the split, the places, the first weights and the order.
        rival: ``"CNN"`` or a key of HIDDEN; or features and classifier: ``"HOG, RBF"``.
        scattered: the digits stand anywhere in a frame of 16 x 16 pixels, in all three parts, each
            picture at one place; otherwise they are the 8 x 8 pixels as they come, centred.
        n: training pictures.
        device: where to compute; None chooses.
        steps: of AdamW.

    Returns:
        ``right``, the percentage of test pictures classified rightly; ``tried``, the value
        chosen; ``weights``, numbers stored; ``multiplications`` a picture (those of HOG itself,
        six a pixel and two a feature, included).
    """
    data = split_digits(seed, n, 16 if scattered else 8, device)
    if scattered:
        g = torch.Generator().manual_seed(seed)
        data = {part: (scatter(X, g), y) for part, (X, y) in data.items()}
    X_test = data["test"][0]
    pixels = X_test[0].numel()
    if rival == "CNN" or rival in HIDDEN:
        net, value = best_network(tries_of(rival, pixels), data, steps, seed, device=device)
        weights, times = sum(p.numel() for p in net.parameters()), multiplications(net, X_test)
        score = right(net, data["test"])
    else:
        kind, kernel = rival.split(", ")
        features = {part: arrays(pair, kind) for part, pair in data.items()}
        model, value = classical(features, kernel)
        weights, times = numbers_of(model)
        times += 6 * pixels + 2 * 441 if kind == "HOG" else 0
        score = 100 * model.score(*features["test"])
    return {"right": score, "tried": value, "weights": weights, "multiplications": times}


# ---- 07.4: moved digits, in a frame of 16 x 16 pixels. Refuted if a move by 1 to 4 pixels more
# than doubles the mean test error of the averaging CNN at some distance. Asked of training on
# centred and on scattered digits; if it survives one alone it holds only there.


def scatter(X: Tensor, g: torch.Generator | None = None, far: int = 4) -> Tensor:
    """Each picture moved by its own number of pixels, from -far to far each way.

    Args:
        X: pictures (B, 1, H, W).
        g: draws the moves; None is torch's global generator.
        far: the largest move, in pixels.

    Returns:
        Pictures (B, 1, H, W).
    """
    return place(X, *torch.randint(-far, far + 1, (2, len(X)), generator=g))


def place(X: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Picture b moved by dx[b] pixels to the right and dy[b] down; black comes in.

    Args:
        X: pictures (B, 1, H, W).
        dx: whole numbers (B,).
        dy: whole numbers (B,).

    Returns:
        Pictures (B, 1, H, W).
    """
    B, _, H, W = X.shape
    far = int(torch.stack([dx, dy]).abs().max())
    wide = F.pad(X[:, 0], [far] * 4)
    rows = torch.arange(H) + far - dy[:, None]  # (B, H)
    columns = torch.arange(W) + far - dx[:, None]  # (B, W)
    b = torch.arange(B)[:, None, None].to(X.device)
    return wide[b, rows[:, :, None].to(X.device), columns[:, None].to(X.device)][:, None]


def flat_cnn() -> nn.Sequential:
    """A CNN with a weight for each place of its last maps, 16 x 16 pixels: 3,866 weights."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 10)),
    )


MOVES = (0, 1, 2, 3, 4)


def moved_run(
    seed: int, rival: str, augmented: bool, device=None, n: int = 500, steps: int = 300
) -> dict[str, float]:
    """Train on digits in the middle of a frame, or on scattered ones; test on moved ones.

    Args:
        seed: of the split, the first weights, the order and the scattering.
        rival: see :func:`tries_of`, or ``"SVM"``, on pixels.
        augmented: scatter the training pictures, anew in each batch (four copies each for the
            SVM), and the validation pictures, by up to 4 pixels each way.
        device: where to compute; None chooses.
        n: training pictures.
        steps: of AdamW.

    Returns:
        ``right_d`` for d from 0 to 4 pixels: percentage of test pictures that are classified
        rightly, mean over the moves up, down, left and right.
    """
    data, g = split_digits(seed, n, 16, device), torch.Generator().manual_seed(seed)
    if augmented:
        X, y = data["valid"]
        data["valid"] = scatter(X, g), y
    if rival == "SVM":
        X, y = data["train"]
        if augmented:
            data["train"] = torch.cat([scatter(X, g) for _ in range(4)]), y.repeat(4)
        model, _ = classical({part: arrays(pair, "pixels") for part, pair in data.items()}, "RBF")
        score = lambda pair: 100 * model.score(*arrays(pair, "pixels"))
    else:
        augment = scatter if augmented else None
        net, _ = best_network(tries_of(rival, 256), data, steps, seed, augment, device)
        score = partial(right, net)
    X, y = data["test"]
    measured = {}
    for d in MOVES:
        scores = [score((shift(X, *way), y)) for way in ((d, 0), (-d, 0), (0, d), (0, -d))]
        measured[f"right_{d}"] = sum(scores) / 4
    return measured


# ---- The obvious step by hand on scattered digits, beside 07.3, whose verdict it does not enter.


def centre(X: Tensor) -> Tensor:
    """Each picture moved, by whole pixels, so that its centre of mass comes to the middle.

    Args:
        X: pictures (B, 1, H, W), nowhere negative, none all black.

    Returns:
        Pictures (B, 1, H, W).
    """
    H, W = X.shape[-2:]
    mass = X.sum((1, 2, 3))
    x = (X.sum((1, 2)) @ torch.arange(W, device=X.device).float()) / mass  # (B,)
    y = (X.sum((1, 3)) @ torch.arange(H, device=X.device).float()) / mass
    return place(X, *(((n - 1) / 2 - at).round().long().cpu() for n, at in ((W, x), (H, y))))


def centred_run(seed: int, n: int, device=None) -> dict[str, float]:
    """The scattered digits of :func:`rivals_run`, each centred first, then an SVM on the pixels.

    Args:
        seed: of the split and the places.
        n: training pictures.
        device: where the pictures live; None chooses.

    Returns:
        As :func:`rivals_run`; centring takes two multiplications a pixel.
    """
    data, g = split_digits(seed, n, 16, device), torch.Generator().manual_seed(seed)
    data = {part: (centre(scatter(X, g)), y) for part, (X, y) in data.items()}
    features = {part: arrays(pair, "pixels") for part, pair in data.items()}
    model, value = classical(features, "RBF")
    weights, times = numbers_of(model)
    score = 100 * model.score(*features["test"])
    times += 2 * data["test"][0][0].numel()
    return {"right": score, "tried": value, "weights": weights, "multiplications": times}


# ---- 07.5 to 07.7: what each layer knows, against the same network untrained. A filter is oriented
# if one_way is at least 0.5. Refuted if training raises the share of oriented first filters by less
# than 20 points (07.5); if the class probe errs in layer 4 more than half as often as in layer 1 or
# in the best layer of the untrained network (07.6); if from layer 1 to 4 the edge probe loses less
# than 5 points more than it does in the untrained network (07.7).


def four_layers() -> nn.Sequential:
    """Four convolutions of 16 channels on 16 x 16 pixels, then the mean over all places."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU()),  # (B, 16, 16, 16)
        *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),  # (B, 16, 4, 4)
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    )


AFTER = (3, 6, 10, 14)  # parts of four_layers() up to and with each layer's ReLU


def one_way(W: Tensor) -> Tensor:
    """How far a filter is an edge or a bar: the share of its variance along one direction.

    For each of 24 directions the filter is fitted by a cubic in the distance along it, the same
    all across; the best fit counts.

    Args:
        W: filters (C, k, k).

    Returns:
        Shares from 0 to 1, shape (C,).
    """
    k = W.shape[-1]
    w = (W - W.mean((1, 2), keepdim=True)).flatten(1).double().cpu()  # (C, k²)
    at = torch.linspace(-1, 1, k, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    shares = []
    for angle in torch.arange(24) * math.pi / 24:
        u = (x * angle.cos() + y * angle.sin()).flatten()
        basis = torch.stack([u**power for power in range(4)], 1)  # (k², 4)
        Q, _ = torch.linalg.qr(basis)
        shares.append((w @ Q).square().sum(1) / w.square().sum(1))
    return torch.stack(shares).amax(0)


def edges(n: int, g: torch.Generator, size: int = 16, ways: int = 8) -> Pictures:
    """Pictures of one straight edge each, dark to light, somewhere, with noise.

    Args:
        n: pictures.
        g: draws direction, place, contrast and noise.
        size: height and width, in pixels.
        ways: directions, a half circle cut into equal parts.

    Returns:
        Pictures (n, 1, size, size) and the number of the direction (n,).
    """
    way = torch.randint(ways, (n,), generator=g)
    angle = way * math.pi / ways
    middle = torch.rand(n, 2, generator=g) * size / 2 + size / 4 - 0.5  # a point on the edge
    light = torch.where(torch.rand(n, generator=g) < 0.5, 1.0, -1.0)
    at = torch.arange(size).float()
    y, x = at.view(1, -1, 1) - middle[:, 1, None, None], at - middle[:, 0, None, None]
    along = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]  # (n, size, size)
    step = torch.sigmoid(4 * light[:, None, None] * along)
    return (step + 0.3 * torch.randn(step.shape, generator=g))[:, None], way


def probe(features: dict[str, Tensor], labels: dict[str, Tensor]) -> float:
    """What a linear classifier reads off: ridge regression of the classes, tuned on ``valid``.

    Args:
        features: (B, D) by part: train, valid, test.
        labels: classes (B,) by part.

    Returns:
        Test pictures classified rightly, in percent.
    """
    X = features["train"].double()
    middle, scale = X.mean(0), X.std(0) + 1e-6
    parts = {k: (v.double() - middle) / scale for k, v in features.items()}
    X, Y = parts["train"], F.one_hot(labels["train"]).double()
    gram, target = X.T @ X / len(X), X.T @ (Y - Y.mean(0)) / len(X)
    eye = torch.eye(len(gram), dtype=X.dtype, device=X.device)

    def score(W: Tensor, part: str) -> float:
        guess = (parts[part] @ W + Y.mean(0)).argmax(1)
        return 100 * (guess == labels[part]).double().mean().item()

    tries = [torch.linalg.solve(gram + l2 * eye, target) for l2 in (0.001, 0.01, 0.1, 1.0)]
    return score(max(tries, key=lambda W: score(W, "valid")), "test")


@torch.no_grad()
def layers_of(net: nn.Sequential, X: Tensor) -> list[Tensor]:
    """256 numbers a layer: all pixels, then 16 channels of each layer, averaged to 4 x 4 places."""
    seen = [X.flatten(1)]
    for end in AFTER:
        seen.append(F.adaptive_avg_pool2d(net.eval()[:end](X), 4).flatten(1))
    return seen


def layers_run(
    seed: int, trained: str, device=None, n: int = 1000, steps: int = 400, lr: float = 0.01
) -> dict[str, float]:
    """Probe each layer of a network, trained on scattered digits or not, for three things.

    Args:
        seed: of the split, the first weights, the order, the places and the edges.
        trained: ``"nothing"``, ``"everything"``, or ``"all but layer 1"``.
        device: where to compute; None chooses.
        n: training pictures, of the network and of the probes.
        steps: of AdamW.
        lr: its first step size.

    Returns:
        ``right``: test pictures that the network classifies rightly, in percent. For layers k
        from 0 (the pixels) to 4, what a linear probe gets right of scattered digits,
        ``class_k`` and ``place_k`` (how far down, nine values), and of edges, ``edge_k`` (eight
        directions). ``one_way_c``: of each first filter c, see :func:`one_way`.
    """
    data, g = split_digits(seed, n, 16, device), torch.Generator().manual_seed(seed)
    net = first_weights(four_layers, seed, device)
    if trained != "nothing":
        net[0].requires_grad_(trained == "everything")
        train(net, data["train"], lr, steps, seed, scatter, device)
    pictures, labels = {}, {"class": {}, "place": {}, "edge": {}}
    for part, (X, y) in data.items():
        dx, dy = torch.randint(-4, 5, (2, len(X)), generator=g)
        edge, way = edges(len(X), g)
        pictures[part] = place(X, dx, dy), edge.to(X.device)
        for name, label in (("class", y), ("place", dy + 4), ("edge", way)):
            labels[name][part] = label.to(X.device)
    measured = {"right": right(net, (pictures["test"][0], data["test"][1]))}
    seen = {part: [layers_of(net, X) for X in both] for part, both in pictures.items()}
    for name, label in labels.items():
        which = int(name == "edge")
        for k in range(len(AFTER) + 1):
            features = {part: both[which][k] for part, both in seen.items()}
            measured[f"{name}_{k}"] = probe(features, label)
    shares = one_way(net[0].weight.detach()[:, 0])
    return measured | {f"one_way_{c}": share.item() for c, share in enumerate(shares)}


# ---- 07.8 to 07.10: depth with and without shortcuts, medians of the seeds. Refuted if the plain
# network of 34 layers has less than 2 times the training loss of the best shallower plain one
# (07.8); less than 2 times that of the residual one of 34 layers (07.9); if 34 layers with
# shortcuts cut the mean test error of 4 layers with shortcuts by less than 10 % (07.10).


def depth_run(
    seed: int, blocks: int, shortcut: bool, device=None, n: int = 1000, steps: int = 150
) -> dict[str, float]:
    """A narrow ResNet of one stage, or the same without shortcuts, both with batch norm.

    Args:
        seed: of the split, the first weights and the order.
        blocks: of two convolutions, 8 channels, 4 x 4 pixels.
        shortcut: whether each block has a way around it.
        device: where to compute; None chooses.
        n: training pictures.
        steps: of AdamW, for each of three step sizes.

    Returns:
        ``train_loss`` in nats at the end, ``right`` in percent of the test pictures, ``lr``.
    """
    data = split_digits(seed, n, device=device)
    make = partial(ResNet, (8,), blocks, stem=2, shortcut=shortcut, device="cpu")
    tries = [(make, lr) for lr in (1e-2, 3e-2, 1e-1)]
    net, lr = best_network(tries, data, steps, seed, device=device)
    loss = evaluate(net, LOSS, data["train"])["loss"]
    return {"train_loss": loss, "right": right(net, data["test"]), "lr": lr}


SIZES = {False: (20, 50, 100, 200, 500, 1000), True: (100, 1000)}  # by scattered
BY_HAND = ("HOG, linear", "HOG, RBF", "pixels, RBF")
BLOCKS = (1, 2, 4, 8, 16)
# The first setting of each is short and steady: a test measures it again.
EXPERIMENTS = {
    "rivals": Experiment(
        rivals_run,
        [
            {"rival": rival, "scattered": scattered, "n": n}
            for scattered, sizes in SIZES.items()
            for rival in (*BY_HAND, "CNN", *HIDDEN)
            for n in sizes
        ],
        seeds=5,
    ),
    "centred": Experiment(centred_run, [{"n": n} for n in SIZES[True]], seeds=5),
    "moved": Experiment(
        moved_run,
        [
            {"rival": rival, "augmented": augmented}
            for augmented in (False, True)
            for rival in ("SVM", "MLP, equal weights", "CNN, flattened", "CNN")
        ],
        seeds=5,
    ),
    "layers": Experiment(
        layers_run, [{"trained": t} for t in ("nothing", "everything", "all but layer 1")]
    ),
    "depth": Experiment(
        depth_run,
        [{"blocks": k, "shortcut": s} for k in BLOCKS for s in (True, False)],
        seeds=5,
        chaotic=True,
    ),
}
EXPERIMENTS |= _fashion_resnet.AT_SCALE | _fashion_tricks.AT_SCALE
