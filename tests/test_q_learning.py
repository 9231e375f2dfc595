"""course_lib.q_learning against linear algebra, slow loops, Gymnasium's own steps and theory."""

import itertools

import gymnasium
import pytest
import torch

from course_lib import q_learning as lib
from course_lib.plotting import subplots

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
WALK = ["X..S..G"]  # Sutton & Barto 2018, example 6.2: five states between two ends


def draws(seed):
    return torch.Generator().manual_seed(seed)


def random_world(seed, S=6, A=3):
    """A world in which everything leads anywhere, and the last state ends it."""
    P = torch.rand(S, A, S, generator=draws(seed), dtype=torch.float64)
    R = torch.randn(S, A, S, generator=draws(seed + 100), dtype=torch.float64)
    last = torch.arange(S) == S - 1
    return lib.MDP(P / P.sum(2, keepdim=True), R, last, (~last).double() / (S - 1))


# ---- bandits


def run(rule, steps=2000, agents=100, means=(0.0, 0.5, 1.0)):
    return lib.play_bandit(torch.tensor(means), rule, steps, agents)


def test_regret_is_what_the_pulled_arms_lack():
    means = torch.tensor([0.2, -1.0, 0.7])
    out = lib.play_bandit(means, lib.greedy_rule(0.5), steps=40, agents=3, seed=4)
    for arms, regret in zip(out["arms"].tolist(), out["regret"].tolist(), strict=True):
        total = 0.0
        for arm, so_far in zip(arms, regret, strict=True):
            total += 0.7 - means[arm].item()
            assert so_far == pytest.approx(total, abs=1e-5)
        assert arms[:3] == [0, 1, 2]


def test_a_greedy_rule_goes_wrong_for_ever_and_epsilon_pays_at_a_constant_rate():
    never, often = run(lib.greedy_rule(0.0))["regret"], run(lib.greedy_rule(0.2))["regret"]
    late = (often[:, -1] - often[:, 999]).mean() / 1001
    assert late == pytest.approx(0.2 * 0.5, rel=0.15)  # ε times the mean lack, 0.5
    assert never[:, -1].std() > 5 * often[:, -1].std()  # some never find the best arm


@pytest.mark.parametrize(("rule", "times"), [(lib.ucb_rule(), 2.5), (lib.thompson_rule(), 1.5)])
def test_ucb_and_thompson_pay_in_the_logarithm_of_time(rule, times):
    regret = run(rule, steps=4000)["regret"].mean(0)
    slope = (regret[3999] - regret[399]) / torch.tensor(10.0).log()
    bound = lib.lai_robbins(torch.tensor([0.0, 0.5, 1.0]))
    assert bound == 6.0
    assert 0.4 * bound < slope < times * bound


def test_ucb_takes_the_highest_upper_end():
    counts, averages = torch.tensor([[4.0, 1.0, 2.0]]), torch.tensor([[1.0, 0.0, 0.9]])
    ends = [a + (2 * torch.tensor(7.0).log() / n) ** 0.5 for a, n in ((1, 4), (0, 1), (0.9, 2))]
    choice = lib.ucb_rule()(7, counts, averages, draws(0))
    assert choice.item() == max(range(3), key=ends.__getitem__)


def test_epsilon_greedy_takes_the_best_ties_evenly_and_others_by_epsilon():
    Q = torch.tensor([1.0, 3.0, 3.0, 0.0]).expand(40_000, -1)
    share = torch.bincount(lib.epsilon_greedy(Q, 0.2, draws(1)), minlength=4) / 40_000
    torch.testing.assert_close(share, torch.tensor([0.05, 0.45, 0.45, 0.05]), atol=0.01, rtol=0)


def test_too_few_pulls_are_refused():
    with pytest.raises(ValueError, match="each of the 3 arms is pulled once: steps must be 3"):
        run(lib.ucb_rule(), steps=2)


# ---- worlds that are known


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("device", DEVICES)
def test_both_iterations_reach_the_values_of_a_linear_solve(seed, device):
    world = random_world(seed).to(device)
    v, sweeps = lib.value_iteration(world, gamma=0.9)
    again, policy, rounds = lib.policy_iteration(world, gamma=0.9)
    torch.testing.assert_close(v, again, atol=1e-8, rtol=0)
    torch.testing.assert_close(v, lib.policy_values(world, policy, 0.9), atol=1e-8, rtol=0)
    assert (policy == lib.action_values(world, v, 0.9).argmax(1))[:-1].all()
    assert sweeps > rounds and v.device.type == device


@pytest.mark.parametrize("seed", range(3))
def test_no_policy_of_all_is_better_than_policy_iterations(seed):
    world = random_world(seed, S=4, A=2)
    v, _, _ = lib.policy_iteration(world, gamma=0.8)
    every = torch.cartesian_prod(*[torch.arange(2)] * 4)
    values = torch.stack([lib.policy_values(world, policy, 0.8) for policy in every])
    torch.testing.assert_close(v, values.max(0).values)


@pytest.mark.parametrize("seed", range(3))
def test_action_values_equal_a_slow_loop(seed):
    world = random_world(seed)
    v, gamma = torch.randn(6, generator=draws(seed), dtype=torch.float64), 0.7
    Q = lib.action_values(world, v, gamma)
    for s in range(6):
        for a in range(3):
            total = 0.0
            for then in range(6):
                future = 0.0 if then == 5 else v[then].item()
                total += world.P[s, a, then] * (world.R[s, a, then] + gamma * future)
            assert Q[s, a] == pytest.approx(0.0 if s == 5 else total.item())


@pytest.mark.parametrize("seed", range(3))
def test_a_backup_brings_values_closer_by_gamma(seed):
    world = random_world(seed)
    u, v = torch.randn(2, 6, generator=draws(seed), dtype=torch.float64)
    moved = [lib.action_values(world, x, 0.6).max(1).values for x in (u, v)]
    assert (moved[0] - moved[1]).abs().max() <= 0.6 * (u - v).abs().max()


def test_values_of_a_policy_are_the_means_of_its_returns():
    world = random_world(1)
    policy = torch.ones(6, 3).double() / 3
    v = lib.policy_values(world, policy, gamma=0.9)
    played = lib.monte_carlo(lib.play(world, policy, 20_000), 6, gamma=0.9)
    torch.testing.assert_close(played[-1], v, atol=0.06, rtol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FrozenLake-v1", {"is_slippery": True}),
        ("FrozenLake-v1", {"is_slippery": False, "map_name": "8x8"}),
        ("CliffWalking-v1", {}),
    ],
)
def test_a_world_from_gymnasium_does_what_its_steps_do(name, options):
    env = gymnasium.make(name, **options)
    world = lib.MDP.from_gym(env)
    chance = torch.rand(600, generator=draws(0)).tolist()
    seen, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for u in chance:
        if u < 0.1:  # start from any state that goes on
            seen = env.unwrapped.s = int((~world.terminal).nonzero()[int(u * 1e4) % 11])
        action = int(env.action_space.sample())
        then, reward, over, _, info = env.step(action)
        assert world.P[seen, action, then] == pytest.approx(info["prob"], abs=1e-6) or (
            world.P[seen, action, then] > info["prob"]  # several ways to one state
        )
        assert world.R[seen, action, then] == reward
        assert world.terminal[then] == over
        seen = env.reset()[0] if over else then


def test_several_ways_to_one_state_pay_their_mean():
    """On the slippery cliff a push at the start leads back to it over the edge and by the wall."""
    env = gymnasium.make("CliffWalking-v1", is_slippery=True).unwrapped
    world = lib.MDP.from_gym(env)
    for s, a in ((36, 0), (36, 2), (36, 3)):
        assert len({way[1] for way in env.P[s][a]}) < 3
        mean = sum(chance * reward for chance, _, reward, _ in env.P[s][a])
        assert (world.P[s, a] * world.R[s, a]).sum().item() == pytest.approx(mean)


def test_an_environment_without_a_table_is_refused():
    with pytest.raises(ValueError, match="CartPoleEnv has no table"):
        lib.MDP.from_gym(gymnasium.make("CartPole-v1"))


def test_a_gridworld_slips_to_both_sides_and_stops_at_walls():
    world = lib.gridworld(["S.", "#G"], goal=5.0, slip=0.2)
    right, down = lib.ACTIONS.index("right"), lib.ACTIONS.index("down")
    torch.testing.assert_close(world.P[0, right], torch.tensor([0.2, 0.8, 0, 0]).double())
    torch.testing.assert_close(world.P[0, down], torch.tensor([0.9, 0.1, 0, 0]).double())
    assert world.R[1, down, 3] == 4.0 and world.terminal.tolist() == [False] * 3 + [True]


def test_worlds_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="rows must be of one length"):
        lib.gridworld(["S.", "G"])
    world = random_world(0)
    with pytest.raises(ValueError, match=r"state 2, action 1 sum to 2, not to 1"):
        P = world.P.clone()
        P[2, 1] *= 2
        lib.MDP(P, world.R, world.terminal, world.start)
    stay = torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="the policy never ends"):
        lib.policy_values(lib.gridworld(["S.G"]), stay, gamma=1.0)


# ---- learning from episodes


def walk(pays_right=1.0):
    world = lib.gridworld(WALK, step=0.0, goal=pays_right, pit=0.0)
    policy = torch.tensor([0.5, 0.0, 0.5, 0.0]).double().expand(7, -1)
    return world, policy, torch.tensor([0, 1, 2, 3, 4, 5, 0]).double() / 6


@pytest.mark.parametrize("device", DEVICES)
def test_monte_carlo_and_td_find_the_values_of_the_random_walk(device):
    world, policy, exact = walk()
    torch.testing.assert_close(lib.policy_values(world, policy, 1.0), exact)
    episodes = lib.play(world.to(device), policy.to(device), 4000, seed=2)
    by_returns = lib.monte_carlo(episodes, 7, gamma=1.0)[-1]
    by_steps = lib.td_prediction(episodes, 7, gamma=1.0, alpha=0.005)[-1]
    torch.testing.assert_close(by_returns, exact, atol=0.03, rtol=0)
    torch.testing.assert_close(by_steps, exact, atol=0.06, rtol=0)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_first_visits_equal_a_slow_search(gamma):
    world, policy, _ = walk()
    episodes = lib.play(world, policy, 30, seed=5)
    for s in range(1, 6):
        found = []
        for states, rewards, _ in episodes:
            if s in states:
                t = states.index(s)
                found.append(sum(gamma**k * r for k, r in enumerate(rewards[t:])))
        v = lib.monte_carlo(episodes, 7, gamma)[-1, s]
        assert v == pytest.approx(sum(found) / len(found))


def test_td_looks_past_the_time_limit_but_not_past_an_end():
    cut = lib.Episode([0, 1], [1.0], terminated=False)
    over = lib.Episode([0, 1], [1.0], terminated=True)
    look = {"states": 2, "gamma": 0.5, "alpha": 1.0, "start": 8.0}
    assert lib.td_prediction([cut], **look)[-1].tolist() == [5.0, 8.0]
    assert lib.td_prediction([over], **look)[-1].tolist() == [1.0, 8.0]
    with pytest.raises(ValueError, match="episode 0 was cut off after 1 steps"):
        lib.monte_carlo([cut], 2, gamma=0.5)


def test_episodes_that_are_played_fit_the_world():
    world, policy, _ = walk()
    for states, rewards, over in lib.play(world, policy, 50, seed=3, limit=9):
        assert states[0] == 3 and len(states) == len(rewards) + 1 <= 10
        assert all(abs(a - b) == 1 for a, b in itertools.pairwise(states))
        assert over == (states[-1] in (0, 6))
        assert sum(rewards) == (states[-1] == 6)


@pytest.mark.parametrize("method", lib.CONTROLS)
def test_control_equals_a_plain_loop_with_the_same_draws(method):
    world = lib.gridworld(["S..", ".X.", "..G"], goal=5.0, slip=0.2)
    alpha, epsilon, gamma, limit = 0.3, 0.3, 0.9, 7
    out = lib.td_control(
        world, method, episodes=20, alpha=alpha, epsilon=epsilon, gamma=gamma, limit=limit, seed=3
    )
    g, Q = draws(3), torch.zeros(9, 4).double()
    choose = lambda s: lib.epsilon_greedy(Q[s], epsilon, g)
    s, lengths = world.begin(1, g), [0]
    a = choose(s)
    while True:
        then, r, over = world.step(s, a, g)
        after = choose(then)
        future = {
            "q_learning": Q[then].max(),
            "sarsa": Q[then, after],
            "expected_sarsa": epsilon * Q[then].mean() + (1 - epsilon) * Q[then].max(),
        }[method]
        Q[s, a] += alpha * (r + (0 if over else gamma * future) - Q[s, a])
        lengths[-1] += 1
        ended = bool(over) or lengths[-1] == limit
        begin = world.begin(1, g)
        s = begin if ended else then
        fresh = choose(s)
        a = after if method == "sarsa" and not ended else fresh
        if ended:
            if len(lengths) == 20:
                break
            lengths.append(0)
    torch.testing.assert_close(out["Q"][0], Q)
    assert out["lengths"][0].tolist() == lengths
    assert max(lengths) == limit > min(lengths)


@pytest.mark.parametrize("device", DEVICES)
def test_random_steps_teach_q_learning_the_optimal_values(device):
    world = lib.gridworld(["S.#", "..X", "..G"], step=-0.1, goal=1.0).to(device)
    v, _ = lib.value_iteration(world, gamma=0.9)
    out = lib.td_control(world, episodes=300, alpha=1.0, epsilon=1.0, gamma=0.9, agents=4)
    reached = torch.tensor([s for s, c in enumerate("S.#..X..G") if c in "S."])
    wanted = lib.action_values(world, v, 0.9)[reached].expand(4, -1, -1)
    torch.testing.assert_close(out["Q"][:, reached], wanted)
    assert out["returns"].device.type == device


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method must be one of q_learning, sarsa, expected_sarsa"):
        lib.td_control(lib.gridworld(["SG"]), "dyna")


# ---- worlds without a table


@pytest.mark.parametrize("device", DEVICES)
def test_reached_is_gymnasiums_last_observation_and_obs_the_next_first(device):
    vector = lib.GymVector("CartPole-v1", count=3, seed=5, device=device, max_episode_steps=12)
    plain = [gymnasium.make("CartPole-v1", max_episode_steps=12) for _ in range(3)]
    first = torch.tensor([e.reset(seed=5 + i)[0].tolist() for i, e in enumerate(plain)])
    torch.testing.assert_close(vector.reset().cpu(), first)
    ends = {"terminated": 0, "truncated": 0}
    actions = torch.randint(2, (60, 3), generator=draws(0))
    actions[:, 0] = torch.arange(60) % 2  # this pole stands until the time is up
    for action in actions:
        step = vector.step(action.to(device))
        for i, env in enumerate(plain):
            obs, reward, terminated, truncated, _ = env.step(int(action[i]))
            torch.testing.assert_close(step.reached[i].cpu(), torch.tensor(obs))
            assert step.reward[i] == reward
            assert (step.terminated[i].item(), step.truncated[i].item()) == (terminated, truncated)
            ends["terminated"] += terminated
            ends["truncated"] += truncated
            if terminated or truncated:
                obs, _ = env.reset()
            torch.testing.assert_close(step.obs[i].cpu(), torch.tensor(obs))
    assert min(ends.values()) > 0
    assert step.obs.device.type == device and step.terminated.dtype == torch.bool


def test_other_environments_are_refused():
    with pytest.raises(ValueError, match=r"FrozenLake-v1 has observations Discrete\(16\)"):
        lib.GymVector("FrozenLake-v1")


def test_evaluate_counts_the_first_episode_alone():
    env = lib.GymVector("CartPole-v1", count=4, seed=9, device="cpu")
    left = lambda obs: torch.zeros(len(obs), dtype=torch.long)
    wanted = []
    for i in range(4):
        plain = gymnasium.make("CartPole-v1")
        plain.reset(seed=9 + i)
        wanted.append(1.0)
        while not any(plain.step(0)[2:4]):
            wanted[-1] += 1.0
    assert lib.evaluate(env, left).tolist() == wanted
    with pytest.raises(ValueError, match="4 of 4 episodes go on after 3 steps"):
        lib.evaluate(env, left, limit=3)


# ---- deep Q-learning


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_targets_equal_a_slow_loop(seed, double, device):
    online, frozen = (lib.q_network(4, 3, hidden=8, seed=seed + k).to(device) for k in (0, 50))
    reached = torch.randn(32, 4, generator=draws(seed)).to(device)
    reward = torch.randn(32, generator=draws(seed + 1)).to(device)
    over = (torch.rand(32, generator=draws(seed + 2)) < 0.3).to(device)
    came = lib.q_targets(reward, over, reached, online, frozen, 0.9, double)
    assert came.shape == (32,) and not came.requires_grad
    for b in range(32):
        Q, Q_old = online(reached[b]).tolist(), frozen(reached[b]).tolist()
        chosen = max(range(3), key=(Q if double else Q_old).__getitem__)
        wanted = reward[b].item() + (0 if over[b] else 0.9 * Q_old[chosen])
        assert came[b].item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_the_ring_keeps_the_newest(device):
    ring = lib.Replay(5, features=1, device=device)
    for k in range(4):  # two rows at a time: 0 and 1, 2 and 3, 4 and 5, 6 and 7
        x = torch.tensor([[2.0 * k], [2.0 * k + 1]], device=device)
        ends = torch.tensor([False, True], device=device)
        ring.add(x, x[:, 0].long() % 2, lib.Step(x + 100, x[:, 0], ends, ~ends, x + 0.5))
    assert len(ring) == 5
    obs, action, reward, terminated, reached = ring.newest(5)
    assert obs[:, 0].tolist() == [3, 4, 5, 6, 7] == reward.tolist()
    assert action.tolist() == [1, 0, 1, 0, 1] and terminated.tolist() == [True, False] * 2 + [True]
    torch.testing.assert_close(reached, obs + 0.5)  # not where the next step starts
    drawn = ring.sample(5000, draws(0))[0]
    shares = torch.bincount(drawn[:, 0].long(), minlength=8)[3:] / 5000
    assert (shares - 0.2).abs().max() < 0.03


class OneStep:
    """Two kinds of observation; action 1 pays its sign. Every episode ends after one step."""

    features, actions, count = 1, 2, 8

    def __init__(self, device):
        self.draws, self.device = draws(0), device

    def reset(self):
        kinds = torch.randint(2, (self.count, 1), generator=self.draws)
        self.obs = (2.0 * kinds - 1).to(self.device)
        return self.obs

    def step(self, action):
        reward, over = self.obs[:, 0] * action, torch.ones_like(action, dtype=torch.bool)
        reached = self.obs
        return lib.Step(self.reset(), reward, over, ~over, reached)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("replay", [0, 500])
@pytest.mark.parametrize("huber", [False, True])
def test_dqn_learns_a_world_of_one_step(replay, huber, device):
    net = lib.dqn(
        OneStep(device), steps=400, replay=replay, huber=huber, warmup=20, hidden=16, lr=0.01
    )
    Q = net(torch.tensor([[-1.0], [1.0]], device=device)).cpu()
    torch.testing.assert_close(Q, torch.tensor([[0.0, -1], [0, 1]]), atol=0.1, rtol=0)


def test_the_same_seed_gives_the_same_network_and_leaves_torchs_draws_alone():
    before = torch.get_rng_state()
    nets = [
        lib.dqn(lib.GymVector("CartPole-v1", device="cpu"), steps=120, warmup=80, seed=seed)
        for seed in (0, 0, 1)
    ]
    one, two, other = (torch.cat([w.flatten() for w in net.parameters()]) for net in nets)
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_a_replay_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="replay must hold a batch of 64, got 10"):
        lib.dqn(OneStep("cpu"), replay=10)


# ---- pictures


def test_a_grid_shows_arrows_letters_and_values():
    _, ax = subplots()
    v, policy = torch.tensor([0.25, 0.5, 1.0, 0.0]), torch.tensor([2, 1, 0, -1])
    lib.draw_grid(ax, ["S.", "#G"], v, policy, digits=2)
    assert [t.get_text() for t in ax.texts] == ["→\n0.25", "↓\n0.50", "", "G"]
    paint = [patch.get_facecolor()[3] for patch in ax.patches]
    assert paint[:2] == pytest.approx([0.2, 0.4]) and paint[3] == 0
