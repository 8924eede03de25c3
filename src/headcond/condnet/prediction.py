"""The normalised conductivity that trained networks predict."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headcond.checks import InputError
from headcond.condnet.checkpoint import Checkpoint, check_as_trained, load_checkpoint, torch_threads
from headcond.condnet.slices import check_normalised, slices_to_volume, volume_to_slices


def predict_axis(
    checkpoint: str | Path | Checkpoint,
    images: np.ndarray,
    *,
    grid: Mapping[str, Any],
    normalisation: Mapping[str, Any],
    batch_size: int = 8,
    threads: int = 1,
    device: str = "cpu",
) -> np.ndarray:
    """Predict the normalised conductivity of a head, slice by slice along one axis (eq. 1).

    Parameters
    ----------
    checkpoint : file of a trained axis, or what `load_checkpoint` returned.
    images : (U, nx, ny, nz) normalised images in [0, 1], in the order of the training.
    grid : the images' grid (`slices.describe_grid`).
    normalisation : how they were normalised, in the words of the training.
    batch_size : slices at a time; it sets the memory, the result only to rounding.
    threads : threads of the linear algebra.
    device : torch's name of the device that computes, "cpu" or "cuda"; the result is the same to
        rounding.

    Returns
    -------
    (V, nx, ny, nz) float32 normalised conductivity L in [0, 1]; `fusion.rescale` turns the
    mean over the axes into S/m.

    Raises
    ------
    InputError
        If the images, their grid or their normalisation are not those of the training, or
        there is no such device.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    remedy = "Prepare the images as for training, or train with images prepared like these."
    check_as_trained("images' grid", grid, checkpoint.grid, remedy)
    check_as_trained("images' normalisation", normalisation, checkpoint.normalisation, remedy)
    images = check_normalised("images", images)
    network = checkpoint.network
    expected = (network.inputs, *checkpoint.grid["shape"])
    if images.shape != expected:
        raise InputError(f"images must have shape {expected}, as in training; got {images.shape}.")
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size!r}.")

    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise InputError("device is cuda, but torch finds no CUDA device: use cpu.")
    stack = torch.from_numpy(volume_to_slices(images, checkpoint.axis))
    if torch.device(device).type != "cpu":
        network = copy.deepcopy(network).to(device)
    network.eval()
    parts = []
    with torch_threads(threads), torch.inference_mode():
        for part in stack.split(batch_size):
            part = part.to(device).contiguous(memory_format=torch.channels_last)
            parts.append(network(part).cpu().contiguous())
    return np.ascontiguousarray(slices_to_volume(torch.cat(parts).numpy(), checkpoint.axis))
