"""Head files, exports, and meshes made elsewhere."""

import meshio
import numpy as np
import pytest
import scipy.io

from headcond.checks import InputError
from headcond.files.results import read_json
from headcond.head.electrodes import place_discs
from headcond.head.formats import read_head, read_mesh, write_head, write_mesh
from headcond.head.mesh import Mesh
from headcond.head.meshing import mesh_labels
from headcond.tissues import EIT_TISSUES
from tests.helpers.label_volumes import ORIGIN, shells


@pytest.fixture(scope="module")
def head():
    labels, affine = shells([50, 44, 38, 32, 26, 18], 2.0)
    mesh = mesh_labels(labels, affine, 0.006)
    places = 1e-3 * ORIGIN + np.array([[0, 0, 0.05], [0.05, 0, 0]])
    return mesh, place_discs(mesh, ["Cz", "T8"], places)


def _same(one, two, atol=0.0):
    np.testing.assert_allclose(one.nodes, two.nodes, atol=atol, rtol=0)
    np.testing.assert_array_equal(one.tetrahedra, two.tetrahedra)
    np.testing.assert_array_equal(one.tissue, two.tissue)
    assert one.tissue_names == two.tissue_names


def test_head_file_round_trip(head, tmp_path):
    path = tmp_path / "sub-01_head.h5"
    write_head(path, *head, provenance={"seed": 3}, cap="eit32")
    mesh, electrodes = read_head(path)
    _same(head[0], mesh)
    assert mesh.tissue.dtype == np.uint8
    assert electrodes.labels == ("Cz", "T8")
    np.testing.assert_array_equal(electrodes.centres, head[1].centres)
    for kind in ("faces", "weights"):
        for one, two in zip(getattr(head[1], kind), getattr(electrodes, kind), strict=True):
            np.testing.assert_array_equal(one, two)
    sidecar = read_json(tmp_path / "sub-01_head.json")
    assert sidecar["provenance"]["seed"] == 3
    assert sidecar["cap"] == "eit32"
    assert sidecar["units"]["nodes"] == "m"


def test_a_failed_write_leaves_the_old_file(head, tmp_path):
    path = tmp_path / "head.h5"
    write_head(path, *head)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_head(path, *head, provenance={"bad": object()})
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["head.h5", "head.json"]


@pytest.mark.parametrize("spoil", ["absent", "truncated", "other"])
def test_unusable_head_files_are_named(head, tmp_path, spoil):
    path = tmp_path / "head.h5"
    if spoil == "truncated":
        write_head(path, *head)
        path.write_bytes(path.read_bytes()[:5000])
    if spoil == "other":
        import h5py

        h5py.File(path, "w").close()
    with pytest.raises(InputError, match=r"head\.h5"):
        read_head(path)


def test_vtu_round_trip_in_millimetres(head, tmp_path):
    path = tmp_path / "mesh.vtu"
    potential = head[0].nodes[:, 0] * 2
    write_mesh(path, *head, point_data={"potential": potential})
    _same(head[0], read_mesh(path, "mm"), atol=1e-12)
    content = meshio.read(path)
    assert np.ptp(content.points, axis=0).max() == pytest.approx(100, abs=3)
    np.testing.assert_array_equal(content.point_data["potential"], potential)
    kinds = {block.type: n for n, block in enumerate(content.cells)}
    patches = content.cell_data["electrode"][kinds["triangle"]]
    assert np.bincount(patches).tolist() == [0, *map(len, head[1].faces)]
    weights = content.cell_data["electrode_weight"][kinds["triangle"]]
    np.testing.assert_allclose(weights, np.concatenate(head[1].weights))


def test_units_are_never_assumed(head, tmp_path):
    path = tmp_path / "mesh.vtu"
    write_mesh(path, head[0])
    with pytest.raises(InputError, match=r"looks like mm\."):
        read_mesh(path)
    with pytest.raises(InputError, match="not a head; it looks like mm"):
        read_mesh(path, "m")
    with pytest.raises(InputError, match="Did you mean 'mm'"):
        read_mesh(path, "mmm")


def _gmsh(mesh, numbers, path):
    count = len(mesh.tetrahedra)
    triangles = mesh.surface()[:7]
    meshio.Mesh(
        1e3 * mesh.nodes,
        [("triangle", triangles), ("tetra", mesh.tetrahedra)],
        cell_data={
            "gmsh:physical": [np.full(7, 1005), numbers],
            "gmsh:geometrical": [np.ones(7, int), np.ones(count, int)],
        },
    ).write(path, file_format="gmsh22")


def test_gmsh_in_simnibs_numbers(head, tmp_path):
    mesh = head[0]
    simnibs = np.array([0, 5, 7, 8, 3, 2, 1])
    _gmsh(mesh, simnibs[mesh.tissue], tmp_path / "head.msh")
    _same(mesh, read_mesh(tmp_path / "head.msh", "mm"), atol=1e-12)


def test_gmsh_merges_eyes_blood_and_muscle(head, tmp_path):
    mesh = head[0]
    _gmsh(mesh, np.array([0, 6, 4, 8, 9, 2, 1])[mesh.tissue], tmp_path / "head.msh")
    np.testing.assert_array_equal(read_mesh(tmp_path / "head.msh", "mm").tissue, mesh.tissue)
    _gmsh(mesh, mesh.tissue.astype(int) + 50, tmp_path / "odd.msh")
    with pytest.raises(InputError, match=r"groups \[51, 52"):
        read_mesh(tmp_path / "odd.msh", "mm")


def _eidors(mesh, path, turn=False):
    tets = mesh.tetrahedra[:, [0, 2, 1, 3]] if turn else mesh.tetrahedra
    scipy.io.savemat(path, {
        "vtx": 1e3 * mesh.nodes,
        "tri": tets.astype(float) + 1,
        "materials": {"ref": mesh.tissue.astype(float), "names": np.array(EIT_TISSUES, object)},
    })  # fmt: skip


@pytest.mark.parametrize("turn", [False, True])
def test_eidors_folder(head, tmp_path, turn):
    _eidors(head[0], tmp_path / "SAH.mat", turn)
    found = read_mesh(tmp_path, "mm")
    assert found.tissue_names == EIT_TISSUES
    np.testing.assert_allclose(found.volumes(), head[0].volumes())
    np.testing.assert_array_equal(found.tissue, head[0].tissue)


def test_elements_oriented_both_ways_are_refused(head, tmp_path):
    mesh = head[0]
    tets = mesh.tetrahedra.copy()
    tets[:3] = tets[:3][:, [1, 0, 2, 3]]
    _eidors(Mesh(mesh.nodes, tets, mesh.tissue, mesh.tissue_names), tmp_path / "a.mat")
    with pytest.raises(InputError, match="3 of .* inverted"):
        read_mesh(tmp_path / "a.mat", "mm")


def test_unused_nodes_are_dropped(head, tmp_path):
    mesh = head[0]
    more = Mesh(np.vstack([[[0.0, 0, 0.001]], mesh.nodes]), mesh.tetrahedra + 1, mesh.tissue,
                mesh.tissue_names)  # fmt: skip
    _eidors(more, tmp_path / "a.mat")
    _same(mesh, read_mesh(tmp_path / "a.mat", "mm"), atol=1e-12)


def test_other_files_are_refused(head, tmp_path):
    (tmp_path / "a.7z").write_bytes(b"7z")
    with pytest.raises(InputError, match="unpack"):
        read_mesh(tmp_path / "a.7z", "mm")
    with pytest.raises(InputError, match="found 0"):
        read_mesh(tmp_path, "mm")
    with pytest.raises(InputError, match="no such file"):
        read_mesh(tmp_path / "b.vtu", "mm")
    (tmp_path / "c.vtu").write_text("nonsense")
    with pytest.raises(InputError, match=r"c\.vtu"):
        read_mesh(tmp_path / "c.vtu", "mm")
    scipy.io.savemat(tmp_path / "d.mat", {"vtx": np.eye(3)})
    with pytest.raises(InputError, match="tri"):
        read_mesh(tmp_path / "d.mat", "mm")
    with pytest.raises(InputError, match=r"\.vtu"):
        write_mesh(tmp_path / "e.stl", head[0])
    with pytest.raises(InputError, match="point data u"):
        write_mesh(tmp_path / "e.vtu", head[0], point_data={"u": np.zeros(3)})
