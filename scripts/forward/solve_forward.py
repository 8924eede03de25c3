"""Solve the forward problem of a head for many injection pairs, and check what comes out."""

import numpy as np
import pandas as pd

from headcond.caps import injection_pairs
from headcond.fem.electrode_model import CONTACT
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.head.formats import read_head, write_mesh
from headcond.rom.parameters import named_box


def main(head, operators, potentials, residuals, solution, electrodes, forward, current,
         provenance):  # fmt: skip
    """Write all electrodes' potentials, each pair's residual, and the first pair's field."""
    operator = AffineOperator.read(operators)
    box = named_box(
        forward["box"],
        [name for name in operator.names if name != CONTACT],
        fixed={CONTACT: 1.0 / electrodes["contact_impedance"]},
    )
    theta = box.coefficients(operator, box.centre)
    pairs = injection_pairs(operator.electrodes, electrodes["sink"], forward["pairs"])
    names = [f"{source}-{sink}" for source, sink in pairs]
    loads = np.stack([operator.load(*pair, current) for pair in pairs], axis=1)
    solver = make_solver(
        operator.combine(theta),
        backend=forward["backend"],
        preconditioner=forward["preconditioner"],
        tolerance=forward["tolerance"],
    )
    solved = solver.solve(loads, name=names)
    # Reciprocity: the transfer T_im = b_m . u_i equals T_mi.
    transfer = loads.T @ solved.x
    asymmetry = np.abs(transfer - transfer.T).max(axis=1) / current
    facts = {
        "conductivity": dict(zip(operator.names[:-1], theta[:-1].tolist(), strict=True)),
        "provenance": provenance,
    }
    results.write_table(
        residuals,
        pd.DataFrame(
            {
                "pair": names,
                "iterations": solved.iterations,
                "residual": solved.residual,
                "reciprocity": asymmetry,
                "drive_voltage": np.diag(transfer) / current,
            }
        ),
        units={
            "residual": "1, true ||b - A u|| / ||b||",
            "reciprocity": "V, largest difference of a reading and its mirror",
            "drive_voltage": "V, source less sink with both contacts",
        },
        **facts,
    )
    readings = solved.x[operator.nodes :]
    pair, electrode = np.indices(readings.T.shape)
    table = {
        "pair": np.array(names)[pair.ravel()],
        "electrode": np.array(operator.electrodes)[electrode.ravel()],
        "potential": readings.T.ravel(),
    }
    unit = {"potential": "V, up to a constant per pair"}
    results.write_table(potentials, pd.DataFrame(table), units=unit, **facts)
    mesh, discs = read_head(head)
    # The unknowns' mean is zero; the scalp's potential is told against that of the head.
    field = solved.x[: operator.nodes, 0]
    write_mesh(solution, mesh, discs, {f"potential_{names[0]}": field - field.mean()})
    units = {"points": "mm", "potential": "V, mean zero over the nodes"}
    results.write_sidecar(solution, units=units, **facts)


if __name__ == "__main__":
    from headcond.study.step import run

    run(main, snakemake)  # noqa: F821
