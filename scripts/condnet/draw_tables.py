"""Draw the maps of several conductivity tables, all of one network, next to each other."""

from headcond.figures.conductivity import central_voxel, plot_maps, shared_limits
from headcond.figures.slices import bounding_box, conductivity_limits
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(
    t1, t2, uniform, blurred, condnet, several, tables, frequency, note, provenance, true=None
):  # fmt: skip
    """Write Fig. 8 of the CondNet paper: the maps of every table, and the truth if known."""
    volumes = {}
    for table, *paths in zip(tables, uniform, blurred, condnet, strict=True):
        for name, path in zip(("uniform", "blurred", "estimated"), paths, strict=True):
            volumes[f"{name} ({table})"], affine = results.read_volume(path)
    if true:
        volumes["true"], _ = results.read_volume(true)
    head = next(iter(volumes.values())) > 0
    box = bounding_box(head)
    images = {"T1w": results.read_volume(t1)[0][box], "T2w": results.read_volume(t2)[0][box]}
    shown = {title: volume[box] for title, volume in volumes.items()}
    limits = shared_limits([conductivity_limits(conductivity_table(t, frequency)) for t in tables])
    centre = central_voxel(head[box], affine)
    figure = plot_maps(images, shown, affine, centre, limits, details=True)
    save(figure, several, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
