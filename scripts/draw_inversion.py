"""Draw Experiment 2 or 3: errors against systems, snapshots and noise."""

from headcond import io
from headcond.figures.inversion import errors
from headcond.figures.style import save


def main(sweep_table, baseline_table, inversion, noise, note, provenance):
    """Write one figure of four panels; pairs and samples stand in its note."""
    table, runs = io.read_table(sweep_table), None
    facts = io.read_json(io.sidecar_path(sweep_table))
    told = f"reduced: {facts['pairs']} pairs x {facts['samples']} samples"
    if baseline_table:
        runs = io.read_table(baseline_table)
        facts = io.read_json(io.sidecar_path(baseline_table))
        lost = runs[~runs["kept"]].groupby(["sample", "pair"]).ngroups
        told += f"; traditional: {facts['pairs']} x {facts['samples']}, {lost} runs removed"
    save(errors(table, runs, noise), inversion, f"{note}; {told}", provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
