"""Remarks on a result that does not look like a head, or that the network was unsure of."""

from __future__ import annotations

import numpy as np

from headcond.checks import check_positive, check_shape
from headcond.tissues import TISSUES

BRAIN_ML = (700.0, 2200.0)
"""Least and largest volume of grey and white matter and cerebellum of a grown-up's head."""
STRIPPED = 0.25
"""Skull and scalp below this share of the brain's volume: somebody has stripped the skull."""
UNSURE = 0.70
"""Mean confidence over the head below which a scan is called unlike those of the training."""
_BRAIN = ("gm", "wm", "cerebellum")
_AROUND = ("skin", "fat", "muscle", "bone_cortical", "bone_cancellous")


def volumes(probabilities: np.ndarray, voxel_size: float) -> dict[str, float]:
    """Volume of every tissue, mL: the sum of its probabilities.

    Parameters
    ----------
    probabilities : (14, nx, ny, nz), air first.
    voxel_size : edge of a voxel, mm.
    """
    size = check_positive("voxel_size", voxel_size)
    probabilities = check_shape(
        "probabilities", probabilities, (1 + len(TISSUES), None, None, None)
    )
    sums = [float(part.sum(dtype=np.float64)) for part in probabilities[1:]]
    return {name: total * size**3 / 1000 for name, total in zip(TISSUES, sums, strict=True)}


def mean_confidence(probabilities: np.ndarray) -> float:
    """Mean probability of the likeliest tissue over the voxels that are not air; 0 if all are."""
    largest = probabilities[1:].max(axis=0)
    head = largest > probabilities[0]
    return float(largest[head].mean(dtype=np.float64)) if head.any() else 0.0


def remarks(probabilities: np.ndarray, voxel_size: float) -> list[str]:
    """What a user should know before trusting a result; empty if nothing stands out.

    Parameters
    ----------
    probabilities : (14, nx, ny, nz), air first.
    voxel_size : edge of a voxel, mm.

    Returns
    -------
    One sentence for each remark.
    """
    millilitres = volumes(probabilities, voxel_size)
    brain = sum(millilitres[name] for name in _BRAIN)
    around = sum(millilitres[name] for name in _AROUND)
    out = []
    if not BRAIN_ML[0] <= brain <= BRAIN_ML[1]:
        out.append(
            f"The brain measures {brain:.0f} mL, not {BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f} mL: "
            "the scan may show only part of it, or not be a head of an adult."
        )
    if around < STRIPPED * brain:
        out.append(
            "There is hardly any skull and scalp around the brain: the scan may be skull-stripped. "
            "Fields and voltages need the whole head."
        )
    confidence = mean_confidence(probabilities)
    if confidence < UNSURE:
        out.append(
            f"The network is unsure ({confidence:.2f} on average, below {UNSURE:.2f}): the scan is "
            "unlike those that it was trained on. Look at the labels before using them."
        )
    return out
