"""The greedy's reduced bases against pyMOR's CoerciveRBReductor, on the same operators.

    pip install pymor==2026.1.1
    python -m benchmarks.rom_against_pymor OPERATORS.h5 --snapshots 10 --table rom_against_pymor.tsv

Run it in the repository's root. pyMOR requires a positive definite product, so the first node is
fixed at zero, which leaves the energy the same. pyMOR's basis grows by its own solutions at the
parameters of headcond's snapshots. Per number of snapshots the table has the largest relative
difference of the residual's dual norm and of the energy b'u_N over random points, and the processor
seconds of both trainings: headcond's with its search of the training sample and its bounds, pyMOR's
without a search. pyMOR solves by sparse LU: keep the operators small.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.random import generator
from headcond.rom.greedy import train
from headcond.rom.parameters import operator_box
from headcond.rom.settings import RIESZ, Settings

try:
    from pymor.core.logger import set_log_levels
    from pymor.models.basic import StationaryModel
    from pymor.operators.constructions import LincombOperator
    from pymor.operators.numpy import NumpyMatrixOperator
    from pymor.parameters.functionals import ProjectionParameterFunctional
    from pymor.reductors.coercive import CoerciveRBReductor
except ImportError as error:
    raise SystemExit(
        f"This benchmark needs pyMOR: pip install pymor==2026.1.1 ({error})."
    ) from None


def main(arguments: argparse.Namespace) -> None:
    """Write the rows per number of snapshots and print them."""
    operator = AffineOperator.read(arguments.operators)
    box = operator_box(arguments.box, operator.names, arguments.impedance)
    source = next(name for name in operator.electrodes if name != arguments.sink)
    rule = Settings(
        max_snapshots=arguments.snapshots, training=arguments.training, riesz=arguments.riesz
    )
    start = time.process_time()
    pair = train(
        operator, source, arguments.sink, box, rule,
        solver_factory=partial(make_solver, backend=arguments.backend),
    )  # fmt: skip
    ours = time.process_time() - start
    blocks = [block[1:, 1:].tocsc() for block in box.blocks(operator)]
    load = operator.load(source, arguments.sink, rule.current)[1:]
    count = len(blocks)
    affine = LincombOperator(
        [NumpyMatrixOperator(block) for block in blocks],
        [ProjectionParameterFunctional("theta", count, q) for q in range(count)],
    )
    product = sum(weight * block for weight, block in zip(box.reference, blocks, strict=True))
    product = NumpyMatrixOperator(product.tocsc())
    full = StationaryModel(affine, NumpyMatrixOperator(load[:, None]))
    draw = generator(0, "benchmark", "peer")
    # Not the box centre: it is a snapshot, where only round-off would be compared.
    points = box.theta(draw.uniform(box.lower, box.upper, (arguments.points, len(box.names))))
    reductor, rows, theirs = CoerciveRBReductor(full, product=product), [], 0.0
    for number, sigma in enumerate(pair.history["mu"]):
        start = time.process_time()
        reductor.extend_basis(full.solve(full.parameters.parse({"theta": box.theta(sigma)})))
        reduced = reductor.reduce()
        theirs += time.process_time() - start
        model = pair.first(number + 1)
        solution, norm, _ = model.residual(points, box.reference)
        energy = model.energy(solution)
        values = [reduced.parameters.parse({"theta": point}) for point in points]
        residual = np.array([np.ravel(reduced.estimate_error(mu))[0] for mu in values])
        states = [reductor.reconstruct(reduced.solve(mu)).to_numpy().ravel() for mu in values]
        rows.append(
            {
                "snapshots": number + 1,
                "residual_difference": np.max(np.abs(residual / norm - 1)),
                "energy_difference": np.max(np.abs(np.array(states) @ load / energy - 1)),
                "seconds_pymor": theirs,
                "seconds_headcond_whole": ours,
            }
        )
    table = pd.DataFrame(rows)
    Path(arguments.table).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.table, sep="\t", index=False, float_format="%.6g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    set_log_levels({"pymor": "WARN"})
    parser.add_argument("operators")
    parser.add_argument("--snapshots", type=int, default=10)
    parser.add_argument("--training", type=int, default=1000)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--box", default="full")
    parser.add_argument("--sink", default="Cz")
    parser.add_argument("--impedance", type=float, default=5.0)
    parser.add_argument("--riesz", choices=RIESZ, default="solve")
    parser.add_argument("--backend", default="petsc")
    parser.add_argument("--table", default="benchmarks/results/rom_against_pymor.tsv")
    main(parser.parse_args())
