"""Solve the forward problem of a head for many injection pairs, and check the solutions."""

from headcond.caps import injection_pairs
from headcond.fem.electrode_model import CONTACT
from headcond.fem.forward import solve_pairs
from headcond.fem.operator import AffineOperator
from headcond.files import results
from headcond.head.formats import read_head, write_mesh
from headcond.rom.parameters import named_box
from headcond.study.step import run


def main(
    head, operators, potentials, residuals, solution, box, pairs, sink, contact_impedance, current,
    backend, preconditioner, tolerance, provenance,
):  # fmt: skip
    """Write all electrodes' potentials, each pair's residual, and the first pair's field."""
    operator = AffineOperator.read(operators)
    tissues = [name for name in operator.names if name != CONTACT]
    ranges = named_box(box, tissues, fixed={CONTACT: 1.0 / contact_impedance})
    theta = ranges.coefficients(operator, ranges.centre)
    solved = solve_pairs(
        operator, theta, injection_pairs(operator.electrodes, sink, pairs), current,
        backend=backend, preconditioner=preconditioner, tolerance=tolerance,
    )  # fmt: skip
    facts = {
        "conductivity": dict(zip(operator.names[:-1], theta[:-1].tolist(), strict=True)),
        "provenance": provenance,
    }
    units = {
        "residual": "1, true ||b - A u|| / ||b||",
        "reciprocity": "V, largest difference of a reading and its mirror",
        "drive_voltage": "V, source less sink with both contacts",
    }
    results.write_table(residuals, solved.checks, units=units, **facts)
    units = {"potential": "V, up to a constant per pair"}
    results.write_table(potentials, solved.potentials, units=units, **facts)
    mesh, discs = read_head(head)
    # Up to a constant: here the mean over the head's nodes is zero.
    field, name = solved.x[: operator.nodes, 0], solved.checks["pair"][0]
    write_mesh(solution, mesh, discs, {f"potential_{name}": field - field.mean()})
    units = {"points": "mm", "potential": "V, mean zero over the nodes"}
    results.write_sidecar(solution, units=units, **facts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
