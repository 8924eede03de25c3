"""Conductivities from one's own measurement and a trained model.

python scripts/inverse/estimate.py mine.tsv sub-01_rom.h5 FOLDER [--fix csf=1.79 ...]

See docs/tutorials/your-voltages.md. Writes tables, figures and a JSON record into a new FOLDER.
"""

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.checks import InputError, check_option
from headcond.figures import estimates as figures
from headcond.figures.style import save
from headcond.files import results
from headcond.inverse.fit import Options, fit
from headcond.inverse.measurement import read as read_measurements
from headcond.inverse.optimise import InversionError
from headcond.inverse.tables import summary_table
from headcond.rom.model import ReducedModel
from headcond.study import step


def main(measurement, model, folder, choices, frequencies, provenance):
    """Write estimates, summary, residuals, figures and record of every frequency."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder for the results.")
    for key, values, count in (("fix", choices.fixed, 1), ("limit", choices.limits, 2)):
        for name, value in values.items():
            if np.size(value) != count:
                form = "TISSUE=S/m" if count == 1 else "TISSUE=LOW:HIGH"
                raise InputError(f"--{key}: {name} has {np.size(value)} numbers; write {form}.")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty, and nothing is overwritten: name another one.")
    known = {one.frequency: one for one in read_measurements(measurement)}
    for frequency in frequencies:
        check_option("frequency", frequency, list(known))
    trained = ReducedModel.read(model)
    chosen = list(frequencies or known)
    fitted = {}
    for number, frequency in enumerate(chosen, 1):
        if len(chosen) > 1:
            print(f"{number} of {len(chosen)}: {frequency:g} Hz", file=sys.stderr, flush=True)
        try:
            fitted[frequency] = fit(known[frequency], trained, choices)
        except (InputError, InversionError) as error:
            where = f" at {frequency:g} Hz" if len(known) > 1 else ""
            raise InputError(f"{measurement}{where}: {error}") from error
    estimates, residuals = (
        pd.concat(
            [getattr(f, name).assign(frequency=key) for key, f in fitted.items()], ignore_index=True
        )
        for name in ("estimates", "residuals")
    )
    units = dict.fromkeys(("estimate", "std", "scaled_std", "cramer_rao"), "S/m")
    units |= dict.fromkeys(("misfit", "certified_error"), "V") | {"frequency": "Hz"}
    sidecar = {"provenance": provenance}
    results.write_table(folder / "estimates.tsv", estimates, units=units, **sidecar)
    units = dict.fromkeys(("mean", "std", "joint", "joint_scaled_std"), "S/m")
    summed = summary_table(estimates)
    results.write_table(
        folder / "summary.tsv", summed, units={**units, "frequency": "Hz"}, **sidecar
    )
    units = dict.fromkeys(("measured", "fitted", "residual"), "V")
    results.write_table(folder / "residuals.tsv", residuals, units=units, **sidecar)
    names, lower, upper = trained.box.names, trained.box.lower, trained.box.upper
    box = {n: (a, b) for n, a, b in zip(names, lower, upper, strict=True)}
    note = next(iter(fitted.values())).facts["description"]
    for name, figure in {
        "estimates": figures.plot_conductivities(estimates, {**box, **choices.limits}, chosen[0]),
        "residuals": figures.plot_residuals(residuals, chosen[0]),
        **({"spectrum": figures.plot_spectrum(summed)} if len(chosen) > 1 else {}),
    }.items():
        at = "" if name == "spectrum" else f", {chosen[0]:g} Hz"
        save(figure, folder / f"figure_{name}.png", note + at, provenance=provenance)
    record = {"choices": asdict(choices), "box": box, **sidecar}
    results.write_json(
        folder / "record.json", {**record, "fits": [f.facts for f in fitted.values()]}
    )


def named(text):
    """NAME=NUMBER or NAME=NUMBER:NUMBER as (name, number or pair)."""
    name, _, value = text.partition("=")
    numbers = tuple(float(part) for part in value.split(":"))
    return name, numbers if len(numbers) > 1 else numbers[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("measurement", help="table (.tsv with its .json)")
    parser.add_argument("model", help="trained model (.h5)")
    parser.add_argument("folder", help="for the results; must be new or empty")
    parser.add_argument(
        "--frequency", type=float, nargs="*", action="extend", default=[], help="Hz; all of them"
    )
    parser.add_argument("--noise", type=float, help="V, of one electrode; the table's")
    parser.add_argument(
        "--fix", type=named, nargs="*", action="extend", default=[], metavar="TISSUE=S/m"
    )
    parser.add_argument(
        "--limit", type=named, nargs="*", action="extend", default=[], metavar="TISSUE=LOW:HIGH"
    )
    parser.add_argument("--bad-electrodes", nargs="*", action="extend", default=[])
    parser.add_argument("--bad-patterns", nargs="*", action="extend", default=[], metavar="IN-OUT")
    parser.add_argument("--no-screening", action="store_true", help="take every reading")
    parser.add_argument("--prior", action="store_true", help="published values as a prior")
    parser.add_argument("--modes", nargs="+", default=["each", "joint"])
    parser.add_argument("--method", default="gauss-newton", help="or interior-point")
    parser.add_argument("--starts", type=int, default=Options.starts, help="starting points")
    given = parser.parse_args()
    for key, entries in (("fix", given.fix), ("limit", given.limit)):
        names = [name for name, _ in entries]
        if len(set(names)) < len(names):
            parser.error(f"--{key} names a tissue twice: {' '.join(sorted(names))}")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    made = Options(
        tuple(given.modes), dict(given.fix), dict(given.limit), given.noise,
        tuple(given.bad_electrodes), tuple(given.bad_patterns), not given.no_screening,
        given.prior, given.method, given.starts,
    )  # fmt: skip

    def estimated():
        """Estimate with a record of choices and inputs, whose sidecars may be refused."""
        inputs = {"measurement": given.measurement, "model": given.model}
        record = step.provenance("estimate", "", asdict(made), {}, inputs)
        main(given.measurement, given.model, given.folder, made, given.frequency, record)

    step.refuse_politely(estimated)
