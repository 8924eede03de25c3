"""Place the coil on the scalp."""

import numpy as np
from coils import make_coil

from headcond import io
from headcond.caps import cap_positions
from headcond.tms.placement import place


def main(labels, mni, placement, position, handle, distance, coil, provenance):
    """Write the matrix from the coil's frame to the world (m), and the scalp positions used."""
    tissue, affine = io.read_volume(labels, dtype="uint8")
    cap = cap_positions("standard_1005", np.array(io.read_json(mni)["matrix"]), (position, handle))
    wire = make_coil(coil)
    matrix = place(tissue, affine, cap[position], cap[handle], distance, wire)
    io.write_json(
        placement,
        {
            "coil_to_world": matrix,
            "units": "m; x right wing, y handle, z into the head",
            "position_mm": {name: cap[name] for name in (position, handle)},
            "coil": wire.name,
            "provenance": provenance,
        },
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
