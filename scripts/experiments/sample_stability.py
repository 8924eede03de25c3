"""Compute the stability factors of the paper's bound at points of the box."""

from functools import partial

import numpy as np
import pandas as pd

from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.random import generator
from headcond.rom.parameters import latin_hypercube, operator_box
from headcond.rom.stability import stability_factors
from headcond.study.step import run


def main(
    operators, stability, seed, points, box, contact, fixed, contact_impedance, backend,
    preconditioner, provenance,
):  # fmt: skip
    """Write the second smallest eigenvalue at every point, with its residual."""
    operator = AffineOperator.read(operators)
    ranges = operator_box(box, operator.names, contact_impedance, contact, fixed)
    sigma = latin_hypercube(ranges, points, generator(seed, "rom", "stability"))[1:]
    solver = partial(make_solver, backend=backend, preconditioner=preconditioner)
    found = stability_factors(operator, ranges, sigma, solver)
    table = pd.DataFrame(sigma, columns=list(ranges.names))
    table["factor"], table["residual"] = found.values, found.residuals
    above = np.mean(found.residuals / found.values)
    results.write_table(
        stability, table, units={name: "S/m" for name in ranges.names}, provenance=provenance,
        mean_relative_residual=above,
    )  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
