"""Simulate voltages on a head that differs from the model's in one thing."""

from functools import partial

import numpy as np

from headcond.experiments.wrong_heads import disturbed_head
from headcond.fem.anisotropy import radial_directions
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.head.formats import read_head
from headcond.head.spongy import erode_skull
from headcond.inverse.full_order import FullModel
from headcond.inverse.simulation import potential_table
from headcond.rom.model import ReducedModel
from headcond.study.step import run


def main(
    labels, head, model, truth, voltages, change, samples, seed, mesh, spongy, diameter,
    anisotropic, radial, relative_impedance, backend, preconditioner, provenance,
):  # fmt: skip
    """Write the noiseless potentials of the first samples and all pairs, and what was changed."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    if spongy:
        tissue, _ = erode_skull(tissue, affine, spongy["outer_mm"], spongy["inner_mm"])
    whole, discs = read_head(head)
    made = disturbed_head(
        change, tissue, affine, whole, discs, seed=seed, diameter=diameter, **mesh
    )
    normals = radial_directions(made.mesh, anisotropic, radial) if anisotropic else None
    scale = np.array([relative_impedance.get(label, 1.0) for label in discs.labels])
    operator = assemble(
        made.mesh, made.electrodes, anisotropic, normals, scale * made.relative_impedance
    )
    reduced, true = ReducedModel.read(model), results.read_table(truth).head(samples)
    full = FullModel(
        operator, reduced.box, pairs=[(pair.source, pair.sink) for pair in reduced.pairs],
        current=reduced.current,
        solver_factory=partial(make_solver, backend=backend, preconditioner=preconditioner),
    )  # fmt: skip
    clean = full.voltages(true[list(full.names)].to_numpy())
    table = potential_table({"noiseless": clean}, full.pairs, full.electrodes, true["sample"])
    results.write_table(
        voltages, table, units={"noiseless": "V"}, **made.changes, provenance=provenance
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
