"""The complete electrode model: exact resistor, structure of the blocks, refusals."""

import dataclasses

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.fem.anisotropy import normals_from_centre
from headcond.fem.electrode_model import assemble, mesh_digest
from headcond.fem.solvers import make_solver
from headcond.head.mesh import Electrodes, Mesh
from tests.helpers.fem_meshes import box, caps, direction, face_electrodes, shells

CURRENT, Z = 20e-6, 5.0


def drive(operator, theta, source, sink):
    solver = make_solver(operator.combine(theta), backend="direct", tolerance=1e-11)
    x = solver.solve(operator.load(source, sink, CURRENT)).x
    return x[operator.unknown(source)] - x[operator.unknown(sink)]


def small_sphere():
    mesh = shells([0.07, 0.08, 0.09], 1, 1, 2)
    electrodes = caps(mesh, [direction(0.4, 0.1), direction(1.5, 2.0), direction(2.4, 4.0)], 0.5)
    return mesh, electrodes


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("z", [Z, 1e-3])
def test_box_resistor_is_exact(axis, z):
    lengths = (0.1, 0.05, 0.07)
    mesh = box((4, 3, 5), lengths)
    operator = assemble(mesh, face_electrodes(mesh, axis))
    area = np.prod(lengths) / lengths[axis]
    sigma = 0.33
    exact = CURRENT * (lengths[axis] / (sigma * area) + 2 * z / area)
    assert drive(operator, [sigma, 1 / z], "near", "far") == pytest.approx(exact, rel=1e-10)


def test_box_of_two_materials_in_series_is_exact():
    mesh = box((4, 3, 3), (0.1, 0.05, 0.07), lambda x: 1 + (x[:, 0] > 0.05), ("a", "b"))
    operator = assemble(mesh, face_electrodes(mesh))
    assert operator.names == ("a", "b", "contact")
    area = 0.05 * 0.07
    exact = CURRENT / area * (0.05 / 0.33 + 0.05 / 0.01 + 2 * Z)
    assert drive(operator, [0.33, 0.01, 1 / Z], "near", "far") == pytest.approx(exact, rel=1e-10)


def test_anisotropic_box_uses_the_component_along_the_current():
    mesh = box((4, 3, 3), (0.1, 0.05, 0.07))
    normals = np.tile([1.0, 0, 0], (len(mesh.tetrahedra), 1))
    area = 0.05 * 0.07
    for axis, sigma, area, length in ((0, 0.01, 0.05 * 0.07, 0.1), (1, 0.04, 0.1 * 0.07, 0.05)):
        operator = assemble(mesh, face_electrodes(mesh, axis), ("a",), normals)
        assert operator.names == ("a_radial", "a_tangential", "contact")
        exact = CURRENT / area * (length / sigma + 2 * Z)
        found = drive(operator, [0.01, 0.04, 1 / Z], "near", "far")
        assert found == pytest.approx(exact, rel=1e-10)


def test_relative_impedances_and_weights_scale_the_contact():
    mesh = box((3, 3, 3), (0.1, 0.05, 0.07))
    whole = face_electrodes(mesh)
    half = dataclasses.replace(whole, weights=tuple(w / 2 for w in whole.weights))
    area = 0.05 * 0.07
    bulk = 0.1 / 0.33
    for electrodes, relative, drop in ((half, None, 4 * Z), (whole, [1.0, 3.0], 4 * Z)):
        operator = assemble(mesh, electrodes, relative_impedance=relative)
        exact = CURRENT / area * (bulk + drop)
        assert drive(operator, [0.33, 1 / Z], "near", "far") == pytest.approx(exact, rel=1e-10)


def test_blocks_are_symmetric_semidefinite_with_constants_as_kernel():
    mesh, electrodes = small_sphere()
    normals = normals_from_centre(mesh, ["layer2"], np.zeros(3))
    operator = assemble(mesh, electrodes, ("layer2",), normals)
    assert operator.names == ("layer1", "layer2_radial", "layer2_tangential", "layer3", "contact")
    for name in operator.names:
        block = operator.block(name).toarray()
        scale = np.abs(block).max()
        assert np.array_equal(block, block.T)
        assert np.abs(block.sum(axis=1)).max() < 1e-13 * scale
        assert np.linalg.eigvalsh(block).min() > -1e-13 * scale
    whole = operator.combine([0.3, 0.01, 0.02, 0.4, 1 / Z]).toarray()
    spectrum = np.linalg.eigvalsh(whole)
    assert spectrum[0] == pytest.approx(0, abs=1e-14)
    assert spectrum[1] > 1e-6


def test_anisotropic_blocks_sum_to_the_isotropic_one():
    mesh, electrodes = small_sphere()
    normals = normals_from_centre(mesh, ["layer2"], np.zeros(3))
    split = assemble(mesh, electrodes, ("layer2",), normals)
    plain = assemble(mesh, electrodes)
    difference = split.combine([1, 2, 2, 3, 4]) - plain.combine([1, 2, 3, 4])
    assert np.abs(difference.data).max() < 1e-14


def test_contact_block_against_quadrature():
    mesh, electrodes = small_sphere()
    operator = assemble(mesh, electrodes)
    # Three-point rule, exact for quadratics: int_E (phi - U)^2 is the block's energy.
    rng = np.random.default_rng(0)
    u = rng.normal(size=operator.size)
    energy = 0.0
    for number, (faces, weights) in enumerate(
        zip(electrodes.faces, electrodes.weights, strict=True)
    ):
        for face, weight in zip(faces, weights, strict=True):
            a, b, c = mesh.nodes[face]
            area = 0.5 * np.linalg.norm(np.cross(b - a, c - a))
            middles = (u[face] + np.roll(u[face], 1)) / 2 - u[operator.nodes + number]
            energy += weight * area * np.mean(middles**2)
    assert u @ operator.block("contact") @ u == pytest.approx(energy, rel=1e-12)


def test_renumbering_the_nodes_changes_no_voltage():
    mesh, electrodes = small_sphere()
    order = np.random.default_rng(3).permutation(len(mesh.nodes))  # new number of each node
    nodes = np.empty_like(mesh.nodes)
    nodes[order] = mesh.nodes
    shuffle = np.random.default_rng(4).permutation(len(mesh.tetrahedra))
    other = Mesh(nodes, order[mesh.tetrahedra][shuffle], mesh.tissue[shuffle], mesh.tissue_names)
    moved = dataclasses.replace(electrodes, faces=tuple(order[f] for f in electrodes.faces))
    theta = [0.3, 0.01, 0.4, 1 / Z]
    before = drive(assemble(mesh, electrodes), theta, "E0", "E1")
    after = drive(assemble(other, moved), theta, "E0", "E1")
    assert after == pytest.approx(before, rel=1e-11)


def test_reciprocity():
    mesh, electrodes = small_sphere()
    operator = assemble(mesh, electrodes)
    solver = make_solver(operator.combine([0.3, 0.01, 0.4, 1 / Z]), backend="direct")
    loads = np.stack([operator.load("E0", "E2"), operator.load("E1", "E2")], axis=1)
    transfer = loads.T @ solver.solve(loads, tolerance=1e-12).x
    assert transfer[0, 1] == pytest.approx(transfer[1, 0], rel=1e-11)


def test_attributes_say_what_was_assembled(tmp_path):
    mesh, electrodes = small_sphere()
    operator = assemble(mesh, electrodes)
    facts = operator.attributes
    assert facts["mesh_digest"] == mesh_digest(mesh)
    assert facts["tissues"] == ["layer1", "layer2", "layer3"]
    np.testing.assert_allclose(facts["electrode_areas"], electrodes.areas(mesh.nodes))
    np.testing.assert_allclose(sum(facts["tissue_volumes"]), mesh.volumes().sum())
    operator.write(tmp_path / "operator.h5")
    assert type(operator).read(tmp_path / "operator.h5").attributes == facts
    moved = dataclasses.replace(mesh, nodes=mesh.nodes + 1e-9)
    assert mesh_digest(moved) != mesh_digest(mesh)


def refused(mesh, electrodes, match, *args, **keywords):
    with pytest.raises(InputError, match=match):
        assemble(mesh, electrodes, *args, **keywords)


def test_bad_meshes_are_refused():
    mesh, electrodes = small_sphere()
    refused(dataclasses.replace(mesh, tissue_names=(*mesh.tissue_names, "csf")), electrodes,
            "'csf' has no tetrahedron")  # fmt: skip
    flipped = mesh.tetrahedra.copy()
    flipped[7] = flipped[7][[1, 0, 2, 3]]
    refused(dataclasses.replace(mesh, tetrahedra=flipped), electrodes,
            "1 tetrahedra are inverted.*number 7")  # fmt: skip
    refused(dataclasses.replace(mesh, nodes=np.vstack([mesh.nodes, [[1, 1, 1]]])), electrodes,
            "1 nodes belong to no tetrahedron")  # fmt: skip
    count = len(mesh.nodes)
    twice = Mesh(np.vstack([mesh.nodes, mesh.nodes + 1]),
                 np.vstack([mesh.tetrahedra, mesh.tetrahedra + count]),
                 np.tile(mesh.tissue, 2), mesh.tissue_names)  # fmt: skip
    refused(twice, electrodes, "2 pieces")


def test_bad_electrodes_are_refused():
    mesh, electrodes = small_sphere()

    def changed(number, faces=None, weights=None):
        patches, covers = list(electrodes.faces), list(electrodes.weights)
        patches[number] = patches[number] if faces is None else faces
        covers[number] = covers[number] if weights is None else weights
        return Electrodes(electrodes.labels, electrodes.centres, tuple(patches), tuple(covers))

    first = electrodes.faces[0]
    refused(mesh, changed(0, weights=np.zeros(len(first))), "weights|Weights")
    inner = mesh.tetrahedra[mesh.tissue == 1][:1, :3]
    refused(mesh, changed(0, inner, np.ones(1)), "E0: triangle .* is not on the boundary")
    refused(mesh, changed(1, first, np.ones(len(first))), "E1 overlaps")
    refused(mesh, changed(0, first + 10**6), "beyond")
    one = Electrodes(("a",), electrodes.centres[:1], electrodes.faces[:1], electrodes.weights[:1])
    refused(mesh, one, "At least two electrodes")
    refused(mesh, electrodes, "relative_impedance", relative_impedance=[1.0, 0.0, 1.0])


def test_bad_directions_are_refused():
    mesh, electrodes = small_sphere()
    refused(mesh, electrodes, "need radial directions", ("layer2",))
    refused(mesh, electrodes, "'skull' is not in the mesh", ("skull",))
    refused(mesh, electrodes, "length 1", ("layer2",), np.zeros((len(mesh.tetrahedra), 3)))
