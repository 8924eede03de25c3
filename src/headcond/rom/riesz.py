"""Symmetric V-cycles as Riesz map of the energy norm, with bounds of their spectrum.

For a symmetric positive B on the quotient by constants and any residual r

    r' X^-1 r <= r' B r / lambda_min(B X),

so the residual's B-norm over the root of the smallest eigenvalue bounds its dual norm, and
exceeds it by at most the root of lambda_max / lambda_min. Loads themselves are then the
vectors of the residual basis, orthonormal in B / lambda_min; no system is solved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse

from headcond.rom.basis import AccuracyError, InnerProductSpace

_SAFETY = 0.98
_MARGIN = 1e-6  # 1e-10 times ten thousand vectors
_LEAST_STEPS, _STEPS = 30, 200  # a small residual after a few steps may be of another value
_RITZ_TOLERANCE = 0.005  # of the Ritz value: residual of the smallest one at which Lanczos ends
_CHECK_EVERY = 10


def chebyshev_accelerated(
    matrix: sparse.csr_matrix,
    cycle: Callable[[np.ndarray], np.ndarray],
    lowest: float,
    highest: float,
    steps: int,
) -> tuple[Callable[[np.ndarray], np.ndarray], float, float]:
    """Return a map of several cycles, by Chebyshev's iteration, and the bounds of its spectrum.

    From zero, `steps` of the iteration for X x = f leave x = p(B X) B f: symmetric as B is, with
    the eigenvalues 1 - T(t) / T(t0) of its product with X, T Chebyshev's polynomial of that degree,
    t in [-1, 1] where those of B X are within their bounds.

    Parameters
    ----------
    matrix : X (n, n).
    cycle : B, vectors (n, k) -> (n, k).
    lowest, highest : bounds of the spectrum of B X.
    steps : cycles of one application.
    """
    middle, half = 0.5 * (highest + lowest), 0.5 * (highest - lowest)
    if steps == 1 or half <= 0.0:
        return cycle, lowest, highest
    start = middle / half

    def apply(loads: np.ndarray) -> np.ndarray:
        step = cycle(loads) / middle
        total, rest, rho = step.copy(), loads, 1.0 / start
        for _ in range(steps - 1):
            rest = rest - matrix @ step
            last, rho = rho, 1.0 / (2.0 * start - rho)
            step = rho * last * step + (2.0 * rho / half) * cycle(rest)
            total += step
        return total

    left = 1.0 / np.cosh(steps * np.arccosh(start))
    return apply, 1.0 - left, 1.0 + left


class DualSpace(InnerProductSpace):
    """Loads, shared by rows among ranks, with the inner product f' B g / `lowest`.

    Round-off of this product grows with the mesh, and a third pass of Gram-Schmidt is a third more
    cycles; so a basis need be orthonormal to 1e-10 only. A norm taken from its coefficients is
    then off by 1e-10 times the number of its vectors at most, for which `lowest` leaves a margin.

    Parameters
    ----------
    cycle : whole vectors (size, k) -> B times them; collective where ranks share it.
    lowest : lower bound of the smallest eigenvalue of B X.
    size, communicator : as for `InnerProductSpace`.
    """

    accuracy = 1e-10

    def __init__(
        self,
        cycle: Callable[[np.ndarray], np.ndarray],
        lowest: float,
        size: int,
        communicator: Any = None,
    ) -> None:
        super().__init__(None, size, communicator)
        self._cycle, self._lowest = cycle, (1.0 - _MARGIN) * lowest

    def apply(self, local: np.ndarray) -> np.ndarray:
        """Local rows of B / lowest times the loads whose local rows are given; collective."""
        whole = self._cycle(self.whole(local)) / self._lowest
        return np.array(self.local(whole), order="F")


def spectral_bounds(
    matrix: sparse.csr_matrix, cycle: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """Lower bound of the smallest eigenvalue of B X, upper one of the largest, by Lanczos.

    B X is self-adjoint in the inner product of X. A Ritz value is above the smallest
    eigenvalue, and an eigenvalue within its residual: the bound is 0.98 times the value, less
    the residual. The 0.98 allows for what a finite Krylov space may have missed.

    Parameters
    ----------
    matrix : X (n, n), kernel = constants.
    cycle : B, vectors (n,) -> (n,), symmetric, positive on the quotient.

    Raises
    ------
    AccuracyError
        If the bound is not above 0, or B is not symmetric to 1e-8.
    """
    size = matrix.shape[0]
    steps = min(_STEPS, size - 1)
    vector = np.random.default_rng(0).standard_normal(size)
    vector -= vector.mean()
    image = matrix @ vector
    norm = np.sqrt(vector @ image)
    basis, images = [vector / norm], [image / norm]
    diagonal, off_diagonal = [], []
    low = high = miss = over = np.nan
    for step in range(steps):
        new = cycle(images[-1])
        diagonal.append(float(new @ images[-1]))
        # Orthogonalised against all before, twice: extreme values would come as copies.
        asymmetry = 0.0
        for turn in range(2):
            along = np.array([new @ other for other in images])
            if turn == 0 and step > 1:
                asymmetry = np.max(np.abs(along[: step - 1])) / np.max(np.abs(along))
            for weight, other in zip(along, basis, strict=True):
                new = new - weight * other
        if asymmetry > 1e-8:
            raise AccuracyError("Riesz map by one cycle: it is not symmetric", asymmetry, 1e-8)
        new -= new.mean()
        image = matrix @ new
        beta = float(np.sqrt(max(new @ image, 0.0)))
        last = step + 1 == steps or beta <= 1e-12 * max(map(abs, diagonal))
        if last or (step + 1 >= _LEAST_STEPS and (step + 1) % _CHECK_EVERY == 0):
            tridiagonal = np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)
            values, vectors = np.linalg.eigh(tridiagonal)
            low, high = values[0], values[-1]
            miss, over = beta * abs(vectors[-1, 0]), beta * abs(vectors[-1, -1])
            if last or miss <= _RITZ_TOLERANCE * low:
                break
        off_diagonal.append(beta)
        basis.append(new / beta)
        images.append(image / beta)
    lowest = _SAFETY * low - miss
    if not lowest > 0:
        raise AccuracyError("Riesz map by one cycle: no positive spectral bound", miss, low)
    return float(lowest), float(high / _SAFETY + over)
