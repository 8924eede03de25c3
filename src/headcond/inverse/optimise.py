"""Bounded conductivity estimates: batched Gauss-Newton, or an interior point one by one."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_option
from headcond.inverse.estimates import Estimates, summarise
from headcond.inverse.objective import (
    ForwardModel,
    Objective,
    chunks,
    make_objective,
    normal_equations,
)
from headcond.inverse.protocol import Protocol
from headcond.inverse.reduced import forward_model
from headcond.rom.model import ReducedModel

_log = logging.getLogger(__name__)

# Largest Gauss-Newton step in log conductivity that still counts as a step.
STEP_TOLERANCE = 1e-8
# Share of the misfit that a Gauss-Newton step must promise to be worth taking.
GAIN_TOLERANCE = 1e-10
# And half a chi-square that it must promise: 1e-7 of a standard deviation.
_LEAST_GAIN = 1e-14
# A chi-square that is nothing: a hundredth of a standard deviation.
_LEAST_CHI_SQUARE = 1e-4
# A chi-square that hardly changes a fit: a tenth of a standard deviation.
SAME_MINIMUM = 1e-2
# What a damping grows by at the next refusal after three in a row.
_STALLED = 16.0
_DAMPING = 1e-2
# A damping below this is no damping: prior deviations of 1000 in log conductivity.
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

    Minimises the chi-square of the readings under white electrode noise, whatever they are
    referenced to, over log conductivity.

    Parameters
    ----------
    model : full model or view of a reduced one (`objective.ForwardModel`), or a
        `ReducedModel`, whose pairs are combined to the protocol's patterns.
    data : (..., pairs, L) readings in V as `measurement.readings` gives them; entries
        outside the protocol's mask are ignored.
    protocol : what was read.
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
        stay those of the data alone.
    weighting : "covariance" of the readings' noise, or "plain", every reading alike as in eq.
        (1). With one reference, plain estimates depend on which it is.
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
    lead = data.shape[:-2]
    shape = (*lead, len(protocol.pairs)) if pairs == "each" else lead
    problem = make_objective(
        model, data.reshape(-1, *data.shape[-2:]), protocol, noise, pairs=pairs,
        fixed={name: _flat(name, value, shape, pairs == "each")
               for name, value in (fixed or {}).items()},
        start=None if start is None else _flat_start(start, shape, len(model.names),
                                                     pairs == "each"),
        amplitude=amplitude, prior=prior, weighting=weighting,
    )  # fmt: skip
    if method == "gauss-newton":
        results = _gauss_newton(problem, max_iterations or 200)
    else:
        results = _interior_point(problem, max_iterations or 1000)
    found = summarise(problem, *results)
    failed = int(np.count_nonzero(~found.converged))
    if failed == found.converged.size:
        raise InversionError(
            f"{method}: none of {failed} inversions converged; the best chi-square is "
            f"{found.chi_square.min():.3g} for {found.dof.min()} degrees of freedom."
        )
    if failed:
        _log.warning("%s: %d of %d inversions did not converge", method, failed,
                     found.converged.size)  # fmt: skip
    return found.reshape(shape)


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
            _log.info("%d of %d inversions done", which[-1] + 1, len(x))
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
    rounding = 1e-26 * problem.signal(which)
    hiding = np.zeros(len(x))
    damping, growth = np.full(len(x), _DAMPING), np.full(len(x), 2.0)
    iterations, converged = np.zeros(len(x), int), np.zeros(len(x), bool)
    active = np.arange(len(x))
    for _ in range(limit):
        low, high = lower - x[active], upper - x[active]
        step, predicted = box_step(info[active], slope[active], damping[active], low, high)
        small = np.max(np.abs(step), axis=-1) <= STEP_TOLERANCE
        # Where tissues are nearly invisible the residual's own curvature outweighs theirs and
        # steps shrink slowly; what is left of them no longer shows in the misfit.
        _, left = box_step(info[active], slope[active], np.full(len(active), _WEAK), low, high)
        flat = left <= GAIN_TOLERANCE * cost[active] + rounding[active] + _LEAST_GAIN
        # Shorter and shorter steps of no gain: the misfit is large enough for its rounding to hide
        # the rest, if that rest is nothing.
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
        # A step this short changes a smooth misfit as it promises, with a wrong derivative by twice
        # the promise at most. What is more is the rounding of the misfit; where that hides the rest
        # and is small itself, shorter steps find nothing either.
        change = np.abs(cost[active] - new_cost - predicted)
        change[better | ~small | (change <= 10 * predicted)] = 0.0
        hiding[active] = np.maximum(hiding[active], change)
        hidden = (change > 0) & (2 * hiding[active] <= SAME_MINIMUM)
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

    A primal-dual active-set iteration: bounds that the solution crosses are held, held ones
    whose multiplier has the wrong sign are freed, until nothing changes.

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
        # trust-constr asks for value, gradient and Hessian at a point one after the other.
        known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

        def local(
            t: np.ndarray, which: np.ndarray = which, known: dict = known
        ) -> tuple[np.ndarray, np.ndarray]:
            if (key := t.tobytes()) not in known:
                known.clear()
                sigma = low + t * (high - low)
                residual = problem.residual(np.log(sigma)[None], which)[0]
                jacobian = problem.jacobian(np.log(sigma)[None], which)[0]
                known[key] = residual, jacobian * ((high - low) / sigma)
            return known[key]

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
    """Whether no Gauss-Newton step in the box could lower the chi-square by more than nothing."""
    lower, upper = problem.bounds
    residual = problem.residual(x[None], which)
    info, slope = normal_equations(residual, problem.jacobian(x[None], which))
    low, high = np.minimum(lower - x, 0.0)[None], np.maximum(upper - x, 0.0)[None]
    _, predicted = box_step(info, slope, np.array([_WEAK]), low, high)
    return bool(2 * predicted[0] <= _LEAST_CHI_SQUARE)


def _flat(name: str, value: ArrayLike, shape: tuple[int, ...], each: bool) -> np.ndarray:
    try:
        wide = np.broadcast_to(np.asarray(value, float), shape)
    except ValueError as error:
        raise InputError(
            f"fixed[{name!r}] has shape {np.shape(value)}, the estimates have {shape}."
        ) from error
    return wide.reshape(-1, shape[-1]) if each else wide.reshape(-1, 1)


def _flat_start(start: ArrayLike, shape: tuple[int, ...], size: int, each: bool) -> np.ndarray:
    try:
        wide = np.broadcast_to(np.asarray(start, float), (*shape, size))
    except ValueError as error:
        raise InputError(
            f"start has shape {np.shape(start)}, which does not fit {(*shape, size)}."
        ) from error
    return wide.reshape(-1, shape[-1] if each else 1, size)
