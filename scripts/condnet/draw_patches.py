"""Draw where the homogeneous patches lie, and boxes of every map in them."""

from headcond.figures.patches import plot_patches
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(t1, patches, figure, models, table, frequency, note, provenance):
    """Write Fig. 7 of the CondNet paper for one head."""
    image, affine = results.read_volume(t1)
    values = conductivity_table(table, frequency)
    drawn = plot_patches(results.read_table(patches), values, image, affine, models)
    save(drawn, figure, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
