"""Checkerboards of T1w and T2w: outlines continue across the squares where both agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from headcond.checks import InputError, check_positive, voxel_sizes
from headcond.figures.slices import PLANES, bounding_box, show_plane
from headcond.figures.style import new_figure, upper_limit

SQUARE_MM = 24.0
"""Edge of a square: small enough for outlines of a head to cross several of them."""


def checkerboard(first: np.ndarray, second: np.ndarray, edges: tuple[float, float]) -> np.ndarray:
    """Merge two pictures in alternate squares, `first` at the origin.

    Parameters
    ----------
    first, second : (nx, ny) each.
    edges : edge of a square along each axis, in pixels.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise InputError(
            f"Both pictures need one shape, but have {first.shape} and {second.shape}."
        )
    x, y = (
        (np.arange(side) // check_positive("edge", edge)).astype(int)
        for side, edge in zip(first.shape, edges, strict=True)
    )
    return np.where((x[:, None] + y[None, :]) % 2 == 0, first, second)


def plot_alignment(
    t1: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    affine: np.ndarray,
    quality: Mapping[str, float],
) -> Figure:
    """Draw T1w against T2w before and after alignment, in the three planes through the head.

    Parameters
    ----------
    t1, before, after : (nx, ny, nz) T1w, and T2w on its grid by the scanner's world coordinates
        and after alignment.
    affine : (4, 4) voxel to RAS+ world, mm.
    quality : of `mri.align.Alignment`: mutual information, translation and rotation.
    """
    sizes = voxel_sizes(affine)
    box = bounding_box(t1 > 0.1 * upper_limit(t1))
    scaled = [
        np.clip(volume[box] / upper_limit(volume, 99.5), 0, 1) for volume in (t1, before, after)
    ]
    centre = np.array(scaled[0].shape) // 2
    figure, axes = new_figure(7.6, 5.6, 2, 3)
    for row, (second, title) in enumerate(((scaled[1], "before"), (scaled[2], "after"))):
        information = quality[f"mutual_information_{title}"]
        for panel, (plane, (cut, across, up)) in zip(axes[row], PLANES.items(), strict=True):
            pictures = (np.take(volume, centre[cut], axis=cut) for volume in (scaled[0], second))
            edges = (SQUARE_MM / sizes[across], SQUARE_MM / sizes[up])
            show_plane(panel, checkerboard(*pictures, edges), plane, sizes, vmin=0, vmax=1)
            if row == 0:
                panel.set_title(plane)
        axes[row, 0].set_ylabel(f"{title}: mutual information\n{information:.3f} nats")
    moved, turned = quality["translation_mm"], quality["rotation_degrees"]
    figure.suptitle(
        f"T1w and T2w in squares of {SQUARE_MM:g} mm; T2w moved by {moved:.1f} mm and "
        f"{turned:.1f} degrees",
        fontsize=10,
    )
    return figure
