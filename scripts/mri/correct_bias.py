"""Divide the bias field (N4) out of an image."""

from headcond.files import results
from headcond.mri.bias import correct
from headcond.study.step import run


def main(image, corrected, field, shrink, provenance):
    """Write the corrected image and the field that was divided out."""
    data, affine = results.read_volume(image)
    result, bias = correct(data, affine, shrink=shrink)
    results.write_volume(corrected, result, affine, units="arbitrary", provenance=provenance)
    results.write_volume(field, bias, affine, units="1", provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
