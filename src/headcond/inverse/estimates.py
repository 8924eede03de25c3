"""Conductivity estimates with covariance, Cramer-Rao bound, misfit and active walls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.stats

from headcond.checks import check_option
from headcond.inverse.objective import (
    ForwardModel,
    Objective,
    chunks,
    make_objective,
    normal_equations,
)
from headcond.inverse.protocol import Protocol, readings
from headcond.inverse.reduced import forward_model
from headcond.rom.model import ReducedModel

# An interior point comes near a wall but never reaches it.
_WALL = 1e-4


@dataclass(frozen=True)
class Estimates:
    """Conductivity estimates and their uncertainty.

    The leading shape `...` is that of the data, followed by the pairs if each pair has an
    estimate of its own.

    Attributes
    ----------
    names : P parameter names.
    free : (P,) bool, which of them were estimated.
    sigma : (..., P) S/m.
    covariance : (..., P, P) (S/m)^2, with parameters at a wall held there; zero for held and
        fixed parameters. Under a prior, of the posterior.
    cramer_rao : (..., P) S/m, least standard deviation of any unbiased estimate without walls
        at `sigma`; infinite if the readings do not depend on the parameter, zero if fixed.
    chi_square : (...) squared whitened misfit of the data.
    dof : (...) independent readings less free parameters, the expected `chi_square`. A parameter
        held at a wall counts as free, so each such wall may raise chi-square by one.
    p_value : (...) probability of a larger chi-square under the stated noise alone; not valid
        with plain weights against one electrode, whose noise all readings share.
    iterations : (...) int.
    converged : (...) bool, see `optimise.estimate`.
    at_wall : (..., P) bool, held by the box although the data pull outward.
    """

    names: tuple[str, ...]
    free: np.ndarray
    sigma: np.ndarray
    covariance: np.ndarray
    cramer_rao: np.ndarray
    chi_square: np.ndarray
    dof: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray
    at_wall: np.ndarray

    @property
    def p_value(self) -> np.ndarray:
        """Upper tail probability of the chi-square (...)."""
        return scipy.stats.chi2.sf(self.chi_square, np.maximum(self.dof, 1))

    @property
    def std(self) -> np.ndarray:
        """Standard deviations (..., P) in S/m, from `covariance`."""
        return np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))

    def reshape(self, shape: tuple[int, ...]) -> Estimates:
        """The same estimates with another leading shape (...)."""
        lead = self.chi_square.ndim
        values = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return replace(self, **{k: v.reshape(shape + v.shape[lead:]) for k, v in values.items()})


def evaluate(
    problem: Objective, x: np.ndarray, iterations: np.ndarray, converged: np.ndarray
) -> Estimates:
    """Estimates of leading shape (n,) from the solutions x (n, F) of all problems."""
    free, (lower, upper) = problem.free, problem.bounds
    count, size = len(x), problem.fixed.shape[-1]
    sigma = problem.sigma(x, np.arange(count))
    chi_square = np.empty(count)
    wall = np.zeros((count, size), bool)
    bound = np.zeros((count, size))
    covariance = np.zeros((count, size, size))
    tail = 0 if problem.prior is None else len(free)
    for which in chunks(problem):
        residual = problem.residual(x[which], which)
        jacobian = problem.jacobian(x[which], which)
        info, slope = normal_equations(residual, jacobian)
        # Data alone: without the residuals of a prior.
        jacobian = jacobian[:, : jacobian.shape[1] - tail]
        data_info = np.swapaxes(jacobian, -1, -2) @ jacobian
        chi_square[which] = np.sum(residual[:, : residual.shape[1] - tail] ** 2, axis=-1)
        held = ((x[which] <= lower + _WALL) & (slope > 0)) | (
            (x[which] >= upper - _WALL) & (slope < 0)
        )
        moving = ~held[:, :, None] & ~held[:, None, :]
        inner = invert_information(np.where(moving, info, np.eye(len(free))))
        if problem.whitener.correlation:
            # Plain least squares: (J'J)^-1 J'CJ (J'J)^-1 with the readings' true covariance C.
            count_each = problem.data.shape[-1]
            sums = jacobian.reshape(len(which), -1, count_each, len(free)).sum(axis=2)
            common = problem.whitener.correlation * np.swapaxes(sums, -1, -2) @ sums
            inner = np.where(moving, inner, 0.0)
            inner = inner @ (info + np.where(moving, common, 0.0)) @ inner
        covariance[np.ix_(which, free, free)] = np.where(moving, inner, 0.0)
        wall[np.ix_(which, free)] = held
        bound[np.ix_(which, free)] = log_std(_information(problem, jacobian, data_info))
    flags = np.zeros(size, bool)
    flags[free] = True
    dof = np.broadcast_to(problem.dof - len(free), problem.shape).ravel().copy()
    return Estimates(
        tuple(str(name) for name in problem.model.names), flags, sigma,
        covariance * sigma[:, :, None] * sigma[:, None, :], bound * sigma, chi_square, dof,
        iterations, converged, wall,
    )  # fmt: skip


def _information(problem: Objective, jacobian: np.ndarray, info: np.ndarray) -> np.ndarray:
    """Fisher information (n, F, F) of the readings, for either weighting of the estimate."""
    if not problem.whitener.correlation:
        return info
    # (I + 1 1')^-1 = I - 1 1' / (R + 1) within a pair of R readings.
    width = problem.data.shape[-1]
    blocks = jacobian.reshape(len(jacobian), -1, width, jacobian.shape[-1])
    sums = blocks.sum(axis=2)
    counts = np.any(blocks != 0, axis=-1).sum(axis=2)[..., None]
    return info - np.swapaxes(sums, -1, -2) @ (sums / (counts + 1))


def cramer_rao(
    model: ForwardModel | ReducedModel, sigma: np.ndarray, protocol: Protocol,
    noise: float | np.ndarray, *, pairs: str = "each", free: tuple[str, ...] | None = None,
) -> np.ndarray:  # fmt: skip
    """Least standard deviations of unbiased estimates at given conductivities.

    Parameters
    ----------
    model, protocol, noise, pairs : as in `estimate`.
    sigma : (S, P) true conductivities in S/m, inside the box.
    free : names of the estimated parameters; all by default.

    Returns
    -------
    (S, pairs, P) S/m, or (S, P) if joint; zero for parameters that are not free, infinite
    if the readings do not depend on them.
    """
    model = forward_model(model, protocol)
    sigma = np.atleast_2d(np.asarray(sigma, float))
    for name in free or ():
        check_option("free tissue", name, list(model.names))
    held = [name for name in model.names if free is not None and name not in free]
    expected = model.voltages(sigma)
    problem = make_objective(
        model, readings(expected, protocol), protocol, noise, pairs=pairs,
        fixed={name: sigma[:, list(model.names).index(name), None] for name in held},
        start=sigma[:, None, :],
    )  # fmt: skip
    x = np.log(problem.fixed[..., problem.free]).reshape(-1, len(problem.free))
    bound = np.zeros((len(x), sigma.shape[1]))
    for which in chunks(problem):
        jacobian = problem.jacobian(x[which], which)
        info, _ = normal_equations(np.zeros(jacobian.shape[:-1]), jacobian)
        bound[np.ix_(which, problem.free)] = log_std(info)
    bound = bound.reshape(problem.fixed.shape) * problem.fixed
    return bound if problem.each else bound[:, 0]


def scaled_std(
    estimates: Estimates, index: tuple[int, ...], prior: Mapping[str, tuple[float, float]] | None
) -> np.ndarray:
    """Standard deviations (P,) in S/m for the noise that would explain the misfit of one estimate.

    The variance of the noise is multiplied by r, the chi-square per degree of freedom, if that is
    above 1. A prior with information P keeps it: (F / r + P)^-1 in log conductivity, where F is
    the information of the data.

    Parameters
    ----------
    estimates, index : position in the leading shape of the estimates.
    prior : of the estimates, see `optimise.estimate`.
    """
    reduced = max(1.0, float(estimates.chi_square[index] / max(estimates.dof[index], 1)))
    std, sigma = estimates.std[index], estimates.sigma[index]
    if not prior:
        return std * np.sqrt(reduced)
    moving = np.flatnonzero(std > 0)
    scale = np.outer(sigma[moving], sigma[moving])
    total = np.linalg.inv(estimates.covariance[index][np.ix_(moving, moving)] / scale)
    names = [estimates.names[k] for k in moving]
    own = np.diag([prior[name][1] ** -2 if name in prior else 0.0 for name in names])
    scaled = np.zeros(len(std))
    covariance = np.linalg.inv((total - own) / reduced + own)
    scaled[moving] = sigma[moving] * np.sqrt(np.diag(covariance))
    return scaled


def invert_information(info: np.ndarray) -> np.ndarray:
    """Covariance (..., F, F) of information matrices; infinite variances if one is singular."""
    scale = np.sqrt(np.diagonal(info, axis1=-2, axis2=-1))
    dead = scale <= 0
    scale = np.where(dead, 1.0, scale)
    values, vectors = np.linalg.eigh(info / (scale[..., :, None] * scale[..., None, :]))
    weak = values <= 1e-14
    terms = vectors / np.where(weak, 1.0, values)[..., None, :]
    regular = np.where(weak[..., None, :], 0.0, terms) @ np.swapaxes(vectors, -1, -2)
    touched = np.any(weak[..., None, :] & (np.abs(vectors) > 1e-6), axis=-1)
    diagonal = np.eye(info.shape[-1], dtype=bool)
    regular = np.where(diagonal & touched[..., :, None], np.inf, regular)
    return regular / (scale[..., :, None] * scale[..., None, :])


def log_std(info: np.ndarray) -> np.ndarray:
    """Cramer-Rao deviations (..., F) in log conductivity."""
    return np.sqrt(np.diagonal(invert_information(info), axis1=-2, axis2=-1))
