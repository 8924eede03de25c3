"""How good labels and probabilities are, tissue by tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from headcond.checks import InputError, check_positive, check_shape
from headcond.segmentation.classes import UNKNOWN
from headcond.tissues import TISSUES

FEWEST = 200
"""Voxels that a tissue needs in the true labels to be scored."""
_ALL = 1 + len(TISSUES)


def dice_scores(labels: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Dice score 2 |A and B| / (|A| + |B|) of every tissue with `FEWEST` voxels in the target.

    Parameters
    ----------
    labels, target : ids of headcond13 of one shape; voxels of the target that are `UNKNOWN` do
        not count.
    """
    check_shape("labels", labels, target.shape)
    judged = target != UNKNOWN
    pairs = labels[judged].astype(np.int64) * _ALL + target[judged]
    table = np.bincount(pairs, minlength=_ALL**2).reshape(_ALL, _ALL)
    ours, true = table.sum(axis=1), table.sum(axis=0)
    return {
        name: float(2 * table[number, number] / (ours[number] + true[number]))
        for number, name in enumerate(TISSUES, start=1)
        if true[number] >= FEWEST
    }


def hausdorff95(labels: np.ndarray, target: np.ndarray, voxel_size: float) -> dict[str, float]:
    """95 % Hausdorff distance between the surfaces of every tissue, mm.

    The larger of the two 95 % quantiles of the distances from each surface voxel of one label to
    the nearest surface voxel of the other.

    Parameters
    ----------
    labels, target : (nx, ny, nz) ids of headcond13; where the target is `UNKNOWN`, both count as
        air.
    voxel_size : edge of a voxel, mm.

    Returns
    -------
    Tissue -> mm, of the tissues with `FEWEST` voxels in the target; infinite where the labels
    have none of it.
    """
    size = check_positive("voxel_size", voxel_size)
    check_shape("labels", labels, check_shape("target", target, (None, None, None)).shape)
    judged = target != UNKNOWN
    out = {}
    for number, name in enumerate(TISSUES, start=1):
        true = (target == number) & judged
        if np.count_nonzero(true) < FEWEST:
            continue
        ours = (labels == number) & judged
        if not ours.any():
            out[name] = float("inf")
            continue
        box = ndimage.find_objects((true | ours).view(np.uint8))[0]
        first, second = (_surface(mask[box]) for mask in (ours, true))
        distances = [
            ndimage.distance_transform_edt(~other)[one]
            for one, other in ((first, second), (second, first))
        ]
        out[name] = size * max(float(np.percentile(part, 95)) for part in distances)
    return out


def calibration_error(probabilities: np.ndarray, target: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the likeliest tissue over the voxels of the head.

    sum_b n_b / n |share right in b - mean confidence in b| over `bins` bins of confidence.

    Parameters
    ----------
    probabilities : (14, nx, ny, nz), air first.
    target : (nx, ny, nz) ids of headcond13; voxels that are air or `UNKNOWN` do not count.
    bins : of equal width between 0 and 1.

    Raises
    ------
    InputError
        If the target holds no tissue.
    """
    check_shape("probabilities", probabilities, (_ALL, *target.shape))
    head = (target != UNKNOWN) & (target != 0)
    if not head.any():
        raise InputError("The target holds no tissue.")
    inside = probabilities[:, head]
    confidence = inside.max(axis=0).astype(np.float64)
    right = inside.argmax(axis=0) == target[head]
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(number, right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / head.sum())


def _surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask that share a face with what is outside of it."""
    padded = np.pad(mask, 1)
    return mask & ~ndimage.binary_erosion(padded)[1:-1, 1:-1, 1:-1]
