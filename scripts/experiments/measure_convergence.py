"""Experiment 1 for a batch of pairs: bounds and true errors against snapshots, in both norms."""

from functools import partial
from pathlib import Path

import pandas as pd

from headcond.caps import injection_pairs
from headcond.experiments.convergence import (
    concave_ratio,
    history_table,
    paper_settings,
    snapshot_counts,
)
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.random import generator
from headcond.rom.basis import load_basis
from headcond.rom.model import ReducedModel
from headcond.rom.pair_training import pair_folder
from headcond.rom.stability import Stability
from headcond.rom.training import train_pairs
from headcond.rom.validation import compare
from headcond.study import step
from headcond.study.models import study_box


def main(
    operators, stability, model, bases, errors, histories, batch, electrodes, settings, current,
    seed, state, provenance,
):  # fmt: skip
    """Write errors (per norm, pair, point and snapshots) and the greedy histories."""
    operator = AffineOperator.read(operators)
    box = study_box(settings, electrodes, operator.names)
    pairs = injection_pairs(operator.electrodes, electrodes["sink"], settings["pairs"])
    pairs = pairs[int(batch) * settings["batch"] : (int(batch) + 1) * settings["batch"]]
    known = results.read_table(stability)
    sigma = known[list(box.names)].to_numpy()
    factors = Stability(
        sigma, box.theta(sigma), known["factor"].to_numpy(), known["residual"].to_numpy(), "rbf"
    )
    solver = partial(
        make_solver, backend=settings["backend"], preconditioner=settings["preconditioner"]
    )
    experiment = settings["experiment"]
    draw = generator(seed, "rom", "experiment")
    points = draw.uniform(box.lower, box.upper, (experiment["points"], len(box.names)))
    with step.resumable(state, provenance, [operators, stability, model]) as folder:
        trained = []
        for norm in experiment["norms"]:
            if norm == "energy":
                reduced, kept = ReducedModel.read(model), Path(bases)
            else:
                kept = folder
                reduced = train_pairs(
                    operator, pairs, box,
                    paper_settings(settings["training_points"], settings["snapshots"], current,
                                   seed, factors),
                    solver_factory=solver, state=kept, mode=settings["mode"], keep_bases=True,
                )  # fmt: skip
            vectors = {s: load_basis(kept / pair_folder(operator, s)) for s, _ in pairs}
            trained.append((reduced, vectors))
        counts = snapshot_counts(settings["snapshots"])
        tables = compare(trained, operator, solver, points, snapshots=counts)
    for (reduced, _), table in zip(trained, tables, strict=True):
        table.insert(0, "norm", reduced.norm)
        if reduced.norm == "euclidean":
            ratio = concave_ratio(factors, box, points)
            table["concave_bound"] = table["bound"] * ratio[table["point"]]
    results.write_table(
        errors, pd.concat(tables, ignore_index=True),
        units={"passive_error": "V", "error": "W^0.5 (energy), V (euclidean)"},
        provenance=provenance,
    )  # fmt: skip
    table = pd.concat([history_table(reduced) for reduced, _ in trained], ignore_index=True)
    results.write_table(histories, table, provenance=provenance)


if __name__ == "__main__":
    step.run(main, snakemake)  # noqa: F821
