"""Errors of estimates from displaced electrodes, over several random draws.

    python -m benchmarks.displaced_electrodes --study results/experiment-2 [--subject sub-colin27]
        [--draws 8] [--samples 3] [--noise 8.2e-7] [--table FILE]

Run it in the repository's root. The studies' tables of wrong heads hold one draw of directions,
which a few electrodes may dominate. Here every draw moves all electrodes of a finished study's head
by 2 and by 5 mm, solves for the voltages of the study's first samples and all pairs on the same
mesh, and inverts them with the study's reduced model. It prints median, smallest and largest mean
relative error over the draws. Heads without anisotropic tissues and with one contact impedance
only; half a minute of processor time per draw with 133 electrodes, 132 pairs and three samples.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.experiments.wrong_heads import compare_disturbances
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.files import results
from headcond.head.electrodes import displace_discs
from headcond.head.formats import read_head
from headcond.inverse.full_order import FullModel
from headcond.inverse.noise import DEFAULT_NOISE
from headcond.inverse.protocol import AVERAGE
from headcond.random import generator
from headcond.rom.model import ReducedModel


def errors_of_draw(mesh, discs, model, truth, distance_mm, draw, noise, diameter):
    """Rows of `compare_disturbances` for one draw, and how many electrodes had no space to move."""
    change = f"moved{distance_mm}"
    rng = generator(draw, "benchmark", "displaced", change)
    moved = displace_discs(mesh, discs, 1e-3 * distance_mm, diameter, rng)
    pairs = [(pair.source, pair.sink) for pair in model.pairs]
    full = FullModel(assemble(mesh, moved), model.box, pairs=pairs, current=model.current,
                     solver_factory=make_solver)  # fmt: skip
    rows = compare_disturbances(
        model, {change: full.voltages(truth)}, truth, discs.centres, noise=noise,
        reference=AVERAGE, modes=("joint", "each"), seed=draw,
    )  # fmt: skip
    stayed = int(np.sum(np.all(moved.centres == discs.centres, axis=1)))
    return rows.assign(draw=draw, stayed=stayed)


def summary(rows):
    """Median (least to largest) over the draws, a row per distance and mode."""
    text = "{:.2g} ({:.2g} to {:.2g})".format
    shown = []
    for (change, mode), part in rows.groupby(["change", "mode"], sort=False):
        line = {"electrodes moved by": f"{change.removeprefix('moved')} mm", "estimated": mode}
        for name, one in part.groupby("parameter", sort=False):
            line[f"{name} (%)"] = text(one["mean"].median(), one["mean"].min(), one["mean"].max())
        misfit = part.drop_duplicates("draw")["misfit"]
        line["chi-square / dof"] = text(misfit.median(), misfit.min(), misfit.max())
        shown.append(line)
    return pd.DataFrame(shown)


def main():
    """Move, solve, invert; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of a study's results")
    parser.add_argument("--subject", default="sub-colin27")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--noise", type=float, default=DEFAULT_NOISE, help="V, of one electrode")
    parser.add_argument("--table", type=Path, help="TSV of every draw")
    given = parser.parse_args()
    stem = f"{given.subject}_"
    folder = given.study / given.subject
    mesh, discs = read_head(folder / "head" / f"{stem}head.h5")
    model = ReducedModel.read(folder / "rom" / f"{stem}rom.h5")
    truth = results.read_table(folder / "eit" / f"{stem}truth.tsv").head(given.samples)
    truth = truth[list(model.box.names)].to_numpy()
    diameter = 2 * np.sqrt(discs.areas(mesh.nodes).mean() / np.pi)
    rows = []
    for distance in (2, 5):
        for draw in range(given.draws):
            found = errors_of_draw(mesh, discs, model, truth, distance, draw, given.noise, diameter)
            rows.append(found)
            stayed = f"{found['stayed'].iloc[0]} electrodes without space to move"
            print(f"{distance} mm, draw {draw + 1} of {given.draws}, {stayed}", flush=True)
    rows = pd.concat(rows, ignore_index=True)
    if given.table:
        rows.to_csv(given.table, sep="\t", index=False)
    print(summary(rows).to_string(index=False))


if __name__ == "__main__":
    main()
