"""Bring labels onto the grid of the images."""

from headcond import io
from headcond.mri.conform import like


def main(labels, grid_t1, grid_labels, provenance):
    """Write the most frequent label of every voxel of the study's grid."""
    data, affine = io.read_volume(labels, dtype="uint8")
    image, target = io.read_volume(grid_t1)
    conformed = like(data, affine, target, image.shape, order=0)
    io.write_volume(
        grid_labels, conformed, target, units="headcond13 tissue", provenance=provenance
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
