"""The game of a generator against a discriminator: losses, networks, mending, judging samples.

Chapter: book/12_gan. Sources: Goodfellow et al. 2014 (the game); Radford, Metz & Chintala 2016
(DCGAN); Gulrajani et al. 2017 (WGAN-GP); Miyato et al. 2018 (spectral norm); Heusel et al. 2017
and Kynkäänniemi et al. 2019 (how samples are judged). Letters: B batch, L latent numbers, C
channels, H and W height and width, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device import pick_device
from .progress import bar

LOSSES = ("minimax", "non-saturating", "wasserstein")

# ---- the two losses


def discriminator_loss(real: Tensor, fake: Tensor, loss: str = "non-saturating") -> Tensor:
    """What D makes small: ``-mean log σ(real) - mean log(1 - σ(fake))``.

    For ``"wasserstein"``, where D is a critic without a sigmoid: ``mean fake - mean real``.

    Args:
        real: logits of data, shape (B,).
        fake: logits of samples, shape (B,).
        loss: ``"minimax"``, ``"non-saturating"`` (the same for D) or ``"wasserstein"``.

    Returns:
        A number.

    Raises:
        ValueError: for a loss that is none of these.

    Example:
        >>> discriminator_loss(torch.zeros(4), torch.zeros(4))  # it cannot tell: 2 log 2
        tensor(1.3863)

    Source: Goodfellow et al. 2014, equation 1; Arjovsky, Chintala & Bottou 2017, equation 2.
    """
    _check_loss(loss)
    if loss == "wasserstein":
        return fake.mean() - real.mean()
    # -log σ(a) = softplus(-a) and -log(1 - σ(a)) = softplus(a): no overflow
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor, loss: str = "non-saturating") -> Tensor:
    """What G makes small, by how D judges its samples.

    ``"minimax"``: ``mean log(1 - σ(fake))``; ``"non-saturating"``: ``-mean log σ(fake)``;
    ``"wasserstein"``: ``-mean fake``.

    Args:
        fake: logits of samples, shape (B,).
        loss: one of the three.

    Returns:
        A number.

    Raises:
        ValueError: for a loss that is none of these.

    Example:
        >>> caught = torch.full((2,), -9.0, requires_grad=True)  # D is sure: these are fakes
        >>> for loss in ("minimax", "non-saturating"):
        ...     (g,) = torch.autograd.grad(generator_loss(caught, loss), caught)
        ...     print(f"{loss}: {g.sum().item():.4f}")
        minimax: -0.0001
        non-saturating: -0.9999

    Source: Goodfellow et al. 2014, section 3.
    """
    _check_loss(loss)
    if loss == "wasserstein":
        return -fake.mean()
    return -F.softplus(fake).mean() if loss == "minimax" else F.softplus(-fake).mean()


def _check_loss(loss: str) -> None:
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")


def gradient_penalty(
    D: nn.Module, real: Tensor, fake: Tensor, generator=None, y: Tensor | None = None
) -> Tensor:
    """``mean (‖∇D(x̂)‖ - 1)²`` at points x̂ drawn evenly between data and samples.

    Args:
        D: the critic.
        real: data, shape (B, ...).
        fake: samples, the same shape.
        generator: on the CPU; of the places between. None takes torch's own.
        y: classes (B,), for a critic that is told them.

    Returns:
        A number that can be differentiated by D's weights.

    Raises:
        ValueError: when the two shapes differ.

    Source: Gulrajani et al. 2017, equation 3.
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"data and samples must have one shape, got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}; take as many samples as rows of data"
        )
    between = torch.rand(len(real), generator=generator).to(real)
    between = between.view(-1, *[1] * (real.ndim - 1))  # one place a row: (B, 1, ...)
    x = (between * real.detach() + (1 - between) * fake.detach()).requires_grad_()
    score = D(x) if y is None else D(x, y)
    (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)  # like x
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


# ---- two networks for pictures


class Generator(nn.Module):
    """Numbers to pictures: a layer, then two transposed convolutions that double the side.

    Args:
        latent: L, how many numbers a picture is made from.
        side: pixels of a side, a multiple of 4.
        width: channels in front of the last layer; twice as many before.
        channels: C of the pictures.
        classes: K; above 0 each picture is made for a class.
        device: where the parameters live; None chooses.

    Raises:
        ValueError: for a side that is no multiple of 4.

    Example:
        >>> Generator(latent=16, side=8, width=8, device="cpu")(torch.randn(3, 16)).shape
        torch.Size([3, 1, 8, 8])

    Source: Radford, Metz & Chintala 2016; the class as Mirza & Osindero 2014.
    """

    def __init__(
        self, latent=64, side=28, width=32, channels=1, classes: int = 0, device=None
    ) -> None:
        super().__init__()
        small = _quarter(side)
        self.latent, self.classes = latent, classes
        self.net = nn.Sequential(
            nn.Linear(latent + classes, 2 * width * small**2),
            nn.Unflatten(1, (2 * width, small, small)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),  # side / 2
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),  # side
            nn.Tanh(),
        )
        self.apply(_start)
        self.to(pick_device(device))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Make a picture from each row of numbers.

        Args:
            z: normal numbers, shape (B, L).
            y: classes, int64, shape (B,), where the generator was built for classes.

        Returns:
            Pictures from -1 to 1, shape (B, C, side, side).
        """
        if self.classes:
            z = torch.cat([z, F.one_hot(y, self.classes).to(z)], 1)  # (B, L + K)
        return self.net(z)


class Discriminator(nn.Module):
    """Pictures to logits, above 0 for data: two convolutions that halve the side, then a layer.

    Args:
        side: pixels of a side, a multiple of 4.
        width: channels of the first layer; twice as many in the second.
        channels: C of the pictures.
        classes: K; above 0 it is told the class of each picture, as K further channels.
        norm: ``"batch"`` as DCGAN, ``"spectral"``: each layer's weights, as a matrix,
            divided by their largest singular value, or ``"none"``, as the penalty on the
            gradient of each picture asks for.
        device: where the parameters live; None chooses.

    Raises:
        ValueError: for a side that is no multiple of 4, or another norm.

    Example:
        >>> Discriminator(side=8, width=8, device="cpu")(torch.randn(3, 1, 8, 8)).shape
        torch.Size([3])

    Source: Radford, Metz & Chintala 2016; Miyato et al. 2018 for ``"spectral"``.
    """

    def __init__(
        self, side=28, width=32, channels=1, classes: int = 0, norm: str = "batch", device=None
    ) -> None:
        super().__init__()
        small = _quarter(side)
        if norm not in ("batch", "spectral", "none"):
            raise ValueError(f"norm must be batch, spectral or none, got {norm!r}")
        self.classes = classes
        layers = [
            nn.Conv2d(channels + classes, width, 4, stride=2, padding=1),  # side / 2
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # side / 4
            nn.BatchNorm2d(2 * width) if norm == "batch" else nn.Identity(),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * small**2, 1),
        ]
        self.net = nn.Sequential(*layers).apply(_start)
        if norm == "spectral":
            for i in (0, 2, 6):
                self.net[i] = nn.utils.parametrizations.spectral_norm(self.net[i])
        self.to(pick_device(device))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Judge pictures.

        Args:
            x: pictures, shape (B, C, side, side).
            y: classes, int64, shape (B,), where the discriminator was built for classes.

        Returns:
            Logits, shape (B,).
        """
        if self.classes:
            maps = F.one_hot(y, self.classes).to(x)[..., None, None]  # (B, K, 1, 1)
            x = torch.cat([x, maps.expand(-1, -1, *x.shape[2:])], 1)  # (B, C + K, side, side)
        return self.net(x)[:, 0]


def _quarter(side: int) -> int:
    if side < 4 or side % 4:
        raise ValueError(f"side must be a multiple of 4, got {side}; pad the pictures")
    return side // 4


def _start(layer: nn.Module) -> None:
    """Weights as DCGAN starts them: normal, 0.02 wide."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        nn.init.zeros_(layer.bias)


# ---- the game


def play(
    G: nn.Module,
    D: nn.Module,
    X: Tensor,
    *,
    steps: int,
    y: Tensor | None = None,
    loss: str = "non-saturating",
    batch: int = 64,
    lr: float = 2e-4,
    lr_D: float | None = None,
    betas: tuple[float, float] = (0.5, 0.999),
    rounds: int = 1,
    penalty: float = 0.0,
    seed: int = 0,
    watch: Callable[[int], object] | None = None,
    progress: bool | None = None,
) -> dict[str, list[float]]:
    """Let the two networks learn in turns: D tells data from samples, G makes D take them for data.

    Rows, latent numbers and the penalty's places are drawn from ``seed`` alone.

    Args:
        G: latent numbers (B, ``G.latent``) to samples (B, ...); changed in place.
        D: data or samples to logits (B,); changed in place.
        X: data, shape (N, ...), on the device of the networks.
        steps: steps of G.
        y: classes of the data, shape (N,), for networks that take them: ``G(z, y)``, ``D(x, y)``.
        loss: as :func:`generator_loss` takes it.
        batch: B, rows of a step.
        lr: step size of G's Adam, > 0.
        lr_D: that of D's; None takes the same.
        betas: of both Adams.
        rounds: steps of D for each step of G.
        penalty: weight of :func:`gradient_penalty` in D's loss.
        seed: of all that is drawn.
        watch: called after each step of G with the number of steps made.
        progress: a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        ``D`` and ``G``: the loss of each at each step; of D the last of its rounds, with the
        penalty. The networks stay in training mode.

    Raises:
        ValueError: for a loss that is none of the three, or numbers of steps below 1.

    Source: Goodfellow et al. 2014, algorithm 1.
    """
    _check_loss(loss)
    if min(steps, batch, rounds) < 1:
        raise ValueError(
            f"steps, batch and rounds are at least 1, got {steps}, {batch} and {rounds}"
        )
    opt_D = torch.optim.Adam(D.parameters(), lr_D or lr, betas)
    opt_G = torch.optim.Adam(G.parameters(), lr, betas)
    draws = torch.Generator().manual_seed(seed)  # on the CPU: the same numbers on every device
    history: dict[str, list[Tensor]] = {"D": [], "G": []}

    def turn() -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        rows = torch.randint(len(X), (batch,), generator=draws).to(X.device)
        z = torch.randn(batch, G.latent, generator=draws).to(X.device)
        return X[rows], z, () if y is None else (y[rows],)

    G.train(), D.train()
    with bar(progress, total=steps, desc="game") as shown:
        for step in range(steps):
            for _ in range(rounds):
                real, z, label = turn()
                fake = G(z, *label).detach()  # D's step is not to move G
                loss_D = discriminator_loss(D(real, *label), D(fake, *label), loss)
                if penalty:
                    loss_D = loss_D + penalty * gradient_penalty(D, real, fake, draws, *label)
                opt_D.zero_grad()
                loss_D.backward()
                opt_D.step()
            _, z, label = turn()
            loss_G = generator_loss(D(G(z, *label), *label), loss)
            opt_G.zero_grad()
            loss_G.backward()  # D gets a gradient too, and forgets it at its next zero_grad
            opt_G.step()
            history["D"].append(loss_D.detach())
            history["G"].append(loss_G.detach())
            shown.update()
            if watch:
                watch(step + 1)
    return {name: torch.stack(losses).tolist() for name, losses in history.items()}


# ---- how samples are judged


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """``‖μ_a - μ_b‖² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)``: how far two clouds are, taken as normal.

    Args:
        a: features of data, shape (N, D).
        b: features of samples, shape (M, D).

    Returns:
        The distance, 0 for two equal clouds; in squared units of the features.

    Raises:
        ValueError: for other shapes, or fewer than two rows.

    Example:
        >>> x = torch.randn(1000, 3)
        >>> round(frechet_distance(x, x + 2), 3)  # moved by 2 along each of three axes
        12.0

    Source: Heusel et al. 2017, equation 6; Dowson & Landau 1982.
    """
    _check_features(a, b, least=2)
    a, b = a.double(), b.double()
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(0), torch.atleast_2d(x.T.cov())) for x in (a, b))
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T  # Σ_a^½: (D, D)
    # Σ_a Σ_b has the eigenvalues of the symmetric Σ_a^½ Σ_b Σ_a^½
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    apart = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(apart.item(), 0.0)


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Which share of the samples lies among the data, and of the data among the samples.

    A point lies among a set when it is within reach of one of its points; a point of the set
    reaches as far as its k-th nearest neighbour in the set.

    Args:
        real: features of data, shape (N, D).
        fake: features of samples, shape (M, D).
        k: neighbours, at least 1.

    Returns:
        Precision and recall, each from 0 to 1.

    Raises:
        ValueError: for other shapes, or no more than k rows.

    Example:
        >>> x = torch.randn(500, 2)
        >>> precision_recall(x, x[x[:, 0] > 0])[0]  # all good, but half of them is missing
        1.0

    Source: Kynkäänniemi et al. 2019, equations 1 and 2.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    _check_features(real, fake, least=k + 1)
    return _among(fake, real, k), _among(real, fake, k)


def _among(x: Tensor, those: Tensor, k: int) -> float:
    reach = torch.cdist(those, those).kthvalue(k + 1).values  # the nearest is the point itself
    return (torch.cdist(x, those) <= reach).any(1).double().mean().item()  # (M, N) -> share


def _check_features(a: Tensor, b: Tensor, least: int) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < least:
        raise ValueError(
            f"expected two sets of features (N, D) and (M, D) with at least {least} rows each, "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )


# ---- on a line, where everything can be drawn


def optimal_discriminator(p_data: Tensor, p_model: Tensor) -> Tensor:
    """The best that D can do: ``p_data / (p_data + p_model)``, and ½ where neither has any.

    Args:
        p_data: density of the data at some points, any shape.
        p_model: density of the samples at the same points.

    Returns:
        Probabilities of data, in the same shape.

    Example:
        >>> optimal_discriminator(torch.tensor([3.0, 0.2, 0.0]), torch.tensor([1.0, 0.2, 0.5]))
        tensor([0.7500, 0.5000, 0.0000])

    Source: Goodfellow et al. 2014, proposition 1.
    """
    total = p_data + p_model
    return torch.where(total > 0, p_data / total.where(total > 0, 1.0), 0.5)


def js_divergence(p: Tensor, q: Tensor, dx: float = 1.0) -> Tensor:
    """``½ KL(p ‖ m) + ½ KL(q ‖ m)`` with m halfway between p and q: from 0 to log 2.

    Args:
        p: a density at points ``dx`` apart, or probabilities of cases; along the last axis.
        q: another one.
        dx: from a point to the next; 1 for probabilities.

    Returns:
        Nats, without the last axis.

    Example:
        >>> js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        tensor(0.6931)

    Source: Lin 1991.
    """
    middle = (p + q) / 2
    nats = torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)
    return nats.nan_to_num().sum(-1) * dx / 2  # where both are 0 nothing is added


class LineGenerator(nn.Module):
    """``x = mean + sd z``: samples of a normal whose density is known at every step.

    Args:
        mean: where it starts.
        sd: how wide it starts.
    """

    latent = 1

    def __init__(self, mean: float, sd: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(float(mean)))
        self.sd = nn.Parameter(torch.tensor(float(sd)))

    def forward(self, z: Tensor) -> Tensor:
        """Stretch and move: (B, 1) to (B, 1)."""
        return self.mean + self.sd * z

    def density(self, x: Tensor) -> Tensor:
        """Of its samples, at the points x."""
        return torch.distributions.Normal(self.mean, self.sd.abs()).log_prob(x).exp().detach()


def duel_1d(
    X: Tensor, grid: Tensor, at: Sequence[int], *, samples: int = 12, **settings
) -> list[dict[str, Any]]:
    """Play on a line and write down all that can be drawn.

    Args:
        X: data, shape (N, 1).
        grid: points, shape (M,), where densities and D are wanted.
        at: the steps to write down, ascending; 0 is before the first.
        samples: how many samples get an arrow.
        settings: of :func:`play`; ``loss``, ``lr``, ``rounds``, ``seed`` ...

    Returns:
        For each of those steps ``step``, ``mean`` and ``sd`` of the samples; on the grid
        ``p_model`` and ``D``, the probability of data; for some samples their place ``x`` and
        ``arrow``, minus the slope of G's loss there: the way each is pushed.
    """
    seed, loss = settings.get("seed", 0), settings.get("loss", "non-saturating")
    torch.manual_seed(seed)
    G, D = LineGenerator(-2.0, 0.5), PointDiscriminator(features=1, hidden=16, device="cpu")
    z = torch.distributions.Normal(0.0, 1.0).icdf(torch.linspace(0.05, 0.95, samples))[:, None]
    frames = []

    def write(step: int) -> None:
        if step not in at:
            return
        x = G(z).detach().requires_grad_()  # (S, 1)
        each = generator_loss(D(x)[:, None], loss) * samples  # a sum: every sample its own slope
        (slope,) = torch.autograd.grad(each, x)
        with torch.no_grad():
            D_grid = D(grid[:, None]).sigmoid()
        frames.append(
            {"step": step, "mean": G.mean.item(), "sd": G.sd.abs().item()}
            | {"p_model": G.density(grid), "D": D_grid}
            | {"x": x[:, 0].detach(), "arrow": -slope[:, 0]}
        )

    write(0)
    play(G, D, X, steps=max(at), watch=write, progress=False, **settings)
    return frames


# ---- in the plane: rings of normals


class PointGenerator(nn.Module):
    """Numbers to points: two hidden layers of ReLUs.

    Args:
        latent: L, how many numbers a point is made from.
        hidden: units of each hidden layer.
        features: D of the points.
        device: where the parameters live; None chooses.
    """

    def __init__(self, latent: int = 2, hidden: int = 64, features: int = 2, device=None) -> None:
        super().__init__()
        self.latent = latent
        self.net = nn.Sequential(
            *(nn.Linear(latent, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
            nn.Linear(hidden, features),
        ).to(pick_device(device))

    def forward(self, z: Tensor) -> Tensor:
        """Make points: (B, L) to (B, D)."""
        return self.net(z)


class PointDiscriminator(nn.Module):
    """Points to logits: two hidden layers of ReLUs.

    Args:
        features: D of the points.
        hidden: units of each hidden layer.
        batch_features: also let it see how much a batch varies, by :func:`batch_spread`.
        spectral: divide each weight matrix by its largest singular value.
        device: where the parameters live; None chooses.
    """

    def __init__(
        self, features=2, hidden=64, batch_features=False, spectral=False, device=None
    ) -> None:
        super().__init__()
        divided = nn.utils.parametrizations.spectral_norm if spectral else lambda layer: layer
        self.batch_features = batch_features
        self.body = nn.Sequential(
            *(divided(nn.Linear(features, hidden)), nn.ReLU()),
            *(divided(nn.Linear(hidden, hidden)), nn.ReLU()),
        )
        self.last = divided(nn.Linear(hidden + batch_features, 1))
        self.to(pick_device(device))

    def forward(self, x: Tensor) -> Tensor:
        """Judge points: (B, D) to logits (B,)."""
        h = self.body(x)  # (B, hidden)
        return self.last(batch_spread(h) if self.batch_features else h)[:, 0]


def batch_spread(h: Tensor) -> Tensor:
    """Append to each row the standard deviation over the batch, averaged over the features.

    Args:
        h: shape (B, D).

    Returns:
        Shape (B, D + 1); the last column holds one number, small for a batch of equal rows.

    Example:
        >>> batch_spread(torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
        tensor([[1.0000, 0.0000, 1.5000],
                [3.0000, 4.0000, 1.5000]])

    Source: Karras et al. 2018, section 3; a simpler form of Salimans et al. 2016, section 3.2.
    """
    # the slope of a root at 0 is infinite: a batch of equal rows would give nan
    spread = (h.var(0, correction=0) + 1e-8).sqrt().mean()
    return torch.cat([h, spread.expand(len(h), 1)], 1)


def ring_centres(modes: int = 8, radius: float = 2.0) -> Tensor:
    """Points at equal distances on a circle, shape (modes, 2)."""
    angle = torch.arange(modes) * (2 * torch.pi / modes)
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def ring(n: int, modes: int = 8, radius: float = 2.0, sd: float = 0.05, generator=None) -> Tensor:
    """Draw from a ring of round normals, each as likely as the others.

    Args:
        n: how many points.
        modes: how many normals.
        radius: of the ring.
        sd: of each normal along each axis.
        generator: on the CPU; None takes torch's own.

    Returns:
        Points, shape (n, 2).

    Source: Metz et al. 2017, section 3.1.
    """
    mode = torch.randint(modes, (n,), generator=generator)
    return ring_centres(modes, radius)[mode] + sd * torch.randn(n, 2, generator=generator)


def modes_covered(
    x: Tensor, centres: Tensor, sd: float, reach: float = 3.0, least: float = 0.1
) -> tuple[int, float]:
    """Count the modes that samples reach, and the share of samples that are good.

    Args:
        x: samples, shape (N, D).
        centres: of the modes, shape (K, D).
        sd: of each mode.
        reach: a sample is good within so many sd of a centre.
        least: a mode is covered when its good samples are that part of a fair share N / K.

    Returns:
        Modes covered, and the share of good samples.
    """
    distance, mode = torch.cdist(x, centres).min(1)  # (N,)
    good = distance <= reach * sd
    held = mode[good].bincount(minlength=len(centres))
    return int((held >= least * len(x) / len(centres)).sum()), good.double().mean().item()


# ---- how steep a discriminator may be, and a walk among latent numbers


def spectral_norm(W: Tensor, v: Tensor, rounds: int = 1) -> tuple[Tensor, Tensor]:
    """The largest singular value of W by power iteration: σ ≈ uᵀ W v.

    Args:
        W: a matrix, shape (H, D); the slope of σ goes back to it, as u vᵀ.
        v: where to start, shape (D,); give back the one that came to go on.
        rounds: of ``u = W v``, ``v = Wᵀ u``, each made of length 1; at least 1.

    Returns:
        σ, and v for the next time.

    Raises:
        ValueError: when the shapes do not fit, or for no round.

    Example:
        >>> sigma, _ = spectral_norm(torch.diag(torch.tensor([3.0, 1.0])), torch.ones(2), 20)
        >>> round(sigma.item(), 4)
        3.0

    Source: Miyato et al. 2018, algorithm 1.
    """
    if W.ndim != 2 or v.shape != W.shape[1:] or rounds < 1:
        raise ValueError(
            f"expected W (H, D), v (D,) and at least 1 round, got {tuple(W.shape)}, "
            f"{tuple(v.shape)} and {rounds}"
        )
    with torch.no_grad():  # the directions are held fixed
        for _ in range(rounds):
            u = F.normalize(W @ v, dim=0)
            v = F.normalize(W.T @ u, dim=0)
    return u @ W @ v, v


def interpolate(a: Tensor, b: Tensor, t: float) -> Tensor:
    """``cos(tπ/2) a + sin(tπ/2) b``: for normal a and b normal on all the way, of variance 1.

    Args:
        a: latent numbers where t = 0, any shape.
        b: those where t = 1.
        t: the place on the way.

    Returns:
        Latent numbers, of the same shape.
    """
    angle = torch.tensor(t * torch.pi / 2)
    return angle.cos() * a + angle.sin() * b
