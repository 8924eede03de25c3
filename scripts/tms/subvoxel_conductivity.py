"""Average the conductivity of finer labels over the study's voxels."""

from headcond.cohort.refinement import average_conductivity, finer_head
from headcond.files import results
from headcond.study.step import run
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
    result = average_conductivity(sigma, affine, coarse.shape, target)
    results.write_volume(
        conductivity, result, target, units="S/m", table=table, finer_voxel_mm=fine,
        provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
