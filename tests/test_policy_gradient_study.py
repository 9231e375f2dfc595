"""course_lib.studies.policy_gradient and _many_worlds: what they count, by hand and by loops."""

import pytest
import torch

from course_lib.policy_gradient import ActorCritic, CartPole, episodes, log_prob
from course_lib.q_learning import evaluate
from course_lib.studies import _many_worlds as worlds
from course_lib.studies import policy_gradient as study


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_interval_by_hand():
    mean, error = study.mean_and_error(torch.tensor([1.0, 3.0, 5.0, 7.0]))
    assert mean == 4
    assert error == pytest.approx(1.96 * (20 / 3) ** 0.5 / 2)


def test_the_rule_is_a_linear_policy():
    obs = torch.randn(100, 4, generator=draws())
    assert torch.equal(study.rule(obs), study.linear(torch.tensor([0.0, 0.0, 1.0, 1.0]))(obs))


def test_unending_tells_the_limit_as_an_end():
    plain, unending = (world(3, 5, limit=4, device="cpu") for world in (CartPole, study.Unending))
    for t in range(1, 9):
        a, b = (env.step(torch.tensor([0, 1, t % 2])) for env in (plain, unending))
        assert torch.equal(a.obs, b.obs) and torch.equal(a.reached, b.reached)
        assert torch.equal(b.terminated, a.terminated | a.truncated)
        assert not b.truncated.any()
        assert a.truncated.all() == (t % 4 == 0)


class Same:
    """A policy that does not learn, as a learner shows it."""

    def __init__(self, greedy):
        self.greedy = greedy


def test_looks_stop_at_the_first_that_is_solved():
    looks = study.Looks(0, "cpu", lambda info: 1000, stop=True)
    falls, stands = Same(lambda obs: obs[:, 0].long()), Same(study.rule)
    assert [looks(u, falls, {}) for u in range(4)] == [False] * 4
    assert len(looks.means) == 1 and looks.means[0] < 20 and not looks.found
    assert looks(4, stands, {})  # the second look was due at 4,096
    assert looks.found["steps"] == looks.taken == 5000


def test_looks_go_on_to_the_end_of_the_budget():
    looks = study.Looks(0, "cpu", lambda info: 81_920, stop=False)
    good = Same(study.linear(torch.tensor([0.1, 0.3, 1.0, 1.0])))
    ended = [looks(u, good, {}) for u in range(3)]
    assert ended == [False, False, True]
    assert looks.means == [500.0] * 3
    assert looks.found == {"steps": 81_920, "hundred": 500.0, "hundred_error": 0.0}


def test_random_search_finds_a_policy_and_counts_its_steps():
    looks = study.Looks(109, "cpu", None, stop=True)
    policy = study.guess(looks, draws(109))
    assert looks.found["steps"] == looks.taken >= 16 * study.SOLVED
    assert study.fresh(policy, 50, 1, "cpu").mean() > 450


@pytest.fixture(scope="module")
def played():
    policy = ActorCritic(4, 2, hidden=8, seed=1, device="cpu")
    return policy, *episodes(CartPole(32, 3, device="cpu"), policy, draws(2))


def test_weights_are_those_of_a_slow_loop(played):
    policy, rows, alive = played
    unit = 7.0
    found = dict(zip(study.WAYS, study.weights(policy, rows, alive, unit), strict=True))
    length = alive.sum(0)
    with torch.no_grad():
        value = unit * policy.critic(rows.obs).squeeze(-1)
        then = unit * policy.critic(rows.reached).squeeze(-1)
    for n in (0, 5, 17, 31):
        T, group = int(length[n]), range(n // 16 * 16, n // 16 * 16 + 16)
        A = torch.zeros(T + 1)
        for t in reversed(range(T)):
            others = [float(length[m]) - t for m in group if m != n and length[m] > t]
            mean = sum(others) / max(len(others), 1)
            delta = 1 + (then[t, n] if t < T - 1 else 0) - value[t, n]
            A[t] = delta + 0.95 * A[t + 1]
            assert found["return"][t, n] == T
            assert found["to go"][t, n] == T - t
            assert found["mean"][t, n].item() == pytest.approx(T - t - mean, abs=1e-4)
            assert torch.allclose(found["value"][t, n], T - t - value[t, n], atol=1e-3)
            assert torch.allclose(found["0"][t, n], delta, atol=1e-4)
            assert torch.allclose(found["0.95"][t, n], A[t], atol=1e-3)
        assert not any(w[T:, n].any() for w in found.values())


def test_gradients_are_those_of_one_loss_a_batch(played):
    policy, rows, alive = played
    weight = study.weights(policy, rows, alive, 7.0)
    g = study.gradients(policy, rows, alive, weight)
    assert g.shape == (2, len(study.WAYS), sum(p.numel() for p in policy.actor.parameters()))
    for k, e in ((0, 1), (1, 2), (1, 6)):
        some = slice(16 * k, 16 * k + 16)
        terms = log_prob(policy.actor(rows.obs[:, some]), rows.action[:, some])
        gain = (terms * weight[e][:, some]).sum(0).mean()
        wanted = torch.autograd.grad(gain, list(policy.actor.parameters()))
        wanted = torch.cat([part.flatten() for part in wanted])
        assert torch.allclose(g[k, e], wanted, rtol=1e-4, atol=1e-4)


def test_noise_of_normal_numbers():
    """Around a vector of length 5, with standard deviation 2 in each of 50 directions."""
    truth = torch.zeros(50)
    truth[0] = 5
    g = truth + 2 * torch.randn(4000, 50, generator=draws())
    ratio, one, many = study.noise(g, g)
    assert ratio == pytest.approx(50 * 4 / 25, rel=0.03)
    assert one == pytest.approx(5 / (25 + 200) ** 0.5, abs=0.01)
    assert many > 0.99


def test_values_are_fitted_to_returns():
    policy = ActorCritic(4, 2, hidden=16, device="cpu")
    obs = torch.randn(3000, 4, generator=draws())
    G = 1 + obs[:, 0] - 0.5 * obs[:, 1] ** 2
    before = policy.actor[0].weight.clone()
    study.fit_values(policy, obs, G, draws(1))
    error = (policy.critic(obs).squeeze(1) - G).square().mean()
    assert error < 0.1 * G.var()
    assert torch.equal(policy.actor[0].weight, before)


def test_half_trained_stops_where_it_should():
    policy = study.half_trained(40.0, 0, "cpu")
    _, alive = episodes(CartPole(200, 9, device="cpu"), policy, draws())
    assert 25 < alive.sum(0).double().mean() < 120


def states(*degrees):
    """States whose poles lean by so many degrees."""
    out = torch.zeros(len(degrees), 4)
    out[:, 2] = torch.tensor(degrees) * torch.pi / 180
    return out


def test_rescues_and_losses_by_hand():
    before, after = states(0.0, 4.0, -4.0, 2.0, 5.0), states(2.0, 2.0, 1.0, -3.5, 6.0)
    assert study.upright(before, after).tolist() == [True, True, True, False, False]
    assert study.rescued(before, after).tolist() == [False, True, True, False, False]
    assert study.lost(before, after).tolist() == [False, False, False, True, False]
    assert study.pay_for(20, 5)(before, after).tolist() == [1, 21, 21, -4, 1]


def test_bonus_and_fine_are_a_difference_of_potentials():
    """20 times whether it is upright: over an episode from upright they sum to 0 or to -20."""
    generator = draws(4)
    env = study.Paid(50, study.pay_for(20, 20), 1, "cpu")
    fall = lambda obs: torch.randint(2, (len(obs),), generator=generator)
    paid = evaluate(env, fall)
    generator.manual_seed(4)
    steps = evaluate(CartPole(50, 1, device="cpu"), fall)
    extra = (paid - steps).unique().tolist()
    assert extra == [-20.0]  # each random episode ends with a fall


def test_the_rule_is_judged_by_what_is_paid_and_wanted():
    found = study.paid_run(0, 20.0, 0.0, learn=False, device="cpu")
    assert 475 < found["upright_60"] <= found["paid_60"]
    assert found["upright_60"] <= found["steps"] <= 500


@pytest.mark.parametrize("world", ["tensor", "gymnasium", "gymnasium vector"])
def test_each_kind_of_world_is_stepped(world):
    found = worlds.speed_run(0, world, 1 if world == "gymnasium" else 4, "cpu", at_least=0.01)
    assert found["million_a_second"] > 0


def test_many_worlds_say_what_they_took():
    found = worlds.worlds_run(0, 8, "cpu", updates=2)
    assert found["updates"] == 2 and found["steps"] == 2 * 32 * 8
    assert found["learning"] > 0 and found["looking"] > 0
    assert found["million_a_second"] == pytest.approx(512 / found["learning"] / 1e6)
