"""Influence of the contact impedance on passive potentials and the drive voltage.

    python -m benchmarks.contact_impedance OPERATORS.h5 --pairs 8 --table contact_impedance.tsv

Run it in the repository's root. The full model is solved for every contact impedance, at the
centre and at random points of the parameter box. The table has the change of the potentials between
passive electrodes (against their mean) and of the drive voltage from those at the reference
impedance.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.caps import injection_pairs
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.random import generator
from headcond.rom.parameters import operator_box


def main(arguments: argparse.Namespace) -> None:
    """Write the rows per impedance and print them."""
    operator = AffineOperator.read(arguments.operators)
    pairs = injection_pairs(operator.electrodes, arguments.sink, arguments.pairs)
    loads = np.stack([operator.load(*pair, arguments.current) for pair in pairs], axis=1)
    box = operator_box(arguments.box, operator.names, arguments.reference)
    draw = generator(arguments.seed, "benchmark", "contact")
    points = [box.centre, *draw.uniform(box.lower, box.upper, (arguments.points, len(box.names)))]
    solver_factory = partial(
        make_solver, backend=arguments.backend, preconditioner=arguments.preconditioner
    )
    ends = np.array([[operator.electrodes.index(name) for name in pair] for pair in pairs])

    def measured(impedance: float) -> tuple[np.ndarray, np.ndarray]:
        assumed = operator_box(arguments.box, operator.names, impedance)
        passive, drive = [], []
        for sigma in points:
            solver = solver_factory(operator.combine(assumed.coefficients(operator, sigma)))
            found = solver.solve(loads, tolerance=1e-11, name=f"z = {impedance}").x
            solver.close()
            for k, (source, sink) in enumerate(ends):
                potentials = found[operator.nodes :, k]
                kept = np.delete(potentials, [source, sink])
                passive.append(kept - kept.mean())
                drive.append(potentials[source] - potentials[sink])
        return np.array(passive), np.array(drive)

    passive, drive = measured(arguments.reference)
    rows = []
    for impedance in arguments.impedances:
        moved, driven = measured(impedance)
        change = 1e6 * (moved - passive)
        rows.append(
            {
                "impedance": impedance,
                "rms_change_uV": np.sqrt(np.mean(change**2)),
                "largest_change_uV": np.abs(change).max(),
                "relative_rms_change": 1e-6 * np.sqrt(np.mean(change**2) / np.mean(passive**2)),
                "largest_over_noise": 1e-6 * np.abs(change).max() / arguments.noise,
                "drive_change_mV": 1e3 * np.mean(driven - drive),
            }
        )
    table = pd.DataFrame(rows)
    Path(arguments.table).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.table, sep="\t", index=False, float_format="%.6g")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators")
    parser.add_argument("--impedances", type=float, nargs="+", default=[0.5, 1, 2, 4, 6, 10, 20])
    parser.add_argument("--reference", type=float, default=5.0, help="Ohm m^2")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--points", type=int, default=3)
    parser.add_argument("--box", default="quartile")
    parser.add_argument("--sink", default="Cz")
    parser.add_argument("--current", type=float, default=20e-6)
    parser.add_argument("--noise", type=float, default=0.82e-6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="petsc")
    parser.add_argument("--preconditioner", default="gamg")
    parser.add_argument("--table", default="benchmarks/results/contact_impedance.tsv")
    main(parser.parse_args())
