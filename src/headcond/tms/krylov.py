"""Conjugate gradients on the network in float64, and the outer loop that certifies a result.

Whichever solver computes a potential, its residual is computed here, in float64 on the whole
network, and the iteration starts again from there while it is too large.
"""

from __future__ import annotations

import logging

import numba
import numpy as np

from headcond.tms import stencil
from headcond.tms.algebraic import Solve
from headcond.tms.multigrid import Hierarchy

logger = logging.getLogger(__name__)
LIMIT = 400  # iterations
RESTARTS = 4
# Energies, relative to the largest, of combinations that float32 does not resolve.
_DEPENDENT = 1e-11


def multigrid_cg(
    network: stencil.Network,
    hierarchy: Hierarchy,
    b: np.ndarray,
    tolerance: float,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, int, float]:
    """Conjugate gradients in float64, preconditioned by one float32 V-cycle.

    The recursive residual may drift from the true one, so convergence is checked on the true
    one. Vectors are touched only between the bounds of rows, so the air of the box takes no
    memory.

    Parameters
    ----------
    b : float64 node array, A.
    tolerance : of the true residual relative to ||b||.
    start : float64 node array to start from; 0 by default.

    Returns
    -------
    psi : float64 node array, V.
    iterations : steps taken.
    residual : ||b - A psi|| / ||b||.
    """
    bounds, rhs = network.bounds, hierarchy.right_hand_side
    psi = np.zeros(b.shape) if start is None else start.copy()
    load = float(np.linalg.norm(b))
    if load == 0:
        return np.zeros(b.shape), 0, 0.0
    r, p, q = (np.zeros(b.shape) for _ in range(3))
    partial = np.zeros(b.shape[0])
    iterations, scale, norm = 0, load, np.inf  # the cycle sees r / scale, whatever the units
    for turn in range(RESTARTS + 1):
        if turn or start is not None:
            stencil.apply(network, psi, q)
        _begin(b, q, r, p, bounds, rhs, 1 / scale, partial)
        norm = float(np.sqrt(partial.sum()))
        if norm <= tolerance * load or iterations >= LIMIT or turn == RESTARTS:
            break
        rz = 0.0
        while norm > tolerance * load and iterations < LIMIT:
            z = hierarchy.cycle()
            _inner(r, z, bounds, partial)
            rz, before = float(partial.sum()) * scale, rz
            _direction(p, z, scale, rz / before if before else 0.0, bounds)
            alpha = rz / stencil.apply(network, p, q)
            scale = norm
            _advance(psi, r, p, q, alpha, bounds, rhs, 1 / scale, partial)
            norm = float(np.sqrt(partial.sum()))
            iterations += 1
            logger.debug("iteration %d: %.3g", iterations, norm / load)
    return psi, iterations, norm / load


def refined(
    network: stencil.Network,
    solve: Solve,
    unknowns: np.ndarray,
    b: np.ndarray,
    tolerance: float,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, int, float]:
    """Iterative refinement of another solver's potential, by the residual of the whole network.

    Parameters
    ----------
    solve : the solver, on the nodes `unknowns`.
    unknowns : flat indices in the node array.
    b, tolerance, start : see `multigrid_cg`.

    Returns
    -------
    psi, iterations, residual : see `multigrid_cg`.
    """
    psi = np.zeros(b.shape) if start is None else start.copy()
    q, load, iterations = np.zeros(b.shape), float(np.linalg.norm(b)), 0
    if load == 0:
        return np.zeros(b.shape), 0, 0.0
    for turn in range(RESTARTS + 1):
        stencil.apply(network, psi, q)
        r = b - q
        residual = float(np.linalg.norm(r)) / load
        if residual <= tolerance or iterations >= LIMIT or turn == RESTARTS:
            break
        part, count = solve(r.ravel()[unknowns], 0.5 * tolerance / residual, LIMIT)
        psi.ravel()[unknowns] += part
        iterations += count
    return psi, iterations, residual


class ProjectedGuess:
    """Initial guesses by projection onto the solutions of earlier right-hand sides.

    Keeps the latest potentials psi_i and their energies G_ij = psi_i . A psi_j; the guess for a
    new b is the best of their span in the energy norm, sum of c_i psi_i with G c = (psi_i . b).

    Parameters
    ----------
    network : of all right-hand sides.
    most : potentials kept, in float32 on the conducting nodes; further ones replace the oldest.

    References
    ----------
    Fischer, Comput. Methods Appl. Mech. Eng. 163 (1998) 193-204.
    """

    def __init__(self, network: stencil.Network, most: int) -> None:
        self._network, self._most = network, most
        self._nodes = np.flatnonzero(network.inverse_diagonal)
        self._kept: list[np.ndarray] = []
        self._energies = np.zeros((0, 0))

    def guess(self, b: np.ndarray) -> np.ndarray | None:
        """Best potential (float64 node array, V) for the load b, A; None before the first."""
        if not self._kept:
            return None
        load, psi = b.ravel()[self._nodes], np.zeros(b.shape)
        scale = 1 / np.sqrt(np.diag(self._energies))
        values, vectors = np.linalg.eigh(scale[:, None] * self._energies * scale)
        vectors = scale[:, None] * vectors[:, values > _DEPENDENT]
        right = np.array([float(one @ load) for one in self._kept])
        share = vectors @ ((vectors.T @ right) / values[values > _DEPENDENT])
        psi.ravel()[self._nodes] = sum(c * one for c, one in zip(share, self._kept, strict=True))
        return psi

    def add(self, psi: np.ndarray) -> None:
        """Add a potential, unless it carries no current."""
        flow = np.zeros(psi.shape)
        energy = stencil.apply(self._network, psi, flow)
        if energy <= 0:
            return
        if len(self._kept) == self._most:
            self._kept.pop(0)
            self._energies = self._energies[1:, 1:]
        currents = flow.ravel()[self._nodes]
        row = np.array([float(one @ currents) for one in self._kept])
        self._energies = np.block([[self._energies, row[:, None]], [row[None], energy]])
        self._kept.append(psi.ravel()[self._nodes].astype(np.float32))


@numba.njit(parallel=True, cache=True, fastmath=True)
def _begin(b, q, r, p, bounds, rhs, scale, partial):  # noqa: ANN001
    for i in numba.prange(r.shape[0]):
        total = 0.0
        for j in range(r.shape[1]):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            source, flow, res, way = b[i, j, lo:hi], q[i, j, lo:hi], r[i, j, lo:hi], p[i, j, lo:hi]
            single = rhs[i, j, lo:hi]
            for k in range(hi - lo):
                value = source[k] - flow[k]
                res[k] = value
                way[k] = 0.0
                single[k] = scale * value
                total += value * value
        partial[i] = total


@numba.njit(parallel=True, cache=True, fastmath=True)
def _inner(r, z, bounds, partial):  # noqa: ANN001
    for i in numba.prange(r.shape[0]):
        total = 0.0
        for j in range(r.shape[1]):
            left, right = r[i, j, bounds[i, j, 0] : bounds[i, j, 1]], z[i, j]
            right = right[bounds[i, j, 0] : bounds[i, j, 1]]
            for k in range(left.shape[0]):
                total += left[k] * right[k]
        partial[i] = total


@numba.njit(parallel=True, cache=True, fastmath=True)
def _direction(p, z, scale, beta, bounds):  # noqa: ANN001
    for i in numba.prange(p.shape[0]):
        for j in range(p.shape[1]):
            row = p[i, j, bounds[i, j, 0] : bounds[i, j, 1]]
            new = z[i, j, bounds[i, j, 0] : bounds[i, j, 1]]
            for k in range(row.shape[0]):
                row[k] = scale * new[k] + beta * row[k]


@numba.njit(parallel=True, cache=True, fastmath=True)
def _advance(psi, r, p, q, alpha, bounds, rhs, scale, partial):  # noqa: ANN001
    for i in numba.prange(r.shape[0]):
        total = 0.0
        for j in range(r.shape[1]):
            lo, hi = bounds[i, j, 0], bounds[i, j, 1]
            x, res, way, flow = psi[i, j, lo:hi], r[i, j, lo:hi], p[i, j, lo:hi], q[i, j, lo:hi]
            single = rhs[i, j, lo:hi]
            for k in range(hi - lo):
                x[k] += alpha * way[k]
                value = res[k] - alpha * flow[k]
                res[k] = value
                single[k] = scale * value
                total += value * value
        partial[i] = total
