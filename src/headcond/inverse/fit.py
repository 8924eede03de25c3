"""Conductivities from a measurement: screening, estimates and residuals in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from headcond.checks import InputError
from headcond.inverse.matching import Data, check_survey, match
from headcond.inverse.measurement import Measurement
from headcond.inverse.multistart import MultiStart, estimate_from_starts
from headcond.inverse.priors import published
from headcond.inverse.reduced import NEGLIGIBLE, ReducedForward
from headcond.inverse.screening import BadChannels, dead_channels, outliers, reciprocity_noise
from headcond.inverse.tables import estimate_table, residual_table
from headcond.random import generator
from headcond.rom.model import ReducedModel


@dataclass(frozen=True)
class Options:
    """Options of `fit`.

    Attributes
    ----------
    modes : "each" (one estimate per pattern), "joint" (one over all patterns), or both.
    fixed : S/m of tissues that are not estimated, by name.
    limits : (least, largest) S/m of tissues whose range is narrower than the model's box.
    noise : V, standard deviation of one electrode; the measurement's own by default.
    bad_electrodes, bad_patterns : left out.
    screen : whether `screening` looks for more of them.
    prior : whether published conductivities are a prior (`priors.published`).
    method : optimiser, see `optimise.estimate`.
    starts : starting points of every estimate. A large misfit may have several minima.
    seed : of the random starts.
    """

    modes: tuple[str, ...] = ("each", "joint")
    fixed: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    noise: float | None = None
    bad_electrodes: tuple[str, ...] = ()
    bad_patterns: tuple[str, ...] = ()
    screen: bool = True
    prior: bool = False
    method: str = "gauss-newton"
    starts: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Fit:
    """Estimates from one measurement.

    Attributes
    ----------
    estimates : see `tables.estimate_table`.
    residuals : of the joint estimate, see `tables.residual_table`.
    facts : what was left out and why, noise, whether the model's error matters.
    """

    estimates: pd.DataFrame
    residuals: pd.DataFrame
    facts: dict[str, Any]


def fit(measurement: Measurement, model: ReducedModel, options: Options) -> Fit:
    """Estimate conductivities from one measurement with a trained model.

    Raises
    ------
    InputError
        As `matching.check_survey`, `matching.match` and `optimise.estimate`.
    """
    if not options.modes:
        raise InputError("Name a mode: each, joint or both.")
    bad = BadChannels(
        dict.fromkeys(sorted(set(options.bad_electrodes)), "named by hand"),
        dict.fromkeys(sorted(set(options.bad_patterns)), "named by hand"),
    )
    if options.screen:
        bad |= dead_channels(measurement)
    noise = check_survey(measurement, model, bad, options.noise)
    if options.screen:
        bad |= outliers(
            lambda more: _joint_residual(measurement, model, bad | more, noise, options),
            tuple(model.electrodes), measurement.names,
        )  # fmt: skip
    data = match(measurement, model, bad, noise)
    forward = ReducedForward(model, data.protocol.pairs, limits=options.limits)
    by_mode = {mode: _estimate(forward, data, mode, options) for mode in options.modes}
    joint = by_mode.get("joint") or _estimate(forward, data, "joint", options)
    estimates = estimate_table(by_mode, forward, model, data, _prior(forward, options))
    facts = _facts(measurement, data, bad, estimates)
    without = set(forward.names) - set(published(forward.names))
    facts["without_prior"] = sorted(without) if options.prior else None
    return Fit(estimates, residual_table(joint.best, forward, data), facts)


estimate = fit  # in `headcond`


def _estimate(forward: ReducedForward, data: Data, mode: str, options: Options) -> MultiStart:
    return estimate_from_starts(
        forward, data.readings, data.protocol, data.noise, options.starts,
        generator(options.seed, "estimate", "starts", mode), pairs=mode, fixed=options.fixed,
        method=options.method, amplitude=data.amplitude, prior=_prior(forward, options),
    )  # fmt: skip


def _prior(forward: ReducedForward, options: Options) -> dict[str, tuple[float, float]] | None:
    return published(forward.names) if options.prior else None


def _joint_residual(
    measurement: Measurement, model: ReducedModel, bad: BadChannels, noise: float, options: Options
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (M, L) of the joint estimate in V at the measurement's current, and their mask."""
    data = match(measurement, model, bad, noise)
    forward = ReducedForward(model, data.protocol.pairs, limits=options.limits)
    best = _estimate(forward, data, "joint", options).best
    row = [measurement.pairs.index(pair) for pair in data.protocol.pairs]
    residual = np.zeros((len(measurement.pairs), len(model.electrodes)))
    mask = np.zeros(residual.shape, bool)
    difference = data.readings - data.predicted(forward.voltages(best.sigma))
    residual[row] = difference / data.scale[:, None]
    mask[row] = data.protocol.mask
    return residual, mask


def _facts(
    measurement: Measurement, data: Data, bad: BadChannels, estimates: pd.DataFrame
) -> dict[str, Any]:
    noise = float(np.max(data.noise / data.scale))
    reciprocal = reciprocity_noise(measurement)
    certified = estimates["certified_error"].max()
    missing = np.isnan(certified)
    return {
        "description": measurement.description,
        "frequency": measurement.frequency,
        "patterns": len(data.protocol.pairs),
        "readings": int(data.protocol.mask.sum()),
        "reference": measurement.reference,
        "kind": measurement.kind,
        "noise": noise,
        "reciprocity_noise": None if reciprocal is None else reciprocal[0],
        "bad_electrodes": bad.electrodes,
        "bad_patterns": bad.patterns,
        "left_out": [list(entry) for entry in data.left_out],
        "certified_error": None if missing else float(certified),
        "model_error_matters": None if missing else bool(certified > NEGLIGIBLE * noise),
    }
