"""Playgrounds: pieces that the reader's browser computes, with no kernel behind them.

Chapters: book/17_q_learning (gridworld), book/18_policy_gradient (cartpole). What a piece computes
stands in the ``.mjs`` module of its name, apart from what it draws, and is tested against the
library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from torch import nn

from ..plotting import PALETTE
from ..q_learning import gridworld as world_of
from .playground import Playground, button, menu, slider

__all__ = ["Playground", "cartpole", "gridworld"]

CELL, METRE = 48, 60  # SVG units
SPEEDS = {3: "3", 30: "30", 300: "300", 3000: "3,000"}


def gridworld(
    rows: Sequence[str],
    *,
    gamma: float = 0.9,
    alpha: float = 0.5,
    epsilon: float = 0.2,
    step: float = -0.04,
    goal: float = 1.0,
    pit: float = -1.0,
    slip: float = 0.0,
    seed: int = 0,
) -> Playground:
    """A world of cells in which a Q-learner learns in the reader's browser.

    Colour shows the value of a cell, arrows the actions that look best, the dot the learner.

    Args:
        rows: the drawing, as :func:`~course_lib.q_learning.gridworld` takes it: S start, G goal,
            X pit, # wall, . floor.
        gamma: discount a step; a slider changes it.
        alpha: step size; a slider changes it.
        epsilon: share of random actions; a slider changes it.
        step: reward of every step.
        goal: reward on top for reaching G.
        pit: reward on top for falling into X.
        slip: the probability to go to one side instead, half of it to each.
        seed: of the learner's chance.

    Returns:
        A :class:`Playground`; as the last line of a cell it is displayed.

    Raises:
        ValueError: for rows that are no world, or a setting that is no number from 0 to 1.

    Example:
        >>> gridworld(["S.G"])
        Playground gridworld: A Q-learner in a world of 1 × 3 cells.
    """
    world_of(rows, step, goal, pit, slip)  # refuses what is no world
    settings = {"gamma": gamma, "alpha": alpha, "epsilon": epsilon}
    for name, value in [*settings.items(), ("slip", slip)]:
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be a number from 0 to 1, got {value}")
    rewards = {"step": step, "goal": goal, "pit": pit, "slip": slip}
    data = {"rows": list(rows), **rewards, **settings, "seed": seed}
    controls = [
        button("step", "Step")
        + button("episode", "Episode")
        + button("run", "Run")
        + button("restart", "Restart")
        + button("original", "Undo changes")
        + menu("speed", "steps a second", SPEEDS, 30),
        slider("epsilon", "exploration ε", 0, 1, epsilon)
        + slider("gamma", "discount γ", 0, 1, gamma)
        + slider("alpha", "step size α", 0, 1, alpha),
    ]
    slips = f" An action slips to one side with probability {slip:g}." if slip else ""
    title = f"A Q-learner in a world of {len(rows)} × {len(rows[0])} cells."
    text = (
        f"Each step pays {_signed(step)}, the goal {_signed(goal)}, a pit {_signed(pit)}.{slips} "
        "Blue cells are worth more than 0, orange ones less; arrows show the actions that look "
        "best, the dot is the learner. Point at a cell to read its values; click it (on a phone "
        "tap twice, with keys Enter) to make floor a wall, a wall a pit, a pit floor."
    )
    return Playground("gridworld", data, title, text, controls, _grid(rows))


def _signed(reward: float) -> str:
    return f"{reward:+g}".replace("-", "−") if reward else "0"


def _grid(rows: Sequence[str]) -> str:
    """The world as it is before the first step, and places for what is told of it."""
    height, width = len(rows), len(rows[0])
    kinds = {"#": ("currentColor", 0.7), "G": (PALETTE[2], 0.55), "X": (PALETTE[1], 0.55)}
    cells = []
    for s, letter in enumerate("".join(rows)):
        fill, opacity = kinds.get(letter, (PALETTE[0], 0))
        x, y = s % width * CELL, s // width * CELL
        cells.append(
            f'<g data-cell="{s}" transform="translate({x + CELL // 2} {y + CELL // 2})">'
            f'<rect x="-23" y="-23" width="46" height="46" rx="4" stroke="currentColor" '
            f'stroke-opacity="0.4" fill="{fill}" fill-opacity="{opacity}"/>'
            '<path fill="currentColor" d=""/><text x="-14" y="-8" text-anchor="middle" '
            f'font-size="15" fill="currentColor">{letter.strip("#.")}</text></g>'
        )
    start = "".join(rows).index("S")
    x, y = (start % width + 0.5) * CELL, (start // width + 0.5) * CELL
    agent = (
        f'<circle class="dlm-agent" r="6" transform="translate({x:g} {y:g})" fill="{PALETTE[3]}" '
        'stroke="currentColor" stroke-width="2" pointer-events="none"/>'
    )
    return (
        "<style>.dlm-grid g{cursor:pointer;outline:none}"
        ".dlm-grid .dlm-pointed rect{stroke-opacity:1;stroke-width:3}"
        ".dlm-grid g:focus-visible rect{stroke-width:6}"
        "@media(max-width:600px){.dlm-playground .dlm-values{min-height:3em}}</style>"
        f'<svg class="dlm-grid" viewBox="0 0 {width * CELL} {height * CELL}" role="img" '
        f'style="max-width:{width * CELL}px" aria-label="A world of {height} by {width} cells: '
        f'S start, G goal, X pit, dark cells are walls">{"".join(cells)}{agent}</svg>'
        '<p class="dlm-numbers" hidden></p><p class="dlm-values" hidden></p>'
        '<p class="dlm-said" role="status" hidden></p>'
    )


def cartpole(nets: Mapping[str, nn.Module], *, seed: int = 0) -> Playground:
    """Carts with poles, side by side, each balanced by a network in the reader's browser.

    Each network takes its greedy action every 0.02 seconds, without an end at 500 steps.

    Args:
        nets: a network a name, ``nn.Sequential`` of Linear, Tanh and ReLU layers from the 4
            numbers of an observation to a number for each of 2 actions.
        seed: of the starts, which are the same for all.

    Returns:
        A :class:`Playground`; as the last line of a cell it is displayed.

    Raises:
        ValueError: for no network, another layer, or other numbers of inputs and outputs.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> cartpole({"untrained": net})
        Playground cartpole: Carts with a pole, each pushed by a network: untrained.
    """
    if not nets:
        raise ValueError('cartpole needs a network with its name, as in {"trained": policy.actor}')
    layers = [{"name": name, "layers": _layers(name, net)} for name, net in nets.items()]
    data = {"nets": layers, "seed": seed, "metre": METRE}
    controls = [
        button("play", "Play")
        + button("restart", "Restart")
        + button("left", "Push left")
        + button("right", "Push right")
    ]
    title = f"Carts with a pole, each pushed by a network: {', '.join(nets)}."
    text = (
        "Fifty times a second the network pushes to the left or to the right. A pole has fallen "
        "beyond 12 degrees (dashed), a cart is lost beyond 2.4 metres; a second later it starts "
        "again. Your push adds 1 radian a second to the speed of every pole."
    )
    carts = "".join(_cart(name) for name in nets)
    picture = (
        "<style>.dlm-carts{display:flex;flex-wrap:wrap;gap:.5em 1.5em}"
        ".dlm-cart{flex:1 1 17em;min-width:0}"
        f".dlm-fallen .dlm-pole{{stroke:{PALETTE[1]};stroke-dasharray:5 3}}</style>"
        f'<div class="dlm-carts">{carts}</div><p class="dlm-said" role="status" hidden></p>'
    )
    return Playground("cartpole", data, title, text, controls, picture)


def _layers(name: str, net: nn.Module) -> list[Any]:
    """A network as JSON: its numbers with four digits."""
    modules = list(net) if isinstance(net, nn.Sequential) else [net]
    known = {nn.Tanh: "tanh", nn.ReLU: "relu"}
    if odd := [m for m in modules if type(m) not in (*known, nn.Linear)]:
        raise ValueError(
            f"the network {name!r} has a layer {type(odd[0]).__name__}; the browser computes "
            "Linear, Tanh and ReLU in an nn.Sequential (of a policy, give its .actor)"
        )
    linear = [m for m in modules if isinstance(m, nn.Linear)]
    sizes = (linear[0].in_features, linear[-1].out_features) if linear else None
    if sizes != (4, 2):
        raise ValueError(f"the network {name!r} must have 4 inputs and 2 outputs, got {sizes}")
    return [
        {"W": [_digits(row) for row in m.weight.tolist()], "b": _biases(m)}
        if isinstance(m, nn.Linear)
        else known[type(m)]
        for m in modules
    ]


def _biases(layer: nn.Linear) -> list[float]:
    return [0] * layer.out_features if layer.bias is None else _digits(layer.bias.tolist())


def _digits(row: Sequence[float]) -> list[float]:
    return [float(f"{w:.4g}") for w in row]


def _cart(name: str) -> str:
    """One cart in the middle of its track, the pole upright."""
    far, height = 2.4 * METRE, METRE
    lean = height * 0.2126  # tan 12°
    ink = 'fill="none" stroke="currentColor"'
    return (
        f'<div class="dlm-cart"><strong>{escape(name)}</strong>'
        f'<svg viewBox="{-far - 12:g} -82 {2 * far + 24:g} 112" role="img" style="max-width:420px" '
        f'aria-label="{escape(name)}: a cart with a pole on a track of 4.8 metres">'
        f'<path d="M {-far:g} 12 V 24 M {-far:g} 18 H {far:g} M {far:g} 12 V 24" {ink}/>'
        '<g class="dlm-moving">'
        f'<path d="M {-lean:.4g} {-height} L 0 0 L {lean:.4g} {-height}" {ink} '
        'stroke-opacity="0.5" stroke-dasharray="3 4"/>'
        '<rect x="-18" y="-2" width="36" height="20" rx="3" fill="currentColor" '
        'fill-opacity="0.7"/>'
        f'<path class="dlm-pole" d="M 0 0 V {-height}" fill="none" stroke="{PALETTE[0]}" '
        'stroke-width="5" stroke-linecap="round"/><circle r="4" fill="currentColor"/></g></svg>'
        '<p hidden><span class="dlm-now"></span> · <span class="dlm-longest"></span></p></div>'
    )
