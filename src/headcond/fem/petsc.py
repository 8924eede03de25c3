"""PETSc as a back end of the solvers, on any number of ranks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse

from headcond.checks import InputError, MissingBackend
from headcond.fem import block_multigrid
from headcond.fem.backends import COARSE_ZERO

# Smoothed aggregation with the filter that needs few cycles on head models. The coarsest level
# is singular too, hence its singular value decomposition.
_GAMG = {
    "pc_gamg_type": "agg",
    "pc_gamg_threshold": 0.02,
    "mg_levels_pc_type": "sor",
    "mg_coarse_pc_type": "bjacobi",
    "mg_coarse_sub_pc_type": "svd",
    "mg_coarse_sub_pc_svd_zero_sing": COARSE_ZERO,
}
# Classical multigrid; the sweeps of one cycle mirror each other, so that it is symmetric. The
# coarsest level is singular: symmetric sweeps there too, in the place of an elimination.
_BOOMERAMG = {
    "pc_hypre_type": "boomeramg",
    "pc_hypre_boomeramg_strong_threshold": 0.5,
    "pc_hypre_boomeramg_relax_type_all": "symmetric-SOR/Jacobi",
}
# One sweep forward and back, before and after: a symmetric V-cycle. Over several ranks each
# sweeps its own rows, which may overshoot; there a Chebyshev polynomial keeps it positive.
_ONE_SWEEP = {"mg_levels_ksp_type": "richardson", "mg_levels_ksp_max_it": 1}
_POLYNOMIAL = {"mg_levels_ksp_type": "chebyshev", "mg_levels_ksp_max_it": 2}
_prefixes = (f"headcond{number}_" for number in itertools.count())


class Petsc:
    """PETSc's conjugate gradients; rows are distributed in bands of neighbours.

    The matrix's kernel is the constants, or it is positive definite (`singular=False`).
    PETSc's parallelism is its ranks. A threaded BLAS below it only spins: start programs with
    OPENBLAS_NUM_THREADS=1 (on a busy machine solves take ten times longer without).
    """

    def __init__(
        self,
        matrix: sparse.csr_matrix,
        preconditioner: str,
        communicator: Any,
        reuse: Petsc | None = None,
        singular: bool = True,
    ) -> None:
        petsc = _import_petsc()
        size = matrix.shape[0]
        if matrix.nnz > np.iinfo(petsc.IntType).max:
            raise InputError(
                f"The matrix has {matrix.nnz} entries, too many for a PETSc with 32-bit "
                "indices: build PETSc with --with-64-bit-indices."
            )
        comm = petsc.COMM_SELF if communicator is None else communicator
        self._order, part, first, last = None, matrix, 0, size
        if communicator is not None:
            # Any numbering of the nodes gives compact parts: bands of the Cuthill-McKee order.
            self._order = sparse.csgraph.reverse_cuthill_mckee(matrix, symmetric_mode=True)
            rank, ranks = communicator.Get_rank(), communicator.Get_size()
            first, last = (size * rank) // ranks, (size * (rank + 1)) // ranks
            part = matrix[self._order[first:last]][:, self._order].tocsr()
            part.sort_indices()
        self._rows = slice(first, last)
        csr = (part.indptr.astype(petsc.IntType, copy=False),
               part.indices.astype(petsc.IntType, copy=False), part.data)  # fmt: skip
        local = last - first
        self._matrix = petsc.Mat().createAIJ(((local, size), (local, size)), csr=csr, comm=comm)
        self._matrix.setOption(petsc.Mat.Option.SPD, True)
        self._kernel = petsc.NullSpace().create(constant=True, comm=comm) if singular else None
        if singular:
            self._matrix.setNullSpace(self._kernel)
            self._matrix.setNearNullSpace(self._kernel)
        self._load, self._x = self._matrix.createVecs()
        reasons = vars(petsc.KSP.ConvergedReason).items()
        self._reasons = {value: key for key, value in reasons if isinstance(value, int)}
        self._gather = self._whole = None
        if communicator is not None:
            self._gather, self._whole = petsc.Scatter.toAll(self._x)
        self._blocks = preconditioner == "gamg" and communicator is None
        if reuse is None:
            self._ksp = self._make_ksp(petsc, comm, preconditioner, communicator is not None)
        else:
            self._ksp = self._make_ksp_around(petsc, comm, reuse)

    def _make_ksp(self, petsc: Any, comm: Any, preconditioner: str, several: bool) -> Any:
        ksp = _conjugate_gradients(petsc, comm)
        ksp.setOperators(self._matrix)
        options = {"pc_type": preconditioner}
        if preconditioner == "hypre":
            if not petsc.Sys.hasExternalPackage("hypre"):
                raise InputError(
                    "This PETSc was built without hypre: configure it with --download-hypre, or "
                    "choose the preconditioner gamg, which is part of PETSc."
                )
            options |= _BOOMERAMG
        elif preconditioner == "gamg":
            options |= _GAMG | (_POLYNOMIAL if several else _ONE_SWEEP)
        elif several and preconditioner in ("ilu", "icc"):
            options = {"pc_type": "bjacobi", "sub_pc_type": preconditioner}
        prefix = next(_prefixes)
        ksp.setOptionsPrefix(prefix)
        database = petsc.Options(prefix)
        for key, value in options.items():
            database.setValue(key, value)
        try:
            ksp.setFromOptions()
            ksp.setUp()
        finally:  # the database is global: leave nothing behind
            for key in options:
                database.delValue(key)
        return ksp

    def _make_ksp_around(self, petsc: Any, comm: Any, other: Petsc) -> Any:
        """CG for this matrix with the preconditioner that `other` has built for its own."""
        ksp = _conjugate_gradients(petsc, comm)
        ksp.setPC(other._ksp.getPC())
        ksp.getPC().setReusePreconditioner(True)
        ksp.setOperators(self._matrix, other._ksp.getOperators()[1])
        return ksp

    def block_cycle(self, dtype: npt.DTypeLike = np.float32) -> block_multigrid.BlockCycle | None:
        """Return GAMG's V-cycle for blocks of vectors, in one process."""
        return block_multigrid.from_petsc(self._ksp.getPC(), dtype) if self._blocks else None

    def solve(
        self, load: np.ndarray, reduction: float, max_iterations: int
    ) -> tuple[np.ndarray, int, str]:
        """Return x, iterations and PETSc's reason of a failure ('' if it converged)."""
        # Solvers that share a preconditioner share its matrix, which the last one has set.
        self._ksp.setOperators(self._matrix, self._ksp.getOperators()[1])
        self._ksp.setTolerances(rtol=reduction, atol=0.0, divtol=1e10, max_it=max_iterations)
        self._put(load)
        self._ksp.solve(self._load, self._x)
        code = self._ksp.getConvergedReason()
        reason = "" if code > 0 else f"PETSc: {self._reasons.get(code, code)}"
        return self._get(), self._ksp.getIterationNumber(), reason

    def precondition(self, residual: np.ndarray) -> np.ndarray:
        """Apply the preconditioner once: with GAMG one V-cycle."""
        self._put(residual)
        self._ksp.getPC().apply(self._load, self._x)
        return self._get()

    def close(self) -> None:
        """Free the memory."""
        for item in (self._ksp, self._matrix, self._kernel, self._load, self._x,
                     self._gather, self._whole):  # fmt: skip
            if item is not None:
                item.destroy()

    def _put(self, values: np.ndarray) -> None:
        self._load.setArray(values if self._order is None else values[self._order[self._rows]])

    def _get(self) -> np.ndarray:
        if self._order is None:
            return self._x.getArray().copy()
        self._gather.scatter(self._x, self._whole)
        values = np.empty(len(self._order))
        values[self._order] = self._whole.getArray()
        return values


def _conjugate_gradients(petsc: Any, comm: Any) -> Any:
    ksp = petsc.KSP().create(comm=comm)
    ksp.setType(petsc.KSP.Type.CG)
    ksp.setNormType(petsc.KSP.NormType.UNPRECONDITIONED)
    return ksp


def _import_petsc() -> Any:
    try:
        from petsc4py import PETSc
    except ImportError as error:
        raise MissingBackend(
            f"The solver back end 'petsc' is not available ({error}): install PETSc and petsc4py "
            "as the README says, or choose the back end 'pyamg'."
        ) from error
    return PETSc
