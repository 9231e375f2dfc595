"""course_lib.q_learning against torch, finite differences and its own word."""

import pytest
import torch

from course_lib import q_learning as lib


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 1)])
def test_average_equals_torch(shape, seed):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(lib.average(x), x.mean(-1))


def test_the_slope_equals_central_differences():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lib.average, x)


def test_no_numbers_have_no_mean():
    with pytest.raises(ValueError, match=r"the mean of no numbers .* got shape \(2, 0\)"):
        lib.average(torch.zeros(2, 0))
