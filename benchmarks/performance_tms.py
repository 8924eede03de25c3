r"""Time and memory of the TMS field solver (SPFD) against PyAMG and PETSc on one real head.

    python -m benchmarks.performance_tms --labels training_seg_01.nii.gz --coil MagStim_D70.ccd \
        --output tms.tsv

Run it in the repository's root. Every measurement is a process of its own, one after the other,
with its peak resident memory. headcond is measured from the conductivity map on; PyAMG and PETSc
receive the assembled matrix and right-hand side. All stop at the same relative residual, and the
fields are compared. `cpu_s` is processor time over all threads, which other programs on the machine
disturb less than wall time. It writes one row per measurement and prints the table as Markdown.
With `--worker` the program runs one measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOLERANCE = 1e-6
DIDT = 1e6
PEERS = ("PyAMG Ruge-Stuben CG", "PETSc CG+GAMG, 1 rank", "PETSc CG+GAMG, 2 ranks")
COLUMNS = ("measurement", "voxel_mm", "threads", "unknowns", "set_up_s", "solve_s", "total_s",
           "cpu_s", "iterations", "residual", "peak_mib", "added_mib",
           "field_difference")  # fmt: skip


def peak_mib() -> float:
    """Peak resident memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def prepare(folder: Path, labels: str, coil_file: str, voxel: float) -> dict:
    """Write the uniform map of a head and the coil over its vertex's left side."""
    import numpy as np

    from headcond.cohort.labels import prepare_labels, read_labels
    from headcond.tissues import conductivity_map, conductivity_table
    from headcond.tms import coil_files
    from headcond.tms.placement import place

    head = prepare_labels(*read_labels(labels, "synthseg"), "synthseg", voxel)
    sigma = conductivity_map(head.labels13, conductivity_table("A"))
    index = np.argwhere(sigma > 0)
    low, high = (f(axis=0) @ head.affine[:3, :3].T + head.affine[:3, 3]
                 for f in (index.min, index.max))  # fmt: skip
    middle = (low + high) / 2
    # Over the left motor cortex, roughly: a benchmark needs no cap.
    target = np.array([middle[0] - 45, middle[1], high[2] - 25])
    wire = coil_files.read(coil_file)
    towards = target + np.array([-20, -40, 0])
    forward = target + np.array([0, 25, 0])
    np.savez(folder / f"head-{voxel:g}.npz", sigma=sigma, affine=head.affine,
             first=place(sigma, head.affine, target, towards, 0.006, wire),
             second=place(sigma, head.affine, forward, towards, 0.006, wire))  # fmt: skip
    return {"voxels": len(index), "shape": sigma.shape}


def assemble(folder: Path, coil_file: str, voxel: float) -> dict:
    """Write the peers' matrix and right-hand side."""
    import numpy as np

    from headcond.tms import algebraic, coil_files, stencil
    from headcond.tms.induction import dadt_edges

    head = np.load(folder / f"head-{voxel:g}.npz")
    sigma, grid = stencil.crop(head["sigma"], head["affine"])
    network = stencil.assemble(sigma, grid)
    labels, _ = stencil.components(sigma)
    system, unknowns = algebraic.matrix(network, stencil.node_labels(labels))
    wire = coil_files.read(coil_file).transformed(head["first"])
    emf = dadt_edges(wire, DIDT, grid, network)
    b = np.zeros(network.inverse_diagonal.shape)
    stencil.load(network, emf, b)
    for name, values in (("data", system.data), ("indices", system.indices),
                         ("indptr", system.indptr), ("b", b.ravel()[unknowns])):  # fmt: skip
        np.save(folder / f"{name}.npy", values)
    np.savez(folder / "nodes.npz", unknowns=unknowns, shape=b.shape)
    return {}


def ours(folder: Path, coil_file: str, voxel: float) -> dict:
    """Set-up and two positions of the matrix-free multigrid."""
    import numpy as np

    from headcond.tms import coil_files, spfd

    head = np.load(folder / f"head-{voxel:g}.npz")
    sigma, affine = head["sigma"], head["affine"]
    wire = coil_files.read(coil_file)
    warm_up(wire)
    base = current_mib()
    began, processor = time.perf_counter(), time.process_time()
    problem = spfd.Problem(sigma, affine)
    set_up = time.perf_counter() - began
    first = problem.solve(wire.transformed(head["first"]), DIDT, TOLERANCE)
    # Of everything so far, dA/dt and E included, which the peers do not compute.
    peak, processor = peak_mib(), time.process_time() - processor
    began = time.perf_counter()
    second = problem.solve(wire.transformed(head["second"]), DIDT, TOLERANCE)
    again = time.perf_counter() - began
    np.save(folder / f"ours-{voxel:g}.npy", first.vector)
    return {
        "unknowns": first.unknowns, "set_up_s": set_up, "solve_s": first.seconds["solve"],
        "dadt_s": first.seconds["dadt"], "field_s": first.seconds["field"],
        "second_s": again, "second_iterations": second.iterations,
        "cpu_s": processor, "iterations": first.iterations, "residual": first.residual,
        "peak_mib": peak, "added_mib": peak - base,
    }  # fmt: skip


def grid(folder: Path, coil_file: str, voxel: float) -> dict:
    """Eight orientations at two positions, each by itself and each starting from those before."""
    import numpy as np

    from headcond.tms import coil_files, spfd

    head = np.load(folder / f"head-{voxel:g}.npz")
    wire = coil_files.read(coil_file)
    warm_up(wire)
    placed = []
    for place in ("first", "second"):
        for angle in np.deg2rad(np.arange(0, 180, 22.5)):
            turn = np.eye(4)
            turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            placed.append(wire.transformed(head[place] @ turn))
    problem = spfd.Problem(head["sigma"], head["affine"])
    found = {}
    for way, fields in (
        ("alone", (problem.solve(one, DIDT, TOLERANCE) for one in placed)),
        ("each", problem.solve_each(placed, DIDT, TOLERANCE)),
    ):
        processor = time.process_time()
        taken = [(f.iterations, f.residual, f.seconds["solve"]) for f in fields]
        found[way] = {
            "iterations": float(np.mean([one[0] for one in taken])),
            "residual": max(one[1] for one in taken), "set_up_s": 0.0,
            "solve_s": float(np.mean([one[2] for one in taken])),
            "cpu_s": (time.process_time() - processor) / len(placed),
        }  # fmt: skip
    return found


def torch_cpu(folder: Path, coil_file: str, voxel: float) -> dict:
    """Set-up and solution of the torch back end on the processor; its field against ours."""
    import numpy as np
    import torch

    from headcond.tms import coil_files, spfd

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    head = np.load(folder / f"head-{voxel:g}.npz")
    wire = coil_files.read(coil_file)
    warm_up(wire)
    began, processor = time.perf_counter(), time.process_time()
    problem = spfd.Problem(head["sigma"], head["affine"], backend="torch")
    set_up = time.perf_counter() - began
    field = problem.solve(wire.transformed(head["first"]), DIDT, TOLERANCE)
    peak, processor = peak_mib(), time.process_time() - processor
    own = np.load(folder / f"ours-{voxel:g}.npy")
    return {
        "unknowns": field.unknowns, "set_up_s": set_up, "solve_s": field.seconds["solve"],
        "cpu_s": processor, "iterations": field.iterations, "residual": field.residual,
        "peak_mib": peak,
        "field_difference": float(np.linalg.norm(own - field.vector) / np.linalg.norm(own)),
    }  # fmt: skip


def peer(folder: Path, voxel: float, name: str) -> dict:
    """Set-up and solution of a peer on the assembled system; its field against ours.

    Under MPI the times are those of rank 0 between barriers, processor time and memory are
    sums over the ranks, each of which holds the whole matrix and its share in PETSc.
    """
    from functools import partial

    import numpy as np
    import scipy.sparse

    from headcond.parallel import world
    from headcond.tms import algebraic

    ranks = int(os.environ.get("TMS_RANKS", "1"))
    communicator = world(ranks)
    make = partial(algebraic.algebraic_solver, backend=name, communicator=communicator)
    make(scipy.sparse.csr_matrix(scipy.sparse.diags_array(np.arange(1.0, 100.0))))  # imports
    base = current_mib()
    parts = [np.load(folder / f"{key}.npy") for key in ("data", "indices", "indptr")]
    b = np.load(folder / "b.npy")
    system = scipy.sparse.csr_matrix(tuple(parts), shape=(len(b), len(b)))
    communicator.barrier()
    began, processor = time.perf_counter(), time.process_time()
    solve = make(system)
    communicator.barrier()
    set_up = time.perf_counter() - began
    began = time.perf_counter()
    x, iterations = solve(b, TOLERANCE, 400)
    communicator.barrier()
    solved = time.perf_counter() - began
    own = (peak_mib(), base, time.process_time() - processor)
    peak, base, processor = (sum(parts) for parts in zip(*communicator.allgather(own), strict=True))
    if communicator.Get_rank() > 0:
        return {}
    found = {
        "unknowns": len(b), "set_up_s": set_up, "solve_s": solved, "cpu_s": processor,
        "iterations": iterations,
        "residual": float(np.linalg.norm(b - system @ x) / np.linalg.norm(b)),
        "peak_mib": peak, "added_mib": peak - base,
    }  # fmt: skip
    np.save(folder / f"{name}.npy", x)
    return found


def compare(folder: Path, coil_file: str, voxel: float, name: str) -> dict:
    """Relative L2 difference between a peer's field and ours."""
    import numpy as np

    from headcond.tms import coil_files, stencil
    from headcond.tms.induction import dadt_edges

    head, nodes = np.load(folder / f"head-{voxel:g}.npz"), np.load(folder / "nodes.npz")
    sigma, grid = stencil.crop(head["sigma"], head["affine"])
    network = stencil.assemble(sigma, grid)
    emf = dadt_edges(coil_files.read(coil_file).transformed(head["first"]), DIDT, grid, network)
    psi = np.zeros(nodes["shape"])
    psi.ravel()[nodes["unknowns"]] = np.load(folder / f"{name}.npy")
    field = np.zeros((*sigma.shape, 3), np.float32)
    stencil.field(sigma, grid, psi, emf, field)
    own = np.load(folder / f"ours-{voxel:g}.npy")[grid.region]
    return {"field_difference": float(np.linalg.norm(own - field) / np.linalg.norm(own))}


def direct(folder: Path, coil_file: str, voxel: float) -> dict:
    """dA/dt at every edge midpoint, summed directly and interpolated, and their difference."""
    import numpy as np

    from headcond.tms import coil_files, stencil
    from headcond.tms.induction import dadt_edges

    head = np.load(folder / f"head-{voxel:g}.npz")
    sigma, grid = stencil.crop(head["sigma"], head["affine"])
    network = stencil.assemble(sigma, grid)
    bare = coil_files.read(coil_file)
    warm_up(bare)
    wire = bare.transformed(head["first"])
    found, fields = {}, {}
    for method in ("interpolated", "direct"):
        began = time.perf_counter()
        fields[method] = dadt_edges(wire, DIDT, grid, network, method)
        found[f"{method}_s"] = time.perf_counter() - began
    scale = max(float(np.abs(part).max()) for part in fields["direct"])
    found["error"] = max(
        float(np.abs(a - b).max()) for a, b in zip(*fields.values(), strict=True)
    ) / scale  # fmt: skip
    found["edges"] = int(sum(np.count_nonzero(part) for part in network.edges))
    found["dipoles"] = len(wire.positions)
    return found


def warm_up(wire: object) -> None:
    """Compile everything on a small box, so that no compilation is timed."""
    import numpy as np

    from headcond.tms import spfd

    sigma = np.zeros((24, 24, 24), np.float32)
    sigma[4:20, 4:20, 4:20] = 0.3
    spfd.solve_efield(sigma, np.eye(4), wire.transformed(shifted(np)), DIDT)


def shifted(np: object) -> object:
    """Return the placement 30 cm above the origin."""
    matrix = np.diag([1.0, -1, -1, 1])
    matrix[2, 3] = 0.3
    return matrix


def current_mib() -> float:
    """Resident memory of this process now, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def call(threads: int, *worker: str, ranks: int = 0) -> dict:
    """Run one measurement in a process of its own, or on MPI ranks; return what it reports."""
    environment = dict(os.environ)
    for key in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        environment[key] = str(threads)
    environment["OPENBLAS_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "benchmarks.performance_tms", "--worker", *worker]
    if ranks:
        launcher_path = Path(sys.executable).with_name("mpirun")
        launcher = str(launcher_path) if launcher_path.exists() else "mpirun"
        command = [launcher, "--oversubscribe", "-n", str(ranks), *command]
        environment |= {"TMS_RANKS": str(ranks), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # fmt: skip
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return max(reports, key=len)  # of ranks, the first one's


def measure(options: argparse.Namespace, folder: Path) -> list[dict]:
    """All measurements, one after the other."""
    rows: list[dict] = []

    def note(name: str, voxel: float, threads: int, found: dict) -> None:
        row = {"measurement": name, "voxel_mm": voxel, "threads": threads, **found}
        if "set_up_s" in found:
            row["total_s"] = found["set_up_s"] + found["solve_s"]
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)

    coil_file, threads = str(options.coil), options.threads
    place = [str(folder), coil_file]
    for voxel in sorted(options.voxels, reverse=True):
        call(threads, "prepare", str(folder), str(options.labels), coil_file, str(voxel))
        for count in range(1, threads + 1):
            found = call(count, "ours", *place, str(voxel))
            note("headcond, second position", voxel, count, {
                "set_up_s": 0.0, "solve_s": found.pop("second_s"),
                "iterations": found.pop("second_iterations")})  # fmt: skip
            parts = {key: found.pop(key) for key in ("dadt_s", "field_s")}
            note("headcond", voxel, count, found)
            note("headcond, dA/dt", voxel, count, {"total_s": parts["dadt_s"]})
            note("headcond, E from the potential", voxel, count, {"total_s": parts["field_s"]})
    finest = min(options.voxels)
    found = call(threads, "direct", *place, str(finest))
    title = f"dA/dt interpolated, {found['dipoles']} dipoles, {found['edges']} edges"
    interpolated = {"total_s": found["interpolated_s"], "field_difference": found["error"]}
    note(title, finest, threads, interpolated)
    note("dA/dt summed directly", finest, threads, {"total_s": found["direct_s"]})
    call(threads, "assemble", *place, str(finest))
    coarser = sorted(options.voxels)[min(1, len(options.voxels) - 1)]
    for voxel in sorted({coarser, finest}, reverse=True):
        found = call(threads, "grid", *place, str(voxel))
        for way, title in (("alone", "each alone"), ("each", "each from those before")):
            note(f"headcond, 16 positions, {title}: mean", voxel, threads, found[way])
    note("headcond, torch on the processor", coarser, threads,
         call(threads, "torch_cpu", *place, str(coarser)))  # fmt: skip
    for title, name, ranks in zip(PEERS, ("pyamg", "petsc", "petsc"), (0, 1, 2), strict=True):
        one = 1 if ranks else threads
        found = call(one, "peer", str(folder), str(finest), name, ranks=ranks)
        found |= call(threads, "compare", *place, str(finest), name)
        note(title, finest, one, found)
    return rows


def main() -> None:
    """Measure, write the table and print it with the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True, help="label map (synthseg)")
    parser.add_argument("--coil", type=Path, required=True, help="dipole file (.ccd)")
    parser.add_argument("--voxels", type=float, nargs="+", default=[4.0, 2.0, 1.0], help="mm")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path("tms.tsv"))
    options = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options, Path(folder))
    print(f"Load average {before:.1f} before, {os.getloadavg()[0]:.1f} after.\n")
    import pandas as pd

    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table.to_csv(options.output, sep="\t", index=False, na_rep="n/a", float_format="%.4g")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for row in table.itertuples(index=False):
        cells = ["" if pd.isna(cell) else f"{cell:.4g}" if isinstance(cell, float) else str(cell)
                 for cell in row]  # fmt: skip
        print("| " + " | ".join(cells) + " |")
    finest = table[table["voxel_mm"] == min(options.voxels)]
    # The faster of our thread counts: on cores that others use too it may be one.
    finest = finest.sort_values("total_s").drop_duplicates("measurement").set_index("measurement")
    for name in PEERS:
        times, work, sizes = (
            finest.loc[name, key] / finest.loc["headcond", key]
            for key in ("total_s", "cpu_s", "peak_mib")
        )
        print(f"{name}: {times:.1f} times our time, {work:.1f} times our processor time (dA/dt and "
              f"E included in ours), {sizes:.1f} times our peak memory")  # fmt: skip


def work(task: str, folder: str, *arguments: str) -> None:
    """Run one measurement of a child process and print it."""
    *front, last = arguments
    if task == "peer":
        found = peer(Path(folder), float(front[0]), last)
    elif task == "compare":
        found = compare(Path(folder), front[0], float(front[1]), last)
    else:
        tasks = (prepare, assemble, ours, direct, grid, torch_cpu)
        run = {one.__name__: one for one in tasks}[task]
        found = run(Path(folder), *front, float(last))
    print(json.dumps(found))


if __name__ == "__main__":
    if "--worker" in sys.argv:
        work(*sys.argv[sys.argv.index("--worker") + 1 :])
    else:
        main()
