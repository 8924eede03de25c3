"""Spongy bone for labels with one class of skull: the part deep inside the bone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_positive, check_shape, voxel_sizes
from headcond.tissues import EIT_TISSUES

_COMPACT, _SPONGY = (EIT_TISSUES.index(name) + 1 for name in ("compact_bone", "spongy_bone"))

# Distances run between centres of voxels. The surface is half a voxel nearer where it is flat
# along the axes, and less where it is slanted: between the two.
_FACE = 0.25


def erode_skull(
    labels: np.ndarray, affine: np.ndarray, outer: float, inner: float
) -> tuple[np.ndarray, dict[str, int]]:
    """Split a skull of one class into tables of stated thickness and spongy bone between them.

    Bone further than `outer` from the skull's outside (air and scalp) and further than
    `inner` from its inside (csf, gm, wm) becomes spongy; where the skull is thinner than both
    tables together it stays compact. Distances are good to half a voxel.

    Parameters
    ----------
    labels : (nx, ny, nz) uint8 in the scheme eit6; spongy bone, if any, counts as skull.
    affine : (4, 4) voxel -> world, mm.
    outer, inner : thickness of the outer and of the inner table, mm.

    Returns
    -------
    labels : (nx, ny, nz) uint8, a copy.
    account : voxels of `compact_bone` and `spongy_bone` after, `spongy_before`.

    Raises
    ------
    InputError
        If there is no skull, or no spongy bone is left between tables this thick.
    """
    labels = check_shape("labels", labels, (None, None, None))
    outer, inner = check_positive("outer", outer), check_positive("inner", inner)
    spacing = voxel_sizes(check_affine("affine", affine))
    skull = (labels == _COMPACT) | (labels == _SPONGY)
    if not skull.any():
        raise InputError("The labels hold no skull.")
    outside = np.isin(labels, (0, EIT_TISSUES.index("scalp") + 1))
    deep = skull.copy()
    for side, thickness in ((outside, outer), (~skull & ~outside, inner)):
        if side.any():
            far = ndimage.distance_transform_edt(~side, sampling=spacing) - _FACE * spacing.min()
            deep &= far > thickness
    if not deep.any():
        raise InputError(
            f"No bone is deeper than {outer:g} mm (outer table) and {inner:g} mm (inner "
            "table): state thinner tables, or leave spongy bone out."
        )
    split = np.array(labels, np.uint8)
    split[skull] = _COMPACT
    split[deep] = _SPONGY
    return split, {
        "compact_bone": int(np.count_nonzero(split == _COMPACT)),
        "spongy_bone": int(np.count_nonzero(deep)),
        "spongy_before": int(np.count_nonzero(labels == _SPONGY)),
    }
