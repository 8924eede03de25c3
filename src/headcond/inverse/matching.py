"""A measurement in the layout of a trained model: patterns, readings and noise."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headcond.checks import InputError, check_option, check_positive
from headcond.inverse.measurement import Measurement
from headcond.inverse.objective import LEAST_AMPLITUDE
from headcond.inverse.protocol import AVERAGE, Protocol, make_protocol, readings
from headcond.inverse.screening import BadChannels
from headcond.rom.model import ReducedModel


@dataclass(frozen=True)
class Data:
    """Readings of a measurement in the layout of a model.

    Attributes
    ----------
    protocol : patterns and readings in use.
    readings : (pairs, L) V at the model's current, zero where there is no reading.
    noise : (pairs,) V, of one electrode at the model's current.
    scale : (pairs,) model's current over the measurement's: readings = scale * voltages.
    amplitude : whether the readings are amplitudes.
    left_out : pattern, electrode ("" for the whole pattern) and the reason, one entry per
        reading or pattern that is not used.
    """

    protocol: Protocol
    readings: np.ndarray
    noise: np.ndarray
    scale: np.ndarray
    amplitude: bool
    left_out: tuple[tuple[str, str, str], ...]

    def predicted(self, potentials: np.ndarray) -> np.ndarray:
        """Readings (pairs, L) of electrode potentials (pairs, L), in V at the model's current."""
        expected = readings(potentials, self.protocol)
        return np.abs(expected) if self.amplitude else expected


def check_survey(
    measurement: Measurement, model: ReducedModel, bad: BadChannels, noise: float | None = None
) -> float:
    """Check that a model has what a measurement needs, and return the noise in V.

    Parameters
    ----------
    measurement : at one frequency.
    model : reduced model, whose pairs share one sink.
    bad : electrodes whose readings are not used under any pattern (they may inject), and
        patterns that are not used.
    noise : standard deviation of one electrode in V at the measurement's current; the
        measurement's own by default.

    Raises
    ------
    InputError
        If electrodes are unknown to the model, no pair was trained for them, a bad one is the
        reference or unknown to the measurement, or the noise is unknown.
    """
    std = measurement.noise if noise is None else check_positive("noise", noise)
    if std is None:
        raise InputError(
            "The noise of the measurement is unknown: give the standard deviation of one "
            "electrode in V."
        )
    for label in sorted(bad.electrodes):
        check_option("bad electrode", label, (*measurement.electrodes, measurement.reference))
    for name in sorted(bad.patterns):
        check_option("bad pattern", name, measurement.names)
    _check_labels(measurement, model, bad)
    if measurement.reference in bad.electrodes:
        raise InputError(
            f"The bad electrode {measurement.reference} is the reference of every reading: "
            "re-reference the table to another electrode, or to the average."
        )
    return std


def match(
    measurement: Measurement, model: ReducedModel, bad: BadChannels, noise: float
) -> Data:  # fmt: skip
    """Put a measurement that `check_survey` has accepted into the layout of a model.

    Signed readings against one electrode stay against it. An average is taken anew over the
    passive electrodes that were read, which keeps all differences. Injecting and extracting
    electrodes are not read. Amplitudes below `objective.LEAST_AMPLITUDE` deviations of their
    noise, that of two electrodes, are left out.

    Raises
    ------
    InputError
        If no reading is left.
    """
    left_out: list[tuple[str, str, str]] = []
    kept, missing = [], {}
    for m, pair in enumerate(measurement.pairs):
        name = measurement.names[m]
        if name in bad.patterns:
            left_out.append((name, "", "named as bad"))
            continue
        absent = _absent(measurement, m, noise, bad, left_out)
        read = set(measurement.electrodes) - set(absent) - {*pair, measurement.reference}
        if len(read) < (2 if measurement.reference == AVERAGE else 1):
            left_out.append((name, "", "no independent reading"))
            continue
        kept.append(m)
        unread = set(model.electrodes) - set(measurement.electrodes) - {measurement.reference}
        missing[pair] = sorted((set(absent) & set(model.electrodes) | unread) - set(pair))
    if not kept:
        raise InputError("No pattern has an independent reading left: nothing to estimate from.")
    pairs = [measurement.pairs[m] for m in kept]
    protocol = make_protocol(pairs, model.electrodes, measurement.reference, missing)
    scale = model.current / measurement.current[kept]
    values = np.zeros(protocol.mask.shape)
    for column, label in enumerate(measurement.electrodes):
        if label in model.electrodes:  # a bad one may be unknown
            place = model.electrodes.index(label)
            values[:, place] = np.nan_to_num(measurement.voltages[kept, column]) * scale
    if measurement.reference == AVERAGE:
        values = values - np.sum(protocol.weights * values, axis=1, keepdims=True)
    values = np.where(protocol.mask, values, 0.0)
    amplitude = measurement.kind == "amplitude"
    return Data(protocol, values, noise * scale, scale, amplitude, tuple(left_out))


def _check_labels(measurement: Measurement, model: ReducedModel, bad: BadChannels) -> None:
    labels = tuple(model.electrodes)
    reference = () if measurement.reference == AVERAGE else (measurement.reference,)
    pairs = [
        pair
        for pair, name in zip(measurement.pairs, measurement.names, strict=True)
        if name not in bad.patterns
    ]
    read = [label for label in measurement.electrodes if label not in bad.electrodes]
    used = dict.fromkeys([*(label for pair in pairs for label in pair), *read, *reference])
    unknown = [label for label in used if label not in labels]
    if len(unknown) > len(used) / 2:
        raise InputError(
            f"The model was trained for other electrodes: it has {_some(labels)}, and lacks "
            f"{len(unknown)} of the measurement's {len(used)}: {_some(unknown)}."
        )
    if unknown:
        same = [label for label in labels if label.lower() == unknown[0].lower()]
        near = same or difflib.get_close_matches(unknown[0], labels, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"The model has no electrode {', '.join(unknown)}.{hint} Use the model's names, or "
            "name it as bad."
        )
    trained = (*model.sources, model.sink)
    for pair in pairs:
        if untrained := [label for label in pair if label not in trained]:
            raise InputError(
                f"Pattern {'-'.join(pair)}: no pair was trained for {untrained[0]}. Train with it "
                "among rom.pairs, or name the pattern as bad."
            )


def _absent(
    measurement: Measurement,
    m: int,
    noise: float,
    bad: BadChannels,
    left_out: list[tuple[str, str, str]],
) -> list[str]:
    """Electrodes without a usable reading under pattern m; the reasons go to `left_out`."""
    absent = []
    for label, value in zip(measurement.electrodes, measurement.voltages[m], strict=True):
        if label in (*measurement.pairs[m], measurement.reference):
            continue
        if label in bad.electrodes:
            reason = "electrode is bad"
        elif np.isnan(value):
            reason = "missing"
        elif measurement.kind == "amplitude" and value < LEAST_AMPLITUDE * np.sqrt(2) * noise:
            reason = f"amplitude below {LEAST_AMPLITUDE:g} deviations of its noise"
        else:
            continue
        absent.append(label)
        left_out.append((measurement.names[m], label, reason))
    return absent


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")
