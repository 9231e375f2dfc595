"""course_lib.policy_gradient against Gymnasium, slow double sums, exact gradients and torch."""

import gymnasium
import pytest
import torch
from torch import nn
from torch.distributions import Categorical

from course_lib import policy_gradient as lib
from course_lib.q_learning import GymVector, evaluate, gridworld, policy_values

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
devices = pytest.mark.parametrize("device", DEVICES)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(seed, *shape):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


# ---- the cart


@pytest.mark.parametrize("limit", [15, 500])  # the random cart falls after about 20 steps
def test_the_cart_moves_as_gymnasiums_to_the_last_digit(limit):
    theirs = gymnasium.make("CartPole-v1", max_episode_steps=limit)
    ours = lib.CartPole(1, limit=limit, dtype=torch.float64, device="cpu")
    theirs.reset(seed=0)
    ours.state = torch.tensor(theirs.unwrapped.state, dtype=torch.float64)[None]
    ends = {"terminated": 0, "truncated": 0}
    for action in torch.randint(2, (1500,), generator=generator()).tolist():
        obs, reward, terminated, truncated, _ = theirs.step(action)
        step = ours.step(torch.tensor([action]))
        wanted = torch.as_tensor(theirs.unwrapped.state, dtype=torch.float64)
        torch.testing.assert_close(step.reached[0], wanted, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(step.reached[0].float(), torch.from_numpy(obs))
        assert step.reward.item() == reward
        assert (step.terminated.item(), step.truncated.item()) == (terminated, truncated)
        ends["terminated"] += terminated
        ends["truncated"] += truncated
        if terminated or truncated:
            assert (step.obs.abs() <= 0.05).all() and not torch.equal(step.obs, step.reached)
            theirs.reset()
            ours.state = torch.tensor(theirs.unwrapped.state, dtype=torch.float64)[None]
        else:
            assert torch.equal(step.obs, step.reached)
    assert ends["terminated"] > 10 and (ends["truncated"] > 10) == (limit == 15)


@devices
def test_many_carts_move_as_each_by_itself(device):
    many = lib.CartPole(5, seed=3, device=device)
    starts = many.reset().clone()
    actions = torch.randint(2, (12, 5), generator=generator()).to(device)
    reached = [many.step(a).reached for a in actions]
    for i in range(5):
        one = lib.CartPole(1, device=device)
        one.state = starts[i : i + 1].clone()
        for t in range(12):
            torch.testing.assert_close(one.step(actions[t, i : i + 1]).reached[0], reached[t][i])


@devices
def test_starts_are_even_within_bounds_and_repeat_with_their_seed(device):
    env = lib.CartPole(20_000, seed=1, device=device)
    first = env.reset().clone()
    assert torch.equal(first, env.reset()) and not torch.equal(first, env.reset(2))
    assert first.device.type == device and first.abs().max() <= 0.05
    torch.testing.assert_close(
        first.std(0).cpu(), torch.full((4,), 0.1 / 12**0.5), rtol=0.02, atol=0
    )
    stays = lib.CartPole(3, device=device)
    kept = stays.reset()
    before = kept.clone()
    stays.step(torch.ones(3, dtype=torch.long, device=device))
    assert torch.equal(kept, before)  # what was handed out is not written over


# ---- policies


@pytest.mark.parametrize("seed", range(3))
def test_log_prob_and_entropy_equal_torchs(seed):
    logits = (3 * draw(seed, 4, 5, 3)).requires_grad_()
    action = torch.randint(3, (4, 5), generator=generator(seed))
    theirs = Categorical(logits=logits)
    torch.testing.assert_close(lib.log_prob(logits, action), theirs.log_prob(action))
    torch.testing.assert_close(lib._entropy(logits), theirs.entropy().mean())
    slopes = (
        torch.autograd.grad(f(action).sum(), logits)[0]
        for f in (lambda a: lib.log_prob(logits, a), theirs.log_prob)
    )
    torch.testing.assert_close(*slopes)


@devices
def test_actions_are_drawn_as_often_as_the_policy_says(device):
    logits = torch.tensor([0.0, 1.0, -2.0], device=device).expand(60_000, 3)
    action = lib.draw_actions(logits, generator())
    share = action.bincount(minlength=3) / 60_000
    torch.testing.assert_close(share, logits[0].softmax(0), atol=0.01, rtol=0)
    assert action.device.type == device
    assert torch.equal(action, lib.draw_actions(logits, generator()))


@devices
def test_a_new_policy_is_nearly_even_and_leaves_torchs_generator_alone(device):
    before = torch.get_rng_state()
    policy = lib.ActorCritic(4, 3, seed=5, device=device)
    assert torch.equal(before, torch.get_rng_state())
    logits, value = policy(torch.randn(7, 2, 4).to(device))
    assert logits.shape == (7, 2, 3) and value.shape == (7, 2)
    torch.testing.assert_close(
        logits.softmax(-1), torch.full_like(logits, 1 / 3), atol=0.02, rtol=0
    )
    assert torch.equal(policy.greedy(torch.zeros(2, 4, device=device)).cpu().diff(), torch.zeros(1))
    same, other = (lib.ActorCritic(4, 3, seed=s, device=device) for s in (5, 6))
    assert torch.equal(policy.actor[0].weight, same.actor[0].weight)
    assert not torch.equal(policy.actor[0].weight, other.actor[0].weight)


# ---- experience


@devices
def test_a_rollout_holds_what_was_seen_done_and_paid(device):
    policy = lib.ActorCritic(4, 2, device=device)
    env, again = (lib.CartPole(3, limit=6, device=device) for _ in range(2))
    played, last = lib.rollout(env, policy, env.reset(), 20, generator())
    assert played.obs.shape == played.reached.shape == (20, 3, 4)
    obs = again.reset()
    for t in range(20):
        assert torch.equal(played.obs[t], obs)
        step = again.step(played.action[t])
        kept = played.reward, played.terminated, played.truncated, played.reached
        for mine, theirs in zip(kept, step[1:], strict=True):
            assert torch.equal(mine[t], theirs)
        obs = step.obs
    assert torch.equal(last, obs)
    wanted = lib.log_prob(policy.actor(played.obs), played.action)
    torch.testing.assert_close(played.log_prob, wanted.detach())
    assert not played.log_prob.requires_grad
    assert torch.equal(played.flat().obs, played.obs.reshape(60, 4))


def test_episodes_are_alive_from_their_start_to_their_first_end():
    env = lib.CartPole(30, device="cpu")
    played, alive = lib.episodes(env, lib.ActorCritic(4, 2, device="cpu"), generator(), seed=4)
    ended = played.terminated | played.truncated
    for n in range(30):
        length = int(ended[:, n].nonzero()[0]) + 1
        assert alive[:, n].tolist() == [t < length for t in range(len(alive))]
    assert alive[-1].any()  # no step too many
    assert torch.equal(played.obs[0], lib.CartPole(30, device="cpu").reset(4))


def test_episodes_that_go_on_are_told():
    env = lib.CartPole(3, device="cpu")
    with pytest.raises(ValueError, match="3 episodes go on after 2 steps"):
        lib.episodes(env, lib.ActorCritic(4, 2, device="cpu"), generator(), limit=2)


# ---- what a step was worth


def lane_with_ends(seed, T=9, N=4):
    coin = torch.rand(2, T, N, generator=generator(seed))
    terminated, truncated = coin[0] < 0.2, coin[1] < 0.2
    return draw(seed, T, N), terminated, terminated | truncated


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gamma", [0.0, 0.7, 1.0])
def test_returns_to_go_are_double_sums(seed, gamma):
    reward, _, ended = lane_with_ends(seed)
    G = lib.returns_to_go(reward, ended, gamma)
    for n in range(4):
        for t in range(9):
            total = 0.0
            for k in range(t, 9):
                total += gamma ** (k - t) * reward[k, n].item()
                if ended[k, n]:
                    break
            assert G[t, n].item() == pytest.approx(total, abs=1e-12)


def k_step(reward, value, then, terminated, ended, gamma, t, k):
    """Advantage by k rewards and the value afterwards, and whether more rewards follow."""
    total = -value[t]
    for i in range(k):
        total = total + gamma**i * reward[t + i]
        last = ended[t + i] or t + i == len(reward) - 1
        if last or i == k - 1:
            future = 0.0 if terminated[t + i] else then[t + i]
            return total + gamma ** (i + 1) * future, not last


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lam", [0.0, 0.5, 0.95])
def test_gae_is_the_weighted_mean_of_k_step_estimates(seed, lam):
    reward, terminated, ended = lane_with_ends(seed)
    value, then = draw(seed + 50, 2, 9, 4)
    # V(s_{t+1}) is what the next step starts from, within an episode
    goes_on = ~ended[:-1]
    then[:-1][goes_on] = value[1:][goes_on]
    A = lib.gae(reward, value, then, terminated, ended, 0.9, lam)
    for n in range(4):
        lane = [x[:, n] for x in (reward, value, then, terminated, ended)]
        for t in range(9):
            total, k, more = 0.0, 0, True
            while more:
                k += 1
                estimate, more = k_step(*lane, 0.9, t, k)
                total += ((1 - lam) if more else 1.0) * lam ** (k - 1) * estimate
            assert A[t, n].item() == pytest.approx(total.item(), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_limits_of_lambda_are_one_step_and_all_rewards(seed):
    reward, terminated, _ = lane_with_ends(seed)
    terminated[-1] = True
    value = draw(seed + 9, 9, 4)
    then = torch.cat([value[1:], torch.zeros(1, 4, dtype=torch.float64)])
    A = lib.gae(reward, value, then, terminated, terminated, 0.9, 0.0)
    torch.testing.assert_close(A, reward + 0.9 * then * ~terminated - value)
    A = lib.gae(reward, value, then, terminated, terminated, 0.9, 1.0)
    torch.testing.assert_close(A, lib.returns_to_go(reward, terminated, 0.9) - value)


def test_truncation_leaves_the_value_and_termination_takes_it():
    one = torch.ones(1, 1)
    yes, no = one.bool(), ~one.bool()
    arguments = one, 5 * one, 10 * one
    assert lib.gae(*arguments, yes, yes, 0.9).item() == pytest.approx(1 - 5)
    assert lib.gae(*arguments, no, yes, 0.9).item() == pytest.approx(1 + 9 - 5)


# ---- gradients

WORLD = gridworld(["S.X", "..G"], goal=10.0, slip=0.2)


def table_policy(seed=0):
    policy = nn.Module()
    policy.actor = nn.Linear(6, 4, bias=False, dtype=torch.float64)
    with torch.no_grad():
        policy.actor.weight.copy_(0.3 * draw(seed, 4, 6))
    return policy


def exact_gradient(policy, gamma):
    chances = policy.actor.weight.T.softmax(1)  # (S, A)
    J = WORLD.start @ policy_values(WORLD, chances, gamma)
    return torch.autograd.grad(J, policy.actor.weight)[0].flatten()


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_sampled_gradients_have_the_exact_one_as_their_mean(gamma, baseline):
    policy, env = table_policy(), lib.TableWorld(WORLD, 8000)
    played, alive = lib.episodes(env, policy, generator(1))
    t = torch.arange(len(alive)).unsqueeze(1)
    weight = lib.returns_to_go(played.reward, played.terminated, gamma)
    if baseline:
        chances = policy.actor.weight.T.softmax(1).detach()
        weight = weight - played.obs @ policy_values(WORLD, chances, gamma)
    g = lib.episode_gradients(policy.actor, played, gamma**t * weight * alive)  # (N, 24)
    error = g.std(0) / len(g) ** 0.5
    z = (g.mean(0) - exact_gradient(policy, gamma)) / error.clamp(min=1e-9)
    assert z.abs().max() < 4.5 and g.norm() > 0


def test_gradients_of_episodes_are_those_that_autograd_finds_one_by_one():
    policy, env = lib.ActorCritic(4, 2, 8, device="cpu"), lib.CartPole(3, device="cpu")
    played, alive = lib.episodes(env, policy, generator())
    weight = torch.randn(alive.shape, generator=generator()) * alive
    rows = lib.episode_gradients(policy.actor, played, weight)
    for n in range(3):
        log_p = lib.log_prob(policy.actor(played.obs[:, n]), played.action[:, n])
        slopes = torch.autograd.grad((weight[:, n] * log_p).sum(), list(policy.actor.parameters()))
        torch.testing.assert_close(rows[n], torch.cat([s.flatten() for s in slopes]))


def test_the_written_world_is_played_by_its_table():
    env = lib.TableWorld(gridworld(["S.G"]), 2, limit=3)
    seen = [env.step(torch.tensor([2, 0])) for _ in range(3)]
    assert [s.reached.argmax(1).tolist() for s in seen] == [[1, 0], [2, 0], [1, 0]]
    assert [s.terminated.tolist() for s in seen] == [[False] * 2, [True, False], [False] * 2]
    assert [s.truncated.tolist() for s in seen] == [[False] * 2, [False] * 2, [False, True]]
    assert seen[1].obs.argmax(1).tolist() == [0, 0] and seen[1].reward.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clip", [0.1, 0.2])
def test_the_clipped_gain_has_no_slope_where_it_is_clipped(seed, clip):
    old, advantage = draw(seed, 500).clamp(max=0), draw(seed + 1, 500)
    new = (old + 0.4 * draw(seed + 2, 500)).requires_grad_()
    gain = lib.clipped_gain(new, old, advantage, clip)
    (slope,) = torch.autograd.grad(gain, new)
    ratio = (new - old).exp().detach()
    clipped = ((advantage > 0) & (ratio > 1 + clip)) | ((advantage < 0) & (ratio < 1 - clip))
    assert 50 < clipped.sum() < 450
    wanted = torch.where(clipped, 0.0, ratio * advantage) / 500
    torch.testing.assert_close(slope, wanted)


def test_at_ratio_one_the_gain_has_the_slope_of_the_policy_gradient():
    old, advantage = draw(0, 20), draw(1, 20)
    new = old.clone().requires_grad_()
    (slope,) = torch.autograd.grad(lib.clipped_gain(new, old, advantage), new)
    torch.testing.assert_close(slope, advantage / 20)


def test_normalised_and_interval():
    x = 3 + 7 * draw(0, 1000)
    assert abs(lib.normalised(x).mean()) < 1e-12
    assert lib.normalised(x).std().item() == pytest.approx(1, abs=1e-6)
    covered = 0
    for seed in range(400):
        mean, half = lib.interval(5 + draw(seed, 100))
        covered += abs(mean - 5) < half
    assert 0.91 < covered / 400 < 0.98
    with pytest.raises(ValueError, match="the spread of 1 returns is unknown"):
        lib.interval(torch.ones(1))


# ---- learners


def solved(update, policy, score):
    if update % 5 or not score["return"] > 300:
        return False
    env = lib.CartPole(100, seed=1000 + update, device="cpu")
    return evaluate(env, policy.greedy).mean() >= 475


def test_ppo_solves_gymnasiums_cart():
    env = lib.CartPole(128, device="cpu")
    policy = lib.ppo(env, minibatches=8, watch=solved, progress=False)
    returns = evaluate(lib.CartPole(100, seed=77, device="cpu"), policy.greedy)
    assert returns.mean() >= 450
    assert evaluate(GymVector("CartPole-v1", 5, device="cpu"), policy.greedy).mean() >= 400


LEARNERS = {
    "reinforce": lambda env, **s: lib.reinforce(env, updates=3, **s),
    "none": lambda env, **s: lib.reinforce(env, updates=3, baseline="none", **s),
    "value": lambda env, **s: lib.reinforce(env, updates=3, baseline="value", **s),
    "actor_critic": lambda env, **s: lib.actor_critic(env, updates=5, entropy=0.01, **s),
    "ppo": lambda env, **s: lib.ppo(env, updates=2, horizon=8, **s),
}


@devices
@pytest.mark.parametrize("name", LEARNERS)
def test_a_seed_repeats_a_run_and_another_does_not(name, device):
    def weights(seed):
        seen = []
        watch = lambda update, policy, score: seen.append((update, score["return"])) and None
        env = lib.CartPole(4, device=device)
        policy = LEARNERS[name](env, seed=seed, watch=watch, progress=False)
        assert [update for update, _ in seen] == list(range(1, len(seen) + 1))
        return torch.cat([p.detach().flatten() for p in policy.parameters()])

    one = weights(0)
    assert one.device.type == device and one.isfinite().all()
    torch.testing.assert_close(one, weights(0), rtol=0, atol=0 if device == "cpu" else 1e-4)
    assert not torch.equal(one, weights(1))


def test_reinforce_takes_the_step_of_its_formula():
    env, start = lib.CartPole(6, device="cpu"), lib.ActorCritic(4, 2, device="cpu")
    played, alive = lib.episodes(env, start, generator(), seed=6)
    ended = played.terminated | played.truncated
    G = lib.returns_to_go(played.reward, ended, 0.99)
    weight = torch.zeros_like(G)
    for t in range(len(G)):
        for n in range(6):
            if alive[t, n]:
                others = [G[t, m] for m in range(6) if m != n and alive[t, m]]
                weight[t, n] = G[t, n] - (sum(others) / len(others) if others else 0.0)
    optimizer = torch.optim.Adam(start.parameters(), 3e-3)
    gain = lib.log_prob(start.actor(played.obs), played.action) * weight
    (-gain.sum(0).mean()).backward()
    optimizer.step()
    policy = lib.reinforce(env, updates=1, progress=False)
    for ours, theirs in zip(start.actor.parameters(), policy.actor.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_watch_that_returns_true_ends_the_training():
    seen = []
    watch = lambda update, policy, score: seen.append(update) or update == 2
    for learn in (lib.reinforce, lib.actor_critic, lib.ppo):
        learn(lib.CartPole(4, device="cpu"), updates=9, watch=watch, progress=False)
    assert seen == [1, 2] * 3


def test_score_counts_returns_over_the_borders_of_rollouts():
    env, policy = lib.CartPole(5, device="cpu"), lib.ActorCritic(4, 2, device="cpu")
    played, _ = lib.rollout(env, policy, env.reset(), 60, generator())
    whole = lib.Score(env).add(played)
    score, means, counts = lib.Score(env), [], []
    for t in range(0, 60, 6):
        piece = lib.Rollout(*(getattr(played, f)[t : t + 6] for f in lib.Rollout.__annotations__))
        counts.append(int((piece.terminated | piece.truncated).sum()))
        means.append(score.add(piece) if counts[-1] else 0 * score.add(piece))
    total = sum(m * c for m, c in zip(means, counts, strict=True) if c)
    assert total / sum(counts) == pytest.approx(whole)


def test_another_baseline_is_told():
    with pytest.raises(ValueError, match="baseline must be one of none, mean, value, got 'median'"):
        lib.reinforce(lib.CartPole(2, device="cpu"), baseline="median")


def test_a_cart_is_drawn_where_it_is():
    from course_lib.plotting import subplots

    ax = subplots()[1]
    lib.draw_cart(ax, torch.tensor([1.0, 0.0, 0.1, 0.0]), "red")
    foot, top = ax.lines[-1].get_xydata()
    assert foot[0] == 1.0 and top[0] > 1.0 and abs(((top - foot) ** 2).sum() - 1) < 1e-9
