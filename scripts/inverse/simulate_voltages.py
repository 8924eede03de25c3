"""Simulate voltages by full solves at random conductivities, with electrode noise."""

from functools import partial

import numpy as np
import pandas as pd

from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.inverse.full_order import FullModel
from headcond.inverse.noise import add_noise
from headcond.inverse.simulation import potential_table
from headcond.random import generator
from headcond.rom.model import ReducedModel
from headcond.study.step import run


def main(
    operators, model, voltages, truth, seed, samples, noise, backend, preconditioner, provenance
):
    """Write the noisy electrode potentials of every sample and pair, and the truth."""
    reduced = ReducedModel.read(model)
    how = {
        "pairs": [(pair.source, pair.sink) for pair in reduced.pairs],
        "current": reduced.current,
    }
    solver = partial(make_solver, backend=backend, preconditioner=preconditioner)
    full = FullModel(AffineOperator.read(operators), reduced.box, solver_factory=solver, **how)
    draw = generator(seed, "inverse", "truth")
    sigma = draw.uniform(full.lower, full.upper, (samples, len(full.names)))
    clean = full.voltages(sigma)
    noisy = add_noise(clean, noise, generator(seed, "inverse", "noise"))
    table = potential_table(
        {"potential": noisy, "noiseless": clean}, full.pairs, full.electrodes, range(samples)
    )
    units = {"potential": "V, up to a constant per sample and pair", "noiseless": "V"}
    results.write_table(voltages, table, units=units, provenance=provenance)
    table = pd.DataFrame(sigma, columns=list(full.names))
    table.insert(0, "sample", np.arange(samples))
    units = {name: "S/m" for name in full.names}
    results.write_table(truth, table, units=units, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
