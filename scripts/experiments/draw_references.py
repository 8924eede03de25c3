"""Draw Experiment 4: scatter of the skull's estimates by reference, next to the spongy bone."""

from headcond.figures.experiments import plot_references
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(references, places, references_figure, note, provenance):
    """Write three maps of the scalp from above."""
    table = results.read_table(references)
    figure = plot_references(table, results.read_table(places))
    subtitle = f"{note}; up to {table['patterns'].max()} patterns for each reference"
    save(figure, references_figure, subtitle, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
