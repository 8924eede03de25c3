"""Checkpoints of a pair's training on disk.

A folder holds, per snapshot, `basis-NNN.npy` and `residual-NNN.npy` (columns of the two
orthonormal bases), and `state.npz`, written last, with the small arrays and the checksums of
all columns.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from headcond.checks import InputError
from headcond.files.results import atomic
from headcond.files.untrusted import archive_damage, file_checksum
from headcond.rom.pair_training import PairTraining

_COLUMNS = ("basis", "residual")
logger = logging.getLogger(__name__)


def save_checkpoint(pair: PairTraining, folder: Path | None) -> None:
    """Write the newest snapshot's columns, then the state; no folder, no checkpoint. Collective."""
    if folder is None:
        return
    space = pair.problem.space
    columns = [space.whole(part) for part in pair.newest_columns()]
    if space.communicator.Get_rank() != 0:
        return
    checksums = []
    for name, values in zip(_COLUMNS, columns, strict=True):
        with atomic(folder / f"{name}-{pair.count - 1:03d}.npy") as temporary:
            np.save(temporary, values)
            checksums.append(file_checksum(temporary))
    pair.checksums.append(checksums)
    with atomic(folder / "state.npz") as temporary:
        np.savez(temporary, digest=pair.problem.digest, **pair.state())


def load_checkpoint(pair: PairTraining, folder: Path | None, count: int) -> None:
    """Restore the first `count` snapshots of a checkpoint (see `saved_snapshots`)."""
    if count == 0:
        return
    local = pair.problem.space.local
    basis, residual = (
        [local(np.load(folder / f"{name}-{n:03d}.npy", mmap_mode="r")) for n in range(count)]
        for name in _COLUMNS
    )
    with np.load(folder / "state.npz") as state:
        pair.restore(state, basis, residual)


def saved_snapshots(folder: Path | None, digest: str) -> int:
    """Number of undamaged snapshots in a checkpoint folder; 0 without one.

    Snapshots from a damaged file on are computed again; a warning says so.

    Raises
    ------
    InputError
        If they belong to another operator, box or training.
    """
    if folder is None or not (path := folder / "state.npz").exists():
        return 0
    damage = archive_damage(path)
    if damage is None:
        with np.load(path) as state:
            missing = {"digest", "chosen", "checksums"} - set(state.files)
            if not missing:
                saved, chosen, checksums = (state[k] for k in ("digest", "chosen", "checksums"))
        damage = f"it has no {min(missing)}" if missing else None
    if damage is not None:
        logger.warning("%s is damaged (%s): the pair is trained from its beginning", path, damage)
        return 0
    if str(saved) != digest:
        raise InputError(
            f"{folder}: holds the state of another training (operator, box or settings differ); "
            "remove it or name another folder."
        )
    for number, written in enumerate(checksums):
        for name, checksum in zip(_COLUMNS, written, strict=True):
            column = folder / f"{name}-{number:03d}.npy"
            if file_checksum(column) != checksum:
                logger.warning(
                    "%s is damaged: the pair is trained again from snapshot %d", column, number + 1
                )
                return number
    return len(chosen)
