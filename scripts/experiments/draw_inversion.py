"""Draw Experiment 2 or 3: errors against systems solved, snapshots and noise."""

from headcond.figures.experiments import plot_errors, plot_errors_by_systems
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(sweep_table, baseline_table, inversion, noises_figure, noise, note, provenance):
    """Write both figures; pairs and samples stand in their notes."""
    table, runs = results.read_table(sweep_table), None
    facts = results.read_json(results.sidecar_path(sweep_table))
    subtitle = f"{note}; reduced: {facts['pairs']} pairs x {facts['samples']} samples"
    save(plot_errors(table, noise), noises_figure, subtitle, provenance=provenance)
    if baseline_table:
        runs = results.read_table(baseline_table)
        facts = results.read_json(results.sidecar_path(baseline_table))
        lost = runs[~runs["kept"]].groupby(["sample", "pair"]).ngroups
        subtitle += f"; traditional: {facts['pairs']} x {facts['samples']}, {lost} runs removed"
    save(plot_errors_by_systems(table, runs, noise), inversion, subtitle, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
