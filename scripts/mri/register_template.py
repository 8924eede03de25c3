"""Find the way from a subject's world to MNI space."""

import numpy as np

from headcond.files import results
from headcond.mri.register import to_mni
from headcond.study.step import run
from headcond.tissues import tissue_id

BRAIN = ("gm", "wm", "cerebellum")


def main(t1, labels, facts, template, mni, provenance):
    """Write the 4x4 matrix, subject world mm to MNI mm; a generated head knows its own."""
    known = results.read_json(facts).get("mni")
    if known is not None:
        matrix, quality = np.array(known), {"source": "known by construction"}
    else:
        image, affine = results.read_volume(t1)
        tissue, _ = results.read_volume(labels, dtype="uint8")
        brain = np.isin(tissue, [tissue_id(name) for name in BRAIN])
        target = results.read_volume(template) if template else None
        matrix, quality = to_mni(image, affine, brain, target)
    results.write_json(mni, {"matrix": matrix, "quality": quality, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
