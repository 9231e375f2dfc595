"""The exercises of chapter 12_gan: how they are judged, and what goes wrong.

The statements and the solutions stand in solutions/12_gan.md. Letters: B batch, N real samples,
M made samples, D features (in signatures: the discriminator).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .draws import normal, uniform
from .exercise import Exercise, Mistake, Test, checker, part, parts
from .probes import program


def _number(g: Generator, low: float, high: float) -> float:
    """A number of two decimals."""
    return round(uniform(g, low, high).item(), 2)


def _signed(g: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers of two decimals whose size lies between the two, and either sign."""
    sign = 2 * torch.randint(0, 2, shape, generator=g) - 1
    return uniform(g, low, high, *shape) * sign


def _written(values: Tensor) -> str:
    """The text that makes a tensor, for a program."""

    def rounded(value: Any) -> Any:
        return [rounded(v) for v in value] if isinstance(value, list) else round(value, 2)

    return f"torch.tensor({rounded(values.tolist())})"


def _row(i: int, *names: str) -> Callable[[tuple, Any], Any]:
    """Observe one of several values, a tensor or a list of numbers."""

    def observe(args: tuple, value: Any) -> Any:
        given = parts(value, *names)[i]
        return torch.as_tensor(given) if isinstance(given, tuple) else given

    return observe


# 12.1 discriminator_loss


def _two_batches(g: Generator) -> list[tuple]:
    """The second has as many real ones as made ones, so that no shape tells a missing mean."""
    return [(_signed(g, 0.3, 2.5, n), _signed(g, 0.3, 2.5, m)) for n, m in ((2, 3), (3, 3))]


def _sure(g: Generator) -> list[tuple]:
    """Far to either side, so far that a probability is 0 or 1 in float32."""
    sides = torch.tensor([-1.0, 1.0])
    return [(uniform(g, 120, 200, 2) * sides, uniform(g, 120, 200, 2) * sides)]


def _slopes_of_both(g: Generator) -> list[tuple]:
    real, fake = (_written(_signed(g, 0.3, 2.5, n)) for n in (2, 3))
    lines = (
        f"import torch; real = {real}.requires_grad_(); fake = {fake}.requires_grad_(); "
        "discriminator_loss(real, fake).backward()"
    )
    return [("discriminator_loss", lines, "real.grad, fake.grad")]


def _call_real(s: Tensor) -> Tensor:
    """-log D: what a logit costs that should be high."""
    return F.softplus(-s)


def _call_fake(s: Tensor) -> Tensor:
    """-log(1 - D): what a logit costs that should be low."""
    return F.softplus(s)


def _judged(
    real: Callable[[Tensor], Tensor] = _call_real,
    fake: Callable[[Tensor], Tensor] = _call_fake,
    total: Callable[[Tensor, Tensor], Tensor] = lambda real, fake: real.mean() + fake.mean(),
) -> Callable:
    return lambda real_logits, fake_logits: total(real(real_logits), fake(fake_logits))


def _zeros(s: Tensor) -> Tensor:
    return 0 * s


DISCRIMINATOR_LOSS = Exercise(
    number="12.1",
    title="What the judge pays",
    name="discriminator_loss",
    difficulty=1,
    minutes=10,
    reference=lambda real_logits, fake_logits: _judged()(real_logits, fake_logits),
    tests=[
        Test("adds up what both batches cost", _two_batches, 2),
        Test("stays right where the judge is sure", _sure, 1),
        Test("sends slopes back to both", _slopes_of_both, 1, probe=program),
    ],
    mistakes=[
        Mistake(
            "swaps the labels",
            _judged(_call_fake, _call_real),
            "you swapped the labels: real samples are to get high logits, made ones low; a real "
            "logit s costs -log σ(s)",
        ),
        Mistake(
            "takes the sigmoid twice",
            _judged(lambda s: _call_real(s.sigmoid()), lambda s: _call_fake(s.sigmoid())),
            "you took the sigmoid twice: the function that you call applies it to logits itself, "
            "so hand it the logits as they came",
        ),
        Mistake(
            "counts the made samples only",
            _judged(_zeros),
            "you counted the made samples only; a judge who calls everything fake would be "
            "perfect, so add the mean over the real ones",
        ),
        Mistake(
            "counts the real samples only",
            _judged(fake=_zeros),
            "you counted the real samples only; a judge who calls everything real would be "
            "perfect, so add the mean over the made ones",
        ),
        Mistake(
            "calls everything real",
            _judged(fake=_call_real),
            "you gave label 1 to both batches; that is the generator's wish for the made ones, and "
            "the judge wants their logits low: -log(1 - σ(s))",
        ),
        Mistake(
            "calls everything fake",
            _judged(real=_call_fake),
            "you gave label 0 to both batches; the real ones are to be called real: -log σ(s)",
        ),
        Mistake(
            "takes the logarithm of a probability",
            _judged(lambda s: -s.sigmoid().log(), lambda s: -(1 - s.sigmoid()).log()),
            "you took the logarithm of a probability that is rounded to 0 or 1, or exp grew too "
            "large: both give infinity; from the logit, -log σ(s) is softplus(-s), -log(1 - σ(s)) "
            "is softplus(s)",
        ),
        Mistake(
            "uses torch's loss for probabilities",
            _judged(
                lambda s: -s.sigmoid().log().clamp(min=-100),
                lambda s: -(1 - s.sigmoid()).log().clamp(min=-100),
            ),
            "your loss never exceeds 100 a sample: binary_cross_entropy cuts it off there, and the "
            "slope with it; use the form that takes logits",
        ),
        Mistake(
            "adds a little to the probability",
            _judged(
                lambda s: -(s.sigmoid() + 1e-8).log(), lambda s: -(1 - s.sigmoid() + 1e-8).log()
            ),
            "you added a small number inside the logarithm, so a sample that is 200 off costs no "
            "more than one that is 19 off; start from the logits, with softplus",
        ),
        Mistake(
            "sums",
            _judged(total=lambda real, fake: real.sum() + fake.sum()),
            "you summed over the samples; take the mean of each batch, so that the loss does not "
            "depend on its size",
        ),
        Mistake(
            "averages over both batches together",
            _judged(total=lambda real, fake: torch.cat([real, fake]).mean()),
            "you averaged over both batches thrown together; take the mean of each batch by "
            "itself and add the two",
        ),
        Mistake(
            "cuts off the made ones",
            lambda real_logits, fake_logits: _judged()(real_logits, fake_logits.detach()),
            "your loss is right, but you detached the made logits, so the judge learns nothing "
            "from them; what is to be detached is the sample, before the judge sees it",
        ),
        Mistake(
            "returns a plain number",
            lambda real_logits, fake_logits: _judged()(real_logits, fake_logits).item(),
            "your loss is right, but a plain number (.item(), float()) has no way back to the "
            "logits; return the tensor itself",
        ),
        Mistake(
            "halves",
            _judged(total=lambda real, fake: (real.mean() + fake.mean()) / 2),
            "you halved the loss, as some programs do; here it is the sum of the two means, "
            "2 log 2 for a judge who knows nothing",
        ),
        Mistake(
            "gives what the judge would like to raise",
            _judged(total=lambda real, fake: -real.mean() - fake.mean()),
            "you returned the value that the judge wants to raise; an optimizer goes down, so the "
            "loss is minus that, and positive",
        ),
        Mistake(
            "subtracts the second part",
            _judged(total=lambda real, fake: real.mean() - fake.mean()),
            "you subtracted what the made samples cost; both parts are costs of the judge, so add "
            "them",
        ),
        Mistake(
            "does not average",
            _judged(total=lambda real, fake: real + fake),
            "you added the costs sample by sample; the two batches are no pairs and may differ in "
            "size: take the mean of each, then add",
        ),
        Mistake(
            "judges as a critic does",
            lambda real_logits, fake_logits: fake_logits.mean() - real_logits.mean(),
            "you compared the mean logits, as the critic of a Wasserstein GAN does; here each "
            "logit goes through a logarithm first",
        ),
    ],
)


# 12.2 loss_and_slope

BOTH = ("loss", "slope")


def _minimax(g: Generator) -> list[tuple]:
    return [(_signed(g, 0.3, 2.5, B), True) for B in (2, 3)]


def _non_saturating(g: Generator) -> list[tuple]:
    return [(_signed(g, 0.3, 2.5, B), False) for B in (2, 3)]


def _both(args: tuple, value: Any) -> dict[str, Any]:
    return {name: _row(i, *BOTH)(args, value) for i, name in enumerate(BOTH)}


def _sure_of_fakes(g: Generator) -> list[tuple]:
    """The second logits lie far on the side where a logarithm of a probability overflows."""
    side = uniform(g, 120, 200, 2)
    return [(side, True), (-side, False)]


def _gain(s: Tensor) -> tuple[Tensor, Tensor]:
    """log(1 - D) and its slope."""
    return -F.softplus(s), -s.sigmoid()


def _surprise(s: Tensor) -> tuple[Tensor, Tensor]:
    """-log D and its slope."""
    return F.softplus(-s), -(-s).sigmoid()


def _fooled(
    minimax: Callable = _gain,
    other: Callable = _surprise,
    total: Callable[[Tensor], Tensor] = torch.mean,
    share: Callable[[Tensor], Tensor] = lambda slope: slope / len(slope),
    finish: Callable[[Tensor, Tensor], Any] = lambda loss, slope: (loss, slope),
) -> Callable:
    def loss_and_slope(fake_logits: Tensor, saturating: bool) -> Any:
        costs, slopes = (minimax if saturating else other)(fake_logits)
        return finish(total(costs), share(slopes))

    return loss_and_slope


def _turned(part: Callable) -> Callable:
    return lambda s: tuple(-value for value in part(s))


def _with_slope(part: Callable, slope: Callable[[Tensor], Tensor]) -> Callable:
    return lambda s: (part(s)[0], slope(s))


def _by_chain(s: Tensor, p: Tensor) -> Tensor:
    """The slope of a logarithm of p times that of the sigmoid."""
    return -1 / p * s.sigmoid() * (1 - s.sigmoid())


def _sloped_by(g: Callable[[Callable], Callable[[Tensor], Tensor]]) -> Callable:
    """Right losses, and a slope that is made of each right one."""
    return _fooled(_with_slope(_gain, g(_gain)), _with_slope(_surprise, g(_surprise)))


LOSS_AND_SLOPE = Exercise(
    number="12.2",
    title="Two ways to lose",
    name="loss_and_slope",
    difficulty=2,
    minutes=20,
    reference=lambda fake_logits, saturating: _fooled()(fake_logits, saturating),
    tests=[
        Test("gives the minimax loss", _minimax, 1, part(0, *BOTH)),
        Test("gives its slope by every logit", _minimax, 1, _row(1, *BOTH)),
        Test("gives the non-saturating loss", _non_saturating, 1, part(0, *BOTH)),
        Test("gives its slope by every logit, too", _non_saturating, 1, _row(1, *BOTH)),
        Test("stays right where the judge is sure", _sure_of_fakes, 1, _both),
    ],
    mistakes=[
        Mistake(
            "swaps the two losses",
            _fooled(_surprise, _gain),
            "you swapped the two: saturating=True asks for the minimax loss log(1 - σ(s)), whose "
            "slope fades where the judge is sure of a fake",
        ),
        Mistake(
            "gives the minimax loss whatever is asked",
            _fooled(other=_gain),
            "you returned the saturating loss under both names; with saturating=False the loss is "
            "-log σ(s)",
        ),
        Mistake(
            "gives the non-saturating loss whatever is asked",
            _fooled(minimax=_surprise),
            "you returned the non-saturating loss under both names; with saturating=True the loss "
            "is log(1 - σ(s))",
        ),
        Mistake(
            "plays for the judge",
            _fooled(_turned(_gain), _turned(_gain)),
            "you gave the made samples label 0, as the judge does, so your generator learns to be "
            "caught; it wants the judge to say 1",
        ),
        Mistake(
            "turns the sign of the minimax loss",
            _fooled(minimax=_turned(_gain)),
            "you turned the sign of the minimax loss: -log(1 - σ(s)) is what the judge lowers; the "
            "generator lowers log(1 - σ(s)), a negative number",
        ),
        Mistake(
            "turns the sign of the non-saturating loss",
            _fooled(other=_turned(_surprise)),
            "you left out the minus: log σ(s) is what the generator wants to raise, so its loss is "
            "-log σ(s)",
        ),
        Mistake(
            "turns both signs",
            _fooled(_turned(_gain), _turned(_surprise)),
            "you turned both signs; the generator goes down on both losses, and each falls as a "
            "logit rises, so every slope is negative",
        ),
        Mistake(
            "turns the slopes",
            _sloped_by(lambda part: lambda s: -part(s)[1]),
            "your losses are right and your slopes turned: give the slope itself, not the "
            "direction of descent; both losses fall as a logit rises",
        ),
        Mistake(
            "swaps the slopes",
            _fooled(
                _with_slope(_gain, lambda s: _surprise(s)[1]),
                _with_slope(_surprise, lambda s: _gain(s)[1]),
            ),
            "your losses are right, but you swapped the slopes: log(1 - σ(s)) has the slope -σ(s), "
            "and -log σ(s) has σ(s) - 1",
        ),
        Mistake(
            "forgets the mean in the slope",
            _fooled(share=lambda slope: slope),
            "you forgot the mean in the slope: each logit is one of B in the loss, so its slope is "
            "divided by B",
        ),
        Mistake(
            "takes the slope by the probability",
            _fooled(
                _with_slope(_gain, lambda s: -1 / (1 - s.sigmoid())),
                _with_slope(_surprise, lambda s: -1 / s.sigmoid()),
            ),
            "you stopped at the probability: multiply by the slope of the sigmoid, σ(s)(1 - σ(s)), "
            "to arrive at the logit",
        ),
        Mistake(
            "takes the slope of the sigmoid",
            _fooled(
                _with_slope(_gain, lambda s: -s.sigmoid() * (1 - s.sigmoid())),
                _with_slope(_surprise, lambda s: -s.sigmoid() * (1 - s.sigmoid())),
            ),
            "you gave the slope of the sigmoid alone; the logarithm outside has a slope too, one "
            "over what stands in it",
        ),
        Mistake(
            "sums",
            _fooled(total=torch.sum, share=lambda slope: slope),
            "you summed over the samples; both losses are means, so the slopes are divided by B "
            "as well",
        ),
        Mistake(
            "sums the loss alone",
            _fooled(total=torch.sum),
            "your slopes are right, but the loss is a sum over the samples; take the mean",
        ),
        Mistake(
            "takes the logarithm of a probability",
            _fooled(
                lambda s: ((1 - s.sigmoid()).log(), -s.sigmoid()),
                lambda s: (-s.sigmoid().log(), s.sigmoid() - 1),
            ),
            "you took the logarithm of a probability that is rounded to 0, which gives infinity; "
            "start from the logit: log(1 - σ(s)) = -softplus(s), -log σ(s) = softplus(-s)",
        ),
        Mistake(
            "multiplies slopes that overflow",
            _fooled(
                _with_slope(_gain, lambda s: _by_chain(s, 1 - s.sigmoid())),
                _with_slope(_surprise, lambda s: _by_chain(s, s.sigmoid())),
            ),
            "your slopes are right until the judge is sure, where 1 / 0 times 0 gives nan; cancel "
            "by hand what cancels: -σ(s), and σ(s) - 1",
        ),
        Mistake(
            "averages the slope",
            _fooled(share=torch.mean),
            "you averaged the slopes to one number; each logit has a slope of its own, so return "
            "B of them",
        ),
        Mistake(
            "returns the loss alone",
            _fooled(finish=lambda loss, slope: loss),
            "you returned the loss alone; return two values: loss, slope",
        ),
        Mistake(
            "returns the slope first",
            _fooled(finish=lambda loss, slope: (slope, loss)),
            "you returned the slope first; the order is loss, slope",
        ),
    ],
)


# 12.3 best_discriminator

ANSWERS = ("D", "jsd")


def _shares(g: Generator, places: Sequence[int]) -> Tensor:
    """Twentieths that sum to 1, at some of five places."""
    counts = [int(i in places) for i in range(5)]
    for i in torch.randint(len(places), (20 - len(places),), generator=g).tolist():
        counts[places[i]] += 1
    return torch.tensor(counts) / 20


def _densities(
    g: Generator, dx: float, p: Sequence[int] = range(5), q: Sequence[int] = range(5)
) -> tuple:
    """Two densities that are not too alike; p and q say where they are not 0."""
    while True:
        data, model = _shares(g, p), _shares(g, q)
        if (data - model).abs().sum() > 0.4:
            return (data / dx).round(decimals=2), (model / dx).round(decimals=2), dx


def _overlapping(g: Generator) -> list[tuple]:
    return [_densities(g, 0.5), _densities(g, 0.25)]


def _with_gaps(g: Generator) -> list[tuple]:
    """Places where one is 0, the other, or both."""
    return [_densities(g, 0.25, (1, 2, 3), (0, 1, 3))]


def _far_apart(g: Generator) -> list[tuple]:
    """Gaps, and two densities that share no place at all."""
    return [*_with_gaps(g), _densities(g, 0.5, (3, 4), (0, 1))]


def _share_of_data(p: Tensor, q: Tensor) -> Tensor:
    return torch.where(p + q > 0, p / (p + q), 0.5)


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Of p from q, before it is multiplied by dx; inf where only q is 0."""
    return torch.special.xlogy(p, p / q).nansum()


def _jsd(p: Tensor, q: Tensor, dx: float) -> Tensor:
    m = (p + q) / 2
    return (_divergence(p, m) + _divergence(q, m)) / 2 * dx


def _naive_jsd(p: Tensor, q: Tensor, dx: float) -> Tensor:
    m = (p + q) / 2
    return (p * (p / m).log() + q * (q / m).log()).sum() / 2 * dx


def _value(p: Tensor, q: Tensor, dx: float, D: Tensor) -> Tensor:
    """What the game is worth to a discriminator."""
    return (torch.special.xlogy(p, D) + torch.special.xlogy(q, 1 - D)).sum() * dx


def _best(
    D: Callable[..., Tensor] = _share_of_data,
    jsd: Callable[..., Tensor] = _jsd,
    finish: Callable[[Tensor, Tensor], Any] = lambda D, jsd: (D, jsd),
) -> Callable:
    return lambda p_data, p_model, dx: finish(D(p_data, p_model), jsd(p_data, p_model, dx))


def _on_both(p: Tensor, q: Tensor, dx: float) -> Tensor:
    both = (p > 0) & (q > 0)
    return _naive_jsd(p[both], q[both], dx)


BEST_DISCRIMINATOR = Exercise(
    number="12.3",
    title="The best judge there is",
    name="best_discriminator",
    difficulty=3,
    minutes=25,
    reference=_best(),
    tests=[
        Test(
            "judges every place as well as can be",
            lambda g: _overlapping(g)[:1],
            1,
            _row(0, *ANSWERS),
        ),
        Test("has an answer where a density is 0", _with_gaps, 1, _row(0, *ANSWERS)),
        Test("says how far apart the densities are", _overlapping, 2, part(1, *ANSWERS)),
        Test("says it where a density is 0, too", _far_apart, 1, part(1, *ANSWERS)),
    ],
    mistakes=[
        Mistake(
            "swaps the densities",
            _best(lambda p, q: _share_of_data(q, p)),
            "you gave the probability of being made; D is the probability of being real, "
            "so p_data stands above the sum",
        ),
        Mistake(
            "swaps the densities, and goes on with it",
            _best(
                lambda p, q: _share_of_data(q, p),
                lambda p, q, dx: (_value(p, q, dx, _share_of_data(q, p)) + math.log(4)) / 2,
            ),
            "you gave the probability of being made, and the divergence went wrong with it; D is "
            "p_data over the sum of both",
        ),
        Mistake(
            "divides by the other density",
            _best(lambda p, q: p / q),
            "you divided by p_model, which gives odds without an upper end; a probability divides "
            "by the sum of both densities",
        ),
        Mistake(
            "decides hard",
            _best(lambda p, q: (p > q).float()),
            "you gave 0 or 1, but where both densities are above 0 nobody can be sure; the best "
            "D is the share p_data / (p_data + p_model)",
        ),
        Mistake(
            "divides nothing by nothing",
            _best(lambda p, q: p / (p + q), _naive_jsd),
            "you divided 0 by 0, or took 0 log 0, and both give nan; where nobody is D is 0.5, and "
            "0 log 0 counts as 0: torch.xlogy knows it",
        ),
        Mistake(
            "leaves a nan in D",
            _best(lambda p, q: p / (p + q)),
            "your D is nan where both densities are 0, for 0 / 0 has no value; nobody is ever "
            "there: say 0.5, with torch.where",
        ),
        Mistake(
            "takes zero log zero",
            _best(jsd=_naive_jsd),
            "your divergence is nan: 0 times log 0 is no number for a computer, but it counts "
            "as 0 here; use torch.xlogy, or leave those terms out",
        ),
        Mistake(
            "calls fake what nobody made",
            _best(lambda p, q: p / (p + q).clamp(min=1e-8)),
            "you say 0 where both densities are 0 (a small number below the line does that, and so "
            "does nan_to_num by itself); the statement asks for 0.5 there",
        ),
        Mistake(
            "looks where both are only",
            _best(jsd=_on_both),
            "you left out every place where one density is 0; only that one's term is 0 "
            "there, the other counts log 2 times its density",
        ),
        Mistake(
            "forgets the step",
            _best(jsd=lambda p, q, dx: _jsd(p, q, 1.0)),
            "you summed over the places and forgot dx; an integral is a sum times the step, and "
            "a JSD never exceeds log 2",
        ),
        Mistake(
            "gives the value of the game",
            _best(jsd=lambda p, q, dx: 2 * _jsd(p, q, dx) - math.log(4)),
            "you returned the value of the game, which is 2 JSD - log 4; add log 4, then halve",
        ),
        Mistake(
            "forgets to halve",
            _best(jsd=lambda p, q, dx: 2 * _jsd(p, q, dx)),
            "your divergence is twice too large: the JSD is the mean of the two divergences from "
            "the middle, so halve their sum",
        ),
        Mistake(
            "measures from the sum",
            _best(jsd=lambda p, q, dx: _jsd(p, q, dx) - math.log(2)),
            "your divergence is log 2 too small: compare with the mean of both densities, not "
            "with their sum; or add log 4 before you halve",
        ),
        Mistake(
            "adds log 2 for log 4",
            _best(jsd=lambda p, q, dx: _jsd(p, q, dx) - math.log(2) / 2),
            "you added log 2 to the value of the game where log 4 belongs: at D = 1/2 both "
            "halves cost log 2",
        ),
        Mistake(
            "takes the divergence of the data from the model",
            _best(jsd=lambda p, q, dx: _divergence(p, q) * dx),
            "you gave KL(p_data || p_model), which is infinite where the model never goes; "
            "compare each density with their mean, and average the two",
        ),
        Mistake(
            "takes the divergence of the model from the data",
            _best(jsd=lambda p, q, dx: _divergence(q, p) * dx),
            "you gave KL(p_model || p_data), which is infinite where there are no data; compare "
            "each density with their mean, and average the two",
        ),
        Mistake(
            "averages both divergences",
            _best(jsd=lambda p, q, dx: (_divergence(p, q) + _divergence(q, p)) / 2 * dx),
            "you averaged the two divergences of the densities from each other; each is to be "
            "compared with the mean of both",
        ),
        Mistake(
            "counts in bits",
            _best(jsd=lambda p, q, dx: _jsd(p, q, dx) / math.log(2)),
            "you counted in bits; the game's loss has the natural logarithm, so use torch.log",
        ),
        Mistake(
            "takes the root",
            _best(jsd=lambda p, q, dx: _jsd(p, q, dx).sqrt()),
            "you took the root, which gives the Jensen-Shannon distance, as some libraries do; "
            "the divergence itself is asked for",
        ),
        Mistake(
            "returns D alone",
            _best(finish=lambda D, jsd: D),
            "you returned D alone; return two values: D, jsd",
        ),
    ],
)


# 12.4 train_step

SETTING = (
    "import torch; from torch import nn; "
    "G = nn.Linear(1, 1); D = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0)); "
    "G.weight.data = {}; G.bias.data = {}; D[0].weight.data = {}; D[0].bias.data = {}; "
    "opt_G = torch.optim.SGD(G.parameters(), lr={}); "
    "opt_D = torch.optim.SGD(D.parameters(), lr={}); "
)
WEIGHTS = "G.weight.item(), G.bias.item(), D[0].weight.item(), D[0].bias.item()"


def _rounds(n: int, results: str) -> Callable[[Generator], list[tuple]]:
    """A program: n rounds from known weights, each on samples of its own."""

    def cases(g: Generator) -> list[tuple]:
        sizes = ((1, 1), (1,), (1, 1), (1,))
        weights = [_written(_signed(g, 0.5, 1.2, *size)) for size in sizes]
        lines = [SETTING.format(*weights, _number(g, 0.2, 0.4), _number(g, 0.5, 0.8))]
        for _ in range(n):
            real, z = (_written(_signed(g, 0.4, 1.5, 2, 1)) for _ in range(2))
            lines.append(f"losses = train_step(G, D, opt_G, opt_D, {real}, {z})")
        return [("train_step", lines[0] + "; ".join(lines[1:]), results)]

    return cases


# A cost of one logit, with its slope. The reference and the mistakes play in plain numbers, a few
# times as fast as autograd on nets so small; that it comes to the same, the master shows.


def _as_real(s: float) -> tuple[float, float]:
    """-log D"""
    return math.log1p(math.exp(-s)), -1 / (1 + math.exp(s))


def _as_fake(s: float) -> tuple[float, float]:
    """-log(1 - D)"""
    return math.log1p(math.exp(s)), 1 / (1 + math.exp(-s))


def _nothing(s: float) -> tuple[float, float]:
    return 0.0, 0.0


def _times(factor: float, cost: Callable) -> Callable:
    return lambda s: tuple(factor * v for v in cost(s))


def _of_the_sigmoid(cost: Callable) -> Callable:
    def of_the_sigmoid(s: float) -> tuple[float, float]:
        p = 1 / (1 + math.exp(-s))
        value, slope = cost(p)
        return value, slope * p * (1 - p)

    return of_the_sigmoid


class _Line:
    """A layer of one weight and one bias, whose slopes add up until they are cleared."""

    def __init__(self, layer: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        self.layer, self.lr = layer, optimizer.param_groups[0]["lr"]
        self.w, self.b = layer.weight.item(), layer.bias.item()
        self.by_w, self.by_b = getattr(layer, "slopes", (0.0, 0.0))

    def __call__(self, x: list[float]) -> list[float]:
        return [self.w * v + self.b for v in x]

    def back(self, x: list[float], slopes: list[float]) -> list[float]:
        self.by_w += sum(s * v for s, v in zip(slopes, x, strict=True))
        self.by_b += sum(slopes)
        return [s * self.w for s in slopes]

    def clear(self) -> None:
        self.by_w = self.by_b = 0.0

    def step(self) -> None:
        self.w -= self.lr * self.by_w
        self.b -= self.lr * self.by_b

    def store(self) -> None:
        self.layer.weight.data.fill_(self.w)
        self.layer.bias.data.fill_(self.b)
        self.layer.slopes = self.by_w, self.by_b


def _pass(cost: Callable, d: _Line, x: list[float]) -> tuple[float, list[float]]:
    """The mean cost of what d says of x, and its slope by x; those by d's weights are added."""
    values, slopes = zip(*map(cost, d(x)), strict=True)
    return sum(values) / len(x), d.back(x, [s / len(x) for s in slopes])


def _played(play: Callable) -> Callable:
    """A round of ``play(g, d, real, z)``, written back into the networks."""

    def train_step(G, D, opt_G, opt_D, real, z):
        g, d = _Line(G, opt_G), _Line(D[0], opt_D)
        losses = play(g, d, real.flatten().tolist(), z.flatten().tolist())
        g.store(), d.store()
        return losses

    return train_step


def _round(
    real_cost: Callable = _as_real,
    fake_cost: Callable = _as_fake,
    maker_cost: Callable = _as_real,
    clear_D: str = "before",
    clear_G: bool = True,
    leak: bool = False,
    judge_moves: bool = True,
    then_move: str = "G",
    finish: Callable[[float, float], Any] = lambda loss_D, loss_G: (loss_D, loss_G),
) -> Callable:
    """One round of the game, with parts that can be spoilt.

    ``clear_D``: before the judge's backward() or after its step; ``leak``: its loss goes back into
    the generator and stays there; ``then_move``: who steps along the generator's loss.
    """

    def play(g: _Line, d: _Line, real: list[float], z: list[float]) -> Any:
        made = g(z)
        if clear_G:
            g.clear()
        if clear_D == "before":
            d.clear()
        loss_real, _ = _pass(real_cost, d, real)
        loss_fake, by_made = _pass(fake_cost, d, made)
        if leak:
            g.back(z, by_made)
        if judge_moves:
            d.step()
        if clear_D == "after" or "D" in then_move:
            d.clear()
        loss_G, by_made = _pass(maker_cost, d, made)
        g.back(z, by_made)
        for name, net in zip("GD", (g, d), strict=True):
            if name in then_move:
                net.step()
        return finish(loss_real + loss_fake, loss_G)

    return _played(play)


def _at_once(g: _Line, d: _Line, real: list[float], z: list[float]) -> tuple[float, float]:
    made = g(z)
    g.clear()
    loss_G, by_made = _pass(_as_real, d, made)
    g.back(z, by_made)
    d.clear()
    loss_D = _pass(_as_real, d, real)[0] + _pass(_as_fake, d, made)[0]
    d.step(), g.step()
    return loss_D, loss_G


def _maker_first(g: _Line, d: _Line, real: list[float], z: list[float]) -> tuple[float, float]:
    g.clear()
    loss_G, by_made = _pass(_as_real, d, g(z))
    g.back(z, by_made)
    g.step()
    d.clear()
    loss_D = _pass(_as_real, d, real)[0] + _pass(_as_fake, d, g(z))[0]
    d.step()
    return loss_D, loss_G


def _one_sum(g: _Line, d: _Line, real: list[float], z: list[float]) -> tuple[float, float]:
    g.clear(), d.clear()
    loss_D = _pass(_as_real, d, real)[0] + _pass(_as_fake, d, g(z))[0]
    loss_G, by_made = _pass(_as_real, d, g(z))
    g.back(z, by_made)
    d.step(), g.step()
    return loss_D, loss_G


def _judge_twice(g: _Line, d: _Line, real: list[float], z: list[float]) -> tuple[float, float]:
    loss_D = 0.0
    for cost, x in ((_as_real, real), (_as_fake, g(z))):
        d.clear()
        loss_D += _pass(cost, d, x)[0]
        d.step()
    g.clear()
    loss_G, by_made = _pass(_as_real, d, g(z))
    g.back(z, by_made)
    g.step()
    return loss_D, loss_G


# Those that end in an error of torch are played by torch.


def _step(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _used_up(G, D, opt_G, opt_D, real, z):
    fake = G(z)
    _step(_call_real(D(real)).mean() + _call_fake(D(fake)).mean(), opt_D)
    _step(_call_real(D(fake)).mean(), opt_G)


def _on_old_logits(G, D, opt_G, opt_D, real, z):
    fake = G(z)
    loss_G = _call_real(D(fake)).mean()
    _step(_call_real(D(real)).mean() + _call_fake(D(fake.detach())).mean(), opt_D)
    _step(loss_G, opt_G)


def _frozen(G, D, opt_G, opt_D, real, z):
    losses = _round()(G, D, opt_G, opt_D, real, z)
    if not D[0].weight.requires_grad:
        _call_real(D(real)).mean().backward()  # fails, as the second round does
    D.requires_grad_(False)
    return losses


TRAIN_STEP = Exercise(
    number="12.4",
    title="One round of the game",
    name="train_step",
    difficulty=4,
    minutes=35,
    reference=_round(),
    tests=[
        Test(
            "moves the judge, then the generator, and reports both losses",
            _rounds(1, f"losses, {WEIGHTS}"),
            4,
            probe=program,
        ),
        Test("is ready for the next round", _rounds(2, WEIGHTS), 3, probe=program),
    ],
    mistakes=[
        Mistake(
            "lets the judge's loss flow into the generator",
            _round(leak=True),
            "you fed the judge without detach: its loss left a gradient in the generator, which "
            "went into the generator's step; show it fake.detach(), and clear G before its own "
            "backward()",
        ),
        Mistake(
            "uses up the graph of the made samples",
            _used_up,
            "you fed the judge without detach: its backward() went through the generator and "
            "used up the graph that the generator needs next; show the judge fake.detach()",
        ),
        Mistake(
            "detaches for the generator as well",
            _round(then_move=""),
            "your generator never moves: its samples are detached in its own step, too, so the "
            "loss has no way back to it (or opt_G.step() is missing); detach for the judge's step "
            "only",
        ),
        Mistake(
            "forgets to clear the judge's gradients",
            _round(clear_D=""),
            "your first round is right and the next is not: the generator's backward() leaves "
            "gradients in the judge, too; call opt_D.zero_grad() before the judge's backward()",
        ),
        Mistake(
            "clears the judge's gradients too early",
            _round(clear_D="after"),
            "your first round is right and the next is not: you cleared the judge's gradients "
            "before the generator's backward() left new ones in it; clear them before the judge's "
            "own backward()",
        ),
        Mistake(
            "forgets to clear the generator's gradients",
            _round(clear_G=False),
            "your first round is right, and in the next the generator's old gradient is still in "
            "its step; call opt_G.zero_grad() before the generator's backward()",
        ),
        Mistake(
            "clears no gradients",
            _round(clear_D="", clear_G=False),
            "your first round is right and the next is not: backward() adds to .grad, so clear "
            "the gradients of each network before its own backward()",
        ),
        Mistake(
            "uses logits from before the judge's step",
            _on_old_logits,
            "you took the generator's loss from logits that were computed before the judge moved, "
            "and torch noticed; call D(fake) again after opt_D.step()",
        ),
        Mistake(
            "moves the generator by the judge of before",
            _played(_at_once),
            "you moved the generator by what the judge said before its step; here the judge moves "
            "first, then D(fake) is computed anew for the generator",
        ),
        Mistake(
            "moves the generator first",
            _played(_maker_first),
            "you moved the generator first, and the judge on samples made after that; here the "
            "judge moves first, and both see the samples of one and the same G(z)",
        ),
        Mistake(
            "uses the saturating loss",
            _round(maker_cost=_times(-1, _as_fake)),
            "you moved the generator by the minimax loss log(1 - σ(s)), whose slope fades where "
            "it loses; use the non-saturating -log σ(s)",
        ),
        Mistake(
            "plays for the judge",
            _round(maker_cost=_as_fake),
            "you gave the made samples label 0 in the generator's step, so it learns to be "
            "caught; there they carry label 1",
        ),
        Mistake(
            "swaps the judge's labels",
            _round(_as_fake, _as_real),
            "you swapped the judge's labels: real samples have label 1, made ones label 0",
        ),
        Mistake(
            "shows the judge made samples only",
            _round(real_cost=_nothing),
            "your judge never sees a real sample, so it calls everything fake; its loss is the sum "
            "of two means, one over the real batch",
        ),
        Mistake(
            "halves the judge's loss",
            _round(_times(0.5, _as_real), _times(0.5, _as_fake)),
            "you halved the judge's loss, as some programs do to slow it down; here it is the sum "
            "of the two means",
        ),
        Mistake(
            "takes the sigmoid twice",
            _round(*map(_of_the_sigmoid, (_as_real, _as_fake, _as_real))),
            "you took the sigmoid twice: D gives logits, and a loss with logits applies the "
            "sigmoid itself",
        ),
        Mistake(
            "moves the judge for the generator",
            _round(then_move="D"),
            "you let the judge's optimizer take the generator's step, so the judge learns to be "
            "fooled and the generator stays; there call opt_G.step()",
        ),
        Mistake(
            "goes down the sum of both losses",
            _played(_one_sum),
            "you went down the sum of both losses with both networks, so the judge helps to be "
            "fooled; each network has its own loss, backward() and step",
        ),
        Mistake(
            "moves the judge twice",
            _played(_judge_twice),
            "you moved the judge twice, once for the real batch and once for the made one; add "
            "the two means and take one step",
        ),
        Mistake(
            "keeps the judge frozen",
            _frozen,
            "your first round is right and the next fails: you froze the judge for the "
            "generator's step and never let it go; opt_G moves G alone, so no freezing is needed",
        ),
        Mistake(
            "moves nothing",
            _round(judge_moves=False, then_move=""),
            "your networks stay as they were: each needs backward() and then step(), with the "
            "zero_grad() before backward(), or there is nothing left to step along",
        ),
        Mistake(
            "returns nothing",
            _round(finish=lambda loss_D, loss_G: None),
            "your networks move as they should, but you returned nothing; return both losses, "
            "that of the judge first",
        ),
        Mistake(
            "returns the generator's loss first",
            _round(finish=lambda loss_D, loss_G: (loss_G, loss_D)),
            "your networks move as they should, but the losses are swapped; return that of the "
            "judge first",
        ),
    ],
)


# 12.5 gradient_penalty

QUADRATIC = (
    "import torch; w = {}.requires_grad_(); D = lambda x: (x * x).flatten(1) @ w; "
    "real = {}; fake = {}; u = {}; loss = gradient_penalty(D, real, fake, u)"
)


# From where to where the numbers of a flat row and of a steep one lie. The real ones are larger, so
# that shares which are mixed up move both rows towards a slope of 1 and cannot cancel.
REAL_ROWS, FAKE_ROWS = ((0.1, 0.2), (1.5, 2.0)), ((0.02, 0.08), (0.8, 1.2))


def _critics(results: str, *lines: str, size: tuple[int, ...] = (2,)) -> Callable:
    """A program: a critic whose slope is below 1 in the first row and above 1 in the second.

    As many rows as features, so that no shape tells a share per feature from one per row.
    """

    def cases(g: Generator) -> list[tuple]:
        sign = _signed(g, 1, 1, *size)  # of real and fake alike, or the points between may be 0
        tensors = (
            uniform(g, 0.6, 1.0, math.prod(size)),
            *(
                torch.stack([uniform(g, *ends, *size) for ends in rows]) * sign
                for rows in (REAL_ROWS, FAKE_ROWS)
            ),
            torch.cat([uniform(g, 0.1, 0.4, 1), uniform(g, 0.6, 0.9, 1)]),
        )
        text = "; ".join([QUADRATIC.format(*map(_written, tensors)), *lines])
        return [("gradient_penalty", text, results)]

    return cases


def _by_row(u: Tensor, x: Tensor) -> Tensor:
    return u.view(-1, *[1] * (x.ndim - 1))


def _between(real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    u = _by_row(u, real)
    return u * real + (1 - u) * fake


def _length(slope: Tensor) -> Tensor:
    return slope.flatten(1).norm(dim=1)


def _penalised(
    at: Callable[[Tensor, Tensor, Tensor], Tensor] = _between,
    reduce: Callable[[Tensor], Tensor] = torch.sum,
    graph: bool = True,
    length: Callable[[Tensor], Tensor] = _length,
    cost: Callable[[Tensor], Tensor] = lambda length: ((length - 1) ** 2).mean(),
) -> Callable:
    def gradient_penalty(D, real, fake, u):
        x = at(real, fake, u).detach().requires_grad_()
        (slope,) = torch.autograd.grad(reduce(D(x)), x, create_graph=graph)
        return cost(length(slope))

    return gradient_penalty


def _leaves_slopes(D, real, fake, u):
    D(_between(real, fake, u)).sum().backward()
    return _penalised()(D, real, fake, u)


def _straight(D, real, fake, u):
    """The slope of the straight line from the made sample to the real one."""
    rise = D(real) - D(fake)
    return ((rise.abs() / _length(real - fake) - 1) ** 2).mean()


GRADIENT_PENALTY = Exercise(
    number="12.5",
    title="A critic that is not too steep",
    name="gradient_penalty",
    difficulty=4,
    minutes=30,
    reference=lambda D, real, fake, u: _penalised()(D, real, fake, u),
    tests=[
        Test("measures the slope between real and made", _critics("loss"), 2, probe=program),
        Test(
            "lets the critic learn from it",
            _critics("w.grad", "loss.backward()"),
            2,
            probe=program,
        ),
        Test(
            "takes pictures, too",
            _critics("loss", size=(1, 2, 2)),
            1,
            probe=program,
        ),
    ],
    mistakes=[
        Mistake(
            "takes one length for the whole batch",
            _penalised(length=lambda slope: slope.norm()),
            "you took one length over the whole batch; each row has a slope of its own, so flatten "
            "all axes but the first and take the norm along dim=1",
        ),
        Mistake(
            "uses one share for all",
            _penalised(lambda real, fake, u: _between(real, fake, u[:1].expand(len(u)))),
            "you mixed every row by the same share; u has one for each row",
        ),
        Mistake(
            "lays the shares along the features",
            _penalised(lambda real, fake, u: u * real + (1 - u) * fake),
            "you laid the shares along the features, for u of shape (B,) meets the last axis; give "
            "it axes of length 1 behind the batch: u.view(-1, 1)",
        ),
        Mistake(
            "shapes the shares for rows",
            _penalised(
                lambda real, fake, u: u[:, None] * real + (1 - u[:, None]) * fake,
            ),
            "your penalty is right for rows and wrong for pictures: u[:, None] meets the lines of "
            "a picture; behind the batch u needs an axis of length 1 for each axis of a sample",
        ),
        Mistake(
            "shapes the shares for pictures",
            _penalised(
                lambda real, fake, u: u.view(-1, 1, 1, 1) * real + (1 - u.view(-1, 1, 1, 1)) * fake
            ),
            "your penalty is right for pictures and wrong for rows, which u.view(-1, 1, 1, 1) "
            "spreads to four axes; u needs as many axes of length 1 as a sample has: real.ndim - 1",
        ),
        Mistake(
            "swaps the shares",
            _penalised(lambda real, fake, u: _between(fake, real, u)),
            "you swapped the shares: u is the share of the real sample, 1 - u that of the made one",
        ),
        Mistake(
            "looks at the real samples only",
            _penalised(lambda real, fake, u: real),
            "you took the slope at the real samples; this penalty looks between real and made, at "
            "u * real + (1 - u) * fake",
        ),
        Mistake(
            "looks at the made samples only",
            _penalised(lambda real, fake, u: fake),
            "you took the slope at the made samples; this penalty looks between real and made, at "
            "u * real + (1 - u) * fake",
        ),
        Mistake(
            "squares the length",
            _penalised(cost=lambda length: ((length**2 - 1) ** 2).mean()),
            "you compared the squared length with 1; take the root first: (norm - 1)²",
        ),
        Mistake(
            "subtracts after the square",
            _penalised(cost=lambda length: (length**2 - 1).mean()),
            "you squared the length and subtracted 1 after that, which rewards flat critics; "
            "subtract first, then square",
        ),
        Mistake(
            "forgets the one",
            _penalised(cost=lambda length: (length**2).mean()),
            "you punished every slope; this penalty wants slopes of 1, so subtract 1 from each "
            "length before you square",
        ),
        Mistake(
            "forgets the square",
            _penalised(cost=lambda length: (length - 1).abs().mean()),
            "you forgot the square: the penalty of a row is (norm - 1)²",
        ),
        Mistake(
            "punishes steep slopes only",
            _penalised(cost=lambda length: (length - 1).relu().square().mean()),
            "you punished slopes above 1 only, the one-sided penalty; here slopes below 1 "
            "cost as well",
        ),
        Mistake(
            "averages the lengths first",
            _penalised(cost=lambda length: (length.mean() - 1) ** 2),
            "you averaged the lengths first, so that a steep row and a flat one cancel; square "
            "each row's distance from 1, then average",
        ),
        Mistake(
            "sums",
            _penalised(cost=lambda length: ((length - 1) ** 2).sum()),
            "you summed over the rows; take the mean, so that the weight of the penalty does not "
            "depend on the batch",
        ),
        Mistake(
            "takes the slope of the mean",
            _penalised(reduce=torch.mean),
            "you took the slope of the mean of D(x), which makes every slope B times too small; "
            "the sum leaves each row its own",
        ),
        Mistake(
            "takes the length down the batch",
            _penalised(length=lambda slope: slope.norm(dim=0)),
            "you took the norm along axis 0, which mixes the rows; a row's slope runs along its "
            "features",
        ),
        Mistake(
            "takes the length along one axis",
            _penalised(length=lambda slope: slope.norm(dim=1)),
            "your penalty is right for rows and wrong for pictures: the norm along dim=1 covers "
            "the channels alone; flatten(1) first, so that it covers every pixel",
        ),
        Mistake(
            "takes the length along the last axis",
            _penalised(length=lambda slope: slope.norm(dim=-1)),
            "your penalty is right for rows and wrong for pictures: the norm along the last axis "
            "covers one line of pixels; flatten(1) first",
        ),
        Mistake(
            "keeps no graph",
            _penalised(graph=False),
            "your value is right, but the critic cannot learn from it: without create_graph=True "
            "the slope is a constant for autograd",
        ),
        Mistake(
            "cuts the slope off",
            _penalised(length=lambda slope: _length(slope.detach().requires_grad_())),
            "you detached the slope, so no gradient of the penalty reaches the critic; "
            "create_graph=True keeps its way back",
        ),
        Mistake(
            "returns a plain number",
            lambda *args: _penalised()(*args).item(),
            "your value is right, but a plain number (.item(), float()) has no way back to the "
            "critic; return the tensor itself",
        ),
        Mistake(
            "leaves slopes in the critic",
            _leaves_slopes,
            "your value is right, but you called backward(), which left other slopes in the "
            "critic's weights; torch.autograd.grad hands the slope to you and leaves none",
        ),
        Mistake(
            "takes the slope of the line between",
            _straight,
            "you took the slope of the straight line between the two samples; the penalty asks for "
            "the gradient of D at one point, from torch.autograd.grad",
        ),
    ],
)


# 12.6 frechet_distance


def _cloud(g: Generator, n: int, turn: float) -> Tensor:
    """Points that lie along a line at 45 degrees, up or down."""
    while True:
        along, across = normal(g, n) * uniform(g, 1.0, 2.0, 1), normal(g, n) * 0.5
        cloud = torch.stack([along + across, turn * along - across], 1).round(decimals=2)
        if cloud.T.cov().det() > 0.1:  # or rounding would count
            return cloud


def _clouds(g: Generator, n: int, m: int) -> tuple[Tensor, Tensor]:
    """Two that cross: the root of the product of their covariances is not that of their roots."""
    while True:
        a, b = _cloud(g, n, 1.0), _cloud(g, m, -0.4) + _signed(g, 0.5, 1.5, 2)
        S, T = a.T.cov(), b.T.cov()
        if _shared(S, T) - (_root(S) @ _root(T)).trace() > 0.1:
            return a, b


def _as_many(g: Generator) -> list[tuple]:
    return [_clouds(g, 5, 5)]


def _fewer(g: Generator) -> list[tuple]:
    return [_clouds(g, 5, 4)]


def _moved_away(g: Generator) -> list[tuple]:
    a = _cloud(g, 4, 1.0)
    return [(a, a + _signed(g, 0.5, 1.5, 2))]


def _cov(x: Tensor) -> Tensor:
    return x.T.cov()


def _root(S: Tensor) -> Tensor:
    """The symmetric root."""
    values, vectors = torch.linalg.eigh(S)
    return vectors @ (values.clamp(min=0).sqrt()[:, None] * vectors.T)


def _shared(S: Tensor, T: Tensor) -> Tensor:
    """The trace of (S T)^(1/2)."""
    root = _root(S)
    return torch.linalg.eigvalsh(root @ T @ root).clamp(min=0).sqrt().sum()


def _squared_length(shift: Tensor) -> Tensor:
    return shift @ shift


def _spread(S: Tensor, T: Tensor) -> Tensor:
    return S.trace() + T.trace() - 2 * _shared(S, T)


def _apart(
    cov: Callable[[Tensor], Tensor] = _cov,
    means: Callable[[Tensor], Tensor] = _squared_length,
    spread: Callable[[Tensor, Tensor], Tensor] = _spread,
) -> Callable:
    def frechet_distance(a: Tensor, b: Tensor) -> Tensor:
        a, b = a.double(), b.double()
        return means(a.mean(0) - b.mean(0)) + spread(cov(a), cov(b))

    return frechet_distance


def _less(shared: Callable[[Tensor, Tensor], Tensor], factor: float = 2.0) -> Callable:
    """The spread with another term for what the covariances share."""
    return _apart(spread=lambda S, T: S.trace() + T.trace() - factor * shared(S, T))


def _over_rows(a: Tensor, b: Tensor) -> Tensor:
    """The rows are taken for features."""
    shift = a.mean(0) - b.mean(0)
    S, T = a.double().cov(), b.double().cov()
    shared = torch.linalg.eigvals(S @ T).real.clamp(min=0).sqrt().sum()
    return shift @ shift + S.trace() + T.trace() - 2 * shared


FRECHET_DISTANCE = Exercise(
    number="12.6",
    title="Two clouds of features",
    name="frechet_distance",
    difficulty=4,
    minutes=30,
    reference=lambda a, b: _apart()(a, b),
    tests=[
        Test("sees how far the means are apart", _moved_away, 1, rtol=1e-3, atol=1e-4),
        Test("sees how features go together", _as_many, 3, rtol=1e-3, atol=1e-4),
        Test("compares sets of unlike size", _fewer, 2, rtol=1e-3, atol=1e-4),
    ],
    mistakes=[
        Mistake(
            "forgets the means",
            _apart(means=lambda shift: 0.0),
            "you left out the means; two clouds of one shape at two places are apart by the "
            "squared distance of their means",
        ),
        Mistake(
            "does not square the shift",
            _apart(means=torch.norm),
            "you added the length of the shift; its square is asked for, the sum of the squared "
            "differences of the means",
        ),
        Mistake(
            "averages the shift",
            _apart(means=lambda shift: shift.square().mean()),
            "you averaged the squared differences of the means over the features; add them up",
        ),
        Mistake(
            "forgets the two",
            _less(_shared, 1.0),
            "you forgot the factor 2 before the root, so a set is not at distance 0 from itself",
        ),
        Mistake(
            "roots every entry of the product",
            _less(lambda S, T: (S @ T).sqrt().trace()),
            "you took the root of every entry of S1 @ S2; the root of a matrix is a matrix whose "
            "square it is: its trace is the sum of the roots of the eigenvalues",
        ),
        Mistake(
            "looks at single features only",
            _less(lambda S, T: (S.diag() * T.diag()).sqrt().sum()),
            "you used the variances alone (S1 * S2 multiplies entry by entry, and a trace sees its "
            "diagonal); how features go together stands off the diagonal: S1 @ S2",
        ),
        Mistake(
            "multiplies the roots",
            _less(lambda S, T: (_root(S) @ _root(T)).trace()),
            "you multiplied the roots of the two matrices; unless they share their axes that is "
            "not the root of the product S1 @ S2, whose eigenvalues you need",
        ),
        Mistake(
            "compares the eigenvalues of each",
            _less(lambda S, T: (torch.linalg.eigvalsh(S) * torch.linalg.eigvalsh(T)).sqrt().sum()),
            "you paired the eigenvalues of S1 with those of S2, which forgets where they point; "
            "take the eigenvalues of the product S1 @ S2",
        ),
        Mistake(
            "takes the product for symmetric",
            _less(lambda S, T: torch.linalg.eigvalsh(S @ T).clamp(min=0).sqrt().sum()),
            "you gave eigvalsh a matrix that is not symmetric, of which it reads one half; S1 @ S2 "
            "needs eigvals, whose results are complex in type: take .real",
        ),
        Mistake(
            "forgets the root",
            _less(lambda S, T: (S @ T).trace()),
            "you forgot the root of S1 @ S2: take the root of each of its eigenvalues, then add",
        ),
        Mistake(
            "adds the traces only",
            _apart(spread=lambda S, T: S.trace() + T.trace()),
            "you added the traces and subtracted nothing, so a set is not at distance 0 from "
            "itself; take off twice the trace of the root of S1 @ S2",
        ),
        Mistake(
            "compares the covariances entry by entry",
            _apart(spread=lambda S, T: (S - T).square().sum()),
            "you summed the squared differences of the covariances; between Gaussians the "
            "distance is made of roots: tr(S1 + S2 - 2 (S1 S2)^(1/2))",
        ),
        Mistake(
            "looks at the means only",
            _apart(spread=lambda S, T: 0.0),
            "you compared the means only; a generator that makes one average sample would be "
            "perfect: add the term of the covariances",
        ),
        Mistake(
            "divides by N",
            _apart(lambda x: x.T.cov(correction=0)),
            "your covariances divide by N; divide by N - 1, as torch.cov does by itself",
        ),
        Mistake(
            "forgets to centre",
            _apart(lambda x: x.T @ x / (len(x) - 1)),
            "you multiplied the features as they are; a covariance is about differences from the "
            "mean, so subtract the mean first",
        ),
        Mistake(
            "does not divide",
            _apart(lambda x: (len(x) - 1) * _cov(x)),
            "your covariances are sums; divide them by N - 1",
        ),
        Mistake(
            "takes correlations",
            _apart(lambda x: x.T.corrcoef()),
            "you took correlations, which forget how wide a cloud is; use covariances",
        ),
        Mistake(
            "takes the rows for features",
            _over_rows,
            "you took the rows for features: torch.cov wants a row per feature, so hand it a.T",
        ),
        Mistake(
            "takes the root of it all",
            lambda a, b: _apart()(a, b).sqrt(),
            "you took the root in the end; what is reported by the name of Fréchet is the squared "
            "distance, so leave it",
        ),
    ],
)


# 12.7 precision_recall

SCORES = ("precision", "recall")
# Seeds of points that tell the mistakes apart, found by trying; a test tries them again.
NEAREST = (264, 4842, 5906, 6352, 6818, 7366, 9536, 9676, 9706, 10039, 10065, 11637)
SECOND = (13236, 15772, 35063, 35257, 36928, 37348, 70451, 70692)


def _drawn(seed: int, n: int, m: int) -> tuple[Tensor, Tensor]:
    """Real and made points, of which some lie among the others."""
    g = Generator().manual_seed(seed)
    return normal(g, n, 2), normal(g, m, 2)


def _one_of(seeds: Sequence[int], n: int, m: int, k: int) -> Callable[[Generator], list[tuple]]:
    def cases(g: Generator) -> list[tuple]:
        picked = torch.randperm(len(seeds), generator=g)[:2].tolist()
        return [(*_drawn(seeds[i], n, m), k) for i in picked]

    return cases


def _radii(x: Tensor, others: Tensor, k: int) -> Tensor:
    """How far each point's k-th neighbour is; the point itself is number 0."""
    return torch.cdist(x, x).sort(1).values[:, k]


def _in_some_ball(d: Tensor, radii: Tensor, own: Tensor, k: int) -> Tensor:
    """Which points (rows of d) lie within the radius of some centre (columns)."""
    return (d <= radii).any(1).float().mean()


def _scored(
    radii: Callable[..., Tensor] = _radii,
    share: Callable[..., Tensor] = _in_some_ball,
    finish: Callable[[Tensor, Tensor], Any] = lambda precision, recall: (precision, recall),
) -> Callable:
    """``share(d, radii, own, k)``: distances from points to centres, and the radii of both."""

    def precision_recall(real: Tensor, fake: Tensor, k: int) -> Any:
        d = torch.cdist(fake, real)
        of_real, of_fake = radii(real, fake, k), radii(fake, real, k)
        return finish(share(d, of_real, of_fake, k), share(d.T, of_fake, of_real, k))

    return precision_recall


def _by_real_balls(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor]:
    inside = torch.cdist(fake, real) <= _radii(real, fake, k)
    return inside.any(1).float().mean(), inside.any(0).float().mean()


def _nearest_centre(d: Tensor, radii: Tensor, own: Tensor, k: int) -> Tensor:
    nearest, at = d.min(1)
    return (nearest <= radii[at]).float().mean()


PRECISION_RECALL = Exercise(
    number="12.7",
    title="Realistic, or all there",
    name="precision_recall",
    difficulty=5,
    minutes=35,
    reference=_scored(),
    tests=[
        Test("scores by the nearest neighbour", _one_of(NEAREST, 5, 5, 1), 2),
        Test("scores by the second neighbour", _one_of(SECOND, 6, 5, 2), 3),
    ],
    mistakes=[
        Mistake(
            "swaps the two",
            _scored(finish=lambda precision, recall: (recall, precision)),
            "you swapped the two: precision is the share of *made* samples within the balls of the "
            "real ones, recall the share of real samples within those of the made ones",
        ),
        Mistake(
            "counts itself as a neighbour",
            _scored(lambda x, others, k: _radii(x, others, k - 1)),
            "you counted each sample as its own nearest neighbour, at distance 0, so your balls "
            "are one neighbour too small; after sorting, the k-th stands at place k",
        ),
        Mistake(
            "goes one neighbour too far",
            _scored(lambda x, others, k: _radii(x, others, k + 1)),
            "your balls reach one neighbour too far; the sample itself stands at place 0 of its "
            "sorted distances, so the k-th neighbour is at place k, not k + 1",
        ),
        Mistake(
            "takes the nearest neighbour whatever k is",
            _scored(lambda x, others, k: _radii(x, others, 1)),
            "your balls reach to the nearest neighbour whatever k is; they are to reach to the "
            "k-th",
        ),
        Mistake(
            "averages the distances to the neighbours",
            _scored(lambda x, others, k: torch.cdist(x, x).sort(1).values[:, 1 : k + 1].mean(1)),
            "you averaged the distances to the k nearest; the radius is the distance to the k-th "
            "one",
        ),
        Mistake(
            "gives every ball the mean radius",
            _scored(lambda x, others, k: _radii(x, others, k).mean().expand(len(x))),
            "you gave every ball the same radius; each sample has its own, small where samples "
            "are dense and large where they are rare",
        ),
        Mistake(
            "measures the radii across",
            _scored(lambda x, others, k: torch.cdist(x, others).sort(1).values[:, k - 1]),
            "you measured the radii to the samples of the other set; a ball reaches to the k-th "
            "neighbour within the sample's own set",
        ),
        Mistake(
            "asks for every ball",
            _scored(share=lambda d, radii, own, k: (d <= radii).all(1).float().mean()),
            "you asked that a sample lie in every ball; one ball is enough: any, not all",
        ),
        Mistake(
            "looks at the nearest centre only",
            _scored(share=_nearest_centre),
            "you looked at the ball of the nearest sample only; a farther one may have a "
            "ball so large that it holds the point: ask all of them",
        ),
        Mistake(
            "puts the balls round the points that are judged",
            _scored(share=lambda d, radii, own, k: (d <= own[:, None]).any(1).float().mean()),
            "you put the balls round the samples that are to be judged; precision asks whether a "
            "made sample lies in the ball of a *real* one, whose radius is compared",
        ),
        Mistake(
            "counts the balls that are hit",
            _scored(share=lambda d, radii, own, k: (d <= radii).any(0).float().mean()),
            "you counted the balls in which something lies; count the samples that lie in some "
            "ball: precision runs over the made ones, M of them",
        ),
        Mistake(
            "counts every pair",
            _scored(share=lambda d, radii, own, k: (d <= radii).float().mean()),
            "you averaged over all pairs; a sample that lies in three balls counts once: any over "
            "the balls first, then the mean over the samples",
        ),
        Mistake(
            "counts every hit",
            _scored(share=lambda d, radii, own, k: (d <= radii).sum(1).float().mean() / k),
            "you counted how many balls each sample lies in, which is another measure, called "
            "density; here a sample counts once: any over the balls",
        ),
        Mistake(
            "gives the precision twice",
            _scored(finish=lambda precision, recall: (precision, precision)),
            "your precision is right, and you gave it for the recall, too; recall turns the roles "
            "round: real samples in the balls of the made ones",
        ),
        Mistake(
            "keeps the balls of the real ones",
            _by_real_balls,
            "your precision is right, but your recall counts the real balls that are hit, which is "
            "called coverage; for the recall, put balls round the made ones",
        ),
        Mistake(
            "gives the share that is wrong",
            _scored(finish=lambda precision, recall: (1 - precision, 1 - recall)),
            "you gave the shares that lie outside of all balls; precision and recall are those "
            "inside",
        ),
        Mistake(
            "counts in place of sharing",
            lambda real, fake, k: tuple(
                n * v for n, v in zip((len(fake), len(real)), _scored()(real, fake, k), strict=True)
            ),
            "you counted samples; both scores are shares, so divide by the number of samples "
            "that were judged",
        ),
        Mistake(
            "returns the precision alone",
            _scored(finish=lambda precision, recall: precision),
            "you returned the precision alone; return two values: precision, recall",
        ),
    ],
)

EXERCISES = (
    DISCRIMINATOR_LOSS,
    LOSS_AND_SLOPE,
    BEST_DISCRIMINATOR,
    TRAIN_STEP,
    GRADIENT_PENALTY,
    FRECHET_DISTANCE,
    PRECISION_RECALL,
)

check = checker(EXERCISES)
