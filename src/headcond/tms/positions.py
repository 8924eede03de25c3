"""One coil at several positions: fields of several conductivity maps at each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from headcond.metrics import global_error, peak_percentiles
from headcond.tms.coil import Coil
from headcond.tms.spfd import Problem

PERCENTILE = 99.9  # of |E|, reported as the peak


def compare_positions(
    maps: Mapping[str, np.ndarray],
    affine: np.ndarray,
    placed: Sequence[tuple[Mapping[str, Any], Coil]],
    regions: Mapping[str, np.ndarray],
    didt: float,
    tolerance: float,
) -> pd.DataFrame:
    """Peak fields of two conductivity maps, and their global error, at every position.

    Each map is set up once, and every field starts from those solved before it.

    Parameters
    ----------
    maps : two conductivity maps (nx, ny, nz), S/m, by name.
    affine : (4, 4) voxel to world, mm.
    placed : see `coil_positions`.
    regions : (nx, ny, nz) bool by name.
    didt : A/s.
    tolerance : relative residual at which a field is solved.

    Returns
    -------
    A row per position, region and map: `field` (V/m), `mean_percent` and `std_percent` of the
    global error, `iterations`, `residual`, `seconds` and `prepare_seconds`.
    """
    problems = {name: Problem(sigma, affine) for name, sigma in maps.items()}
    coils = [coil for _, coil in placed]
    solved = zip(
        *(one.solve_each(coils, didt, tolerance) for one in problems.values()), strict=True
    )
    rows = []
    for (where, _), solutions in zip(placed, solved, strict=True):
        fields = dict(zip(problems, solutions, strict=True))
        sizes = [np.linalg.norm(field.vector, axis=-1) for field in solutions]
        for region, mask in regions.items():
            error = global_error(*sizes, mask)
            rows += [
                {
                    **where,
                    "region": region,
                    "model": name,
                    "percentile": PERCENTILE,
                    "field": float(peak_percentiles(field.vector, mask, (PERCENTILE,))[0]),
                    "mean_percent": error.mean,
                    "std_percent": error.std,
                    "iterations": field.iterations,
                    "residual": field.residual,
                    "seconds": sum(field.seconds.values()) - field.seconds["prepare"],
                    "prepare_seconds": field.seconds["prepare"],
                }
                for name, field in fields.items()
            ]
    return pd.DataFrame(rows)
