"""The scalar-potential finite-difference network: nodes at voxel corners, edges that conduct.

Every array over nodes carries one layer of ghost nodes on each side, so that node (1, 1, 1)
is the first corner of the box and no kernel needs a branch at its border. The edge array of
an axis holds at [i, j, k] the edge from node (i, j, k) to its next neighbour along that axis.
Rows along the last axis are swept only between their first and last conducting node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_finite, check_shape, voxel_sizes

_ORTHOGONAL = 1e-3  # float32 headers bring 1e-6; a shear of this size moves 0.2 mm across a head


@dataclass(frozen=True)
class Grid:
    """Box of voxels that holds all conducting ones, and its position.

    Attributes
    ----------
    first : (3,) index of the box's first voxel in the full array.
    cells : (3,) voxels of the box.
    step : (3,) edge lengths of a voxel, m.
    axes : (3, 3) columns are the unit vectors of the voxel axes in the world (RAS+).
    origin : (3,) world position of the ghost node (0, 0, 0), m.
    """

    first: np.ndarray
    cells: np.ndarray
    step: np.ndarray
    axes: np.ndarray
    origin: np.ndarray

    @property
    def nodes(self) -> tuple[int, int, int]:
        """Shape of arrays over nodes, ghosts included."""
        return tuple(int(n) + 3 for n in self.cells)

    @property
    def region(self) -> tuple[slice, slice, slice]:
        """Slices of the box in the full array."""
        return tuple(slice(f, f + n) for f, n in zip(self.first, self.cells, strict=True))


@dataclass(frozen=True)
class Network:
    """Conductances between neighbouring nodes.

    Attributes
    ----------
    edges : three float32 node arrays, conductance of the edge along each axis, S.
    inverse_diagonal : float32 node array, 1/(sum of a node's conductances), 0 where none.
    bounds : (nodes_0, nodes_1, 2) first conducting node of a row and one past its last.
    """

    edges: tuple[np.ndarray, np.ndarray, np.ndarray]
    inverse_diagonal: np.ndarray
    bounds: np.ndarray


def crop(conductivity: ArrayLike, affine: ArrayLike) -> tuple[np.ndarray, Grid]:
    """Check a conductivity map and cut it to the box of its conducting voxels.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m, exactly 0 in air.
    affine : (4, 4) voxel-to-world, mm; rotations, flips and non-cubic voxels are allowed.

    Returns
    -------
    sigma : float32 conductivity of the box.
    grid : position of the box.

    Raises
    ------
    InputError
        If values are NaN, infinite or negative, nothing conducts, or the voxels are sheared.
    """
    conductivity = check_shape("conductivity", conductivity, (None, None, None))
    affine = check_affine("affine", affine)
    step = voxel_sizes(affine)
    axes = affine[:3, :3] / step
    shear = np.abs(axes.T @ axes - np.eye(3)).max()
    if shear > _ORTHOGONAL:
        raise InputError(f"The affine is sheared (axes off the right angle by {shear:.2g}): "
                         "resample the map to orthogonal voxels.")  # fmt: skip
    # NaN conducts here, so that the check below sees it.
    boxes = ndimage.find_objects((conductivity != 0).astype(np.uint8))
    if not boxes:
        raise InputError("No voxel conducts: the conductivity is zero everywhere.")
    sigma = np.ascontiguousarray(conductivity[boxes[0]], np.float32)
    check_finite("conductivity", sigma)
    if sigma.min() < 0:
        raise InputError(f"conductivity holds {np.count_nonzero(sigma < 0)} negative values.")
    first = np.array([part.start for part in boxes[0]])
    corner = affine[:3, :3] @ (first - 1.5) + affine[:3, 3]
    grid = Grid(first, np.array(sigma.shape), step * 1e-3, axes, corner * 1e-3)
    return sigma, grid


def assemble(sigma: np.ndarray, grid: Grid) -> Network:
    """Conductances of all edges: mean sigma of the four voxels that share it, h_j h_k / h_i.

    Parameters
    ----------
    sigma : (n0, n1, n2) float32 S/m, the box of `crop`.
    """
    h = grid.step
    weights = 0.25 * np.array([h[1] * h[2] / h[0], h[0] * h[2] / h[1], h[0] * h[1] / h[2]])
    shape = grid.nodes
    edges = tuple(np.zeros(shape, np.float32) for _ in range(3))
    inverse = np.zeros(shape, np.float32)
    bounds = np.zeros((*shape[:2], 2), np.int32)
    _assemble(np.pad(sigma, 1), weights.astype(np.float32), *edges, inverse, bounds)
    return Network(edges, inverse, bounds)


def load(network: Network, emf: tuple[np.ndarray, ...], out: np.ndarray) -> None:
    """Write the right-hand side into `out` (float64, A): sum over edges of s_i h_i d_i . dA/dt.

    Parameters
    ----------
    emf : three node arrays, h_i times dA/dt along the edge at its midpoint, V.
    """
    _load(*network.edges, *emf, network.bounds, out)


def apply(network: Network, psi: np.ndarray, out: np.ndarray) -> float:
    """Write the network's currents `A psi` (A) into `out` and return psi . A psi (W)."""
    partial = np.zeros(psi.shape[0])
    _apply(psi, *network.edges, network.bounds, out, partial)
    return float(partial.sum())


def field(
    sigma: np.ndarray, grid: Grid, psi: np.ndarray, emf: tuple[np.ndarray, ...], out: np.ndarray
) -> None:
    """Write E of the conducting voxels, in world axes, into `out` (n0, n1, n2, 3), V/m.

    Along each axis it is the mean over the voxel's four edges of -(dpsi/h) - dA/dt.
    """
    _field(sigma, psi, *emf, 1 / grid.step, np.ascontiguousarray(grid.axes), out)


def components(sigma: np.ndarray) -> tuple[np.ndarray, int]:
    """Label the isolated conducting bodies of a box; voxels that share a corner are one body.

    Returns
    -------
    labels : (n0, n1, n2) int32, 0 in air.
    count : number of bodies, so of null vectors of the network.
    """
    return ndimage.label(sigma > 0, structure=np.ones((3, 3, 3)))


def node_labels(labels: np.ndarray) -> np.ndarray:
    """Component of each node (ghosts included), 0 where nothing conducts."""
    padded = np.pad(labels, 2)
    nodes = padded[:-1, :-1, :-1].copy()
    for corner in range(1, 8):
        start = [(corner >> axis) & 1 for axis in range(3)]
        window = tuple(slice(s, padded.shape[a] - 1 + s) for a, s in enumerate(start))
        np.maximum(nodes, padded[window], out=nodes)
    return nodes


@numba.njit(parallel=True, cache=True)
def _assemble(sigma, weights, ex, ey, ez, inverse, bounds):  # noqa: ANN001
    n0, n1, n2 = sigma.shape
    for i in numba.prange(n0):
        for j in range(n1):
            for k in range(n2):
                c = sigma[i, j, k]
                if j > 0 and k > 0:
                    pair = sigma[i, j, k - 1] + sigma[i, j - 1, k - 1]
                    ex[i, j, k] = weights[0] * ((c + sigma[i, j - 1, k]) + pair)
                if i > 0 and k > 0:
                    pair = sigma[i, j, k - 1] + sigma[i - 1, j, k - 1]
                    ey[i, j, k] = weights[1] * ((c + sigma[i - 1, j, k]) + pair)
                if i > 0 and j > 0:
                    pair = sigma[i, j - 1, k] + sigma[i - 1, j - 1, k]
                    ez[i, j, k] = weights[2] * ((c + sigma[i - 1, j, k]) + pair)
    for i in numba.prange(1, n0):
        for j in range(1, n1):
            first, last = n2, 0
            for k in range(1, n2):
                total = (ex[i, j, k] + ex[i - 1, j, k]) + (ey[i, j, k] + ey[i, j - 1, k])
                total += ez[i, j, k] + ez[i, j, k - 1]
                if total > 0:
                    inverse[i, j, k] = 1 / total
                    first = min(first, k)
                    last = k + 1
            if last > 0:
                bounds[i, j, 0] = first
                bounds[i, j, 1] = last


@numba.njit(parallel=True, cache=True)
def _load(ex, ey, ez, fx, fy, fz, bounds, b):  # noqa: ANN001
    wide = np.float64
    for i in numba.prange(1, b.shape[0] - 1):
        for j in range(1, b.shape[1] - 1):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            if hi == 0:
                continue
            ex0, ex1, fx0, fx1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi], fx[i - 1, j], fx[i, j]
            ey0, ey1, fy0, fy1 = ey[i, j - 1, lo:hi], ey[i, j, lo:hi], fy[i, j - 1], fy[i, j]
            ez0, ez1, fz0, fz1 = ez[i, j, lo - 1 : hi - 1], ez[i, j, lo:hi], fz[i, j], fz[i, j]
            fx0, fx1, fy0, fy1 = fx0[lo:hi], fx1[lo:hi], fy0[lo:hi], fy1[lo:hi]
            fz0, fz1, row = fz0[lo - 1 : hi - 1], fz1[lo:hi], b[i, j, lo:hi]
            for k in range(hi - lo):
                total = wide(ex1[k]) * wide(fx1[k]) - wide(ex0[k]) * wide(fx0[k])
                total += wide(ey1[k]) * wide(fy1[k]) - wide(ey0[k]) * wide(fy0[k])
                row[k] = total + (wide(ez1[k]) * wide(fz1[k]) - wide(ez0[k]) * wide(fz0[k]))


@numba.njit(parallel=True, cache=True, fastmath=True)
def _apply(x, ex, ey, ez, bounds, out, partial):  # noqa: ANN001
    for i in numba.prange(1, x.shape[0] - 1):
        energy = 0.0
        for j in range(1, x.shape[1] - 1):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            if hi == 0:
                continue
            # Views that start at the row's first node: indices from 0, so the loop vectorises.
            centre, below, above = x[i, j, lo:hi], x[i - 1, j, lo:hi], x[i + 1, j, lo:hi]
            left, right = x[i, j - 1, lo:hi], x[i, j + 1, lo:hi]
            back, ahead = x[i, j, lo - 1 : hi - 1], x[i, j, lo + 1 : hi + 1]
            ex0, ex1 = ex[i - 1, j, lo:hi], ex[i, j, lo:hi]
            ey0, ey1 = ey[i, j - 1, lo:hi], ey[i, j, lo:hi]
            ez0, ez1 = ez[i, j, lo - 1 : hi - 1], ez[i, j, lo:hi]
            row = out[i, j, lo:hi]
            for k in range(hi - lo):
                c = centre[k]
                value = (
                    ex0[k] * (c - below[k]) + ex1[k] * (c - above[k])
                    + ey0[k] * (c - left[k]) + ey1[k] * (c - right[k])
                    + ez0[k] * (c - back[k]) + ez1[k] * (c - ahead[k])
                )  # fmt: skip
                row[k] = value
                energy += c * value
        partial[i] = energy


@numba.njit(parallel=True, cache=True)
def _field(sigma, psi, fx, fy, fz, inverse_step, axes, out):  # noqa: ANN001
    n0, n1, n2 = sigma.shape
    for c in numba.prange(n0):
        i = c + 1
        for d in range(n1):
            j = d + 1
            for e in range(n2):
                if sigma[c, d, e] == 0:
                    continue
                k = e + 1
                u = v = w = 0.0
                for a in range(2):
                    for b in range(2):
                        u -= psi[i + 1, j + a, k + b] - psi[i, j + a, k + b]
                        u -= fx[i, j + a, k + b]
                        v -= psi[i + a, j + 1, k + b] - psi[i + a, j, k + b]
                        v -= fy[i + a, j, k + b]
                        w -= psi[i + a, j + b, k + 1] - psi[i + a, j + b, k]
                        w -= fz[i + a, j + b, k]
                u *= 0.25 * inverse_step[0]
                v *= 0.25 * inverse_step[1]
                w *= 0.25 * inverse_step[2]
                for r in range(3):
                    out[c, d, e, r] = axes[r, 0] * u + axes[r, 1] * v + axes[r, 2] * w
