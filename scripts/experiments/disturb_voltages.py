"""Simulate voltages on a head that differs from the model's in one thing."""

from functools import partial

import numpy as np
import pandas as pd

from headcond.experiments.wrong_heads import disturbed_head
from headcond.fem.anisotropy import radial_directions
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.head.formats import read_head
from headcond.head.spongy import erode_skull
from headcond.inverse.full_order import FullModel
from headcond.rom.model import ReducedModel


def main(
    labels, head, model, truth, voltages, change, samples, seed, geometry, backend, preconditioner,
    provenance,
):  # fmt: skip
    """Write the noiseless potentials of the first samples and all pairs, and what was changed."""
    tissue, affine = results.read_volume(labels, dtype="uint8")
    if geometry["spongy"]:
        tissue, _ = erode_skull(tissue, affine, *(geometry["spongy"][f"{side}_mm"]
                                                  for side in ("outer", "inner")))  # fmt: skip
    mesh, discs = read_head(head)
    made = disturbed_head(
        change, tissue, affine, mesh, discs, seed=seed, diameter=geometry["diameter"],
        **geometry["mesh"],
    )  # fmt: skip
    directions = geometry["anisotropic"]
    normals = radial_directions(made.mesh, directions, geometry["radial"]) if directions else None
    given = [geometry["relative_impedance"].get(label, 1.0) for label in discs.labels]
    operator = assemble(
        made.mesh, made.electrodes, directions, normals, np.array(given) * made.relative_impedance
    )
    reduced, true = ReducedModel.read(model), results.read_table(truth).head(samples)
    pairs = [(pair.source, pair.sink) for pair in reduced.pairs]
    solver = partial(make_solver, backend=backend, preconditioner=preconditioner)
    full = FullModel(operator, reduced.box, pairs=pairs, current=reduced.current,
                     solver_factory=solver)  # fmt: skip
    clean = full.voltages(true[list(full.names)].to_numpy())
    rows = np.array(["-".join(pair) for pair in pairs])
    sample, pair, electrode = (index.ravel() for index in np.indices(clean.shape))
    table = pd.DataFrame({
        "sample": true["sample"].to_numpy()[sample], "pair": rows[pair],
        "electrode": np.array(full.electrodes)[electrode], "noiseless": clean.ravel(),
    })  # fmt: skip
    results.write_table(
        voltages, table, units={"noiseless": "V"}, **made.changes, provenance=provenance
    )


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
