"""Solvers for the singular systems of the forward problem: one interface, three back ends.

The matrices are symmetric positive semidefinite with the constants as kernel (the complete
electrode model without a grounded node). Every solution is checked against its own
true residual, whatever the back end reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from headcond.checks import ConvergenceError, InputError, check_finite, check_option, check_positive
from headcond.fem.backends import Backend, Direct, PyAMG, project
from headcond.fem.block_cg import block_conjugate_gradients
from headcond.fem.block_multigrid import BlockCycle
from headcond.fem.petsc import Petsc

BACKENDS = ("petsc", "pyamg", "direct")
PRECONDITIONERS = ("gamg", "hypre", "ilu", "icc", "jacobi")

_RESTARTS = 6
# The recursion residual of CG runs ahead of the true one; a little reserve saves restarts.
_RESERVE = 0.8
# Right-hand sides solved together. Fewer than the least go faster one by one.
BLOCK, _LEAST = 16, 3


@dataclass(frozen=True)
class Solution:
    """Solutions of A x = b for one or several loads.

    Attributes
    ----------
    x : (n,) or (n, k) as the loads; mean zero in every column.
    iterations : (k,) int.
    residual : (k,) true relative residuals ||b - A x|| / ||b||.
    """

    x: np.ndarray
    iterations: np.ndarray
    residual: np.ndarray


class Solver:
    """What `make_solver` returns: a matrix with its preconditioner, set up once."""

    def __init__(self, matrix: sparse.csr_matrix, backend: Backend, tolerance: float,
                 max_iterations: int, communicator: Any, block: int = 1) -> None:  # fmt: skip
        self.matrix, self.tolerance, self.max_iterations = matrix, tolerance, max_iterations
        self._backend, self._communicator, self._block = backend, communicator, block
        self._cycle: BlockCycle | None = None
        self._map: BlockCycle | None = None
        self._owner = self  # of the preconditioner

    def solve(self, loads: np.ndarray, guess: np.ndarray | None = None,
              tolerance: float | None = None,
              name: str | Sequence[str] = "") -> Solution:  # fmt: skip
        """Solve A x = b for one or several right-hand sides.

        Three and more right-hand sides of a multigrid solver in one process are solved in
        blocks (`headcond.fem.block_cg`): to the same true residual, several times faster each.

        Collective on the communicator: every rank passes the same loads and receives the
        whole solution.

        Parameters
        ----------
        loads : (n,) or (n, k); every column sums to zero.
        guess : start, of the same shape; zero by default.
        tolerance : bound on ||b - A x|| / ||b||; the solver's own by default.
        name : what is solved, for error messages; or one name for each right-hand side.

        Returns
        -------
        Solution with x of the same shape as `loads`, mean zero in every column.

        Raises
        ------
        InputError
            If a load has another shape, is not finite or does not sum to zero.
        ConvergenceError
            If the true residual stays above the tolerance.
        """
        bound = check_positive("tolerance", self.tolerance if tolerance is None else tolerance)
        columns = _columns("loads", loads, self.matrix.shape[0])
        start = np.zeros_like(columns)
        if guess is not None:
            start = _columns("guess", guess, self.matrix.shape[0])
            if start.shape != columns.shape:
                raise InputError(
                    f"guess has {start.shape[1]} columns, the loads have {columns.shape[1]}."
                )
        count = columns.shape[1]
        labels = _labels(name, count)
        excess = np.abs(columns.sum(axis=0))
        if np.any(excess > 1e-9 * np.abs(columns).sum(axis=0)):
            worst = int(np.argmax(excess))
            raise InputError(
                f"{labels[worst] or 'Load'}: right-hand side {worst} sums to {excess[worst]:.3e}: "
                "what enters must leave, the loads of a system without ground sum to zero."
            )
        x = np.empty_like(columns)
        iterations, residual = np.zeros(count, int), np.zeros(count)
        for first in range(0, count, self._block):
            part = slice(first, first + self._block)
            width = len(labels[part])
            if width >= _LEAST and self._cycle is None:
                if self._owner._cycle is None:
                    self._owner._cycle = self._owner._backend.block_cycle()
                self._cycle = self._owner._cycle
            together = width >= _LEAST and self._cycle is not None
            for some in [part] if together else [slice(k, k + 1) for k in range(count)[part]]:
                x[:, some], iterations[some], residual[some] = self._solve_together(
                    columns[:, some], start[:, some], bound, labels[some]
                )
        return Solution(x.reshape(np.shape(loads)), iterations, residual)

    def apply_preconditioner(self, residual: np.ndarray) -> np.ndarray:
        """Apply B ~ A^+ (one symmetric V-cycle with multigrid) on the quotient by constants.

        Parameters
        ----------
        residual : (n,) or (n, k).

        Returns
        -------
        P B P r of the same shape, where P projects the constants out. Linear, symmetric
        and, on the quotient, positive definite; so it serves as a Riesz map.
        """
        columns = _columns("residual", residual, self.matrix.shape[0])
        if self._map is None:  # its smoother differs from that of ranks: one map for all calls
            self._map = self._backend.block_cycle(np.float64)
        if self._map is not None:
            return project(self._map(project(columns))).reshape(np.shape(residual))
        out = np.empty_like(columns)
        for k in range(columns.shape[1]):
            out[:, k] = project(self._backend.precondition(project(columns[:, k])))
        return out.reshape(np.shape(residual))

    @property
    def reusable(self) -> bool:
        """Whether `make_solver(..., reuse=)` takes this solver: it has a preconditioner."""
        return not isinstance(self._backend, Direct)

    def close(self) -> None:
        """Free the back end's memory; collective on the communicator."""
        self._cycle = self._map = None
        self._backend.close()

    def _solve_together(
        self, loads: np.ndarray, start: np.ndarray, bound: float, labels: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # Warm start and restart are one: correct x by what solves for its true residual.
        scale = np.linalg.norm(loads, axis=0)
        loads, x = project(loads), project(start)
        x[:, scale == 0] = 0.0
        scale[scale == 0] = 1.0
        spent, last = np.zeros(len(labels), int), np.full(len(labels), np.inf)
        reasons = np.full(len(labels), "", object)
        for _ in range(_RESTARTS + 1):
            remainder = project(loads - self.matrix @ x)
            reached = np.linalg.norm(remainder, axis=0) / scale
            if self._communicator is not None:  # ranks must take the same branch
                reached = self._communicator.bcast(reached)
            left = np.flatnonzero(~(reached <= bound))
            if len(left) == 0:
                return x, spent, reached
            for k in left:
                if not np.isfinite(reached[k]):
                    reasons[k] = reasons[k] or "the iterates are NaN or infinite"
                elif reached[k] > 0.5 * last[k]:
                    reasons[k] = reasons[k] or "restarts no longer reduce it: round-off"
                if reasons[k]:
                    raise ConvergenceError(labels[k], reached[k], bound, reasons[k])
            last[left] = reached[left]
            step, used, reason = self._correct(
                remainder[:, left],
                np.minimum(_RESERVE * bound / reached[left], 0.5),
                self.max_iterations - int(spent.max()),
            )
            x[:, left] = project(x[:, left] + step)
            spent[left] += used
            reasons[left] = reason
        worst = left[np.argmax(reached[left])]
        raise ConvergenceError(labels[worst], reached[worst], bound, f"{_RESTARTS} restarts")

    def _correct(
        self, remainder: np.ndarray, reductions: np.ndarray, most: int
    ) -> tuple[np.ndarray, np.ndarray, str]:
        if self._cycle is not None and remainder.shape[1] > 1:
            return block_conjugate_gradients(
                lambda block: self.matrix @ block, remainder, self._cycle, reductions, most
            )
        step, used = np.empty_like(remainder), np.zeros(remainder.shape[1], int)
        for k in range(remainder.shape[1]):
            step[:, k], used[k], reason = self._backend.solve(
                np.ascontiguousarray(remainder[:, k]), float(reductions[k]), most
            )
        return step, used, reason


def make_solver(matrix: sparse.csr_matrix, *, backend: str = "petsc",
                preconditioner: str = "gamg", tolerance: float = 1e-10,
                max_iterations: int = 6000, communicator: Any = None, block: int = BLOCK,
                reuse: Solver | None = None) -> Solver:  # fmt: skip
    """Set up a solver for a symmetric semidefinite matrix whose kernel is the constants.

    Parameters
    ----------
    matrix : (n, n) CSR. On several ranks each passes the same whole matrix; PETSc then
        keeps only a rank's own rows (about 12 bytes per entry, plus the multigrid levels:
        as much again), so a rank holds the matrix once and its share twice.
    backend : "petsc" (conjugate gradients, any number of ranks), "pyamg" (conjugate
        gradients with Ruge-Stuben multigrid, one process), "direct" (sparse LU with one
        node held at zero, for small problems).
    preconditioner : of the PETSc back end: "gamg", "hypre" (BoomerAMG, where PETSc was built
        with it), "ilu"/"icc" without fill (block Jacobi over ranks), or "jacobi". The other
        back ends bring their own.
    tolerance : default bound on the true relative residual.
    max_iterations : per right-hand side.
    communicator : mpi4py communicator over whose ranks PETSc distributes the rows; this
        process alone by default.

    Raises
    ------
    InputError
        If the matrix is not of this kind, or an option is unknown.
    MissingBackend
        If the back end is not installed; the message says how to install it.
    """
    check_option("backend", backend, BACKENDS)
    check_option("preconditioner", preconditioner, PRECONDITIONERS)
    check_positive("tolerance", tolerance)
    if communicator is not None and communicator.Get_size() == 1:
        communicator = None
    if communicator is not None and backend != "petsc":
        raise InputError(
            f"The back end {backend!r} runs in one process, but the communicator has "
            f"{communicator.Get_size()} ranks: choose 'petsc', or no communicator."
        )
    matrix = _check_matrix(matrix)
    if block < 1:
        raise InputError(f"block is {block}: at least one right-hand side is solved at a time.")
    kinds = {"petsc": Petsc, "pyamg": PyAMG, "direct": Direct}
    other = None
    if reuse is not None:
        other = reuse._backend
        if not reuse.reusable or not isinstance(other, kinds[backend]):
            raise InputError(
                f"A solver with the back end {backend!r} cannot reuse this preconditioner: reuse "
                "one of 'petsc' or 'pyamg' with the same back end."
            )
        if reuse.matrix.shape != matrix.shape or reuse._communicator != communicator:
            raise InputError(
                f"The solver to reuse has {reuse.matrix.shape[0]} unknowns, this matrix "
                f"{matrix.shape[0]}: it must have the same size and communicator."
            )
    options = {"petsc": (preconditioner, communicator, other), "pyamg": (other,), "direct": ()}
    library = kinds[backend](matrix, *options[backend])
    solver = Solver(
        matrix, library, float(tolerance), int(max_iterations), communicator, int(block)
    )
    solver._owner = solver if reuse is None else reuse._owner
    return solver


def _check_matrix(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(matrix, dtype=float)
    if matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 2:
        raise InputError(f"The system matrix must be square, got shape {matrix.shape}.")
    check_finite("system matrix", matrix.data)
    diagonal = matrix.diagonal()
    if not np.all(diagonal > 0):
        raise InputError(
            f"{np.count_nonzero(diagonal <= 0)} unknowns have no positive diagonal entry: is "
            "every node part of a tetrahedron, every coefficient above zero?"
        )
    scale = diagonal.max()
    if np.abs(matrix @ np.ones(matrix.shape[0])).max() > 1e-9 * scale:
        raise InputError("The constants are not in the kernel of the system matrix.")
    probe = np.cos(np.arange(matrix.shape[0], dtype=float))
    if np.abs(matrix @ probe - matrix.T @ probe).max() > 1e-9 * scale:
        raise InputError("The system matrix is not symmetric.")
    return matrix


def _columns(name: str, values: np.ndarray, size: int) -> np.ndarray:
    values = np.asarray(values, float)
    if values.ndim not in (1, 2) or values.shape[0] != size:
        raise InputError(f"{name} must have shape ({size},) or ({size}, k), got {values.shape}.")
    return check_finite(name, values.reshape(size, -1))


def _labels(name: str | Sequence[str], count: int) -> list[str]:
    if isinstance(name, str):
        if count == 1:
            return [name]
        return [f"{name or 'right-hand side'} [{k}]" for k in range(count)]
    if len(name) != count:
        raise InputError(f"{len(name)} names for {count} right-hand sides.")
    return list(name)
