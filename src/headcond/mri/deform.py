"""Deformable registration of a brain to MNI space, after the affine one, for regions in it.

Outside the brain the deformation is only the smooth continuation of the one inside, so
positions on the scalp use the affine map.
"""

from __future__ import annotations

import logging

import numpy as np
import SimpleITK
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import check_affine, check_shape
from headcond.mri import _sitk
from headcond.mri.register import (
    RegistrationError,
    brain_agreement,
    brain_template,
    fill_brain_mask,
)

logger = logging.getLogger(__name__)
_LEVELS = ((4, 40), (2, 40), (1, 20))  # voxels of the template per voxel, iterations
_SMOOTHING = 2.0  # voxels of a level, Gaussian regularisation of the displacement


def to_mni_deformed(
    t1: np.ndarray,
    affine: np.ndarray,
    brain_mask: np.ndarray,
    mni: np.ndarray,
    template: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Find the displacement that leads from an affinely registered brain to the template's.

    A point y of the subject's world is p + u(p) in MNI space, p = mni @ y. Diffeomorphic
    demons (Vercauteren et al., NeuroImage 2009) on the template's grid, coarse to fine,
    between the ranks of the intensities within the brains: both are T1-weighted, but neither
    their scale nor their contrast is the same.

    Parameters
    ----------
    t1 : (nx, ny, nz) T1-weighted volume, bias-corrected.
    affine : (4, 4) voxel -> RAS world, mm.
    brain_mask : (nx, ny, nz) bool, the brain (cerebellum included).
    mni : (4, 4) subject world mm -> MNI mm (`register.to_mni`).
    template : T1w template (array, affine) as for `register.to_mni`.

    Returns
    -------
    displacement : (mx, my, mz, 3) float32 u, mm, RAS.
    grid : (4, 4) voxel of the displacement -> MNI mm.
    quality : Dice overlap and correlation before (affine) and after, the least Jacobian
        determinant in the brain (above 0: nothing folds), and the displacement there, mm.

    Raises
    ------
    InputError
        If a volume is invalid or the brain mask too small.
    RegistrationError
        If the map folds, or the correlation fell.
    """
    t1, affine = _sitk.check_image("t1", t1, affine)
    mask = fill_brain_mask(check_shape("brain_mask", brain_mask, t1.shape), affine)
    target, grid = brain_template(template)
    target_mask = target > 0
    back = np.linalg.inv(check_affine("mni", mni))
    brain = np.where(mask, t1, 0).astype(np.float32)
    fixed = _sitk.resample(brain, affine, target.shape, grid, back)
    inside = _sitk.resample(mask.astype(np.float32), affine, target.shape, grid, back) > 0.5
    before = brain_agreement(fixed, inside, target, target_mask)

    field = _demons(_ranked(fixed, inside, grid), _ranked(target, target_mask, grid))
    transform = SimpleITK.DisplacementFieldTransform(SimpleITK.Image(field))
    how = field, transform, SimpleITK.sitkLinear, 0.0, SimpleITK.sitkFloat32
    moved, moved_mask = (
        _sitk.array_from_image(SimpleITK.Resample(_sitk.image_from_array(part, grid), *how))
        for part in (target, target_mask.astype(np.float32))
    )
    after = brain_agreement(fixed, inside, moved, moved_mask > 0.5)
    folded = SimpleITK.DisplacementFieldJacobianDeterminant(field, True)
    displacement = SimpleITK.GetArrayFromImage(field).transpose(2, 1, 0, 3) * (-1.0, -1.0, 1.0)
    length = np.linalg.norm(displacement[inside], axis=-1)
    quality = {f"{key}_before": value for key, value in before.items()} | after
    quality |= {
        "least_jacobian": float(_sitk.array_from_image(folded)[inside].min()),
        "displacement_mean_mm": float(length.mean()),
        "displacement_max_mm": float(length.max()),
    }
    logger.info("Deformable registration to MNI: %s", quality)
    if quality["least_jacobian"] <= 0:
        raise RegistrationError(
            f"The deformation to MNI folds (Jacobian {quality['least_jacobian']:.2f}): use "
            "registration: affine for this head, or check its brain mask."
        )
    if quality["correlation"] < quality["correlation_before"]:
        raise RegistrationError(
            f"The deformation to MNI lowered the correlation from "
            f"{quality['correlation_before']:.3f} to {quality['correlation']:.3f}."
        )
    return np.ascontiguousarray(displacement, np.float32), grid, quality


def displaced(points: ArrayLike, displacement: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """MNI points p + u(p), mm, of affinely registered points p (..., 3); u is 0 off its grid."""
    points = np.asarray(points, float)
    index = (points - grid[:3, 3]) @ np.linalg.inv(grid[:3, :3]).T
    index = np.moveaxis(index, -1, 0)
    shift = [
        ndimage.map_coordinates(displacement[..., axis], index, order=1, output=float)
        for axis in range(3)
    ]
    return points + np.stack(shift, axis=-1)


def _ranked(image: np.ndarray, mask: np.ndarray, grid: np.ndarray) -> SimpleITK.Image:
    """Ranks of the intensities within a brain, 0.1 to 1, and 0 outside."""
    ranks = np.zeros(image.shape, np.float32)
    values = image[mask]
    ranks[mask] = 0.1 + 0.9 * values.argsort(kind="stable").argsort() / values.size
    return _sitk.image_from_array(ranks, grid)


def _demons(fixed: SimpleITK.Image, moving: SimpleITK.Image) -> SimpleITK.Image:
    """Displacement (LPS mm) on the grid of `fixed`, from it to `moving`."""
    field = None
    for shrink, iterations in _LEVELS:
        width = shrink * fixed.GetSpacing()[0] / 2
        coarse = SimpleITK.Shrink(SimpleITK.SmoothingRecursiveGaussian(fixed, width), [shrink] * 3)
        other = SimpleITK.Resample(SimpleITK.SmoothingRecursiveGaussian(moving, width), coarse)
        method = SimpleITK.DiffeomorphicDemonsRegistrationFilter()
        method.SetNumberOfThreads(1)  # with more the sums, and so the bits, depend on the machine
        method.SetNumberOfWorkUnits(1)
        method.SetNumberOfIterations(iterations)
        method.SetSmoothDisplacementField(True)
        method.SetStandardDeviations(_SMOOTHING)
        start = [] if field is None else [SimpleITK.Resample(field, coarse)]
        field = method.Execute(coarse, other, *start)
    return SimpleITK.Cast(SimpleITK.Resample(field, fixed), SimpleITK.sitkVectorFloat64)
