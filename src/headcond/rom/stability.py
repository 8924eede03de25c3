"""Stability factor: the second smallest eigenvalue of A(theta), computed, and between points.

The smallest eigenvalue is zero (the constants). `rbf` is what the paper interpolates with
and no certificate: it overestimates the factor at about half of all points. `concave` is a
rigorous lower bound from the same eigenvalues.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import linprog
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.spatial.distance import cdist

from headcond.checks import InputError, check_option, check_shape
from headcond.fem.operator import AffineOperator
from headcond.rom.parameters import Box

METHODS = ("rbf", "concave")

logger = logging.getLogger(__name__)
_RITZ_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Stability:
    """Stability factors at J points, and how to go between them.

    Attributes
    ----------
    sigma : (J, P) points, S/m.
    theta : (J, Q) their affine coefficients.
    values : (J,) second smallest eigenvalues of A(theta).
    residuals : (J,) ||A x - beta x|| of the unit Ritz vectors: there is an eigenvalue within
        this distance.
    method : "rbf" (log beta as Gaussians exp(-r^2), r in raw S/m, plus a linear term; the
        paper's way, no bound) or "concave" (the largest sum w_j (beta_j - residual_j) over
        w >= 0 with sum w_j theta_j <= theta, by a linear programme: beta is concave,
        1-homogeneous and monotone in theta, so this is a lower bound).
    """

    sigma: np.ndarray
    theta: np.ndarray
    values: np.ndarray
    residuals: np.ndarray
    method: str

    def __post_init__(self) -> None:
        check_option("stability method", self.method, METHODS)
        check_shape("stability values", self.values, (len(self.sigma),))
        check_shape("stability residuals", self.residuals, (len(self.sigma),))
        if self.method == "concave" and np.any(self.residuals >= self.values):
            raise InputError(
                "Stability factors with residuals as large as themselves bound nothing: compute "
                "them with a tighter solver tolerance."
            )
        if self.method == "rbf" and len(self.sigma) < self.sigma.shape[1] + 2:
            raise InputError(
                f"{len(self.sigma)} stability points are too few for a linear term in "
                f"{self.sigma.shape[1]} parameters: take 50 or more."
            )

    @property
    def certified(self) -> bool:
        """Whether `evaluate` stays below the true factor, so that a bound on it is one."""
        return self.method == "concave"

    def evaluate(self, box: Box, sigma: np.ndarray) -> np.ndarray:
        """Stability factor (...) at points sigma (..., P)."""
        sigma = np.asarray(sigma, float)
        points = sigma.reshape(-1, sigma.shape[-1])
        if self.method == "rbf":
            values = np.exp(self._features(points) @ self._rbf_weights())
        else:
            values = np.array([self._lower_bound(theta) for theta in box.theta(points)])
        return values.reshape(sigma.shape[:-1])

    def _features(self, points: np.ndarray) -> np.ndarray:
        gaussians = np.exp(-cdist(points, self.sigma, "sqeuclidean"))
        return np.concatenate((gaussians, np.ones((len(points), 1)), points), axis=1)

    def _rbf_weights(self) -> np.ndarray:
        # Gaussians of width 1 S/m are nearly constant over a box: the least-squares solution
        # drops what double precision cannot resolve.
        features = self._features(self.sigma)
        linear = features[:, len(self.sigma) :]
        system = np.block([[features], [linear.T, np.zeros((linear.shape[1],) * 2)]])
        right = np.concatenate((np.log(self.values), np.zeros(linear.shape[1])))
        return np.linalg.lstsq(system, right, rcond=None)[0]

    def _lower_bound(self, theta: np.ndarray) -> float:
        # Scaled rows and values, since factors of 1e-9 drown in the solver's tolerances. The
        # weights are shrunk until they obey the constraint to the last bit.
        lower = self.values - self.residuals
        ratio = (self.theta / theta).T
        programme = linprog(
            -lower / lower.max(), A_ub=ratio, b_ub=np.ones(len(theta)), method="highs"
        )
        if not programme.success:
            raise RuntimeError(
                f"stability lower bound: the linear programme failed: {programme.message}"
            )
        weights = np.maximum(programme.x, 0.0)
        return float(lower @ weights / max(1.0, (ratio @ weights).max()))


def stability_factors(
    operator: AffineOperator,
    box: Box,
    points: np.ndarray,
    solver_factory: Callable[[sparse.csr_matrix], Any],
    method: str = "rbf",
) -> Stability:
    """Compute the second smallest eigenvalue of A at given points of the box.

    Parameters
    ----------
    operator, box : the affine operator and its parameters.
    points : (J, P) points, S/m; 150 in the paper.
    solver_factory : matrix -> solver, as `headcond.fem.solvers.make_solver`.
    method : "rbf" or "concave", how the result goes between the points (`Stability`).
    """
    check_option("stability method", method, METHODS)
    points = box.check(check_shape("stability points", points, (None, len(box.names))))
    eigenvalues = []
    for number, point in enumerate(points):
        matrix = operator.combine(box.coefficients(operator, point))
        solver = solver_factory(matrix)
        eigenvalues.append(second_eigenvalue(matrix, solver))
        solver.close()
        logger.info("stability factor %d of %d: %.4e", number + 1, len(points), eigenvalues[-1][0])
    values, residuals = np.array(eigenvalues).T
    return Stability(points, box.theta(points), values, residuals, method)


def second_eigenvalue(
    matrix: sparse.csr_matrix, solver: Any, weight: np.ndarray | None = None
) -> tuple[float, float]:
    """Second smallest eigenvalue of D^-1/2 A D^-1/2 by Lanczos on the pseudo-inverse.

    Parameters
    ----------
    matrix : A, (n, n), semidefinite with the constants as kernel.
    solver : solver of A.
    weight : (n,) diagonal of D; the identity by default.

    Returns
    -------
    value : Rayleigh quotient of the Ritz vector, an upper bound of the eigenvalue.
    residual : norm of the unit Ritz vector's residual; `value - residual` is a lower bound
        of the eigenvalue nearest to `value`, which is the second one unless Lanczos missed
        it altogether.
    """
    size = matrix.shape[0]
    root = np.ones(size) if weight is None else np.sqrt(weight)
    kernel = root / np.linalg.norm(root)

    def scaled_inverse(vector: np.ndarray) -> np.ndarray:
        vector = vector.ravel()
        load = root * (vector - kernel * (kernel @ vector))
        image = root * solver.solve(load - load.mean(), name="stability factor").x
        return image - kernel * (kernel @ image)

    inverse = LinearOperator((size, size), matvec=scaled_inverse, dtype=float)
    start = scaled_inverse(np.random.default_rng(0).standard_normal(size))
    if size > 20:
        _, vectors = eigsh(inverse, k=1, which="LA", v0=start, tol=_RITZ_TOLERANCE)
    else:  # too small for Lanczos
        dense = np.stack([scaled_inverse(column) for column in np.eye(size)])
        vectors = np.linalg.eigh(0.5 * (dense + dense.T))[1][:, -1:]
    ritz = vectors[:, 0] - kernel * (kernel @ vectors[:, 0])
    ritz /= np.linalg.norm(ritz)
    image = (matrix @ (ritz / root)) / root
    value = float(ritz @ image)
    return value, float(np.linalg.norm(image - value * ritz))
