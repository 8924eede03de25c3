"""Trained networks on disk, with everything that a prediction must share with its training."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headcond.checks import InputError, check_positive
from headcond.condnet.network import CondNet
from headcond.files.results import atomic, check_whole, versions

FORMAT = "headcond CondNet 1"
UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)
"""Raised by torch for a file that is damaged or holds more than tensors and plain values."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained network of one axis with everything that prediction must share with it.

    Parameters
    ----------
    network : trained network.
    axis : slicing direction, "sagittal", "coronal" or "axial".
    tables : conductivity tables in the order of the network's outputs, name -> tissue -> S/m.
    tau : scaling margin of the targets.
    normalisation : how the images were normalised and which they are, in their order.
    grid : shape, voxel size and orientation of the conformed grid (`slices.describe_grid`).
    training : settings, subjects, and losses of every epoch.
    versions : versions of the packages that trained it.
    """

    network: CondNet
    axis: str
    tables: dict[str, dict[str, float]]
    tau: float
    normalisation: dict[str, Any]
    grid: dict[str, Any]
    training: dict[str, Any]
    versions: dict[str, str] = dataclasses.field(default_factory=versions)

    @property
    def maxima(self) -> np.ndarray:
        """Largest conductivity of each table, (V,) S/m."""
        return np.array([max(table.values()) for table in self.tables.values()])

    @property
    def minima(self) -> np.ndarray:
        """Smallest conductivity of each table, (V,) S/m."""
        return np.array([min(table.values()) for table in self.tables.values()])


# Fields of a checkpoint that are plain values.
_PLAIN = [field.name for field in dataclasses.fields(Checkpoint) if field.name != "network"]


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` atomically, as tensors and plain values only.

    Raises
    ------
    InputError
        If a field holds anything else, so that the file could not be read safely.
    """
    content = {name: plain_values(name, getattr(checkpoint, name)) for name in _PLAIN}
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in checkpoint.network.state_dict().items()
    }
    content |= {"format": FORMAT, "network": checkpoint.network.settings, "state_dict": state}
    with atomic(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a trained network; only tensors and plain values are unpickled.

    Raises
    ------
    InputError
        If the file is missing, damaged, or no checkpoint of headcond.
    """
    check_whole(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read as a network's checkpoint ({error}). Remove it, and the next "
            "run trains it again."
        ) from error
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT:
        raise InputError(
            f"{path}: expected a checkpoint of format {FORMAT!r}, found {version!r}: "
            "train the axis again with this version."
        )
    try:
        with torch.device("meta"):  # no weights to draw: the caller's random state is untouched
            network = CondNet(**content["network"])
        network.load_state_dict(content["state_dict"], assign=True)
        fields = {name: content[name] for name in _PLAIN}
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: its network cannot be built ({error}). Remove it, and the next run trains "
            "it again."
        ) from error
    network.eval()
    return Checkpoint(network=network, **fields)


def check_as_trained(
    name: str, have: Mapping[str, Any], want: Mapping[str, Any], remedy: str
) -> None:
    """Raise `InputError` naming every entry of `have` that differs from that of the training.

    Numbers may differ by rounding (1e-6 relative); `remedy` ends the message.
    """
    have, want = plain_values(name, have), plain_values(name, want)
    wrong = [
        f"{key} is {have.get(key, 'absent')!r}, in training it was {want.get(key, 'absent')!r}"
        for key in sorted({*have, *want})
        if key not in have or key not in want or not _equal(have[key], want[key])
    ]
    if wrong:
        raise InputError(f"The {name} does not match: {'; '.join(wrong)}. {remedy}")


def check_unseen(checkpoint: Checkpoint, subjects: Iterable[str]) -> None:
    """Raise `InputError` if one of `subjects` trained or validated the network.

    Networks are tested on unseen heads; those of another study may have seen some of them.
    """
    seen = {*checkpoint.training["subjects"], *checkpoint.training["validation_subjects"]}
    if both := sorted(seen.intersection(subjects)):
        raise InputError(
            f"The {checkpoint.axis} network was trained with {', '.join(both)}, which cohort.test "
            "names: networks are tested on heads that they have never seen. Name other heads "
            "there, or other networks in condnet.networks."
        )


def plain_values(name: str, value: Any) -> Any:
    """Return `value` with numpy numbers, arrays and tuples as plain values, else `InputError`."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain_values(f"{name}: {key}", entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(name, entry) for entry in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(f"{name} holds a {type(value).__name__}, which a checkpoint cannot keep.")


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(check_positive("threads", count)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _equal(have: Any, want: Any) -> bool:
    if isinstance(have, list) and isinstance(want, list):
        return len(have) == len(want) and all(map(_equal, have, want))
    if isinstance(have, Mapping) and isinstance(want, Mapping):
        return have.keys() == want.keys() and all(_equal(have[k], want[k]) for k in have)
    numbers = (int, float)
    if isinstance(have, numbers) and isinstance(want, numbers):
        return math.isclose(have, want, rel_tol=1e-6)
    return have == want
