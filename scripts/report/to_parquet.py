"""The tables of a finished study, or one table, as Parquet.

python scripts/report/to_parquet.py results/default FOLDER
"""

import argparse

from headcond.files.parquet import export_tables
from headcond.study import step


def main(source, folder):
    """Write the Parquet files and say how large they are."""
    for path in export_tables(source, folder):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", help="a study's folder of results, or one table (.tsv)")
    parser.add_argument("folder", help="for the .parquet files; must be new or empty")
    given = parser.parse_args()
    step.refuse_politely(lambda: main(given.source, given.folder))
