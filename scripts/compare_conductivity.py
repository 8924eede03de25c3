"""Judge conductivity maps per tissue: against the table, and against the truth if there is one."""

import numpy as np
import pandas as pd

from headcond import io
from headcond.metrics import map_errors
from headcond.tissues import TISSUES, conductivity_map, conductivity_table


def main(
    labels, region, uniform, blurred, condnet, true, lens, errors, subject, table, frequency,
    provenance,
):  # fmt: skip
    """Write median relative error and log-MAE per tissue and map."""
    tissue, _ = io.read_volume(labels, dtype="uint8")
    tissue[io.read_volume(region, dtype="uint8")[0] == 0] = 0
    maps = {
        name: io.read_volume(path)[0]
        for name, path in {"uniform": uniform, "blurred": blurred, "condnet": condnet}.items()
    }
    references = {"uniform": conductivity_map(tissue, conductivity_table(table, frequency))}
    if true:
        references["true"] = io.read_volume(true)[0]
        tissue = np.where(references["true"] > 0, tissue, 0)
    names = dict(enumerate(TISSUES, 1))
    if lens:  # not a training tissue: it is labelled vitreous humour
        tissue = tissue.copy()
        tissue[io.read_volume(lens, dtype="uint8")[0] > 0] = len(TISSUES) + 1
        names[len(TISSUES) + 1] = "lens"
    rows = []
    for reference, against in references.items():
        for name, volume in maps.items():
            if name != reference:
                # An estimate that takes tissue for air is judged by the relative error alone.
                part = map_errors(volume, against, tissue, names)
                part.insert(0, "reference", reference)
                part.insert(0, "map", name)
                part.insert(0, "subject", subject)
                rows.append(part)
    io.write_table(errors, pd.concat(rows, ignore_index=True), provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
