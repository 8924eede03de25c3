"""Error bounds of a reduced solution from its residual.

Energy norm (default): with the reference theta_bar, X = A(theta_bar), t = theta/theta_bar,
alpha = min t, gamma = max t and rho = ||b - A V z||_{X^-1},

    rho / sqrt(gamma) <= |||e|||_mu <= rho / sqrt(alpha),    |||e|||_mu^2 = e' A(mu) e.

rho comes from an orthonormal basis of span{X^-1 b, X^-1 A_q v_i} (Buhr, Engwer, Ohlberger,
Rave 2014) and so keeps falling down to round-off, where the Gram matrix of the residual
stagnates near 1e-8. As sum_q theta_bar_q X^-1 A_q v = v, one Riesz solve of Q is saved.

Euclidean norm (the paper, eq. 10): ||b - A V z||_2 / beta(mu), with the same residual basis
in the Euclidean inner product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse

from headcond.rom.basis import InnerProductSpace, orthonormalise

NORMS = ("energy", "euclidean")


class Riesz:
    """Riesz map of the energy norm by solves at the reference, with the error it makes.

    The defect d = f - X g of a computed representer g adds at most ||d||_{X^-1} to a dual
    norm, and ||d||_{X^-1} <= ||D^-1/2 d||_2 / sqrt(lambda), D = diag X, lambda the second
    smallest eigenvalue of D^-1/2 X D^-1/2.

    Parameters
    ----------
    space : rows that this rank holds, with the inner product X.
    matrix : X, whole.
    solver : of X.
    coercivity : lambda, or a lower bound of it.
    tolerance : true relative residual of the solves.
    """

    def __init__(self, space: InnerProductSpace, matrix: sparse.csr_matrix, solver: Any,
                 coercivity: float, tolerance: float) -> None:  # fmt: skip
        self.space, self._solver, self._tolerance = space, solver, tolerance
        self._weight = 1.0 / space.local(matrix.diagonal()) / coercivity

    def __call__(self, loads: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Representers (rows, k) of local loads (rows, k), their errors and iterations (k,)."""
        whole = self.space.whole(loads)
        whole = whole - whole.mean(axis=0)  # round-off of A_q 1 = 0
        solution = self._solver.solve(whole, tolerance=self._tolerance, name=name)
        local = np.array(self.space.local(solution.x), order="F")
        defect = self.space.local(whole) - self.space.apply(local)
        error = np.sqrt(self.space.sum(self._weight @ defect**2))
        return local, error, np.asarray(solution.iterations)


class ResidualBasis:
    """Orthonormal basis of the residual's representers of one pair, grown by snapshots.

    The columns of `factor` (M, 1 + n Q) are the coefficients of X^-1 b and then, for each
    basis vector v, of X^-1 theta_bar_q A_q v for q < Q - 1 and of v itself (the sum over all q).
    `defect` (1 + n Q,) bounds the dual norm of what each column lacks.
    """

    def __init__(self, space: InnerProductSpace, rows: int, capacity: int) -> None:
        self.space = space
        self._vectors = np.empty((rows, capacity), order="F")
        self._count = 0
        self.factor = np.zeros((0, 0))
        self.defect = np.zeros(0)

    @property
    def vectors(self) -> np.ndarray:
        """Local rows (rows, M) of the orthonormal vectors."""
        return self._vectors[:, : self._count]

    def extend(self, representers: np.ndarray, errors: np.ndarray) -> None:
        """Add columns: representers (rows, k) and the dual norm (k,) of their errors."""
        added, coefficients, dropped = orthonormalise(self.space, self.vectors, representers)
        first, self._count = self._count, self._count + added.shape[1]
        self._vectors[:, first : self._count] = added
        grown = np.zeros((self._count, self.factor.shape[1] + len(errors)))
        grown[:first, : self.factor.shape[1]] = self.factor
        grown[:, self.factor.shape[1] :] = coefficients
        self.factor = grown
        self.defect = np.concatenate((self.defect, errors + dropped))

    def restore(
        self, vectors: Sequence[np.ndarray], factor: np.ndarray, defect: np.ndarray
    ) -> None:
        """Take up the state that a checkpoint holds, vectors in blocks (rows, k)."""
        for block in vectors:
            first, self._count = self._count, self._count + block.shape[1]
            self._vectors[:, first : self._count] = block
        self.factor, self.defect = factor, defect


def residual_loads(images: Sequence[np.ndarray], reference: np.ndarray) -> np.ndarray:
    """Local loads (rows, Q - 1) theta_bar_q A_q v, q < Q - 1, whose representers are needed.

    Parameters
    ----------
    images : Q local vectors (rows,) A_q v.
    reference : theta_bar (Q,).
    """
    pairs = zip(reference[:-1], images[:-1], strict=True)
    loads = [weight * image for weight, image in pairs]
    return np.stack(loads, axis=1) if loads else np.empty((len(images[0]), 0))


def residual_norm(
    factor: np.ndarray, defect: np.ndarray, ratio: np.ndarray, solution: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dual norm of the residual at S points, and how far it can be off.

    Parameters
    ----------
    factor, defect : of a `ResidualBasis`, (M, 1 + N Q) and (1 + N Q,); N as `solution` has.
    ratio : theta / theta_bar (S, Q).
    solution : reduced solutions z (S, N).

    Returns
    -------
    norm : (S,), of b - sum_q theta_q A_q V z.
    slack : (S,), the true dual norm is within norm +- slack.
    """
    weights = _column_weights(ratio, solution)
    return np.linalg.norm(weights @ factor.T, axis=1), np.abs(weights) @ defect


def energy_bounds(
    norm: np.ndarray, slack: np.ndarray, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound (S,) of the error's energy norm from its residual's dual norm."""
    lower = np.maximum(norm - slack, 0.0) / np.sqrt(ratio.max(axis=-1))
    return lower, (norm + slack) / np.sqrt(ratio.min(axis=-1))


def chunks(points: int, size: int) -> Iterator[slice]:
    """Slices of so many points that their (size, size) matrices stay within 64 MiB."""
    step = max(1, 2**23 // max(size * size, 1))
    for first in range(0, points, step):
        yield slice(first, min(first + step, points))


def reduced_matrices(blocks: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """A_N(theta) = sum_q theta_q A_N^q, (S, N, N), of blocks (Q, N, N) at theta (S, Q)."""
    size = blocks.shape[1]
    return (theta @ blocks.reshape(len(blocks), -1)).reshape(-1, size, size)


def solve_reduced(blocks: np.ndarray, load: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Reduced solutions z (S, N) of A_N(theta) z = b_N (eq. 9), many at a time.

    Parameters
    ----------
    blocks : (Q, N, N).
    load : (N,).
    theta : (S, Q).
    """
    solution = np.empty((len(theta), len(load)))
    for part in chunks(len(theta), len(load)):
        matrices = reduced_matrices(blocks, theta[part])
        solution[part] = np.linalg.solve(matrices, load[:, None])[..., 0]
    return solution


def _column_weights(ratio: np.ndarray, solution: np.ndarray) -> np.ndarray:
    # b - sum_q t_q X_q V z with sum_q X_q = X: the last block is written as X less the others.
    points, count = solution.shape
    last = ratio[:, -1:]
    table = np.empty((points, count, ratio.shape[1]))
    table[..., :-1] = solution[:, :, None] * (last - ratio[:, :-1])[:, None, :]
    table[..., -1] = -solution * last
    return np.concatenate((np.ones((points, 1)), table.reshape(points, -1)), axis=1)
