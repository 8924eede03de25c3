"""Experiment 2: errors of estimates against snapshots and noise."""

from headcond.experiments.convergence import snapshot_counts
from headcond.experiments.estimation import sweep
from headcond.files import results
from headcond.inverse.simulation import read_potentials
from headcond.rom.model import ReducedModel
from headcond.study.step import run


def main(model, voltages, truth, sweep_table, noise, noises, reference, modes, seed, provenance):
    """Write the errors for every number of snapshots at one noise, and for every noise."""
    reduced, true = ReducedModel.read(model), results.read_table(truth)
    pairs = [(pair.source, pair.sink) for pair in reduced.pairs]
    clean = read_potentials(voltages, "noiseless", pairs, reduced.electrodes, true["sample"])
    table = sweep(
        reduced, clean, true[list(reduced.box.names)].to_numpy(),
        noise=noise, noises=noises, reference=reference, modes=modes, seed=seed,
        snapshots=snapshot_counts(reduced.pairs[0].snapshots, 8),
    )  # fmt: skip
    units = {"noise": "V"} | dict.fromkeys(("mean", "median", "largest", "bound", "variation"), "%")
    results.write_table(
        sweep_table, table, units=units, provenance=provenance, pairs=len(pairs), samples=len(true)
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
