"""Bring labels onto the grid of the images, and say where they can be compared with a map."""

import numpy as np

from headcond.cohort.labels import labelled_region
from headcond.files import results
from headcond.mri.resampling import resample
from headcond.study.step import run


def main(labels, grid_t1, t1, t2, alignment, facts, grid_labels, region, neck, provenance):
    """Write the most frequent label of every voxel, and where labels and both images stand."""
    data, affine = results.read_volume(labels, dtype="uint8")
    image, target = results.read_volume(grid_t1)
    conformed = resample(data, affine, target, image.shape, order=0)
    results.write_volume(
        grid_labels, conformed, target, units="headcond13 tissue", provenance=provenance
    )
    judged = np.ones(image.shape, bool)
    if neck == "masked":
        # T2w lies where alignment laid it in the world of T1w.
        moves = (np.eye(4), np.linalg.inv(results.read_json(alignment)["transform"]))
        scans = (results.read_volume(path) for path in (t1, t2))
        fields = [(data.shape, move @ own) for move, (data, own) in zip(moves, scans, strict=True)]
        judged = labelled_region(conformed, target, results.read_json(facts)["cut_voxels"], fields)
    results.write_volume(
        region, judged, target, units="mask", neck=neck, provenance=provenance,
        tissue_voxels_left_out=int(np.count_nonzero((conformed > 0) & ~judged)),
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
