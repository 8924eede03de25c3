"""Judge conductivity maps per tissue: against the table, and against the truth if there is one."""

import numpy as np
import pandas as pd

from headcond import io
from headcond.condnet.scores import tissue_scores
from headcond.condnet.summary import value_ranges
from headcond.tissues import conductivity_map, conductivity_table


def main(
    labels, region, uniform, blurred, condnet, true, lens, errors, subject, table, frequency,
    provenance, lens_values=None,
):  # fmt: skip
    """Write the scores of every map per tissue, and what the maps hold in the lens."""
    tissue, _ = io.read_volume(labels, dtype="uint8")
    tissue[io.read_volume(region, dtype="uint8")[0] == 0] = 0
    maps = {
        name: io.read_volume(path)[0]
        for name, path in {"uniform": uniform, "blurred": blurred, "condnet": condnet}.items()
    }
    values = conductivity_table(table, frequency)
    references = {"uniform": conductivity_map(tissue, values)}
    if true:
        references["true"] = io.read_volume(true)[0]
        tissue = np.where(references["true"] > 0, tissue, 0)
    if lens:  # no tissue of the training: labelled vitreous humour there, judged apart here
        inside = io.read_volume(lens, dtype="uint8")[0] > 0
        tissue = np.where(inside, 0, tissue)
        found = value_ranges(maps | {"true": references["true"]}, inside)
        found.insert(0, "subject", subject)
        io.write_table(lens_values, found, units="S/m", provenance=provenance)
    rows = []
    for reference, against in references.items():
        for name, volume in maps.items():
            if name != reference:
                part = tissue_scores(volume, tissue, values, against)
                part.insert(0, "reference", reference)
                part.insert(0, "map", name)
                part.insert(0, "subject", subject)
                rows.append(part)
    io.write_table(errors, pd.concat(rows, ignore_index=True), provenance=provenance)


if __name__ == "__main__":
    import step

    step.run(main, snakemake)  # noqa: F821
