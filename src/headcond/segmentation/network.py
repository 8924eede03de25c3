"""The network: one or two scans at 1 mm to the logits of air and thirteen tissues.

A 1 mm volume is too large for a CPU to convolve with many channels, and a 2 mm one loses the
thin layers that decide the conductivity of a head. So the network reads every block of
2 x 2 x 2 voxels as one cell with the block's voxels as channels, works on the grid of cells
(2 mm) and coarser ones, and gives each cell the logits of all its voxels (sub-pixel
convolution, Shi et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import batch_norm, instance_norm, leaky_relu

from headcond.checks import InputError
from headcond.tissues import TISSUES

CELL = 2
"""Voxels along the edge of a cell."""
CLASSES = 1 + len(TISSUES)
"""Air and the thirteen tissues, in the order of their ids in headcond13."""
CHANNELS = ("t1", "t2")
"""The scans that the network reads, in this order; a missing one is 0 everywhere."""


def to_cells(volume: torch.Tensor) -> torch.Tensor:
    """Put the voxels of each 2 x 2 x 2 block into channels.

    Parameters
    ----------
    volume : (B, C, 2 D, 2 H, 2 W).

    Returns
    -------
    (B, 8 C, D, H, W), channels last in memory; channel C (4 i + 2 j + k) + c is channel c of
    voxel (i, j, k) of the block.
    """
    batch, channels, *shape = volume.shape
    depth, height, width = (side // CELL for side in shape)
    blocks = volume.reshape(batch, channels, depth, CELL, height, CELL, width, CELL)
    rows = blocks.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(
        batch, depth, height, width, channels * CELL**3
    )
    return rows.permute(0, 4, 1, 2, 3)


def to_voxels(cells: torch.Tensor) -> torch.Tensor:
    """Put the channels of each cell back into a block of voxels: the inverse of `to_cells`."""
    batch, channels, depth, height, width = cells.shape
    blocks = cells.reshape(batch, CELL, CELL, CELL, channels // CELL**3, depth, height, width)
    return blocks.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(
        batch, channels // CELL**3, CELL * depth, CELL * height, CELL * width
    )


class Block(nn.Module):
    """Convolution, instance norm and leaky ReLU; `stride` 2 halves the grid by 2 x 2 x 2 kernels.

    The norm's statistics are those of one volume. torch's instance norm copies a volume whose
    channels come last to channels first and back, which costs more than the convolution; its
    batch norm does not, and of a batch of one the two are the same.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        kernel, padding = (3, 1) if stride == 1 else (2, 0)
        self.convolution = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.shift = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, D, H, W) to (B, outputs, D, H, W), or half of it with stride 2."""
        x = self.convolution(x)
        norm = batch_norm if len(x) == 1 else instance_norm
        x = norm(x, None, None, self.scale, self.shift, True)
        return leaky_relu(x, 0.01, inplace=True)


class SegmentationNetwork(nn.Module):
    """U-Net on the grid of cells, with a stem and a head of few channels at full resolution.

    Parameters
    ----------
    stem : channels on the grid of cells (2 mm).
    widths : channels at 4, 8, 16, ... mm.
    head : channels of the last hidden layer, on the grid of cells.
    inputs : scans.
    classes : logits per voxel.
    """

    def __init__(
        self,
        stem: int = 32,
        widths: Sequence[int] = (48, 80, 128, 160),
        head: int = 48,
        inputs: int = len(CHANNELS),
        classes: int = CLASSES,
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        self.settings = {
            "stem": stem, "widths": list(widths), "head": head, "inputs": inputs,
            "classes": classes,
        }  # fmt: skip
        self.stem = Block(inputs * CELL**3, stem)
        self.down = nn.ModuleList(
            Block(before, after, stride=2)
            for before, after in zip((stem, *widths[:-1]), widths, strict=True)
        )
        self.encoder = nn.ModuleList(
            nn.Sequential(*(Block(width, width) for _ in range(2 if level else 1)))
            for level, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(below, width, 2, 2) for width, below in pairwise(widths)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(
                Block(2 * width, width), *(Block(width, width) for _ in range(1 if level else 0))
            )
            for level, width in enumerate(widths[:-1])
        )
        self.auxiliary = nn.Conv3d(widths[0], classes, 1)
        self.up_last = nn.ConvTranspose3d(widths[0], head, 2, 2)
        self.head = Block(head + stem, head)
        self.out = nn.Conv3d(head, classes * CELL**3, 1)
        self.to(memory_format=torch.channels_last_3d)

    @property
    def multiple(self) -> int:
        """Voxels along each axis of the input come in multiples of this number."""
        return CELL * 2 ** len(self.down)

    def forward(self, scans: torch.Tensor) -> torch.Tensor:
        """Logits of every voxel.

        Parameters
        ----------
        scans : (B, inputs, D, H, W), normalised to [0, 1]; sides in multiples of `multiple`.

        Returns
        -------
        (B, classes, D, H, W).

        Raises
        ------
        InputError
            If the shape does not fit.
        """
        sides = scans.shape[2:]
        if scans.ndim != 5 or any(side % self.multiple for side in sides):
            raise InputError(
                f"scans must have sides in multiples of {self.multiple}, got {tuple(scans.shape)}."
            )
        return to_voxels(self.cells(to_cells(scans))[0])

    def cells(self, scans: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits by cell, as training needs them.

        Parameters
        ----------
        scans : (B, 8 inputs, D, H, W), as of `to_cells`.

        Returns
        -------
        logits : (B, 8 classes, D, H, W), in the order of `to_cells`.
        auxiliary : (B, classes, D/2, H/2, W/2), logits at 4 mm.
        """
        fine = x = self.stem(scans)
        skips = []
        for down, encoder in zip(self.down, self.encoder, strict=True):
            x = encoder(down(x))
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([self.up[level](x), skips[level]], 1))
        logits = self.out(self.head(torch.cat([self.up_last(x), fine], 1)))
        return logits, self.auxiliary(x)
