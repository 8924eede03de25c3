"""Traditional estimation with the full-order model, the baseline of ROM-pEIT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import check_option, check_shape
from headcond.inverse.full_order import FullModel
from headcond.inverse.objective import make_objective
from headcond.inverse.protocol import Protocol, reading_jacobian, readings, readings_adjoint


@dataclass(frozen=True)
class TraditionalEstimate:
    """One unconstrained quasi-Newton estimation on the full model, with its history.

    Attributes
    ----------
    sigma : (P,) S/m, the last iterate.
    chi_square : squared whitened misfit there.
    dof : independent readings less free parameters.
    converged : whether the gradient test was met.
    kept : whether it converged and every conductivity is between a hundredth of the box's lower
        wall and a hundred times the upper one.
    reason : of not being kept; empty if it is.
    history : (iterations + 1, P) S/m, iterates from the start on.
    systems : (iterations + 1,) linear systems solved up to each iterate.
    """

    sigma: np.ndarray
    chi_square: float
    dof: int
    converged: bool
    kept: bool
    reason: str
    history: np.ndarray
    systems: np.ndarray


def traditional(
    model: FullModel,
    data: np.ndarray,
    protocol: Protocol,
    noise: float,
    pair: int,
    *,
    fixed: Mapping[str, float] | None = None,
    start: ArrayLike | None = None,
    gradient: str = "direct",
    tolerance: float = 1e-2,
    max_iterations: int = 100,
) -> TraditionalEstimate:
    """Estimate conductivities from one pair by the traditional method (ROM-pEIT, Experiment 2).

    Unconstrained BFGS on f = 1/2 ||W (v(sigma) - v_meas)||^2 over sigma in units of its start,
    with the gradient J^T W^T W (v - v_meas) (eq. 11). If a conductivity is not positive the
    operator is not definite and f is infinite, so that the line search shortens the step.

    Parameters
    ----------
    model : full-order model.
    data : (pairs, L) readings in V.
    protocol, noise : as in `optimise.estimate`.
    pair : index of the injection pair.
    fixed : conductivities in S/m that are not estimated, by name.
    start : (P,) S/m; the box centre by default.
    gradient : "direct" solves one system per free parameter as the paper does, "adjoint"
        a single one; the values are the same.
    tolerance : on the largest component of the gradient of f, per relative change of a
        conductivity. f is half a chi-square, so 1e-2 is far below the noise.
    max_iterations : BFGS iterations.

    Raises
    ------
    InputError
        As `objective.make_objective`, or for an unknown option.
    """
    check_option("gradient", gradient, ("direct", "adjoint"))
    check_shape("data", np.asarray(data), (len(protocol.pairs), len(protocol.electrodes)))
    problem = make_objective(
        model, np.asarray(data, float)[None], protocol, noise,
        fixed=fixed, start=None if start is None else np.asarray(start, float),
    )  # fmt: skip
    origin = problem.fixed[0, pair].copy()
    free, column = problem.free, np.array([pair])
    part, whiten = protocol.select(column), problem.whitener.select(column)
    target = problem.data[0, column]
    first_system = model.systems_solved

    def point(y: np.ndarray) -> np.ndarray:
        sigma = origin.copy()
        sigma[free] = origin[free] * y
        return sigma

    def misfit(sigma: np.ndarray) -> np.ndarray:
        potentials = model.voltages_each(sigma[None], column)
        return whiten(readings(potentials, part) - target)

    def value(y: np.ndarray) -> float:
        sigma = point(y)
        return np.inf if np.any(sigma <= 0) else 0.5 * float(np.sum(misfit(sigma) ** 2))

    def slope(y: np.ndarray) -> np.ndarray:
        sigma = point(y)
        residual = misfit(sigma)
        if gradient == "direct":
            slopes = model.parameter_slopes(sigma, pair, free)[None]
            weighted = whiten.jacobian(reading_jacobian(slopes, part))[0]
            return (weighted.T @ residual[0]) * origin[free]
        dual = readings_adjoint(whiten.adjoint(residual), part)[0]
        return model.adjoint_gradient(sigma, pair, dual)[free] * origin[free]

    history, systems = [], []

    def record(y: np.ndarray) -> None:
        history.append(point(y))
        systems.append(model.systems_solved - first_system)

    y, half, converged, reason = quasi_newton(
        value, slope, np.ones(len(free)), tolerance, max_iterations, record
    )
    sigma = point(y)
    reason = "" if converged else f"not converged: {reason}"
    outside = (sigma < 1e-2 * model.lower) | (sigma > 1e2 * model.upper)
    if not reason and np.any(outside):
        reason = f"unrealistic {model.names[int(np.argmax(outside))]}"
    return TraditionalEstimate(
        sigma=sigma, chi_square=2.0 * half, dof=int(problem.dof[pair]) - len(free),
        converged=converged, kept=not reason, reason=reason,
        history=np.array(history), systems=np.array(systems),
    )  # fmt: skip


def quasi_newton(
    value: Callable[[np.ndarray], float],
    gradient: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    tolerance: float,
    max_iterations: int,
    record: Callable[[np.ndarray], None],
) -> tuple[np.ndarray, float, bool, str]:
    """Minimise a function by BFGS with a bisecting line search (weak Wolfe conditions).

    The gradient is evaluated only where the function has decreased enough, and infinite values
    bound the search, so the function may be infinite outside an open set.

    Parameters
    ----------
    value, gradient : the function and its gradient (n,).
    start : (n,), where the function is finite.
    tolerance : on the largest component of the gradient.
    max_iterations : largest number of line searches.
    record : called with the start and every iterate.

    Returns
    -------
    Last iterate, its value, whether the gradient test was met, and the reason if not.
    """
    x, f, g = start, value(start), gradient(start)
    record(x)
    metric = np.eye(len(x))
    # The first step changes conductivities by a tenth at most; curvature then sets the scale.
    metric *= min(1.0, 0.1 / max(np.abs(g).max(), np.finfo(float).tiny))
    for iteration in range(max_iterations):
        if np.abs(g).max() <= tolerance:
            return x, f, True, ""
        direction = -metric @ g
        descent = g @ direction
        low, high, length = 0.0, np.inf, 1.0
        for _ in range(60):
            trial = x + length * direction
            f_trial = value(trial)
            if not f_trial <= f + 1e-4 * length * descent:
                high = length
            else:
                g_trial = gradient(trial)
                if g_trial @ direction >= 0.9 * descent:
                    break
                low = length
            length = 0.5 * (low + high) if np.isfinite(high) else 2.0 * low
        else:
            return x, f, False, f"no decrease along the search line, gradient {np.abs(g).max():.1e}"
        step, change = trial - x, g_trial - g
        curvature = step @ change
        if iteration == 0:
            metric = np.eye(len(x)) * curvature / (change @ change)
        if curvature > 0:
            left = np.eye(len(x)) - np.outer(step, change) / curvature
            metric = left @ metric @ left.T + np.outer(step, step) / curvature
        x, f, g = trial, f_trial, g_trial
        record(x)
    done = bool(np.abs(g).max() <= tolerance)
    return x, f, done, "" if done else f"{max_iterations} iterations"
