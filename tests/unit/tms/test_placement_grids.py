"""Placements by matrix, rotated and on grids, and their distances from the scalp."""

from __future__ import annotations

import numpy as np
import pytest

from headcond.tms import coil, placement

VOXEL, RADIUS = 2.5, 80.0


@pytest.fixture(scope="module")
def ball():
    n = 72
    affine = np.diag([VOXEL, VOXEL, VOXEL, 1])
    affine[:3, 3] = -VOXEL * (n - 1) / 2
    world = np.stack(np.mgrid[:n, :n, :n], axis=-1) * VOXEL + affine[0, 3]
    return np.linalg.norm(world, axis=-1) < RADIUS, affine


@pytest.fixture(scope="module")
def top(ball):
    return placement.place(*ball, [0, 0, RADIUS], [0, -40, RADIUS], 0.006)


def test_turning_is_counter_clockwise_from_outside(top):
    np.testing.assert_allclose(top[:3, 2], [0, 0, -1], atol=0.03)  # into the head
    quarter = placement.rotated(top, 90)
    # Seen from above with the nose up the handle points down, then, turned, to the right.
    np.testing.assert_allclose(quarter[:3, 1], [1, 0, 0], atol=0.03)
    np.testing.assert_allclose(quarter[:, 2:], top[:, 2:], atol=1e-12)
    np.testing.assert_allclose(placement.rotated(quarter, -90), top, atol=1e-12)


def test_grid_lies_on_the_scalp_around_the_middle(ball, top):
    wire = coil.circular(0.02)
    found = placement.scalp_grid(*ball, top, 15.0, 1, 0.006, wire)
    assert len(found) == 9
    for (across, along), matrix in found:
        centre = matrix[:3, 3] * 1e3
        assert abs(np.linalg.norm(centre) - RADIUS - 6) < VOXEL  # 6 mm off, to a voxel
        direction = centre / np.linalg.norm(centre)
        assert -matrix[:3, 2] @ direction > np.cos(np.radians(4))
        offset = centre - top[:3, 3] * 1e3
        assert offset @ top[:3, 0] == pytest.approx(across, abs=3)
        assert offset @ top[:3, 1] == pytest.approx(along, abs=3)
        assert matrix[:3, 1] @ top[:3, 1] > 0.9
        assert placement.distances(*ball, matrix, wire)["nearest_to_scalp_mm"] > 3
    middle = dict(found)[(0.0, 0.0)]
    np.testing.assert_allclose(middle, top, atol=2e-3)


def test_a_matrix_of_simnibs_is_taken_as_it_is(ball, top):
    wire = coil.figure_of_eight()
    given = placement.to_simnibs(top)
    np.testing.assert_allclose(placement.from_matrix(*ball, given, wire), top, atol=1e-12)
    found = placement.distances(*ball, top, wire)
    assert found["centre_to_scalp_mm"] == pytest.approx(6, abs=0.2)
    # The plane of the coil touches the ball's top only there: the windings are farther.
    gap = np.linalg.norm(wire.transformed(top).source_points() * 1e3, axis=1).min() - RADIUS
    assert found["nearest_to_scalp_mm"] == pytest.approx(gap, abs=VOXEL)
    away = coil.Coil(grids=(), positions=np.zeros((1, 3)), moments=np.ones((1, 3)))
    up = top.copy()
    up[:3, 3] += [0, 0, 0.5]
    up[:3, 1:3] *= -1  # turned over: z points away
    assert placement.distances(*ball, up, away)["centre_to_scalp_mm"] is None
