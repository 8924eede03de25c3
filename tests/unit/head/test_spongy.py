"""Spongy bone by erosion, and what CGAL's wrapper asks of pygalmesh."""

import os
import types

import meshio
import numpy as np
import pytest

from headcond.checks import InputError
from headcond.head.meshing import build_mesh
from headcond.head.quality import leaks
from headcond.head.spongy import erode_skull
from tests.helpers.label_volumes import shell_volumes, shells

RADII = [50, 44, 36, 30]  # scalp, a skull of 8 mm, csf, gm


@pytest.fixture(scope="module")
def one_skull():
    labels, affine = shells(RADII, 1.0)
    return np.array([0, 1, 2, 4, 5], np.uint8)[labels], affine


def test_tables_have_the_stated_thickness(one_skull):
    labels, affine = one_skull
    split, account = erode_skull(labels, affine, 2.0, 3.0)
    np.testing.assert_array_equal(split[labels != 2], labels[labels != 2])
    volume = shell_volumes([42, 39])[0] * 1e9
    half_a_voxel = 0.5 * volume / 3.0  # of the 3 mm of diploe
    assert account["spongy_bone"] == pytest.approx(volume, abs=half_a_voxel)
    assert account["spongy_before"] == 0
    assert account["compact_bone"] + account["spongy_bone"] == np.count_nonzero(labels == 2)
    again, _ = erode_skull(split, affine, 2.0, 3.0)  # what was spongy counts as skull
    np.testing.assert_array_equal(again, split)
    thick, _ = erode_skull(labels, affine, 3.0, 2.0)
    radius = np.linalg.norm(np.argwhere(thick == 3) - (np.array(labels.shape) - 1) / 2, axis=1)
    assert radius.min() < 39 and radius.max() < 41.6


def test_a_mesh_of_it_keeps_the_diploe_wrapped(one_skull):
    labels, affine = one_skull
    split, _ = erode_skull(labels, affine, 2.0, 2.0)
    names = ("scalp", "compact_bone", "spongy_bone", "csf", "gm")
    mesh, _ = build_mesh(split, affine, 0.006, tissue_names=names)
    assert leaks(mesh) == {"faces": 0, "nodes": 0, "diploe_faces": 0}
    assert np.count_nonzero(mesh.tissue == 3) > 500


def test_tables_too_thick_or_no_skull_are_refused(one_skull):
    labels, affine = one_skull
    with pytest.raises(InputError, match="thinner tables"):
        erode_skull(labels, affine, 5.0, 5.0)
    with pytest.raises(InputError, match="no skull"):
        erode_skull(np.where(labels == 2, 1, labels), affine, 1.0, 1.0)
    with pytest.raises(InputError, match="outer"):
        erode_skull(labels, affine, 0.0, 1.0)


def test_cgal_says_how_it_is_installed(monkeypatch, one_skull):
    import sys

    monkeypatch.setitem(sys.modules, "pygalmesh", None)
    with pytest.raises(InputError, match=r"pip install headcond\[cgal\].*'bcc'"):
        build_mesh(*shells([30, 22], 2.0), 0.006, "cgal", ("scalp", "gm"))


def test_cgal_is_bounded_silent_and_comes_back_in_world_coordinates(monkeypatch, capfd):
    """With a substitute of pygalmesh: its arguments, and the use of its result."""
    import sys

    labels, affine = shells([30, 22], 2.0)
    affine[0] *= -1  # left-handed
    asked = {}

    def from_inr(path, **options):
        asked.update(options, image=open(path, "rb").read())  # noqa: SIM115
        os.write(1, b"CGAL talks and talks\n")
        points = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [-9, 0, 0.0]])
        return meshio.Mesh(points, [("triangle", [[0, 1, 2]]), ("tetra", [[0, 1, 2, 3],
                           [0, 2, 4, 3]])], cell_data={"medit:ref": [[9], [2, 1]]})  # fmt: skip

    def save(volume, spacing, path):
        asked.update(shape=volume.shape, spacing=spacing)
        open(path, "wb").write(volume.tobytes(order="F"))  # noqa: SIM115

    stand_in = types.SimpleNamespace(generate_from_inr=from_inr, save_inr=save)
    monkeypatch.setitem(sys.modules, "pygalmesh", stand_in)
    mesh, account = build_mesh(labels, affine, 0.006, "cgal", ("scalp", "gm"))
    assert "CGAL talks" not in capfd.readouterr().out
    assert asked["exude"] and 0 < asked["exude_time_limit"] < 600 and not asked["verbose"]
    assert asked["spacing"] == (2.0, 2.0, 2.0) and 0 < asked["max_cell_circumradius"] < 6.0
    assert np.prod(asked["shape"]) == len(asked["image"])
    assert np.all(mesh.volumes() > 0) and mesh.tissue.tolist() == [2, 1]
    assert account["method"] == "cgal" and account["dropped_components"] == 0
    assert np.linalg.norm(np.ptp(mesh.nodes, axis=0)) == pytest.approx(0.02205, abs=1e-4)


def test_cgal_itself():
    pytest.importorskip("pygalmesh", reason="pygalmesh is not installed")
    radii = [30, 22]
    mesh, _ = build_mesh(*shells(radii, 1.0), 0.005, "cgal", ("scalp", "gm"))
    ratio = np.bincount(mesh.tissue, mesh.volumes(), 3)[1:] / shell_volumes(radii)
    np.testing.assert_allclose(ratio, 1, atol=0.05)
