"""Put the batches of pairs together into one reduced model."""

import numpy as np
import pandas as pd

from headcond.files import results
from headcond.rom.model import ReducedModel, merge


def main(batches, model, greedy, provenance):
    """Write the reduced model of all pairs, and how their greedy searches went."""
    merged = merge([ReducedModel.read(path) for path in batches])
    merged.write(model)
    results.write_sidecar(
        model, units={"voltages": "V", "parameters": "S/m"}, provenance=provenance,
        parameters=list(merged.box.names), lower=merged.box.lower, upper=merged.box.upper,
        current_A=merged.current,
    )  # fmt: skip
    rows = []
    for pair in merged.pairs:
        history = pair.history
        for step in range(pair.snapshots):
            row = {"pair": f"{pair.source}-{pair.sink}", "snapshots": step + 1}
            row["relative_bound"] = history["maximum"][step]
            row["mean_relative_bound"] = history["mean"][step]
            row["iterations"] = int(np.sum(history["iterations"][step]))
            row["orthogonality"] = history["orthogonality"][step]
            for name, value in zip(merged.box.names, history["mu"][step], strict=True):
                row[name] = value
            rows.append(row)
    units = {name: "S/m" for name in merged.box.names}
    results.write_table(greedy, pd.DataFrame(rows), units=units, provenance=provenance)


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
