"""Games on Fashion-MNIST at scale: what is drawn, and what stands beside it."""

import torch

from course_lib.gan import Generator
from course_lib.studies import _fashion_gan as study


def test_normal_pixels_have_the_mean_and_covariance_of_the_pictures():
    draws = torch.Generator().manual_seed(0)
    X = 0.1 * torch.randn(4000, 1, 3, 3, generator=draws)
    X[:, 0, 0, 1] += X[:, 0, 0, 0]  # two pixels that go together
    found = study.normal_pixels(X + 0.2, 20_000, draws)
    assert found.shape == (20_000, 1, 3, 3) and found.abs().max() <= 1
    torch.testing.assert_close(found.mean(0), X.mean(0) + 0.2, atol=0.01, rtol=0)
    covs = (x.flatten(1).T.cov() for x in (found, X))
    torch.testing.assert_close(*covs, atol=1e-3, rtol=0)


def test_samples_come_from_the_seed_with_classes_in_turn_and_leave_the_mode():
    torch.manual_seed(0)
    G = Generator(study.LATENT, 28, 4, classes=study.CLASSES, device="cpu")
    x, y = study.drawn(G, 1200, 3, "cpu")
    again, _ = study.drawn(G, 1200, 3, "cpu")
    assert x.shape == (1200, 1, 28, 28) and torch.equal(x, again) and G.training
    assert torch.equal(y, torch.arange(1200) % 10)
    plain, none = study.drawn(Generator(study.LATENT, 28, 4, device="cpu"), 5, 0, "cpu")
    assert plain.shape == (5, 1, 28, 28) and none is None


def test_every_number_of_a_game_is_there(monkeypatch):
    pictures = torch.rand(80, 1, 28, 28), torch.arange(80) % 10
    monkeypatch.setattr(study, "pictures", lambda device: (*pictures, *pictures))
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 6), torch.nn.Linear(6, 10))
    monkeypatch.setattr(study, "judge", lambda device: net)
    for name, value in {"JUDGED": 20, "CLOUD": 20, "CHECKPOINTS": (1, 2)}.items():
        monkeypatch.setattr(study, name, value)
    for classes in (0, 10):
        found = study.game_run(0, classes, 1e-3, steps=2, choosing=True, device="cpu")
        assert {"fd_1", "fd_2", "precision", "recall", "cpu_seconds"} <= set(found)
        assert ("right" in found) == bool(classes)
    rivals = [study.rival_run(0, name, device="cpu") for name in ("one picture", "blurred")]
    assert rivals[0]["recall"] == 0 and rivals[0]["fd"] > rivals[1]["fd"] >= 0
    assert rivals == [study.rival_run(0, name, device="cpu") for name in ("one picture", "blurred")]
