"""Experiment 5 of the ROM-pEIT paper: measured voltages, fitted in several variants."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from headcond.inverse.fit import Options, fit
from headcond.inverse.measurement import Measurement
from headcond.inverse.priors import PUBLISHED_MEANS
from headcond.inverse.screening import reciprocity_noise
from headcond.inverse.tables import summary_table
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import Box
from headcond.tissues import EIT_RANGES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VariantFits:
    """Tables of several variants and frequencies; see `fit.Fit` and `tables.summary_table`."""

    estimates: pd.DataFrame
    summary: pd.DataFrame
    residuals: pd.DataFrame
    facts: list[dict[str, Any]]


def variants(box: Box, noise: float) -> dict[str, Options]:
    """The paper's variants of Experiment 5 that a box allows, by name.

    Three outer tissues with the inner ones fixed at their published means, and all tissues; with
    spongy bone in the range of Table 1, and in the whole box where that is wider. A mean outside
    the box is moved to the nearest wall.
    """
    ranges = dict(zip(box.names, zip(box.lower, box.upper, strict=True), strict=True))
    inner = {
        name: float(np.clip(PUBLISHED_MEANS[name], *ranges[name]))
        for name in ("csf", "gm", "wm")
        if name in ranges
    }
    limits: dict[str, dict[str, tuple[float, float]]] = {"": {}}
    table_1 = EIT_RANGES["spongy_bone"]["max"]
    if "spongy_bone" in ranges and ranges["spongy_bone"][1] > table_1:
        least, largest = ranges["spongy_bone"]
        limits = {
            f", spongy bone to {table_1:g} S/m": {"spongy_bone": (float(least), table_1)},
            f", spongy bone to {largest:g} S/m": {},
        }
    return {
        f"{tissues}{text}": Options(noise=noise, fixed=fixed, limits=narrow)
        for tissues, fixed in (("outer tissues", inner), ("all tissues", {}))
        for text, narrow in limits.items()
    }


def fit_variants(
    measurements: Sequence[Measurement], model: ReducedModel, options: Mapping[str, Options]
) -> VariantFits:
    """Fit every measurement in every variant; rows have the columns `frequency` and `variant`.

    The noise of a measurement is its own; without one, that of the options, or the noise that
    reciprocity shows at its frequency if that is larger.
    """
    tables: dict[str, list[pd.DataFrame]] = {"estimates": [], "residuals": [], "summary": []}
    facts = []
    for name, chosen in options.items():
        for one in measurements:
            logger.info("fit %d of %d: %s, %g Hz", len(facts) + 1, len(options) * len(measurements),
                      name, one.frequency)  # fmt: skip
            one_fit = fit(one, model, replace(chosen, noise=noise_level(one, chosen.noise)))
            labels = {"frequency": one.frequency, "variant": name}
            tables["estimates"].append(one_fit.estimates.assign(**labels))
            tables["residuals"].append(one_fit.residuals.assign(**labels))
            tables["summary"].append(summary_table(tables["estimates"][-1]).assign(variant=name))
            facts.append({**one_fit.facts, "variant": name})
    joined = {key: pd.concat(parts, ignore_index=True) for key, parts in tables.items()}
    return VariantFits(**joined, facts=facts)


def noise_level(measurement: Measurement, default: float | None) -> float | None:
    """A measurement's own noise, else the larger one of a default and of reciprocity, V."""
    if measurement.noise is not None or default is None:
        return measurement.noise
    reciprocal = reciprocity_noise(measurement)
    return default if reciprocal is None else max(default, reciprocal[0])


def clearest_frequency(facts: Sequence[Mapping[str, Any]]) -> float:
    """Frequency (Hz) at which fits have the best reciprocity; the lowest where it is unknown."""
    noise = {one["frequency"]: one["reciprocity_noise"] for one in facts}
    return min(noise) if None in noise.values() else min(noise, key=noise.__getitem__)
