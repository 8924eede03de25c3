"""dA/dt at the midpoints of all conducting edges: summed directly, or interpolated with a check.

Away from the windings A is smooth, so it is summed on a coarse lattice and brought to the
edges by local six-point Lagrange polynomials along each axis in turn. Edges near the windings
are summed directly, within a distance that samples of both determine: no interpolation
is used unchecked.
"""

from __future__ import annotations

import logging

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from headcond.checks import check_option
from headcond.random import generator
from headcond.tms.coil import Coil
from headcond.tms.stencil import Grid, Network

logger = logging.getLogger(__name__)
_SPACING = 3e-3  # m, of the lattice
_POINTS = 6  # of the Lagrange polynomials
_SAMPLES = 400  # nodes per check, each with up to three edges
_FARTHEST = 0.06  # m: nearest-source distances beyond it count as infinite
_CHUNK = 1 << 18  # points summed at once


def dadt_edges(coil: Coil, didt: float, grid: Grid, network: Network,
               method: str = "interpolated",
               accuracy: float = 1e-4) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Electromotive force h_i dA/dt . d_i of every conducting edge at its midpoint.

    Parameters
    ----------
    coil : in the world's frame, m.
    didt : rate of change of the coil current, A/s.
    grid, network : the box and its conductances.
    method : "interpolated" (default), or "direct": every source at every edge.
    accuracy : largest error of a sampled edge relative to the largest |dA/dt| of the samples,
        for "interpolated".

    Returns
    -------
    three float32 node arrays, V; 0 where the edge does not conduct.
    """
    check_option("method", method, ("interpolated", "direct"))
    if coil.grids:  # sampled already; the positions of its windings are unknown
        method = "direct"
    emf = tuple(np.zeros(grid.nodes, np.float32) for _ in range(3))
    if method == "direct" or grid.step.min() > _SPACING / 1.5:
        for axis in range(3):
            for plane in range(grid.nodes[0]):
                where = np.nonzero(network.edges[axis][plane])
                _sum_directly(coil, didt, grid, axis, plane, where, emf[axis])
        return emf
    _Interpolation(coil, didt, grid, network, emf).fill(accuracy)
    return emf


def _midpoints(
    grid: Grid, axis: int, i: np.ndarray | int, j: np.ndarray, k: np.ndarray
) -> np.ndarray:
    """World positions (N, 3) of the midpoints of edges (i, j, k) along `axis`, m."""
    index = np.stack(np.broadcast_arrays(i, j, k), axis=-1).astype(float)
    index[:, axis] += 0.5
    return grid.origin + (index * grid.step) @ grid.axes.T


def _sum_directly(
    coil: Coil, didt: float, grid: Grid, axis: int, plane: int, where: tuple, out: np.ndarray
) -> None:
    along = grid.axes[:, axis] * grid.step[axis]
    for first in range(0, len(where[0]), _CHUNK):
        j, k = (index[first : first + _CHUNK] for index in where)
        out[plane, j, k] = coil.dadt(_midpoints(grid, axis, plane, j, k), didt) @ along


class _Interpolation:
    """The lattice, its samples, and which of its points are near the windings."""

    def __init__(
        self, coil: Coil, didt: float, grid: Grid, network: Network, emf: tuple[np.ndarray, ...]
    ) -> None:
        self.coil, self.didt, self.grid, self.network, self.emf = coil, didt, grid, network, emf
        self.pitch = np.maximum(1, np.round(_SPACING / grid.step).astype(int))  # nodes per point
        # Lattice point p sits at node (p - margin) * pitch: the polynomials reach past the box.
        self.margin = _POINTS // 2
        self.shape = tuple(
            int(np.ceil(n / q)) + 2 * self.margin
            for n, q in zip(grid.nodes, self.pitch, strict=True)
        )
        offsets = [
            (np.arange(n) - self.margin) * q * h
            for n, q, h in zip(self.shape, self.pitch, grid.step, strict=True)
        ]
        lattice = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1).reshape(-1, 3)
        lattice = grid.origin + lattice @ grid.axes.T
        self.inside, self.needed = self._neighbourhood()
        chosen = lattice[self.needed.ravel()]
        tree = cKDTree(coil.source_points())
        self.distance = np.full(self.shape, np.inf)
        self.distance[self.needed] = tree.query(chosen, distance_upper_bound=_FARTHEST)[0]
        # A lattice point may sit on a wire; what it spoils is summed directly below.
        clear = self.distance[self.needed] > 1e-6
        samples = np.zeros((len(chosen), 3))
        samples[clear] = coil.dadt(chosen[clear], didt)
        self.values = np.zeros((*self.shape, 3))
        self.values[self.needed] = samples @ grid.axes
        self.scale = float(np.linalg.norm(self.values[self.inside], axis=1).max())

    def _neighbourhood(self) -> tuple[np.ndarray, np.ndarray]:
        """Lattice points at conducting nodes, and those that their polynomials use."""
        active = self.network.inverse_diagonal > 0
        for axis in range(3):
            first = np.arange(0, active.shape[axis], self.pitch[axis])
            active = np.logical_or.reduceat(active, first, axis=axis)
        inside = np.zeros(self.shape, bool)
        inside[tuple(slice(self.margin, self.margin + n) for n in active.shape)] = active
        reach = 2 * (self.margin + 1) + 1
        return inside, ndimage.maximum_filter(inside.astype(np.uint8), reach) > 0

    def _weights(self, axis: int, midpoint: bool) -> np.ndarray:
        """Matrix (nodes, lattice) of Lagrange weights along one axis."""
        nodes = np.arange(self.grid.nodes[axis]) + (0.5 if midpoint else 0.0)
        place = nodes / self.pitch[axis] + self.margin
        first = np.floor(place).astype(int) - (_POINTS // 2 - 1)
        first = np.clip(first, 0, self.shape[axis] - _POINTS)
        matrix = np.zeros((len(nodes), self.shape[axis]))
        for own in range(_POINTS):
            weight = np.ones(len(nodes))
            for other in range(_POINTS):
                if other != own:
                    weight *= (place - first - other) / (own - other)
            matrix[np.arange(len(nodes)), first + own] = weight
        return matrix

    def fill(self, accuracy: float) -> None:
        """Interpolate everywhere, then sum directly within the distance where samples disagree."""
        for axis in range(3):
            self._interpolate(axis)
        radius = 2 * _SPACING
        while (error := self._sampled_error(radius)) > accuracy:
            logger.debug("dA/dt: error %.2g at %.0f mm from the windings", error, radius * 1e3)
            radius += _SPACING
        self._replace(radius)

    def _interpolate(self, axis: int) -> None:
        along, second, third = (self._weights(a, a == axis) for a in range(3))
        values = self.values[..., axis] * self.grid.step[axis]
        edges, out = self.network.edges[axis], self.emf[axis]
        third = np.ascontiguousarray(third.T)
        for plane in range(self.grid.nodes[0]):
            if not self.network.bounds[plane].any():
                continue
            used = np.flatnonzero(along[plane])
            layer = np.tensordot(along[plane, used], values[used], axes=1)
            out[plane] = (second @ layer @ third) * (edges[plane] > 0)

    def _nearest(self, plane: int) -> np.ndarray:
        """Distance (nodes_1, nodes_2) of the lattice point nearest to each node, m."""
        nodes = plane, *map(np.arange, self.grid.nodes[1:])
        i, j, k = (
            (index + q // 2) // q + self.margin for index, q in zip(nodes, self.pitch, strict=True)
        )
        return self.distance[i][np.ix_(j, k)]

    def _replace(self, radius: float) -> None:
        """Sum edges directly whose lattice point is nearer than `radius` to a source."""
        for plane in range(self.grid.nodes[0]):
            close = self._nearest(plane) <= radius
            if close.any():
                for axis in range(3):
                    where = np.nonzero(close & (self.network.edges[axis][plane] > 0))
                    _sum_directly(
                        self.coil, self.didt, self.grid, axis, plane, where, self.emf[axis]
                    )

    def _sampled_error(self, radius: float) -> float:
        """Largest error of interpolated edges beyond `radius`, half of them just beyond it."""
        random = generator(0, "dadt_edges", str(round(radius * 1e6)))
        worst = 0.0
        for reach in (radius + _SPACING, np.inf):
            shell = np.argwhere(self.inside & (self.distance > radius) & (self.distance <= reach))
            if not len(shell):
                continue
            chosen = shell[random.integers(len(shell), size=_SAMPLES)]
            shift = random.integers(-(self.pitch // 2), (self.pitch + 1) // 2, size=(_SAMPLES, 3))
            index = (chosen - self.margin) * self.pitch + shift
            index = np.clip(index, 0, np.array(self.grid.nodes) - 1)
            for axis in range(3):
                here = tuple(index[self.network.edges[axis][tuple(index.T)] > 0].T)
                if not len(here[0]):
                    continue
                exact = self.coil.dadt(_midpoints(self.grid, axis, *here), self.didt)
                got = self.emf[axis][here] / self.grid.step[axis]
                worst = max(worst, float(np.abs(got - exact @ self.grid.axes[:, axis]).max()))
        return worst / self.scale if self.scale > 0 else 0.0
