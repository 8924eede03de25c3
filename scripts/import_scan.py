"""Take in the scans of a person without labels."""

from headcond import io
from headcond.cohort.bids import read_pair


def main(scan_t1, scan_t2, t1, t2, provenance):
    """Check both scans and write them beside the study's other subjects."""
    for scan, target in zip(read_pair(scan_t1, scan_t2), (t1, t2), strict=True):
        io.write_volume(
            target, scan.data, scan.affine, units="arbitrary", warnings=scan.warnings,
            provenance=provenance,
        )  # fmt: skip


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
