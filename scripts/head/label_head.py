"""Turn the thirteen tissues of a head into the six of the EIT pipeline, with a closed skull."""

import numpy as np

from headcond.cohort.labels import close_skull
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import EIT_TISSUES, to_eit6


def main(labels, mni, facts, eit_labels, head_mni, provenance):
    """Write the six-tissue labels and pass on the way to MNI space."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    closed, filled = close_skull(to_eit6(tissue))
    counts = np.bincount(closed.ravel(), minlength=len(EIT_TISSUES) + 1)[1:]
    results.write_volume(
        eit_labels, closed, affine, units="eit6 tissue", provenance=provenance,
        voxels=dict(zip(EIT_TISSUES, counts.tolist(), strict=True)), skull_voxels_closed=filled,
    )  # fmt: skip
    known = {**results.read_json(mni), "cut_voxels": results.read_json(facts)["cut_voxels"]}
    results.write_json(head_mni, {**known, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
