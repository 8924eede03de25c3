"""A pair's checkpoint and its kept basis on disk: what of them is sound."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from headcond.checks import InputError
from headcond.files.untrusted import archive_damage, file_checksum

COLUMNS = ("basis", "residual")
_logger = logging.getLogger(__name__)


def saved_snapshots(folder: Path, digest: str) -> int:
    """Number of snapshots that a checkpoint folder holds, sound to the last byte; 0 if none.

    A damaged file costs what was computed after it, which the training computes again; a
    warning says so.

    Raises
    ------
    InputError
        If they belong to another operator, box or training.
    """
    path = folder / "state.npz"
    if not path.exists():
        return 0
    damage = archive_damage(path)
    if damage is None:
        with np.load(path) as state:
            missing = {"digest", "chosen", "checksums"} - set(state.files)
            if not missing:
                found, chosen, checksums = (state[k] for k in ("digest", "chosen", "checksums"))
        damage = f"it has no {min(missing)}" if missing else None
    if damage is not None:
        _logger.warning("%s is damaged (%s): the pair is trained from its beginning", path, damage)
        return 0
    if str(found) != digest:
        raise InputError(
            f"{folder}: holds the state of another training (operator, box or settings differ); "
            "remove it or name another folder."
        )
    for number, written in enumerate(checksums):
        for name, checksum in zip(COLUMNS, written, strict=True):
            column = folder / f"{name}-{number:03d}.npy"
            if file_checksum(column) != checksum:
                _logger.warning(
                    "%s is damaged: the pair is trained again from snapshot %d", column, number + 1
                )
                return number
    return len(chosen)


def basis_columns(folder: str | Path) -> list[np.ndarray]:
    """The vectors (size,) of a kept basis, mapped from their files, in the order of snapshots.

    Raises
    ------
    InputError
        If there are none, one is absent, or one is cut short.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("basis-*.npy"))
    if not paths:
        raise InputError(f"{folder}: holds no basis; train with keep_bases.")
    mend = f"Remove {folder} and, where it is, {folder}.h5; the next run trains the pair again."
    columns = []
    for number, path in enumerate(paths):
        if path.name != f"basis-{number:03d}.npy":
            raise InputError(f"{folder}: basis-{number:03d}.npy is absent. {mend}")
        try:
            columns.append(np.load(path, mmap_mode="r"))
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{path}: cannot be read as a basis vector ({error}). {mend}"
            ) from error
    return columns
