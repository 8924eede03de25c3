"""Bring labels onto the finer grid of the fields, which nests into the study's own."""

import numpy as np

from headcond.cohort.refinement import finer_head
from headcond.files import results
from headcond.mri.resampling import finer_grid, resample
from headcond.study.step import run


def main(
    labels, label_map, fine_labels, origin, seed, subject, scheme, voxel_size_mm, factor,
    provenance, truth=None,
):  # fmt: skip
    """Write the labels in voxels of the study's divided by `factor`; a generated head's truth."""
    coarse, affine = results.read_volume(labels, dtype="uint8")
    shape, target = finer_grid(coarse.shape, affine, factor)
    tissue, source, sigma = finer_head(
        origin, label_map, scheme, seed, subject, voxel_size_mm / factor, factor
    )
    about = {"voxel_mm": voxel_size_mm / factor, "provenance": provenance}
    results.write_volume(
        fine_labels, resample(tissue, source, target, shape, order=0), target,
        units="headcond13 tissue", **about,
    )  # fmt: skip
    if truth:
        on_grid = resample(sigma, source, target, shape)
        on_grid = np.where(on_grid > 1e-6, on_grid, 0).astype(np.float32)
        results.write_volume(truth, on_grid, target, units="S/m", **about)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
