"""Measured voltages as files: a TSV table with a JSON sidecar, read, written and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headcond.checks import InputError, check_option, check_positive
from headcond.files import results
from headcond.inverse.protocol import AVERAGE

FORMAT = "headcond-eit-1"
KINDS = ("signed", "amplitude")
COLUMNS = ("frequency", "injection", "extraction", "current", "electrode", "voltage")
UNITS = {"frequency": "Hz", "current": "A", "voltage": "V"}
MISSING = "n/a"
# Safety standards keep scalp currents far below this; larger values are in another unit.
_LARGEST_CURRENT = 0.1
_LEAST_CURRENT = 1e-9
_LARGEST_VOLTAGE = 100.0


@dataclass(frozen=True)
class Measurement:
    """Voltages between scalp electrodes at one frequency.

    Attributes
    ----------
    pairs : (injection, extraction) electrode labels of M patterns.
    electrodes : labels of the L reading electrodes.
    voltages : (M, L) V against `reference`, NaN for a missing reading.
    current : (M,) A, the amplitude if voltages are amplitudes.
    reference : an electrode's label, or "average" if an average was subtracted; estimates use
        the average of the readings in use.
    kind : "signed" (in phase with the current), or "amplitude" (not negative).
    frequency : Hz.
    noise : standard deviation of one electrode's noise before any reference was subtracted, V;
        None if unknown.
    description : text for tables and figures.

    Raises
    ------
    InputError
        For wrong shapes or labels, a pattern that injects at the reference, impossible currents
        or voltages, or no reading at all.
    """

    pairs: tuple[tuple[str, str], ...]
    electrodes: tuple[str, ...]
    voltages: np.ndarray
    current: np.ndarray
    reference: str
    kind: str = "signed"
    frequency: float = 1.0
    noise: float | None = None
    description: str = ""

    def __post_init__(self) -> None:
        pairs = tuple((str(source), str(sink)) for source, sink in self.pairs)
        electrodes = tuple(str(label) for label in self.electrodes)
        voltages = np.array(self.voltages, float)
        current = np.array(np.broadcast_to(np.asarray(self.current, float), (len(pairs),)))
        values = {"pairs": pairs, "electrodes": electrodes, "voltages": voltages}
        for name, value in {**values, "current": current}.items():
            object.__setattr__(self, name, value)
        _check(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Patterns as injection-extraction."""
        return tuple(f"{source}-{sink}" for source, sink in self.pairs)

    @property
    def passive(self) -> np.ndarray:
        """Mask (M, L) of electrodes that neither inject nor extract nor are the reference."""
        return np.array([
            [label not in (*pair, self.reference) for label in self.electrodes]
            for pair in self.pairs
        ])  # fmt: skip


def write(path: str | Path, measurements: Sequence[Measurement], **sidecar: Any) -> None:
    """Write measurements at several frequencies as one table with its JSON sidecar.

    Parameters
    ----------
    path : the .tsv; the sidecar has the same name with .json.
    measurements : same reference, kind, noise and description; frequencies all different.
    **sidecar : further entries, such as provenance.

    Raises
    ------
    InputError
        If they do not fit into one table.
    """
    if not measurements:
        raise InputError("There is no measurement to write.")
    first = measurements[0]
    for other in measurements[1:]:
        for key in ("reference", "kind", "noise", "description"):
            if getattr(other, key) != getattr(first, key):
                raise InputError(f"Measurements with different {key} need separate tables.")
    frequencies = [m.frequency for m in measurements]
    if len(set(frequencies)) < len(frequencies):
        raise InputError("Two measurements have the same frequency: write two tables.")
    rows = [
        (m.frequency, *pair, current, label, voltage)
        for m in measurements
        for pair, current, row in zip(m.pairs, m.current, m.voltages, strict=True)
        for label, voltage in zip(m.electrodes, row, strict=True)
        if label not in (*pair, m.reference)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    facts = {"format": FORMAT, "reference": first.reference, "kind": first.kind,
             "noise": first.noise, "description": first.description, **sidecar}  # fmt: skip
    results.write_table(path, table, units=UNITS, **facts)


def read(path: str | Path) -> tuple[Measurement, ...]:
    """Read a measurement table and its sidecar, one measurement per frequency.

    A reading without a row, or written as n/a, is missing.

    Raises
    ------
    InputError
        If table or sidecar are not as docs/tutorials/your-voltages.md describes; the message
        names the file, and the row or the key.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: there is no such file.")
    facts = _facts(results.sidecar_path(path))
    table = _table(path)
    try:
        return tuple(
            _measurement(part, frequency, facts)
            for frequency, part in table.groupby("frequency", sort=True)
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _facts(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(
            f"{path}: there is no such file. A table of measured voltages needs this sidecar, with "
            "format, reference, kind, noise and units: docs/tutorials/your-voltages.md."
        )
    facts = results.read_json(path)
    if facts.get("format") != FORMAT:
        raise InputError(f'{path}: not a measurement: it needs "format": "{FORMAT}".')
    for key in ("reference", "kind", "noise", "units"):
        if key not in facts:
            raise InputError(f"{path}: the key {key!r} is missing.")
    check_option(f"kind in {path}", facts["kind"], KINDS)
    if not isinstance(facts["reference"], str):
        raise InputError(f"{path}: reference must be an electrode's name, or average.")
    for column, unit in UNITS.items():
        stated = facts["units"].get(column) if isinstance(facts["units"], dict) else None
        if stated != unit:
            raise InputError(
                f"{path}: units.{column} is {stated!r}, the table must be in {unit}: convert it."
            )
    noise = facts["noise"]
    if noise is not None:
        if isinstance(noise, bool) or not isinstance(noise, int | float):
            raise InputError(f"{path}: noise must be a number in V, or null.")
        facts["noise"] = check_positive(f"{path}: noise", noise)
    return facts


def _table(path: str | Path) -> pd.DataFrame:
    table = results.read_tsv(path, dtype=str, keep_default_na=False)
    if lacking := [column for column in COLUMNS if column not in table]:
        raise InputError(
            f"{path}: no column {lacking[0]!r}; a measurement has {', '.join(COLUMNS)}."
        )
    if not len(table):
        raise InputError(f"{path}: the table has no row.")
    for column in ("frequency", "current", "voltage"):
        table[column] = [_number(path, row, column, text) for row, text in enumerate(table[column])]
    for column in ("injection", "extraction", "electrode"):
        table[column] = table[column].str.strip()
        if (empty := table[column] == "").any():
            raise InputError(f"{path}: row {int(np.argmax(empty)) + 2} names no {column}.")
    key = ["frequency", "injection", "extraction", "electrode"]
    if (twice := table.duplicated(key)).any():
        row = table[twice].iloc[0]
        raise InputError(
            f"{path}: electrode {row['electrode']} is read twice under pattern "
            f"{row['injection']}-{row['extraction']} at {row['frequency']:g} Hz."
        )
    return table


def _number(path: str | Path, row: int, column: str, text: str) -> float:
    if column == "voltage" and text.strip() == MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = f" Write {MISSING} for a missing reading." if column == "voltage" else ""
        raise InputError(f"{path}: row {row + 2}: {column} is {text!r}, not a number.{hint}")
    return value


def _measurement(part: pd.DataFrame, frequency: float, facts: dict[str, Any]) -> Measurement:
    electrodes = tuple(dict.fromkeys(part["electrode"]))
    groups = part.groupby(["injection", "extraction"], sort=False)
    voltages = np.full((len(groups), len(electrodes)), np.nan)
    current = np.empty(len(groups))
    column = {label: i for i, label in enumerate(electrodes)}
    pairs = []
    for m, (pair, rows) in enumerate(groups):
        if rows["current"].nunique() > 1:
            raise InputError(f"pattern {'-'.join(pair)} has more than one current.")
        pairs.append(pair)
        current[m] = rows["current"].iloc[0]
        voltages[m, [column[label] for label in rows["electrode"]]] = rows["voltage"]
    return Measurement(
        tuple(pairs), electrodes, voltages, current, facts["reference"], facts["kind"],
        float(frequency), facts["noise"], str(facts.get("description", "")),
    )  # fmt: skip


def _check(m: Measurement) -> None:
    if not m.pairs or not m.electrodes:
        raise InputError("A measurement needs at least one pattern and one reading electrode.")
    if m.voltages.shape != (len(m.pairs), len(m.electrodes)):
        raise InputError(
            f"voltages must have shape ({len(m.pairs)} patterns, {len(m.electrodes)} electrodes), "
            f"got {m.voltages.shape}."
        )
    for what, labels in (("pattern", m.pairs), ("electrode", m.electrodes)):
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise InputError(f"The {what} {twice} is in the measurement twice.")
    check_option("kind", m.kind, KINDS)
    for source, sink in m.pairs:
        if source == sink:
            raise InputError(f"Pattern {source}-{sink} injects and extracts at one electrode.")
        if m.reference in (source, sink):
            raise InputError(
                f"Pattern {source}-{sink} uses the reference electrode {m.reference}, whose "
                "potential then includes the voltage drop of its contact: leave the pattern out, "
                "or re-reference its readings to a passive electrode."
            )
    check_positive("frequency", m.frequency)
    if m.noise is not None:
        check_positive("noise", m.noise)
    if not np.all((m.current > _LEAST_CURRENT) & (m.current < _LARGEST_CURRENT)):
        worst = m.current[np.argmax(np.abs(np.log(np.maximum(m.current, 1e-300) / 1e-4)))]
        raise InputError(
            f"A current of {worst:g} A: scalp currents are between {_LEAST_CURRENT:g} and "
            f"{_LARGEST_CURRENT:g} A. Give it in A: 20 uA is 0.00002; an extraction is written "
            "as the pattern's second electrode, not as a negative current."
        )
    present = np.isfinite(m.voltages)
    if np.any(np.isinf(m.voltages)):
        raise InputError("A voltage is infinite: mark readings that failed as missing.")
    if not present.any():
        raise InputError("Every reading is missing: there is nothing to estimate from.")
    largest = np.abs(m.voltages[present & m.passive]).max(initial=0.0)
    if largest > _LARGEST_VOLTAGE:
        raise InputError(
            f"A voltage of {largest:g} V is too large for a scalp. Was it in mV or uV? Give "
            "voltages in V."
        )
    if m.kind == "amplitude" and np.any(m.voltages[present] < 0):
        raise InputError("An amplitude is below 0: the kind of these readings is signed.")
    if m.kind == "amplitude" and m.reference == AVERAGE:
        raise InputError(
            "Amplitudes cannot be referenced to an average: give amplitudes of the voltages "
            "against the electrode that they were recorded against."
        )
    if m.reference in m.electrodes:
        own = m.voltages[:, m.electrodes.index(m.reference)]
        if np.any(np.abs(own[np.isfinite(own)]) > 0):
            raise InputError(
                f"The reference {m.reference} has readings other than 0 against itself."
            )
