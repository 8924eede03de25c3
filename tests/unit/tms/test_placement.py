"""Placement over a ball and over a real head; regions of interest."""

from __future__ import annotations

import numpy as np
import pytest

from headcond import tissues
from headcond.checks import InputError
from headcond.files import results
from headcond.tms import coil, placement, regions

RADIUS = 85.0


def ball(voxel=3.0, affine=None):
    n = int(200 / voxel)
    if affine is None:
        affine = np.diag([voxel, voxel, voxel, 1.0])
        affine[:3, 3] = -voxel * (n - 1) / 2
    index = np.stack(np.mgrid[:n, :n, :n], axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    radius = np.linalg.norm(world, axis=-1)
    head = (radius < RADIUS) & ~(radius < 10)  # with a cavity that is no scalp
    return head, affine


def flipped(voxel=3.0):
    """LIA voxels, turned a little about z."""
    n = int(200 / voxel)
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                     [0, 0, 1]])  # fmt: skip
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) * voxel
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (n - 1) / 2)
    return affine


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("off", [-15.0, 0.0, 30.0])
def test_coil_stands_tangentially_over_a_ball(turned, off):
    head, affine = ball(affine=flipped() if turned else None)
    direction = np.array([-0.6, 0.1, 0.79])
    direction /= np.linalg.norm(direction)
    position = (RADIUS + off) * direction
    towards = position + np.array([20.0, -30.0, 5.0])
    matrix = placement.place(head, affine, position, towards, distance=0.004)
    axes, centre = matrix[:3, :3], matrix[:3, 3]
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) > 0
    assert -axes[:, 2] @ direction > np.cos(np.radians(2))  # z into the head
    assert abs(np.linalg.norm(centre) - (RADIUS * 1e-3 + 0.004)) < 0.003  # a voxel
    assert np.linalg.norm(centre / np.linalg.norm(centre) - direction) < 0.03
    handle = towards - centre * 1e3
    assert axes[:, 1] @ handle > 0 and abs(axes[:, 0] @ handle) < 1e-6 * np.linalg.norm(handle)
    placement.check_outside(head, affine, coil.figure_of_eight().transformed(matrix)
                            .source_points())  # fmt: skip


def test_distance_moves_the_coil_along_the_normal():
    head, affine = ball()
    near, far = (
        placement.place(head, affine, [0, 0, 85], [0, 30, 85], distance=d) for d in (0.002, 0.012)
    )
    np.testing.assert_allclose(near[:3, 3] - far[:3, 3], 0.01 * near[:3, 2], atol=1e-12)
    np.testing.assert_array_equal(near[:3, :3], far[:3, :3])


def test_simnibs_matrices_go_there_and_back():
    head, affine = ball()
    matrix = placement.place(head, affine, [60, 0, 60], [60, -40, 60])
    foreign = placement.to_simnibs(matrix)
    np.testing.assert_allclose(foreign[:3, 3], 1e3 * matrix[:3, 3])
    np.testing.assert_allclose(placement.from_simnibs(foreign), matrix, atol=1e-15)


def test_unusable_placements_are_refused():
    head, affine = ball()
    with pytest.raises(InputError, match="off the scalp"):
        placement.place(head, affine, [0, 0, 150], [0, 30, 150])
    with pytest.raises(InputError, match="off the scalp"):
        placement.place(head, affine, [0.0, 0.085, 0.0], [0, 30, 85])  # metres by mistake
    with pytest.raises(InputError, match="handle_towards"):
        placement.place(head, affine, [0, 0, 85], [0, 0, 120])
    with pytest.raises(InputError, match="empty"):
        placement.place(np.zeros_like(head), affine, [0, 0, 85], [0, 30, 85])
    with pytest.raises(InputError, match="inside the head"):
        # A coil whose windings hang 20 mm below its centre reaches into the ball.
        low = coil.from_dipoles([0, 0, 0.02], [0, 0, 1])
        placement.place(head, affine, [0, 0, 85], [0, 30, 85], coil=low)


def test_real_head_takes_the_coil(data_dir):
    labels, affine = results.read_volume(
        data_dir / "head_labels" / "training_seg_01.nii.gz", np.int32
    )
    labels, affine = labels[::2, ::2, ::2] > 0, affine @ np.diag([2.0, 2, 2, 1])
    inside = np.argwhere(labels) @ affine[:3, :3].T + affine[:3, 3]
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    top = inside[:, 2].max()
    left = np.array([inside[:, 0].min() + 30, middle[1], top - 30])
    wire = coil.figure_of_eight()
    matrix = placement.place(labels, affine, left, left - np.array([0, 40, 0]), coil=wire)
    assert matrix[0, 2] > 0.2 and matrix[2, 2] < -0.2  # into the head: rightwards and down
    assert matrix[1, 1] < -0.8  # the handle backwards
    points = wire.transformed(matrix).source_points() * 1e3
    gap = np.linalg.norm(points[::50, None] - inside[None, ::20], axis=-1).min()
    assert 2 < gap < 15


def test_hand_knob_is_a_ball_in_mni():
    affine = np.diag([-2.0, 2, 2, 1])
    affine[:3, 3] = [90, -126, -72]
    mask = regions.hand_knob(affine, (91, 109, 91), np.eye(4))
    world = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    np.testing.assert_allclose(world.mean(axis=0), [-42, -13, 66], atol=1.1)
    assert abs(mask.sum() * 8 - 4 / 3 * np.pi * 125) < 60
    shifted = np.eye(4)
    shifted[:3, 3] = [6, 0, 0]  # world x = -48 is MNI x = -42
    moved = regions.hand_knob(affine, (91, 109, 91), shifted)
    np.testing.assert_array_equal(np.roll(mask, 3, axis=0), moved)
    with pytest.raises(InputError, match="No voxel"):
        regions.hand_knob(affine, (91, 109, 91), shifted, centre=(300, 0, 0))


def test_regions_divide_the_head():
    labels = np.arange(14, dtype=np.uint8).reshape(1, 2, 7)
    masks = regions.region_masks(labels)
    brain = {tissues.TISSUES[i - 1] for i in labels[masks["brain"]]}
    assert brain == {"gm", "wm", "cerebellum"}
    np.testing.assert_array_equal(masks["brain"] ^ masks["non_brain"], masks["head"])
    assert masks["head"].sum() == 13 and not (masks["brain"] & masks["non_brain"]).any()
