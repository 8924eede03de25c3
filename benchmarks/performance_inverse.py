"""Time of estimates with a reduced model: forward solves, 132 and 14,000 inversions, scaling.

    python -m benchmarks.performance_inverse [--model ROM.h5] [--table inverse.tsv]

Run it in the repository's root. Without a trained model the head is a cube of six shells, one per
tissue, with 133 electrodes: 132 pairs of 30 snapshots by plain Galerkin projection, the paper's
size of the online problem, whose cost does not depend on the mesh. Every inversion estimates all
parameters per pair from voltages of the reduced model with the paper's noise. Compare with the
paper's 20 s for 132 inversions. CPU seconds are those of this process; on a busy machine the wall
clock is longer.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.inverse.full_order import FullModel
from headcond.inverse.noise import DEFAULT_NOISE, add_noise
from headcond.inverse.optimise import estimate
from headcond.inverse.protocol import make_protocol, readings
from headcond.inverse.reduced import ReducedForward
from headcond.random import generator
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import operator_box
from headcond.tissues import EIT_TISSUES
from tests.helpers.inverse_models import CURRENT, box_points, direct, galerkin, layered_operator


def cube(electrodes: int = 133, snapshots: int = 30, side: int = 17) -> ReducedModel:
    """A reduced model of the paper's online size, of a cube instead of a head."""
    operator = layered_operator(side, electrodes, EIT_TISSUES, 0.16 / side)
    box = operator_box("quartile", operator.names, 5.0)
    pairs = [(label, operator.electrodes[-1]) for label in operator.electrodes[:-1]]
    full = FullModel(operator, box, pairs=pairs, current=CURRENT, solver_factory=direct)
    return galerkin(full, box_points(full, snapshots, generator(0, "benchmark", "snapshots")))


def timed(function) -> tuple[object, float, float]:
    """Result, CPU seconds and wall seconds of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def inversions(
    model: ReducedModel, count: int, samples: int, snapshots: int | None, corrected: bool = False
) -> dict:
    """Time `count` patterns x `samples` six-parameter estimates, each with its own truth."""
    patterns = [(pair.source, pair.sink) for pair in model.pairs[:count]]
    forward = ReducedForward(model, patterns, snapshots, corrected)
    protocol = make_protocol(patterns, forward.electrodes)
    draw = generator(0, "benchmark", "truth")
    sigma = draw.uniform(forward.lower, forward.upper, (samples, len(forward.names)))
    data = readings(add_noise(forward.voltages(sigma), DEFAULT_NOISE, draw), protocol)
    found, cpu, wall = timed(lambda: estimate(forward, data, protocol, DEFAULT_NOISE))
    total = count * samples
    return {
        "task": f"inversions{', corrected readings' * corrected}",
        "pairs": count, "samples": samples,
        "snapshots": snapshots or model.pairs[0].snapshots, "inversions": total,
        "cpu_s": cpu, "wall_s": wall, "us_each": 1e6 * cpu / total,
        "iterations": found.iterations.mean(), "converged": found.converged.mean(),
        "at_wall": found.at_wall.any(axis=-1).mean(),
    }  # fmt: skip


def forward_solves(model: ReducedModel, points: int) -> dict:
    """Time potentials with their exact Jacobian, each pair at its own conductivities."""
    forward = ReducedForward(model, corrected=False)
    count = len(model.pairs)
    which = np.repeat(np.arange(count), points)
    draw = generator(0, "benchmark", "points")
    sigma = draw.uniform(forward.lower, forward.upper, (len(which), len(forward.names)))

    def both():
        return forward.voltages_each(sigma, which), forward.jacobian_each(sigma, which)

    _, cpu, wall = timed(both)
    return {
        "task": "forward solve with Jacobian", "pairs": count, "samples": points,
        "snapshots": model.pairs[0].snapshots, "inversions": len(which), "cpu_s": cpu,
        "wall_s": wall, "us_each": 1e6 * cpu / len(which),
    }  # fmt: skip


def main(arguments: argparse.Namespace) -> None:
    """Write the rows and print them."""
    model = ReducedModel.read(arguments.model) if arguments.model else cube()
    count, most = len(model.pairs), model.pairs[0].snapshots
    inversions(model, 1, 2, None)  # warm up
    tasks = [lambda: forward_solves(model, 100), lambda: inversions(model, count, 1, None),
             lambda: inversions(model, count, -(-14000 // count), None)]  # fmt: skip
    for pairs in sorted({count // 8, count // 4, count // 2} - {0}):
        tasks.append(lambda pairs=pairs: inversions(model, pairs, 20, None))
    for samples in (5, 20, 50):
        tasks.append(lambda samples=samples: inversions(model, count, samples, None))
    for snapshots in sorted({most // 3, 2 * most // 3}):
        tasks.append(lambda snapshots=snapshots: inversions(model, count, 20, snapshots))
    if model.cross is not None:
        tasks.append(lambda: inversions(model, count, 20, None, corrected=True))
    rows = []
    for task in tasks:
        rows.append(task())
        print({key: round(value, 4) if isinstance(value, float) else value
               for key, value in rows[-1].items()}, flush=True)  # fmt: skip
    table = pd.DataFrame(rows)
    table.insert(0, "model", Path(arguments.model).name if arguments.model else "cube")
    print(table.round(4).to_string(index=False))
    if arguments.table:
        table.to_csv(arguments.table, sep="\t", index=False, float_format="%.6g")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", help="trained model (.h5); the cube without it")
    parser.add_argument("--table", help="where to write the rows (.tsv)")
    main(parser.parse_args())
