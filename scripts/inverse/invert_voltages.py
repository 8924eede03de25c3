"""Estimate conductivities from voltages, per pair and from all pairs together."""

import numpy as np
import pandas as pd

from headcond.checks import InputError
from headcond.files import results
from headcond.inverse.estimates import cramer_rao
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from headcond.metrics import relative_error
from headcond.rom.model import ReducedModel


def main(model, voltages, truth, estimates, errors, noise, reference, method, modes, provenance):
    """Write every estimate with its uncertainty, and its relative error (eq. 12)."""
    reduced = ReducedForward(ReducedModel.read(model))
    names = [f"{source}-{sink}" for source, sink in reduced.pairs]
    table = results.read_table(voltages)
    true = results.read_table(truth)
    shape = (len(true), len(names), len(reduced.electrodes))
    wide = table.set_index(["sample", "pair", "electrode"])["potential"].reindex(
        pd.MultiIndex.from_product([true["sample"], names, reduced.electrodes])
    )
    if wide.isna().any():
        raise InputError(f"{voltages}: no potential for {wide.index[wide.isna()][0]}.")
    protocol = make_protocol(reduced.pairs, reduced.electrodes, reference)
    data = readings(wide.to_numpy().reshape(shape), protocol)
    sigma = true[list(reduced.names)].to_numpy()
    found, judged = [], []
    for mode in modes:
        result = estimate(reduced, data, protocol, noise, pairs=mode, method=method)
        expected = sigma[:, None] if mode == "each" else sigma
        error = relative_error(result.sigma, np.broadcast_to(expected, result.sigma.shape))
        bound = cramer_rao(reduced, sigma, protocol, noise, pairs=mode)
        for index in np.ndindex(result.chi_square.shape):
            pair = names[index[1]] if mode == "each" else "all"
            common = {"mode": mode, "sample": true["sample"][index[0]], "pair": pair}
            found.append(
                {
                    **common,
                    **dict(zip(reduced.names, result.sigma[index], strict=True)),
                    "chi_square": result.chi_square[index],
                    "dof": result.dof[index],
                    "iterations": result.iterations[index],
                    "converged": result.converged[index],
                }
            )
            for k, name in enumerate(reduced.names):
                judged.append(
                    {
                        **common,
                        "parameter": name,
                        "true": expected[index[0], 0, k] if mode == "each" else sigma[index][k],
                        "estimate": result.sigma[index][k],
                        "relative_error_percent": error[index][k],
                        "cramer_rao_percent": 100 * bound[index][k] / sigma[index[0], k],
                        "at_wall": result.at_wall[index][k],
                    }
                )
    units = {name: "S/m" for name in reduced.names}
    results.write_table(estimates, pd.DataFrame(found), units=units, provenance=provenance)
    results.write_table(
        errors, pd.DataFrame(judged), units={"true": "S/m", "estimate": "S/m"},
        provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
