"""A known, smooth deformation of the template's own brain is found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from headcond.checks import InputError
from headcond.mri import deform, register
from headcond.tms.regions import hand_knob


@pytest.fixture(scope="module")
def case():
    """Coarse template, and a subject whose point y has the MNI point y + u(y)."""
    data, affine = register._mni152()
    data, affine = data[::2, ::2, ::2], affine @ np.diag([2.0, 2, 2, 1])
    index = np.stack(np.mgrid[tuple(slice(n) for n in data.shape)], axis=-1).astype(float)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    u = 5.0 * np.stack([np.sin(world[..., 1] / 25), np.cos(world[..., 2] / 30),
                        np.sin(world[..., 0] / 28)], axis=-1)  # fmt: skip
    back = (world + u - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    image = ndimage.map_coordinates(data, np.moveaxis(back, -1, 0), order=1)
    image = 500 * np.where(image > 1e-3, image, 0) ** 1.4  # another contrast
    return (data, affine), image, image > 0, u, world


def test_known_deformation_is_found(case):
    (data, affine), image, mask, u, world = case
    found, grid, quality = deform.to_mni_deformed(image, affine, mask, np.eye(4), (data, affine))
    np.testing.assert_array_equal(grid, affine)
    inner = ndimage.binary_erosion(mask, iterations=3)
    error = np.linalg.norm(found - u, axis=-1)[inner].mean()
    length = np.linalg.norm(u, axis=-1)[inner].mean()
    # Along the surfaces of tissues nothing tells where a point came from, so not all is found.
    assert length > 5 and error < length / 2
    assert quality["correlation"] > quality["correlation_before"] + 0.1
    assert quality["least_jacobian"] > 0
    moved = deform.displaced(world[inner][:20], found, grid)
    np.testing.assert_allclose(moved, (world + found)[inner][:20], atol=1e-4)
    np.testing.assert_array_equal(deform.displaced([[500.0, 0, 0]], found, grid), [[500, 0, 0]])


def test_hand_knob_follows_the_deformation(case):
    (_, affine), image, _, u, _ = case
    fine = affine @ np.diag([0.5, 0.5, 0.5, 1])
    shape = tuple(2 * n for n in image.shape)
    knob = hand_knob(fine, shape, np.eye(4), warp=(u, affine))
    centre = (np.argwhere(knob) @ fine[:3, :3].T + fine[:3, 3]).mean(axis=0)
    landed = deform.displaced([centre], u, affine)[0]
    np.testing.assert_allclose(landed, [-42, -13, 66], atol=0.7)
    assert np.linalg.norm(centre - [-42, -13, 66]) > 3


def test_templates_with_scalp_lend_their_brain_only():
    brain, affine = register._mni152()
    head = brain + 0.5 * ndimage.binary_dilation(brain > 0, iterations=8)
    got, _ = register.brain_template((head.astype(np.float32), affine))
    volume = (got > 0).sum() * 8 / 1e3
    assert 1500 < volume < 2100  # ml; with its scalp the template holds more than 3 l
    with pytest.raises(InputError, match="no brain"):
        register.brain_template((np.pad(np.ones((4, 4, 4)), 8), np.eye(4)))


def test_filling_closes_sulci_and_ventricles():
    index = np.stack(np.mgrid[:60, :60, :60], axis=-1) - 29.5
    radius = np.linalg.norm(index, axis=-1)
    brain = (radius < 24) & (radius > 5)
    brain[:, 28:31, 40:] = False  # a sulcus of 3 mm
    solid = register.fill_brain_mask(brain, np.eye(4))
    assert solid[radius < 22].all() and not solid[radius > 26].any()
