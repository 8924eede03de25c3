"""Invert the voltages of disturbed heads: what a wrong head costs, in one table and one figure."""

from headcond.experiments.wrong_heads import compare_disturbances
from headcond.figures.experiments import plot_disturbances
from headcond.figures.style import save
from headcond.files import results
from headcond.head.formats import read_head
from headcond.inverse.simulation import read_potentials
from headcond.rom.model import ReducedModel
from headcond.study.step import run


def main(
    head, model, truth, voltages, disturbances, disturbances_figure, changes, noise,
    reference, modes, seed, note, provenance,
):  # fmt: skip
    """Write a row for every change, mode and tissue, and their errors as a figure."""
    reduced, true = ReducedModel.read(model), results.read_table(truth)
    pairs = [(pair.source, pair.sink) for pair in reduced.pairs]
    true = true[true["sample"].isin(results.read_table(voltages[0])["sample"])]
    potentials, account = {}, {}
    for change, path in zip(changes, voltages, strict=True):
        potentials[change] = read_potentials(
            path, "noiseless", pairs, reduced.electrodes, true["sample"]
        )
        facts = results.read_json(results.sidecar_path(path))
        account[change] = {key: facts[key] for key in facts if key not in ("provenance", "units")}
    table = compare_disturbances(
        reduced, potentials, true[list(reduced.box.names)].to_numpy(), read_head(head)[1].centres,
        noise=noise, reference=reference, modes=modes, seed=seed,
    )  # fmt: skip
    percent = dict.fromkeys(("mean", "median", "largest", "bound", "variation"), "%")
    results.write_table(
        disturbances, table, units=percent, changes=account, samples=len(true), pairs=len(pairs),
        provenance=provenance,
    )  # fmt: skip
    note = f"{note}; {len(pairs)} pairs x {len(true)} samples; {1e6 * noise:g} µV"
    save(plot_disturbances(table), disturbances_figure, note, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
