"""Divide the bias field (N4) out of an image."""

from headcond import io
from headcond.mri.bias import correct


def main(image, corrected, field, shrink, provenance):
    """Write the corrected image and the field that was divided out."""
    data, affine = io.read_volume(image)
    result, bias = correct(data, affine, shrink=shrink)
    io.write_volume(corrected, result, affine, units="arbitrary", provenance=provenance)
    io.write_volume(field, bias, affine, units="1", provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
