"""Judge conductivity maps per tissue: against their table, and the truth where there is one."""

import pandas as pd

from headcond.condnet.scores import SCORE_COLUMNS, compare_maps, value_ranges
from headcond.files import results
from headcond.study.step import run
from headcond.tissues import conductivity_map, conductivity_table


def main(
    labels, region, uniform, blurred, condnet, true, lens, errors, subject, tables, frequency,
    provenance, lens_values=None,
):  # fmt: skip
    """Write the scores of every map per tissue, and what the first table's hold in the lens.

    `uniform`, `blurred` and `condnet` hold a path per table. The truth is one: it is held against
    the maps of the first table.
    """
    tissue, _ = results.read_volume(labels, dtype="uint8")
    tissue[results.read_volume(region, dtype="uint8")[0] == 0] = 0
    truth, inside = {}, None
    if true:
        truth["true"] = results.read_volume(true)[0]
        tissue[truth["true"] <= 0] = 0
    if lens:  # no tissue of the training: labelled vitreous humour there, judged apart here
        inside = results.read_volume(lens, dtype="uint8")[0] > 0
        tissue[inside] = 0
    rows, names = [], ("uniform", "blurred", "condnet")
    for table, *paths in zip(tables, uniform, blurred, condnet, strict=True):
        maps = {name: results.read_volume(path)[0] for name, path in zip(names, paths, strict=True)}
        values = conductivity_table(table, frequency)
        references = {"uniform": conductivity_map(tissue, values)}
        if table == tables[0]:
            references |= truth
            if lens:
                held = value_ranges(maps | truth, inside)
                held.insert(0, "subject", subject)
                results.write_table(lens_values, held, units="S/m", provenance=provenance)
        scores = compare_maps(maps, references, tissue, values)
        rows.append(scores.assign(subject=subject, table=table))
    found = pd.concat(rows, ignore_index=True)
    first = ["subject", "table", "map", "reference"]
    results.write_table(errors, found[[*first, *SCORE_COLUMNS]], provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
