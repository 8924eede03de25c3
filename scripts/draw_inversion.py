"""Draw Experiment 2 or 3: errors against systems solved, snapshots and noise."""

from headcond import io
from headcond.figures.inversion import errors, systems
from headcond.figures.style import save


def main(sweep_table, baseline_table, inversion, noises_figure, noise, note, provenance):
    """Write both figures; pairs and samples stand in their notes."""
    table, runs = io.read_table(sweep_table), None
    facts = io.read_json(io.sidecar_path(sweep_table))
    told = f"{note}; reduced: {facts['pairs']} pairs x {facts['samples']} samples"
    save(errors(table, noise), noises_figure, told, provenance=provenance)
    if baseline_table:
        runs = io.read_table(baseline_table)
        facts = io.read_json(io.sidecar_path(baseline_table))
        lost = runs[~runs["kept"]].groupby(["sample", "pair"]).ngroups
        told += f"; traditional: {facts['pairs']} x {facts['samples']}, {lost} runs removed"
    save(systems(table, runs, noise), inversion, told, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
