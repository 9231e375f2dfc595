"""Who runs in each race, the reference first: ours, and the peers in environments of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.contenders.learning import nanogpt_folder
from benchmarks.race import ROOT, Contender
from course_lib.studies._nanogpt import FEWEST, LONG

HERE = "benchmarks.contenders"
CHAPTERS = sorted(p.stem for p in Path(ROOT, "book").glob("[0-9][0-9]_*.md"))


def ours(name: str, place: str, /, size: float = 0, **settings) -> Contender:
    """A contender of ours; ``place`` is ``"file.function"``."""
    file, function = place.split(".")
    return Contender(name, f"{HERE}.{file}", function, settings, size=size)


def theirs(name: str, peer: str, place: str, /, imports: str = "", **settings) -> Contender:
    """A contender in its own environment; it is missing, with the reason, where that fails."""
    file, function = place.split(".")
    try:
        python = peers.python(peer)
        if imports:
            check_import(python, imports)
    except peers.NotHere as why:
        return Contender(name, f"{HERE}.{file}", function, settings, missing=str(why))
    return Contender(name, f"{HERE}.{file}", function, settings, python)


def check_import(python: str, module: str) -> None:
    """Ask whether an environment can import a module.

    Raises:
        NotHere: when it cannot, with the last line of the error.
    """
    said = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True)
    if said.returncode:
        raise peers.NotHere(f"import {module} fails: {said.stderr.strip().splitlines()[-1]}")


# ---- 1, training loop


def loops() -> list[Contender]:
    """An epoch of 784-256-10, by everybody's loop."""
    trainer = "lightning_loop.lightning_loop"
    return [
        ours("bare loop", "training.bare"),
        ours("fit", "training.fit"),
        ours("DataLoader", "training.loader"),
        ours("a picture at a time, 4 workers", "per_sample.per_sample"),
        ours("a picture at a time, 2 workers", "per_sample.per_sample", workers=2),
        theirs("skorch", "skorch", "skorch_loop.skorch_loop"),
        theirs("Lightning", "lightning", trainer),
        theirs("Lightning, barebones", "lightning", trainer, barebones=True),
    ]


def lenets() -> list[Contender]:
    """An epoch of LeNet: the per-sample pipeline, and what each option buys."""

    def lenet(name: str, loop: str, **options) -> Contender:
        return ours(name, "training.kept", loop=loop, net="lenet", **options)

    return [
        lenet("a picture at a time, 4 workers", "per_sample.per_sample"),
        lenet("a picture at a time, 2 workers", "per_sample.per_sample", workers=2),
        lenet("DataLoader", "training.loader"),
        lenet("bare loop", "training.bare"),
        lenet("fit", "training.fit"),
        lenet("fit, channels_last", "training.fit", channels_last=True),
        lenet("channels_last", "training.bare", channels_last=True),
        lenet("bf16", "training.bare", bf16=True),
        lenet("channels_last, bf16", "training.bare", channels_last=True, bf16=True),
    ]


# ---- 2 and 3, whole trainings


def clothes() -> list[Contender]:
    """Fashion-MNIST until so many percent of the test pictures are right."""
    recipes = [ours(f"recipe for {p} %", "learning.recipe", target=p) for p in (90, 91, 92)]
    return [ours("textbook LeNet, 10 passes", "learning.textbook"), *recipes]


def letters() -> list[Contender]:
    """Tiny Shakespeare by nanoGPT's settings and by the course's."""
    own = "nanoGPT's own code"
    try:
        itself = ours(own, "learning.nanogpt", folder=str(nanogpt_folder()))
    except peers.NotHere as why:
        itself = Contender(own, f"{HERE}.learning", "nanogpt", missing=str(why))
    return [
        ours("nanoGPT's settings", "learning.gpt", recipe="reference"),
        ours("the course's, 190 steps", "learning.gpt", **FEWEST),
        ours("the course's, 940 steps", "learning.gpt", **LONG | {"steps": 940}),
        itself,
    ]


# ---- 4 and 5, engines and operators


def scalar_engines(collect: bool) -> Callable[[], list[Contender]]:
    """micrograd and ours, with Python's garbage collector on or off."""
    place, module = "engines.scalars", "micrograd.engine"
    return lambda: [
        theirs("micrograd", "micrograd", place, module=module, collect=collect),
        ours("Value", place, module="course_lib.autograd", collect=collect),
    ]


def arrays() -> list[Contender]:
    """The tensor engine beside torch's."""
    engines = {"torch": "torch", "Array": "course"}
    return [ours(name, "engines.arrays", engine=engine) for name, engine in engines.items()]


def operator(name: str) -> Callable[[], list[Contender]]:
    """torch's operator and ours."""
    pair = {f"torch's {name}": f"torch_{name}", name: name}
    return lambda: [ours(shown, f"operators.{function}") for shown, function in pair.items()]


def writing() -> list[Contender]:
    """256 symbols with the cache of keys and values and without it."""
    return [
        ours("without a cache", "operators.write", cache=False),
        ours("with a cache", "operators.write", cache=True),
    ]


# ---- 6, acting


def worlds() -> list[Contender]:
    """A step of one CartPole."""
    many = {"count": 65_536, "steps": 20}
    return [
        ours("Gymnasium, one", "acting.single", steps=20_000),
        ours("Gymnasium's vector, 65,536", "acting.vector", **many),
        ours("tensors, 16,384", "acting.tensors", count=16_384, steps=100),
        ours("tensors, 65,536", "acting.tensors", **many),
        ours("tensors, 65,536, 64 bits, one thread", "acting.tensors", **many, plain=True),
    ]


def balancing() -> list[Contender]:
    """PPO until it balances."""
    sb3 = "Stable-Baselines3"
    return [
        theirs(f"{sb3}, defaults", "sb3", "sb3_ppo.ppo"),
        theirs(f"{sb3}, its zoo's settings", "sb3", "sb3_ppo.ppo", zoo=True),
        ours("ppo, 128 carts", "acting.ppo", rival="PPO"),
        ours("ppo, 16 carts", "acting.ppo", rival="PPO, 16 worlds"),
    ]


# ---- 7 to 9, the project's own waits


def graders() -> list[Contender]:
    """30 submissions."""
    return [otter(), ours("our grader", "grading.ours")]


def otter() -> Contender:
    """Otter's worker runs in our environment and starts theirs."""
    try:
        return ours("otter-grader", "grading.otter", python=peers.python("otter"))
    except peers.NotHere as why:
        return Contender("otter-grader", f"{HERE}.grading", "otter", missing=str(why))


def imports() -> list[Contender]:
    """Fresh processes that import one thing."""
    place = "starting.imported"
    chapters = [ours(n[3:], place, module=f"course_lib.{n[3:]}") for n in CHAPTERS]
    return [
        ours("torch", place, module="torch"),
        *chapters,
        theirs("Lightning", "lightning", place, module="lightning"),
        theirs("d2l", "d2l", place, imports="d2l.torch", module="d2l.torch"),
    ]


def notebooks() -> list[Contender]:
    """Each chapter's notebook."""
    return [ours(name, "suite.chapter", name=name) for name in CHAPTERS]


def suite() -> list[Contender]:
    """All notebooks against their stored outputs."""
    return [ours("nbval", "suite.nbval")]


def builds() -> list[Contender]:
    """The book."""
    return [
        ours("from nothing", "suite.book", warm=False),
        ours("once more", "suite.book", warm=True),
    ]


def answers() -> list[Contender]:
    """The checks of each chapter's exercises."""
    return [ours(name, "suite.checks", name=name[3:]) for name in CHAPTERS]


# ---- 10, growth


def grows(place: str, key: str, sizes: Sequence[int], **settings) -> Callable[[], list[Contender]]:
    """The same work at several sizes."""
    return lambda: [ours(f"{n:,}", place, size=n, **{key: n}, **settings) for n in sizes]


def classes() -> list[Contender]:
    """Our grader on classes of several sizes."""
    return grows("grading.ours", "learners", (16, 32, 64), growth=True)()


# ---- 11, GPU


def on_a_gpu(kind: str) -> Callable[[], list[Contender]]:
    """A model of the course in the ways a GPU offers, beside the card's matrix peak."""
    options = {
        "": {},
        ", bf16": {"bf16": True},
        ", bf16, compiled": {"bf16": True, "compiled": True},
    }
    return lambda: [
        ours("matrix peak, bf16", "gpu.peak"),
        *(ours(kind + way, f"gpu.{kind}", **given) for way, given in options.items()),
    ]


def gpu_loops() -> list[Contender]:
    """The bare loop and ours on the card."""
    return [
        ours("bare loop", "gpu.bare"),
        ours("fit", "gpu.fit"),
        ours("fit, bf16", "gpu.fit", bf16=True),
        ours("fit, compiled", "gpu.fit", compiled=True),
    ]


def gpu_carts() -> list[Contender]:
    """A step of one CartPole there."""
    many = {f"{n:,} carts": n for n in (16_384, 65_536, 1_048_576)}
    return [ours("Gymnasium, one", "acting.single", steps=20_000)] + [
        ours(name, "gpu.carts", count=n) for name, n in many.items()
    ]
