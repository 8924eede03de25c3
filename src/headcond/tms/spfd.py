"""E-fields of TMS by scalar-potential finite differences on a voxel conductivity map.

Solves div(sigma grad psi) = -div(sigma dA/dt) with insulated air, E = -grad psi - dA/dt (eqs. 4
and 5 of the CondNet paper; quasi-static, sigma real). The unknowns are potentials at voxel
corners, the edges between them conduct as the mean of the four voxels that share them. Every
isolated conducting body has its own free constant, which the field does not see.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_finite, check_option, check_positive
from headcond.tms import assembled, stencil
from headcond.tms.coil import Coil
from headcond.tms.edges import dadt_edges
from headcond.tms.multigrid import Hierarchy

_log = logging.getLogger(__name__)
BACKENDS = ("multigrid", "pyamg", "petsc")
_LIMIT = 400  # iterations
_RESTARTS = 4


class ConvergenceError(RuntimeError):
    """The potential did not reach the tolerance; the message says how far it got."""


@dataclass(frozen=True)
class EField:
    """An induced field and how well it was solved.

    Attributes
    ----------
    vector : (nx, ny, nz, 3) float32 E in world axes (RAS+), V/m; 0 where nothing conducts.
    iterations : of conjugate gradients.
    residual : true relative residual ||b - A psi|| / ||b||, in float64.
    components : isolated conducting bodies.
    unknowns : nodes that conduct.
    seconds : wall time of the steps: prepare (conductivity alone), dadt, solve, field.
    """

    vector: np.ndarray
    iterations: int
    residual: float
    components: int
    unknowns: int
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def magnitude(self) -> np.ndarray:
        """|E| (nx, ny, nz) float32, V/m."""
        return np.sqrt(np.einsum("...i,...i->...", self.vector, self.vector))


class Problem:
    """A conductivity map made ready for any number of coils and positions.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m, exactly 0 in air; partial volumes (means of a finer
        map, see `block_mean`) are welcome and more accurate than binary voxels.
    affine : (4, 4) voxel-to-world, mm; any orthogonal one, voxels need not be cubes.
    backend : "multigrid" (matrix-free, ours), "pyamg" or "petsc".

    Raises
    ------
    InputError
        For NaN, infinite or negative values, an empty map or a sheared affine.
    """

    def __init__(self, conductivity: ArrayLike, affine: ArrayLike,
                 backend: str = "multigrid") -> None:  # fmt: skip
        check_option("backend", backend, BACKENDS)
        began = time.perf_counter()
        self._shape = np.shape(conductivity)
        self._affine = np.asarray(affine, float)
        self._sigma, self._grid = stencil.crop(conductivity, affine)
        self._network = stencil.assemble(self._sigma, self._grid)
        self.unknowns = int(np.count_nonzero(self._network.inverse_diagonal))
        labels, self.components = stencil.components(self._sigma)
        self._potential: Callable[[tuple, float], tuple[np.ndarray, int, float]]
        if backend == "multigrid":
            hierarchy = Hierarchy(self._sigma, self._grid, self._network)
            self._potential = lambda emf, tol: _multigrid_cg(self._network, hierarchy, emf, tol)
        else:
            make = {"pyamg": assembled.pyamg_solver, "petsc": assembled.petsc_solver}[backend]
            matrix, unknowns = assembled.matrix(self._network, stencil.node_labels(labels))
            solve = make(matrix)
            self._potential = lambda emf, tol: _assembled_cg(
                self._network, solve, unknowns, emf, tol)  # fmt: skip
        self._prepared = time.perf_counter() - began
        _log.info("%s: %d unknowns in %d bodies, prepared in %.1f s", backend, self.unknowns,
                  self.components, self._prepared)  # fmt: skip

    def solve(self, coil: Coil, didt: float, tolerance: float = 1e-6,
              dadt: str = "interpolated") -> EField:  # fmt: skip
        """Field of one coil, already placed in the world (`Coil.transformed`).

        Parameters
        ----------
        coil : in world metres.
        didt : rate of change of the coil current, A/s.
        tolerance : of the true relative residual.
        dadt : how dA/dt is summed at the edges, see `edges.dadt_edges`.

        Raises
        ------
        InputError
            If a winding or dipole lies inside a conducting voxel.
        ConvergenceError
            If the residual stays above the tolerance.
        """
        tolerance = check_positive("tolerance", tolerance)
        didt = float(check_finite("didt", didt))
        self._refuse_inside(coil)
        started = time.perf_counter()
        emf = dadt_edges(coil, didt, self._grid, self._network, dadt)
        summed = time.perf_counter()
        psi, iterations, residual = self._potential(emf, tolerance)
        if not residual <= tolerance:
            raise ConvergenceError(f"SPFD potential: relative residual {residual:.3g} after "
                                   f"{iterations} iterations, wanted {tolerance:.3g}.")  # fmt: skip
        solved = time.perf_counter()
        vector = np.zeros((*self._shape, 3), np.float32)
        stencil.field(self._sigma, self._grid, psi, emf, vector[self._grid.region])
        ended = time.perf_counter()
        seconds = {"prepare": self._prepared, "dadt": summed - started,
                   "solve": solved - summed, "field": ended - solved}  # fmt: skip
        _log.info("%s: %d iterations, residual %.2g, %.1f s", coil.name, iterations, residual,
                  ended - started)  # fmt: skip
        return EField(vector, iterations, residual, self.components, self.unknowns, seconds)

    def _refuse_inside(self, coil: Coil) -> None:
        points = coil.source_points()
        if coil_inside(points, self._sigma > 0, self._grid):
            raise InputError(f"The coil {coil.name!r} reaches into conducting voxels: move it off "
                             "the head (is its placement in metres?).")  # fmt: skip


def solve_efield(conductivity: ArrayLike, affine: ArrayLike, coil: Coil, didt: float,
                 tolerance: float = 1e-6, backend: str = "multigrid") -> EField:  # fmt: skip
    """Field that a coil induces in a voxel conductivity map.

    One call of `Problem` and `Problem.solve`; keep the `Problem` for several coils on one head.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m, exactly 0 in air.
    affine : (4, 4) voxel-to-world, mm.
    coil : placed in the world, m.
    didt : rate of change of the coil current, A/s.
    tolerance : of the true relative residual.
    backend : "multigrid", "pyamg" or "petsc".

    Raises
    ------
    InputError, ConvergenceError
        See `Problem` and `Problem.solve`.
    """
    return Problem(conductivity, affine, backend).solve(coil, didt, tolerance)


def coil_inside(points: np.ndarray, conducting: np.ndarray, grid: stencil.Grid) -> bool:
    """Whether any of the world points (N, 3), m, lies in a conducting voxel of the box."""
    index = np.floor((points - grid.origin) @ grid.axes / grid.step).astype(int) - 1
    index = index[np.all((index >= 0) & (index < conducting.shape), axis=1)]
    return bool(conducting[tuple(index.T)].any())


def block_mean(values: ArrayLike, affine: ArrayLike,
               factor: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Mean over blocks of factor^3 voxels: sub-voxel conductivity from a finer map.

    Returns
    -------
    means : (nx/factor, ny/factor, nz/factor) float32.
    affine : (4, 4) of the coarser voxels, mm.

    Raises
    ------
    InputError
        If the shape is no multiple of `factor`.
    """
    values, affine = np.asarray(values), np.asarray(affine, float)
    if values.ndim != 3 or any(n % factor for n in values.shape):
        raise InputError(f"The shape {values.shape} is no multiple of the factor {factor}.")
    shape = [part for n in values.shape for part in (n // factor, factor)]
    means = values.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float64).astype(np.float32)
    coarse = affine.copy()
    coarse[:3, :3] *= factor
    coarse[:3, 3] += affine[:3, :3] @ np.full(3, (factor - 1) / 2)
    return means, coarse


def _multigrid_cg(network: stencil.Network, hierarchy: Hierarchy, emf: tuple[np.ndarray, ...],
                  tolerance: float) -> tuple[np.ndarray, int, float]:  # fmt: skip
    """Conjugate gradients in float64, preconditioned by one float32 V-cycle.

    The recursive residual may drift from the true one, so convergence is judged on the true
    one, and the iteration starts again from there if it has not been met. Vectors are touched
    only between the bounds of rows, so the air of the box takes no memory.
    """
    bounds, rhs = network.bounds, hierarchy.right_hand_side
    psi, r, p, q = (np.zeros(network.inverse_diagonal.shape) for _ in range(4))
    partial = np.zeros(psi.shape[0])
    stencil.load(network, emf, r)
    wanted = norm = float(np.linalg.norm(r))
    if wanted == 0:
        return psi, 0, 0.0
    _advance(psi, r, p, q, 0.0, bounds, rhs, 1 / wanted, partial)
    iterations, scale = 0, wanted  # the cycle sees r / scale, whatever the units
    for _ in range(_RESTARTS):
        rz = 0.0
        while norm > tolerance * wanted and iterations < _LIMIT:
            z = hierarchy.cycle()
            _inner(r, z, bounds, partial)
            rz, before = float(partial.sum()) * scale, rz
            _direction(p, z, scale, rz / before if before else 0.0, bounds)
            alpha = rz / stencil.apply(network, p, q)
            scale = norm
            _advance(psi, r, p, q, alpha, bounds, rhs, 1 / scale, partial)
            norm = float(np.sqrt(partial.sum()))
            iterations += 1
            _log.debug("iteration %d: %.3g", iterations, norm / wanted)
        stencil.load(network, emf, r)
        stencil.apply(network, psi, q)
        _direction(p, p, 0.0, 0.0, bounds)
        _advance(psi, r, p, q, 1.0, bounds, rhs, 1 / scale, partial)
        norm = float(np.sqrt(partial.sum()))
        if norm <= tolerance * wanted or iterations >= _LIMIT:
            break
    return psi, iterations, norm / wanted


def _assembled_cg(network: stencil.Network, solve: assembled.Solve, unknowns: np.ndarray,
                  emf: tuple[np.ndarray, ...],
                  tolerance: float) -> tuple[np.ndarray, int, float]:  # fmt: skip
    """Solve the pinned system; its residual is checked on the whole network, pins included."""
    psi, b, q = (np.zeros(network.inverse_diagonal.shape) for _ in range(3))
    stencil.load(network, emf, b)
    wanted, iterations, residual, r = float(np.linalg.norm(b)), 0, 1.0, b
    if wanted == 0:
        return psi, 0, 0.0
    for _ in range(_RESTARTS):
        part, count = solve(r.ravel()[unknowns], 0.5 * tolerance / residual, _LIMIT)
        psi.ravel()[unknowns] += part
        iterations += count
        stencil.apply(network, psi, q)
        r = b - q
        residual = float(np.linalg.norm(r)) / wanted
        if residual <= tolerance or iterations >= _LIMIT:
            break
    return psi, iterations, residual


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
