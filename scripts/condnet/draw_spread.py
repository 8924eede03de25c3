"""Draw how far the predictions of the three slicing axes lie apart."""

from headcond.condnet.fusion import rescale
from headcond.figures.conductivity import central_voxel, plot_axis_spread
from headcond.figures.slices import bounding_box, conductivity_limits
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(condnet, deviation, spread, table, frequency, tau, note, provenance):
    """Write the spread of the first table's map in S/m, and relative to the map."""
    estimated, affine = results.read_volume(condnet)
    values = conductivity_table(table, frequency)
    apart = rescale(results.read_components(deviation)[0][:1], [max(values.values())], tau)[0]
    box = bounding_box(estimated > 0)
    centre = central_voxel(estimated[box] > 0, affine)
    limits = conductivity_limits(values)
    figure = plot_axis_spread(estimated[box], apart[box], affine, centre, limits)
    save(figure, spread, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
