"""The network as a sparse matrix, and the algebraic multigrid of PyAMG and PETSc on it.

One node of each component is pinned to zero, which makes the matrix positive definite: both
libraries call the singular system with several null vectors indefinite otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from headcond.tms.stencil import Network

Solve = Callable[[np.ndarray, float, int], tuple[np.ndarray, int]]


class MissingBackend(ImportError):
    """A solver library that was asked for and is not installed."""


def matrix(network: Network, labels: np.ndarray) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """Matrix of the network without the first node of each component.

    Parameters
    ----------
    labels : int node array, component of each node from 1, 0 where nothing conducts.

    Returns
    -------
    matrix : float64 CSR, symmetric positive definite.
    unknowns : flat index in the node array of each row.
    """
    active = np.flatnonzero(network.inverse_diagonal)
    _, first = np.unique(labels.ravel()[active], return_index=True)
    unknowns = np.delete(active, first)
    row = np.full(network.inverse_diagonal.size, -1, np.int32)
    row[unknowns] = np.arange(len(unknowns), dtype=np.int32)
    strides = np.array(network.inverse_diagonal.strides) // network.inverse_diagonal.itemsize
    diagonal = np.zeros(len(unknowns))
    upper = []
    for axis in range(3):
        start = np.flatnonzero(network.edges[axis])
        value = network.edges[axis].ravel()[start].astype(float)
        tail, head = row[start], row[start + strides[axis]]
        for end in (tail, head):
            diagonal += np.bincount(end[end >= 0], value[end >= 0], minlength=len(unknowns))
        both = (tail >= 0) & (head >= 0)
        upper.append((tail[both], head[both], -value[both]))
    tail, head, value = (np.concatenate(parts) for parts in zip(*upper, strict=True))
    half = scipy.sparse.coo_array((value, (tail, head)), shape=(len(unknowns),) * 2).tocsr()
    full = half + half.T + scipy.sparse.diags_array(diagonal, format="csr")
    return scipy.sparse.csr_matrix(full), unknowns


def pyamg_solver(system: scipy.sparse.csr_matrix) -> Solve:
    """Conjugate gradients with a Ruge-Stueben cycle of PyAMG; set up once, solve often."""
    try:
        import pyamg
    except ImportError as error:
        raise MissingBackend("The back end 'pyamg' needs the package pyamg.") from error
    hierarchy = pyamg.ruge_stuben_solver(system)
    preconditioner = hierarchy.aspreconditioner(cycle="V")

    def solve(b: np.ndarray, tolerance: float, limit: int) -> tuple[np.ndarray, int]:
        history: list[float] = []
        x, _ = pyamg.krylov.cg(system, b, tol=tolerance, criteria="rr", maxiter=limit,
                               M=preconditioner, residuals=history)  # fmt: skip
        return x, len(history) - 1

    return solve


def petsc_solver(system: scipy.sparse.csr_matrix, communicator: Any = None) -> Solve:
    """Conjugate gradients with GAMG of PETSc; set up once, solve often.

    Parameters
    ----------
    communicator : MPI communicator; this process alone by default. Collective: every rank
        passes the same system and right-hand sides, holds a run of rows, and gets the whole
        solution.
    """
    try:
        from petsc4py import PETSc
    except ImportError as error:
        raise MissingBackend("The back end 'petsc' needs the package petsc4py.") from error
    if communicator is None or communicator.Get_size() == 1:
        communicator, rank, ranks = PETSc.COMM_SELF, 0, 1
    else:
        rank, ranks = communicator.Get_rank(), communicator.Get_size()
    count = system.shape[0]
    first, last = count * rank // ranks, count * (rank + 1) // ranks
    own, index = system[first:last] if ranks > 1 else system, PETSc.IntType
    operator = PETSc.Mat().createAIJ(
        ((last - first, count), (last - first, count)), comm=communicator,
        csr=(own.indptr.astype(index), own.indices.astype(index), own.data),
    )  # fmt: skip
    operator.setOption(PETSc.Mat.Option.SPD, True)
    krylov = PETSc.KSP().create(communicator)
    krylov.setOperators(operator)
    krylov.setType("cg")
    krylov.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    krylov.getPC().setType("gamg")
    krylov.setUp()
    left, right = operator.createVecs()

    def solve(b: np.ndarray, tolerance: float, limit: int) -> tuple[np.ndarray, int]:
        krylov.setTolerances(rtol=tolerance, atol=0.0, max_it=limit)
        right.setArray(b[first:last])
        krylov.solve(right, left)
        part, iterations = left.getArray().copy(), krylov.getIterationNumber()
        if ranks > 1:
            part = np.concatenate(communicator.allgather(part))
        return part, iterations

    return solve
