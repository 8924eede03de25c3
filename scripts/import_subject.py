"""Take in the real scans and the label map of a person."""

import numpy as np

from headcond import io
from headcond.cohort.bids import read_scan
from headcond.cohort.labels import prepare, read_labels
from headcond.tissues import TISSUES


def main(scan_t1, scan_t2, label_map, t1, t2, labels, facts, subject, scheme, provenance):
    """Check the scans, translate the labels, and write what was done to them."""
    warnings = []
    for source, target in ((scan_t1, t1), (scan_t2, t2)):
        scan = read_scan(source)
        warnings += scan.warnings
        io.write_volume(target, scan.data, scan.affine, units="arbitrary", provenance=provenance)
    head = prepare(*read_labels(label_map, scheme), scheme)
    io.write_volume(
        labels, head.labels13, head.affine, units="headcond13 tissue", provenance=provenance
    )
    voxel_ml = abs(np.linalg.det(head.affine[:3, :3])) / 1e3
    io.write_json(
        facts,
        {
            "subject": subject,
            "origin": "real scans and labels",
            "mni": None,
            "cut_voxels": head.cut,
            "changed_voxels": head.counts,
            "warnings": warnings,
            "tissue_ml": {
                name: float(np.count_nonzero(head.labels13 == index) * voxel_ml)
                for index, name in enumerate(TISSUES, 1)
            },
            "provenance": provenance,
        },
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
