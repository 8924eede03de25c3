"""Input that the forward problem must refuse: one clear error each."""

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.head.electrodes import place_discs
from headcond.head.mesh import Electrodes, Mesh
from headcond.head.meshing import mesh_labels
from tests.helpers.fem_meshes import box, face_electrodes


@pytest.fixture(scope="module")
def resistor():
    mesh = box((6, 3, 3), (0.2, 0.1, 0.1), lambda m: 1 + (m[:, 0] > 0.1), ("scalp", "gm"))
    return mesh, face_electrodes(mesh)


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ([-0.3, 0.2, 0.2], "scalp is -0.3"),
        ([0.3, np.nan, 0.2], "gm is nan"),
        ([0.3, 0.2, -1.0], "contact is -1.0"),
        ([0.3, 0.2, np.inf], "contact is inf"),  # a contact impedance of zero
    ],
)
def test_impossible_coefficients(resistor, theta, message):
    with pytest.raises(InputError, match=message):
        assemble(*resistor).combine(theta)


@pytest.mark.parametrize(
    ("theta", "message"), [([0.0, 0.2, 0.2], "every coefficient"), ([0.3, 0.2, 0.0], "2 unknowns")]
)
def test_a_tissue_or_contact_that_conducts_nothing(resistor, theta, message):
    with pytest.raises(InputError, match=f"no positive diagonal.*{message}|{message}.*no positive"):
        make_solver(assemble(*resistor).combine(theta))


def test_impedances_of_single_electrodes(resistor):
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="relative_impedance"):
            assemble(*resistor, relative_impedance=np.array([1.0, wrong]))


def test_inverted_elements_and_empty_tissues(resistor):
    mesh, electrodes = resistor
    turned = mesh.tetrahedra.copy()
    turned[7] = turned[7][[1, 0, 2, 3]]
    with pytest.raises(InputError, match="1 tetrahedra are inverted.*number 7"):
        assemble(Mesh(mesh.nodes, turned, mesh.tissue, mesh.tissue_names), electrodes)
    with pytest.raises(InputError, match="'csf' has no tetrahedron"):
        assemble(Mesh(mesh.nodes, mesh.tetrahedra, mesh.tissue, ("scalp", "gm", "csf")), electrodes)


def test_a_head_in_two_pieces(resistor):
    mesh, electrodes = resistor
    count = len(mesh.nodes)
    twice = Mesh(
        np.concatenate([mesh.nodes, mesh.nodes + 1.0]),
        np.concatenate([mesh.tetrahedra, mesh.tetrahedra + count]),
        np.tile(mesh.tissue, 2),
        mesh.tissue_names,
    )
    with pytest.raises(InputError, match="falls into 2 pieces"):
        assemble(twice, electrodes)


def test_electrodes_off_the_head_overlapping_or_inside(resistor):
    mesh, electrodes = resistor
    middle = np.array([[0.05, 0.05, 0.1], [0.06, 0.05, 0.1]])
    with pytest.raises(InputError, match=r"overlap.*A-B \(10\.0 mm\)"):
        place_discs(mesh, ["A", "B"], middle, 0.03)
    with pytest.raises(InputError, match=r"off the head by more than 20 mm: B \(50 mm\)"):
        place_discs(mesh, ["A", "B"], middle + np.array([[0, 0, 0], [0.09, 0, 0.05]]), 0.03)
    with pytest.raises(InputError, match="metres"):  # millimetres by mistake
        place_discs(mesh, ["A"], 1e3 * middle[:1], 0.03)
    with pytest.raises(InputError, match="near: triangle.*not on the boundary"):
        inner = np.flatnonzero(np.all(np.abs(mesh.nodes[:, 1:] - 0.05) < 0.04, axis=1))[None, :3]
        faces = (np.concatenate([electrodes.faces[0], inner]), electrodes.faces[1])
        weights = tuple(np.ones(len(f)) for f in faces)
        assemble(mesh, Electrodes(electrodes.labels, electrodes.centres, faces, weights))


def test_a_head_at_the_border_of_its_image_must_be_declared_cut():
    labels = np.ones((20, 20, 20), np.uint8)
    labels[5:15, 5:15, 5:15] = 2
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    with pytest.raises(InputError, match="reaches the border.*cut=True"):
        mesh_labels(labels, affine, 0.01, tissue_names=("scalp", "gm"))
    mesh = mesh_labels(labels, affine, 0.01, tissue_names=("scalp", "gm"), cut=True)
    assert set(np.unique(mesh.tissue)) == {1, 2}


def test_three_tetrahedra_on_one_face():
    mesh = box((1, 1, 1), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="overlaps itself"):
        Mesh(mesh.nodes, np.concatenate([mesh.tetrahedra] * 3), np.ones(18, np.uint8),
             ("gm",)).surface()  # fmt: skip
