"""Take in the real scans and the label map of a person."""

import numpy as np

from headcond.checks import InputError
from headcond.cohort.bids import read_pair
from headcond.cohort.labels import prepare_labels, read_labels
from headcond.files import results
from headcond.mri.resampling import lost_foreground
from headcond.study.step import run
from headcond.tissues import TISSUES

MOST_OUTSIDE = 0.5  # of the labels may lie outside the T1w (a neck drawn by hand, say)


def main(scan_t1, scan_t2, label_map, t1, t2, labels, facts, subject, scheme, provenance):
    """Check the scans, translate the labels, and write what was done to them."""
    warnings = []
    scans = read_pair(scan_t1, scan_t2)
    for scan, target in zip(scans, (t1, t2), strict=True):
        warnings += scan.warnings
        results.write_volume(
            target, scan.data, scan.affine, units="arbitrary", provenance=provenance
        )
    head = prepare_labels(*read_labels(label_map, scheme), scheme)
    lost, voxels = lost_foreground(
        head.labels13, head.affine, scans[0].affine, scans[0].data.shape, 0
    )
    if lost > MOST_OUTSIDE * voxels:
        raise InputError(
            f"{label_map}: {100 * lost / voxels:.0f} % of the labels are outside the field of view "
            f"of {scan_t1}. Labels belong into the world of the T1w: check both affines."
        )
    results.write_volume(
        labels, head.labels13, head.affine, units="headcond13 tissue", provenance=provenance
    )
    voxel_ml = abs(np.linalg.det(head.affine[:3, :3])) / 1e3
    volumes = {
        name: float(np.count_nonzero(head.labels13 == index) * voxel_ml)
        for index, name in enumerate(TISSUES, 1)
    }
    record = {"subject": subject, "origin": "real scans and labels", "mni": None}
    record |= {"cut_voxels": head.cut, "changed_voxels": head.counts, "warnings": warnings}
    results.write_json(facts, {**record, "tissue_ml": volumes, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
