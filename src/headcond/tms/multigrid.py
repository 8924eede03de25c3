"""Geometric multigrid V(1,1) cycle in float32 for the network of `stencil`, without matrices.

The fine level is the 7-point network itself. Coarse levels are Galerkin products with trilinear
transfer, summed up from 8 x 8 element matrices: the matrix of a coarse element is linear in
the conductivities of the voxels inside it, so the first two coarse levels come straight from
the conductivity map and no fine matrix is ever stored. Smoothing is Gauss-Seidel with planes
of one parity in parallel; after the coarse correction it runs in exactly the reverse order, so
that the cycle is symmetric and may precondition conjugate gradients. Axes with long voxels are
not coarsened until the others have caught up.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike

from headcond.tms import multigrid_kernels
from headcond.tms.stencil import Grid, Network

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
_PAIRS = np.array(np.triu_indices(8))
_COARSEST_NODES = 300
# Modes of the coarsest matrix, scaled to a unit diagonal, that float32 right-hand sides only
# fill with noise: constants of components, and slivers of tissue in a corner of an element.
_NULL_MODE = 1e-6
_NO_EDGES, _NO_POINTS = np.zeros((0, 0, 0), np.float32), np.zeros((0, 0, 0, 0), np.float32)
_CHUNKS = 4  # per thread, for the restriction: a head's ends hold less work than its middle


@dataclass(frozen=True)
class Level:
    """One level: its operator, its work arrays, and the way down to the next."""

    network: Network | None
    points: np.ndarray | None
    inverse: np.ndarray
    bounds: np.ndarray
    x: np.ndarray
    b: np.ndarray
    ratio: tuple[int, int, int]

    @property
    def operator(self) -> tuple[np.ndarray, ...]:
        """The four arrays of an operator in `multigrid_kernels`."""
        if self.network is not None:
            return *self.network.edges, _NO_POINTS
        return _NO_EDGES, _NO_EDGES, _NO_EDGES, self.points


class Hierarchy:
    """All levels for one conductivity map; serves any number of right-hand sides.

    Parameters
    ----------
    sigma : (n0, n1, n2) float32 S/m, the box of `stencil.crop`.
    grid : position of the box.
    network : the fine level, from `stencil.assemble`.
    """

    def __init__(self, sigma: np.ndarray, grid: Grid, network: Network) -> None:
        ratios = _ratios(grid.cells, grid.step)
        self.levels = [_level(network.inverse_diagonal, network.bounds, ratios[0], network=network)]
        cells, steps = np.array(grid.cells), grid.step
        element = _voxel_element(steps)
        values, span, elements = sigma[..., None], np.ones(3, int), np.zeros(0)
        for depth, ratio in enumerate(ratios):
            cells = -(-cells // ratio)
            if depth < 2:
                # Straight from the conductivities: 8, then 64 voxels per coarse element.
                span = span * ratio
                table = _element_table(span, element)
            else:
                values, span, table = elements, np.array(ratio), _element_table(ratio)
            last = depth == len(ratios) - 1
            elements = np.zeros((*cells, 64) if last or depth > 0 else (0, 0, 0, 64))
            shape = tuple(int(n) + 3 for n in cells)
            # Weights of a row side by side, so that sweeps run in vector registers.
            points = np.zeros((*shape[:2], 27, shape[2]), np.float32)
            # Elements are symmetric: 36 of their 64 entries suffice.
            half = np.ascontiguousarray(table[:, 8 * _PAIRS[0] + _PAIRS[1]])
            _coarsen(values, *(int(s) for s in span), half, _PAIRS, points, elements)
            inverse, bounds = np.zeros(shape, np.float32), np.zeros((*shape[:2], 2), np.int32)
            _invert_diagonal(points, inverse, bounds)
            following = (1, 1, 1) if last else ratios[depth + 1]
            self.levels.append(_level(inverse, bounds, following, points=points))
        self.coarse_nodes, self.coarse_inverse = _coarsest(elements, self.levels[-1].inverse)

    @property
    def right_hand_side(self) -> np.ndarray:
        """float32 node array to fill before `cycle`."""
        return self.levels[0].b

    def cycle(self) -> np.ndarray:
        """One V-cycle from zero; returns the correction, a float32 node array used again."""
        chunks = _CHUNKS * numba.get_num_threads()
        for fine, coarse in itertools.pairwise(self.levels):
            multigrid_kernels.relax_from_zero(
                fine.x, fine.b, *fine.operator, fine.inverse, fine.bounds
            )
            multigrid_kernels.restrict_residual(
                fine.x, *fine.operator, fine.bounds, fine.ratio, coarse.bounds, coarse.b, chunks
            )
        last = self.levels[-1]
        last.x[self.coarse_nodes] = self.coarse_inverse @ last.b[self.coarse_nodes]
        for coarse, fine in itertools.pairwise(self.levels[::-1]):
            multigrid_kernels.prolong(coarse.x, *fine.ratio, fine.bounds, fine.x)
            multigrid_kernels.relax_backward(
                fine.x, fine.b, *fine.operator, fine.inverse, fine.bounds
            )
        return self.levels[0].x


def _level(inverse: np.ndarray, bounds: np.ndarray, ratio: tuple[int, int, int],
           network: Network | None = None, points: np.ndarray | None = None) -> Level:  # fmt: skip
    # np.zeros leaves pages untouched that no sweep visits, so the air of the box costs nothing.
    x, b = (np.zeros(inverse.shape, np.float32) for _ in range(2))
    return Level(network, points, inverse, bounds, x, b, ratio)


def _ratios(cells: np.ndarray, steps: np.ndarray) -> list[tuple[int, int, int]]:
    """Coarsening per level and axis: 2 along the short steps, 1 along the others."""
    cells, steps, ratios = np.array(cells), np.array(steps, float), []
    while not ratios or np.prod(cells + 1) > _COARSEST_NODES:
        able = cells > 1
        if not able.any():
            ratios.append((1, 1, 1))
            break
        chosen = able & (steps < 1.5 * steps[able].min())
        ratio = np.where(chosen, 2, 1)
        cells, steps = -(-cells // ratio), steps * ratio
        ratios.append(tuple(int(r) for r in ratio))
    return ratios


def _voxel_element(steps: np.ndarray) -> np.ndarray:
    """Matrix (8, 8) of a voxel of 1 S/m: a quarter of the conductance of its twelve edges."""
    matrix = np.zeros((8, 8))
    for a, b in itertools.combinations(range(8), 2):
        axis = np.flatnonzero(_CORNERS[a] != _CORNERS[b])
        if axis.size == 1:
            conductance = 0.25 * np.prod(steps) / steps[axis[0]] ** 2
            matrix[[a, b], [b, a]] -= conductance
            matrix[[a, b], [a, b]] += conductance
    return matrix


def _element_table(span: ArrayLike, element: np.ndarray | None = None) -> np.ndarray:
    """How the values of the children inside a coarse element make up its 64 matrix entries.

    Parameters
    ----------
    span : (3,) children along each axis.
    element : (8, 8) matrix of a child with value 1; without it children bring 64 entries.

    Returns
    -------
    (children * values, 64) float64; rows are P_c^T K P_c with the trilinear weights P_c of the
    child's corners.
    """
    rows = []
    for child in itertools.product(*(range(int(s)) for s in span)):
        place = (np.array(child) + _CORNERS) / np.asarray(span)  # child corners in [0, 1]^3
        weights = np.prod(
            np.where(_CORNERS[None] == 1, place[:, None], 1 - place[:, None]), axis=2
        )  # (child corner, coarse corner)
        if element is not None:
            rows.append((weights.T @ element @ weights).ravel()[None])
        else:
            rows.append(np.einsum("am,bn->abmn", weights, weights).reshape(64, 64))
    return np.concatenate(rows)


def _coarsest(elements: np.ndarray, inverse: np.ndarray) -> tuple[tuple, np.ndarray]:
    """Active nodes of the coarsest level and a symmetric pseudo-inverse of its matrix.

    The matrix is summed up in float64; scaled to a unit diagonal, its null modes are cut off.
    """
    shape = inverse.shape
    matrix = np.zeros((np.prod(shape), np.prod(shape)))
    for cell in np.argwhere(elements.any(axis=3)):
        nodes = np.ravel_multi_index(tuple((cell + 1 + _CORNERS).T), shape)
        matrix[np.ix_(nodes, nodes)] += elements[tuple(cell)].reshape(8, 8)
    active = np.flatnonzero(inverse.ravel() > 0)
    matrix = matrix[np.ix_(active, active)]
    scale = 1 / np.sqrt(np.diag(matrix))
    values, vectors = np.linalg.eigh(scale[:, None] * matrix * scale)
    kept = values > _NULL_MODE
    vectors = scale[:, None] * vectors[:, kept]
    pseudo = (vectors / values[kept]) @ vectors.T
    return np.unravel_index(active, shape), pseudo.astype(np.float32)


@numba.njit(parallel=True, cache=True, fastmath=True)
def _coarsen(values, span0, span1, span2, table, pairs, points, elements):  # noqa: ANN001
    n0, n1, n2, inner = values.shape
    m0, m1, m2 = points.shape[0] - 3, points.shape[1] - 3, points.shape[3] - 3
    keep = elements.shape[0] > 0
    for parity in range(2):  # elements of one parity share no node across planes
        for t in numba.prange((m0 - parity + 1) // 2):
            i = 2 * t + parity
            element, half = np.zeros(64), np.zeros(36)
            for j in range(m1):
                for k in range(m2):
                    filled = False
                    half[:] = 0.0
                    for a in range(min(span0, n0 - i * span0)):
                        for b in range(min(span1, n1 - j * span1)):
                            for c in range(min(span2, n2 - k * span2)):
                                first = ((a * span1 + b) * span2 + c) * inner
                                i_c, j_c, k_c = i * span0 + a, j * span1 + b, k * span2 + c
                                for q in range(inner):
                                    value = np.float64(values[i_c, j_c, k_c, q])
                                    if value != 0.0:
                                        filled = True
                                        for e in range(36):
                                            half[e] += value * table[first + q, e]
                    if not filled:
                        continue
                    for e in range(36):
                        element[8 * pairs[0, e] + pairs[1, e]] = half[e]
                        element[8 * pairs[1, e] + pairs[0, e]] = half[e]
                    if keep:
                        elements[i, j, k] = element
                    for m in range(8):
                        m_i, m_j, m_k = m >> 2, (m >> 1) & 1, m & 1
                        for n in range(8):
                            d_i, d_j, d_k = (n >> 2) - m_i, ((n >> 1) & 1) - m_j, (n & 1) - m_k
                            at = 13 + 9 * d_i + 3 * d_j + d_k
                            points[i + 1 + m_i, j + 1 + m_j, at, k + 1 + m_k] += element[8 * m + n]


@numba.njit(parallel=True, cache=True)
def _invert_diagonal(points, inverse, bounds):  # noqa: ANN001
    for i in numba.prange(inverse.shape[0]):
        for j in range(inverse.shape[1]):
            for k in range(inverse.shape[2]):
                diagonal = points[i, j, 13, k]
                if diagonal > 0:
                    inverse[i, j, k] = 1 / diagonal
                    if bounds[i, j, 1] == 0:
                        bounds[i, j, 0] = k
                    bounds[i, j, 1] = k + 1
