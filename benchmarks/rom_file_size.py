"""Size of a reduced model's file: complete, without blocks between pairs, and without bounds.

    python -m benchmarks.rom_file_size MODEL.h5 --snapshots 30

Run it in the repository's root. It writes the first --snapshots of the model in each form into a
temporary folder and prints a row for each.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from headcond.rom.model import ReducedModel


def main(arguments: argparse.Namespace) -> None:
    """Print a row per form."""
    model, rows = ReducedModel.read(arguments.model), []
    forms = {"with the energy bound": (False, True), "without bounds": (False, False)}
    if model.cross is not None:
        forms = {"with product bounds": (True, True), **forms}
    for name, (cross, bounds) in forms.items():
        light = model.lighter(arguments.snapshots, cross=cross, bounds=bounds)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.h5"
            light.write(path)
            size = path.stat().st_size / 1e6
        most = max(pair.snapshots for pair in light.pairs)
        rows.append({"form": name, "pairs": len(light.pairs), "snapshots": most, "MB": size})
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--snapshots", type=int, default=30)
    main(parser.parse_args())
