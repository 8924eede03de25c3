"""Draw conductivity along a line through the head."""

import numpy as np

from headcond.figures.conductivity import plot_profile
from headcond.figures.names import map_name
from headcond.figures.slices import bounding_box, conductivity_limits
from headcond.figures.style import save
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(maps, profile, models, table, frequency, note, provenance):
    """Write Fig. 2 of the CondNet paper: the left-right profile of every conductivity map."""
    volumes = {}
    for name, path in zip(models, maps, strict=True):
        volumes[map_name(name)], affine = results.read_volume(path)
    box = bounding_box(next(iter(volumes.values())) > 0)
    volumes = {title: volume[box] for title, volume in volumes.items()}
    centre = np.array(next(iter(volumes.values())).shape) * [0.5, 0.5, 0.6]
    limits = conductivity_limits(conductivity_table(table, frequency))
    figure = plot_profile(volumes, affine, centre.astype(int), limits)
    save(figure, profile, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
