"""Take in the Colin27 head of the ROM-pEIT paper."""

from pathlib import Path

import numpy as np

from headcond import io
from headcond.cohort.labels import read_colin27


def main(segmentation, classes, eit_labels, head_mni, provenance):
    """Write its six-tissue labels; its world is MNI space."""
    labels, affine, details = read_colin27(Path(segmentation).parent)
    io.write_volume(
        eit_labels, labels, affine, units="eit6 tissue", details=details, provenance=provenance
    )
    quality = {"source": f"world of {Path(classes).name}"}
    io.write_json(head_mni, {"matrix": np.eye(4), "quality": quality, "provenance": provenance})


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
