"""From the three axes' predictions to one conductivity map: eqs. (2) and (3) of the paper.

`average_axes` is eq. (2), `rescale` eq. (3); `head_mask` and `mask_air` then make air exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import InputError, check_finite, check_positive

CLOSING = 6.0
"""Radius within which `head_mask` closes gaps in the head's outline, mm."""


def average_axes(predictions: Sequence[np.ndarray]) -> np.ndarray:
    """Average the three axes' predictions: L* = (L_s + L_c + L_a) / 3 (eq. 2).

    Parameters
    ----------
    predictions : normalised conductivities (V, nx, ny, nz) in [0, 1], sagittal, coronal, axial.

    Returns
    -------
    (V, nx, ny, nz) float32.

    Raises
    ------
    InputError
        If there are not three, or their shapes differ, or a value is not in [0, 1].
    """
    return _three(predictions).mean(axis=0, dtype=np.float64).astype(np.float32)


def rescale(average: np.ndarray, maxima: ArrayLike, tau: float) -> np.ndarray:
    """Rescale the average to S/m: C = max_n(sigma_n) / (1 - tau) * L* (eq. 3).

    Parameters
    ----------
    average : (V, nx, ny, nz) normalised conductivities L*.
    maxima : (V,) largest conductivity max_n(sigma_n) of each table, S/m.
    tau : margin of the targets, in [0, 1).

    Returns
    -------
    (V, nx, ny, nz) float32, S/m. A network may predict up to max(sigma) / (1 - tau).
    """
    average = np.asarray(average)
    return (average * _factors(average, maxima, tau)).astype(np.float32)


def targets(conductivity: np.ndarray, maxima: ArrayLike, tau: float) -> np.ndarray:
    """Targets of the training: sigma / max_n(sigma_n) * (1 - tau), the inverse of `rescale`.

    Parameters
    ----------
    conductivity : (V, nx, ny, nz) S/m, one map per table.
    maxima : (V,) largest conductivity of each table, S/m.
    tau : margin in [0, 1) that keeps the targets off the sigmoid's upper end; 0.1 in the paper.

    Returns
    -------
    (V, nx, ny, nz) float32 in [0, 1 - tau].

    Raises
    ------
    InputError
        If a conductivity is negative, not finite, or above its table's maximum.
    """
    conductivity = check_finite("conductivity", conductivity)
    factors = _factors(conductivity, maxima, tau)
    for v, sigma in enumerate(conductivity):
        highest = np.asarray(maxima, float)[v]
        if sigma.min() < 0 or sigma.max() > highest * (1 + 1e-6):
            raise InputError(
                f"conductivity map {v} must be in [0, {highest:g}] S/m, got "
                f"{sigma.min():g} to {sigma.max():g}."
            )
    return (conductivity / factors).astype(np.float32)


def spread(predictions: Sequence[np.ndarray]) -> np.ndarray:
    """Standard deviation between the three axes' predictions, a measure of their disagreement.

    Parameters, shapes and errors as `average_axes`; `rescale` turns it into S/m.
    """
    return _three(predictions).std(axis=0, dtype=np.float64).astype(np.float32)


def head_mask(t1: np.ndarray, t2: np.ndarray, voxel_size: float) -> np.ndarray:
    """Segment the head, with everything inside it, from its images alone.

    The images' mean is split by Otsu's threshold, which separates bright tissue from the rest.
    The head is what exceeds the background noise: the median of the darker class by four of its
    robust standard deviations, but no lower than half of Otsu's threshold and no higher than
    that. It is filled, its largest component is closed by a ball of 6 mm (nostrils, ear canals)
    and filled again. Filling goes slice by slice along each axis, because bone is dark too, and
    open towards the border where a scan cuts the neck. Inner air (sinuses, airways) is
    therefore part of the mask; `mask_air` removes it.

    Parameters
    ----------
    t1, t2 : (nx, ny, nz) images on one grid, each normalised to [0, 1].
    voxel_size : edge of the cubic voxels, mm.

    Returns
    -------
    (nx, ny, nz) bool.

    Raises
    ------
    InputError
        If the grids differ, or the images show no head.
    """
    t1, t2 = check_finite("t1", t1), check_finite("t2", t2)
    if t1.ndim != 3 or t1.shape != t2.shape:
        raise InputError(f"t1 and t2 must be 3-D and on one grid, got {t1.shape} and {t2.shape}.")
    radius = CLOSING / check_positive("voxel_size", voxel_size)

    bright = (t1.astype(np.float64) + t2) / 2
    otsu = otsu_threshold(bright)
    dark = bright[bright < otsu]
    middle = np.median(dark)
    noise = 1.4826 * np.median(np.abs(dark - middle))
    # filled first: a closed skull parts the brain from the scalp
    parts, _ = ndimage.label(fill_slices(bright > np.clip(middle + 4 * noise, otsu / 2, otsu)))
    head = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return fill_slices(_close(head, radius))


def mask_air(conductivity: np.ndarray, head: np.ndarray, lowest: ArrayLike) -> np.ndarray:
    """Set air to exactly 0 S/m, as the field solver needs it; a sigmoid never reaches 0.

    Air is everything outside the head, and inside it voxels predicted below half of the
    lowest tissue conductivity of the map's table (0.01 S/m for table A, whose lowest is
    cortical bone at 0.02 S/m).

    Parameters
    ----------
    conductivity : (V, nx, ny, nz) S/m.
    head : (nx, ny, nz) bool, of `head_mask`.
    lowest : (V,) lowest tissue conductivity of each table, S/m.

    Returns
    -------
    (V, nx, ny, nz) float32, S/m; the input is not changed.

    Raises
    ------
    InputError
        If the shapes do not fit, or a conductivity is not finite or `lowest` not positive.
    """
    conductivity = check_finite("conductivity", conductivity)
    head = np.asarray(head)
    if conductivity.ndim != 4 or head.dtype != bool or conductivity.shape[1:] != head.shape:
        raise InputError(
            "mask_air needs maps (V, nx, ny, nz) and a boolean head (nx, ny, nz), got "
            f"{conductivity.shape} and {head.dtype} {head.shape}."
        )
    threshold = _per_map("lowest", lowest, conductivity) / 2
    tissue = head & (conductivity >= threshold)
    return np.where(tissue, conductivity, 0).astype(np.float32)


def otsu_threshold(values: ArrayLike) -> float:
    """Otsu's threshold: it splits `values` into two classes of the largest variance between.

    Parameters
    ----------
    values : any shape, finite; the threshold is an inner edge of their histogram of 256 bins.

    Raises
    ------
    InputError
        If all values are equal.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or values.min() == values.max():
        raise InputError("Otsu's threshold needs values that differ: the images are constant.")
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts)[:-1], counts.sum()
    sum_below, sum_all = np.cumsum(counts * centres)[:-1], (counts * centres).sum()
    # w0 w1 (mu0 - mu1)^2, both ends' classes are never empty: they hold the extremes
    between = (sum_all * below - total * sum_below) ** 2 / (below * (total - below))
    return float(edges[1 + np.argmax(between)])


def fill_slices(mask: np.ndarray) -> np.ndarray:
    """Fill what is enclosed within a slice along any axis."""
    filled = mask.copy()
    for axis in range(3):
        for plane in np.moveaxis(filled, axis, 0):
            plane |= ndimage.binary_fill_holes(plane)
    return filled


def _close(mask: np.ndarray, radius: float) -> np.ndarray:
    """Closing by a ball of `radius` voxels; the grid's border does not erode a cut neck."""
    grown = ndimage.distance_transform_edt(~mask) <= radius
    if grown.all():
        return grown
    return (ndimage.distance_transform_edt(grown) > radius) | mask


def _three(predictions: Sequence[np.ndarray]) -> np.ndarray:
    shapes = [np.shape(prediction) for prediction in predictions]
    if len(shapes) != 3 or len(set(shapes)) != 1:
        raise InputError(
            f"The predictions of all three axes must be on one grid, got shapes {shapes}."
        )
    stack = np.stack(predictions)
    if not (stack.min() >= 0 and stack.max() <= 1):  # a NaN fails both
        raise InputError(f"Predictions must be in [0, 1], got {stack.min():g} to {stack.max():g}.")
    return stack


def _factors(maps: np.ndarray, maxima: ArrayLike, tau: float) -> np.ndarray:
    if not 0 <= tau < 1:
        raise InputError(f"tau must be in [0, 1), got {tau!r}.")
    return _per_map("maxima", maxima, maps) / (1 - tau)


def _per_map(name: str, values: ArrayLike, maps: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if maps.ndim != 4 or values.shape != maps.shape[:1] or not (values > 0).all():
        raise InputError(
            f"{name} must be positive, one per map of (V, nx, ny, nz); got {values} "
            f"for maps of shape {maps.shape}."
        )
    return values[:, None, None, None]
