"""Write UCL's mean healthy scalp EIT (Goren et al. 2018) as a measurement table.

python scripts/inverse/import_ucl.py FOLDER OUT.tsv
"""

import sys
from pathlib import Path

from headcond.checks import InputError
from headcond.inverse import measurement
from headcond.inverse.importers import read_ucl
from headcond.study import step


def main(folder, out):
    """Write the 17 frequencies as one table; an existing one stays."""
    if Path(out).exists():
        raise InputError(f"{out}: exists, and nothing is overwritten: name another file.")
    record = step.provenance("import_ucl", "", {}, {}, {"folder": str(folder)})
    measurement.write(out, read_ucl(folder), provenance=record)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    step.refuse_politely(lambda: main(*sys.argv[1:]))
