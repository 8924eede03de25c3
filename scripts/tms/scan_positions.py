"""Compare conductivity maps at several positions of the coil, each map set up once."""

import numba
import numpy as np
import pandas as pd

from headcond.caps import cap_positions
from headcond.checks import InputError
from headcond.files import results
from headcond.metrics import global_error, peak_percentiles
from headcond.study.fields import head_regions, make_coil
from headcond.tms.placement import check_outside, place, rotated, scalp_grid
from headcond.tms.spfd import Problem

PERCENTILE = 99.9


def placements(positions, cap, head, affine, distance, wire):
    """Yield what tells a placement of the study from the others, and the coil that stands there.

    All are placed before anything is solved, so that a coil that touches the head is told first.
    """
    for entry in positions:
        names = {key: entry[key] for key in ("position", "handle")}
        middle = place(head, affine, cap[entry["position"]], cap[entry["handle"]], distance, wire)
        points = [((0.0, 0.0), middle)]
        if "grid" in entry:
            grid = entry["grid"]
            points = scalp_grid(
                head, affine, middle, grid["spacing_mm"], grid["steps"], distance, wire
            )
        for (across, along), matrix in points:
            for angle in entry.get("angles", [0.0]):
                where = {**names, "angle": angle, "across": across, "along": along}
                coil = wire.transformed(rotated(matrix, angle))
                try:
                    check_outside(head, affine, coil.source_points())
                except InputError as error:
                    raise InputError(f"tms.further_positions, {where}: {error}") from None
                yield where, coil


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
    placed = list(placements(positions, cap, regions["head"], affine, distance, wire))
    problems = {
        name: Problem(results.read_volume(path)[0], affine)
        for name, path in (("uniform", uniform), ("condnet", estimated))
    }
    coils = [coil for _, coil in placed]
    # One set-up per map; every field starts from what those before it have in common with it.
    solved = zip(
        *(one.solve_each(coils, didt, tolerance) for one in problems.values()), strict=True
    )
    rows = []
    for (where, _), found in zip(placed, solved, strict=True):
        fields = dict(zip(problems, found, strict=True))
        pair = [fields[name].vector for name in ("uniform", "condnet")]
        for region, mask in regions.items():
            error = global_error(*(np.linalg.norm(field, axis=-1) for field in pair), mask)
            for name, field in fields.items():
                rows.append({
                    "subject": subject, **where, "region": region,
                    "model": name, "percentile": PERCENTILE,
                    "field": float(peak_percentiles(field.vector, mask, (PERCENTILE,))[0]),
                    "mean_percent": error.mean, "std_percent": error.std,
                    "iterations": field.iterations, "residual": field.residual,
                    "seconds": sum(field.seconds.values()) - field.seconds["prepare"],
                    "prepare_seconds": field.seconds["prepare"],
                })  # fmt: skip
    units = {
        "angle": "degrees",
        "across": "mm",
        "along": "mm",
        "field": "V/m",
        "mean_percent": "% of the region's largest field",
        "seconds": "s",
    }
    results.write_table(table, pd.DataFrame(rows), units=units, provenance=provenance)


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
