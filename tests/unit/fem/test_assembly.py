"""Gradients, sparsity pattern and stiffness against slow, obvious versions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import InputError
from headcond.fem import anisotropy, assembly
from headcond.head.mesh import Mesh
from tests.helpers.fem_meshes import box, oriented, shells


def element_stiffness(corners, tensor):
    """Stiffness (4, 4) of one tetrahedron from the inverse of [1 x y z]."""
    inverse = np.linalg.inv(np.column_stack([np.ones(4), corners]))
    volume = abs(np.linalg.det(np.column_stack([np.ones(4), corners]))) / 6
    return volume * inverse[1:].T @ tensor @ inverse[1:]


def dense(mesh, tensors):
    matrix = np.zeros((len(mesh.nodes),) * 2)
    for tetrahedron, tensor in zip(mesh.tetrahedra, tensors, strict=True):
        matrix[np.ix_(tetrahedron, tetrahedron)] += element_stiffness(
            mesh.nodes[tetrahedron], tensor
        )
    return matrix


def assembled(mesh, blocks, normals=None):
    indptr, indices = assembly.sparsity_pattern(mesh.tetrahedra, len(mesh.nodes))
    data = np.zeros((np.max(blocks) + 1, len(indices)))
    assembly.add_stiffness(data, indptr, indices, mesh, np.array(blocks), normals)
    rows = np.repeat(np.arange(len(mesh.nodes)), np.diff(indptr))
    out = np.zeros((len(data), len(mesh.nodes), len(mesh.nodes)))
    out[:, rows, indices] = data
    return out


def crooked_box(seed=0):
    mesh = box((2, 3, 2), (1.0, 1.2, 0.8), lambda x: 1 + (x[:, 0] > 0.5), ("a", "b"))
    nodes = mesh.nodes + np.random.default_rng(seed).uniform(-0.04, 0.04, mesh.nodes.shape)
    return Mesh(nodes, oriented(nodes, mesh.tetrahedra), mesh.tissue, mesh.tissue_names)


def test_gradients_reproduce_linear_functions_and_volumes():
    mesh = crooked_box()
    gradients, volumes = assembly.gradients(mesh.nodes, mesh.tetrahedra)
    slope = np.array([0.3, -2.0, 1.1])
    values = (mesh.nodes @ slope + 4)[mesh.tetrahedra]
    found = np.einsum("ma,mai->mi", values, gradients)
    np.testing.assert_allclose(found, np.tile(slope, (len(found), 1)), rtol=1e-12)
    np.testing.assert_allclose(volumes, mesh.volumes(), rtol=1e-12)


def test_isotropic_blocks_equal_the_sum_of_element_matrices():
    mesh = crooked_box()
    blocks = assembled(mesh, [(0, -1), (1, -1)])
    for k in range(2):
        own = np.where(mesh.tissue == k + 1, 1.0, 0.0)[:, None, None] * np.eye(3)
        np.testing.assert_allclose(blocks[k], dense(mesh, own), atol=1e-13)
        assert np.array_equal(blocks[k], blocks[k].T)
        assert np.abs(blocks[k].sum(axis=1)).max() < 1e-14


def test_anisotropic_blocks_equal_the_sum_of_element_matrices():
    mesh = crooked_box()
    normals = np.random.default_rng(1).normal(size=(len(mesh.tetrahedra), 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    blocks = assembled(mesh, [(0, -1), (1, 2)], normals)
    outer = np.einsum("mi,mj->mij", normals, normals)
    own = (mesh.tissue == 2)[:, None, None]
    np.testing.assert_allclose(blocks[1], dense(mesh, own * outer), atol=1e-13)
    np.testing.assert_allclose(blocks[2], dense(mesh, own * (np.eye(3) - outer)), atol=1e-13)
    for block in blocks:
        assert np.linalg.eigvalsh(block).min() > -1e-13


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_energy_of_a_linear_potential_is_volume_times_slope_squared(seed):
    mesh = crooked_box(seed)
    slope = np.random.default_rng(seed).normal(size=3)
    values = mesh.nodes @ slope
    total = assembled(mesh, [(0, -1), (0, -1)])[0]
    assert values @ total @ values == pytest.approx(mesh.volumes().sum() * slope @ slope)


def test_pattern_is_sorted_and_holds_electrodes():
    mesh = crooked_box()
    count = len(mesh.nodes)
    patch = mesh.surface()[:3]
    indptr, indices = assembly.sparsity_pattern(mesh.tetrahedra, count, [patch, patch[:1]])
    want = [set() for _ in range(count + 2)]
    for tetrahedron in mesh.tetrahedra:
        for i in tetrahedron:
            want[i] |= set(tetrahedron.tolist())
    for number, faces in enumerate((patch, patch[:1])):
        for i in np.unique(faces):
            want[i].add(count + number)
            want[count + number].add(int(i))
        want[count + number].add(count + number)
    for row, columns in enumerate(want):
        assert indices[indptr[row] : indptr[row + 1]].tolist() == sorted(columns)
    assert indptr.dtype == indices.dtype == np.int32


def test_entries_outside_the_pattern_are_refused():
    mesh = crooked_box()
    indptr, indices = assembly.sparsity_pattern(mesh.tetrahedra, len(mesh.nodes))
    with pytest.raises(InputError, match="outside the sparsity pattern"):
        assembly.add_values(np.zeros(len(indices)), indptr, indices, np.array([0]),
                            np.array([len(mesh.nodes) - 1]), np.ones(1))  # fmt: skip


def test_normals_of_shells_are_radial():
    mesh = shells([0.05, 0.06, 0.07], 2, 1, 3)
    middle = mesh.nodes[mesh.tetrahedra].mean(axis=1)
    radial = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    own = mesh.tissue == 2
    centre = anisotropy.normals_from_centre(mesh, ["layer2"], np.zeros(3))
    np.testing.assert_allclose(centre[own], radial[own], atol=1e-12)
    assert not centre[~own].any()
    near = anisotropy.normals_from_surface(mesh, ["layer2"], mesh.surface())
    # Chords of 9 degrees: interpolation leaves a few tenths of a degree.
    assert np.einsum("mi,mi->m", near[own], radial[own]).min() > np.cos(np.radians(2))
    np.testing.assert_allclose(np.linalg.norm(near[own], axis=1), 1)


@pytest.mark.parametrize("reference", ["skull", "scalp", "centre"])
def test_radial_directions_of_a_head_of_shells(reference):
    """On concentric shells all three references give the radius."""
    mesh = shells([0.05, 0.06, 0.07], 2, 1, 3)
    names = ("brain", "compact_bone", "scalp")
    head = Mesh(mesh.nodes + np.array([0.1, 0.0, -0.3]), mesh.tetrahedra, mesh.tissue, names)
    found = anisotropy.radial_directions(head, ["compact_bone"], reference)
    middle = mesh.nodes[mesh.tetrahedra].mean(axis=1)
    radial = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    own = mesh.tissue == 2
    assert np.einsum("mi,mi->m", found[own], radial[own]).min() > np.cos(np.radians(3))
    assert not found[~own].any()
    with pytest.raises(InputError, match="radial reference"):
        anisotropy.radial_directions(head, ["compact_bone"], "brain")


def test_normals_refuse_unknown_tissues_and_empty_surfaces():
    mesh = crooked_box()
    with pytest.raises(InputError, match="no tissue 'skull'"):
        anisotropy.normals_from_centre(mesh, ["skull"], np.zeros(3))
    with pytest.raises(InputError, match="no triangle"):
        anisotropy.normals_from_surface(mesh, ["a"], np.empty((0, 3), int))
