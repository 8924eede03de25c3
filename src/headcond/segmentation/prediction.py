"""Probabilities of a whole head from windows of the size that the network was trained on.

The network's norms take their statistics from what they see, so a window of the training's size
is judged better than a whole head at once. Windows overlap by half and fade out at their faces.
"""

from __future__ import annotations

import numpy as np
import torch

from headcond.checks import InputError, check_shape
from headcond.segmentation.network import CHANNELS, SegmentationNetwork
from headcond.segmentation.scale import normalise

WINDOW = (128, 160, 160)
"""Voxels of a window, that of the training's last steps."""
_EMPTY = 0.003  # share of positive voxels below which a window is air


@torch.no_grad()
def predict(
    network: SegmentationNetwork,
    t1: np.ndarray | None,
    t2: np.ndarray | None,
    *,
    flip: bool = False,
    window: tuple[int, int, int] = WINDOW,
) -> np.ndarray:
    """Probabilities of air and the thirteen tissues.

    Parameters
    ----------
    network : trained network.
    t1, t2 : (nx, ny, nz) scans on one grid of 1 mm in RAS order, any unit; one may be None.
    flip : average with the prediction of the mirrored head; twice the time.
    window : voxels of a window, multiples of `network.multiple`.

    Returns
    -------
    (14, nx, ny, nz) float16, sum 1; index 0 is air, the others are the ids of headcond13.

    Raises
    ------
    InputError
        If there is no scan, their shapes differ, or a window does not fit the network.
    """
    given = [scan for scan in (t1, t2) if scan is not None]
    if not given:
        raise InputError("Neither a T1- nor a T2-weighted scan was given.")
    shape = check_shape("scan", given[0], (None, None, None)).shape
    if any(side % network.multiple for side in window):
        raise InputError(f"window must have sides in multiples of {network.multiple}: {window}.")
    scans = np.zeros((len(CHANNELS), *shape), np.float32)
    for channel, scan in zip(scans, (t1, t2), strict=True):
        if scan is not None:
            channel[:] = normalise(check_shape("scan", scan, shape))
    volume = torch.from_numpy(scans)
    total = _windows(network, volume, window)
    if flip:
        total += _windows(network, volume.flip(1), window).flip(1)
        total /= 2
    return total.numpy().astype(np.float16)


def _windows(
    network: SegmentationNetwork, volume: torch.Tensor, window: tuple[int, ...]
) -> torch.Tensor:
    """Weighted mean of the windows' probabilities, (classes, nx, ny, nz) float32."""
    shape = volume.shape[1:]
    short = [max(side - have, 0) for side, have in zip(window, shape, strict=True)]
    padded = torch.nn.functional.pad(volume, (0, short[2], 0, short[1], 0, short[0]))
    starts = [_starts(have, side) for have, side in zip(padded.shape[1:], window, strict=True)]
    weight = _fade(window)
    classes = network.settings["classes"]
    total = torch.zeros(classes, *padded.shape[1:])
    norm = torch.zeros(padded.shape[1:])
    for corner in np.ndindex(*map(len, starts)):
        box = tuple(
            slice(axis[i], axis[i] + side)
            for axis, i, side in zip(starts, corner, window, strict=True)
        )
        part = padded[(slice(None), *box)]
        norm[box] += weight
        if float((part > 0).any(0).float().mean()) < _EMPTY:
            total[(0, *box)] += weight
            continue
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(part.contiguous()[None])[0]
        total[(slice(None), *box)] += logits.float().softmax(0).mul_(weight)
    total /= norm
    return total[:, : shape[0], : shape[1], : shape[2]].contiguous()


def _starts(length: int, side: int) -> list[int]:
    """First voxels of windows that cover an axis, even and overlapping by half or more."""
    count = 1 if length == side else int(np.ceil((length - side) / (side / 2))) + 1
    return [int(start) for start in np.linspace(0, length - side, count)]


def _fade(window: tuple[int, ...]) -> torch.Tensor:
    """Weight of a window's voxels: a Hann window along each axis, above 0 everywhere."""
    axes = [torch.hann_window(side + 2, periodic=False)[1:-1] + 0.02 for side in window]
    return axes[0][:, None, None] * axes[1][:, None] * axes[2]
