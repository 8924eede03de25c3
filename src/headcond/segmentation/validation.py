"""Scores of a network on synthetic images of heads that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from headcond.random import generator
from headcond.segmentation.anatomy import Anatomy
from headcond.segmentation.network import SegmentationNetwork
from headcond.segmentation.scores import dice_scores
from headcond.segmentation.synthesis import draw
from headcond.tissues import TISSUES


@torch.no_grad()
def dice_of_tissues(
    network: SegmentationNetwork,
    anatomies: Sequence[Anatomy],
    shape: tuple[int, int, int],
    seed: int,
) -> dict[str, float]:
    """Dice score of every tissue on one synthetic image of each head, the same ones every time.

    Parameters
    ----------
    network : the network.
    anatomies : heads.
    shape : voxels of an image.
    seed : the images follow from it and from the heads' names.

    Returns
    -------
    Tissue -> mean over the heads that show enough voxels of it (`dice_scores`); NaN if none does.
    """
    scores: dict[str, list[float]] = {name: [] for name in TISSUES}
    for anatomy in anatomies:
        example = draw(anatomy, generator(seed, "segmentation", "validation", anatomy.name), shape)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(torch.from_numpy(example.scans)[None])[0]
        labels = logits.argmax(0).to(torch.uint8).numpy()
        for name, score in dice_scores(labels, example.target).items():
            scores[name].append(score)
    return {
        name: float(np.mean(values)) if values else float("nan") for name, values in scores.items()
    }
