"""A multigrid V-cycle applied to many vectors at once.

Block conjugate gradients read a matrix once for all their right-hand sides; so does this
cycle, in single precision there and in double precision as a Riesz map. It smooths by one
Gauss-Seidel sweep forward before and one backward after the coarser correction: symmetric,
so a preconditioner of conjugate gradients.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse

from headcond.fem.block_kernels import add_product, strip, sweep_back, sweep_from_zero

# Below this part of the largest, an eigenvalue of the coarsest level is the constants'.
_COARSE_ZERO = 1e-10
# Coarsest levels are inverted densely.
_LARGEST_COARSE = 4000


@dataclass(frozen=True)
class Level:
    """One level above the coarsest: its matrix and the way to and from the next.

    Attributes
    ----------
    matrix : (n, n) CSR with sorted indices.
    middle : (n,) position of each row's diagonal among the matrix's entries.
    inverse_diagonal : (n,).
    prolong, restrict : (n, m) and (m, n) CSR, transposes of each other.
    """

    matrix: sparse.csr_matrix
    middle: np.ndarray
    inverse_diagonal: np.ndarray
    prolong: sparse.csr_matrix
    restrict: sparse.csr_matrix


class BlockCycle:
    """A symmetric V-cycle on blocks of vectors.

    Parameters
    ----------
    matrices : (n_l, n_l) CSR of the levels, finest first.
    prolongations : (n_l, n_{l+1}) CSR, one fewer.
    dtype : float32, or float64 where the cycle's symmetry must hold to round-off.
    """

    def __init__(
        self,
        matrices: list[sparse.csr_matrix],
        prolongations: list[sparse.csr_matrix],
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self._dtype, self._levels = np.dtype(dtype), []
        self._kept: list[tuple[np.ndarray, ...]] | None = None
        self._load: np.ndarray | None = None
        for matrix, prolong in zip(matrices[:-1], prolongations, strict=True):
            copy = _copy(matrix, dtype)
            rows = np.repeat(np.arange(len(copy.indptr) - 1), np.diff(copy.indptr))
            middle = np.flatnonzero(copy.indices == rows)
            inverse = (1.0 / matrix.diagonal()).astype(dtype)
            ways = _copy(prolong, dtype), _copy(prolong.T, dtype)
            self._levels.append(Level(copy, middle, inverse, *ways))
        if matrices[-1].shape[0] > _LARGEST_COARSE:
            raise ArithmeticError(
                f"Multigrid stopped coarsening at {matrices[-1].shape[0]} unknowns, too many to "
                f"invert densely (at most {_LARGEST_COARSE})."
            )
        coarse = matrices[-1].toarray()
        self._coarse = np.linalg.pinv(
            0.5 * (coarse + coarse.T), rcond=_COARSE_ZERO, hermitian=True
        ).astype(dtype)

    @property
    def sizes(self) -> list[int]:
        """Unknowns of every level, finest first."""
        return [level.matrix.shape[0] for level in self._levels] + [len(self._coarse)]

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        """Apply the cycle to every column of `residual` (n, k); return (n, k) float64.

        Columns are scaled to length one on the way, so that none leaves single precision.
        """
        scale = np.linalg.norm(residual, axis=0)
        scale[scale == 0] = 1.0
        rows, count = residual.shape
        width = strip(self._dtype)
        shape = rows, -(-count // width) * width
        if self._load is None or self._load.shape != shape:
            self._load = np.zeros(shape, self._dtype)
        load = self._load
        load[:, count:] = 0.0
        np.divide(residual, scale, out=load[:, :count], casting="same_kind")
        return self._cycle(0, load)[:, :count] * scale

    def _work_arrays(self, width: int) -> list[tuple[np.ndarray, ...]]:
        # Arrays of every level, kept: fresh ones of this size cost the system a page fault per
        # 4 KiB, which is a third of a cycle's time.
        if self._kept is None or self._kept[0][0].shape[1] != width:
            self._kept = [
                tuple(np.empty((rows, width), self._dtype) for rows in (fine, fine, coarse))
                for fine, coarse in itertools.pairwise(self.sizes)
            ]
        return self._kept

    def _cycle(self, depth: int, load: np.ndarray) -> np.ndarray:
        if depth == len(self._levels):
            return self._coarse @ load
        level = self._levels[depth]
        entries = level.matrix.indices, level.matrix.data
        indptr, middle, inverse = level.matrix.indptr, level.middle, level.inverse_diagonal
        x, rest, low = self._work_arrays(load.shape[1])[depth]
        sweep_from_zero(indptr, middle, *entries, inverse, load, x, rest)
        low.fill(0.0)
        up, down = level.restrict, level.prolong
        add_product(up.indptr, up.indices, up.data, rest, low)
        add_product(down.indptr, down.indices, down.data, self._cycle(depth + 1, low), x)
        sweep_back(indptr, *entries, inverse, load, x)
        return x


def from_petsc(preconditioner: Any, dtype: npt.DTypeLike = np.float32) -> BlockCycle:
    """Copy the hierarchy of a PETSc multigrid preconditioner (PC) of one process."""
    depth = preconditioner.getMGLevels()
    matrices = [
        _csr(preconditioner.getMGSmoother(number).getOperators()[0]) for number in range(depth)
    ]
    prolongations = [_csr(preconditioner.getMGInterpolation(number)) for number in range(1, depth)]
    return BlockCycle(matrices[::-1], prolongations[::-1], dtype)


def from_pyamg(hierarchy: Any, dtype: npt.DTypeLike = np.float32) -> BlockCycle:
    """Copy the hierarchy of a PyAMG solver."""
    matrices = [sparse.csr_matrix(level.A) for level in hierarchy.levels]
    prolongations = [sparse.csr_matrix(level.P) for level in hierarchy.levels[:-1]]
    return BlockCycle(matrices, prolongations, dtype)


def _csr(matrix: Any) -> sparse.csr_matrix:
    indptr, indices, data = matrix.getValuesCSR()
    out = sparse.csr_matrix((data, indices, indptr), shape=matrix.getSize())
    out.sort_indices()
    return out


def _copy(matrix: sparse.csr_matrix, dtype: npt.DTypeLike) -> sparse.csr_matrix:
    # A copy: sorting must not touch indices that it would share with the caller's matrix.
    copy = sparse.csr_matrix(matrix, dtype=dtype, copy=True)
    copy.sort_indices()
    copy.indptr, copy.indices = (
        part.astype(np.int32, copy=False) for part in (copy.indptr, copy.indices)
    )
    return copy
