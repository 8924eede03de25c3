"""Take in a real label map and simulate its T1w and T2w images."""

import numpy as np

from headcond.cohort.contrast import T1W, T2W, simulate
from headcond.cohort.labels import prepare_labels, read_labels
from headcond.cohort.phantom import BIAS_STRENGTH, NOISE
from headcond.files import results
from headcond.mri.resampling import resample
from headcond.random import generator
from headcond.study.step import run
from headcond.tissues import TISSUES

FINE_MM = 1.0  # voxels on which the signal is computed before it is averaged


def main(labels, labels_out, t1, t2, facts, seed, subject, scheme, voxel_size_mm, provenance):
    """Write labels, simulated images, and what was done to the label map."""
    factor = max(round(voxel_size_mm / FINE_MM), 1)
    size = voxel_size_mm / factor
    head = prepare_labels(*read_labels(labels, scheme), scheme, size, margin=4 * factor)
    fine = np.pad(head.labels13, [(0, -side % factor) for side in head.labels13.shape])
    # The study's voxels are whole blocks of the fine ones, so labels and images fit exactly.
    affine = head.affine @ np.diag([factor, factor, factor, 1.0])
    affine[:3, 3] = head.affine[:3, 3] + (factor - 1) / 2 * size
    tissue = resample(
        fine, head.affine, affine, tuple(side // factor for side in fine.shape), order=0
    )
    about = {"description": "simulated contrast on a real label map", "provenance": provenance}
    for path, name, protocol in ((t1, "t1", T1W), (t2, "t2", T2W)):
        image = simulate(
            fine, None, generator(seed, "contrast", subject, name), *protocol,
            factor, BIAS_STRENGTH, NOISE,
        )  # fmt: skip
        results.write_volume(path, image, affine, units="arbitrary, simulated", **about)
    results.write_volume(labels_out, tissue, affine, units="headcond13 tissue", **about)
    volumes = {
        name: float(np.count_nonzero(tissue == index) * voxel_size_mm**3 / 1e3)
        for index, name in enumerate(TISSUES, 1)
    }
    record = {"subject": subject, "origin": "real labels, simulated contrast", "mni": None}
    record |= {"cut_voxels": head.cut, "changed_voxels": head.counts, "tissue_ml": volumes}
    results.write_json(facts, {**record, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
