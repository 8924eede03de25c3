"""Labels finer than the study's voxels, from where its heads come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headcond.cohort.labels import prepare_labels, read_labels
from headcond.cohort.phantom import generate_head
from headcond.mri.resampling import resample


def finer_head(
    origin: str,
    label_map: str | Path,
    scheme: str,
    seed: int,
    subject: str,
    size: float,
    blocks: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels (headcond13) of voxels of `size` mm, their affine, and the truth or None.

    The grid of a label map holds whole blocks of `blocks` voxels, so that coarser ones nest.
    """
    if origin == "phantom":
        head = generate_head(seed, subject, size, subdivisions=1)
        return head.labels, head.affine, head.conductivity
    head = prepare_labels(*read_labels(label_map, scheme), scheme, size, margin=4 * blocks)
    labels = np.pad(head.labels13, [(0, -side % blocks) for side in head.labels13.shape])
    return labels, head.affine, None


def average_conductivity(
    sigma: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], target: np.ndarray
) -> np.ndarray:
    """Mean of a fine conductivity map over coarser voxels, air counted as 0.

    Parameters
    ----------
    sigma : (nx, ny, nz) S/m, with the voxel-to-world matrix `affine` (4, 4), mm.
    shape, target : of the coarser grid.
    """
    averaged = resample(sigma, affine, target, shape)
    # Interpolation, where grids do not nest, leaves traces in air: what conducts less than a
    # thousandth of the least tissue is air.
    return np.where(averaged > 1e-3 * sigma[sigma > 0].min(), averaged, 0).astype(np.float32)
