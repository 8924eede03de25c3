"""Judge whether a head lies outside the training domain of the networks."""

import logging

from headcond.condnet.checkpoint import check_as_trained
from headcond.condnet.domain import compare_head, image_statistics
from headcond.condnet.fusion import head_mask
from headcond.condnet.slices import describe_grid
from headcond.files import results
from headcond.study.step import run


def main(domain, t1, t2, spread, judgement, normalisation, provenance):
    """Write the mark with its reasons, and the spread between the axes."""
    known = results.read_json(domain)
    (first, affine), (second, _) = results.read_volume(t1), results.read_volume(t2)
    grid = describe_grid(first.shape, affine)
    mend = "Prepare the images as those of the training."
    check_as_trained("images' grid", grid, known["grid"], mend)
    check_as_trained("images' normalisation", normalisation, known["normalisation"], mend)
    found = compare_head(known, image_statistics(first, second, grid["voxel_size"][0]))
    if found["outside"]:
        logging.getLogger("headcond").warning(
            "%s is outside the training domain: %s.", t1, " and ".join(found["reasons"])
        )
    # Told, not judged: the networks know the training heads, whose spread is therefore no measure.
    scaled = results.read_components(spread)[0][:, head_mask(first, second, grid["voxel_size"][0])]
    found["axis_spread"] = float(scaled.mean())
    found["units"] = {"distance": "1", "limit": "1", "axis_spread": "1 (scaled conductivity)"}
    results.write_json(judgement, {**found, "provenance": provenance})


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
