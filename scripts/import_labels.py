"""Take in a real label map and simulate its T1w and T2w images."""

import numpy as np

from headcond import io
from headcond.cohort.contrast import T1W, T2W, simulate
from headcond.cohort.labels import prepare, read_labels
from headcond.random import generator
from headcond.tissues import TISSUES

FINE_MM = 1.0  # voxels on which the signal is computed before it is averaged
BIAS_STRENGTH = 0.2
NOISE = 0.02


def main(labels, labels_out, t1, t2, facts, seed, subject, scheme, voxel_size_mm, provenance):
    """Write labels, simulated images, and what was done to the label map."""
    ids, affine = read_labels(labels, scheme)
    factor = max(round(voxel_size_mm / FINE_MM), 1)
    head = prepare(ids, affine, scheme, voxel_size_mm)
    fine = prepare(ids, affine, scheme, voxel_size_mm / factor, margin=4 * factor)
    about = {"description": "simulated contrast on a real label map", "provenance": provenance}
    for path, name, protocol in ((t1, "t1", T1W), (t2, "t2", T2W)):
        image = simulate(
            fine.labels13, None, generator(seed, "contrast", subject, name), *protocol,
            factor, BIAS_STRENGTH, NOISE,
        )  # fmt: skip
        io.write_volume(path, image, head.affine, units="arbitrary, simulated", **about)
    io.write_volume(labels_out, head.labels13, head.affine, units="headcond13 tissue", **about)
    io.write_json(
        facts,
        {
            "subject": subject,
            "origin": "real labels, simulated contrast",
            "mni": None,
            "cut_voxels": head.cut,
            "changed_voxels": head.counts,
            "tissue_ml": {
                name: float(np.count_nonzero(head.labels13 == index) * voxel_size_mm**3 / 1e3)
                for index, name in enumerate(TISSUES, 1)
            },
            "provenance": provenance,
        },
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
