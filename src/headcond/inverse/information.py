"""What readings say about conductivities: Fisher information and the Cramer-Rao bound."""

from __future__ import annotations

import numpy as np

from headcond.checks import check_option
from headcond.inverse.measurement import Protocol, readings
from headcond.inverse.objective import ForwardModel, chunks, make_objective, normal_equations
from headcond.inverse.reduced import forward_model
from headcond.rom.model import ReducedModel


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
    where the readings say nothing.
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


def inverse(info: np.ndarray) -> np.ndarray:
    """Inverse of information matrices; infinite variances where one is singular."""
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
    return np.sqrt(np.diagonal(inverse(info), axis1=-2, axis2=-1))
