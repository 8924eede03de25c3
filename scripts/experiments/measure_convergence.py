"""Experiment 1 for a batch of pairs: bounds and true errors against snapshots, in both norms."""

from functools import partial

from headcond.caps import injection_pairs
from headcond.experiments.convergence import paper_settings
from headcond.experiments.snapshots import measure
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.random import generator
from headcond.rom.model import ReducedModel
from headcond.rom.stability import Stability
from headcond.study.rom_inputs import study_box
from headcond.study.step import resumable, run


def main(
    operators, stability, model, bases, errors, histories, batch, points, norms, electrodes,
    settings, current, seed, state, provenance,
):  # fmt: skip
    """Write errors (per norm, pair, point and snapshots) and the greedy histories."""
    operator = AffineOperator.read(operators)
    box = study_box(settings, electrodes, operator.names)
    pairs = injection_pairs(operator.electrodes, electrodes["sink"], settings["pairs"])
    pairs = pairs[batch * settings["batch"] : (batch + 1) * settings["batch"]]
    known = results.read_table(stability)
    sigma = known[list(box.names)].to_numpy()
    factors = Stability(
        sigma, box.theta(sigma), known["factor"].to_numpy(), known["residual"].to_numpy(), "rbf"
    )
    solver = partial(
        make_solver, backend=settings["backend"], preconditioner=settings["preconditioner"]
    )
    draw = generator(seed, "rom", "experiment")
    counts = settings["training_points"], settings["snapshots"]
    sigma = draw.uniform(box.lower, box.upper, (points, len(box.names)))
    with resumable(state, provenance, [operators, stability, model]) as folder:
        found, searches = measure(
            operator, pairs, ReducedModel.read(model), bases, sigma, norms,
            paper_settings(*counts, current, seed, factors), folder,
            mode=settings["mode"], solver_factory=solver,
        )  # fmt: skip
    units = {"passive_error": "V", "error": "W^0.5 (energy), V (euclidean)"}
    results.write_table(errors, found, units=units, provenance=provenance)
    results.write_table(histories, searches, provenance=provenance)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
