"""Compare conductivity maps at several positions of the coil, each map set up once."""

import numba
import numpy as np
import pandas as pd
from coils import make_coil
from regions import head_regions

from headcond import io
from headcond.caps import cap_positions
from headcond.metrics import global_error
from headcond.metrics import peaks as peaks_of
from headcond.tms.placement import place
from headcond.tms.spfd import Problem

PERCENTILE = 99.9


def main(
    labels, mni, uniform, estimated, table, subject, positions, distance, coil, didt, tolerance,
    hand_knob, threads, provenance,
):  # fmt: skip
    """Write peak fields, global error and certificate of every position and region."""
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    regions, affine = head_regions(labels, mni, hand_knob)
    names = sorted({name for entry in positions for name in (entry["position"], entry["handle"])})
    cap = cap_positions("standard_1005", np.array(io.read_json(mni)["matrix"]), names)
    wire = make_coil(coil)
    problems = {
        name: Problem(io.read_volume(path)[0], affine)
        for name, path in (("uniform", uniform), ("condnet", estimated))
    }
    rows = []
    for entry in positions:
        at, handle = entry["position"], entry["handle"]
        placed = wire.transformed(
            place(regions["head"], affine, cap[at], cap[handle], distance, wire)
        )
        fields = {name: one.solve(placed, didt, tolerance) for name, one in problems.items()}
        pair = [fields[name].vector for name in ("uniform", "condnet")]
        for region, mask in regions.items():
            error = global_error(*(np.linalg.norm(field, axis=-1) for field in pair), mask)
            for name, field in fields.items():
                rows.append({
                    "subject": subject, "position": at, "handle": handle, "region": region,
                    "model": name, "percentile": PERCENTILE,
                    "field": float(peaks_of(field.vector, mask, (PERCENTILE,))[0]),
                    "mean_percent": error.mean, "std_percent": error.std,
                    "iterations": field.iterations, "residual": field.residual,
                    "seconds": sum(field.seconds.values()) - field.seconds["prepare"],
                    "prepare_seconds": field.seconds["prepare"],
                })  # fmt: skip
    units = {"field": "V/m", "mean_percent": "% of the region's largest field", "seconds": "s"}
    io.write_table(table, pd.DataFrame(rows), units=units, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
