"""Fusion: eq. 2, eq. 3 and its inverse, the head mask, and air that is exactly 0."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from headcond.checks import InputError
from headcond.condnet import fusion

MAXIMA = [2.0, 1.654]


@given(st.floats(0, 0.9), st.floats(0.01, 10), st.integers(0, 2**32 - 1))
def test_rescale_inverts_targets(tau, maximum, seed):
    sigma = np.random.default_rng(seed).random((2, 3, 4, 2)) * [[[[maximum]]], [[[1.654]]]]
    scaled = fusion.targets(sigma, [maximum, 1.654], tau)
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0 and scaled.max() <= 1 - tau + 1e-6
    np.testing.assert_allclose(fusion.rescale(scaled, [maximum, 1.654], tau), sigma, rtol=1e-5,
                               atol=1e-6 * maximum)  # fmt: skip


def test_scaling_is_the_papers():
    sigma = np.array([2.0, 0.02, 0.0]).reshape(1, 3, 1, 1)
    scaled = fusion.targets(sigma, [2.0], 0.1)
    np.testing.assert_allclose(scaled.ravel(), [0.9, 0.009, 0], rtol=1e-6)
    np.testing.assert_allclose(fusion.rescale(np.ones((1, 1, 1, 1)), [2.0], 0.1), 2 / 0.9)


def test_average_and_spread_of_three_axes():
    rng = np.random.default_rng(0)
    axes = [rng.random((2, 3, 4, 5), dtype=np.float32) for _ in range(3)]
    mean = (axes[0].astype(float) + axes[1] + axes[2]) / 3
    np.testing.assert_allclose(fusion.average_axes(axes), mean, rtol=1e-6)
    variance = sum((axis - mean) ** 2 for axis in axes) / 3
    np.testing.assert_allclose(fusion.spread(axes), np.sqrt(variance), rtol=1e-5)
    assert (fusion.spread([axes[0]] * 3) == 0).all()
    np.testing.assert_array_equal(fusion.average_axes([axes[0]] * 3), axes[0])


def test_fusion_refuses_what_it_cannot_fuse():
    volume = np.full((1, 2, 2, 2), 0.5, np.float32)
    with pytest.raises(InputError, match="three axes"):
        fusion.average_axes([volume, volume])
    with pytest.raises(InputError, match="three axes"):
        fusion.spread([volume, volume, volume[..., :1]])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        fusion.average_axes([volume, volume, volume + 1])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        fusion.average_axes([volume, volume, volume * np.nan])
    with pytest.raises(InputError, match="one per map"):
        fusion.rescale(volume, MAXIMA, 0.1)
    with pytest.raises(InputError, match="tau"):
        fusion.rescale(volume, [2.0], 1.0)
    with pytest.raises(InputError, match=r"map 0 must be in \[0, 0.4\]"):
        fusion.targets(volume, [0.4], 0.1)
    with pytest.raises(InputError, match="map 0 must be"):
        fusion.targets(-volume, [2.0], 0.1)


def test_otsu_threshold_is_the_best_of_all_bins():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(0.1, 0.05, 900), rng.normal(0.7, 0.1, 300)])
    edges = np.histogram_bin_edges(values, 256)[1:-1]

    def within(threshold):  # Otsu's criterion, from its definition
        low, high = values[values < threshold], values[values >= threshold]
        return len(low) * low.var() + len(high) * high.var()

    costs = [within(edge) for edge in edges]
    found = fusion.otsu_threshold(values)
    assert within(found) <= min(costs) * 1.001
    with pytest.raises(InputError, match="constant"):
        fusion.otsu_threshold(np.ones(5))


def phantom(n=64, noise=0.03, cut=False):
    """Layered head: skin, a closed dark skull, brain; a dark sinus and a nostril; a neck."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n)] * 3, indexing="ij")
    r = np.sqrt((x / 0.72) ** 2 + (y / 0.85) ** 2 + ((z - 0.1) / 0.75) ** 2)
    neck = np.sqrt((x / 0.4) ** 2 + (y / 0.45) ** 2)
    head = (r < 1) | ((neck < 1) & (z < 0))
    skull = ((r > 0.8) & (r < 0.9)) | ((r > 0.95) & (neck < 0.5) & (z < 0))
    sinus = (x**2 + (y - 0.68) ** 2 + (z - 0.1) ** 2) < 0.07**2
    nostril = (np.abs(x) < 0.04) & (np.abs(z + 0.3) < 0.04) & (y > 0.4)
    brain = r < 0.8
    rng = np.random.default_rng(2)

    def image(skin, inside):
        signal = np.where(head, skin, 0.0)
        signal[brain] = inside
        signal[skull | sinus | nostril] = 0.03
        real, imaginary = rng.normal(0, noise, (2, n, n, n))
        return np.clip(np.hypot(signal + real, imaginary), 0, 1).astype(np.float32)

    t1, t2 = image(0.8, 0.5), image(0.4, 0.7)
    return t1, t2, head, sinus & head, nostril & head


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.06])
def test_head_mask_finds_the_head_with_its_cavities(noise):
    t1, t2, head, sinus, nostril = phantom(noise=noise)
    found = fusion.head_mask(t1, t2, voxel_size=3.0)
    assert found.dtype == bool and ndimage.label(found)[1] == 1
    assert dice(found, head) > 0.985
    assert found[sinus].all() and found[nostril].mean() > 0.9
    # the dark bone of the neck, open at the grid's lowest plane, is inside
    assert (found[:, :, 0] >= ndimage.binary_erosion(head[:, :, 0])).all()


def test_head_mask_does_not_hang_on_the_orientation():
    t1, t2, _, _, _ = phantom(n=48)
    turned = fusion.head_mask(t1[::-1].transpose(2, 0, 1), t2[::-1].transpose(2, 0, 1), 4.0)
    assert dice(turned, fusion.head_mask(t1, t2, 4.0)[::-1].transpose(2, 0, 1)) > 0.998


def test_head_mask_of_a_real_head(data_dir):
    """MNI152 with its scalp, cut at its lowest plane, is about 4 litres."""
    images = []
    for name in ("T1", "T2"):
        image = nibabel.load(data_dir / "mri_templates" / f"MNI152_{name}_2mm.nii.gz").get_fdata()
        low, high = np.percentile(image, (0.5, 99.5))
        images.append(np.clip((image - low) / (high - low), 0, 1).astype(np.float32))
    found = fusion.head_mask(*images, voxel_size=2.0)
    litres = np.count_nonzero(found) * 8e-6
    assert 3.7 < litres < 4.2
    assert not found[:, :, -1].any() and not found[:8, :8].any() and not found[-8:, -8:].any()
    assert found[45, 54, 20:70].all()


def test_air_is_exactly_zero_and_tissue_untouched():
    t1, t2, head, sinus, _ = phantom(n=48)
    mask = fusion.head_mask(t1, t2, 4.0)
    rng = np.random.default_rng(0)
    predicted = rng.uniform(0.012, 2.0, (2, *head.shape)).astype(np.float32)
    predicted[:, ~head] = 0.004  # what a sigmoid leaves in air
    predicted[:, sinus] = 0.009
    predicted[1, sinus] = 0.006
    before = predicted.copy()
    kept = fusion.mask_air(predicted, mask, [0.02, 0.007])
    np.testing.assert_array_equal(predicted, before)
    assert (kept[:, ~mask] == 0).all()
    assert (kept[0, sinus] == 0).all()  # below 0.01 S/m
    assert (kept[1, sinus & mask] == np.float32(0.006)).all()  # not below 0.0035 S/m
    tissue = mask & head & ~sinus
    np.testing.assert_array_equal(kept[:, tissue], predicted[:, tissue])


def test_masks_are_checked():
    t1, t2, _, _, _ = phantom(n=16)
    with pytest.raises(InputError, match="one grid"):
        fusion.head_mask(t1, t2[:-1], 2.0)
    with pytest.raises(InputError, match="constant"):
        fusion.head_mask(t1 * 0, t2 * 0, 2.0)
    with pytest.raises(InputError, match="voxel_size"):
        fusion.head_mask(t1, t2, 0.0)
    maps = np.ones((1, 4, 4, 4))
    with pytest.raises(InputError, match="boolean head"):
        fusion.mask_air(maps, np.ones((4, 4, 4)), [0.02])
    with pytest.raises(InputError, match="lowest"):
        fusion.mask_air(maps, np.ones((4, 4, 4), bool), [0.0])
    with pytest.raises(InputError, match="NaN"):
        fusion.mask_air(maps * np.nan, np.ones((4, 4, 4), bool), [0.02])
