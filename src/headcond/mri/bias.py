"""Correction of the receive coil's smooth shading by N4."""

from __future__ import annotations

import numpy as np
import SimpleITK

from headcond.checks import InputError, check_shape
from headcond.mri import _sitk


def correct(
    data: np.ndarray,
    affine: np.ndarray,
    mask: np.ndarray | None = None,
    shrink: int = 4,
    iterations: tuple[int, ...] = (50, 50, 30),
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a scan by its smooth bias field, estimated by N4 (Tustison et al., IEEE TMI 2010).

    The field is fitted on a shrunk image and evaluated at full resolution from its
    B-spline. Its logarithm is shifted to mean 0 inside the mask, so the scan keeps its
    level. One thread, so the result is repeatable bit by bit.

    Parameters
    ----------
    data : (nx, ny, nz) magnitude image, no negative values.
    affine : (4, 4) voxel -> RAS world, mm.
    mask : (nx, ny, nz) bool, voxels that the field is fitted to; Otsu foreground if None.
    shrink : whole factor by which the image is shrunk for the fit.
    iterations : largest number of iterations at each level of the B-spline's pyramid.

    Returns
    -------
    corrected : (nx, ny, nz) float32, data / field.
    field : (nx, ny, nz) float32, positive, multiplicative.

    Raises
    ------
    InputError
        If the scan is constant or has negative, NaN or infinite values, or the mask has too
        few voxels in the shrunk image.
    RuntimeError
        If N4's field is not finite and positive.
    """
    data, affine = _sitk.check_image("data", data, affine)
    if data.min() < 0:
        raise InputError("data holds negative values: N4 takes the logarithm of magnitudes.")
    if shrink != int(shrink) or shrink < 1:
        raise InputError(f"shrink must be a whole number from 1 on, got {shrink!r}.")
    if not iterations or min(iterations) < 1:
        raise InputError(f"iterations must be positive numbers, one per level, got {iterations!r}.")
    inside = _sitk.otsu(data) if mask is None else check_shape("mask", mask, data.shape)
    # A voxel of 0 has no logarithm.
    inside = inside.astype(bool) & (data > 0)
    # N4 treats values below 1 differently; the scale of the scan must not matter.
    scale = 1000.0 / float(np.median(data[inside])) if inside.any() else 1.0
    image = _sitk.image_from_array(data * np.float32(scale), affine)
    mask_image = _sitk.image_from_array(inside.astype(np.uint8), affine)
    factors = [max(1, min(int(shrink), n // 8)) for n in data.shape]
    small, small_mask = (SimpleITK.Shrink(part, factors) for part in (image, mask_image))
    held = int(SimpleITK.GetArrayViewFromImage(small_mask).sum())
    if held < 100:
        raise InputError(
            f"The mask holds {held} voxels of the image shrunk by {factors}, too few for a field. "
            "Give a larger mask or a smaller shrink."
        )
    method = SimpleITK.N4BiasFieldCorrectionImageFilter()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMaximumNumberOfIterations([int(n) for n in iterations])
    method.Execute(small, small_mask)
    log_field = _sitk.array_from_image(method.GetLogBiasFieldAsImage(image)).astype(np.float64)
    log_field -= log_field[inside].mean()
    with np.errstate(over="ignore"):
        field = np.exp(log_field).astype(np.float32)
    if not (np.isfinite(field).all() and field.min() > 0):
        raise RuntimeError("N4's bias field is not finite and positive: check the mask.")
    return data / field, field
