"""Time and memory of the EIT forward problem on a real head, against the paper's ILU(0)-CG.

    python -m benchmarks.performance_forward

Run it in the repository's root. Colin27 at 1 mm is meshed at several sizes with the 133 electrodes
of the ROM-pEIT paper. Each system is solved at the centre of the paper's quartile ranges by
conjugate gradients: with GAMG (one right-hand side), with its block cycle (sixteen) and with the
paper's ILU(0), all to the same true residual on one core; then with GAMG on MPI ranks. Every stage
is a process of its own, with its own peak memory. Processor seconds are the work of a core;
wall-clock seconds are larger on a busy machine. Meshes and matrices are kept in --cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

CAP, DIAMETER, SINK = "paper133", 0.010, "Cz"
IMPEDANCE, CURRENT, TOLERANCE = 5.0, 20e-6, 1e-10
MARGIN = 4  # voxels of air laid around the head, which reaches the border of its image


class Watch:
    """Wall-clock and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, name: str) -> dict[str, float]:
        """Return both, as `<name>_s` and `<name>_cpu_s`."""
        return {
            f"{name}_s": time.perf_counter() - self._wall,
            f"{name}_cpu_s": time.process_time() - self._cpu,
        }


def peak_gib() -> float:
    """Return the largest memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def mesh_stage(folder: Path, size: float, head: Path) -> dict:
    """Mesh Colin27, put 133 electrodes on, and keep both in a file."""
    import numpy as np

    from headcond.caps import cap_positions
    from headcond.cohort.colin27 import read_colin27
    from headcond.head.electrodes import place_discs
    from headcond.head.formats import write_head
    from headcond.head.meshing import build_mesh
    from headcond.head.quality import report

    labels, affine, _ = read_colin27(folder)
    affine = affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, MARGIN)
    labels = np.pad(labels, MARGIN)
    watch = Watch()
    mesh, _ = build_mesh(labels, affine, size)
    facts = {"size": size, "nodes": len(mesh.nodes), "tetrahedra": len(mesh.tetrahedra)}
    facts |= watch.read("mesh") | {"mesh_gib": peak_gib()}
    positions = cap_positions(CAP, np.eye(4))
    watch = Watch()
    discs = place_discs(mesh, list(positions), np.array(list(positions.values())) / 1e3, DIAMETER)
    facts |= watch.read("electrodes")
    quality = report(mesh, labels, affine)
    facts["least_dihedral_deg"] = quality["dihedral_deg"]["min"]
    facts["leaking_faces"] = quality["leaks"]["faces"]
    write_head(head, mesh, discs, **facts)
    return facts


def operator_stage(head: Path, system: Path) -> dict:
    """Assemble the blocks, and keep A(theta) and the loads of sixteen spread pairs."""
    import numpy as np
    import scipy.sparse as sparse

    from headcond.caps import injection_pairs
    from headcond.fem.electrode_model import assemble
    from headcond.head.formats import read_head
    from headcond.tissues import EIT_RANGES

    mesh, electrodes = read_head(head)
    watch = Watch()
    operator = assemble(mesh, electrodes)
    facts = watch.read("assemble") | {"assemble_gib": peak_gib()}
    ranges = (EIT_RANGES[name] for name in operator.names[:-1])
    theta = [*(0.5 * (r["lq"] + r["uq"]) for r in ranges), 1 / IMPEDANCE]
    watch = Watch()
    matrix = operator.combine(theta)
    facts |= watch.read("combine") | {"unknowns": operator.size, "entries": matrix.nnz}
    pairs = injection_pairs(operator.electrodes, SINK, 16)
    loads = np.stack([operator.load(*pair, CURRENT) for pair in pairs], axis=1)
    sparse.save_npz(system, matrix, compressed=False)
    np.save(system.with_suffix(".loads.npy"), loads)
    return facts


def solve_stage(system: Path, what: str) -> dict:
    """Solve one kind: ilu, single or block; or single over MPI ranks."""
    import numpy as np
    import scipy.sparse as sparse

    from headcond.fem.solvers import make_solver
    from headcond.parallel import world

    matrix = sparse.load_npz(system)
    loads = np.load(system.with_suffix(".loads.npy"))
    communicator = world() if what == "ranks" else None
    watch = Watch()
    kind = "ilu" if what == "ilu" else "gamg"
    solver = make_solver(matrix, preconditioner=kind, tolerance=TOLERANCE,
                         communicator=communicator)  # fmt: skip
    facts = watch.read("setup")
    loads = loads if what == "block" else loads[:, 0]
    if what == "block":  # compile, and copy the hierarchy, which belongs to the set-up
        watch = Watch()
        solver.solve(loads[:, :4], tolerance=0.5)
        facts |= watch.read("block_setup")
    watch = Watch()
    solution = solver.solve(loads)
    facts |= watch.read("solve")
    count = len(solution.residual)
    facts |= {"right_hand_sides": count, "iterations": int(solution.iterations.max()),
              "residual": float(solution.residual.max()), "gib": peak_gib()}  # fmt: skip
    facts |= {f"each_{key}": facts[f"solve_{key}"] / count for key in ("s", "cpu_s")}
    if communicator is not None:
        cpu = communicator.gather(facts["solve_cpu_s"])
        if communicator.Get_rank() > 0:
            return {}
        facts["largest_rank_cpu_s"] = max(cpu)
    return facts


def run(stage: str, *arguments: object, ranks: int = 0) -> dict:
    """Run one stage in a process of its own, or on MPI ranks."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.performance_forward",
        "--stage",
        stage,
        *map(str, arguments),
    ]
    if ranks:
        launch = ["mpirun", "--bind-to", "none", "--oversubscribe", "-n", str(ranks)]
        command = [*launch, sys.executable, "-m", "mpi4py", *command[1:]]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    facts = json.loads(done.stdout.strip().splitlines()[-1])
    print(stage, *arguments, ranks or "", json.dumps(facts), file=sys.stderr, flush=True)
    return facts


def kept(path: Path, make: object) -> dict:
    """Return the record of a cached file, made now if it is absent."""
    record = path.with_suffix(".record.json")
    if not (path.exists() and record.exists()):
        record.write_text(json.dumps(make()))
    return json.loads(record.read_text())


def tables(rows: list[dict], ranks: list[dict]) -> str:
    """Return the markdown tables of all results."""
    lines = ["| nodes | tetrahedra | meshing | peak | electrodes | operators | peak | A(sigma) |",
             "|---:|---:|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for row in rows:
        head, system = row["head"], row["system"]
        lines.append(
            f"| {head['nodes']} | {head['tetrahedra']} "
            f"| {head['mesh_s']:.0f} s ({head['mesh_cpu_s']:.0f}) | {head['mesh_gib']:.1f} GiB "
            f"| {head['electrodes_s']:.1f} s "
            f"| {system['assemble_s']:.0f} s ({system['assemble_cpu_s']:.0f}) "
            f"| {system['assemble_gib']:.1f} GiB | {system['combine_s']:.2f} s |"
        )
    lines += ["", "| unknowns | solver | set-up | iterations | each | times faster "
              "| largest residual | peak |",
              "|---:|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    names = {"ilu": "ILU(0), one", "single": "GAMG, one", "block": "block of 16"}
    for row in rows:
        for what, name in names.items():
            facts = row[what]
            ahead = row["ilu"]["each_cpu_s"] / facts["each_cpu_s"]
            setup = facts["setup_cpu_s"] + facts.get("block_setup_cpu_s", 0.0)
            lines.append(
                f"| {row['system']['unknowns']} | {name} | {setup:.2f} s | {facts['iterations']} "
                f"| {facts['each_cpu_s']:.2f} s (wall {facts['each_s']:.2f}) | {ahead:.1f} "
                f"| {facts['residual']:.1e} | {facts['gib']:.1f} GiB |"
            )
    lines += ["", "| unknowns | ranks | set-up, wall | iterations | solve, wall "
              "| busiest rank, processor |",
              "|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for facts in ranks:
        lines.append(
            f"| {facts['unknowns']} | {facts['ranks']} | {facts['setup_s']:.2f} s "
            f"| {facts['iterations']} | {facts['each_s']:.2f} s "
            f"| {facts['largest_rank_cpu_s']:.2f} s |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all stages and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="folder of the Colin27 files")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/cache"))
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.0055, 0.0034, 0.0021])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--table", type=Path, default=Path("benchmarks/performance_forward.md"))
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ["HEADCOND_DATA"]) / "colin27"
    arguments.cache.mkdir(parents=True, exist_ok=True)
    rows, ranks = [], []
    for size in arguments.sizes:
        head = arguments.cache / f"colin27-{1e3 * size:g}mm.h5"
        system = arguments.cache / f"colin27-{1e3 * size:g}mm.npz"
        row = {"head": kept(head, lambda h=head, s=size: run("mesh", folder, s, h))}
        row["system"] = kept(system, lambda h=head, y=system: run("operators", h, y))
        row |= {what: run("solve", system, what) for what in ("ilu", "single", "block")}
        rows.append(row)
        for count in arguments.ranks:
            facts = run("solve", system, "ranks", ranks=count)
            ranks.append(facts | {"ranks": count, "unknowns": row["system"]["unknowns"]})
    arguments.table.write_text(tables(rows, ranks))
    print(arguments.table.read_text())


def stage(name: str, *rest: str) -> None:
    """Run a stage of the benchmark in this process and print its facts."""
    if name == "mesh":
        facts = mesh_stage(Path(rest[0]), float(rest[1]), Path(rest[2]))
    elif name == "operators":
        facts = operator_stage(Path(rest[0]), Path(rest[1]))
    else:
        facts = solve_stage(Path(rest[0]), rest[1])
    if facts:
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:
        stage(*sys.argv[2:])
    else:
        main()
