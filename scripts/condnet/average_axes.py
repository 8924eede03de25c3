"""Average the predictions of the slicing axes (eq. 2 of CondNet)."""

import numpy as np

from headcond.condnet.fusion import average_axes, spread
from headcond.files import results
from headcond.study.step import run


def main(predictions, average, spread_path, provenance):
    """Write the mean over the axes, and their standard deviation where they disagree."""
    maps, affines = zip(*(results.read_components(path) for path in predictions), strict=True)
    for path, result in ((average, average_axes(maps)), (spread_path, spread(maps))):
        results.write_volume(
            path, np.moveaxis(result, 0, -1), affines[0], units="1", provenance=provenance
        )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
