"""Error of the SPFD field solver against Heller and van Hulsteyn's closed form in spheres.

    python -m benchmarks.accuracy_tms --coil MagStim_D70.ccd --output accuracy.tsv

Run it in the repository's root. A homogeneous and a five-layer sphere at several voxel sizes, with
binary voxels and with sub-voxel conductivity (mean of 4^3 parts of a voxel), under tangential and
radial dipoles, a coil file and a radial dipole alone. It writes one row per case and region and
prints the table as Markdown. The closed form does not depend on the conductivities of the layers,
so the whole difference is the solver's error.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from headcond.mri.resampling import block_mean
from headcond.tms import coil, coil_files, spfd, sphere

DIDT = 1e6
RADIUS = 0.090
SPHERES = {
    "homogeneous": {0.090: 0.33},
    # scalp, skull, CSF, grey and white matter
    "five layers": {0.090: 0.1, 0.084: 0.02, 0.078: 2.0, 0.075: 0.1, 0.071: 0.07},
}
REGIONS = {"whole": (0.0, 0.090), "71 to 75 mm": (0.071, 0.075), "below 71 mm": (0.0, 0.071)}
SUBDIVISION = 4
POINTS = 40_000  # voxels of a region at which the closed form of a whole coil is evaluated


def sphere_map(step: float, layers: dict[float, float], subdivision: int) -> tuple:
    """Conductivity of concentric layers around a voxel corner, and its affine (mm).

    With `subdivision` 1 a voxel takes the value at its centre, otherwise the mean over
    subdivision^3 parts. One octant is computed and mirrored.
    """
    count = int(np.ceil((RADIUS + 0.003) / step))
    x = (np.arange(count * subdivision) + 0.5) * step / subdivision
    octant = np.zeros((len(x),) * 3, np.float32)
    for plane, height in zip(octant, x, strict=True):
        square = height**2 + (x**2)[:, None] + x**2
        for radius, value in sorted(layers.items(), reverse=True):
            plane[square < radius**2] = value
    affine = np.eye(4)
    octant = block_mean(octant, subdivision)
    values = np.pad(octant, [(count, 0)] * 3, mode="symmetric")
    affine[:3, :3] *= 1e3 * step
    affine[:3, 3] = -1e3 * step * (count - 0.5)
    return values, affine


def sources(path: Path) -> dict[str, coil.Coil]:
    """Coils over the sphere; the centre of the file's coil is 4 mm above the north pole."""
    down = np.diag([1.0, -1, -1, 1])
    down[2, 3] = RADIUS + 0.004
    return {
        "two dipoles": coil.from_dipoles(
            [[0.03, 0.02, 0.105], [-0.05, 0.09, 0.03]], [[0.3, -0.5, 0.2], [0.4, 0.1, 0.1]]
        ),
        path.stem: coil_files.read(path).transformed(down),
        "radial dipole": coil.from_dipoles([0.0, 0.06, 0.09], [0.0, 0.6, 0.9]),
    }


def measure(field: spfd.EField, affine: np.ndarray, source: coil.Coil,
            random: np.random.Generator) -> list[dict]:  # fmt: skip
    """Errors per region at randomly drawn voxel centres."""
    index = np.argwhere(np.any(field.vector != 0, axis=-1))
    radius = np.linalg.norm((index @ affine[:3, :3].T + affine[:3, 3]) * 1e-3, axis=1)
    rows = []
    for name, (low, high) in REGIONS.items():
        inside = np.flatnonzero((radius >= low) & (radius < high))
        chosen = index[random.permutation(inside)[:POINTS]]
        points = (chosen @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
        exact = sphere.dipole_efield(points, source.positions, source.moments, DIDT)
        got = field.vector[tuple(chosen.T)]
        size, true_size = np.linalg.norm(got, axis=1), np.linalg.norm(exact, axis=1)
        error = np.linalg.norm(got - exact, axis=1)
        peak, true_peak = np.percentile(size, 99.9), np.percentile(true_size, 99.9)
        rows.append({
            "region": name,
            "voxels": len(chosen),
            "l2_percent": 100 * np.sqrt((error**2).sum() / (true_size**2).sum()),
            "mean_percent_of_max": 100 * error.mean() / true_size.max(),
            "p99.9_percent": 100 * (peak / true_peak - 1),
        })  # fmt: skip
    return rows


def no_moment(step: float) -> tuple[float, float]:
    """Largest |E| of a coil without moments, and of a closed form for the same, V/m."""
    values, affine = sphere_map(step, SPHERES["homogeneous"], 1)
    nothing = coil.from_dipoles([0.0, 0.0, 0.1], [0.0, 0.0, 0.0])
    got = spfd.solve_efield(values, affine, nothing, DIDT)
    exact = sphere.dipole_efield([[0.0, 0.03, 0.04]], nothing.positions, nothing.moments, DIDT)
    return float(np.abs(got.vector).max()), float(np.abs(exact).max())


def add_order(table: pd.DataFrame) -> pd.DataFrame:
    """Observed order of the L2 error against the next coarser grid of the same case."""
    keys = ["sphere", "voxels_are", "source", "region"]
    table = table.sort_values([*keys, "step_mm"], ascending=[True] * 4 + [False])
    before = table.groupby(keys)[["l2_percent", "step_mm"]].shift()
    table["order"] = np.log(before["l2_percent"] / table["l2_percent"]) / np.log(
        before["step_mm"] / table["step_mm"]
    )
    return table


def main() -> None:
    """Run every case, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coil", type=Path, required=True, help="dipole file (.ccd)")
    parser.add_argument("--steps", type=float, nargs="+", default=[4.0, 2.0, 1.0], help="mm")
    parser.add_argument("--output", type=Path, default=Path("accuracy_tms.tsv"))
    options = parser.parse_args()
    rows, coils = [], sources(options.coil)
    for step in sorted(options.steps, reverse=True):
        for name, layers in SPHERES.items():
            for kind, subdivision in (("binary", 1), ("sub-voxel", SUBDIVISION)):
                values, affine = sphere_map(step * 1e-3, layers, subdivision)
                problem = spfd.Problem(values, affine)
                for source_name, source in coils.items():
                    began = time.perf_counter()
                    field = problem.solve(source, DIDT)
                    about = {"sphere": name, "voxels_are": kind, "source": source_name,
                             "step_mm": step, "iterations": field.iterations,
                             "residual": field.residual}  # fmt: skip
                    random = np.random.default_rng(1)
                    rows += [{**about, **row} for row in measure(field, affine, source, random)]
                    print(f"{step} mm, {name}, {kind}, {source_name}: "
                          f"{rows[-3]['l2_percent']:.2f} % in {time.perf_counter() - began:.1f} s",
                          flush=True)  # fmt: skip
    table = add_order(pd.DataFrame(rows))
    table.to_csv(options.output, sep="\t", index=False, float_format="%.4g")
    for name, part in table.groupby("sphere"):
        print(f"\n{name}: relative L2 error of E, % (order against the next coarser grid)\n")
        print(markdown(part))
    print("\nCoil without moments: largest |E| {:g} V/m, closed form {:g} V/m".format(
        *no_moment(max(options.steps) * 1e-3)))  # fmt: skip


def markdown(part: pd.DataFrame) -> str:
    """One line per source, region and kind of voxels; one column per voxel size."""
    steps = sorted(part["step_mm"].unique(), reverse=True)
    lines = ["| source | region | voxels | " + " | ".join(f"{s:g} mm" for s in steps) + " |",
             "|---|---|---|" + "---|" * len(steps)]  # fmt: skip
    for keys, rows in part.groupby(["source", "region", "voxels_are"], sort=False):
        cells = [
            f"{row.l2_percent:.2f}" + (f" ({row.order:.1f})" if np.isfinite(row.order) else "")
            for row in rows.itertuples()
        ]
        lines.append("| " + " | ".join([*keys, *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
