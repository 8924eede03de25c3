"""Experiment 2: the traditional method, quasi-Newton on the full model, counting systems."""

from functools import partial

import numpy as np

from headcond.caps import injection_pairs
from headcond.experiments.estimation import baseline
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.inverse.full_order import FullModel
from headcond.random import generator
from headcond.study.rom_inputs import study_box
from headcond.study.step import run


def main(
    operators, baseline_table, seed, pairs, samples, electrodes, current, noise, reference,
    settings, provenance,
):  # fmt: skip
    """Write the history of every run: systems solved and errors after each iteration."""
    operator = AffineOperator.read(operators)
    solver = partial(
        make_solver, backend=settings["backend"], preconditioner=settings["preconditioner"]
    )
    box = study_box(settings, electrodes, operator.names)
    spread = injection_pairs(operator.electrodes, electrodes["sink"], pairs)
    full = FullModel(operator, box, pairs=spread, current=current, solver_factory=solver)
    draw = generator(seed, "inverse", "baseline", "truth")
    truth = draw.uniform(box.lower, box.upper, (samples, len(box.names)))
    found = baseline(full, np.asarray(full.voltages(truth)), truth, noise=noise,
                     reference=reference, seed=seed)  # fmt: skip
    results.write_table(baseline_table, found, units={"relative_error": "%"}, provenance=provenance,
                   pairs=pairs, samples=samples)  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
