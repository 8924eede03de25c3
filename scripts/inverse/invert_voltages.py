"""Estimate conductivities from voltages, per pair and from all pairs together."""

import pandas as pd

from headcond.files import results
from headcond.inverse.estimates import cramer_rao
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from headcond.inverse.simulation import error_table, read_potentials, simulated_estimates
from headcond.rom.model import ReducedModel
from headcond.study.step import run


def main(model, voltages, truth, estimates, errors, noise, reference, method, modes, provenance):
    """Write every estimate with its uncertainty, and its relative error (eq. 12)."""
    reduced = ReducedForward(ReducedModel.read(model))
    true = results.read_table(truth)
    sigma, layout = true[list(reduced.names)].to_numpy(), (reduced.pairs, true["sample"])
    protocol = make_protocol(reduced.pairs, reduced.electrodes, reference)
    potentials = read_potentials(
        voltages, "potential", reduced.pairs, reduced.electrodes, true["sample"]
    )
    data, found, judged = readings(potentials, protocol), [], []
    for mode in modes:
        result = estimate(reduced, data, protocol, noise, pairs=mode, method=method)
        bound = cramer_rao(reduced, sigma, protocol, noise, pairs=mode)
        found.append(simulated_estimates(result, *layout, mode))
        judged.append(error_table(result, sigma, bound, *layout, mode))
    units = {name: "S/m" for name in reduced.names}
    results.write_table(
        estimates, pd.concat(found, ignore_index=True), units=units, provenance=provenance
    )
    units = dict.fromkeys(("true", "estimate"), "S/m")
    results.write_table(
        errors, pd.concat(judged, ignore_index=True), units=units, provenance=provenance
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
