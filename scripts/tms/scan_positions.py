"""Compare conductivity maps at several positions of the coil, each map set up once."""

import numba
import numpy as np

from headcond.caps import cap_positions
from headcond.files import results
from headcond.study.step import run
from headcond.study.tms_inputs import head_regions, make_coil
from headcond.study.tms_positions import coil_positions
from headcond.tms.positions import compare_positions


def main(
    labels, mni, warp, uniform, estimated, table, subject, positions, distance, coil, didt,
    tolerance, hand_knob, threads, provenance,
):  # fmt: skip
    """Write peak fields, global error and certificate of every position and region."""
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    regions, affine = head_regions(labels, mni, warp, hand_knob)
    names = sorted({name for entry in positions for name in (entry["position"], entry["handle"])})
    cap = cap_positions("standard_1005", np.array(results.read_json(mni)["matrix"]), names)
    wire = make_coil(coil)
    # All coils are placed before a field is solved: one that touches the head ends the step here.
    placed = list(coil_positions(positions, cap, regions["head"], affine, distance, wire))
    paths = {"uniform": uniform, "condnet": estimated}
    maps = {name: results.read_volume(path)[0] for name, path in paths.items()}
    rows = compare_positions(maps, affine, placed, regions, didt, tolerance)
    rows.insert(0, "subject", subject)
    units = {"angle": "degrees", "across": "mm", "along": "mm", "field": "V/m"}
    units |= {"mean_percent": "% of the region's largest field", "seconds": "s"}
    results.write_table(table, rows, units=units, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
