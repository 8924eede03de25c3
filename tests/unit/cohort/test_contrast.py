"""Simulated spin-echo contrast, water content, bias field and noise."""

import numpy as np
import pytest
from scipy import stats

from headcond.checks import InputError
from headcond.cohort import contrast
from headcond.cohort.shapes import cosine_field
from headcond.mri.resampling import block_mean
from headcond.random import generator
from headcond.tissues import TISSUES, tissue_id


def table_signal(name, protocol):
    tissue = contrast.RELAXATION[name]
    return float(contrast.spin_echo(tissue.pd, tissue.t1, tissue.t2, *protocol))


def test_spin_echo_closed_form():
    assert contrast.spin_echo(0.8, 0.7, 0.09, 0.5, 0.02) == pytest.approx(
        0.8 * (1 - 2.718281828459045 ** (-5 / 7)) * 2.718281828459045 ** (-2 / 9), rel=1e-12
    )
    assert contrast.spin_echo(1, 1e-3, 1e3, 10, 0) == pytest.approx(1)
    with pytest.raises(InputError, match="above 0"):
        contrast.spin_echo(1, 0.0, 0.1, 1, 0.1)


def test_brainweb_values_are_kept():
    published = {"csf": (2569, 329, 1), "gm": (833, 83, 0.86), "wm": (500, 70, 0.77),
                 "fat": (350, 70, 1), "muscle": (900, 47, 1)}  # fmt: skip
    for name, (t1, t2, pd) in published.items():
        row = contrast.RELAXATION[name]
        assert (row.t1 * 1e3, row.t2 * 1e3, row.pd) == pytest.approx((t1, t2, pd))
    assert tuple(contrast.RELAXATION) == (*TISSUES, "lens")


def test_protocols_order_the_tissues():
    t1 = {name: table_signal(name, contrast.T1W) for name in contrast.RELAXATION}
    t2 = {name: table_signal(name, contrast.T2W) for name in contrast.RELAXATION}
    assert t1["fat"] > t1["wm"] > t1["gm"] > t1["csf"] > t1["bone_cortical"]
    assert t2["csf"] > t2["gm"] > t2["wm"] > t2["muscle"] > t2["bone_cortical"]
    assert max(t2, key=t2.get) in ("csf", "vitreous_humour")
    assert t1["bone_cortical"] < 1e-3 * t1["wm"]
    assert t1["lens"] > t1["vitreous_humour"]
    assert t2["lens"] < 0.1 * t2["vitreous_humour"]


def test_mean_water_reproduces_the_table():
    classes = np.arange(15, dtype=np.uint8).reshape(15, 1, 1)
    water = np.zeros(classes.shape, np.float32)
    water[1:, 0, 0] = [contrast.RELAXATION[name].water for name in contrast.CLASSES[1:]]
    for protocol in (contrast.T1W, contrast.T2W):
        np.testing.assert_allclose(
            contrast.signal(classes, water, *protocol),
            contrast.signal(classes, None, *protocol),
            rtol=1e-4,
        )
    np.testing.assert_allclose(contrast.odds_ratio(classes, water), 1, rtol=1e-4)


def test_more_water_means_longer_t1_and_t2():
    classes = np.full((2, 1, 1), tissue_id("gm"), np.uint8)
    water = np.array([0.83, 0.87], np.float32).reshape(2, 1, 1)
    short_t1 = contrast.signal(classes, water, 0.05, 1e-6).ravel() / water.ravel()
    long_te = contrast.signal(classes, water, 100.0, 0.1).ravel() / water.ravel()
    assert short_t1[0] > short_t1[1]  # T1 weighting darkens as T1 grows
    assert long_te[0] < long_te[1]  # T2 weighting brightens as T2 grows
    # T1 of wet grey matter by hand: 1/T1 = 1/4.3 + (1/0.833 - 1/4.3) / r, r = odds ratio
    ratio = (0.87 / 0.13) / (0.85 / 0.15)
    t1 = 1 / (1 / 4.3 + (1 / 0.833 - 1 / 4.3) / ratio)
    expected = 0.86 * 0.87 / 0.85 * (1 - np.exp(-0.05 / t1))
    assert short_t1[1] * water[1, 0, 0] == pytest.approx(expected, rel=1e-3)


def test_water_field_statistics_and_grid_independence():
    classes = np.full((40, 36, 32), tissue_id("wm"), np.uint8)
    classes[:, :, :4] = 0
    coarse = contrast.water_field(classes, 4.0, generator(5, "w"))
    assert (coarse[classes == 0] == 0).all()
    odds = np.log(coarse[classes > 0] / (1 - coarse[classes > 0]))
    row = contrast.RELAXATION["wm"]
    assert odds.mean() == pytest.approx(np.log(row.water / (1 - row.water)), abs=0.03)
    assert odds.std() == pytest.approx(row.spread, rel=0.15)
    # Same box, half the voxels: block means of the finer field agree with the coarse one.
    fine = contrast.water_field(
        classes.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2), 2.0, generator(5, "w")
    )
    difference = block_mean(fine, 2) - coarse
    assert np.abs(difference).max() < 0.1 * row.spread * row.water * (1 - row.water)


def test_water_of_one_class_does_not_depend_on_the_others():
    classes = np.full((16, 16, 16), tissue_id("gm"), np.uint8)
    alone = contrast.water_field(classes, 3.0, generator(1, "w"))
    classes[8:] = tissue_id("fat")
    both = contrast.water_field(classes, 3.0, generator(1, "w"))
    np.testing.assert_allclose(both[:8], alone[:8], rtol=1e-5)


def test_cosine_field_has_unit_variance_and_the_right_correlation():
    axes = [np.array([3.5, 5.0]), np.array([4.0]), np.array([3.0, 4.0, 5.0])]
    many = np.stack(
        [cosine_field(axes, (8.0, 8.0, 8.0), 1.0, generator(s, "f")) for s in range(1500)]
    ).reshape(1500, 2, 3)
    assert np.abs(many.mean(axis=0)).max() < 0.1
    np.testing.assert_allclose(many.std(axis=0), 1, atol=0.07)
    # Correlation of a field smoothed by a Gaussian of length 1: exp(-d^2 / 4).
    for other, distance in (((0, 1), 1.5), ((1, 0), 1.0), ((1, 2), 1.0)):
        found = np.corrcoef(many[:, 1, 1], many[:, other[0], other[1]])[0, 1]
        assert found == pytest.approx(np.exp(-(distance**2) / 4), abs=0.06)


def test_bias_field_is_bounded_smooth_and_centred():
    field = contrast.bias_field((30, 20, 24), generator(2, "bias"), 0.25)
    log = np.log(field)
    assert np.abs(log).max() == pytest.approx(0.25, abs=1e-4)
    assert abs(log.mean()) < 1e-4
    assert max(np.abs(np.diff(log, axis=i)).max() for i in range(3)) < 0.1
    np.testing.assert_allclose(contrast.bias_field((4, 4, 4), generator(2, "b"), 0.0), 1)


def test_rician_statistics():
    std = 0.3
    air = contrast.add_rician_noise(np.zeros((60, 60, 30), np.float32), generator(1, "n"), std)
    assert air.mean() == pytest.approx(std * np.sqrt(np.pi / 2), rel=0.01)
    assert stats.kstest(air.ravel()[::20], stats.rayleigh(scale=std).cdf).pvalue > 1e-3
    bright = contrast.add_rician_noise(
        np.full((60, 60, 30), 3.0, np.float32), generator(2, "n"), std
    )
    assert stats.kstest(bright.ravel()[::20], stats.rice(3.0 / std, scale=std).cdf).pvalue > 1e-3
    exact = np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 2, 2)
    np.testing.assert_array_equal(contrast.add_rician_noise(exact, generator(3, "n"), 0.0), exact)


def test_simulate_partial_volume_and_repeatability():
    classes = np.zeros((8, 8, 8), np.uint8)
    classes[:4] = tissue_id("wm")
    classes[4:7] = tissue_id("csf")
    image = contrast.simulate(classes, None, generator(1, "a"), *contrast.T2W, 2, 0.0, 0.0)
    assert image.shape == (4, 4, 4)
    wm, csf = table_signal("wm", contrast.T2W), table_signal("csf", contrast.T2W)
    np.testing.assert_allclose(image[:, 0, 0], [wm, wm, csf, csf / 2], rtol=1e-5)
    noisy = [
        contrast.simulate(classes, None, generator(1, "a"), *contrast.T1W, 2, 0.2, 0.03)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*noisy)
    assert noisy[0].dtype == np.float32


def test_refusals():
    classes = np.full((2, 2, 2), 15, np.uint8)
    with pytest.raises(InputError, match="to_tissues"):
        contrast.signal(classes, None, 0.5, 0.01)
    with pytest.raises(InputError, match="whole numbers"):
        contrast.signal(classes.astype(float), None, 0.5, 0.01)
    with pytest.raises(InputError, match="strictly between 0 and 1"):
        contrast.signal(classes // 15, np.ones((2, 2, 2), np.float32), 0.5, 0.01)
