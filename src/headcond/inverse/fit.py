"""Conductivities from one's own measurement: screening, estimates, residuals, in one call."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from headcond.checks import InputError
from headcond.inverse import screening
from headcond.inverse.estimates import Estimates
from headcond.inverse.matching import Bound, bind
from headcond.inverse.measurement import Measurement
from headcond.inverse.multistart import estimate_from_starts
from headcond.inverse.priors import PUBLISHED_MEANS, published
from headcond.inverse.protocol import readings
from headcond.inverse.reduced import HARMLESS, ReducedForward, certified_error
from headcond.random import generator
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import Box
from headcond.tissues import EIT_RANGES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """What a user decides about an estimation.

    Attributes
    ----------
    modes : "each" (per pattern), "joint" (over all patterns), or both.
    fixed : S/m of tissues that are not estimated, by name.
    limits : (least, largest) S/m of tissues whose range is narrower than the model's box.
    noise : V, standard deviation of one electrode; the table's own by default.
    bad_electrodes, bad_patterns : what is left out by hand.
    screen : whether `screening` looks for more.
    prior : whether published conductivities are a prior (`priors.published`).
    method : optimiser, see `optimise.estimate`.
    starts : starting points of every estimation: where a head leaves much unexplained, the
        misfit may have several minima.
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
class Fitted:
    """Estimates from one measurement.

    Attributes
    ----------
    estimates : a row per mode, pattern and parameter: `estimate`, `std` (of the stated noise),
        `scaled_std` (of the noise that would explain the misfit, if that is larger) and
        `cramer_rao` in S/m; `free`, `at_wall`, `converged`; `agreeing` starts; `chi_square`,
        `dof`, `p_value`; `misfit` and `certified_error` in V at the measurement's current.
    residuals : a row per reading in use: `measured`, `fitted`, `residual` in V, of the joint
        estimate.
    facts : what was left out and why, noise, whether the model's error matters.
    """

    estimates: pd.DataFrame
    residuals: pd.DataFrame
    facts: dict[str, Any]


def fit(measurement: Measurement, model: ReducedModel, choices: Choices) -> Fitted:
    """Estimate conductivities from one measurement with a trained model.

    Raises
    ------
    InputError
        As `binding.bind` and `optimise.estimate`.
    """
    if not choices.modes:
        raise InputError("Name a mode: each, joint or both.")
    dead = screening.Suspects({}, {})
    if choices.screen:
        dead = screening.dead_channels(measurement)
    hand = (set(choices.bad_electrodes), set(choices.bad_patterns))
    bad = (hand[0] | set(dead.electrodes), hand[1] | set(dead.patterns))
    found = screening.Suspects({}, {})
    if choices.screen:
        found = screening.outliers(
            lambda electrodes, patterns: _joint_residual(
                measurement, model, choices, bad[0] | electrodes, bad[1] | patterns
            ),
            tuple(model.electrodes),
            measurement.names,
        )
    bad = (bad[0] | set(found.electrodes), bad[1] | set(found.patterns))
    bound = _bind(measurement, model, choices, *bad)
    forward = ReducedForward(model, bound.protocol.pairs, limits=choices.limits)
    prior = published(forward.names) if choices.prior else {}
    results = {mode: _estimate(forward, bound, choices, mode) for mode in choices.modes}
    rows = []
    for mode, (values, agreeing) in results.items():
        rows += _rows(forward, model, bound, values, agreeing, mode, prior)
    joint = results["joint"][0] if "joint" in results else _estimate(
        forward, bound, choices, "joint")[0]  # fmt: skip
    table = pd.DataFrame(rows)
    certified = table["certified_error"].max()
    std = float(np.max(bound.noise / bound.scale))
    reciprocal = screening.reciprocity_noise(measurement)
    facts = {
        "description": measurement.description,
        "frequency": measurement.frequency,
        "patterns": len(bound.protocol.pairs),
        "readings": int(bound.protocol.mask.sum()),
        "reference": measurement.reference,
        "kind": measurement.kind,
        "noise": std,
        "reciprocity_noise": None if reciprocal is None else reciprocal[0],
        "bad_electrodes": {**dict.fromkeys(sorted(hand[0]), "named by hand"), **dead.electrodes,
                           **found.electrodes},
        "bad_patterns": {**dict.fromkeys(sorted(hand[1]), "named by hand"), **dead.patterns,
                         **found.patterns},
        "left_out": [list(entry) for entry in bound.left_out],
        "certified_error": None if np.isnan(certified) else float(certified),
        "model_error_matters": None if np.isnan(certified) else bool(certified > HARMLESS * std),
        "without_prior": sorted(set(forward.names) - set(published(forward.names)))
        if choices.prior else None,
    }  # fmt: skip
    return Fitted(table, _residuals(forward, bound, joint), facts)


def summary(estimates: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over patterns beside the joint estimate, per parameter.

    Returns
    -------
    A row per frequency and parameter: `mean`, `std` over the converged patterns, `patterns`
    and how many stand `at_wall`; `joint` and its `joint_scaled_std`, `joint_at_wall`. S/m.
    """
    rows = []
    for (frequency, name), part in estimates.groupby(["frequency", "parameter"], sort=False):
        row: dict[str, Any] = {"frequency": frequency, "parameter": name}
        each = part[(part["mode"] == "each") & part["converged"]]
        row["mean"] = each["estimate"].mean()
        row["std"] = each["estimate"].std(ddof=1)
        row["patterns"], row["at_wall"] = len(each), int(each["at_wall"].sum())
        joint = part[part["mode"] == "joint"]
        if len(joint):
            one = joint.iloc[0]
            row["joint"], row["joint_scaled_std"] = one["estimate"], one["scaled_std"]
            row["joint_at_wall"] = bool(one["at_wall"])
        rows.append(row)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Variants:
    """Tables of several variants over several frequencies; see `Fitted` and `summary`."""

    estimates: pd.DataFrame
    summary: pd.DataFrame
    residuals: pd.DataFrame
    facts: list[dict[str, Any]]


def variants(box: Box, noise: float) -> dict[str, Choices]:
    """The paper's variants of Experiment 5 that a box allows, by name.

    Three outer tissues with the inner ones fixed at their published means, and all tissues;
    with spongy bone in the range of Table 1, and in the whole box where that is wider. A mean
    outside the box is moved to the nearest wall.
    """
    named = dict(zip(box.names, zip(box.lower, box.upper, strict=True), strict=True))
    inner = {
        name: float(np.clip(PUBLISHED_MEANS[name], *named[name]))
        for name in ("csf", "gm", "wm")
        if name in named
    }
    ranges: dict[str, dict[str, tuple[float, float]]] = {"": {}}
    table_1 = EIT_RANGES["spongy_bone"]["max"]
    if "spongy_bone" in named and named["spongy_bone"][1] > table_1:
        least, largest = named["spongy_bone"]
        ranges = {
            f", spongy bone to {table_1:g} S/m": {"spongy_bone": (float(least), table_1)},
            f", spongy bone to {largest:g} S/m": {},
        }
    return {
        f"{tissues}{text}": Choices(noise=noise, fixed=fixed, limits=limits)
        for tissues, fixed in (("outer tissues", inner), ("all tissues", {}))
        for text, limits in ranges.items()
    }


def fit_variants(
    measurements: Sequence[Measurement], model: ReducedModel, choices: Mapping[str, Choices]
) -> Variants:
    """Fit every measurement by every variant; the columns frequency and variant tell which.

    The noise of a measurement is its own; where it states none, that of the choices, or what
    reciprocity shows at its frequency if that is more.
    """
    tables: dict[str, list[pd.DataFrame]] = {"estimates": [], "residuals": [], "summary": []}
    facts = []
    for name, chosen in choices.items():
        for one in measurements:
            logger.info("fit %d of %d: %s, %g Hz", len(facts) + 1, len(choices) * len(measurements),
                      name, one.frequency)  # fmt: skip
            found = fit(one, model, replace(chosen, noise=_noise(one, chosen.noise)))
            told = {"frequency": one.frequency, "variant": name}
            tables["estimates"].append(found.estimates.assign(**told))
            tables["residuals"].append(found.residuals.assign(**told))
            tables["summary"].append(summary(tables["estimates"][-1]).assign(variant=name))
            facts.append({**found.facts, "variant": name})
    joined = {key: pd.concat(parts, ignore_index=True) for key, parts in tables.items()}
    return Variants(joined["estimates"], joined["summary"], joined["residuals"], facts)


def _noise(measurement: Measurement, stated: float | None) -> float | None:
    if measurement.noise is not None or stated is None:
        return measurement.noise
    reciprocal = screening.reciprocity_noise(measurement)
    return stated if reciprocal is None else max(stated, reciprocal[0])


def clearest_frequency(facts: Sequence[Mapping[str, Any]]) -> float:
    """Frequency (Hz) at which reciprocity holds best; the lowest one where it says nothing.

    Parameters
    ----------
    facts : of fits, see `Fitted`.
    """
    noise = {one["frequency"]: one["reciprocity_noise"] for one in facts}
    if any(value is None for value in noise.values()):
        return min(noise)
    return min(noise, key=noise.__getitem__)


def _bind(
    measurement: Measurement, model: ReducedModel, choices: Choices,
    electrodes: Collection[str], patterns: Collection[str],
) -> Bound:  # fmt: skip
    return bind(measurement, model, noise=choices.noise, bad_electrodes=sorted(electrodes),
                bad_patterns=sorted(patterns))  # fmt: skip


def _estimate(
    forward: ReducedForward, bound: Bound, choices: Choices, mode: str
) -> tuple[Estimates, np.ndarray]:
    options = {
        "pairs": mode, "fixed": choices.fixed, "method": choices.method,
        "amplitude": bound.amplitude, "prior": published(forward.names) if choices.prior else None,
    }  # fmt: skip
    found = estimate_from_starts(
        forward, bound.data, bound.protocol, bound.noise, choices.starts,
        generator(choices.seed, "estimate", "starts", mode), **options,
    )  # fmt: skip
    return found.best, found.agreeing


def _fitted(forward: ReducedForward, bound: Bound, sigma: np.ndarray) -> np.ndarray:
    """Readings (pairs, L) at the model's current; amplitudes if the data are."""
    expected = readings(forward.voltages(sigma), bound.protocol)
    return np.abs(expected) if bound.amplitude else expected


def _joint_residual(
    measurement: Measurement, model: ReducedModel, choices: Choices,
    electrodes: Collection[str], patterns: Collection[str],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    bound = _bind(measurement, model, choices, electrodes, patterns)
    forward = ReducedForward(model, bound.protocol.pairs, limits=choices.limits)
    found, _ = _estimate(forward, bound, choices, "joint")
    row = [measurement.pairs.index(pair) for pair in bound.protocol.pairs]
    residual = np.zeros((len(measurement.pairs), len(model.electrodes)))
    mask = np.zeros(residual.shape, bool)
    residual[row] = (bound.data - _fitted(forward, bound, found.sigma)) / bound.scale[:, None]
    mask[row] = bound.protocol.mask
    return residual, mask


def _rows(
    forward: ReducedForward, model: ReducedModel, bound: Bound, found: Estimates,
    agreeing: np.ndarray, mode: str, prior: Mapping[str, tuple[float, float]],
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of the table of estimates, one per pattern (or one in all) and parameter."""
    protocol = bound.protocol
    certified = certified_error(model, protocol, found.sigma) / bound.scale
    if mode == "each":
        fitted = forward.voltages_each(found.sigma, np.arange(len(protocol.pairs)))
        fitted = readings(fitted, protocol)
        fitted = np.abs(fitted) if bound.amplitude else fitted
        names = ["-".join(pair) for pair in protocol.pairs]
    else:
        fitted, names = _fitted(forward, bound, found.sigma), ["all"]
    square = np.where(protocol.mask, (fitted - bound.data) / bound.scale[:, None], 0.0) ** 2
    counts = protocol.mask.sum(axis=1)
    rows = []
    for n, name in enumerate(names):
        index = (n,) if mode == "each" else ()
        part = slice(n, n + 1) if mode == "each" else slice(None)
        reduced = max(1.0, float(found.chi_square[index] / max(found.dof[index], 1)))
        scaled = _scaled(found, index, reduced, prior)
        for k, parameter in enumerate(found.names):
            rows.append({
                "mode": mode, "pattern": name, "parameter": parameter,
                "free": bool(found.free[k]), "estimate": found.sigma[(*index, k)],
                "std": found.std[(*index, k)],
                "scaled_std": scaled[k],
                "cramer_rao": found.cramer_rao[(*index, k)],
                "at_wall": bool(found.at_wall[(*index, k)]),
                "chi_square": found.chi_square[index], "dof": int(found.dof[index]),
                "p_value": found.p_value[index],
                "misfit": np.sqrt(square[part].sum() / counts[part].sum()),
                "certified_error": _finite(certified[part].max()),
                "converged": bool(found.converged[index]), "agreeing": int(agreeing[index]),
                "iterations": int(found.iterations[index]),
            })  # fmt: skip
    return rows


def _scaled(
    found: Estimates, index: tuple[int, ...], reduced: float,
    prior: Mapping[str, tuple[float, float]],
) -> np.ndarray:  # fmt: skip
    """Standard deviations (P,) for data whose variance is `reduced` times the stated one.

    What a prior knows does not become less by that: (F / r + P)^-1 in log conductivity.
    """
    std, sigma = found.std[index], found.sigma[index]
    if not prior:
        return std * np.sqrt(reduced)
    moving = np.flatnonzero(std > 0)
    scale = np.outer(sigma[moving], sigma[moving])
    whole = np.linalg.inv(found.covariance[index][np.ix_(moving, moving)] / scale)
    known = np.diag([
        prior[found.names[k]][1] ** -2 if found.names[k] in prior else 0.0 for k in moving
    ])  # fmt: skip
    scaled = np.zeros(len(std))
    covariance = np.linalg.inv((whole - known) / reduced + known)
    scaled[moving] = sigma[moving] * np.sqrt(np.diag(covariance))
    return scaled


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else np.nan


def _residuals(forward: ReducedForward, bound: Bound, joint: Estimates) -> pd.DataFrame:
    fitted = _fitted(forward, bound, joint.sigma) / bound.scale[:, None]
    measured = bound.data / bound.scale[:, None]
    m, column = np.nonzero(bound.protocol.mask)
    names = np.array(["-".join(pair) for pair in bound.protocol.pairs])
    return pd.DataFrame({
        "pattern": names[m], "electrode": np.array(forward.electrodes)[column],
        "measured": measured[m, column], "fitted": fitted[m, column],
        "residual": measured[m, column] - fitted[m, column],
    })  # fmt: skip
