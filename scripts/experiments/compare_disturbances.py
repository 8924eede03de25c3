"""Invert the voltages of disturbed heads: what a wrong head costs, in one table and one figure."""

import pandas as pd

from headcond.experiments.wrong_heads import compare_disturbances
from headcond.figures.experiments import plot_disturbances
from headcond.figures.style import save
from headcond.files import results
from headcond.head.formats import read_head
from headcond.rom.model import ReducedModel


def main(
    head, model, truth, voltages, disturbances, disturbances_figure, changes, noise,
    reference, modes, seed, note, provenance,
):  # fmt: skip
    """Write a row for every change, mode and tissue, and their errors as a figure."""
    reduced, true = ReducedModel.read(model), results.read_table(truth)
    names = [f"{pair.source}-{pair.sink}" for pair in reduced.pairs]
    potentials, account = {}, {}
    for change, path in zip(changes, voltages, strict=True):
        table = results.read_table(path)
        true = true[true["sample"].isin(table["sample"])]
        order = pd.MultiIndex.from_product([true["sample"], names, reduced.electrodes])
        wide = table.set_index(["sample", "pair", "electrode"])["noiseless"].loc[order]
        potentials[change] = wide.to_numpy().reshape(len(true), len(names), -1)
        facts = results.read_json(results.sidecar_path(path))
        account[change] = {key: value for key, value in facts.items()
                           if key not in ("provenance", "units")}  # fmt: skip
    found = compare_disturbances(
        reduced, potentials, true[list(reduced.box.names)].to_numpy(), read_head(head)[1].centres,
        noise=noise, reference=reference, modes=modes, seed=seed,
    )  # fmt: skip
    percent = dict.fromkeys(("mean", "median", "largest", "bound", "variation"), "%")
    results.write_table(disturbances, found, units=percent, changes=account, samples=len(true),
                   pairs=len(names), provenance=provenance)  # fmt: skip
    told = f"{note}; {len(names)} pairs x {len(true)} samples; {1e6 * noise:g} µV"
    save(plot_disturbances(found), disturbances_figure, told, provenance=provenance)


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
