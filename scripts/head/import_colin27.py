"""Take in the Colin27 head of the ROM-pEIT paper."""

from pathlib import Path

import numpy as np

from headcond.cohort.colin27 import read_colin27
from headcond.files import results
from headcond.study.step import run

MARGIN = 4  # voxels of air laid around the head, which reaches the border of its image


def main(segmentation, classes, anatomy, eit_labels, head_mni, provenance):
    """Write its six-tissue labels; its world is MNI space."""
    folders = {Path(path).parent for path in (segmentation, classes, anatomy)}
    labels, affine, details = read_colin27(folders.pop())
    affine = affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, MARGIN)
    del details["t1"]
    results.write_volume(
        eit_labels, np.pad(labels, MARGIN), affine, units="eit6 tissue", details=details,
        provenance=provenance,
    )  # fmt: skip
    quality = {"source": f"world of {Path(classes).name}"}
    known = {"matrix": np.eye(4), "quality": quality, "cut_voxels": details["cut"]}
    results.write_json(head_mni, {**known, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
