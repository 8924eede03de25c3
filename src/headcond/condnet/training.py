"""Train one CondNet per slicing axis, resumably and reproducibly."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader, Subset

from headcond.checks import InputError, check_option, check_positive
from headcond.condnet.checkpoint import (
    UNREADABLE,
    Checkpoint,
    check_as_trained,
    plain_values,
    save_checkpoint,
    torch_threads,
)
from headcond.condnet.lightning import AxisTraining, StateFile, quiet_lightning
from headcond.condnet.network import CondNet
from headcond.condnet.slices import EpochShuffle, SliceDataset
from headcond.files.untrusted import archive_damage
from headcond.random import generator

logger = logging.getLogger(__name__)

STATE_FILE = "state.ckpt"
_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed"}  # as Lightning calls them


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training; the defaults are the paper's where it gives them.

    Parameters
    ----------
    epochs : passes over the training slices.
    batch_size : slices per step.
    learning_rate : of ADAM; the paper does not give one, 1e-3 is this package's choice.
    validation : "subject" holds one subject out, "slice" a tenth of all slices (the paper's,
        in which training and validation share heads).
    empty : "drop" leaves out slices without any head, "keep" is the paper's.
    seed : the study's seed; it names the weights, the split and the shuffles.
    depth, encoder_kernels, decoder_kernels, map_kernels : of `network.CondNet`.
    precision : "float32", or "bfloat16" for products of that precision (weights, losses and the
        optimiser stay in float32).
    accelerator : "cpu", "gpu", or "auto" for a GPU where there is one. Runs repeat bit by bit
        on a CPU with the same threads; a GPU rounds differently.
    compiled : let torch compile the network first; it needs a C++ compiler, and pays on GPUs.

    Raises
    ------
    InputError
        If a setting is invalid; the message names it.
    """

    epochs: int = 50
    batch_size: int = 4
    learning_rate: float = 1e-3
    validation: str = "subject"
    empty: str = "drop"
    seed: int = 0
    depth: int = 6
    encoder_kernels: int | list[int] = 3
    decoder_kernels: int | list[int] = 5
    map_kernels: int | list[int] = 5
    precision: str = "float32"
    accelerator: str = "cpu"
    compiled: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a whole number of at least 1, got {value!r}.")
        check_positive("learning_rate", self.learning_rate)
        check_option("validation", self.validation, ("subject", "slice"))
        check_option("empty", self.empty, ("drop", "keep"))
        check_option("precision", self.precision, tuple(_PRECISION))
        check_option("accelerator", self.accelerator, ("cpu", "gpu", "auto"))


def train_axis(
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    axis: str,
    settings: TrainingSettings,
    *,
    tables: Mapping[str, Mapping[str, float]],
    tau: float,
    normalisation: Mapping[str, Any],
    grid: Mapping[str, Any],
    checkpoint: str | Path,
    folder: str | Path,
    unseen: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]] | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """Train the network of one slicing axis and write it to `checkpoint`.

    The loss is the binary cross-entropy of soft targets in [0, 1], averaged over voxels and
    outputs and minimised by ADAM. Its smallest possible value is not 0 but the targets' mean
    entropy, the floor of each set in the history.

    The state is written to `folder` after every epoch. A call with the state of the same
    training there resumes after its last finished epoch, with the same slices in the same
    order, and ends with the weights of an uninterrupted run. A damaged state is moved aside
    with a warning, and the training begins again.

    Parameters
    ----------
    images : per subject (U, nx, ny, nz) float32 in [0, 1], on one conformed grid.
    targets : per subject (V, nx, ny, nz) float32, sigma / max(sigma) * (1 - tau)
        (`fusion.targets`), one per table, in the order of `tables`.
    axis : slicing direction, "sagittal", "coronal" or "axial".
    settings : epochs, batches, network and so on.
    tables : conductivity tables behind the targets, name -> tissue -> S/m.
    tau : scaling margin of the targets, in [0, 1).
    normalisation : how the images were normalised; prediction must share it.
    grid : the grid (`slices.describe_grid`); prediction must share it.
    checkpoint : file to write the trained network to (`checkpoint.load_checkpoint`).
    folder : folder of the resumable state, which the caller removes.
    unseen : images and targets, as above, of heads outside the training. Their loss is recorded
        after every epoch and decides nothing: validation by slices shares heads with the
        training, this shows the loss of a new head.
    threads : threads of the linear algebra.

    Returns
    -------
    Table with a row per epoch: `epoch` (from 1), `train_loss` (mean over the epoch's steps, in
    training mode), `validation_loss` (after the epoch, in evaluation mode), `unseen_loss` if
    there are unseen heads, the floor of each, `seconds`, and `loading_seconds`, the part of them
    between the steps, mostly for fetching slices.

    Raises
    ------
    InputError
        If data and settings do not fit together, or `folder` holds another training's state.
    RuntimeError
        If the loss is no longer finite.
    InterruptedError
        If the process receives SIGTERM; the state of the last epoch stays.
    """
    grid, normalisation = plain_values("grid", grid), plain_values("normalisation", normalisation)
    tables = plain_values("tables", tables)
    dataset = SliceDataset(images, targets, axis, settings.empty)
    _check_data(images, targets, tables, tau, grid)
    others = SliceDataset(*unseen, axis, settings.empty) if unseen else None
    if others:
        _check_data(*unseen, tables, tau, grid)
        if both := sorted({*others.subjects} & {*dataset.subjects}):
            raise InputError(f"The unseen head {both[0]} is one of the training heads too.")
    training, validation = dataset.split(settings.validation, settings.seed, axis)
    inputs = next(iter(images.values())).shape[0]
    identity = plain_values("settings", dataclasses.asdict(settings)) | {
        "axis": axis,
        "tables": tables,
        "tau": tau,
        "normalisation": normalisation,
        "grid": grid,
        "subjects": dataset.subjects,
        "data": _digest(images, targets, *(unseen or ())),
    }
    del identity["epochs"]  # a finished training may be extended
    state = Path(folder) / STATE_FILE
    _check_state(state, identity, settings.epochs)

    sets = {"train": training, "validation": validation}
    floors = {name: entropy_floor(dataset, items) for name, items in sets.items()}
    if others:
        floors["unseen"] = entropy_floor(others, np.arange(len(others)))

    # forked: neither the weights nor the loaders touch the caller's random state
    with torch_threads(threads), torch.random.fork_rng(devices=[]), quiet_lightning():
        torch.manual_seed(int(generator(settings.seed, "weights", axis).integers(2**63)))
        names = ("depth", "encoder_kernels", "decoder_kernels", "map_kernels")
        network = CondNet(inputs, len(tables), **{name: getattr(settings, name) for name in names})
        module = AxisTraining(
            network,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            identity=identity,
            floors=floors,
            compiled=settings.compiled,
        )
        trainer = pl.Trainer(
            accelerator=settings.accelerator,
            devices=1,
            precision=_PRECISION[settings.precision],
            max_epochs=settings.epochs,
            plugins=[LightningEnvironment()],  # else Slurm's variables decide ranks and devices
            callbacks=[StateFile(state)],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        device, size = trainer.strategy.root_device, settings.batch_size
        shuffle = EpochShuffle(training, settings.seed, axis)
        evaluated = [DataLoader(Subset(dataset.to(device), validation), batch_size=size)]
        if others:
            evaluated.append(DataLoader(others.to(device), batch_size=size))
        try:
            loader = DataLoader(dataset, batch_size=size, sampler=shuffle)
            resumed = state if state.exists() else None
            trainer.fit(module, loader, evaluated, ckpt_path=resumed, weights_only=True)
        except SIGTERMException as stop:
            # Unhandled, it ends the program with status 0, as if the training were finished.
            raise InterruptedError(
                f"The training of the {axis} network was stopped (SIGTERM); {state} holds its "
                "last finished epoch, and the next call resumes from there."
            ) from stop

    held = np.unique(dataset.index[validation, 0])
    record = {
        "settings": dataclasses.asdict(settings),
        "subjects": dataset.subjects,
        "validation_subjects": [dataset.subjects[i] for i in held],
        "training_slices": len(training),
        "validation_slices": len(validation),
        "unseen_subjects": others.subjects if others else [],
        "history": module.history,
    }
    save_checkpoint(
        checkpoint, Checkpoint(network.cpu(), axis, tables, tau, normalisation, grid, record)
    )
    return pd.DataFrame(module.history)


def entropy_floor(dataset: SliceDataset, items: np.ndarray) -> float:
    """Mean entropy of the targets of slices `items`: the least cross-entropy they allow, nats.

    It is the mean of -t ln t - (1 - t) ln(1 - t) over voxels and outputs.
    """
    sums = []
    for item in items:
        target = dataset[item][1].double()
        sums.append((torch.special.entr(target) + torch.special.entr(1 - target)).mean().item())
    return math.fsum(sums) / len(sums)


def _check_data(
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    tables: Mapping[str, Mapping[str, float]],
    tau: float,
    grid: Mapping[str, Any],
) -> None:
    if not 0 <= tau < 1:
        raise InputError(f"tau must be in [0, 1), got {tau!r}.")
    for subject, image in images.items():
        if list(image.shape[1:]) != list(grid["shape"]):
            raise InputError(
                f"images of subject {subject} have the shape {image.shape[1:]}, but "
                f"the grid has {tuple(grid['shape'])}."
            )
        target = targets[subject]
        if len(target) != len(tables):
            raise InputError(
                f"targets of subject {subject} hold {len(target)} maps, but there are "
                f"{len(tables)} conductivity tables."
            )
        if target.max() > 1 - tau + 1e-6:
            raise InputError(
                f"targets of subject {subject} reach {target.max():.6g}, above "
                f"1 - tau = {1 - tau:g}: scale them with fusion.targets."
            )


def _check_state(state: Path, identity: dict[str, Any], epochs: int) -> None:
    """Refuse to resume from the state of another training; move a damaged one aside."""
    if not state.exists():
        return
    damage, content = archive_damage(state), None
    if damage is None:
        try:
            content = torch.load(state, map_location="cpu", weights_only=True)["headcond"]
        except UNREADABLE as error:
            damage = f"it is no state of a training: {error}"
    if content is None:
        aside = state.with_suffix(".damaged")
        os.replace(state, aside)
        logger.warning(
            "%s is damaged (%s): the training begins again; it is kept as %s", state, damage, aside
        )
        return
    remedy = f"{state} is the state of another training: use another folder."
    check_as_trained("training", identity, content["identity"], remedy)
    done = len(content["history"])
    if done > epochs:
        raise InputError(
            f"{state} has finished {done} epochs already, but epochs is {epochs}: "
            "use another folder."
        )
    logger.info("Resuming after epoch %d, from %s", done, state)


def _digest(*volumes: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for volume in volumes:
        for subject in sorted(volume):
            digest.update(np.ascontiguousarray(volume[subject], np.float32).data)
    return digest.hexdigest()
