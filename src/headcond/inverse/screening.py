"""Bad electrodes and noisy patterns, identified by rules."""

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
class BadChannels:
    """Electrodes and patterns to leave out, each with the reason."""

    electrodes: dict[str, str]
    patterns: dict[str, str]

    def __or__(self, other: BadChannels) -> BadChannels:
        """Both together."""
        return BadChannels(self.electrodes | other.electrodes, self.patterns | other.patterns)


def dead_channels(measurement: Measurement) -> BadChannels:
    """Bad electrodes and patterns by the readings alone, without a head model.

    An electrode is bad if more than half of its readings are missing, or if its readings
    are all the same to a thousandth of what the others vary by. A pattern is bad if more
    than half of its readings are missing.
    """
    values = measurement.voltages
    passive = measurement.passive
    missing = passive & np.isnan(values)
    share, row_share = (
        missing.sum(axis=axis) / np.maximum(passive.sum(axis=axis), 1) for axis in (0, 1)
    )
    # In volts: the readings of a dead channel do not scale with the current.
    read = np.where(passive, values, np.nan)
    spread = np.array([
        np.ptp(column[np.isfinite(column)]) if np.isfinite(column).sum() > 1 else np.nan
        for column in read.T
    ])  # fmt: skip
    valid = np.isfinite(spread)
    usual = np.median(spread[valid]) if valid.any() else 0.0
    electrodes = {}
    for n, label in enumerate(measurement.electrodes):
        if passive[:, n].any() and share[n] > MOST_MISSING:
            electrodes[label] = f"{100 * share[n]:.0f} % of its readings are missing"
        elif valid[n] and spread[n] < _FLAT * usual:
            electrodes[label] = "its readings hardly change from pattern to pattern"
    patterns = {
        name: f"{100 * part:.0f} % of its readings are missing"
        for name, part in zip(measurement.names, row_share, strict=True)
        if part > MOST_MISSING
    }
    return BadChannels(electrodes, patterns)


def reciprocity_noise(measurement: Measurement) -> tuple[float, int] | None:
    """Noise of one electrode from reciprocity, without a head model.

    Injection and reading can be exchanged: per current, the voltage between c and d under pattern
    (a, b) equals that between a and b under pattern (c, d). References cancel, so the difference
    of the two contains the noise of four readings, of variance 4 s^2.

    Returns
    -------
    Standard deviation s in V at the mean current, and the number of pairs of patterns without a
    common electrode that it comes from; None if readings are not signed or there are fewer than
    ten such pairs. Errors of the head model, such as displaced electrodes, keep reciprocity and
    do not show in s.
    """
    if measurement.kind != "signed":
        return None
    labels = [*measurement.electrodes, measurement.reference]
    readings = np.column_stack([measurement.voltages, np.zeros(len(measurement.pairs))])
    readings = readings / measurement.current[:, None]
    place = {label: n for n, label in enumerate(labels)}
    differences = []
    for p, (a, b) in enumerate(measurement.pairs):
        for q, (c, d) in enumerate(measurement.pairs[:p]):
            if {a, b} & {c, d} or not {a, b, c, d} <= set(place):
                continue
            there = readings[p, place[c]] - readings[p, place[d]]
            differences.append(there - (readings[q, place[a]] - readings[q, place[b]]))
    valid = np.array(differences, float)
    valid = valid[np.isfinite(valid)]
    if len(valid) < _LEAST_CHECKS:
        return None
    return float(0.5 * np.sqrt(np.mean(valid**2)) * measurement.current.mean()), len(valid)


def modified_z(values: np.ndarray) -> np.ndarray:
    """Distances from the median in units of the median absolute deviation; NaN stays NaN.

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
    residuals: Callable[[BadChannels], tuple[np.ndarray, np.ndarray]],
    electrodes: tuple[str, ...],
    patterns: tuple[str, ...],
    rounds: int = 5,
) -> BadChannels:
    """Electrodes and patterns whose residuals of a joint fit are far larger than the others'.

    After a fit the electrode or pattern whose log root mean square residual has the largest
    modified z-score above 3.5 is left out, and the fit is repeated, until no score is above it.
    One by one, because a bad electrode spoils every pattern and a bad pattern every electrode. If
    residuals are pure noise, one table in twenty loses a row or column, whatever its size.

    Parameters
    ----------
    residuals : given the bad channels so far, returns the residuals (M, L) in V of all `patterns`
        and `electrodes`, and the mask of the readings in use.
    electrodes, patterns : labels of the residuals' columns and rows.
    rounds : largest number that is left out.
    """
    bad = BadChannels({}, {})
    for _ in range(rounds):
        residual, mask = residuals(bad)
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
        score, kind, label = worst
        if not kind:
            break
        getattr(bad, kind)[label] = f"modified z-score {score:.1f} of its residuals"
    return bad
