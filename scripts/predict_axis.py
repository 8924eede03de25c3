"""Predict the conductivity of a head from its slices along one axis."""

import numpy as np

from headcond import io
from headcond.condnet.prediction import predict_axis
from headcond.condnet.slices import grid_facts


def main(network, t1, t2, prediction, normalisation, provenance):
    """Write the scaled conductivity in [0, 1], one component per table."""
    first, affine = io.read_volume(t1)
    second, _ = io.read_volume(t2)
    result = predict_axis(
        network,
        np.stack([first, second]),
        grid=grid_facts(first.shape, affine),
        normalisation={"method": normalisation, "images": ["T1w", "T2w"]},
    )
    io.write_volume(
        prediction, np.moveaxis(result, 0, -1), affine, units="1", provenance=provenance
    )


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
