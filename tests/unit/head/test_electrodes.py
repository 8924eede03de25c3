"""Disc electrodes on the surface: areas, places, refusals."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.head import electrodes as module
from headcond.head.electrodes import circle_overlaps, displace_discs, outer_surface, place_discs
from headcond.head.mesh import Mesh, triangle_areas
from headcond.head.meshing import mesh_labels
from tests.helpers.label_volumes import ORIGIN, shells

CENTRE = ORIGIN * 1e-3
DISC = np.pi * 0.006**2


def _directions(count):
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    z = 1 - (2 * np.arange(count) + 1) / count
    return np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], axis=1)


@pytest.fixture(scope="module")
def ball():
    labels, affine = shells([60], 2.0)
    return mesh_labels(labels, affine, 0.006, tissue_names=("gm",))


@pytest.fixture(scope="module")
def slab():
    """Flat top at z = 10 mm, square voxels of 2 mm."""
    labels = np.zeros((34, 34, 7), np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 1
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-33.0, -33.0, -1.0]
    return mesh_labels(labels, affine, 0.002, "voxel", ("gm",))


def test_areas_are_exact_on_a_snapped_ball(ball):
    places = CENTRE + 0.061 * _directions(40)
    found = place_discs(ball, [f"E{n}" for n in range(40)], places, 0.012)
    np.testing.assert_allclose(found.areas(ball.nodes), DISC, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.centres - CENTRE, axis=1), 0.060, atol=1.5e-3)
    assert np.linalg.norm(found.centres - places, axis=1).max() < 2.5e-3
    for faces, weights, centre in zip(found.faces, found.weights, found.centres, strict=True):
        assert np.all((weights > 0) & (weights <= 1))
        assert len(np.unique(np.sort(faces, axis=1), axis=0)) == len(faces)
        corners = ball.nodes[faces]
        middle = np.einsum("f,fi->i", weights * triangle_areas(ball.nodes, faces),
                           corners.mean(axis=1)) / DISC  # fmt: skip
        assert np.linalg.norm(middle - centre) < 2e-3


def test_patches_are_outward_triangles_of_the_boundary(ball):
    surface = {tuple(t) for t in ball.surface().tolist()}
    found = place_discs(ball, ["a"], np.add(CENTRE, [[0, 0, 0.06]]))
    assert all(tuple(face) in surface for face in found.faces[0].tolist())


def test_flat_disc_needs_no_scaling(slab):
    """On a plane the disc is the circle itself: weights are the exact overlaps."""
    place = np.array([[0.0007, 0.0011, 0.0105]])
    found = place_discs(slab, ["a"], place, 0.012)
    np.testing.assert_allclose(found.centres[0], [0.0007, 0.0011, 0.010], atol=1e-12)
    np.testing.assert_allclose(found.areas(slab.nodes), DISC, rtol=1e-9)
    flat = slab.nodes[found.faces[0]][:, :, :2] - place[0, :2]
    expected = circle_overlaps(np.ascontiguousarray(flat), 0.006)
    areas = triangle_areas(slab.nodes, found.faces[0])
    np.testing.assert_allclose(found.weights[0], expected / areas, atol=1e-8)


def test_inner_surfaces_carry_no_electrode():
    labels, affine = shells([40], 2.0)
    half = (np.array(labels.shape) - 1) // 2
    x, y, z = (2.0 * (np.arange(n) - h) for n, h in zip(labels.shape, half, strict=True))
    cavity = x[:, None, None] ** 2 + y[None, :, None] ** 2 + (z - 25) ** 2 < 8**2
    labels[cavity] = 0
    mesh = mesh_labels(labels, affine, 0.004, tissue_names=("gm",))
    assert len(outer_surface(mesh)) < len(mesh.surface())
    near = np.add(CENTRE, [[0, 0, 0.036]])  # nearer to the cavity than to the outside
    found = place_discs(mesh, ["a"], near)
    reached = np.linalg.norm(mesh.nodes[found.faces[0]] - CENTRE, axis=2)
    assert reached.min() > 0.037  # the cavity ends at 33 mm


def test_the_other_side_of_a_thin_flap_is_left_alone():
    """A disc near the rim of a plate covers its top only, or is refused there."""
    labels = np.zeros((40, 40, 4), np.uint8)
    labels[2:-2, 2:-2, 1:-1] = 1
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    mesh = mesh_labels(labels, affine, 0.001, "voxel", ("gm",))
    inside = place_discs(mesh, ["a"], np.array([[0.010, 0.019, 0.003]]))
    assert np.all(mesh.nodes[inside.faces[0]][:, :, 2] > 0.0024)
    with pytest.raises(InputError, match="Electrode a"):
        place_discs(mesh, ["a"], np.array([[0.0016, 0.0019, 0.003]]))


def test_off_the_head_is_refused(ball):
    with pytest.raises(InputError, match=r"far \(4[01] mm\)"):
        place_discs(ball, ["near", "far"], np.add(CENTRE, [[0, 0, 0.061], [0, 0.1, 0]]))


def test_overlap_is_refused_and_named(ball):
    places = CENTRE + 0.06 * np.array([[0, 0, 1], [0, np.sin(0.18), np.cos(0.18)]])
    with pytest.raises(InputError, match="Cz-FCz"):
        place_discs(ball, ["Cz", "FCz"], places)
    assert len(place_discs(ball, ["Cz", "FCz"], places, 0.010).labels) == 2


def test_positions_in_millimetres_are_refused(ball):
    with pytest.raises(InputError, match="metres"):
        place_discs(ball, ["a"], np.array([[0.0, 0.0, 60.0]]))


def test_positions_must_match_labels(ball):
    with pytest.raises(InputError, match="electrode positions"):
        place_discs(ball, ["a", "b"], np.zeros((1, 3)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=6, max_size=6))
def test_circle_overlap_against_sampling(values):
    triangle = np.array(values).reshape(1, 3, 2)
    a, b, c = triangle[0]
    steps = (np.arange(300) + 0.5) / 300
    x, y = np.meshgrid(-1 + 2 * steps, -1 + 2 * steps, indexing="ij")
    points = np.stack([x, y], axis=-1)

    def side(p, q):
        return (q[0] - p[0]) * (points[..., 1] - p[1]) - (q[1] - p[1]) * (points[..., 0] - p[0])

    sides = np.stack([side(a, b), side(b, c), side(c, a)])
    assume(abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) > 1e-6)
    inside = (np.all(sides >= 0, axis=0) | np.all(sides <= 0, axis=0)) & (x**2 + y**2 <= 1)
    assert circle_overlaps(triangle, 1.0)[0] == pytest.approx(4 * inside.mean(), abs=0.03)


def test_circle_overlaps_of_a_fan_make_the_circle():
    """Triangles that tile a square around the circle share all of it."""
    line = np.linspace(-1.5, 1.5, 8)
    corners = np.array([[(x, y), (x + 3 / 7, y), (x + 3 / 7, y + 3 / 7), (x, y + 3 / 7)]
                        for x in line[:-1] for y in line[:-1]])  # fmt: skip
    tiles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    assert circle_overlaps(tiles, 1.0).sum() == pytest.approx(np.pi, rel=1e-12)


def test_nearest_point_on_a_triangle():
    corners = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    for point, nearest in (
        ((0.2, 0.2, 3), (0.2, 0.2, 0)),
        ((-1, -1, 1), (0, 0, 0)),
        ((0.5, -2, 0), (0.5, 0, 0)),
        ((2, 2, -1), (0.5, 0.5, 0)),
    ):
        found = module.nearest_on_triangles(np.array(point, float), corners)[0]
        np.testing.assert_allclose(found, nearest, atol=1e-12)


def test_result_does_not_depend_on_node_numbers(ball):
    order = np.random.default_rng(3).permutation(len(ball.nodes))
    place = np.argsort(order)
    shuffled = Mesh(ball.nodes[order], place[ball.tetrahedra], ball.tissue, ball.tissue_names)
    position = np.add(CENTRE, [[0.03, -0.02, 0.05]])
    one = place_discs(ball, ["a"], position)
    two = place_discs(shuffled, ["a"], position)
    np.testing.assert_allclose(one.centres, two.centres, atol=1e-12)
    np.testing.assert_allclose(np.sort(one.weights[0]), np.sort(two.weights[0]), atol=1e-9)


@pytest.mark.parametrize("distance", [0.002, 0.005])
def test_displaced_discs_keep_their_area_and_never_overlap(ball, distance):
    places = CENTRE + 0.06 * _directions(60)
    before = place_discs(ball, [f"E{n}" for n in range(60)], places, 0.012)
    moved = displace_discs(ball, before, distance, 0.012, np.random.default_rng(3))
    assert moved.labels == before.labels
    np.testing.assert_allclose(moved.areas(ball.nodes), DISC, rtol=1e-6)
    way = np.linalg.norm(moved.centres - before.centres, axis=1)
    gone = way > 0
    assert gone.mean() > 0.8, "few have no room"
    np.testing.assert_allclose(way[gone], distance, rtol=0.15)
    apart = np.linalg.norm(moved.centres[:, None] - moved.centres, axis=-1)
    assert apart[~np.eye(60, dtype=bool)].min() >= 0.012
    direction = (moved.centres - before.centres)[gone] / way[gone, None]
    assert np.abs(direction.mean(axis=0)).max() < 0.5, "each goes its own way"
    again = displace_discs(ball, before, distance, 0.012, np.random.default_rng(3))
    np.testing.assert_array_equal(again.centres, moved.centres)


def test_packed_discs_stay_apart(ball):
    places = CENTRE + 0.06 * np.array([[0, 0, 1.0], [0.2, 0, 0.98], [-0.2, 0, 0.98]])
    before = place_discs(ball, ["a", "b", "c"], places, 0.0115)
    packed = displace_discs(ball, before, 0.0005, 0.0115, np.random.default_rng(0))
    apart = np.linalg.norm(packed.centres[:, None] - packed.centres, axis=-1)
    assert apart[~np.eye(3, dtype=bool)].min() >= 0.0115
