"""Sections of a study as objects of `headcond.tms`: coil and regions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headcond.files import results
from headcond.tms.coil import Coil, figure_of_eight
from headcond.tms.coil_files import read
from headcond.tms.regions import hand_knob, region_masks


def make_coil(settings: Mapping[str, Any]) -> Coil:
    """Coil of the study's `tms.coil`: a dipole file if it names one, else the figure of eight."""
    if "file" in settings:
        return read(settings["file"])
    return figure_of_eight(
        settings["outer_diameter"],
        settings["inner_diameter"],
        settings["turns"],
        settings["wing_distance"],
    )


def head_regions(
    labels: str | Path, mni: str | Path, warp: str | Path, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Masks of the head, its brain, the rest, and the hand knob; and the affine of the grid.

    `warp` is the displacement of a deformable registration, or empty.
    """
    tissue, affine = results.read_volume(labels, dtype="uint8")
    field = None
    if warp:
        shift, grid = results.read_components(warp)
        field = np.moveaxis(shift, 0, -1), grid
    knob = hand_knob(
        affine,
        tissue.shape,
        np.array(results.read_json(mni)["matrix"]),
        settings["centre_mni_mm"],
        settings["radius_mm"],
        field,
    )
    return {"hand_knob": knob & (tissue > 0), **region_masks(tissue)}, affine
