"""Regions over which fields are compared: hand knob, brain, non-brain, head."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from headcond import tissues
from headcond.checks import InputError, check_affine, check_finite, check_positive, check_shape
from headcond.mri.deform import displaced

BRAIN = ("gm", "wm", "cerebellum")
HAND_KNOB = (-42.0, -13.0, 66.0)


def hand_knob(affine: ArrayLike, shape: tuple[int, int, int], mni: ArrayLike,
              centre: ArrayLike = HAND_KNOB, radius: float = 5.0,
              warp: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:  # fmt: skip
    """Ball around the hand knob, in the subject's voxels.

    The paper prints MNI (42, -13, 66) mm, which is 110 mm from the stimulated C3; the default
    is its mirror image over the left hemisphere, where the field is strongest.

    Parameters
    ----------
    affine : (4, 4) voxel-to-world, mm.
    shape : of the voxel array.
    mni : (4, 4) world to MNI, both mm. The ball is a ball in MNI space.
    centre : (3,) MNI mm.
    radius : mm.
    warp : displacement (mx, my, mz, 3), mm, and its affine, of `mri.deform`: the point
        that the affine map `mni` takes to p is at p + u(p).

    Returns
    -------
    bool array of `shape`.

    Raises
    ------
    InputError
        If no voxel is in the ball.
    """
    to_mni = check_affine("mni", mni) @ check_affine("affine", affine)
    centre = check_shape("centre", np.asarray(centre, float), (3,))
    radius = check_positive("radius", radius)
    middle = np.linalg.solve(to_mni[:3, :3], centre - to_mni[:3, 3])
    # The ball's box in voxels: rows of the inverse map span |row| * radius around the centre.
    shift = 0.0 if warp is None else float(np.linalg.norm(warp[0], axis=-1).max())
    reach = np.linalg.norm(np.linalg.inv(to_mni[:3, :3]), axis=1) * (radius + shift)
    low = np.maximum(np.ceil(middle - reach), 0).astype(int)
    high = np.minimum(np.floor(middle + reach), np.array(shape) - 1).astype(int) + 1
    mask = np.zeros(shape, bool)
    if np.all(high > low):
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        index = np.stack(np.mgrid[box], axis=-1)
        place = index @ to_mni[:3, :3].T + to_mni[:3, 3]
        place = place if warp is None else displaced(place, *warp)
        mask[box] = np.linalg.norm(place - centre, axis=-1) <= radius
    if not mask.any():
        raise InputError(
            f"No voxel is within {radius} mm of MNI {tuple(centre)}: check the MNI transform."
        )
    return mask


def region_masks(labels13: ArrayLike) -> dict[str, np.ndarray]:
    """Masks `brain` (GM, WM, cerebellum), `non_brain` (the rest of the head) and `head`."""
    labels = check_shape("labels13", labels13, (None, None, None))
    brain = np.isin(labels, [tissues.TISSUES.index(name) + 1 for name in BRAIN])
    head = labels > 0
    return {"brain": brain, "non_brain": head & ~brain, "head": head}


def tissue_table(field: ArrayLike, labels13: ArrayLike, voxel_ml: float) -> pd.DataFrame:
    """Statistics of |E| in every tissue that is present.

    Parameters
    ----------
    field : (nx, ny, nz, 3) E, V/m.
    labels13 : (nx, ny, nz) headcond13 labels.
    voxel_ml : volume of a voxel, ml.

    Returns
    -------
    Table with the columns tissue, volume_ml, mean, std, median, p99, p99.9 and max (V/m).
    """
    labels = check_shape("labels13", labels13, (None, None, None))
    field = check_shape("field", field, (*labels.shape, 3))
    rows = []
    for index, name in enumerate(tissues.TISSUES, 1):
        size = np.linalg.norm(field[labels == index], axis=1)
        if size.size:
            middle, high, top = np.percentile(size, [50, 99, 99.9])
            rows.append(
                (name, size.size * voxel_ml, size.mean(), size.std(), middle, high, top, size.max())
            )
    columns = ["tissue", "volume_ml", "mean", "std", "median", "p99", "p99.9", "max"]
    return pd.DataFrame(rows, columns=columns)


def check_tissue(conductivity: ArrayLike, labels13: ArrayLike, name: str = "conductivity") -> None:
    """Refuse a conductivity that is not above 0 in a labelled tissue: it would insulate there.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m.
    labels13 : (nx, ny, nz) headcond13 labels.
    name : what the map is called in the message.

    Raises
    ------
    InputError
        Naming each tissue concerned with its number of voxels.
    """
    labels = check_shape("labels13", labels13, (None, None, None))
    sigma = check_finite(name, check_shape(name, conductivity, labels.shape))
    counts = np.bincount(labels[(labels > 0) & ~(sigma > 0)].ravel(), minlength=1)
    wrong = [f"{tissues.TISSUES[i - 1]} ({counts[i]})" for i in np.flatnonzero(counts)]
    if wrong:
        raise InputError(f"{name} is zero or negative in voxels of {', '.join(wrong)}: every "
                         "tissue must conduct; only air is 0.")  # fmt: skip
