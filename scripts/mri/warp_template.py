"""Refine the way to MNI space by a deformation of the brain."""

import numpy as np

from headcond.files import results
from headcond.mri.deform import to_mni_deformed
from headcond.study.step import run
from headcond.tissues import tissue_id
from headcond.tms.regions import BRAIN


def main(t1, labels, mni, template, warp, provenance):
    """Write the displacement that comes after the affine map, mm, and how well it fits."""
    image, affine = results.read_volume(t1)
    tissue, _ = results.read_volume(labels, dtype="uint8")
    brain = np.isin(tissue, [tissue_id(name) for name in BRAIN])
    matrix = np.array(results.read_json(mni)["matrix"])
    target = results.read_volume(template) if template else None
    displacement, grid, quality = to_mni_deformed(image, affine, brain, matrix, target)
    results.write_volume(
        warp, displacement, grid, units="mm, RAS, from the affine map's MNI point to MNI",
        quality=quality, provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
