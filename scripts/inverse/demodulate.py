"""Make a measurement table of a recording (.bdf, .mff, ...) and a table of its patterns.

python scripts/inverse/demodulate.py RECORDING PATTERNS.tsv OUT.tsv --frequency 27 --current 2e-5 \
    --reference Cz

PATTERNS.tsv has the columns injection, extraction, start and stop (s from the first sample).
"""

import argparse
from pathlib import Path

from headcond.checks import InputError
from headcond.files import results
from headcond.inverse import measurement
from headcond.inverse.demodulation import Interval, demodulate, read_recording
from headcond.study import step


def main(recording, patterns, out, provenance, **options):
    """Write the lock-in's readings of every pattern; an existing table stays."""
    if Path(out).exists():
        raise InputError(f"{out}: exists, and nothing is overwritten: name another file.")
    rows = results.read_tsv(patterns, dtype={"injection": str, "extraction": str})
    if lacking := {"injection", "extraction", "start", "stop"} - set(rows):
        raise InputError(f"{patterns}: no column {min(lacking)!r}.")
    intervals = [Interval(r.injection, r.extraction, r.start, r.stop) for r in rows.itertuples()]
    electrodes, signal, rate = read_recording(recording)
    found = demodulate(signal, rate, electrodes, intervals, **options)
    measurement.write(out, [found], provenance=provenance)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("recording", "patterns", "out"):
        parser.add_argument(name)
    parser.add_argument("--frequency", type=float, required=True, help="of the injection, Hz")
    parser.add_argument("--current", type=float, required=True, help="its amplitude, A")
    parser.add_argument("--reference", required=True, help="the amplifier's")
    parser.add_argument("--kind", default="signed", help="or amplitude")
    given = vars(parser.parse_args())
    inputs = {name: given[name] for name in ("recording", "patterns")}
    step.refuse_politely(
        lambda: main(**given, provenance=step.provenance("demodulate", "", given, {}, inputs))
    )
