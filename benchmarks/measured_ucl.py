"""Consistency of UCL's mean healthy scalp EIT data, alone and with a head model.

    python -m benchmarks.measured_ucl FOLDER [--model ROM.h5] [--frequency 100]

Run it in the repository's root. Without a model: reciprocity error by frequency; the position of
the reference electrode, from the mean raw readings with current on the left and on the right; and
the distances of the electrodes' coordinates from the 10-10 positions of their names. With a reduced
model trained for the cap ucl33 (studies/experiment-5.yaml): scale and correlation of every pattern,
the joint fit of all tissues with readings against NFpz (the stated reference) and against their
average, and the electrode whose potential in the fitted model is nearest to that of the reference.
"""

import argparse
import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from headcond.caps import template_positions
from headcond.experiments.measured import variants
from headcond.files import results
from headcond.inverse.fit import fit
from headcond.inverse.importers import read_ucl
from headcond.inverse.reduced import ReducedForward
from headcond.inverse.screening import reciprocity_noise
from headcond.rom.model import ReducedModel


def raw_offsets(folder, measurements):
    """Mean raw reading (frequencies, patterns), V: what the importer takes out."""
    with h5py.File(Path(folder) / "Average_Healthy.mat", "r") as file:
        values = 1e-3 * file["Chn_ave"][:]
    # The set lists its readings pattern by pattern.
    ends = np.cumsum(np.isfinite(measurements[0].voltages).sum(axis=1))[:-1]
    return np.array([[part.mean() for part in np.split(row, ends)] for row in values])


def by_frequency(measurements):
    """Median reading and reciprocity at every frequency."""
    rows = []
    for one in measurements:
        noise, count = reciprocity_noise(one)
        median = np.nanmedian(np.abs(one.voltages))
        rows.append({"frequency (Hz)": one.frequency, "median |v| (mV)": 1e3 * median,
                     "noise by reciprocity (uV)": 1e6 * noise, "of the median (%)":
                     100 * noise / median, "pairs of patterns": count})  # fmt: skip
    return pd.DataFrame(rows)


def reference_by_sides(measurement, offset):
    """Mean raw reading when current enters at an electrode of the front, left and right."""
    rows = []
    for left, right in (("Fp1", "Fp2"), ("F3", "F4"), ("F7", "F8"), ("FC5", "FC6"), ("T7", "T8"),
                        ("C3", "C4")):  # fmt: skip
        mean = [1e3 * np.mean([offset[m] for m, pair in enumerate(measurement.pairs)
                               if pair[0] == name]) for name in (left, right)]  # fmt: skip
        rows.append({"left": left, "mean reading (mV)": mean[0], "right": right,
                     "mean reading, right (mV)": mean[1]})  # fmt: skip
    return pd.DataFrame(rows)


def registration(folder):
    """Distances of the set's coordinates, after the best affine map, to its names on Colin27."""
    own = 1e3 * np.array(results.read_json(Path(folder) / "EITSETTINGS.json")["ElectrodePosition"])
    places = template_positions("ucl33")[0]  # in the order of the set's numbers
    goal = np.array(list(places.values()))
    design = np.column_stack([own, np.ones(len(own))])
    off = np.linalg.norm(design @ np.linalg.lstsq(design, goal, rcond=None)[0] - goal, axis=1)
    table = pd.DataFrame({"electrode": list(places), "off (mm)": off})
    return table.sort_values("off (mm)", ascending=False)


def fitted(name, measurement, model, noise):
    """Row and joint estimate of all tissues in the model's whole box."""
    found = fit(measurement, model, list(variants(model.box, noise).values())[-1])
    joint = found.estimates[found.estimates["mode"] == "joint"]
    left = found.residuals
    share = 1 - (left["residual"] ** 2).sum() / (left["measured"] ** 2).sum()
    values = dict(zip(joint["parameter"], 1e3 * joint["estimate"], strict=True))
    row = {"readings against": name, "explained (%)": 100 * share,
           "rms misfit (mV)": 1e3 * joint["misfit"].iloc[0], **values}  # fmt: skip
    return row, joint["estimate"].to_numpy(), found


def nearest_reference(measurement, raw, model, sigma):
    """How far the reference's potential is from each electrode's, over the patterns, mV."""
    forward = ReducedForward(model, measurement.pairs)
    potentials = forward.voltages(sigma)
    column = [forward.electrodes.index(label) for label in measurement.electrodes]
    shift = np.nanmean(np.where(np.isnan(raw), np.nan, potentials[:, column] - raw), axis=1)
    rows = []
    for k, label in enumerate(forward.electrodes):
        use = np.array([label not in pair for pair in measurement.pairs])
        x, y = potentials[use, k], shift[use]
        rms = np.sqrt(np.mean((x - y) ** 2))
        rows.append({"electrode": label, "rms difference (mV)": 1e3 * rms,
                     "correlation": np.corrcoef(x, y)[0, 1]})  # fmt: skip
    return pd.DataFrame(rows).sort_values("correlation", ascending=False)


def displaced(rms, registered):
    """Misfit of coordinates and names of the worst electrodes, and its correlation with theirs.

    Parameters
    ----------
    rms : residuals by electrode, the worst first.
    registered : as `registration` gives it, with every electrode.
    """
    gap = registered.set_index("electrode")["off (mm)"]
    both = pd.concat([rms.rename("residual"), gap.rename("gap")], axis=1).dropna()
    row = {f"{name} (mm)": gap[name] for name in rms.index[:4]}
    rank = both["residual"].corr(both["gap"], method="spearman")
    return pd.DataFrame([{**row, "median (mm)": gap.median(), "Spearman": rank}])


def main(arguments):
    """Print the tables."""
    measurements = read_ucl(arguments.folder)
    offsets = raw_offsets(arguments.folder, measurements)
    chosen = [one.frequency for one in measurements].index(arguments.frequency)
    one = measurements[chosen]
    registered = registration(arguments.folder)
    off = registered["off (mm)"]
    rms = pd.DataFrame({"electrode": ["rms of all"], "off (mm)": [np.sqrt(np.mean(off**2))]})
    tables = [by_frequency(measurements), reference_by_sides(one, offsets[chosen]),
              pd.concat([registered.head(8), rms])]  # fmt: skip
    if arguments.model:
        model = ReducedModel.read(arguments.model)
        noise = reciprocity_noise(one)[0]
        raw = one.voltages + offsets[chosen][:, None]
        stated = dataclasses.replace(one, voltages=raw, reference="NFpz")
        rows = [fitted("NFpz, as stated", stated, model, noise)[0]]
        row, sigma, found = fitted("their average", one, model, noise)
        tables += [pd.DataFrame([*rows, row]), nearest_reference(one, raw, model, sigma).head(6)]
        left = found.residuals.assign(square=1e12 * found.residuals["residual"] ** 2)
        for key in ("pattern", "electrode"):
            rms = np.sqrt(left.groupby(key)["square"].mean()).sort_values(ascending=False)
            tables.append(rms.head(8).rename("rms residual (uV)").reset_index())
        tables.append(displaced(rms, registered))  # electrodes came last
    for table in tables:
        print(table.round(3).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", help="of the set")
    parser.add_argument("--model", help="reduced model (.h5) for the cap ucl33")
    parser.add_argument("--frequency", type=float, default=100.0, help="Hz")
    main(parser.parse_args())
