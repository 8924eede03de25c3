"""Sparse LU and PyAMG as back ends of the solvers; PETSc is in `headcond.fem.petsc`.

Each solves A x = b for one right-hand side, up to a reduction of the residual that it measures
itself; `headcond.fem.solvers` and `headcond.tms.krylov` check the true one. A is singular with
the constants as kernel (and b sums to zero), or positive definite (`singular=False`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse
import scipy.sparse.linalg as sparse_linalg

from headcond.checks import MissingBackend
from headcond.fem import block_multigrid

# Below this part of the largest, a singular value of the coarsest level is the constants'.
COARSE_ZERO = 1e-10


class Backend(Protocol):
    """What a solver needs of a back end; all three calls are collective where ranks share."""

    def solve(
        self, load: np.ndarray, reduction: float, max_iterations: int
    ) -> tuple[np.ndarray, int, str]:
        """Return x, iterations and the reason of a failure ('' if it converged)."""

    def precondition(self, residual: np.ndarray) -> np.ndarray:
        """Apply the preconditioner to one vector."""

    def block_cycle(self, dtype: npt.DTypeLike = np.float32) -> block_multigrid.BlockCycle | None:
        """Return its V-cycle for blocks of vectors; None if it has none."""

    def close(self) -> None:
        """Free what the back end holds."""


def project(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (n,) or (n, k) without their means: the projection along the constants."""
    return vectors - vectors.mean(axis=0)


def conjugate_gradients(
    matrix: sparse.csr_matrix,
    load: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray],
    reduction: float,
    max_iterations: int,
    singular: bool = True,
) -> tuple[np.ndarray, int, str]:
    """Preconditioned conjugate gradients from zero, on the quotient by constants if singular.

    Parameters
    ----------
    matrix : (n, n), its kernel the constants; or positive definite.
    load : (n,), sum zero if singular.
    precondition : symmetric positive map (n,) -> (n,).
    reduction : stop when the recursion residual is below `reduction` * ||load||.
    max_iterations : give up after so many.
    singular : whether the constants are the matrix's kernel.

    Returns
    -------
    x (n,), iterations, and the reason of a failure ('' if it converged).
    """
    x = np.zeros_like(load)
    residual = load.copy()
    target = reduction * np.linalg.norm(load)
    direction = np.zeros_like(load)
    previous = 1.0
    for iteration in range(max_iterations):
        z = precondition(residual)
        z = project(z) if singular else z
        rho = residual @ z
        if not rho > 0:
            return x, iteration, "the preconditioner is not positive definite"
        direction = z + (rho / previous if iteration else 0.0) * direction
        image = matrix @ direction
        curvature = direction @ image
        if not curvature > 0:
            return x, iteration, "the matrix is not positive definite on the quotient"
        step = rho / curvature
        x += step * direction
        residual -= step * image
        previous = rho
        if np.linalg.norm(residual) <= target:
            return x, iteration + 1, ""
    return x, max_iterations, f"{max_iterations} iterations were not enough"


class Direct:
    """LU of the matrix without its first row and column (u_0 = 0), then projected."""

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        self._factor = sparse_linalg.splu(
            matrix[1:, 1:].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}
        )

    def solve(
        self, load: np.ndarray, reduction: float, max_iterations: int
    ) -> tuple[np.ndarray, int, str]:
        """Return x, one "iteration" and no reason: what is left of the residual is round-off."""
        return self.precondition(load), 1, ""

    def precondition(self, residual: np.ndarray) -> np.ndarray:
        """Return the solution with u_0 = 0."""
        return np.concatenate(([0.0], self._factor.solve(residual[1:])))

    def block_cycle(self, dtype: npt.DTypeLike = np.float32) -> None:
        """Return None: the factor solves a block as it solves its columns."""

    def close(self) -> None:
        """Free the memory."""
        del self._factor


class PyAMG:
    """Conjugate gradients with a Ruge-Stuben V-cycle."""

    def __init__(
        self, matrix: sparse.csr_matrix, reuse: PyAMG | None = None, singular: bool = True
    ) -> None:
        self._matrix, self._singular = matrix, singular
        if reuse is not None:
            self._hierarchy, self._cycle = reuse._hierarchy, reuse._cycle
            return
        try:
            import pyamg
        except ImportError as error:
            raise MissingBackend(
                "The solver back end 'pyamg' is not installed: pip install pyamg."
            ) from error
        # Strength by the most negative entry: mass terms of electrodes are positive couplings.
        self._hierarchy = pyamg.ruge_stuben_solver(
            matrix,
            strength=("classical", {"theta": 0.25, "norm": "min"}),
            coarse_solver=("pinv", {"rtol": COARSE_ZERO}),
        )
        self._cycle = self._hierarchy.aspreconditioner(cycle="V").matvec

    def solve(
        self, load: np.ndarray, reduction: float, max_iterations: int
    ) -> tuple[np.ndarray, int, str]:
        """Return x, iterations and the reason of a failure ('' if it converged)."""
        return conjugate_gradients(
            self._matrix, load, self._cycle, reduction, max_iterations, self._singular
        )

    def precondition(self, residual: np.ndarray) -> np.ndarray:
        """Apply one V-cycle."""
        return self._cycle(residual)

    def block_cycle(self, dtype: npt.DTypeLike = np.float32) -> block_multigrid.BlockCycle:
        """Return the V-cycle for blocks of vectors."""
        return block_multigrid.from_pyamg(self._hierarchy, dtype)

    def close(self) -> None:
        """Free the memory."""
        del self._cycle, self._hierarchy
