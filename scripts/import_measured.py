"""Read a measurement, or a data set that headcond knows, and write it as the study's table."""

from pathlib import Path

from headcond.inverse import table
from headcond.inverse.importers import read_ucl


def main(measured, measurement, provenance):
    """Write the table; a folder is UCL's data set, a file a measurement table."""
    found = read_ucl(measured) if Path(measured).is_dir() else table.read(measured)
    table.write(measurement, found, provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
