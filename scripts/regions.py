"""Regions of a head in which fields are compared."""

import numpy as np

from headcond import io
from headcond.tms.regions import hand_knob, region_masks


def head_regions(labels, mni, warp, settings):
    """Masks of the head, its brain, the rest, and the hand knob; and the affine of the grid.

    `warp` is the displacement of a deformable registration, or empty.
    """
    tissue, affine = io.read_volume(labels, dtype="uint8")
    field = None
    if warp:
        shift, grid = io.read_components(warp)
        field = np.moveaxis(shift, 0, -1), grid
    knob = hand_knob(
        affine,
        tissue.shape,
        np.array(io.read_json(mni)["matrix"]),
        settings["centre_mni_mm"],
        settings["radius_mm"],
        field,
    )
    return {"hand_knob": knob & (tissue > 0), **region_masks(tissue)}, affine
