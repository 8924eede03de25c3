"""Put the batches of Experiment 1 together: one table, and its figures."""

import pandas as pd

from headcond.experiments.convergence import enough_snapshots, summarise_errors
from headcond.figures.rom import plot_convergence, plot_error_measures, plot_stopping
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(
    errors, histories, convergence, measures_figure, bounds_figure, stopping_figure, noise, note,
    provenance,
):  # fmt: skip
    """Write the summary and the figures; a certified bound below an error is a failure."""
    table = pd.concat([results.read_table(path) for path in errors], ignore_index=True)
    steps = pd.concat([results.read_table(path) for path in histories], ignore_index=True)
    found = summarise_errors(table, steps)
    rule = {norm: enough_snapshots(part, noise) or "n/a" for norm, part in found.groupby("norm")}
    results.write_table(
        convergence, found, units={"passive_error": "V"}, provenance=provenance,
        certified={"energy": True, "euclidean": "no: interpolated stability factors"},
        snapshots_to_a_tenth_of_the_noise=rule,
    )  # fmt: skip
    save(plot_error_measures(found, noise), measures_figure, note, provenance=provenance)
    save(plot_convergence(found), bounds_figure, note, provenance=provenance)
    save(plot_stopping(table, steps, noise), stopping_figure, note, provenance=provenance)
    violated = int(found.loc[found["norm"] == "energy", "violated"].sum())
    if violated:
        raise RuntimeError(f"{violated} energy bounds are below the true error: see {convergence}.")


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
