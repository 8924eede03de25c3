"""E-fields of TMS by scalar-potential finite differences on a voxel conductivity map.

Solves div(sigma grad psi) = -div(sigma dA/dt) with insulated air, E = -grad psi - dA/dt (eqs. 4
and 5 of the CondNet paper; quasi-static, sigma real). The unknowns are potentials at voxel
corners, the edges between them conduct as the mean of the four voxels that share them. Every
isolated conducting body has its own free constant, which the field does not see.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import ConvergenceError, InputError, check_finite, check_option, check_positive
from headcond.tms import algebraic, krylov, stencil
from headcond.tms.coil import Coil
from headcond.tms.induction import dadt_edges
from headcond.tms.multigrid import Hierarchy

logger = logging.getLogger(__name__)
BACKENDS = ("multigrid", "torch", "pyamg", "petsc")
_KEPT = 12  # potentials of earlier positions that a new one may start from


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
    """A conductivity map prepared for any number of coils and positions.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m, exactly 0 in air; partial volumes (means of a finer
        map, `headcond.mri.resampling.block_mean`) are more accurate than binary voxels.
    affine : (4, 4) voxel-to-world, mm; any orthogonal one, voxels need not be cubes.
    backend : "multigrid" (matrix-free, numba), "torch" (the same hierarchy on a device of
        torch), "pyamg" or "petsc" (algebraic multigrid on the assembled matrix).
    device : of "torch": "cpu", "cuda" or "cuda:1".
    communicator : MPI communicator of "petsc". Every rank calls with the same map and gets the
        whole field; the rows of the matrix and the solve are shared out.

    Raises
    ------
    InputError
        For NaN, infinite or negative values, an empty map or a sheared affine.
    MissingBackend
        If the library of a back end, or the device, is not there.
    """

    def __init__(self, conductivity: ArrayLike, affine: ArrayLike, backend: str = "multigrid",
                 device: str = "cpu", communicator: Any = None) -> None:  # fmt: skip
        check_option("backend", backend, BACKENDS)
        began = time.perf_counter()
        self._shape = np.shape(conductivity)
        self._affine = np.asarray(affine, float)
        self._sigma, self._grid = stencil.crop(conductivity, affine)
        self._network = stencil.assemble(self._sigma, self._grid)
        self.unknowns = int(np.count_nonzero(self._network.inverse_diagonal))
        labels, self.components = stencil.components(self._sigma)
        self._potential: Callable[..., tuple[np.ndarray, int, float]]
        if backend in ("multigrid", "torch"):
            hierarchy = Hierarchy(self._sigma, self._grid, self._network)
        if backend == "multigrid":
            self._potential = partial(krylov.multigrid_cg, self._network, hierarchy)
        elif backend == "torch":
            from headcond.tms.torch_multigrid import torch_solver  # torch is slow to import

            everywhere = np.arange(self._network.inverse_diagonal.size)
            solve = torch_solver(self._network, hierarchy, device)
            self._potential = partial(krylov.refined, self._network, solve, everywhere)
        else:
            matrix, unknowns = algebraic.matrix(self._network, stencil.node_labels(labels))
            solve = algebraic.algebraic_solver(matrix, backend, communicator)
            self._potential = partial(krylov.refined, self._network, solve, unknowns)
        self._prepared = time.perf_counter() - began
        logger.info("%s: %d unknowns in %d bodies, prepared in %.1f s", backend, self.unknowns,
                  self.components, self._prepared)  # fmt: skip

    def solve(self, coil: Coil, didt: float, tolerance: float = 1e-6, dadt: str = "interpolated",
              earlier: krylov.ProjectedGuess | None = None) -> EField:  # fmt: skip
        """Field of one coil, already placed in the world (`Coil.transformed`).

        Parameters
        ----------
        coil : in world metres.
        didt : rate of change of the coil current, A/s.
        tolerance : of the true relative residual.
        dadt : how dA/dt is summed at the edges, see `induction.dadt_edges`.
        earlier : potentials to start from, to which this one is added.

        Raises
        ------
        InputError
            If a winding or dipole is inside a conducting voxel.
        ConvergenceError
            If the residual stays above the tolerance.
        """
        tolerance = check_positive("tolerance", tolerance)
        didt = float(check_finite("didt", didt))
        if coil_inside(coil.source_points(), self._sigma > 0, self._grid):
            raise InputError(f"The coil {coil.name!r} reaches into conducting voxels: move it off "
                             "the head (is its placement in metres?).")  # fmt: skip
        started = time.perf_counter()
        emf = dadt_edges(coil, didt, self._grid, self._network, dadt)
        summed = time.perf_counter()
        b = np.zeros(self._network.inverse_diagonal.shape)
        stencil.load(self._network, emf, b)
        start = None if earlier is None else earlier.guess(b)
        psi, iterations, residual = self._potential(b, tolerance, start)
        if not residual <= tolerance:
            raise ConvergenceError(
                f"SPFD potential of {coil.name}", residual, tolerance,
                f"after {iterations} iterations",
            )  # fmt: skip
        if earlier is not None:
            earlier.add(psi)
        solved = time.perf_counter()
        vector = np.zeros((*self._shape, 3), np.float32)
        stencil.field(self._sigma, self._grid, psi, emf, vector[self._grid.region])
        ended = time.perf_counter()
        seconds = {"prepare": self._prepared, "dadt": summed - started,
                   "solve": solved - summed, "field": ended - solved}  # fmt: skip
        logger.info("%s: %d iterations, residual %.2g, %.1f s", coil.name, iterations, residual,
                  ended - started)  # fmt: skip
        return EField(vector, iterations, residual, self.components, self.unknowns, seconds)

    def solve_each(
        self, coils: Iterable[Coil], didt: float, tolerance: float = 1e-6
    ) -> Iterator[EField]:
        """Fields of many coils or positions, one after the other, lazily.

        Each starts from what the fields before it had in common with it
        (`krylov.ProjectedGuess`), which saves iterations where positions are close together, and
        meets the tolerance like any other.

        Parameters
        ----------
        coils, didt, tolerance : see `solve`.
        """
        earlier = krylov.ProjectedGuess(self._network, _KEPT)
        for coil in coils:
            yield self.solve(coil, didt, tolerance, earlier=earlier)


def solve_efield(conductivity: ArrayLike, affine: ArrayLike, coil: Coil, didt: float,
                 tolerance: float = 1e-6, backend: str = "multigrid", device: str = "cpu",
                 communicator: Any = None) -> EField:  # fmt: skip
    """Field that a coil induces in a voxel conductivity map.

    One call of `Problem` and `Problem.solve`; for several coils or positions on one head see
    `solve_positions`, or keep the `Problem`.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m, exactly 0 in air.
    affine : (4, 4) voxel-to-world, mm.
    coil : placed in the world, m.
    didt : rate of change of the coil current, A/s.
    tolerance : of the true relative residual.
    backend, device, communicator : see `Problem`.

    Raises
    ------
    InputError, ConvergenceError, MissingBackend
        See `Problem` and `Problem.solve`.
    """
    problem = Problem(conductivity, affine, backend, device, communicator)
    return problem.solve(coil, didt, tolerance)


def solve_positions(conductivity: ArrayLike, affine: ArrayLike, coils: Iterable[Coil],
                    didt: float, tolerance: float = 1e-6, backend: str = "multigrid",
                    device: str = "cpu",
                    communicator: Any = None) -> Iterator[EField]:  # fmt: skip
    """Fields of many positions on one head: one set-up, and each starts from those before it.

    Parameters
    ----------
    coils : each placed in the world, m.
    conductivity, affine, didt, tolerance, backend, device, communicator : see `solve_efield`.

    Returns
    -------
    Iterator over the fields, in the order of the coils; each is solved when it is requested.

    Raises
    ------
    InputError, ConvergenceError, MissingBackend
        See `Problem` and `Problem.solve`; a bad map is refused before the first field.
    """
    problem = Problem(conductivity, affine, backend, device, communicator)
    return problem.solve_each(coils, didt, tolerance)


def coil_inside(points: np.ndarray, conducting: np.ndarray, grid: stencil.Grid) -> bool:
    """Whether any of the world points (N, 3), m, is in a conducting voxel of the box."""
    index = np.floor((points - grid.origin) @ grid.axes / grid.step).astype(int) - 1
    index = index[np.all((index >= 0) & (index < conducting.shape), axis=1)]
    return bool(conducting[tuple(index.T)].any())
