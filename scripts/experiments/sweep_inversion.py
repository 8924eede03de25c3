"""Experiment 2: errors of estimates against snapshots and noise."""

import pandas as pd

from headcond.experiments.convergence import snapshot_counts
from headcond.experiments.estimation import sweep
from headcond.files import results
from headcond.rom.model import ReducedModel


def main(model, voltages, truth, sweep_table, noise, noises, reference, modes, seed, provenance):
    """Write the errors for every number of snapshots at one noise, and for every noise."""
    reduced = ReducedModel.read(model)
    true = results.read_table(truth)
    names = [f"{pair.source}-{pair.sink}" for pair in reduced.pairs]
    order = pd.MultiIndex.from_product([true["sample"], names, reduced.electrodes])
    table = results.read_table(voltages).set_index(["sample", "pair", "electrode"])
    clean = table["noiseless"].loc[order].to_numpy()
    found = sweep(
        reduced, clean.reshape(len(true), len(names), -1), true[list(reduced.box.names)].to_numpy(),
        noise=noise, noises=noises, reference=reference, modes=modes, seed=seed,
        snapshots=snapshot_counts(reduced.pairs[0].snapshots, 8),
    )  # fmt: skip
    percent = dict.fromkeys(("mean", "median", "largest", "bound", "variation"), "%")
    results.write_table(sweep_table, found, units={"noise": "V", **percent}, provenance=provenance,
                   pairs=len(names), samples=len(true))  # fmt: skip


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
