"""Take in the scans of a person without labels."""

from headcond.cohort.bids import read_pair
from headcond.files import results
from headcond.study.step import run


def main(scan_t1, scan_t2, t1, t2, provenance):
    """Check both scans and write them next to the study's other subjects."""
    for scan, target in zip(read_pair(scan_t1, scan_t2), (t1, t2), strict=True):
        results.write_volume(
            target, scan.data, scan.affine, units="arbitrary", warnings=scan.warnings,
            provenance=provenance,
        )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
