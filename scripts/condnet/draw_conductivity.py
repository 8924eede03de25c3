"""Draw the images and conductivity maps of a subject in three planes."""

from headcond.figures.conductivity import beside_images, middle
from headcond.figures.maps import bounding_box, conductivity_limits
from headcond.figures.style import save
from headcond.files import results
from headcond.reporting.stimulation import SHOWN_NAMES
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(t1, t2, maps, conductivity, models, table, frequency, note, provenance):
    """Write Fig. 6 of the CondNet paper: T1w, T2w and every map on one colour scale."""
    volumes = {}
    for name, path in zip(models, maps, strict=True):
        volumes[SHOWN_NAMES.get(name, name)], affine = results.read_volume(path)
    head = volumes["estimated"] > 0
    box = bounding_box(head)
    images = {"T1w": results.read_volume(t1)[0][box], "T2w": results.read_volume(t2)[0][box]}
    figure = beside_images(
        images,
        {title: volume[box] for title, volume in volumes.items()},
        affine,
        middle(head[box], affine),
        conductivity_limits(conductivity_table(table, frequency)),
    )
    save(figure, conductivity, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
