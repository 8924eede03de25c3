"""Draw how the greedy search went, and certified bounds against true errors."""

from headcond.figures.curves import bound_and_error
from headcond.figures.curves import greedy as draw_greedy
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(greedy, validation, greedy_figure, bound, note, provenance):
    """Write both figures of the reduced model."""
    save(draw_greedy(results.read_table(greedy)), greedy_figure, note, provenance=provenance)
    save(bound_and_error(results.read_table(validation)), bound, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
