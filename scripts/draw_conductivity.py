"""Draw the conductivity maps of a subject in three planes."""

import numpy as np

from headcond import io
from headcond.figures.maps import bounding_box, slices
from headcond.figures.style import save
from headcond.tissues import conductivity_table


def main(t1, condnet, spread, uniform, true, conductivity, table, frequency, tau, note, provenance):
    """Write T1w, uniform, estimated and true conductivity, and the spread of the axes."""
    image, affine = io.read_volume(t1)
    estimated, _ = io.read_volume(condnet)
    scaled = io.read_components(spread)[0][0]
    scale = max(conductivity_table(table, frequency).values()) / (1 - tau)  # eq. 3
    maps = {"uniform": uniform, "estimated": condnet, "true": true}
    maps = {title: io.read_volume(path)[0] for title, path in maps.items() if path}
    maps["spread of axes"] = scaled * scale * (estimated > 0)
    box = bounding_box(estimated > 0)
    shown = {"T1w": image[box], **{title: volume[box] for title, volume in maps.items()}}
    high = 0.8  # most tissues lie below; CSF saturates
    limits = {title: (0.0, high) for title in shown} | {"T1w": (0.0, 1.0)}
    limits["spread of axes"] = (0.0, 0.2)
    looks = {title: "viridis" for title in shown} | {"T1w": "gray", "spread of axes": "magma"}
    centre = np.array(estimated[box].shape) // 2
    unit = {title: "S/m" for title in shown} | {"T1w": "normalised"}
    figure = slices(shown, affine, centre, unit=unit, limits=limits, colour_map=looks)
    save(figure, conductivity, note, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
