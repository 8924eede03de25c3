"""Public data sets and file layouts of other programs as `measurement.Measurement`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from headcond.checks import InputError, check_finite, check_shape
from headcond.files import matlab, results
from headcond.files.hdf5 import open_hdf5
from headcond.inverse.measurement import Measurement
from headcond.inverse.protocol import AVERAGE

# Names of the set's table with another spelling in 10-10. Of two positions the first is right,
# by the coordinates (27 mm from the midline).
_SPELLING = {"FP2": "Fp2", "FP1": "Fp1", "CZ": "Cz", "I2/O10": "I2", "I1/O9": "I1"}
# `normalise_dataset` of the set scales all voltages to its largest current and to mV.
_UCL_CURRENT = 280e-6
_UCL_UNIT = 1e-3


def read_ucl(folder: str | Path) -> tuple[Measurement, ...]:
    """Read the mean healthy scalp EIT of UCL (Goren et al. 2018, Sci Data 5:180112).

    Mean over ten people of the in-phase voltages, normalised to 280 uA, at 17 frequencies and
    under 31 patterns of 30 readings each. The noise is unknown: one head fits a mean over people
    only as far as it is the mean head.

    The set states NFpz, in the middle of the forehead, as the reference, which contradicts its
    readings: against NFpz their mean would be lowest when current enters at its neighbours Fp1 or
    Fp2, and symmetric, but it is lowest at F8, -11 mV at 100 Hz, and -1 mV at F7, its mirror image
    (docs/results/experiment-5.md). So readings are given against their own average, which keeps all
    differences between them.

    Parameters
    ----------
    folder : with Average_Healthy.mat (HDF5), EITSETTINGS.json and Electrode_Positions.txt.

    Raises
    ------
    InputError
        If a file is missing or not as the set's description says.
    """
    folder = Path(folder)
    settings = results.read_json(folder / "EITSETTINGS.json")
    names = _ucl_names(folder / "Electrode_Positions.txt")
    try:
        protocol = check_shape("Protocol", np.asarray(settings["Protocol"]), (None, 4)).astype(int)
        frequencies = np.asarray(settings["Freq"], float)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{folder / 'EITSETTINGS.json'}: not as described ({error}).") from error
    path = folder / "Average_Healthy.mat"
    with open_hdf5(path, "the set's voltages") as file:
        values = file["Chn_ave"][:]
    check_shape(str(path), values, (len(frequencies), len(protocol)))
    if unknown := sorted(set(protocol.ravel().tolist()) - set(names)):
        raise InputError(f"{folder}: the protocol uses electrode {unknown[0]}, which has no name.")
    references = {int(number) for number in protocol[:, 3]}
    if len(references) != 1:
        raise InputError(f"{folder}: readings against several references: {sorted(references)}.")
    injected = [(names[a], names[b]) for a, b in protocol[:, :2].tolist()]
    pairs = tuple(dict.fromkeys(injected))
    reference = names[references.pop()]  # not at its stated position: left out
    electrodes = tuple(name for name in names.values() if name != reference)
    row = [pairs.index(pair) for pair in injected]
    column = [electrodes.index(names[e]) for e in protocol[:, 2].tolist()]
    measurements = []
    for frequency, voltages in zip(frequencies, values, strict=True):
        wide = np.full((len(pairs), len(electrodes)), np.nan)
        wide[row, column] = _UCL_UNIT * voltages
        wide -= np.nanmean(wide, axis=1, keepdims=True)
        measurements.append(Measurement(
            pairs, electrodes, wide, np.full(len(pairs), _UCL_CURRENT), AVERAGE,
            frequency=float(frequency), description="UCL, mean of ten healthy people",
        ))  # fmt: skip
    return tuple(measurements)


def _ucl_names(path: Path) -> dict[int, str]:
    lines = _text(path).splitlines()[1:]
    rows: list[Any] = [re.fullmatch(r"\s*(\d+)\s+(\S+)\s*", line) for line in lines if line]
    if not rows or not all(rows):
        raise InputError(f"{path}: expected lines of an electrode's number and its name.")
    return {int(row[1]): _SPELLING.get(row[2], row[2]) for row in rows}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error


def read_rompeit(
    folder: str | Path,
    sinks: str | Path,
    labels: str | Path,
    current: float,
    noisy: bool = False,
    noise: float | None = None,
    frequency: float = 1.0,
) -> Measurement:
    """Read measurements, computed or real, in the layout of ROMpEIT (Walker et al.).

    pattern_K.mat belongs to row K of the sinks. Its struct `Data` has the potentials `u` in V of
    all nodes followed by those of the L electrodes in their order, or only the latter, and, if
    they are computed, the conductivities `synth_cond`; real measurements may be the variable `u`
    itself. MATLAB's v5 to v7.3 are read. Potentials are re-referenced from any reference to the
    average of the passive electrodes; those of injecting and extracting ones are left out.

    In computed potentials the injecting electrode has the largest and the extracting one the
    least potential. This is checked, as wrong labels or sinks would go unnoticed.

    Parameters
    ----------
    folder : with pattern_1.mat, pattern_2.mat, ... (ROMpEIT's Results/measurements).
    sinks : sinks.mat, with the variable `sinks` (P, 2): numbers from 1 of each pattern's
        injecting and extracting electrode. Several extracting ones are refused.
    labels : text file with the L electrodes' labels, one per line, in ROMpEIT's order.
    current : A; ROMpEIT's own default is 20e-6.
    noisy : read pattern_K_noise.mat, the potentials with added noise.
    noise : standard deviation of one electrode's noise in V, None if unknown.
    frequency : Hz; not in the files.

    Raises
    ------
    InputError
        If files are missing, damaged or of another layout, do not fit together, or lack a
        reading.
    """
    names = _labels(Path(labels))
    used = _sinks(sinks, len(names))
    files = _pattern_files(Path(folder), noisy)
    if len(files) != len(used):
        raise InputError(
            f"{folder}: {len(files)} patterns, but {sinks} has {len(used)} rows; row K belongs to "
            "pattern_K. Patterns computed for sinks.mat do not fit new_sinks.mat."
        )
    voltages = np.full((len(used), len(names)), np.nan)
    length = 0
    for row, path, pair in zip(voltages, files, used, strict=True):
        potentials, conductivities = _pattern(path)
        length = length or len(potentials)
        if len(potentials) != length:
            raise InputError(
                f"{path}: u has {len(potentials)} values, but {length} in {files[0].name}: they "
                "are from different heads."
            )
        if len(names) > length:
            raise InputError(
                f"{path}: u has {length} values, fewer than the {len(names)} labels in {labels}."
            )
        own = potentials[length - len(names) :]
        passive = np.setdiff1d(np.arange(len(names)), pair)
        check_finite(f"{path}: u at the electrodes", own if len(conductivities) else own[passive])
        if len(conductivities) and (own.argmax(), own.argmin()) != tuple(pair):
            raise InputError(
                f"{path}: current seems to enter at {names[own.argmax()]} and leave at "
                f"{names[own.argmin()]}, where the potential is largest and least, but {sinks} "
                f"says {names[pair[0]]} and {names[pair[1]]}. Are these its sinks, and does "
                f"{labels} hold every electrode in ROMpEIT's order?"
            )
        row[passive] = own[passive] - own[passive].mean()
    pairs = tuple((names[a], names[b]) for a, b in used)
    description = "ROMpEIT's layout" + (", noise added" if noisy else "")
    return Measurement(
        pairs, names, voltages, np.full(len(pairs), float(current)), AVERAGE, noise=noise,
        frequency=frequency, description=description,
    )  # fmt: skip


def rompeit_conductivities(folder: str | Path, noisy: bool = False) -> np.ndarray:
    """Conductivities in S/m, the contact impedance last, of computed potentials.

    From the first pattern in `folder` (see `read_rompeit`); empty for real measurements.
    """
    return _pattern(_pattern_files(Path(folder), noisy)[0])[1]


def _labels(path: Path) -> tuple[str, ...]:
    names = tuple(line.strip() for line in _text(path).rstrip().splitlines())
    for number, name in enumerate(names, start=1):
        if len(name.split()) != 1:
            raise InputError(f"{path}: line {number} is {name!r}; write one label per line.")
    if len(set(names)) < max(len(names), 3):
        raise InputError(f"{path}: expected three or more labels, all different.")
    return names


def _sinks(path: str | Path, count: int) -> np.ndarray:
    """Indices (P, 2) from 0 of injecting and extracting electrodes."""
    sinks = matlab.numbers(path, ["sinks"]).get("sinks")
    if sinks is None:
        raise InputError(f"{path}: has no variable sinks.")
    check_shape(f"{path}: sinks", sinks, (None, None))
    if sinks.shape[1] > 2:
        raise InputError(
            f"{path}: its patterns extract at {sinks.shape[1] - 1} electrodes at once; only one is "
            "supported. Measure or compute pairs of electrodes."
        )
    check_shape(f"{path}: sinks", sinks, (None, 2))
    wrong = ~np.isin(sinks, np.arange(1, count + 1))
    if np.any(wrong):
        raise InputError(
            f"{path}: row {np.argwhere(wrong)[0][0] + 1} of sinks names electrode "
            f"{sinks[wrong][0]:g}; the labels are of electrodes 1 to {count}."
        )
    return sinks.astype(int) - 1


def _pattern_files(folder: Path, noisy: bool) -> list[Path]:
    suffix = "_noise" if noisy else ""
    files = {
        int(match[1]): path
        for path in folder.glob(f"pattern_*{suffix}.mat")
        if (match := re.fullmatch(rf"pattern_([1-9]\d*){suffix}\.mat", path.name))
    }
    if not files:
        raise InputError(f"{folder}: has no pattern_1{suffix}.mat, pattern_2{suffix}.mat, ...")
    for number, present in enumerate(sorted(files), start=1):
        if present != number:
            raise InputError(
                f"{folder}: pattern_{number}{suffix}.mat is missing, but there is "
                f"{files[present].name}."
            )
    return [files[number] for number in sorted(files)]


def _pattern(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Potentials in V and, of computed ones, the conductivities."""
    content = matlab.numbers(path, ("Data.u", "Data.synth_cond", "u"))
    potentials = content.get("Data.u", content.get("u"))
    if potentials is None:
        raise InputError(f"{path}: has neither a struct Data with the field u, nor u itself.")
    if potentials.size != max(potentials.shape, default=0):
        raise InputError(f"{path}: u must be a vector, its shape is {potentials.shape}.")
    return potentials.ravel(), content.get("Data.synth_cond", np.empty(0)).ravel()
