"""Sum up the errors of the conductivity maps over the test heads."""

import pandas as pd

from headcond.condnet.scores import summarise_heads
from headcond.files import results
from headcond.study.step import run


def main(errors, scores, provenance, lens_values=(), lens=None):
    """Write mean and standard deviation per tissue and map, and what maps hold in the lenses."""
    joined = pd.concat([results.read_table(path) for path in errors], ignore_index=True)
    results.write_table(scores, summarise_heads(joined), provenance=provenance)
    if lens:
        rows = [results.read_table(path) for path in lens_values]
        results.write_table(lens, pd.concat(rows), units="S/m", provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
