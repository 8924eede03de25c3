"""Rigid alignment of one scan of a person to another: the CondNet inputs share one grid."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import SimpleITK
from nibabel.affines import from_matvec

from headcond.checks import InputError
from headcond.mri import _sitk

logger = logging.getLogger(__name__)

MAXIMUM_ITERATIONS = 300
"""Steps of the optimiser on one level of the pyramid."""
MAXIMUM_TRANSLATION_MM = 100.0
"""Largest plausible displacement of the fixed head's centre between two scans."""
MAXIMUM_ROTATION_DEGREES = 45.0
"""Largest plausible rotation between two scans of one person."""

LEAST_INFORMATION = 0.1
"""Mutual information after alignment, nats, below which two scans are refused; ours. Two scans of
one person reach 0.8 to 1, those of two people still 0.5."""


class AlignmentError(InputError):
    """Two scans could not be aligned; the message gives the reason."""


@dataclass(frozen=True)
class Alignment:
    """A scan brought onto another one's grid.

    Attributes
    ----------
    resampled : (nx, ny, nz) float32, the moving scan on the fixed grid, linear
        interpolation, 0 outside its field of view.
    transform : (4, 4) fixed world point -> moving world point, RAS mm.
    quality : mutual information (nats, all fixed voxels) before and after, translation
        of the fixed head's centre (mm), rotation (degrees), the start that was chosen,
        the optimiser's own stop condition, and warnings for the report.
    """

    resampled: np.ndarray
    transform: np.ndarray
    quality: dict


def rigid(
    moving: np.ndarray,
    moving_affine: np.ndarray,
    fixed: np.ndarray,
    fixed_affine: np.ndarray,
    seed: int = 0,
) -> Alignment:
    """Align `moving` to `fixed` by a rotation and a translation.

    Multi-resolution maximisation of Mattes mutual information (Mattes et al., IEEE TMI
    22, 2003), from the best of three starts: world coordinates as stated, centres
    of the fields of view, centres of the heads (Otsu foreground). The sample of voxels
    is seeded and the metric runs on one thread, so the result is repeatable bit by bit.

    Parameters
    ----------
    moving, fixed : (nx, ny, nz) each, scans of one person, any grids and contrasts.
    moving_affine, fixed_affine : (4, 4) voxel -> RAS world, mm.
    seed : seed of the metric's voxel sample.

    Returns
    -------
    Alignment

    Raises
    ------
    InputError
        If a scan is no finite, non-constant 3-D volume.
    AlignmentError
        If mutual information fell below that of the unaligned scans, or stayed below
        `LEAST_INFORMATION`, or if the head's centre moved by more than
        `MAXIMUM_TRANSLATION_MM` or turned by more than `MAXIMUM_ROTATION_DEGREES`.
    """
    moving, moving_affine = _sitk.check_image("moving", moving, moving_affine)
    fixed, fixed_affine = _sitk.check_image("fixed", fixed, fixed_affine)
    centre = _sitk.centre_of_mass(_sitk.otsu(fixed), fixed_affine)
    starts = {
        "world": np.zeros(3),
        "field": _field_centre(moving, moving_affine) - _field_centre(fixed, fixed_affine),
        "head": _sitk.centre_of_mass(_sitk.otsu(moving), moving_affine) - centre,
    }
    steps = [max(1, n // 64) for n in fixed.shape]
    coarse = fixed[tuple(slice(None, None, step) for step in steps)]
    grid = coarse.shape, fixed_affine @ np.diag([*steps, 1.0])
    information = {}
    for name, shift in starts.items():
        there = _sitk.resample(moving, moving_affine, *grid, from_matvec(np.eye(3), shift))
        information[name] = _sitk.mutual_information(coarse, there)
    start = max(information, key=information.__getitem__)

    transform = SimpleITK.Euler3DTransform()
    transform.SetCenter(_sitk.to_lps(centre))
    transform.SetTranslation(_sitk.to_lps(starts[start]))
    levels = tuple(k for k in (4, 2, 1) if min(fixed.shape) // k >= 8) or (1,)
    sampling = min(1.0, 1e5 / fixed.size)
    method = _sitk.registration(2.0, MAXIMUM_ITERATIONS, sampling, seed, levels)
    method.SetInitialTransform(transform, inPlace=True)
    images = (
        _sitk.image_from_array(fixed, fixed_affine),
        _sitk.image_from_array(moving, moving_affine),
    )
    _sitk.execute(method, *images, AlignmentError)
    matrix = _sitk.matrix_from_transform(transform)

    resampled = _sitk.resample(moving, moving_affine, fixed.shape, fixed_affine, matrix)
    unaligned = _sitk.resample(moving, moving_affine, fixed.shape, fixed_affine, np.eye(4))
    quality = {
        "mutual_information_before": _sitk.mutual_information(fixed, unaligned),
        "mutual_information_after": _sitk.mutual_information(fixed, resampled),
        "translation_mm": float(np.linalg.norm(matrix[:3, :3] @ centre + matrix[:3, 3] - centre)),
        "rotation_degrees": _rotation_degrees(matrix),
        "start": start,
        "optimiser": method.GetOptimizerStopConditionDescription(),
    }
    logger.info("Rigid alignment: %s", quality)
    _check_plausible(quality)
    quality["warnings"] = []
    if "Maximum number of iterations" in quality["optimiser"]:
        text = f"alignment stopped at its limit of {MAXIMUM_ITERATIONS} iterations"
        quality["warnings"].append(text)
        logger.warning("Not converged: %s. Check it in its picture.", text)
    return Alignment(resampled, matrix, quality)


def _check_plausible(quality: dict) -> None:
    before, after = quality["mutual_information_before"], quality["mutual_information_after"]
    # Two scans that already agree can only lose the sharpness that interpolation costs.
    already_aligned = quality["translation_mm"] < 0.5 and quality["rotation_degrees"] < 0.5
    if after < before and not already_aligned:
        raise AlignmentError(
            f"Mutual information fell from {before:.4f} to {after:.4f} nats: the scans were not "
            "aligned. Check that both show the same person and that their affines are right."
        )
    if after < LEAST_INFORMATION:
        raise AlignmentError(
            f"Mutual information is {after:.4f} nats after alignment, below {LEAST_INFORMATION:g}: "
            "the scans have nothing in common. Are both of one head?"
        )
    moved, turned = quality["translation_mm"], quality["rotation_degrees"]
    if moved > MAXIMUM_TRANSLATION_MM or turned > MAXIMUM_ROTATION_DEGREES:
        raise AlignmentError(
            f"The scans differ by {moved:.1f} mm and {turned:.1f} degrees, more than the "
            f"plausible {MAXIMUM_TRANSLATION_MM:g} mm and {MAXIMUM_ROTATION_DEGREES:g} degrees. "
            "Check their affines, or bring them roughly together first."
        )


def _field_centre(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return affine[:3, :3] @ ((np.array(data.shape) - 1) / 2) + affine[:3, 3]


def _rotation_degrees(matrix: np.ndarray) -> float:
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
