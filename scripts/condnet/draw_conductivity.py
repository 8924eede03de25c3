"""Draw the images and conductivity maps of a subject in three planes."""

from headcond.figures.conductivity import central_voxel, plot_maps
from headcond.figures.names import map_name
from headcond.figures.slices import bounding_box, conductivity_limits
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(t1, t2, maps, conductivity, models, table, frequency, note, provenance):
    """Write Fig. 6 of the CondNet paper: T1w, T2w and every map on one colour scale."""
    volumes = {}
    for name, path in zip(models, maps, strict=True):
        volumes[map_name(name)], affine = results.read_volume(path)
    head = volumes["estimated"] > 0
    box = bounding_box(head)
    images = {"T1w": results.read_volume(t1)[0][box], "T2w": results.read_volume(t2)[0][box]}
    shown = {title: volume[box] for title, volume in volumes.items()}
    limits = conductivity_limits(conductivity_table(table, frequency))
    figure = plot_maps(images, shown, affine, central_voxel(head[box], affine), limits)
    save(figure, conductivity, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
