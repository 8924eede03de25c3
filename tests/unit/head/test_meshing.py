"""Meshes of label volumes: geometry, layers, refusals."""

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.head import barrier, lattice, quality, snapping, topology
from headcond.head.mesh import Mesh, boundary_triangles
from headcond.head.meshing import build_mesh, mesh_labels
from headcond.head.snapping import GUARD_DEGREES
from tests.helpers.label_volumes import ORIGIN, shell_volumes, shells

HEAD = ("scalp", "compact_bone", "csf", "gm")


@pytest.fixture(scope="module")
def ball():
    labels, affine = shells([40], 2.0)
    return mesh_labels(labels, affine, 0.005, tissue_names=("gm",))


@pytest.fixture(scope="module")
def thin_skull():
    """Skull and csf of 4 mm in a lattice of 6 mm."""
    labels, affine = shells([50, 44, 40, 36], 1.0)
    return labels, affine, *build_mesh(labels, affine, 0.006, tissue_names=HEAD)


def test_lattice_fills_its_box_with_congruent_tetrahedra():
    nodes, tets = lattice.bcc(np.array([0.3, -2.0, 1.0]), np.array([4.1, 3.9, 6.5]), 1.5)
    volumes = np.linalg.det(nodes[tets[:, 1:]] - nodes[tets[:, :1]]) / 6
    np.testing.assert_allclose(volumes, 1.5**3 / 12)
    assert nodes[tets].min(axis=(0, 1)).max() - 0 <= 1.0
    inner = topology.face_neighbours(tets)
    assert np.all(np.count_nonzero(inner >= 0, axis=1) >= 1)
    inside = (nodes[tets].mean(axis=1) > [0.3, -2, 1]) & (
        nodes[tets].mean(axis=1) < [4.1, 3.9, 6.5]
    )
    assert np.all(inner[inside.all(axis=1)] >= 0)  # the box has no gap


def test_votes_are_fractions_of_volume():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:5] = 1
    nodes, tets = lattice.bcc(np.full(3, 2.0), np.full(3, 6.0), 2.0)
    votes = lattice.vote(nodes, tets, labels, np.eye(4), 2)
    assert np.all(votes.sum(axis=1) == lattice.VOTES)
    below = nodes[tets][:, :, 0].max(axis=1) < 4.4
    above = nodes[tets][:, :, 0].min(axis=1) > 4.6
    assert np.all(votes[below][nodes[tets][below].min(axis=(1, 2)) > 0, 1] == lattice.VOTES)
    assert np.all(votes[above, 0] == lattice.VOTES)


def test_ball_volume_shape_and_closed_surface(ball):
    report = quality.report(ball)
    assert report["volume_m3"]["gm"] == pytest.approx(shell_volumes([40])[0], rel=0.02)
    assert report["inverted"] == 0
    assert report["components"] == 1
    assert report["dihedral_deg"]["min"] >= GUARD_DEGREES - 1e-6
    assert report["dihedral_deg"]["max"] <= 180 - GUARD_DEGREES + 1e-6
    assert report["surface"]["euler"] == 2
    assert report["surface"]["open_edges"] == 0
    surface = ball.nodes[np.unique(ball.surface())] - ORIGIN * 1e-3
    radii = np.linalg.norm(surface, axis=1)
    assert abs(radii.mean() - 0.040) < 2e-4
    assert radii.std() < 5e-4  # an unsnapped lattice of 5 mm has 1.1 mm


def test_snapping_is_what_makes_the_surface_round(ball):
    labels, affine = shells([40], 2.0)
    nodes, tets = lattice.bcc(np.full(3, -44.0), np.full(3, 44.0), 5.0)
    votes = lattice.vote(nodes, tets, labels, np.linalg.inv(affine), 2)
    stairs = nodes[np.unique(boundary_triangles(tets[votes[:, 1] > votes[:, 0]]))] - ORIGIN
    snapped = ball.nodes[np.unique(ball.surface())] * 1e3 - ORIGIN
    rough, smooth = (np.linalg.norm(s, axis=1).std() for s in (stairs, snapped))
    assert smooth < 0.5 * rough


def test_volume_converges():
    labels, affine = shells([40], 1.0)
    errors = []
    for size in (0.010, 0.005):
        mesh = mesh_labels(labels, affine, size, tissue_names=("gm",))
        errors.append(abs(mesh.volumes().sum() / shell_volumes([40])[0] - 1))
    assert errors[1] < 0.6 * errors[0]


def test_layers_thinner_than_the_lattice_do_not_leak(thin_skull):
    _, _, mesh, account = thin_skull
    assert account["skull"] > 0  # the vote alone does leak
    assert quality.leaks(mesh) == {"faces": 0, "nodes": 0, "diploe_faces": 0}
    ratio = np.bincount(mesh.tissue, mesh.volumes(), 5)[1:] / shell_volumes([50, 44, 40, 36])
    np.testing.assert_allclose(ratio[[0, 3]], 1, atol=0.06)  # scalp and brain
    np.testing.assert_allclose(ratio[[1, 2]], 1, atol=0.45)  # two layers of half a cell
    assert quality.report(mesh)["inverted"] == 0


def test_the_skull_keeps_its_place_where_the_csf_pinches(monkeypatch):
    """CSF of half a cell: where it is lost, bone and brain meet on the skull's own surface."""
    radii = [40, 35, 30, 28]
    labels, affine = shells(radii, 1.0)

    def roughness():
        mesh = mesh_labels(labels, affine, 0.004, tissue_names=HEAD)
        sets = [np.isin(np.arange(len(mesh.nodes)), mesh.tetrahedra[np.isin(mesh.tissue, of)])
                for of in ([2], [3, 4])]  # fmt: skip
        far = 1e3 * np.linalg.norm(mesh.nodes[sets[0] & sets[1]] - 1e-3 * ORIGIN, axis=1)
        return np.sqrt(np.mean((far - 30) ** 2))

    mended = roughness()
    snap = snapping.snap
    monkeypatch.setattr(snapping, "snap", lambda *a: snap(*a[:-1], np.zeros_like(a[-1])))
    assert mended < 0.35 < 0.5 < roughness()


def test_layers_as_thick_as_the_lattice_keep_their_volume():
    radii = [50, 44, 38, 32]
    labels, affine = shells(radii, 2.0)
    mesh, account = build_mesh(labels, affine, 0.005, tissue_names=HEAD)
    ratio = np.bincount(mesh.tissue, mesh.volumes(), 5)[1:] / shell_volumes(radii)
    np.testing.assert_allclose(ratio, 1, atol=0.05)
    assert account["skull"] < 0.02 * len(mesh.tetrahedra)
    assert quality.leaks(mesh)["nodes"] == 0


def test_an_opening_of_the_skull_stays_open():
    labels, affine = shells([50, 44, 38, 32], 2.0)
    middle = labels.shape[0] // 2
    hole = np.zeros(labels.shape, bool)
    hole[middle - 6 : middle + 7, middle - 6 : middle + 7, middle:] = True
    labels[hole & (labels == 2)] = 1
    mesh = mesh_labels(labels, affine, 0.005, tissue_names=HEAD)
    found = quality.leaks(mesh)
    assert found["faces"] > 0
    at = mesh.nodes[:, 2] < 0
    below = np.unique(mesh.tetrahedra[mesh.tissue == 1])
    brain = np.unique(mesh.tetrahedra[mesh.tissue >= 3])
    assert not np.any(at[np.intersect1d(below, brain)])  # nothing opens elsewhere


def test_spongy_bone_is_wrapped_in_compact_bone():
    names = ("scalp", "compact_bone", "spongy_bone", "gm")
    labels, affine = shells([50, 44, 42, 38, 36], 1.0)
    labels = np.array([0, 1, 2, 3, 2, 4])[labels]  # two tables of 2 mm around 4 mm of diploe
    mesh = mesh_labels(labels, affine, 0.006, tissue_names=names)
    assert quality.leaks(mesh) == {"faces": 0, "nodes": 0, "diploe_faces": 0}
    assert np.count_nonzero(mesh.tissue == 3) > 1000


def test_rules_close_what_the_plain_vote_leaves_open():
    names = ("scalp", "compact_bone", "spongy_bone", "gm")
    labels, affine = shells([50, 48, 46, 42, 40], 1.0)
    labels = np.array([0, 1, 2, 3, 2, 4])[labels]
    nodes, tets = lattice.bcc(np.full(3, -55.0), np.full(3, 55.0), 7.0)
    votes = lattice.vote(nodes, tets, labels, np.linalg.inv(affine), 5)
    held = votes[:, 0] < lattice.VOTES
    votes, tets = votes[held], tets[held]
    neighbours = topology.face_neighbours(tets)
    label = lattice.weighted_majority(votes, np.ones(5))

    def found(label):
        inside = label > 0
        return quality.leaks(Mesh(nodes * 1e-3, tets[inside], label[inside], names))

    assert found(label)["nodes"] > 0
    assert found(label)["diploe_faces"] > 0
    before = label.copy()
    incidence = topology.node_tetrahedra(tets, len(nodes))
    changed = barrier.close_layers(incidence, neighbours, votes, label, names)
    assert found(label) == {"faces": 0, "nodes": 0, "diploe_faces": 0}
    assert min(changed.values()) > 0
    assert sum(changed.values()) >= np.count_nonzero(before != label)
    around = np.where(neighbours >= 0, label[neighbours], 0)
    air = (label == 0) & np.any(around > 1, axis=1)
    assert not np.any(votes[air, 1])  # bone is bare nowhere that scalp was seen


def test_axis_order_and_direction_do_not_matter():
    labels, affine = shells([30, 22], 2.0)
    labels[: labels.shape[0] // 3] = 0  # not symmetric
    once = mesh_labels(labels, affine, 0.005, tissue_names=("scalp", "gm"))
    turned = labels.transpose(2, 0, 1)[::-1]
    permute = np.zeros((4, 4))
    permute[[2, 0, 1, 3], [0, 1, 2, 3]] = 1
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = turned.shape[0] - 1
    again = mesh_labels(turned, affine @ permute @ flip, 0.005, tissue_names=("scalp", "gm"))
    np.testing.assert_array_equal(once.tetrahedra, again.tetrahedra)
    np.testing.assert_array_equal(once.tissue, again.tissue)
    np.testing.assert_allclose(once.nodes, again.nodes, atol=1e-6)


def test_padding_does_not_matter_and_runs_agree():
    labels, affine = shells([30, 22], 2.0)
    padded = np.pad(labels, ((3, 0), (1, 5), (0, 2)))
    moved = affine.copy()
    moved[:3, 3] -= [6.0, 2.0, 0.0]
    once = mesh_labels(labels, affine, 0.006, tissue_names=("scalp", "gm"))
    again = mesh_labels(padded, moved, 0.006, tissue_names=("scalp", "gm"))
    np.testing.assert_array_equal(once.tetrahedra, again.tetrahedra)
    np.testing.assert_allclose(once.nodes, again.nodes, atol=1e-9)


def test_voxel_method_is_exact():
    labels, affine = shells([20, 13], 2.0)
    affine[:3, :3] *= -1  # mirrored axes must not invert elements
    mesh, account = build_mesh(labels, affine, 0.002, "voxel", ("scalp", "gm"))
    counts = np.bincount(labels.ravel())[1:]
    volumes = np.bincount(mesh.tissue, mesh.volumes())[1:]
    np.testing.assert_allclose(volumes, counts * 8e-9, rtol=1e-12)
    assert len(mesh.tetrahedra) == 5 * counts.sum()
    assert mesh.volumes().min() > 0
    exposed = sum(np.count_nonzero(np.diff(labels > 0, axis=axis)) for axis in range(3))
    surface = quality.report(mesh)["surface"]
    assert surface["area_m2"] == pytest.approx(exposed * 4e-6)  # so inner faces conform
    assert account["dropped_tetrahedra"] == 0


def test_voxel_method_resamples_by_vote():
    labels, affine = shells([30], 1.0)
    mesh = mesh_labels(labels, affine, 0.003, "voxel", ("gm",))
    assert mesh.volumes().sum() == pytest.approx(shell_volumes([30])[0], rel=0.02)
    assert mesh.nodes.mean(axis=0) == pytest.approx(ORIGIN * 1e-3, abs=5e-4)


def test_islands_are_dropped_and_counted():
    labels, affine = shells([30], 2.0)
    labels = np.pad(labels, ((0, 12), (0, 0), (0, 0)))
    labels[-8:-3, 14:19, 14:19] = 1
    mesh, account = build_mesh(labels, affine, 0.005, tissue_names=("gm",))
    assert account["dropped_components"] == 1
    assert account["dropped_tetrahedra"] > 50
    assert mesh.nodes[:, 0].max() < 0.032


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a | {"labels": a["labels"].astype(float)}, "integers"),
        (lambda a: a | {"labels": a["labels"] * 2}, "from 0 to 2"),
        (lambda a: a | {"tissue_names": ("gm", "wm")}, "no voxel of wm"),
        (lambda a: a | {"labels": a["labels"][5:]}, "border of the image"),
        (lambda a: a | {"size": 5.0}, "metres"),
        (lambda a: a | {"size": -0.005}, "above 0"),
        (lambda a: a | {"method": "bc"}, "Did you mean 'bcc'"),
        (lambda a: a | {"affine": a["affine"] + 0.3 * np.eye(4, k=1)}, "sheared"),
        (lambda a: a | {"labels": a["labels"][0]}, "shape"),
    ],
)
def test_refusals(change, words):
    labels, affine = shells([12], 2.0)
    given = {"labels": labels, "affine": affine, "size": 0.005, "tissue_names": ("gm",)}
    with pytest.raises(InputError, match=words):
        mesh_labels(**change(given))


def test_a_declared_cut_is_meshed_flat():
    labels, affine = shells([30], 2.0)
    half = labels.shape[2] // 2
    labels, affine[2, 3] = labels[:, :, half:], affine[2, 3] + 2.0 * half
    mesh = mesh_labels(labels, affine, 0.005, tissue_names=("gm",), cut=True)
    plane = affine[2, 3] - 1.0
    lowest = mesh.nodes[mesh.nodes[:, 2] < (plane + 2) * 1e-3]
    assert abs(1e3 * np.median(lowest[:, 2]) - plane) < 0.3


def test_a_tissue_that_vanishes_is_named():
    labels, affine = shells([30], 1.0)
    middle = labels.shape[0] // 2
    labels[middle, middle, middle] = 2
    with pytest.raises(InputError, match="no tetrahedron is left for wm"):
        mesh_labels(labels, affine, 0.008, tissue_names=("gm", "wm"))


def test_three_tetrahedra_on_one_face_are_refused():
    tets = np.array([[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 5]])
    with pytest.raises(ValueError, match="overlaps itself"):
        topology.face_neighbours(tets)
