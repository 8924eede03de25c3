"""Grey values between 0 and 1, the same way in training and prediction."""

from __future__ import annotations

import numpy as np

PERCENTILES = (0.5, 99.5)
"""Percentiles of the positive voxels that become 0 and 1."""
_FEWEST = 50  # positive voxels in the sample below which an image counts as empty


def normalise(image: np.ndarray) -> np.ndarray:
    """Scale an image so that its positive voxels span 0 to 1; beyond `PERCENTILES` it is clipped.

    Parameters
    ----------
    image : (nx, ny, nz), any unit; one voxel in 27 decides the percentiles.

    Returns
    -------
    (nx, ny, nz) float32; zeros if hardly a voxel is positive.
    """
    sample = image[::3, ::3, ::3]
    sample = sample[sample > 0]
    if sample.size < _FEWEST:
        return np.zeros(image.shape, np.float32)
    low, high = np.percentile(sample, PERCENTILES)
    scaled = (image.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return np.clip(scaled, 0, 1, out=scaled)
