"""Draw the losses of the three networks."""

from headcond.figures.conductivity import plot_losses
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run


def main(histories, losses, axes, note, provenance):
    """Write Fig. 4 of the CondNet paper for this study."""
    tables = dict(zip(axes, map(results.read_table, histories), strict=True))
    save(plot_losses(tables), losses, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
