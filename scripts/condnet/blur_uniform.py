"""Blur the uniform map until it resembles the estimated one, as the control."""

from headcond.files import results
from headcond.metrics import blur_inside, fit_blur
from headcond.study.step import run


def main(uniform, estimated, blurred, provenance):
    """Write the blurred map; its sidecar holds the fitted width."""
    sharp, affine = results.read_volume(uniform)
    soft, _ = results.read_volume(estimated)
    head = sharp > 0
    width = fit_blur(sharp, soft, head)
    results.write_volume(
        blurred, blur_inside(sharp, width, head), affine, units="S/m", width_voxels=width,
        provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
