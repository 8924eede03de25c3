"""The quality report against meshes whose numbers are known."""

import json

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.head import quality
from headcond.head.mesh import Mesh
from headcond.head.meshing import mesh_labels
from tests.helpers import fem_meshes
from tests.helpers.label_volumes import shells

REGULAR = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
CORNER = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def _single(nodes):
    tets = np.array([[0, 1, 2, 3]])
    mesh = Mesh(nodes, tets, np.array([1], np.uint8), ("gm",))
    return (
        mesh if mesh.volumes()[0] > 0 else Mesh(nodes, tets[:, [0, 2, 1, 3]], mesh.tissue, ("gm",))
    )


def test_regular_tetrahedron():
    mesh = _single(REGULAR)
    np.testing.assert_allclose(quality.dihedral_angles(mesh), np.degrees(np.arccos(1 / 3)))
    np.testing.assert_allclose(quality.radius_ratios(mesh), 1.0)


def test_corner_tetrahedron():
    mesh = _single(CORNER)
    slope = np.degrees(np.arctan(np.sqrt(2)))
    np.testing.assert_allclose(np.sort(quality.dihedral_angles(mesh)[0]), [slope] * 3 + [90] * 3)
    inscribed = 1 / (3 + np.sqrt(3))
    np.testing.assert_allclose(quality.radius_ratios(mesh), 3 * inscribed / (np.sqrt(3) / 2))


def test_a_flat_tetrahedron_scores_zero_and_counts_as_inverted():
    flat = CORNER.copy()
    flat[3] = [0.3, 0.3, 0]
    report = quality.report(Mesh(flat, np.array([[0, 1, 2, 3]]), np.array([1], np.uint8), ("gm",)))
    assert report["inverted"] == 1
    assert report["radius_ratio"]["min"] == pytest.approx(0, abs=1e-12)
    assert report["dihedral_deg"]["min"] == pytest.approx(0, abs=1e-5)


def test_report_of_voxels_is_exact():
    """Two layers of 2 x 2 voxels, scalp on csf, and a cavity-free box around them."""
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1:3, 1:3, 1] = 2
    labels[1:3, 1:3, 2] = 1
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    mesh = mesh_labels(labels, affine, 0.002, "voxel", ("scalp", "csf"))
    report = quality.report(mesh, labels, affine)
    assert report["tetrahedra"] == 40
    assert report["nodes"] == 27
    assert report["volume_m3"] == pytest.approx({"scalp": 32e-9, "csf": 32e-9})
    assert report["voxel_volume_ratio"] == pytest.approx({"scalp": 1.0, "csf": 1.0})
    assert report["pieces"] == {"scalp": 1, "csf": 1}
    assert report["interface_faces"] == {"scalp-csf": 8}
    assert report["leaks"] == {"faces": 8, "nodes": 9, "diploe_faces": 0}
    assert report["surface"] == pytest.approx(
        {"triangles": 48, "pieces": 1, "area_m2": 24 * 4e-6, "euler": 2, "open_edges": 0}
    )
    assert report["edge_mm"]["min"] == pytest.approx(2)
    assert report["edge_mm"]["max"] == pytest.approx(2 * np.sqrt(2))
    assert sum(report["dihedral_deg"]["histogram"]) == 6 * 40
    json.dumps(report, allow_nan=False)


def test_a_cavity_is_a_second_surface():
    labels, affine = shells([16], 2.0)
    middle = labels.shape[0] // 2
    labels[middle - 2 : middle + 3, middle - 2 : middle + 3, middle - 2 : middle + 3] = 0
    report = quality.report(mesh_labels(labels, affine, 0.002, "voxel", ("gm",)))
    assert report["surface"]["pieces"] == 2
    assert report["surface"]["euler"] == 4


def test_pieces_of_a_tissue_are_counted():
    labels, affine = shells([16], 2.0)
    labels[labels == 1] = 2
    labels[6, 10, 10] = labels[14, 10, 10] = 1
    report = quality.report(mesh_labels(labels, affine, 0.002, "voxel", ("gm", "wm")))
    assert report["pieces"] == {"gm": 2, "wm": 1}
    assert report["components"] == 1


def test_skull_thickness_of_a_sphere():
    mesh = fem_meshes.shells([0.07, 0.078, 0.09], 3, 2, 4)
    named = Mesh(mesh.nodes, mesh.tetrahedra, mesh.tissue, ("gm", "compact_bone", "scalp"))
    triangles, depth = quality.skull_thickness(named)
    far = np.linalg.norm(named.nodes[triangles], axis=2)
    np.testing.assert_allclose(far, 0.078)
    np.testing.assert_allclose(depth, 0.008, rtol=0.1)
    a, b, c = named.nodes[triangles].transpose(1, 0, 2)
    assert np.all(np.einsum("fi,fi->f", np.cross(b - a, c - a), a) > 0)  # out of the bone
    with pytest.raises(InputError, match="no skull"):
        quality.skull_thickness(Mesh(mesh.nodes, mesh.tetrahedra, mesh.tissue, ("gm", "a", "b")))
