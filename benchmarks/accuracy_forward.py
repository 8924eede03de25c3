"""Error of the EIT forward problem against analytic solutions in spheres, and two invariants.

    python -m benchmarks.accuracy_forward

Run it in the repository's root. It writes a page of Markdown tables (--table):

1. Four and seven layers and an anisotropic one on meshes of concentric shells, point electrodes:
   the surface potential at 0.4 rad and more from the electrodes against the analytic series.
2. Four layers as a label volume of 1 mm through the mesher, disc electrodes of 12 mm on its
   surface: voltages between six passive electrodes against the series for discs.
3. Reciprocity on the finest mesh of 2, and the change by a random order of nodes and tetrahedra.

Errors are ||computed - exact|| / ||exact||, both without their mean.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from headcond.fem.anisotropy import normals_from_centre
from headcond.fem.electrode_model import assemble
from headcond.fem.solvers import make_solver
from headcond.fem.sphere import layered_potential
from headcond.head.electrodes import place_discs
from headcond.head.mesh import Electrodes, Mesh
from headcond.head.meshing import mesh_labels
from tests.helpers.fem_meshes import caps, direction, shells

RADIUS, CURRENT, IMPEDANCE, DIAMETER = 0.092, 20e-6, 5.0, 0.012
PASSIVE = [direction(theta, np.pi / 2) for theta in (0.2, 0.72, 1.24, 1.76, 2.28, 2.8)]
DIRECTIONS = np.array([direction(0.3, 0.0), direction(1.2, np.pi), *PASSIVE])
MODELS = {
    "four layers": {"radii": [0.08, 0.082, 0.0865, RADIUS], "sigma": [0.33, 1.79, 0.01, 0.43]},
    "seven layers": {
        "radii": [0.072, 0.079, 0.08, 0.082, 0.085, 0.0865, RADIUS],
        "sigma": [0.134, 0.388, 1.622, 0.0055, 0.028, 0.0055, 0.3735],
    },
    "anisotropic layer": {
        "radii": [0.075, 0.086, RADIUS],
        "sigma": [0.33, 0.01, 0.43],
        "tangential": [0.33, 0.3, 0.43],
    },
}


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    """Relative error in the Euclidean norm, both without their mean."""
    found, exact = found - found.mean(), exact - exact.mean()
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def shell_error(model: dict, level: int, divisions: int, core: int) -> tuple[int, float]:
    """Nodes, and error of the surface potential of two point electrodes, on shells."""
    known = {key: np.array(value) for key, value in model.items()}
    mesh = shells(known["radii"], level, divisions, core)
    split, normals, theta = (), None, list(model["sigma"])
    if "tangential" in model:
        split = ("layer2",)
        normals = normals_from_centre(mesh, split, np.zeros(3))
        theta.insert(2, model["tangential"][1])
    operator = assemble(mesh, caps(mesh, DIRECTIONS, 0.06), split, normals)
    surface = np.unique(mesh.surface())
    unit = mesh.nodes[surface] / RADIUS
    ends = [int(np.argmax(unit @ d)) for d in DIRECTIONS[:2]]
    load = np.zeros(operator.size)
    load[surface[ends]] = CURRENT, -CURRENT
    # A contact impedance so high that the electrodes, unused here, shunt nothing.
    found = make_solver(operator.combine([*theta, 1e-6])).solve(load).x[surface]
    far = np.all(unit @ unit[ends].T < np.cos(0.4), axis=1)
    exact = layered_potential(mesh.nodes[surface[far]], **known, current=CURRENT,
                              source=mesh.nodes[surface[ends[0]]],
                              sink=mesh.nodes[surface[ends[1]]])  # fmt: skip
    return len(mesh.nodes), relative(found[far], exact)


def voxel_sphere(radii: list[float], voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels (1 the innermost layer) and affine (mm) of concentric balls."""
    half = int(np.ceil(radii[-1] / voxel)) + 2
    axis = np.arange(-half, half + 1) * voxel
    far = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None] ** 2)
    layer = np.searchsorted(radii, far) + 1
    labels = np.where(layer > len(radii), 0, layer).astype(np.uint8)
    affine = np.diag([1e3 * voxel] * 3 + [1.0])
    affine[:3, 3] = 1e3 * axis[0]
    return labels, affine


def meshed_head(size: float) -> tuple[Mesh, Electrodes]:
    """The four layers through the mesher, with disc electrodes."""
    radii = MODELS["four layers"]["radii"]
    labels, affine = voxel_sphere(radii, 1e-3)
    # Their names let the mesher close layers that are thinner than its cells.
    names = ("gm", "csf", "compact_bone", "scalp")
    mesh = mesh_labels(labels, affine, size, tissue_names=names)
    return mesh, place_discs(
        mesh, [f"E{k}" for k in range(len(DIRECTIONS))], RADIUS * DIRECTIONS, DIAMETER
    )


def solved(mesh: Mesh, electrodes: Electrodes) -> tuple[np.ndarray, np.ndarray]:
    """Electrode potentials for the pair (0, 1), and the matrix of voltages over eight pairs."""
    operator = assemble(mesh, electrodes)
    matrix = operator.combine([*MODELS["four layers"]["sigma"], 1 / IMPEDANCE])
    pairs = [(f"E{k}", "E1") for k in (0, *range(2, len(DIRECTIONS)))]
    loads = np.stack([operator.load(*pair, CURRENT) for pair in pairs], axis=1)
    solution = make_solver(matrix).solve(loads, name=["-".join(pair) for pair in pairs])
    return solution.x[operator.nodes :, 0], loads.T @ solution.x / CURRENT


def shuffled(mesh: Mesh, electrodes: Electrodes) -> tuple[Mesh, Electrodes]:
    """The same head with nodes and tetrahedra in another order."""
    draw = np.random.default_rng(0)
    to, order = draw.permutation(len(mesh.nodes)), draw.permutation(len(mesh.tetrahedra))
    nodes = np.empty_like(mesh.nodes)
    nodes[to] = mesh.nodes
    moved = Mesh(nodes, to[mesh.tetrahedra[order]], mesh.tissue[order], mesh.tissue_names)
    faces = tuple(to[face] for face in electrodes.faces)
    return moved, Electrodes(electrodes.labels, electrodes.centres, faces, electrodes.weights)


def main() -> None:
    """Write all tables as markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.0056, 0.004, 0.003, 0.0021])
    parser.add_argument("--levels", type=int, default=3, help="meshes of shells, 1 to 3")
    parser.add_argument("--table", type=Path, default=Path("benchmarks/accuracy_forward.md"))
    arguments = parser.parse_args()
    lines = ["| concentric shells | nodes | error | observed order |", "|---|---:|---:|---:|"]
    for name, model in MODELS.items():
        last = None
        for size in [(2, 1, 4), (3, 2, 8), (4, 4, 16)][: arguments.levels]:
            nodes, error = shell_error(model, *size)
            order = "" if last is None else f"{np.log2(last / error):.2f}"
            lines.append(f"| {name} | {nodes} | {100 * error:.3f} % | {order} |")
            last = error
    # Discs of equal area on the sphere.
    angle = np.arccos(1 - DIAMETER**2 / (8 * RADIUS**2))
    known = {key: np.array(value) for key, value in MODELS["four layers"].items()}
    exact = layered_potential(
        RADIUS * DIRECTIONS, **known, current=CURRENT, source=RADIUS * DIRECTIONS[0],
        sink=RADIUS * DIRECTIONS[1], half_angle=angle, reading_half_angle=angle,
    )  # fmt: skip
    lines += ["", "| mesher, size | nodes | error of passive voltages | observed order |",
              "|---:|---:|---:|---:|"]  # fmt: skip
    last = None
    for size in arguments.sizes:
        mesh, electrodes = meshed_head(size)
        potentials, transfer = solved(mesh, electrodes)
        error = relative(potentials[2:], exact[2:])
        order = "" if last is None else f"{np.log(last[1] / error) / np.log(last[0] / size):.2f}"
        lines.append(f"| {1e3 * size:g} mm | {len(mesh.nodes)} | {100 * error:.2f} % | {order} |")
        last = size, error
        print(lines[-1], file=sys.stderr, flush=True)
    _, moved = solved(*shuffled(mesh, electrodes))
    scale = 1e6 * np.ptp(potentials[2:])
    lines += [
        "", "| on the finest of these | largest difference | span of the passive potentials |",
        "|---|---:|---:|",
        f"| reciprocity, T_im - T_mi | {1e6 * np.abs(transfer - transfer.T).max():.1e} µV "
        f"| {scale:.0f} µV |",
        f"| nodes and tetrahedra shuffled, T_im | {1e6 * np.abs(moved - transfer).max():.1e} µV "
        f"| {scale:.0f} µV |",
    ]  # fmt: skip
    arguments.table.write_text("\n".join(lines) + "\n")
    print(arguments.table.read_text())


if __name__ == "__main__":
    main()
