r"""Time and memory of training a reduced model, against the ROM-pEIT paper's algorithm.

    python -m benchmarks.performance_rom OPERATORS.h5 --box quartile --noise 8.2e-8 --pairs 8 \
        --table rom.tsv

Run it in the repository's root. The same pairs are trained by every method of `--ways`, until the
certified error of each pair's drive voltage is at most `--noise` V at every training point, or for
`--snapshots`. The error between passive electrodes is at most the product of the square roots of
two such errors, so it is below `--noise` too.

each-solve, each-cycle
    one greedy per pair; Riesz representers by solves, or by one V-cycle.
joint-solve, joint-cycle
    the pairs share their snapshot points.
joint-cycle2, joint-cycle3
    with two and three V-cycles for a representer.
paper
    the ROM-pEIT paper's: ILU(0)-CG from the reduced solution, Euclidean norm, classical
    Gram-Schmidt, always `--paper-snapshots` snapshots, and stability factors at `--stability`
    points (once for all pairs), of which `--timed` are timed. The greedy search uses constant
    factors: it selects other points, at the same cost.

Seconds are processor time of the whole training and its parts (wall-clock inside one process).
`cold_iterations` are those of the same solves started from zero, at every `--every`-th snapshot.
One process and thread; or, for the memory of ranks that share each operator, joint ways under

    mpirun -n 2 python -m mpi4py -m benchmarks.performance_rom OPERATORS.h5 --ways joint-cycle

where seconds are the first rank's and the peak is that of the largest rank.
"""

import argparse
import logging
import resource
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.caps import injection_pairs
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.parallel import world
from headcond.rom.parameters import latin_hypercube, operator_box
from headcond.rom.settings import Settings
from headcond.rom.stability import Stability, stability_factors
from headcond.rom.training import train_pairs

WAYS = ("each-solve", "each-cycle", "joint-solve", "joint-cycle", "paper")
MORE = ("joint-cycle2", "joint-cycle3")
SECONDS = ("solve", "riesz", "orthogonal", "sweep")


def main(arguments: argparse.Namespace) -> None:
    """Write a row per way, pair and snapshot, and print means per way."""
    ranks = world()
    operator = AffineOperator.read(arguments.operators)
    box = operator_box(arguments.box, operator.names, arguments.impedance)
    pairs = injection_pairs(operator.electrodes, arguments.sink, arguments.pairs)
    rows, ways = [], []
    for way in arguments.ways:
        chosen = pairs[: arguments.paper_pairs] if way == "paper" else pairs
        start = time.process_time()
        model, factory = train_way(way, operator, box, chosen, arguments, ranks)
        spent = time.process_time() - start
        row = {"unknowns": operator.size, "box": arguments.box, "way": way, "pairs": len(chosen)}
        row["ranks"] = ranks.Get_size()
        counts = np.array([pair.snapshots for pair in model.pairs])
        parts = {
            f"{name}_per_snapshot": sum(
                np.nansum(pair.history[f"seconds_{name}"]) for pair in model.pairs
            ) / counts.sum()
            for name in SECONDS
        }  # fmt: skip
        certified = max(pair.history["absolute"][-1] for pair in model.pairs) ** 2 / model.current
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        row |= {
            "snapshots": counts.mean(),
            "most": counts.max(),
            "seconds_per_pair": spent / len(chosen),
            **parts,
            "certified_uV": np.nan if way == "paper" else 1e6 * certified,
            "peak_GiB": max(ranks.allgather(peak)),
        }
        if way == "paper":
            row["stability_seconds"] = stability_seconds(operator, box, factory, arguments)
        else:
            row["last_sweep"] = max(pair.history["seconds_sweep"][-1] for pair in model.pairs)
        ways.append(row)
        for pair in model.pairs:
            for number in range(pair.snapshots):
                rows.append({
                    "unknowns": operator.size, "box": arguments.box, "way": way,
                    "pair": pair.source, "snapshot": number + 1,
                    "iterations": pair.history["iterations"][number],
                    "cold_iterations": cold(operator, box, pair, number, factory, way, arguments),
                    "bound": pair.history["maximum"][number],
                    **{name: pair.history[f"seconds_{name}"][number] for name in SECONDS},
                })  # fmt: skip
        logging.info("%s: %.1f s of processor time per pair", way, row["seconds_per_pair"])
    if ranks.Get_rank():
        return
    table, snapshots = pd.DataFrame(ways), pd.DataFrame(rows)
    Path(arguments.table).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.table, sep="\t", index=False, float_format="%.6g")
    name = Path(arguments.table).with_suffix(".snapshots.tsv")
    snapshots.to_csv(name, sep="\t", index=False, float_format="%.6g")
    print(table.round(3).to_string(index=False))
    known = snapshots.dropna(subset="cold_iterations")
    if len(known):
        bins = pd.cut(known["snapshot"], [0, 1, 5, 10, 20, 30, 40, 1000])
        print("warm and cold iterations, and their ratio")
        means = known.groupby(["way", bins], observed=True)[
            ["iterations", "cold_iterations"]
        ].mean()
        print(means.assign(ratio=means.iterations / means.cold_iterations).round(3).to_string())


def train_way(way, operator, box, pairs, arguments, ranks):
    """Reduced model trained in one way, and the solver factory of its snapshots."""
    rule = Settings(
        current=arguments.current, training=arguments.training, seed=1,
        max_snapshots=arguments.snapshots, reading_noise=arguments.noise or None,
    )  # fmt: skip
    preconditioner = arguments.preconditioner
    mode, riesz, cycles = "each", "solve", 1
    if way == "paper":
        points = latin_hypercube(box, len(box.names) + 3, np.random.default_rng(0))
        ones = np.ones(len(points))
        constant = Stability(points, box.theta(points), ones, 0 * ones, "rbf")
        rule = Settings(
            current=arguments.current, training=arguments.training, seed=1, norm="euclidean",
            max_snapshots=arguments.paper_snapshots, stability=constant,
            orthogonalisation="classical",
        )  # fmt: skip
        preconditioner = "ilu"
    else:
        mode, riesz = way.split("-")
        if riesz[-1].isdigit():
            riesz, cycles = riesz[:-1], int(riesz[-1])
    factory = partial(make_solver, backend="petsc", preconditioner=preconditioner)
    rule = Settings(**{**vars(rule), "riesz": riesz, "cycles": cycles})
    model = train_pairs(
        operator, pairs, box, rule, solver_factory=factory, mode=mode, communicator=ranks,
        ranks_per_solve=ranks.Get_size(),
    )  # fmt: skip
    return model, factory


def stability_seconds(operator, box, factory, arguments) -> float:
    """Processor seconds of all the paper's stability factors, from some that are timed."""
    points = latin_hypercube(box, arguments.timed, np.random.default_rng(1))[1:]
    start = time.process_time()
    stability_factors(operator, box, points, factory, "concave")  # it asks for no least number
    return (time.process_time() - start) / len(points) * arguments.stability


def cold(operator, box, pair, number, solver_factory, way, arguments) -> float:
    """Iterations of one snapshot's solve from zero."""
    if not arguments.every or way not in ("each-solve", "paper") or number % arguments.every:
        return np.nan
    matrix = operator.combine(box.coefficients(operator, pair.history["mu"][number]))
    solver = solver_factory(matrix)
    found = solver.solve(operator.load(pair.source, pair.sink, arguments.current), name="cold")
    solver.close()
    return float(np.sum(found.iterations))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators")
    parser.add_argument("--ways", nargs="+", choices=WAYS + MORE, default=list(WAYS))
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--noise", type=float, default=0.0, help="V; 0 for a number of snapshots")
    parser.add_argument("--snapshots", type=int, default=40)
    parser.add_argument("--paper-snapshots", type=int, default=40)
    parser.add_argument("--paper-pairs", type=int, default=1)
    parser.add_argument("--stability", type=int, default=150)
    parser.add_argument("--timed", type=int, default=3)
    parser.add_argument("--training", type=int, default=6000)
    parser.add_argument("--current", type=float, default=20e-6)
    parser.add_argument("--box", default="quartile")
    parser.add_argument("--sink", default="Cz")
    parser.add_argument("--impedance", type=float, default=5.0)
    parser.add_argument("--preconditioner", default="gamg")
    parser.add_argument("--every", type=int, default=0, help="cold starts at every n-th snapshot")
    parser.add_argument("--table", default="benchmarks/results/rom.tsv")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    main(parser.parse_args())
