"""Volumes as slices along one axis, and the split of slices into training and validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import nibabel
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.utils.data import Dataset, Sampler

from headcond.checks import InputError, check_affine, check_option, voxel_sizes
from headcond.random import generator

AXES = ("sagittal", "coronal", "axial")
"""Slicing directions: array axes 0, 1 and 2 of a volume whose axes run to R, A and S."""


def volume_to_slices(volume: np.ndarray, axis: str) -> np.ndarray:
    """Return the slices (K, C, H, W) of a volume (C, nx, ny, nz) along `axis`, as a view.

    K is the volume's length along `axis`; H and W are its other two axes, in their order.
    """
    return np.moveaxis(_four_axes("volume", volume), 1 + axis_index(axis), 0)


def slices_to_volume(slices: np.ndarray, axis: str) -> np.ndarray:
    """Return the volume (C, nx, ny, nz) whose slices (K, C, H, W) along `axis` are given."""
    return np.moveaxis(_four_axes("slices", slices), 0, 1 + axis_index(axis))


def axis_index(axis: str) -> int:
    """Array axis (0, 1 or 2) of the slicing direction `axis`; `InputError` for another name."""
    return AXES.index(check_option("axis", axis, AXES))


def describe_grid(shape: Sequence[int], affine: ArrayLike) -> dict[str, object]:
    """Shape, voxel sizes and orientation of a grid, which prediction must share with training.

    Parameters
    ----------
    shape : (3,) voxels of the conformed grid.
    affine : (4, 4) voxel to world, RAS+ mm.

    Returns
    -------
    dict with `shape` (list of 3), `voxel_size` (list of 3, mm, to 1e-4) and `orientation`
    ("RAS"), all plain values.

    Raises
    ------
    InputError
        If the voxel axes do not run right, anterior and superior, so that slices called axial
        would not be axial.
    """
    affine = check_affine("affine", affine)
    if len(shape) != 3:
        raise InputError(f"The grid must have 3 axes, got shape {tuple(shape)}.")
    orientation = "".join(nibabel.aff2axcodes(affine))
    if orientation != "RAS":
        raise InputError(
            f"The grid's voxel axes run {orientation}, not RAS: conform the image first, so that "
            "axes 0, 1 and 2 are sagittal, coronal and axial slices."
        )
    return {
        "shape": [int(length) for length in shape],
        "voxel_size": [round(float(size), 4) for size in voxel_sizes(affine)],
        "orientation": orientation,
    }


class SliceDataset(Dataset):
    """Slices of several subjects' volumes, which are held in memory.

    Parameters
    ----------
    images : per subject (U, nx, ny, nz) float32 in [0, 1].
    targets : per subject (V, nx, ny, nz) float32 in [0, 1].
    axis : slicing direction, one of `AXES`.
    empty : "drop" leaves out slices whose target is 0 everywhere (no head in them), "keep"
        takes every slice, as the paper does.

    Raises
    ------
    InputError
        If subjects, shapes or values do not fit together; the message names the subject.
    """

    def __init__(
        self,
        images: Mapping[str, np.ndarray],
        targets: Mapping[str, np.ndarray],
        axis: str,
        empty: str = "drop",
    ) -> None:
        check_option("empty", empty, ("drop", "keep"))
        if not images or set(images) != set(targets):
            raise InputError(
                "images and targets must be of the same subjects, at least one; got "
                f"{sorted(images)} and {sorted(targets)}."
            )
        self.subjects = sorted(images)
        self._images, self._targets = [], []
        index: list[tuple[int, int]] = []
        for number, subject in enumerate(self.subjects):
            image = check_normalised(f"images of subject {subject}", images[subject])
            target = check_normalised(f"targets of subject {subject}", targets[subject])
            first = index and (self._images[0].shape, self._targets[0].shape)
            if image.shape[1:] != target.shape[1:]:
                raise InputError(
                    f"Subject {subject}: images {image.shape} and targets "
                    f"{target.shape} are on different grids."
                )
            image = volume_to_slices(image, axis)
            target = volume_to_slices(target, axis)
            if first and first != (image.shape, target.shape):
                raise InputError(
                    f"Subject {subject}: its volumes' shapes differ from those of "
                    f"subject {self.subjects[0]}."
                )
            used = target.any(axis=(1, 2, 3)) if empty == "drop" else np.ones(len(target), bool)
            if not used.any():
                raise InputError(f"Subject {subject}: every target slice is empty.")
            self._images.append(torch.from_numpy(image))
            self._targets.append(torch.from_numpy(target))
            index += [(number, int(k)) for k in np.flatnonzero(used)]
        self.index = np.array(index)
        """(N, 2) subject number and position along the axis of every slice."""

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.index)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Slice number `item`: images (U, H, W) and targets (V, H, W)."""
        subject, k = self.index[item]
        return self._images[subject][k], self._targets[subject][k]

    def to(self, device: torch.device) -> SliceDataset:
        """Move all volumes to `device`; returns the data set."""
        self._images = [image.to(device) for image in self._images]
        self._targets = [target.to(device) for target in self._targets]
        return self

    def split(self, validation: str, seed: int, axis: str) -> tuple[np.ndarray, np.ndarray]:
        """Split the slices into training and validation.

        Parameters
        ----------
        validation : "subject" holds out all slices of one subject, drawn by `seed` and the
            same for every axis; "slice" shuffles all slices and holds out a tenth, as the
            paper does, so that training and validation share heads.
        seed : the study's seed.
        axis : slicing direction, which names the shuffle of "slice".

        Returns
        -------
        training, validation : numbers of slices, ascending.

        Raises
        ------
        InputError
            If there is only one subject to hold out, or fewer than two slices to split.
        """
        check_option("validation", validation, ("subject", "slice"))
        held = np.zeros(len(self), dtype=bool)
        if validation == "subject":
            if len(self.subjects) < 2:
                raise InputError(
                    "validation: subject needs at least two training subjects, got only "
                    f"{self.subjects[0]}: add one, or use validation: slice."
                )
            subject = generator(seed, "validation").integers(len(self.subjects))
            held[self.index[:, 0] == subject] = True
        else:
            if len(self) < 2:
                raise InputError("validation: slice needs at least two slices.")
            order = generator(seed, "validation", axis).permutation(len(self))
            held[order[: max(1, round(len(self) / 10))]] = True
        return np.flatnonzero(~held), np.flatnonzero(held)


class EpochShuffle(Sampler):
    """A new order of the items for each epoch, drawn by (seed, axis, epoch) alone.

    A resumed run therefore sees the slices in the order of an uninterrupted one. The trainer
    calls `set_epoch` before each epoch.
    """

    def __init__(self, items: np.ndarray, seed: int, axis: str) -> None:
        self._items, self._seed, self._axis, self._epoch = items, seed, axis, 0

    def set_epoch(self, epoch: int) -> None:
        """Use the order of `epoch`, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Number of items."""
        return len(self._items)

    def __iter__(self) -> Iterator[int]:
        """Yield every item once, in this epoch's order."""
        rng = generator(self._seed, "shuffle", self._axis, self._epoch)
        yield from rng.permutation(self._items).tolist()


def check_normalised(name: str, volume: ArrayLike) -> np.ndarray:
    """Return a volume (C, nx, ny, nz) as float32 if its values are in [0, 1], else raise.

    It is copied only where it is not float32, C-ordered and writable already.

    Raises
    ------
    InputError
        If it has another number of axes, or values outside [0, 1] or not finite.
    """
    volume = np.require(_four_axes(name, volume), dtype=np.float32, requirements="CW")
    lowest, highest = float(volume.min()), float(volume.max())
    if not (lowest >= 0 and highest <= 1):  # a NaN fails both
        raise InputError(f"{name} must be in [0, 1], got {lowest:.6g} to {highest:.6g}.")
    return volume


def _four_axes(name: str, volume: ArrayLike) -> np.ndarray:
    volume = np.asarray(volume)
    if volume.ndim != 4 or volume.size == 0:
        raise InputError(f"{name} must have 4 axes, none of them empty, got shape {volume.shape}.")
    return volume
