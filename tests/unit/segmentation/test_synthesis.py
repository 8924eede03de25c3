"""Synthetic images: deterministic, in range, and their loops against obvious versions."""

import numpy as np
import pytest
from scipy import ndimage

from headcond.segmentation import kernels, synthesis
from headcond.segmentation.anatomy import DIVIDED
from headcond.segmentation.classes import CLASSES, NOT_JUDGED, UNKNOWN, class_id
from headcond.segmentation.contrasts import physical_contrasts, random_contrasts
from headcond.segmentation.synthesis import draw

SHAPE = (32, 48, 40)


def test_an_example_follows_from_its_generator(anatomy):
    first, again = (draw(anatomy, np.random.default_rng(3), SHAPE) for _ in range(2))
    np.testing.assert_array_equal(first.scans, again.scans)
    np.testing.assert_array_equal(first.target, again.target)
    other = draw(anatomy, np.random.default_rng(4), SHAPE)
    assert (other.target != first.target).any()


def test_examples_are_in_range_and_of_every_kind(anatomy):
    examples = [draw(anatomy, np.random.default_rng(seed), SHAPE) for seed in range(60)]
    for scans, target in examples:
        assert scans.dtype == np.float32 and scans.min() >= 0 and scans.max() <= 1
        assert np.isfinite(scans).all() and scans.any()
        assert set(np.unique(target)) <= {*range(14), UNKNOWN}
    no_t2 = np.mean([not scans[1].any() for scans, _ in examples])
    no_t1 = np.mean([not scans[0].any() for scans, _ in examples])
    assert 0.1 < no_t2 < 0.5 and 0 < no_t1 < 0.25
    assert 0.05 < np.mean([(target == UNKNOWN).any() for _, target in examples]) < 0.5


def test_deform_without_deformation_copies(anatomy):
    fields = np.zeros((4, 8, 8, 8), np.float32)
    out = np.empty((40, 40, 40), np.uint8)
    offset = np.array([10, 20, 30], np.float32)
    kernels.deform(
        anatomy.classes, anatomy.depth, np.eye(3, dtype=np.float32), offset, fields, 16, 0, out
    )
    np.testing.assert_array_equal(out, anatomy.classes[10:50, 20:60, 30:70])


def test_deform_divides_soft_tissue_by_depth_and_marks_the_outside():
    classes = np.full((8, 8, 8), class_id("muscle"), np.uint8)
    depth = np.broadcast_to(np.arange(8, dtype=np.uint8) * 4, (8, 8, 8)).copy()
    depth[..., 7] = DIVIDED
    fields = np.zeros((4, 3, 3, 3), np.float32)
    fields[3] = 12.0
    out = np.empty((8, 8, 16), np.uint8)
    kernels.deform(
        classes, depth, np.eye(3, dtype=np.float32), np.zeros(3, np.float32), fields, 16,
        NOT_JUDGED, out,
    )  # fmt: skip
    wanted = [class_id("fat")] * 4 + [class_id("muscle")] * 4 + [NOT_JUDGED] * 8
    np.testing.assert_array_equal(out[3, 5], wanted)


def test_blur_is_a_gaussian_filter():
    image = np.random.default_rng(0).standard_normal((20, 24, 28)).astype(np.float32)
    wanted = ndimage.gaussian_filter(image, (0.8, 0.5, 1.4), mode="nearest", truncate=3.0)
    got = kernels.blur(image.copy(), (0.8, 0.5, 1.4))
    np.testing.assert_allclose(got, wanted, atol=0.02)
    np.testing.assert_array_equal(kernels.blur(image.copy(), (0.1, 0.0, 0.1)), image)


def test_paint_has_the_mean_and_the_deviation_of_the_class():
    classes = np.full((40, 40, 40), 3 + NOT_JUDGED, np.uint8)
    mean, deviation = np.zeros((2, len(CLASSES)), np.float32)
    mean[3], deviation[3] = 0.5, 0.1
    out = np.empty(classes.shape, np.float32)
    kernels.paint(classes, mean, deviation, 7, False, out)
    assert out.mean() == pytest.approx(0.5, abs=2e-3) and out.std() == pytest.approx(0.1, rel=0.02)
    assert abs(np.corrcoef(out[:-1].ravel(), out[1:].ravel())[0, 1]) < 0.02
    kernels.paint(classes, mean, deviation, 7, True, out)
    np.testing.assert_array_equal(out[::2, ::2, ::2], out[1::2, 1::2, 1::2])


def test_acquire_without_disturbance_changes_nothing():
    image = np.random.default_rng(0).random((16, 18, 20), np.float32)
    fields = np.ones((12, 12, 12), np.float32)
    got = image.copy()
    kernels.acquire(got, np.zeros(image.shape, np.uint8), fields, fields, 0.0, 0.0, 5)
    np.testing.assert_allclose(got, image, rtol=1e-6)
    noisy = np.zeros((40, 40, 40), np.float32)
    kernels.acquire(noisy, np.zeros(noisy.shape, np.uint8), fields, fields, 0.0, 1.0, 5)
    assert noisy.mean() == pytest.approx(np.sqrt(np.pi / 2), rel=0.02)  # Rayleigh


def test_slices_keep_a_linear_image():
    image = np.broadcast_to(np.arange(40, dtype=np.float32), (4, 5, 40)).copy()
    got = synthesis._slices(image, 2, 3.0, 0.5)
    np.testing.assert_allclose(got[..., 2:37], image[..., 2:37], atol=1e-4)


def test_physical_contrasts_look_like_t1_and_t2():
    means = np.mean([physical_contrasts(np.random.default_rng(s)) for s in range(50)], axis=0)
    grey, white, fluid = (class_id(name) for name in ("gm", "wm", "csf"))
    assert means[0, white] > means[0, grey] > means[0, fluid]
    assert means[1, white] < means[1, grey] < means[1, fluid]
    assert means[:, class_id("bone_cortical")].max() < 0.3 and not means[:, 0].any()


def test_random_contrasts_are_positive():
    for seed in range(20):
        means = random_contrasts(np.random.default_rng(seed))
        assert means.shape == (2, len(CLASSES)) and means.min() >= 0 and means.max() <= 1.2
