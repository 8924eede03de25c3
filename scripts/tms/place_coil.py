"""Place the coil on the scalp."""

import numpy as np

from headcond.caps import cap_positions
from headcond.files import results
from headcond.study.step import run
from headcond.study.tms_inputs import make_coil
from headcond.tms.placement import distances, from_matrix, place


def main(labels, mni, placement, position, handle, distance, coil, matsimnibs, provenance):
    """Write the matrix from the coil's frame to the world (m), and how far the coil stands off."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    wire = make_coil(coil)
    about = {"placed_by": "matrix"}
    if matsimnibs:
        matrix = from_matrix(tissue, affine, matsimnibs, wire)
    else:
        way = np.array(results.read_json(mni)["matrix"])
        cap = cap_positions("standard_1005", way, (position, handle))
        matrix = place(tissue, affine, cap[position], cap[handle], distance, wire)
        about = {
            "placed_by": f"{position}, handle towards {handle}",
            "position_mm": {name: cap[name] for name in (position, handle)},
        }
    units = "m; x right wing, y handle, z into the head"
    facts = {"coil_to_world": matrix, "units": units, "coil": wire.name, **about}
    facts |= distances(tissue, affine, matrix, wire)
    results.write_json(placement, {**facts, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
