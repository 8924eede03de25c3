"""Confidence that means what it says, by one number.

A network trained on images harder than most scans is unsure where it need not be, or the other way
round. Dividing all logits by one temperature, fitted where the truth is known and nothing was
trained, brings confidence and accuracy together and leaves every label as it is (Guo et al. 2017).
The temperature goes into the last layer, so a calibrated network is a network like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from headcond.checks import InputError
from headcond.random import generator
from headcond.segmentation.anatomy import Anatomy
from headcond.segmentation.classes import UNKNOWN
from headcond.segmentation.network import SegmentationNetwork
from headcond.segmentation.synthesis import draw

_RANGE = (0.3, 3.0)
_EVERY = 29  # one voxel in so many is looked at; a prime, so that no grid is favoured


@torch.no_grad()
def calibrate(
    network: SegmentationNetwork,
    anatomies: Sequence[Anatomy],
    shape: tuple[int, int, int],
    seed: int,
) -> tuple[SegmentationNetwork, float]:
    """Calibrate a network on synthetic images of heads that it was not trained on.

    Parameters
    ----------
    network : trained network; it is left as it is.
    anatomies : held-back heads.
    shape : voxels of an image.
    seed : the images follow from it and from the heads' names.

    Returns
    -------
    network : the same one with its last layer divided by the temperature.
    temperature : least mean cross-entropy over the voxels of the heads, air left out.

    Raises
    ------
    InputError
        If no voxel of a head is judged.
    """
    parts: list[tuple[torch.Tensor, torch.Tensor]] = []
    for anatomy in anatomies:
        stream = generator(seed, "segmentation", "calibration", anatomy.name)
        example = draw(anatomy, stream, shape)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(torch.from_numpy(example.scans)[None])[0]
        target = example.target.reshape(-1)[::_EVERY]
        head = np.flatnonzero((target != 0) & (target != UNKNOWN))
        if head.size:
            rows = logits.reshape(len(logits), -1)[:, ::_EVERY][:, head].T.float()
            parts.append((rows, torch.from_numpy(target[head].astype(np.int64))))
    if not parts:
        raise InputError("The anatomies hold no judged voxel of a head to calibrate on.")
    logits, target = (torch.cat(column) for column in zip(*parts, strict=True))

    def entropy(logarithm: float) -> float:
        scaled = logits / float(np.exp(logarithm))
        return float(torch.nn.functional.cross_entropy(scaled, target))

    best = minimize_scalar(
        entropy, bounds=np.log(_RANGE), method="bounded", options={"xatol": 1e-3}
    )
    temperature = float(np.exp(best.x))
    calibrated = copy.deepcopy(network)
    calibrated.out.weight /= temperature
    calibrated.out.bias /= temperature
    return calibrated, temperature
