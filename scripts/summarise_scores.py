"""Sum up the errors of the conductivity maps over the test heads."""

import pandas as pd

from headcond import io
from headcond.condnet.summary import over_heads


def main(errors, scores, provenance, lens_values=(), lens=None):
    """Write mean and standard deviation per tissue and map, and what maps hold in the lenses."""
    joined = pd.concat([io.read_table(path) for path in errors], ignore_index=True)
    io.write_table(scores, over_heads(joined), provenance=provenance)
    if lens:
        rows = [io.read_table(path) for path in lens_values]
        io.write_table(lens, pd.concat(rows), units="S/m", provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
