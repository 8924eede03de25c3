"""Coil and regions of a study's section `tms`, as objects of `headcond.tms`."""

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
    """Coil of a study's section `tms.coil`: its coil file, else the figure of eight."""
    if "file" in settings:
        return read(settings["file"])
    sizes = ("outer_diameter", "inner_diameter", "turns", "wing_distance")
    return figure_of_eight(*(settings[name] for name in sizes))


def head_regions(
    labels: str | Path, mni: str | Path, warp: str | Path, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Masks of the regions in which fields are compared.

    Parameters
    ----------
    labels : label map in headcond13's numbers.
    mni : JSON file with the `matrix` from the head's world to MNI, mm.
    warp : displacement of a deformable registration; empty if there is none.
    settings : a study's section `tms.hand_knob`.

    Returns
    -------
    masks : region -> (nx, ny, nz) bool; the hand knob, then those of `region_masks`.
    affine : (4, 4) voxel to world, mm.
    """
    tissue, affine = results.read_volume(labels, dtype="uint8")
    field = None
    if warp:
        shift, grid = results.read_components(warp)
        field = np.moveaxis(shift, 0, -1), grid
    matrix = np.array(results.read_json(mni)["matrix"])
    knob = hand_knob(
        affine, tissue.shape, matrix, settings["centre_mni_mm"], settings["radius_mm"], field
    )
    return {"hand_knob": knob & (tissue > 0), **region_masks(tissue)}, affine
