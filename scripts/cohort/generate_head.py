"""Generate a head: images, labels, and the conductivity that is true in it."""

from headcond.cohort.phantom import generate_head
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import TISSUES


def main(t1, t2, labels, truth, lens, facts, seed, subject, voxel_size_mm, provenance):
    """Write the generated head of `subject`; every file says that it is generated."""
    head = generate_head(seed, subject, voxel_size_mm)
    about = {"description": "generated head, not a person", "provenance": provenance}
    results.write_volume(t1, head.t1, head.affine, units="arbitrary, simulated T1w", **about)
    results.write_volume(t2, head.t2, head.t2_affine, units="arbitrary, simulated T2w", **about)
    results.write_volume(labels, head.labels, head.affine, units="headcond13 tissue", **about)
    results.write_volume(truth, head.conductivity, head.affine, units="S/m", **about)
    results.write_volume(lens, head.lens, head.affine, units="mask", **about)
    voxel_ml = abs(float(voxel_size_mm)) ** 3 / 1e3
    volumes = {
        name: float((head.labels == index).sum() * voxel_ml)
        for index, name in enumerate(TISSUES, 1)
    }
    record = {"subject": subject, "origin": "generated", "mni": head.mni}
    record |= {"fiducials_mm": head.fiducials, "t2_motion": head.t2_motion, "cut_voxels": {}}
    results.write_json(facts, {**record, "tissue_ml": volumes, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
