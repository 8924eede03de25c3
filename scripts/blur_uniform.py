"""Blur the uniform map until it resembles the estimated one: the control beside it."""

from headcond import io
from headcond.metrics import blurred as blur
from headcond.metrics import fit_blur


def main(uniform, estimated, blurred, provenance):
    """Write the blurred map; its sidecar holds the fitted width."""
    sharp, affine = io.read_volume(uniform)
    soft, _ = io.read_volume(estimated)
    head = sharp > 0
    width = fit_blur(sharp, soft, head)
    io.write_volume(
        blurred, blur(sharp, width, head), affine, units="S/m", width_voxels=width,
        provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
