"""Draw Experiment 4: scatter of the skull's estimates by reference, beside the spongy bone."""

from headcond import io
from headcond.figures.inversion import references as scalp_maps
from headcond.figures.style import save


def main(references, places, references_figure, note, provenance):
    """Write three maps of the scalp from above."""
    table = io.read_table(references)
    figure = scalp_maps(table, io.read_table(places))
    told = f"{note}; up to {table['patterns'].max()} patterns for each reference"
    save(figure, references_figure, told, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
