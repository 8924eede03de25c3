"""Intensities of a scan to [0, 1], the range of CondNet's inputs."""

from __future__ import annotations

import numpy as np

from headcond.checks import InputError, check_finite, check_option, check_shape

METHODS = ("percentile", "minmax")


def normalise(
    data: np.ndarray,
    method: str = "percentile",
    mask: np.ndarray | None = None,
    percentiles: tuple[float, float] = (0.5, 99.5),
) -> tuple[np.ndarray, dict]:
    """Map a scan linearly to [0, 1]: (x - low)/(high - low), clipped.

    `minmax` is the CondNet paper's way: zero mean and unit variance, then [0, 1], which
    is the plain min-max of the volume, which outliers dominate. `percentile` takes low and
    high from percentiles and is robust. Negative values are refused rather than clipped,
    because they mean that an offset was subtracted or that the volume is no magnitude image.

    Parameters
    ----------
    data : (nx, ny, nz) magnitude image.
    method : "percentile" or "minmax".
    mask : (nx, ny, nz) bool, voxels that give low and high; without it "minmax" takes
        all voxels and "percentile" those above 0, so that padding does not count.
    percentiles : low and high, per cent, of "percentile".

    Returns
    -------
    normalised : (nx, ny, nz) float32 in [0, 1].
    statistics : method, low, high, the mean and standard deviation of the voxels they
        were taken from and their count, and the shares of them clipped at each end.

    Raises
    ------
    InputError
        For NaN, infinite, negative or constant data, an empty mask, or percentiles that
        are not rising within 0 to 100.
    """
    check_option("method", method, METHODS)
    data = check_finite("data", check_shape("data", data, (None, None, None)))
    if data.size and data.min() < 0:
        raise InputError(
            f"data holds {np.count_nonzero(data < 0)} negative values: give magnitudes, or add the "
            "offset that was subtracted."
        )
    if mask is not None:
        chosen = data[check_shape("mask", mask, data.shape).astype(bool)]
    else:
        chosen = data[data > 0] if method == "percentile" else data.ravel()
    if chosen.size == 0:
        raise InputError("No voxel is left to take the range from: the mask or volume is empty.")
    chosen = chosen.astype(np.float64)
    if method == "percentile":
        first, last = percentiles
        if not 0 <= first < last <= 100:
            raise InputError(f"percentiles must rise within 0 to 100, got {percentiles!r}.")
        low, high = np.percentile(chosen, (first, last))
    else:
        low, high = chosen.min(), chosen.max()
    if not high > low:
        raise InputError(f"The intensity range is empty: low and high are both {low:g}.")
    scaled = (data.astype(np.float64) - low) / (high - low)
    statistics = {
        "method": method,
        "low": float(low),
        "high": float(high),
        "mean": float(chosen.mean()),
        "std": float(chosen.std()),
        "voxels": int(chosen.size),
        "clipped_low": float(np.mean(chosen < low)),
        "clipped_high": float(np.mean(chosen > high)),
    }
    return np.clip(scaled, 0, 1).astype(np.float32), statistics
