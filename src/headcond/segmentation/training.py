"""Training of the segmentation network on synthetic images, resumable at any round.

The training follows from its schedule, its seed and its anatomies: every step draws its head and
its image by the step's own number, so a run that was interrupted goes on from its last round and
ends with the same weights, bit by bit on one machine with one thread.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader, IterableDataset

from headcond.checks import InputError, check_positive
from headcond.random import generator
from headcond.segmentation.anatomy import Anatomy
from headcond.segmentation.classes import NOT_JUDGED
from headcond.segmentation.loss import segmentation_loss, target_of_cells
from headcond.segmentation.network import SegmentationNetwork, to_cells
from headcond.segmentation.optimiser import MuonAdamW
from headcond.segmentation.synthesis import Example, draw
from headcond.segmentation.validation import dice_of_tissues

logger = logging.getLogger(__name__)

ROUND = 50
"""Steps between two states on disk."""
AVERAGING = 0.995
"""Share of the weights' running average that a step keeps (EMA)."""
CLIP = 5.0
"""Largest norm of a gradient."""
AUXILIARY = 0.3
"""Weight of the cross-entropy at 4 mm."""
WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""
STATE = "last.ckpt"


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long a training lasts and what its steps look at.

    Attributes
    ----------
    steps : number of steps; rounded up to whole rounds of `ROUND`.
    learning_rate : at its highest; it rises linearly and falls along a half cosine to 0.
    early, late : voxels of an example before and after `late_from`.
    late_from : share of the steps.
    """

    steps: int
    learning_rate: float = 1e-2
    early: tuple[int, int, int] = (96, 128, 128)
    late: tuple[int, int, int] = (128, 160, 160)
    late_from: float = 0.6

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        share = (step + 1) / self.steps
        if share < WARM_UP:
            return self.learning_rate * share / WARM_UP
        fall = min((share - WARM_UP) / (1 - WARM_UP), 1.0)
        return self.learning_rate * max(0.5 * (1 + math.cos(math.pi * fall)), 1e-4)

    def shape(self, step: int) -> tuple[int, int, int]:
        """Voxels of a step's example."""
        return self.early if step < self.late_from * self.steps else self.late


class Training(pl.LightningModule):
    """Loss, optimiser, running average and record of a training.

    Parameters
    ----------
    network : the network to train.
    anatomies, held_back : heads to train on, and heads to validate on.
    schedule : see `Schedule`.
    seed : of everything random.
    validate_every : rounds between two validations.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        anatomies: Sequence[Anatomy],
        held_back: Sequence[Anatomy],
        schedule: Schedule,
        seed: int,
        validate_every: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.history: list[dict[str, Any]] = []
        self._anatomies, self._held_back = anatomies, held_back
        self._schedule, self._seed, self._validate_every = schedule, seed, validate_every
        self._losses: list[list[float]] = []
        self._seconds = 0.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Muon and AdamW over the network, not over its average."""
        return MuonAdamW(self.network, self._schedule.learning_rate)

    def train_dataloader(self) -> DataLoader:
        """The examples of the next round."""
        first = self.current_epoch * ROUND
        steps = _Steps(self._anatomies, self._schedule, self._seed, first)
        return DataLoader(steps, batch_size=None)

    def on_train_epoch_start(self) -> None:
        """Start the round's clock."""
        self._losses, self._started = [], time.monotonic()

    def on_train_batch_start(self, batch: Example, number: int) -> None:
        """Set the learning rate of the step."""
        step = self.current_epoch * ROUND + number
        for group in self.optimizers().optimizer.param_groups:
            group["lr"] = self._schedule.rate(step)

    def training_step(self, batch: Example, number: int) -> torch.Tensor:
        """Loss of one example."""
        with torch.autocast("cpu", torch.bfloat16):
            logits, auxiliary = self.network.cells(to_cells(torch.as_tensor(batch.scans)[None]))
        entropy, dice = segmentation_loss(logits, target_of_cells(np.asarray(batch.target)))
        coarse = torch.as_tensor(batch.target)[None, ::4, ::4, ::4].long()
        if bool((coarse != 255).any()):
            extra = torch.nn.functional.cross_entropy(auxiliary.float(), coarse, ignore_index=255)
        else:
            extra = auxiliary.sum() * 0.0
        self._losses.append([float(entropy.detach()), float(dice.detach())])
        return entropy + dice + AUXILIARY * extra

    def on_train_batch_end(self, outputs: Any, batch: Example, number: int) -> None:
        """Move the average of the weights."""
        step = self.current_epoch * ROUND + number + 1
        keep = min(AVERAGING, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.network.parameters()), 1 - keep
            )

    def on_train_epoch_end(self) -> None:
        """Note the round's losses, and validate where it is time to."""
        self._seconds += time.monotonic() - self._started
        entropy, dice = np.mean(self._losses, axis=0)
        done = self.current_epoch + 1
        if not math.isfinite(entropy):
            raise RuntimeError(
                f"The loss is {entropy} after {done * ROUND} steps: lower the learning rate "
                f"({self._schedule.learning_rate:g})."
            )
        entry = {
            "step": done * ROUND, "seconds": self._seconds, "cross_entropy": float(entropy),
            "soft_dice": 1 - float(dice),
        }  # fmt: skip
        last = done * ROUND >= self._schedule.steps
        if self._held_back and (last or done % self._validate_every == 0):
            scores = dice_of_tissues(self.average, self._held_back, self._schedule.late, self._seed)
            entry["held_back"] = scores
            entry["held_back_dice"] = float(np.nanmean(list(scores.values())))
        self.history.append(entry)
        logger.info(
            "step %d of %d, %.0f s, cross-entropy %.4f, soft Dice %.3f, held-back Dice %s",
            entry["step"], self._schedule.steps, self._seconds, entropy, 1 - dice,
            f"{entry['held_back_dice']:.4f}" if "held_back_dice" in entry else "-",
        )  # fmt: skip

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the record into the state."""
        checkpoint["headcond"] = {
            "history": self.history, "seconds": self._seconds, "identity": self.identity
        }  # fmt: skip

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the record over from the state, of the same training only."""
        found = checkpoint["headcond"]
        if found["identity"] != self.identity:
            raise InputError(
                f"The state is of another training ({found['identity']}, not {self.identity}): "
                "name another folder for it, or remove it."
            )
        self.history, self._seconds = list(found["history"]), found["seconds"]

    @property
    def identity(self) -> dict[str, Any]:
        """What two trainings share if one may go on from the other's state."""
        return {
            "schedule": str(self._schedule), "seed": self._seed,
            "network": str(self.network.settings), "round": ROUND,
            "anatomies": ",".join(anatomy.name for anatomy in self._anatomies),
        }  # fmt: skip


class _Steps(IterableDataset):
    """The examples of the steps from number `first` on."""

    def __init__(
        self, anatomies: Sequence[Anatomy], schedule: Schedule, seed: int, first: int
    ) -> None:
        self._anatomies, self._schedule, self._seed = anatomies, schedule, seed
        self._first = first
        judged = np.array([(a.classes < NOT_JUDGED).mean() for a in anatomies])
        self._share = judged / judged.sum()  # a head is drawn as often as it can be judged

    def __iter__(self) -> Iterator[Example]:
        for step in range(self._first, self._first + ROUND):
            stream = generator(self._seed, "segmentation", "step", step)
            number = stream.choice(len(self._anatomies), p=self._share)
            yield draw(self._anatomies[number], stream, self._schedule.shape(step))


class _StateFile(pl.callbacks.Checkpoint):
    """Write the whole state after every round, under one name, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        temporary = self._folder / (STATE + ".part")
        trainer.save_checkpoint(temporary)
        os.replace(temporary, self._folder / STATE)


def train(
    anatomies: Sequence[Anatomy],
    schedule: Schedule,
    state: str | Path,
    *,
    seed: int,
    held_back: Sequence[Anatomy] = (),
    validate_every: int = 6,
    network: SegmentationNetwork | None = None,
    rounds: int | None = None,
) -> tuple[SegmentationNetwork, list[dict[str, Any]]]:
    """Train a network, or go on with a training that was interrupted.

    Parameters
    ----------
    anatomies : heads to train on.
    schedule : steps, learning rate, sizes of examples.
    state : folder of the training's state; what it holds is gone on with.
    seed : of everything random.
    held_back : heads that are validated on and never trained on.
    validate_every : rounds of `ROUND` steps between two validations.
    network : where to start from, left as it is; without one, fresh weights from the seed.
    rounds : stop after so many rounds in all, before the schedule ends.

    Returns
    -------
    network : the running average of the weights.
    history : losses and scores, one entry per round.

    Raises
    ------
    InputError
        If there is nothing to train on, a held-back head is trained on, or the state is of
        another training.
    """
    check_positive("steps", schedule.steps)
    if not anatomies:
        raise InputError("There are no anatomies to train on.")
    both = sorted({a.name for a in anatomies} & {a.name for a in held_back})
    if both:
        raise InputError(f"{', '.join(both)}: held-back heads must not be trained on.")
    folder = Path(state)
    folder.mkdir(parents=True, exist_ok=True)
    if network is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(seed, "segmentation", "weights").integers(2**31)))
            network = SegmentationNetwork()
    network = copy.deepcopy(network).requires_grad_(True).train()
    module = Training(network, anatomies, held_back, schedule, seed, validate_every)
    total = math.ceil(schedule.steps / ROUND)
    last = folder / STATE
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=total if rounds is None else min(rounds, total),
            reload_dataloaders_every_n_epochs=1,
            gradient_clip_val=CLIP,
            callbacks=[_StateFile(folder)],
            logger=False,
            enable_checkpointing=True,
            enable_progress_bar=False,
            enable_model_summary=False,
            plugins=[LightningEnvironment()],
        )
        trainer.fit(module, ckpt_path=last if last.exists() else None, weights_only=True)
    return module.average.eval(), module.history


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Leave out Lightning's remarks on devices and its own use of torch."""
    remarks = logging.getLogger("pytorch_lightning")
    level = remarks.level
    remarks.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # the examples are drawn in memory: worker processes would only copy them
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*LeafSpec")
            yield
    finally:
        remarks.setLevel(level)
