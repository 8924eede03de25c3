"""Average the conductivity of finer labels over the study's voxels."""

import numpy as np

from headcond.cohort.refinement import finer_head
from headcond.files import results
from headcond.mri.resampling import resample
from headcond.tissues import conductivity_map, conductivity_table

FINER = 2  # labels have voxels of this part of the study's


def main(
    grid_labels, conductivity, table, frequency, origin, seed, subject, scheme, voxel_size_mm,
    provenance, label_map=None,
):  # fmt: skip
    """Write the map: every voxel the mean over the finer labels inside it, air counted as 0."""
    fine = voxel_size_mm / FINER
    labels, affine, _ = finer_head(origin, label_map, scheme, seed, subject, fine, FINER)
    coarse, target = results.read_volume(grid_labels, dtype="uint8")
    sigma = conductivity_map(labels, conductivity_table(table, frequency))
    result = resample(sigma, affine, target, coarse.shape)
    # Interpolation, where grids do not nest, leaves traces in air: what conducts less than a
    # thousandth of the least tissue is air.
    result = np.where(result > 1e-3 * sigma[sigma > 0].min(), result, 0).astype(np.float32)
    results.write_volume(
        conductivity, result, target, units="S/m", table=table, finer_voxel_mm=fine,
        provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
