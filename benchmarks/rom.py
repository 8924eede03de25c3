"""What a snapshot costs, and what warm starts and the V-cycle Riesz map save.

python benchmarks/rom.py OPERATORS.h5 --pairs 2 --snapshots 20 --table rom.tsv

Every pair is trained once per Riesz map. A snapshot's time splits into solve, Riesz map,
orthogonalisation and the sweep of the bound over the training sample; `cold_iterations` are
those of the same solve started from zero. Seconds of set-up (spectrum or coercivity at the
reference) are told on the log. One process; set OMP_NUM_THREADS and its kin as wanted.
"""

import argparse
import logging
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.caps import injection_pairs
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.random import generator
from headcond.rom.affine import latin_hypercube, operator_box
from headcond.rom.greedy import train
from headcond.rom.settings import RIESZ, Settings

SECONDS = ("solve", "riesz", "orthogonal", "sweep")


def main(arguments: argparse.Namespace) -> None:
    """Write the rows per snapshot, and print means over thirds of the training."""
    operator = AffineOperator.read(arguments.operators)
    box = operator_box(arguments.box, operator.names, arguments.impedance)
    solver = partial(
        make_solver, backend=arguments.backend, preconditioner=arguments.preconditioner
    )
    pairs = injection_pairs(operator.electrodes, arguments.sink, arguments.pairs)
    test = latin_hypercube(box, 500, generator(1, "benchmark"))
    rows = []
    for riesz in RIESZ:
        rule = Settings(max_snapshots=arguments.snapshots, training=arguments.training, riesz=riesz)
        for source, sink in pairs:
            start = time.perf_counter()
            pair = train(operator, source, sink, box, rule, solver_factory=solver)
            whole = time.perf_counter() - start
            history = pair.history
            parts = {name: history[f"seconds_{name}"] for name in SECONDS}
            spent = sum(np.nansum(values) for values in parts.values())
            logging.info(
                "%s %s: %.1f s, of which %.1f s set-up", riesz, source, whole, whole - spent
            )
            theta = box.theta(test)
            for number in range(pair.snapshots):
                _, norm, slack = pair.first(number + 1).residual(theta, box.reference)
                bound = (norm + slack) / np.sqrt((theta / box.reference).min(axis=1))
                row = {"unknowns": operator.size, "riesz": riesz, "pair": source}
                row |= {"snapshot": number + 1, "spread": pair.spread}
                row |= {f"seconds_{name}": values[number] for name, values in parts.items()}
                row["iterations"] = int(history["iterations"][number])
                row["cold_iterations"] = cold(operator, box, pair, number, solver, rule, arguments)
                row["mean_reading_bound_uV"] = 1e6 * np.mean(bound**2) / rule.current
                rows.append(row)
    table = pd.DataFrame(rows)
    Path(arguments.table).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.table, sep="\t", index=False, float_format="%.6g")
    part = np.ceil(3 * table["snapshot"] / table["snapshot"].max()).astype(int).rename("third")
    shown = [name for name in table if name not in ("unknowns", "riesz", "pair", "snapshot")]
    print(table.groupby(["riesz", part])[shown].mean().round(4).to_string())


def cold(operator, box, pair, number, solver_factory, rule, arguments) -> float:
    """Iterations of one snapshot's solve from zero; for the first Riesz map asked for only."""
    if rule.riesz != RIESZ[0] or number % arguments.every:
        return np.nan
    matrix = operator.combine(box.coefficients(operator, pair.history["mu"][number]))
    solver = solver_factory(matrix)
    load = operator.load(pair.source, pair.sink, rule.current)
    found = solver.solve(load, name="cold start")
    solver.close()
    return float(np.sum(found.iterations))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--snapshots", type=int, default=20)
    parser.add_argument("--training", type=int, default=6000)
    parser.add_argument("--box", default="full")
    parser.add_argument("--sink", default="Cz")
    parser.add_argument("--impedance", type=float, default=5.0)
    parser.add_argument("--backend", default="petsc")
    parser.add_argument("--preconditioner", default="gamg")
    parser.add_argument("--every", type=int, default=1, help="cold starts at every n-th snapshot")
    parser.add_argument("--table", default="benchmarks/results/rom.tsv")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main(parser.parse_args())
