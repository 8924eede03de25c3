"""Windows cover the volume, and what is put together is a probability."""

import numpy as np
import pytest
import torch

from headcond.checks import InputError
from headcond.segmentation.prediction import _starts, predict
from headcond.segmentation.scale import normalise


@pytest.fixture
def scan():
    return np.random.default_rng(0).random((30, 40, 50)).astype(np.float32) * 800


@pytest.mark.parametrize("have", [16, 17, 24, 40, 100])
def test_windows_cover_an_axis(have):
    starts = _starts(have, 16)
    covered = np.zeros(have, int)
    for start in starts:
        covered[start : start + 16] += 1
    assert covered.min() >= 1 and starts[0] == 0 and starts[-1] + 16 == have
    assert np.diff(starts).max(initial=0) <= 8  # half a window


def test_probabilities_add_up(tiny, scan):
    found = predict(tiny, scan, None, window=(16, 16, 16))
    assert found.shape == (14, *scan.shape) and found.dtype == np.float16
    np.testing.assert_allclose(found.sum(0, dtype=np.float32), 1, atol=4e-3)


def test_one_window_is_the_network(tiny, scan):
    cube = scan[:24, :24, :24]
    found = predict(tiny, cube, cube, window=(24, 24, 24))
    x = torch.from_numpy(np.stack([normalise(cube)] * 2))[None]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = tiny(x)[0].float().softmax(0)
    np.testing.assert_allclose(found, wanted.numpy(), atol=2e-3)


def test_flipping_makes_it_symmetric(tiny, scan):
    found = predict(tiny, scan, None, flip=True, window=(32, 40, 56))
    mirrored = predict(tiny, scan[::-1], None, flip=True, window=(32, 40, 56))
    np.testing.assert_allclose(found, mirrored[:, ::-1], atol=0.05)


def test_scans_that_do_not_fit_are_refused(tiny, scan):
    with pytest.raises(InputError, match="Neither"):
        predict(tiny, None, None)
    with pytest.raises(InputError, match="shape"):
        predict(tiny, scan, scan[1:])
    with pytest.raises(InputError, match="multiples"):
        predict(tiny, scan, None, window=(20, 16, 16))


def test_normalised_scans_span_the_unit_interval(scan):
    scaled = normalise(scan)
    assert scaled.min() == 0 and scaled.max() == 1 and scaled.dtype == np.float32
    np.testing.assert_allclose(normalise(scan * 7), scaled, atol=1e-5)
    assert not normalise(np.zeros((9, 9, 9))).any()
