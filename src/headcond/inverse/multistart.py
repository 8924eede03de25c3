"""The same estimation from several starting points."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError
from headcond.inverse.estimates import Estimates
from headcond.inverse.optimise import SAME_MINIMUM, InversionError, estimate
from headcond.inverse.protocol import Protocol

_MOST_STARTS = 1000


@dataclass(frozen=True)
class MultiStart:
    """The best estimates over all starts.

    Attributes
    ----------
    best : per problem the converged estimate with the smallest objective.
    agreeing : (...) starts that converged to that minimum, within a chi-square of 0.01.
    """

    best: Estimates
    agreeing: np.ndarray


def estimate_from_starts(
    model: Any,
    data: np.ndarray,
    protocol: Protocol,
    noise: ArrayLike,
    starts: int,
    generator: np.random.Generator,
    **options: Any,
) -> MultiStart:
    """Estimate from the box centre and from random points, uniform in log conductivity.

    Parameters
    ----------
    model, data, protocol, noise, **options : as in `optimise.estimate`.
    starts : number of starts, including the box centre.
    generator : see `headcond.random.generator`.

    Raises
    ------
    InputError
        If `starts` is not 1 to 1000, a start is among the options, or as `estimate`.
    InversionError
        If no inversion of any start converged.
    """
    if not 1 <= starts <= _MOST_STARTS:
        raise InputError(
            f"At least one start is needed, at most {_MOST_STARTS} are tried; got {starts}."
        )
    if "start" in options:
        raise InputError("Several starts are drawn at random: leave out `start`.")
    box = getattr(model, "box", model)
    low, high = np.log(np.asarray(box.lower, float)), np.log(np.asarray(box.upper, float))
    points = [
        np.clip(np.exp(low + (high - low) * generator.random(len(low))), box.lower, box.upper)
        for _ in range(starts - 1)
    ]
    estimates, failure = [], None
    for start in (None, *points):
        try:
            estimates.append(estimate(model, data, protocol, noise, start=start, **options))
        except InversionError as error:  # other starts may converge
            failure = error
    if not estimates:
        raise failure
    prior = options.get("prior") or {}
    cost = np.stack([np.where(f.converged, _objective(f, prior), np.inf) for f in estimates])
    winner = np.argmin(cost, axis=0)
    agreeing = np.sum(cost <= np.min(cost, axis=0) + SAME_MINIMUM, axis=0)
    agreeing = np.where(np.isfinite(np.min(cost, axis=0)), agreeing, 0)
    chosen = {
        field.name: _choose([getattr(f, field.name) for f in estimates], winner)
        for field in fields(Estimates)[2:]  # all but names and free
    }
    return MultiStart(replace(estimates[0], **chosen), agreeing)


def _objective(estimates: Estimates, prior: dict[str, tuple[float, float]]) -> np.ndarray:
    cost = estimates.chi_square.copy()
    for name, (mean, std) in prior.items():
        if estimates.free[k := estimates.names.index(name)]:
            cost += ((np.log(estimates.sigma[..., k]) - mean) / std) ** 2
    return cost


def _choose(values: list[np.ndarray], winner: np.ndarray) -> np.ndarray:
    stack = np.stack(values)
    index = winner.reshape((1, *winner.shape) + (1,) * (stack.ndim - 1 - winner.ndim))
    return np.take_along_axis(stack, index, axis=0)[0]
