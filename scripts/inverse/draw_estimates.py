"""Draw the relative errors of the estimated conductivities."""

from headcond.figures.estimates import plot_relative_errors
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(errors, estimates, modes, note, provenance):
    """Write boxes of the relative error, per tissue and mode."""
    table = results.read_table(errors)
    figure = plot_relative_errors(table, list(table["parameter"].unique()), modes)
    note = f"{note}; {table['sample'].nunique()} random conductivities"
    save(figure, estimates, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
