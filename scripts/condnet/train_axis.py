"""Train the network of one slicing axis."""

import os

import numpy as np

from headcond.checks import InputError
from headcond.condnet.fusion import targets
from headcond.condnet.slices import describe_grid
from headcond.condnet.training import TrainingSettings, train_axis
from headcond.files import results
from headcond.study import step
from headcond.tissues import conductivity_map, conductivity_table


def read_head(T1w, T2w, labels, tables, tau):
    """Images (2, nx, ny, nz), targets (V, nx, ny, nz) and affine of a subject."""
    t1, affine = results.read_volume(T1w)
    tissue, label_affine = results.read_volume(labels, dtype="uint8")
    if tissue.shape != t1.shape or not np.allclose(label_affine, affine, atol=1e-3):
        raise InputError(f"{labels} and {T1w} have different grids.")
    uniform = np.stack([conductivity_map(tissue, table) for table in tables])
    target = targets(uniform, [max(table.values()) for table in tables], tau)
    return np.stack([t1, results.read_volume(T2w)[0]]), target, affine


def main(
    T1w, T2w, labels, network, history, seed, axis, subjects, unseen, normalisation,
    settings, state, threads, provenance,
):  # fmt: skip
    """Write the trained network and its losses per epoch."""
    tables = {name: conductivity_table(name, settings["frequency"]) for name in settings["tables"]}
    images, truths, affine = {}, {}, None
    for subject, *paths in zip([*subjects, *unseen], T1w, T2w, labels, strict=True):
        images[subject], truths[subject], affine = read_head(
            *paths, tables.values(), settings["tau"]
        )
    others = tuple({name: heads.pop(name) for name in unseen} for heads in (images, truths))
    shape = images[subjects[0]].shape[1:]
    kernels = {f"{name}_kernels": size for name, size in settings["kernels"].items()}
    chosen = TrainingSettings(
        empty=settings["empty_slices"],
        seed=seed,
        accelerator=os.environ.get("HEADCOND_ACCELERATOR", "cpu"),
        compiled=os.environ.get("HEADCOND_COMPILE", "") == "1",
        **kernels,
        **{name: settings[name] for name in
           ("epochs", "batch_size", "learning_rate", "precision", "validation", "depth")},
    )  # fmt: skip
    with step.resumable(state, provenance, [*T1w, *T2w, *labels]) as folder:
        losses = train_axis(
            images, truths, axis, chosen, tables=tables, tau=settings["tau"],
            normalisation=normalisation, grid=describe_grid(shape, affine),
            checkpoint=network, folder=folder, unseen=others if unseen else None,
            threads=threads,
        )  # fmt: skip
    results.write_sidecar(network, provenance=provenance)
    units = {name: "s" if "seconds" in name else "nats per voxel" for name in losses.columns[1:]}
    results.write_table(history, losses, units=units, provenance=provenance)


if __name__ == "__main__":
    step.run(main, snakemake)  # noqa: F821
