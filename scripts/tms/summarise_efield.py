"""Put the global errors of all test heads into one table, with their average (Table III)."""

import pandas as pd

from headcond.files import results
from headcond.metrics import average_errors
from headcond.study.step import run


def main(errors, summary, provenance):
    """Write the rows of every head, and those of the average over heads."""
    table = pd.concat([results.read_table(path) for path in errors], ignore_index=True)
    units = {"mean_percent": "%", "std_percent": "%", "between_percent": "%", "voxel_mm": "mm"}
    results.write_table(
        summary, pd.concat([table, average_errors(table)], ignore_index=True), units=units,
        average="mean_percent and std_percent: mean over heads; between_percent: standard "
        "deviation of the heads' means", provenance=provenance,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
