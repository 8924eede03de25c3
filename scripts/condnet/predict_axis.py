"""Predict the conductivity of a head from its slices along one axis."""

import numpy as np

from headcond.condnet.checkpoint import check_as_trained, check_unseen, load_checkpoint
from headcond.condnet.prediction import predict_axis
from headcond.condnet.slices import describe_grid
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_table


def main(
    network, t1, t2, prediction, normalisation, tables, frequency, tau, provenance, unseen=()
):  # fmt: skip
    """Write the scaled conductivity in [0, 1], one component per table."""
    trained = load_checkpoint(network)
    check_as_trained(
        "study's scale",
        {"tables": {name: conductivity_table(name, frequency) for name in tables}, "tau": tau},
        {"tables": trained.tables, "tau": trained.tau},
        "Set condnet.tables, .frequency and .tau as in the study that trained the network.",
    )
    check_unseen(trained, unseen)
    first, affine = results.read_volume(t1)
    second, _ = results.read_volume(t2)
    grid, images = describe_grid(first.shape, affine), np.stack([first, second])
    result = predict_axis(trained, images, grid=grid, normalisation=normalisation)
    results.write_volume(
        prediction, np.moveaxis(result, 0, -1), affine, units="1", provenance=provenance
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
