"""Experiment 4: estimates with one skull where spongy bone is missing, by reference electrode."""

from functools import partial

import numpy as np
import pandas as pd

from headcond.experiments.estimation import compare_references, opposite_patterns, spongy_fraction
from headcond.experiments.published import TABLE_2_TRUTH
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.head.formats import read_head
from headcond.inverse.full_order import FullModel
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import operator_box
from headcond.study.step import run


def main(
    head, operators, model, references, places, seed, noise, contact_impedance, backend,
    preconditioner, provenance,
):  # fmt: skip
    """Write the scatter for every reference, and the electrodes with the bone below them."""
    operator, reduced = AffineOperator.read(operators), ReducedModel.read(model)
    mesh, discs = read_head(head)
    box = operator_box("quartile", operator.names, contact_impedance)
    solver = partial(make_solver, backend=backend, preconditioner=preconditioner)

    def potentials(patterns):
        full = FullModel(operator, box, pairs=patterns, current=reduced.current,
                         solver_factory=solver)  # fmt: skip
        return full.voltages(np.array([TABLE_2_TRUTH[name] for name in box.names]))

    centres = np.asarray(discs.centres)
    patterns = opposite_patterns(discs.labels, centres)
    found = compare_references(
        reduced, potentials, patterns, noise=noise, parameter="skull", seed=seed
    )
    units = {"mean": "S/m", "std": "S/m"}
    results.write_table(references, found, units=units, provenance=provenance, truth=TABLE_2_TRUTH,
                   patterns=["-".join(pair) for pair in patterns])  # fmt: skip
    table = pd.DataFrame({"electrode": discs.labels, **dict(zip("xyz", centres.T, strict=True))})
    table["spongy"] = spongy_fraction(mesh, centres)
    results.write_table(places, table, units=dict.fromkeys("xyz", "m"), provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
