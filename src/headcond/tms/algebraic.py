"""The network as a sparse matrix, for the algebraic multigrid of PyAMG and PETSc.

One node of each component is grounded, which makes the matrix positive definite: both
libraries call the singular system with several null vectors indefinite otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from headcond.fem.backends import Backend, PyAMG
from headcond.fem.petsc import Petsc
from headcond.tms.stencil import Network

# (right-hand side, relative tolerance, most iterations) -> (potential, iterations)
Solve = Callable[[np.ndarray, float, int], tuple[np.ndarray, int]]


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


def algebraic_solver(
    system: scipy.sparse.csr_matrix, backend: str, communicator: Any = None
) -> Solve:
    """Conjugate gradients with the algebraic multigrid of a back end; set up once, solve often.

    Parameters
    ----------
    system : float64, symmetric positive definite.
    backend : "pyamg" (Ruge-Stuben) or "petsc" (GAMG).
    communicator : MPI communicator of "petsc"; this process alone by default. Collective: every
        rank passes the same system and right-hand sides, holds a part of the rows, and gets the
        whole solution.
    """
    library: Backend
    if backend == "pyamg":
        library = PyAMG(system, singular=False)
    else:
        alone = communicator is None or communicator.Get_size() == 1
        library = Petsc(system, "gamg", None if alone else communicator, singular=False)

    def solve(b: np.ndarray, tolerance: float, limit: int) -> tuple[np.ndarray, int]:
        return library.solve(b, tolerance, limit)[:2]

    return solve
