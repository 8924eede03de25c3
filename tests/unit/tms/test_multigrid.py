"""The V-cycle: Galerkin coarse operators, symmetry, definiteness, few iterations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from headcond.tms import multigrid, multigrid_kernels, stencil


def setup(shape, voxel, seed=0, air=0.3):
    rng = np.random.default_rng(seed)
    sigma = np.exp(rng.uniform(np.log(0.02), np.log(2.0), shape)).astype(np.float32)
    sigma[rng.random(shape) < air] = 0
    box, grid = stencil.crop(sigma, np.diag([*voxel, 1.0]))
    network = stencil.assemble(box, grid)
    return box, grid, network, multigrid.Hierarchy(box, grid, network)


def dense(network):
    """Matrix of the fine network, column by column."""
    shape, columns = network.inverse_diagonal.shape, []
    for node in range(network.inverse_diagonal.size):
        unit, out = np.zeros(shape), np.zeros(shape)
        unit.flat[node] = 1
        stencil.apply(network, unit, out)
        columns.append(out.ravel())
    return np.stack(columns, axis=1)


def interpolation(coarse_shape, fine_shape, ratio):
    """Trilinear interpolation as a dense matrix, axis by axis."""
    matrices = []
    for coarse, fine, r in zip(coarse_shape, fine_shape, ratio, strict=True):
        matrix = np.zeros((fine, coarse))
        for node in range(1, fine - 1):
            place = (node - 1) / r + 1
            low = int(place)
            matrix[node, low] += 1 - (place - low)
            if place > low:
                matrix[node, low + 1] += place - low
        matrices.append(matrix)
    return np.kron(np.kron(*matrices[:2]), matrices[2])


def coarse_matrix(level):
    shape = level.inverse.shape
    matrix = np.zeros((level.inverse.size,) * 2)
    for node in np.argwhere(level.inverse > 0):
        row = np.ravel_multi_index(tuple(node), shape)
        for offset in itertools.product((-1, 0, 1), repeat=3):
            at = 13 + 9 * offset[0] + 3 * offset[1] + offset[2]
            weight = level.points[node[0], node[1], at, node[2]]
            if weight:
                matrix[row, np.ravel_multi_index(tuple(node + offset), shape)] = weight
    return matrix


@pytest.mark.parametrize("voxel", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0)])
def test_coarse_levels_are_galerkin_products(voxel, monkeypatch):
    monkeypatch.setattr(multigrid, "_COARSEST_NODES", 12)  # more levels than so small a box needs
    _, _, network, hierarchy = setup((7, 6, 9), voxel)
    levels = hierarchy.levels
    assert len(levels) >= 4
    fine = dense(network)
    for upper, lower in itertools.pairwise(levels):
        p = interpolation(lower.inverse.shape, upper.inverse.shape, upper.ratio)
        fine = p.T @ fine @ p
        got = coarse_matrix(lower)
        assert np.abs(got - fine).max() < 2e-6 * np.abs(fine).max()


@pytest.mark.parametrize("voxel", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0)])
def test_residual_from_the_later_half_of_the_matrix_is_the_residual(voxel, monkeypatch):
    """After a sweep from zero -U x is b - A x, whatever x held and however planes are shared."""
    monkeypatch.setattr(multigrid, "_COARSEST_NODES", 12)
    _, _, network, hierarchy = setup((7, 6, 9), voxel)
    matrix, rng = dense(network), np.random.default_rng(0)
    for level, lower in itertools.pairwise(hierarchy.levels):
        active = level.inverse > 0
        level.b[...] = np.where(active, rng.normal(size=active.shape), 0)
        level.x[...] = np.where(active, rng.normal(size=active.shape), 0)
        multigrid_kernels.relax_from_zero(
            level.x, level.b, *level.operator, level.inverse, level.bounds
        )
        left = level.b.astype(float).ravel() - matrix @ level.x.ravel()
        p = interpolation(lower.inverse.shape, level.inverse.shape, level.ratio)
        wanted = (p.T @ left).reshape(lower.b.shape) * (lower.inverse > 0)
        for chunks in (1, 3, 100):
            lower.b[...] = 0
            multigrid_kernels.restrict_residual(level.x, *level.operator, level.bounds, level.ratio,
                                     lower.bounds, lower.b, chunks)  # fmt: skip
            np.testing.assert_allclose(lower.b * (lower.inverse > 0), wanted,
                                       atol=1e-5 * np.abs(wanted).max())  # fmt: skip
        # The backward sweep leaves the nodes that it visits last, the first ones, settled.
        multigrid_kernels.relax_backward(
            level.x, level.b, *level.operator, level.inverse, level.bounds
        )
        left = (level.b.ravel() - matrix @ level.x.ravel()).reshape(active.shape)
        row = next((i, j) for i, j in np.argwhere(level.bounds[..., 1]) if i % 2 == 1)
        assert abs(left[(*row, level.bounds[row][0])]) < 1e-5 * np.abs(level.b).max()
        matrix = p.T @ matrix @ p


def test_long_voxels_wait_until_the_others_have_caught_up():
    ratios = multigrid._ratios(np.array([64, 64, 16]), np.array([1e-3, 1e-3, 4e-3]))
    assert ratios[:3] == [(2, 2, 1), (2, 2, 1), (2, 2, 2)]


@pytest.mark.parametrize("seed", range(3))
def test_cycle_is_symmetric_and_positive(seed):
    _, _, network, hierarchy = setup((17, 14, 21), (1.0, 1.0, 1.0), seed, air=0.5)
    rng = np.random.default_rng(seed)
    active = network.inverse_diagonal > 0

    def in_range():
        x, out = np.where(active, rng.normal(size=active.shape), 0), np.zeros(active.shape)
        stencil.apply(network, x, out)
        return out / np.linalg.norm(out)

    def cycle(b):
        hierarchy.right_hand_side[:] = b
        return hierarchy.cycle().astype(float).copy()

    for _ in range(5):
        a, b = in_range(), in_range()
        za, zb = cycle(a), cycle(b)
        assert np.vdot(a, za) > 0
        scale = np.sqrt(np.vdot(a, za) * np.vdot(b, zb))
        assert abs(np.vdot(b, za) - np.vdot(a, zb)) < 1e-4 * scale
        np.testing.assert_array_equal(za[~active], 0)


def test_cycle_alone_contracts_the_error():
    x = np.stack(np.meshgrid(*[np.arange(40) - 19.5] * 3, indexing="ij"))
    radius = np.linalg.norm(x, axis=0)
    sigma = np.where(radius < 18, np.where(radius > 16, 0.01, 0.3), 0).astype(np.float32)
    box, grid = stencil.crop(sigma, np.diag([2.0, 2, 2, 1]))
    network = stencil.assemble(box, grid)
    hierarchy = multigrid.Hierarchy(box, grid, network)
    active = network.inverse_diagonal > 0
    psi = np.where(active, np.random.default_rng(5).normal(size=active.shape), 0)
    b, q = np.zeros_like(psi), np.zeros_like(psi)
    x = np.zeros_like(psi)
    stencil.apply(network, psi, b)
    norms = []
    for _ in range(8):
        stencil.apply(network, x, q)
        norm = np.linalg.norm(b - q)
        norms.append(norm)
        hierarchy.right_hand_side[:] = (b - q) / norm
        x += norm * hierarchy.cycle()
    assert norms[-1] / norms[3] < 0.35**4
