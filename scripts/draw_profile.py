"""Draw conductivity along a line through the head."""

import numpy as np

from headcond import io
from headcond.figures.maps import bounding_box
from headcond.figures.maps import profile as draw
from headcond.figures.style import save


def main(maps, profile, models, note, provenance):
    """Write the left-right profile of every conductivity map."""
    volumes = {}
    for name, path in zip(models, maps, strict=True):
        volumes["estimated" if name == "condnet" else name], affine = io.read_volume(path)
    box = bounding_box(next(iter(volumes.values())) > 0)
    volumes = {title: volume[box] for title, volume in volumes.items()}
    centre = np.array(next(iter(volumes.values())).shape) * [0.5, 0.5, 0.6]
    save(draw(volumes, affine, centre.astype(int)), profile, note, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
