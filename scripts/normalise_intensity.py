"""Map intensities to [0, 1]."""

from headcond import io
from headcond.mri.normalise import normalise


def main(image, normalised, method, provenance):
    """Write the normalised image; its sidecar holds the statistics of the map."""
    data, affine = io.read_volume(image)
    result, statistics = normalise(data, method)
    io.write_volume(
        normalised, result, affine, units="1", statistics=statistics, provenance=provenance
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
