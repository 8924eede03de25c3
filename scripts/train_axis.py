"""Train the network of one slicing axis."""

import logging
import os

import numpy as np

import step
from headcond import io
from headcond.checks import InputError
from headcond.condnet.fusion import targets
from headcond.condnet.slices import grid_facts
from headcond.condnet.training import TrainingSettings, train_axis
from headcond.tissues import conductivity_map, conductivity_table

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def main(
    T1w, T2w, labels, network, history, seed, axis, subjects, normalisation, settings, state,
    threads, provenance,
):  # fmt: skip
    """Write the trained network and its losses per epoch."""
    tables = {name: conductivity_table(name, settings["frequency"]) for name in settings["tables"]}
    maxima = [max(table.values()) for table in tables.values()]
    images, truths, affine = {}, {}, None
    for subject, *paths in zip(subjects, T1w, T2w, labels, strict=True):
        t1, affine = io.read_volume(paths[0])
        t2, _ = io.read_volume(paths[1])
        tissue, label_affine = io.read_volume(paths[2], dtype="uint8")
        if tissue.shape != t1.shape or not np.allclose(label_affine, affine, atol=1e-3):
            raise InputError(f"{paths[2]} and {paths[0]} do not lie on one grid.")
        images[subject] = np.stack([t1, t2])
        uniform = np.stack([conductivity_map(tissue, table) for table in tables.values()])
        truths[subject] = targets(uniform, maxima, settings["tau"])
    chosen = TrainingSettings(
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        validation=settings["validation"],
        seed=seed,
        accelerator=os.environ.get("HEADCOND_ACCELERATOR", "cpu"),
    )
    with step.resumable(state, provenance, [*T1w, *T2w, *labels]) as folder:
        losses = train_axis(
            images, truths, axis, chosen, tables=tables, tau=settings["tau"],
            normalisation=normalisation,
            grid=grid_facts(t1.shape, affine), checkpoint=network, folder=folder,
            threads=threads,
        )  # fmt: skip
    io.write_sidecar(network, provenance=provenance)
    units = {"train_loss": "nats per voxel", "validation_loss": "nats per voxel", "seconds": "s"}
    io.write_table(history, losses, units=units, provenance=provenance)


if __name__ == "__main__":
    step.run(main, snakemake)  # noqa: F821
