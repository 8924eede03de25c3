"""Placements of the coil that a study's key `tms.further_positions` lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError
from headcond.tms.coil import Coil
from headcond.tms.placement import check_outside, place, rotated, scalp_grid


def coil_positions(
    positions: Sequence[Mapping[str, Any]],
    cap: Mapping[str, ArrayLike],
    head: np.ndarray,
    affine: np.ndarray,
    distance: float,
    coil: Coil,
) -> Iterator[tuple[dict[str, Any], Coil]]:
    """Yield every placement of a list, and the coil at it.

    Parameters
    ----------
    positions : entries with `position` and `handle` (cap positions), and, where given, `angles`
        (degrees) and a `grid` (`spacing_mm`, `steps`) around the position.
    cap : cap positions, mm in the head's world.
    head : (nx, ny, nz) bool.
    affine : (4, 4) voxel to world, mm.
    distance : of the coil's case from the scalp, m.
    coil : in its own frame.

    Raises
    ------
    InputError
        If a coil touches the head.
    """
    for entry in positions:
        names = {key: entry[key] for key in ("position", "handle")}
        middle = place(head, affine, cap[entry["position"]], cap[entry["handle"]], distance, coil)
        points = [((0.0, 0.0), middle)]
        if "grid" in entry:
            grid = entry["grid"]
            points = scalp_grid(
                head, affine, middle, grid["spacing_mm"], grid["steps"], distance, coil
            )
        for (across, along), matrix in points:
            for angle in entry.get("angles", [0.0]):
                where = {**names, "angle": angle, "across": across, "along": along}
                placed = coil.transformed(rotated(matrix, angle))
                try:
                    check_outside(head, affine, placed.source_points())
                except InputError as error:
                    raise InputError(f"tms.further_positions, {where}: {error}") from None
                yield where, placed
