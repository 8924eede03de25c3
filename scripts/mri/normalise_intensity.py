"""Map intensities to [0, 1]."""

from headcond.files import results
from headcond.mri.normalise import normalise
from headcond.study.step import run


def main(image, normalised, method, provenance):
    """Write the normalised image; its sidecar holds the statistics of the map."""
    data, affine = results.read_volume(image)
    result, statistics = normalise(data, method)
    results.write_volume(
        normalised, result, affine, units="1", statistics=statistics, provenance=provenance
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
