"""One temperature brings confidence and accuracy together."""

import copy

import pytest
import torch

from headcond.checks import InputError
from headcond.segmentation.calibration import calibrate


def test_a_network_twice_as_loud_gets_twice_the_temperature(anatomy, tiny):
    with torch.no_grad():
        tiny.out.weight *= 5
    loud = copy.deepcopy(tiny)
    with torch.no_grad():
        loud.out.weight *= 1.5
        loud.out.bias *= 1.5
    one, low = calibrate(tiny, [anatomy], (32, 32, 32), 3)
    other, high = calibrate(loud, [anatomy], (32, 32, 32), 3)
    if 0.31 < low < 1.9:  # inside the range that is searched
        assert high / low == pytest.approx(1.5, rel=0.05)
        torch.testing.assert_close(one.out.weight, other.out.weight, rtol=0.05, atol=1e-3)


def test_nothing_to_calibrate_on_is_refused(tiny):
    with pytest.raises(InputError, match="calibrate"):
        calibrate(tiny, [], (32, 32, 32), 3)
