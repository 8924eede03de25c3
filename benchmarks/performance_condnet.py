r"""Time and memory of CondNet's training and prediction.

    python -m benchmarks.performance_condnet --labels training_seg_01.nii.gz --output condnet.tsv

Run it in the repository's root. The label map (synthseg, 1 mm, 256^3) sets the head's extent and
its slices; the images are noise with the tissues' brightness, since times do not depend on the
images. Every measurement is a process of its own, with its peak resident memory. `cpu_s` is
processor time over all threads, which other programs on the machine disturb less than wall time.
Training runs as in a study, on ten heads in memory, but on a few slices of each: an epoch and the
paper's 50 epochs are extrapolated from the time per slice. Measurements on a GPU run if torch finds
one; the table states if not. With `--worker` the program runs one measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AXES = ("sagittal", "coronal", "axial")
HEADS, EPOCHS, SLICES = 10, 50, 12  # the paper's heads and epochs; slices of a head trained on here
COLUMNS = ("measurement", "axis", "voxels", "threads", "wall_s", "cpu_s", "loading_percent",
           "peak_mib", "note")  # fmt: skip
STEPS = {
    "contiguous": (False, False, False), "channels last": (True, False, False),
    "channels last, bfloat16": (True, True, False),
    "channels last, compiled": (True, False, True),
    "channels last, bfloat16, compiled": (True, True, True),
}  # fmt: skip


def peak_mib() -> float:
    """Peak resident memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_tissue(labels: str, voxels: int) -> object:
    """Tissues of the label map, RAS, thinned to `voxels` along each axis."""
    import nibabel
    import numpy as np

    from headcond.tissues import to_tissues

    image = nibabel.as_closest_canonical(nibabel.load(labels))
    tissue = to_tissues(np.asarray(image.dataobj).astype(np.int32), "synthseg")
    if tissue.shape != (256,) * 3:
        sys.exit(f"{labels}: a 256^3 label map is needed, this one is {tissue.shape}.")
    step = 256 // voxels
    return np.ascontiguousarray(tissue[::step, ::step, ::step])


def images_of(tissue: object, seed: int) -> object:
    """Two images in [0, 1] with a brightness per tissue and noise."""
    import numpy as np

    rng = np.random.default_rng(seed)
    images = np.empty((2, *tissue.shape), np.float32)
    for image, values in zip(images, rng.uniform(0.2, 0.9, (2, 14)), strict=True):
        values[0] = 0.02
        image[:] = np.asarray(values, np.float32)[tissue]
        image += rng.standard_normal(tissue.shape, dtype=np.float32) * 0.02
    return np.clip(images, 0, 1, out=images)


def step(voxels: str, variant: str, device: str) -> dict:
    """One optimiser step of four slices: the least of several, and what came before the first."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from headcond.condnet.network import CondNet

    last, half, compiled = STEPS[variant]
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    layout = torch.channels_last if last else torch.contiguous_format
    network = CondNet(2, 1).to(device, memory_format=layout)
    forward = torch.compile(network.logits) if compiled else network.logits
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    edge = int(voxels)
    images = torch.rand(4, 2, edge, edge, device=device)
    targets = torch.rand(4, 1, edge, edge, device=device)

    def once() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            logits = forward(images.contiguous(memory_format=layout))
        binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimiser.step()
        optimiser.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    times = []
    for _ in range(3 if device == "cpu" else 30):
        wall, processor = time.perf_counter(), time.process_time()
        once()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    walls, processors = zip(*times[1:], strict=True)
    return {"wall_s": min(walls), "cpu_s": min(processors),
            "note": f"first step {times[0][0]:.1f} s"}  # fmt: skip


def train(labels: str, voxels: str, axis: str, accelerator: str, precision: str,
          compiled: str) -> dict:  # fmt: skip
    """Two epochs over a few slices of ten heads; the second one is reported, per slice."""
    import numpy as np

    from headcond.condnet import lightning
    from headcond.condnet.fusion import targets
    from headcond.condnet.slices import axis_index, describe_grid
    from headcond.condnet.training import TrainingSettings, train_axis
    from headcond.tissues import conductivity_map, conductivity_table

    tissue = read_tissue(labels, int(voxels))
    table = conductivity_table("A")
    across = axis_index(axis)
    used = np.flatnonzero(tissue.any(axis=tuple({0, 1, 2} - {across})))
    chosen = np.zeros(tissue.shape[across], bool)
    chosen[used[np.linspace(0, len(used) - 1, SLICES).astype(int)]] = True
    truth = targets(conductivity_map(tissue, table)[None], [max(table.values())], 0.1)
    np.moveaxis(truth, 1 + across, 0)[~chosen] = 0  # slices without a head are left out
    images = {f"sub-{number:02d}": images_of(tissue, number) for number in range(HEADS)}
    truths = {name: truth.copy() for name in images}
    processor = []
    begun, ended = (
        lightning.AxisTraining.on_train_epoch_start,
        lightning.AxisTraining.on_train_epoch_end,
    )
    lightning.AxisTraining.on_train_epoch_start = lambda self: (
        processor.append(-time.process_time()), begun(self))[1]  # fmt: skip
    lightning.AxisTraining.on_train_epoch_end = lambda self: (
        ended(self), processor.append(time.process_time()))[0]  # fmt: skip
    settings = TrainingSettings(epochs=2, validation="slice", accelerator=accelerator,
                                precision=precision, compiled=compiled == "compiled")  # fmt: skip
    edge = 256.0 / tissue.shape[0]
    with tempfile.TemporaryDirectory() as folder:
        history = train_axis(
            images, truths, axis, settings, tables={"A": table}, tau=0.1,
            normalisation={"method": "none"}, checkpoint=Path(folder, "axis.ckpt"),
            grid=describe_grid(tissue.shape, np.diag([edge, edge, edge, 1.0])),
            folder=folder, threads=int(os.environ["OMP_NUM_THREADS"]),
        )  # fmt: skip
    last, slices = history.iloc[-1], HEADS * SLICES
    return {
        "wall_s": last["seconds"] / slices, "cpu_s": (processor[2] + processor[3]) / slices,
        "loading_percent": 100 * last["loading_seconds"] / last["seconds"],
        "peak_mib": peak_mib(), "slices": HEADS * len(used),
    }  # fmt: skip


def predict(labels: str, voxels: str, device: str) -> dict:
    """Three axes, their mean and spread, the scale, and the head's mask, part by part."""
    import numpy as np
    import torch

    from headcond.condnet import fusion
    from headcond.condnet.checkpoint import Checkpoint
    from headcond.condnet.network import CondNet
    from headcond.condnet.prediction import predict_axis
    from headcond.condnet.slices import describe_grid
    from headcond.tissues import conductivity_table

    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    tissue = read_tissue(labels, int(voxels))
    images, edge = images_of(tissue, 0), 256.0 / tissue.shape[0]
    grid = describe_grid(tissue.shape, np.diag([edge, edge, edge, 1.0]))
    table, facts = conductivity_table("A"), {"method": "none"}
    networks = []
    for seed, axis in enumerate(AXES):
        torch.manual_seed(seed)
        networks.append(Checkpoint(CondNet(2, 1), axis, {"A": table}, 0.1, facts, grid, {}))
    parts: dict[str, tuple[float, float]] = {}

    def timed(name: str, call: object) -> object:
        wall, processor = time.perf_counter(), time.process_time()
        found = call()
        parts[name] = time.perf_counter() - wall, time.process_time() - processor
        return found

    maps = timed("three networks", lambda: [
        predict_axis(network, images, grid=grid, normalisation=facts, threads=threads,
                     device=device) for network in networks])  # fmt: skip
    average = timed("average and spread",
                    lambda: (fusion.average_axes(maps), fusion.spread(maps)))[0]  # fmt: skip
    sigma = timed("scale", lambda: fusion.rescale(average, networks[0].maxima, 0.1))
    head = timed("mask of the head", lambda: fusion.head_mask(*images, edge))
    timed("air", lambda: fusion.mask_air(sigma, head, networks[0].minima))
    walls, processors = (sum(pair[i] for pair in parts.values()) for i in (0, 1))
    note = ", ".join(f"{name} {pair[1]:.2f}" for name, pair in parts.items())
    return {"wall_s": walls, "cpu_s": processors, "peak_mib": peak_mib(), "note": f"cpu_s: {note}"}


def call(threads: int, *worker: str) -> dict:
    """Run one measurement in a process of its own and return what it reports."""
    environment = dict(os.environ)
    for key in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[key] = str(threads)
    # Threads that spin at barriers cost more than they gain where other programs share the cores.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    command = [sys.executable, "-m", "benchmarks.performance_condnet", "--worker", *worker]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {"note": "failed; see the message in the terminal"}
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> list[dict]:
    """All measurements, one after the other."""
    import torch

    rows: list[dict] = []

    def note(name: str, axis: str, voxels: int, threads: int | str, found: dict) -> None:
        row = {"measurement": name, "axis": axis, "voxels": voxels, "threads": threads, **found}
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)

    labels, gpu = str(options.labels), torch.cuda.is_available()
    devices = ["cpu", "cuda"] if gpu else ["cpu"]
    for device in devices:
        place = "" if device == "cpu" else "GPU: "
        threads = 1 if device == "cpu" else options.threads
        for voxels in options.voxels:
            for variant, (_, _, compiled) in STEPS.items():
                if compiled and device == "cpu" and not options.compile:
                    continue
                note(f"{place}step, {variant}", "", voxels, threads,
                     call(threads, "step", str(voxels), variant, device))  # fmt: skip
        runs = [("float32", "eager")]
        if device == "cuda":
            runs += [("bfloat16", "eager"), ("bfloat16", "compiled")]
        for voxels in options.voxels:
            for precision, compiled in runs:
                total = [0.0, 0.0]
                for axis in options.axes:
                    found = call(threads, "train", labels, str(voxels), axis,
                                 "gpu" if device == "cuda" else "cpu", precision,
                                 compiled)  # fmt: skip
                    kind = f"{place}training, {precision}, {compiled}"
                    slices = found.pop("slices", 0)
                    note(f"{kind}, a slice", axis, voxels, threads, found)
                    if not slices:
                        continue
                    epoch = [found[key] * slices for key in ("wall_s", "cpu_s")]
                    total = [a + b * EPOCHS for a, b in zip(total, epoch, strict=True)]
                    note(f"{kind}, an epoch (projected)", axis, voxels, threads,
                         {"wall_s": epoch[0], "cpu_s": epoch[1],
                          "note": f"{slices} slices of {HEADS} heads"})  # fmt: skip
                whole = " + ".join(options.axes)
                note(f"{kind}, {EPOCHS} epochs (projected)", whole, voxels, threads,
                     {"wall_s": total[0], "cpu_s": total[1]})  # fmt: skip
            for count in sorted({1, options.threads}):
                note(f"{place}prediction of a head", "all", voxels, count,
                     call(count, "predict", labels, str(voxels), device))  # fmt: skip
    if not gpu:
        note("GPU", "", "", "", {"note": "torch finds no CUDA device here: not measured"})
    return rows


def main() -> None:
    """Measure, write the table and print it as markdown with machine and versions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True, help="label map (synthseg, 256^3)")
    parser.add_argument("--voxels", type=int, nargs="+", default=[128, 256], choices=[64, 128, 256])
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=AXES, help="to train")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--compile", action="store_true",
                        help="also let torch compile on the CPU, which takes minutes")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("condnet.tsv"))
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows = measure(options)
    import pandas as pd
    import torch

    from headcond.files.results import versions

    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table.to_csv(options.output, sep="\t", index=False, na_rep="n/a", float_format="%.4g")
    facts = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    name = next((line.split(":")[1].strip() for line in facts if line.startswith("model name")),
                platform.processor())  # fmt: skip
    used = {key: versions().get(key) for key in ("headcond", "python", "numpy", "torch")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{name}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, {device}; "
          f"load average {load:.1f} before and {os.getloadavg()[0]:.1f} after; "
          + ", ".join(f"{key} {value}" for key, value in used.items()) + "\n")  # fmt: skip
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for row in table.itertuples(index=False):
        cells = ["" if pd.isna(cell) else f"{cell:.4g}" if isinstance(cell, float) else str(cell)
                 for cell in row]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    if "--worker" in sys.argv:
        task, *arguments = sys.argv[sys.argv.index("--worker") + 1 :]
        print(json.dumps({"step": step, "train": train, "predict": predict}[task](*arguments)))
    else:
        main()
