"""Bad electrodes and noisy patterns, found by stated rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headcond.checks import check_shape
from headcond.inverse.measurement import Measurement

# Share of an electrode's readings that may be missing.
MOST_MISSING = 0.5
# Modified z-score above which Iglewicz & Hoaglin (1993) call a value an outlier.
OUTLIER = 3.5
# The median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6745
# Readings that vary by less than this part of the others' variation are those of a dead channel.
_FLAT = 1e-3
# Pairs of patterns from which reciprocity may be judged.
_LEAST_CHECKS = 10


@dataclass(frozen=True)
class Suspects:
    """Electrodes and patterns that rules call bad, with the rule that did."""

    electrodes: dict[str, str]
    patterns: dict[str, str]


def dead_channels(measurement: Measurement) -> Suspects:
    """Find what is bad without any model of the head.

    An electrode is bad if more than half of its readings are missing, or if its readings
    are all the same to a thousandth of what the others vary by. A pattern is bad if more
    than half of its readings are missing.
    """
    values = measurement.voltages
    passive = measurement.passive
    missing = passive & np.isnan(values)
    electrodes, patterns = {}, {}
    with np.errstate(invalid="ignore"):
        share = missing.sum(axis=0) / np.maximum(passive.sum(axis=0), 1)
        row_share = missing.sum(axis=1) / np.maximum(passive.sum(axis=1), 1)
    # In volts: what a dead channel gives follows no current.
    read = np.where(passive, values, np.nan)
    spread = np.array([
        np.ptp(column[np.isfinite(column)]) if np.isfinite(column).sum() > 1 else np.nan
        for column in read.T
    ])  # fmt: skip
    known = np.isfinite(spread)
    usual = np.median(spread[known]) if known.any() else 0.0
    for n, label in enumerate(measurement.electrodes):
        if passive[:, n].any() and share[n] > MOST_MISSING:
            electrodes[label] = f"{100 * share[n]:.0f} % of its readings are missing"
        elif known[n] and spread[n] < _FLAT * usual:
            electrodes[label] = "its readings hardly change from pattern to pattern"
    for m, name in enumerate(measurement.names):
        if row_share[m] > MOST_MISSING:
            patterns[name] = f"{100 * row_share[m]:.0f} % of its readings are missing"
    return Suspects(electrodes, patterns)


def reciprocity_noise(measurement: Measurement) -> tuple[float, int] | None:
    """Noise of one electrode from reciprocity, without any model of the head.

    Injection and reading may change places: under pattern (a, b) the voltage between c and d is
    that between a and b under pattern (c, d), per current. References cancel, so that the
    difference of the two holds the noise of four readings, of variance 4 s^2.

    Returns
    -------
    Standard deviation s in V at the mean current, and how many pairs of patterns without a common
    electrode it comes from; None where readings are not signed or there are fewer than ten such
    pairs. What is wrong with the head alone, as electrodes off their place, keeps reciprocity and
    does not show in it.
    """
    if measurement.kind != "signed":
        return None
    labels = [*measurement.electrodes, measurement.reference]
    readings = np.column_stack([measurement.voltages, np.zeros(len(measurement.pairs))])
    readings = readings / measurement.current[:, None]
    place = {label: n for n, label in enumerate(labels)}
    found = []
    for p, (a, b) in enumerate(measurement.pairs):
        for q, (c, d) in enumerate(measurement.pairs[:p]):
            if {a, b} & {c, d} or not {a, b, c, d} <= set(place):
                continue
            there = readings[p, place[c]] - readings[p, place[d]]
            found.append(there - (readings[q, place[a]] - readings[q, place[b]]))
    known = np.array(found)[np.isfinite(found)] if found else np.zeros(0)
    if len(known) < _LEAST_CHECKS:
        return None
    return float(0.5 * np.sqrt(np.mean(known**2)) * measurement.current.mean()), len(known)


def modified_z(values: np.ndarray) -> np.ndarray:
    """Distances from the median in units of the median absolute deviation, NaN where unknown.

    0.6745 (x - median) / MAD; zero everywhere if half the values agree.
    """
    values = np.asarray(values, float)
    centre = np.nanmedian(values)
    scale = np.nanmedian(np.abs(values - centre))
    if scale == 0:
        return np.where(np.isnan(values), np.nan, 0.0)
    return _MAD * (values - centre) / scale


def misfits(residual: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square residual of every pattern (M,) and electrode (L,), NaN without readings.

    Parameters
    ----------
    residual : (M, L) V.
    mask : (M, L) bool, where there is a reading.
    """
    check_shape("mask", mask, np.shape(residual))
    square = np.where(mask, np.square(residual), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return tuple(np.sqrt(square.sum(axis=axis) / mask.sum(axis=axis)) for axis in (1, 0))


def outliers(
    fit: Callable[[set[str], set[str]], tuple[np.ndarray, np.ndarray]],
    electrodes: tuple[str, ...],
    patterns: tuple[str, ...],
    rounds: int = 5,
) -> Suspects:
    """Find electrodes and patterns that one joint fit leaves far more of than of the others.

    After a fit the electrode or pattern whose log root mean square residual has the largest
    modified z-score above 3.5 is left out, and the fit repeated, until there is none: one
    by one, because a bad electrode spoils every pattern and a bad pattern every electrode. Where
    residuals are noise alone, one table in twenty loses a row or column by it, whatever its size.

    Parameters
    ----------
    fit : given the bad electrodes and patterns so far, returns residuals (M, L) in V of all
        `patterns` and `electrodes` and the mask of the readings in use.
    electrodes, patterns : labels of the residuals' columns and rows.
    rounds : at most so many are left out.
    """
    found = Suspects({}, {})
    for _ in range(rounds):
        residual, mask = fit(set(found.electrodes), set(found.patterns))
        rows, columns = misfits(residual, mask)
        worst: tuple[float, str, str] = (OUTLIER, "", "")
        for kind, labels, values in (
            ("patterns", patterns, rows), ("electrodes", electrodes, columns),
        ):  # fmt: skip
            usable = np.where(values > 0, values, np.nan)
            if np.isfinite(usable).sum() < 5:  # too few to say what is usual
                continue
            score = modified_z(np.log(usable))
            best = int(np.nanargmax(score))
            if score[best] > worst[0]:
                worst = (float(score[best]), kind, labels[best])
        if not worst[1]:
            break
        reason = f"modified z-score {worst[0]:.1f} of its residuals"
        getattr(found, worst[1])[worst[2]] = reason
    return found
