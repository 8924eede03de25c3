"""Read a measurement, or a data set that headcond knows, and write it as the study's table."""

from pathlib import Path

from headcond.inverse.importers import read_ucl
from headcond.inverse.measurement import read as read_measurements
from headcond.inverse.measurement import write as write_measurements
from headcond.study.step import run


def main(measured, measurement, provenance):
    """Write the table; a folder is UCL's data set, a file a measurement table."""
    found = read_ucl(measured) if Path(measured).is_dir() else read_measurements(measured)
    write_measurements(measurement, found, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
