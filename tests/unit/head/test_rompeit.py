"""Heads that come as meshes: ROMpEIT's layout, real EIDORS heads, tissues and caps."""

import h5py
import numpy as np
import pytest
import scipy.io

from headcond.caps import cap_positions, fitted_cap, similarity_transform, template_positions
from headcond.checks import InputError
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.head.electrodes import place_discs
from headcond.head.formats import read_mesh
from headcond.head.mesh import Electrodes, Mesh
from headcond.head.rompeit import read_electrodes, rename_tissues
from headcond.tissues import EIT_TISSUES
from tests.helpers.fem_meshes import box, caps, direction, shells

LAYERS = {"skull": "compact_bone", "brain": "gm"}


def rompeit(path, newer=False):
    """A sphere of three layers, numbered from outside, as ROMpEIT keeps it, in mm."""
    mesh = shells([0.07, 0.08, 0.09], 2, 1, 4)
    discs = caps(mesh, [direction(0.4, 0.1), direction(1.5, 2.0), direction(2.4, 4.0)], 0.3)
    electrodes = Electrodes(discs.labels, discs.centres, discs.faces,
                            tuple(np.ones(len(f)) for f in discs.faces))  # fmt: skip
    number = {tuple(sorted(f)): n for n, faces in enumerate(electrodes.faces, start=1)
              for f in faces.tolist()}  # fmt: skip
    surface = mesh.surface()[:, [1, 0, 2]]  # turned inwards: the reader must not mind
    marks = [number.get(tuple(sorted(face)), 0) for face in surface.tolist()]
    content = {
        "p": np.vstack([[[0.0, 0, 0]], 1e3 * mesh.nodes]),  # one node that nothing uses
        "t": np.column_stack([mesh.tetrahedra + 2, 4 - mesh.tissue]).astype(float),
        "f": np.column_stack([surface + 2, marks]).astype(float),
    }
    if newer:
        with h5py.File(path, "w") as file:
            for name, values in content.items():
                file[name] = values.T
    else:
        scipy.io.savemat(path, content)
    return mesh, electrodes


@pytest.mark.parametrize("newer", [False, True])
def test_a_rompeit_head_brings_its_electrodes(tmp_path, newer):
    path = tmp_path / "head_model.mat"
    mesh, electrodes = rompeit(path, newer)
    found = read_mesh(path, "mm", ("scalp", "compact_bone", "gm"))
    assert found.tissue_names == ("scalp", "compact_bone", "gm")
    np.testing.assert_array_equal(found.tissue, 4 - mesh.tissue)
    np.testing.assert_allclose(found.nodes, mesh.nodes, atol=1e-12)
    own = read_electrodes(path, found)
    assert own.labels == ("E1", "E2", "E3")
    np.testing.assert_allclose(own.areas(found.nodes), electrodes.areas(mesh.nodes))
    # The same voltages, so nothing was lost on the way.
    matrices = [assemble(*head).combine(theta) for head, theta in (
        ((mesh, electrodes), [0.33, 0.01, 0.43, 0.2]), ((found, own), [0.43, 0.01, 0.33, 0.2])
    )]  # fmt: skip
    load = np.zeros(matrices[0].shape[0])
    load[-3:-1] = 1e-5, -1e-5
    one, two = (make_solver(m, backend="direct").solve(load).x[-3:] for m in matrices)
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_rompeit_files_that_say_too_little_are_refused(tmp_path):
    path = tmp_path / "head_model.mat"
    rompeit(path)
    with pytest.raises(InputError, match="layers are.*2 names"):
        read_mesh(path, "mm", ("scalp", "gm"))
    with pytest.raises(InputError, match=r"state the unit.*looks like mm"):
        read_mesh(path, None, ("scalp", "compact_bone", "gm"))
    found = read_mesh(path, "mm", ("scalp", "compact_bone", "gm"))
    content = scipy.io.loadmat(path)
    bare = {**{k: content[k] for k in "pt"}, "f": content["f"] * [1, 1, 1, 0]}
    scipy.io.savemat(path, bare)
    with pytest.raises(InputError, match="mark no electrodes"):
        read_electrodes(path, found)
    with pytest.raises(InputError, match="only ROMpEIT"):
        read_electrodes(tmp_path / "head.vtu", found)
    inside = content["f"].copy()
    inside[inside[:, 3] == 1, :3] = content["t"][:1, :3]
    scipy.io.savemat(path, {**bare, "f": inside})
    with pytest.raises(InputError, match="electrode 1 has triangles inside"):
        read_electrodes(path, found)


def test_tissues_are_renamed_merged_and_ordered():
    mesh = box((4, 1, 1), (1, 1, 1), lambda m: 1 + np.floor(4 * m[:, 0]).astype(int),
               ("brain", "skull", "eyes", "scalp"))  # fmt: skip
    found = rename_tissues(mesh, {**LAYERS, "eyes": "scalp"})
    assert found.tissue_names == ("scalp", "compact_bone", "gm")
    assert [found.tissue_names[k - 1] for k in found.tissue[[0, -1]]] == ["gm", "scalp"]
    assert np.count_nonzero(found.tissue == 1) == 2 * np.count_nonzero(found.tissue == 2)
    with pytest.raises(InputError, match="calls a tissue brain: state in head.tissues"):
        rename_tissues(mesh, {"skull": "compact_bone", "eyes": "scalp"})
    with pytest.raises(InputError, match="no tissue lens"):
        rename_tissues(mesh, {"lens": "scalp"})
    six = Mesh(mesh.nodes, mesh.tetrahedra, mesh.tissue, EIT_TISSUES)
    assert rename_tissues(six, {}).tissue_names == EIT_TISSUES[:4]


def test_a_cap_follows_the_fiducials(tmp_path):
    turn = similarity_transform(np.eye(3) * 100, np.roll(np.eye(3), 1, axis=0) * 90 + 7)
    np.testing.assert_allclose(turn[:3, :3] @ turn[:3, :3].T, 0.81 * np.eye(3), atol=1e-12)
    assert np.linalg.det(turn[:3, :3]) > 0
    marks = template_positions("paper133")[0]
    fiducials = {name: turn[:3, :3] @ marks[name] + turn[:3, 3]
                 for name in ("nasion", "lpa", "rpa")}  # fmt: skip
    found, known = fitted_cap("eit32", fiducials), cap_positions("eit32", np.eye(4))
    for name, place in known.items():
        np.testing.assert_allclose(found[name], turn[:3, :3] @ place + turn[:3, 3], atol=1e-8)
    with pytest.raises(InputError, match="needs head.fiducials"):
        fitted_cap("eit32", None)
    with pytest.raises(InputError, match="are on a line"):
        fitted_cap("eit32", {"nasion": [0, 0, 0], "lpa": [1, 1, 1], "rpa": [90, 90, 90]})
    path = tmp_path / "own.csv"
    path.write_text("Electrode,10,20,80,A\nElectrode,-10,20,80,B\n")
    np.testing.assert_array_equal(fitted_cap(str(path), None)["A"], [10, 20, 80])


@pytest.mark.parametrize(
    ("name", "nodes"), [("SAH077", 14188), pytest.param("SAH262", 48394, marks=pytest.mark.slow)]
)
def test_the_real_eidors_heads_are_solved(data_dir, tmp_path, name, nodes):
    """Tizzard and Bayford's adult heads: eight electrodes, four pairs, one of them mirrored."""
    archive = data_dir / "head_meshes" / f"{name}.7z"
    if not archive.exists():
        pytest.skip(f"{archive.name} is absent from the real data")
    py7zr = pytest.importorskip("py7zr", reason="py7zr, which unpacks EIDORS's heads, is absent")
    with py7zr.SevenZipFile(archive) as content:
        content.extractall(tmp_path)
    with pytest.raises(InputError, match=r"state the unit.*looks like mm\."):
        read_mesh(tmp_path)
    mesh = read_mesh(tmp_path, "mm")
    assert len(mesh.nodes) == nodes and set(mesh.tissue_names) == {"skull", "brain", "scalp", "csf"}
    mesh = rename_tissues(mesh, LAYERS)
    assert mesh.tissue_names == ("scalp", "compact_bone", "csf", "gm")
    assert 3e-3 < mesh.volumes().sum() < 5e-3  # a head of 3 to 5 litres
    middle = mesh.nodes[mesh.tetrahedra[mesh.tissue == 4]].mean(axis=(0, 1))
    directions = [direction(t, p) for t in (0.5, 1.2) for p in (0.4, 2.0, 3.5, 5.1)]
    surface = mesh.nodes[np.unique(mesh.surface())] - middle
    unit = surface / np.linalg.norm(surface, axis=1, keepdims=True)
    places = [middle + surface[np.argmax(unit @ d)] for d in directions]
    discs = place_discs(mesh, [f"E{k}" for k in range(8)], np.array(places), 0.012)
    operator = assemble(mesh, discs)
    matrix = operator.combine([0.37, 0.006, 1.62, 0.39, 0.2])
    pairs = [("E0", "E7"), ("E3", "E4"), ("E5", "E2"), ("E7", "E0")]
    loads = np.stack([operator.load(*pair, 20e-6) for pair in pairs], axis=1)
    backend = "petsc" if _has_petsc() else "pyamg"
    found = make_solver(matrix, backend=backend, tolerance=1e-10).solve(loads)
    residual = np.linalg.norm(loads - matrix @ found.x, axis=0) / np.linalg.norm(loads, axis=0)
    assert residual.max() <= 1e-10
    np.testing.assert_allclose(found.x[:, 3], -found.x[:, 0], atol=1e-7 * np.ptp(found.x[:, 0]))
    transfer = loads.T @ found.x
    np.testing.assert_allclose(transfer, transfer.T, atol=1e-9 * np.abs(transfer).max())
    head = found.x[: len(mesh.nodes), 0]
    assert 1e-4 < np.ptp(head) < 1e-1  # parts of a volt at 20 uA


def _has_petsc():
    try:
        import petsc4py  # noqa: F401
    except ImportError:
        return False
    return True
