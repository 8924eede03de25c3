"""The Lightning module of a training: loss, optimiser, history, and the state on disk."""

from __future__ import annotations

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from headcond.condnet.network import CondNet
from headcond.files.results import atomic

logger = logging.getLogger(__name__)


class AxisTraining(pl.LightningModule):
    """Loss, optimiser and history of one axis' training.

    Parameters
    ----------
    network : the network to train.
    epochs : passes over the training slices, for the estimate of the remaining time.
    learning_rate : step size of ADAM.
    identity : what a state must share with the training that goes on from it.
    floors : least possible loss of every set of slices: "train", then one per validation
        loader, in their order.
    compiled : let torch compile the network before it trains.
    """

    def __init__(
        self,
        network: CondNet,
        *,
        epochs: int,
        learning_rate: float,
        identity: Mapping[str, Any],
        floors: Mapping[str, float],
        compiled: bool = False,
    ) -> None:
        super().__init__()
        # channels last: a third less time per step on a CPU
        self.network = network.to(memory_format=torch.channels_last)
        self._logits = torch.compile(network.logits) if compiled else network.logits
        self.history: list[dict[str, float]] = []
        self._epochs, self._learning_rate = epochs, learning_rate
        self._identity, self._floors = identity, floors
        self._evaluated = [stage for stage in floors if stage != "train"]
        self._sums: dict[str, list] = {}
        self._first_epoch = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """ADAM over all weights."""
        return torch.optim.Adam(self.network.parameters(), lr=self._learning_rate, fused=True)

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        """Loss of a batch of training slices."""
        return self._loss("train", batch)

    def validation_step(
        self, batch: list[torch.Tensor], number: int, dataloader_idx: int = 0
    ) -> None:
        """Record the loss of a batch of slices that are not trained on."""
        self._loss(self._evaluated[dataloader_idx], batch)

    def _loss(self, stage: str, batch: list[torch.Tensor]) -> torch.Tensor:
        images, targets = batch
        logits = self._logits(images.contiguous(memory_format=torch.channels_last))
        loss = binary_cross_entropy_with_logits(logits.float(), targets)
        self._sums[stage].append((loss.detach(), len(images)))
        return loss

    def on_train_start(self) -> None:
        """Record when this run began, and after which epoch."""
        self._first_epoch = self.current_epoch
        self._started = time.monotonic()

    def on_train_epoch_start(self) -> None:
        """Empty the sums of the epoch."""
        self._sums = {stage: [] for stage in self._floors}
        self._loading = 0.0
        self._epoch_started = self._step_ended = time.monotonic()

    def on_train_batch_start(self, batch: list[torch.Tensor], number: int) -> None:
        """Add the time since the last step: it went into fetching this batch."""
        self._loading += time.monotonic() - self._step_ended

    def on_train_batch_end(self, outputs: Any, batch: list[torch.Tensor], number: int) -> None:
        """Record when the step ended."""
        self._step_ended = time.monotonic()

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history; a loss that is not finite is an error."""
        losses = {}
        for stage, parts in self._sums.items():
            slices = sum(count for _, count in parts)
            losses[stage] = math.fsum(float(loss) * count for loss, count in parts) / slices
            if not math.isfinite(losses[stage]):
                raise RuntimeError(
                    f"The {self._identity['axis']} network's {stage} loss is {losses[stage]} in "
                    f"epoch {self.current_epoch + 1}: lower the learning_rate "
                    f"({self._learning_rate:g})."
                )
        now, done = time.monotonic(), self.current_epoch + 1
        self.history.append(
            {"epoch": done}
            | {f"{stage}_loss": loss for stage, loss in losses.items()}
            | {f"{stage}_floor": floor for stage, floor in self._floors.items()}
            | {"seconds": now - self._epoch_started, "loading_seconds": self._loading}
        )
        left = (now - self._started) / (done - self._first_epoch) * (self._epochs - done)
        text = ", ".join(
            f"{stage} {loss:.5f} (floor {self._floors[stage]:.5f})"
            for stage, loss in losses.items()
        )
        facts = self._identity["axis"], done, self._epochs, text, timedelta(seconds=round(left))
        logger.info("%s network: epoch %d of %d, loss %s, about %s left", *facts)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add identity and history to the state."""
        checkpoint["headcond"] = {"identity": dict(self._identity), "history": self.history}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history from the state."""
        self.history = list(checkpoint["headcond"]["history"])


class StateFile(pl.callbacks.Checkpoint):
    """Write the whole state of the training after each epoch, atomically, under one name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the state."""
        with atomic(self._path) as temporary:
            trainer.save_checkpoint(temporary)


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's messages on devices, worker processes and its own use of torch."""
    remarks = logging.getLogger("pytorch_lightning")
    level = remarks.level
    remarks.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # the slices are in memory: worker processes would only copy them
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*LeafSpec")
            yield
    finally:
        remarks.setLevel(level)
