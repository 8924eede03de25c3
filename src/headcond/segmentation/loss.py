"""Cross-entropy and soft Dice of millions of voxels, in two passes over the logits.

torch keeps a float32 copy of all probabilities for each step of this loss; at 1 mm that costs
more than the network. Here every voxel's probabilities are computed in registers, once for the
sums that the Dice score needs and once more for the gradient.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch

from headcond.segmentation.classes import UNKNOWN
from headcond.segmentation.network import CLASSES
from headcond.segmentation.scores import FEWEST

_ROWS = 64  # voxels at a time: their probabilities stay in the first cache
_LIMIT = np.float32(60.0)  # |logit|, so that exp stays within float32
_LOG2_E = np.float32(1.4426950408889634)
# Least-squares 2^r on [-0.5, 0.5], relative error 2e-6: far below bfloat16's 4e-3.
_POWER = tuple(np.float32(c) for c in (1.0, 0.6931472, 0.2402265, 0.0555033, 0.0096181, 0.0013398))


@numba.njit(inline="always")
def _exponentials(
    logits: np.ndarray,
    first: int,
    count: int,
    bits: np.ndarray,
    exponent: np.ndarray,
    values: np.ndarray,
) -> None:
    """Exponentials of `count` bfloat16 logits from index `first` on, into `values`."""
    as_float = bits.view(np.float32)
    for q in range(count):
        bits[q] = np.uint32(logits[first + q]) << np.uint32(16)
    for q in range(count):
        power = max(min(as_float[q], _LIMIT), -_LIMIT) * _LOG2_E
        whole = np.floor(power + np.float32(0.5))
        r = power - whole
        exponent[q] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        values[q] = _POWER[0] + r * (
            _POWER[1] + r * (_POWER[2] + r * (_POWER[3] + r * (_POWER[4] + r * _POWER[5])))
        )
    scale = exponent.view(np.float32)
    for q in range(count):
        values[q] *= scale[q]


@numba.njit(cache=True, fastmath=True)
def _sums(
    logits: np.ndarray,
    target: np.ndarray,
    probability: np.ndarray,
    overlap: np.ndarray,
    volume: np.ndarray,
) -> float:
    """Cross-entropy summed over judged voxels, and the Dice score's sums for each class.

    Parameters
    ----------
    logits : (voxels * classes,) bfloat16 as uint16.
    target : (voxels,) uint8.
    probability, overlap, volume : (classes,) float64, receive the sums of all probabilities,
        of those of the true class, and of voxels.
    """
    classes = len(probability)
    bits, exponent = np.empty(_ROWS * classes, np.uint32), np.empty(_ROWS * classes, np.int32)
    values = np.empty(_ROWS * classes, np.float32)
    part = np.empty(classes, np.float32)
    entropy = 0.0
    for start in range(0, len(target), _ROWS):
        rows = min(_ROWS, len(target) - start)
        _exponentials(logits, start * classes, rows * classes, bits, exponent, values)
        part[:] = 0
        for r in range(rows):
            true = target[start + r]
            if true == UNKNOWN:
                continue
            at = r * classes
            total = np.float32(0)
            for c in range(classes):
                total += values[at + c]
            inverse = np.float32(1) / total
            for c in range(classes):
                part[c] += values[at + c] * inverse
            right = values[at + true] * inverse
            entropy -= np.log(max(right, np.float32(1e-30)))
            overlap[true] += right
            volume[true] += 1
        for c in range(classes):
            probability[c] += part[c]
    return entropy


@numba.njit(cache=True, fastmath=True)
def _gradient(
    logits: np.ndarray,
    target: np.ndarray,
    weight: float,
    false: np.ndarray,
    true_too: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Write the derivative of the loss by every logit, bfloat16 as uint16.

    Parameters
    ----------
    weight : float32, derivative of the loss by a voxel's cross-entropy.
    false : (classes,) float32, derivative by the probability of a class.
    true_too : (classes,) float32, what is added to it where that class is the true one.
    """
    classes = len(false)
    bits, exponent = np.empty(_ROWS * classes, np.uint32), np.empty(_ROWS * classes, np.int32)
    values = np.empty(_ROWS * classes, np.float32)
    half = np.uint32(0x7FFF)
    for start in range(0, len(target), _ROWS):
        rows = min(_ROWS, len(target) - start)
        count = rows * classes
        _exponentials(logits, start * classes, count, bits, exponent, values)
        for r in range(rows):
            true = target[start + r]
            at = r * classes
            if true == UNKNOWN:
                values[at : at + classes] = 0
                continue
            total = np.float32(0)
            mean = np.float32(0)
            for c in range(classes):
                total += values[at + c]
                mean += values[at + c] * false[c]
            inverse = np.float32(1) / total
            right = values[at + true] * inverse
            mean = mean * inverse + true_too[true] * right
            for c in range(classes):
                values[at + c] *= inverse * (weight + false[c] - mean)
            values[at + true] += true_too[true] * right - weight
        as_bits = values.view(np.uint32)
        for q in range(count):  # round to even, as bfloat16 does
            word = as_bits[q]
            gradient[start * classes + q] = np.uint16(
                (word + half + ((word >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            )


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: np.ndarray) -> torch.Tensor:
        words = logits.detach().view(torch.uint16).numpy()
        sums = np.zeros((3, CLASSES))
        entropy = _sums(words, target, *sums)
        probability, overlap, volume = sums
        counted = volume >= FEWEST
        voxels, classes = max(volume.sum(), 1), max(counted.sum(), 1)
        score = (2 * overlap + 1) / (probability + volume + 1)
        ctx.words, ctx.target, ctx.shape = words, target, logits.shape
        ctx.weight = np.float32(1 / voxels)
        ctx.false = np.where(counted, score / (probability + volume + 1) / classes, 0)
        ctx.true = np.where(counted, -2 / (probability + volume + 1) / classes, 0)
        dice = 1 - score[counted].mean() if counted.any() else 0.0
        return torch.tensor([entropy / voxels, dice], dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, by_parts: torch.Tensor) -> tuple[torch.Tensor, None]:
        by_entropy, by_dice = (np.float32(value) for value in by_parts.tolist())
        gradient = np.empty_like(ctx.words)
        _gradient(
            ctx.words, ctx.target, by_entropy * ctx.weight,
            (by_dice * ctx.false).astype(np.float32), (by_dice * ctx.true).astype(np.float32),
            gradient,
        )  # fmt: skip
        return torch.from_numpy(gradient).view(torch.bfloat16).reshape(ctx.shape), None


def segmentation_loss(cells: torch.Tensor, target: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy, and one minus the mean soft Dice score over classes of `FEWEST` voxels.

    Parameters
    ----------
    cells : (1, 8 classes, D, H, W) bfloat16 logits, as of `SegmentationNetwork.cells`.
    target : (8 D H W,) uint8, in the order of `target_of_cells`; `UNKNOWN` is not counted.

    Returns
    -------
    cross_entropy, dice : scalars, float32; both can be differentiated.
    """
    rows = cells.permute(0, 2, 3, 4, 1).contiguous().reshape(-1)
    parts = _Loss.apply(rows, np.ascontiguousarray(target))
    return parts[0], parts[1]


def target_of_cells(target: np.ndarray) -> np.ndarray:
    """Order a target (2 D, 2 H, 2 W) as the logits are: cell by cell, (8 D H W,)."""
    depth, height, width = (side // 2 for side in target.shape)
    blocks = target.reshape(depth, 2, height, 2, width, 2)
    return blocks.transpose(0, 2, 4, 1, 3, 5).reshape(-1)
