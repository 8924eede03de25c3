"""Grey matter surface, sampling from inside, and tables per tissue, on labels made by hand."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from headcond import tissues
from headcond.checks import InputError
from headcond.tms.regions import tissue_table
from headcond.tms.surface import gifti, grey_surface, sample_inside

GM, WM, CSF = (tissues.tissue_id(name) for name in ("gm", "wm", "csf"))


def ball(affine, radius=20.0, shell=4.0, shape=(40, 36, 44)):
    """White matter in grey matter in CSF around the middle of the grid."""
    index = np.stack(np.mgrid[tuple(slice(n) for n in shape)], axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    centre = world[tuple(n // 2 for n in shape)]
    radii = np.linalg.norm(world - centre, axis=-1)
    labels = np.full(shape, CSF, np.uint8)
    labels[radii <= radius] = GM
    labels[radii <= radius - shell] = WM
    return labels, world, centre


@pytest.mark.parametrize("flip", [1, -1])
def test_surface_of_a_ball(flip):
    affine = np.array([[0, 1.5, 0, -3], [flip * 1.5, 0, 0, 5], [0, 0, 1.5, 7], [0, 0, 0, 1.0]])
    labels, _, centre = ball(affine)
    points, triangles = grey_surface(labels, affine)
    radii = np.linalg.norm(points - centre, axis=1)
    assert abs(radii.mean() - 20) < 0.3 and np.ptp(radii) < 2.5
    corners = points[triangles] - centre
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.04)  # positive: outward


def test_samples_do_not_see_the_other_side():
    affine = np.diag([1.5, 1.5, 1.5, 1])
    labels, world, centre = ball(affine)
    slope = np.array([[0.1, 0, 0], [0, 0.2, -0.1], [0.3, 0, 0.05]])
    field = np.where((labels == GM)[..., None], world @ slope.T, 1e6)
    points, _ = grey_surface(labels, affine)
    got = sample_inside(field, labels == GM, affine, points)
    assert np.abs(got - points @ slope.T).max() < 0.75  # nowhere near the CSF's 1e6
    deep = world[(np.linalg.norm(world - centre, axis=-1) - 18) ** 2 < 0.2][:50] + 0.3
    smooth = sample_inside(world @ slope.T, np.ones(labels.shape, bool), affine, deep)
    np.testing.assert_allclose(smooth, deep @ slope.T, atol=1e-10)


def test_point_far_from_the_mask_takes_its_nearest_voxel():
    mask = np.zeros((12, 12, 12), bool)
    mask[3, 4, 5] = True
    field = np.arange(12**3, dtype=float).reshape(12, 12, 12, 1)
    got = sample_inside(field, mask, np.eye(4), [[9.0, 9, 9], [3, 4, 5]])
    assert (got == field[3, 4, 5]).all()
    with pytest.raises(InputError, match="mask is empty"):
        sample_inside(field, np.zeros_like(mask), np.eye(4), [[0.0, 0, 0]])
    with pytest.raises(InputError, match="no grey or white"):
        grey_surface(np.zeros((5, 5, 5), np.uint8), np.eye(4))


def test_tissue_table_is_the_statistics_of_each_tissue():
    labels, _, _ = ball(np.eye(4), 12, 3)
    field = np.random.default_rng(0).normal(size=(*labels.shape, 3))
    table = tissue_table(field, labels, 0.001).set_index("tissue")
    assert set(table.index) == {"csf", "gm", "wm"}
    size = np.linalg.norm(field, axis=-1)[labels == GM]
    row = table.loc["gm"]
    assert row["mean"] == pytest.approx(size.mean()) and row["max"] == size.max()
    assert row["p99.9"] == pytest.approx(np.percentile(size, 99.9))
    assert table["volume_ml"].sum() == pytest.approx(labels.size / 1e3)


def test_gifti_is_read_back_as_it_was(tmp_path):
    points, triangles = grey_surface(ball(np.eye(4), 12, 3)[0], np.eye(4))
    vector = np.random.default_rng(1).normal(size=points.shape)
    for name, image in zip(("x.surf.gii", "x.func.gii"), gifti(points, triangles, vector),
                           strict=True):  # fmt: skip
        nibabel.save(image, tmp_path / name)
    surface = nibabel.load(tmp_path / "x.surf.gii")
    got, corners = surface.agg_data(("pointset", "triangle"))
    np.testing.assert_allclose(got, points, atol=1e-4)
    np.testing.assert_array_equal(corners, triangles)
    np.testing.assert_array_equal(surface.darrays[0].coordsys.xform, np.eye(4))  # world, mm
    values = nibabel.load(tmp_path / "x.func.gii")
    named = {array.meta["Name"]: array.data for array in values.darrays}
    assert list(named) == ["|E|", "Ex", "Ey", "Ez"]
    np.testing.assert_allclose(
        np.stack([named[f"E{axis}"] for axis in "xyz"], 1), vector, atol=1e-6
    )
    np.testing.assert_allclose(named["|E|"], np.linalg.norm(vector, axis=1), atol=1e-6)
