"""Compare the reduced model with full solutions at random conductivities."""

from functools import partial

from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.random import generator
from headcond.rom.model import ReducedModel
from headcond.rom.validation import validate
from headcond.study.step import run


def main(operators, model, validation, seed, points, backend, preconditioner, provenance):
    """Write true errors, bounds and effectivities; a bound below its error is a failure."""
    operator = AffineOperator.read(operators)
    reduced = ReducedModel.read(model)
    box = reduced.box
    draw = generator(seed, "rom", "validation")
    sigma = draw.uniform(box.lower, box.upper, (points, len(box.names)))
    solver = partial(make_solver, backend=backend, preconditioner=preconditioner)
    table = validate(reduced, operator, solver, sigma)
    units = {"error": "W^0.5", "bound": "W^0.5", "passive_error": "V",
             "corrected_passive_error": "V", "reading_bound": "V"}  # fmt: skip
    results.write_table(
        validation, table.dropna(axis=1, how="all"), units=units, provenance=provenance
    )
    if not table["judged"].any():
        raise RuntimeError(
            f"No bound was compared: every error is within the truth's accuracy, see {validation}."
        )
    violated = int(table["violated"].sum())
    if reduced.cross is not None:
        violated += int(table["reading_violated"].sum())
    if violated:
        raise RuntimeError(
            f"{violated} of {len(table)} bounds are below the true error: see {validation}."
        )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
