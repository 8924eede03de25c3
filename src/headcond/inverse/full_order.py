"""The full-order forward model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_finite, check_positive, check_shape
from headcond.fem.operator import AffineOperator
from headcond.rom.parameters import Box

logger = logging.getLogger(__name__)
_LOG_INTERVAL = 60.0  # s between two lines of progress


class FullModel:
    """Potentials and Jacobians by solving A(sigma) u = b (eq. 2) for every pair.

    Parameters
    ----------
    operator : affine operator of the head.
    box : the parameters with their ranges, and the coefficients of all other blocks.
    pairs : (source, sink) electrode labels.
    current : A.
    solver_factory : matrix (n, n) CSR -> solver with `.solve(loads (n, k), name=...)` that
        returns an object with `.x` (n, k) and raises if it did not converge, such as
        `headcond.fem.solvers.make_solver`; a `.close()` is called where there is one.

    Attributes
    ----------
    names, lower, upper, pairs, electrodes, current : see `objective.ForwardModel`.
    systems_solved : linear systems solved so far, one per right-hand side.
    """

    def __init__(
        self,
        operator: AffineOperator,
        box: Box,
        *,
        pairs: Sequence[tuple[str, str]],
        current: float,
        solver_factory: Callable[[sparse.csr_matrix], Any],
    ) -> None:
        self.operator, self.box = operator, box
        self.names, self.lower, self.upper = box.names, box.lower, box.upper
        self.pairs = tuple((str(source), str(sink)) for source, sink in pairs)
        self.electrodes = operator.electrodes
        self.current = check_positive("current", current)
        self.systems_solved = 0
        self._loads = np.stack([operator.load(*pair, current) for pair in self.pairs], axis=1)
        self._blocks = box.blocks(operator)[: len(box.names)]
        self._factory = solver_factory
        self._cached: dict[str, Any] = {}

    def voltages(self, sigma: ArrayLike) -> np.ndarray:
        """Electrode potentials (..., pairs, L) in V for sigma (..., P) in S/m; M systems each."""
        return self._map(sigma, lambda point: self._read(self._fields(point, range(self._count))))

    def jacobian(self, sigma: ArrayLike) -> np.ndarray:
        """Derivatives (..., pairs, L, P) in V/(S/m): dU/dsigma_k = -E A^-1 A_k u.

        Solves A^-1 A_k u for every pair and parameter, or the adjoint A^-1 E^T for every
        electrode, whichever takes fewer systems.
        """
        return self._map(sigma, lambda point: self._slopes(point, range(self._count)))

    def voltages_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> np.ndarray:
        """Potentials (n, L) of the pairs of indices (n,), each at its own sigma (n, P)."""
        points = self._points(sigma, pairs)
        return np.stack([self._read(self._fields(point, [m]))[0] for point, m in points])

    def jacobian_each(self, sigma: ArrayLike, pairs: Sequence[int]) -> np.ndarray:
        """Derivatives (n, L, P) of the pairs' potentials, each at its own sigma (n, P)."""
        return np.stack([self._slopes(point, [m])[0] for point, m in self._points(sigma, pairs)])

    def adjoint_gradient(self, sigma: np.ndarray, pair: int, dual: np.ndarray) -> np.ndarray:
        """Gradient (P,) of dual . U(sigma) under one pair, by one adjoint system.

        Parameters
        ----------
        sigma : (P,) S/m.
        pair : index.
        dual : (L,) weights of the electrode potentials; they sum to zero.
        """
        field = self._fields(sigma, [pair])[:, 0]
        load = np.zeros(self.operator.size)
        load[self.operator.nodes :] = dual
        weight = np.abs(load).sum()
        if weight == 0:
            return np.zeros(len(self.names))
        adjoint = self._solve(load[:, None] / weight, "adjoint")[:, 0] * weight
        return np.array([-(adjoint @ (block @ field)) for block in self._blocks])

    def parameter_slopes(
        self, sigma: np.ndarray, pair: int, parameters: Sequence[int]
    ) -> np.ndarray:
        """Derivatives (L, F) of one pair's potentials by F parameters: F systems (eq. 11)."""
        fields = self._fields(sigma, [pair])
        return self._direct(fields, parameters)[0]

    @property
    def _count(self) -> int:
        return len(self.pairs)

    def _prepare(self, sigma: np.ndarray) -> None:
        # The last matrix is kept with its solver and fields: voltages, then the Jacobian there.
        if self._cached and np.array_equal(self._cached["sigma"], sigma):
            return
        if np.any(sigma <= 0):
            raise InputError(f"Conductivities must be above 0 S/m, got {sigma}.")
        if self._cached and hasattr(self._cached["solver"], "close"):
            self._cached["solver"].close()
        solver = self._factory(self.operator.combine(self.box.coefficients(self.operator, sigma)))
        self._cached = {"sigma": sigma.copy(), "solver": solver, "fields": {}}

    def _solve(self, loads: np.ndarray, name: str) -> np.ndarray:
        self.systems_solved += loads.shape[1]
        return self._cached["solver"].solve(loads, name=name).x

    def _fields(self, sigma: np.ndarray, pairs: Sequence[int]) -> np.ndarray:
        self._prepare(sigma)
        fields = self._cached["fields"]
        if missing := [m for m in pairs if m not in fields]:
            solved = self._solve(self._loads[:, missing], "injection")
            fields.update(zip(missing, solved.T, strict=True))
        return np.stack([fields[m] for m in pairs], axis=1)

    def _read(self, fields: np.ndarray) -> np.ndarray:
        return fields[self.operator.nodes :].T.copy()

    def _slopes(self, sigma: np.ndarray, pairs: Sequence[int]) -> np.ndarray:
        fields = self._fields(sigma, pairs)
        count, size = len(self.electrodes), len(self.names)
        if len(pairs) * size <= count - 1:
            return self._direct(fields, range(size))
        loads = np.zeros((self.operator.size, count - 1))
        loads[self.operator.nodes + np.arange(1, count), np.arange(count - 1)] = 1.0
        loads[self.operator.nodes] = -1.0
        adjoint = self._solve(loads, "adjoint")
        slopes = np.zeros((len(pairs), count, size))
        for k, block in enumerate(self._blocks):
            slopes[:, 1:, k] = -(adjoint.T @ (block @ fields)).T
        return slopes

    def _direct(self, fields: np.ndarray, parameters: Sequence[int]) -> np.ndarray:
        slopes = np.empty((fields.shape[1], len(self.electrodes), len(parameters)))
        for f, k in enumerate(parameters):
            loads = -(self._blocks[k] @ fields)
            weight = np.maximum(np.abs(loads).sum(axis=0), np.finfo(float).tiny)
            slopes[..., f] = self._read(self._solve(loads / weight, "derivative") * weight)
        return slopes

    def _map(self, sigma: ArrayLike, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        sigma = self._checked(sigma)
        points = sigma.reshape(-1, len(self.names))
        values, logged = [], time.monotonic()
        for count, point in enumerate(points, start=1):
            values.append(function(point))
            if time.monotonic() - logged > _LOG_INTERVAL:
                logged = time.monotonic()
                logger.info("solved at %d of %d conductivities", count, len(points))
        values = np.stack(values)
        return values.reshape(*sigma.shape[:-1], *values.shape[1:])

    def _points(self, sigma: ArrayLike, pairs: Sequence[int]) -> list[tuple[np.ndarray, int]]:
        sigma = self._checked(sigma)
        if sigma.shape[:-1] != (len(pairs),):
            raise InputError(f"sigma of shape {sigma.shape} for {len(pairs)} pairs.")
        return [(point, int(m)) for point, m in zip(sigma, pairs, strict=True)]

    def _checked(self, sigma: ArrayLike) -> np.ndarray:
        sigma = check_finite("sigma", np.asarray(sigma, float))
        if sigma.ndim == 0:
            raise InputError(f"sigma needs {len(self.names)} conductivities, got one number.")
        check_shape("sigma", sigma.reshape(-1, sigma.shape[-1]), (None, len(self.names)))
        return sigma
