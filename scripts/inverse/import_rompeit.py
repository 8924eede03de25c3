"""Make a measurement table of measurements in ROMpEIT's .mat layout.

python scripts/inverse/import_rompeit.py FOLDER SINKS.mat LABELS.txt OUT.tsv --current 2e-5

FOLDER holds pattern_1.mat, pattern_2.mat, ...; LABELS.txt one electrode label per line.
"""

import argparse
from pathlib import Path

from headcond.checks import InputError
from headcond.inverse import measurement
from headcond.inverse.importers import read_rompeit, rompeit_conductivities
from headcond.study import step


def main(folder, sinks, labels, out, provenance, noisy=False, **options):
    """Write the table, print the conductivities of computed ones; an existing table stays."""
    if Path(out).exists():
        raise InputError(f"{out}: exists, and nothing is overwritten: name another file.")
    found = read_rompeit(folder, sinks, labels, noisy=noisy, **options)
    measurement.write(out, [found], provenance=provenance)
    if len(values := rompeit_conductivities(folder, noisy)):
        print("Computed with (S/m, contact impedance last):", *(f"{value:g}" for value in values))


def command(arguments=None):
    """Read the command line and write the table, with a record of both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("folder", "sinks", "labels", "out"):
        parser.add_argument(name)
    parser.add_argument("--current", type=float, required=True, help="A")
    parser.add_argument("--noisy", action="store_true", help="read pattern_K_noise.mat")
    parser.add_argument("--noise", type=float, help="standard deviation of one electrode, V")
    parser.add_argument("--frequency", type=float, default=1.0, help="Hz, which no file says")
    given = vars(parser.parse_args(arguments))
    inputs = {name: given[name] for name in ("folder", "sinks", "labels")}
    step.refuse_politely(
        lambda: main(**given, provenance=step.provenance("import_rompeit", "", given, {}, inputs))
    )


if __name__ == "__main__":
    command()
