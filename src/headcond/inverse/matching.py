"""A measurement on a trained model: patterns, readings and noise as the estimators want them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headcond.checks import InputError, check_option, check_positive
from headcond.inverse.measurement import Measurement
from headcond.inverse.objective import LEAST_AMPLITUDE
from headcond.inverse.protocol import AVERAGE, Protocol, make_protocol


@dataclass(frozen=True)
class Bound:
    """Readings of a measurement in the layout of a model.

    Attributes
    ----------
    protocol : patterns and readings in use.
    data : (pairs, L) V at the model's current, zero where there is no reading.
    noise : (pairs,) V, of one electrode at the model's current.
    scale : (pairs,) model's current over the measurement's: data = scale * voltages.
    amplitude : whether the data are amplitudes.
    left_out : pattern, electrode (or "" for the whole pattern) and the reason, one entry per
        reading or pattern that is not used.
    """

    protocol: Protocol
    data: np.ndarray
    noise: np.ndarray
    scale: np.ndarray
    amplitude: bool
    left_out: tuple[tuple[str, str, str], ...]


def bind(
    measurement: Measurement,
    model: Any,
    *,
    noise: float | None = None,
    bad_electrodes: Collection[str] = (),
    bad_patterns: Collection[str] = (),
) -> Bound:
    """Lay a measurement out for a reduced model whose pairs share one sink.

    Signed readings against one electrode stay against it; an average is taken anew over the
    passive electrodes that were read, which keeps all differences. Injecting and extracting
    electrodes are no readings. Amplitudes below `objective.LEAST_AMPLITUDE` deviations of their
    noise, that of two electrodes, are left out.

    Parameters
    ----------
    measurement : at one frequency.
    model : `rom.model.ReducedModel`.
    noise : standard deviation of one electrode in V at the measurement's current; the
        measurement's own by default.
    bad_electrodes : labels whose readings are not used, under any pattern. They may inject.
    bad_patterns : patterns that are not used, as injection-extraction.

    Raises
    ------
    InputError
        If electrodes are unknown to the model or no pair was trained for them, nobody gives
        the noise, or no reading is left.
    """
    std = measurement.noise if noise is None else check_positive("noise", noise)
    if std is None:
        raise InputError(
            "The measurement does not say its noise: give the standard deviation of one "
            "electrode in V."
        )
    for label in bad_electrodes:
        check_option("bad electrode", label, (*measurement.electrodes, measurement.reference))
    for name in bad_patterns:
        check_option("bad pattern", name, measurement.names)
    _check_labels(measurement, model, bad_electrodes, bad_patterns)
    if measurement.reference in bad_electrodes:
        raise InputError(
            f"The bad electrode {measurement.reference} is the reference of every reading: take "
            "another reference, or average, before you write the table."
        )
    left_out: list[tuple[str, str, str]] = []
    kept, missing = [], {}
    for m, pair in enumerate(measurement.pairs):
        name = measurement.names[m]
        if name in bad_patterns:
            left_out.append((name, "", "named as bad"))
            continue
        absent = _absent(measurement, m, std, bad_electrodes, left_out)
        read = set(measurement.electrodes) - set(absent) - {*pair, measurement.reference}
        if len(read) < (2 if measurement.reference == AVERAGE else 1):
            left_out.append((name, "", "no independent reading"))
            continue
        kept.append(m)
        unread = set(model.electrodes) - set(measurement.electrodes) - {measurement.reference}
        gone = (set(absent) & set(model.electrodes) | unread) - set(pair)
        missing[pair] = sorted(gone)
    if not kept:
        raise InputError("No pattern has an independent reading left: nothing to estimate from.")
    pairs = [measurement.pairs[m] for m in kept]
    protocol = make_protocol(pairs, model.electrodes, measurement.reference, missing)
    scale = model.current / measurement.current[kept]
    data = np.zeros(protocol.mask.shape)
    for column, label in enumerate(measurement.electrodes):
        if label in model.electrodes:  # a bad one may be unknown
            place = model.electrodes.index(label)
            data[:, place] = np.nan_to_num(measurement.voltages[kept, column]) * scale
    if measurement.reference == AVERAGE:
        data = data - np.sum(protocol.weights * data, axis=1, keepdims=True)
    data = np.where(protocol.mask, data, 0.0)
    return Bound(protocol, data, std * scale, scale, measurement.kind == "amplitude",
                 tuple(left_out))  # fmt: skip


def _check_labels(
    measurement: Measurement, model: Any, bad: Collection[str], bad_patterns: Collection[str]
) -> None:
    known = tuple(model.electrodes)
    reference = () if measurement.reference == AVERAGE else (measurement.reference,)
    pairs = [
        pair
        for pair, name in zip(measurement.pairs, measurement.names, strict=True)
        if name not in bad_patterns
    ]
    read = [label for label in measurement.electrodes if label not in bad]
    used = dict.fromkeys([*(label for pair in pairs for label in pair), *read, *reference])
    unknown = [label for label in used if label not in known]
    if len(unknown) > len(used) / 2:
        raise InputError(
            f"The model was trained for other electrodes: it has {_some(known)}, and of the "
            f"measurement's {len(used)} it lacks {len(unknown)}: {_some(unknown)}."
        )
    if unknown:
        same = [label for label in known if label.lower() == unknown[0].lower()]
        near = same or difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"The model has no electrode {', '.join(unknown)}.{hint} Use the model's names, or "
            "name it as bad."
        )
    trained = (*model.sources, model.sink)
    for pair in pairs:
        for label in pair:
            if label not in trained:
                raise InputError(
                    f"Pattern {'-'.join(pair)}: no pair was trained for {label}. Train with it "
                    "among rom.pairs, or name the pattern as bad."
                )


def _absent(
    measurement: Measurement,
    m: int,
    std: float,
    bad: Collection[str],
    left_out: list[tuple[str, str, str]],
) -> list[str]:
    """Electrodes without a usable reading under pattern m; their reasons go to `left_out`."""
    absent = []
    for label, value in zip(measurement.electrodes, measurement.voltages[m], strict=True):
        if label in (*measurement.pairs[m], measurement.reference):
            continue
        if label in bad:
            reason = "electrode is bad"
        elif np.isnan(value):
            reason = "missing"
        elif measurement.kind == "amplitude" and value < LEAST_AMPLITUDE * np.sqrt(2) * std:
            reason = f"amplitude below {LEAST_AMPLITUDE:g} deviations of its noise"
        else:
            continue
        absent.append(label)
        left_out.append((measurement.names[m], label, reason))
    return absent


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")
