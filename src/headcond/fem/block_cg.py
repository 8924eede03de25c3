"""Conjugate gradients for a block of right-hand sides that share one preconditioner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Eigenvalues of the scaled Gram matrix of the search directions below this part of the largest
# belong to directions that depend on the others.
_DEPENDENT = 1e-11


def block_conjugate_gradients(
    multiply: Callable[[np.ndarray], np.ndarray],
    loads: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray],
    reductions: np.ndarray,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Solve A X = B with one Krylov space for all columns (O'Leary 1980).

    With search directions P and Q = A P, each step minimises the error of every column over
    the span of all of P: X += P a, R -= Q a, (P^T Q) a = P^T R; then P = Z + P b with
    Z = M R, (P^T Q) b = -Q^T Z. Where right-hand sides depend on each other, or come to do
    so, P^T Q is singular: it is inverted on its range only, as Ji and Li (2017, BIT 57,
    379-403) drop such directions. Columns that have converged leave the block.

    Parameters
    ----------
    multiply : (n, k) -> A (n, k), for the matrix whose kernel is the constants.
    loads : (n, k), sum zero in every column.
    precondition : (n, k) -> (n, k), close to symmetric, linear and positive.
    reductions : (k,) a column is done when its recursion residual is below this part of its
        load.
    max_iterations : give up after so many.

    Returns
    -------
    x (n, k), iterations (k,), and the reason of a failure ('' if every column converged).
    """
    count = loads.shape[1]
    x = np.zeros_like(loads)
    iterations = np.zeros(count, int)
    targets = reductions * np.linalg.norm(loads, axis=0)
    active = np.flatnonzero(np.linalg.norm(loads, axis=0) > targets)
    residual = np.ascontiguousarray(loads[:, active])
    solution = np.zeros_like(residual)
    directions = image = inverse = None
    for iteration in range(1, max_iterations + 1):
        if len(active) == 0:
            return x, iterations, ""
        fresh = precondition(residual)
        fresh -= fresh.mean(axis=0)
        if directions is not None:
            fresh -= directions @ (inverse @ (image.T @ fresh))
        directions = fresh
        image = multiply(directions)
        inverse = _inverse_on_range(directions.T @ image)
        if inverse is None:
            x[:, active] = solution
            return x, iterations, "the matrix is not positive definite on the quotient"
        step = inverse @ (directions.T @ residual)
        solution += directions @ step
        residual -= image @ step
        iterations[active] = iteration
        done = np.sqrt(np.einsum("ik,ik->k", residual, residual)) <= targets[active]
        if done.any():
            x[:, active[done]] = solution[:, done]
            active = active[~done]
            residual = np.ascontiguousarray(residual[:, ~done])
            solution = np.ascontiguousarray(solution[:, ~done])
    if len(active) == 0:
        return x, iterations, ""
    x[:, active] = solution
    return x, iterations, f"{max_iterations} iterations were not enough"


def _inverse_on_range(gram: np.ndarray) -> np.ndarray | None:
    """Inverse (k, k) of a symmetric semidefinite matrix on its range; None if it has none.

    The columns are scaled to one before small eigenvalues are separated from zero ones.
    """
    diagonal = gram.diagonal()
    if not (np.isfinite(gram).all() and diagonal.max() > 0 and diagonal.min() >= 0):
        return None
    scale = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(scale[:, None] * (0.5 * (gram + gram.T)) * scale)
    keep = values > _DEPENDENT * values[-1]
    basis = scale[:, None] * vectors[:, keep]
    return (basis / values[keep]) @ basis.T
