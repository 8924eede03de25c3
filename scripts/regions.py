"""Regions of a head in which fields are compared."""

import numpy as np

from headcond import io
from headcond.tms.regions import hand_knob, region_masks


def head_regions(labels, mni, settings):
    """Masks of the head, its brain, the rest, and the hand knob; and the affine of the grid."""
    tissue, affine = io.read_volume(labels, dtype="uint8")
    knob = hand_knob(
        affine,
        tissue.shape,
        np.array(io.read_json(mni)["matrix"]),
        settings["centre_mni_mm"],
        settings["radius_mm"],
    )
    return {"hand_knob": knob & (tissue > 0), **region_masks(tissue)}, affine
