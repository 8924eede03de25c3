import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.mri.normalise import normalise


def scan(seed=0):
    rng = np.random.default_rng(seed)
    data = np.zeros((20, 22, 24))
    data[4:16, 4:18, 4:20] = rng.gamma(4, 50, (12, 14, 16))
    return data


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    scale=st.floats(1e-3, 1e3),
    method=st.sampled_from(["percentile", "minmax"]),
)
def test_scale_does_not_matter_and_range_is_kept(seed, scale, method):
    data = scan(seed)
    out, statistics = normalise(data, method)
    assert out.dtype == np.float32
    assert out.min() == 0
    assert out.max() == 1
    other, _ = normalise(data * scale, method)
    assert np.allclose(out, other, atol=1e-5)
    between = (data > statistics["low"]) & (data < statistics["high"])
    exact = (data - statistics["low"]) / (statistics["high"] - statistics["low"])
    assert np.allclose(out[between], exact[between], atol=1e-6)


def test_minmax_is_the_papers_standardise_then_unit_range():
    data = scan()
    standard = (data - data.mean()) / data.std()
    papers = (standard - standard.min()) / (standard.max() - standard.min())
    assert np.allclose(normalise(data, "minmax")[0], papers, atol=1e-6)


def test_percentile_is_not_ruled_by_an_outlier_or_by_padding():
    data = scan()
    spiked = data.copy()
    spiked[8, 8, 8] = 1e6
    assert np.abs(normalise(spiked)[0] - normalise(data)[0])[data > 0].mean() < 0.01
    assert normalise(spiked, "minmax")[0].mean() < 0.001
    padded, statistics = normalise(np.pad(data, 30))
    assert np.array_equal(padded[30:-30, 30:-30, 30:-30], normalise(data)[0])
    assert statistics["voxels"] == np.count_nonzero(data)


def test_statistics():
    data = scan()
    _, statistics = normalise(data, mask=data > 100, percentiles=(1, 90))
    inside = data[data > 100]
    assert statistics["low"] == pytest.approx(np.percentile(inside, 1))
    assert statistics["high"] == pytest.approx(np.percentile(inside, 90))
    assert statistics["mean"] == pytest.approx(inside.mean())
    assert statistics["std"] == pytest.approx(inside.std())
    assert statistics["clipped_high"] == pytest.approx(0.1, abs=2e-3)
    assert statistics["clipped_low"] == pytest.approx(0.01, abs=2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.full((3, 3, 3), np.nan)}, "NaN"),
        ({"data": np.full((3, 3, 3), 5.0)}, "range is empty"),
        ({"data": np.zeros((3, 3, 3))}, "No voxel"),
        ({"data": scan() - 1}, "negative"),
        ({"data": np.ones((3, 3))}, "shape"),
        ({"data": scan(), "method": "zscore"}, "method"),
        ({"data": scan(), "percentiles": (99, 1)}, "rise"),
        ({"data": scan(), "mask": np.zeros((20, 22, 24), bool)}, "No voxel"),
        ({"data": scan(), "mask": np.ones((2, 2, 2), bool)}, "mask"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        normalise(**arguments)
