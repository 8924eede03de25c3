"""Draw how the greedy search went, and certified bounds against true errors."""

from headcond.figures.rom import plot_bound_and_error, plot_greedy
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(greedy, validation, greedy_figure, bound, note, provenance):
    """Write both figures of the reduced model."""
    save(plot_greedy(results.read_table(greedy)), greedy_figure, note, provenance=provenance)
    save(plot_bound_and_error(results.read_table(validation)), bound, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
