"""Bring the true conductivity of a generated head onto the study's grid."""

import numpy as np

from headcond.files import results
from headcond.mri.resampling import resample
from headcond.study.step import run


def main(truth, lens, grid_t1, conductivity, grid_lens, provenance):
    """Write truth and lens on the grid of the images."""
    sigma, affine = results.read_volume(truth)
    image, target = results.read_volume(grid_t1)
    on_grid = resample(sigma, affine, target, image.shape)
    # Between air and skin the mean of sub-voxels is what a voxel conducts; air stays 0.
    on_grid = np.where(on_grid > 1e-6, on_grid, 0.0).astype(np.float32)
    results.write_volume(conductivity, on_grid, target, units="S/m", provenance=provenance)
    mask, _ = results.read_volume(lens, dtype="uint8")
    results.write_volume(
        grid_lens, resample(mask, affine, target, image.shape, order=0), target, units="mask",
        provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
