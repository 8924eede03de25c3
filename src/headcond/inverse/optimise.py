"""Bounded conductivity estimates: batched Gauss-Newton, or an interior-point method."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_option
from headcond.inverse.estimates import Estimates, evaluate
from headcond.inverse.objective import (
    ForwardModel,
    Objective,
    broadcast,
    chunks,
    make_objective,
    normal_equations,
)
from headcond.inverse.protocol import Protocol
from headcond.inverse.reduced import forward_model
from headcond.rom.model import ReducedModel

logger = logging.getLogger(__name__)

# Largest Gauss-Newton step in log conductivity that still counts as a step.
STEP_TOLERANCE = 1e-8
# Least predicted decrease of a Gauss-Newton step that is worth taking, as a share of the misfit.
GAIN_TOLERANCE = 1e-10
# And as half a chi-square: 1e-7 of a standard deviation.
_LEAST_GAIN = 1e-14
# A negligible chi-square: a hundredth of a standard deviation.
_LEAST_CHI_SQUARE = 1e-4
# Objectives nearer than this belong to one minimum: a tenth of a standard deviation.
SAME_MINIMUM = 1e-2
# Factor by which the damping grows next after three refused steps in a row.
_STALLED = 16.0
_DAMPING = 1e-2
# A damping below this has no effect: prior deviations of 1000 in log conductivity.
_WEAK = 1e-6


class InversionError(RuntimeError):
    """An estimation in which not a single inversion converged."""


def estimate(
    model: ForwardModel | ReducedModel,
    data: np.ndarray,
    protocol: Protocol,
    noise: float | np.ndarray,
    *,
    pairs: str = "each",
    fixed: Mapping[str, ArrayLike] | None = None,
    method: str = "gauss-newton",
    start: ArrayLike | None = None,
    amplitude: bool = False,
    prior: Mapping[str, tuple[float, float]] | None = None,
    weighting: str = "covariance",
    max_iterations: int | None = None,
) -> Estimates:
    """Estimate conductivities from voltages (eq. 1 of ROM-pEIT), inside the model's box.

    Minimises the chi-square of the readings under white electrode noise, for any reference, over
    log conductivity.

    An estimate has converged if a Gauss-Newton step lowers half the chi-square by less than 1e-10
    of it, or if it can no longer be lowered because of the rounding of the misfit. That is
    measured: a refused step of at most 1e-8 in log conductivity changes a smooth misfit by its
    first-order prediction; the rest of the change is rounding. It has to be below 0.01 in
    chi-square.

    Parameters
    ----------
    model : forward model (`objective.ForwardModel`), or a `ReducedModel`, whose pairs are
        combined to the protocol's patterns.
    data : (..., pairs, L) readings in V, see `protocol.readings`; entries outside the protocol's
        mask are ignored.
    protocol : patterns, readings and reference.
    noise : standard deviation of an electrode's noise before re-referencing in V; one
        number, or one per pair.
    pairs : "each" (one estimate per pair, as in the paper) or "joint" (one over all pairs).
    fixed : conductivities in S/m of tissues that are not estimated, by name; a number, or
        an array that broadcasts to the leading shape of the estimates.
    method : "gauss-newton": projected Levenberg-Marquardt with the exact Jacobian, all
        inversions at once; "interior-point": scipy's trust-constr, one after the other.
    start : starting conductivities in S/m, (P,) or (..., P); the box centre by default.
    amplitude : whether the data are amplitudes |v| against one electrode; each takes the sign
        that the model gives it.
    prior : mean and standard deviation of log conductivities by name (`priors.published`):
        the estimate is then the maximum a posteriori; chi-square and Cramer-Rao bound
        remain those of the data alone.
    weighting : "covariance" of the readings' noise, or "plain", equal weights as in eq. (1).
        Plain estimates depend on the choice of a reference electrode.
    max_iterations : 200 by default, 1000 for the interior point.

    Raises
    ------
    InputError
        See `objective.make_objective`.
    InversionError
        If no inversion converged. Single failures are flagged in `converged`.
    """
    check_option("method", method, ("gauss-newton", "interior-point"))
    model = forward_model(model, protocol)
    data = np.asarray(data, float)
    if data.ndim < 2:
        raise InputError(f"data must have shape (..., pairs, electrodes), got {data.shape}.")
    each = pairs == "each"
    shape = (*data.shape[:-2], len(protocol.pairs)) if each else data.shape[:-2]
    problem = make_objective(
        model, data.reshape(-1, *data.shape[-2:]), protocol, noise, pairs=pairs,
        fixed={name: _flat(f"fixed[{name!r}]", value, shape, each)
               for name, value in (fixed or {}).items()},
        start=None if start is None else _flat("start", start, shape, each, len(model.names)),
        amplitude=amplitude, prior=prior, weighting=weighting,
    )  # fmt: skip
    if method == "gauss-newton":
        results = _gauss_newton(problem, max_iterations or 200)
    else:
        results = _interior_point(problem, max_iterations or 1000)
    estimates = evaluate(problem, *results)
    failed = int(np.count_nonzero(~estimates.converged))
    if failed == estimates.converged.size:
        raise InversionError(
            f"{method}: none of {failed} inversions converged; the best chi-square is "
            f"{estimates.chi_square.min():.3g} for {estimates.dof.min()} degrees of freedom."
        )
    if failed:
        logger.warning("%s: %d of %d inversions did not converge", method, failed,
                     estimates.converged.size)  # fmt: skip
    return estimates.reshape(shape)


def _gauss_newton(problem: Objective, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms x (n, F), iterations (n,) and whether they converged (n,)."""
    x = np.log(problem.fixed[..., problem.free]).reshape(-1, len(problem.free))
    iterations, converged = np.zeros(len(x), int), np.zeros(len(x), bool)
    portions = chunks(problem)
    for which in portions:
        x[which], iterations[which], converged[which] = _levenberg_marquardt(
            problem, x[which], which, limit
        )
        if len(portions) > 1:
            logger.info("%d of %d inversions done", which[-1] + 1, len(x))
    return x, iterations, converged


def _levenberg_marquardt(
    problem: Objective, start: np.ndarray, which: np.ndarray, limit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lower, upper = problem.bounds
    x = np.clip(start, lower, upper)
    residual = problem.residual(x, which)
    info, slope = normal_equations(residual, problem.jacobian(x, which))
    cost = 0.5 * np.sum(residual**2, axis=-1)
    # Differences of costs below this are rounding: of voltages to 1e-13, of the cost itself.
    # Iterative solvers round more; `measured` is the largest rounding of a refused short step.
    measured = np.zeros(len(x))
    rounding = 1e-26 * problem.signal(which)
    damping, growth = np.full(len(x), _DAMPING), np.full(len(x), 2.0)
    iterations, converged = np.zeros(len(x), int), np.zeros(len(x), bool)
    active = np.arange(len(x))
    for _ in range(limit):
        low, high = lower - x[active], upper - x[active]
        step, predicted = box_step(info[active], slope[active], damping[active], low, high)
        small = np.max(np.abs(step), axis=-1) <= STEP_TOLERANCE
        # Where the data hardly depend on a tissue, the curvature of the residual outweighs its
        # information and steps shrink slowly; the rest no longer shows in the misfit.
        _, left = box_step(info[active], slope[active], np.full(len(active), _WEAK), low, high)
        flat = left <= GAIN_TOLERANCE * cost[active] + rounding[active] + _LEAST_GAIN
        # Shorter and shorter steps without gain, and a negligible rest.
        stalled = (growth[active] >= _STALLED) & (2 * left <= _LEAST_CHI_SQUARE)
        finished = flat | stalled | (small & (damping[active] <= _WEAK))
        converged[active[finished]] = True
        moving = ~finished & (damping[active] < 1e30)
        active, step, predicted = active[moving], step[moving], predicted[moving]
        small = small[moving]
        if not len(active):
            break
        trial = np.clip(x[active] + step, lower, upper)
        residual = problem.residual(trial, which[active])
        new_cost = 0.5 * np.sum(residual**2, axis=-1)
        iterations[active] += 1
        gain = cost[active] - new_cost + 1e-12 * cost[active] + rounding[active]
        ratio = gain / np.maximum(predicted, 1e-300)
        better = (gain >= 0) & (ratio > 1e-3)
        good, bad = active[better], active[~better]
        if len(good):
            x[good], cost[good] = trial[better], new_cost[better]
            jacobian = problem.jacobian(x[good], which[good])
            info[good], slope[good] = normal_equations(residual[better], jacobian)
        # A short step changes a smooth misfit by its prediction; even a derivative of the wrong
        # sign is off by no more than twice that. A larger error is rounding, which hides the rest.
        error = np.abs(cost[active] - new_cost - predicted)
        error[better | ~small | (error <= 10 * predicted)] = 0.0
        measured[active] = np.maximum(measured[active], error)
        hidden = (error > 0) & (2 * measured[active] <= SAME_MINIMUM)
        converged[active[hidden]] = True
        damping[good] *= np.select([ratio[better] > 0.75, ratio[better] > 0.25], [0.05, 0.3], 2.0)
        damping[bad] = np.maximum(damping[bad], 1e-4) * growth[bad]
        growth[good], growth[bad] = 2.0, 2.0 * growth[bad]
        active = active[~hidden]
    return x, iterations, converged


def box_step(
    info: np.ndarray, slope: np.ndarray, damping: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise slope.d + 1/2 d.(info + damping I) d over low <= d <= high, many at once.

    A primal-dual active-set iteration: bounds that the solution crosses become active, active
    ones whose multiplier has the wrong sign are freed, until the set is stable.

    Parameters
    ----------
    info : (..., F, F) positive semidefinite.
    slope : (..., F).
    damping : (...) positive.
    low, high : (..., F), low <= 0 <= high.

    Returns
    -------
    step : (..., F) inside the bounds.
    predicted : (...) decrease of the undamped quadratic model, -slope.d - 1/2 d.info.d.
    """
    size = slope.shape[-1]
    eye = np.eye(size)
    weight = damping + 1e-14 * np.trace(info, axis1=-2, axis2=-1)
    full = info + np.maximum(weight, 1e-300)[..., None, None] * eye
    held = ((low >= 0) & (slope > 0)) | ((high <= 0) & (slope < 0))
    value = np.zeros_like(slope)
    for sweep in range(3 * size):
        free = ~held
        matrix = np.where(free[..., :, None] & free[..., None, :], full, eye)
        pinned = np.where(held, value, 0.0)
        load = np.where(free, -slope - np.einsum("...ij,...j->...i", full, pinned), pinned)
        step = np.linalg.solve(matrix, load[..., None])[..., 0]
        gradient = slope + np.einsum("...ij,...j->...i", full, step)
        below, above = free & (step < low), free & (step > high)
        # Late sweeps only add bounds, so that the iteration ends.
        wrong = held & np.where(value == high, gradient > 0, gradient < 0) & (sweep < 2 * size)
        wrong &= low < high
        if not np.any(below | above | wrong):
            break
        value = np.where(below, low, np.where(above, high, value))
        held = (held | below | above) & ~wrong
    step = np.clip(step, low, high)
    curve = np.einsum("...i,...ij,...j->...", step, info, step)
    return step, -np.sum(slope * step, axis=-1) - 0.5 * curve


def _interior_point(problem: Objective, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_gauss_newton`, by scipy's trust-constr in raw conductivities scaled to the box."""
    low, high = (np.exp(bound) for bound in problem.bounds)
    x = np.log(problem.fixed[..., problem.free]).reshape(-1, len(problem.free))
    iterations, converged = np.zeros(len(x), int), np.zeros(len(x), bool)
    for n in range(len(x)):
        which = np.array([n])
        # trust-constr evaluates value, gradient and Hessian at a point one after the other.
        cache: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

        def local(
            t: np.ndarray, which: np.ndarray = which, cache: dict = cache
        ) -> tuple[np.ndarray, np.ndarray]:
            if (key := t.tobytes()) not in cache:
                cache.clear()
                sigma = low + t * (high - low)
                residual = problem.residual(np.log(sigma)[None], which)[0]
                jacobian = problem.jacobian(np.log(sigma)[None], which)[0]
                cache[key] = residual, jacobian * ((high - low) / sigma)
            return cache[key]

        result = scipy.optimize.minimize(
            lambda t, f=local: 0.5 * np.sum(f(t)[0] ** 2),
            np.clip((np.exp(x[n]) - low) / (high - low), 1e-3, 1 - 1e-3),
            jac=lambda t, f=local: np.dot(*f(t)),
            hess=lambda t, f=local: f(t)[1].T @ f(t)[1],
            method="trust-constr",
            bounds=scipy.optimize.Bounds(np.zeros(len(low)), np.ones(len(low)), True),
            options={"gtol": 1e-9, "xtol": 1e-13, "barrier_tol": 1e-10, "maxiter": limit},
        )
        x[n] = np.log(low + np.clip(result.x, 0.0, 1.0) * (high - low))
        iterations[n] = result.nit
        converged[n] = _is_minimum(problem, x[n], which)
    return x, iterations, converged


def _is_minimum(problem: Objective, x: np.ndarray, which: np.ndarray) -> bool:
    """Whether every Gauss-Newton step in the box changes the chi-square by a negligible amount."""
    lower, upper = problem.bounds
    residual = problem.residual(x[None], which)
    info, slope = normal_equations(residual, problem.jacobian(x[None], which))
    low, high = np.minimum(lower - x, 0.0)[None], np.maximum(upper - x, 0.0)[None]
    _, predicted = box_step(info, slope, np.array([_WEAK]), low, high)
    return bool(2 * predicted[0] <= _LEAST_CHI_SQUARE)


def _flat(
    name: str, value: ArrayLike, shape: tuple[int, ...], each: bool, *tail: int
) -> np.ndarray:
    wide = broadcast(name, value, (*shape, *tail))
    return wide.reshape(-1, shape[-1] if each else 1, *tail)
