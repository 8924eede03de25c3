"""Align T2w to T1w and bring both onto the study's grid."""

import numpy as np

from headcond.checks import InputError
from headcond.files import results
from headcond.mri.align import rigid
from headcond.mri.resampling import conform, lost_foreground, resample
from headcond.study.step import run

MOST_LOST = 0.1  # of a head may lie outside the grid (a neck, say); the report tells how much


def main(t1, t2, grid_t1, grid_t2, alignment, seed, shape, voxel_size_mm, provenance):
    """Write T1w and T2w on one RAS+ grid, and how well they were aligned."""
    fixed, fixed_affine = results.read_volume(t1)
    moving, moving_affine = results.read_volume(t2)
    try:
        found = rigid(moving, moving_affine, fixed, fixed_affine, seed)
    except InputError as error:
        raise InputError(f"{t2} onto {t1}: {error}") from error
    first, affine = conform(fixed, fixed_affine, voxel_size_mm, tuple(shape))
    lost, head = lost_foreground(fixed, fixed_affine, affine, tuple(shape))
    if lost > MOST_LOST * head:
        raise InputError(
            f"{t1}: {100 * lost / head:.0f} % of the head are outside the study's grid; raise "
            "mri.shape or cohort.voxel_size_mm."
        )
    # T2w is interpolated once, straight from its own voxels, laid where the head is in T1w; a
    # cubic spline keeps it sharp, but may swing below 0.
    laid = np.linalg.inv(found.transform) @ moving_affine
    second = np.clip(resample(moving, laid, affine, tuple(shape), order=3), 0, None)
    for path, image in ((grid_t1, first), (grid_t2, second)):
        results.write_volume(path, image, affine, units="arbitrary", provenance=provenance)
    facts = {"transform": found.transform, "quality": found.quality}
    facts |= {"outside_grid_percent": 100 * lost / head, "provenance": provenance}
    results.write_json(alignment, facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
