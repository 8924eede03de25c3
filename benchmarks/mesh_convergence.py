r"""Convergence of reduced models' voltages with the mesh: one head and cap, finer and finer.

    for size in 55 44 34; do
        printf "study: mesh-$size\nhead: {mesh: {size: 0.00$size}}\n" > mesh-$size.yaml
        snakemake --configfile studies/experiment-1.yaml mesh-$size.yaml --cores 2 \
            --until assemble_operators
    done
    python -m benchmarks.mesh_convergence results/mesh-*/sub-colin27/head/*_operators.h5

Run it in the repository's root. On every mesh the same pairs are trained to a certified error of
the drive voltage (`--noise`) and evaluated at the same random conductivities of the parameter box.
OUTPUT.tsv has, per mesh and pair, the difference of the potentials between passive electrodes from
those on the finest mesh, relative to their root mean square (mean and largest over the points).
OUTPUT.png shows it against the number of nodes, with the share that the reduction may add: the
certified error of the drive voltage.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.caps import injection_pairs
from headcond.fem.operator import AffineOperator
from headcond.fem.solvers import make_solver
from headcond.figures.style import COLOURS, new_figure, save
from headcond.random import generator
from headcond.rom.parameters import operator_box
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.rom.validation import passive


def main(arguments: argparse.Namespace) -> None:
    """Write the table and the figure, and print the table's means."""
    read = []
    for path in arguments.operators:
        operator = AffineOperator.read(path)
        box = operator_box(arguments.box, operator.names, arguments.impedance)
        points = generator(arguments.seed, "benchmark", "mesh").uniform(
            box.lower, box.upper, (arguments.points, len(box.names))
        )
        rule = Settings(
            current=arguments.current, max_snapshots=arguments.snapshots, riesz="cycle",
            reading_noise=arguments.noise, seed=arguments.seed,
        )  # fmt: skip
        pairs = injection_pairs(operator.electrodes, arguments.sink, arguments.pairs)
        model = train_pairs(operator, pairs, box, rule, solver_factory=partial(make_solver),
                            mode="joint")  # fmt: skip
        potentials = model.voltages(points)
        readings = [
            passive(potentials[:, k], model.electrodes, pair) for k, pair in enumerate(model.pairs)
        ]
        read.append((operator.nodes, model, readings))
        print(f"{operator.nodes} nodes: at most {max(p.snapshots for p in model.pairs)} snapshots")
    read.sort(key=lambda found: found[0])
    finest, rows = read[-1], []
    for nodes, model, readings in read:
        certified = max(pair.history["absolute"][-1] for pair in model.pairs) ** 2 / model.current
        for pair, found, best in zip(model.pairs, readings, finest[2], strict=True):
            size = np.sqrt(np.mean(best**2, axis=1))
            off = np.sqrt(np.mean((found - best) ** 2, axis=1)) / size
            rows.append({
                "nodes": nodes, "pair": f"{pair.source}-{pair.sink}", "snapshots": pair.snapshots,
                "difference_mean_percent": 100 * off.mean(),
                "difference_max_percent": 100 * off.max(), "rms_uV": 1e6 * size.mean(),
                "certified_uV": 1e6 * certified,
            })  # fmt: skip
    table = pd.DataFrame(rows)
    output = Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(output.with_suffix(".tsv"), sep="\t", index=False, float_format="%.5g")
    shown = table.groupby("nodes")[["difference_mean_percent", "difference_max_percent"]]
    print(shown.agg(["mean", "max"]).round(3).to_string())
    save(draw(table), output.with_suffix(".png"), "Colin27 atlas head")


def draw(table: pd.DataFrame):
    """Differences from the finest mesh against nodes, a line per pair."""
    figure, axes = new_figure(7.2, 4.0)
    panel, finest = axes[0, 0], table["nodes"].max()
    coarse = table[table["nodes"] < finest]
    for number, (pair, part) in enumerate(coarse.groupby("pair")):
        panel.plot(part["nodes"], part["difference_mean_percent"], "o-", label=pair,
                   color=COLOURS[number % len(COLOURS)])  # fmt: skip
    limit = 100 * (table["certified_uV"] / table["rms_uV"]).max()
    panel.axhline(limit, color="0.4", linestyle="--", label="certified error of the reduction")
    panel.set_yscale("log")
    nodes = sorted(coarse["nodes"].unique())
    panel.set_xticks(nodes, [f"{count:,}".replace(",", " ") for count in nodes])
    panel.set_xlabel(f"nodes (differences from the mesh of {finest} nodes)")
    panel.set_ylabel("mean difference of passive potentials (%)")
    figure.legend(loc="outside right center", fontsize=8)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="+")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--snapshots", type=int, default=40)
    parser.add_argument("--noise", type=float, default=8.2e-9, help="certified drive voltage, V")
    parser.add_argument("--current", type=float, default=20e-6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--box", default="quartile")
    parser.add_argument("--sink", default="Cz")
    parser.add_argument("--impedance", type=float, default=5.0)
    parser.add_argument("--output", default="benchmarks/results/mesh_convergence")
    main(parser.parse_args())
