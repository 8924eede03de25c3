"""Measured data sets of others as `table.Measurement`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from headcond import io
from headcond.checks import InputError, check_shape
from headcond.inverse.measurement import AVERAGE
from headcond.inverse.table import Measurement

# Names of the set's table that 10-10 spells otherwise; of two places the first is meant, as
# the coordinates show (27 mm beside the midline).
_SPELLING = {"FP2": "Fp2", "FP1": "Fp1", "CZ": "Cz", "I2/O10": "I2", "I1/O9": "I1"}
# `normalise_dataset` of the set scales all voltages to its largest current and to mV.
_UCL_CURRENT = 280e-6
_UCL_UNIT = 1e-3


def read_ucl(folder: str | Path) -> tuple[Measurement, ...]:
    """Read the mean healthy scalp EIT of UCL (Goren et al. 2018, Sci Data 5:180112).

    Mean over ten people of the in-phase voltages, normalised to 280 uA, at 17 frequencies
    and under 31 patterns of 30 readings each. The noise is not given: a mean over people is
    fitted by one head only as far as that head is the mean.

    The set names an electrode on the middle of the forehead, NFpz, as the reference, which its
    readings contradict: against that electrode their mean would have to be lowest when current
    enters at Fp1 or Fp2 beside it, and alike left and right, but it is lowest when it enters at
    F8, -11 mV at 100 Hz, and -1 mV at F7, its mirror image (docs/experiments.md). So the reference
    is taken out: readings are given against their own average, which keeps all that they say of
    each other.

    Parameters
    ----------
    folder : with Average_Healthy.mat (HDF5), EITSETTINGS.json and Electrode_Positions.txt.

    Raises
    ------
    InputError
        If a file is missing or does not hold what the set's description says.
    """
    folder = Path(folder)
    settings = io.read_json(folder / "EITSETTINGS.json")
    names = _ucl_names(folder / "Electrode_Positions.txt")
    try:
        protocol = check_shape("Protocol", np.asarray(settings["Protocol"]), (None, 4)).astype(int)
        frequencies = np.asarray(settings["Freq"], float)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{folder / 'EITSETTINGS.json'}: not as described ({error}).") from error
    path = folder / "Average_Healthy.mat"
    try:
        with h5py.File(path, "r") as file:
            values = file["Chn_ave"][:]
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as the set's voltages ({error}).") from error
    check_shape(str(path), values, (len(frequencies), len(protocol)))
    unknown = sorted(set(protocol.ravel().tolist()) - set(names))
    if unknown:
        raise InputError(f"{folder}: the protocol uses electrode {unknown[0]}, which has no name.")
    references = {int(number) for number in protocol[:, 3]}
    if len(references) != 1:
        raise InputError(f"{folder}: readings against several references: {sorted(references)}.")
    pairs = tuple(dict.fromkeys((names[a], names[b]) for a, b in protocol[:, :2].tolist()))
    reference = names[references.pop()]  # not where it is said to be: left out
    electrodes = tuple(name for name in names.values() if name != reference)
    row = [pairs.index((names[a], names[b])) for a, b in protocol[:, :2].tolist()]
    column = [electrodes.index(names[e]) for e in protocol[:, 2].tolist()]
    found = []
    for frequency, voltages in zip(frequencies, values, strict=True):
        wide = np.full((len(pairs), len(electrodes)), np.nan)
        wide[row, column] = _UCL_UNIT * voltages
        wide -= np.nanmean(wide, axis=1, keepdims=True)
        found.append(
            Measurement(
                pairs, electrodes, wide, np.full(len(pairs), _UCL_CURRENT), AVERAGE,
                frequency=float(frequency), description="UCL, mean of ten healthy people",
            )
        )  # fmt: skip
    return tuple(found)


def _ucl_names(path: Path) -> dict[int, str]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error
    rows: list[Any] = [re.fullmatch(r"\s*(\d+)\s+(\S+)\s*", line) for line in lines[1:] if line]
    if not rows or not all(rows):
        raise InputError(f"{path}: expected lines of an electrode's number and its name.")
    return {int(row[1]): _SPELLING.get(row[2], row[2]) for row in rows}
